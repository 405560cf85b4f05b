"""The dictionary of the platform: every shared column once, and every table as a list of them.

The warehouse creates its tables from these contracts; Great Expectations suites and
docs/data_dictionary.md are made from them. One module a stage; import from this package.
"""

from collections.abc import Sequence

from energy_platform.domain.columns.anomalies import ANOMALY_TABLES
from energy_platform.domain.columns.features import (
    FEATURES_METER_DAYS,
    LAG_DAYS,
    ROLLING_DAYS,
    SOURCE_CLOCKS,
    WEEKDAY_LAGS,
)
from energy_platform.domain.columns.hours import FLEET_HOURS, FLEET_SCORES
from energy_platform.domain.columns.lake import (
    DAY_LOADS,
    FILES,
    METERS,
    READING_ROWS,
    READINGS_TABLE,
    REJECTED,
    SITES,
    TELEMETRY,
    TELEMETRY_VALUES,
    WEATHER,
)
from energy_platform.domain.columns.marts import (
    CHANNEL_SUMMARIES,
    FLEET_HALF_HOURS,
    METER_DAY_VERSIONS,
    METER_DAYS,
    METER_HOUR_PROFILES,
    SITE_MONTHS,
)
from energy_platform.domain.columns.model import (
    UTC_TIME,
    Column,
    Table,
    bounded,
    column,
    one_of,
    optional,
)
from energy_platform.domain.columns.promotions import PROMOTIONS
from energy_platform.domain.columns.results import (
    BACKTESTS,
    DECISIONS,
    DRIVERS,
    FORECAST_SCORES,
    FORECASTS,
    NOT_ISSUED,
    RESIDUALS,
)
from energy_platform.domain.columns.rules import (
    ANOMALIES,
    CHANNEL_LIMITS,
    DAYS_OFF_FORECAST,
    READINGS_ABOVE_LIMIT,
    RULE_TABLES,
)
from energy_platform.domain.columns.segments import SEGMENT_TABLES
from energy_platform.domain.columns.shared import (
    AVAILABLE_AT_UTC,
    CHANNEL,
    COMMODITY,
    COMPLETENESS,
    CUTOFF_DATE,
    DETECTOR,
    ENERGY_KWH,
    ESTIMATED_SHARE,
    EXPECTED_READINGS,
    FILE_ID,
    INTERVAL_MINUTES,
    INTERVAL_START_UTC,
    ISSUED_AT_UTC,
    LEAD_DAYS,
    LOCAL_DATE,
    METER_ID,
    METER_NO,
    MODEL,
    MODEL_VERSION,
    P10_KWH,
    P50_KWH,
    P90_KWH,
    QUALITY,
    READINGS,
    SITE_ID,
    SOURCE,
    STATION_ID,
    TEMPERATURE_C,
    TIME_ZONE,
    UTC_OFFSET_MINUTES,
)

__all__ = [
    "ANOMALIES",
    "AVAILABLE_AT_UTC",
    "BACKTESTS",
    "CHANNEL",
    "CHANNEL_LIMITS",
    "CHANNEL_SUMMARIES",
    "COMMODITY",
    "COMPLETENESS",
    "CUTOFF_DATE",
    "DAYS_OFF_FORECAST",
    "DAY_LOADS",
    "DECISIONS",
    "DETECTOR",
    "DRIVERS",
    "ENERGY_KWH",
    "ESTIMATED_SHARE",
    "EXPECTED_READINGS",
    "FEATURES_METER_DAYS",
    "FILES",
    "FILE_ID",
    "FLEET_HALF_HOURS",
    "FLEET_HOURS",
    "FLEET_SCORES",
    "FORECASTS",
    "FORECAST_SCORES",
    "INTERVAL_MINUTES",
    "INTERVAL_START_UTC",
    "ISSUED_AT_UTC",
    "LAG_DAYS",
    "LEAD_DAYS",
    "LOCAL_DATE",
    "METERS",
    "METER_DAYS",
    "METER_DAY_VERSIONS",
    "METER_HOUR_PROFILES",
    "METER_ID",
    "METER_NO",
    "MODEL",
    "MODEL_VERSION",
    "NOT_ISSUED",
    "P10_KWH",
    "P50_KWH",
    "P90_KWH",
    "PROMOTIONS",
    "QUALITY",
    "READINGS",
    "READINGS_ABOVE_LIMIT",
    "READINGS_TABLE",
    "READING_ROWS",
    "REJECTED",
    "RESIDUALS",
    "ROLLING_DAYS",
    "RULE_TABLES",
    "SEGMENT_TABLES",
    "SITES",
    "SITE_ID",
    "SITE_MONTHS",
    "SOURCE",
    "SOURCE_CLOCKS",
    "STATION_ID",
    "TABLES",
    "TELEMETRY",
    "TELEMETRY_VALUES",
    "TEMPERATURE_C",
    "TIME_ZONE",
    "UTC_OFFSET_MINUTES",
    "UTC_TIME",
    "WEATHER",
    "WEEKDAY_LAGS",
    "Column",
    "Table",
    "bounded",
    "column",
    "one_of",
    "optional",
    "table",
]

TABLES: tuple[Table, ...] = (
    FILES,
    METERS,
    READING_ROWS,
    READINGS_TABLE,
    DAY_LOADS,
    REJECTED,
    SITES,
    WEATHER,
    TELEMETRY,
    METER_DAYS,
    METER_DAY_VERSIONS,
    METER_HOUR_PROFILES,
    SITE_MONTHS,
    CHANNEL_SUMMARIES,
    FLEET_HALF_HOURS,
    SOURCE_CLOCKS,
    FEATURES_METER_DAYS,
    DECISIONS,
    PROMOTIONS,
    BACKTESTS,
    RESIDUALS,
    FORECASTS,
    NOT_ISSUED,
    DRIVERS,
    FORECAST_SCORES,
    FLEET_HOURS,
    FLEET_SCORES,
    *RULE_TABLES,
    *ANOMALY_TABLES,
    *SEGMENT_TABLES,
)


def table(full_name: str, tables: Sequence[Table] = TABLES) -> Table:
    """The contract of one table by its ``schema.name``.

    Raises:
        KeyError: no contract has that name.

    Example:
        >>> table("lake.files").key
        ('file_id',)
    """
    for candidate in tables:
        if candidate.full_name == full_name:
            return candidate
    raise KeyError(full_name)
