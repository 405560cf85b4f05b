"""Segments: homes by the shape of their day, refitted once a week of their source's clock."""
