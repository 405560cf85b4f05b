"""Features as they were known at a cutoff, as a relation on an open warehouse connection.

Belongs here: running the texts of domain/known_at.py and domain/features.py. Does not belong here:
the rules (there), opening the warehouse (warehouse.py).
"""

from __future__ import annotations

from datetime import date

import duckdb

from energy_platform.domain.columns import FEATURES_METER_DAYS
from energy_platform.domain.features import features_sql
from energy_platform.domain.known_at import days_known_at_sql, restated_meters_sql, weather_known_at_sql

_KNOWN = "features_known"


def known_features(connection: duckdb.DuckDBPyConnection, cutoff: date) -> str:
    """The relation that holds ``features.meter_days`` as known at ``cutoff``.

    Usually that is the table itself. Where days of some meters have been corrected, or arrived, after the
    cutoff, the features of just those meters are computed again from what was there. The temporary tables
    live as long as the connection; another call replaces them.

    Returns:
        A name to select from. Rows after the cutoff may be in it: ask for ``local_date <= cutoff``.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE restated_meters AS {restated_meters_sql(cutoff)}")
    if not connection.execute("SELECT 1 FROM restated_meters LIMIT 1").fetchall():
        return FEATURES_METER_DAYS.full_name
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE known_days AS SELECT * FROM ({days_known_at_sql(cutoff)}) "
        "SEMI JOIN restated_meters USING (meter_id, channel)"
    )
    recomputed = features_sql(days="known_days", weather=f"({weather_known_at_sql(cutoff)})")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE restated_features AS {recomputed}")
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {_KNOWN} AS "
        f"SELECT * FROM {FEATURES_METER_DAYS.full_name} ANTI JOIN restated_meters USING (meter_id, channel) "
        "UNION ALL BY NAME SELECT * FROM restated_features"
    )
    return _KNOWN
