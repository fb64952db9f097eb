"""The two adapters over real sockets: what they send, what they make of every kind of answer, what they cost."""

import asyncio
import datetime as dt
import email.utils
import gc
import json
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fault_server import (
    GEMINI,
    OPENAI,
    VENDORS,
    FaultServer,
    cut_body,
    drip,
    endless,
    ends,
    envelope,
    good,
    grows,
    hang,
    hang_after_headers,
    hang_in_body,
    raw,
    reply_to,
    reset,
    reset_in_body,
    says,
    status,
    told,
)

from anamnesis.bootstrap import vendor_of
from anamnesis.llm.forms import SHAPES, read_answer
from anamnesis.llm.notes import proposal_of
from anamnesis.llm.port import (
    Form,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelMisconfigured,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    Prompt,
    ReplyRefused,
    Usage,
)
from anamnesis.settings import Ai, Provider, Secret

CASE = json.dumps({"question": "How old are you?"})
PROMPT = Prompt("who", "How old are you?", "VitalsTriageAgent", "en", instructions="Be brief.", case=CASE)


class Speaking:
    """A vendor's model asked in the other way, with what was heard meanwhile."""

    def __init__(self, inner):
        self.inner, self.heard = inner, []

    async def complete(self, prompt, *, deadline_s):
        self.heard.clear()
        return await self.inner.speak(prompt, deadline_s=deadline_s, hear=self.heard.append)

    async def aclose(self):
        await self.inner.aclose()


WHOLE, GROWING = "whole", "growing"


def vendor_at(url, vendor, way=WHOLE):
    key = Secret("k-Q8fj20dj")
    ai = Ai(
        gemini_key=key,
        openai_key=key,
        gemini_base_url=url,
        openai_base_url=f"{url}/v1",
        gemini_model="g-1",
        openai_model="o-1",
    )
    model = vendor_of(Provider(vendor), ai)
    return model if way == WHOLE else Speaking(model)


@pytest.fixture
async def server():
    async with FaultServer() as server:
        yield server


@pytest.fixture(params=[(vendor, way) for vendor in VENDORS for way in (WHOLE, GROWING)], ids=" ".join)
async def model(request, server):
    model = vendor_at(server.url, *request.param)
    model.vendor, model.way = request.param
    yield model
    await model.aclose()


async def failure(model, *, deadline_s=2.0):
    with pytest.raises((ModelBusy, ModelRefused, ModelBroken, ModelUnavailable)) as failed:
        await model.complete(PROMPT, deadline_s=deadline_s)
    assert "SECRETOSIS" not in repr(failed.value)
    assert failed.value.__cause__ is None
    return failed.value


async def test_photos_go_along_after_the_text_in_the_vendors_own_form_byte_for_byte(server, model):
    server.will(good())
    photos = (b"\xff\xd8\xff\xe0 one \xfb\xff", b"\xff\xd8\xff\xe0 two")
    said = await model.complete(replace(PROMPT, photos=photos), deadline_s=2)
    assert json.loads(said.text)["reply"] == "Thank you. How old are you?"
    (call,) = server.calls
    assert call.photos == [("image/jpeg", photo) for photo in photos]
    assert call.user_text.startswith(CASE)
    assert call.user_text.endswith("after this text: 2.")


async def test_without_photos_the_text_goes_as_every_server_takes_it(server, model):
    server.will(good())
    await model.complete(PROMPT, deadline_s=2)
    (call,) = server.calls
    assert call.user_text == CASE
    if model.vendor == OPENAI:
        assert call.body["messages"][-1]["content"] == CASE
    else:
        assert call.body["contents"] == [{"role": "user", "parts": [{"text": CASE}]}]


async def test_an_answer_comes_with_its_finish_its_model_and_its_tokens(server, model):
    server.will(good())
    said = await model.complete(PROMPT, deadline_s=2)
    assert json.loads(said.text)["reply"] == "Thank you. How old are you?"
    assert (said.finish_reason, said.model, said.usage) == ("stop", f"served-{model.vendor}", Usage(900, 60))


async def test_the_request_names_the_model_the_schema_and_only_roles_the_api_takes(server, model):
    server.will(good())
    await model.complete(PROMPT, deadline_s=2)
    asked = server.calls[0]
    assert (asked.instructions, asked.case) == ("Be brief.", json.loads(CASE))
    if model.vendor == OPENAI:
        assert [each["role"] for each in asked.body["messages"]] == ["system", "user"]
        assert asked.body["response_format"]["json_schema"]["strict"] is True
        assert (asked.body["model"], asked.headers["authorization"]) == ("o-1", "Bearer k-Q8fj20dj")
    else:
        assert [each["role"] for each in asked.body["contents"]] == ["user"]
        assert asked.body["generationConfig"]["responseJsonSchema"]["required"] == ["reply", "facts", "reasoning"]
        verb = "generateContent" if model.way == WHOLE else "streamGenerateContent"
        assert (asked.path, asked.headers["x-goog-api-key"]) == (f"/v1beta/models/g-1:{verb}", "k-Q8fj20dj")
    assert asked.is_growing is (model.way == GROWING)


async def test_a_note_is_asked_for_in_its_own_form_with_more_room(server, model):
    server.will(good())
    await model.complete(replace(PROMPT, form=Form.NOTE), deadline_s=2)
    body = server.calls[0].body
    if model.vendor == OPENAI:
        schema, most = body["response_format"]["json_schema"]["schema"], body["max_tokens"]
    else:
        schema, most = body["generationConfig"]["responseJsonSchema"], body["generationConfig"]["maxOutputTokens"]
    assert schema["required"] == ["order", "wordings", "differential"]
    assert most == SHAPES[Form.NOTE].most_tokens > SHAPES[Form.TURN].most_tokens


async def test_what_is_to_be_mended_is_told_after_the_case(server, model):
    server.will(good())
    mending = Prompt("who", "x", "VitalsTriageAgent", "en", case=CASE, mending="not_json")
    await model.complete(mending, deadline_s=2)
    assert "not_json" in server.calls[0].user_text


STATUSES = {
    400: ModelMisconfigured, 401: ModelMisconfigured, 403: ModelMisconfigured, 404: ModelMisconfigured,
    408: ModelUnavailable, 429: ModelBusy, 500: ModelUnavailable, 502: ModelUnavailable, 503: ModelUnavailable,
    529: ModelUnavailable,
}  # fmt: skip


async def test_a_status_is_one_kind_of_failure_after_one_call(server, model):
    for code, kind in STATUSES.items():
        server.will(status(code))
        failed = await failure(model)
        assert (type(failed), failed.detail, len(server.calls)) == (kind, f"http_{code}", 1)


WAITS = {
    "1": 1.0,
    "3600": 3600.0,
    "1.5": 1.5,
    "soon": None,
    "": None,
    "-5": 0.0,
    "nan": None,
    "inf": None,
    "9" * 400: None,
}


async def test_the_wait_a_busy_server_names_is_kept(server, model):
    found = {}
    for text in WAITS:
        server.will(status(429, f"retry-after: {text}"))
        found[text] = (await failure(model)).retry_after_s
    assert found == WAITS


async def test_the_wait_may_be_a_date(server, model):
    date = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=40)
    server.will(status(429, f"retry-after: {email.utils.format_datetime(date, usegmt=True)}"))
    assert 35 < (await failure(model)).retry_after_s <= 40


async def test_gemini_names_its_wait_in_the_body(server):
    model = vendor_at(server.url, GEMINI)
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]
    server.will(
        status(429, body=json.dumps({"error": {"code": 429, "status": "X", "message": "", "details": details}}))
    )
    assert (await failure(model)).retry_after_s == 17
    await model.aclose()


BROKEN = {
    "no finish reason": says("{}", finish=None),
    "empty": says(""),
    "no choices": raw("{}"),
    "null choices": raw('{"choices": null, "candidates": null}'),
    "not json": raw("<html>Bad gateway</html>", kind="text/html"),
    "text": raw("hello", kind="text/plain"),
    "nothing": raw(""),
    "null": raw("null"),
    "a list": raw("[1, 2]"),
    "cut json": raw('{"choices": [{"mess'),
    "not utf-8": raw(b'{"choices": "\xff\xfe"}'),
    "deep": raw("[" * 100_000),
    "numbers for texts": raw('{"choices": [{"message": {"content": 5}, "finish_reason": 7}], "candidates": [5]}'),
    "infinity": raw('{"choices": NaN, "candidates": 1e999}'),
}


async def test_what_is_not_an_answer_is_broken(server, model):
    found = {}
    for name, fault in BROKEN.items():
        server.will(fault)
        found[name] = type(await failure(model))
    assert found == dict.fromkeys(BROKEN, ModelBroken)


ODD = (
    *("", " ", "null", "[]", "[null]", "0", "true", '"text"', "{}", "\x00", "<html>", "[" * 5_000, '{"a":' * 3_000),
    *(
        '{"error": null}',
        '{"error": "text"}',
        '{"error": []}',
        '{"error": [{"code": "x"}]}',
        '{"error": {"code": 1e999}}',
    ),
    '{"error": {"code": "x", "message": 5, "status": [], "details": "x"}}',
    '[{"error": {"code": 429, "details": [null, 5, {"retryDelay": null}]}}]',
    '{"error": {"details": [{"retryDelay": "x"}]}}',
    *('{"candidates": {}}', '{"candidates": [null]}', '{"candidates": [{"content": []}]}'),
    *('{"choices": [null]}', '{"choices": [{"message": null}]}', '{"usage": 5, "choices": []}'),
    *(b"\xff\xfe\x00", b"\xef\xbb\xbf{}"),
)


@pytest.mark.parametrize(
    "code", [200, 400, 429, *(pytest.param(each, marks=pytest.mark.long) for each in (204, 302, 401, 418, 500, 503))]
)
async def test_no_body_of_any_status_gets_past_the_port_as_anything_but_a_failure(server, model, code):
    for body in ODD:
        server.will(raw(b"" if code == 204 else body, status=code))
        await failure(model)


async def test_a_refusal_is_a_refusal(server, model):
    server.will(says("x", finish="content_filter"))
    assert isinstance(await failure(model), ModelRefused)
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    refused = {"choices": [{"message": {"refusal": "I cannot", "content": None}, "finish_reason": "stop"}]}
    if model.way == GROWING:
        refused["choices"][0]["delta"] = refused["choices"][0].pop("message")
    body = blocked if model.vendor == GEMINI else refused
    server.will(raw(json.dumps(body)) if model.way == WHOLE else told(body))
    assert isinstance(await failure(model), ModelRefused)


async def test_an_answer_that_breaks_off_is_not_continued_behind_our_back(server):
    model = vendor_at(server.url, GEMINI)
    body = envelope(GEMINI, '{"reply": ')
    body["candidates"][0] |= {"finishReason": "CONTINUATION", "continuationToken": "AAAA"}
    server.will(raw(json.dumps(body)))
    assert isinstance(await failure(model), ModelBroken)
    assert len(server.calls) == 1
    await model.aclose()


async def test_thoughts_are_no_part_of_the_answer(server):
    model = vendor_at(server.url, GEMINI)
    body = envelope(GEMINI, "x")
    body["candidates"][0]["content"]["parts"] = [{"text": "hm", "thought": True}, {"text": "yes"}]
    server.will(raw(json.dumps(body)))
    assert (await model.complete(PROMPT, deadline_s=2)).text == "yes"
    await model.aclose()


AWAY = {"reset": reset, "reset in body": reset_in_body, "cut body": cut_body, "endless": endless}


@pytest.mark.parametrize("name", AWAY)
async def test_a_lost_or_endless_answer_is_away_at_once(server, model, name):
    server.will(AWAY[name])
    started = time.monotonic()
    assert isinstance(await failure(model), ModelUnavailable)
    assert time.monotonic() - started < 1


async def test_a_packed_answer_is_not_unpacked(server, model):
    server.will(raw(b"\x1f\x8b" + b"\0" * 50, headers=("content-encoding: gzip",)))
    assert isinstance(await failure(model), ModelUnavailable)


async def test_nobody_is_followed_elsewhere(server, model):
    server.will(raw("", status=307, headers=(f"location: {server.url}/elsewhere",)), good())
    await failure(model)
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "fault",
    [hang, drip, *(pytest.param(each, marks=pytest.mark.long) for each in (hang_after_headers, hang_in_body))],
    ids=lambda fault: fault.__name__,
)
@pytest.mark.proves("I25")
async def test_a_call_ends_at_its_deadline_and_its_socket_within_a_second(server, model, fault):
    server.will(fault)
    started = time.monotonic()
    assert isinstance(await failure(model, deadline_s=0.2), ModelTimedOut)
    assert time.monotonic() - started < 0.6
    await asyncio.sleep(0.2)
    assert server.calls[0].closed_at - started < 1.3


@pytest.mark.proves("I25")
async def test_a_cancelled_call_closes_its_socket_within_a_second(server, model):
    server.will(hang)
    task = asyncio.create_task(model.complete(PROMPT, deadline_s=20))
    await asyncio.sleep(0.15)
    assert server.calls
    task.cancel()
    left = time.monotonic()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert server.calls[0].closed_at - left < 1


async def test_nobody_listens(model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        alone = vendor_at(f"http://127.0.0.1:{taken.getsockname()[1]}", model.vendor)
        assert isinstance(await failure(alone), ModelUnavailable)
        await alone.aclose()


async def test_a_name_that_does_not_resolve(model):
    alone = vendor_at("http://nowhere.invalid", model.vendor)
    assert isinstance(await failure(alone), ModelUnavailable)
    await alone.aclose()


@pytest.fixture
def self_signed(tmp_path):
    """A certificate that nobody vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    path = tmp_path / "self.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_certificate_nobody_vouches_for_is_an_alarm_and_nothing_is_sent(self_signed, vendor):
    async with FaultServer(tls=self_signed) as server:
        server.will(good())
        model = vendor_at(server.url, vendor)
        assert isinstance(await failure(model), ModelMisconfigured)
        assert server.calls == []
        await model.aclose()


# -- an answer heard as it grows ---------------------------------------------------------------------------------


@pytest.fixture(params=VENDORS)
async def speaker(request, server):
    model = vendor_at(server.url, request.param)
    yield model
    await model.aclose()


async def heard(model, *, deadline_s=2.0):
    """What was heard, and when, in seconds from the beginning; the failure, if it ended in one."""
    pieces, started = [], time.monotonic()
    try:
        await model.speak(
            PROMPT, deadline_s=deadline_s, hear=lambda piece: pieces.append((piece, time.monotonic() - started))
        )
    except ModelFailed as failed:
        return pieces, failed
    return pieces, None


async def test_an_answer_is_heard_piece_by_piece_as_it_comes(server, speaker):
    server.will(grows(reply_to, pause_s=0.03))
    pieces, failed = await heard(speaker)
    assert failed is None
    assert json.loads("".join(piece for piece, _ in pieces))["reply"] == "Thank you. How old are you?"
    assert len(pieces) > 5
    assert pieces[-1][1] - pieces[0][1] > 0.1


FIRST = "Thank you."
BROKEN_OFF = {
    "hang": (hang, ModelTimedOut),
    "reset": (reset, ModelUnavailable),
    "end": (ends, ModelBroken),
}


@pytest.mark.parametrize("name", BROKEN_OFF)
async def test_an_answer_that_breaks_off_is_a_failure_after_what_was_heard(server, speaker, name):
    then, kind = BROKEN_OFF[name]
    server.will(grows(reply_to, until=FIRST, then=then))
    pieces, failed = await heard(speaker, deadline_s=0.4)
    assert "".join(piece for piece, _ in pieces).endswith(FIRST)
    assert isinstance(failed, kind)


async def test_an_answer_without_a_finish_is_a_failure(server, speaker):
    server.will(says(reply_to, finish=None))
    _, failed = await heard(speaker)
    assert (type(failed), failed.detail) == (ModelBroken, "no_finish_reason")


async def test_who_hears_may_end_the_call_and_its_socket_is_closed_within_a_second(server, speaker):
    server.will(grows(lambda _: "x" * 3000, pause_s=0.02, until="x" * 2900, then=hang))
    started = time.monotonic()

    def refuse(_):
        raise ReplyRefused("diagnosis")

    with pytest.raises(ReplyRefused):
        await speaker.speak(PROMPT, deadline_s=5, hear=refuse)
    assert time.monotonic() - started < 1
    await asyncio.sleep(0.6)
    sent = server.calls[0]
    assert sent.reader.at_eof() or sent.writer.transport.is_closing()


@pytest.mark.proves("I25")
async def test_a_cancelled_growing_call_closes_its_socket_within_a_second(server, speaker):
    server.will(grows(reply_to, until=FIRST, then=hang))
    task = asyncio.create_task(heard(speaker, deadline_s=20))
    await asyncio.sleep(0.2)
    task.cancel()
    left = time.monotonic()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.3)
    assert server.calls[0].closed_at - left < 1


ERRORS = {
    "in words": ({"error": {"message": "SECRETOSIS overloaded", "code": None}}, ModelUnavailable | ModelBroken),
    "with a status": ({"error": {"code": 503, "message": "SECRETOSIS", "status": "UNAVAILABLE"}}, ModelUnavailable),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_in_the_middle_of_an_answer_is_a_failure(server, speaker, name):
    body, kind = ERRORS[name]
    server.will(told(body))
    _, failed = await heard(speaker)
    assert isinstance(failed, kind)
    assert "SECRETOSIS" not in repr(failed)


async def test_a_stream_without_end_is_cut_off(server, speaker):
    server.will(grows(lambda _: "[" * 4_000_000, size=60_000))
    _, failed = await heard(speaker, deadline_s=5)
    assert isinstance(failed, ModelUnavailable | ModelBroken)


@pytest.mark.slow
async def test_a_flood_of_pieces_is_cut_off_and_others_get_their_turn(server, speaker):
    server.will(says(lambda _: "x" * 12_000, size=2))
    gc.disable()  # what a collection costs grows with everything else the suite holds
    call, waits = asyncio.create_task(heard(speaker, deadline_s=8)), []
    while not call.done():
        asked = time.thread_time()  # the work of others is waited for, not that of another process on a busy machine
        await asyncio.sleep(0)
        waits.append(time.thread_time() - asked)
    gc.enable()
    parts, failed = call.result()
    assert (type(failed), failed.detail) == (ModelBroken, "too_long")
    assert len(parts) <= 4096
    assert max(waits) < 0.25


# -- the providers as somebody else plays them -------------------------------------------------------------------


@pytest.mark.parametrize("way", [WHOLE, GROWING])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_llmock_is_understood_and_its_faults_are_ours(llmock, vendor, way):
    base = llmock.base_url(vendor)
    model = vendor_at(base.removesuffix("/v1"), vendor, way)
    said = await model.complete(PROMPT, deadline_s=5)
    assert {"reply", "facts", "reasoning"} <= json.loads(said.text).keys()
    assert said.finish_reason == "stop"
    note = replace(PROMPT, form=Form.NOTE)
    read = read_answer(note, await model.complete(note, deadline_s=5))
    assert proposal_of(read.reply)
    llmock.rate_limit(times=1, retry_after=7)
    busy = await failure(model)
    assert isinstance(busy, ModelBusy)
    assert busy.retry_after_s == 7
    llmock.outage(status=503)
    assert isinstance(await failure(model), ModelUnavailable | ModelBusy)
    assert len(llmock.requests) == 4
    await model.aclose()


_TOLD = """
import asyncio, json, sys
sys.path[:0] = {paths!r}
from fault_server import FaultServer, envelope, raw
from test_providers import PROMPT, failure, vendor_at

async def main():
    async with FaultServer() as server:
        for way in ("whole", "growing"):
            async def strange(exchange):
                body = envelope(exchange.vendor, "x")
                body["candidates"][0]["finishReason"] = "SECRETOSIS said the patient"
                kind = "text/event-stream" if exchange.is_growing else "application/json"
                text = f"data: {{json.dumps(body)}}\\n\\n" if exchange.is_growing else json.dumps(body)
                return await raw(text, kind=kind)(exchange)
            server.will(strange)
            print(type(await failure(vendor_at(server.url, "gemini", way))).__name__)

asyncio.run(main())
"""


def test_what_a_provider_says_for_a_name_is_told_to_nobody_by_its_sdk():
    """Its words would stand on the error stream, beside the log, and a model's words may be a patient's."""
    tests = Path(__file__).parent
    code = _TOLD.format(paths=[str(tests), str(tests.parent)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["ModelRefused", "ModelRefused"]
    assert done.stderr == ""


# -- what they cost ----------------------------------------------------------------------------------------------

_LOADED = """
import sys
from anamnesis.bootstrap import build
from anamnesis.settings import Settings
app = build(Settings(), app_dsn="postgresql:///x", direct_dsn="postgresql:///x")
assert app.relay is None
allowed = {"anamnesis.llm", "anamnesis.llm.port", "anamnesis.llm.scripted"}
layer = {name for name in sys.modules if name.startswith("anamnesis.llm") or name.endswith(".prompting")} - allowed
print(sorted(layer | sys.modules.keys() & {"openai", "google.genai"}))
"""


def test_without_a_provider_no_sdk_is_loaded():
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


#: Everything that a process without a provider still loads of the layer is loaded once more, and nothing else. The port
#: and the scripted model are the built-in interviewer itself.
_COST = """
import gc, resource, sys, time
import anamnesis.bootstrap
interviewer = {"anamnesis.llm", "anamnesis.llm.port", "anamnesis.llm.scripted"}
ours = [name for name in sys.modules if name.startswith("anamnesis.llm") and name not in interviewer]
ours += ["anamnesis.kernel.calls", "anamnesis.db.model_calls", "anamnesis.intake.speaking"]
for name in ours:
    del sys.modules[name]
gc.collect()
used = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
memory, started = used(), time.process_time()
for name in ours:
    __import__(name)
print((time.process_time() - started) * 1000, (used() - memory) / 2**20)
"""


def test_the_layer_itself_adds_at_most_five_milliseconds_and_a_megabyte():
    milliseconds = megabytes = float("inf")
    for _ in range(7):
        if milliseconds > 5 or megabytes > 1:  # the least of all runs counts; more would make it only less
            done = subprocess.run([sys.executable, "-c", _COST], capture_output=True, text=True, check=True)
            measured = [float(number) for number in done.stdout.split()]
            milliseconds, megabytes = min(milliseconds, measured[0]), min(megabytes, measured[1])
    assert milliseconds <= 5
    assert megabytes <= 1
