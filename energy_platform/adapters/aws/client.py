"""Connecting to AWS or to a protocol server in its place, and turning its refusals into clear errors."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from energy_platform.domain.errors import CloudRefused

REMEDIES = {
    "AccessDenied": "Ask for the rights in policies/deployer.json (`energy aws policies`).",
    "AccessDeniedException": "Ask for the rights in policies/deployer.json (`energy aws policies`).",
    "ExpiredToken": "Sign in again: the session has ended.",
    "ExpiredTokenException": "Sign in again: the session has ended.",
    "InvalidClientTokenId": "Check the access key, and that it belongs to this endpoint.",
    "UnrecognizedClientException": "Check the access key, and that it belongs to this endpoint.",
    "BucketAlreadyExists": "Another account has a bucket of that name: choose another --prefix.",
    "IllegalLocationConstraintException": "Give the --region that the bucket is to be in.",
    "LimitExceededException": "A limit of the account is reached: remove what is unused or ask for more.",
}


class Aws:
    """One session: clients with time-outs and bounded retries, made when first asked for."""

    def __init__(self, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        try:
            self._session: Any = boto3.Session(region_name=region)  # typed as Any: services are named at run time
            credentials = self._session.get_credentials()
        except BotoCoreError as error:
            remedy = "Check AWS_PROFILE and the files in ~/.aws."
            raise CloudRefused("credentials", problem=str(error), remedy=remedy) from None
        self.endpoint_url = endpoint_url
        self.region = self._session.region_name or ("us-east-1" if endpoint_url else "")
        if not self.region:
            raise CloudRefused("region", problem="none is set", remedy="Give --region or set AWS_REGION.")
        self._keys: dict[str, str] = {}
        if credentials is None and endpoint_url and _is_loopback(endpoint_url):
            self._keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        self._config = Config(
            retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=30, tcp_keepalive=True
        )
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of one service."""
        if service not in self._clients:
            try:
                self._clients[service] = self._session.client(
                    service,
                    region_name=self.region,
                    endpoint_url=self.endpoint_url,
                    config=self._config,
                    **self._keys,
                )
            except ValueError as error:
                remedy = "Give --endpoint-url as http://host:port."
                raise CloudRefused(str(self.endpoint_url), problem=str(error), remedy=remedy) from None
        return self._clients[service]

    def account(self) -> str:
        """The number of the account that the credentials belong to.

        Raises:
            CloudRefused: there are no valid credentials, or nothing answers.
        """
        with clear_errors("AWS account"):
            return str(self.client("sts").get_caller_identity()["Account"])


@contextmanager
def clear_errors(resource: str) -> Iterator[None]:
    """Name the resource and the remedy when AWS says no, or when nobody answers."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, WaiterError

    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", str(error))
        remedy = REMEDIES.get(code, "Mend this and run the same command again: what is done already stays.")
        raise CloudRefused(resource, problem=f"{code}: {message}".rstrip("."), remedy=remedy) from None
    except NoCredentialsError:
        remedy = "Sign in (`aws configure`, `aws sso login`), or set AWS_PROFILE."
        raise CloudRefused(resource, problem="no AWS credentials were found", remedy=remedy) from None
    except WaiterError as error:
        remedy = "Run the same command again: it goes on where it stopped."
        raise CloudRefused(resource, problem=f"not ready in time ({error})".rstrip("."), remedy=remedy) from None
    except BotoCoreError as error:
        remedy = "Check the network and --endpoint-url."
        raise CloudRefused(resource, problem=str(error).rstrip("."), remedy=remedy) from None


def error_code(error: Exception) -> str:
    """The code of a botocore ClientError; empty for anything else."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
