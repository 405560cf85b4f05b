"""All resources of one installation together: up, status, down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from energy_platform.adapters.aws.bucket import Bucket
from energy_platform.adapters.aws.client import Aws
from energy_platform.adapters.aws.plan import FIREHOSE_ERRORS_PREFIX, FIREHOSE_PREFIX, STREAMS, TABLES, AwsPlan
from energy_platform.adapters.aws.resources import Delivery, Found, Resource, Stream, Table, Topic
from energy_platform.domain.errors import CloudRefused

Notify = Callable[[Found], None]


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What may differ between installations.

    Args:
        shards: of each Kinesis stream; one takes 1,000 records or 1 MB a second.
        retention_hours: how long Kinesis keeps records, 24 to 8,760.
        buffer_seconds: after how long Firehose writes an object at the latest, 0 to 900.
        firehose_role_arn: the role that Firehose takes on; None: ``<prefix>-firehose``.
    """

    shards: int = 1
    retention_hours: int = 24
    buffer_seconds: int = 60
    firehose_role_arn: str | None = None


def plan_for(aws: Aws, prefix: str) -> AwsPlan:
    """The names of an installation in the account and region of a session."""
    return AwsPlan(prefix, account=aws.account(), region=aws.region)


def resources(aws: Aws, plan: AwsPlan, options: StackOptions | None = None) -> list[Resource]:
    """Everything in the order in which it is made: what others need comes first."""
    chosen = options or StackOptions()
    shards, hours = chosen.shards, chosen.retention_hours
    return [
        Bucket(aws, plan),
        *(Stream(aws, plan, name, shards=shards, retention_hours=hours) for name in STREAMS),
        *(Table(aws, plan, table) for table in TABLES),
        Topic(aws, plan),
        Delivery(aws, plan, delivery_configuration(plan, chosen)),
    ]


def up(items: Sequence[Resource], notify: Notify) -> list[Found]:
    """Make what is missing; nothing is made when anything of that name belongs to somebody else.

    Raises:
        CloudRefused: a name is taken, or AWS says no; running it again goes on from there.
    """
    _refuse_foreign([item.find() for item in items])
    for item in items:
        item.make()
        notify(item.find())
    return status(items)


def status(items: Sequence[Resource]) -> list[Found]:
    """What is there."""
    return [item.find() for item in items]


def down(items: Sequence[Resource], *, delete_data: bool, notify: Notify) -> int:
    """Remove what ``up`` made, in reverse; nothing is removed when data would be lost unasked.

    Returns:
        How many resources were removed.

    Raises:
        CloudRefused: something holds data and ``delete_data`` is off, or a name is somebody else's.
    """
    found = [(item, item.find()) for item in items]
    _refuse_foreign([state for _, state in found])
    there = [item for item, state in found if state.state != "missing"]
    full = [f"{item.kind} {item.name} holds {what}" for item in there if (what := item.holds())]
    if full and not delete_data:
        remedy = "Nothing was removed. Copy what you need, then give --delete-data."
        raise CloudRefused("energy aws down", problem="; ".join(full), remedy=remedy)
    for item in reversed(there):
        item.remove()
        notify(item.find())
    return len(there)


def delivery_configuration(plan: AwsPlan, options: StackOptions) -> dict[str, Any]:
    """What Firehose is told: from the storage stream, gzip objects below the landing prefix."""
    role = options.firehose_role_arn or plan.firehose_role_arn
    day = "!{timestamp:yyyy/MM/dd/}"
    destination = {
        "RoleARN": role,
        "BucketARN": plan.bucket_arn,
        "Prefix": FIREHOSE_PREFIX + day,
        "ErrorOutputPrefix": FIREHOSE_ERRORS_PREFIX + "!{firehose:error-output-type}/" + day,
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": options.buffer_seconds},
        "CompressionFormat": "GZIP",
    }
    return {
        "DeliveryStreamType": "KinesisStreamAsSource",
        "KinesisStreamSourceConfiguration": {"KinesisStreamARN": plan.stream_arn("storage"), "RoleARN": role},
        "ExtendedS3DestinationConfiguration": destination,
    }


def _refuse_foreign(found: Sequence[Found]) -> None:
    """Nothing of somebody else's is touched."""
    foreign = [f"{item.kind} {item.name}" for item in found if item.state == "foreign"]
    if foreign:
        problem = "exists and was not made by `energy aws`"
        raise CloudRefused(", ".join(foreign), problem=problem, remedy="Choose another --prefix.")
