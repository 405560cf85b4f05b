"""The alias ``champion`` in the MLflow registry, and the story that its tags tell in the UI.

Belongs here: what is written when the alias moves, so that a person sees on the model's page why the
champion is champion and who was before. Does not belong here: runs and models (registry.py).
Every function takes an MLflow client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from energy_platform.adapters.mlflow_store import found
from energy_platform.domain.errors import EnergyError, FeaturesChanged

CHAMPION = "champion"
CUTOFF_TAG = "cutoff"
FEATURE_HASH_TAG = "feature_hash"
MODEL_TAG = "model"
# Metrics that a version carries as tags, too: they are what a table of versions shows.
VERSION_METRICS = ("mae_kwh", "naive_mae_kwh", "skill", "pinball_kwh", "coverage")
# The alias has no memory of its own; these tags of a version are it.
_BEFORE, _BECAUSE, _SINCE = "champion_before", "champion_because", "champion_since_utc"
_WITHDRAWN = "withdrawn_because"
# Of the registered model: who was champion last, when nobody is.
_LAST = "last_champion"
_NOBODY = "seasonal_naive"


class VersionNotFound(EnergyError):
    """The registry has no such model or version, or no champion to go back from."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version as a table of versions shows it.

    Args:
        name: registered model.
        version: its number.
        forecaster: which forecaster it is of; the registered name where no tag says so.
        cutoff: it knows only days before; None when not tagged.
        is_champion: whether it has the alias.
        metrics: of its backtest, those of ``VERSION_METRICS`` that were logged.
        reason: why it is champion, why it was withdrawn, or what was decided when it was trained.
        feature_hash: the inputs it expects; None when not tagged.
        run_id: its run.
    """

    name: str
    version: str
    forecaster: str
    cutoff: date | None
    is_champion: bool
    metrics: Mapping[str, float]
    reason: str
    feature_hash: str | None
    run_id: str


def champion(client: Any, name: str) -> Any | None:
    """MLflow's record of the version with the alias; None when there is none."""
    return found(lambda: client.get_model_version_by_alias(name, CHAMPION))


def versions(client: Any, name: str | None) -> list[Version]:
    """Every version of a registered model (of all of them without a name), newest first."""
    names = [name] if name is not None else sorted(model.name for model in client.search_registered_models())
    rows: list[Version] = []
    for one in names:
        holder = champion(client, one)
        number = None if holder is None else str(holder.version)
        made = client.search_model_versions(f"name = '{one}'", max_results=1000)
        newest_first = sorted(made, key=lambda version: -int(version.version))
        rows += [_version(version, is_champion=str(version.version) == number) for version in newest_first]
    return rows


def version(client: Any, name: str, number: str) -> Version:
    """One version.

    Raises:
        VersionNotFound: there is none of that number.
    """
    return _version(_get(client, name, number), is_champion=str(_number(champion(client, name))) == number)


def crown(
    client: Any, name: str, number: str, *, reason: str, feature_hash: str | None, forecaster: str | None = None
) -> None:
    """Give a version the alias and write down why, and who had it before.

    A version may hold several forecasters; ``forecaster`` names the one that is champion.

    Raises:
        FeaturesChanged: the version expects other inputs than ``feature_hash``.
        VersionNotFound: there is none of that number.
    """
    trained_on = _get(client, name, number).tags.get(FEATURE_HASH_TAG)
    if feature_hash is not None and trained_on is not None and trained_on != feature_hash:
        raise FeaturesChanged(f"{name} version {number}", trained_on=trained_on, given=feature_hash)
    if forecaster is not None:
        client.set_model_version_tag(name, number, MODEL_TAG, forecaster)
    before = _number(champion(client, name))
    if before == number:
        return
    client.set_registered_model_alias(name, CHAMPION, number)
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    for tag, value in ((_BEFORE, before or _NOBODY), (_BECAUSE, reason), (_SINCE, now)):
        if value:
            client.set_model_version_tag(name, number, tag, value)
    _describe(client, name, f"Champion: version {number}, since {now} UTC. {reason}")


def withdraw(client: Any, name: str, *, reason: str) -> None:
    """Take the alias away; seasonal naive is issued from now on."""
    number = _number(champion(client, name))
    if number is None:
        return
    client.delete_registered_model_alias(name, CHAMPION)
    client.set_model_version_tag(name, number, _WITHDRAWN, reason)
    client.set_registered_model_tag(name, _LAST, number)
    _describe(client, name, f"No champion: seasonal naive is issued. Version {number} was withdrawn: {reason}")


def rollback(client: Any, name: str, *, reason: str, feature_hash: str | None) -> tuple[str | None, str | None]:
    """Give the alias back to the champion before, or to the last one when there is none.

    Returns:
        The number that was champion and the one that is now; None stands for seasonal naive.

    Raises:
        FeaturesChanged: the champion before expects other inputs than today's code makes.
        VersionNotFound: there is no champion and never was one.
    """
    holder = champion(client, name)
    if holder is None:
        last = _last_champion(client, name)
        crown(client, name, last, reason=reason, feature_hash=feature_hash)
        return None, last
    number, target = str(holder.version), holder.tags.get(_BEFORE, _NOBODY)
    if target == _NOBODY:
        withdraw(client, name, reason=reason)
        return number, None
    earlier = _get(client, name, target).tags.get(_BEFORE, _NOBODY)
    crown(client, name, target, reason=reason, feature_hash=feature_hash)
    # Going back twice goes back further, not to and fro.
    client.set_model_version_tag(name, target, _BEFORE, earlier)
    client.set_model_version_tag(name, number, _WITHDRAWN, reason)
    return number, target


def _last_champion(client: Any, name: str) -> str:
    model = found(lambda: client.get_registered_model(name))
    last = None if model is None else model.tags.get(_LAST)
    if last is None:
        raise VersionNotFound(f"{name} has no champion to go back from. See `energy models list`.")
    return str(last)


def _get(client: Any, name: str, number: str) -> Any:
    there = found(lambda: client.get_model_version(name, number))
    if there is None:
        raise VersionNotFound(f"{name} has no version {number}. See `energy models list`.")
    return there


def _number(holder: Any | None) -> str | None:
    return None if holder is None else str(holder.version)


def _describe(client: Any, name: str, text: str) -> None:
    client.update_registered_model(name, description=text)


def _version(told: Any, *, is_champion: bool) -> Version:
    tags = dict(told.tags)
    because = tags.get(_BECAUSE) if is_champion else tags.get(_WITHDRAWN)
    return Version(
        name=told.name,
        version=str(told.version),
        forecaster=tags.get(MODEL_TAG, told.name),
        cutoff=date.fromisoformat(tags[CUTOFF_TAG]) if CUTOFF_TAG in tags else None,
        is_champion=is_champion,
        metrics={key: float(tags[key]) for key in VERSION_METRICS if key in tags},
        reason=because or told.description or "",
        feature_hash=tags.get(FEATURE_HASH_TAG),
        run_id=str(told.run_id),
    )
