"""Scoring readings as they come: from events to the rows that detectors judge, and what is learned for that.

Belongs here: events as rows, instants put together from several channels, the bundle of fitted detectors.
Does not belong here: a detector (domain/anomalies), the stream (streaming/scoring.py).
"""
