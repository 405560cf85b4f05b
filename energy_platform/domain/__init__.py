"""Pure rules of the platform: frames and records in, frames and records out.

Belongs here: what would stay true under another orchestrator, database or cloud.
Does not belong here: Dagster, files, network, clock, environment.
"""
