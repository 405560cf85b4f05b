"""The sentinel on the faults of a published system, on real homes, and on loads that are merely odd."""

import time
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_platform.domain.forecasting.sentinel import changed_by_the_future, find_leakage, too_good

HONEST = [
    *(f"lag_{lag}" for lag in (1, 2, 3, 7, 14, 30)),
    *(f"rolling_{word}_{days}" for days in (7, 30) for word in ("mean", "std")),
    "rolling_min_7",
    "rolling_max_7",
    "weekday",
    "month_sin",
    "month_cos",
]
LEAKY = ["avg_hourly_energy", "total_readings"]
METER = ["meter_id", "channel"]


def sample_days() -> pl.DataFrame:
    """Complete and incomplete days of the three real series that ship inside a dependency."""
    folder = Path(find_spec("opendsm").submodule_search_locations[0]) / "eemeter" / "samples"
    names = ("uk-electricity-hdd-only-hourly-sample-0", "uk-gas-hdd-only-hourly-sample-0")
    names += ("uk-electricity-hdd-only-hourly-sample-1",)
    parts = []
    for name in names:
        rows = pl.read_csv(folder / f"{name}.csv.gz", infer_schema=False)
        stamp, value = rows.columns[:2]
        days = rows.unique(stamp).group_by(local_date=pl.col(stamp).str.slice(0, 10).str.to_date("%Y-%m-%d"))
        kwh = pl.col(value).cast(pl.Float64, strict=False)
        parts.append(days.agg(energy_kwh=kwh.sum(), readings=kwh.count()).with_columns(meter_id=pl.lit(name[3:])))
    return with_channel(pl.concat(parts))


def lcl_days(shared_data: Path) -> pl.DataFrame:
    """Days of the 55 London homes."""
    files = sorted((shared_data / "lcl" / "halfhourly").glob("*.csv.gz"))
    names = ["meter_id", "tariff", "stamp", "kwh", "acorn", "group"]
    rows = pl.concat([pl.read_csv(file, infer_schema=False, new_columns=names) for file in files])
    kwh = pl.col("kwh").str.strip_chars().cast(pl.Float64, strict=False)
    days = rows.group_by("meter_id", local_date=pl.col("stamp").str.slice(0, 10).str.to_date("%Y-%m-%d"))
    return with_channel(days.agg(energy_kwh=kwh.sum(), readings=kwh.count()))


def with_channel(days: pl.DataFrame) -> pl.DataFrame:
    return days.with_columns(channel=pl.lit("main")).sort("meter_id", "local_date")


def invented_days(energy: np.ndarray, *, meters: int = 5) -> pl.DataFrame:
    """Days of ``meters`` meters with these energies, one meter after the other."""
    each = len(energy) // meters
    return with_channel(
        pl.DataFrame(
            {
                "meter_id": np.repeat([f"home-{number}" for number in range(meters)], each),
                "local_date": [date(2013, 1, 1) + timedelta(days=day) for _ in range(meters) for day in range(each)],
                "energy_kwh": energy[: each * meters],
                "readings": 48,
            }
        )
    )


def published_design(days: pl.DataFrame, *, includes_the_day: bool = False) -> pl.DataFrame:
    """The features of the published system: a row a day, windows that end the day before, or with the day."""
    y = pl.col("energy_kwh")
    past = y if includes_the_day else y.shift(1)
    columns = {f"lag_{lag}": y.shift(lag) for lag in (1, 2, 3, 7, 14, 30)}
    for window in (7, 30):
        columns[f"rolling_mean_{window}"] = past.rolling_mean(window)
        columns[f"rolling_std_{window}"] = past.rolling_std(window)
    columns["rolling_min_7"], columns["rolling_max_7"] = past.rolling_min(7), past.rolling_max(7)
    day = pl.col("local_date")
    return days.with_columns(
        **{name: expression.over(METER) for name, expression in columns.items()},
        weekday=day.dt.weekday(),
        month_sin=(day.dt.month() * 2 * np.pi / 12).sin(),
        month_cos=(day.dt.month() * 2 * np.pi / 12).cos(),
        avg_hourly_energy=y / (pl.col("readings") / (pl.col("readings").max().over(METER) / 24)),
        total_readings=pl.col("readings"),
        target_kwh=y,
    ).drop_nulls()


def r2_of_a_line(rows: pl.DataFrame, features: list[str]) -> float:
    """R² of least squares on the last quarter of the days, fitted on the others, as the published system did."""
    from sklearn.linear_model import LinearRegression

    split = rows["local_date"].quantile(0.75)
    train, test = rows.filter(pl.col("local_date") < split), rows.filter(pl.col("local_date") >= split)
    fitted = LinearRegression().fit(train.select(features).to_numpy(), train["target_kwh"].to_numpy())
    return fitted.score(test.select(features).to_numpy(), test["target_kwh"].to_numpy())


@pytest.fixture(scope="module")
def homes() -> pl.DataFrame:
    return sample_days()


def test_the_hourly_mean_of_the_day_is_caught_and_without_it_the_score_collapses_to_honest(homes: pl.DataFrame) -> None:
    rows = published_design(homes)
    found = find_leakage(rows, features=[*HONEST, *LEAKY])
    assert [(finding.feature, finding.test) for finding in found] == [("avg_hourly_energy", "single")]
    assert "avg_hourly_energy alone gives the target" in found[0].words
    assert r2_of_a_line(rows, [*HONEST, *LEAKY]) > 0.998
    assert r2_of_a_line(rows, HONEST) < 0.92
    assert find_leakage(rows, features=HONEST) == []


def test_a_window_that_includes_the_day_is_caught_with_the_lags_that_unmask_it(homes: pl.DataFrame) -> None:
    rows = published_design(homes, includes_the_day=True)
    lags = pl.concat(
        [homes.select(pl.col("energy_kwh").shift(lag).over(METER).alias(f"lag_{lag}")) for lag in (4, 5, 6)],
        how="horizontal",
    )
    rows = rows.join(
        pl.concat([homes, lags], how="horizontal").drop("energy_kwh", "readings"), on=[*METER, "local_date"]
    )
    features = [*(f"lag_{lag}" for lag in range(1, 8)), "rolling_mean_7", "weekday", "month_sin", "month_cos"]
    found = find_leakage(rows, features=features)
    assert len(found) == 1
    assert found[0].test == "disguise"
    assert set(found[0].feature.split(", ")) == {"rolling_mean_7", *(f"lag_{lag}" for lag in range(1, 7))}
    assert r2_of_a_line(rows, features) > 0.9999
    honest = published_design(homes).filter(pl.col("lag_30").is_not_null())
    assert r2_of_a_line(honest, HONEST) < 0.92


@pytest.mark.shared_data
def test_on_london_homes_the_leak_is_caught_and_the_honest_inputs_are_not(shared_data: Path) -> None:
    rows = published_design(lcl_days(shared_data))
    assert [finding.feature for finding in find_leakage(rows, features=[*HONEST, *LEAKY])] == ["avg_hourly_energy"]
    assert find_leakage(rows, features=HONEST) == []
    # The published mean is over the hours that have readings, so short days are where it errs.
    assert r2_of_a_line(rows, [*HONEST, *LEAKY]) > 0.995
    assert r2_of_a_line(rows, HONEST) < 0.88


DISGUISES = {
    "change since yesterday": (["energy_change"], lambda y: {"energy_change": y - pl.col("lag_1")}),
    "share of the 7-day mean": (["ratio_to_mean"], lambda y: {"ratio_to_mean": y / pl.col("rolling_mean_7")}),
    "z-score": (["z_score_7d"], lambda y: {"z_score_7d": (y - pl.col("rolling_mean_7")) / pl.col("rolling_std_7")}),
    "deviation from the mean": (["deviation"], lambda y: {"deviation": y - pl.col("rolling_mean_7")}),
    "power in watt": (["mean_w"], lambda y: {"mean_w": y * 1000 / 24}),
    "affine": (["offset"], lambda y: {"offset": 3 - 0.2 * y}),
    "hours times mean": (
        ["hours", "mean_kw"],
        lambda y: {
            "hours": 20 + pl.col("local_date").dt.day() % 5,
            "mean_kw": y / (20 + pl.col("local_date").dt.day() % 5),
        },
    ),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_every_disguise_of_the_target_is_seen_through(name: str, homes: pl.DataFrame) -> None:
    added, make = DISGUISES[name]
    rows = published_design(homes).filter(pl.col("rolling_std_7") > 0)
    rows = rows.with_columns(**make(pl.col("target_kwh")))
    found = find_leakage(rows, features=[*HONEST, *added])
    assert found != []
    assert any(column in finding.feature for finding in found for column in added)


def horizon_rows(days: pl.DataFrame) -> pl.DataFrame:
    """A row per issue day and lead 1 to 7, with the lags that an issuer knows, and others that he cannot know."""
    y = pl.col("energy_kwh")
    issues = days.with_columns(
        cutoff_date=pl.col("local_date"),
        **{f"lag_{lag}": y.shift(lag).over(METER) for lag in range(1, 15)},
        mean_28=y.shift(1).rolling_mean(28).over(METER),
        tomorrow=y.shift(-1).over(METER),
        next_week=y.shift(-7).rolling_mean(7).over(METER),
    ).drop("local_date", "energy_kwh", "readings")
    targets = days.select(*METER, "local_date", target_kwh="energy_kwh", day_before=y.shift(1).over(METER))
    return (
        issues.join(pl.DataFrame({"lead": range(1, 8)}), how="cross")
        .with_columns(local_date=pl.col("cutoff_date") + pl.duration(days=pl.col("lead") - 1))
        .join(targets, on=[*METER, "local_date"])
        .drop_nulls()
    )


def test_a_lag_counted_from_the_target_day_is_a_look_ahead(homes: pl.DataFrame) -> None:
    rows = horizon_rows(homes)
    honest = [*(f"lag_{lag}" for lag in range(1, 15)), "mean_28", "lead"]
    assert find_leakage(rows, features=honest) == []
    found = find_leakage(rows, features=[*honest, "day_before"])
    assert [finding.feature for finding in found] == ["day_before"]
    assert "not over at the cutoff" in found[0].words
    assert [finding.feature for finding in find_leakage(rows, features=[*honest, "tomorrow"])] == ["tomorrow"]


RNG = np.random.default_rng(11)
ODD_LOADS = {
    "i.i.d. uniform sensors": RNG.uniform(10, 100, 2000),
    "i.i.d. with a long tail": RNG.gamma(0.5, 8, 2000),
    "nearly constant": np.round(1 + RNG.normal(0, 0.002, 2000), 3),
    "constant": np.ones(2000),
    "vacant but for some days": np.where(RNG.random(2000) < 0.03, RNG.gamma(4, 2, 2000), 0.0),
    "on or off": np.where(RNG.random(2000) < 0.5, 12.0, 0.0),
    "random walk": 50 + np.cumsum(RNG.normal(0, 0.5, 2000)),
    "meters that differ a thousandfold": RNG.gamma(20, 1, 2000) * np.repeat(10.0 ** np.arange(-1, 4), 400),
}


@pytest.mark.parametrize("name", ODD_LOADS)
def test_odd_loads_with_honest_inputs_are_not_suspected(name: str) -> None:
    rows = published_design(invented_days(ODD_LOADS[name]))
    assert find_leakage(rows, features=HONEST) == []


def test_noise_with_the_published_inputs_is_caught_although_nothing_can_be_forecast() -> None:
    rows = published_design(invented_days(ODD_LOADS["i.i.d. uniform sensors"]))
    assert [finding.feature for finding in find_leakage(rows, features=[*HONEST, *LEAKY])] == ["avg_hourly_energy"]
    assert r2_of_a_line(rows, [*HONEST, *LEAKY]) > 0.99
    assert r2_of_a_line(rows, HONEST) < 0.02


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    factor=st.floats(0.001, 1000),
    offset=st.floats(-100, 100),
    noise=st.floats(0, 0.02),
)
def test_any_affine_image_of_the_target_is_found_however_noisy(
    seed: int, factor: float, offset: float, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = published_design(invented_days(rng.gamma(4, 2, 1000), meters=3))
    blurred = rows["target_kwh"] * (1 + noise * rng.normal(size=rows.height))
    rows = rows.with_columns(image=offset + factor * blurred)
    assert find_leakage(rows, features=HONEST) == []
    assert [finding.feature for finding in find_leakage(rows, features=[*HONEST, "image"])] == ["image"]


def test_few_rows_are_not_judged() -> None:
    rows = published_design(invented_days(RNG.gamma(4, 2, 90), meters=2))
    assert find_leakage(rows, features=HONEST) == []
    assert find_leakage(rows.clear(), features=HONEST) == []


DAY = date(2013, 3, 1)


def standing_at(day: date, *, includes_the_day: bool = False):
    """A maker of the rows that an issuer at ``day`` sees."""
    return lambda history: (
        published_design(history, includes_the_day=includes_the_day)
        .filter(pl.col("local_date") == day)
        .select(*METER, "local_date", *HONEST, "avg_hourly_energy", "target_kwh")
    )


def test_changing_the_days_to_come_shows_which_inputs_look_ahead() -> None:
    history = invented_days(RNG.gamma(4, 2, 500))
    found = changed_by_the_future(standing_at(DAY), history, day=DAY)
    assert [(finding.feature, finding.test, finding.value) for finding in found] == [
        ("avg_hourly_energy", "future", 5.0)
    ]
    leaky = {
        finding.feature for finding in changed_by_the_future(standing_at(DAY, includes_the_day=True), history, day=DAY)
    }
    assert {"rolling_mean_7", "rolling_std_7", "rolling_mean_30", "avg_hourly_energy"} <= leaky
    assert not leaky & {"lag_1", "lag_7", "weekday"}


def test_rows_that_come_and_go_with_the_days_to_come_are_a_finding() -> None:
    history = invented_days(RNG.gamma(4, 2, 500))
    choosy = lambda days: standing_at(DAY)(days).filter(pl.col("target_kwh") < 20)  # noqa: E731
    assert [finding.feature for finding in changed_by_the_future(choosy, history, day=DAY)] == ["rows"]


def backtested(actual: np.ndarray, forecast: np.ndarray, naive: np.ndarray) -> pl.DataFrame:
    return invented_days(actual).with_columns(
        target_kwh=pl.Series(actual), p50_kwh=pl.Series(forecast), naive_kwh=pl.Series(naive)
    )


def test_errors_of_nought_with_a_few_large_ones_are_the_fingerprint_of_leakage() -> None:
    actual = RNG.gamma(4, 2, 2000)
    naive = RNG.permutation(actual)
    short_days = np.where(RNG.random(2000) < 0.01, actual * 0.6, actual)
    found = too_good(backtested(actual, short_days, naive))
    assert {finding.test for finding in found} == {"too_good"}
    assert any("RMSE/MAE" in finding.words for finding in found)
    assert any(finding.value > 0.9 for finding in found)


@pytest.mark.parametrize("name", ODD_LOADS)
def test_honest_errors_have_no_such_fingerprint(name: str) -> None:
    actual = ODD_LOADS[name]
    rows = invented_days(actual).with_columns(
        target_kwh="energy_kwh", naive_kwh=pl.col("energy_kwh").shift(7).over(METER)
    )
    mean = pl.col("energy_kwh").shift(1).rolling_mean(28).over(METER)
    assert too_good(rows.with_columns(p50_kwh=mean)) == []
    assert too_good(rows.with_columns(p50_kwh="naive_kwh")) == []


def test_a_large_training_is_judged_within_seconds_of_cpu() -> None:
    rng = np.random.default_rng(3)
    rows, count = 250_000, 47
    frame = pl.DataFrame(
        rng.normal(size=(rows, count)).astype(np.float32), schema=[f"x{number}" for number in range(count)]
    )
    day = np.arange(rows) // 500
    frame = frame.with_columns(
        meter_id=pl.Series(np.arange(rows) % 500).cast(pl.String),
        channel=pl.lit("main"),
        local_date=pl.lit(date(2012, 1, 1)) + pl.duration(days=pl.Series(day)),
        target_kwh=pl.Series(rng.gamma(4, 2, rows)),
    )
    began = time.process_time()
    assert find_leakage(frame, features=[f"x{number}" for number in range(count)]) == []
    # 1.3 s on an idle core; a busy machine takes more CPU for the same work.
    assert time.process_time() - began < 3.0
