"""The OpenAPI document against the API that says it, with examples made from it: schemathesis, in this process.

A longer run by hand: ``API_EXAMPLES=200 API_MODE=negative pytest …/test_api_schema.py``.
"""

from __future__ import annotations

import os
from contextlib import suppress

import hypothesis
import pytest

from energy_platform.domain.access import Role
from energy_platform_tests.serving.api_client import LAMP_OF_ONE_SITE, Api, alerting

EXAMPLES = int(os.environ.get("API_EXAMPLES", "3"))
MODE = os.environ.get("API_MODE", "positive")
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def api(published_sample, tmp_path_factory):
    # Deep limits: this one key asks thousands of times.
    return Api(tmp_path_factory.mktemp("schema"), published_sample.place, api_requests_per_minute=10_000_000)


def role_for(case) -> Role:
    if case.path == "/v1/readings":
        return Role.INGEST
    return Role.VIEWER if case.method == "GET" else Role.OPERATOR


def statuses_of(api, operation, known) -> set[int]:
    """What an endpoint answered to examples of its document; each answer is held against the document."""
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    mode, statuses = GenerationMode(MODE), set[int]()
    held = (
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    )

    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), is_known=hypothesis.strategies.booleans())
    def hold(case, is_known):
        if is_known:
            case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
        response = case.call(headers=api.headers(role_for(case)))
        statuses.add(response.status_code)
        case.validate_response(response, checks=held)

    # What takes no input cannot be asked for wrongly.
    with suppress(*[hypothesis.errors.Unsatisfiable] if mode is GenerationMode.NEGATIVE else []):
        hold()
    return statuses


def test_every_endpoint_answers_what_its_document_says_and_never_with_a_server_error(api):
    # Only this test imports it: 400 modules, which the other workers do without.
    import schemathesis

    schema = schemathesis.openapi.from_asgi("/openapi.json", api.app)
    known = {"device_id": LAMP_OF_ONE_SITE, "episode_id": alerting(api), "command_id": "c1", "scope": "uk-home-1"}
    episode = api.get("/v1/anomalies/episodes").json()["items"][0]["episode_id"]
    operations = [found.ok() for found in schema.get_all_operations()]
    statuses = {
        operation.label: statuses_of(
            api, operation, known | ({"episode_id": episode} if "anomalies" in operation.path else {})
        )
        for operation in operations
    }
    assert len(statuses) >= 20
    assert not [label for label, found in statuses.items() if max(found, default=200) >= 500]


def test_every_endpoint_with_a_key_documents_every_error_as_a_problem(api):
    document = api.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            errors = {status for status in responses if int(status) >= 400}
            assert all(list(responses[status]["content"]) == [PROBLEM] for status in errors), (path, method)
            if path in {"/v1/health", "/metrics"}:
                continue
            assert {"401", "403", "429", "500"} <= errors, (path, method)
            assert operation["security"] == [{"HTTPBearer": []}], (path, method)
