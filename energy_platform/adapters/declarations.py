"""Finds and reads source declarations: the built-in ones, and the user's own on top of them.

Belongs here: which files there are, and their names. Does not belong here: yml (yml.py), what a declaration may say
(domain/sources).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from energy_platform.adapters.yml import read_yml
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
        DeclarationInvalid: a file is not yml, or does not say what it must; names file, line and field.
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
        DeclarationInvalid: the file is not yml, or does not say what it must; names file, line and field.
    """
    file = read_yml(path, DeclarationInvalid)
    said = file.mapping("Start from one of the built-in declarations.")
    said.setdefault("name", path.stem)
    if said["name"] != path.stem:
        remedy = f"Write {path.stem}, as the file is named."
        raise file.wrong(f"field 'name' is '{said['name']}'", remedy, ["name"])
    kind = said.get("kind", "readings")
    if kind not in _KINDS:
        raise file.wrong(f"field 'kind' is '{kind}'", f"Write {', '.join(_KINDS)}.", ["kind"])

    def declared(fields: Any) -> SourceDeclaration:
        return _KINDS[kind].model_validate(fields)

    return file.checked(declared, said, remedy="Mend the field; the built-in declarations show every field in use.")
