"""Contracts of the features: clocks of the sources and the model inputs of a meter's day."""

import polars as pl

from energy_platform.domain.columns.model import Column, Table, column, optional
from energy_platform.domain.columns.shared import CHANNEL, COMMODITY, LOCAL_DATE, METER_ID, SOURCE

SOURCE_CLOCKS = Table(
    "features",
    "source_clocks",
    "source with any complete day",
    ("source",),
    (
        SOURCE,
        column("newest_complete_day", pl.Date, "", "Last local day that is complete for any meter of the source."),
        column("active_meters", pl.Int64, "", "Meters with a day in the week up to it."),
        column("newest_file_id", pl.Int32, "", "Newest landed file that touched the source; tells whether it changed."),
    ),
)
# History features as known at the start of a day; FLOAT because a model reads them and 40 columns of it are half as large.
LAG_DAYS = (1, 2, 3, 4, 5, 6, 7, 14, 21, 28)
WEEKDAY_LAGS = (1, 2, 3, 4, 5, 6, 7)
ROLLING_DAYS = (7, 28)


def _feature(name: str, unit: str, meaning: str) -> Column:
    return Column(name, pl.Float32, unit, meaning, required=False)


FEATURES_METER_DAYS = Table(
    "features",
    "meter_days",
    "meter, channel and local day at whose start somebody stands (seven days beyond the newest included)",
    ("meter_id", "channel", "local_date"),
    (
        METER_ID,
        CHANNEL,
        SOURCE,
        COMMODITY,
        column("country", pl.String, "", "ISO country (with subdivision, GB-ENG) whose public holidays apply."),
        LOCAL_DATE,
        optional(column("target_kwh", pl.Float64, "kWh", "Energy of the day itself: the target, never an input.")),
        *(_feature(f"lag_{lag}_kwh", "kWh", f"Energy {lag} days earlier.") for lag in LAG_DAYS),
        *(
            _feature(f"{word}_{days}_kwh", "kWh", f"{meaning} daily energy of the {days} days before.")
            for days in ROLLING_DAYS
            for word, meaning in (("mean", "Mean"), ("std", "Sample sd of"), ("min", "Least"), ("max", "Largest"))
        ),
        *(
            _feature(
                f"weekday_mean_{lag}_kwh", "kWh", f"Mean of the days {lag}, {lag + 7}, {lag + 14}, {lag + 21} before."
            )
            for lag in WEEKDAY_LAGS
        ),
        *(
            _feature(
                f"weekday_last_{lag}_kwh",
                "kWh",
                f"First known of the days {lag}, {lag + 7}, {lag + 14}, {lag + 21} before.",
            )
            for lag in WEEKDAY_LAGS
        ),
        _feature("ratio_7_28", "", "Mean of 7 days over mean of 28; null when the latter is 0."),
        _feature("zero_share_28", "share", "Days without energy among the complete ones of the 28 before."),
        _feature("missing_share_28", "share", "Missing or incomplete days among the 28 before (since the first day)."),
        _feature("days_of_history", "d", "Complete days before."),
        _feature("temperature_1_c", "°C", "Mean outdoor temperature of the day before."),
        _feature("temperature_7_c", "°C", "Mean outdoor temperature of the 7 days before."),
    ),
)
