"""Reads declared devices and intents.

Belongs here: their files. Does not belong here: yml (yml.py), what a declaration may say (domain/control/devices.py,
domain/intents).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from energy_platform.adapters.yml import YmlFile, read_yml
from energy_platform.domain.control.devices import SiteDevices
from energy_platform.domain.errors import DeclarationInvalid
from energy_platform.domain.intents.declaration import Intent


def load_devices(path: Path) -> SiteDevices:
    """The devices of a site.

    Raises:
        DeclarationInvalid: the file is not yml, or does not say what it must; names file, line and field.
    """
    file, said = _read(path)
    # A device is of the site of its file, said once.
    if isinstance(said.get("devices"), list):
        said["devices"] = [
            {"site_id": said.get("site_id"), **entry} if isinstance(entry, dict) else entry for entry in said["devices"]
        ]
    return file.checked(SiteDevices.model_validate, said)


def load_intent(path: Path) -> Intent:
    """An intent; its name is the file's name unless it says one.

    Raises:
        DeclarationInvalid: the file is not yml, or does not say what it must; names file, line and field.
    """
    file, said = _read(path)
    return file.checked(Intent.model_validate, {"name": path.stem, **said})


def _read(path: Path) -> tuple[YmlFile, dict[str, Any]]:
    # Plain `on` and `off` are words here, as they are on a relay.
    file = read_yml(path, DeclarationInvalid, loader=_Words)
    return file, file.mapping("Start from an example.")


class _Words(yaml.SafeLoader):
    """YAML 1.1 takes on, off, yes and no for true and false; here only true and false are."""


_Words.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Words.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
