"""Writes landed files with known contents and loads them: what the tests of the lake share."""

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from energy_platform.adapters.declarations import load_declarations
from energy_platform.adapters.lake_loader import load_pending
from energy_platform.adapters.landing import Landing
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.readings import LoadSummary
from energy_platform.domain.sources import ReadingsSource, SourceDeclaration, WeatherSource

LCL_HEADER = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn,Acorn_grouped"
START = datetime(2026, 1, 1)


def lcl_line(meter: str, stamp: datetime | str, value: object) -> str:
    """One line as Low Carbon London writes it."""
    text = f"{stamp:%Y-%m-%d %H:%M:%S}.0000000" if isinstance(stamp, datetime) else stamp
    return f"{meter},Std,{text}, {value} ,ACORN-A,Affluent"


def half_hours(first: datetime, count: int) -> list[datetime]:
    """So many half-hours from a moment on."""
    return [first + timedelta(minutes=30 * index) for index in range(count)]


def local_source(**said: object) -> ReadingsSource:
    """A source of columns meter,t,kwh; keyword arguments change its declaration."""
    declared = {
        "name": "local",
        "description": "A test source.",
        "timestamp": {"column": "t"},
        "value": {"column": "kwh"},
        "interval_minutes": 30,
        "meter": {"column": "meter"},
        "site_zone": "Europe/London",
        "country": "GB-ENG",
    }
    return ReadingsSource.model_validate(declared | said)


def weather_source() -> WeatherSource:
    """A source of columns t,c of one station."""
    declared = {
        "name": "weather",
        "kind": "weather",
        "description": "A test source.",
        "timestamp": {"column": "t"},
        "value": {"column": "c", "unit": "degC"},
        "station": {"constant": "kew"},
    }
    return WeatherSource.model_validate(declared)


# Sums differ in their last digits by the order of their terms.
_ROUNDED_DAYS = """day_loads.* EXCLUDE (meter_no) REPLACE (
    round(day_loads.energy_kwh, 9) AS energy_kwh, round(day_loads.variance_kwh2, 9) AS variance_kwh2), meter_id, channel"""


@dataclass
class Lake:
    """A landing zone and a warehouse in a folder; time passes an hour with each load."""

    folder: Path
    declarations: dict[str, SourceDeclaration] = field(default_factory=lambda: dict(load_declarations()))
    hours: int = 0

    def __post_init__(self) -> None:
        self.landing = Landing(self.folder / "landing")
        self.warehouse = Warehouse(self.folder / "warehouse.duckdb", memory_limit="512MiB", threads=2)

    @property
    def now(self) -> datetime:
        return START + timedelta(hours=self.hours)

    def put(self, name: str, content: str | bytes, source: str = "lcl") -> Path:
        """Write one file into the landing zone; names ending in .gz are packed, unless bytes are given."""
        path = self.landing.root / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = gzip.compress(content.encode()) if name.endswith(".gz") else content.encode()
        path.write_bytes(content)
        return path

    def put_lcl(self, name: str, lines: Iterable[str]) -> Path:
        """Write one file of Low Carbon London lines."""
        return self.put(name, "\n".join([LCL_HEADER, *lines]) + "\n")

    def load(self) -> LoadSummary:
        """Load what waits, an hour after the last time."""
        self.hours += 1
        return load_pending(self.warehouse, self.landing, self.declarations, now=self.now)

    def read(self, sql: str) -> pl.DataFrame:
        return self.warehouse.read(sql)

    def everything(self) -> Mapping[str, list[tuple[object, ...]]]:
        """All rows of the lake but for the times of loading and the numbers of meters."""
        return {
            table: self.read(f"SELECT {what} FROM lake.{table} ORDER BY ALL").rows()
            for table, what in {
                "files": "* EXCLUDE (loaded_at_utc, landed_at_utc) REPLACE (round(energy_kwh, 9) AS energy_kwh)",
                "readings": "*",
                "rejected": "*",
                "day_loads JOIN lake.meters USING (meter_no)": _ROUNDED_DAYS,
                "meters": "* EXCLUDE (meter_no)",
                "sites": "*",
                "weather": "*",
            }.items()
        }
