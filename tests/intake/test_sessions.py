"""Whole sessions: lists of them, taking one away, beginning again."""

import asyncio
from uuid import UUID, uuid4

import pytest

from anamnesis.kernel.errors import BadInput, NotFound, NotPermitted
from anamnesis.kernel.jobs import JobKind
from build import WHOLE_INTAKE, a_session, an_app, caller, closing, tell
from checker import broken

EMERGENCY = "I have crushing chest pain and I am sweating"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def session_of(app, who, session_id):
    return await caller(app, who).call("intake.getSession", sessionId=session_id)


async def reset(app, session_id, who="patient"):
    return await caller(app, who).call("intake.resetSession", sessionId=session_id)


@pytest.mark.regression("D8")
async def test_a_deleted_session_leaves_every_list_and_keeps_every_word(app, owner):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, "It is about me")
    patient = caller(app, "patient")
    assert await patient.call("intake.deleteSession", sessionId=session_id) == {"success": True}
    assert (await patient.call("intake.getMyIntakeSessions"))["sessions"] == []
    assert (await caller(app, "doctor").call("intake.getDoctorIntakeSessions"))["sessions"] == []
    assert (await patient.call("intake.getMessages", connectionId=connection_id))["messages"] == []
    for name in ("intake.getSession", "intake.deleteSession", "intake.resetSession"):
        with pytest.raises(NotFound):
            await patient.call(name, sessionId=session_id)
    with pytest.raises(NotFound):
        await tell(app, session_id, "still there?")
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE session_id = $1", UUID(session_id)) == 3
    (line,) = await owner.fetch("SELECT metadata FROM audit_logs WHERE action = 'intake_session_deleted'")
    assert connection_id in line["metadata"]


async def test_a_finished_session_is_neither_deleted_nor_begun_again(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    for name in ("intake.deleteSession", "intake.resetSession"):
        with pytest.raises(BadInput):
            await caller(app, "patient").call(name, sessionId=session_id)
    assert (await session_of(app, "patient", session_id))["session"]["status"] == "ready"


async def test_only_its_patient_may(app):
    _, session_id = await a_session(app)
    for who, refusal in (("doctor", NotPermitted), ("stranger", NotFound)):
        for name in ("intake.deleteSession", "intake.resetSession"):
            with pytest.raises(refusal):
                await caller(app, who).call(name, sessionId=session_id)


@pytest.mark.regression("D8")
async def test_beginning_again_keeps_the_id_and_shows_only_the_new_conversation(app, owner):
    _, session_id = await a_session(app)
    await tell(app, session_id, "It is about me", "Jane, 34, female", "I have had a bad headache since Monday")
    answer = await reset(app, session_id)
    assert (answer["success"], str(answer["session"]["id"])) == (True, session_id)
    assert answer["session"]["status"] == "not_started"
    seen = await session_of(app, "patient", session_id)
    assert [line["role"] for line in seen["messages"]] == ["model"]
    assert seen["session"]["medicalData"]["chiefComplaint"] is None
    assert seen["session"]["startedAt"] is None
    told = (await caller(app, "doctor").call("notification.getMyNotifications"))["notifications"]
    assert told[0]["data"]["action"] == "reset"
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE session_id = $1", UUID(session_id)) == 8
    await tell(app, session_id, *WHOLE_INTAKE)
    assert (await session_of(app, "doctor", session_id))["session"]["status"] == "ready"
    assert await broken(owner) == []


async def test_a_danger_that_was_told_outlives_a_new_beginning(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, EMERGENCY)
    await reset(app, session_id)
    case = await caller(app, "doctor").call("handover.getCase", sessionId=session_id)
    assert case["colour"] == "red"
    assert "crushing chest" in str(case)
    inbox = await caller(app, "doctor").call("handover.getInbox")
    assert [str(each["sessionId"]) for each in inbox["cases"]] == [session_id]


async def test_an_emergency_is_not_deleted_by_its_patient(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, EMERGENCY)
    with pytest.raises(BadInput):
        await caller(app, "patient").call("intake.deleteSession", sessionId=session_id)
    assert len((await caller(app, "doctor").call("handover.getInbox"))["cases"]) == 1


async def test_a_message_still_waiting_is_answered_before_the_new_beginning(app, owner):
    _, session_id = await a_session(app)
    await owner.execute(
        "INSERT INTO chat_messages (session_id, seq, role, content, turn_state, sender_id)"
        " SELECT $1, next_seq, 'user', 'wait', 'waiting', (SELECT id FROM users WHERE clerk_id = 'patient')"
        " FROM intake_sessions WHERE id = $1",
        UUID(session_id),
    )
    await owner.execute("UPDATE intake_sessions SET next_seq = next_seq + 1 WHERE id = $1", UUID(session_id))
    await owner.execute("INSERT INTO jobs (kind, subject) VALUES ('take_turn', $1)", UUID(session_id))
    await reset(app, session_id)
    await app.worker.handlers[JobKind.TAKE_TURN](await claimed(app))
    assert [line["role"] for line in (await session_of(app, "patient", session_id))["messages"]] == ["model"]
    assert await broken(owner) == []


async def claimed(app):
    from anamnesis.db import outbox

    return await outbox.claim(app.database, [JobKind.TAKE_TURN])


async def test_sends_and_new_beginnings_at_once_break_nothing(app, owner):
    _, session_id = await a_session(app)

    async def one(number):
        await asyncio.sleep(number * 0.003)
        if number % 5 == 4:
            await reset(app, session_id)
        else:
            await caller(app, "patient").call(
                "intake.sendMessage", sessionId=session_id, content=f"it hurts {number}", clientMessageId=str(uuid4())
            )

    await asyncio.gather(*(one(number) for number in range(25)))
    assert await broken(owner) == []


async def test_sessions_are_listed_by_connection_in_the_wanted_order(app):
    connection_id, first = await a_session(app)
    other, second = await a_session(app, doctor="second")
    patient = caller(app, "patient")
    third = str((await patient.call("intake.createNewSession", connectionId=connection_id))["id"])
    await tell(app, first, *WHOLE_INTAKE)

    async def listed(**given):
        groups = (await patient.call("intake.getAllSessionsWithAppointments", **given))["groupedSessions"]
        return [[str(each["id"]) for each in group["sessions"]] for group in groups]

    assert await listed(status="all") == [[third, first], [second]]
    assert await listed(sortBy="oldest") == [[first, third], [second]]
    assert await listed(sortBy="completeness") == [[first, third], [second]]
    assert await listed(status="completed") == [[first]]
    assert await listed(status="active") == [[third], [second]]
    groups = (await patient.call("intake.getAllSessionsWithAppointments", status="all"))["groupedSessions"]
    assert groups[0]["sessions"][0]["linkedAppointment"] is None
    assert [str(group["connection"]["id"]) for group in groups] == [connection_id, other]


async def test_what_an_appointment_can_be_about(app):
    connection_id, session_id = await a_session(app)
    patient = caller(app, "patient")

    async def linkable():
        found = await patient.call("intake.getSessionsForAppointmentLinking", connectionId=connection_id)
        return [str(each["id"]) for each in found["sessions"]]

    assert await linkable() == []
    await tell(app, session_id, *WHOLE_INTAKE)
    assert await linkable() == [session_id]
    for who, refusal in (("doctor", NotPermitted), ("stranger", NotFound)):
        with pytest.raises(refusal):
            await caller(app, who).call("intake.getSessionsForAppointmentLinking", connectionId=connection_id)


async def test_stored_guidelines_are_the_doctors_alone(app, owner):
    connection_id, session_id = await a_session(app)
    doctor = caller(app, "doctor")
    found = await doctor.call("intake.getUCGRecommendations", connectionId=connection_id)
    assert found["recommendations"] is None
    await owner.execute('UPDATE intake_sessions SET medical_data = \'{"ucgRecommendations": "chapter 4"}\'')
    found = await doctor.call("intake.getUCGRecommendations", connectionId=connection_id)
    assert (found["recommendations"], str(found["sessionId"])) == ("chapter 4", session_id)
    with pytest.raises(NotPermitted):
        await caller(app, "patient").call("intake.getUCGRecommendations", connectionId=connection_id)
    assert "chapter 4" not in str(await session_of(app, "patient", session_id))


async def test_the_latest_session_is_reviewed_by_its_connection(app):
    connection_id, session_id = await a_session(app)
    doctor = caller(app, "doctor")
    with pytest.raises(BadInput):
        await doctor.call("intake.markReviewed", connectionId=connection_id)
    await tell(app, session_id, *WHOLE_INTAKE)
    answer = await doctor.call("intake.markReviewed", connectionId=connection_id)
    assert (answer["success"], answer["session"]["status"]) == (True, "reviewed")
    with pytest.raises(NotFound):
        await caller(app, "operator").call("intake.markReviewed", connectionId=connection_id)


async def test_no_file_is_in_a_session_and_a_stranger_does_not_learn_that(app):
    _, session_id = await a_session(app)
    assert await caller(app, "patient").call("intake.getSessionFiles", sessionId=session_id) == {"files": []}
    with pytest.raises(NotFound):
        await caller(app, "stranger").call("intake.getSessionFiles", sessionId=session_id)
