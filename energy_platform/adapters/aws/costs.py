"""A monthly estimate from a dated table of list prices; every assumption is printed with it.

Prices stand in ``adapters/prices/aws_prices.yml`` with their date and source and nowhere else.
The estimate is of one region's list prices without tax, support, discounts or data sent out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from energy_platform.domain.errors import CloudRefused

PRICES_FILE = Path(__file__).resolve().parent.parent / "prices" / "aws_prices.yml"
HOURS_A_MONTH = 730
DAYS_A_MONTH = 365 / 12
SECONDS_A_DAY = 86_400
GB = 1024**3
SHARD_RECORDS_A_SECOND = 1000
SHARD_BYTES_A_SECOND = 1024 * 1024
FIREHOSE_ROUNDING_BYTES = 5 * 1024
PUT_UNIT_BYTES = 25 * 1024
FREE_EMAILS, FREE_PUBLISHES, FREE_KEY_REQUESTS, FREE_DYNAMODB_GB = 1_000, 1_000_000, 20_000, 25


@dataclass(frozen=True, slots=True)
class Price:
    """One list price: US dollars for one unit, and the page it stands on."""

    usd: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class PriceTable:
    """List prices of one region on one day."""

    as_of: date
    region: str
    currency: str
    prices: dict[str, Price]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the estimate takes for given; all per day unless the name says otherwise.

    Args:
        readings: events sent to each of the two streams.
        bytes_per_reading: of one event.
        peak_factor: how much busier the busiest second is than the mean one.
        uploads: files put below ``raw/``.
        stored_gb: kept in the bucket, all versions.
        table_writes_per_reading: DynamoDB rows written for each event on the live stream.
        dashboard_reads: DynamoDB rows read.
        table_gb: kept in DynamoDB.
        emails: alert mails.
        athena_gb: scanned by queries.
        buffer_seconds: of Firehose: how often it writes an object.
    """

    readings: float = 48_000.0
    bytes_per_reading: float = 200.0
    peak_factor: float = 10.0
    uploads: float = 10.0
    stored_gb: float = 50.0
    table_writes_per_reading: float = 1.0
    dashboard_reads: float = 10_000.0
    table_gb: float = 1.0
    emails: float = 20.0
    athena_gb: float = 1.0
    buffer_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of the estimate: how many units a month at which price, and why so many."""

    item: str
    units: float
    price: Price
    usd: float
    reason: str


def read_prices(path: Path = PRICES_FILE) -> PriceTable:
    """The table of list prices.

    Raises:
        CloudRefused: the file is not there or not such a table.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        prices = {name: Price(float(row["usd"]), row["unit"], row["source"]) for name, row in content["prices"].items()}
        return PriceTable(content["as_of"], content["region"], content["currency"], prices)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = "It has as_of, region, currency and prices with usd, unit and source each."
        raise CloudRefused(str(path), problem=f"no table of prices ({error!r})", remedy=remedy) from None


def shards_for(given: Assumptions) -> int:
    """Shards that one stream needs in its busiest second.

    Example:
        >>> shards_for(Assumptions()), shards_for(Assumptions(readings=100_000_000))
        (1, 12)
    """
    a_second = given.readings / SECONDS_A_DAY * given.peak_factor
    by_bytes = a_second * given.bytes_per_reading / SHARD_BYTES_A_SECOND
    return max(1, math.ceil(max(a_second / SHARD_RECORDS_A_SECOND, by_bytes)))


def estimate(given: Assumptions, table: PriceTable) -> list[CostLine]:
    """The lines of a month's bill, largest first; their ``usd`` add up to the estimate.

    Raises:
        CloudRefused: an assumption is negative, or the table lacks a price.
    """
    for name in Assumptions.__slots__:
        if not getattr(given, name) >= 0 or given.buffer_seconds <= 0:
            raise CloudRefused(f"--{name.replace('_', '-')}", problem="is negative or empty", remedy="Give 0 or more.")
    usage = _usage(given)
    missing = [name for name in usage if name not in table.prices]
    if missing:
        raise CloudRefused("prices", problem=f"no price for {', '.join(missing)}", remedy="Add it to the table.")
    lines = [
        CostLine(name, units, table.prices[name], units * table.prices[name].usd, reason)
        for name, (units, reason) in usage.items()
    ]
    return sorted(lines, key=lambda line: (-line.usd, line.item))


def _usage(given: Assumptions) -> dict[str, tuple[float, str]]:
    """Units a month of everything that is paid for, each with its reason."""
    month = DAYS_A_MONTH
    shards = shards_for(given)
    readings = given.readings * month
    rounded = math.ceil(max(1.0, given.bytes_per_reading) / FIREHOSE_ROUNDING_BYTES) * FIREHOSE_ROUNDING_BYTES
    put_units = math.ceil(max(1.0, given.bytes_per_reading) / PUT_UNIT_BYTES)
    written = min(SECONDS_A_DAY / given.buffer_seconds, given.readings) * month
    mails = given.emails * month
    kinesis_calls = shards * 2 * 12 * 24 * month  # both streams ask for a data key every five minutes a shard
    return {
        "kinesis_shard": (2 * shards * HOURS_A_MONTH, f"2 streams of {shards} shards, all hours"),
        "kinesis_put": (2 * readings * put_units, "every reading on both streams"),
        "firehose_ingest": (readings * rounded / GB, f"every reading counts as {rounded // 1024} KB"),
        "dynamodb_write": (readings * given.table_writes_per_reading, "rows written from the live stream"),
        "dynamodb_read": (given.dashboard_reads * month, "rows read"),
        "dynamodb_storage": (max(0.0, given.table_gb - FREE_DYNAMODB_GB), "GB beyond the free 25"),
        "s3_storage": (given.stored_gb, "GB kept"),
        "s3_put": ((written + given.uploads * month * 10), "Firehose objects, uploads and what is made of them"),
        "s3_get": ((written + given.uploads * month * 10), "each object read once"),
        "sns_email": (max(0.0, mails - FREE_EMAILS), "mails beyond the free 1,000"),
        "sns_publish": (max(0.0, mails - FREE_PUBLISHES), "publishes beyond the free million"),
        "kms_request": (max(0.0, kinesis_calls - FREE_KEY_REQUESTS), "encryption of the streams"),
        "athena_scan": (given.athena_gb * month / 1024, "TB scanned by queries"),
    }
