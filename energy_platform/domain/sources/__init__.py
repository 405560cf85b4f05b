"""The model of a source declaration: what sources/<name>.yml may say, and what each word means.

Belongs here: fields, defaults and the rules that a declaration must keep. Does not belong here:
finding and reading the yml files (adapters/declarations.py), reading data by them (adapters/lake_loader).
"""

from energy_platform.domain.sources.declaration import (
    ReadingsSource,
    SourceDeclaration,
    TelemetrySource,
    WeatherSource,
)
from energy_platform.domain.sources.fields import Key, Quality
from energy_platform.domain.sources.formats import (
    EPOCH_FORMATS,
    ConcatenatedJson,
    Csv,
    Format,
    Ndjson,
    Parquet,
    Timestamp,
    carries_moment,
    is_day_first,
)
from energy_platform.domain.sources.quantity import CalorificValue, Register, Samples, Value

__all__ = [
    "EPOCH_FORMATS",
    "CalorificValue",
    "ConcatenatedJson",
    "Csv",
    "Format",
    "Key",
    "Ndjson",
    "Parquet",
    "Quality",
    "ReadingsSource",
    "Register",
    "Samples",
    "SourceDeclaration",
    "TelemetrySource",
    "Timestamp",
    "Value",
    "WeatherSource",
    "carries_moment",
    "is_day_first",
]
