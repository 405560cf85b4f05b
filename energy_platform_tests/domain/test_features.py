from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from energy_platform.domain.columns import FEATURES_METER_DAYS, LAG_DAYS, WEEKDAY_LAGS
from energy_platform.domain.features import COMPLETE_SHARE, HISTORY_FEATURES, features_sql
from energy_platform.domain.forecasting.rows import MODEL_FEATURES
from energy_platform_tests.day_builders import as_meter_days, make_days, make_warehouse, make_weather, put_days

KEY = ["meter_id", "channel", "local_date"]


def features_of(path: Path, days: pl.DataFrame, **options) -> pl.DataFrame:
    return make_warehouse(path, days, **options).read("SELECT * FROM features.meter_days").sort(KEY)


def by_hand(days: pl.DataFrame) -> pl.DataFrame:
    """Every history feature but the temperatures, day by day in numpy: slow, and another road to the same place."""
    rows = []
    for (meter, channel), part in days.group_by("meter_id", "channel", maintain_order=True):
        complete = part.filter(pl.col("completeness") >= COMPLETE_SHARE)
        known = dict(zip(complete["local_date"], complete["energy_kwh"], strict=True))
        first, last = part["local_date"].min(), part["local_date"].max()
        for ahead in range((last - first).days + 8):
            day = first + timedelta(days=ahead)

            def back(lag: int, day: date = day, known: dict[date, float] = known) -> float | None:
                return known.get(day - timedelta(days=lag))

            row = {"meter_id": meter, "channel": channel, "local_date": day, "target_kwh": back(0)}
            row |= {f"lag_{lag}_kwh": back(lag) for lag in LAG_DAYS}
            means = {}
            for size in (7, 28):
                values = np.array([value for lag in range(1, size + 1) if (value := back(lag)) is not None])
                means[size] = values.mean() if len(values) else None
                row |= {
                    f"mean_{size}_kwh": means[size],
                    f"std_{size}_kwh": values.std(ddof=1) if len(values) > 1 else None,
                    f"min_{size}_kwh": values.min() if len(values) else None,
                    f"max_{size}_kwh": values.max() if len(values) else None,
                }
            for lag in WEEKDAY_LAGS:
                same = [value for week in range(4) if (value := back(lag + 7 * week)) is not None]
                row[f"weekday_mean_{lag}_kwh"] = float(np.mean(same)) if same else None
                row[f"weekday_last_{lag}_kwh"] = same[0] if same else None
            window = [value for lag in range(1, 29) if (value := back(lag)) is not None]
            row["ratio_7_28"] = means[7] / means[28] if means[7] is not None and means[28] else None
            row["zero_share_28"] = sum(value <= 0 for value in window) / len(window) if window else None
            row["missing_share_28"] = 1 - len(window) / min(28, ahead) if ahead else None
            row["days_of_history"] = sum(1 for seen in known if seen < day)
            rows.append(row)
    schema = {name: dtype for name, dtype in FEATURES_METER_DAYS.polars_schema.items() if name in rows[0]}
    return pl.DataFrame(rows, schema=schema)


def test_there_are_at_least_36_features_for_a_model() -> None:
    assert len(HISTORY_FEATURES) >= 36
    assert len(MODEL_FEATURES) >= 36
    assert "target_kwh" not in {*HISTORY_FEATURES, *MODEL_FEATURES}


def test_features_equal_those_computed_by_hand(tmp_path: Path) -> None:
    days = make_days(seed=1, meters=3, days=90, missing_share=0.15, incomplete_share=0.1)
    vacant = pl.col("local_date").is_between(date(2013, 2, 1), date(2013, 3, 10)) & (pl.col("meter_id") == "home-1")
    days = days.with_columns(energy_kwh=pl.when(vacant).then(0.0).otherwise("energy_kwh"))
    expected = by_hand(days).sort(KEY)
    found = features_of(tmp_path / "w.duckdb", days).select(expected.columns)
    assert_frame_equal(found, expected, rel_tol=1e-5, abs_tol=1e-5)


def test_the_columns_are_those_of_the_contract(tmp_path: Path) -> None:
    warehouse = make_warehouse(tmp_path / "w.duckdb", make_days(seed=2, meters=1, days=20))
    assert warehouse.read(features_sql()).schema == FEATURES_METER_DAYS.polars_schema


def test_the_calendar_runs_seven_days_beyond_the_newest_day_without_targets(tmp_path: Path) -> None:
    days = make_days(seed=3, meters=2, days=30, missing_share=0, incomplete_share=0)
    features = features_of(tmp_path / "w.duckdb", days)
    ahead = features.filter(pl.col("local_date") > days["local_date"].max())
    assert ahead.height == 2 * 7
    assert ahead["target_kwh"].null_count() == 2 * 7
    assert ahead["mean_7_kwh"].null_count() == 0


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_changing_anything_from_a_day_on_leaves_its_features_bit_for_bit(tmp_path: Path, seed: int) -> None:
    cutoff = date(2013, 4, 15)
    days = make_days(seed=seed, meters=5, days=150)
    weather = make_weather(days)
    warehouse = make_warehouse(tmp_path / "w.duckdb", days, weather=weather)
    asked = f"SELECT * EXCLUDE (target_kwh) FROM features.meter_days WHERE local_date <= DATE '{cutoff}' ORDER BY ALL"
    before = warehouse.read(asked)
    later = pl.col("local_date") >= cutoff
    changed = pl.concat(
        [
            days.filter(~later),
            days.filter(later).with_columns(energy_kwh=pl.col("energy_kwh") * 1e3, completeness=pl.lit(1.0)),
            make_days(seed=99, meters=1, days=200, first_day=cutoff).with_columns(meter_id=pl.lit("a-newcomer")),
        ]
    )
    put_days(warehouse, changed)
    with warehouse.transaction() as connection:
        connection.execute("UPDATE lake.weather SET temperature_c = 99 WHERE observed_at_utc >= ?", [cutoff])
    put_days(warehouse, changed)
    after = warehouse.read(asked).filter(pl.col("meter_id") != "a-newcomer")
    assert_frame_equal(before, after, check_exact=True)
    assert before["temperature_7_c"].null_count() < before.height


def test_a_lag_counts_days_and_not_rows(tmp_path: Path) -> None:
    dates = [date(2013, 1, day) for day in (1, 2, 10)]
    days = as_meter_days(pl.DataFrame({"meter_id": "a", "local_date": dates, "energy_kwh": [1.0, 2.0, 3.0]}))
    row = features_of(tmp_path / "w.duckdb", days).filter(pl.col("local_date") == date(2013, 1, 9)).row(0, named=True)
    assert (row["lag_7_kwh"], row["lag_1_kwh"], row["mean_7_kwh"]) == (2.0, None, 2.0)
    assert row["missing_share_28"] == pytest.approx(6 / 8)


def test_a_home_that_stands_empty_has_finite_features(tmp_path: Path) -> None:
    dates = [date(2013, 1, 1) + timedelta(days=day) for day in range(60)]
    days = as_meter_days(pl.DataFrame({"meter_id": "a", "local_date": dates, "energy_kwh": [0.0] * 60}))
    row = features_of(tmp_path / "w.duckdb", days).row(50, named=True)
    assert row["zero_share_28"] == 1.0
    assert row["ratio_7_28"] is None
    assert row["std_28_kwh"] == 0.0


def test_temperatures_are_those_of_the_local_days_before_and_the_first_ones_told(tmp_path: Path) -> None:
    days = make_days(seed=7, meters=1, days=20, missing_share=0)
    weather = make_weather(days)
    corrected = weather.with_columns(
        temperature_c=pl.lit(50.0), available_at_utc=pl.lit(datetime(2026, 2, 2), pl.Datetime("us")), file_id=2
    ).cast(weather.schema)
    features = features_of(tmp_path / "w.duckdb", days, weather=pl.concat([weather, corrected]))
    row = features.filter(pl.col("local_date") == date(2013, 1, 15)).row(0, named=True)
    assert row["temperature_1_c"] == 14.0
    assert row["temperature_7_c"] == pytest.approx(np.mean(range(8, 15)))


def test_a_temperature_needs_three_quarters_of_the_day(tmp_path: Path) -> None:
    days = make_days(seed=8, meters=1, days=20, missing_share=0)
    night = (pl.col("observed_at_utc").dt.day() == 14) & (pl.col("observed_at_utc").dt.hour() >= 8)
    features = features_of(tmp_path / "w.duckdb", days, weather=make_weather(days).filter(~night))
    row = features.filter(pl.col("local_date") == date(2013, 1, 15)).row(0, named=True)
    assert row["temperature_1_c"] is None
    assert row["temperature_7_c"] == pytest.approx(np.mean(range(8, 14)))
