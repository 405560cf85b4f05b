"""``energy stream learn``, and scoring as an option of every stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from energy_platform.settings import get_settings

if TYPE_CHECKING:
    from energy_platform.streaming.scoring import RegisteredModels, StreamScorer

Score = Annotated[
    bool, typer.Option("--score/--no-score", help="Score every event by the detectors that `learn` registered.")
]
# The newest version of each reading, in the last days of its own meters' history.
_HISTORY_SQL = """
WITH chosen AS (SELECT meter_id, channel, site_id FROM lake.meters WHERE source = ?),
history AS (
    SELECT r.meter_id, r.channel, r.interval_start_utc AS event_at_utc, 'energy_kwh' AS quantity, r.energy_kwh AS value
    FROM lake.readings AS r SEMI JOIN chosen USING (meter_id, channel)
    WHERE r.quality = 'measured'
    QUALIFY row_number() OVER (PARTITION BY r.meter_id, r.channel, r.interval_start_utc ORDER BY r.available_at_utc DESC) = 1
)
SELECT * FROM history
WHERE event_at_utc >= (SELECT max(event_at_utc) FROM history) - to_days(CAST(? AS INTEGER))
ORDER BY event_at_utc, meter_id, channel
"""
_SITES_SQL = "SELECT DISTINCT meter_id, site_id FROM lake.meters WHERE source = ?"


def learn(
    source: Annotated[str, typer.Option(help="Source whose published readings are learned from.")] = "stream_readings",
    days: Annotated[int, typer.Option(min=1, max=3_660, help="How many of its newest days.")] = 28,
) -> None:
    """Fit the detectors of the stream on published readings and make them champion in MLflow.

    Running streams with --score take them over within seconds.
    """
    from energy_platform.commands.output import console
    from energy_platform.domain.scoring.bundle import learn as learn_detectors
    from energy_platform.serving.published import open_published

    with open_published(get_settings()).current().connect() as connection:
        events = connection.execute(_HISTORY_SQL, [source, days]).pl()
        site_of = dict(connection.execute(_SITES_SQL, [source]).fetchall())
    models = learn_detectors(events, site_of)
    cutoff = (models.learned_until_utc + timedelta(days=1)).date()
    version = open_store().register(models, cutoff=cutoff, events=events.height)
    for note in models.notes:
        console.print(note, highlight=False)
    console.print(f"version {version} is champion: learned on {events.height:,} readings of {source} before {cutoff}")


def open_store() -> "RegisteredModels":
    """The bundles in the registry of this installation."""
    from energy_platform.adapters.detector_registry import DetectorRegistry
    from energy_platform.streaming.scoring import RegisteredModels

    settings = get_settings()
    artifacts = None if settings.mlflow_tracking_uri else settings.artifacts_uri
    return RegisteredModels(DetectorRegistry(settings.tracking_uri, artifacts))


@contextmanager
def open_scorer() -> "Iterator[StreamScorer]":
    """A scorer that writes anomalous events below ``ENERGY_HOME/scored``, for the time of a ``with`` block."""
    from energy_platform.adapters.scored_events import ScoredEvents
    from energy_platform.streaming.process import utc_now
    from energy_platform.streaming.scoring import ScoredBatch, StreamScorer

    kept = ScoredEvents(get_settings().home_path / "scored")

    def keep(found: ScoredBatch) -> None:
        kept.append(found.anomalous, scored_at_utc=found.scored_at_utc)

    with StreamScorer(open_store(), [keep], now=utc_now) as scorer:
        yield scorer
