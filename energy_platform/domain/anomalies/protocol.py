"""What a detector is: it is fitted on history that was fine, and scores rows of the same grain.

Belongs here: the two grains, the columns of what goes in and comes out, and which history may teach.
Does not belong here: any one detector (one file each), how scores become a severity (severity.py).

Grain *household day*: a row is one meter and channel on one day at the site, with its 24 hours
(``HOUSEHOLD_DAYS``). Grain *reading*: a row is one reading or telemetry event with its event time
(``READINGS``), with a column more for each quantity that came with it; a detector names those it reads.

What comes out has a row for each row that went in, in the same order (``DAY_SCORES``,
``READING_SCORES``): the key columns unchanged, so the event time that went in comes out, and

==============  =========  ==================================================================
column          dtype      meaning
==============  =========  ==================================================================
score           Float64    larger is stranger, in the detector's own unit; null: not judged
is_anomalous    Boolean    whether the detector calls it so; false where it is not judged
value           Float64    the number judged (kWh of a day or an hour, a share, a distance)
expected        Float64    what it should have been, in the unit of ``value``
lower, upper    Float64    between them ``value`` is fine; null where that side has no limit
reason          String     one sentence with the numbers where anomalous; null elsewhere
==============  =========  ==================================================================

A detector says anomalous or not. The number of a cluster or of a mixture's component is never an answer.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import polars as pl

from energy_platform.domain.errors import DetectorInput

if TYPE_CHECKING:
    from energy_platform.domain.anomalies.history import DayHistory

HOURS = 24
_Type = pl.DataType | type[pl.DataType]


class Grain(enum.StrEnum):
    """What one row is."""

    HOUSEHOLD_DAY = "household_day"
    READING = "reading"


_DAYS: dict[str, _Type] = {
    "meter_id": pl.String,
    "channel": pl.String,
    "local_date": pl.Date,
    "is_day_off": pl.Boolean,  # a weekend day or public holiday in the site's own calendar
    "readings": pl.Int32,  # distinct intervals that have one
    "expected_readings": pl.Int32,  # intervals that the local day has
    "estimated_share": pl.Float32,  # 0 to 1
    "energy_kwh": pl.Float32,  # of the readings there are; null without any
    "hours_kwh": pl.Array(pl.Float32, HOURS),  # by local hour; NaN where a reading is missing or there is no hour
    "temperature_c": pl.Float32,  # mean outdoors; null where there is none
    "forecast_kwh": pl.Float32,  # median issued the day before; null without one
    "is_known_anomalous": pl.Boolean,  # found before, or reported by a person: no detector learns from it
}
HOUSEHOLD_DAYS = pl.Schema(_DAYS)
_READINGS: dict[str, _Type] = {
    "meter_id": pl.String,
    "channel": pl.String,
    "event_at_utc": pl.Datetime("us"),  # when it was measured, by the meter's account; passes through unchanged
    "value": pl.Float64,  # the quantity that the channel reports; others stand in columns of their own
}
READINGS = pl.Schema(_READINGS)
DAY_KEY = ("meter_id", "channel", "local_date")
READING_KEY = ("meter_id", "channel", "event_at_utc")
_RESULTS: dict[str, _Type] = {
    "score": pl.Float64,
    "is_anomalous": pl.Boolean,
    "value": pl.Float64,
    "expected": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "reason": pl.String,
}
DAY_SCORES = pl.Schema({**{name: _DAYS[name] for name in DAY_KEY}, **_RESULTS})
READING_SCORES = pl.Schema({**{name: _READINGS[name] for name in READING_KEY}, **_RESULTS})


class FittedDetector(Protocol):
    """A detector that has seen history. It can be pickled, and scoring does not change it."""

    @property
    def note(self) -> str:
        """How it was fitted, in a sentence: rows, and the method where size chose one."""
        ...

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``DAY_SCORES`` or ``READING_SCORES``: a row for each of ``rows``, in their order.

        Args:
            rows: ``HOUSEHOLD_DAYS`` (any dates, any meters, also unknown ones) or ``READINGS``.
        """
        ...


class Detector(Protocol):
    """One way of finding anomalies, as the registry in ``detectors.py`` holds it."""

    @property
    def name(self) -> str:
        """In tables, in MLflow, in a label."""
        ...

    @property
    def grain(self) -> Grain:
        """What one row is."""
        ...

    def fit(self, history: pl.DataFrame | DayHistory) -> FittedDetector:
        """Learn what is usual; equal history gives equal scores.

        Args:
            history: ``HOUSEHOLD_DAYS`` or ``READINGS``; rows that may not teach are left out (``teachable``). Several
                detectors that are fitted on the same days share a ``DayHistory`` of them.

        Raises:
            DetectorInput: a column is missing, or too few rows are left to learn from.
        """
        ...


def teachable(history: pl.DataFrame) -> pl.DataFrame:
    """The rows a detector may learn from: complete, measured, and not known to be anomalous.

    Of ``READINGS`` without ``is_known_anomalous`` all rows are, but those without a value.
    """
    keep = pl.lit(value=True)
    if "is_known_anomalous" in history.columns:
        keep &= ~pl.col("is_known_anomalous").fill_null(value=False)
    if "hours_kwh" in history.columns:
        keep &= (pl.col("readings") == pl.col("expected_readings")) & (pl.col("estimated_share").fill_null(0.0) == 0)
    elif "value" in history.columns:
        keep &= pl.col("value").is_finite()
    return history.filter(keep)


def require(rows: pl.DataFrame, columns: Iterable[str], detector: str) -> None:
    """Refuse rows that lack a column.

    Raises:
        DetectorInput: naming the detector and the columns.
    """
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise DetectorInput(
            f"{detector} needs the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}, "
            f"which the rows do not have. They have: {', '.join(rows.columns)}."
        )
