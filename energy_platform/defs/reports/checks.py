"""Checks of the finished report, made by reading it back."""

from collections.abc import Iterator

import dagster as dg

from energy_platform.adapters.published import Published
from energy_platform.defs.reports.assets import KEY, LATEST
from energy_platform.settings import Settings

SPECS = [
    dg.AssetCheckSpec("has_every_section", asset=KEY, description="No section of the report is missing."),
    dg.AssetCheckSpec("asks_no_other_place", asset=KEY, description="Nothing makes a browser load from elsewhere."),
    dg.AssetCheckSpec("figures_agree_with_tables", asset=KEY, description="Every figure is what its source says."),
]


@dg.multi_asset_check(specs=SPECS, name="energy_report_checks")
def energy_report_checks(
    settings: dg.ResourceParam[Settings], published: dg.ResourceParam[Published]
) -> Iterator[dg.AssetCheckResult]:
    """Read the latest report, and recompute each figure from the current generation."""
    from energy_platform.serving.report.check import read_report, report_faults

    found = read_report((settings.reports_path / LATEST).read_text(encoding="utf-8"))
    faults = report_faults(found, published.current())
    for spec in SPECS:
        yield dg.AssetCheckResult(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=not faults[spec.name],
            metadata={"figures": len(found.figures), "faults": dg.MetadataValue.json(faults[spec.name][:50])},
        )
