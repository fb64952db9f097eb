"""The whole way: HTTP to PostgreSQL and back, no model."""

import asyncio
import json
import re
from uuid import UUID, uuid4

import pytest

from anamnesis.db.viewing import Purpose, at_work, viewing
from anamnesis.intake.store import PostgresIntakeStore
from anamnesis.kernel.errors import Conflict, NotFound, NotPermitted
from anamnesis.settings import Settings
from build import WHOLE_INTAKE, a_doctor, a_session, an_app, caller, closing, http, tell


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


@pytest.mark.proves("I19")
async def test_a_whole_intake_ends_in_a_hand_over_the_doctor_reads_and_reviews(app):
    connection_id, session_id = await a_session(app)
    last = await tell(app, session_id, *WHOLE_INTAKE)
    assert last["isReady"]
    assert last["completeness"] == 100
    sbar = (await caller(app, "doctor").call("intake.getSBAR", connectionId=connection_id))["sbar"]
    assert "penicillin" in sbar["background"]
    reviewed = await caller(app, "doctor").call("intake.markAsReviewed", sessionId=session_id)
    assert reviewed["status"] == "reviewed"
    after = await tell(app, session_id, "one more thing")
    assert after["isReady"]
    view = await caller(app, "patient").call("intake.getSession", sessionId=session_id)
    assert view["session"]["status"] == "reviewed"
    assert [message["role"] for message in view["messages"][-2:]] == ["user", "model"]


async def test_an_interview_begun_since_hides_no_note(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    doctor = caller(app, "doctor")
    before = (await doctor.call("intake.getSBAR", connectionId=connection_id))["sbar"]
    await caller(app, "patient").call("intake.createNewSession", connectionId=connection_id)
    assert (await doctor.call("intake.getSBAR", connectionId=connection_id))["sbar"] == before is not None


async def test_every_statement_of_the_stored_note_quotes_a_message_of_this_session(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    case = await caller(app, "doctor").call("handover.getCase", sessionId=session_id)
    view = await caller(app, "doctor").call("intake.getSession", sessionId=session_id)
    texts = {str(message["id"]): message["text"] for message in view["messages"]}
    items = [item for s in case["sections"] for each in s["statements"] for item in each["evidence"]]
    assert len(items) > 10
    assert all(item["quote"] in texts[item["messageId"]] for item in items if item["messageId"] != "profile")


@pytest.mark.proves("I20")
@pytest.mark.regression("D3")
async def test_an_emergency_is_answered_by_fixed_text_and_leads_the_inbox(app):
    profile = await a_doctor(app)
    sessions = {}
    for who in ("calm", "ill"):
        connection = await caller(app, who).call("connection.create", doctorId=str(profile["id"]))
        session = await caller(app, who).call("intake.create", connectionId=str(connection["id"]))
        sessions[who] = str(session["id"])
    await tell(app, sessions["calm"], "It is about me", who="calm")
    answer = await tell(app, sessions["ill"], "crushing chest pain and I am sweating", who="ill")
    assert answer["aiMessage"]["isEmergency"]
    assert "999" in answer["aiMessage"]["text"]
    assert answer["updatedMedicalData"]["vitalsData"]["triageDecision"] == "emergency"
    inbox = (await caller(app, "doctor").call("handover.getInbox"))["cases"]
    assert [case["colour"] for case in inbox] == ["red", "unknown"]


@pytest.mark.proves("I3", "I4")
@pytest.mark.regression("R1")
async def test_the_same_message_id_is_one_message_and_other_words_are_refused(app):
    _, session_id = await a_session(app)
    key = str(uuid4())
    send = {"sessionId": session_id, "clientMessageId": key}
    patient = caller(app, "patient")
    first = await patient.call("intake.sendMessage", content="It is about me", **send)
    again = await patient.call("intake.sendMessage", content="It is about me", **send)
    assert first["userMessage"]["id"] == again["userMessage"]["id"]
    assert first["aiMessage"]["id"] == again["aiMessage"]["id"]
    with pytest.raises(Conflict):
        await patient.call("intake.sendMessage", content="something else", **send)


@pytest.mark.proves("I5")
async def test_equal_words_under_two_ids_are_two_messages(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, "no", "no")
    view = await caller(app, "patient").call("intake.getSession", sessionId=session_id)
    assert [m["text"] for m in view["messages"] if m["role"] == "user"] == ["no", "no"]


async def test_twenty_creates_at_once_open_one_session(app):
    profile = await a_doctor(app)
    patient = caller(app, "patient")
    connection = await patient.call("connection.create", doctorId=str(profile["id"]))
    made = await asyncio.gather(*(patient.call("intake.create", connectionId=str(connection["id"])) for _ in range(20)))
    assert len({session["id"] for session in made}) == 1
    other = await patient.call("intake.createNewSession", connectionId=str(connection["id"]))
    assert other["id"] != made[0]["id"]


@pytest.mark.proves("I27")
@pytest.mark.regression("P4")
async def test_a_doctors_note_is_never_the_patients_to_see(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, "It is about me")
    note = await caller(app, "doctor").call("intake.sendMessage", sessionId=session_id, content="CANARY-NOTE-7")
    assert note["aiMessage"] is None
    patient = caller(app, "patient")
    seen = [
        await patient.call("intake.getSession", sessionId=session_id),
        await patient.call("intake.getMessages", connectionId=connection_id),
        await patient.call("intake.getMyIntakeSessions"),
        await tell(app, session_id, "Jane, 34, female"),
    ]
    assert "CANARY-NOTE-7" not in repr(seen)
    case = await caller(app, "doctor").call("handover.getCase", sessionId=session_id)
    assert [each["text"] for each in case["notes"]] == ["CANARY-NOTE-7"]


async def test_a_note_to_a_connection_that_ends_meanwhile_is_forbidden_and_not_kept(app, monkeypatch):
    connection_id, session_id = await a_session(app)
    add_note = PostgresIntakeStore.add_note

    async def after_the_patient_left(store, *arguments):  # the doctor was let in while the connection stood
        with viewing(at_work(Purpose.JOBS)):
            ended = "UPDATE connections SET status = 'disconnected', disconnected_at = clock_timestamp() WHERE id = $1"
            await store.database.execute(ended, UUID(connection_id))
        return await add_note(store, *arguments)

    monkeypatch.setattr(PostgresIntakeStore, "add_note", after_the_patient_left)
    with pytest.raises(NotPermitted):
        await caller(app, "doctor").call("intake.sendMessage", sessionId=session_id, content="too late")
    with viewing(at_work(Purpose.JOBS)):
        assert await app.database.fetchval("SELECT count(*) FROM clinician_notes") == 0


@pytest.mark.proves("I27")
@pytest.mark.regression("P1")
async def test_the_patient_gets_the_neutral_thought_and_no_hand_over(app):
    _, session_id = await a_session(app)
    last = await tell(app, session_id, *WHOLE_INTAKE)
    neutral = {"differentialDiagnosis": [], "missingInformation": [], "strategy": "", "nextMove": ""}
    assert last["thought"] == neutral
    view = await caller(app, "patient").call("intake.getSession", sessionId=session_id)
    assert view["session"]["doctorThought"] == neutral
    assert view["session"]["clinicalHandover"] is None
    assert view["session"]["medicalData"]["clinicalHandover"] is None


SESSION_CALLS = [
    ("intake.getSession", {}),
    ("intake.sendMessage", {"content": "hello"}),
    ("handover.getCase", {}),
    ("intake.markAsReviewed", {}),
    ("intake.updateSessionName", {"name": "x"}),
]


@pytest.mark.parametrize(("name", "more"), SESSION_CALLS)
@pytest.mark.proves("I26", "I29")
async def test_a_stranger_cannot_tell_a_foreign_session_from_none(app, name, more):
    _, session_id = await a_session(app)
    await a_doctor(app, "stranger")
    said = []
    for wanted in (session_id, str(uuid4())):
        with pytest.raises(NotFound) as refused:
            await caller(app, "stranger").call(name, sessionId=wanted, **more)
        said.append(str(refused.value))
    assert said[0] == said[1]


@pytest.mark.proves("I26")
@pytest.mark.regression("P13")
async def test_after_a_disconnect_the_patient_still_reads_and_the_doctor_does_not(app):
    connection_id, session_id = await a_session(app)
    await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    assert await caller(app, "patient").call("intake.getSession", sessionId=session_id)
    for call, arguments in (
        ("intake.getSession", {"sessionId": session_id}),
        ("intake.getSBAR", {"connectionId": connection_id}),
        ("message.getConversation", {"connectionId": connection_id}),
    ):
        with pytest.raises(NotPermitted):
            await caller(app, "doctor").call(call, **arguments)
    with pytest.raises(NotPermitted):
        await tell(app, session_id, "are you there?")
    with pytest.raises(NotPermitted):
        await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")


@pytest.mark.proves("I26")
@pytest.mark.regression("P6")
async def test_an_unverified_doctor_sees_nobody(app):
    _, session_id = await a_session(app)
    await app.database.execute("UPDATE doctors SET verification_status = 'pending'")
    with pytest.raises(NotPermitted):
        await caller(app, "doctor").call("intake.getSession", sessionId=session_id)
    assert (await caller(app, "doctor").call("handover.getInbox"))["cases"] == []


async def test_direct_messages_keep_their_order_and_are_sent_once(app):
    connection_id, _ = await a_session(app)
    key = str(uuid4())
    patient = caller(app, "patient")
    sends = (
        patient.call("message.send", connectionId=connection_id, content="hi", clientMessageId=key) for _ in range(16)
    )
    answers = await asyncio.gather(*sends)
    assert len({answer["message"]["id"] for answer in answers}) == 1
    for number in range(30):
        await patient.call("message.send", connectionId=connection_id, content=str(number))
    doctor, pages, cursor = caller(app, "doctor"), [], {}
    assert (await doctor.call("message.getUnreadCount"))["count"] == 31
    while True:
        page = await doctor.call("message.getConversation", connectionId=connection_id, limit=7, **cursor)
        pages = [*(each["content"] for each in page["messages"]), *pages]
        if not page["nextCursor"]:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert pages == ["hi", *map(str, range(30))]
    assert (await doctor.call("message.markAsRead", connectionId=connection_id))["markedCount"] == 31
    assert (await doctor.call("message.getUnreadCount"))["count"] == 0


async def test_trpc_and_rest_answer_the_same_session(app):
    _, session_id = await a_session(app)
    asgi = app.asgi()
    query = "input=%7B%22json%22%3A%7B%22sessionId%22%3A%22" + session_id + "%22%7D%7D"
    status, _, text = await http(asgi, "GET", "/api/trpc/intake.getSession", who="patient", query=query)
    assert status == 200
    over_trpc = json.loads(text)["result"]["data"]["json"]
    status, _, text = await http(asgi, "GET", f"/api/v1/intake-sessions/{session_id}", who="patient")
    assert status == 200
    assert json.loads(text)["session"] == over_trpc["session"]


async def test_what_the_replaced_system_had_and_we_lack_says_so(app):
    asgi = app.asgi()
    status, _, _ = await http(asgi, "GET", "/api/trpc/appointment.getById", who="patient")
    assert status == 501
    status, _, _ = await http(asgi, "GET", "/api/trpc/appointment.nonsense", who="patient")
    assert status == 404


async def test_health_says_which_part_and_metrics_name_no_caller(app):
    await a_session(app)
    asgi = app.asgi()
    status, _, text = await http(asgi, "GET", "/api/health")
    body = json.loads(text)
    assert status == 200
    assert body["status"] == "healthy"
    assert body["checks"]["database"] is True
    assert isinstance(body["uptime"], int)
    status, _, text = await http(asgi, "GET", "/readyz")
    assert json.loads(text)["parts"]["migrations"] == "ok"
    assert json.loads(text)["parts"]["durability"] == "down"  # the test server trades it for speed
    assert status == 503
    assert (await http(asgi, "GET", "/livez"))[0] == 200
    await http(asgi, "GET", "/api/trpc/intake.getSession", who="patient")
    status, _, text = await http(asgi, "GET", "/metrics")
    assert 'anamnesis_procedures_total{outcome="' in text or "anamnesis_procedures_total" in text
    assert "patient@" not in text
    assert re.search(r"^anamnesis_audit_unsealed_lines [1-9]", text, re.MULTILINE)


async def test_with_a_token_set_the_metrics_are_shown_to_nobody_without_it(clinic):
    token = "0123456789abcdef-of-prometheus"
    settings = Settings.from_env({"METRICS_TOKEN": token})
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        asgi = app.asgi()
        for shown in (None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {token}", f"Bearer {token}x", "Bearer \xe9"):
            headers = {} if shown is None else {"authorization": shown}
            status, answered, text = await http(asgi, "GET", "/metrics", headers=headers)
            assert (status, answered["www-authenticate"]) == (401, "Bearer"), shown
            assert "anamnesis_" not in text
        assert (await http(asgi, "GET", "/metrics", who="operator"))[0] == 401
        status, _, text = await http(asgi, "GET", "/metrics", headers={"authorization": f"bearer {token}"})
        assert (status, "anamnesis_" in text) == (200, True)
        assert (await http(asgi, "GET", "/livez"))[0] == 200


@pytest.mark.parametrize(
    "left",
    [
        "UPDATE users SET is_active = false WHERE clerk_id = 'doctor'",
        "UPDATE doctors SET verification_status = 'rejected'",
    ],
)
async def test_nothing_is_taken_for_a_doctor_who_would_not_read_it(app, owner, left):
    connection_id, session_id = await a_session(app)
    await owner.execute(left)
    patient = caller(app, "patient")
    with pytest.raises(NotPermitted, match="999"):
        await patient.call("intake.sendMessage", sessionId=session_id, content="hello?")
    with pytest.raises(NotPermitted):
        await patient.call("message.send", connectionId=connection_id, content="hello?")
    with pytest.raises(NotPermitted):
        await patient.call("intake.createNewSession", connectionId=connection_id)
    assert len((await patient.call("intake.getSession", sessionId=session_id))["messages"]) == 1
