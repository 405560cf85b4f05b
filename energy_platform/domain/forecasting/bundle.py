"""What a training leaves behind: the trained members, their weights, everybody's bands. One registry version.

Belongs here: its text form, and which forecaster of it can be asked. Does not belong here: training it
(training.py), which of its forecasts is issued (issuing.py), where it is kept (adapters/registry.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from energy_platform.domain.forecasting.forecasters import FORECASTERS, combination, lightgbm
from energy_platform.domain.forecasting.history import DaySeries
from energy_platform.domain.forecasting.intervals import ResidualBands, with_band
from energy_platform.domain.forecasting.protocol import Fitted

# What the registry calls it, whichever forecaster of a version is issued.
REGISTERED_MODEL = "meter-day"
_BANDS_FILE = "bands.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Trained forecasters of one cutoff.

    Args:
        members: by name; those of the combination.
        weights: of the members in the combination.
        bands: residual bands by forecaster, of naive ones too.
    """

    members: Mapping[str, Fitted]
    weights: Mapping[str, float]
    bands: Mapping[str, ResidualBands]

    @property
    def trees(self) -> lightgbm.LightGBM:
        """The member whose forecasts can be explained."""
        found = self.members[lightgbm.NAME]
        if not isinstance(found, lightgbm.LightGBM):
            raise TypeError(f"{lightgbm.NAME} is {type(found).__name__}")
        return found

    def forecasts(self, rows: pl.DataFrame, series: DaySeries) -> dict[str, pl.DataFrame]:
        """``rows`` with ``p10_kwh``, ``p50_kwh``, ``p90_kwh`` by every forecaster that learnt something.

        Raises:
            FeaturesChanged: a member was trained on other inputs than this code makes.
        """
        medians = {name: member.predict(rows, series) for name, member in self.members.items()}
        medians[combination.NAME] = combination.combined(medians, self.weights)
        return {
            name: with_band(rows.with_columns(median.alias("p50_kwh")), self.bands[name])
            for name, median in medians.items()
        }

    def texts(self) -> dict[str, str]:
        """All of it as text files by name; ``from_texts`` makes the same of them."""
        bands = {name: json.loads(found.to_json()) for name, found in self.bands.items()}
        files = {_BANDS_FILE: json.dumps(bands, sort_keys=True)}
        for member in self.members.values():
            files |= member.texts()
        return files | combination.weights_texts(self.weights)

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Bundle:
        """The bundle that ``texts`` wrote.

        Raises:
            FeaturesChanged: a member was trained on other inputs than this code makes.
        """
        weights = combination.weights_of(texts)
        members = {name: FORECASTERS[name].restore(texts) for name in weights}
        bands = {
            name: ResidualBands.from_json(json.dumps(found)) for name, found in json.loads(texts[_BANDS_FILE]).items()
        }
        return cls(members, weights, bands)
