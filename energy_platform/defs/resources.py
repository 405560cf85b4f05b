"""The doors as Dagster resources; each is made when a step needs it, from the settings of that moment.

Belongs here: which door has which name. Does not belong here: how a door works (adapters/),
what may be set (settings.py).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from energy_platform.adapters.aws.client import Aws
from energy_platform.adapters.declarations import Declarations, load_declarations
from energy_platform.adapters.landing import Landing, LandingZone
from energy_platform.adapters.object_landing import ObjectLanding, ObjectPlace
from energy_platform.adapters.published import Published
from energy_platform.adapters.registry import Registry
from energy_platform.adapters.warehouse import LINGER_SECONDS, Warehouse
from energy_platform.serving.published import open_published
from energy_platform.settings import Settings, get_settings


def settings_resource(_: dg.InitResourceContext) -> Settings:
    """The settings of this process."""
    return get_settings()


def warehouse_resource(_: dg.InitResourceContext) -> Iterator[Warehouse]:
    """The DuckDB file below ``ENERGY_HOME``; open from step to step where they follow each other, closed after the last."""
    settings = get_settings()
    warehouse = Warehouse(
        settings.warehouse_path,
        memory_limit=settings.memory_limit,
        threads=settings.worker_threads,
        linger_seconds=LINGER_SECONDS,
    )
    try:
        yield warehouse
    finally:
        warehouse.let_go_after_run()


def registry_resource(_: dg.InitResourceContext) -> Registry:
    """The MLflow store; an embedded one keeps its artifacts below ``ENERGY_HOME``."""
    settings = get_settings()
    return Registry(settings.tracking_uri, None if settings.mlflow_tracking_uri else settings.artifacts_uri)


def published_resource(_: dg.InitResourceContext) -> Published:
    """The Parquet generations below ``ENERGY_HOME``."""
    return open_published(get_settings())


def open_landing(settings: Settings) -> LandingZone:
    """The landing zone: by default below ``ENERGY_HOME``, or where ``ENERGY_LANDING`` says."""
    local = Landing(settings.landing_path, link=settings.link_files)
    if settings.landing is None or not settings.landing_on_s3:
        return local
    place = ObjectPlace.parse(settings.landing, settings.drop_prefixes)
    return ObjectLanding(
        s3_client(settings), place, local=local, cache=settings.cache_path, cache_bytes=settings.cache_bytes
    )


def s3_client(settings: Settings) -> Any:
    """boto3's client of S3; region and credentials come from the usual AWS variables and files."""
    return Aws(endpoint_url=settings.s3_endpoint_url).client("s3")


def landing_resource(_: dg.InitResourceContext) -> LandingZone:
    """The landing zone, by default below ``ENERGY_HOME``."""
    return open_landing(get_settings())


def declarations_resource(_: dg.InitResourceContext) -> Declarations:
    """The declared sources: built in, and the user's own from ``ENERGY_SOURCES``."""
    return load_declarations(get_settings().sources)


defs = dg.Definitions(
    resources={
        "declarations": dg.ResourceDefinition(declarations_resource),
        "landing": dg.ResourceDefinition(landing_resource),
        "published": dg.ResourceDefinition(published_resource),
        "registry": dg.ResourceDefinition(registry_resource),
        "settings": dg.ResourceDefinition(settings_resource),
        "warehouse": dg.ResourceDefinition(warehouse_resource),
    },
    executor=dg.in_process_executor,
)
