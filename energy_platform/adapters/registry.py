"""The MLflow registry: runs to compare, model versions to load, the alias ``champion``.

Belongs here: how a run, a model and its provenance are written and read back. Does not belong here: what is
told of the alias (champion_alias.py), whether a model deserves it (domain/forecasting/promotion.py).

A training at a cutoff is a parent run with the leaderboard as table and chart; each forecaster is a child
run with the same names of metrics, so that MLflow's compare page puts them side by side. One registered
model a grain holds the versions of all forecasters: the tag ``model`` says which one a version is of.

Everything is explicit (requirements, signature, addresses), because MLflow's own inference of an
environment costs 8 s a model and its default store is a file in the working directory. Models are
native LightGBM text or a formula in JSON (formula_model.py), nothing that has to be unpickled. MLflow
is imported when first used: 3 to 5 s.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np

from energy_platform.adapters import champion_alias as alias
from energy_platform.adapters.champion_alias import (
    CHAMPION,
    CUTOFF_TAG,
    FEATURE_HASH_TAG,
    MODEL_TAG,
    VERSION_METRICS,
    Version,
    VersionNotFound,
)
from energy_platform.adapters.registry_records import Formula, LoadedFiles, LoadedModel, RunRecord

__all__ = [
    "CHAMPION",
    "CUTOFF_TAG",
    "FEATURE_HASH_TAG",
    "MODEL_TAG",
    "Formula",
    "LoadedFiles",
    "LoadedModel",
    "Registry",
    "RunRecord",
    "Version",
    "VersionNotFound",
    "git_commit",
]

EXPERIMENT = "meter-day-forecasts"
# Without it the UI takes every experiment for one of language models and opens on an empty page of traces.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
_PARENT = "mlflow.parentRunId"
# By address: to make one opens the store, 25 ms, and a training logs some sixty things.
_CLIENTS: dict[str, Any] = {}
# By address, too: looked up once a process, not once a run.
_EXPERIMENTS: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Registry:
    """One MLflow tracking store and registry.

    Args:
        tracking_uri: ``sqlite:///…`` or the address of a server.
        artifacts_uri: where artifacts of an embedded store go; None leaves it to the server.
    """

    tracking_uri: str
    artifacts_uri: str | None = None

    def log_run(
        self,
        record: RunRecord,
        *,
        tables: Mapping[str, Mapping[str, list[Any]]] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """Log a run without a model: the baseline, or the parent of a training.

        Args:
            record: what it tells.
            tables: columns by table name; MLflow shows each as a table.
            files: bytes by file name: a chart as PNG or SVG is shown as a picture.

        Returns:
            The run's id.
        """
        client = self._client()
        # Not `start_run`: it makes three clients and reads the run back; a training logs six of these.
        run = client.create_run(self._experiment(), run_name=record.name)
        run_id = str(run.info.run_id)
        try:
            self._log(run_id, record)
            for name, columns in (tables or {}).items():
                client.log_table(run_id, dict(columns), f"{name}.json")
            self._put_files(run_id, files or {})
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id)
        return run_id

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
        """Log a run with its LightGBM model and register the model as a new version of ``name``.

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
        return run_id, self._register(name, logged, run_id, record, description)

    def log_formula(
        self,
        name: str,
        formula: Formula,
        record: RunRecord,
        *,
        files: Mapping[str, str] | None = None,
        metadata: Mapping[str, str],
        description: str,
    ) -> tuple[str, str]:
        """Log a run with a linear model and register it as a new version of ``name``.

        Args:
            name: registered model.
            formula: weights over inputs; what ``mlflow.pyfunc.load_model`` evaluates.
            record: as for ``log_model``.
            files: further text files by name, such as a member's booster; ``load_files`` gives them back.
            metadata: what a reader of the model needs besides it.
            description: the decision in words.

        Returns:
            Run id and version.
        """
        import pandas as pd

        mlflow = self._mlflow()
        inputs = pd.DataFrame([[0.0] * len(formula.inputs)], columns=list(formula.inputs))
        signature = mlflow.models.infer_signature(inputs, np.zeros(1))
        run_name, experiment = record.name, self._experiment()
        with (
            tempfile.TemporaryDirectory() as folder,
            mlflow.start_run(experiment_id=experiment, run_name=run_name) as run,
        ):
            run_id = str(run.info.run_id)
            self._log(run_id, record)
            for file, text in {**(files or {}), "formula.json": formula.to_json()}.items():
                (Path(folder) / file).write_text(text, encoding="utf-8")
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("formula_model.py")),
                artifacts={"files": folder},
                signature=signature,
                input_example=inputs,
                pip_requirements=[f"{needed}=={installed_version(needed)}" for needed in ("mlflow", "numpy")],
                metadata=dict(metadata),
            )
        return run_id, self._register(name, logged, run_id, record, description)

    def load(self, name: str, version: str) -> LoadedModel:
        """The LightGBM model of one version, with the metadata it was logged with."""
        mlflow = self._mlflow()
        uri = f"models:/{name}/{version}"
        return LoadedModel(mlflow.lightgbm.load_model(uri), self._metadata(uri))

    def load_files(self, name: str, version: str) -> LoadedFiles:
        """The text files of one formula version, with the metadata it was logged with."""
        mlflow = self._mlflow()
        uri = f"models:/{name}/{version}"
        with tempfile.TemporaryDirectory() as folder:
            root = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
            stored = sorted(path for path in root.glob("artifacts/*/*") if path.is_file())
            files = {path.name: path.read_text(encoding="utf-8") for path in stored}
        return LoadedFiles(files, self._metadata(uri))

    def versions(self, name: str | None = None) -> list[Version]:
        """Every version, newest first; of all registered models without a name."""
        store = self._embedded_store()
        # Looking must not make a store, which takes seconds.
        return [] if store is not None and not store.exists() else alias.versions(self._client(), name)

    def version(self, name: str, version: str) -> Version:
        """One version.

        Raises:
            VersionNotFound: there is none of that number.
        """
        return alias.version(self._client(), name, version)

    def promote(
        self,
        name: str,
        version: str,
        *,
        cutoff: date,
        reason: str = "",
        feature_hash: str | None = None,
        forecaster: str | None = None,
        force: bool = False,
    ) -> bool:
        """Give ``version`` the alias ``champion``, unless the champion knows newer days.

        Args:
            name: registered model.
            version: the one to be champion.
            cutoff: of the decision.
            reason: shown with the version and on the model's page.
            feature_hash: inputs that today's code makes; a version that expects others is refused.
            forecaster: the one that is champion, where a version holds several.
            force: also over a champion that knows newer days: a person decides.

        Returns:
            Whether the alias points to ``version`` now. A backfill of old cutoffs leaves it alone.

        Raises:
            FeaturesChanged: the version was trained on other inputs.
            VersionNotFound: there is none of that number.
        """
        current = self.champion_cutoff(name)
        if current is not None and current > cutoff and not force:
            return False
        client = self._client()
        alias.crown(client, name, version, reason=reason, feature_hash=feature_hash, forecaster=forecaster)
        return True

    def demote(self, name: str, *, cutoff: date, reason: str) -> bool:
        """Take the alias away, so that seasonal naive is issued; a champion that knows newer days stays.

        Returns:
            Whether there was a champion to demote.
        """
        current = self.champion_cutoff(name)
        if current is None or current > cutoff:
            return False
        alias.withdraw(self._client(), name, reason=reason)
        return True

    def rollback(self, name: str, *, reason: str, feature_hash: str | None = None) -> tuple[str | None, str | None]:
        """Give the alias back to the champion before.

        Returns:
            The version that was champion and the one that is now; None stands for seasonal naive.

        Raises:
            VersionNotFound: there is no champion and never was one.
            FeaturesChanged: the champion before expects other inputs than today's code makes.
        """
        return alias.rollback(self._client(), name, reason=reason, feature_hash=feature_hash)

    def champion_cutoff(self, name: str) -> date | None:
        """The cutoff of the version with the alias ``champion``; None when there is none."""
        holder = alias.champion(self._client(), name)
        return None if holder is None else date.fromisoformat(holder.tags[CUTOFF_TAG])

    def _register(self, name: str, logged: Any, run_id: str, record: RunRecord, description: str) -> str:
        """A logged model as a new version; the tags and the metrics that people look for go with it."""
        client = self._client()
        self._ensure_model(client, name)
        told = {key: f"{record.metrics[key]:.6g}" for key in VERSION_METRICS if key in record.metrics}
        made = client.create_model_version(
            name,
            logged.model_uri,
            run_id,
            tags={**told, **record.tags},
            description=description,
            model_id=logged.model_id,
        )
        return str(made.version)

    def _metadata(self, uri: str) -> dict[str, str]:
        """What a model was logged with besides itself."""
        metadata = self._mlflow().models.get_model_info(uri).metadata or {}
        return {key: str(value) for key, value in metadata.items()}

    def _put_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Files beside a run."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.write_bytes(content)
                self._client().log_artifact(run_id, str(path))

    def _embedded_store(self) -> Path | None:
        """The file of an embedded store; None for a server."""
        prefix = "sqlite:///"
        return Path(self.tracking_uri.removeprefix(prefix)) if self.tracking_uri.startswith(prefix) else None

    def _mlflow(self) -> Any:
        import mlflow
        import mlflow.environment_variables
        import mlflow.lightgbm
        import mlflow.models
        import mlflow.pyfunc

        # Migrations and run links are no news to somebody who asked for a forecast.
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It misses pip in environments that uv made, although the requirements are given to it.
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
        store = self._embedded_store()
        if store is not None:
            store.parent.mkdir(parents=True, exist_ok=True)
        # A bar a file on the terminal of whoever asked for a forecast.
        mlflow.environment_variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        return mlflow

    def _client(self) -> Any:
        if self.tracking_uri not in _CLIENTS:
            _CLIENTS[self.tracking_uri] = self._mlflow().MlflowClient(self.tracking_uri, self.tracking_uri)
        return _CLIENTS[self.tracking_uri]

    def _experiment(self) -> str:
        if self.tracking_uri not in _EXPERIMENTS:
            client = self._client()
            found = client.get_experiment_by_name(EXPERIMENT)
            _EXPERIMENTS[self.tracking_uri] = str(
                found.experiment_id
                if found is not None
                else client.create_experiment(EXPERIMENT, self.artifacts_uri, tags=_MODEL_TRAINING)
            )
        return _EXPERIMENTS[self.tracking_uri]

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
        tags = dict(record.tags) | ({_PARENT: record.parent_run_id} if record.parent_run_id else {})
        self._client().log_batch(
            run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in record.metrics.items()],
            params=[Param(name, str(value)) for name, value in record.params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
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
