"""published/exports: CSV and report under the names that the earlier system's readers know.

Belongs here: where the files go. Which rows they hold: serving/exports.py.
"""

import uuid
from pathlib import Path

import dagster as dg

from energy_platform.adapters.published import Published
from energy_platform.adapters.s3 import bucket_and_prefix, put_objects
from energy_platform.defs.metadata import FRESHNESS, OWNERS
from energy_platform.defs.resources import s3_client
from energy_platform.serving.earlier_exports import earlier_files
from energy_platform.serving.exports import export_tables
from energy_platform.settings import Settings

KEY = dg.AssetKey(["published", "exports"])
REPORT = "reports/energy_report.html"


@dg.asset(
    key=KEY,
    group_name="published",
    deps=[["published", "generation"], ["reports", "energy_report"]],
    kinds={"csv"},
    owners=OWNERS,
    freshness_policy=FRESHNESS,
    description=(
        "processed/, forecast/ and anomalies/<source>.csv of every source that has a drop prefix, its train and test "
        "folders and predictions.txt below earlier/<source>/, and the report: below <home>/exports; in the bucket of the "
        "landing zone, when it is one; below exports/ beside the published tables, when they are in a bucket. Names are "
        "stable, so a new flow replaces them."
    ),
)
def exports(settings: dg.ResourceParam[Settings], published: dg.ResourceParam[Published]) -> dg.MaterializeResult[None]:
    """Write the files, and copy them to the buckets."""
    current = published.current()
    files: dict[str, bytes] = {}
    with current.connect() as connection:
        for source in sorted({source for source in settings.drop_prefixes.values() if source}):
            for name, frame in export_tables(connection, source).items():
                files[f"{name}/{source}.csv"] = frame.write_csv().encode()
            for name, content in earlier_files(connection, source).items():
                files[f"earlier/{source}/{name}"] = content
    files[REPORT] = (settings.reports_path / "latest.html").read_bytes()
    for name, content in files.items():
        _write_whole(settings.exports_path / name, content)
    places = _places(settings)
    for bucket, prefix in places:
        put_objects(s3_client(settings), bucket, {prefix + name: content for name, content in files.items()})
    return dg.MaterializeResult(
        metadata={
            "files": sorted(files),
            "folder": dg.MetadataValue.path(str(settings.exports_path)),
            "buckets": [f"s3://{bucket}/{prefix}" for bucket, prefix in places],
            "generation": current.generation_id,
        }
    )


@dg.asset_check(asset=KEY, description="Each export is there, and the report in it is the newest.")
def exports_are_there(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Compare what is in the folder with what was to be written."""
    report = settings.exports_path / REPORT
    is_newest = report.is_file() and report.read_bytes() == (settings.reports_path / "latest.html").read_bytes()
    empty = [path.name for path in settings.exports_path.rglob("*.csv") if not path.stat().st_size]
    return dg.AssetCheckResult(passed=is_newest and not empty, metadata={"empty_files": empty})


def _places(settings: Settings) -> list[tuple[str, str]]:
    """Buckets and key prefixes that get the files: where the earlier system's readers look, and beside the tables."""
    places = []
    if settings.landing is not None and settings.landing_on_s3:
        places.append((bucket_and_prefix(settings.landing)[0], ""))
    if settings.published is not None and settings.published_on_s3:
        bucket, prefix = bucket_and_prefix(settings.published)
        places.append((bucket, f"{prefix}exports/"))
    return places


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside, then replace: nobody opens half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_bytes(content)
    temporary.replace(path)
