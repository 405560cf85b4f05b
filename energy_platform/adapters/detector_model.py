"""What MLflow runs when somebody loads the detectors of a cutoff (``mlflow.pyfunc.load_model``).

Belongs here: the frame of a pyfunc model around ``detectors.pickle``. Does not belong here: how versions are
written and read by the platform (detector_registry.py). Where it runs, the platform must be installed.
"""

import pickle
from pathlib import Path
from typing import Any

import mlflow


class DetectorModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow ships no types that are read here
    """Detectors and their severity over household days."""

    def load_context(self, context: Any) -> None:
        """Read what was fitted."""
        content = Path(context.artifacts["detectors"]).read_bytes()
        self.severity = pickle.loads(content)  # noqa: S301  # a pickle is what MLflow keeps models of scikit-learn in

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  # MLflow takes hints for a schema
        """Combined score of each row of ``HOUSEHOLD_DAYS`` (a polars frame)."""
        return self.severity.score(model_input).combined


mlflow.models.set_model(DetectorModel())
