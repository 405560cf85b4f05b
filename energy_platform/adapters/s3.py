"""What every use of S3 shares: refusals as clear errors, and putting whole objects.

Does not belong here: which objects there are (object_landing.py), making the bucket (adapters/aws).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from energy_platform.domain.errors import LandingUnreachable

CONTENT_TYPES = {".csv": "text/csv; charset=utf-8", ".html": "text/html; charset=utf-8"}


@contextmanager
def clear_errors(place: str) -> Iterator[None]:
    """Name the place and the remedy when S3 says no, or when nobody answers.

    Raises:
        LandingUnreachable: in place of what boto3 raises.
    """
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, S3UploadFailedError) as error:
        remedy = (
            "Check ENERGY_LANDING, ENERGY_PUBLISHED, ENERGY_S3_ENDPOINT_URL and the rights of these AWS credentials."
        )
        raise LandingUnreachable(place, problem=str(error).rstrip("."), remedy=remedy) from None


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """Bucket, and key prefix that is empty or ends in a slash.

    Raises:
        LandingUnreachable: the address names no bucket.

    Example:
        >>> bucket_and_prefix("s3://energy/landing")
        ('energy', 'landing/')
    """
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.netloc:
        raise LandingUnreachable(address, problem="it names no bucket", remedy="Write s3://bucket/prefix.")
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def put_objects(client: Any, bucket: str, objects: Mapping[str, bytes]) -> None:
    """Put each object under its key; S3 shows it whole or as it was before.

    Raises:
        LandingUnreachable: S3 does not take one; those before it are there.
    """
    for key, content in objects.items():
        kind = CONTENT_TYPES.get(key[key.rfind(".") :], "application/octet-stream")
        with clear_errors(f"s3://{bucket}/{key}"):
            client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind)
