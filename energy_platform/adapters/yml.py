"""Reads yml files that people write, and says of what is wrong with them in which line and field it stands.

Belongs here: yml and pydantic's words for faults. Does not belong here: what a file may say (alert_rules.py,
control_files.py, declarations.py and the domain behind them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml
from pydantic import ValidationError

from energy_platform.domain.errors import EnergyError

_Checked = TypeVar("_Checked")
Place = Sequence[str | int]


class Refusal(Protocol):
    """Makes the error of a kind of file."""

    def __call__(self, path: str, /, *, problem: str, remedy: str, line: int | None = None) -> EnergyError:
        """The error."""


@dataclass(frozen=True, slots=True)
class YmlFile:
    """A file that was read.

    Args:
        path: of the file.
        content: what it says.
        root: the same with lines; None of an empty file.
        refusal: makes its errors.
    """

    path: Path
    content: Any
    root: yaml.Node | None
    refusal: Refusal

    def mapping(self, remedy: str) -> dict[str, Any]:
        """Its fields.

        Raises:
            EnergyError: as ``refusal`` makes it; it has none.
        """
        if not isinstance(self.content, dict):
            raise self.wrong("is not a mapping of fields", remedy)
        return self.content

    def checked(
        self, check: Callable[[Any], _Checked], said: Any, *, place: Place = (), remedy: str = "Mend the field."
    ) -> _Checked:
        """What ``check`` makes of a part of the file.

        Args:
            check: raises pydantic's ValidationError.
            said: the part.
            place: where it stands.
            remedy: what to do when it is wrong.

        Raises:
            EnergyError: as ``refusal`` makes it; names the line of the first fault and every field that is wrong.
        """
        try:
            return check(said)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            first, *_ = places = [
                self._named([*place, *fault["loc"]], is_missing=fault["type"] == "missing") for fault in faults
            ]
            problem = "; ".join(
                _fault(named[len(place) :], str(fault["msg"]), fault["input"])
                for named, fault in zip(places, faults, strict=True)
            )
            raise self.wrong(problem, remedy, first) from None

    def wrong(self, problem: str, remedy: str, place: Place = ()) -> EnergyError:
        """The error that names the line of a place, or of the nearest thing around it."""
        line = None if self.root is None else self.root.start_mark.line + 1
        node = self.root
        for part in place:
            found = _inside(node, part)
            if found is None:
                break
            line, node = found
        return self.refusal(str(self.path), problem=problem, remedy=remedy, line=line)

    def _named(self, location: Place, *, is_missing: bool) -> list[str | int]:
        """A place without the names of kinds that pydantic writes into it: what stands in the file, or lacks there."""
        kept, node = list[str | int](), self.root
        for at, part in enumerate(location, start=1):
            found = _inside(node, part)
            if found is not None:
                node = found[1]
            if found is not None or (is_missing and at == len(location)):
                kept.append(part)
        return kept


def read_yml(path: Path, refusal: Refusal, *, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> YmlFile:
    """A file.

    Args:
        path: of the file.
        refusal: makes its errors.
        loader: with the words that it takes for values.

    Raises:
        EnergyError: as ``refusal`` makes it; it cannot be read, or is no yml.
    """
    try:
        reader = loader(path.read_text(encoding="utf-8"))
        root = reader.get_single_node()
        content = None if root is None else reader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        problem = f"is no yml: {error.problem or 'it ends too early'}"
        raise refusal(str(path), problem=problem, remedy="Mend the line.", line=line) from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        problem = f"cannot be read: {' '.join(str(error).split())}"
        raise refusal(str(path), problem=problem, remedy="Mend the file.") from None
    return YmlFile(path, content, root, refusal)


def _inside(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line and node of a field or an element; None when it is not there."""
    if isinstance(node, yaml.MappingNode):
        pairs: dict[Any, tuple[yaml.Node, yaml.Node]] = {key.value: (key, value) for key, value in node.value}
        if part not in pairs:
            return None
        key, value = pairs[part]
        return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _fault(location: Place, message: str, found: object) -> str:
    """One fault as ``field 'timestamp.zone': …``; values are shown when they are short."""
    where = ".".join(str(part) for part in location)
    shown = f" (found {found!r})" if isinstance(found, str | int | float) else ""
    return (f"field '{where}': " if where else "") + message.removeprefix("Value error, ") + shown
