"""The MLflow registry: runs to compare, model versions to load, the alias ``champion``.

Belongs here: how a run, a model and its provenance are written and read back. Does not belong here:
whether a model deserves the alias (domain/forecasting/training.py).

Everything is explicit (requirements, signature, addresses), because MLflow's own inference of an
environment costs 8 s a model and its default store is a file in the working directory. Models are
native LightGBM text, nothing that has to be unpickled. MLflow is imported when first used: 3 to 5 s.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np

CHAMPION = "champion"
EXPERIMENT = "meter-day-forecasts"
# Without it the UI takes every experiment for one of language models and opens on an empty page of traces.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
FEATURE_HASH_TAG = "feature_hash"
CUTOFF_TAG = "cutoff"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run tells.

    Args:
        name: shown in the UI: model and cutoff.
        metrics: by name; logged in one batch.
        params: by name.
        tags: provenance: cutoff, feature hash, newest data, commit, seed.
    """

    name: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model version: the native booster and what was kept with it."""

    booster: Any
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Registry:
    """One MLflow tracking store and registry.

    Args:
        tracking_uri: ``sqlite:///…`` or the address of a server.
        artifacts_uri: where artifacts of an embedded store go; None leaves it to the server.
    """

    tracking_uri: str
    artifacts_uri: str | None = None

    def log_run(self, record: RunRecord) -> str:
        """Log a run without a model (the baseline).

        Returns:
            The run's id.
        """
        mlflow = self._mlflow()
        with mlflow.start_run(experiment_id=self._experiment(), run_name=record.name) as run:
            self._log(run.info.run_id, record)
            return str(run.info.run_id)

    def log_model(
        self,
        name: str,
        booster: Any,
        record: RunRecord,
        *,
        example: np.ndarray[Any, Any],
        metadata: Mapping[str, str],
        description: str,
    ) -> tuple[str, str]:
        """Log a run with its model and register the model as a new version of ``name``.

        Args:
            name: registered model.
            booster: native LightGBM booster.
            record: metrics, parameters and tags of the run; the tags go to the version too.
            example: a few rows of input, with the columns that ``booster.feature_name()`` names.
            metadata: what a reader of the model needs besides it, kept in the model itself.
            description: the decision in words, shown with the version.

        Returns:
            Run id and version.
        """
        import pandas as pd

        mlflow = self._mlflow()
        inputs = pd.DataFrame(example, columns=booster.feature_name())
        signature = mlflow.models.infer_signature(inputs, booster.predict(example))
        with mlflow.start_run(experiment_id=self._experiment(), run_name=record.name) as run:
            run_id = str(run.info.run_id)
            self._log(run_id, record)
            logged = mlflow.lightgbm.log_model(
                booster,
                name="model",
                signature=signature,
                input_example=inputs,
                pip_requirements=[f"lightgbm=={installed_version('lightgbm')}"],
                metadata=dict(metadata),
            )
        client = self._client()
        self._ensure_model(client, name)
        made = client.create_model_version(
            name, logged.model_uri, run_id, tags=dict(record.tags), description=description, model_id=logged.model_id
        )
        return run_id, str(made.version)

    def load(self, name: str, version: str) -> LoadedModel:
        """The model of one version, with the metadata it was logged with."""
        mlflow = self._mlflow()
        uri = f"models:/{name}/{version}"
        metadata = mlflow.models.get_model_info(uri).metadata or {}
        return LoadedModel(mlflow.lightgbm.load_model(uri), {key: str(value) for key, value in metadata.items()})

    def promote(self, name: str, version: str, *, cutoff: date) -> bool:
        """Give ``version`` the alias ``champion``, unless the champion knows newer days.

        Returns:
            Whether the alias points to ``version`` now. A backfill of old cutoffs leaves it alone.
        """
        client = self._client()
        current = self.champion_cutoff(name)
        if current is not None and current > cutoff:
            return False
        client.set_registered_model_alias(name, CHAMPION, version)
        return True

    def champion_cutoff(self, name: str) -> date | None:
        """The cutoff of the version with the alias ``champion``; None when there is none."""
        from mlflow.exceptions import MlflowException

        try:
            holder = self._client().get_model_version_by_alias(name, CHAMPION)
        except MlflowException:
            return None
        return date.fromisoformat(holder.tags[CUTOFF_TAG])

    def _mlflow(self) -> Any:
        import mlflow
        import mlflow.lightgbm
        import mlflow.models

        # Migrations and run links are no news to somebody who asked for a forecast.
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It misses pip in environments that uv made, although the requirements are given to it.
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        return mlflow

    def _client(self) -> Any:
        return self._mlflow().MlflowClient(self.tracking_uri, self.tracking_uri)

    def _experiment(self) -> str:
        client = self._client()
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment(EXPERIMENT, self.artifacts_uri, tags=_MODEL_TRAINING))

    @staticmethod
    def _ensure_model(client: Any, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.get_registered_model(name)
        except MlflowException:
            client.create_registered_model(name)

    def _log(self, run_id: str, record: RunRecord) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        self._client().log_batch(
            run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in record.metrics.items()],
            params=[Param(name, str(value)) for name, value in record.params.items()],
            tags=[RunTag(name, value) for name, value in record.tags.items()],
        )


def git_commit(folder: Path) -> str:
    """The commit that ``folder`` is checked out at; ``unknown`` outside of a git work tree."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    found = subprocess.run(  # noqa: S603  # fixed arguments
        [git, "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else "unknown"
