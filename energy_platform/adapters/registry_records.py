"""What goes into the registry and comes back: runs, formulas, loaded models.

Belongs here: records alone. Does not belong here: MLflow (registry.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
class LoadedModel:
    """A model version: the native booster and what was kept with it."""

    booster: Any
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Formula:
    """A linear model in words: ``sum(weight * input) + intercept``, at least 0.

    Args:
        inputs: names of the columns.
        weights: one an input.
        intercept: the constant.
        fill: what a missing input counts as; 0 without.
    """

    inputs: Sequence[str]
    weights: Sequence[float]
    intercept: float = 0.0
    fill: Sequence[float] = ()

    def to_json(self) -> str:
        """The formula as ``formula.json`` holds it."""
        fill = list(self.fill) or [0.0] * len(self.inputs)
        told = {"inputs": list(self.inputs), "weights": list(self.weights), "intercept": self.intercept, "fill": fill}
        return json.dumps(told, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Formula:
        """The formula that ``to_json`` wrote."""
        told = json.loads(text)
        return cls(told["inputs"], told["weights"], told["intercept"], told["fill"])


@dataclass(frozen=True, slots=True)
class LoadedFiles:
    """A formula version: its text files by name, ``formula.json`` among them, and what was kept with it."""

    files: Mapping[str, str]
    metadata: Mapping[str, str]
