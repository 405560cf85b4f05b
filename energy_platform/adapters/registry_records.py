"""What goes into the registry: runs and formulas.

Belongs here: records alone. Does not belong here: MLflow (registry.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run tells.

    Args:
        name: shown in the UI: model and cutoff.
        metrics: by name; logged in one batch.
        params: by name.
        tags: provenance: cutoff, feature hash, newest data, commit, seed.
        parent_run_id: the run of the training that this one is a part of.
    """

    name: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parent_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Formula:
    """A linear model in words: ``sum(weight * input)``, at least 0.

    Args:
        inputs: names of the columns.
        weights: one an input.
    """

    inputs: Sequence[str]
    weights: Sequence[float]

    def to_json(self) -> str:
        """The formula as ``formula.json`` holds it."""
        return json.dumps({"inputs": list(self.inputs), "weights": list(self.weights)}, indent=1)
