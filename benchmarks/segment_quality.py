"""Whether segments of real homes are there, and what they are good for on homes that were kept out.

    .venv/bin/python benchmarks/segment_quality.py --lcl FOLDER [--chart shapes.png]

On a Low Carbon London folder (the 55 homes of 2013 in the shared data), read as the platform reads them: hours on the
wall of the site, four-week blocks. First the evidence for every number of segments at the end of the data. Then the
gain: at four origins, homes in five folds, segments are made of the homes outside the fold from what came before the
origin, the number of segments chosen there too; a home of the fold is known for 1 to 14 days and forecast

- by the hour for seven days (``segments.expected_hours``), with segments and with everybody together;
- by the day for seven days (``domain/forecasting/cold_start``), with the peers of its segment and with all peers.

Gains are of the mean absolute error; the standard error is over homes.
"""

import argparse
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from measured import markdown, say

from energy_platform.domain.features import HORIZON_DAYS
from energy_platform.domain.forecasting.cold_start import MIN_PEERS, cold_start
from energy_platform.domain.segments import choosing, expected, segmenting
from energy_platform.domain.segments.shapes import HomeProfiles, profiles_sql
from energy_platform.serving.segment_charts import shapes_png

ZONE, SEED = "Europe/London", 20260101
WHOSE = ["lcl", "electricity"]
ORIGINS = (date(2013, 9, 9), date(2013, 10, 7), date(2013, 11, 4), date(2013, 12, 2))
KNOWN_DAYS = (1, 3, 7, 14)
FOLDS = 5
ONE = choosing.Choice(1, "everybody together", pl.DataFrame(schema=choosing.EVIDENCE))


def read_hours(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Table ``hours`` (home, local day, local hour, kWh, hours with a reading) and the two tables that dbt makes of it."""
    names = ("meter_id", "tariff", "at", "kwh", "acorn", "acorn_grouped")
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    connection.execute(f"""
        CREATE TABLE hours AS
        WITH readings AS (
            SELECT DISTINCT meter_id, CAST(left("at", 19) AS TIMESTAMP) AS at_utc, CAST(trim(kwh) AS DOUBLE) AS kwh
            FROM read_csv('{folder}/*.csv*', header = true, auto_detect = false, delim = ',', nullstr = 'Null',
                columns = {{{columns}}})),
        local_readings AS (
            SELECT meter_id, kwh, (at_utc AT TIME ZONE 'UTC') AT TIME ZONE '{ZONE}' AS at_local FROM readings
            WHERE kwh IS NOT NULL)
        SELECT meter_id, CAST(at_local AS DATE) AS local_date, hour(at_local) AS local_hour, sum(kwh) AS energy_kwh,
            count(*) / 2 AS hours
        FROM local_readings GROUP BY ALL;
        CREATE SCHEMA intermediate;
        CREATE TABLE intermediate.int_meters_in_totals AS
        SELECT dense_rank() OVER (ORDER BY meter_id) AS meter_no, meter_id AS site_id, '{WHOSE[0]}' AS source,
            '{WHOSE[1]}' AS commodity, true AS is_in_site_total FROM (SELECT DISTINCT meter_id FROM hours);
        CREATE TABLE intermediate.int_meter_hour_blocks AS
        SELECT meter_no, (local_date - DATE '1969-12-29') // 28 AS block_number, isodow(local_date) >= 6 AS is_weekend,
            local_hour, sum(energy_kwh) AS energy_kwh, sum(hours) AS hours
        FROM hours JOIN intermediate.int_meters_in_totals ON site_id = meter_id GROUP BY ALL""")


class Homes:
    """Energy of all homes by local day and hour."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        rows = connection.execute("SELECT * FROM hours").pl()
        self.site_ids = sorted(rows["meter_id"].unique())
        self.first_day = rows["local_date"].min()
        days = (rows["local_date"].max() - self.first_day).days + 1
        self.kwh = np.full((len(self.site_ids), days, 24), np.nan)
        place = rows["meter_id"].replace_strict({home: number for number, home in enumerate(self.site_ids)})
        day = (rows["local_date"] - self.first_day).dt.total_days()
        # The two hours of the autumn change count as one mean hour; half an hour of readings is no hour.
        whole = (rows["hours"] >= 1).to_numpy()
        mean = (rows["energy_kwh"] / rows["hours"]).to_numpy()
        where = (place.to_numpy()[whole], day.to_numpy()[whole], rows["local_hour"].to_numpy()[whole])
        self.kwh[where] = mean[whole]
        self.is_weekend = np.array([(self.first_day + timedelta(days=number)).weekday() >= 5 for number in range(days)])

    def known(self, home: int, until: int, days: int) -> pl.DataFrame:
        """The hours of the days before ``until`` as ``expected.young_sql`` gives them."""
        parts = []
        for weekend in (False, True):
            chosen = [day for day in range(until - days, until) if self.is_weekend[day] == weekend]
            hours = (~np.isnan(self.kwh[home, chosen])).sum(axis=0)
            sums = np.nansum(self.kwh[home, chosen], axis=0)
            mean = np.divide(sums, hours, out=np.full(24, np.nan), where=hours > 0)
            rows = {"mean_kwh": mean, "hours": hours.astype(float), "local_hour": range(24)}
            parts.append(
                pl.DataFrame(rows).with_columns(is_weekend=pl.lit(weekend), site_id=pl.lit(self.site_ids[home]))
            )
        return pl.concat(parts).filter(pl.col("hours") > 0)


def profiles_at(connection: duckdb.DuckDBPyConnection, cutoff: date) -> HomeProfiles:
    return HomeProfiles.of(connection.execute(profiles_sql(cutoff=cutoff), WHOSE).pl())


def hour_error(homes: Homes, home: int, until: int, days: int, shapes: pl.DataFrame, day: date) -> tuple[float, str]:
    """MAE of the hours of the seven days from ``until`` on, in kWh, and the segment that was taken."""
    found = expected.expected_hours(homes.known(home, until, days), shapes, day=day)
    if found.is_empty():
        return float("nan"), ""
    forecast = found.sort("is_weekend", "local_hour")["expected_kwh"].to_numpy().reshape(2, 24)
    ahead = slice(until, until + HORIZON_DAYS)
    error = np.abs(forecast[homes.is_weekend[ahead].astype(int)] - homes.kwh[home, ahead])
    return float(np.nanmean(error)) if np.isfinite(error).any() else float("nan"), str(found["segment"][0])


def day_error(homes: Homes, home: int, until: int, days: int, peers: list[int]) -> float:
    """MAE of the seven days from ``until`` on, in kWh, of the cold start from these peers."""
    whole = (~np.isnan(homes.kwh)).sum(axis=2) >= 22
    energy = np.where(whole, np.nansum(homes.kwh, axis=2), np.nan)[:, : until + HORIZON_DAYS]
    own = energy[home].copy()
    own[: until - days], own[until:] = np.nan, np.nan
    rows = np.vstack([energy[peers], own])
    forecast = cold_start(rows, np.array([len(peers)]), today=until).p50_kwh[0]
    return float(np.nanmean(np.abs(forecast - energy[home, until:])))


def evidence(connection: duckdb.DuckDBPyConnection, chart: Path | None) -> None:
    """The evidence at the end of the data, printed; the shapes drawn."""
    last = connection.execute("SELECT max(local_date) FROM hours").fetchall()[0][0]
    began = time.process_time()
    found = segmenting.segment_homes(profiles_at(connection, last + timedelta(days=7)), seed=SEED)
    seconds = time.process_time() - began
    shown = [name for name in choosing.EVIDENCE.names() if name not in {"reason", "homes"}]
    print(markdown(shown, [[_three(row[name]) for name in shown] for row in found.choices.to_dicts()]))
    print(f"\n{found.reason}.\n")
    count = found.members.group_by("segment").len("homes").sort("homes", descending=True)
    print(markdown(["segment", "homes"], count.rows()))
    print(f"\n{seconds:.1f} CPU s for the evidence and the fit of {found.members.height} homes")
    if chart is not None:
        chart.write_bytes(shapes_png(found.shapes, title="Homes of Low Carbon London, 2013"))
        print(f"the shapes: {chart}")


def _three(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else str(value) if isinstance(value, bool) else value


def gains(connection: duckdb.DuckDBPyConnection, homes: Homes) -> None:
    """The held-out gains, printed."""
    hours: dict[int, list[tuple[int, float, float]]] = {days: [] for days in KNOWN_DAYS}
    whole_days: dict[int, list[tuple[int, float, float]]] = {days: [] for days in KNOWN_DAYS if days < 7}
    chosen: list[int] = []
    for origin in ORIGINS:
        profiles = profiles_at(connection, origin)
        until = (origin - homes.first_day).days
        folds = np.random.default_rng(SEED).permutation(len(profiles)) % FOLDS
        for fold in range(FOLDS):
            inside = profiles.only(folds != fold)
            made = segmenting.segment_homes(inside, seed=SEED)
            together = segmenting.segment_homes(inside, seed=SEED, choice=ONE)
            chosen.append(made.choices.filter("is_chosen")["k"][0])
            segment_of = dict(made.members.select("site_id", "segment").iter_rows())
            everybody = [homes.site_ids.index(site) for site in inside.site_ids]
            for number in np.flatnonzero(folds == fold).tolist():
                home = homes.site_ids.index(profiles.site_ids[number])
                for days in KNOWN_DAYS:
                    without, _ = hour_error(homes, home, until, days, together.shapes, origin)
                    error, segment = hour_error(homes, home, until, days, made.shapes, origin)
                    hours[days].append((home, without, error))
                    if days in whole_days and segment:
                        peers = [place for place in everybody if segment_of[homes.site_ids[place]] == segment]
                        peers = peers if len(peers) >= MIN_PEERS else everybody
                        all_of_them = day_error(homes, home, until, days, everybody)
                        whole_days[days].append((home, all_of_them, day_error(homes, home, until, days, peers)))
        say(f"{origin}: segments chosen {chosen[-FOLDS:]}")
    rows = [("hour × 7 days", days, *_gain(errors)) for days, errors in hours.items()]
    rows += [("day × 7", days, *_gain(errors)) for days, errors in whole_days.items()]
    head = [
        "cold start",
        "days known",
        "homes × origins",
        "MAE kWh, together",
        "MAE kWh, by segment",
        "gain %",
        "± SE %",
    ]
    print("\n" + markdown(head, rows))


def _gain(errors: list[tuple[int, float, float]]) -> tuple[object, ...]:
    frame = pl.DataFrame(errors, schema=["home", "without", "with"], orient="row").filter(
        pl.all_horizontal(pl.col("without", "with").is_finite())
    )
    without, with_them = float(frame["without"].mean()), float(frame["with"].mean())  # type: ignore[arg-type]
    by_home = frame.group_by("home").agg((pl.col("without") - pl.col("with")).mean().alias("gain"))["gain"]
    error = float(by_home.std()) / np.sqrt(len(by_home)) / without  # type: ignore[arg-type]
    figures = (f"{without:.4f}", f"{with_them:.4f}", f"{100 * (1 - with_them / without):+.2f}", f"{100 * error:.2f}")
    return (frame.height, *figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lcl", type=Path, required=True, help="folder of the half-hourly files")
    parser.add_argument("--chart", type=Path, help="where to save the picture of the shapes")
    options = parser.parse_args()
    with duckdb.connect() as connection:
        read_hours(connection, options.lcl)
        evidence(connection, options.chart)
        gains(connection, Homes(connection))


if __name__ == "__main__":
    main()
