"""Makes known the meters, channels and sites that new readings are the first of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import duckdb

from energy_platform.adapters.lake_loader import names
from energy_platform.adapters.lake_loader.content import literal
from energy_platform.adapters.lake_loader.plan import Cell, FilePlan
from energy_platform.domain.errors import FileUnreadable
from energy_platform.domain.sources import ReadingsSource


def register_meters(plans: Mapping[int, FilePlan], *, by_line: set[int], connection: duckdb.DuckDBPyConnection) -> None:
    """Fill lake.meters and lake.sites for meters of ``new_days`` that they lack.

    Args:
        plans: the files of the batch by id.
        by_line: files that lines.py read, which noted its ``site_facts`` itself.
        connection: in the transaction of the batch.

    Raises:
        FileUnreadable: a meter of that name is another source's.
    """
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE new_meters AS
           SELECT meter_id, channel, meter_no, file_id, interval_minutes
           FROM (SELECT meter_no, min(file_id) AS file_id, any_value(interval_minutes) AS interval_minutes
                 FROM new_days GROUP BY meter_no)
           JOIN meter_numbers USING (meter_no) ANTI JOIN lake.meters USING (meter_no)"""
    )
    _refuse_meters_of_others(plans, connection)
    declaration = next(iter(plans.values())).declaration
    assert isinstance(declaration, ReadingsSource)  # noqa: S101  (weather has no days)
    found = connection.execute("SELECT DISTINCT file_id FROM new_meters ORDER BY file_id").fetchall()
    new_files = [file_id for (file_id,) in found]
    for file_id in new_files:
        if file_id not in by_line and _must_be_read_again(plans[file_id]):
            names.site_facts(plans[file_id], connection)
    # Not file by file: that took 8 ms each on one core.
    for (site, attributes), alike in groupby(new_files, lambda file_id: _site_columns(plans[file_id])):
        _insert_meters(list(alike), declaration, site, attributes, connection)


def _must_be_read_again(plan: FilePlan) -> bool:
    """Whether the file tells of its sites, and nobody has read it for that."""
    tells_of_sites = bool(plan.attributes) or (plan.site is not None and plan.site.position is not None)
    return tells_of_sites and plan.meter.position is None and plan.channel.position is None


def _site_columns(plan: FilePlan) -> tuple[Cell | None, tuple[str, ...]]:
    """What must be alike of files whose meters are entered together."""
    return plan.site, tuple(name for name, _ in plan.attributes)


def _insert_meters(
    file_ids: Sequence[int],
    declaration: ReadingsSource,
    site: Cell | None,
    attributes: Sequence[str],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Enter the ``new_meters`` of some files, and their sites as the first of these files tells of them."""
    site_id = "new.meter_id" if site is None else "coalesce(facts.site, ?)"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE described AS
            SELECT new.*, {site_id} AS site_id, facts.attributes, commodities.commodity
            FROM new_meters AS new LEFT JOIN commodities USING (file_id, meter_id, channel) LEFT JOIN (
                SELECT file_id, meter_id, any_value(site) AS site, any_value(attributes) AS attributes
                FROM site_facts GROUP BY ALL) AS facts USING (file_id, meter_id)
            WHERE new.file_id IN ({", ".join(map(str, file_ids))})""",
        [] if site is None else [site.text],
    )
    said = [declaration.name, declaration.commodity, declaration.site_zone, declaration.country]
    connection.execute(
        """INSERT INTO lake.meters BY NAME
           SELECT meter_id, channel, meter_no, site_id, ? AS source, coalesce(commodity, ?) AS commodity, interval_minutes, ? AS time_zone,
                  ? AS country, ? AS station_id, ? AS availability FROM described""",
        [*said, declaration.station, declaration.availability],
    )
    names_sql = ", ".join(literal(name) for name in attributes)
    told = f"CAST(json(map([{names_sql}]::VARCHAR[], attributes)) AS VARCHAR)" if attributes else "'{}'"
    connection.execute(
        f"""INSERT INTO lake.sites BY NAME
            SELECT site_id, ? AS time_zone, ? AS country,
                   coalesce(first({told} ORDER BY file_id, attributes IS NULL), '{{}}') AS attributes
            FROM described ANTI JOIN lake.sites USING (site_id) GROUP BY site_id""",
        [declaration.site_zone, declaration.country],
    )


def _refuse_meters_of_others(plans: Mapping[int, FilePlan], connection: duckdb.DuckDBPyConnection) -> None:
    """One name for two meters of different sources would add their readings into one."""
    sources = connection.execute(
        """SELECT DISTINCT meter_id, file_id, source
           FROM (SELECT DISTINCT meter_no, file_id FROM new_days) AS new
           JOIN meter_numbers USING (meter_no) JOIN lake.meters AS known USING (meter_id)"""
    ).fetchall()
    for meter_id, file_id, source in sources:
        plan = plans[file_id]
        if source != plan.declaration.name:
            raise FileUnreadable(
                str(plan.file.path),
                column=None if plan.meter.position is None else plan.header[plan.meter.position],
                problem=f"meter '{meter_id}' is known from the source '{source}' already",
                remedy="Load the file by that source, or give the meters of this one other names.",
            )
