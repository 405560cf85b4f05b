"""The platform's data stages in PySpark on local[2]: run by pyspark_peer.py with the Python of ``.peers``.

    .peers/bin/python benchmarks/spark_stages.py FOLDER SCRATCH [--dedupe mask|distinct] [--memory 8g]

Prints one JSON object: seconds by stage and the figures that must equal the platform's. Written as well as we can:
explicit schema and one pass over the CSV, Parquet between the stages, no action that does not write a result,
adaptive execution, shuffles small because rows arrive by meter and are summed before they move. Two ways to find
duplicates: ``mask`` is the platform's own trick (a day is clean when its rows equal its distinct slots; only other
days are looked at row by row), ``distinct`` the usual ``dropDuplicates`` over all readings.

Spark is spared what only the platform does: hashes of the files, line numbers of refused rows, versions of corrected
readings, incremental tables, tests of the data, a transactional store.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - as everybody who writes PySpark names it

ZONE = "Europe/London"
CSV_SCHEMA = "meter STRING, tariff STRING, ts TIMESTAMP, kwh DOUBLE, acorn STRING, acorn_group STRING, raw STRING"
SLOT_SECONDS, BLOCK_DAYS, HORIZON_DAYS, COMPLETE_SHARE, SIGMAS = 1800, 28, 7, 0.9, 3.0
LAGS, WEEK = (1, 2, 3, 4, 5, 6, 7, 14, 21, 28), range(1, 8)


def start_session(folder: Path, scratch: Path, memory: str) -> SparkSession:
    """Two cores, one JVM, everything it spills below ``scratch``; 64 MiB of CSV to a shuffle partition."""
    partitions = max(8, sum(path.stat().st_size for path in folder.glob("*.csv")) >> 26)
    options = {
        "spark.driver.memory": memory,
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",  # throughput: no pause matters here
        "spark.local.dir": str(scratch / "local"),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.warehouse.dir": str(scratch / "hive"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.shuffle.partitions": str(partitions),
        # What is partitioned by meter is partitioned well enough to be joined by meter and day.
        "spark.sql.requireAllClusterKeysForCoPartition": "false",
        # A process that was stopped for minutes while somebody else measures is not dead.
        "spark.network.timeout": "7200s",
        "spark.executor.heartbeatInterval": "600s",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("peer")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


class Stages:
    """Each stage reads the Parquet of the one before and writes its own."""

    def __init__(self, session: SparkSession, folder: Path, scratch: Path, dedupe: str) -> None:
        self.session, self.folder, self.scratch, self.dedupe = session, folder, scratch, dedupe
        self.ledger: dict[str, float] = {}

    def _write(self, frame: DataFrame, name: str) -> DataFrame:
        frame.write.mode("overwrite").parquet(str(self.scratch / name))
        return self._read(name)

    def _read(self, name: str) -> DataFrame:
        return self.session.read.parquet(str(self.scratch / name))

    def lake(self) -> None:
        """CSV to typed Parquet in one pass, refused rows with their text aside, rows read and refused by file."""
        rows = self.session.read.csv(
            str(self.folder / "*.csv"),
            schema=CSV_SCHEMA,
            header=True,
            enforceSchema=True,  # columns by place: the names of the files are not ours
            mode="PERMISSIVE",
            columnNameOfCorruptRecord="raw",
            ignoreLeadingWhiteSpace=True,
            ignoreTrailingWhiteSpace=True,
        )
        rows = self._write(rows.withColumn("file", F.col("_metadata.file_name")), "raw")
        self._write(rows.where(self._refused()).coalesce(1), "rejected")
        by_file = rows.groupBy("file").agg(F.count("*").alias("read"), F.count_if(self._refused()).alias("rejected"))
        ledger = self._write(by_file, "ledger").agg(F.sum("read"), F.sum("rejected")).collect()[0]
        self.ledger |= {"rows_read": ledger[0], "rows_rejected": ledger[1]}

    @staticmethod
    def _refused() -> Column:
        return F.col("raw").isNotNull() | F.col("ts").isNull() | F.col("kwh").isNull()

    def _accepted(self) -> DataFrame:
        """Readings with their local day; duplicates still in them."""
        local = F.from_utc_timestamp("ts", ZONE)
        return self._read("raw").where(~self._refused()).select("meter", "ts", "kwh", local.alias("local"))

    def _readings(self) -> DataFrame:
        """Readings without duplicates."""
        if self.dedupe == "distinct":
            return self._read("readings")
        unclean = self._read("unclean_days")
        day = F.to_date("local").alias("day")
        clean = self._accepted().withColumn("day", day).join(F.broadcast(unclean), ["meter", "day"], "left_anti")
        return clean.drop("day").unionByName(self._read("unclean_readings"))

    def days(self) -> None:
        """``marts.meter_days``: energy, readings, completeness, peak, spread of each meter's local day."""
        readings = self._accepted()
        if self.dedupe == "distinct":
            found = self._write(readings.dropDuplicates(["meter", "ts"]), "readings")
            self._write(_completed(_by_day(found)), "meter_days")
            return
        counted = self._write(_by_day(readings), "days_counted")
        is_clean = (F.col("readings") == F.bit_count("slots")) & (F.col("off_grid_seconds") == 0)
        unclean = self._write(counted.where(~is_clean).select("meter", "day").coalesce(1), "unclean_days")
        again = readings.withColumn("day", F.to_date("local")).join(F.broadcast(unclean), ["meter", "day"])
        again = self._write(again.dropDuplicates(["meter", "ts"]).drop("day").coalesce(1), "unclean_readings")
        self._write(_completed(counted.where(is_clean).unionByName(_by_day(again))), "meter_days")

    def other_marts(self) -> None:
        """The other marts: profiles by hour, summaries by meter, months, and the fleet by half-hour."""
        readings = self._readings()
        day_number = F.datediff("local", F.lit("1969-12-29"))
        # The hour that a clock change repeats has another offset, hence a bit of its own.
        repeated = "cast((unix_timestamp(local) - unix_timestamp(ts)) div 3600 % 2 as int)"
        hour_bit = F.expr(f"shiftleft(1L, cast(day_number % {BLOCK_DAYS} as int) + {BLOCK_DAYS} * {repeated})")
        blocks = (
            readings.withColumn("day_number", day_number)
            .groupBy(
                "meter",
                F.floor(F.col("day_number") / BLOCK_DAYS).alias("block"),
                (F.col("day_number") % 7 >= 5).alias("is_weekend"),
                F.hour("local").alias("hour"),
            )
            .agg(F.sum("kwh").alias("kwh"), F.count("*").alias("readings"), F.bit_or(hour_bit).alias("hours"))
        )
        blocks = self._write(blocks, "hour_blocks")
        hours = F.sum(F.bit_count("hours"))
        profiles = blocks.groupBy("meter", "is_weekend", "hour").agg((F.sum("kwh") / hours).alias("mean_kwh"))
        self._write(profiles, "hour_profiles")
        fleet = readings.groupBy("ts").agg(F.sum("kwh").alias("kwh"), F.count("*").alias("meters"))
        self._write(fleet, "fleet_half_hours")
        days = self._read("meter_days")
        month = F.trunc("day", "month").alias("month")
        self._write(days.groupBy("meter", month).agg(F.sum("kwh"), F.count("*"), F.sum("readings")), "site_months")
        self._write(_summaries(days, blocks), "summaries")

    def features(self) -> None:
        """``features.meter_days``: the same history features on a complete calendar by meter."""
        days = self._read("meter_days")
        spans = days.groupBy("meter").agg(F.min("day").alias("first_day"), F.max("day").alias("last_day"))
        every_day = F.explode(F.sequence("first_day", F.date_add("last_day", HORIZON_DAYS)))
        complete = days.where(F.col("completeness") >= COMPLETE_SHARE).select("meter", "day", "kwh")
        calendar = spans.select("meter", "first_day", every_day.alias("day")).join(complete, ["meter", "day"], "left")
        self._write(_features(calendar), "features")

    def anomalies(self) -> None:
        """Days whose energy is more than three standard deviations of their meter from its mean."""
        days = self._read("meter_days").select("meter", "day", "kwh")
        spread = days.groupBy("meter").agg(F.avg("kwh").alias("mean_kwh"), F.stddev_samp("kwh").alias("std_kwh"))
        scored = days.join(F.broadcast(spread), "meter").withColumn(
            "score", (F.col("kwh") - F.col("mean_kwh")) / F.col("std_kwh")
        )
        self._write(scored.where(F.abs("score") > SIGMAS), "anomalies")

    def results(self) -> dict[str, float]:
        """What must equal the platform's figures. Not part of any stage."""
        sums = {
            "meter_days": ("count(*) AS days", "sum(kwh) AS energy_kwh", "sum(readings) AS readings"),
            "features": (
                "count(*) AS features",
                *(f"sum({name}) AS {name}" for name in ("lag_7_kwh", "std_28_kwh", "weekday_mean_1_kwh")),
            ),
            "hour_profiles": ("sum(mean_kwh) AS profile_kwh",),
            "anomalies": ("count(*) AS anomalies",),
        }
        made = dict(self.ledger)
        for name, figures in sums.items():
            made |= self._read(name).selectExpr(*figures).collect()[0].asDict()
        return made


def _by_day(readings: DataFrame) -> DataFrame:
    """One row a meter and local day; ``slots`` has a bit for each half-hour seen."""
    seconds = F.unix_timestamp("ts")
    keyed = readings.select("meter", F.to_date("local").alias("day"), "ts", "kwh", seconds.alias("seconds"))
    slot_bit = F.expr(f"shiftleft(1L, cast(seconds div {SLOT_SECONDS} % 64 as int))")
    return keyed.groupBy("meter", "day").agg(
        F.sum("kwh").alias("kwh"),
        F.count("*").alias("readings"),
        F.bit_or(slot_bit).alias("slots"),
        F.max(F.col("seconds") % SLOT_SECONDS).alias("off_grid_seconds"),
        F.var_pop("kwh").alias("variance_kwh2"),
        F.max(F.struct("kwh", (-F.col("seconds")).alias("earliest"))).alias("peak"),
        F.min("ts").alias("first_start_utc"),
        F.max("ts").alias("newest_start_utc"),
    )


def _completed(days: DataFrame) -> DataFrame:
    """Days with what was expected of them: 46, 48 or 50 readings."""

    def midnight(day: Column) -> Column:
        return F.unix_timestamp(F.to_utc_timestamp(day.cast("timestamp"), ZONE))

    expected = (midnight(F.date_add("day", 1)) - midnight(F.col("day"))) / SLOT_SECONDS
    return days.select(
        "meter",
        "day",
        "kwh",
        "readings",
        expected.alias("expected_readings"),
        F.least(F.lit(1.0), F.col("readings") / expected).alias("completeness"),
        F.col("peak.kwh").alias("peak_kwh"),
        F.timestamp_seconds(-F.col("peak.earliest")).alias("peak_start_utc"),
        "variance_kwh2",
        "first_start_utc",
        "newest_start_utc",
    )


def _summaries(days: DataFrame, blocks: DataFrame) -> DataFrame:
    """``marts.channel_summaries``: total, mean, spread over all readings, peak hour."""
    squares = F.col("readings") * (F.col("variance_kwh2") + F.pow(F.col("kwh") / F.col("readings"), 2))
    by_hour = blocks.groupBy("meter", "hour").agg((F.sum("kwh") / F.sum("readings")).alias("mean_kwh"))
    peaks = by_hour.groupBy("meter").agg(F.max_by("hour", "mean_kwh").alias("peak_hour"))
    totals = days.groupBy("meter").agg(
        F.sum("kwh").alias("total_kwh"),
        F.sum("readings").alias("readings"),
        F.sum(squares).alias("squares"),
        F.min("first_start_utc"),
        F.max("newest_start_utc"),
    )
    mean = F.col("total_kwh") / F.col("readings")
    deviation = F.sqrt((F.col("squares") - F.col("readings") * mean * mean) / (F.col("readings") - 1))
    return totals.join(peaks, "meter").withColumns({"mean_kwh": mean, "std_kwh": deviation}).drop("squares")


def _features(calendar: DataFrame) -> DataFrame:
    """Lags, rolling statistics, weekday means and lasts, shares: as domain/features.py of the platform."""
    by_day = Window.partitionBy("meter").orderBy("day")
    lagged = {f"k{lag}": F.lag("kwh", lag).over(by_day) for lag in range(1, 29)}
    rolling: dict[str, Column] = {}
    for days in (7, 28):
        window = by_day.rowsBetween(-days, -1)
        for name, function in (("mean", F.avg), ("std", F.stddev_samp), ("min", F.min), ("max", F.max)):
            rolling[f"{name}_{days}_kwh"] = function("kwh").over(window)
    window = by_day.rowsBetween(-28, -1)
    rolling["known_28"] = F.count("kwh").over(window)
    rolling["zeros_28"] = F.count(F.when(F.col("kwh") <= 0, 1)).over(window)
    rolling["days_of_history"] = F.count("kwh").over(by_day.rowsBetween(Window.unboundedPreceding, -1))
    wide = calendar.select("*", *(column.alias(name) for name, column in (lagged | rolling).items()))
    same = {lag: [F.col(f"k{n}") for n in range(lag, 29, 7)] for lag in WEEK}
    known = {lag: sum((column.isNotNull().cast("int") for column in same[lag]), F.lit(0)) for lag in WEEK}
    totals = {lag: sum((F.coalesce(column, F.lit(0.0)) for column in same[lag]), F.lit(0.0)) for lag in WEEK}
    days_before = F.least(F.lit(28), F.datediff("day", "first_day"))
    features: dict[str, Column] = {f"lag_{lag}_kwh": F.col(f"k{lag}") for lag in LAGS}
    features |= {name: F.col(name) for name in rolling if name.endswith("_kwh")}
    features |= {f"weekday_mean_{lag}_kwh": F.try_divide(totals[lag], known[lag]) for lag in WEEK}
    features |= {f"weekday_last_{lag}_kwh": F.coalesce(*same[lag]) for lag in WEEK}
    features |= {
        "ratio_7_28": F.try_divide("mean_7_kwh", "mean_28_kwh"),
        "zero_share_28": F.try_divide("zeros_28", "known_28"),
        "missing_share_28": 1 - F.try_divide("known_28", days_before),
        "days_of_history": F.col("days_of_history"),
        "temperature_1_c": F.lit(None),  # this folder brings no weather; the platform's are empty too
        "temperature_7_c": F.lit(None),
    }
    as_float = [column.cast("float").alias(name) for name, column in features.items()]
    return wide.select("meter", "day", F.col("kwh").alias("target_kwh"), *as_float)


def cpu_seconds() -> float:
    """CPU seconds so far of this process and of the JVM that it started."""
    this = psutil.Process()
    used = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(times.user + times.system for times in used)


def main() -> None:
    """Run all stages and print what they took and made."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--dedupe", choices=("mask", "distinct"), default="mask")
    parser.add_argument("--memory", default="8g")
    options = parser.parse_args()
    seconds: dict[str, float] = {}
    cpu: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        started, used = time.perf_counter(), cpu_seconds()
        made = work()
        seconds[name] = time.perf_counter() - started
        cpu[name] = cpu_seconds() - used
        return made

    session = timed("start", lambda: start_session(options.folder, options.scratch, options.memory))
    assert isinstance(session, SparkSession)
    stages = Stages(session, options.folder, options.scratch, options.dedupe)
    for name in ("lake", "days", "other_marts", "features", "anomalies"):
        timed(name, getattr(stages, name))
    said = {"version": session.version, "seconds": seconds, "cpu_seconds": cpu, "results": stages.results()}
    print(json.dumps(said))
    session.stop()


if __name__ == "__main__":
    main()
