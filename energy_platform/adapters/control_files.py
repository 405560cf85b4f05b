"""Reads declared devices and intents: yml files, and the wording of what is wrong with them.

Belongs here: files. Does not belong here: what a declaration may say (domain/control/devices.py, domain/intents).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from energy_platform.domain.control.devices import SiteDevices
from energy_platform.domain.errors import DeclarationInvalid
from energy_platform.domain.intents.declaration import Intent

_Declared = TypeVar("_Declared", bound=BaseModel)


def load_devices(path: Path) -> SiteDevices:
    """The devices of a site.

    Raises:
        DeclarationInvalid: the file is not yml, or does not say what it must; names file and field.
    """
    said = _read(path)
    # A device is of the site of its file, said once.
    if isinstance(said.get("devices"), list):
        said["devices"] = [
            {"site_id": said.get("site_id"), **entry} if isinstance(entry, dict) else entry for entry in said["devices"]
        ]
    return _validated(path, said, SiteDevices)


def load_intent(path: Path) -> Intent:
    """An intent; its name is the file's name unless it says one.

    Raises:
        DeclarationInvalid: the file is not yml, or does not say what it must; names file and field.
    """
    return _validated(path, {"name": path.stem, **_read(path)}, Intent)


def _read(path: Path) -> dict[str, Any]:
    try:
        # Plain `on` and `off` are words here, as they are on a relay: the base loader leaves them text.
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=_Words)  # noqa: S506  a SafeLoader with fewer words
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        problem = f"cannot be read as yml: {' '.join(str(error).split())}"
        raise DeclarationInvalid(str(path), problem=problem, remedy="Mend the file.") from None
    if not isinstance(said, dict):
        raise DeclarationInvalid(str(path), problem="is not a mapping of fields", remedy="Start from an example.")
    return said


def _validated(path: Path, said: dict[str, Any], model: type[_Declared]) -> _Declared:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        problem = "; ".join(_fault(fault["loc"], str(fault["msg"]), fault["input"]) for fault in faults)
        raise DeclarationInvalid(str(path), problem=problem, remedy="Mend the field.") from None


def _fault(location: tuple[int | str, ...], message: str, found: object) -> str:
    where = ".".join(str(part) for part in location)
    shown = f" (found {found!r})" if isinstance(found, str | int | float) else ""
    return (f"field '{where}': " if where else "") + message.removeprefix("Value error, ") + shown


class _Words(yaml.SafeLoader):
    """YAML 1.1 takes on, off, yes and no for true and false; here only true and false are."""


_Words.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Words.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
