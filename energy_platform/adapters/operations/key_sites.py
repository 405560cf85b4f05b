"""Which sites an API key is for. A key without rows here is for all of them.

Belongs here: the table and its two functions. Does not belong here: keys themselves (store.py), what a site's key may
see (domain/access.py).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.adapters.operations.store import ApiKey, Operations
from energy_platform.domain.access import Role, Sites

API_KEY_SITES = sa.Table(
    "api_key_sites",
    METADATA,
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("site_id", sa.String(200), primary_key=True),
)


def create_key_for(
    operations: Operations, name: str, role: Role, sites: Collection[str], *, now_utc: datetime
) -> tuple[ApiKey, str]:
    """A key for some sites, and its text; for none named, it is for all.

    The text is given out after the sites are written: no key that somebody holds is ever for more than it should be.
    """
    key, text = operations.create_key(name, role, now_utc=now_utc)
    if sites:
        with operations.engine.begin() as connection:
            rows = [{"key_id": key.key_id, "site_id": site} for site in sorted(set(sites))]
            connection.execute(sa.insert(API_KEY_SITES), rows)
    return key, text


def sites_of(operations: Operations, key_id: str) -> Sites:
    """The sites that a key is for."""
    query = sa.select(API_KEY_SITES.c.site_id).where(API_KEY_SITES.c.key_id == key_id)
    with operations.engine.connect() as connection:
        return Sites.of(row.site_id for row in connection.execute(query))
