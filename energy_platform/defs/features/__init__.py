"""The stage ``features``: its assets and their checks."""
