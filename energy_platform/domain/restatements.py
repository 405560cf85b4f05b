"""Which meter-days were restated: from what to what, by which file, known since when.

Belongs here: the question as SQL text over published tables, and the grouping of its answer by
site-day. Does not belong here: how versions of a day come about (dbt, marts.meter_day_versions).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

RESTATEMENTS_SQL = """
WITH versions AS (
    SELECT meter_id, channel, local_date, available_at_utc, file_id, energy_kwh, completeness,
        row_number() OVER days AS version,
        lag(energy_kwh) OVER days AS before_kwh,
        lag(completeness) OVER days AS before_completeness
    FROM marts.meter_day_versions
    WINDOW days AS (PARTITION BY meter_id, channel, local_date ORDER BY available_at_utc)
)
SELECT days.site_id, versions.local_date, versions.meter_id, versions.channel, versions.before_kwh,
    versions.energy_kwh AS after_kwh, versions.before_completeness, versions.completeness AS after_completeness,
    files.uri AS file, versions.available_at_utc AS known_since_utc
FROM versions
JOIN marts.meter_days AS days USING (meter_id, channel, local_date)
LEFT JOIN lake.files AS files ON files.file_id = versions.file_id
WHERE versions.version > 1
ORDER BY days.site_id, versions.local_date, versions.meter_id, versions.channel, versions.available_at_utc
""".strip()
"""One row per restatement of a meter-day, site-days together: the first version of a day is none."""


@dataclass(frozen=True, slots=True)
class Restatement:
    """One restatement of one meter-day; the fields stand as RESTATEMENTS_SQL gives them.

    Args:
        site_id: the site.
        local_date: the day there.
        meter_id: the meter.
        channel: its channel.
        before_kwh: energy of the day as it was known before, kWh.
        after_kwh: energy of the day as it was known from then on, kWh.
        before_completeness: share of the day's readings known before.
        after_completeness: share known from then on; more than before means that late readings came with it.
        file: the landed file that brought it.
        known_since_utc: when the platform knew.
    """

    site_id: str
    local_date: date
    meter_id: str
    channel: str
    before_kwh: float
    after_kwh: float
    before_completeness: float
    after_completeness: float
    file: str | None
    known_since_utc: datetime

    @property
    def change_kwh(self) -> float:
        """What the restatement adds to the day; negative when it takes away."""
        return self.after_kwh - self.before_kwh


def since(restatements: Iterable[Restatement], moment_utc: datetime | None) -> list[Restatement]:
    """Those known at ``moment_utc`` or later; all of them for None."""
    return [one for one in restatements if moment_utc is None or one.known_since_utc >= moment_utc]


def by_site_day(restatements: Iterable[Restatement]) -> list[dict[str, object]]:
    """Restatements as JSON writes them: one entry per site-day, with each change and what brought it.

    Args:
        restatements: in the order of RESTATEMENTS_SQL.
    """
    return [
        {
            "site_id": site_id,
            "local_date": local_date.isoformat(),
            "restatements": [
                {
                    "meter_id": one.meter_id,
                    "channel": one.channel,
                    "before_kwh": one.before_kwh,
                    "after_kwh": one.after_kwh,
                    "change_kwh": one.change_kwh,
                    "before_completeness": one.before_completeness,
                    "after_completeness": one.after_completeness,
                    "because": {"file": one.file, "known_since_utc": f"{one.known_since_utc.isoformat()}Z"},
                }
                for one in group
            ],
        }
        for (site_id, local_date), group in groupby(restatements, key=lambda one: (one.site_id, one.local_date))
    ]
