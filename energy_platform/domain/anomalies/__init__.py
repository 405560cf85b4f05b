"""Detectors: what makes a reading or a day anomalous, as SQL text or over frames."""
