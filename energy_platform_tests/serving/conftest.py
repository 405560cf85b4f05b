"""One published sample for all tests of what is served; building it takes a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy_platform.adapters.published import Generation, Published
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.columns import TABLES
from energy_platform_tests.serving.sample_warehouse import NOW, build_sample_warehouse


@pytest.fixture(scope="session")
def sample_warehouse(tmp_path_factory) -> Warehouse:
    return build_sample_warehouse(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb", days=420)


@pytest.fixture(scope="session")
def published_sample(sample_warehouse, tmp_path_factory) -> Published:
    published = Published(tmp_path_factory.mktemp("published"))
    with sample_warehouse.transaction() as connection:
        published.publish(connection, TABLES, facts={"newest_file_id": 5, "commit": "0" * 40}, now=NOW)
    return published


@pytest.fixture(scope="session")
def sample_generation(published_sample) -> Generation:
    return published_sample.current()


@pytest.fixture
def empty_generation(tmp_path: Path) -> Generation:
    published = Published(tmp_path / "published")
    with Warehouse(tmp_path / "empty.duckdb").transaction() as connection:
        return published.publish(connection, TABLES, facts={}, now=NOW)
