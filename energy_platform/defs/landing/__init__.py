"""The stage ``landing``: what has arrived, and the sensor that notices it."""
