"""`energy aws` against moto's server: up is idempotent, down is careful, nothing foreign is touched.

Moto takes a Firehose with a Kinesis stream as its source and delivers nothing from it, so delivery
itself is not tested here: only that the Firehose is set up as it should be.
"""

import json
import urllib.request

import pytest
from typer.testing import CliRunner

from energy_platform.adapters.aws import stack
from energy_platform.adapters.aws.client import Aws
from energy_platform.adapters.aws.plan import OWNER, OWNER_TAG, PREFIXES, AwsPlan
from energy_platform.adapters.aws.policies import policies, write_policies
from energy_platform.commands.aws import app
from energy_platform.domain.errors import CloudRefused
from energy_platform_tests.streaming import brokers

REGION = "eu-west-2"


@pytest.fixture(scope="module")
def endpoint():
    with brokers.kinesis_server() as url:
        yield url


@pytest.fixture(scope="module")
def connected(endpoint):
    """One connection for all tests: boto3 reads megabytes of descriptions for each new one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield Aws(region=REGION, endpoint_url=endpoint)


@pytest.fixture
def aws(endpoint, connected):
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).read()
    return connected


@pytest.fixture
def plan(aws):
    return stack.plan_for(aws, "energy")


@pytest.fixture
def items(aws, plan):
    return stack.resources(aws, plan)


def quiet(_found):
    pass


def states(items):
    return {found.state for found in stack.status(items)}


def test_up_makes_everything_and_again_changes_nothing(aws, plan, items):
    assert states(items) == {"missing"}
    first = stack.up(items, quiet)
    assert {found.state for found in first} == {"active"}
    s3 = aws.client("s3")
    before = {key["Key"]: key["LastModified"] for key in s3.list_objects_v2(Bucket=plan.bucket)["Contents"]}
    assert stack.up(items, quiet) == first
    assert {key["Key"]: key["LastModified"] for key in s3.list_objects_v2(Bucket=plan.bucket)["Contents"]} == before
    assert set(before) == set(PREFIXES)
    assert len(s3.list_object_versions(Bucket=plan.bucket)["Versions"]) == len(PREFIXES)


def test_the_bucket_is_private_encrypted_and_versioned(aws, plan, items):
    stack.up(items, quiet)
    s3 = aws.client("s3")
    blocked = s3.get_public_access_block(Bucket=plan.bucket)["PublicAccessBlockConfiguration"]
    assert list(blocked.values()) == [True] * 4
    assert s3.get_bucket_versioning(Bucket=plan.bucket)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=plan.bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert {rule["ID"] for rule in s3.get_bucket_lifecycle_configuration(Bucket=plan.bucket)["Rules"]} == {
        "old-versions",
        "query-results",
    }


def test_streams_tables_topic_and_firehose_are_as_the_earlier_systems_had_them(aws, plan, items):
    stack.up(items, quiet)
    for name in ("energy-live", "energy-storage"):
        said = aws.client("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        assert (said["EncryptionType"], said["OpenShardCount"]) == ("KMS", 1)
    table = aws.client("dynamodb").describe_table(TableName="energy-records")["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["sensor_id", "timestamp"]
    said = aws.client("firehose").describe_delivery_stream(DeliveryStreamName="energy-firehose")[
        "DeliveryStreamDescription"
    ]
    assert said["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == plan.stream_arn("storage")
    target = said["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (target["BucketARN"], target["CompressionFormat"]) == (plan.bucket_arn, "GZIP")
    assert target["Prefix"].startswith("landing/firehose/")


def test_up_goes_on_where_it_was_interrupted(items):
    stack.up(items[:3], quiet)
    assert states(items) == {"active", "missing"}
    assert {found.state for found in stack.up(items, quiet)} == {"active"}


def test_the_retention_is_raised_when_asked(aws, plan):
    stack.up(stack.resources(aws, plan), quiet)
    stack.up(stack.resources(aws, plan, stack.StackOptions(retention_hours=48)), quiet)
    said = aws.client("kinesis").describe_stream_summary(StreamName="energy-live")["StreamDescriptionSummary"]
    assert said["RetentionPeriodHours"] == 48


def test_down_removes_everything_and_again_finds_nothing(items):
    stack.up(items, quiet)
    assert stack.down(items, delete_data=False, notify=quiet) == len(items)
    assert states(items) == {"missing"}
    assert stack.down(items, delete_data=False, notify=quiet) == 0


def test_down_refuses_before_it_removes_anything_when_data_would_be_lost(aws, plan, items):
    stack.up(items, quiet)
    aws.client("s3").put_object(Bucket=plan.bucket, Key="raw/x.csv", Body=b"1")
    aws.client("dynamodb").put_item(TableName="energy-live_data_table", Item={"entry_no": {"N": "1"}})
    with pytest.raises(CloudRefused, match=r"objects.*live_data_table holds items.*--delete-data"):
        stack.down(items, delete_data=False, notify=quiet)
    assert states(items) == {"active"}


def test_a_deleted_object_still_counts_as_data_because_its_version_is_kept(aws, plan, items):
    stack.up(items, quiet)
    aws.client("s3").put_object(Bucket=plan.bucket, Key="raw/x.csv", Body=b"1")
    aws.client("s3").delete_object(Bucket=plan.bucket, Key="raw/x.csv")
    with pytest.raises(CloudRefused, match="holds objects"):
        stack.down(items, delete_data=False, notify=quiet)


def test_down_with_delete_data_empties_more_than_one_page_of_versions(aws, plan, items, monkeypatch):
    monkeypatch.setattr("energy_platform.adapters.aws.bucket.DELETE_BATCH", 50)
    stack.up(items, quiet)
    s3 = aws.client("s3")
    for number in range(130):
        s3.put_object(Bucket=plan.bucket, Key=f"landing/{number % 70}", Body=b"x")
    s3.delete_object(Bucket=plan.bucket, Key="landing/1")
    s3.create_multipart_upload(Bucket=plan.bucket, Key="landing/unfinished")
    stack.down(items, delete_data=True, notify=quiet)
    assert states(items) == {"missing"}


@pytest.mark.parametrize("kind", ["bucket", "stream", "table", "topic"])
def test_what_somebody_else_made_is_neither_changed_nor_removed(aws, plan, items, kind):
    s3, kinesis, dynamodb, sns = (aws.client(name) for name in ("s3", "kinesis", "dynamodb", "sns"))
    if kind == "bucket":
        s3.create_bucket(Bucket=plan.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=plan.bucket, Key="theirs", Body=b"x")
    elif kind == "stream":
        kinesis.create_stream(StreamName="energy-live", ShardCount=1)
    elif kind == "table":
        keys = [{"AttributeName": "id", "AttributeType": "S"}]
        schema = [{"AttributeName": "id", "KeyType": "HASH"}]
        dynamodb.create_table(
            TableName="energy-records", AttributeDefinitions=keys, KeySchema=schema, BillingMode="PAY_PER_REQUEST"
        )
    else:
        sns.create_topic(Name="energy-alerts")
    before = stack.status(items)
    for act in (
        lambda: stack.up(items, quiet),
        lambda: stack.down(items, delete_data=True, notify=quiet),
    ):
        with pytest.raises(CloudRefused, match="was not made by `energy aws`"):
            act()
    assert stack.status(items) == before
    assert [found.state for found in before].count("foreign") == 1


def test_a_server_that_is_not_there_is_an_error_with_a_remedy(aws):
    with pytest.raises(CloudRefused, match="endpoint-url"):
        Aws(region=REGION, endpoint_url=f"http://127.0.0.1:{brokers.free_port()}").account()


def test_without_credentials_and_without_a_local_server_the_remedy_is_to_sign_in(aws):
    with pytest.raises(CloudRefused, match="no AWS credentials"):
        Aws(region=REGION).account()


@pytest.mark.parametrize("prefix", ["E", "ab", "Energy", "a_b", "a--b", "-ab", "ab-", "a" * 25, "../x"])
def test_a_prefix_that_makes_no_valid_bucket_name_is_refused(prefix):
    with pytest.raises(CloudRefused, match="--prefix"):
        AwsPlan(prefix, account="123456789012", region=REGION)


def test_the_command_line_goes_from_nothing_to_up_to_nothing(aws, endpoint, tmp_path):
    run = CliRunner()
    where = ["--endpoint-url", endpoint, "--region", REGION]
    assert run.invoke(app, ["status", *where]).exit_code == 3
    made = run.invoke(app, ["up", *where, "--policies", str(tmp_path / "policies")])
    assert made.exit_code == 0, made.output
    assert {path.stem for path in (tmp_path / "policies").iterdir()} >= {"ingest", "platform", "reader"}
    said = run.invoke(app, ["status", *where, "--json"])
    assert said.exit_code == 0
    assert {item["state"] for item in json.loads(said.stdout)} == {"active"}
    asked = run.invoke(app, ["down", *where], input="n\n")
    assert asked.exit_code == 1
    assert run.invoke(app, ["status", *where]).exit_code == 0
    assert run.invoke(app, ["down", *where, "--yes"]).exit_code == 0
    assert run.invoke(app, ["status", *where]).exit_code == 3


PLAN = AwsPlan("energy", account="123456789012", region=REGION)


@pytest.mark.parametrize("role", sorted(policies(PLAN)))
def test_policies_name_every_action_and_only_resources_of_this_installation(role):
    for statement in policies(PLAN)[role]["Statement"]:
        actions = statement["Action"]
        assert isinstance(actions, list)
        assert all("*" not in action and action.count(":") == 1 for action in actions)
        for arn in statement.get("Resource", []):
            assert arn.startswith("arn:aws:")
            assert "energy" in arn or (arn.startswith("arn:aws:kms:") and "Condition" in statement)
            assert "*" not in arn.split("/")[0]
        if "Resource" not in statement:
            assert set(actions) == {"sts:AssumeRole"}
            assert statement["Condition"]


def test_roles_hold_no_more_than_their_work():
    actions = {
        role: {action for statement in document["Statement"] for action in statement["Action"]}
        for role, document in policies(PLAN).items()
    }
    assert actions["ingest"] == {"kinesis:PutRecord", "kinesis:PutRecords", "s3:PutObject", "kms:GenerateDataKey"}
    assert actions["reader"] == {"s3:GetObject", "s3:ListBucket", "dynamodb:GetItem", "dynamodb:Query"}
    assert not {action for action in actions["platform"] if "Delete" in action} - {"s3:DeleteObject"}
    assert not any(action.startswith("iam:") for role in actions for action in actions[role] - {"iam:PassRole"})


def test_policies_are_written_whole_and_the_same_each_time(tmp_path):
    first = {path.name: path.read_bytes() for path in write_policies(PLAN, tmp_path)}
    assert {path.name: path.read_bytes() for path in write_policies(PLAN, tmp_path)} == first
    assert {path.name for path in tmp_path.iterdir()} == set(first)
    assert all(json.loads(content)["Version"] == "2012-10-17" for content in first.values())


def test_the_owner_tag_is_on_everything(aws, plan, items):
    stack.up(items, quiet)
    tags = aws.client("sns").list_tags_for_resource(ResourceArn=plan.topic_arn)["Tags"]
    assert tags == [{"Key": OWNER_TAG, "Value": OWNER}]
