"""Generations on S3: the same names as on disk, below a prefix, and copies of them on this disk.

    s3://<bucket>/<prefix>current.json
    s3://<bucket>/<prefix>generations/<stamp>-<id>/<schema>/<table>.parquet

An object appears whole, multipart uploads too, and a PUT replaces the pointer in one step. Files that do
not change are copied by S3 from the generation before, not uploaded. Readers have each file of a
generation fetched once: it never changes, so its copy here is as good, and needs no S3 in the query
engine. Uploads that a kill cut off are never seen; the bucket's lifecycle rule (adapters/aws/bucket.py)
frees their bytes.

Belongs here: objects and their copies. Does not belong here: what a generation holds (published.py).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energy_platform.adapters.published_store import GENERATIONS, MANIFEST, POINTER, FileMark, FolderStore
from energy_platform.adapters.s3 import bucket_and_prefix
from energy_platform.domain.errors import CloudRefused

# A generation is some thirty files, most of them small: the time goes into round trips.
CONNECTIONS = 8
DELETE_KEYS = 1_000  # the most that S3 deletes at once
_GONE = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Generations below a prefix of a bucket.

    Args:
        client: boto3's client of S3.
        bucket: its bucket.
        prefix: what keys begin with; empty or ending in a slash.
        copies: the folder on this disk that new generations are written in and fetched ones are kept in.
    """

    client: Any
    bucket: str
    prefix: str
    copies: FolderStore

    @classmethod
    def at(cls, address: str, *, client: Any, copies: FolderStore) -> ObjectStore:
        """The store that ``s3://bucket/prefix`` names.

        Raises:
            LandingUnreachable: it names no bucket.
        """
        bucket, prefix = bucket_and_prefix(address)
        return cls(client, bucket, prefix, copies)

    @property
    def address(self) -> str:
        """Bucket and prefix."""
        return f"s3://{self.bucket}/{self.prefix}"

    def read_pointer(self) -> dict[str, Any] | None:
        """What the pointer object says.

        Raises:
            CloudRefused: S3 does not answer, or says no.
        """
        with self._clear_errors():
            try:
                body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + POINTER)["Body"].read()
            except self.client.exceptions.ClientError as error:
                if error.response["Error"].get("Code") in _GONE:
                    return None
                raise
        pointer: dict[str, Any] = json.loads(body)
        return pointer

    def swap_pointer(self, pointer: Mapping[str, Any]) -> None:
        """One PUT: readers get the old pointer or the new one."""
        self._put_json(self.prefix + POINTER, pointer)

    def begin(self, generation_id: str) -> Path:
        """A folder on this disk."""
        return self.copies.begin(generation_id)

    def take_over(self, before: str, generation_id: str, file: str) -> None:
        """Have S3 copy the object; link the copy on this disk, where there is one."""
        source = {"Bucket": self.bucket, "Key": self._key(before, file)}
        with self._clear_errors():
            self.client.copy(source, self.bucket, self._key(generation_id, file))
        if (self.copies.folder(before) / file).exists():
            self.copies.take_over(before, generation_id, file)

    def finish(self, generation_id: str, written: Collection[str], manifest: Mapping[str, Any]) -> None:
        """Upload what was written, then the manifest; what is on this disk stays as the copy that readers here use."""
        folder = self.copies.building(generation_id)

        def upload(file: str) -> None:
            self.client.upload_file(str(folder / file), self.bucket, self._key(generation_id, file))

        with self._clear_errors():
            _each(upload, written)
        self._put_json(self._key(generation_id, MANIFEST), manifest)
        self.copies.finish(generation_id, written, manifest)

    def open(self, generation_id: str, files: Mapping[str, FileMark]) -> Path:
        """The folder of copies, with what was not there fetched and held against its hash.

        Raises:
            CloudRefused: S3 does not answer, the generation has been pruned, or an object is not what was published.
        """
        lacking = [file for file, mark in files.items() if not self.copies.holds(generation_id, file, mark)]
        if lacking:
            with self._clear_errors():
                _each(lambda file: self._fetch(generation_id, file, files[file]), lacking)
            history = (self.read_pointer() or {}).get("history", [])
            self.copies.forget_all_but({generation_id, *(entry["generation_id"] for entry in history)})
        return self.copies.open(generation_id, files)

    def sizes(self, generation_id: str) -> dict[str, int]:
        """Bytes by file, from one listing."""
        below = self._key(generation_id, "")
        listed = {key.removeprefix(below): size for key, size in self._list(below)}
        return {file: size for file, size in listed.items() if file.endswith(".parquet")}

    def remove_all_but(self, generation_ids: Collection[str]) -> None:
        """Delete the objects of every other generation, and their copies here."""
        start = f"{self.prefix}{GENERATIONS}/"
        doomed = [key for key, _ in self._list(start) if key.removeprefix(start).split("/", 1)[0] not in generation_ids]
        for first in range(0, len(doomed), DELETE_KEYS):
            objects = [{"Key": key} for key in doomed[first : first + DELETE_KEYS]]
            with self._clear_errors():
                outcome = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := outcome.get("Errors"):
                raise self._refused(f"{errors[0]['Key']} cannot be deleted: {errors[0].get('Message', '')}")
        self.copies.remove_all_but(generation_ids)

    def _fetch(self, generation_id: str, file: str, mark: FileMark) -> None:
        """Bring one file here, whole and as published, or not at all."""
        target = self.copies.folder(generation_id) / file
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            self.client.download_file(self.bucket, self._key(generation_id, file), str(part))
            found = FileMark.of(part)
            if found != mark:
                raise self._refused(
                    f"{self._key(generation_id, file)} has {found.bytes} bytes and is not what was published "
                    f"({mark.bytes} bytes, sha256 {mark.sha256[:12]}…)"
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _put_json(self, key: str, value: Mapping[str, Any]) -> None:
        body = json.dumps(value, indent=1).encode()
        with self._clear_errors():
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json")

    def _list(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._clear_errors():
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield entry["Key"], entry["Size"]

    def _key(self, generation_id: str, file: str) -> str:
        return f"{self.prefix}{GENERATIONS}/{generation_id}/{file}"

    def _refused(self, problem: str) -> CloudRefused:
        remedy = "Check ENERGY_PUBLISHED, ENERGY_S3_ENDPOINT_URL and the rights of these AWS credentials."
        return CloudRefused(self.address, problem=problem, remedy=remedy)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Name the place and the remedy when S3 says no, or when nobody answers."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response["Error"].get("Code")
            if code in _GONE and error.operation_name in {"GetObject", "HeadObject"}:
                problem = "the generation that was being read has been pruned. Ask again: a newer one is current"
                raise self._refused(problem) from None
            raise self._refused(str(error).rstrip(".")) from None
        except (BotoCoreError, Boto3Error) as error:
            raise self._refused(str(error).rstrip(".")) from None


def _each(act: Callable[[str], None], files: Iterable[str]) -> None:
    """Do it for every file, several at a time; the first failure is raised when those under way have ended."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(act, file) for file in files]:
            try:
                done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
