"""The published generations of an installation, wherever its settings say they are.

Belongs here: from settings to the place. Does not belong here: how generations are kept (adapters/published.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from energy_platform.adapters.published import Published
from energy_platform.adapters.published_store import GENERATIONS, FolderStore
from energy_platform.domain.errors import LandingUnreachable
from energy_platform.settings import Settings

if TYPE_CHECKING:
    from energy_platform.adapters.published_objects import ObjectStore


def open_published(settings: Settings) -> Published:
    """The generations: by default below ``ENERGY_HOME``, or where ``ENERGY_PUBLISHED`` says.

    Raises:
        LandingUnreachable: the address names no bucket, or what is published there would land as input.
        CloudRefused: there are no usable AWS settings.
    """
    if settings.published is None or not settings.published_on_s3:
        return Published(settings.published_path)
    from energy_platform.adapters.aws.client import Aws
    from energy_platform.adapters.published_objects import ObjectStore

    client = Aws(endpoint_url=settings.s3_endpoint_url).client("s3")
    store = ObjectStore.at(settings.published, client=client, copies=FolderStore(settings.published_path))
    _refuse_landing_in(settings, store)
    return Published(store)


def _refuse_landing_in(settings: Settings, store: ObjectStore) -> None:
    """The landing zone must not take published tables, or exports beside them, for new files.

    Raises:
        LandingUnreachable: it would.
    """
    from energy_platform.adapters.object_landing import ObjectPlace

    if settings.landing is None or not settings.landing_on_s3:
        return
    place = ObjectPlace.parse(settings.landing, settings.drop_prefixes)
    if place.bucket == store.bucket and place.uri_of(f"{store.prefix}{GENERATIONS}/id/lake/files.parquet"):
        raise LandingUnreachable(
            store.address,
            problem=f"what is published there would land as new files of {settings.landing}",
            remedy="Give ENERGY_PUBLISHED a prefix outside the landing zone, such as s3://bucket/published.",
        )
