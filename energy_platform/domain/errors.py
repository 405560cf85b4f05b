"""Every error the platform raises on purpose, in one tree.

    EnergyError
    ├── SourceError            a source declaration or an incoming file is wrong
    │   ├── DeclarationInvalid     sources/<name>.yml does not say what it must
    │   ├── UnknownSource          no declaration has that name
    │   ├── QuantityInvalid        a unit, calorific value or factor cannot be what it is said to be
    │   └── FileUnreadable         a landed file cannot be read as its source declares
    ├── ContractBroken         a frame or table does not have the columns of domain/columns.py
    ├── QueryRefused           `energy query` was given more than one read-only SELECT
    ├── QueryFailed            a read-only query names what is not there, or cannot be computed
    ├── NothingPublished       there is no published generation to read yet
    ├── FeaturesChanged        a model meets other feature columns than it was trained on
    ├── LandingUnreachable     the object store of the landing zone does not answer, or is not what it must be
    ├── CloudRefused           AWS (or the server in its place) cannot be reached or says no
    ├── SimulationInvalid      a simulation is asked for that cannot be made
    ├── StreamUnavailable      a broker or stream cannot be reached, or refuses what is asked
    ├── DetectorInput          an anomaly detector is given rows that it cannot learn from or judge
    ├── AlertRuleInvalid       alerts/*.yml does not say what it must
    ├── EpisodeNotFound        no alert has that identifier
    ├── ChannelUnusable        a channel of messages is not configured, or its address cannot be used
    ├── KeyNotFound            no API key has that identifier
    ├── DeviceNotFound         no device has that identifier
    ├── CommandConflict        a command's identifier was used for another switching
    ├── IntentNotReplayed      an intent was never replayed on history as it now stands
    ├── ReplayImpossible       there is no history to replay an intent on
    ├── IdempotencyConflict    an idempotency key is used for another body, or is being worked on
    └── SetupIncomplete        a step of the set-up has not been done

Messages say what was found, where, and what to do. The command line prints them without a
stack trace and exits with code 2; anything else is a bug and keeps its trace.
"""

from __future__ import annotations

from collections.abc import Sequence


class EnergyError(Exception):
    """Base of all errors that a user can act on."""


class SourceError(EnergyError):
    """A source declaration or an incoming file is wrong."""


class DeclarationInvalid(SourceError):
    """A source declaration does not say what it must, or says something impossible."""

    def __init__(self, declaration: str, *, problem: str, remedy: str, line: int | None = None) -> None:
        self.declaration, self.problem, self.remedy, self.line = declaration, problem, remedy, line
        super().__init__(f"{declaration}{f', line {line}' if line is not None else ''}: {problem}. {remedy}")


class UnknownSource(SourceError):
    """No declaration has the asked-for name."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"no source is named '{name}'; known: {', '.join(known)}. See `energy sources list`.")


class FileUnreadable(SourceError):
    """A landed file cannot be read as its source declares; nothing of it was loaded."""

    def __init__(
        self, path: str, *, problem: str, remedy: str, line: int | None = None, column: str | None = None
    ) -> None:
        self.path, self.problem, self.remedy, self.line, self.column = path, problem, remedy, line, column
        where = path + (f", line {line}" if line is not None else "") + (f", column '{column}'" if column else "")
        super().__init__(f"{where}: {problem}. {remedy}")


class QuantityInvalid(SourceError):
    """A unit, calorific value or conversion factor cannot be what it is said to be."""

    def __init__(self, quantity: str, *, found: object, remedy: str) -> None:
        self.quantity, self.found, self.remedy = quantity, found, remedy
        super().__init__(f"{quantity} cannot be {found!r}. {remedy}")


class ContractBroken(EnergyError):
    """A frame or table lacks columns that its contract names, or has them with another type."""

    def __init__(self, table: str, *, missing: Sequence[str], found: Sequence[str]) -> None:
        self.table, self.missing, self.found = table, tuple(missing), tuple(found)
        super().__init__(f"{table}: missing {', '.join(missing)}; found {', '.join(found)}")


class QueryRefused(EnergyError):
    """`energy query` was given something other than one read-only SELECT over published tables."""


class QueryFailed(EnergyError):
    """A read-only query names what is not there, or cannot be computed; says which tables there are."""


class NothingPublished(EnergyError):
    """There is no published generation yet."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"nothing is published in {folder} yet. Run `energy run` first.")


class FeaturesChanged(EnergyError):
    """A model meets other feature columns than it was trained on, so it refuses to predict."""

    def __init__(self, model: str, *, trained_on: str, given: str) -> None:
        super().__init__(
            f"{model} was trained on features {trained_on} and was given {given}. "
            "Train a new model for this cutoff: its predictions on other columns would be noise."
        )


class CloudRefused(EnergyError):
    """AWS, or the protocol server that stands in for it, cannot be reached or says no."""

    def __init__(self, resource: str, *, problem: str, remedy: str) -> None:
        self.resource, self.problem, self.remedy = resource, problem, remedy
        super().__init__(f"{resource}: {problem}. {remedy}")


class LandingUnreachable(EnergyError):
    """The object store of the landing zone cannot be reached, says no, or is not named as it must be."""

    def __init__(self, place: str, *, problem: str, remedy: str) -> None:
        self.place, self.problem, self.remedy = place, problem, remedy
        super().__init__(f"{place}: {problem}. {remedy}")


class SimulationInvalid(EnergyError):
    """A simulation is asked for that cannot be made."""


class SetupIncomplete(EnergyError):
    """A step of the set-up (`make setup`) has not been done."""


class StreamUnavailable(EnergyError):
    """A broker or stream cannot be reached, does not exist, or refuses what is asked of it."""

    def __init__(self, stream: str, *, problem: str, remedy: str) -> None:
        self.stream, self.problem, self.remedy = stream, problem, remedy
        super().__init__(f"{stream}: {problem}. {remedy}")


class DetectorInput(EnergyError):
    """An anomaly detector is given rows without a column it reads, or too few to learn from."""


class AlertRuleInvalid(EnergyError):
    """A file of alert rules does not say what it must; names the file and the line."""

    def __init__(self, path: str, *, problem: str, remedy: str, line: int | None = None) -> None:
        self.path, self.problem, self.remedy, self.line = path, problem, remedy, line
        super().__init__(f"{path}{f', line {line}' if line is not None else ''}: {problem}. {remedy}")


class EpisodeNotFound(EnergyError):
    """No alert has the asked-for identifier."""

    def __init__(self, episode_id: str) -> None:
        super().__init__(f"no alert has the identifier '{episode_id}'. See `energy alerts list --all`.")


class ChannelUnusable(EnergyError):
    """A channel of messages is not configured, or its address cannot be used."""

    def __init__(self, channel: str, *, problem: str, remedy: str) -> None:
        self.channel, self.problem, self.remedy = channel, problem, remedy
        super().__init__(f"channel '{channel}': {problem}. {remedy}")


class KeyNotFound(EnergyError):
    """No API key has the asked-for identifier."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no API key has the identifier '{key_id}'. See `energy keys list`.")


class DeviceNotFound(EnergyError):
    """No device has the asked-for identifier."""

    def __init__(self, device_id: str) -> None:
        super().__init__(f"no device has the identifier '{device_id}'. See `energy devices list`.")


class CommandConflict(EnergyError):
    """A command's identifier was used before, for another device, action or requester."""

    def __init__(self, command_id: str) -> None:
        super().__init__(f"the command '{command_id}' was asked for before, and was another. Use a new identifier.")


class IntentNotReplayed(EnergyError):
    """An intent was never replayed on history as it now stands, so it may not act."""

    def __init__(self, name: str, *, path: str) -> None:
        super().__init__(
            f"the intent '{name}', as it now stands, was never replayed. Run `energy intents replay {path}`."
        )


class ReplayImpossible(EnergyError):
    """There is no history, or not enough, to replay an intent on."""


class IdempotencyConflict(EnergyError):
    """An idempotency key was used for another body, or the same request is being worked on."""

    def __init__(self, key: str, *, problem: str, in_progress: bool) -> None:
        self.key, self.in_progress = key, in_progress
        remedy = "Send it again in a minute." if in_progress else "Use a new key for a new body."
        super().__init__(f"the idempotency key '{key}' {problem}. {remedy}")
