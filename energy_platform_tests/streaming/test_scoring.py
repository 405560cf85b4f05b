"""Scoring beside the loop: the champion is loaded and replaced without holding anything up, event times stay."""

from __future__ import annotations

import threading
import time
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from energy_platform.adapters.landing_batches import LandingBatches
from energy_platform.adapters.mqtt import MqttSource
from energy_platform.adapters.mqtt_connection import Broker
from energy_platform.adapters.scored_events import ScoredEvents
from energy_platform.domain.events import EventBatch, parse_events
from energy_platform.domain.scoring.bundle import OF_A_CHANNEL, OF_A_PANEL, Scoring, StreamModels, learn
from energy_platform.domain.scoring.panels import EVENTS
from energy_platform.streaming.process import BatchLimits, StreamProcess, utc_now
from energy_platform.streaming.scoring import ScoredBatch, StreamScorer
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import wait_until

START = datetime(2018, 7, 9)
MINUTES, CHANNELS = 200, ("z1_AC1", "z1_Light", "z1_Plug", "z2_AC1", "z2_Plug")


class Shelf:
    """A store in memory."""

    def __init__(self, bundles: dict[str, StreamModels], champion: str | None) -> None:
        self.bundles, self.now = bundles, champion
        self.broken = False

    def champion(self) -> str | None:
        if self.broken:
            raise OSError("the registry is away")
        return self.now

    def load(self, version: str) -> StreamModels:
        return self.bundles[version]


def loads(minutes: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.random((minutes, 1)) * np.arange(1, 6) + generator.normal(0, 0.05, (minutes, 5))


def history(values: np.ndarray) -> pl.DataFrame:
    stamps = [START - timedelta(minutes=len(values) - minute) for minute in range(len(values))]
    rows = [
        ("floor3", channel, stamps[minute], "energy_kwh", float(values[minute, place] / 60))
        for minute in range(len(values))
        for place, channel in enumerate(CHANNELS)
    ]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def payloads(values: np.ndarray) -> list[bytes]:
    return [
        orjson.dumps(
            {
                "meter_id": "floor3",
                "channel": channel,
                "interval_start": f"{(START + timedelta(minutes=minute)).isoformat()}Z",
                "interval_minutes": 1,
                "energy_kwh": float(values[minute, place] / 60),
            }
        )
        for minute in range(len(values))
        for place, channel in enumerate(CHANNELS)
    ]


@pytest.fixture(scope="module")
def models() -> StreamModels:
    return learn(history(loads(1_000, seed=1)), {})


def batch_of(values: np.ndarray) -> EventBatch:
    return parse_events(payloads(values), received_at_utc=utc_now())


def test_nothing_is_scored_without_a_champion_and_health_says_so() -> None:
    scorer = StreamScorer(Shelf({}, None), now=utc_now)
    scorer.reload()
    scorer.score([batch_of(loads(3, seed=2))])
    told = scorer.snapshot()
    assert (told["version"], told["unscored_events"], told["scores"]) == (None, 15, 0)
    assert "energy stream learn" in told["problem"]


def test_a_new_champion_takes_over_while_the_stream_runs(models) -> None:
    taken: list[ScoredBatch] = []
    shelf = Shelf({"1": models, "2": models}, "1")
    with StreamScorer(shelf, [taken.append], now=utc_now, reload_seconds=0.01) as scorer:
        wait_until(lambda: scorer.snapshot()["version"] == "1", 10, every=0.01)
        scorer(batch_of(loads(2, seed=2)))
        wait_until(lambda: len(taken) == 1, 10, every=0.01)
        shelf.now = "2"
        wait_until(lambda: scorer.snapshot()["version"] == "2", 10, every=0.01)
        scorer(batch_of(loads(2, seed=2)))
    assert [batch.version for batch in taken] == ["1", "2"]


def test_a_registry_that_is_away_or_slow_holds_nothing_up(models) -> None:
    shelf = Shelf({"1": models}, "1")
    scorer = StreamScorer(shelf, now=utc_now)
    scorer.reload()
    shelf.broken = True
    scorer.reload()
    scorer.score([batch_of(loads(2, seed=2))])
    told = scorer.snapshot()
    assert (told["version"], told["scores"] > 0) == ("1", True)
    assert "the registry is away" in told["problem"]

    class Slow(Shelf):
        def load(self, version: str) -> StreamModels:
            time.sleep(0.5)
            return super().load(version)

    with StreamScorer(Slow({"1": models}, "1"), now=utc_now) as waiting:
        began = time.perf_counter()
        waiting(batch_of(loads(2, seed=2)))
        assert time.perf_counter() - began < 0.4
        wait_until(lambda: waiting.snapshot()["events"] == 10, 10, every=0.01)
        assert waiting.snapshot()["unscored_events"] == 10


def test_the_loop_does_not_wait_for_scoring_and_what_came_meanwhile_is_scored_in_one_round(models) -> None:
    rounds: list[ScoredBatch] = []

    def slow(found: ScoredBatch) -> None:
        time.sleep(0.3)
        rounds.append(found)

    with StreamScorer(Shelf({"1": models}, "1"), [slow], now=utc_now) as scorer:
        wait_until(lambda: scorer.snapshot()["version"] == "1", 10, every=0.01)
        minutes = loads(12, seed=2)
        parts = [parse_events(payloads(minutes)[at : at + 5], received_at_utc=utc_now()) for at in range(0, 60, 5)]
        began = time.perf_counter()
        for part in parts:
            scorer(part)
        assert time.perf_counter() - began < 0.25
    assert len(rounds) < 12
    whole = pl.concat([found.scores for found in rounds]).filter(detector="isolation_forest")
    assert whole["event_at_utc"].to_list() == [START + timedelta(minutes=minute) for minute in range(12)]


def test_a_taker_that_fails_is_counted_and_the_next_is_told(models) -> None:
    taken: list[ScoredBatch] = []

    def broken(_: ScoredBatch) -> None:
        raise ValueError

    scorer = StreamScorer(Shelf({"1": models}, "1"), [broken, taken.append], now=utc_now)
    scorer.reload()
    scorer.score([batch_of(loads(2, seed=2))])
    assert (len(taken), scorer.snapshot()["sink_errors"]) == (1, 1)


def test_anomalous_events_are_written_behind_each_other_with_their_own_time(tmp_path: Path, models) -> None:
    values = loads(20, seed=4)
    values[7] = 40.0
    events, taken = ScoredEvents(tmp_path), []
    scorer = StreamScorer(
        Shelf({"1": models}, "1"),
        [taken.append, lambda found: events.append(found.anomalous, scored_at_utc=found.scored_at_utc)],
        now=utc_now,
    )
    scorer.reload()
    for half in (values[:10], values[10:]):
        scorer.score([batch_of(half)])
    lines = events.read().filter(pl.col("detector").is_in(OF_A_PANEL))
    assert set(lines.filter(pl.col("event_at_utc") == "2018-07-09T00:07:00.000000Z")["detector"]) == set(OF_A_PANEL)
    assert events.append(taken[0].scores.clear(), scored_at_utc=utc_now()) is None


def publish(port: int, messages: list[bytes]) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id="floor")
    client.max_inflight_messages_set(1_000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = [client.publish("floor3/kw", message, qos=1) for message in messages]
    for one in sent:
        one.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def score_through_a_broker(tmp_path: Path, models: StreamModels, messages: list[bytes]) -> pl.DataFrame:
    """The scores of messages that went through a real MQTT broker and the stream process."""
    taken: list[ScoredBatch] = []
    with brokers.amqtt() as port:
        source = MqttSource(Broker(host="127.0.0.1", port=port, client_id="scorer"), ["floor3/#"], capacity=10_000)
        with StreamScorer(Shelf({"1": models}, "1"), [taken.append], now=utc_now) as scorer:
            wait_until(lambda: scorer.snapshot()["version"] == "1", 10)
            process = StreamProcess(
                "floor", source, LandingBatches(tmp_path), limits=BatchLimits(1_000, 0.2), hot_hooks=[scorer]
            )
            loop = threading.Thread(target=process.run)
            loop.start()
            try:
                wait_until(lambda: source.lag()["connected"] == 1.0, 20)
                time.sleep(0.3)  # the subscription follows the connection
                publish(port, messages)
                wait_until(lambda: process.state.messages >= len(messages), 60)
            finally:
                process.stop()
                loop.join(30)
    return pl.concat([batch.scores for batch in taken])


def test_through_a_real_broker_all_four_models_score_every_minute_and_event_time_in_is_event_time_out(
    tmp_path: Path, models
) -> None:
    values = loads(MINUTES, seed=6)
    scores = score_through_a_broker(tmp_path, models, payloads(values))
    minutes = [START + timedelta(minutes=minute) for minute in range(MINUTES)]
    for name in OF_A_PANEL:
        rows = scores.filter(detector=name).sort("event_at_utc")
        assert rows["event_at_utc"].to_list() == minutes, name
        assert rows["score"].is_finite().all()
    single = scores.filter(detector=OF_A_CHANNEL)
    assert single.height == MINUTES * len(CHANNELS)
    assert single.group_by("channel").len()["len"].to_list() == [MINUTES] * len(CHANNELS)


@pytest.mark.shared_data
def test_a_real_office_floor_is_scored_by_all_four(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "cu_bems" / "2018Floor3.zip") as archive:
        head = archive.open(archive.namelist()[0]).read(400_000).rpartition(b"\n")[0]
    rows = pl.read_csv(head, n_rows=1_440, try_parse_dates=True)
    loads_kw = [name for name in rows.columns if name.endswith("(kW)")]
    events = (
        rows.select(pl.col("Date").cast(pl.Datetime("us")).alias("event_at_utc"), *loads_kw)
        .unpivot(index="event_at_utc", variable_name="channel", value_name="value")
        .with_columns(meter_id=pl.lit("floor3"), quantity=pl.lit("energy_kwh"), value=pl.col("value") / 60)
        .drop_nulls()
        .select(EVENTS.names())
    )
    split = datetime(2018, 7, 1, 12)
    learned = learn(events.filter(pl.col("event_at_utc") < split), {})
    live = events.filter(pl.col("event_at_utc") >= split).sort("event_at_utc")
    scored = Scoring(learned).score(live)
    minutes = live["event_at_utc"].unique().sort()
    for name in OF_A_PANEL:
        assert scored.filter(detector=name)["event_at_utc"].equals(minutes)
