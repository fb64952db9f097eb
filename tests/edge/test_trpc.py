import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
from conformance import answer_of, replay
from golden_router import BASE, GoldenGuard, app_for, procedures, request_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anamnesis.edge.events import SseOptions
from anamnesis.edge.trpc import TrpcApp, TrpcOptions
from anamnesis.kernel.errors import Unavailable
from anamnesis.kernel.procedures import Allow, Procedures, Registry, Tracked
from anamnesis.schema import Anything, Output

GOLDEN = Path(__file__).parent / "golden"
DEFAULT = "fetch adapter, default options"
JSON = {"content-type": "application/json"}
LINES = {"trpc-accept": "application/jsonl"}


async def test_every_recorded_exchange_and_vector_is_met():
    results = await replay(GOLDEN)
    assert len(results) > 600
    assert [name for name, found in results if found] == []


# -- a small service ---------------------------------------------------------------------------------------------


def an_app(declared=procedures, observe=None, **options):
    registry = Registry()
    registry.add(declared, services=None)
    further = {} if observe is None else {"observe": observe}
    return TrpcApp(registry, guard=GoldenGuard(), request_of=request_of, options=TrpcOptions(**options), **further)


def ask(app, method, url, *, headers=None, body=None):
    return asyncio.run(answer_of(app, {"method": method, "url": url, "headers": headers or {}, "body": body}))


def message_of(text):
    return json.loads(text)["error"]["json"]["message"]


# -- any bytes ---------------------------------------------------------------------------------------------------

PATHS = st.sampled_from(["add", "anyMut", "touch", "nope", "ping,add", "add,anyMut", "voidMut", "strict", "ticks"])
CONTENT = st.sampled_from(
    ["application/json", "multipart/form-data; boundary=x", "application/octet-stream", "text/plain"]
)
PIECES = (
    b'{ } [ ] : , "json" "meta" "values" "referentialEqualities" ["Date"] ["map"] "v":1 "a" "0" null -0 1e999 '
    b'"\\ud800" \x00 \xff {"json":{"a":'
).split()
SHAPED = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)
FAST = settings(max_examples=120, deadline=None)
LONG = settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))
SERVED = app_for(DEFAULT)


def answers_any_body(body, path, content, batch):
    headers = {"content-type": content}
    url = f"/api/trpc/{path}{'?batch=1' if batch else ''}"
    status, _, text = asyncio.run(answer_of(SERVED, {"method": "POST", "url": url, "headers": headers, "body": body}))
    # What echoes its input may be asked to echo a key that no answer may carry, as in the genuine server.
    assert status < 500 or "prototype pollution" in text
    assert text


def answers_any_query(path, query, method):
    status, _, _ = ask(SERVED, method, f"/api/trpc/{path}?{query}", headers=JSON)
    assert status < 500 or path == "throwPlain"


BODIES = {"body": st.binary(max_size=120) | SHAPED, "path": PATHS, "content": CONTENT, "batch": st.booleans()}
QUERIES = {
    "path": st.sampled_from(["echo", "strict", "ticks", "optionalInput"])
    | st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#")),
    "query": st.text(st.characters(max_codepoint=255, exclude_characters="#"), max_size=60)
    | st.sampled_from(["input=", "batch=1&input=", "connectionParams=", "lastEventId="]).flatmap(
        lambda name: st.text(st.sampled_from('%7B22json:[]{}",+é\x00&=1'), max_size=40).map(name.__add__)
    ),
    "method": st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD"]),
}
test_any_body_is_answered_without_a_server_error = FAST(given(**BODIES)(answers_any_body))
test_any_query_is_answered_without_a_server_error = FAST(given(**QUERIES)(answers_any_query))
test_thousands_of_bodies_are_answered_without_a_server_error = pytest.mark.long(LONG(given(**BODIES)(answers_any_body)))
test_thousands_of_queries_are_answered_without_a_server_error = pytest.mark.long(
    LONG(given(**QUERIES)(answers_any_query))
)


@pytest.mark.parametrize("depth", [200, 100_000])
@pytest.mark.proves("I40")
def test_json_nested_too_deeply_is_refused_at_once(depth):
    body = '{"json":' + "[" * depth + "]" * depth + "}"
    status, _, text = ask(SERVED, "POST", "/api/trpc/anyMut", headers=JSON, body=body)
    assert status == 400
    assert "nested" in message_of(text)


def test_a_body_that_is_not_utf8_is_refused():
    status, _, text = ask(SERVED, "POST", "/api/trpc/anyMut", headers=JSON, body=b'{"json":"\xff"}')
    assert (status, message_of(text)) == (400, "The text is not valid UTF-8")


def test_a_batch_is_counted_before_its_paths_are_looked_up():
    app = an_app(**{**BASE, "max_batch": 20})
    assert ask(app, "GET", "/api/trpc/" + ",".join(["ping"] * 20) + "?batch=1")[0] == 200
    status, _, text = ask(app, "GET", "/api/trpc/" + "," * 12_000 + "?batch=1")
    assert (status, message_of(text)) == (400, "Batch call exceeds maximum size")


@pytest.mark.proves("I40")
def test_an_address_is_bounded():
    status, _, text = ask(SERVED, "GET", "/api/trpc/ping?x=" + "x" * 33_000)
    assert (status, len(text) < 300) == (400, True)


async def sent_in_pieces(app, pieces, *, path="touch", then=()):
    """The app's messages to a body of pieces, none of which says how long it is."""
    coming = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces] + list(then)
    sent, taken = [], []

    async def receive():
        if not coming:
            await asyncio.Event().wait()
        taken.append(1)
        return coming.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"/api/trpc/{path}", "query_string": b""}
    await app({**scope, "headers": [(b"content-type", b"application/json")]}, receive, send)
    return sent, len(taken)


@pytest.mark.proves("I40")
async def test_a_body_is_counted_and_reading_stops_at_the_limit():
    sent, taken = await sent_in_pieces(an_app(max_body_bytes=100), [b"x" * 60] * 50, path="anyMut")
    assert (sent[0]["status"], taken) == (413, 2)


async def test_a_request_cut_off_by_its_client_runs_nothing():
    seen = []
    app = an_app(observe=lambda name, phase, _, **__: seen.append((name, phase)))
    sent, _ = await sent_in_pieces(app, [b'{"json":'], then=[{"type": "http.disconnect"}])
    assert (sent, seen) == ([], [])


# -- errors ------------------------------------------------------------------------------------------------------


def test_an_unexpected_error_shows_a_reference_and_nothing_else():
    for path in ("throwPlain", "throwZod"):
        status, _, text = ask(an_app(), "GET", f"/api/trpc/{path}")
        assert status == 500
        assert "boom" not in text
        assert message_of(text).endswith("(reference r)")


def test_who_should_come_again_is_told_when():
    declared = Procedures()

    @declared.query("away", allow=Allow.PUBLIC)
    async def away(_):
        raise Unavailable(retry_after_s=7)

    status, headers, _ = ask(an_app(declared), "GET", "/api/trpc/away")
    assert (status, headers["retry-after"]) == (503, "7")


def test_one_answer_that_cannot_be_written_spoils_no_other():
    seen = []
    app = an_app(observe=lambda name, phase, _, **__: seen.append((name, phase)))
    body = '{"0":{"json":{"constructor":1}}}'
    status, _, text = ask(app, "POST", "/api/trpc/anyMut,touch?batch=1", headers=JSON, body=body)
    spoilt, whole = json.loads(text)
    assert (status, spoilt["error"]["json"]["data"]["code"]) == (207, "INTERNAL_SERVER_ERROR")
    assert whole == {"result": {"data": {"json": {"ok": True}}}}
    assert ("anyMut", "error") in seen


# -- streams -----------------------------------------------------------------------------------------------------


class Note(Output):
    """An output with a name of two words."""

    written_by: str


STREAMS = Procedures()
LEFT: list[str] = []


@STREAMS.query("parts", allow=Allow.PUBLIC)
async def parts(_):
    async def later():
        return Note(written_by="her")

    return {"now": 1, "later": later()}


@STREAMS.query("unwritable", allow=Allow.PUBLIC)
async def unwritable(_):
    return {"constructor": 1}


@STREAMS.query("endless", allow=Allow.PUBLIC)
async def endless(_):
    return counting("lines")


@STREAMS.subscription("notes", allow=Allow.PUBLIC)
async def notes(_):
    yield Tracked("1", Note(written_by="him"))


@STREAMS.subscription("badId", allow=Allow.PUBLIC)
async def bad_id(_):
    yield Tracked("a\nb", 1)


@STREAMS.subscription("resumed", allow=Allow.PUBLIC, input=Anything)
async def resumed(_, body):
    yield body


@STREAMS.subscription("onAndOn", allow=Allow.PUBLIC)
async def on_and_on(_):
    async for n in counting("events"):
        yield n


async def counting(name):
    try:
        for n in range(1_000_000):
            yield n
            await asyncio.sleep(0.001)
    finally:
        LEFT.append(name)


def test_models_are_written_by_their_names_on_the_wire_wherever_they_stand():
    app = an_app(STREAMS)
    assert '{"json":{"writtenBy":"him"}}' in ask(app, "GET", "/api/trpc/notes")[2]
    assert '[[{"writtenBy":"her"}]]' in ask(app, "GET", "/api/trpc/parts?batch=1", headers=LINES)[2]


def test_an_answer_that_cannot_be_written_ends_its_own_promise():
    text = ask(an_app(STREAMS), "GET", "/api/trpc/unwritable,parts?batch=1", headers=LINES)[2]
    failed = [line for line in map(json.loads, text.splitlines()) if isinstance(line["json"], list) and line["json"][1]]
    assert [line["json"][2]["data"]["code"] for line in failed] == ["INTERNAL_SERVER_ERROR"]
    assert '[[{"writtenBy":"her"}]]' in text


def test_an_id_that_would_break_the_stream_ends_it():
    text = ask(an_app(STREAMS), "GET", "/api/trpc/badId")[2]
    assert text.count("event: serialized-error") == 1
    assert "id: a" not in text


def test_an_id_of_a_client_that_would_break_the_stream_is_never_repeated():
    text = ask(an_app(STREAMS), "GET", "/api/trpc/resumed?lastEventId=a%0Aevent:%20x")[2]
    assert "\nevent: x" not in text
    assert text.endswith("event: return\ndata: \n\n\n")


@pytest.mark.parametrize(
    ("url", "headers", "name"),
    [("/api/trpc/onAndOn", {}, "events"), ("/api/trpc/endless?batch=1", LINES, "lines")],
)
async def test_a_client_that_leaves_ends_what_it_was_listening_to(url, headers, name):
    LEFT.clear()
    sent, left = [], asyncio.Event()
    path, _, query = url.partition("?")

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if len(sent) == 8:
            left.set()

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
    headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    await asyncio.wait_for(an_app(STREAMS)({**scope, "headers": headers}, receive, send), 5)
    assert name in LEFT


async def test_a_subscription_cancelled_from_outside_lets_go_too():
    LEFT.clear()
    sent, enough = [], asyncio.Event()

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)
        if len(sent) == 5:
            enough.set()

    scope = {"type": "http", "method": "GET", "path": "/api/trpc/onAndOn", "query_string": b"", "headers": []}
    serving = asyncio.create_task(an_app(STREAMS)(scope, receive, send))
    await enough.wait()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    assert LEFT == ["events"]


def test_silence_is_filled_with_pings():
    app = an_app(**{**BASE, "sse": SseOptions(ping_s=0.02)})
    assert ask(app, "GET", "/api/trpc/ticksSlow")[2].count("event: ping") >= 2
