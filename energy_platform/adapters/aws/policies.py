"""Least-privilege IAM policies, one a role, as documents; an administrator applies them.

Every action is written out and every resource is an ARN of this installation. ``ingest`` sends
readings, ``platform`` runs the flow, ``reader`` looks at results, ``firehose`` is what Firehose
takes on (with ``firehose-trust``), ``deployer`` runs ``energy aws up`` and ``down``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from energy_platform.adapters.aws.plan import STREAMS, TABLES, AwsPlan

READ_PREFIXES = ("published/*", "reports/*", "processed/*", "forecast/*", "anomalies/*")
WRITE_PREFIXES = (*READ_PREFIXES, "landing/*", "athena-results/*")
Document = dict[str, Any]


def policies(plan: AwsPlan) -> dict[str, Document]:
    """File stem to policy document."""
    return {
        "ingest": _document(
            _allow("SendReadings", ["kinesis:PutRecord", "kinesis:PutRecords"], _streams(plan)),
            _encrypt(plan),
            _allow("LandFiles", ["s3:PutObject"], _objects(plan, "raw/*", "landing/*")),
        ),
        "platform": _document(*_platform(plan)),
        "reader": _document(
            _list(plan, *READ_PREFIXES),
            _allow("ReadResults", ["s3:GetObject"], _objects(plan, *READ_PREFIXES)),
            _allow("ReadTables", ["dynamodb:GetItem", "dynamodb:Query"], _tables(plan)),
        ),
        "firehose": _document(*_firehose(plan)),
        "firehose-trust": _firehose_trust(plan),
        "deployer": _document(*_deployer(plan)),
    }


def write_policies(plan: AwsPlan, folder: Path) -> list[Path]:
    """Write each document to ``<folder>/<name>.json``; the same plan gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, document in policies(plan).items():
        path = folder / f"{name}.json"
        temporary = path.with_suffix(".json.tmp")
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, path)  # noqa: PTH105  replaces on every system
        written.append(path)
    return written


def _platform(plan: AwsPlan) -> list[Document]:
    """Reads streams and landed files, writes results, keeps live tables, sends alerts."""
    read = ["kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"]
    keep = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"]
    return [
        _allow("ReadStreams", read, _streams(plan)),
        _decrypt(plan),
        _list(plan, "raw/*", *WRITE_PREFIXES),
        _allow("ReadFiles", ["s3:GetObject"], _objects(plan, "raw/*", *WRITE_PREFIXES)),
        _allow("WriteResults", ["s3:PutObject"], _objects(plan, *WRITE_PREFIXES)),
        _allow("PruneGenerations", ["s3:DeleteObject"], _objects(plan, "published/*")),
        _allow("KeepTables", keep, _tables(plan)),
        _allow("SendAlerts", ["sns:Publish"], [plan.topic_arn]),
    ]


def _firehose(plan: AwsPlan) -> list[Document]:
    """What AWS documents for a delivery from a stream to S3, for this stream and prefix only."""
    read = ["kinesis:DescribeStream", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"]
    bucket = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    write = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
    return [
        _allow("ReadStorageStream", read, [plan.stream_arn("storage")]),
        _decrypt(plan),
        _allow("FindBucket", bucket, [plan.bucket_arn]),
        _allow("WriteLanding", write, _objects(plan, "landing/firehose/*", "landing/firehose-errors/*")),
    ]


def _firehose_trust(plan: AwsPlan) -> Document:
    """Who may take on the Firehose role: Firehose, on behalf of this account (it sends the account as external id)."""
    statement = {
        "Sid": "FirehoseOfThisInstallation",
        "Effect": "Allow",
        "Principal": {"Service": "firehose.amazonaws.com"},
        "Action": ["sts:AssumeRole"],
        "Condition": {"StringEquals": {"sts:ExternalId": plan.account}},
    }
    return _document(statement)


def _deployer(plan: AwsPlan) -> list[Document]:
    """The calls of ``energy aws up``, ``status`` and ``down``, and no other."""
    bucket = (
        "CreateBucket DeleteBucket ListBucket ListBucketVersions ListBucketMultipartUploads GetBucketTagging "
        "PutBucketTagging PutBucketPublicAccessBlock PutEncryptionConfiguration PutBucketVersioning "
        "PutBucketPolicy PutLifecycleConfiguration PutBucketOwnershipControls"
    )
    objects = "GetObject PutObject DeleteObject DeleteObjectVersion AbortMultipartUpload"
    stream = (
        "CreateStream DeleteStream DescribeStreamSummary DescribeStream AddTagsToStream ListTagsForStream "
        "IncreaseStreamRetentionPeriod StartStreamEncryption"
    )
    table = "CreateTable DeleteTable DescribeTable TagResource ListTagsOfResource Scan"
    delivery = (
        "CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream TagDeliveryStream ListTagsForDeliveryStream"
    )
    topic = "CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes TagResource ListTagsForResource"
    return [
        _allow("Bucket", _actions("s3", bucket), [plan.bucket_arn]),
        _allow("Objects", _actions("s3", objects), _objects(plan, "*")),
        _allow("Streams", _actions("kinesis", stream), _streams(plan)),
        _allow("Tables", _actions("dynamodb", table), _tables(plan)),
        _allow("Delivery", _actions("firehose", delivery), [plan.firehose_arn]),
        _allow("Topic", _actions("sns", topic), [plan.topic_arn]),
        _pass_role(plan),
    ]


def _pass_role(plan: AwsPlan) -> Document:
    """Handing Firehose its role, the one thing of IAM that ``up`` touches."""
    statement = _allow("HandFirehoseItsRole", ["iam:PassRole"], [plan.firehose_role_arn])
    return statement | {"Condition": {"StringEquals": {"iam:PassedToService": "firehose.amazonaws.com"}}}


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, actions: list[str], resources: list[str]) -> Document:
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}


def _actions(service: str, names: str) -> list[str]:
    return [f"{service}:{name}" for name in names.split()]


def _streams(plan: AwsPlan) -> list[str]:
    return [plan.stream_arn(name) for name in STREAMS]


def _tables(plan: AwsPlan) -> list[str]:
    return [plan.table_arn(table.name) for table in TABLES]


def _objects(plan: AwsPlan, *prefixes: str) -> list[str]:
    return [f"{plan.bucket_arn}/{prefix}" for prefix in prefixes]


def _list(plan: AwsPlan, *prefixes: str) -> Document:
    """Listing the bucket, below some prefixes only."""
    return _allow("ListPrefixes", ["s3:ListBucket"], [plan.bucket_arn]) | {
        "Condition": {"StringLike": {"s3:prefix": list(prefixes)}}
    }


def _decrypt(plan: AwsPlan) -> Document:
    return _key(plan, "DecryptStreams", ["kms:Decrypt"])


def _encrypt(plan: AwsPlan) -> Document:
    return _key(plan, "EncryptStreams", ["kms:GenerateDataKey"])


def _key(plan: AwsPlan, sid: str, actions: list[str]) -> Document:
    """The key of Kinesis: policies cannot name an alias, so conditions narrow the account's keys to it."""
    keys = [plan.kinesis_key_arn.replace("alias/aws/kinesis", "key/*")]
    narrowed = {
        "StringEquals": {"kms:ViaService": f"kinesis.{plan.region}.amazonaws.com"},
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/kinesis"},
    }
    return _allow(sid, actions, keys) | {"Condition": narrowed}
