"""Seeded simulation of meters with daily and weekly shape, weather response and labelled faults.

What belongs here: arithmetic from a seed to frames and payloads; the same seed gives the same
bytes. Not here: files and streams (commands/simulate.py, adapters/event_sinks.py), and detection.
Every generator returns one shape, ``meter_id, channel, at_utc, value``; ``faults.plant`` changes
it and says where; the module of each kind of meter writes it in that meter's own format.
"""
