"""The doors as Dagster resources; each is made when a step needs it, from the settings of that moment.

Belongs here: which door has which name. Does not belong here: how a door works (adapters/),
what may be set (settings.py).
"""

import dagster as dg

from energy_platform.adapters.declarations import Declarations, load_declarations
from energy_platform.adapters.landing import Landing
from energy_platform.adapters.published import Published
from energy_platform.adapters.registry import Registry
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.settings import Settings, get_settings


def settings_resource(_: dg.InitResourceContext) -> Settings:
    """The settings of this process."""
    return get_settings()


def warehouse_resource(_: dg.InitResourceContext) -> Warehouse:
    """The DuckDB file below ``ENERGY_HOME``."""
    settings = get_settings()
    return Warehouse(settings.warehouse_path, memory_limit=settings.memory_limit, threads=settings.worker_threads)


def registry_resource(_: dg.InitResourceContext) -> Registry:
    """The MLflow store; an embedded one keeps its artifacts below ``ENERGY_HOME``."""
    settings = get_settings()
    return Registry(settings.tracking_uri, None if settings.mlflow_tracking_uri else settings.artifacts_uri)


def published_resource(_: dg.InitResourceContext) -> Published:
    """The Parquet generations below ``ENERGY_HOME``."""
    return Published(get_settings().published_path)


def landing_resource(_: dg.InitResourceContext) -> Landing:
    """The landing zone, by default below ``ENERGY_HOME``."""
    settings = get_settings()
    return Landing(settings.landing_path, link=settings.link_files)


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
