"""Signals in the store: what comes twice, opens once."""

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.episodes import list_episodes
from energy_platform.adapters.operations.outbox import take_signals
from energy_platform_tests.domain.alerts.test_episodes import at, signal


def test_samples_that_are_delivered_again_after_the_recovery_open_nothing(tmp_path):
    signals = [signal(0), signal(1), signal(2, breach=False)]
    with Operations.open(f"sqlite:///{tmp_path / 'operations.db'}") as store:
        first = take_signals(store, signals, tell=lambda _: [], now_utc=at(3))
        assert [change.step.kind.value for change in first if change.step] == ["opened", "recovered"]
        assert take_signals(store, signals, tell=lambda _: [], now_utc=at(4)) == []
        take_signals(store, [*signals, signal(5)], tell=lambda _: [], now_utc=at(6))
        assert sorted(episode.opened_at_utc for episode in list_episodes(store)) == [at(0), at(5)]
