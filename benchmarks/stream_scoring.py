"""An office floor through a real broker, every minute scored by the four models of the stream-mining system.

    .venv/bin/python benchmarks/stream_scoring.py --floor 2018Floor3.zip [--days 2] [--learn-days 28] [--paced 400]

CU-BEMS floor 3: 17 loads (AC, light, plug in five zones) by the minute, each a message of its own at QoS 1 through
mosquitto into the stream process, which puts the loads of a minute together, scores them by k-means(2), isolation
forest(100 trees), one-class SVM and a Gaussian mixture(3), and every single load by its channel's mean and
spread. The detectors are learned on the days before, registered in MLflow and loaded from there by the running process.

Two runs: as fast as the publisher can ("flood"), and paced at so many messages a second, which shows the latency
without a queue. Latency is from the call that publishes a minute's last load to the moment the scores are handed on.
Minutes in which the publisher had no value for a load are passed on and not judged: nothing is filled in.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import polars as pl
from broker_throughput import TOPIC, MqttPublisher, mosquitto
from measured import markdown, say

from energy_platform.adapters.detector_registry import DetectorRegistry
from energy_platform.adapters.landing_batches import LandingBatches
from energy_platform.adapters.mqtt import MqttSource
from energy_platform.adapters.mqtt_connection import Broker
from energy_platform.domain.scoring.bundle import OF_A_PANEL, learn
from energy_platform.domain.scoring.panels import EVENTS
from energy_platform.streaming.process import BatchLimits, StreamProcess, utc_now
from energy_platform.streaming.scoring import RegisteredModels, ScoredBatch, StreamScorer

FIRST_LIVE = datetime(2018, 8, 1)
WINDOW = 10_000


def read_floor(archive: Path) -> pl.DataFrame:
    """The floor as ``EVENTS``: energy of a minute in kWh, by load; the site's clock taken as UTC."""
    with zipfile.ZipFile(archive) as opened:
        rows = pl.read_csv(
            io.BytesIO(opened.read(opened.namelist()[0])), infer_schema_length=None, try_parse_dates=True
        )
    loads = [name for name in rows.columns if name.endswith("(kW)")]
    return (
        rows.select(pl.col("Date").cast(pl.Datetime("us")).alias("event_at_utc"), *loads)
        .unpivot(index="event_at_utc", variable_name="channel", value_name="value")
        .with_columns(
            meter_id=pl.lit("Floor3"),
            channel=pl.col("channel").str.strip_suffix("(kW)"),
            quantity=pl.lit("energy_kwh"),
            value=pl.col("value") / 60,
        )
        .drop_nulls("value")
        .sort("event_at_utc", "channel")
        .select(EVENTS.names())
    )


def messages(events: pl.DataFrame) -> list[bytes]:
    """Each event as the stream takes readings."""
    stamps = events["event_at_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        orjson.dumps(
            {"meter_id": meter, "channel": channel, "interval_start": at, "interval_minutes": 1, "energy_kwh": value}
        )
        for meter, channel, at, value in zip(
            events["meter_id"], events["channel"], stamps, events["value"], strict=True
        )
    ]


def publish(port: int, bodies: list[bytes], per_second: float) -> np.ndarray:
    """Send every message; when each was handed over, in nanoseconds."""
    publisher, times = MqttPublisher(port), np.zeros(len(bodies), dtype=np.int64)
    began = time.monotonic()
    for number, body in enumerate(bodies):
        if per_second and (ahead := began + number / per_second - time.monotonic()) > 0:
            time.sleep(ahead)
        times[number] = time.time_ns()
        publisher.send(body)
    publisher.wait()
    return times


class Scores:
    """Every batch of scores, and when it came."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ScoredBatch]] = []

    def __call__(self, batch: ScoredBatch) -> None:
        """Take one batch."""
        self.batches.append((time.time_ns(), batch))

    def frame(self) -> pl.DataFrame:
        """All scores with ``scored_ns``."""
        return pl.concat([found.scores.with_columns(scored_ns=pl.lit(at)) for at, found in self.batches])


def run(
    store: RegisteredModels, events: pl.DataFrame, per_second: float
) -> tuple[pl.DataFrame, np.ndarray, float, int]:
    """Scores, when each message was published, CPU seconds of this process, and messages it counted."""
    scores = Scores()
    with mosquitto(WINDOW) as side, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        np.save(home / "bodies.npy", np.array(messages(events), dtype=object), allow_pickle=True)
        source = MqttSource(
            Broker(host="127.0.0.1", port=side.port, client_id="scorer"), [f"{TOPIC}/#"], capacity=20_000, window=WINDOW
        )
        with StreamScorer(store, [scores], now=utc_now) as scorer:
            while scorer.snapshot()["version"] is None:
                time.sleep(0.05)
            process = StreamProcess(
                "floor", source, LandingBatches(home / "landing"), limits=BatchLimits(), hot_hooks=[scorer]
            )
            loop = threading.Thread(target=process.run)
            loop.start()
            while source.lag()["connected"] != 1.0:
                time.sleep(0.05)
            time.sleep(0.5)  # the subscription follows the connection
            cpu = time.process_time()
            command = [
                sys.executable,
                __file__,
                "--publish",
                str(home),
                "--port",
                str(side.port),
                "--paced",
                str(per_second),
            ]
            subprocess.run(command, check=True)
            while process.state.messages < events.height:
                time.sleep(0.05)
            process.stop()
            loop.join()
            cpu = time.process_time() - cpu
        times = np.load(home / "times.npy")
    return scores.frame(), times, cpu, process.state.accepted


def report(name: str, events: pl.DataFrame, scores: pl.DataFrame, times: np.ndarray, cpu: float) -> list[object]:
    """A row of the table; leaves with the first thing that does not hold."""
    sent = events.with_columns(sent_ns=pl.Series(times))
    single = scores.filter(~pl.col("detector").is_in(OF_A_PANEL))
    keys = ["meter_id", "channel", "event_at_utc"]
    if not single.select(keys).sort(keys).equals(sent.select(keys).sort(keys)):
        raise SystemExit("an event did not come out with the time it went in with")
    minutes = sent.group_by("event_at_utc").agg(pl.col("sent_ns").max(), loads=pl.len()).sort("event_at_utc")
    for detector in OF_A_PANEL:
        out = scores.filter(pl.col("detector") == detector).sort("event_at_utc")
        if not out["event_at_utc"].equals(minutes["event_at_utc"]):
            raise SystemExit(f"{detector}: the minutes that came out are not those that went in")
    whole = scores.filter(pl.col("detector").is_in(OF_A_PANEL) & pl.col("score").is_not_null())
    latency = whole.join(minutes, on="event_at_utc").select(ms=(pl.col("scored_ns") - pl.col("sent_ns")) / 1e6)["ms"]
    seconds = (int(scores["scored_ns"].max()) - int(times.min())) / 1e9
    figures = (latency.quantile(q) for q in (0.5, 0.99))
    return [
        name,
        events.height,
        minutes.height,
        minutes.height - whole["event_at_utc"].n_unique(),
        scores.height,
        f"{events.height / seconds:,.0f}",
        f"{scores.height / seconds:,.0f}",
        f"{events.height / cpu:,.0f}",
        *(f"{figure:.0f}" for figure in figures),
    ]


def table(options: argparse.Namespace) -> None:
    events = read_floor(options.floor)
    history = events.filter(
        (pl.col("event_at_utc") < FIRST_LIVE)
        & (pl.col("event_at_utc") >= FIRST_LIVE - timedelta(days=options.learn_days))
    )
    began = time.process_time()
    models = learn(history, {})
    say(f"learned on {history.height:,} readings in {time.process_time() - began:.1f} CPU s")
    for note in models.notes:
        say(note)
    live = events.filter(
        (pl.col("event_at_utc") >= FIRST_LIVE) & (pl.col("event_at_utc") < FIRST_LIVE + timedelta(days=options.days))
    )
    paced = live.head(round(options.paced * options.seconds))
    rows, called = [], pl.DataFrame()
    with tempfile.TemporaryDirectory() as folder:
        registry = DetectorRegistry(f"sqlite:///{folder}/mlflow.db", (Path(folder) / "artifacts").as_uri())
        store = RegisteredModels(registry)
        store.register(models, cutoff=FIRST_LIVE.date(), events=history.height)
        for name, sent, rate in (("flood", live, 0.0), (f"paced, {options.paced:.0f}/s", paced, options.paced)):
            scores, times, cpu, accepted = run(store, sent, rate)
            say(f"{name}: {accepted:,} accepted")
            rows.append(report(name, sent, scores, times, cpu))
            called = scores if rate == 0 else called
    head = [
        "run",
        "messages",
        "minutes",
        "not judged",
        "scores",
        "messages/s",
        "scores/s",
        "messages/CPU-s",
        "p50 ms",
        "p99 ms",
    ]
    print(markdown(head, rows))
    print("\nevent time in = event time out for every load and every minute, by all detectors\n")
    by_detector = called.group_by("detector").agg(
        scored=pl.len(), judged=pl.col("score").is_not_null().sum(), anomalous=pl.col("is_anomalous").sum()
    )
    rates = by_detector.with_columns(share=(100 * pl.col("anomalous") / pl.col("judged")).round(2)).sort("detector")
    print(markdown(["detector", "scores", "judged", "anomalous", "% of judged"], rates.rows()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--floor", type=Path, help="2018Floor3.zip of CU-BEMS")
    parser.add_argument("--days", type=float, default=2, help="of the flood")
    parser.add_argument("--learn-days", type=float, default=28)
    parser.add_argument("--paced", type=float, default=400, help="messages a second of the paced run")
    parser.add_argument("--seconds", type=float, default=20, help="length of the paced run")
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)  # the publisher's process
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        bodies = np.load(options.publish / "bodies.npy", allow_pickle=True).tolist()
        np.save(options.publish / "times.npy", publish(options.port, bodies, options.paced))
    else:
        table(options)


if __name__ == "__main__":
    main()
