"""The landing zone on S3: immutable objects ``<prefix>/<source>/<yyyy>/<mm>/<dd>/<name>``, and drop prefixes.

Belongs here: listing objects, knowing their hash, bringing those that wait to a local cache. Does not
belong here: how a file is read (adapters/lake_loader), making the bucket (adapters/aws).

One door, two stores: streams and HTTP go on writing to the local zone, whose files are part of this one.
An object written again under its key is another file, so its rows are a correction. Every listing is
whole, because S3 lists by key and not by age: an object that arrives late under an early key is found too.
``<cache>/index.jsonl`` remembers the hash of each object version; without it objects are fetched once more.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from energy_platform.adapters.landing import (
    Landed,
    Landing,
    choose_files,
    declared_path,
    digest,
    hash_file,
    natural_order,
    waiting_files,
    why_ignored,
)
from energy_platform.adapters.s3 import bucket_and_prefix, clear_errors
from energy_platform.domain.errors import FileUnreadable, LandingUnreachable
from energy_platform.domain.readings import LandedFile
from energy_platform.domain.sources import SourceDeclaration

INDEX = "index.jsonl"
# 200 requests of 1,000 keys: 10 to 20 s on S3, within the 60 s that a sensor is given.
MAX_OBJECTS = 200_000
PAGE_KEYS = 1_000  # the most that S3 gives at once
# File systems allow names of 255 bytes and S3 keys of 1,024; the end of a name carries its suffix.
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Where a landing zone on S3 is.

    Args:
        bucket: its bucket.
        prefix: what keys of landed objects begin with; empty or ending in a slash.
        drops: source by key prefix, for objects that others put there; the longest prefix that fits
            decides, before ``prefix`` does. An empty source leaves the objects alone.
    """

    bucket: str
    prefix: str
    drops: Mapping[str, str]

    @classmethod
    def parse(cls, address: str, drops: Mapping[str, str]) -> ObjectPlace:
        """The place that ``s3://bucket/prefix`` names.

        Raises:
            LandingUnreachable: it names no bucket.

        Example:
            >>> ObjectPlace.parse("s3://energy/landing", {}).prefix
            'landing/'
        """
        bucket, prefix = bucket_and_prefix(address)
        return cls(bucket, prefix, drops)

    def uri_of(self, key: str) -> str | None:
        """The place of an object in the zone, its source first; None for one that is not of the zone.

        Example:
            >>> place = ObjectPlace("energy", "landing/", {"raw/": "appliances"})
            >>> place.uri_of("raw/may.csv"), place.uri_of("landing/lcl/2026/01/31/a.csv"), place.uri_of("reports/a")
            ('appliances/raw/may.csv', 'lcl/2026/01/31/a.csv', None)
        """
        if key.endswith("/"):  # the marker of a prefix
            return None
        drop = max((prefix for prefix in self.drops if key.startswith(prefix)), key=len, default=None)
        if drop is not None:
            below, uri = key.removeprefix(drop), f"{self.drops[drop]}/{key}" if self.drops[drop] else ""
        elif key.startswith(self.prefix):
            below = uri = key.removeprefix(self.prefix)
        else:
            return None
        is_of_a_source = "/" in uri and not uri.startswith("/")
        return uri if is_of_a_source and why_ignored(PurePosixPath(below)) is None else None


@dataclass(frozen=True, slots=True)
class _Object:
    """One version of an object, as a listing tells it."""

    key: str
    uri: str
    etag: str
    bytes: int
    modified_utc: datetime

    @property
    def version(self) -> str:
        """What tells this version from any other, without its bytes."""
        return f"{self.key} {self.etag} {self.bytes} {self.modified_utc.isoformat()}"


class ObjectLanding:
    """A landing zone on S3, together with the local one that streams write to.

    Args:
        client: a boto3 client of S3.
        place: bucket and prefixes.
        local: the zone of streams and HTTP.
        cache: folder for fetched bytes, by content hash.
        cache_bytes: how much of what has been loaded stays there; what waits is always fetched whole.
    """

    def __init__(self, client: Any, place: ObjectPlace, *, local: Landing, cache: Path, cache_bytes: int) -> None:
        self._client, self.place, self.local = client, place, local
        self._cache, self._cache_bytes = cache / place.bucket, cache_bytes

    def __str__(self) -> str:
        return f"s3://{self.place.bucket}/{self.place.prefix}"

    def land_source(self, declaration: SourceDeclaration, *, path: Path | None, landed_at: datetime) -> Landed:
        """Upload a file, or every matching file of a folder; without ``path`` the declaration's own.

        Raises:
            DeclarationInvalid: neither the caller nor the declaration names a path.
            FileUnreadable: the path does not exist, or no file in it matches the declaration.
            LandingUnreachable: S3 does not take it.
        """
        path = declared_path(declaration) if path is None else path
        if not path.exists():
            raise FileUnreadable(str(path), problem="there is no such file or folder", remedy="Check the path.")
        chosen, ignored = choose_files(path, declaration)
        here = self.files()
        known = {file.content_sha256 for file in here if file.source == declaration.name}
        taken = {file.uri for file in here}
        new: list[LandedFile] = []
        repeated: list[Path] = []
        for file in chosen:
            sha256 = hash_file(file)
            if sha256 in known:
                repeated.append(file)
                continue
            uri = f"{declaration.name}/{landed_at:%Y/%m/%d}/{file.name}"
            if uri in taken:
                uri = f"{declaration.name}/{landed_at:%Y/%m/%d}/{sha256[:8]}-{file.name}"
            with clear_errors(str(self)):
                self._client.upload_file(str(file), self.place.bucket, self.place.prefix + uri)
            known.add(sha256)
            taken.add(uri)
            new.append(LandedFile(uri, file, declaration.name, sha256, file.stat().st_size, landed_at))
        return Landed(declaration.name, tuple(new), tuple(repeated), tuple(ignored))

    def files(self) -> list[LandedFile]:
        """Everything that has landed, in the order of arrival. Objects not seen before are fetched to be hashed."""
        index = self._index()
        found = self.local.files()
        for item in self._objects():
            sha256 = index.get(item.version) or self._fetch(item)
            if sha256 is not None:
                found.append(self._landed(item, sha256))
        return sorted(found, key=lambda file: (file.landed_at_utc, natural_order(file.uri)))

    def pending(self, ledger: pl.DataFrame) -> list[LandedFile]:
        """Landed files that wait to be loaded, in the order of arrival, each with its bytes on this disk.

        Args:
            ledger: ``uri, content_sha256, status`` of lake.files.
        """
        waiting = waiting_files(self.files(), ledger)
        lacking = {file.content_sha256 for file in waiting if not file.path.exists()}
        if lacking:
            index = self._index()
            for item in self._objects():
                if index.get(item.version) in lacking:
                    self._fetch(item)
        self._prune(keep={file.content_sha256 for file in waiting})
        return [file for file in waiting if file.path.exists()]  # one that is gone by now is listed no more

    def newest_change(self) -> float:
        """When a local file last changed. Objects appear whole, so there is nothing to wait for."""
        return self.local.newest_change()

    def changed(self) -> list[str]:
        """Landed files that are gone, and local ones of another size. An object written again is a correction."""
        listed = {item.key for item in self._objects()}
        gone = {said["key"] for said in self._lines()} - listed
        return self.local.changed() + sorted(uri for key in gone if (uri := self.place.uri_of(key)) is not None)

    def state(self) -> str:
        """A short hash of what has landed, from listings alone: another one when anything is added or changed."""
        versions = "\n".join(item.version for item in self._objects())
        if not versions:
            return self.local.state()
        return hashlib.sha256(f"{self.local.state()}\n{versions}".encode()).hexdigest()[:16]

    def _objects(self) -> list[_Object]:
        """Every object of the zone, by key.

        Raises:
            LandingUnreachable: S3 does not answer, or there are more objects than one listing may hold.
        """
        found: dict[str, _Object] = {}
        seen = 0
        for prefix in _outermost([self.place.prefix, *self.place.drops]):
            with clear_errors(str(self)):
                for page in self._client.get_paginator("list_objects_v2").paginate(
                    Bucket=self.place.bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE_KEYS}
                ):
                    entries = page.get("Contents", [])
                    seen += len(entries)
                    if seen > MAX_OBJECTS:
                        raise LandingUnreachable(
                            str(self),
                            problem=f"it holds more than {MAX_OBJECTS:,} objects",
                            remedy="Move objects that have been loaded to another prefix.",
                        )
                    for entry in entries:
                        if (uri := self.place.uri_of(entry["Key"])) is not None:
                            modified = entry["LastModified"].astimezone(UTC).replace(tzinfo=None)
                            etag = entry["ETag"].strip('"')
                            found[entry["Key"]] = _Object(entry["Key"], uri, etag, entry["Size"], modified)
        return [found[key] for key in sorted(found)]

    def _fetch(self, item: _Object) -> str | None:
        """Bring one version to the cache, whole or not at all; its hash, or None when it is replaced or gone by now."""
        self._cache.mkdir(parents=True, exist_ok=True)
        part = self._cache / f".{uuid.uuid4().hex}.part"
        try:
            with clear_errors(str(self)):
                try:
                    body = self._client.get_object(Bucket=self.place.bucket, Key=item.key, IfMatch=f'"{item.etag}"')[
                        "Body"
                    ]
                except self._client.exceptions.ClientError as error:
                    if error.response["Error"].get("Code") in {"404", "NoSuchKey", "412", "PreconditionFailed"}:
                        return None
                    raise
                with part.open("wb") as target:
                    sha256 = digest(body, target)
            target_path = self._path(sha256, item.key)
            target_path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target_path)
        finally:
            part.unlink(missing_ok=True)
        line = json.dumps({"version": item.version, "key": item.key, "sha256": sha256})
        # A line before it that a crash cut off must not swallow this one.
        with (self._cache / INDEX).open("ab") as index:
            index.write(f"\n{line}\n".encode())
        return sha256

    def _lines(self) -> Iterator[dict[str, str]]:
        try:
            text = (self._cache / INDEX).read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                said = json.loads(line)
                yield {name: str(said[name]) for name in ("version", "key", "sha256")}
            except (ValueError, KeyError, TypeError):
                continue

    def _index(self) -> dict[str, str]:
        """Hash by version of an object."""
        return {said["version"]: said["sha256"] for said in self._lines()}

    def _path(self, sha256: str, key: str) -> Path:
        return self._cache / sha256 / key.rsplit("/", 1)[-1][-_NAME_LENGTH:]

    def _landed(self, item: _Object, sha256: str) -> LandedFile:
        source = item.uri.split("/", 1)[0]
        return LandedFile(item.uri, self._path(sha256, item.key), source, sha256, item.bytes, item.modified_utc)

    def _prune(self, keep: set[str]) -> None:
        """Remove what was fetched longest ago until what stays is within the bound."""
        if not self._cache.is_dir():
            return
        folders = [folder for folder in self._cache.iterdir() if folder.is_dir() and folder.name not in keep]
        folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        total = 0
        for folder in folders:
            total += sum(file.stat().st_size for file in folder.iterdir())
            if total > self._cache_bytes:
                shutil.rmtree(folder, ignore_errors=True)


def _outermost(prefixes: Sequence[str]) -> list[str]:
    """Prefixes that no other one covers: each object is listed once.

    Example:
        >>> _outermost(["landing/", "raw/", "landing/firehose/"])
        ['landing/', 'raw/']
    """
    chosen: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not any(prefix.startswith(outer) for outer in chosen):
            chosen.append(prefix)
    return chosen
