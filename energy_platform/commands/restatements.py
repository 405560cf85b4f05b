"""``energy restatements``: what corrections changed, from what to what, and because of which file."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from energy_platform.domain.restatements import RESTATEMENTS_SQL, Restatement, by_site_day, since
from energy_platform.settings import get_settings

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


def restatements(
    since_utc: Annotated[
        datetime | None, typer.Option("--since", formats=FORMATS, help="Known since this moment (UTC) or later.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Grouped by site-day, as JSON.")] = False,
) -> None:
    """List restated meter-days: before → after, because of which file, known since when."""
    from energy_platform.serving.published import open_published

    with open_published(get_settings()).current().connect() as connection:
        found = [Restatement(*row) for row in connection.execute(RESTATEMENTS_SQL).fetchall()]
    if since_utc is not None and since_utc.tzinfo is not None:
        since_utc = since_utc.astimezone(UTC).replace(tzinfo=None)
    chosen = since(found, since_utc)
    if as_json:
        sys.stdout.write(json.dumps(by_site_day(chosen), indent=2) + "\n")
        return
    from energy_platform.commands.output import console, print_table

    if not chosen:
        console.print(
            "No meter-day has been restated" + (f" since {since_utc:%Y-%m-%d %H:%M} UTC." if since_utc else ".")
        )
        return
    header = ["site", "day", "meter", "channel", "before kWh", "after kWh", "because of", "known since (UTC)"]
    rows = [
        [
            one.site_id,
            one.local_date.isoformat(),
            one.meter_id,
            one.channel,
            one.before_kwh,
            one.after_kwh,
            one.file or "no file",
            f"{one.known_since_utc:%Y-%m-%d %H:%M:%S}",
        ]
        for one in chosen
    ]
    print_table(f"{len(chosen)} restated meter-days", header, rows)
