"""Figures keep their exact value and a source that can be read back."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.columns import METER_DAYS, TABLES
from energy_platform.domain.insights.figures import (
    MEASURES,
    Source,
    agrees,
    between,
    change,
    day,
    energy,
    parse_sources,
    recomputed,
    rounded,
    share,
    source,
)

USED = source("marts.meter_days", "mean.energy_kwh")
filters = st.lists(
    st.tuples(st.sampled_from(METER_DAYS.column_names), st.sampled_from(["=", ">=", "<="]), st.text(max_size=20)),
    max_size=4,
)
measures = st.one_of(
    st.just("count"),
    st.tuples(
        st.sampled_from(sorted(set(MEASURES) - {"count", "skill"})), st.sampled_from(METER_DAYS.column_names)
    ).map(".".join),
)


@given(measure=measures, chosen=filters)
def test_a_source_reads_back_as_it_was_written_whatever_its_values_hold(
    measure: str, chosen: list[tuple[str, str, str]]
) -> None:
    written = Source(METER_DAYS.full_name, measure, tuple(chosen))
    assert parse_sources(str(written)) == (written,)
    assert parse_sources(f"{written} vs {written}") == (written, written)


@pytest.mark.parametrize(
    "text",
    [
        "no source at all",
        "marts.meter_days:mean.energy_kwh",
        "marts.no_such_table:count/",
        "marts.meter_days:mean.no_such_column/",
        "marts.meter_days:drop.energy_kwh/",
        "marts.meter_days:count/no_such_column=1",
        "marts.meter_days:count/energy_kwh) OR 1=1",
        "marts.meter_days:sum.energy_kwh) FROM lake.files --/",
    ],
)
def test_a_source_that_names_what_no_contract_has_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_sources(text)


@given(st.floats(1e-3, 1e7))
def test_rounding_keeps_two_digits_that_mean_something(value: float) -> None:
    shown = float(rounded(value).replace(",", ""))
    assert abs(shown - value) <= max(0.06 * abs(value), 0.0006)


@given(st.floats(0, 1))
def test_a_share_that_is_not_whole_is_never_shown_as_whole(value: float) -> None:
    text = share(value, USED).text
    if 1e-5 < value < 1 - 1e-5:
        assert text not in {"0 %", "100 %"}


@given(old=st.floats(0.1, 1e4), new=st.floats(0, 1e4))
def test_a_change_is_recomputed_from_its_two_sources(old: float, new: float) -> None:
    figure = change(new, old, USED, USED)
    assert agrees(figure.exact, recomputed([new, old]))


def test_exact_values_agree_only_with_themselves() -> None:
    figure = energy(11.340001, USED)
    assert figure.text == "11.3 kWh"
    assert agrees(figure.exact, 11.340001)
    assert not agrees(figure.exact, 11.34)
    assert agrees(day(date(2014, 1, 24), USED).exact, date(2014, 1, 24))
    assert not agrees(day(date(2014, 1, 24), USED).exact, date(2014, 1, 25))
    assert agrees(energy(None, USED).exact, None)
    assert not agrees(energy(None, USED).exact, 0.0)
    assert not agrees("1.0", None)


def test_a_period_has_both_its_ends_and_times_keep_their_seconds() -> None:
    chosen = between(USED, "local_date", date(2014, 1, 1), date(2014, 1, 30))
    assert str(chosen).endswith("/local_date>=2014-01-01&local_date<=2014-01-30")
    flagged = source("anomalies.scores", "count", interval_start_utc=datetime(2014, 1, 1, 0, 30))
    assert str(flagged).endswith("interval_start_utc=2014-01-01 00:30:00")


def test_no_contract_uses_the_word_that_parts_two_sources() -> None:
    assert all(" vs " not in column.name for table in TABLES for column in table.columns)
