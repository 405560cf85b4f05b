"""``energy forecast METER``: what has been issued for a meter, with its band, its model and the reason."""

import json
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_platform.domain.errors import EnergyError
from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.adapters.published import Generation

HORIZON_DAYS = 7
ISSUED_SQL = """
SELECT * FROM forecasts.meter_days
WHERE is_issued AND meter_id = ? AND channel = ? AND lead_days <= ?
  AND cutoff_date = (SELECT max(cutoff_date) FROM forecasts.meter_days WHERE is_issued AND meter_id = ? AND channel = ?)
ORDER BY lead_days
"""
DRIVERS_SQL = """
SELECT * FROM forecasts.drivers WHERE meter_id = ? AND channel = ? AND cutoff_date = ? AND lead_days <= ?
"""
# What every forecast of an issue has in common, and its days, as JSON says them.
COMMON = ("meter_id", "channel", "source", "commodity", "cutoff_date", "issued_at_utc", "model", "model_version")
DAILY = ("local_date", "lead_days", "p10_kwh", "p50_kwh", "p90_kwh")


class MeterNotForecast(EnergyError):
    """No meter has that name, or nothing has been issued for it."""


def forecast(
    meter: Annotated[str, typer.Argument(help="Meter, or meter/channel where it has several channels.")],
    days: Annotated[int, typer.Option(min=1, max=HORIZON_DAYS, help="Days ahead.")] = HORIZON_DAYS,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
) -> None:
    """Print the newest issued forecast of a meter: P10, median and P90 of each day, the model and why it is used."""
    from energy_platform.serving.published import open_published

    generation = open_published(get_settings()).current()
    found = issued(generation, meter, days=days)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, default=str) + "\n")
        return
    from energy_platform.commands.output import console, print_table

    version = f" version {found['model_version']}" if found["model_version"] else ""
    title = (
        f"{found['meter_id']}/{found['channel']} ({found['source']}, {found['commodity']}), from {found['cutoff_date']}"
    )
    rows = [[str(day["local_date"]), *(day[name] for name in DAILY[1:])] for day in found["days"]]
    print_table(title, ["day", "days ahead", "P10 kWh", "median kWh", "P90 kWh"], rows)
    console.print(f"Model   {found['model']}{version}{' (fallback)' if found['is_fallback'] else ''}", highlight=False)
    console.print(f"Why     {found['reason']}", highlight=False)
    if found["drivers"]:
        header = [name for name in found["drivers"][0] if name not in COMMON]
        print_table("Drivers", header, [[_plain(row[name]) for name in header] for row in found["drivers"]])


def issued(generation: "Generation", meter: str, *, days: int) -> dict[str, Any]:
    """The newest issued forecast of a meter as one record: what its days have in common, the days, the drivers.

    Raises:
        MeterNotForecast: no such meter, several channels of it, or nothing issued; says what to do.
    """
    with generation.connect() as connection:
        meter_id, channel = _meter(connection, meter)
        rows = connection.execute(ISSUED_SQL, [meter_id, channel, days, meter_id, channel]).pl().to_dicts()
        if not rows:
            raise MeterNotForecast(
                f"{meter_id}/{channel} has no forecast: {_why_not(generation, connection, meter_id, channel)}"
            )
        first = rows[0]
        drivers = []
        if "forecasts.drivers" in generation.tables:
            parameters = [meter_id, channel, first["cutoff_date"], days]
            drivers = connection.execute(DRIVERS_SQL, parameters).pl().to_dicts()
    return {
        **{name: first[name] for name in COMMON},
        "is_fallback": bool(first.get("is_fallback", False)),
        "reason": first["reason"],
        "days": [{name: row[name] for name in DAILY} for row in rows],
        "drivers": drivers,
    }


def _meter(connection: Any, asked: str) -> tuple[str, str]:
    """The meter and channel that are meant."""
    known = connection.execute("SELECT meter_id, channel FROM lake.meters ORDER BY meter_id, channel").fetchall()
    matches = [pair for pair in known if asked in {pair[0], "/".join(pair)}]
    if len(matches) == 1:
        return matches[0][0], matches[0][1]
    if matches:
        choices = ", ".join(f"{meter}/{channel}" for meter, channel in matches[:10])
        raise MeterNotForecast(f"{asked} has {len(matches)} channels; name one: {choices}")
    names = [meter for meter, _ in known]
    folded = {name.casefold(): name for name in names}
    near = [folded[name] for name in get_close_matches(asked.casefold(), list(folded), n=5, cutoff=0.5)]
    hint = f"nearest: {', '.join(near)}" if near else f"there are {len(set(names))}, such as {', '.join(names[:3])}"
    raise MeterNotForecast(
        f"no meter is named '{asked}'; {hint}. `energy query \"select meter_id from lake.meters\"` lists all."
    )


def _why_not(generation: "Generation", connection: Any, meter_id: str, channel: str) -> str:
    """The recorded reason, where there is one."""
    if "forecasts.not_issued" in generation.tables:
        told = connection.execute(
            "SELECT reason FROM forecasts.not_issued WHERE meter_id = ? AND channel = ? ORDER BY cutoff_date DESC LIMIT 1",
            [meter_id, channel],
        ).fetchall()
        if told:
            return str(told[0][0])
    return (
        "it has no complete day in the week before the newest issue, or none has been issued yet. See `energy status`."
    )


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | bool) or value is None else str(value)
