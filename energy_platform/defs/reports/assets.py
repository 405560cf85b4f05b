"""reports/energy_report: one self-contained page a generation.

Belongs here: where a report is kept. What it says and how it looks: serving/report.
"""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from energy_platform.adapters.published import Published
from energy_platform.defs.metadata import FRESHNESS, OWNERS
from energy_platform.settings import Settings

KEY = dg.AssetKey(["reports", "energy_report"])
LATEST = "latest.html"


@dg.asset(
    key=KEY,
    group_name="reports",
    deps=[["published", "generation"]],
    kinds={"altair", "html"},
    owners=OWNERS,
    freshness_policy=FRESHNESS,
    description=(
        "One HTML page that asks no other place for anything: usage, hour-of-day profiles, forecasts against actual, "
        "anomalies, accuracy, data quality. Every figure names the table and rows behind it."
    ),
)
def energy_report(
    settings: dg.ResourceParam[Settings], published: dg.ResourceParam[Published]
) -> dg.MaterializeResult[None]:
    """Write the report of the current generation, and a copy of it as the latest."""
    from energy_platform.serving.report import build_report, summary_sentences

    now = datetime.now(UTC).replace(tzinfo=None)
    current = published.current()
    html = build_report(current, now=now)
    path = settings.reports_path / current.generation_id / "energy_report.html"
    write_whole(path, html)
    write_whole(settings.reports_path / LATEST, html)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.url((settings.reports_path / LATEST).as_uri()),
            "path": dg.MetadataValue.path(str(path)),
            "generation": current.generation_id,
            "summary": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in summary_sentences(html))),
            "bytes": len(html.encode()),
        }
    )


def write_whole(path: Path, text: str) -> None:
    """Write beside, then replace: nobody opens half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
