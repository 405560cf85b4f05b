"""Segments: homes grouped by the shape of their day, with the evidence that the groups are there.

Belongs here: shapes, the choice of k, names, drift, comparisons, what a young home is expected to use by
hour. Does not belong here: where the tables lie (defs/segments), forecasts of days (domain/forecasting).
"""
