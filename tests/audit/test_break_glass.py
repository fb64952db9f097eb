"""A doctor who is not connected reads a case in an emergency: with a reason, for half an hour, and all are told."""

from urllib.parse import urlencode

import pytest

from anamnesis.db.encryption import EMERGENCIES
from anamnesis.kernel.errors import BadInput, NotFound, NotPermitted
from build import ORIGIN, a_doctor, a_session, an_app, caller, closing, http, stored, tell

REASON = "Unconscious in our emergency room"
NOWHERE = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


@pytest.fixture
async def case(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, "My knee hurts")
    await a_doctor(app, "helper")
    return session_id


def breaks(app, session_id, who="helper", reason=REASON):
    return caller(app, who).call("handover.breakGlass", sessionId=session_id, reason=reason)


async def test_the_case_can_be_read_while_the_glass_is_broken_and_no_longer(app, owner, case):
    helper = caller(app, "helper")
    with pytest.raises(NotFound):
        await helper.call("intake.getSession", sessionId=case)
    await breaks(app, case)
    minutes = await owner.fetchval("SELECT extract(epoch FROM ends_at - opened_at) / 60 FROM emergency_accesses")
    assert round(minutes, 1) == 30
    assert (await helper.call("intake.getSession", sessionId=case))["messages"]
    await helper.call("handover.getCase", sessionId=case)
    await owner.execute("UPDATE emergency_accesses SET ends_at = clock_timestamp()")
    for name in ("intake.getSession", "handover.getCase"):
        with pytest.raises(NotFound):
            await helper.call(name, sessionId=case)


async def test_every_use_is_marked_in_the_trail_with_its_opening(app, owner, case):
    await breaks(app, case)
    await caller(app, "helper").call("intake.getSession", sessionId=case)
    await caller(app, "helper").call("handover.getCase", sessionId=case)
    rows = await owner.fetch("SELECT action, patient_ids FROM audit_logs WHERE purpose = 'break_glass' ORDER BY id")
    assert [row["action"] for row in rows] == ["break_glass_opened", "intake.getSession", "handover.getCase"]
    assert {tuple(row["patient_ids"]) for row in rows} == {
        (await owner.fetchval("SELECT patient_id FROM connections"),)
    }
    assert REASON not in repr(await owner.fetch("SELECT * FROM audit_logs"))
    assert [row["reason"] for row in await stored(owner, EMERGENCIES)] == [REASON]


async def test_patient_doctor_and_operators_are_told_without_a_word_about_health(app, owner, case):
    await owner.execute("UPDATE users SET primary_role = 'super_admin' WHERE clerk_id = 'operator'")
    await breaks(app, case)
    told = await owner.fetch(
        "SELECT u.clerk_id, n.title, n.message, n.data FROM notifications n JOIN users u ON u.id = n.user_id"
        " WHERE n.type = 'emergency_access'"
    )
    assert {row["clerk_id"] for row in told} == {"patient", "doctor", "operator"}
    assert "knee" not in repr(told)
    assert REASON not in repr(told)


async def test_the_glass_lets_nobody_write_and_shows_no_direct_messages(app, case, owner):
    connection_id = str(await owner.fetchval("SELECT id FROM connections"))
    await breaks(app, case)
    helper = caller(app, "helper")
    refused = [
        ("intake.sendMessage", {"sessionId": case, "content": "hello"}),
        ("intake.markAsReviewed", {"sessionId": case}),
        ("handover.lowerUrgency", {"sessionId": case, "to": "routine", "reason": "Seen"}),
        ("intake.addMessage", {"connectionId": connection_id, "content": "x"}),
        ("message.send", {"connectionId": connection_id, "content": "hello"}),
        ("message.getConversation", {"connectionId": connection_id}),
        ("connection.disconnect", {"connectionId": connection_id}),
    ]
    for name, given in refused:
        with pytest.raises(NotFound):
            await helper.call(name, **given)


async def test_it_opens_one_connection_to_one_doctor(app, owner, case):
    doctor = str(
        await owner.fetchval("SELECT d.id FROM doctors d JOIN users u ON u.id = d.user_id WHERE clerk_id = 'doctor'")
    )
    connection = await caller(app, "other").call("connection.create", doctorId=doctor)
    session = await caller(app, "other").call("intake.create", connectionId=str(connection["id"]))
    await a_doctor(app, "bystander")
    await breaks(app, case)
    for who, session_id in (("helper", str(session["id"])), ("bystander", case)):
        with pytest.raises(NotFound):
            await caller(app, who).call("intake.getSession", sessionId=session_id)


async def test_the_inbox_has_a_form_that_leads_to_the_case(app, case):
    asgi, form = app.asgi(), {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN}
    body = urlencode({"sessionId": case, "reason": REASON}).encode()
    _, _, inbox = await http(asgi, "GET", "/doctor", who="helper")
    assert 'action="/doctor/emergency"' in inbox
    status, headers, _ = await http(asgi, "POST", "/doctor/emergency", who="helper", body=body, headers=form)
    assert (status, headers["location"]) == (303, f"/doctor/case/{case}")
    status, _, page = await http(asgi, "GET", f"/doctor/case/{case}", who="helper")
    assert status == 200
    assert "My knee hurts" in page


async def test_only_a_verified_doctor_learns_whether_there_is_such_a_case(app, case):
    await a_doctor(app, "unproven", verified=False)
    for who in ("patient", "stranger", "unproven", "operator"):
        for session_id in (case, NOWHERE):
            with pytest.raises(NotPermitted):
                await breaks(app, session_id, who)
    with pytest.raises(NotPermitted):
        await breaks(app, case, "doctor")
    with pytest.raises(NotFound):
        await breaks(app, NOWHERE)


async def test_a_doctor_who_is_no_longer_verified_sees_nothing_more(app, owner, case):
    await breaks(app, case)
    await owner.execute(
        "UPDATE doctors SET verification_status = 'rejected'"
        " WHERE user_id = (SELECT id FROM users WHERE clerk_id = 'helper')"
    )
    with pytest.raises(NotFound):
        await caller(app, "helper").call("intake.getSession", sessionId=case)


@pytest.mark.parametrize("reason", ["", "urgent", "x" * 501])
async def test_a_reason_is_given(app, case, reason):
    with pytest.raises(BadInput):
        await breaks(app, case, reason=reason)


async def test_the_application_cannot_lengthen_or_hide_an_opening(database):
    for statement in ("UPDATE emergency_accesses SET ends_at = now()", "DELETE FROM emergency_accesses"):
        with pytest.raises(Exception, match="permission denied"):
            await database.execute(statement)
