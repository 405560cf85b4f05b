"""Makes known the meters, channels and sites that new readings are the first of."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from energy_platform.adapters.lake_loader import names
from energy_platform.adapters.lake_loader.content import literal
from energy_platform.adapters.lake_loader.plan import FilePlan
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
           SELECT meter_id, channel, meter_no, min(file_id) AS file_id, any_value(interval_minutes) AS interval_minutes
           FROM new_days JOIN meter_numbers USING (meter_no)
           ANTI JOIN lake.meters USING (meter_no) GROUP BY ALL"""
    )
    _refuse_meters_of_others(plans, connection)
    for (file_id,) in connection.execute("SELECT DISTINCT file_id FROM new_meters ORDER BY file_id").fetchall():
        plan = plans[file_id]
        declaration = plan.declaration
        assert isinstance(declaration, ReadingsSource)  # noqa: S101  (weather has no days)
        needs_file = bool(plan.attributes) or (plan.site is not None and plan.site.position is not None)
        names_itself = plan.meter.position is None and plan.channel.position is None
        if needs_file and names_itself and file_id not in by_line:
            names.site_facts(plan, connection)
        site = "new.meter_id" if plan.site is None else "coalesce(facts.site, ?)"
        attribute_names = ", ".join(literal(name) for name, _ in plan.attributes)
        parameters: list[object] = [] if plan.site is None else [plan.site.text]
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE described AS
                SELECT new.*, {site} AS site_id, facts.attributes, commodities.commodity
                FROM new_meters AS new LEFT JOIN commodities USING (file_id, meter_id, channel) LEFT JOIN (
                    SELECT file_id, meter_id, any_value(site) AS site, any_value(attributes) AS attributes
                    FROM site_facts GROUP BY ALL) AS facts USING (file_id, meter_id)
                WHERE new.file_id = {file_id}""",
            parameters,
        )
        said = [declaration.name, declaration.commodity, declaration.site_zone, declaration.country]
        connection.execute(
            """INSERT INTO lake.meters BY NAME
               SELECT meter_id, channel, meter_no, site_id, ? AS source, coalesce(commodity, ?) AS commodity, interval_minutes, ? AS time_zone,
                      ? AS country, ? AS station_id, ? AS availability FROM described""",
            [*said, declaration.station, declaration.availability],
        )
        attributes = (
            f"CAST(json(map([{attribute_names}]::VARCHAR[], attributes)) AS VARCHAR)" if attribute_names else "'{}'"
        )
        connection.execute(
            f"""INSERT INTO lake.sites BY NAME
                SELECT site_id, ? AS time_zone, ? AS country, coalesce(any_value({attributes}), '{{}}') AS attributes
                FROM described ANTI JOIN lake.sites USING (site_id) GROUP BY site_id""",
            [declaration.site_zone, declaration.country],
        )


def _refuse_meters_of_others(plans: Mapping[int, FilePlan], connection: duckdb.DuckDBPyConnection) -> None:
    """One name for two meters of different sources would add their readings into one."""
    sources = connection.execute(
        """SELECT DISTINCT new.meter_id, new.file_id, known.source
           FROM (SELECT DISTINCT meter_id, file_id FROM new_days JOIN meter_numbers USING (meter_no)) AS new JOIN lake.meters AS known USING (meter_id)"""
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
