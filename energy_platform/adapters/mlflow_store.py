"""One MLflow tracking store and registry: its client, its experiments, its registered models.

Belongs here: what every kind of run and version needs. Does not belong here: what a run tells of forecasts
(registry.py) or detectors (detector_registry.py).

MLflow is imported when first used: 3 to 5 s.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from energy_platform.adapters.registry_records import RunRecord

T = TypeVar("T")

# Without it the UI takes every experiment for one of language models and opens on an empty page of traces.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
_PARENT = "mlflow.parentRunId"
# The embedded store says the second where an alias points nowhere. Anything else, such as INTERNAL_ERROR of a
# server that is away, is no answer: taken for "there is none", it would crown over a champion.
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# By address: to make one opens the store, 25 ms, and a training logs some sixty things.
_CLIENTS: dict[str, Any] = {}
# By address and name, too: looked up once a process, not once a run.
_EXPERIMENTS: dict[tuple[str, str], str] = {}


def found(look: Callable[[], T]) -> T | None:
    """What ``look`` finds in MLflow; None where MLflow says that there is no such thing.

    Raises:
        mlflow.exceptions.MlflowException: anything else, such as a server that does not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        return look()
    except MlflowException as error:
        if error.error_code not in _MISSING:
            raise
        return None


def _is_not_of_a_signature(record: logging.LogRecord) -> bool:
    return "Failed to infer model signature" not in record.getMessage()


@dataclass(frozen=True, slots=True)
class MlflowStore:
    """One MLflow tracking store and registry.

    Args:
        tracking_uri: ``sqlite:///…`` or the address of a server.
        artifacts_uri: where artifacts of an embedded store go; None leaves it to the server.
    """

    tracking_uri: str
    artifacts_uri: str | None = None

    def embedded(self) -> Path | None:
        """The file of an embedded store; None for a server."""
        prefix = "sqlite:///"
        return Path(self.tracking_uri.removeprefix(prefix)) if self.tracking_uri.startswith(prefix) else None

    def mlflow(self) -> Any:
        """The library, pointed at this store and quiet."""
        import mlflow
        import mlflow.environment_variables
        import mlflow.models
        import mlflow.pyfunc

        # Migrations and run links are no news to somebody who asked for a forecast.
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It misses pip in environments that uv made, although the requirements are given to it.
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
        # A signature of MLflow has no word for the detectors' rows.
        logging.getLogger("mlflow.pyfunc").addFilter(_is_not_of_a_signature)
        store = self.embedded()
        if store is not None:
            store.parent.mkdir(parents=True, exist_ok=True)
        # A bar a file on the terminal of whoever asked for a forecast.
        mlflow.environment_variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        return mlflow

    def client(self) -> Any:
        """The client of this store."""
        if self.tracking_uri not in _CLIENTS:
            _CLIENTS[self.tracking_uri] = self.mlflow().MlflowClient(self.tracking_uri, self.tracking_uri)
        return _CLIENTS[self.tracking_uri]

    def experiment(self, name: str) -> str:
        """The id of an experiment, made when it is not there."""
        key = self.tracking_uri, name
        if key not in _EXPERIMENTS:
            client = self.client()
            there = client.get_experiment_by_name(name)
            _EXPERIMENTS[key] = str(
                client.create_experiment(name, self.artifacts_uri, tags=_MODEL_TRAINING)
                if there is None
                else there.experiment_id
            )
        return _EXPERIMENTS[key]

    def ensure_model(self, name: str) -> None:
        """Make the registered model where there is none of that name."""
        client = self.client()
        if found(lambda: client.get_registered_model(name)) is None:
            client.create_registered_model(name)

    def tell(self, run_id: str, record: RunRecord, *, tables: Mapping[str, Mapping[str, list[Any]]]) -> None:
        """What a run tells: metrics, parameters and tags in one batch, and columns by table name."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        tags = dict(record.tags) | ({_PARENT: record.parent_run_id} if record.parent_run_id else {})
        self.client().log_batch(
            run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in record.metrics.items()],
            params=[Param(name, str(value)) for name, value in record.params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        for table, columns in tables.items():
            self.client().log_table(run_id, dict(columns), f"{table}.json")
