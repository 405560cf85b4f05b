"""The S3 bucket: private, encrypted, versioned, TLS only; emptying it version by version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from energy_platform.adapters.aws.client import Aws, clear_errors, error_code
from energy_platform.adapters.aws.plan import OWNER, OWNER_TAG, PREFIXES, AwsPlan
from energy_platform.adapters.aws.resources import Found, is_ours
from energy_platform.domain.errors import CloudRefused

DELETE_BATCH = 1000  # what DeleteObjects takes at most
NONCURRENT_DAYS = 90
ATHENA_RESULTS_DAYS = 30
UPLOAD_DAYS = 7
_MISSING = {"404", "NoSuchBucket", "NotFound"}


class Bucket:
    """The one bucket of an installation, with a marker object for each prefix so that consoles show it."""

    kind = "S3 bucket"

    def __init__(self, aws: Aws, plan: AwsPlan) -> None:
        self._client = aws.client("s3")
        self._region = aws.region
        self._over_tls = not (aws.endpoint_url or "").startswith("http://")  # a local server would lock us out
        self.name, self.arn = plan.bucket, plan.bucket_arn

    def find(self) -> Found:
        """Whether it is there, and ours."""
        with clear_errors(f"{self.kind} {self.name}"):
            try:
                self._client.head_bucket(Bucket=self.name)
            except self._client.exceptions.ClientError as error:
                if error_code(error) in _MISSING:
                    return Found(self.kind, self.name, self.arn, "missing")
                if error_code(error) in {"403", "AccessDenied"}:
                    return Found(self.kind, self.name, self.arn, "foreign", "no access to it")
                raise
            try:
                tags = self._client.get_bucket_tagging(Bucket=self.name)["TagSet"]
            except self._client.exceptions.ClientError as error:
                if error_code(error) != "NoSuchTagSet":
                    raise
                tags = []
        # Tags come by a second call: an empty bucket without any is one whose making was interrupted.
        ours = is_ours({tag["Key"]: tag["Value"] for tag in tags}) or (not tags and not self._any_version())
        return Found(self.kind, self.name, self.arn, "active" if ours else "foreign", f"{len(PREFIXES)} prefixes")

    def make(self) -> None:
        """Make it, or set again everything that it should have."""
        with clear_errors(f"{self.kind} {self.name}"):
            if self.find().state == "missing":
                where = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
                arguments: dict[str, Any] = {"CreateBucketConfiguration": where} if where else {}
                self._client.create_bucket(Bucket=self.name, ObjectOwnership="BucketOwnerEnforced", **arguments)
            waiter = self._client.get_waiter("bucket_exists")
            waiter.wait(Bucket=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 30})
            self._client.put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": [{"Key": OWNER_TAG, "Value": OWNER}]})
            self._protect()
            for prefix in PREFIXES:
                self._mark(prefix)

    def holds(self) -> str:
        """How much data it holds, versions and deleted objects included; prefix markers are none."""
        with clear_errors(f"{self.kind} {self.name}"):
            return "objects" if self._any_version() else ""

    def remove(self) -> None:
        """Delete every version of every object, unfinished uploads, and the bucket."""
        with clear_errors(f"{self.kind} {self.name}"):
            while batch := self._first_versions():
                self._delete(batch)
            for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name):
                for upload in page.get("Uploads", []):
                    self._client.abort_multipart_upload(
                        Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
            self._client.delete_bucket(Bucket=self.name)
            waiter = self._client.get_waiter("bucket_not_exists")
            waiter.wait(Bucket=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 30})

    def _protect(self) -> None:
        """No public access, encryption, versions, TLS only, and an end for what nobody needs again."""
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        self._client.put_public_access_block(
            Bucket=self.name, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True)
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        self._client.put_bucket_encryption(Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        self._client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        if self._over_tls:
            self._client.put_bucket_policy(Bucket=self.name, Policy=json.dumps(tls_only_policy(self.arn)))
        self._client.put_bucket_lifecycle_configuration(
            Bucket=self.name, LifecycleConfiguration={"Rules": _lifecycle_rules()}
        )

    def _mark(self, prefix: str) -> None:
        """An empty object that makes a prefix visible, once."""
        try:
            self._client.head_object(Bucket=self.name, Key=prefix)
        except self._client.exceptions.ClientError as error:
            if error_code(error) not in {"404", "NoSuchKey", "NotFound"}:
                raise
            self._client.put_object(Bucket=self.name, Key=prefix, Body=b"")

    def _versions(self) -> Iterator[dict[str, Any]]:
        """Every version and delete marker."""
        for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.name):
            yield from page.get("Versions", [])
            yield from page.get("DeleteMarkers", [])

    def _any_version(self) -> bool:
        """Whether there is anything but the markers of prefixes; stops at the first."""
        return any(not (version["Key"] in PREFIXES and not version.get("Size", 0)) for version in self._versions())

    def _first_versions(self) -> list[dict[str, str]]:
        """The first versions of those still there: asked for anew each time, as pages shift under deletes."""
        page = self._client.list_object_versions(Bucket=self.name, MaxKeys=DELETE_BATCH)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        return [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in found]

    def _delete(self, batch: list[dict[str, str]]) -> None:
        """Delete versions; S3 reports single failures inside a success."""
        said = self._client.delete_objects(Bucket=self.name, Delete={"Objects": batch, "Quiet": True})
        if errors := said.get("Errors"):
            problem = f"{len(errors)} objects could not be deleted, first {errors[0]['Key']}: {errors[0]['Code']}"
            raise CloudRefused(f"{self.kind} {self.name}", problem=problem, remedy="Run the same command again.")


def tls_only_policy(bucket_arn: str) -> dict[str, Any]:
    """The bucket policy that refuses every request that is not encrypted on its way."""
    statement = {
        "Sid": "OnlyEncryptedTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _lifecycle_rules() -> list[dict[str, Any]]:
    return [
        {
            "ID": "old-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": NONCURRENT_DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS},
        },
        {
            "ID": "query-results",
            "Status": "Enabled",
            "Filter": {"Prefix": "athena-results/"},
            "Expiration": {"Days": ATHENA_RESULTS_DAYS},
        },
    ]
