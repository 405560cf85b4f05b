"""Each detector of household days: what it finds, what it leaves alone, and what it refuses."""

import pickle
from datetime import date

import numpy as np
import polars as pl
import pytest

from energy_platform.domain.anomalies.days import MAD_TO_SD, SMALLEST_SD_KWH
from energy_platform.domain.anomalies.detectors import DAY_DETECTORS, reading_detectors
from energy_platform.domain.anomalies.detectors.level_shift import LevelShift, settled
from energy_platform.domain.anomalies.detectors.outliers import EXACT_SVM_ROWS, learn_boundary
from energy_platform.domain.anomalies.history import DayHistory
from energy_platform.domain.anomalies.planting import VARIANTS, DayFault, plant_days
from energy_platform.domain.anomalies.protocol import DAY_KEY, DAY_SCORES, HOURS, READING_SCORES, teachable
from energy_platform.domain.calendar import calendar_features
from energy_platform.domain.errors import DetectorInput
from energy_platform_tests.domain.anomalies.home_builders import changed, hours_of, make_days, shape, split

PLACE = 5
# Detector, and what is made of a day's hours for it to find.
FAULTS = {
    "robust_hour_of_week": lambda hours: hours + 6 * (np.arange(24) == 3),
    "mean_plus_sigma": lambda hours: hours + 6 * (np.arange(24) == 3),
    "similar_days": lambda hours: hours[::-1] * 2,
    "k_means_5": lambda hours: hours[::-1] * 3,
    "k_means_2": lambda hours: hours[::-1] * 3,
    "gaussian_mixture": lambda hours: hours[::-1] * 3,
    "isolation_forest": lambda hours: hours[::-1] * 3,
    "one_class_svm": lambda hours: hours[::-1] * 3,
    "night_leak": lambda hours: hours + 0.4 * (np.arange(24) < 6),
    "flatline": lambda hours: np.where(np.arange(24) < 8, hours[0], hours),
    "meter_stopped": lambda hours: np.where(np.arange(24) < 8, 0.0, hours),
    "unit_x1000": lambda hours: hours * 1000,
    "sign": lambda hours: np.where(np.arange(24) < 3, -hours, hours),
}


@pytest.fixture(scope="module")
def homes() -> tuple[pl.DataFrame, pl.DataFrame]:
    return split(make_days(meters=4, days=126), 98)


@pytest.fixture(scope="module")
def fitted(homes) -> dict:
    return {name: detector.fit(homes[0]) for name, detector in DAY_DETECTORS.items()}


@pytest.mark.parametrize("name", FAULTS)
def test_it_finds_its_fault_and_says_why(name: str, fitted, homes) -> None:
    _, ahead = homes
    found = fitted[name].score(changed(ahead, PLACE, FAULTS[name](hours_of(ahead, PLACE))))
    assert found["is_anomalous"][PLACE]
    assert found["reason"][PLACE]
    assert found["score"][PLACE] == found["score"].max()


@pytest.mark.parametrize("name", list(DAY_DETECTORS))
def test_it_keeps_its_word_about_columns_order_and_pickles(name: str, fitted, homes) -> None:
    _, ahead = homes
    shuffled = ahead.sample(fraction=1.0, shuffle=True, seed=3)
    found = pickle.loads(pickle.dumps(fitted[name])).score(shuffled)
    assert found.schema == DAY_SCORES
    assert found.select(DAY_KEY).equals(shuffled.select(DAY_KEY))
    told = found.select((pl.col("reason").is_not_null() == pl.col("is_anomalous")).all()).item()
    assert told
    again = DAY_DETECTORS[name].fit(homes[0]).score(shuffled)
    assert again.equals(found)


@pytest.mark.parametrize("name", [name for name in DAY_DETECTORS if name != "level_shift"])
def test_clean_days_seldom_alarm(name: str, fitted, homes) -> None:
    share = fitted[name].score(homes[1])["is_anomalous"].mean()
    assert share <= 0.08, share


def test_the_conformal_false_alarm_rate_is_kept_on_clean_days() -> None:
    history, ahead = split(make_days(meters=40, days=126, seed=4), 98)
    share = DAY_DETECTORS["conformal_residual"].fit(history).score(ahead)["is_anomalous"].mean()
    assert 0.002 <= share <= 0.02, share


def test_an_unknown_meter_is_not_judged(fitted, homes) -> None:
    stranger = homes[1].with_columns(meter_id=pl.lit("nobody"))
    for detector in fitted.values():
        found = detector.score(stranger)
        assert found["score"].null_count() == found.height
        assert not found["is_anomalous"].any()


def test_a_gap_is_the_share_that_is_missing(fitted, homes) -> None:
    ahead = homes[1].with_columns(
        readings=pl.when(pl.int_range(pl.len()) == PLACE).then(36).otherwise("readings").cast(pl.Int32)
    )
    found = fitted["gap"].score(ahead)
    assert found["value"][PLACE] == 0.25
    assert found["is_anomalous"].sum() == 1


def test_a_meter_that_feeds_in_is_no_sign_error() -> None:
    base = make_days(days=126)
    sun = np.array(base["hours_kwh"].to_numpy()) - 1.0 * (np.abs(np.arange(24) - 12) < 3)
    history, ahead = split(make_days(days=126, hours=sun), 98)
    assert DAY_DETECTORS["sign"].fit(history).score(ahead)["is_anomalous"].mean() < 0.1


def test_a_level_shift_is_told_once_and_then_is_the_level() -> None:
    frame = make_days(days=126)
    doubled = np.array(frame["hours_kwh"].to_numpy())
    doubled[90:] *= 2
    history, ahead = split(make_days(days=126, hours=doubled), 70)
    found = LevelShift().fit(history).score(ahead)
    assert found["is_anomalous"].sum() == 1
    told = int(found["is_anomalous"].arg_max())
    assert 20 <= told <= 27
    assert found["expected"][told + 5] == pytest.approx(2 * found["expected"][5], rel=0.3)
    assert settled(found)[told + 1 :].mean() > 0.9
    assert not settled(found)[: told + 1].any()


def test_a_unit_error_of_a_day_is_no_level_shift() -> None:
    history, ahead = split(make_days(days=126), 98)
    found = LevelShift().fit(history).score(changed(ahead, PLACE, hours_of(ahead, PLACE) * 1000))
    assert not found["is_anomalous"].any()


def test_an_air_conditioner_on_a_hot_evening_is_like_other_hot_evenings() -> None:
    random = np.random.default_rng(5)
    hot = random.random(126) < 0.25
    hours = shape() * random.lognormal(0, 0.15, (126, 24)) + hot[:, None] * 2.5 * (np.abs(np.arange(24) - 19) < 3)
    temperature = np.where(hot, 31.0, 21.0) + random.normal(0, 1, 126)
    history, ahead = split(make_days(days=126, hours=hours, temperature_c=temperature), 98)
    detector = DAY_DETECTORS["similar_days"].fit(history)
    assert detector.score(ahead)["is_anomalous"].sum() <= 1
    cold = ahead.with_columns(temperature_c=pl.lit(21.0, dtype=pl.Float32))
    hot_places = np.flatnonzero(hot[98:])
    scores = (detector.score(ahead)["score"].to_numpy(), detector.score(cold)["score"].to_numpy())
    assert (scores[1][hot_places] > 3 * scores[0][hot_places]).all(), "the same peak on a cool day is strange"


def test_the_evidence_are_good_days_of_the_same_kind(fitted, homes) -> None:
    holiday = homes[1].head(1)
    days = fitted["similar_days"].evidence(holiday)[0]
    assert len(days) == 3
    assert all(day < holiday["local_date"][0] for day in days)
    assert {day.weekday() > 4 for day in days} == {bool(holiday["is_day_off"][0])}


def test_a_public_holiday_is_judged_as_a_day_off() -> None:
    # Whit Monday 2013 in London: the site's own calendar calls it a day off.
    monday = calendar_features("GB-ENG", [date(2013, 5, 27)])
    assert (monday["is_weekend"] + monday["is_holiday"]).item() > 0
    late = np.roll(shape(), 3)
    frame = make_days(days=126, seed=6)
    hours = np.array(frame["hours_kwh"].to_numpy())
    off = frame["is_day_off"].to_numpy()
    hours[off] = late * np.random.default_rng(7).lognormal(0, 0.15, (off.sum(), 24))
    history, ahead = split(make_days(days=126, hours=hours), 98)
    place = int(np.flatnonzero(~ahead["is_day_off"].to_numpy())[0])
    on_holiday = changed(ahead, place, late)
    judged = {}
    for is_off in (False, True):
        day_off = pl.when(pl.int_range(pl.len()) == place).then(pl.lit(is_off)).otherwise("is_day_off")
        found = DAY_DETECTORS["robust_hour_of_week"].fit(history).score(on_holiday.with_columns(is_day_off=day_off))
        judged[is_off] = found["score"][place]
    assert judged[True] < 3.5 < judged[False]


def test_no_detector_learns_from_known_anomalies_or_estimates_or_incomplete_days() -> None:
    frame = make_days(days=126)
    marks = {
        "is_known_anomalous": pl.int_range(pl.len()) == 3,
        "estimated_share": (pl.int_range(pl.len()) == 4).cast(pl.Float32),
        "readings": 48 - (pl.int_range(pl.len()) == 5).cast(pl.Int32),
    }
    kept = teachable(frame.with_columns(**marks))
    assert kept.height == frame.height - 3
    spoiled = changed(frame, 3, hours_of(frame, 3) * 1000).with_columns(is_known_anomalous=marks["is_known_anomalous"])
    detector = DAY_DETECTORS["unit_x1000"]
    assert detector.fit(spoiled).limit == detector.fit(frame.filter(pl.int_range(pl.len()) != 3)).limit


def test_too_little_history_is_refused_in_words() -> None:
    with pytest.raises(DetectorInput, match="14 complete, measured days"):
        DAY_DETECTORS["night_leak"].fit(make_days(days=13))
    with pytest.raises(DetectorInput, match="hours_kwh"):
        DAY_DETECTORS["night_leak"].fit(make_days().drop("hours_kwh"))


def test_the_boundary_says_which_method_its_size_chose() -> None:
    random = np.random.default_rng(0)
    few = learn_boundary(random.normal(size=(500, 4)).astype(np.float32))
    many = learn_boundary(random.normal(size=(EXACT_SVM_ROWS + 1, 4)).astype(np.float32))
    assert "exact" in few.how
    assert "Nyström" in many.how
    far = np.full((1, 4), 6, dtype=np.float32)
    for learned in (few, many):
        assert learned.distance(far)[0] > learned.distance(np.zeros((1, 4), dtype=np.float32))[0]


def test_readings_keep_their_event_time_and_planted_ones_are_found() -> None:
    random = np.random.default_rng(1)
    rows = pl.DataFrame(
        {
            "meter_id": "ac",
            "channel": "z1",
            "event_at_utc": pl.datetime_range(date(2018, 7, 1), date(2018, 7, 3), "1m", eager=True)[:2000],
            "value": random.normal(5, 1, 2000),
            "lux": random.normal(40, 5, 2000),
        }
    )
    strange = rows.with_columns(
        value=pl.when(pl.int_range(pl.len()) % 400 == 7).then(25.0).otherwise("value"),
        lux=pl.when(pl.int_range(pl.len()) % 400 == 7).then(200.0).otherwise("lux"),
    )
    for name, detector in reading_detectors(("value", "lux")).items():
        found = detector.fit(rows).score(strange)
        assert found.schema == READING_SCORES, name
        assert found["event_at_utc"].equals(strange["event_at_utc"]), name
        assert found["is_anomalous"].gather_every(400, 7).all(), name
        assert found["is_anomalous"].mean() < 0.06, name


def test_planted_days_differ_and_no_other_day_does() -> None:
    clean = make_days(meters=3, days=280, seed=8)
    planted = plant_days(clean, seed=1)
    assert planted.labels.height == 30
    assert set(planted.labels["fault"]) <= set(DayFault)
    differs = (planted.rows["hours_kwh"].to_numpy() != clean["hours_kwh"].to_numpy()).any(axis=1)
    days = (
        planted.labels.select("meter_id", local_date=pl.date_ranges("first_date", "last_date"))
        .explode("local_date")
        .with_columns(is_planted=pl.lit(value=True))
    )
    labelled = planted.rows.join(days, on=["meter_id", "local_date"], how="left")["is_planted"].fill_null(value=False)
    assert not (differs & ~labelled.to_numpy()).any()
    # A drift begins at factor 1: its first day is as it was.
    assert (differs == labelled.to_numpy()).mean() > 0.98
    assert plant_days(clean, seed=1).labels.equals(planted.labels)
    assert not plant_days(clean, seed=2).labels.equals(planted.labels)
    assert len(VARIANTS) == 24


def test_medians_of_all_meters_at_once_are_those_of_each() -> None:
    rows = make_days(meters=3, days=40, seed=5)
    hours = np.array(rows["hours_kwh"].to_numpy())
    hours[3, 1] = np.nan
    rows = rows.with_columns(pl.Series("hours_kwh", hours, dtype=pl.Array(pl.Float32, HOURS)))
    known = DayHistory(rows.sample(fraction=1, shuffle=True, seed=1))
    center, spread = known.hour_medians
    for meter in range(3):
        for off in (False, True):
            own = hours[((rows["meter_id"] == f"m{meter:02d}") & (rows["is_day_off"] == off)).to_numpy()]
            middle = np.nanmedian(own, axis=0)
            assert np.array_equal(center[2 * meter + off], middle)
            least = max(SMALLEST_SD_KWH, 0.2 * float(middle.mean()))
            away = np.maximum(np.nanmedian(np.abs(own - middle), axis=0) * MAD_TO_SD, least)
            assert spread[2 * meter + off] == pytest.approx(away)
