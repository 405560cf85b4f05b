"""Checks of the finished report, made by reading it back."""

from collections.abc import Iterator

import dagster as dg

from energy_platform.adapters.published import Published
from energy_platform.defs.reports.assets import KEY, LATEST
from energy_platform.settings import Settings

SECTIONS = dg.AssetCheckSpec("has_every_section", asset=KEY, description="No section of the report is missing.")
REQUESTS = dg.AssetCheckSpec(
    "asks_no_other_place", asset=KEY, description="Nothing makes a browser load from elsewhere."
)
FIGURES = dg.AssetCheckSpec("figures_agree_with_tables", asset=KEY, description="Every figure is what its source says.")


@dg.multi_asset_check(specs=[SECTIONS, REQUESTS, FIGURES], name="energy_report_checks")
def energy_report_checks(
    settings: dg.ResourceParam[Settings], published: dg.ResourceParam[Published]
) -> Iterator[dg.AssetCheckResult]:
    """Read the latest report, and recompute each figure from the current generation."""
    from energy_platform.serving.report import check

    html = (settings.reports_path / LATEST).read_text(encoding="utf-8")
    found = check.read_report(html)
    results = (
        (SECTIONS, check.missing_sections(found)),
        (REQUESTS, list(found.requests)),
        (FIGURES, check.wrong_figures(found, published.current())),
    )
    for spec, faults in results:
        yield dg.AssetCheckResult(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=not faults,
            metadata={"figures": len(found.figures), "faults": dg.MetadataValue.json(faults[:50])},
        )
