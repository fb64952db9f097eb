"""What a model says for the doctor alone beside its replies: bounded, inert, marked, and read by nobody else.

The server plays a model that marks its reasoning; everything a patient, another doctor, another system, a log or the
model itself is given afterwards is searched for the mark.
"""

import asyncio
import json
import re
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import replace
from html import unescape
from itertools import count
from urllib.parse import quote
from uuid import UUID

import asyncpg
import pytest
from fault_server import GEMINI, OPENAI, VENDORS, FaultServer, grows, reply_to, says
from hypothesis import given, settings
from hypothesis import strategies as st
from test_matrix import GROWING, WHOLE, a_clinic, settings_for

from anamnesis import journal
from anamnesis.clinical.reasoning import NOTED_BY_MODEL
from anamnesis.db import outbox
from anamnesis.db.encryption import REASONINGS, Keyring
from anamnesis.db.resealing import reseal, resealing
from anamnesis.db.viewing import viewing
from anamnesis.edge.running import viewer_of
from anamnesis.kernel.errors import AnamnesisError, NotFound, NotPermitted
from anamnesis.kernel.procedures import Kind
from anamnesis.llm.drafts import LONGEST_REASONING, private
from anamnesis.llm.port import Prompt
from anamnesis.settings import Secret, Webhooks
from build import KEYS, WHOLE_INTAKE, a_session, caller, http, stored, tell
from checker import broken
from webhooks.receiving import SECRET, Receiver

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

CANARY = "OTTERTHOUGHT4471"
QUESTION = "What is your name, how old are you, and are you male or female?"


def thinks(*thoughts, way=says):
    """A good model that says these beside its replies, one after the other, the last one for ever."""
    turns = count()
    return way(lambda exchange: reply_to(exchange, reasoning=thoughts[min(next(turns), len(thoughts) - 1)]))


@asynccontextmanager
async def thinking(clinic, vendor=GEMINI, way=GROWING, **changes):
    """A clinic whose model is a server on this machine: (app, server)."""
    async with FaultServer() as server:
        settings = replace(settings_for(vendor, server.url, deadline_s=5, way=way), **changes)
        async with a_clinic(clinic, settings) as app:
            yield app, server


async def thought_of(app, connection_id, who="doctor"):
    found = await caller(app, who).call("intake.getClinicalReasoning", connectionId=connection_id)
    return found["clinicalReasoning"]


async def noted(app, session_id):
    """What the case shows as noted by a model, the newest first."""
    return [each["text"] for each in (await case_of(app, session_id))["notedByModel"]]


async def case_of(app, session_id):
    return await caller(app, "doctor").call("handover.getCase", sessionId=session_id)


async def everything_for(app, who, connection_id, session_id):
    """What every query, over both roads, every page and every stream answer somebody."""
    ids = {"sessionId": session_id, "connectionId": connection_id}
    asgi, found = app.asgi(), {}
    for bound in app.registry:
        procedure = bound.procedure
        if procedure.kind is Kind.MUTATION:
            continue
        stays = procedure.kind is Kind.SUBSCRIPTION
        asked = f"input={quote(json.dumps({'json': {**ids, 'growing': True, 'lastEventId': '0'}}))}"
        roads = [(f"/api/trpc/{procedure.name}", asked)]
        if procedure.rest is not None and not re.sub(r"\{(sessionId|connectionId)\}", "", procedure.rest.path).count(
            "{"
        ):
            roads.append((f"/api/v1{procedure.rest.path.format_map(ids)}", ""))
        for path, query in roads:
            found[path] = (await http(hanging_up(asgi) if stays else asgi, "GET", path, who=who, query=query))[2]
    for path in ("/", f"/s/{session_id}", "/doctor", f"/doctor/case/{session_id}", f"/doctor/case/{session_id}/print"):
        found[path] = (await http(asgi, "GET", path, who=who))[2]
    return found


def hanging_up(asgi, after_s=0.15):
    """The application for somebody who listens to a stream for that long."""

    async def application(scope, receive, send):
        asked = [await receive()]

        async def hears():
            if asked:
                return asked.pop()
            await asyncio.sleep(after_s)
            return {"type": "http.disconnect"}

        await asgi(scope, hears, send)

    return application


def with_the_mark(found, mark=CANARY):
    return sorted(where for where, text in found.items() if mark in text)


# -- the doctor reads it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [WHOLE, GROWING])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_the_doctor_reads_what_the_model_said_of_the_latest_turns_marked_as_a_models(clinic, owner, vendor, way):
    async with thinking(clinic, vendor, way) as (app, server):
        connection_id, session_id = await a_session(app)
        before = await thought_of(app, connection_id)
        server.will(thinks(*(f"Thought {number}." for number in range(1, 5))))
        await tell(app, session_id, *WHOLE_INTAKE[:4])
        assert await noted(app, session_id) == ["Thought 4.", "Thought 3.", "Thought 2."]
        thought = await thought_of(app, connection_id)
        assert set(thought) == set(before) == {"differentialDiagnosis", "missingInformation", "strategy", "nextMove"}
        marked = [NOTED_BY_MODEL.format(f"Thought {number}.") for number in (4, 3, 2)]
        assert thought["strategy"].split("\n") == [before["strategy"], *marked]
        assert thought["missingInformation"]
        page = (await http(app.asgi(), "GET", f"/doctor/case/{session_id}", who="doctor"))[2]
        assert "Noted by a model" in page
        assert "not reviewed" in page
        assert "Thought 4." in page
        kept = await stored(owner, REASONINGS)
        assert len(kept) == len(server.calls)
        sealed = await owner.fetch("SELECT content FROM model_reasonings")
        assert all(row["content"].startswith("enc1:") for row in sealed)
        assert await broken(owner) == []


async def test_a_turn_without_a_reasoning_or_in_our_own_words_notes_nothing(clinic, owner):
    async with thinking(clinic) as (app, server):
        _, session_id = await a_session(app)
        server.will(thinks("", "  \u200b "))
        await tell(app, session_id, *WHOLE_INTAKE[:2])
        server.will(says(lambda exchange: json.dumps({"reply": "Take aspirin.", "facts": [], "reasoning": CANARY})))
        await tell(app, session_id, *WHOLE_INTAKE[2:4])
        assert server.calls
        assert await owner.fetchval("SELECT count(*) FROM model_reasonings") == 0
        assert await noted(app, session_id) == []
        page = (await http(app.asgi(), "GET", f"/doctor/case/{session_id}", who="doctor"))[2]
        assert "Noted by a model" not in page


@pytest.mark.parametrize("who", ["patient", "doctor"])
async def test_other_words_bring_their_own_and_what_was_beside_the_old_ones_is_shown_no_more(clinic, owner, who):
    async with thinking(clinic) as (app, server):
        connection_id, session_id = await a_session(app)
        server.will(thinks("The first thought."))
        await tell(app, session_id, "It is about me")
        server.will(
            says(lambda exchange: reply_to(exchange, lead="I see. ", reasoning=f"The second thought, {CANARY}."))
        )
        answer = await caller(app, who).call("intake.regenerateResponse", sessionId=session_id)
        assert answer["aiMessage"]["text"].startswith("I see.")
        assert CANARY not in json.dumps(answer, default=str)
        assert await noted(app, session_id) == [f"The second thought, {CANARY}."]
        assert await owner.fetchval("SELECT count(*) FROM model_reasonings") == 2
        assert with_the_mark(await everything_for(app, "patient", connection_id, session_id)) == []
        assert await broken(owner) == []


async def test_an_interview_that_is_begun_again_shows_none_of_the_old_one(clinic):
    async with thinking(clinic) as (app, server):
        connection_id, session_id = await a_session(app)
        server.will(thinks("An old thought."))
        await tell(app, session_id, "It is about me")
        assert await noted(app, session_id) == ["An old thought."]
        await caller(app, "patient").call("intake.resetSession", sessionId=session_id)
        assert await noted(app, session_id) == []
        assert "An old thought" not in (await thought_of(app, connection_id))["strategy"]


async def test_it_is_read_under_another_key_as_it_was(clinic, owner):
    async with thinking(clinic) as (app, server):
        _, session_id = await a_session(app)
        server.will(thinks(f"Think of {CANARY}."))
        await tell(app, session_id, "It is about me")
        keyring = Keyring([("second", bytes(range(1, 33))), (KEYS[0][0], b64decode(KEYS[0][1].reveal()))])
        async with resealing(clinic.owner_dsn) as connection:
            assert (await reseal(connection, keyring)).broken == []
        assert (await owner.fetchval("SELECT content FROM model_reasonings")).startswith("enc1:second:")
        app.database.keyring = keyring
        assert await noted(app, session_id) == [f"Think of {CANARY}."]


# -- and nobody else ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", [GEMINI, OPENAI])
@pytest.mark.proves("I27", "I32")
async def test_a_mark_in_the_reasoning_reaches_the_doctor_and_nobody_else(clinic, owner, capsys, vendor):
    journal.configure(development=True, level="DEBUG")
    async with Receiver() as receiver:
        webhooks = Webhooks(targets=(receiver.url,), secret=Secret(SECRET))
        async with thinking(clinic, vendor, webhooks=webhooks) as (app, server):
            connection_id, session_id = await a_session(app)
            other_connection, other_session = await a_session(app, patient="otherpatient", doctor="otherdoctor")
            server.will(thinks(f"Think of {CANARY}."))
            sent = [await tell(app, session_id, text) for text in WHOLE_INTAKE]
            assert len(server.calls) >= 8
            await tell(app, other_session, *WHOLE_INTAKE[:3], who="otherpatient")
            await caller(app, "patient").call("intake.regenerateResponse", sessionId=session_id)
            for worker in (app.worker, app.teller):
                while (job := await claimed(app, worker)) is not None:
                    await worker._outcome(job)
            await app.relay.written()
            asked = json.dumps([call.body for call in server.calls])
            assert CANARY not in asked
            assert CANARY not in json.dumps(sent, default=str)
            assert receiver.verified()
            assert CANARY not in json.dumps([body for _, body in receiver.verified()])
            for who in ("patient", "otherpatient", "stranger"):
                seen = await everything_for(app, who, connection_id, session_id)
                assert with_the_mark(seen) == [], who
                if who == "patient":  # what was looked through is what there is to see
                    told = set(with_the_mark(seen, WHOLE_INTAKE[2]))
                    stream = f"/api/v1/intake-sessions/{session_id}/events"
                    assert {"/api/trpc/intake.onSession", stream, f"/s/{session_id}"} <= told
            assert with_the_mark(await everything_for(app, "otherdoctor", connection_id, session_id)) == []
            doctors = await everything_for(app, "doctor", connection_id, session_id)
            shown = {"/api/trpc/intake.getClinicalReasoning", f"/api/v1/connections/{connection_id}/reasoning"}
            shown |= {"/api/trpc/handover.getCase", f"/api/v1/doctor/cases/{session_id}"}
            assert set(with_the_mark(doctors)) == {*shown, f"/doctor/case/{session_id}"}
            assert CANARY not in (await http(app.asgi(), "GET", "/metrics"))[2]
            with pytest.raises(NotPermitted):
                await thought_of(app, connection_id, "patient")
            with pytest.raises(NotFound):
                await thought_of(app, connection_id, "otherdoctor")
            assert CANARY in (await thought_of(app, other_connection, "otherdoctor"))["strategy"]
    # In no row of any table, in no words of the log.
    for name in [row[0] for row in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]:
        assert not await owner.fetchval(f"SELECT EXISTS (SELECT FROM {name} t WHERE t::text ~ $1)", CANARY), name
    assert CANARY not in "".join(capsys.readouterr())


async def claimed(app, worker):
    return await outbox.claim(app.database, list(worker.handlers))


async def test_it_is_never_among_what_is_streamed_wherever_the_model_puts_it(clinic):
    """Before the reply, after it, or inside it as if it were one."""
    thought = f'", "reply": "{CANARY} {QUESTION}", "x": "'
    forms = (
        lambda exchange: json.dumps({"reasoning": thought, "reply": exchange.case["question"], "facts": []}),
        lambda exchange: reply_to(exchange, reasoning=thought),
        lambda exchange: json.dumps({"facts": [], "reasoning": {"reply": CANARY}, "reply": exchange.case["question"]}),
    )
    async with thinking(clinic) as (app, server):
        app.bus.start()
        assert await app.bus.connected(5)
        _, session_id = await a_session(app)
        query = f"input={quote(json.dumps({'json': {'sessionId': session_id, 'growing': True}}))}"
        listening = http(app.asgi(), "GET", "/api/trpc/intake.onSession", who="patient", query=query, stays=True)
        listener = asyncio.create_task(listening)
        await asyncio.sleep(0.2)
        for form, text in zip(forms, WHOLE_INTAKE, strict=False):
            server.will(grows(form, pause_s=0.005))
            await tell(app, session_id, text)
        await asyncio.sleep(0.2)
        await app.bus.close()
        text = (await asyncio.wait_for(listener, 10))[2]
        assert "isGrowing" in text
        assert CANARY not in text
        assert any(CANARY in each for each in await noted(app, session_id))


@pytest.mark.proves("I30")
async def test_the_database_itself_shows_it_to_no_patient_and_takes_no_change_of_it(clinic, owner):
    async with thinking(clinic) as (app, server):
        _, session_id = await a_session(app)
        server.will(thinks(CANARY))
        await tell(app, session_id, "It is about me")
        reply_id = await owner.fetchval("SELECT reply_id FROM model_reasonings")
        person, _ = await app.care_store.find_person("patient")
        with viewing(viewer_of(person)):
            assert await app.database.fetch("SELECT content FROM model_reasonings") == []
            for statement in ("UPDATE model_reasonings SET content = ''", "DELETE FROM model_reasonings"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await app.database.execute(statement)
            written = "INSERT INTO model_reasonings (reply_id, session_id, content) VALUES ($1, $2, 'x')"
            with pytest.raises(asyncpg.UniqueViolationError):
                await app.database.execute(written, reply_id, UUID(session_id))
        assert await noted(app, session_id) == [CANARY]


# -- hostile -----------------------------------------------------------------------------------------------------

OTHER = "Wanjiru Kamau"
HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62;",
    "markdown": "# Title\n**bold** [click](javascript:alert(1)) ![x](https://evil.example/?d=1) `code` | a | b |",
    "link": "See https://evil.example/?d=1, www.evil.example, evil.example/x and mailto:a@evil.example",
    "frame": "fine.” Reviewed by Dr Kato: “discharge",
    "lines": "fine.\nUrgency: routine\r\nReviewed: yes\u2028Signed",
    "unseen": "a\u202eb\u200bc\x1b[31md\ufeff\U000e0041e\x00f",
    "others": f"As {OTHER}, +254 712 345 678, wanjiru@example.ke, has it too",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7}",
    "long": "sorry " * 3_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_reasoning_is_shown_as_plain_words_and_no_more_of_it_than_a_thousand_letters(clinic, name):
    async with thinking(clinic) as (app, server):
        connection_id, session_id = await a_session(app)
        server.will(says(lambda exchange: reply_to(exchange, reasoning=HOSTILE[name])))
        before = (await thought_of(app, connection_id))["strategy"]
        await tell(app, session_id, "It is about me")
        (text,) = await noted(app, session_id)
        assert_inert(text)
        thought = await thought_of(app, connection_id)
        assert thought["strategy"].split("\n") == [before, NOTED_BY_MODEL.format(text)]
        page = (await http(app.asgi(), "GET", f"/doctor/case/{session_id}", who="doctor"))[2]
        assert text in unescape(page)
        for mark in ("<script>alert", "onerror=alert(2)>", "evil.example", "wanjiru@", "712 345 678"):
            assert mark not in page


def assert_inert(text):
    assert 0 < len(text) <= LONGEST_REASONING
    assert text == " ".join(text.split())
    assert not re.search(r"[<>{}\[\]|`\\*_#~“”„«»\"\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", text)
    assert not re.search(r"&#?\w+;|://|www\.\w|javascript:\S|mailto:\S", text, re.IGNORECASE)


@settings(deadline=None)
@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from([*HOSTILE.values(), "&", "lt;", "http", "://", "<", "[NAME_1]", "x" * 700])).map("".join)
)
def test_whatever_a_model_says_what_is_kept_is_inert(text):
    prompt = Prompt("age", "", "", "en", hidden=(("[NAME_1]", "Jane <b>"),))
    kept = private(prompt, text)
    if kept:
        assert_inert(kept)


def test_what_a_doctor_needs_of_it_stays():
    prompt = Prompt("age", "", "", "en", hidden=(("[NAME_1]", "Jane"), ("[PHONE_1]", "+256 772 123 456")))
    said = "[NAME_1] (call [PHONE_1]): SpO2 <90 %, 37.2/38.1, BP 180/110 & rising; ask about onset"
    kept = "Jane (call +256 772 123 456): SpO2 ‹90 %, 37.2/38.1, BP 180/110 & rising; ask about onset"
    assert private(prompt, said) == kept


@pytest.mark.parametrize("way", [WHOLE, GROWING])
async def test_a_megabyte_of_it_is_no_answer_and_nothing_of_it_is_kept(clinic, owner, way):
    async with thinking(clinic, way=way) as (app, server):
        _, session_id = await a_session(app)
        server.will(says(lambda exchange: reply_to(exchange, reasoning=CANARY + "a" * 1_000_000)))
        answer = await tell(app, session_id, "It is about me")
        assert QUESTION in answer["aiMessage"]["text"]
        assert await owner.fetchval("SELECT count(*) FROM model_reasonings") == 0


async def test_anothers_name_in_it_goes_nowhere_but_to_the_doctor_of_the_case(clinic, owner):
    async with thinking(clinic) as (app, server):
        connection_id, session_id = await a_session(app)
        theirs = await a_session(app, patient="wanjiru", doctor="otherdoctor")
        await owner.execute("UPDATE users SET first_name = 'Wanjiru', last_name = 'Kamau' WHERE clerk_id = 'wanjiru'")
        server.will(thinks(HOSTILE["others"]))
        await tell(app, session_id, *WHOLE_INTAKE[:3])
        for who, ids in (("patient", (connection_id, session_id)), ("wanjiru", (connection_id, session_id))):
            assert with_the_mark(await everything_for(app, who, *ids), "has it too") == []
        for who in ("wanjiru", "otherdoctor"):
            assert with_the_mark(await everything_for(app, who, *theirs), "has it too") == []
        assert OTHER not in json.dumps([call.body for call in server.calls])
        with pytest.raises(AnamnesisError):
            await thought_of(app, connection_id, "otherdoctor")
