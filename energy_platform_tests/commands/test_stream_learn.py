"""`energy stream learn` on real homes: from published readings to the champion that a stream loads."""

from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from energy_platform.adapters.published import Published
from energy_platform.cli import app
from energy_platform.commands.stream_scoring import open_scorer, open_store
from energy_platform.domain.columns import TABLES
from energy_platform.domain.errors import DetectorInput
from energy_platform.domain.events import parse_events
from energy_platform.domain.scoring.bundle import OF_A_PANEL
from energy_platform.domain.scoring.panels import events_of
from energy_platform_tests.conftest import using_home
from energy_platform_tests.serving.sample_warehouse import build_sample_warehouse

EVENTS = [
    b'{"meter_id":"uk-home-1-electricity","interval_start":"2023-01-05T10:00:00Z","interval_minutes":60,"energy_kwh":70}',
    b'{"meter_id":"uk-home-1-gas","interval_start":"2023-01-05T10:00:00Z","interval_minutes":60,"energy_kwh":0.4}',
]


def test_detectors_are_learned_registered_loaded_by_the_stream_and_not_opened_when_the_file_was_changed(
    tmp_path: Path,
) -> None:
    import mlflow

    with using_home(tmp_path) as settings:
        warehouse = build_sample_warehouse(settings.warehouse_path, days=20)
        with warehouse.transaction() as connection:
            Published(settings.published_path).publish(connection, TABLES, facts={}, now=datetime(2026, 3, 4))
        said = CliRunner().invoke(app, ["stream", "learn", "--source", "uk_home_1", "--days", "15"])
        assert said.exit_code == 0, said.output
        assert "version 1 is champion" in said.output
        store = open_store()
        assert store.champion() == "1"
        (panel,) = store.load("1").panels
        # Gas and electricity of one home are judged together.
        assert panel.panel.inputs == (
            ("uk-home-1-electricity", "main", "energy_kwh"),
            ("uk-home-1-gas", "main", "energy_kwh"),
        )
        assert set(panel.detectors) == set(OF_A_PANEL)

        with open_scorer() as scorer:
            scorer.reload()
            batch = parse_events(EVENTS, received_at_utc=datetime(2023, 1, 6))
            scorer(batch)
        assert scorer.snapshot()["version"] == "1"
        assert scorer.snapshot()["scores"] == 2 + len(OF_A_PANEL)
        (written,) = (tmp_path / "scored").rglob("*.ndjson")
        assert '"event_at_utc":"2023-01-05T10:00:00.000000Z"' in written.read_text()
        by_mlflow = mlflow.pyfunc.load_model(f"models:/{store.name}/1").predict(events_of(batch))
        assert len(by_mlflow) == 2 + len(OF_A_PANEL)

        for file in tmp_path.rglob("*.pickle"):
            file.write_bytes(file.read_bytes() + b".")
        with pytest.raises(DetectorInput, match="other bytes than were registered"):
            store.load("1")


def test_a_source_without_readings_is_refused_in_words(tmp_path: Path) -> None:
    with using_home(tmp_path) as settings:
        warehouse = build_sample_warehouse(settings.warehouse_path, days=2)
        with warehouse.transaction() as connection:
            Published(settings.published_path).publish(connection, TABLES, facts={}, now=datetime(2026, 3, 4))
        said = CliRunner().invoke(app, ["stream", "learn", "--source", "nobody"])
        assert isinstance(said.exception, DetectorInput)
        assert "nothing to learn from" in str(said.exception)
