"""Ten thousand random and hostile outputs, sent over real sockets: nothing but an answer or a named failure comes back.

The pure readers have ten thousand of their own (test_drafts.py). Here the whole port stands between: the SDK, the
adapter, the relay, both ways of asking, and for some of them the whole application.
"""

import json
import os
import random
from uuid import UUID

import pytest
from fault_server import GEMINI, OPENAI, VENDORS, FaultServer, envelope, pieces, raw, reply_to
from in_memory import InMemoryCallBook
from test_matrix import GROWING, QUESTION, WHOLE, a_clinic, settings_for
from test_providers import vendor_at

from anamnesis.clinical.guardrails import Refused, check_reply
from anamnesis.db.encryption import CHAT
from anamnesis.llm.port import FIELDS, ModelFailed, Prompt, Said
from anamnesis.llm.relay import Provider, Relay
from build import a_session, http, stored, tell
from checker import broken

#: `make test` runs these, `make check` leaves them out.
pytestmark = [
    pytest.mark.long,
    # Here every warning is an error; the adapter lets this one be said to nobody.
    pytest.mark.filterwarnings("ignore:.* is not a valid :UserWarning"),
]

ALL_OF_THEM = pytest.mark.skipif("ANAMNESIS_MATRIX" not in os.environ, reason="minutes: `make model-matrix` runs it")
TOLD = "I have had a headache since Monday and I take amlodipine 5 mg"
PROMPT = Prompt(
    "who", QUESTION, "VitalsTriageAgent", "en", question=QUESTION, instructions="word it", version="v-1",
    case=json.dumps({"question": QUESTION}), said=(Said("m1", TOLD),), fields=FIELDS, told=(TOLD,),
)  # fmt: skip
ALPHABET = '{}[]",:\\\x00\x07\u202e\u200b\ufffd<>ab1 null true NaN 1e999 \r\n\ndata: '
NASTY = (
    "null", "[]", "{}", '""', "0", "1e999", "NaN", "-Infinity", "[" * 3000, '{"a":' * 3000, "\ufeff{}", "\\ud800",
    '{"reply": "a?", "reply": "b?"}', '{"choices": 7}', '{"choices": [null]}', '{"candidates": {}}',
    '{"candidates": [{"content": []}]}', '{"error": {"code": "x", "message": [], "status": 3}}', '{"error": null}',
    '{"choices": [{"message": null, "finish_reason": {}}]}', '{"usage": "x", "choices": []}', "data: [DONE]\n\n",
    "event: error\ndata: x\n\n", ": \n\n", "data\n\n", "\x00", "<html>", '{"promptFeedback": {"blockReason": 7}}',
)  # fmt: skip
KINDS = ("application/json", "text/event-stream", "text/html", "", "application/json; charset=utf-16")
STATUSES = (200, 200, 200, 200, 200, 200, 201, 204, 206, 400, 429, 500)


def mutated(rng, text):
    """The text with some places changed, cut, doubled or shuffled."""
    letters = list(text)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place = rng.randrange(len(letters) or 1)
        match rng.randrange(5):
            case 0 if letters:
                letters[place] = rng.choice(ALPHABET)
            case 1:
                del letters[place : place + rng.randrange(1, 30)]
            case 2:
                letters[place:place] = rng.choice(ALPHABET) * rng.randrange(1, 5)
            case 3:
                letters[place:place] = rng.choice(NASTY)
            case _ if letters:
                letters[place:place] = letters[rng.randrange(len(letters)) :][:40]
    return "".join(letters)


def hostile(rng):
    """How a server answers: a draft gone wrong in its envelope, an envelope gone wrong, or bytes that are neither."""

    async def fault(exchange):
        draft = reply_to(exchange, facts=[{"field": "medicines", "value": "amlodipine", "quote": "amlodipine 5 mg"}])
        way = rng.randrange(4)
        content = mutated(rng, draft) if way < 2 else draft
        finish = rng.choice(("stop", "stop", "stop", "length", None))
        if exchange.is_growing:
            told = pieces(exchange.vendor, content, finish=finish, size=rng.choice((1, 9, 200)))
            body, kind = "".join(f"data: {json.dumps(each)}\n\n" for each in told), "text/event-stream"
        else:
            body, kind = json.dumps(envelope(exchange.vendor, content, finish=finish)), "application/json"
        status = 200
        if way >= 2:
            kind, status = rng.choice((kind, kind, *KINDS)), rng.choice(STATUSES)
            body = mutated(rng, body) if way == 2 else "".join(rng.choices((*NASTY, *ALPHABET), k=rng.randrange(6)))
        data = body.encode("utf-8", "surrogatepass")
        if rng.randrange(10) == 0:
            data = bytes(rng.randrange(256) for _ in range(rng.randrange(80)))
        return await raw(data if status != 204 else b"", status=status, kind=kind)(exchange)

    return fault


async def outcomes(vendor, way, count, seed):
    """What becomes of so many hostile outputs: how many were usable, and how many failed by name."""
    rng, usable, failed = random.Random(seed), 0, 0
    async with FaultServer() as server:
        server.will(hostile(rng))
        model, book = vendor_at(server.url, vendor), InMemoryCallBook(failures=10**9, per_minute=10**9)
        relay = Relay([Provider(vendor, model, "m")], book)
        while len(server.calls) < count:
            shown = []
            try:
                if way == GROWING:
                    said = await relay.speak(PROMPT, deadline_s=10, hear=shown.append)
                else:
                    said = await relay.complete(PROMPT, deadline_s=10)
            except ModelFailed:
                failed += 1
                assert not shown or shown[-1] == ""
            else:
                usable += 1
                assert "?" in said.text
                assert not isinstance(check_reply(said.text, after_flag=False, told=PROMPT.told), Refused)
                assert not shown or shown[-1] == said.text
                assert all(each.quote in TOLD and each.field in FIELDS for each in said.facts)
            await relay.written()
            book.forget_pauses()  # one that a hostile answer asks for is not waited for here
        await relay.aclose()
        assert all(call.is_growing == (way == GROWING) for call in server.calls)
        assert sum(call.outcome == "answered" for call in book.calls) == usable
    return usable, failed


@pytest.mark.parametrize("way", [WHOLE, GROWING])
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("count", [400, pytest.param(2500, marks=ALL_OF_THEM)])
@pytest.mark.proves("I21")
async def test_nothing_gets_past_the_port_but_an_answer_or_a_failure_by_name(vendor, way, count):
    usable, failed = await outcomes(vendor, way, count, f"{vendor} {way} {count}")
    assert usable
    assert failed > usable


@pytest.mark.parametrize(("vendor", "way"), [(GEMINI, GROWING), (OPENAI, WHOLE)])
@pytest.mark.parametrize("count", [60, pytest.param(150, marks=ALL_OF_THEM)])
async def test_nothing_gets_past_the_application_either(clinic, owner, vendor, way, count):
    rng = random.Random(f"{vendor} {way} {count}")
    async with (
        FaultServer() as server,
        a_clinic(clinic, settings_for(vendor, server.url, deadline_s=8, way=way)) as app,
    ):
        _, first = await a_session(app)
        connection = await owner.fetchval("SELECT connection_id FROM intake_sessions WHERE id = $1", UUID(first))
        server.will(hostile(rng))
        for turn in range(count):
            await owner.execute("DELETE FROM model_breakers")
            body = {"json": {"connectionId": str(connection)}}
            made = await http(app.asgi(), "POST", "/api/trpc/intake.createNewSession", who="patient", body=body)
            session_id = json.loads(made[2])["result"]["data"]["json"]["id"]
            answer = await tell(app, session_id, "It is about me")
            assert "?" in answer["aiMessage"]["text"], turn
            await app.relay.written()
        said = [row["content"] for row in await stored(owner, CHAT, "role = 'model'")]
        assert not [text for text in said if set(text) & set("<>{}\x00\x07\u202e\u200b\ufffd")]
        states = await owner.fetch(
            "SELECT DISTINCT status::text, acuity FROM intake_sessions WHERE id <> $1", UUID(first)
        )
        assert [tuple(row) for row in states] == [("in_progress", 0)]
        assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE reply_so_far IS NOT NULL") == 0
        assert len(server.calls) >= count
        assert await broken(owner) == []
