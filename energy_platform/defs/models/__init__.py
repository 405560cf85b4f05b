"""The stage ``models``: its assets and their checks."""
