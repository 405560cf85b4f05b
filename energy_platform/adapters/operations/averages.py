"""Pages of the averages of five, newest first.

Belongs here: reading them a page at a time. Does not belong here: the table and writing it (live.py).
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from energy_platform.adapters.operations.live import LIVE_AVERAGES
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.live import Average

Place = tuple[datetime, str, str]
"""Time, channel and quantity: what names an average of a meter."""


def page_of_averages(
    operations: Operations,
    meter_id: str,
    *,
    channel: str | None = None,
    quantity: str | None = None,
    before: Place | None = None,
    limit: int = 100,
) -> list[Average]:
    """Averages of one meter, newest first, at most ``limit``; older ones than ``before`` for the next page."""
    table = LIVE_AVERAGES.c
    query = sa.select(LIVE_AVERAGES).where(table.meter_id == meter_id)
    for column, wanted in ((table.channel, channel), (table.quantity, quantity)):
        if wanted is not None:
            query = query.where(column == wanted)
    place = sa.tuple_(table.at_utc, table.channel, table.quantity)
    if before is not None:
        query = query.where(place < sa.tuple_(*(sa.literal(part) for part in before)))
    query = query.order_by(table.at_utc.desc(), table.channel.desc(), table.quantity.desc()).limit(limit)
    with operations.engine.connect() as connection:
        return [
            Average(
                row.meter_id,
                row.channel,
                row.quantity,
                row.unit,
                row.commodity,
                from_utc=row.from_utc,
                at_utc=row.at_utc,
                average=row.average,
            )
            for row in connection.execute(query)
        ]
