"""The published readings of a site, as an intent needs them: to be replayed on, and to expect a day by.

Belongs here: those queries. Does not belong here: what is made of it (domain/intents).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import polars as pl

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.intents import list_days
from energy_platform.adapters.published import Generation
from energy_platform.domain.errors import ReplayImpossible
from energy_platform.domain.intents.declaration import Intent
from energy_platform.domain.intents.expected import Expected, expected_ahead
from energy_platform.domain.intents.loads import SiteDays, site_days
from energy_platform.serving.published import open_published
from energy_platform.settings import Settings

# Of an interval with corrections the newest version; several meters may share a channel's name, which sums them.
_SQL = """
WITH of_site AS (
    SELECT readings.meter_id, channel, interval_start_utc,
        interval_start_utc + to_minutes(any_value(readings.utc_offset_minutes)) AS local_start,
        arg_max(readings.interval_minutes, available_at_utc) AS interval_minutes,
        arg_max(energy_kwh, available_at_utc) AS energy_kwh
    FROM lake.readings AS readings JOIN lake.meters AS meters USING (meter_id, channel)
    WHERE site_id = $site AND commodity = 'electricity'
        AND interval_start_utc >= $first::TIMESTAMP - INTERVAL 1 DAY AND interval_start_utc < $last::TIMESTAMP + INTERVAL 2 DAY
    GROUP BY readings.meter_id, channel, interval_start_utc
)
SELECT channel, local_start::DATE AS local_date, (hour(local_start) * 60 + minute(local_start))::INTEGER AS local_minute,
    any_value(interval_minutes) AS interval_minutes, sum(energy_kwh) AS energy_kwh
FROM of_site WHERE local_date BETWEEN $first AND $last
GROUP BY meter_id, channel, interval_start_utc, local_start
"""
SPAN_SQL = """
SELECT min(interval_start_utc)::DATE AS first_day, max(interval_start_utc)::DATE AS last_day
FROM lake.readings JOIN lake.meters USING (meter_id, channel) WHERE site_id = $site
"""


def published_days(generation: Generation, intent: Intent, *, first: date | None, last: date | None) -> SiteDays:
    """The load of a site from the days that tell what to expect of ``first``, to ``last``; all of it without them.

    Raises:
        ReplayImpossible: the site has no readings then, or they do not fit the intent.
    """
    with generation.connect() as connection:
        known = connection.execute(SPAN_SQL, {"site": intent.site_id}).fetchone()
        if known is None or known[0] is None:
            raise ReplayImpossible(f"intent {intent.name}: nothing is published of the site '{intent.site_id}'.")
        asked = {
            "site": intent.site_id,
            "first": (first or known[0]) - timedelta(days=intent.expect_from_days),
            "last": last or known[1],
        }
        readings: pl.DataFrame = connection.execute(_SQL, asked).pl()
    if readings.is_empty():
        raise ReplayImpossible(
            f"intent {intent.name}: the site '{intent.site_id}' has no readings from {asked['first']} to {asked['last']}; "
            f"it has from {known[0]} to {known[1]}."
        )
    return site_days(readings, intent)


def expectation(
    settings: Settings, operations: Operations, intent: Intent
) -> tuple[str, Callable[[date], Expected | None]]:
    """The zone of an intent's site, and what to expect of a local day by the newest generation.

    Raises:
        ReplayImpossible: nothing is published of the site.
    """
    published = open_published(settings)
    with published.current().connect() as connection:
        zone = connection.execute(
            "SELECT time_zone FROM lake.sites WHERE site_id = $site", {"site": intent.site_id}
        ).fetchone()
    if zone is None:
        raise ReplayImpossible(f"intent {intent.name}: nothing is published of the site '{intent.site_id}'.")

    def expect(day: date) -> Expected | None:
        acted = {known.day for known in list_days(operations, intent.name) if known.state["switched_at"]}
        try:
            days = published_days(published.current(), intent, first=day, last=day - timedelta(days=1))
        except ReplayImpossible:
            return None
        return expected_ahead(days, day, intent, acted=acted)

    return str(zone[0]), expect
