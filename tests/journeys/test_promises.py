"""Promises to clients that need more than one process, no client id, or a model that never answers."""

import asyncio
import time
from uuid import UUID, uuid4

import pytest

from anamnesis.db.encryption import CHAT, DIRECT
from anamnesis.llm.scripted import StubModel
from build import a_session, an_app, caller, closing, stored
from checker import broken

EMERGENCY = "I have crushing chest pain and I am sweating"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def send(app, session_id, text, **more):
    return await caller(app, "patient").call("intake.sendMessage", sessionId=session_id, content=text, **more)


@pytest.mark.proves("I6")
async def test_without_an_id_a_text_is_the_same_message_only_while_it_waits(clinic, owner):
    async with closing(an_app(clinic.app_dsn, model=StubModel(latency_s=1.0))) as app:
        _, session_id = await a_session(app)
        first, again = await asyncio.gather(*(send(app, session_id, "no") for _ in range(2)))
        assert first["userMessage"]["id"] == again["userMessage"]["id"]
        assert first["aiMessage"]["id"] == again["aiMessage"]["id"]
        later = await send(app, session_id, "no")
        assert later["userMessage"]["id"] != first["userMessage"]["id"]
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE role = 'user'") == 2
    assert await broken(owner) == []


@pytest.mark.proves("I9")
async def test_the_ids_that_are_answered_are_the_ids_that_are_stored(app, owner):
    connection_id, session_id = await a_session(app)
    answer = await send(app, session_id, "It is about me", clientMessageId=str(uuid4()))
    danger = await send(app, session_id, EMERGENCY, clientMessageId=str(uuid4()))
    direct = await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
    for each in (answer, danger):
        pair = each["userMessage"]["id"], each["aiMessage"]["id"]
        asked, replied = [(await stored(owner, CHAT, "id = $1", one))[0] for one in pair]
        assert (asked["content"], replied["content"]) == (each["userMessage"]["text"], each["aiMessage"]["text"])
        assert (replied["reply_to"], asked["created_at"]) == (asked["id"], each["userMessage"]["timestamp"])
    (kept,) = await stored(owner, DIRECT, "id = $1", direct["message"]["id"])
    assert kept["content"] == "hello"


@pytest.mark.proves("I13", "I14", "I15")
async def test_what_one_process_has_confirmed_another_reads_at_once_and_in_order(clinic, app):
    async with closing(an_app(clinic.app_dsn)) as other:
        _, session_id = await a_session(app)
        seen, confirmed = [], []
        for number in range(12):
            writer, reader = (app, other) if number % 2 else (other, app)
            answer = await send(writer, session_id, f"it hurts {number}", clientMessageId=str(uuid4()))
            confirmed += [answer["userMessage"]["id"], answer["aiMessage"]["id"]]
            view = await caller(reader, "patient").call("intake.getSession", sessionId=session_id)
            lines = [line["id"] for line in view["messages"]]
            assert lines[: len(seen)] == seen
            assert lines[1:] == confirmed
            seen = lines


@pytest.mark.proves("I20")
@pytest.mark.parametrize("model", [None, StubModel(latency_s=20.0), StubModel(failure=RuntimeError("odd"))])
async def test_danger_is_the_same_without_a_model_with_a_hung_one_and_with_a_broken_one(clinic, model, owner):
    async with closing(an_app(clinic.app_dsn, model=model)) as app:
        _, session_id = await a_session(app)
        started = time.monotonic()
        answer = await send(app, session_id, EMERGENCY)
        assert time.monotonic() - started < 1
        assert answer["aiMessage"]["isEmergency"]
    assert await owner.fetchval("SELECT acuity FROM intake_sessions WHERE id = $1", UUID(session_id)) == 2
    assert model is None or model.calls == 0
