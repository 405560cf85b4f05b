from datetime import date
from pathlib import Path

import numpy as np
import pytest

from energy_platform.adapters.registry import Registry, RunRecord, git_commit

NAME = "meter-day-test"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    home = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{home / 'deep' / 'mlflow.db'}", (home / "artifacts").as_uri())


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def booster(data: np.ndarray):
    import lightgbm

    dataset = lightgbm.Dataset(data, data @ [1.0, 2.0, 3.0], feature_name=["a", "b", "c"])
    return lightgbm.train({"verbosity": -1, "num_threads": 1}, dataset, num_boost_round=5)


def log(registry: Registry, booster, data: np.ndarray, cutoff: date) -> tuple[str, str]:
    record = RunRecord(
        name=f"test {cutoff}",
        metrics={"mae_kwh": 1.5, "rmse_kwh": 2.5},
        params={"seed": 7},
        tags={"cutoff": cutoff.isoformat(), "feature_hash": "abc"},
    )
    return registry.log_model(
        NAME, booster, record, example=data[:3], metadata={"feature_hash": "abc"}, description="it won"
    )


def test_a_model_comes_back_as_it_was_with_what_was_kept_beside_it(
    registry: Registry, booster, data: np.ndarray
) -> None:
    _, version = log(registry, booster, data, date(2013, 7, 1))
    loaded = registry.load(NAME, version)
    assert loaded.booster.predict(data).tolist() == booster.predict(data).tolist()
    assert loaded.metadata["feature_hash"] == "abc"


def test_a_version_tells_its_provenance_signature_metrics_and_requirement(
    registry: Registry, booster, data: np.ndarray
) -> None:
    import mlflow

    run_id, version = log(registry, booster, data, date(2013, 7, 8))
    client = mlflow.MlflowClient(registry.tracking_uri, registry.tracking_uri)
    told = client.get_model_version(NAME, version)
    assert (told.description, told.tags["cutoff"], told.run_id) == ("it won", "2013-07-08", run_id)
    run = client.get_run(run_id).data
    assert run.metrics == {"mae_kwh": 1.5, "rmse_kwh": 2.5}
    assert run.params["seed"] == "7"
    assert run.tags["feature_hash"] == "abc"
    info = mlflow.models.get_model_info(f"models:/{NAME}/{version}")
    assert info.signature.inputs.input_names() == ["a", "b", "c"]
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{version}"))
    assert "lightgbm==" in (folder / "requirements.txt").read_text()
    assert not list(folder.rglob("*.pkl"))


def test_the_champion_is_the_newest_cutoff_and_a_backfill_leaves_it(
    registry: Registry, booster, data: np.ndarray
) -> None:
    versions = {cutoff: log(registry, booster, data, cutoff)[1] for cutoff in (date(2014, 1, 6), date(2013, 12, 30))}
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
