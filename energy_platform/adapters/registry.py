"""The MLflow registry: runs to compare, model versions to load, the alias ``champion``.

Belongs here: how a run, a model and its provenance are written and read back. Does not belong here: what is
told of the alias (champion_alias.py), whether a model deserves it (domain/forecasting/promotion.py).

A training at a cutoff is a parent run with the leaderboard as table and chart; each forecaster is a child
run with the same names of metrics, so that MLflow's compare page puts them side by side. One registered
model a grain holds the versions of all forecasters: the tag ``model`` says which one a version is of.

Everything is explicit (requirements, signature, addresses), because MLflow's own inference of an
environment costs 8 s a model and its default store is a file in the working directory. Models are
a formula in JSON (formula_model.py) with the texts of its members, nothing that has to be unpickled.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
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
from energy_platform.adapters.mlflow_store import MlflowStore
from energy_platform.adapters.registry_records import Formula, RunRecord

__all__ = [
    "CHAMPION",
    "CUTOFF_TAG",
    "FEATURE_HASH_TAG",
    "MODEL_TAG",
    "Formula",
    "Registry",
    "RunRecord",
    "Version",
    "VersionNotFound",
    "git_commit",
]

EXPERIMENT = "meter-day-forecasts"


@dataclass(frozen=True, slots=True)
class Registry(MlflowStore):
    """Runs and versions of forecasters in one MLflow store."""

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
        client = self.client()
        # Not `start_run`: it makes three clients and reads the run back; a training logs six of these.
        run = client.create_run(self.experiment(EXPERIMENT), run_name=record.name)
        run_id = str(run.info.run_id)
        try:
            self.tell(run_id, record, tables=tables or {})
            self._put_files(run_id, files or {})
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id)
        return run_id

    def log_formula(
        self,
        name: str,
        formula: Formula,
        record: RunRecord,
        *,
        files: Mapping[str, str] | None = None,
        description: str,
    ) -> tuple[str, str]:
        """Log a run with a linear model and register it as a new version of ``name``.

        Args:
            name: registered model.
            formula: weights over inputs; what ``mlflow.pyfunc.load_model`` evaluates.
            record: metrics, parameters and tags of the run; the tags go to the version and into the model, too.
            files: further text files by name, such as a member's booster; ``load_files`` gives them back.
            description: the decision in words.

        Returns:
            Run id and version.
        """
        import pandas as pd

        mlflow = self.mlflow()
        inputs = pd.DataFrame([[0.0] * len(formula.inputs)], columns=list(formula.inputs))
        signature = mlflow.models.infer_signature(inputs, np.zeros(1))
        run_name, experiment = record.name, self.experiment(EXPERIMENT)
        with (
            tempfile.TemporaryDirectory() as folder,
            mlflow.start_run(experiment_id=experiment, run_name=run_name) as run,
        ):
            run_id = str(run.info.run_id)
            self.tell(run_id, record, tables={})
            for file, text in {**(files or {}), "formula.json": formula.to_json()}.items():
                (Path(folder) / file).write_text(text, encoding="utf-8")
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("formula_model.py")),
                artifacts={"files": folder},
                signature=signature,
                input_example=inputs,
                pip_requirements=[f"{needed}=={installed_version(needed)}" for needed in ("mlflow", "numpy", "pandas")],
                metadata=dict(record.tags),
            )
        return run_id, self._register(name, logged, run_id, record, description)

    def load_files(self, name: str, version: str) -> dict[str, str]:
        """The text files of one formula version, by name."""
        mlflow = self.mlflow()
        with tempfile.TemporaryDirectory() as folder:
            root = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=folder))
            stored = sorted(path for path in root.glob("artifacts/*/*") if path.is_file())
            return {path.name: path.read_text(encoding="utf-8") for path in stored}

    def versions(self, name: str | None = None) -> list[Version]:
        """Every version, newest first; of all registered models without a name."""
        store = self.embedded()
        # Looking must not make a store, which takes seconds.
        return [] if store is not None and not store.exists() else alias.versions(self.client(), name)

    def version(self, name: str, version: str) -> Version:
        """One version.

        Raises:
            VersionNotFound: there is none of that number.
        """
        return alias.version(self.client(), name, version)

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
        client = self.client()
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
        alias.withdraw(self.client(), name, reason=reason)
        return True

    def rollback(self, name: str, *, reason: str, feature_hash: str | None = None) -> tuple[str | None, str | None]:
        """Give the alias back to the champion before.

        Returns:
            The version that was champion and the one that is now; None stands for seasonal naive.

        Raises:
            VersionNotFound: there is no champion and never was one.
            FeaturesChanged: the champion before expects other inputs than today's code makes.
        """
        return alias.rollback(self.client(), name, reason=reason, feature_hash=feature_hash)

    def champion_cutoff(self, name: str) -> date | None:
        """The cutoff of the version with the alias ``champion``; None when there is none."""
        holder = alias.champion(self.client(), name)
        return None if holder is None else date.fromisoformat(holder.tags[CUTOFF_TAG])

    def _register(self, name: str, logged: Any, run_id: str, record: RunRecord, description: str) -> str:
        """A logged model as a new version; the tags and the metrics that people look for go with it."""
        client = self.client()
        self.ensure_model(name)
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

    def _put_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Files beside a run."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.write_bytes(content)
                self.client().log_artifact(run_id, str(path))


def git_commit(folder: Path) -> str:
    """The commit that ``folder`` is checked out at; ``unknown`` outside of a git work tree."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    found = subprocess.run(  # noqa: S603  # fixed arguments
        [git, "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else "unknown"
