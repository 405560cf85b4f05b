"""What a home does now: the last values of every meter and channel, and the average of each five.

Belongs here: the arithmetic from validated events to live values. Does not belong here: validation (domain/events), what
is kept (adapters/operations/live.py), rules on it (domain/alerts).
"""

from energy_platform.domain.live.samples import Series, series_of
from energy_platform.domain.live.state import (
    AVERAGED_SAMPLES,
    OFF_BELOW_V,
    WINDOW_SAMPLES,
    Average,
    LiveChannel,
    LiveValue,
    advance,
    channels_of,
)

__all__ = [
    "AVERAGED_SAMPLES",
    "OFF_BELOW_V",
    "WINDOW_SAMPLES",
    "Average",
    "LiveChannel",
    "LiveValue",
    "Series",
    "advance",
    "channels_of",
    "series_of",
]
