"""Which half hours of a fleet were known at a cutoff, on readings written down by hand."""

from collections.abc import Iterator
from datetime import date, datetime

import duckdb
import pytest

from energy_platform.domain.forecasting.hours.fleets import FLEETS_SQL, arrivals_sql, half_hours_sql

LOADED, CORRECTED = datetime(2013, 7, 1, 5), datetime(2013, 7, 10, 5)
CUTOFF, LATER = date(2013, 7, 5), date(2013, 7, 12)
HALF_PAST_TEN = datetime(2013, 7, 3, 10, 30)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Two homes of a fleet: one of half hours, corrected at 10:30, and one of hours; and a live fleet."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            CREATE SCHEMA lake; CREATE SCHEMA marts;
            CREATE TABLE lake.meters (meter_id TEXT, channel TEXT, source TEXT, commodity TEXT, interval_minutes INT,
                time_zone TEXT, country TEXT, availability TEXT,
                station_id TEXT);
            INSERT INTO lake.meters VALUES
                ('h', 'main', 'homes', 'gas', 30, 'Europe/London', 'GB-ENG', 'history', NULL),
                ('i', 'main', 'homes', 'gas', 60, 'Europe/London', 'GB-ENG', 'history', NULL),
                ('i', 'oven', 'homes', 'gas', 60, 'Europe/London', 'GB-ENG', 'history', NULL),
                ('l', 'main', 'live', 'gas', 30, 'Europe/London', 'GB-ENG', 'live', NULL),
                ('d', 'main', 'daily', 'gas', 1440, 'Europe/London', 'GB-ENG', 'history', NULL);
            CREATE TABLE lake.readings (meter_id TEXT, channel TEXT, interval_start_utc TIMESTAMP, interval_minutes INT,
                utc_offset_minutes SMALLINT, energy_kwh DOUBLE, file_id INT, available_at_utc TIMESTAMP);
            INSERT INTO lake.readings VALUES
                ('h', 'main', '2013-07-03 10:00', 30, 60, 1, 1, '2013-07-01 05:00'),
                ('h', 'main', '2013-07-03 10:30', 30, 60, 2, 1, '2013-07-01 05:00'),
                ('h', 'main', '2013-07-03 10:30', 30, 60, 9, 2, '2013-07-10 05:00'),
                ('i', 'main', '2013-07-03 10:00', 60, 60, 4, 1, '2013-07-01 05:00'),
                ('i', 'oven', '2013-07-03 10:00', 60, 60, 3, 1, '2013-07-01 05:00'),
                ('l', 'main', '2013-07-03 10:00', 30, 60, 5, 1, '2013-07-04 05:00'),
                ('l', 'main', '2013-07-03 10:30', 30, 60, 6, 2, '2013-07-10 05:00');
            CREATE TABLE marts.fleet_half_hours (source TEXT, commodity TEXT, interval_start_utc TIMESTAMP,
                energy_kwh DOUBLE, meters BIGINT);
            INSERT INTO marts.fleet_half_hours VALUES
                ('homes', 'gas', '2013-07-02 22:30', 8, 2),
                ('homes', 'gas', '2013-07-03 10:00', 3, 2), ('homes', 'gas', '2013-07-03 10:30', 11, 2),
                ('live', 'gas', '2013-07-03 10:00', 5, 1), ('live', 'gas', '2013-07-03 10:30', 6, 1),
                ('daily', 'gas', '2013-07-03 10:30', 6, 1);
            CREATE TABLE marts.meter_day_versions (meter_id TEXT, channel TEXT, local_date DATE, available_at_utc TIMESTAMP);
            INSERT INTO marts.meter_day_versions VALUES
                ('h', 'main', '2013-07-03', '2013-07-01 05:00'), ('h', 'main', '2013-07-03', '2013-07-10 05:00');
            CREATE TABLE marts.meter_days (meter_id TEXT, channel TEXT, local_date DATE, available_at_utc TIMESTAMP);
            INSERT INTO marts.meter_days VALUES
                ('h', 'main', '2013-07-03', '2013-07-10 05:00'), ('l', 'main', '2013-07-03', '2013-07-10 05:00');
            """
        )
        yield connection


def known(connection: duckdb.DuckDBPyConnection, source: str, cutoff: date) -> list[tuple[datetime, float, int]]:
    arrivals = [moment for (moment,) in connection.execute(arrivals_sql(), [source, "gas"]).fetchall()]
    is_restated = any(moment > datetime(cutoff.year, cutoff.month, cutoff.day) for moment in arrivals)
    sql = half_hours_sql(cutoff, first_day=date(2013, 6, 1), is_restated=is_restated)
    return connection.execute(sql, [source, "gas"] * (2 if is_restated else 1)).fetchall()


def test_a_correction_after_the_cutoff_was_not_known_at_it_and_other_days_stay(connection) -> None:
    assert known(connection, "homes", CUTOFF) == [
        (datetime(2013, 7, 2, 22, 30), 8.0, 2),
        (datetime(2013, 7, 3, 10, 0), 3.0, 2),
        (HALF_PAST_TEN, 4.0, 2),
    ]


def test_a_correction_before_the_cutoff_was(connection) -> None:
    assert dict(row[:2] for row in known(connection, "homes", LATER))[HALF_PAST_TEN] == 11.0


def test_the_first_version_of_a_history_meter_counts_however_late_it_was_loaded(connection) -> None:
    connection.execute("UPDATE lake.readings SET available_at_utc = available_at_utc + INTERVAL 10 YEAR")
    connection.execute("UPDATE marts.meter_day_versions SET available_at_utc = available_at_utc + INTERVAL 10 YEAR")
    assert dict(row[:2] for row in known(connection, "homes", CUTOFF))[HALF_PAST_TEN] == 4.0


def test_a_live_reading_is_known_when_it_has_arrived(connection) -> None:
    assert known(connection, "live", CUTOFF) == [(datetime(2013, 7, 3, 10, 0), 5.0, 1)]
    assert len(known(connection, "live", LATER)) == 2


def test_cutoffs_are_told_apart_by_what_arrived_between_them(connection) -> None:
    assert connection.execute(arrivals_sql(), ["homes", "gas"]).fetchall() == [(LOADED,), (CORRECTED,)]
    assert connection.execute(arrivals_sql(), ["live", "gas"]).fetchall() == [(CORRECTED,)]


def test_a_fleet_has_the_grain_of_its_coarsest_meter_and_none_when_that_is_a_day(connection) -> None:
    fleets = connection.execute(FLEETS_SQL).fetchall()
    assert [(source, minutes) for source, _, _, _, minutes, _ in fleets] == [("homes", 60), ("live", 30)]
