import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from energy_platform.adapters.registry import Formula, Registry, RunRecord, VersionNotFound, git_commit
from energy_platform.domain.errors import FeaturesChanged

NAME = "meter-day-test"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    home = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{home / 'deep' / 'mlflow.db'}", (home / "artifacts").as_uri())


def record(cutoff: date, **more: Any) -> RunRecord:
    tags = {"cutoff": cutoff.isoformat(), "feature_hash": "abc", "model": "lightgbm", **more.pop("tags", {})}
    return RunRecord(name=f"test {cutoff}", tags=tags, **more)


def log(registry: Registry, told: RunRecord, name: str = NAME, description: str = "it won") -> tuple[str, str]:
    return registry.log_formula(name, Formula(["ridge_kwh"], [1.0]), told, description=description)


def test_a_version_tells_its_provenance_signature_metrics_and_requirements(registry: Registry) -> None:
    import mlflow

    told = record(date(2013, 7, 8), metrics={"mae_kwh": 1.5, "rmse_kwh": 2.5}, params={"seed": 7})
    run_id, version = log(registry, told)
    client = mlflow.MlflowClient(registry.tracking_uri, registry.tracking_uri)
    kept = client.get_model_version(NAME, version)
    assert (kept.description, kept.tags["cutoff"], kept.run_id) == ("it won", "2013-07-08", run_id)
    run = client.get_run(run_id).data
    assert run.metrics == {"mae_kwh": 1.5, "rmse_kwh": 2.5}
    assert run.params["seed"] == "7"
    assert run.tags["feature_hash"] == "abc"
    info = mlflow.models.get_model_info(f"models:/{NAME}/{version}")
    assert info.signature.inputs.input_names() == ["ridge_kwh"]
    assert info.metadata["feature_hash"] == "abc"
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{version}"))
    assert "mlflow==" in (folder / "requirements.txt").read_text()


def test_the_champion_is_the_newest_cutoff_and_a_backfill_leaves_it(registry: Registry) -> None:
    versions = {cutoff: log(registry, record(cutoff))[1] for cutoff in (date(2014, 1, 6), date(2013, 12, 30))}
    assert registry.promote(NAME, versions[date(2014, 1, 6)], cutoff=date(2014, 1, 6))
    assert not registry.promote(NAME, versions[date(2013, 12, 30)], cutoff=date(2013, 12, 30))
    assert registry.champion_cutoff(NAME) == date(2014, 1, 6)


def test_a_model_that_nobody_registered_has_no_champion(registry: Registry) -> None:
    assert registry.champion_cutoff("nobody") is None


def test_a_run_without_a_model_is_logged_beside_the_others(registry: Registry) -> None:
    import mlflow

    run_id = registry.log_run(RunRecord(name="naive", metrics={"mae_kwh": 2.0}))
    run = mlflow.MlflowClient(registry.tracking_uri).get_run(run_id)
    assert run.data.metrics == {"mae_kwh": 2.0}
    assert run.info.status == "FINISHED"


def test_the_commit_is_unknown_outside_of_a_work_tree(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == "unknown"


def test_a_training_is_a_parent_run_with_a_table_and_a_chart_and_its_forecasters_are_children(
    registry: Registry,
) -> None:
    import mlflow

    leaderboard = {"model": ["test", "naive"], "mae_kwh": [1.5, 2.0]}
    parent = registry.log_run(
        RunRecord(name="training 2013-07-01"), tables={"leaderboard": leaderboard}, files={"leaderboard.svg": b"<svg/>"}
    )
    child = registry.log_run(RunRecord(name="naive", metrics={"mae_kwh": 2.0}, parent_run_id=parent))
    told = record(date(2013, 7, 1), metrics={"mae_kwh": 1.5, "skill": 0.25}, parent_run_id=parent)
    run_id, version = log(registry, told, "meter-day-children")
    client = mlflow.MlflowClient(registry.tracking_uri)
    assert {file.path for file in client.list_artifacts(parent)} == {"leaderboard.json", "leaderboard.svg"}
    experiment = client.get_run(parent).info.experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")
    assert {run.info.run_id for run in found} == {child, run_id}
    assert {frozenset(run.data.metrics) & {"mae_kwh"} for run in found} == {frozenset({"mae_kwh"})}
    assert registry.version("meter-day-children", version).metrics == {"mae_kwh": 1.5, "skill": 0.25}


def test_a_formula_comes_back_with_its_files_and_runs_without_pickle(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd

    formula = Formula(["lightgbm_kwh", "ridge_kwh"], [0.75, 0.25])
    told = record(date(2013, 7, 1), tags={"model": "combination"})
    name, files = "meter-day-formula", {"lightgbm.txt": "tree"}
    _, version = registry.log_formula(name, formula, told, files=files, description="new")
    assert registry.load_files(name, version) == {**files, "formula.json": formula.to_json()}
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    model = mlflow.pyfunc.load_model(f"models:/meter-day-formula/{version}")
    rows = pd.DataFrame({"lightgbm_kwh": [4.0, None, -90.0], "ridge_kwh": [8.0, 8.0, 0.0]})
    assert model.predict(rows).tolist() == [5.0, pytest.approx(math.nan, nan_ok=True), 0.0]
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/meter-day-formula/{version}"))
    assert not list(folder.rglob("*.pkl"))
    assert registry.version("meter-day-formula", version).forecaster == "combination"


def named(registry: Registry, name: str, count: int) -> list[str]:
    """Versions of one model, one a week, each trained on features ``hash-<number>``."""
    made = []
    for number in range(count):
        tags = {"feature_hash": f"hash-{number}"}
        told = record(date(2013, 7, 1 + 7 * number), metrics={"mae_kwh": 2.0 - number / 10}, tags=tags)
        made.append(log(registry, told, name, f"week {number}")[1])
    return made


def test_the_registry_tells_who_is_champion_why_and_who_was_before(registry: Registry) -> None:
    import mlflow

    name = "meter-day-story"
    first, second, third = named(registry, name, 3)
    assert registry.promote(name, first, cutoff=date(2013, 7, 1), reason="it beat naive")
    assert registry.promote(name, third, cutoff=date(2013, 7, 15), reason="it beat the first", forecaster="combination")
    rows = registry.versions(name)
    assert [(row.version, row.is_champion) for row in rows] == [(third, True), (second, False), (first, False)]
    assert rows[0].reason == "it beat the first"
    assert rows[1].reason == "week 1"
    assert (rows[0].cutoff, rows[0].forecaster, rows[0].metrics) == (date(2013, 7, 15), "combination", {"mae_kwh": 1.8})
    client = mlflow.MlflowClient(registry.tracking_uri, registry.tracking_uri)
    assert client.get_model_version(name, third).tags["champion_before"] == first
    assert "it beat the first" in client.get_registered_model(name).description


def test_going_back_goes_to_the_champion_before_and_at_last_to_naive(registry: Registry) -> None:
    name = "meter-day-back"
    first, second, third = named(registry, name, 3)
    for number, version in enumerate((first, second, third)):
        registry.promote(name, version, cutoff=date(2013, 7, 1 + 7 * number), reason="better")
    assert registry.rollback(name, reason="looks odd") == (third, second)
    assert registry.version(name, third).reason == "looks odd"
    assert registry.rollback(name, reason="still odd") == (second, first)
    assert registry.rollback(name, reason="odder") == (first, None)
    assert registry.champion_cutoff(name) is None
    assert registry.rollback(name, reason="it was fine") == (None, first)
    with pytest.raises(VersionNotFound, match="no champion"):
        registry.rollback("nobody", reason="why not")


def test_a_champion_with_other_features_is_refused(registry: Registry) -> None:
    name = "meter-day-features"
    first, second = named(registry, name, 2)
    with pytest.raises(FeaturesChanged, match="hash-0"):
        registry.promote(name, first, cutoff=date(2013, 7, 1), feature_hash="hash-1")
    assert registry.champion_cutoff(name) is None
    registry.promote(name, first, cutoff=date(2013, 7, 1))
    registry.promote(name, second, cutoff=date(2013, 7, 8), feature_hash="hash-1")
    with pytest.raises(FeaturesChanged):
        registry.rollback(name, reason="odd", feature_hash="hash-1")
    assert registry.champion_cutoff(name) == date(2013, 7, 8)


def test_a_champion_steps_down_but_not_for_an_older_cutoff(registry: Registry) -> None:
    name = "meter-day-down"
    first, second = named(registry, name, 2)
    registry.promote(name, second, cutoff=date(2013, 7, 8))
    assert not registry.demote(name, cutoff=date(2013, 7, 1), reason="old news")
    assert registry.promote(name, first, cutoff=date(2013, 7, 1), force=True)
    assert registry.demote(name, cutoff=date(2013, 7, 15), reason="no skill over naive")
    assert registry.champion_cutoff(name) is None
    assert not registry.demote(name, cutoff=date(2013, 7, 22), reason="again")
    with pytest.raises(VersionNotFound, match="no version 99"):
        registry.promote(name, "99", cutoff=date(2013, 7, 15))


def test_a_server_that_is_away_is_not_taken_for_a_registry_without_a_champion(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = Registry("http://127.0.0.1:9")
    for ask in (
        lambda: away.champion_cutoff(NAME),
        lambda: away.demote(NAME, cutoff=date(2014, 1, 6), reason="no skill"),
        lambda: away.rollback(NAME, reason="odd"),
        lambda: away.version(NAME, "1"),
    ):
        with pytest.raises(MlflowException, match="Max retries exceeded"):
            ask()
