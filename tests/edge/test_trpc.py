import asyncio
import json
from pathlib import Path

import pytest
from conformance import answer_of, replay
from golden_router import app_for
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.edge import superjson
from anamnesis.kernel.javascript import UNDEFINED

GOLDEN = Path(__file__).parent / "golden"
DEFAULT = "fetch adapter, default options"


async def test_every_recorded_exchange_and_vector_is_met():
    results = await replay(GOLDEN)
    assert len(results) > 200
    assert [name for name, found in results if found] == []


def ask(method, url, *, headers=None, body=None):
    return asyncio.run(
        answer_of(app_for(DEFAULT), {"method": method, "url": url, "headers": headers or {}, "body": body})
    )


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(json=JSON_VALUES, values=JSON_VALUES, equalities=JSON_VALUES)
def test_any_envelope_decodes_or_is_refused(json, values, equalities):
    try:
        superjson.decode({"json": json, "meta": {"values": values, "referentialEqualities": equalities, "v": 1}})
    except superjson.BadEnvelope:
        pass


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=200), path=st.sampled_from(["add", "anyMut", "touch", "nope", "ping,add"]))
def test_any_body_is_answered_without_a_server_error(body, path):
    status, _, _ = ask("POST", f"/api/trpc/{path}?batch=1", headers={"content-type": "application/json"}, body=None)
    assert status < 500
    sent = {"method": "POST", "url": f"/api/trpc/{path}", "headers": {"content-type": "application/json"}, "body": None}
    sent["body"] = body.decode("latin-1")
    status, _, text = asyncio.run(answer_of(app_for(DEFAULT), sent))
    assert status < 500
    json.loads(text)


@settings(max_examples=100, deadline=None)
@given(query=st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_query_is_answered_without_a_server_error(query):
    status, _, text = ask("GET", "/api/trpc/echo?" + query.replace("#", ""))
    assert status < 500
    assert text


@pytest.mark.parametrize("depth", [200, 100_000])
def test_json_nested_too_deeply_is_refused_at_once(depth):
    body = '{"json":' + "[" * depth + "]" * depth + "}"
    status, _, text = ask("POST", "/api/trpc/anyMut", headers={"content-type": "application/json"}, body=body)
    assert status == 400
    assert "nested" in json.loads(text)["error"]["json"]["message"]


def test_a_batch_is_counted_before_its_paths_are_looked_up():
    from golden_router import BASE, GoldenGuard, procedures, request_of

    from anamnesis.edge.trpc import TrpcApp, TrpcOptions
    from anamnesis.kernel.procedures import Registry

    registry = Registry()
    registry.add(procedures, services=None)
    app = TrpcApp(
        registry, guard=GoldenGuard(), request_of=request_of, options=TrpcOptions(**{**BASE, "max_batch": 20})
    )
    request = {"method": "GET", "headers": {}, "body": None}
    twenty = asyncio.run(answer_of(app, {**request, "url": "/api/trpc/" + ",".join(["ping"] * 20) + "?batch=1"}))
    more = asyncio.run(answer_of(app, {**request, "url": "/api/trpc/" + "," * 12_000 + "?batch=1"}))
    assert twenty[0] == 200
    assert more[0] == 400
    assert len(more[2]) < 1000


def test_an_unexpected_error_shows_a_reference_and_nothing_else():
    from golden_router import GoldenGuard, procedures, request_of

    from anamnesis.edge.trpc import TrpcApp
    from anamnesis.kernel.procedures import Registry

    registry = Registry()
    registry.add(procedures, services=None)
    app = TrpcApp(registry, guard=GoldenGuard(), request_of=request_of)
    asked = {"method": "GET", "url": "/api/trpc/throwPlain", "headers": {}, "body": None}
    status, _, text = asyncio.run(answer_of(app, asked))
    assert status == 500
    assert "boom" not in text
    assert json.loads(text)["error"]["json"]["message"].endswith("(reference r)")


def test_one_object_in_two_places_is_written_twice_and_noted_once():
    one = {"id": 1}
    assert superjson.envelope({"a": one, "b": one})["meta"]["referentialEqualities"] == {"a": ["b"]}


def test_undefined_in_many_places_is_no_shared_object():
    assert superjson.envelope({"a": UNDEFINED, "b": UNDEFINED})["meta"] == {
        "values": {"a": ["undefined"], "b": ["undefined"]},
        "v": 1,
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(UNDEFINED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.\\", max_size=4), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_what_is_encoded_decodes_to_itself(value):
    text = superjson.json_text(superjson.envelope(value))
    assert superjson.decode(superjson.parse_json(text, max_depth=100)) == value
