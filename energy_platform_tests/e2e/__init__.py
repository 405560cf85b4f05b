"""Whole ways through the platform, from an upload or a stream to the tables that people read."""
