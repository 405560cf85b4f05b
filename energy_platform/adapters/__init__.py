"""Doors to the outside: each module knows one kind of bytes, none knows Dagster or another door."""
