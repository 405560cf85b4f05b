"""What MLflow runs when somebody loads the detectors of a cutoff (``mlflow.pyfunc.load_model``).

Belongs here: the frame of a pyfunc model around ``detectors.pickle``. Does not belong here: how versions are
written and read by the platform (detector_registry.py). Where it runs, the platform must be installed.
"""

import pickle
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import polars as pl

from energy_platform.domain.scoring.bundle import Scoring, StreamModels


class DetectorModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow ships no types that are read here
    """Detectors and their severity over household days, or those of a stream's events."""

    def load_context(self, context: Any) -> None:
        """Read what was fitted."""
        content = Path(context.artifacts["detectors"]).read_bytes()
        self.fitted = pickle.loads(content)  # noqa: S301  # a pickle is what MLflow keeps models of scikit-learn in

    # MLflow warns on the terminal where the input has no hint, and takes any hint but this one for a schema.
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002
        """The combined score of each row of ``HOUSEHOLD_DAYS``; of a stream's events ``SCORED``, a frame of pandas.

        Rows may be a frame of pandas or polars.
        """
        given: Any = model_input
        rows = given if isinstance(given, pl.DataFrame) else pl.from_pandas(given)
        if isinstance(self.fitted, StreamModels):
            scoring = Scoring(self.fitted)
            return pl.concat([scoring.score(rows), scoring.drain()]).to_pandas()
        return self.fitted.score(rows).combined


mlflow.models.set_model(DetectorModel())
