from __future__ import annotations

from datetime import datetime

import orjson
import pytest
from fastapi.testclient import TestClient

from energy_platform.adapters.operations import Operations
from energy_platform.domain.access import Role
from energy_platform.serving.api.app import create_app
from energy_platform.settings import Settings
from energy_platform_tests.streaming.consumer import landed, reading, rejected

NOW = datetime(2024, 6, 1, 12)
CSV_HEADER = "meter_id,interval_start,interval_minutes,energy_kwh\n"


class Api:
    def __init__(self, home):
        self.settings = Settings(home=home)
        self.landing = self.settings.landing_path
        self.client = TestClient(
            create_app(self.settings, max_body_bytes=20_000, now=lambda: NOW), raise_server_exceptions=False
        )
        with Operations.open(self.settings.operations_address) as operations:
            self.keys = {role: operations.create_key(role.value, role, now_utc=NOW) for role in Role}

    def post(self, body, media="application/json", role=Role.INGEST, **headers):
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {"Content-Type": media, "Authorization": f"Bearer {self.keys[role][1]}"} | headers
        return self.client.post("/v1/readings", content=content, headers=sent)

    def files(self):
        return [path for path in self.landing.rglob("*") if path.is_file()]


@pytest.fixture
def api(tmp_path):
    return Api(tmp_path)


def is_problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "Traceback" not in answer.text
    return True


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", [reading(1), reading(2)]),
        ("application/json; charset=utf-8", reading(1)),
        ("application/x-ndjson", orjson.dumps(reading(1)) + b"\n\n" + orjson.dumps(reading(2)) + b"\n"),
        ("text/csv", (CSV_HEADER + "meter-00000,2024-01-01T00:30:00Z,30,0.001\n").encode()),
    ],
)
def test_readings_in_each_form_are_landed_before_the_answer(api, media, body):
    answer = api.post(body, media)
    assert answer.status_code == 202
    assert answer.json()["rejected"] == 0
    rows = landed(api.landing)
    assert len(rows) == answer.json()["accepted"]
    assert rows[0] == {
        "meter_id": "meter-00000",
        "channel": "main",
        "interval_start_utc": "2024-01-01T00:30:00Z",
        "interval_minutes": 30,
        "energy_kwh": 0.001,
        "quality": "measured",
        "commodity": "electricity",
    }


@pytest.mark.parametrize(
    ("media", "body", "line"),
    [
        ("application/json", [reading(1), {"meter_id": 7}], 2),
        ("application/x-ndjson", orjson.dumps(reading(1)) + b"\n\n{oops\n", 3),
        ("text/csv", (CSV_HEADER + "m,2024-01-01T00:30Z,30,1\nm,2024-01-01T01:00Z,30,lots\n").encode(), 3),
    ],
)
def test_a_bad_row_is_answered_with_its_line_and_kept_and_the_others_are_landed(api, media, body, line):
    answer = api.post(body, media)
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 1)
    assert answer.json()["errors"][0]["line"] == line
    assert len(landed(api.landing)) == 1
    assert rejected(api.landing)[0]["where"]["line"] == line


def test_when_no_row_is_good_the_answer_is_422_with_the_errors(api):
    answer = api.post([{"meter_id": "m"}])
    assert is_problem(answer, 422)
    assert answer.json()["errors"][0]["column"] == "interval_minutes"
    assert len(rejected(api.landing)) == 1


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", b"{oops"),
        ("application/json", b"[]"),
        ("application/x-ndjson", b"\n"),
        ("text/csv", b""),
        ("text/csv", b"a,b\n1,2\n"),
        ("text/csv", b"\xff\xfe"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_a_problem_and_lands_nothing(api, media, body):
    assert is_problem(api.post(body, media), 422)
    assert api.files() == []


def test_the_same_key_and_body_get_the_same_answer_and_land_once(api):
    first, second = (api.post([reading(1)], **{"Idempotency-Key": "a1"}) for _ in range(2))
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert len(api.files()) == 1
    assert is_problem(api.post([reading(2)], **{"Idempotency-Key": "a1"}), 422)
    assert len(api.files()) == 1


def test_the_same_body_without_a_key_is_the_same_file(api):
    api.post([reading(1)])
    api.post([reading(1)])
    assert len(api.files()) == 1


def test_a_failure_while_landing_is_a_500_without_a_trace_and_may_be_sent_again(api, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("energy_platform.adapters.landing_batches.LandingBatches.land", refuse)
        answer = api.post([reading(1)], **{"Idempotency-Key": "a1"})
    assert is_problem(answer, 500)
    assert "space" not in answer.text
    assert api.post([reading(1)], **{"Idempotency-Key": "a1"}).status_code == 202


def test_without_a_valid_key_the_answer_is_401_and_with_another_role_403(api):
    assert is_problem(api.post([reading(1)], Authorization="Bearer enp_x_y"), 401)
    no_key = api.client.post("/v1/readings", json=[reading(1)])
    assert is_problem(no_key, 401)
    assert no_key.headers["www-authenticate"] == "Bearer"
    assert is_problem(api.post([reading(1)], role=Role.VIEWER), 403)
    assert api.files() == []


def test_a_body_that_is_too_large_is_413_whether_or_not_it_says_its_length(api):
    large = [reading(number) for number in range(1_000)]
    assert is_problem(api.post(large), 413)

    def chunks():
        for _ in range(100):
            yield b"x" * 1_000

    key = {"Authorization": f"Bearer {api.keys[Role.INGEST][1]}", "Content-Type": "text/csv"}
    assert is_problem(api.client.post("/v1/readings", content=chunks(), headers=key), 413)
    assert api.files() == []


def test_an_unknown_form_is_415_and_an_unknown_path_404(api):
    assert is_problem(api.post(b"x", "application/xml"), 415)
    assert is_problem(api.post(b"x", **{"Content-Encoding": "gzip"}), 415)
    assert is_problem(api.client.get("/nowhere"), 404)
    assert is_problem(api.client.get("/v1/readings"), 405)


def test_health_needs_no_key(api):
    assert api.client.get("/health").json() == {"status": "ok"}
