"""Live values, the averages of five, and what rules of the stream remember; written with each batch, in one transaction.

Belongs here: the tables. Does not belong here: the arithmetic (domain/live, domain/alerts/windows.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from energy_platform.adapters.operations.dialect import upsert_into
from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.alerts.stream import WindowKey
from energy_platform.domain.alerts.windows import Window
from energy_platform.domain.live import Average, LiveChannel, LiveValue, channels_of


def _quantity_key() -> tuple[sa.Column[str], ...]:
    """What is measured, and where: part of the key."""
    return tuple(
        sa.Column(name, sa.String(length), primary_key=True)
        for name, length in (("meter_id", 200), ("channel", 200), ("quantity", 40))
    )


def _unit_columns() -> tuple[sa.Column[str], ...]:
    """What it is measured in."""
    return (sa.Column("unit", sa.String(40), nullable=False), sa.Column("commodity", sa.String(20), nullable=False))


LIVE_VALUES = sa.Table(
    "live_values",
    METADATA,
    *_quantity_key(),
    *_unit_columns(),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("at_utc", sa.DateTime, nullable=False),
    sa.Column("received_at_utc", sa.DateTime, nullable=False),
    sa.Column("window_at_us", sa.Text, nullable=False),
    sa.Column("window_values", sa.Text, nullable=False),
    sa.Column("block", sa.Integer, nullable=False),
    sa.Column("samples", sa.BigInteger, nullable=False),
    sa.Column("late", sa.BigInteger, nullable=False),
)
LIVE_AVERAGES = sa.Table(
    "live_averages",
    METADATA,
    *_quantity_key(),
    sa.Column("at_utc", sa.DateTime, primary_key=True),
    sa.Column("from_utc", sa.DateTime, nullable=False),
    sa.Column("average", sa.Float, nullable=False),
    *_unit_columns(),
    sa.Column("recorded_at_utc", sa.DateTime, nullable=False),
)
ALERT_WINDOWS = sa.Table(
    "alert_windows",
    METADATA,
    sa.Column("rule", sa.String(100), primary_key=True),
    *_quantity_key(),
    # Text: a window of a thousand samples has a thousand bits.
    sa.Column("bits", sa.Text, nullable=False),
    sa.Column("calm", sa.Integer, nullable=False),
    sa.Column("is_broken", sa.Boolean, nullable=False),
    sa.Column("newest_us", sa.BigInteger),
)
# A meter with three channels that reports every second has 150,000 a day; the samples themselves are in the lake.
AVERAGES_KEPT = timedelta(days=1)
_ASKED_AT_ONCE = 500


def read_values(operations: Operations, meter_ids: Collection[str]) -> list[LiveValue]:
    """The live values of some meters."""
    return [_value(row) for row in _rows(operations, LIVE_VALUES, meter_ids)]


def read_windows(operations: Operations, meter_ids: Collection[str]) -> dict[WindowKey, Window]:
    """What rules of the stream remember of some meters."""
    return {
        (row.rule, row.meter_id, row.channel, row.quantity): Window(
            int(row.bits, 16), row.calm, row.is_broken, row.newest_us
        )
        for row in _rows(operations, ALERT_WINDOWS, meter_ids)
    }


def list_live(operations: Operations, *, meter_ids: Collection[str] | None = None) -> list[LiveChannel]:
    """Every channel as it is now: last values, on or off, last seen; of some meters, or of all."""
    if meter_ids is not None:
        return channels_of(read_values(operations, meter_ids))
    with operations.engine.connect() as connection:
        return channels_of(_value(row) for row in connection.execute(sa.select(LIVE_VALUES)))


def list_last_seen(operations: Operations) -> dict[str, datetime]:
    """When something came from each live meter last."""
    table = LIVE_VALUES
    query = sa.select(table.c.meter_id, sa.func.max(table.c.received_at_utc)).group_by(table.c.meter_id)
    with operations.engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def write_live(
    connection: sa.Connection,
    values: Iterable[LiveValue],
    averages: Iterable[Average],
    windows: Mapping[WindowKey, Window],
    *,
    now_utc: datetime | None = None,
) -> None:
    """Write what a batch changed, in the caller's transaction.

    Args:
        connection: in its transaction.
        values: live values as they are now.
        averages: completed ones.
        windows: what rules remember, by key.
        now_utc: the time on the wall, which averages are kept by; default their own.
    """
    # In order of their keys: two writers of the same meters then wait for each other instead of locking each other out.
    value_rows = [_value_row(value) for value in sorted(values, key=lambda value: value.key)]
    if value_rows:
        connection.execute(upsert_into(connection, LIVE_VALUES), value_rows)
    average_rows = [{name: getattr(average, name) for name in Average.__slots__} for average in averages]
    if average_rows:
        rows = [row | {"recorded_at_utc": now_utc or row["at_utc"]} for row in average_rows]
        connection.execute(upsert_into(connection, LIVE_AVERAGES), rows)
    window_rows = [_window_row(key, window) for key, window in sorted(windows.items(), key=lambda item: item[0])]
    if window_rows:
        connection.execute(upsert_into(connection, ALERT_WINDOWS), window_rows)


def forget_averages(operations: Operations, *, now_utc: datetime) -> int:
    """Remove averages that were recorded more than a day ago; how many they were."""
    with operations.engine.begin() as connection:
        old = sa.delete(LIVE_AVERAGES).where(LIVE_AVERAGES.c.recorded_at_utc < now_utc - AVERAGES_KEPT)
        return connection.execute(old).rowcount


def _rows(operations: Operations, table: sa.Table, meter_ids: Collection[str]) -> Iterable[sa.Row[Any]]:
    ordered = sorted(meter_ids)
    with operations.engine.connect() as connection:
        for start in range(0, len(ordered), _ASKED_AT_ONCE):
            asked = table.c.meter_id.in_(ordered[start : start + _ASKED_AT_ONCE])
            yield from connection.execute(sa.select(table).where(asked))


def _value(row: sa.Row[Any]) -> LiveValue:
    return LiveValue(
        row.meter_id,
        row.channel,
        row.quantity,
        row.unit,
        row.commodity,
        at_utc=row.at_utc,
        received_at_utc=row.received_at_utc,
        window_at_us=tuple(json.loads(row.window_at_us)),
        window=tuple(json.loads(row.window_values)),
        block=row.block,
        samples=row.samples,
        late=row.late,
    )


def _value_row(value: LiveValue) -> dict[str, Any]:
    return {
        "meter_id": value.meter_id,
        "channel": value.channel,
        "quantity": value.quantity,
        "unit": value.unit,
        "commodity": value.commodity,
        "value": value.value,
        "at_utc": value.at_utc,
        "received_at_utc": value.received_at_utc,
        "window_at_us": json.dumps(value.window_at_us),
        "window_values": json.dumps(value.window),
        "block": value.block,
        "samples": value.samples,
        "late": value.late,
    }


def _window_row(key: WindowKey, window: Window) -> dict[str, Any]:
    rule, meter_id, channel, quantity = key
    return {
        "rule": rule,
        "meter_id": meter_id,
        "channel": channel,
        "quantity": quantity,
        "bits": f"{window.bits:x}",
        "calm": window.calm,
        "is_broken": window.is_broken,
        "newest_us": window.newest_us,
    }
