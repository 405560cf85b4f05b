"""The landing zone: a folder of immutable files, ``<root>/<source>/<yyyy>/<mm>/<dd>/<name>``.

Belongs here: taking files in, finding what has landed, telling what waits to be loaded.
Does not belong here: what is in the files (adapters/lake_loader).

Each landed file has one line in ``<root>/.landed.jsonl``: place, hash, size, time. The journal saves
hashing the files again; whoever puts files there by hand, or loses the journal, loses only that time.
"""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol

import polars as pl

from energy_platform.domain.errors import DeclarationInvalid, FileUnreadable
from energy_platform.domain.readings import LandedFile
from energy_platform.domain.sources import SourceDeclaration

JOURNAL = ".landed.jsonl"
_CHUNK = 1 << 20
# SHA-256 takes 0.4 to 1 GB/s a core; 11 GB of London readings came in in 15 s on two, in 29 s on one.
_COPYING_THREADS = 2
# Half-written files of other tools; our own end in .part until they are whole.
_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart", "~")


@dataclass(frozen=True, slots=True)
class Landed:
    """What taking in a path did.

    Args:
        source: name of the declaration.
        new: files that landed now.
        known: files whose bytes had landed before.
        ignored: files left alone, each with the reason.
    """

    source: str
    new: tuple[LandedFile, ...]
    known: tuple[Path, ...]
    ignored: tuple[tuple[Path, str], ...]

    @property
    def new_files(self) -> int:
        """How many files landed now."""
        return len(self.new)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of the journal."""

    uri: str
    sha256: str
    bytes: int
    modified_ns: int
    landed_at_utc: datetime


class LandingZone(Protocol):
    """What the platform asks of a landing zone, wherever its files are."""

    def land_source(self, declaration: SourceDeclaration, *, path: Path | None, landed_at: datetime) -> Landed:
        """Take in a file, or every matching file of a folder; without ``path`` the declaration's own."""

    def files(self) -> list[LandedFile]:
        """Everything that has landed, in the order of arrival."""

    def pending(self, ledger: pl.DataFrame) -> list[LandedFile]:
        """Landed files that wait to be loaded, in the order of arrival."""

    def newest_change(self) -> float:
        """When a file that might still be growing last changed, in seconds since 1970."""

    def changed(self) -> list[str]:
        """Landed files that are no longer what landed."""

    def state(self) -> str:
        """A short hash of what has landed; empty when nothing has."""


class Landing:
    """A landing zone on a file system.

    Args:
        root: its folder; made when a file lands.
        link: hard-link instead of copying where the file system allows it (large, immutable sets).
    """

    def __init__(self, root: Path, link: bool = False) -> None:
        self.root, self.link = root, link

    def land_source(self, declaration: SourceDeclaration, *, path: Path | None, landed_at: datetime) -> Landed:
        """Take in a file, or every matching file of a folder; without ``path`` the declaration's own.

        Raises:
            DeclarationInvalid: neither the caller nor the declaration names a path.
            FileUnreadable: the path does not exist, or no file in it matches the declaration.
        """
        if path is None:
            path = declared_path(declaration)
        if not path.exists():
            raise FileUnreadable(str(path), problem="there is no such file or folder", remedy="Check the path.")
        chosen, ignored = choose_files(path, declaration)
        entries = {(landed.source, landed.content_sha256) for landed in self.files()}
        new: list[LandedFile] = []
        known: list[Path] = []
        for file, landed in self._take_all(chosen, declaration.name, landed_at, entries):
            if landed is None:
                known.append(file)
            else:
                new.append(landed)
                entries.add((landed.source, landed.content_sha256))
        return Landed(declaration.name, tuple(new), tuple(known), tuple(ignored))

    def files(self) -> list[LandedFile]:
        """Everything that has landed, in the order of arrival; files put there by hand included."""
        journal = self._entries()
        found = []
        for path in self._walk():
            uri = path.relative_to(self.root).as_posix()
            status = path.stat()
            entry = journal.get(uri)
            if entry is None or (entry.bytes, entry.modified_ns) != (status.st_size, status.st_mtime_ns):
                landed_at = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
                entry = _Entry(uri, hash_file(path), status.st_size, status.st_mtime_ns, landed_at)
                self._append(entry)
            found.append(self._landed(entry))
        return sorted(found, key=lambda file: (file.landed_at_utc, natural_order(file.uri)))

    def pending(self, ledger: pl.DataFrame) -> list[LandedFile]:
        """Landed files that wait to be loaded, in the order of arrival; failed ones are tried again.

        Args:
            ledger: ``uri, content_sha256, status`` of lake.files.
        """
        return waiting_files(self.files(), ledger)

    def newest_change(self) -> float:
        """When a file in the zone last changed, in seconds since 1970; 0 when there is none."""
        return max((path.stat().st_mtime for path in self._walk()), default=0.0)

    def changed(self) -> list[str]:
        """Landed files that are gone or differ in size from what landed: the zone is immutable."""
        sizes = {path.relative_to(self.root).as_posix(): path.stat().st_size for path in self._walk()}
        return sorted(uri for uri, entry in self._entries(last=False).items() if sizes.get(uri) != entry.bytes)

    def state(self) -> str:
        """A short hash of what has landed: another one when a file is added, gone or changed; empty for nothing."""
        landed = self.files()
        return fingerprint(landed) if landed else ""

    def __str__(self) -> str:
        return str(self.root)

    def _take_all(
        self, files: Sequence[Path], source: str, landed_at: datetime, known: set[tuple[str, str]]
    ) -> Iterator[tuple[Path, LandedFile | None]]:
        """Bring files in side by side, because hashing is most of it, and name them in their order."""
        folder = self.root / source / f"{landed_at:%Y/%m/%d}"
        folder.mkdir(parents=True, exist_ok=True)
        parts = [folder / f".{number}.{file.name}.{os.getpid()}.part" for number, file in enumerate(files)]
        pool = ThreadPoolExecutor(_COPYING_THREADS)
        try:
            for file, part, sha256 in zip(files, parts, pool.map(self._copy, files, parts), strict=True):
                yield file, self._name(file, part, sha256, source, landed_at, known)
        finally:
            pool.shutdown(cancel_futures=True)
            for part in parts:
                part.unlink(missing_ok=True)

    def _name(
        self, file: Path, part: Path, sha256: str, source: str, landed_at: datetime, known: set[tuple[str, str]]
    ) -> LandedFile | None:
        """Give one whole file its final name; None when its bytes are there."""
        if (source, sha256) in known:
            return None
        target = part.parent / file.name
        if target.exists():
            target = part.parent / f"{sha256[:8]}-{file.name}"
        part.replace(target)
        status = target.stat()
        uri = target.relative_to(self.root).as_posix()
        entry = _Entry(uri, sha256, status.st_size, status.st_mtime_ns, landed_at)
        self._append(entry)
        return self._landed(entry)

    def _copy(self, file: Path, part: Path) -> str:
        """Bring the bytes to ``part`` and return their SHA-256."""
        if self.link:
            try:
                os.link(file, part)
            except OSError:  # another file system, or one without hard links: copy
                part.unlink(missing_ok=True)
            else:
                return hash_file(part)
        with file.open("rb") as source, part.open("wb") as target:
            sha256 = digest(source, target)
            target.flush()
            os.fsync(target.fileno())
        return sha256

    def _landed(self, entry: _Entry) -> LandedFile:
        return LandedFile(
            entry.uri, self.root / entry.uri, source_of(entry.uri), entry.sha256, entry.bytes, entry.landed_at_utc
        )

    def _walk(self) -> Iterator[Path]:
        if not self.root.is_dir():
            return
        for folder in sorted(path for path in self.root.iterdir() if path.is_dir() and not _hidden(path.name)):
            for path in _files_below(folder):
                if why_ignored(path.relative_to(folder)) is None:
                    yield path

    def _entries(self, *, last: bool = True) -> dict[str, _Entry]:
        """The journal by uri. A line that a crash cut off is passed over: its file is hashed again."""
        found: dict[str, _Entry] = {}
        try:
            lines = (self.root / JOURNAL).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return found
        for line in lines:
            try:
                said = json.loads(line)
                moment = datetime.fromisoformat(said["landed_at_utc"])
                entry = _Entry(said["uri"], said["sha256"], said["bytes"], said["modified_ns"], moment)
            except (ValueError, KeyError, TypeError):
                continue
            if last or entry.uri not in found:
                found[entry.uri] = entry
        return found

    def _append(self, entry: _Entry) -> None:
        line = json.dumps(
            {
                "uri": entry.uri,
                "sha256": entry.sha256,
                "bytes": entry.bytes,
                "modified_ns": entry.modified_ns,
                "landed_at_utc": entry.landed_at_utc.isoformat(),
            }
        )
        with (self.root / JOURNAL).open("ab") as journal:
            if journal.tell() and not _ends_a_line(self.root / JOURNAL):
                line = f"\n{line}"  # a crash cut the last line off
            journal.write(f"{line}\n".encode())


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as content:
        content.seek(-1, os.SEEK_END)
        return content.read() == b"\n"


def fingerprint(files: Iterable[LandedFile]) -> str:
    """A short hash of a set of landed files: another one when a file is added, gone or changed."""
    names = "\n".join(sorted(f"{file.uri} {file.content_sha256}" for file in files))
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def waiting_files(files: Iterable[LandedFile], ledger: pl.DataFrame) -> list[LandedFile]:
    """Those of ``files`` that the ledger does not have as loaded; the same bytes of a source wait once.

    Args:
        files: in the order of arrival.
        ledger: ``uri, content_sha256, status`` of lake.files.
    """
    loaded = ledger.filter(pl.col("status") == "loaded")
    seen = {(source_of(uri), sha256) for uri, sha256 in loaded.select("uri", "content_sha256").iter_rows()}
    waiting = []
    for file in files:
        key = (file.source, file.content_sha256)
        if key not in seen:
            seen.add(key)
            waiting.append(file)
    return waiting


def source_of(uri: str) -> str:
    """The source that a landed file belongs to.

    Example:
        >>> source_of("lcl/2026/01/31/LCL_0.csv")
        'lcl'
    """
    return uri.split("/", 1)[0]


def declared_path(declaration: SourceDeclaration) -> Path:
    """Where the declaration says its files are; packages are found without being imported.

    Raises:
        DeclarationInvalid: it names no path, or a package that is not installed.
    """
    if declaration.path is None:
        raise DeclarationInvalid(
            declaration.name,
            problem="no path was given and the declaration has none",
            remedy="Say --path FILE or FOLDER.",
        )
    if not declaration.path.startswith("package:"):
        return Path(declaration.path).expanduser()
    package, _, inside = declaration.path.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DeclarationInvalid(
            declaration.name, problem=f"its package '{package}' is not installed", remedy="Run `make setup`."
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


def choose_files(path: Path, declaration: SourceDeclaration) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files to land below ``path``, and those left alone with the reason. A file named outright is taken."""
    if path.is_file():
        return [path], []
    chosen: list[Path] = []
    ignored: list[tuple[Path, str]] = []
    for file in _files_below(path):
        why = why_ignored(file.relative_to(path))
        if why is None and not any(fnmatch.fnmatch(file.name, pattern) for pattern in declaration.files):
            why = f"its name fits none of {', '.join(declaration.files)}"
        if why is None:
            chosen.append(file)
        else:
            ignored.append((file, why))
    if not chosen:
        found = ", ".join(file.name for file, _ in ignored[:5]) or "nothing"
        raise FileUnreadable(
            str(path),
            problem=f"no file in it fits {', '.join(declaration.files)}; found {found}",
            remedy=f"Check the folder, or 'files' in the declaration '{declaration.name}'.",
        )
    return sorted(chosen, key=lambda file: natural_order(str(file))), ignored


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path


def why_ignored(path: PurePath) -> str | None:
    """Why a file at this place below its folder is left alone; None when it is taken."""
    if any(_hidden(part) for part in path.parts):
        return "hidden, or in a folder whose name begins with a dot or an underscore"
    if path.name.endswith(_UNFINISHED):
        return "not finished: its name ends as half-written files do"
    return None


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def natural_order(text: str) -> list[tuple[int, str]]:
    """A sort key that puts file 10 behind file 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in chunks."""
    with path.open("rb") as source:
        return digest(source, None)


def digest(source: BinaryIO, target: BinaryIO | None) -> str:
    """SHA-256 of what ``source`` still holds, copied to ``target`` on the way."""
    hashed = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        hashed.update(chunk)
        if target is not None:
            target.write(chunk)
    return hashed.hexdigest()
