"""Where generations are kept: one interface, and the folder on this disk that answers it.

Belongs here: putting, finding, linking and removing the files of generations, and the pointer.
Does not belong here: what a generation holds (published.py), S3 (published_objects.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

POINTER, MANIFEST, GENERATIONS = "current.json", "generation.json", "generations"
_BUILDING = ".building-"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileMark:
    """What tells one file from another.

    Args:
        bytes: its size.
        sha256: hash of its content, in hex.
    """

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileMark:
        """The mark of a file on this disk."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
        return cls(size, digest.hexdigest())

    def as_json(self) -> dict[str, Any]:
        """As a manifest holds it."""
        return asdict(self)


class GenerationStore(Protocol):
    """Keeps generations. One under way is always written to a folder of this disk first.

    A publisher calls ``begin``, writes files, may ``take_over`` others, calls ``finish`` and then
    ``swap_pointer``: until that last step readers see the generation before.
    """

    @property
    def address(self) -> str:
        """The place, as people write it."""

    def read_pointer(self) -> dict[str, Any] | None:
        """What the pointer says; None before the first generation."""

    def swap_pointer(self, pointer: Mapping[str, Any]) -> None:
        """Replace the pointer in one step."""

    def begin(self, generation_id: str) -> Path:
        """An empty folder on this disk for the files of a new generation."""

    def take_over(self, before: str, generation_id: str, file: str) -> None:
        """Give the new generation a file of the one before, in place of writing its bytes anew."""

    def finish(self, generation_id: str, written: Collection[str], manifest: Mapping[str, Any]) -> None:
        """Put what was written, and the manifest, where readers of the generation will look. Nobody reads it yet."""

    def open(self, generation_id: str, files: Mapping[str, FileMark]) -> Path:
        """A folder on this disk with these files of a generation."""

    def sizes(self, generation_id: str) -> dict[str, int]:
        """Bytes by file, as the store holds the generation now."""

    def remove_all_but(self, generation_ids: Collection[str]) -> None:
        """Delete pruned generations, and what an interrupted publish left behind."""


@dataclass(frozen=True, slots=True)
class FolderStore:
    """Generations below a folder of this disk. Files that do not change are hard-linked.

    Args:
        root: made when missing.
    """

    root: Path

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.root)

    def read_pointer(self) -> dict[str, Any] | None:
        """What the pointer file says."""
        try:
            pointer: dict[str, Any] = json.loads((self.root / POINTER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return pointer

    def swap_pointer(self, pointer: Mapping[str, Any]) -> None:
        """Write the pointer beside, then replace it."""
        _write_json(self.root / POINTER, pointer)

    def begin(self, generation_id: str) -> Path:
        """A folder under a name that nobody reads."""
        building = self.building(generation_id)
        building.mkdir(parents=True)
        return building

    def take_over(self, before: str, generation_id: str, file: str) -> None:
        """Link the file."""
        target = self.building(generation_id) / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link(self.folder(before) / file, target)

    def finish(self, generation_id: str, written: Collection[str], manifest: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Give the folder its name; what was written is in it already."""
        building = self.building(generation_id)
        _write_json(building / MANIFEST, manifest)
        building.rename(self.folder(generation_id))

    def open(self, generation_id: str, files: Mapping[str, FileMark]) -> Path:  # noqa: ARG002
        """The folder itself."""
        return self.folder(generation_id).absolute()

    def sizes(self, generation_id: str) -> dict[str, int]:
        """Bytes by file below the folder."""
        folder = self.folder(generation_id)
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*.parquet")}

    def remove_all_but(self, generation_ids: Collection[str]) -> None:
        """Delete every other folder, half-written ones too."""
        for folder in self._folders():
            if folder.name not in generation_ids:
                shutil.rmtree(folder, ignore_errors=True)

    def forget_all_but(self, generation_ids: Collection[str]) -> None:
        """Delete other whole generations; what a publisher is writing stays."""
        for folder in self._folders():
            if folder.name not in generation_ids and not folder.name.startswith(_BUILDING):
                shutil.rmtree(folder, ignore_errors=True)

    def folder(self, generation_id: str) -> Path:
        """Where a generation is, or will be."""
        return self.root / GENERATIONS / generation_id

    def holds(self, generation_id: str, file: str, mark: FileMark) -> bool:
        """Whether the file is there in full size. Files get their names when they are whole, so the size is enough."""
        try:
            return (self.folder(generation_id) / file).stat().st_size == mark.bytes
        except FileNotFoundError:
            return False

    def building(self, generation_id: str) -> Path:
        """Where a generation is while it is written."""
        return self.root / GENERATIONS / f"{_BUILDING}{generation_id}"

    def _folders(self) -> list[Path]:
        folder = self.root / GENERATIONS
        return list(folder.iterdir()) if folder.is_dir() else []


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write beside, flush to disk, then replace: a crash leaves the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _link(source: Path, target: Path) -> None:
    """Hard-link, or copy where the file system cannot link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
