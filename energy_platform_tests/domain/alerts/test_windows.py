"""N of M with hysteresis, held against a slow and obvious reading of the same words."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.alerts.windows import Limit, Turn, Window, slide

LIMITS = st.builds(
    lambda value, short, upper, n, more: Limit(
        value, value - short if upper else value + short, upper, samples=n, of_samples=n + more
    ),
    st.integers(0, 6),
    st.integers(0, 3),
    st.booleans(),
    st.integers(1, 4),
    st.integers(0, 4),
)
VALUES = st.lists(st.integers(-2, 9).map(float), max_size=60)


def obvious(limit, values):
    """Whether the limit counts as broken after each value, from the definition alone."""
    states, is_broken, since = [], False, 0
    for place in range(len(values)):
        seen = values[since : place + 1]
        if not is_broken and sum(map(limit.is_beyond, seen[-limit.of_samples :])) >= limit.samples:
            is_broken, since = True, place + 1
        elif is_broken and len(seen) >= limit.of_samples and all(map(limit.is_calm, seen[-limit.of_samples :])):
            is_broken, since = False, place + 1
        states.append(is_broken)
    return states


def told(turns):
    return [(turn.position, turn.is_breach) for turn in turns]


@given(LIMITS, VALUES)
def test_it_opens_and_ends_exactly_where_the_definition_says(limit, values):
    states = [False, *obvious(limit, values)]
    changes = [(at, now) for at, (before, now) in enumerate(pairwise(states)) if before != now]
    _, turns = slide(Window(), limit, list(range(len(values))), values)
    seen, kept = False, []
    for turn in turns:
        if turn.is_breach != seen:
            kept.append((turn.position, turn.is_breach))
        seen = turn.is_breach
    assert kept == changes


@given(LIMITS, VALUES, st.integers(0, 60))
def test_a_cut_between_two_batches_changes_neither_the_window_nor_the_turns(limit, values, cut):
    stamps = list(range(len(values)))
    whole, turns = slide(Window(), limit, stamps, values)
    first, before = slide(Window(), limit, stamps[:cut], values[:cut])
    last, after = slide(first, limit, stamps[cut:], values[cut:])
    assert last == whole
    moved = [*before, *(Turn(turn.position + min(cut, len(values)), turn.is_breach, turn.breaches) for turn in after)]
    assert sum(turn.breaches for turn in moved) == sum(turn.breaches for turn in turns)
    assert [told([turn])[0] for turn in moved if not turn.is_breach] == [
        told([turn])[0] for turn in turns if not turn.is_breach
    ]


def test_one_sample_of_310_v_is_nothing_and_three_of_five_are_a_spike():
    limit = Limit(300, 260, samples=3, of_samples=5)
    assert slide(Window(), limit, range(9), [240.0] * 4 + [310.0] + [240.0] * 4)[1] == []
    assert told(slide(Window(), limit, range(5), [310.0, 240.0, 310.0, 240.0, 310.0])[1]) == [(4, True)]


def test_a_value_that_swings_around_the_limit_opens_once():
    limit = Limit(100, 90, samples=1, of_samples=2)
    _, turns = slide(Window(), limit, range(100), [101.0, 99.0] * 50)
    assert [turn.is_breach for turn in turns] == [True, True]  # opened, and once "still broken" at the end of the batch
    assert sum(turn.breaches for turn in turns) == 50


def test_samples_with_a_long_gap_between_them_are_not_counted_together():
    limit = Limit(300, 300, samples=2, of_samples=5, max_gap_us=10)
    assert slide(Window(), limit, [0, 20], [310.0, 310.0])[1] == []
    assert len(slide(Window(), limit, [0, 5], [310.0, 310.0])[1]) == 1


@pytest.mark.parametrize(
    ("limit", "value", "is_beyond"), [(Limit(5, 5), 5.0, False), (Limit(5, 5, is_upper=False), 4.9, True)]
)
def test_the_limit_itself_is_allowed(limit, value, is_beyond):
    assert limit.is_beyond(value) == is_beyond
