"""The rows that forecasters read: history at the issue day, calendar of the target day, days ahead.

Belongs here: which rows of ``features.meter_days`` a training or an issue takes, and how they become
model inputs. Does not belong here: what a history feature is made of (domain/features.py,
series_features.py), what a forecaster does with the rows (forecasters/).

One row is one meter, channel, issue day and lead. The target day is ``cutoff_date + lead_days - 1``;
every input but its calendar was known when the issue day began.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from hashlib import sha256
from itertools import accumulate

import polars as pl

from energy_platform.domain.calendar import CALENDAR_FEATURES, calendar_of
from energy_platform.domain.columns import LAG_DAYS
from energy_platform.domain.features import HISTORY_FEATURES, HORIZON_DAYS
from energy_platform.domain.forecasting.history import HISTORY_DAYS, DaySeries
from energy_platform.domain.forecasting.series_features import (
    SERIES_ENERGY_FEATURES,
    SERIES_OTHER_FEATURES,
    with_series_features,
)
from energy_platform.domain.forecasting.smoothing import RATES

LEADS = tuple(range(1, HORIZON_DAYS + 1))
# A scale must not be 0 (vacant homes). A thousandth of a kWh a day is below any meter's resolution.
SCALE_FLOOR_KWH = 1e-3
MAX_TRAINING_ROWS = 250_000
# With so many meters each issue day gives every second lead. On 5,566 made-up homes that errs no more than all of them
# (MAE 1.639 and 1.640 kWh) in half the time; half of the issue days with all their leads err more (1.647).
MANY_METERS = 3_000
# Weeks are what a comparison counts (paired.py). Of 55 London homes four weeks told a model that saves 8 % from naive
# at p = 0.03 to 0.10, eight at 0.004 to 0.009.
BACKTEST_DAYS = 56
# More meters than this give enough residuals in weekly issues.
DAILY_BACKTEST_METERS = 100
# Of a large fleet each meter is issued in some of the weeks only.
MAX_BACKTEST_ROWS = 160_000
# Multiples of the scale beyond which a target tells nothing more: a home that comes back from vacancy.
MAX_RATIO = 30.0
# The spread is at least this share of the scale: a load that was constant for weeks may still change.
MIN_SPREAD = 0.05

_STATISTICS = tuple(f"{word}_{days}_kwh" for days in (7, 28) for word in ("mean", "std", "min", "max"))
ENERGY_FEATURES = (
    *(f"lag_{lag}_kwh" for lag in LAG_DAYS),
    *(name for name in _STATISTICS if name != "mean_28_kwh"),
    "weekday_mean_kwh",
    "weekday_last_kwh",
    *SERIES_ENERGY_FEATURES,
)
# The season itself is no input: with a year of history a tree learns from it what one spring was like. The
# temperatures carry it. Nor is a forecast of the weather: on London homes even the true temperature of the
# target day, which nobody knows, lowers the error by only 0.7 %.
_SEASON = ("month", "day_of_year_sin", "day_of_year_cos")
OTHER_FEATURES = (
    "lead_days",
    "log_scale",
    "is_gas",
    "ratio_7_28",
    "zero_share_28",
    "missing_share_28",
    "days_of_history",
    "temperature_1_c",
    "temperature_7_c",
    *SERIES_OTHER_FEATURES,
    *(name for name in CALENDAR_FEATURES if name not in _SEASON),
    "is_year_end",
)
MODEL_FEATURES = (*ENERGY_FEATURES, *OTHER_FEATURES)

_KEYS = ("meter_id", "channel", "source", "commodity", "country")


def feature_hash(features: Sequence[str] = MODEL_FEATURES) -> str:
    """A short name for the inputs of a model: their names, order, type and scaling.

    Example:
        >>> feature_hash() == feature_hash(MODEL_FEATURES[::-1])
        False
    """
    told = f"float32; energy over max(mean_28_kwh, {SCALE_FLOOR_KWH}); smoothed at {RATES}; " + ",".join(features)
    return sha256(told.encode()).hexdigest()[:16]


def training_rows_sql(features: str, *, cutoff: date, stride: int, every_lead: int = 1) -> str:
    """Rows whose target day is complete and lies before ``cutoff``, from every ``stride``-th issue day.

    Each meter starts the count at another day, so that a large fleet shows every day of the year and a
    small one every weekday. Ordered, so that the same rows train the same model.

    Args:
        features: relation with the columns of ``features.meter_days``.
        cutoff: nothing of this day or later is read.
        stride: 1 takes every issue day; see ``stride_for``.
        every_lead: 2 takes every second lead, the odd ones of one issue day and the even ones of the meter's next.
    """
    day_number = f"(local_date - DATE '2000-01-03' + {_meter_number_sql()})"
    return _rows_sql(
        features,
        issues=f"{_training_issues(cutoff)} AND {day_number} % {stride} = 0",
        issue_number=f"{day_number} // {stride}",
        every_lead=every_lead,
        targets=f"local_date < DATE '{cutoff.isoformat()}' AND target_kwh IS NOT NULL",
        join="JOIN",
    )


def issue_rows_sql(
    features: str, *, issue_days: Sequence[date], known_before: date | None = None, stride: int = 1
) -> str:
    """Rows of all meters that have a complete day in the week before an issue day, for every lead.

    Args:
        features: relation with the columns of ``features.meter_days``.
        issue_days: the days at whose start the forecasts stand.
        known_before: gives complete target days before it as ``target_kwh`` (a backtest) and drops the
            other rows; None gives all rows and no targets (an issue).
        stride: each meter in every so-manieth of the issue days only, meters in turns.
    """
    days = ", ".join(f"DATE '{day.isoformat()}'" for day in issue_days) or "NULL"
    targets = f"local_date < DATE '{known_before}' AND target_kwh IS NOT NULL" if known_before else "false"
    turns = f" AND (list_position([{days}], local_date) + {_meter_number_sql()}) % {stride} = 0" if stride > 1 else ""
    return _rows_sql(
        features,
        issues=f"local_date IN ({days}) AND mean_7_kwh IS NOT NULL{turns}",
        targets=targets,
        join="JOIN" if known_before else "LEFT JOIN",
    )


def _meter_number_sql() -> str:
    """A number that a meter keeps for ever; DuckDB's own hash may change with its version."""
    return "CAST('0x' || substr(md5(meter_id || '/' || channel), 1, 6) AS INTEGER)"


def leads_for(meters: int) -> int:
    """Which leads each issue day of a training gives: 1 all, 2 every second one (``MANY_METERS``)."""
    return 2 if meters >= MANY_METERS else 1


def _rows_sql(
    features: str, *, issues: str, targets: str, join: str, issue_number: str = "0", every_lead: int = 1
) -> str:
    # Leads 1 to 7 fall on the weekdays of the lags 7 to 1: the weekday columns of the target are chosen here.
    chosen = ", ".join(
        f"CASE lead_days {' '.join(f'WHEN {lead} THEN weekday_{word}_{8 - lead}_kwh' for lead in LEADS)} END "
        f"AS weekday_{word}_kwh"
        for word in ("mean", "last")
    )
    kept = ", ".join(f"i.{name}" for name in HISTORY_FEATURES if not name.startswith("weekday_"))
    return f"""
WITH issues AS (SELECT *, {issue_number} AS issue_number FROM {features} WHERE {issues}),
targets AS (SELECT meter_id, channel, local_date, target_kwh FROM {features} WHERE {targets}),
leads AS (SELECT CAST(unnest(range(1, {HORIZON_DAYS + 1})) AS TINYINT) AS lead_days)
SELECT {", ".join(f"i.{name}" for name in _KEYS)}, i.local_date AS cutoff_date, lead_days,
    i.local_date + (lead_days - 1) AS local_date, t.target_kwh, {kept}, {chosen}
FROM issues AS i
CROSS JOIN leads
{join} targets AS t
    ON t.meter_id = i.meter_id AND t.channel = i.channel AND t.local_date = i.local_date + (lead_days - 1)
WHERE (issue_number + lead_days) % {every_lead} = 0
ORDER BY i.meter_id, i.channel, i.local_date, lead_days
""".strip()


def count_issues_sql(features: str, *, cutoff: date) -> str:
    """How many issue days (over all meters) a training at ``cutoff`` could take: one row ``issues``, ``meters``."""
    return (
        "SELECT count(*) AS issues, count(DISTINCT (meter_id, channel)) AS meters "
        f"FROM {features} WHERE {_training_issues(cutoff)}"
    )


def _training_issues(cutoff: date) -> str:
    first = cutoff - timedelta(days=HISTORY_DAYS)
    return (
        f"local_date < DATE '{cutoff.isoformat()}' AND local_date > DATE '{first.isoformat()}' "
        "AND mean_28_kwh IS NOT NULL"
    )


def stride_for(issues: int, *, meters: int) -> int:
    """The stride that bounds the rows of a training and does not skip weekdays.

    Sixty thousand rows and 60 more for each meter, 250,000 at most: on 55 homes half of the issue days
    train as good a model as all of them.

    Example:
        >>> stride_for(10_000, meters=30), stride_for(16_000, meters=55), stride_for(3_300_000, meters=5566)
        (2, 2, 93)
    """
    bound = min(MAX_TRAINING_ROWS, 60_000 + 60 * meters)
    stride = max(1, -(-issues * HORIZON_DAYS // bound))
    return stride + 1 if stride % 7 == 0 else stride


def design(rows: pl.DataFrame, series: DaySeries) -> pl.DataFrame:
    """Add calendar, scale and scaled inputs: what every forecaster takes.

    ``scale_kwh`` is the meter's mean of the 28 days before. Energies become multiples of it, so that one
    model serves a fridge and an office. The spread is the meter's recent next-day error of a smoothing (its
    sd before there is any), at least a twentieth of the scale: bands that are multiples of it have a pinball
    loss 2 % below those of the sd (London homes, 18 issues of spring and summer).

    Args:
        rows: what ``training_rows_sql`` or ``issue_rows_sql`` gives.
        series: the known days of their meters; of each row only those before its ``cutoff_date`` are read.

    Returns:
        Keys, ``cutoff_date``, ``lead``, ``local_date``, ``target_kwh``, ``naive_kwh``, ``scale_kwh``,
        ``spread_kwh``, ``least_kwh``, ``largest_kwh`` and ``MODEL_FEATURES`` as Float32 (null where unknown),
        in the order of ``rows``.
    """
    scale = pl.max_horizontal(pl.col("mean_28_kwh").cast(pl.Float64), pl.lit(SCALE_FLOOR_KWH))
    naive = pl.coalesce("weekday_last_kwh", "mean_7_kwh").cast(pl.Float64)
    spread = pl.coalesce("error_kwh", "std_28_kwh").cast(pl.Float64).fill_null(0.0)
    day = pl.col("local_date")
    year_end = ((day.dt.month() == 12) & (day.dt.day() >= 24)) | ((day.dt.month() == 1) & (day.dt.day() == 1))
    return (
        with_series_features(rows, series)
        .join(calendar_of(rows), on=["country", "local_date"], how="left", maintain_order="left")
        .with_columns(
            scale_kwh=scale,
            naive_kwh=naive,
            spread_kwh=pl.max_horizontal(spread, scale * MIN_SPREAD),
            least_kwh=pl.col("min_28_kwh").cast(pl.Float64),
            largest_kwh=pl.col("max_28_kwh").cast(pl.Float64),
            log_scale=scale.log(),
            is_gas=pl.col("commodity") == "gas",
            is_year_end=year_end,
        )
        .with_columns(pl.col(name) / pl.col("scale_kwh") for name in ENERGY_FEATURES)
        .select(
            *_KEYS,
            "cutoff_date",
            pl.col("lead_days").alias("lead"),
            "local_date",
            "target_kwh",
            "naive_kwh",
            "scale_kwh",
            "spread_kwh",
            "least_kwh",
            "largest_kwh",
            *(pl.col(name).cast(pl.Float32) for name in MODEL_FEATURES),
        )
    )


def design_together(parts: Sequence[pl.DataFrame], series: DaySeries) -> list[pl.DataFrame]:
    """``design`` of each of some frames, with one walk through the calendar of all meters instead of one a frame."""
    made = design(pl.concat(parts), series)
    ends = accumulate(part.height for part in parts)
    return [made.slice(end - part.height, part.height) for end, part in zip(ends, parts, strict=True)]


def backtest_days(cutoff: date, *, meters: int) -> list[date]:
    """Issue days of the backtest: every week of the eight before ``cutoff``, or every day for few meters.

    The newest is seven days before the cutoff, so that all its targets lie before it. A handful of meters
    gives too few residuals in eight issues to take a tenth quantile of: those are issued daily.

    Example:
        >>> [day.isoformat() for day in backtest_days(date(2013, 7, 1), meters=5000)][:3]
        ['2013-05-06', '2013-05-13', '2013-05-20']
        >>> len(backtest_days(date(2013, 7, 1), meters=2))
        50
    """
    step = 7 if meters > DAILY_BACKTEST_METERS else 1
    return [cutoff - timedelta(days=back) for back in range(BACKTEST_DAYS, HORIZON_DAYS - 1, -step)]


def backtest_rows_sql(features: str, *, cutoff: date, meters: int) -> str:
    """Rows of the backtest before ``cutoff``: at most ``MAX_BACKTEST_ROWS`` of so many meters, who take turns."""
    days = backtest_days(cutoff, meters=meters)
    stride = max(1, -(-len(days) * meters * HORIZON_DAYS // MAX_BACKTEST_ROWS))
    return issue_rows_sql(features, issue_days=days, known_before=cutoff, stride=stride)
