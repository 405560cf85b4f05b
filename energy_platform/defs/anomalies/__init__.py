"""The stage ``anomalies``: its assets and their checks."""
