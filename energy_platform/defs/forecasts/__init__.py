"""The stage ``forecasts``: its assets and their checks."""
