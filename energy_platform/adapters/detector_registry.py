"""Fitted detectors in MLflow: one run and one model version a cutoff, with all of them in it.

Belongs here: how a version is written and read back. Does not belong here: what is in it (domain/anomalies),
the versions of forecasters (registry.py).

The model's folder is written beside the store and copied whole (0.1 s of CPU; ``log_model`` of the fluent
interface costs 2.8 s a run). It holds a pickle, as MLflow keeps scikit-learn's models; its SHA-256 stands with
the version, and other bytes are not loaded.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from energy_platform.adapters.champion_alias import CHAMPION, CUTOFF_TAG, VersionNotFound, champion
from energy_platform.adapters.mlflow_store import MlflowStore, found
from energy_platform.adapters.registry_records import RunRecord
from energy_platform.domain.errors import DetectorInput

EXPERIMENT = "anomaly-detectors"
SHA_TAG = "detectors_sha256"
_FILE = "detectors.pickle"


@dataclass(frozen=True, slots=True)
class DetectorRegistry(MlflowStore):
    """Versions of fitted detectors in one MLflow store."""

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
        client = self.client()
        run = client.create_run(self.experiment(EXPERIMENT), run_name=record.name)
        run_id = str(run.info.run_id)
        tags = {**record.tags, SHA_TAG: hashlib.sha256(content).hexdigest()}
        try:
            self.tell(run_id, replace(record, tags=tags), tables=tables or {})
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
        client = self.client()
        told = found(lambda: client.get_model_version(name, version))
        if told is None:
            raise VersionNotFound(f"{name} has no version {version}.")
        with tempfile.TemporaryDirectory() as folder:
            root = self.mlflow().artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=folder)
            content = next(Path(root).rglob(_FILE)).read_bytes()
        if hashlib.sha256(content).hexdigest() != told.tags.get(SHA_TAG):
            raise DetectorInput(
                f"version {version} of {name} holds other bytes than were registered, so it is not loaded. "
                "Train the cutoff again (job train in Dagster)."
            )
        return content

    def champion(self, name: str) -> str | None:
        """The version with the alias ``champion``, that of the newest cutoff; None without one."""
        holder = champion(self.client(), name)
        return None if holder is None else str(holder.version)

    def _register(self, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str) -> str:
        client = self.client()
        self.ensure_model(name)
        made = client.create_model_version(name, source, run_id, tags=dict(tags), description=description)
        holder = champion(client, name)
        newest = "" if holder is None else holder.tags.get(CUTOFF_TAG, "")
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
