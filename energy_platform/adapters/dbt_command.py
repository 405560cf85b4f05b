"""dbt in this process: one command on the warehouse that the environment names, and what became of each node.

Belongs here: running dbt and leaving nothing of it behind. Does not belong here: where the project is and when it is
parsed (defs/warehouse/project.py), what becomes of a result (defs/warehouse/assets.py).

A process of its own would import dbt again, 2 s of CPU that Dagster's integration has spent already, and would parse the
project anew in every new home, 4 s more: dbt holds its parsed state to be out of date where the path of the warehouse is
another, though no model depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The events that tell what became of a model or a test.
_RESULTS = frozenset({"LogModelResult", "LogTestResult"})


@dataclass(frozen=True, slots=True)
class DbtOutcome:
    """What one command did.

    Args:
        results: what became of each node, as dbt's structured log tells it.
        errors: what dbt says went wrong, a failed test among it; empty when nothing did.
    """

    results: tuple[dict[str, Any], ...]
    errors: tuple[str, ...]


def run_dbt(command: Sequence[str], *, project_dir: Path, parsed: Path, target_dir: Path) -> DbtOutcome:
    """Run one dbt command to its end.

    Args:
        command: such as ``["build", "--full-refresh"]``.
        project_dir: the project, with its ``profiles.yml``.
        parsed: ``partial_parse.msgpack`` of that project as it stands.
        target_dir: where dbt writes compiled SQL and its log.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import cleanup_connections, reset_adapters
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.functions import msg_to_dict

    results: list[dict[str, Any]] = []
    errors: list[str] = []

    def on_event(event: Any) -> None:
        if event.info.name in _RESULTS:
            results.append(msg_to_dict(event))
        if event.info.level == "error" and event.info.name != "MainStackTrace":
            errors.append(event.info.msg)

    # The results tell all that these files would, and dbt takes 0.4 s to write them.
    options = ["--no-write-json", "--log-level", "none", "--log-level-file", "info"]
    options += ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir)]
    options += ["--target-path", str(target_dir), "--log-path", str(target_dir)]
    # Read anew each time: a run leaves its compiled SQL in the nodes.
    manifest = Manifest.from_msgpack(parsed.read_bytes())
    try:
        outcome = dbtRunner(manifest=manifest, callbacks=[on_event]).invoke([*command, *options])
    finally:
        # dbt keeps the file open, and with it locked, after it has ended.
        cleanup_connections()  # type: ignore[no-untyped-call]
        reset_adapters()  # type: ignore[no-untyped-call]
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        raise outcome.exception
    if not outcome.success and not errors:
        errors.append(str(outcome.exception or f"dbt {command[0]} failed"))
    return DbtOutcome(tuple(results), tuple(errors))
