"""Each kind of AWS resource: whether it is there and ours, making it, whether it holds data, removing it.

A resource that exists but does not carry our tag belongs to somebody else: it is neither changed
nor removed. Making what is there already sets what it should be and changes nothing else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

from energy_platform.adapters.aws.client import Aws, clear_errors, error_code
from energy_platform.adapters.aws.plan import OWNER, OWNER_TAG, AwsPlan, TableKey
from energy_platform.domain.errors import CloudRefused

WAIT_SECONDS = 300.0
POLL_SECONDS = 2.0
KINESIS_KEY = "alias/aws/kinesis"
_NOT_FOUND = {"ResourceNotFoundException", "NotFound", "NotFoundException", "NoSuchTagSet", "ResourceNotFound"}


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a resource: its state (missing, creating, active, deleting, foreign) and detail."""

    kind: str
    name: str
    arn: str
    state: str
    detail: str = ""


class Resource(Protocol):
    """What ``stack`` wants of each kind."""

    kind: str
    name: str
    arn: str

    def find(self) -> Found:
        """Whether it is there, and ours."""
        ...

    def make(self) -> None:
        """Make it, or bring what is there to what it should be; wait until it is usable."""
        ...

    def holds(self) -> str:
        """What data it holds, in words; empty when none (or when it keeps none)."""
        ...

    def remove(self) -> None:
        """Remove it with what it holds, and wait until it is gone."""
        ...


def is_ours(tags: dict[str, str]) -> bool:
    """Whether the tags say that ``energy aws`` made it."""
    return tags.get(OWNER_TAG) == OWNER


def wait_for(resource: Resource, state: str, *, seconds: float = WAIT_SECONDS) -> None:
    """Look again and again until the resource is in a state.

    Raises:
        CloudRefused: it is not so in time.
    """
    deadline = time.monotonic() + seconds
    found = resource.find()
    while found.state != state:
        if found.state == "foreign" or time.monotonic() > deadline:
            problem = f"is {found.state} and not {state}, waited for up to {seconds:.0f} s"
            remedy = "Run the same command again: it goes on where it stopped."
            raise CloudRefused(f"{resource.kind} {resource.name}", problem=problem, remedy=remedy)
        time.sleep(0.05 if seconds < POLL_SECONDS else POLL_SECONDS)
        found = resource.find()


class Stream:
    """A Kinesis data stream with provisioned shards, encrypted with the key AWS keeps for Kinesis."""

    kind = "Kinesis stream"

    def __init__(self, aws: Aws, plan: AwsPlan, name: str, *, shards: int, retention_hours: int) -> None:
        self._client = aws.client("kinesis")
        self.name, self.arn = plan.stream(name), plan.stream_arn(name)
        self._shards, self._retention_hours = shards, retention_hours

    def find(self) -> Found:
        """Whether it is there, and ours."""
        with clear_errors(f"{self.kind} {self.name}"):
            try:
                said = self._client.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]
                tags = self._client.list_tags_for_stream(StreamName=self.name)["Tags"]
            except self._client.exceptions.ResourceNotFoundException:
                return Found(self.kind, self.name, self.arn, "missing")
        ours = is_ours({tag["Key"]: tag["Value"] for tag in tags})
        detail = (
            f"{said['OpenShardCount']} shards, {said['RetentionPeriodHours']} h, {said.get('EncryptionType', 'NONE')}"
        )
        state = said["StreamStatus"].lower()
        return Found(self.kind, self.name, self.arn, state if ours else "foreign", detail)

    def make(self) -> None:
        """Make it, or bring what is there to what it should be."""
        found = self.find()
        with clear_errors(f"{self.kind} {self.name}"):
            if found.state == "missing":
                self._client.create_stream(
                    StreamName=self.name,
                    ShardCount=self._shards,
                    StreamModeDetails={"StreamMode": "PROVISIONED"},
                    Tags={OWNER_TAG: OWNER},
                )
                # moto leaves out the tags of CreateStream; to AWS this says the same again.
                self._client.add_tags_to_stream(StreamName=self.name, Tags={OWNER_TAG: OWNER})
            self._client.get_waiter("stream_exists").wait(
                StreamName=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 90}
            )
            said = self._client.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]
            if said["RetentionPeriodHours"] < self._retention_hours:
                self._client.increase_stream_retention_period(
                    StreamName=self.name, RetentionPeriodHours=self._retention_hours
                )
                wait_for(self, "active")
            if said.get("EncryptionType", "NONE") != "KMS":
                self._client.start_stream_encryption(StreamName=self.name, EncryptionType="KMS", KeyId=KINESIS_KEY)
        wait_for(self, "active")

    def holds(self) -> str:
        """None: what is in it is on its way, and kept elsewhere."""
        return ""

    def remove(self) -> None:
        """Remove it and wait until it is gone."""
        with clear_errors(f"{self.kind} {self.name}"):
            self._client.delete_stream(StreamName=self.name, EnforceConsumerDeletion=True)
            self._client.get_waiter("stream_not_exists").wait(
                StreamName=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 90}
            )


class Delivery:
    """The Firehose that takes the storage stream to the landing prefix of the bucket."""

    kind = "Firehose"

    def __init__(self, aws: Aws, plan: AwsPlan, configuration: dict[str, Any]) -> None:
        self._client = aws.client("firehose")
        self.name, self.arn = plan.firehose, plan.firehose_arn
        self._configuration = configuration

    def find(self) -> Found:
        """Whether it is there, and ours."""
        with clear_errors(f"{self.kind} {self.name}"):
            try:
                said = self._client.describe_delivery_stream(DeliveryStreamName=self.name)["DeliveryStreamDescription"]
                tags = self._client.list_tags_for_delivery_stream(DeliveryStreamName=self.name)["Tags"]
            except self._client.exceptions.ResourceNotFoundException:
                return Found(self.kind, self.name, self.arn, "missing")
        ours = is_ours({tag["Key"]: tag.get("Value", "") for tag in tags})
        state = said["DeliveryStreamStatus"].lower()
        return Found(self.kind, self.name, self.arn, state if ours else "foreign", said["DeliveryStreamType"])

    def make(self) -> None:
        """Make it, or bring what is there to what it should be."""
        if self.find().state == "creating_failed":
            self.remove()
        if self.find().state == "missing":
            with clear_errors(f"{self.kind} {self.name}"):
                self._client.create_delivery_stream(
                    DeliveryStreamName=self.name, **self._configuration, Tags=[{"Key": OWNER_TAG, "Value": OWNER}]
                )
        deadline = time.monotonic() + WAIT_SECONDS
        while (state := self.find().state) == "creating" and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if state != "active":
            remedy = "Firehose has to be able to take on its role: see firehose.json and firehose-trust.json among the policies."
            raise CloudRefused(f"{self.kind} {self.name}", problem=f"is {state} and not active", remedy=remedy)

    def holds(self) -> str:
        """None: what is in it is on its way, and kept elsewhere."""
        return ""

    def remove(self) -> None:
        """Remove it and wait until it is gone."""
        with clear_errors(f"{self.kind} {self.name}"):
            self._client.delete_delivery_stream(DeliveryStreamName=self.name, AllowForceDelete=True)
        wait_for(self, "missing")


class Topic:
    """The SNS topic for alerts, encrypted with the key AWS keeps for SNS."""

    kind = "SNS topic"

    def __init__(self, aws: Aws, plan: AwsPlan) -> None:
        self._client = aws.client("sns")
        self.name, self.arn = plan.topic, plan.topic_arn

    def find(self) -> Found:
        """Whether it is there, and ours."""
        with clear_errors(f"{self.kind} {self.name}"):
            try:
                said = self._client.get_topic_attributes(TopicArn=self.arn)["Attributes"]
                tags = self._client.list_tags_for_resource(ResourceArn=self.arn)["Tags"]
            except self._client.exceptions.ClientError as error:
                if error_code(error) in _NOT_FOUND:
                    return Found(self.kind, self.name, self.arn, "missing")
                raise
        ours = is_ours({tag["Key"]: tag["Value"] for tag in tags})
        detail = f"{said.get('SubscriptionsConfirmed', '0')} confirmed subscriptions"
        return Found(self.kind, self.name, self.arn, "active" if ours else "foreign", detail)

    def make(self) -> None:
        """Make it, or bring what is there to what it should be."""
        with clear_errors(f"{self.kind} {self.name}"):
            self._client.create_topic(
                Name=self.name,
                Attributes={"KmsMasterKeyId": "alias/aws/sns"},
                Tags=[{"Key": OWNER_TAG, "Value": OWNER}],
            )
        wait_for(self, "active")

    def holds(self) -> str:
        """None: what is in it is on its way, and kept elsewhere."""
        return ""

    def remove(self) -> None:
        """Remove it and wait until it is gone."""
        with clear_errors(f"{self.kind} {self.name}"):
            self._client.delete_topic(TopicArn=self.arn)


class Table:
    """A DynamoDB table, paid by request; encrypted by AWS."""

    kind = "DynamoDB table"

    def __init__(self, aws: Aws, plan: AwsPlan, table: TableKey) -> None:
        self._client = aws.client("dynamodb")
        self.name, self.arn = plan.table(table.name), plan.table_arn(table.name)
        self._keys = table.keys

    def find(self) -> Found:
        """Whether it is there, and ours."""
        with clear_errors(f"{self.kind} {self.name}"):
            try:
                said = self._client.describe_table(TableName=self.name)["Table"]
                tags = self._client.list_tags_of_resource(ResourceArn=said["TableArn"])["Tags"]
            except self._client.exceptions.ResourceNotFoundException:
                return Found(self.kind, self.name, self.arn, "missing")
        ours = is_ours({tag["Key"]: tag["Value"] for tag in tags})
        mode = said.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED").lower()
        return Found(self.kind, self.name, self.arn, said["TableStatus"].lower() if ours else "foreign", mode)

    def make(self) -> None:
        """Make it, or bring what is there to what it should be."""
        with clear_errors(f"{self.kind} {self.name}"):
            if self.find().state == "missing":
                roles = ("HASH", "RANGE")
                self._client.create_table(
                    TableName=self.name,
                    AttributeDefinitions=[{"AttributeName": key, "AttributeType": of} for key, of in self._keys],
                    KeySchema=[
                        {"AttributeName": key, "KeyType": role}
                        for (key, _), role in zip(self._keys, roles, strict=False)
                    ],
                    BillingMode="PAY_PER_REQUEST",
                    Tags=[{"Key": OWNER_TAG, "Value": OWNER}],
                )
            waiter = self._client.get_waiter("table_exists")
            waiter.wait(TableName=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 90})

    def holds(self) -> str:
        """What data it holds that would be lost."""
        with clear_errors(f"{self.kind} {self.name}"):
            return "items" if self._client.scan(TableName=self.name, Limit=1)["Count"] else ""

    def remove(self) -> None:
        """Remove it and wait until it is gone."""
        with clear_errors(f"{self.kind} {self.name}"):
            self._client.delete_table(TableName=self.name)
            waiter = self._client.get_waiter("table_not_exists")
            waiter.wait(TableName=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 90})
