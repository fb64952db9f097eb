"""REST on a small registry: where inputs come from, what problems look like, and schemathesis against the document."""

import asyncio
import json
import subprocess
import sys
from datetime import datetime
from typing import Annotated, Literal

import httpx2
import pytest
import schemathesis
from golden_router import request_of
from hypothesis import HealthCheck, Phase, given, settings
from starlette.testclient import TestClient

from anamnesis.edge.openapi import openapi_document
from anamnesis.edge.rest import RestOptions, rest_app
from anamnesis.edge.routes import api_markdown
from anamnesis.kernel.errors import Conflict, NotFound, NotSignedIn, TooManyRequests
from anamnesis.kernel.identity import Visitor
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.procedures import Allow, Procedures, Registry, Rest, Tracked
from anamnesis.schema import ONE_OF, Boolean, Date, Input, Maybe, Output, Uuid, items, number, text

procedures = Procedures()
PUBLIC = Allow.PUBLIC
AN_ID = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"


class Wanted(Input):
    """What a list is asked for."""

    kind: Annotated[Literal["new", "old"], ONE_OF] = "new"
    limit: Annotated[int, number(whole=True, at_least=1, at_most=9)] = 3
    since: Maybe[Date] = UNDEFINED
    tags: Maybe[Annotated[list[Annotated[str, text(1, 5)]], items(2)]] = UNDEFINED
    is_open: Maybe[Boolean] = UNDEFINED


class Part(Input):
    """A nested object."""

    size: Annotated[float, number(above=0)]


class Change(Input):
    """A change of one thing."""

    thing_id: Uuid
    title: Annotated[str, text(1, 20)]
    due: Maybe[Date] = UNDEFINED
    part: Maybe[Part] = UNDEFINED


class Thing(Output):
    """A thing."""

    thing_id: Uuid
    title: str
    due: datetime | None
    images: list[str] | Undefined


class Listening(Input):
    """From where to listen."""

    last_event_id: Maybe[Annotated[str, text(1, 9)]] = UNDEFINED


@procedures.query("thing.list", allow=PUBLIC, input=Wanted, input_optional=True)
async def list_things(_, wanted):
    """List things."""
    if wanted is None:
        return {"given": None}
    return {"given": {name: getattr(wanted, name) for name in sorted(wanted.model_fields_set)}, "limit": wanted.limit}


@procedures.mutation("thing.change", allow=PUBLIC, input=Change, output=Thing, rest=Rest("PATCH", "/things/{thingId}"))
async def change(_, body):
    """Change a thing."""
    due = None if body.due is UNDEFINED else body.due
    return Thing(thing_id=body.thing_id, title=body.title, due=due, images=UNDEFINED)


@procedures.query("thing.latest", allow=PUBLIC, rest=Rest("GET", "/things/latest"))
async def latest(_):
    """Show the latest thing."""
    return UNDEFINED


class ById(Input):
    """One thing."""

    thing_id: Uuid


@procedures.query("thing.get", allow=PUBLIC, input=ById, rest=Rest("GET", "/things/{thingId}"))
async def get(_, one):
    """Show a thing."""
    raise NotFound("There is no such thing.")


@procedures.mutation("thing.getAll", input=Change)
async def secret(_, body):
    """Do what only somebody known may do."""
    return True


@procedures.mutation("thing.breakDown", allow=PUBLIC)
async def break_down(_):
    """Fail in an unexpected way."""
    raise LookupError("the patient's own words")


@procedures.mutation("thing.refuse", allow=PUBLIC)
async def refuse(_):
    """Refuse."""
    raise Conflict("It is taken.")


@procedures.mutation("thing.hold", allow=PUBLIC)
async def hold(_):
    """Ask for patience."""
    raise TooManyRequests(retry_after_s=4)


@procedures.query("thing.unwritable", allow=PUBLIC)
async def unwritable(_):
    """Answer what no wire carries."""
    return {"x": object()}


@procedures.subscription("thing.watch", allow=PUBLIC, input=Listening, rest=Rest("GET", "/things/watch"))
async def watch(_, body):
    """Watch things."""
    first = 1 if body.last_event_id is UNDEFINED else int(body.last_event_id) + 1
    for n in range(first, 4):
        yield Tracked(str(n), Thing(thing_id=AN_ID, title=f"{n}", due=None, images=UNDEFINED))
    raise Conflict("Enough.")


class Door:
    """Lets nobody in but to what is public."""

    async def admit(self, procedure, request):
        if procedure.allow is not PUBLIC:
            raise NotSignedIn
        return Visitor()


def registry():
    made = Registry()
    made.add(procedures, services=None)
    return made


def an_app(**options):
    return rest_app(registry(), guard=Door(), request_of=request_of, options=RestOptions(**options))


APP = an_app()


def ask(method, url, *, app=APP, **given):
    async def asked():
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://clinic") as client:
            return await client.request(method, "/api/v1" + url, **given)

    return asyncio.run(asked())


# -- where an input comes from -----------------------------------------------------------------------------------


def test_a_procedure_without_a_route_has_one_by_its_name():
    assert ask("GET", "/thing/list").json() == {"given": None}
    assert ask("POST", "/thing/refuse").status_code == 409


def test_a_querys_fields_are_parameters_of_their_types():
    answer = ask("GET", "/thing/list?limit=5&since=2026-01-02T03:04:05Z&tags=a&tags=b&isOpen=true&nobody=knows").json()
    assert answer["given"] == {
        "limit": 5,
        "since": "2026-01-02T03:04:05.000Z",
        "tags": ["a", "b"],
        "is_open": True,
    }


def test_a_single_value_of_a_list_is_a_list():
    assert ask("GET", "/thing/list?tags=a").json()["given"] == {"tags": ["a"]}


def test_a_path_holds_a_field_and_the_body_the_others():
    body = {"title": "new", "due": "2026-01-02T03:04:05.678Z", "part": {"size": 1.5}, "thingId": "ignored"}
    answer = ask("PATCH", f"/things/{AN_ID}", json=body)
    assert answer.status_code == 200
    assert answer.json() == {"thingId": AN_ID, "title": "new", "due": "2026-01-02T03:04:05.678Z"}


def test_a_literal_path_is_no_id():
    answer = ask("GET", "/things/latest")
    assert (answer.status_code, answer.json()) == (200, None)


# -- problems ----------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_told_by_field():
    problem = ask("PATCH", "/things/x", json={"title": "", "part": {"size": 0}, "due": "yesterday"})
    assert problem.status_code == 400
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json() == {
        "type": "urn:anamnesis:problem:bad-request",
        "title": "The request is not valid",
        "status": 400,
        "detail": "The input is not valid.",
        "request_id": "r",
        "errors": [
            {"field": "thingId", "message": "Invalid uuid"},
            {"field": "title", "message": "String must contain at least 1 character(s)"},
            {"field": "due", "message": "Invalid datetime"},
            {"field": "part.size", "message": "Number must be greater than 0"},
        ],
    }


PROBLEMS = [
    ("GET", f"/things/{AN_ID}", {}, 404, "not-found", "There is no such thing."),
    ("POST", "/thing/refuse", {}, 409, "conflict", "It is taken."),
    ("POST", "/thing/break-down", {}, 500, "internal-server-error", "Something went wrong on our side"),
    ("GET", "/thing/unwritable", {}, 500, "internal-server-error", "Something went wrong on our side"),
    ("POST", "/thing/get-all", {"content": b"nonsense"}, 401, "unauthorized", None),
    ("GET", "/nowhere", {}, 404, "not-found", "Not found"),
    ("GET", "/things/latest/", {}, 404, "not-found", "Not found"),
    ("PATCH", f"/things/{AN_ID}", {"content": b"a=1"}, 415, "unsupported-media-type", "Send JSON"),
    ("PATCH", f"/things/{AN_ID}", {"data": {"a": "1"}}, 415, "unsupported-media-type", "Send JSON"),
    ("PATCH", f"/things/{AN_ID}", {"json": [1]}, 400, "bad-request", "The body is a JSON object."),
    ("GET", "/thing/list?x=" + "x" * 33_000, {}, 414, "uri-too-long", "The address is too long"),
]


@pytest.mark.parametrize(("method", "url", "given", "status", "kind", "detail"), PROBLEMS)
def test_every_failure_is_a_problem_document(method, url, given, status, kind, detail):
    answer = ask(method, url, **given)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["type"]) == (
        status,
        status,
        f"urn:anamnesis:problem:{kind}",
    )
    assert problem["request_id"] == "r"
    assert detail is None or problem["detail"] == detail


def test_a_refused_method_is_told_the_others_of_its_path():
    answer = ask("PUT", f"/things/{AN_ID}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, PATCH")


def test_who_should_come_again_is_told_when():
    assert ask("POST", "/thing/hold").headers["retry-after"] == "4"


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[" * 200, b'{"a":' * 5000, b"NaN", b'"\x00"', b"null"], ids=lambda body: str(body[:9])
)
def test_a_body_that_is_no_json_object_is_refused(body):
    answer = ask("PATCH", f"/things/{AN_ID}", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_a_body_is_counted_not_believed():
    async def pieces():
        for _ in range(50):
            yield b"x" * 60

    app = an_app(max_body_bytes=100)
    answer = ask("PATCH", f"/things/{AN_ID}", app=app, content=pieces(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:anamnesis:problem:payload-too-large")


# -- events ------------------------------------------------------------------------------------------------------


def test_a_subscription_is_a_stream_of_plain_json_that_resumes():
    answer = ask("GET", "/things/watch", headers={"last-event-id": "2"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    connected, third, failed, rest = answer.text.split("\n\n\n")
    assert connected == "event: connected\ndata: {}"
    assert third == f'data: {{"thingId":"{AN_ID}","title":"3","due":null}}\nid: 3'
    kind, _, problem = failed.partition("\ndata: ")
    assert (kind, json.loads(problem)["status"], rest) == ("event: serialized-error", 409, "")


def test_asking_only_for_the_head_of_a_stream_listens_to_nothing():
    answer = ask("HEAD", "/things/watch")
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (200, "text/event-stream", "")


# -- the document ------------------------------------------------------------------------------------------------


def test_the_document_says_what_is_sent_and_answered():
    document = openapi_document(registry())
    paths, schemas = document["paths"], document["components"]["schemas"]
    listed = {each["name"]: each for each in paths["/api/v1/thing/list"]["get"]["parameters"]}
    assert listed["kind"]["schema"] == {"default": "new", "enum": ["new", "old"], "type": "string"}
    assert listed["tags"]["schema"]["maxItems"] == 2
    assert not any(each["required"] for each in listed.values())
    patch = paths["/api/v1/things/{thingId}"]["patch"]
    assert patch["requestBody"]["content"]["application/json"]["schema"]["required"] == ["title"]
    assert patch["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert schemas["Thing"]["required"] == ["thingId", "title", "due"]
    assert paths["/api/v1/things/watch"]["get"]["responses"]["200"]["content"].keys() == {"text/event-stream"}
    assert paths["/api/v1/thing/get-all"]["post"]["security"] == [{"session": []}]


def test_every_reference_of_the_document_leads_somewhere():
    document = openapi_document(registry())
    references = {word.split('"')[0] for word in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= document["components"]["schemas"].keys()
    assert "$defs" not in json.dumps(document)


def test_the_page_runs_nothing_and_asks_no_other_host():
    async def asked():
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(APP), base_url="http://clinic") as client:
            return await client.get("/docs"), await client.get("/openapi.json")

    page, document = asyncio.run(asked())
    assert document.json() == openapi_document(registry())
    assert "PATCH /api/v1/things/{thingId}" in page.text
    assert not any(word in page.text for word in ("<script", "<style", "style=", "http:", "https:", "//"))


def test_the_list_of_procedures_tells_where_each_is():
    page = api_markdown(registry())
    assert "| `thing.change` | mutation | public | `PATCH /api/v1/things/{thingId}` | Change a thing. |" in page
    assert "`GET /api/v1/thing/unwritable`" in page


def test_nothing_of_the_framework_is_loaded_before_somebody_serves():
    code = "import sys, anamnesis.edge.rest; sys.exit('fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- schemathesis ------------------------------------------------------------------------------------------------

BY_DESIGN = {"thing.breakDown", "thing.unwritable"}
SERVED = openapi_document(registry())


OPERATIONS = {
    each.ok().definition.raw["operationId"]: each.ok()
    for each in schemathesis.openapi.from_dict(SERVED).get_all_operations()
}


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - BY_DESIGN))
def test_nothing_generated_from_the_document_makes_a_server_error_or_an_undocumented_answer(name):
    found = OPERATIONS[name]

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(found.as_strategy())
    def check(case):
        with TestClient(APP, raise_server_exceptions=False) as client:
            body = case.body if isinstance(case.body, dict | list | str | int | float | bool) else None
            answer = client.request(case.method, case.formatted_path, params=case.query, json=body)
        assert answer.status_code < 500
        is_problem = answer.headers["content-type"] == "application/problem+json"
        assert is_problem == (answer.status_code >= 400)
        if is_problem:
            assert answer.json().keys() >= {"type", "title", "status", "detail", "request_id"}

    check()
