"""The names of everything that ``energy aws`` makes, from prefix, account and region; no calls."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from energy_platform.domain.errors import CloudRefused

OWNER_TAG = "managed-by"
OWNER = "energy-platform"
PREFIXES = (
    "raw/",
    "processed/",
    "forecast/",
    "anomalies/",
    "reports/",
    "athena-results/",
    "landing/",
    "published/",
)
FIREHOSE_PREFIX = "landing/firehose/"
FIREHOSE_ERRORS_PREFIX = "landing/firehose-errors/"
STREAMS = ("live", "storage")

KeyType = Literal["S", "N"]


@dataclass(frozen=True, slots=True)
class TableKey:
    """A DynamoDB table's last name and its keys: partition key first, then a sort key if there is one."""

    name: str
    keys: tuple[tuple[str, KeyType], ...]


TABLES = (
    TableKey("records", (("sensor_id", "S"), ("timestamp", "N"))),
    TableKey("meter_data", (("date_time", "S"), ("meter_id", "S"))),  # two meters may report in one second
    TableKey("date_power_data", (("date", "S"), ("meter_id", "S"))),
    TableKey("live_data_table", (("entry_no", "N"),)),
)


@dataclass(frozen=True, slots=True)
class AwsPlan:
    """Names and ARNs of one installation.

    Raises:
        CloudRefused: the prefix does not make valid names.

    Example:
        >>> plan = AwsPlan("energy", account="123456789012", region="eu-west-2")
        >>> plan.bucket, plan.stream("live")
        ('energy-123456789012-eu-west-2', 'energy-live')
    """

    prefix: str
    account: str
    region: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{1,22}[a-z0-9]", self.prefix) or "--" in self.prefix:
            remedy = "Use 3 to 24 small letters, digits and single hyphens, a letter first: bucket names allow no more."
            raise CloudRefused(f"--prefix {self.prefix!r}", problem="does not make valid names", remedy=remedy)

    @property
    def partition(self) -> str:
        """``aws``, or the partition of China or GovCloud."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def bucket(self) -> str:
        """Bucket names are shared by all accounts of the world, so the account is part of it."""
        return f"{self.prefix}-{self.account}-{self.region}"

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket; objects are below it."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    def stream(self, name: str) -> str:
        """Name of a Kinesis stream: ``live`` or ``storage``."""
        return f"{self.prefix}-{name}"

    def stream_arn(self, name: str) -> str:
        """ARN of a Kinesis stream."""
        return self._arn("kinesis", f"stream/{self.stream(name)}")

    @property
    def firehose(self) -> str:
        """Name of the delivery stream from ``storage`` to the bucket."""
        return f"{self.prefix}-firehose"

    @property
    def firehose_arn(self) -> str:
        """ARN of the delivery stream."""
        return self._arn("firehose", f"deliverystream/{self.firehose}")

    @property
    def firehose_role_arn(self) -> str:
        """The role that Firehose takes on, unless another is given."""
        return f"arn:{self.partition}:iam::{self.account}:role/{self.prefix}-firehose"

    @property
    def topic(self) -> str:
        """Name of the SNS topic for alerts."""
        return f"{self.prefix}-alerts"

    @property
    def topic_arn(self) -> str:
        """ARN of the SNS topic."""
        return self._arn("sns", self.topic)

    def table(self, name: str) -> str:
        """Name of a DynamoDB table."""
        return f"{self.prefix}-{name}"

    def table_arn(self, name: str) -> str:
        """ARN of a DynamoDB table."""
        return self._arn("dynamodb", f"table/{self.table(name)}")

    @property
    def kinesis_key_arn(self) -> str:
        """The key that AWS keeps for Kinesis in this account."""
        return self._arn("kms", "alias/aws/kinesis")

    def _arn(self, service: str, rest: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"
