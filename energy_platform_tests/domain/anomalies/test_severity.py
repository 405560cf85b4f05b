"""The combined severity: calibrated, better than its parts on planted faults, one episode for one cause."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_platform.domain.anomalies.detectors import DAY_DETECTORS
from energy_platform.domain.anomalies.episodes import episode_id, known_anomalous, severity_rows, with_episodes
from energy_platform.domain.anomalies.evaluation import evaluate
from energy_platform.domain.anomalies.planting import LABELS
from energy_platform.domain.anomalies.records import ALL, Alarms, Examples, may_page, record_rows
from energy_platform.domain.anomalies.severity import NAME, Calibration, follows_on, limit_for, recent, starts
from energy_platform.domain.anomalies.training import train_detectors
from energy_platform.domain.columns.anomalies import EPISODES, RECORDS, SEVERITIES
from energy_platform_tests.domain.anomalies.home_builders import FIRST, make_days

CUTOFF = FIRST + timedelta(days=182)
CHEAP = {
    name: DAY_DETECTORS[name]
    for name in ("robust_hour_of_week", "similar_days", "level_shift", "night_leak", "flatline", "gap", "meter_stopped", "sign")
}  # fmt: skip


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return make_days(meters=12, days=238, seed=2)


@pytest.fixture(scope="module")
def trained(days):
    return train_detectors(CHEAP, days, cutoff=CUTOFF, seed=1)


def judge(trained, rows: pl.DataFrame) -> pl.DataFrame:
    return severity_rows(
        rows.with_columns(source=pl.lit("test"), commodity=pl.lit("electricity")),
        trained.severity,
        since=CUTOFF,
        cutoff=CUTOFF,
        version="1",
        may_page=True,
        now_utc=datetime(2026, 1, 1),
    )


def ahead_of(days: pl.DataFrame, meters: int) -> pl.DataFrame:
    names = days["meter_id"].unique().sort()[:meters]
    return days.filter(pl.col("local_date") >= CUTOFF - timedelta(days=28), pl.col("meter_id").is_in(names.implode()))


def spoiled(rows: pl.DataFrame, change) -> pl.DataFrame:
    """The hours of the first meter, changed by ``change(hours, days since the cutoff)``."""
    hours = np.array(rows["hours_kwh"].to_numpy())
    since = (rows["local_date"] - CUTOFF).dt.total_days().to_numpy()
    hours = np.where(
        (rows["meter_id"] == rows["meter_id"].min()).to_numpy()[:, None], change(hours, since[:, None]), hours
    )
    return rows.with_columns(pl.Series("hours_kwh", hours.astype(np.float32), dtype=pl.Array(pl.Float32, 24)))


def test_the_severity_has_a_record_good_enough_to_page(trained) -> None:
    own = trained.records.filter(pl.col("fault") == ALL, pl.col("detector") == NAME).row(0, named=True)
    assert own["recall"] > 0.6
    assert own["precision"] > 0.5
    assert own["false_alarms_per_meter_week"] <= 0.2
    assert own["may_page"]
    assert set(RECORDS.column_names) - {"cutoff_date"} <= set(trained.records.columns)


@pytest.mark.parametrize("fault", ["stuck", "gap", "meter_stopped", "sign", "unit_x1000"])
def test_faults_of_the_meter_are_found_on_the_day(trained, fault: str) -> None:
    row = trained.records.filter(pl.col("fault") == fault, pl.col("magnitude") == 0, pl.col("detector") == NAME)
    assert row["recall"].item() >= 0.8
    assert row["median_days_to_detect"].item() == 0


def test_clean_days_alarm_about_as_often_as_was_allowed(trained, days) -> None:
    told = judge(trained, ahead_of(days, 12))
    assert told["is_anomalous"].sum() / (12 * 8) <= 0.2
    assert (
        told.filter("is_anomalous")["false_alarm_share"].max() is None
        or told.filter("is_anomalous")["false_alarm_share"].max() < 0.05
    )


def test_training_twice_gives_the_same(trained, days) -> None:
    again = train_detectors(CHEAP, days, cutoff=CUTOFF, seed=1)
    assert again.records.equals(trained.records)
    rows = ahead_of(days, 2)
    assert np.array_equal(again.severity.score(rows).combined, trained.severity.score(rows).combined)


def test_days_from_the_cutoff_on_change_nothing(trained, days) -> None:
    later = days.with_columns(
        energy_kwh=pl.when(pl.col("local_date") >= CUTOFF).then(99.0).otherwise("energy_kwh").cast(pl.Float32),
        is_known_anomalous=pl.col("local_date") >= CUTOFF,
    )
    assert train_detectors(CHEAP, later, cutoff=CUTOFF, seed=1).records.equals(trained.records)


def test_a_day_is_judged_alike_however_many_days_before_it_are_at_hand(trained, days) -> None:
    rows = spoiled(ahead_of(days, 3), lambda hours, since: np.where(since >= 5, 1.8, 1.0) * hours)
    since = CUTOFF + timedelta(days=20)
    told = (rows["local_date"] >= since).to_numpy()
    kept = recent(rows, since).to_numpy()
    whole, short = trained.severity.score(rows), trained.severity.score(rows, since)
    assert 0 < told.sum() < kept.sum() < len(rows)
    assert np.array_equal(short.combined[told[kept]], whole.combined[told])


def test_a_lasting_change_is_one_episode_and_not_weeks_of_them(trained, days) -> None:
    told = judge(trained, spoiled(ahead_of(days, 1), lambda hours, since: np.where(since >= 10, 2.2, 1.0) * hours))
    severities, episodes = with_episodes(told)
    of_use = episodes.filter(pl.col("kind") == "use", pl.col("last_date") >= CUTOFF + timedelta(days=10))
    assert of_use.height == 1, of_use
    episode = of_use.row(0, named=True)
    assert episode["cause"] == "level_shift"
    assert episode["last_date"] <= CUTOFF + timedelta(days=18), "after it was told it is the level"
    assert severities.filter("is_anomalous")["episode_id"].null_count() == 0


def test_a_flatline_is_named_with_its_numbers_and_its_day(trained, days) -> None:
    flat = judge(trained, spoiled(ahead_of(days, 1), lambda hours, since: np.where(since == 20, 0.4, hours)))
    row = flat.filter(pl.col("local_date") == CUTOFF + timedelta(days=20)).row(0, named=True)
    assert row["is_anomalous"]
    assert row["cause"] == "flatline"
    assert "23 hours in a row" in row["reason"]
    assert row["value"] == 23
    assert row["similar_days"].count(",") == 2
    assert row["may_page"]
    _, episodes = with_episodes(flat)
    assert episodes.filter(pl.col("cause") == "flatline")["anomalous_days"].to_list() == [1]


def test_tables_are_as_their_contracts_say(trained, days) -> None:
    severities, episodes = with_episodes(judge(trained, ahead_of(days, 3)))
    assert severities.schema == SEVERITIES.polars_schema
    assert episodes.columns == EPISODES.column_names
    empty = with_episodes(severities.clear())
    assert empty[0].is_empty()
    assert empty[1].is_empty()


def severities(*days_and_causes: tuple[int, str]) -> pl.DataFrame:
    rows = [
        {"meter_id": "m", "channel": "main", "source": "s", "commodity": "gas", "local_date": FIRST + timedelta(days=day),
         "cutoff_date": FIRST, "severity": 2.0 + day / 10, "false_alarm_share": 0.01, "is_anomalous": True, "cause": cause,
         "detectors": cause, "reason": f"{cause} {day}", "may_page": False, "issued_at_utc": datetime(2026, 1, 1)}
        for day, cause in days_and_causes
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SEVERITIES.polars_schema)


def test_days_near_each_other_are_one_episode_by_kind_of_cause() -> None:
    _, episodes = with_episodes(
        severities((0, "night_leak"), (1, "similar_days"), (4, "night_leak"), (9, "k_means_2"), (1, "gap"))
    )
    spans = {
        (row["kind"], (row["last_date"] - row["first_date"]).days, row["anomalous_days"]) for row in episodes.to_dicts()
    }
    assert spans == {("use", 4, 3), ("use", 0, 1), ("meter", 0, 1)}
    longest = episodes.filter(pl.col("anomalous_days") == 3).row(0, named=True)
    assert longest["worst_date"] == FIRST + timedelta(days=4)
    assert longest["reason"] == "night_leak 4"


def test_what_lasts_teaches_again_unless_a_person_called_it_real() -> None:
    _, episodes = with_episodes(severities(*((day, "similar_days") for day in range(30))))
    name = episodes["episode_id"][0]
    none = pl.DataFrame(schema={"episode_id": pl.String, "is_real": pl.Boolean})
    said = {answer: pl.DataFrame({"episode_id": [name], "is_real": [answer]}) for answer in (True, False)}
    assert known_anomalous(episodes, none).height == 14
    assert known_anomalous(episodes, said[True]).height == 30
    assert known_anomalous(episodes, said[False]).height == 0


def test_an_episode_keeps_its_name_while_it_grows() -> None:
    first = with_episodes(severities((0, "gap"), (1, "gap")))[1]
    grown = with_episodes(severities((0, "gap"), (1, "gap"), (2, "gap")))[1]
    assert first["episode_id"].to_list() == grown["episode_id"].to_list()
    assert episode_id("a", "b", "use", FIRST) != episode_id("a", "b", "meter", FIRST)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_a_larger_score_is_never_worth_less(good: list[float], score: float, more: float) -> None:
    calibration = Calibration.of(np.array(good))
    low, high = calibration.signal(np.array([score, score + more]))
    assert high >= low
    share = calibration.share(np.array([score]))[0]
    assert 1 / (len(good) + 1) <= share <= 1


@given(st.lists(st.floats(0, 10), min_size=8, max_size=80), st.floats(0.05, 2))
def test_a_limit_allows_no_more_alarms_than_asked_and_no_lower_one_would_do(
    scores: list[float], allowed: float
) -> None:
    keys = pl.DataFrame(
        {"meter_id": "m", "channel": "c", "local_date": [FIRST + timedelta(days=n) for n in range(len(scores))]}
    )
    values = np.array(scores)
    limit = limit_for(values, keys, per_meter_week=allowed)
    follows = follows_on(keys)
    assert starts(values > limit, follows).sum() <= allowed * len(values) / 7


def test_records_count_events_false_alarms_and_days_to_detect() -> None:
    rows = make_days(meters=2, days=56)
    day = lambda number: FIRST + timedelta(days=number)  # noqa: E731
    labels = pl.DataFrame(
        [("m00", "main", "gap", 12.0, day(10), day(12)), ("m01", "main", "gap", 3.0, day(20), day(20))],
        schema=LABELS, orient="row",
    )  # fmt: skip
    alarms = np.zeros(112, dtype=bool)
    alarms[[11, 12, 30, 31, 56 + 40]] = True  # found on its second day; two runs of false alarms; the other is missed
    from energy_platform.domain.anomalies.planting import PlantedDays

    judged = Examples(rows, {}, (PlantedDays(rows, labels),), ({},))
    good = np.zeros(112, dtype=bool)
    good[[3, 4, 60]] = True
    found = record_rows(judged, {"one": Alarms(good, (alarms,))})
    every = found.filter(pl.col("fault") == ALL).row(0, named=True)
    assert (every["events"], every["detected"], every["false_alarms"]) == (2, 1, 2)
    assert (every["recall"], every["precision"]) == (0.5, pytest.approx(1 / 3))
    assert every["median_days_to_detect"] == 1
    assert every["false_alarms_per_meter_week"] == 2 / 16
    assert found.filter(pl.col("magnitude") == 3.0)["detected"].to_list() == [0]


def test_no_record_no_page() -> None:
    assert not may_page(0, None, None, None)[0]
    assert not may_page(50, 0.9, 0.4, 0.05)[0]
    assert not may_page(50, 0.4, 0.9, 0.05)[0]
    assert not may_page(50, 0.9, 0.9, 0.5)[0]
    assert may_page(50, 0.9, 0.9, 0.05)[0]


def test_labels_are_compared_by_day_and_by_event() -> None:
    alarms = severities((3, "gap"), (4, "gap"), (20, "gap"))
    judged = pl.DataFrame(
        {"meter_id": "m", "channel": "main", "local_date": [FIRST + timedelta(days=n) for n in range(28)]}
    )
    labels = pl.DataFrame(
        [("m", "main", "x", None, FIRST + timedelta(days=3), FIRST + timedelta(days=6)),
         ("m", "main", "x", None, FIRST + timedelta(days=10), FIRST + timedelta(days=10)),
         ("other", "main", "x", None, date(2013, 1, 1), date(2013, 1, 2))],
        schema=LABELS, orient="row",
    )  # fmt: skip
    found = evaluate(judged, alarms, labels)
    assert (found.events, found.detected, found.false_alarms, found.unused_labels) == (2, 1, 1, 1)
    assert (found.labelled_days, found.alarm_days, found.hit_days) == (5, 3, 2)
    assert found.event_recall == 0.5
    assert found.point_precision == pytest.approx(2 / 3)
    assert 0 < found.pr_auc < 1
