"""The OpenAPI document, and schemathesis against it."""

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from starlette.testclient import TestClient

from anamnesis.edge.rest import api_markdown
from build import ISSUER_OF_TESTS, an_app, claims, closing, http


async def test_the_document_is_openapi_31_and_names_every_procedure(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        status, _, text = await http(app.asgi(), "GET", "/openapi.json")
        document = json.loads(text)
        assert status == 200
        assert document["openapi"].startswith("3.1")
        described = {each["operationId"] for path in document["paths"].values() for each in path.values()}
        assert {bound.procedure.name for bound in app.registry} == described


def test_the_page_about_the_api_is_fresh():
    app = an_app("postgresql:///nowhere")
    assert Path("docs/api.md").read_text() == api_markdown(app.registry)


async def test_a_bad_input_is_a_problem_document_that_names_the_field(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        status, headers, text = await http(app.asgi(), "GET", "/api/v1/intake-sessions/nonsense", who="patient")
    problem = json.loads(text)
    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert problem["errors"] == [{"field": "sessionId", "message": "Invalid uuid"}]
    assert problem["request_id"] == headers["x-request-id"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/v1/nowhere", 404), ("DELETE", "/api/v1/me", 405)])
async def test_what_the_framework_refuses_is_a_problem_document_too(clinic, method, path, status):
    async with closing(an_app(clinic.app_dsn)) as app:
        answered, headers, text = await http(app.asgi(), method, path)
    assert answered == status
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(text)["status"] == status


@pytest.mark.long
@pytest.mark.proves("I40")
def test_nothing_generated_from_the_document_makes_a_server_error(clinic):
    app = an_app(clinic.app_dsn)
    headers = {"authorization": f"Bearer {ISSUER_OF_TESTS.token(claims('patient'))}"}
    with TestClient(app.asgi(), raise_server_exceptions=False, headers=headers) as client:
        document = client.get("/openapi.json").json()
        asked = 0
        for operation in schemathesis.openapi.from_dict(document).get_all_operations():
            found = operation.ok()
            if found.path.endswith(("/events", "/on-inbox")):
                continue  # these answer for as long as somebody listens

            @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
            @given(found.as_strategy())
            def check(case):
                nonlocal asked
                asked += 1
                answer = client.request(case.method, case.formatted_path, params=case.query, json=_plain(case.body))
                assert answer.status_code < 500 or answer.status_code == 501, (case.method, case.formatted_path)

            check()
        client.portal.call(app.database.close)  # in the loop that opened it
    assert asked > 200


def _plain(body):
    return body if isinstance(body, dict | list | str | int | float | bool) else None
