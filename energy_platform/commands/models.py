"""``energy models list|audit|promote|rollback``: the versions in the registry, which one forecasts, and since when why.

A person's decision is one row of ``models.promotions``, like those of the trainings, and moves the alias
``champion``. The warehouse is held while both are written, so that a run cannot come between.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from energy_platform.domain.errors import EnergyError
from energy_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from energy_platform.adapters.registry import Registry, Version
    from energy_platform.adapters.warehouse import Warehouse
    from energy_platform.domain.forecasting.promotion import Seat

app = typer.Typer(no_args_is_help=True, help="Models: versions, the champion, and back to the one before.")

Name = Annotated[str | None, typer.Option("--model", help="Registered model, where there are several.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit and shown in the registry.")]


class WarehouseBusy(EnergyError):
    """A run is writing to the warehouse, so decisions cannot be read or written down now."""


@app.command("list")
def list_(
    name: Name = None, as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a version.")] = False
) -> None:
    """Print every version: cutoff, backtest error, skill, which one is champion, and why."""
    found = _registry(get_settings()).versions(name)
    if as_json:
        sys.stdout.write(json.dumps([_as_json(version) for version in found], indent=2) + "\n")
        return
    from energy_platform.commands.output import console, print_table

    if not found:
        console.print("No model has been trained yet: seasonal naive is issued. `energy run` trains.")
        return
    header = ["model", "version", "forecaster", "cutoff", "MAE kWh", "naive kWh", "skill", "champion", "why"]
    rows = [
        [
            one.name,
            one.version,
            one.forecaster,
            one.cutoff.isoformat() if one.cutoff else None,
            one.metrics.get("mae_kwh"),
            one.metrics.get("naive_mae_kwh"),
            None if skill_of(one) is None else f"{skill_of(one):+.1%}",
            "champion" if one.is_champion else "",
            one.reason,
        ]
        for one in found
    ]
    print_table(f"{len(found)} versions", header, rows)


@app.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, every column of models.promotions.")] = False,
) -> None:
    """Print every decision about a champion, oldest cutoff first: who was compared on what, and why it came so."""
    import polars as pl

    from energy_platform.domain.columns.promotions import PROMOTIONS

    with _holding(get_settings()) as warehouse:
        warehouse.ensure_tables([PROMOTIONS])
        rows = warehouse.read(f"SELECT * FROM {PROMOTIONS.full_name} ORDER BY grain, cutoff_date, decided_at_utc")
    if as_json:
        sys.stdout.write(json.dumps(rows.to_dicts(), indent=2, default=str) + "\n")
        return
    from energy_platform.commands.output import console, print_table

    if rows.is_empty():
        console.print("Nothing has been decided yet: seasonal naive is issued. `energy run` trains and decides.")
        return
    for after in ("before", "after"):
        seat = pl.concat_str([f"champion_{after}", pl.col(f"version_{after}").fill_null("")], separator=" ")
        rows = rows.with_columns(seat.str.strip_chars().fill_null("seasonal naive").alias(after))
    shown = rows.select(
        "grain", "cutoff_date", "verdict", "decided_by", "before", "after", "challenger", "challenger_mae_kwh",
        "champion_mae_kwh", "naive_mae_kwh", "p_value", "fold_weeks", "reason",
    )  # fmt: skip
    header = ["grain", "cutoff", "verdict", "by", "before", "after", "challenger", "its MAE kWh"]
    header += ["champion's", "naive's", "p", "weeks", "why"]
    print_table(f"{rows.height} decisions", header, [list(row) for row in shown.rows()])


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Number, as `energy models list` prints it.")],
    reason: Reason,
    name: Name = None,
    force: Annotated[bool, typer.Option("--force", help="Also without skill over naive on record.")] = False,
) -> None:
    """Make a version champion; refused when its backtest shows no skill, or when it expects other features."""
    from energy_platform.domain.forecasting.promotion import MIN_SKILL, PromotionRefused, Seat

    settings = get_settings()
    registry = _registry(settings)
    chosen = registry.version(_only(registry, name), version)
    skill = skill_of(chosen)
    if not force and (skill is None or skill <= MIN_SKILL):
        told = "no backtest is on record" if skill is None else f"its backtest saves {skill:.1%} of the naive error"
        raise PromotionRefused(
            f"{chosen.name} version {version} has no skill over naive: {told}, more than {MIN_SKILL:.0%} is asked for. "
            "--force makes it champion all the same, and the audit says so."
        )
    words = f"{reason} (forced: no skill over naive on record)" if force and (skill or 0) <= MIN_SKILL else reason

    def move() -> Seat:
        registry.promote(
            chosen.name,
            version,
            cutoff=chosen.cutoff or date.max,
            reason=words,
            feature_hash=_feature_hash(chosen.name),
            force=True,
        )
        return Seat(chosen.forecaster, version)

    before = _champion(registry, chosen.name)
    _decide(settings, "promoted", chosen.name, before, move, words, cutoff=chosen.cutoff)
    typer.echo(f"{chosen.name}: version {version} ({chosen.forecaster}) is champion; it was {_words(before)}.")
    typer.echo("It forecasts from the next issue on, until a training decides otherwise.")


@app.command()
def rollback(reason: Reason, name: Name = None) -> None:
    """Give the championship back to the one before; from the first champion back to seasonal naive."""
    settings = get_settings()
    registry = _registry(settings)
    chosen = _only(registry, name)

    def move() -> "Seat | None":
        _, number = registry.rollback(chosen, reason=reason, feature_hash=_feature_hash(chosen))
        return None if number is None else _seat(registry.version(chosen, number))

    before = _champion(registry, chosen)
    after = _decide(settings, "rolled_back", chosen, before, move, reason, cutoff=registry.champion_cutoff(chosen))
    typer.echo(f"{chosen}: {_words(after)} is champion again; it was {_words(before)}.")
    typer.echo("It forecasts from the next issue on, until a training decides otherwise.")


def skill_of(version: "Version") -> float | None:
    """1 - MAE / naive MAE of a version's backtest; None where it is not on record."""
    metrics = version.metrics
    if "skill" in metrics:
        return metrics["skill"]
    naive = metrics.get("naive_mae_kwh")
    return 1 - metrics["mae_kwh"] / naive if naive and "mae_kwh" in metrics else None


def _decide(
    settings: Settings,
    verdict: str,
    name: str,
    before: "Seat | None",
    move: "Callable[[], Seat | None]",
    reason: str,
    *,
    cutoff: date | None,
) -> "Seat | None":
    """Move the alias and write the decision down; the row is of the newest cutoff, so that it holds from now on."""
    import polars as pl

    from energy_platform.domain.columns.promotions import PROMOTIONS
    from energy_platform.domain.forecasting.promotion import by_person, promotion_rows

    with _holding(settings) as warehouse:
        warehouse.ensure_tables([PROMOTIONS])
        known = warehouse.read(f"SELECT max(cutoff_date) AS cutoff FROM {PROMOTIONS.full_name} WHERE grain = ?", [name])
        dates = [day for day in (known["cutoff"][0], cutoff) if day is not None]
        after = move()
        decision = by_person(
            verdict,
            grain=name,
            cutoff=max(dates, default=date.min),
            decided_at_utc=datetime.now(UTC).replace(tzinfo=None),
            before=before,
            after=after,
            reason=reason,
        )
        rows: pl.DataFrame = promotion_rows([decision])
        warehouse.replace(PROMOTIONS, rows, where="false")
        return after


@contextmanager
def _holding(settings: Settings) -> "Iterator[Warehouse]":
    """The warehouse, which nobody else can write to meanwhile."""
    import duckdb

    from energy_platform.adapters.warehouse import Warehouse

    warehouse = Warehouse(settings.warehouse_path, memory_limit=settings.memory_limit, threads=settings.worker_threads)
    try:
        with warehouse.connect():
            yield warehouse
    except duckdb.IOException as error:
        raise WarehouseBusy(
            f"{settings.warehouse_path}: a run is using it, so nothing was read or decided. Try again when the run is done. "
            f"({str(error).splitlines()[0]})"
        ) from None


def _registry(settings: Settings) -> "Registry":
    from energy_platform.adapters.registry import Registry

    return Registry(settings.tracking_uri, None if settings.mlflow_tracking_uri else settings.artifacts_uri)


def _only(registry: "Registry", name: str | None) -> str:
    """The registered model that is meant."""
    from energy_platform.adapters.registry import VersionNotFound

    names = sorted({version.name for version in registry.versions()})
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return str(name)
    known = ", ".join(names) or "none: `energy run` trains the first"
    raise VersionNotFound(f"say which model with --model; there are: {known}")


def _champion(registry: "Registry", name: str) -> "Seat | None":
    return next((_seat(version) for version in registry.versions(name) if version.is_champion), None)


def _seat(version: "Version") -> "Seat":
    from energy_platform.domain.forecasting.promotion import Seat

    return Seat(version.forecaster, version.version)


def _words(seat: "Seat | None") -> str:
    return "seasonal naive" if seat is None else f"version {seat.version} ({seat.forecaster})"


def _feature_hash(name: str) -> str | None:
    """The inputs that today's code makes for a registered model; None where it has its own way to refuse."""
    from energy_platform.domain.forecasting.rows import feature_hash

    return feature_hash() if name.startswith("meter-day") else None


def _as_json(version: "Version") -> dict[str, object]:
    return {
        "model": version.name,
        "version": version.version,
        "forecaster": version.forecaster,
        "cutoff": version.cutoff.isoformat() if version.cutoff else None,
        "is_champion": version.is_champion,
        **version.metrics,
        "skill": skill_of(version),
        "why": version.reason,
        "feature_hash": version.feature_hash,
        "run_id": version.run_id,
    }
