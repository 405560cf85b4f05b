"""A model that is a formula in JSON: MLflow loads this file as code, so nothing has to be unpickled.

Belongs here: what MLflow runs when somebody loads such a version (``mlflow.pyfunc.load_model``). Does not
belong here: how versions are written and read by the platform (registry.py). It imports nothing of the
platform, because MLflow copies the file beside the model and runs it where the platform may not be.

The formula is linear: weights over named inputs, the medians of a combination's members. Where an input is
missing, so is the answer.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

FORMULA = "formula.json"


class FormulaModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow ships no types that are read here
    """Weights over columns, read from ``formula.json``."""

    def load_context(self, context: Any) -> None:
        """Read the formula."""
        folder = Path(context.artifacts["files"])
        self.formula = json.loads((folder / FORMULA).read_text(encoding="utf-8"))

    # MLflow warns on the terminal where the input has no hint, and takes any hint but this one for a schema.
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002
        """One number a row, never negative: energy of a consumption meter."""
        values = model_input[self.formula["inputs"]].to_numpy(dtype=float)
        return np.maximum(values @ np.array(self.formula["weights"]), 0.0)


mlflow.models.set_model(FormulaModel())
