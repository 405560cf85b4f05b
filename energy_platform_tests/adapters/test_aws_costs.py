"""The cost estimate: every figure from the dated table, the arithmetic by hand, assumptions printed."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from energy_platform.adapters.aws.costs import Assumptions, estimate, read_prices, shards_for
from energy_platform.commands.aws import app
from energy_platform.domain.errors import CloudRefused

TABLE = read_prices()
NOTHING = Assumptions(0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 60)


def usd(given_, item):
    return next(line.usd for line in estimate(given_, TABLE) if line.item == item)


def test_every_price_names_its_unit_and_a_public_page_and_the_table_its_day_and_region():
    assert TABLE.as_of.year >= 2025
    assert TABLE.region == "us-east-1"
    for price in TABLE.prices.values():
        assert price.usd > 0
        assert price.unit
        assert price.source.startswith("https://aws.amazon.com/")


def test_an_idle_installation_costs_its_two_shards():
    lines = estimate(NOTHING, TABLE)
    assert sum(line.usd for line in lines) == pytest.approx(2 * 730 * 0.015)


def test_hand_checked_lines():
    given_ = replace(NOTHING, readings=1_000_000, bytes_per_reading=200, stored_gb=100, table_writes_per_reading=1)
    month = 1_000_000 * 365 / 12
    assert usd(given_, "firehose_ingest") == pytest.approx(month * 5 * 1024 / 1024**3 * 0.029)
    assert usd(given_, "kinesis_put") == pytest.approx(2 * month * 0.014e-6)
    assert usd(given_, "dynamodb_write") == pytest.approx(month * 0.625e-6)
    assert usd(given_, "s3_storage") == pytest.approx(2.3)


def test_shards_follow_records_and_bytes():
    assert shards_for(replace(NOTHING, readings=86_400 * 2500, bytes_per_reading=10)) == 3
    assert shards_for(replace(NOTHING, readings=86_400 * 100, bytes_per_reading=100_000)) == 10


@given(
    st.sampled_from([name for name in Assumptions.__slots__ if name != "buffer_seconds"]),
    st.floats(0, 1e7),
    st.floats(0, 1e7),
)
def test_more_of_anything_never_costs_less(name, one, other):
    small, large = sorted((one, other))
    totals = [
        sum(line.usd for line in estimate(replace(Assumptions(), **{name: value}), TABLE)) for value in (small, large)
    ]
    assert totals[0] <= totals[1] * (1 + 1e-12)


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_negative_or_empty_assumption_is_refused(value):
    with pytest.raises(CloudRefused, match="--readings"):
        estimate(Assumptions(readings=value), TABLE)


@pytest.mark.parametrize("content", ["", "[1]", "as_of: 2025-01-01", "{", "prices: {a: {usd: x}}"])
def test_a_file_that_is_no_table_of_prices_is_refused(tmp_path, content):
    path = tmp_path / "prices.yml"
    path.write_text(content)
    with pytest.raises(CloudRefused, match=r"prices\.yml"):
        read_prices(path)
    with pytest.raises(CloudRefused):
        read_prices(tmp_path / "none.yml")


def test_the_command_prints_assumptions_date_total_and_pages():
    said = CliRunner().invoke(app, ["costs", "--readings", "1000000"])
    assert said.exit_code == 0
    for part in ("1,000,000", str(TABLE.as_of), "check before relying", "https://aws.amazon.com/s3/pricing/"):
        assert part in said.stdout
    content = json.loads(CliRunner().invoke(app, ["costs", "--readings", "1000000", "--json"]).stdout)
    assert content["assumptions"]["readings"] == 1_000_000
    assert content["total"] == pytest.approx(sum(line["usd"] for line in content["lines"]), abs=0.01)
