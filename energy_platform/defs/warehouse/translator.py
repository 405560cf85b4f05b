"""How a dbt model becomes an asset: derived from its folder and its yml, never listed by name."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from energy_platform.defs.metadata import FRESHNESS, OWNERS


class LayerTranslator(DagsterDbtTranslator):
    """A model's key is [layer folder, model name] and its group the layer; a source keeps the key of its yml."""

    def __init__(self) -> None:
        # Off by default: tests on lake tables would not show up as checks.
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The asset of one model or source."""
        spec: dg.AssetSpec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        if props["resource_type"] == "source":
            return spec
        layer = props["fqn"][1]
        named = spec.replace_attributes(
            key=dg.AssetKey([layer, props["name"]]),
            group_name=layer,
            owners=OWNERS,
            description=props["description"],
        )
        fresh: dg.AssetSpec = dg.apply_freshness_policy(named, FRESHNESS)
        return fresh
