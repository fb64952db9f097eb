"""A message that cannot be lost, whoever dies: processes are really killed, the database really restarts."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from anamnesis.db.embedded import APP, OWNER, start_embedded
from anamnesis.db.migrating import migrate
from anamnesis.kernel.errors import Unavailable
from anamnesis.llm.scripted import StubModel
from build import a_session, an_app, caller, closing
from checker import broken

HERE = Path(__file__).parent


class CountedModel(StubModel):
    """A slow model that tells when so many wait for it."""

    async def all_in_flight(self, number):
        deadline = time.monotonic() + 10
        while self.in_flight < number and time.monotonic() < deadline:  # noqa: ASYNC110 - a count, not an event
            await asyncio.sleep(0.01)


def script(name, *arguments):
    return subprocess.Popen(
        [sys.executable, HERE / name, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def answer_of(process, within_s=110):
    out, errors = process.communicate(timeout=within_s)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("what", "least"), [("first", 10), ("emergency", 8), ("ready", 10), ("direct", 3)])
@pytest.mark.parametrize("mode", ["kill", "cancel"])
@pytest.mark.proves("I1", "I2", "I7", "I8", "I9", "I11")
def test_a_send_stopped_at_any_await_ends_as_one_message_with_one_reply(clinic, mode, what, least):
    found = answer_of(script("stepping.py", clinic.app_dsn, clinic.owner_dsn, mode, what))
    assert found["wrong"] == {}
    assert found["stopped"] >= least


@pytest.mark.slow
@pytest.mark.proves("I3")
async def test_sixteen_sends_of_one_id_over_two_processes_are_one_message_and_one_reply(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session_id = await a_session(app)
    key = uuid4()
    senders = [script("sending.py", clinic.app_dsn, session_id, key, 8) for _ in range(2)]
    answers = [pair for sender in senders for pair in await asyncio.to_thread(answer_of, sender)]
    assert len(answers) == 16
    assert len({tuple(pair) for pair in answers}) == 1
    owner = await asyncpg.connect(clinic.owner_dsn)
    assert await broken(owner) == []
    await owner.close()


async def test_no_connection_is_held_while_words_are_being_found(clinic):
    model = CountedModel(latency_s=1.0)
    async with closing(an_app(clinic.app_dsn, model=model)) as app:
        sessions = []
        connection_id, first = await a_session(app)
        sessions.append(first)
        for _ in range(39):
            made = await caller(app, "patient").call("intake.createNewSession", connectionId=connection_id)
            sessions.append(str(made["id"]))
        sends = [
            asyncio.create_task(
                caller(app, "patient").call("intake.sendMessage", sessionId=session, content="It is about me")
            )
            for session in sessions
        ]
        await model.all_in_flight(len(sessions))
        assert app.database.in_use == 0
        answers = await asyncio.gather(*sends)
        assert all(answer["aiMessage"] for answer in answers)


@pytest.mark.proves("I7", "I13", "I14")
async def test_a_second_message_during_a_turn_is_kept_and_answered_next(clinic):
    async with closing(an_app(clinic.app_dsn, model=StubModel(latency_s=0.3))) as app:
        _, session_id = await a_session(app)
        patient = caller(app, "patient")
        first = asyncio.create_task(patient.call("intake.sendMessage", sessionId=session_id, content="It is about me"))
        await asyncio.sleep(0.1)
        second = await patient.call("intake.sendMessage", sessionId=session_id, content="Jane, 34, female")
        assert (await first)["aiMessage"] is not None
        assert second["aiMessage"] is not None
        owner = await asyncpg.connect(clinic.owner_dsn)
        assert await broken(owner) == []
        await owner.close()


@pytest.mark.proves("I20")
async def test_a_model_that_fails_or_says_too_much_costs_only_polish(clinic):
    for model in (StubModel(text="You have malaria. Take 500 mg of paracetamol."), StubModel(text=" ")):
        async with closing(an_app(clinic.app_dsn, model=model)) as app:
            who = f"patient{id(model)}"
            _, session_id = await a_session(app, patient=who, doctor=f"doctor{id(model)}")
            answer = await caller(app, who).call("intake.sendMessage", sessionId=session_id, content="It is about me")
            assert "What is your name" in answer["aiMessage"]["text"] or "old" in answer["aiMessage"]["text"]


@pytest.mark.proves("I31")
async def test_the_database_itself_refuses_to_go_back(clinic, owner):
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session_id = await a_session(app)
    forward = "UPDATE intake_sessions SET status = 'ready', clinical_handover = '{}', acuity = 2 WHERE id = $1"
    await owner.execute(forward, session_id)
    for statement in (
        "UPDATE intake_sessions SET status = 'in_progress' WHERE id = $1",
        "UPDATE intake_sessions SET acuity = 0 WHERE id = $1",
        "UPDATE chat_messages SET content = 'other words' WHERE session_id = $1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(statement, session_id)


@pytest.mark.slow
@pytest.mark.proves("I1", "I37")
def test_a_database_killed_under_load_loses_nothing_acknowledged(tmp_path):
    server = start_embedded(tmp_path / "pg")
    try:
        asyncio.run(_killed_under_load(tmp_path, server))
    finally:
        pass


async def _killed_under_load(tmp_path, server):
    await server.ensure_database()
    await migrate(server.owner_dsn, embedded=True)
    app = an_app(server.dsn(APP))
    _, session_id = await a_session(app)
    acknowledged, unknown = [], 0
    patient = caller(app, "patient")
    end, killed = time.monotonic() + 6, False
    while time.monotonic() < end:
        key = str(uuid4())
        if not killed and time.monotonic() > end - 3.5:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
            server.stop()
            killed = True
            down = time.monotonic()
            with pytest.raises(Unavailable):
                await patient.call("intake.sendMessage", sessionId=session_id, content="x", clientMessageId=key)
            assert time.monotonic() - down < 3
            server = start_embedded(tmp_path / "pg")
            back = time.monotonic()
        try:
            answer = await patient.call("intake.sendMessage", sessionId=session_id, content="no", clientMessageId=key)
            acknowledged.append(str(answer["userMessage"]["id"]))
        except Unavailable:
            unknown += 1
            assert not killed or time.monotonic() - back < 3
            await asyncio.sleep(0.05)
    await app.database.close()
    owner = await asyncpg.connect(server.dsn(OWNER))
    stored = {str(row["id"]) for row in await owner.fetch("SELECT id FROM chat_messages")}
    wrong = await broken(owner)
    await owner.close()
    server.stop()
    assert killed
    assert len(acknowledged) > 50
    assert set(acknowledged) <= stored
    assert wrong == []
