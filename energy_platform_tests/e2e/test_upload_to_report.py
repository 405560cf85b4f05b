"""An upload to ``raw/`` ends in tables, a forecast, anomalies and a report, as the daemon would bring it about."""

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from energy_platform.adapters.aws.client import Aws
from energy_platform.definitions import defs
from energy_platform.defs.automation import QUIET, continue_flow
from energy_platform.defs.landing.sensors import landing_files_sensor
from energy_platform.domain.errors import LandingUnreachable
from energy_platform.instance import open_instance
from energy_platform.serving.published import open_published
from energy_platform.serving.query import run_query
from energy_platform.settings import Settings
from energy_platform.status import backtest_cutoffs
from energy_platform_tests.conftest import using_home
from energy_platform_tests.streaming import brokers
from energy_platform_tests.streaming.consumer import TEST_CREDENTIALS

pytestmark = pytest.mark.slow
BUCKET = "energy-upload"
FIRST = datetime(2026, 1, 1)
DAYS = 30
SPIKE = FIRST + timedelta(days=20, hours=3)


def appliances_csv(*, spike_kwh: float = 9.0) -> bytes:
    """Half-hours of two appliances over 30 days, with one spike that every rule must find."""
    lines = ["timestamp,appliance,kwh"]
    for slot in range(48 * DAYS):
        start = FIRST + timedelta(minutes=30 * slot)
        for appliance, base in (("fridge", 0.05), ("oven", 0.4)):
            kwh = base * (1.5 if 16 <= start.hour < 20 else 1) + 0.001 * (slot % 7)
            lines.append(
                f"{start.isoformat()},{appliance},{spike_kwh if (start, appliance) == (SPIKE, 'oven') else kwh}"
            )
    return "\n".join(lines).encode()


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    """One evaluation of the landing sensor."""
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return landing_files_sensor(context)


@dataclass(frozen=True)
class Worked:
    """What was done about an upload: the sensor's new cursor, the intake, and what was to follow it."""

    cursor: str
    intake_id: str
    requests: list[dg.RunRequest]


def run_what_the_sensors_ask_for(instance: dg.DagsterInstance, cursor: str | None = None) -> Worked:
    """Run the intake that the landing sensor asks for and all that continue_flow then asks for."""
    asked = tick(instance, cursor)
    assert isinstance(asked, dg.SensorResult), asked
    assert asked.run_requests
    definitions = defs()
    intake = definitions.resolve_job_def("intake").execute_in_process(instance=instance, run_config=QUIET)
    context = dg.build_run_status_sensor_context(
        sensor_name="continue_flow",
        dagster_instance=instance,
        dagster_run=intake.dagster_run,
        dagster_event=next(event for event in intake.all_events if event.event_type == dg.DagsterEventType.RUN_SUCCESS),
    )
    requests = list(continue_flow(context))
    for request in requests:
        job = definitions.resolve_job_def(request.job_name)
        assert job.execute_in_process(instance=instance, run_config=QUIET, tags=request.tags).success
    assert asked.cursor
    return Worked(asked.cursor, intake.run_id, requests)


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, object, Worked]]:
    """A home and a bucket in which one upload has been worked off."""
    home = tmp_path_factory.mktemp("upload")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    credentials = {name.upper(): value for name, value in TEST_CREDENTIALS.items()}
    with brokers.kinesis_server() as endpoint:
        places = {
            "ENERGY_LANDING": f"s3://{BUCKET}/landing",
            "ENERGY_PUBLISHED": f"s3://{BUCKET}/published",
            "ENERGY_S3_ENDPOINT_URL": endpoint,
            "ENERGY_LOOKBACK_WEEKS": "1",
        }
        with using_home(home, **places, **credentials, AWS_DEFAULT_REGION="us-east-1") as settings:
            s3 = Aws(endpoint_url=endpoint).client("s3")
            s3.create_bucket(Bucket=BUCKET)
            s3.put_object(Bucket=BUCKET, Key="raw/january.csv", Body=appliances_csv())
            with open_instance(settings) as instance:
                yield settings, s3, run_what_the_sensors_ask_for(instance)


def read(s3, key: str) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))


def ask(settings: Settings, sql: str) -> pl.DataFrame:
    return run_query(open_published(settings), sql)


def test_every_row_of_the_upload_is_a_reading(uploaded) -> None:
    settings, _, _ = uploaded
    assert ask(settings, "SELECT uri, rows_read, rows_accepted FROM lake.files").rows() == [
        ("appliances/raw/january.csv", 2 * 48 * DAYS, 2 * 48 * DAYS)
    ]


def test_an_intake_is_continued_with_the_cutoffs_that_are_due_in_order(uploaded) -> None:
    _, _, worked = uploaded
    requests = worked.requests
    assert [request.job_name for request in requests] == ["train", "forecast", "publish"]
    assert requests[0].tags["dagster/asset_partition_range_start"] == "2026-01-19"
    assert requests[0].tags["dagster/asset_partition_range_end"] == "2026-01-26"
    # Thirty whole UTC days end at 01:00 in Berlin: the thirtieth local day is the newest complete one.
    assert requests[1].tags["dagster/asset_partition_range_start"] == "2026-01-24"
    assert requests[1].tags["dagster/asset_partition_range_end"] == "2026-01-31"
    priorities = [int(request.tags["dagster/priority"]) for request in requests]
    assert priorities == sorted(priorities, reverse=True)
    assert {request.tags["energy/flow"] for request in requests} == {worked.intake_id}


def test_the_bucket_has_the_tables_with_the_columns_of_the_earlier_system(uploaded) -> None:
    _, s3, _ = uploaded
    processed = read(s3, "processed/appliances.csv")
    assert processed.columns == ["appliance", "total_kwh", "avg_kwh", "std_kwh", "count", "peak_hour"]
    expected = (
        pl.read_csv(io.BytesIO(appliances_csv())).group_by("appliance").agg(pl.col("kwh").sum()).sort("appliance")
    )
    assert processed["appliance"].to_list() == expected["appliance"].to_list()
    assert processed["total_kwh"].to_list() == pytest.approx(expected["kwh"].to_list())
    assert processed["count"].to_list() == [48 * DAYS] * 2
    forecast = read(s3, "forecast/appliances.csv")
    assert forecast.columns == ["ds", "yhat", "yhat_lower", "yhat_upper"]
    assert forecast.height == 7
    assert forecast.filter((pl.col("yhat_lower") > pl.col("yhat")) | (pl.col("yhat") > pl.col("yhat_upper"))).is_empty()
    anomalies = read(s3, "anomalies/appliances.csv")
    assert anomalies.columns == ["timestamp", "appliance", "kwh", "threshold", "z_score"]
    assert (f"{SPIKE.isoformat()}Z", "oven", 9.0) in anomalies.select("timestamp", "appliance", "kwh").rows()


def test_the_bucket_has_the_report_of_the_run(uploaded) -> None:
    settings, s3, _ = uploaded
    body = s3.get_object(Bucket=BUCKET, Key="reports/energy_report.html")["Body"].read()
    assert body == (settings.reports_path / "latest.html").read_bytes()
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert [key for key in keys if key.startswith("reports/")] == ["reports/energy_report.html"], "names are stable"


def test_the_tables_are_in_the_bucket_and_another_machine_reads_them(uploaded, tmp_path: Path) -> None:
    settings, s3, _ = uploaded
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert "published/current.json" in keys
    assert {f"published/exports/{name}/appliances.csv" for name in ("processed", "forecast", "anomalies")} <= set(keys)
    assert "published/exports/earlier/appliances/train/train.csv" in keys
    assert not (settings.home_path / "published").exists()
    with using_home(tmp_path / "elsewhere") as other:
        totals = "SELECT count(*) AS days, sum(energy_kwh) AS kwh FROM marts.meter_days WHERE source = 'appliances'"
        assert ask(other, totals).rows() == ask(settings, totals).rows()
        assert (other.published_path / "generations").is_dir(), "its own copies"
        assert backtest_cutoffs(other, weeks=1, source="appliances")


def test_tables_published_inside_the_landing_zone_are_refused(uploaded, tmp_path: Path) -> None:
    with (
        using_home(tmp_path, ENERGY_PUBLISHED=f"s3://{BUCKET}/landing/published") as settings,
        pytest.raises(LandingUnreachable, match="would land as new files"),
    ):
        open_published(settings)


def test_a_second_delivery_counts_nothing_twice_and_a_changed_file_is_a_correction(uploaded) -> None:
    settings, s3, worked = uploaded
    with open_instance(settings) as instance:
        assert isinstance(tick(instance, worked.cursor), dg.SkipReason)
        s3.put_object(Bucket=BUCKET, Key="raw/renamed.csv", Body=appliances_csv())
        s3.put_object(Bucket=BUCKET, Key="raw/january.csv", Body=appliances_csv(spike_kwh=0.4))
        run_what_the_sensors_ask_for(instance, worked.cursor)
    files = ask(settings, "SELECT uri, rows_superseding FROM lake.files ORDER BY file_id").rows()
    assert files == [("appliances/raw/january.csv", 0), ("appliances/raw/january.csv", 1)]
    total = ask(settings, "SELECT sum(energy_kwh) AS kwh FROM marts.meter_days WHERE source = 'appliances'").item()
    expected = pl.read_csv(io.BytesIO(appliances_csv(spike_kwh=0.4)))["kwh"].sum()
    assert total == pytest.approx(expected)
