from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.no_rows import NoRows, no_rows_checks, one_row_per_key
from energy_platform.domain.columns import SITES, Table

CHECKS = no_rows_checks(
    "sites_are_whole",
    one_row_per_key(SITES),
    NoRows("sites_have_a_country", SITES, f"SELECT * FROM {SITES.full_name} WHERE country = ''", "…", blocking=True),
)


def site(name: str, country: str) -> pl.DataFrame:
    return pl.DataFrame({"site_id": name, "time_zone": "Europe/London", "country": country, "attributes": "{}"})


def look(folder: Path, rows: pl.DataFrame) -> dict[str, dg.AssetCheckEvaluation]:
    """What the checks say of a table of sites with these rows, by name."""
    warehouse = Warehouse(folder / "warehouse.duckdb")
    warehouse.replace(SITES, rows, where="true")
    job = dg.define_asset_job("look", selection=dg.AssetSelection.all_asset_checks())
    made = dg.Definitions([_asset(SITES)], asset_checks=[CHECKS], jobs=[job], resources={"warehouse": warehouse})
    result = made.resolve_job_def("look").execute_in_process(raise_on_error=False)
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def _asset(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec([table.schema, table.name])


@pytest.mark.parametrize(
    ("rows", "failed", "shown"),
    [
        ([("a", "GB"), ("b", "GB")], set(), ""),
        ([("a", "GB"), ("a", "DE")], {"sites_hold_each_key_once"}, "| a | 2 |"),
        ([("a", "GB"), ("b", "")], {"sites_have_a_country"}, "| b | Europe/London |  | {} |"),
    ],
)
def test_each_check_says_what_it_found_and_the_others_pass(
    tmp_path: Path, rows: list[tuple[str, str]], failed: set[str], shown: str
) -> None:
    found = look(tmp_path, pl.concat(site(*row) for row in rows))
    assert found.keys() == {"sites_hold_each_key_once", "sites_have_a_country"}
    assert {name for name, one in found.items() if not one.passed} == failed
    assert {one.blocking for name, one in found.items() if name == "sites_have_a_country"} == {True}
    assert all(shown in str(found[name].metadata["broken"].value) for name in failed)
