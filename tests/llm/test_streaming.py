"""A reply shown while a model still words it: on every device and process, checked before, taken back, or stopped."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
from fault_server import GEMINI, OPENAI, VENDORS, FaultServer, ends, good, grows, hang, reply_to, says

from anamnesis.db import outbox
from anamnesis.db.encryption import SESSIONS
from anamnesis.intake.views import GrowingReply
from anamnesis.settings import Ai, Limits, Provider, Secret, Settings
from build import a_session, an_app, caller, closing, http, stored, tell
from checker import broken

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

QUESTION = "What is your name, how old are you, and are you male or female?"
LEAD = "Thank you."
WHOLE = f"{LEAD} {QUESTION}"
EMERGENCY = "I have crushing chest pain and I am sweating"
HANGS_IN_FACTS = grows(reply_to, until='", "facts"', then=hang)
HANGS_IN_REPLY = grows(reply_to, until=f"{LEAD} ", then=hang)


def settings_for(vendor, url, **more):
    ai = Ai(
        providers=(Provider(vendor),), gemini_key=Secret("k-Q8fj20dj"), openai_key=Secret("k-Q8fj20dj"),
        gemini_base_url=url, openai_base_url=f"{url}/v1", timeout_s=8.0, **more,
    )  # fmt: skip
    return Settings(ai=ai, consent_recorded_elsewhere=True, limits=Limits(factor=1000))


@asynccontextmanager
async def a_process(clinic, settings):
    """One of several processes on the same database."""
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        app.bus.start()
        assert await app.bus.connected(5)
        try:
            yield app
        finally:
            await app.relay.aclose()
            await app.bus.close()


@pytest.fixture
async def server():
    async with FaultServer() as server:
        yield server


@pytest.fixture(params=[GEMINI, OPENAI])
def vendor(request):
    return request.param


@pytest.fixture
async def app(clinic, server, vendor):
    async with a_process(clinic, settings_for(vendor, server.url)) as app:
        yield app


@pytest.fixture
async def other(clinic, server, vendor):
    """Another process."""
    async with a_process(clinic, settings_for(vendor, server.url)) as app:
        yield app


class Ear:
    """Somebody who listens to a session: what of a reply was shown, and the lines, as they came."""

    def __init__(self, app, session_id, who="patient", **more):
        self.shown, self.lines, self.at = [], [], []
        self._task = asyncio.create_task(self._listen(app, session_id, who, {"growing": True, **more}))

    async def _listen(self, app, session_id, who, more):
        async for event in await caller(app, who).call("intake.onSession", sessionId=session_id, **more):
            self.at.append(time.monotonic())
            if isinstance(event, GrowingReply):
                self.shown.append(event.text)
            else:
                self.lines.append((event.value.role, event.value.text))

    async def until(self, test, within_s=5.0):
        async with asyncio.timeout(within_s):
            while not test(self):
                assert not self._task.done(), self._task
                await asyncio.sleep(0.01)

    async def close(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def listening(app, session_id, *who, **more):
    ear = Ear(app, session_id, *who, **more)
    try:
        await ear.until(lambda ear: ear.lines)
        yield ear
    finally:
        await ear.close()


def sending(app, session_id, words="It is about me"):
    return asyncio.create_task(tell(app, session_id, words))


async def stop(app, session_id, **more):
    return (await caller(app, "patient").call("intake.stopReply", sessionId=session_id, **more))["aiMessage"]


async def record_of(owner):
    (session,) = await stored(owner, SESSIONS)
    return session["record"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_reply_is_shown_sentence_by_sentence_on_every_process_before_it_is_whole(app, other, owner, server):
    server.will(grows(reply_to, pause_s=0.03))
    _, session_id = await a_session(app)
    async with listening(app, session_id) as here, listening(other, session_id) as there:
        answer = (await sending(app, session_id))["aiMessage"]
        for ear in (here, there):
            await ear.until(lambda ear: len(ear.lines) == 3)
            assert ear.shown == [LEAD, WHOLE]
            assert ear.lines[1:] == [("user", "It is about me"), ("model", WHOLE)]
            assert ear.at[-1] - ear.at[-3] > 0.05
    assert answer["text"] == WHOLE
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE reply_so_far IS NOT NULL") == 0
    assert await broken(owner) == []


async def test_over_sse_it_is_the_same(app, server):
    server.will(grows(reply_to, pause_s=0.02))
    _, session_id = await a_session(app)
    given = json.dumps({"json": {"sessionId": session_id, "growing": True}})
    listener = asyncio.create_task(
        http(app.asgi(), "GET", "/api/trpc/intake.onSession", who="patient", query=f"input={given}", stays=True)
    )
    await asyncio.sleep(0.3)
    await tell(app, session_id, "It is about me")
    await asyncio.sleep(0.2)
    await app.bus.close()
    text = (await asyncio.wait_for(listener, 10))[2]
    growing = [json.loads(line[6:])["json"] for line in text.splitlines() if "isGrowing" in line]
    assert [each["text"] for each in growing] == [LEAD, WHOLE]
    assert text.index("isGrowing") < text.index(
        '"activeAgent":"VitalsTriageAgent","choices":[]', text.index("isGrowing")
    )


WORDS = [WHOLE[:place].strip() for place in range(1, len(WHOLE) + 1) if WHOLE[place : place + 1] in ("", " ")]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_over_sse_a_reply_comes_word_by_word_to_who_asks_for_words(app, server):
    server.will(grows(reply_to, pause_s=0.02))
    _, session_id = await a_session(app)
    given = json.dumps({"json": {"sessionId": session_id, "growing": True, "byWord": True}})
    listener = asyncio.create_task(
        http(app.asgi(), "GET", "/api/trpc/intake.onSession", who="patient", query=f"input={given}", stays=True)
    )
    await asyncio.sleep(0.3)
    await tell(app, session_id, "It is about me")
    await asyncio.sleep(1)
    await app.bus.close()
    text = (await asyncio.wait_for(listener, 10))[2]
    told = [json.loads(line[6:])["json"] for line in text.splitlines() if line.startswith('data: {"json":{')]
    growing = [each["text"] for each in told if "isGrowing" in each]
    assert growing == WORDS
    assert told[-1]["text"] == WHOLE


async def test_words_come_one_after_the_other_and_what_follows_does_not_wait_long(app, server):
    harm = f"{LEAD} I am sorry to hear that you are not well today. Take two tablets of paracetamol. {QUESTION}"
    server.will(grows(lambda _: json.dumps({"reply": harm, "facts": [], "reasoning": ""}), pause_s=0.02))
    _, session_id = await a_session(app)
    async with listening(app, session_id, byWord=True) as ear:
        await sending(app, session_id)
        await ear.until(lambda ear: len(ear.lines) == 3)
        shown = [text for text in ear.shown if text]
        assert len(shown) > 4
        assert len(shown) == len(set(shown)) or "" in ear.shown
        assert not [text for text in shown if "tablets" in text]
        assert ear.at[-1] - ear.at[2] < 4


async def test_who_comes_back_in_the_middle_of_words_is_shown_how_far_it_is_at_once(app, server):
    server.will(HANGS_IN_FACTS)
    _, session_id = await a_session(app)
    async with listening(app, session_id, byWord=True) as first:
        sent = sending(app, session_id)
        await first.until(lambda ear: WHOLE in ear.shown)
        assert first.shown == WORDS
    async with listening(app, session_id, byWord=True, lastEventId="1") as second:
        await second.until(lambda ear: WHOLE in ear.shown)
        assert second.shown == [WHOLE]
        await stop(app, session_id)
    await sent


async def test_who_comes_back_in_the_middle_is_shown_how_far_it_is(app, other, server):
    server.will(HANGS_IN_REPLY)
    _, session_id = await a_session(app)
    async with listening(app, session_id) as first:
        sent = sending(app, session_id)
        await first.until(lambda ear: ear.shown == [LEAD])
    async with listening(other, session_id, "doctor", lastEventId="1") as second:
        await second.until(lambda ear: ear.shown == [LEAD])
        assert app.database.in_use == other.database.in_use == 0
        await stop(other, session_id)
    await sent


async def test_when_the_process_is_gone_another_answers_and_what_was_shown_gives_way(app, other, owner, server):
    server.will(HANGS_IN_REPLY, grows(reply_to))
    _, session_id = await a_session(app)
    async with listening(other, session_id) as ear:
        sent = sending(app, session_id)
        await ear.until(lambda ear: ear.shown == [LEAD])
        sent.cancel()
        await asyncio.gather(sent, return_exceptions=True)
        await owner.execute("UPDATE jobs SET run_after = clock_timestamp() WHERE state <> 'done'")
        job = await outbox.claim(other.database, list(other.worker.handlers))
        await other.worker.handlers[job.kind](job)
        await ear.until(lambda ear: len(ear.lines) == 3)
        assert ear.lines[-1] == ("model", WHOLE)
    assert await broken(owner) == []


async def test_a_listener_who_did_not_ask_hears_lines_only(app, server):
    server.will(grows(reply_to))
    _, session_id = await a_session(app)
    async with listening(app, session_id, growing=False) as ear:
        await sending(app, session_id)
        await ear.until(lambda ear: len(ear.lines) == 3)
        assert ear.shown == []


async def test_a_sentence_that_may_not_be_said_is_never_shown_and_the_scripted_question_comes(app, owner, server):
    harm = f"{LEAD} Take two tablets of paracetamol. {QUESTION}"
    server.will(grows(lambda _: json.dumps({"reply": harm, "facts": [], "reasoning": ""}), pause_s=0.02))
    _, session_id = await a_session(app)
    async with listening(app, session_id) as ear:
        answer = (await sending(app, session_id))["aiMessage"]
        await ear.until(lambda ear: len(ear.lines) == 3)
        assert LEAD in ear.shown
        assert set(ear.shown) <= {LEAD, ""}
    assert answer["text"].endswith(QUESTION)
    assert "paracetamol" not in answer["text"]
    assert await owner.fetchval("SELECT turn_state FROM chat_messages WHERE role = 'user'") == "answered_fallback"


async def test_what_breaks_off_is_taken_back_and_the_next_attempt_is_shown(app, server):
    server.will(grows(reply_to, until=f"{LEAD} ", pause_s=0.02, then=ends), grows(reply_to, pause_s=0.02))
    _, session_id = await a_session(app)
    async with listening(app, session_id) as ear:
        await sending(app, session_id)
        await ear.until(lambda ear: len(ear.lines) == 3)
        # Two states that follow at once may be told as the later one; none comes out of order, and nothing else comes.
        states = iter([LEAD, "", LEAD, WHOLE])
        assert all(shown in states for shown in ear.shown)
        assert ear.shown[-1] == WHOLE


async def test_an_emergency_is_answered_by_fixed_text_and_nothing_grows(app, server):
    server.will(grows(reply_to))
    _, session_id = await a_session(app)
    async with listening(app, session_id) as ear:
        answer = (await sending(app, session_id, EMERGENCY))["aiMessage"]
        await ear.until(lambda ear: len(ear.lines) == 3)
        assert (answer["isEmergency"], ear.shown, server.calls) == (True, [], [])


# -- stop --------------------------------------------------------------------------------------------------------


async def test_stop_keeps_what_was_shown_marked_and_ends_the_call_wherever_it_runs(app, other, owner, server):
    server.will(HANGS_IN_REPLY)
    _, session_id = await a_session(app)
    async with listening(app, session_id) as ear:
        sent = sending(app, session_id)
        await ear.until(lambda ear: ear.shown == [LEAD])
        stopped, began = await stop(other, session_id), time.monotonic()
        answer = (await sent)["aiMessage"]
        assert time.monotonic() - began < 1.5
        await ear.until(lambda ear: len(ear.lines) == 3)
        assert ear.lines[-1] == ("model", LEAD)
        assert ear.shown == [LEAD]
    assert (stopped["text"], stopped["isStopped"], stopped["choices"]) == (LEAD, True, [])
    assert (answer["id"], answer["isStopped"]) == (stopped["id"], True)
    (line,) = [
        each
        for each in (await caller(other, "doctor").call("intake.getSession", sessionId=session_id))["messages"]
        if each["text"] == LEAD
    ]
    assert line["isStopped"] is True
    await app.relay.written()
    (call,) = await owner.fetch("SELECT outcome, detail, input_tokens, output_tokens FROM model_calls")
    assert (call["outcome"], call["detail"]) == ("stopped", "left")
    # The provider told no tokens, and bills what it said: a cap counts what was asked and heard.
    asked = len(server.calls[0].instructions) + len(server.calls[0].user_text)
    assert asked / 4 < call["input_tokens"] <= asked / 2
    assert len(LEAD) / 4 < call["output_tokens"] <= len(LEAD)
    assert await owner.fetchval("SELECT count(*) FROM model_breakers WHERE failures > 0") == 0
    assert server.calls[0].closed_at - began < 1.5
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'intake_response_stopped'") == 1
    assert await owner.fetchval("SELECT count(*) FROM jobs WHERE kind = 'take_turn' AND state <> 'done'") == 0
    assert await broken(owner) == []


async def test_a_question_that_was_not_shown_whole_is_not_taken_as_asked(app, owner, server):
    server.will(HANGS_IN_REPLY, says(reply_to))
    _, session_id = await a_session(app)
    async with listening(app, session_id) as ear:
        sent = sending(app, session_id)
        await ear.until(lambda ear: ear.shown == [LEAD])
        await stop(app, session_id)
        await sent
    assert (await record_of(owner))["pending"] is None
    answer = (await tell(app, session_id, "No"))["aiMessage"]
    assert answer["text"].endswith(QUESTION)
    assert (await record_of(owner))["pending"] == "who"


async def test_a_question_that_was_shown_whole_is_asked_though_it_was_stopped(app, owner, server):
    server.will(HANGS_IN_FACTS, says(reply_to))
    _, session_id = await a_session(app)
    async with listening(app, session_id) as ear:
        sent = sending(app, session_id)
        await ear.until(lambda ear: WHOLE in ear.shown)
        assert (await stop(app, session_id))["text"] == WHOLE
        await sent
    await tell(app, session_id, "Jane, 34, female")
    assert (await record_of(owner))["answers"]["name"]["value"] == "Jane"


async def test_stop_before_anything_was_shown_brings_the_scripted_question_at_once(app, owner, server):
    server.will(hang)
    _, session_id = await a_session(app)
    sent = sending(app, session_id)
    await asyncio.sleep(0.5)
    assert server.calls
    began, stopped = time.monotonic(), await stop(app, session_id)
    answer = (await sent)["aiMessage"]
    assert time.monotonic() - began < 1.5
    assert answer["id"] == stopped["id"]
    assert stopped["text"].endswith(QUESTION)
    assert not stopped["isStopped"]
    assert await broken(owner) == []
    await app.relay.written()
    (call,) = await owner.fetch("SELECT outcome, detail FROM model_calls")
    assert (call["outcome"], call["detail"]) == ("stopped", "left")
    assert await owner.fetchval("SELECT count(*) FROM model_breakers WHERE failures > 0") == 0


async def test_whoever_stops_every_reply_is_worded_for_all_the_same(app, owner, server):
    server.will(hang, HANGS_IN_REPLY, hang, HANGS_IN_REPLY, good())
    _, session_id = await a_session(app)
    for calls, text in enumerate(("It is about me", "Jane, 34, female", "a bad headache since Monday", "No"), 1):
        sent = sending(app, session_id, text)
        await asyncio.sleep(0.5)
        assert len(server.calls) == calls
        await stop(app, session_id)
        await sent
        await app.relay.written()
    assert await app.relay.book.resting() == []
    await tell(app, session_id, "in front, throbbing, it does not spread")
    assert len(server.calls) == 5
    states = await owner.fetch("SELECT turn_state FROM chat_messages WHERE role = 'user' ORDER BY seq")
    assert states[-1]["turn_state"] == "answered_ai"


async def test_stop_with_nothing_on_its_way_changes_nothing(app, owner, server):
    server.will(says(reply_to))
    _, session_id = await a_session(app)
    assert await stop(app, session_id) is None
    sent = await tell(app, session_id, "It is about me")
    asked = str(sent["userMessage"]["id"])
    assert (await stop(app, session_id, messageId=asked))["id"] == sent["aiMessage"]["id"]
    assert await stop(app, session_id) is None
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'intake_response_stopped'") == 0


async def test_many_stops_at_once_leave_one_reply(app, other, owner, server):
    server.will(HANGS_IN_REPLY)
    _, session_id = await a_session(app)
    async with listening(app, session_id) as ear:
        sent = sending(app, session_id)
        await ear.until(lambda ear: ear.shown == [LEAD])
        asked = str(await owner.fetchval("SELECT id FROM chat_messages WHERE role = 'user'"))
        stops = await asyncio.gather(*(stop(each, session_id, messageId=asked) for each in (app, other) * 4))
        answer = (await sent)["aiMessage"]
    assert {each["id"] for each in stops} == {answer["id"]}
    assert await broken(owner) == []


async def test_a_deployment_may_show_replies_only_whole(clinic, server, vendor):
    server.will(grows(reply_to))
    async with a_process(clinic, settings_for(vendor, server.url, is_streaming=False)) as app:
        _, session_id = await a_session(app)
        server.will(says(reply_to))
        async with listening(app, session_id) as ear:
            await sending(app, session_id)
            await ear.until(lambda ear: len(ear.lines) == 3)
            assert ear.shown == []
        assert not server.calls[0].is_growing
