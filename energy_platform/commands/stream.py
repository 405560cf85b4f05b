"""``energy stream kinesis|kafka|mqtt``: one long-running process that lands what a stream brings."""

import gc
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_platform.commands.mqtt_broker import named_broker
from energy_platform.commands.stream_scoring import Score, learn, open_scorer
from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.streaming.hot_rules import HotRules
    from energy_platform.streaming.process import StreamProcess
    from energy_platform.streaming.scoring import StreamScorer
    from energy_platform.streaming.source import StreamSource

app = typer.Typer(no_args_is_help=True, help="Consume a stream into the landing zone until SIGTERM or Ctrl-C.")
app.command()(learn)


class StartAt(StrEnum):
    """Where to begin when a stream was never read before."""

    LATEST = "latest"
    TRIM_HORIZON = "trim-horizon"


class MqttVersion(StrEnum):
    """Versions of the protocol."""

    V311 = "3.1.1"
    V5 = "5"


BatchSize = Annotated[int, typer.Option(min=1, max=1_000_000, help="Messages that close a batch.")]
BatchSeconds = Annotated[float, typer.Option(min=0.01, max=300, help="Seconds after its first message, likewise.")]
HealthPort = Annotated[int, typer.Option(min=0, max=65_535, help="Port of GET /health; 0 takes a free one.")]
HealthHost = Annotated[str, typer.Option(help="Address of GET /health; loopback unless told otherwise.")]
SourceNames = Annotated[
    list[str] | None,
    typer.Option("--source", help="SHAPE=NAME: source of readings, sensors or telemetry; may be given several times."),
]
Compress = Annotated[bool, typer.Option("--compress", help="Land gzip files.")]
Live = Annotated[bool, typer.Option("--live/--no-live", help="Keep live state and look at the rules of the stream.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", help="NAME=VALUE for librdkafka; may be given several times.")
]


@app.command()
def kinesis(
    stream: Annotated[str, typer.Option(help="Name of the stream.")],
    consumer: Annotated[str, typer.Option(help="Whose checkpoints: each consumer reads the stream by itself.")] = (
        "energy"
    ),
    start_at: Annotated[StartAt, typer.Option("--from", help="Where to begin without checkpoints.")] = (
        StartAt.TRIM_HORIZON
    ),
    endpoint_url: Annotated[str | None, typer.Option(help="Another address than AWS's.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS region.")] = None,
    batch_size: BatchSize = 10_000,
    batch_seconds: BatchSeconds = 1.0,
    health_port: HealthPort = 8081,
    health_host: HealthHost = "127.0.0.1",
    sources: SourceNames = None,
    compress: Compress = False,
    live: Live = True,
    score: Score = False,
) -> None:
    """Read every shard of a Kinesis stream, through reshards, from its checkpoints."""
    from energy_platform.adapters.kinesis import KinesisSource, connect
    from energy_platform.adapters.operations import Operations, StreamCheckpoints
    from energy_platform.streaming.process import utc_now

    with Operations.open(get_settings().operations_address) as operations:
        store = StreamCheckpoints(operations, consumer, stream, utc_now)
        source = KinesisSource(
            connect(endpoint_url=endpoint_url, region=region), stream, store, start_at=start_at.value
        )
        _run(
            stream,
            source,
            (batch_size, batch_seconds),
            (health_host, health_port),
            sources,
            compress=compress,
            live=live,
            score=score,
        )


@app.command()
def kafka(
    brokers: Annotated[str, typer.Option(help="host:port, several with commas.")],
    topics: Annotated[list[str], typer.Option("--topic", help="Topic, or a pattern that begins with ^.")],
    group: Annotated[str, typer.Option(help="Consumer group.")] = "energy",
    options: Options = None,
    batch_size: BatchSize = 10_000,
    batch_seconds: BatchSeconds = 1.0,
    health_port: HealthPort = 8081,
    health_host: HealthHost = "127.0.0.1",
    sources: SourceNames = None,
    compress: Compress = False,
    live: Live = True,
    score: Score = False,
) -> None:
    """Read Kafka topics (JSON) as a member of a consumer group; offsets are committed after landing."""
    from energy_platform.adapters.kafka import KafkaSource, consumer_config

    settings = get_settings()
    password = settings.kafka_password.get_secret_value() if settings.kafka_password else None
    config = consumer_config(
        brokers, group, username=settings.kafka_username, password=password, options=_pairs(options)
    )
    limits, health = (batch_size, batch_seconds), (health_host, health_port)
    _run(group, KafkaSource(config, topics), limits, health, sources, compress=compress, live=live, score=score)


@app.command()
def mqtt(
    topics: Annotated[list[str], typer.Option("--topic", help="Topic filter, such as esp32/pub or meters/+/pub.")],
    host: Annotated[str, typer.Option(help="The broker.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default 1883, with TLS 8883.")] = None,
    client_id: Annotated[str, typer.Option(help="Names the session; unique at the broker.")] = "energy-platform",
    version: Annotated[MqttVersion, typer.Option(help="Of the protocol.")] = MqttVersion.V311,
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS, with the system's authorities or --ca.")] = False,
    ca: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Authorities to trust.")] = None,
    certificate: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Client certificate.")] = None,
    key: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its private key.")] = None,
    window: Annotated[
        int, typer.Option(min=1, help="Messages the broker sends unacknowledged: mosquitto's max_inflight_messages.")
    ] = 20,
    batch_size: BatchSize = 10_000,
    batch_seconds: BatchSeconds = 1.0,
    health_port: HealthPort = 8081,
    health_host: HealthHost = "127.0.0.1",
    sources: SourceNames = None,
    compress: Compress = False,
    live: Live = True,
    score: Score = False,
) -> None:
    """Read MQTT topics at QoS 1 in a persistent session; messages are acknowledged after landing.

    A payload of an ESP32 meter (a to i) without a timestamp gets the time at which it arrives here.
    """
    from energy_platform.adapters.mqtt import MqttSource

    settings = get_settings()
    broker = named_broker(
        settings,
        host=host,
        port=port,
        client_id=client_id,
        version=version.value,
        certificates=(ca, certificate, key),
        tls=tls,
    )
    source = MqttSource(broker, topics, capacity=2 * batch_size, window=window)
    _run(
        client_id,
        source,
        (batch_size, batch_seconds),
        (health_host, health_port),
        sources,
        compress=compress,
        live=live,
        score=score,
    )


def _run(
    name: str,
    source: "StreamSource",
    limits: tuple[int, float],
    health: tuple[str, int],
    sources: Sequence[str] | None,
    *,
    compress: bool,
    live: bool,
    score: bool,
) -> None:
    """Run one stream until a signal comes; what is held then is landed and acknowledged first."""
    from energy_platform.adapters.landing_batches import SHAPE_SOURCES, LandingBatches
    from energy_platform.streaming.process import BatchLimits, StreamProcess

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    names = _pairs(sources)
    if unknown := sorted(set(names) - set(SHAPE_SOURCES)):
        raise typer.BadParameter(f"--source {unknown[0]}=…: shapes are {', '.join(SHAPE_SOURCES)}")
    landing = LandingBatches(get_settings().landing_path, names, compress=compress)
    with ExitStack() as open_parts:
        hot = open_parts.enter_context(_live_path(names.get("sensors"))) if live else None
        scorer = open_parts.enter_context(open_scorer()) if score else None
        process = StreamProcess(
            name,
            source,
            landing,
            limits=BatchLimits(*limits),
            hot_hooks=[hook for hook in (hot, scorer) if hook is not None],
            on_revoked=hot.forget if hot else lambda: None,
        )
        _serve_until_stopped(name, process, health, landing_root=landing.root, hot=hot, scorer=scorer)


def _serve_until_stopped(
    name: str,
    process: "StreamProcess",
    health: tuple[str, int],
    *,
    landing_root: Path,
    hot: "HotRules | None",
    scorer: "StreamScorer | None",
) -> None:
    """Run the loop, with its health endpoint beside it, until a signal comes."""
    from energy_platform.streaming.health import health_endpoint
    from energy_platform.streaming.process import utc_now

    # What is loaded by now stays for good: left out of every full collection, a batch costs 5 % less.
    gc.collect()
    gc.freeze()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: process.stop())
    host, port = health

    def snapshot() -> dict[str, Any]:
        beside = {"live": hot, "scoring": scorer}
        told = {part: each.snapshot() for part, each in beside.items() if each is not None}
        return process.state.snapshot(utc_now()) | told

    with health_endpoint(snapshot, host=host, port=port) as bound:
        typer.echo(f"{name}: landing in {landing_root}; http://{host}:{bound}/health")
        state = process.run()
    typer.echo(
        f"{name}: stopped after {state.messages} messages in {state.batches} batches: "
        f"{state.accepted} accepted, {state.rejected} rejected"
    )


@contextmanager
def _live_path(sensor_source: str | None) -> "Iterator[HotRules]":
    """Live state, rules and deliveries beside a stream, for the time of a ``with`` block."""
    from energy_platform.adapters.declarations import load_declarations
    from energy_platform.adapters.landing_batches import SHAPE_SOURCES
    from energy_platform.alerting import open_alerting, open_mirrors
    from energy_platform.domain.sources import ReadingsSource
    from energy_platform.streaming.alerting import Deliverer
    from energy_platform.streaming.control import shut_off_on_spike
    from energy_platform.streaming.hot_rules import HotRules
    from energy_platform.streaming.process import utc_now

    settings = get_settings()
    # A source may be declared on the machine that loads alone; its sensors then count as the built-in one's.
    declarations, name = load_declarations(settings.sources), sensor_source or SHAPE_SOURCES["sensors"]
    declared = declarations[name if name in declarations else SHAPE_SOURCES["sensors"]]
    unit = declared.value.unit if isinstance(declared, ReadingsSource) else "kW"
    with open_alerting(settings) as alerting, Deliverer(alerting, now=utc_now) as deliverer:
        hot = HotRules(alerting, now=utc_now, sensor_unit=unit)
        hot.on_changes(lambda _: deliverer.wake())
        hot.on_confirmed_spike(shut_off_on_spike(alerting.operations, now=utc_now))
        with open_mirrors(settings) as mirrors:
            for mirror in mirrors:
                hot.on_averages(mirror.put)
            yield hot


def _pairs(given: Sequence[str] | None) -> dict[str, str]:
    pairs = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise typer.BadParameter(f"'{text}' must be NAME=VALUE")
        pairs[name] = value
    return pairs
