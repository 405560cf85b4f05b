from __future__ import annotations

from datetime import timedelta

import pytest

from energy_platform.adapters.operations.feedback import verdicts
from energy_platform.adapters.published import Published
from energy_platform.adapters.warehouse import Warehouse
from energy_platform.domain.access import Role
from energy_platform.domain.columns import TABLES
from energy_platform.domain.errors import CloudRefused
from energy_platform.serving.api import listings
from energy_platform.serving.api.generations import Answers, GenerationReader
from energy_platform.serving.api.limits import RateLimiter
from energy_platform.serving.api.models import item_model
from energy_platform.serving.api.problems import Problem
from energy_platform_tests.serving.api_client import NOW, ONE_SITE, Api, is_problem
from energy_platform_tests.serving.sample_warehouse import build_sample_warehouse
from energy_platform_tests.streaming.consumer import wait_until

LISTED = {
    "/v1/sites": listings.SITES_LISTING,
    "/v1/meters": listings.METERS_LISTING,
    "/v1/usage/daily": listings.DAILY,
    "/v1/usage/monthly": listings.MONTHLY,
    "/v1/usage/yearly": listings.YEARLY,
    "/v1/usage/profiles": listings.PROFILES,
    "/v1/forecasts": listings.FORECASTS_LISTING,
    "/v1/anomalies": listings.ANOMALIES_LISTING,
    "/v1/anomalies/severities": listings.SEVERITIES_LISTING,
    "/v1/anomalies/episodes": listings.EPISODES_LISTING,
    "/v1/forecasts/fleets": listings.FLEETS_LISTING,
}


@pytest.fixture(scope="module")
def api(published_sample, tmp_path_factory):
    return Api(tmp_path_factory.mktemp("api"), published_sample.place)


@pytest.mark.parametrize("path", LISTED)
def test_a_page_has_the_columns_of_its_document_and_the_pages_together_are_the_whole(api, path):
    model = item_model(LISTED[path])
    whole = api.get(path, limit=1000, commodity="gas") if "sites" not in path else api.get(path)
    assert whole.status_code == 200, whole.text
    items = whole.json()["items"]
    assert items
    for item in items:
        model.model_validate(item)
    if whole.json()["next_cursor"] is None:
        more = {} if "sites" in path else {"commodity": "gas"}
        assert api.pages(path, max(1, len(items) // 3), **more) == items


@pytest.mark.parametrize("path", LISTED)
def test_a_key_for_one_site_sees_only_that_site(api, path):
    mine = api.get(path, sites=(ONE_SITE,), limit=1000).json()["items"]
    if path == "/v1/forecasts/fleets":
        assert mine == [], "a fleet is of all sites"
        return
    every = {item["site_id"] for item in api.pages(path, 1000)}
    mine = {item["site_id"] for item in mine}
    assert every == {ONE_SITE, "uk-home-2"}
    assert mine == {ONE_SITE}
    other = api.get(path, sites=(ONE_SITE,), site="uk-home-2")
    assert other.json()["items"] == []


def test_monthly_and_yearly_usage_are_the_sums_of_the_days(api, sample_generation):
    with sample_generation.connect() as connection:
        for path, unit in (("monthly", "month"), ("yearly", "year")):
            expected = connection.execute(
                f"""SELECT meter_id, strftime(date_trunc('{unit}', local_date), '%Y-%m-%d'), sum(energy_kwh), count(*)
                FROM marts.meter_days GROUP BY ALL ORDER BY ALL"""
            ).fetchall()
            found = [
                (item["meter_id"], item["period_start"], item["energy_kwh"], item["days"])
                for item in api.pages(f"/v1/usage/{path}", 7)
            ]
            assert [row[:2] for row in found] == [row[:2] for row in expected]
            assert [row[2:] for row in found] == [pytest.approx(row[2:]) for row in expected]


def test_days_can_be_asked_for_from_one_to_another(api):
    newest = api.pages("/v1/usage/daily", 1000, meter="uk-home-1-gas")[-1]["local_date"]
    found = api.get("/v1/usage/daily", meter="uk-home-1-gas", **{"from": newest, "to": newest}).json()["items"]
    assert [(day["meter_id"], day["local_date"]) for day in found] == [("uk-home-1-gas", newest)]


def test_forecasts_are_the_newest_that_users_were_given_unless_a_cutoff_is_asked_for(api):
    newest = api.pages("/v1/forecasts", 100)
    assert {item["model"] for item in newest} == {"lightgbm"}
    assert len({(item["source"], item["cutoff_date"]) for item in newest}) == len({item["source"] for item in newest})
    cutoff = newest[0]["cutoff_date"]
    asked = api.get("/v1/forecasts", cutoff=cutoff, limit=1000).json()["items"]
    assert {item["cutoff_date"] for item in asked} == {cutoff}


def test_fleet_forecasts_are_the_newest_issued_ones_of_a_source_and_segment(api):
    found = api.pages("/v1/forecasts/fleets", 50, source="uk_home_2", segment="all")
    assert len(found) == 96
    assert {item["cutoff_date"] for item in found} == {found[0]["cutoff_date"]}
    assert api.get("/v1/forecasts/fleets", cutoff="2001-01-01").json()["items"] == []


def test_what_is_said_of_an_episode_is_kept_and_only_by_those_who_may(api):
    episode = api.get("/v1/anomalies/episodes", site=ONE_SITE, commodity="gas").json()["items"][0]
    path = f"/v1/anomalies/episodes/{episode['episode_id']}/feedback"
    for said in ({"is_real": True}, {"is_real": False, "note": "guests"}):
        answer = api.post(path, said, sites=(ONE_SITE,))
        assert answer.status_code == 201, answer.text
    kept = api.get(path).json()["items"]
    assert [(one["is_real"], one["note"], one["meter_id"]) for one in kept] == [
        (True, "", "uk-home-1-gas"),
        (False, "guests", "uk-home-1-gas"),
    ]
    assert [one.is_real for one in verdicts(api.operations)] == [False], "the last word counts"
    assert kept[1] == answer.json()
    assert kept[1]["said_by"].startswith("key:")
    other = api.get("/v1/anomalies/episodes", site="uk-home-2").json()["items"][0]["episode_id"]
    assert is_problem(api.post(path.replace(episode["episode_id"], other), {"is_real": True}, sites=(ONE_SITE,)), 404)
    assert is_problem(api.post(path.replace(episode["episode_id"], "none"), {"is_real": True}), 404)
    assert is_problem(api.post(path, {"is_real": "perhaps"}), 422)
    assert is_problem(api.post(path, {"is_real": True}, role=Role.VIEWER), 403)


def test_anomalies_of_a_site_are_the_same_whether_its_meters_are_few_enough_to_be_named(api, monkeypatch):
    few = api.get("/v1/anomalies", site=ONE_SITE, limit=1000).content
    monkeypatch.setattr(listings, "MOST_NAMED_METERS", 1)
    assert api.get("/v1/anomalies", site=ONE_SITE, limit=1000).content == few


def test_anomalies_come_newest_first(api):
    starts = [item["interval_start_utc"] for item in api.get("/v1/anomalies", limit=500).json()["items"]]
    assert starts == sorted(starts, reverse=True)


def test_who_has_the_generation_already_is_not_sent_it_again(api):
    tag = api.get("/v1/sites").headers["etag"]
    again = api.get("/v1/sites", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"from": "yesterday"}, "from"),
        ({"commodity": "water"}, "commodity"),
        ({"cursor": "oops"}, "cursor"),
        ({"cursor": "WzEsMiwzLDRd"}, "cursor"),
        ({"cursor": "WyJhIiwiYiIsIm5vIGRheSJd"}, "cursor"),
        ({"meter": "a\x00b"}, "meter"),
    ],
)
def test_what_cannot_be_asked_for_is_a_problem_that_names_it(api, parameters, says):
    answer = api.get("/v1/usage/daily", **parameters)
    assert is_problem(answer, 422)
    assert says in answer.text


def test_without_a_key_nothing_is_read_and_an_ingest_key_reads_nothing(api):
    for path in [*LISTED, "/v1/live", "/v1/alerts", "/v1/devices", "/v1/kill-switches", "/v1/averages"]:
        assert is_problem(api.client.get(path, params={"meter": "m"}), 401)
        assert is_problem(api.get(path, role=Role.INGEST, meter="m"), 403)


def test_before_anything_is_published_tables_are_503_and_the_rest_answers(tmp_path):
    api = Api(tmp_path, tmp_path / "published")
    answer = api.get("/v1/usage/daily")
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"] == "30"
    assert api.get("/v1/live").json()["items"] == []
    assert api.get("/v1/devices").status_code == 200


def test_a_newer_generation_is_read_within_a_second_and_old_answers_are_not_given(tmp_path):
    warehouse = build_sample_warehouse(tmp_path / "warehouse.duckdb", days=3)
    published = Published(tmp_path / "published")
    with warehouse.transaction() as connection:
        first = published.publish(connection, TABLES, facts={}, now=NOW)
    api = Api(tmp_path / "home", tmp_path / "published")
    before = api.get("/v1/usage/daily").json()
    with Warehouse(tmp_path / "warehouse.duckdb").transaction() as connection:
        connection.execute("UPDATE marts.meter_days SET energy_kwh = energy_kwh + 1")
        second = published.publish(connection, TABLES, facts={}, now=NOW + timedelta(days=1))
    wait_until(lambda: api.get("/v1/usage/daily").json()["generation"] == second.generation_id, 10)
    after = api.get("/v1/usage/daily").json()
    assert before["generation"] == first.generation_id
    assert [day["energy_kwh"] for day in after["items"]] == [
        pytest.approx(day["energy_kwh"] + 1) for day in before["items"]
    ]


def test_while_the_place_of_generations_is_away_the_one_that_was_read_is_answered_from(published_sample):
    class Place:
        def __init__(self):
            self.is_away = False

        def current(self):
            if self.is_away:
                raise CloudRefused("s3://bucket", problem="no answer", remedy="Wait.")
            return published_sample.current()

    place, seconds = Place(), iter(range(10))
    reader = GenerationReader(place, clock=lambda: next(seconds))
    first = reader.current()
    place.is_away = True
    assert reader.current() is first
    with pytest.raises(Problem, match="cannot be reached"):
        GenerationReader(place).current()


def test_answers_are_kept_up_to_a_number_of_bytes():
    answers = Answers(most_bytes=10)
    for number in range(4):
        answers.keep(number, b"1234")
    assert [answers.find(number) for number in range(4)] == [None, None, b"1234", b"1234"]
    answers.keep(2, b"12345678")
    assert [answers.find(number) for number in (2, 3)] == [b"12345678", None]


def test_a_key_that_asks_too_often_is_told_when_again_and_others_are_not(published_sample, tmp_path):
    api = Api(tmp_path, published_sample.place, api_requests_per_minute=6)
    assert api.get("/v1/sites").status_code == 200
    refused = api.get("/v1/sites")
    assert is_problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert api.get("/v1/sites", role=Role.OPERATOR).status_code == 200


def test_a_bucket_fills_evenly_and_never_over_its_brim():
    now = 0.0
    limiter = RateLimiter(per_minute=60, burst=3, clock=lambda: now)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1]
    now = 1.0
    assert [limiter.take("a"), limiter.take("a")] == [0, 1]
    now = 1_000.0
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1]


def test_the_metrics_name_endpoints_and_no_meter_site_or_key(api):
    api.get("/v1/devices/uk-home-1-lamp")
    api.get("/nowhere/uk-home-1")
    text = api.client.get("/metrics").text
    assert 'energy_requests_total{method="GET",path="/v1/devices/{device_id}",status="200"}' in text
    assert "energy_generation_age_seconds" in text
    assert "uk-home-1" not in text
    assert api.client.get("/v1/health").json() == {"status": "ok"}
