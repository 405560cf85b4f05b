"""Finds and reads source declarations: the built-in ones, and the user's own on top of them.

Belongs here: yml files and the wording of what is wrong with them. Does not belong here: what a
declaration may say (domain/sources.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from energy_platform.domain.errors import DeclarationInvalid, UnknownSource
from energy_platform.domain.sources import ReadingsSource, SourceDeclaration, TelemetrySource, WeatherSource

BUILT_IN = Path(__file__).resolve().parent.parent / "sources"

_KINDS: dict[str, type[ReadingsSource | WeatherSource | TelemetrySource]] = {
    "readings": ReadingsSource,
    "weather": WeatherSource,
    "telemetry": TelemetrySource,
}


class Declarations(Mapping[str, SourceDeclaration]):
    """Declarations by name; asking for another name raises ``UnknownSource`` with the known ones."""

    def __init__(self, by_name: Mapping[str, SourceDeclaration]) -> None:
        self._by_name = dict(by_name)

    def __getitem__(self, name: str) -> SourceDeclaration:
        if name not in self._by_name:
            raise UnknownSource(name, known=sorted(self._by_name))
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


def load_declarations(own: Path | None = None) -> Declarations:
    """The built-in declarations, and those in the folder ``own``, which win where names are equal.

    Raises:
        DeclarationInvalid: a file is not yml, or does not say what it must; names file and field.
    """
    if own is not None and not own.is_dir():
        raise DeclarationInvalid(
            str(own), problem="is no folder", remedy="Set ENERGY_SOURCES to a folder of *.yml files."
        )
    folders = [BUILT_IN] if own is None else [BUILT_IN, own]
    paths = [path for folder in folders for path in sorted(folder.glob("*.yml"))]
    return Declarations({path.stem: load_declaration(path) for path in paths})


def load_declaration(path: Path) -> SourceDeclaration:
    """One declaration; its name is the file's name.

    Raises:
        DeclarationInvalid: the file is not yml, or does not say what it must; names file and field.
    """
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise DeclarationInvalid(
            str(path), problem=f"cannot be read as yml: {' '.join(str(error).split())}", remedy="Mend the file."
        ) from None
    if not isinstance(said, dict):
        raise DeclarationInvalid(
            str(path), problem="is not a mapping of fields", remedy="Start from one of the built-in declarations."
        )
    return _validated(path, said)


def _validated(path: Path, said: dict[str, Any]) -> SourceDeclaration:
    said.setdefault("name", path.stem)
    if said["name"] != path.stem:
        raise DeclarationInvalid(
            str(path), problem=f"field 'name' is '{said['name']}'", remedy=f"Write {path.stem}, as the file is named."
        )
    kind = said.get("kind", "readings")
    if kind not in _KINDS:
        remedy = f"Write {', '.join(_KINDS)}."
        raise DeclarationInvalid(str(path), problem=f"field 'kind' is '{kind}'", remedy=remedy)
    try:
        return _KINDS[kind].model_validate(said)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        problem = "; ".join(_fault(fault["loc"], str(fault["msg"]), fault["input"]) for fault in faults)
        raise DeclarationInvalid(
            str(path), problem=problem, remedy="Mend the field; the built-in declarations show every field in use."
        ) from None


def _fault(location: tuple[int | str, ...], message: str, found: object) -> str:
    """One fault as ``field 'timestamp.zone': …``; values are shown when they are short."""
    where = ".".join(str(part) for part in location)
    shown = f" (found {found!r})" if isinstance(found, str | int | float) else ""
    return (f"field '{where}': " if where else "") + message.removeprefix("Value error, ") + shown
