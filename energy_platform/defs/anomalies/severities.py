"""anomalies/severities, anomalies/episodes: how bad each of the newest days looks, why, and what belongs together.

Belongs here: reading, calling, writing. How days are judged: domain/anomalies/severity.py and episodes.py.

Each day is judged by the newest detectors whose cutoff is not after it. Of every source the newest ``AGAIN_DAYS``
days are judged again in each run, so that a late or corrected reading counts; days before them, up to
``JUDGED_DAYS``, once. Older rows stay as they were judged, and only what changes is written.
"""

import pickle
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl

from energy_platform.adapters.detector_registry import DetectorRegistry
from energy_platform.adapters.registry import Registry
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.defs.anomalies.days import read_days
from energy_platform.defs.anomalies.detectors import REGISTERED_MODEL
from energy_platform.defs.metadata import markdown_table, row_count, table_spec
from energy_platform.domain.anomalies.episodes import SAME_EPISODE_DAYS, severity_rows, with_episodes
from energy_platform.domain.anomalies.records import ALL
from energy_platform.domain.anomalies.severity import NAME, Severity
from energy_platform.domain.columns import FORECASTS, METER_DAYS, SOURCE_CLOCKS
from energy_platform.domain.columns.anomalies import ANOMALY_TABLES, DETECTORS, EPISODES, RECORDS, SEVERITIES

KEY = dg.AssetKey([SEVERITIES.schema, SEVERITIES.name])
EPISODES_KEY = dg.AssetKey([EPISODES.schema, EPISODES.name])
JUDGED_DAYS = 35
AGAIN_DAYS = 14
# Before the first judged day: what lasts, and levels that had shifted before (severity.py).
CONTEXT_DAYS = 28
_READ = (METER_DAYS, SOURCE_CLOCKS, FORECASTS, DETECTORS, RECORDS)


@dg.multi_asset(
    name="anomalies_severities",
    specs=[
        table_spec(
            SEVERITIES,
            description="All detectors as one calibrated severity, with the reason in words and the evidence.",
            kinds={"sklearn", "lightgbm"},
            deps=[[table.schema, table.name] for table in _READ],
        ),
        table_spec(
            EPISODES,
            description="What is the matter for days is one row with its first and last day.",
            kinds={"polars"},
            deps=[[table.schema, table.name] for table in _READ],
        ),
    ],
    pool="warehouse",
)
def anomalies_severities(
    warehouse: dg.ResourceParam[Warehouse], registry: dg.ResourceParam[Registry]
) -> Iterator[dg.MaterializeResult[None]]:
    """Judge the newest days of every source, and gather all anomalous days into episodes."""
    warehouse.ensure_tables(ANOMALY_TABLES)
    doors = DetectorRegistry(registry.tracking_uri, registry.artifacts_uri)
    now = datetime.now(UTC).replace(tzinfo=None)
    versions = warehouse.read(
        f"SELECT DISTINCT cutoff_date, model_version FROM {DETECTORS.full_name} WHERE model_version IS NOT NULL ORDER BY 1"
    )
    clocks = warehouse.read(f"SELECT source, newest_complete_day FROM {SOURCE_CLOCKS.full_name} ORDER BY source")
    paging = may_page(warehouse)
    before = warehouse.read(f"SELECT DISTINCT source, cutoff_date FROM {SEVERITIES.full_name}")
    made = [pl.DataFrame(schema=SEVERITIES.polars_schema)]
    redone, reached = ["false"], ["false"]
    for newest, whose in clocks.group_by("newest_complete_day", maintain_order=True):
        sources = whose["source"].to_list()
        names = ", ".join(f"'{name}'" for name in sources)
        done = before.filter(pl.col("source").is_in(sources))["cutoff_date"].to_list()
        for cutoff, version, first, last in spans(versions, end=newest[0] + timedelta(days=1), judged=done):
            days = read_days(warehouse, first=first - timedelta(days=CONTEXT_DAYS), end=last, sources=sources)
            severity: Severity = pickle.loads(doors.load(REGISTERED_MODEL, version))  # noqa: S301  # its SHA-256 was compared
            told = severity_rows(
                days,
                severity,
                since=first,
                cutoff=cutoff,
                version=version,
                may_page=paging.get(cutoff, False),
                now_utc=now,
            )
            made.append(told)
            redone.append(f"source IN ({names}) AND local_date >= DATE '{first}' AND local_date < DATE '{last}'")
            reached.append(f"source IN ({names}) AND last_date >= DATE '{first}' - {SAME_EPISODE_DAYS}")
    judged = pl.concat(made)
    put(warehouse, judged, redone=" OR ".join(redone), reached=" OR ".join(reached))
    rows, alarms = warehouse.read(f"SELECT count(*), count(*) FILTER (is_anomalous) FROM {SEVERITIES.full_name}").row(0)
    episodes = warehouse.read(f"SELECT * FROM {EPISODES.full_name} ORDER BY last_date DESC, severity DESC")
    yield dg.MaterializeResult(
        asset_key=KEY, metadata={**row_count(rows), "anomalous_days": alarms, "judged_now": judged.height}
    )
    yield dg.MaterializeResult(
        asset_key=EPISODES_KEY,
        metadata={
            **row_count(episodes.height),
            "newest": markdown_table(
                episodes, columns=["meter_id", "cause", "first_date", "last_date", "severity", "reason"]
            ),
        },
    )


def put(warehouse: Warehouse, judged: pl.DataFrame, *, redone: str, reached: str) -> None:
    """Write days that were judged; what happened long before them stays as it is.

    Args:
        warehouse: where to.
        judged: rows of ``anomalies.severities`` without episodes.
        redone: in SQL, which severities they replace.
        reached: in SQL, which episodes they may end, prolong or join: those that are near enough.
    """
    of_episode = f"episode_id IN (SELECT episode_id FROM {EPISODES.full_name} WHERE {reached})"
    old = warehouse.read(f"SELECT * FROM {SEVERITIES.full_name} WHERE {of_episode} AND NOT ({redone})")
    severities, episodes = with_episodes(pl.concat([old.cast(SEVERITIES.polars_schema), judged]))
    warehouse.replace_all([(SEVERITIES, severities, f"{redone} OR {of_episode}"), (EPISODES, episodes, reached)])


def spans(versions: pl.DataFrame, *, end: date, judged: Collection[date] = ()) -> list[tuple[date, str, date, date]]:
    """Which detectors judge which of the newest days.

    Args:
        versions: cutoff_date and model_version, oldest first.
        end: the day after the newest.
        judged: cutoffs whose detectors have judged before.

    Returns:
        Cutoff, version, first day and the day after the last of each.
    """
    found = []
    begin = end - timedelta(days=JUDGED_DAYS)
    cutoffs = [row for row in versions.iter_rows() if row[0] < end]
    for number, (cutoff, version) in enumerate(cutoffs):
        until = cutoffs[number + 1][0] if number + 1 < len(cutoffs) else end
        first = max(cutoff, begin)
        is_due = until > end - timedelta(days=AGAIN_DAYS) or cutoff not in judged
        if first < until and is_due:
            found.append((cutoff, version, first, until))
    return found


def may_page(warehouse: Warehouse) -> dict[date, bool]:
    """Whether the severity's own record allows paging, by cutoff."""
    rows = warehouse.read(
        f"SELECT cutoff_date, may_page FROM {RECORDS.full_name} WHERE detector = ? AND fault = ? AND magnitude = 0",
        [NAME, ALL],
    )
    return dict(rows.iter_rows())


@dg.asset_check(asset=KEY, pool="warehouse")
def severities_say_why(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Every row has a reason, an alarm has an episode, and only alarms page."""
    broken = warehouse.read(f"""SELECT * FROM {SEVERITIES.full_name}
        WHERE reason = '' OR is_anomalous <> (episode_id IS NOT NULL) OR (may_page AND NOT is_anomalous) LIMIT 20""")
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})


@dg.asset_check(asset=EPISODES_KEY, pool="warehouse")
def episodes_hold_their_days(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """An episode has as many anomalous days as severities name it for, all between its first and last."""
    broken = warehouse.read(f"""
        SELECT e.episode_id, e.anomalous_days, count(*) AS days
        FROM {EPISODES.full_name} AS e
        LEFT JOIN {SEVERITIES.full_name} AS s
            ON s.episode_id = e.episode_id AND s.local_date BETWEEN e.first_date AND e.last_date
        GROUP BY ALL HAVING days <> e.anomalous_days LIMIT 20""")
    return dg.AssetCheckResult(passed=broken.is_empty(), metadata={"broken": markdown_table(broken)})
