"""The life of an alert: what people are told is bounded, whatever comes in whatever order."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.alerts import EpisodeState, Severity, Signal, StepKind, Subject
from energy_platform.domain.alerts.episodes import acknowledge, advance, episode_id, snooze

START = datetime(2024, 6, 1)
SUBJECT = Subject.of_channel("m", "main")


def at(minutes):
    return START + timedelta(minutes=minutes)


def signal(minutes, *, breach=True, value=310.0, severity=Severity.WARNING, breaches=1):
    words = "above" if breach else "over"
    return Signal("rule", severity, SUBJECT, breach, at(minutes), "Spike at m/main", words, value, 300.0, "V", breaches)


def play(signals, episode=None):
    """The episode after some signals, and the steps on the way."""
    steps = []
    for each in signals:
        change = advance(episode, each, now_utc=each.at_utc)
        if change is not None:
            episode = change.episode
            steps += [change.step] if change.step else []
    return episode, steps


def test_ten_thousand_breaches_are_one_episode_with_one_opening_and_one_recovery():
    episode, steps = play([*(signal(minute) for minute in range(10_000)), signal(10_000, breach=False, value=240.0)])
    assert [(step.kind, step.is_told) for step in steps] == [(StepKind.OPENED, True), (StepKind.RECOVERED, True)]
    assert (episode.state, episode.breaches, episode.recovered_at_utc) == (EpisodeState.RECOVERED, 10_000, at(10_000))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["breach", "worse", "clear", "acknowledge", "snooze"]),
        st.integers(0, 3),  # minutes since the action before; 0 repeats the time
    ),
    max_size=40,
)


@given(ACTIONS)
def test_whatever_happens_people_hear_of_an_opening_once_and_of_a_recovery_once_and_of_nothing_after_it(actions):
    episode, by_episode, minutes = None, {}, 0
    for action, later in actions:
        minutes += later
        before = episode
        if action in {"breach", "worse", "clear"}:
            severity = Severity.CRITICAL if action == "worse" else Severity.WARNING
            said = signal(minutes, breach=action != "clear", severity=severity)
            change = advance(episode, said, now_utc=at(minutes))
        elif episode is None:
            continue
        elif action == "acknowledge":
            change = acknowledge(episode, by="me", at_utc=at(minutes))
        else:
            change = snooze(episode, by="me", at_utc=at(minutes), minutes=2)
        if change is None:
            continue
        episode = change.episode
        is_new = before is None or before.is_over
        assert episode.revision == (1 if is_new else before.revision + 1)
        assert episode.step == (1 if is_new else before.step + (change.step is not None))
        if change.step is not None:
            by_episode.setdefault((episode.episode_id, episode.opened_at_utc), []).append(change.step)
    for steps in by_episode.values():
        kinds = [step.kind for step in steps]
        assert [step.number for step in steps] == list(range(1, len(steps) + 1))
        assert kinds[0] is StepKind.OPENED
        assert kinds.count(StepKind.OPENED) == 1
        assert kinds.count(StepKind.RECOVERED) <= 1
        assert StepKind.RECOVERED not in kinds[:-1]
        assert all(step.is_told == (step.kind not in {StepKind.ACKNOWLEDGED, StepKind.SNOOZED}) for step in steps)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=30), st.integers(0, 30))
def test_samples_that_are_delivered_again_change_nothing(said, again_from):
    minutes, signals = 0, []
    for is_breach, later in said:
        minutes += later
        signals.append(signal(minutes, breach=is_breach))
    # After a crash a stream repeats from somewhere behind the newest recovery on.
    newest_end = max((place for place, each in enumerate(signals) if not each.is_breach), default=-1)
    episode, _ = play(signals)
    repeated, more = play(signals[max(again_from, newest_end + 1) :], episode)
    assert more == []
    assert repeated == episode


def test_it_is_told_again_when_it_gets_more_severe_but_not_to_who_looks_after_it():
    severe = signal(2, severity=Severity.CRITICAL)
    episode, _ = play([signal(0)])
    assert advance(episode, severe, now_utc=at(2)).step.kind is StepKind.UPDATED
    worse = advance(episode, severe, now_utc=at(2)).episode
    assert advance(worse, signal(3), now_utc=at(3)).step is None
    assert worse.severity is Severity.CRITICAL


def test_a_snooze_that_ends_on_a_breach_tells_again_once():
    episode, _ = play([signal(0)])
    quiet = snooze(episode, by="me", at_utc=at(1), minutes=60).episode
    assert advance(quiet, signal(30), now_utc=at(30)).step is None
    again = advance(quiet, signal(30), now_utc=at(61))
    assert (again.step.kind, again.episode.state) == (StepKind.UPDATED, EpisodeState.OPEN)
    assert advance(again.episode, signal(62), now_utc=at(62)).step is None


def test_an_acknowledged_episode_still_recovers_and_an_ended_one_takes_no_word():
    episode, _ = play([signal(0)])
    minded = acknowledge(episode, by="me", at_utc=at(1)).episode
    assert (minded.state, minded.acknowledged_by) == (EpisodeState.ACKNOWLEDGED, "me")
    assert acknowledge(minded, by="you", at_utc=at(2)) is None
    over = advance(minded, signal(3, breach=False), now_utc=at(3)).episode
    assert over.is_over
    assert acknowledge(over, by="me", at_utc=at(4)) is None
    assert snooze(over, by="me", at_utc=at(4), minutes=5) is None


def test_the_worst_value_is_the_one_farthest_from_the_limit():
    episode, _ = play([signal(0, value=310.0), signal(1, value=340.0), signal(2, value=320.0)])
    assert (episode.value, episode.worst_value) == (320.0, 340.0)


def test_the_same_samples_give_the_same_identifier_and_a_later_episode_another():
    assert episode_id("rule", SUBJECT, START) == play([signal(0)])[0].episode_id
    assert episode_id("rule", SUBJECT, at(1)) != episode_id("rule", SUBJECT, START)


@pytest.mark.parametrize("signals", [[signal(0, breach=False)], []])
def test_nothing_recovers_that_was_not_open(signals):
    assert play(signals) == (None, [])


def test_an_old_end_does_not_end_a_newer_breach():
    episode, _ = play([signal(0), signal(5)])
    assert advance(episode, replace(signal(4), is_breach=False), now_utc=at(6)) is None
