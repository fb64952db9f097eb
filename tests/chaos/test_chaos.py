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
from checker import Told, broken

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


@pytest.mark.long
@pytest.mark.parametrize(("what", "least"), [("first", 10), ("emergency", 8), ("ready", 10), ("direct", 3)])
@pytest.mark.parametrize("mode", ["kill", "cancel"])
@pytest.mark.proves("I1", "I2", "I7", "I8", "I9", "I11")
def test_a_send_stopped_at_any_await_ends_as_one_message_with_one_reply(clinic, mode, what, least):
    found = answer_of(script("stepping.py", clinic.app_dsn, clinic.owner_dsn, mode, what))
    assert found["wrong"] == {}
    assert found["stopped"] >= least


@pytest.mark.long
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
@pytest.mark.proves("I1", "I2", "I37")
def test_a_database_killed_under_load_loses_nothing_acknowledged(tmp_path):
    asyncio.run(_killed_under_load(tmp_path, start_embedded(tmp_path / "pg")))


class Sender:
    """A phone: says one thing after the other, and says each again until it is confirmed."""

    def __init__(self, person, procedure, **place):
        self._person, self._procedure, self._place = person, procedure, place
        self.told, self.refused, self.recovered_s = [], 0, None

    async def run(self, until, is_back):
        while time.monotonic() < until:
            key, words = uuid4(), f"it hurts {len(self.told)}"
            answer = await self._insist(str(key), words, is_back)
            message = answer.get("userMessage") or answer["message"]
            reply = answer.get("aiMessage")
            self.told.append(Told(key, words, message_id=message["id"], reply_id=reply and reply["id"]))

    async def _insist(self, key, words, is_back):
        while True:
            began = time.monotonic()
            try:
                answer = await self._person.call(self._procedure, content=words, clientMessageId=key, **self._place)
            except Unavailable:
                self.refused += 1
                assert time.monotonic() - began < 5.5
                await asyncio.sleep(0.05)
            else:
                if is_back and self.recovered_s is None:
                    self.recovered_s = time.monotonic() - is_back[0]
                return answer


async def _killed_under_load(tmp_path, server):
    await server.ensure_database()
    await migrate(server.owner_dsn, embedded=True)
    app = an_app(server.dsn(APP))
    connection_id, _ = await a_session(app)
    patient, senders = caller(app, "patient"), []
    for _ in range(6):
        session = await patient.call("intake.createNewSession", connectionId=connection_id)
        senders.append(Sender(patient, "intake.sendMessage", sessionId=str(session["id"])))
    senders += [Sender(caller(app, who), "message.send", connectionId=connection_id) for who in ("patient", "doctor")]
    is_back, until = [], time.monotonic() + 7
    sending = [asyncio.create_task(sender.run(until, is_back)) for sender in senders]
    await asyncio.sleep(2)
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    server.stop()
    await asyncio.sleep(0.5)
    server = await asyncio.to_thread(start_embedded, tmp_path / "pg")
    is_back.append(time.monotonic())
    await asyncio.gather(*sending)
    await app.database.close()
    owner = await asyncpg.connect(server.dsn(OWNER))
    history = [told for sender in senders for told in sender.told]
    wrong = await broken(owner, history=history)
    await owner.close()
    server.stop()
    assert wrong == []
    assert len(history) > 100
    assert sum(sender.refused for sender in senders) > 0
    assert all(sender.recovered_s < 3 for sender in senders)
