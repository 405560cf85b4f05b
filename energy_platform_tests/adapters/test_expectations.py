from datetime import datetime

import pandas as pd
import pytest

from energy_platform.adapters import expectations
from energy_platform.adapters.expectations import Contracts, open_contracts, started_early
from energy_platform.domain.columns import READINGS_TABLE

GOOD = {
    "meter_id": ["M1", "M2"],
    "channel": ["main", "main"],
    "interval_start_utc": pd.Series([datetime(2013, 6, 1)] * 2).astype("datetime64[us]"),
    "interval_minutes": pd.Series([30, 30], dtype="int16"),
    "utc_offset_minutes": pd.Series([60, 60], dtype="int16"),
    "energy_kwh": [0.1, 0.2],
    "quality": ["measured", "estimated"],
    "file_id": pd.Series([1, 1], dtype="int32"),
    "available_at_utc": pd.Series([datetime(2026, 1, 1)] * 2).astype("datetime64[us]"),
}


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return Contracts()


def test_rows_that_keep_the_contract_pass(contracts: Contracts) -> None:
    outcome = contracts.check(READINGS_TABLE, pd.DataFrame(GOOD))
    assert (outcome.failures, outcome.rows) == ((), 2)
    assert outcome.expectations >= 15


@pytest.mark.parametrize(
    ("column", "values", "word"),
    [
        ("quality", ["measured", "guessed"], "guessed"),
        ("interval_minutes", pd.Series([30, 0], dtype="int16"), "interval_minutes"),
        ("energy_kwh", [0.1, None], "not_be_null of energy_kwh"),
        ("file_id", ["1", "1"], "file_id"),
        ("meter_id", ["M1", "M1"], "compound_columns_to_be_unique"),
        ("utc_offset_minutes", pd.Series([60, 900], dtype="int16"), "900"),
    ],
)
def test_each_planted_fault_is_found_and_named(contracts: Contracts, column: str, values: object, word: str) -> None:
    outcome = contracts.check(READINGS_TABLE, pd.DataFrame(GOOD | {column: values}))
    assert not outcome.passed
    assert any(word in failure for failure in outcome.failures), outcome.failures


def test_a_missing_column_is_found(contracts: Contracts) -> None:
    outcome = contracts.check(READINGS_TABLE, pd.DataFrame(GOOD).drop(columns="quality"))
    assert not outcome.passed


def test_an_empty_table_passes_when_its_columns_are_right(contracts: Contracts) -> None:
    assert contracts.check(READINGS_TABLE, pd.DataFrame(GOOD).head(0)).passed


def test_a_process_of_its_own_finds_what_this_one_finds_and_its_end_stops_nothing(
    contracts: Contracts, monkeypatch
) -> None:
    monkeypatch.setattr(expectations, "_begun", [])
    wrong = pd.DataFrame(GOOD | {"quality": ["measured", "guessed"]})
    expected = contracts.check(READINGS_TABLE, wrong)
    assert not expected.passed
    with started_early():
        elsewhere = open_contracts()
        assert not isinstance(elsewhere, Contracts)
        assert elsewhere.check(READINGS_TABLE, wrong) == expected
        with pytest.raises(AttributeError):
            elsewhere.check("not a table", wrong)
        expectations._early[0]._process.kill()
        assert elsewhere.check(READINGS_TABLE, wrong) == expected
    assert isinstance(open_contracts(), Contracts)


def test_the_second_time_there_is_no_other_process(monkeypatch) -> None:
    monkeypatch.setattr(expectations, "_begun", [True])
    with started_early():
        assert isinstance(open_contracts(), Contracts)
