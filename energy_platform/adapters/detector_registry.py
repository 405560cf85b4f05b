"""Fitted detectors in MLflow: one run and one model version a cutoff, with all of them in it.

Belongs here: how a version is written and read back. Does not belong here: what is in it (domain/anomalies),
the versions of forecasters (registry.py).

The model's folder is written beside the store and copied whole (0.1 s of CPU; ``log_model`` of the fluent
interface costs 2.8 s a run). It holds a pickle, as MLflow keeps scikit-learn's models; its SHA-256 stands with
the version, and other bytes are not loaded.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from energy_platform.adapters.champion_alias import CHAMPION, CUTOFF_TAG, VersionNotFound
from energy_platform.adapters.registry_records import RunRecord
from energy_platform.domain.errors import DetectorInput

EXPERIMENT = "anomaly-detectors"
SHA_TAG = "detectors_sha256"
_FILE = "detectors.pickle"
_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
_CLIENTS: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class DetectorRegistry:
    """Versions of fitted detectors in one MLflow store.

    Args:
        tracking_uri: ``sqlite:///…`` or the address of a server.
        artifacts_uri: where artifacts of an embedded store go; None leaves it to the server.
    """

    tracking_uri: str
    artifacts_uri: str | None = None

    def log(
        self,
        name: str,
        content: bytes,
        record: RunRecord,
        *,
        tables: Mapping[str, Mapping[str, list[Any]]] | None = None,
        description: str,
    ) -> tuple[str, str]:
        """Log a run with its detectors, register them as a new version of ``name`` and make the newest cutoff champion.

        Args:
            name: registered model.
            content: the pickle.
            record: what the run tells; its tags go to the version, the cutoff among them.
            tables: columns by table name, shown with the run.
            description: shown with the version.

        Returns:
            Run id and version.
        """
        from mlflow.entities import Metric, Param, RunTag

        client = self._client()
        run = client.create_run(self._experiment(), run_name=record.name)
        run_id = str(run.info.run_id)
        tags = {**record.tags, SHA_TAG: hashlib.sha256(content).hexdigest()}
        now = int(time.time() * 1000)
        try:
            client.log_batch(
                run_id,
                metrics=[Metric(key, float(value), now, 0) for key, value in record.metrics.items()],
                params=[Param(key, str(value)[:500]) for key, value in record.params.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )
            for table, columns in (tables or {}).items():
                client.log_table(run_id, dict(columns), f"{table}.json")
            with tempfile.TemporaryDirectory() as folder:
                client.log_artifacts(run_id, str(self._model_folder(Path(folder), content)), "model")
            version = self._register(name, f"{run.info.artifact_uri}/model", run_id, tags, description)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id)
        return run_id, version

    def load(self, name: str, version: str) -> bytes:
        """The pickle of a version.

        Raises:
            VersionNotFound: there is none of that number.
            DetectorInput: the file is not what was registered.
        """
        from mlflow.exceptions import MlflowException

        try:
            told = self._client().get_model_version(name, version)
        except MlflowException as error:
            raise VersionNotFound(f"{name} has no version {version}: {str(error).splitlines()[0]}") from None
        import mlflow

        with tempfile.TemporaryDirectory() as folder:
            found = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=folder)
            content = next(Path(found).rglob(_FILE)).read_bytes()
        if hashlib.sha256(content).hexdigest() != told.tags.get(SHA_TAG):
            raise DetectorInput(
                f"version {version} of {name} holds other bytes than were registered, so it is not loaded. "
                "Train the cutoff again (job train in Dagster)."
            )
        return content

    def champion(self, name: str) -> str | None:
        """The version with the alias ``champion``, that of the newest cutoff; None without one."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self._client().get_model_version_by_alias(name, CHAMPION).version)
        except MlflowException:
            return None

    def _register(self, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str) -> str:
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            client.get_registered_model(name)
        except MlflowException:
            client.create_registered_model(name)
        made = client.create_model_version(name, source, run_id, tags=dict(tags), description=description)
        holder = self.champion(name)
        newest = "" if holder is None else client.get_model_version(name, holder).tags.get(CUTOFF_TAG, "")
        if tags[CUTOFF_TAG] >= newest:
            client.set_registered_model_alias(name, CHAMPION, made.version)
        return str(made.version)

    def _model_folder(self, folder: Path, content: bytes) -> Path:
        """The model as MLflow keeps it."""
        import mlflow.pyfunc

        (folder / _FILE).write_bytes(content)
        mlflow.pyfunc.save_model(
            str(folder / "model"),
            python_model=str(Path(__file__).with_name("detector_model.py")),
            artifacts={"detectors": str(folder / _FILE)},
            pip_requirements=[
                f"{needed}=={installed_version(needed)}" for needed in ("mlflow", "scikit-learn", "lightgbm", "polars")
            ],
        )
        return folder / "model"

    def _client(self) -> Any:
        if self.tracking_uri not in _CLIENTS:
            import mlflow
            import mlflow.environment_variables

            for noisy in ("alembic", "mlflow"):
                logging.getLogger(noisy).setLevel(logging.WARNING)
            logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
            mlflow.environment_variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
            if self.tracking_uri.startswith("sqlite:///"):
                Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(self.tracking_uri)
            mlflow.set_registry_uri(self.tracking_uri)
            _CLIENTS[self.tracking_uri] = mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)
        return _CLIENTS[self.tracking_uri]

    def _experiment(self) -> str:
        client = self._client()
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment(EXPERIMENT, self.artifacts_uri, tags=_TRAINING))
