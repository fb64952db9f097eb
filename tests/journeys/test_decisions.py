"""A clinician's decision, from the procedure to the database, and the note as a document."""

import json
from urllib.parse import urlencode

import pytest

from anamnesis.db.encryption import LOWERINGS
from anamnesis.kernel.errors import BadInput, Conflict, NotFound, NotPermitted
from build import WHOLE_INTAKE, a_doctor, a_session, an_app, caller, closing, http, stored, tell

DANGER = "crushing chest pain and I am sweating"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def an_emergency(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, "It is about me", DANGER)
    return session_id


def lower(app, session_id, *, who="doctor", to="routine", reason="Spoke to her, muscle pain"):
    return caller(app, who).call("handover.lowerUrgency", sessionId=session_id, to=to, reason=reason)


async def inbox_of(app):
    return (await caller(app, "doctor").call("handover.getInbox"))["cases"][0]


async def test_a_doctor_lowers_it_with_a_reason_that_is_audited(app, owner):
    session_id = await an_emergency(app)
    assert (await inbox_of(app))["reason"].startswith("chest pain")
    assert (await lower(app, session_id))["colour"] == "green"
    assert (await inbox_of(app))["colour"] == "green"
    case = await caller(app, "doctor").call("handover.getCase", sessionId=session_id)
    assert case["lowered"]["reason"] == "Spoke to her, muscle pain"
    line = await owner.fetchrow("SELECT metadata FROM audit_logs WHERE action = 'urgency_lowered'")
    assert json.loads(line["metadata"]) == {"from": "emergency", "to": "routine"}
    assert [row["reason"] for row in await stored(owner, LOWERINGS)] == ["Spoke to her, muscle pain"]


async def test_later_danger_raises_it_again(app):
    session_id = await an_emergency(app)
    await lower(app, session_id)
    await tell(app, session_id, "thank you")
    assert (await inbox_of(app))["colour"] == "green"
    await tell(app, session_id, DANGER)
    assert (await inbox_of(app))["colour"] == "red"


async def test_danger_told_after_the_case_was_looked_at_is_not_settled_unseen(app):
    session_id = await an_emergency(app)
    doctor = caller(app, "doctor")
    seen = await doctor.call("handover.getCase", sessionId=session_id)
    await tell(app, session_id, "I have swallowed rat poison")
    decision = {"sessionId": session_id, "to": "routine", "reason": "Spoke to her, muscle pain"}
    with pytest.raises(Conflict, match="Something new was told"):
        await doctor.call("handover.lowerUrgency", **decision, basis=seen["basis"])
    assert (await inbox_of(app))["colour"] == "red"
    again = await doctor.call("handover.getCase", sessionId=session_id)
    assert (await doctor.call("handover.lowerUrgency", **decision, basis=again["basis"]))["colour"] == "green"


async def test_an_answer_that_tells_no_danger_keeps_the_decision_good(app):
    session_id = await an_emergency(app)
    seen = await caller(app, "doctor").call("handover.getCase", sessionId=session_id)
    await tell(app, session_id, "thank you")
    await caller(app, "doctor").call(
        "handover.lowerUrgency", sessionId=session_id, to="urgent", reason="Spoke to her", basis=seen["basis"]
    )
    assert (await inbox_of(app))["colour"] == "yellow"


async def test_the_page_says_that_something_new_was_told_and_shows_it(app):
    session_id = await an_emergency(app)
    path = f"/doctor/case/{session_id}"
    _, _, page = await http(app.asgi(), "GET", path, who="doctor")
    basis = page.split('name="basis" value="')[1].split('"')[0]
    await tell(app, session_id, "I have swallowed rat poison")
    form = urlencode({"to": "routine", "reason": "Spoke to her", "basis": basis}).encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    status, _, page = await http(app.asgi(), "POST", f"{path}/urgency", who="doctor", body=form, headers=kind)
    assert status == 200
    assert "Something new was told" in page
    assert "rat poison" in page
    assert (await inbox_of(app))["colour"] == "red"


async def test_the_patient_sees_nothing_of_it(app):
    session_id = await an_emergency(app)
    patient = caller(app, "patient")
    before = await patient.call("intake.getSession", sessionId=session_id)
    await lower(app, session_id, reason="CANARY-REASON")
    after = await patient.call("intake.getSession", sessionId=session_id)
    assert after["session"]["medicalData"]["vitalsData"] == before["session"]["medicalData"]["vitalsData"]
    assert after["messages"] == before["messages"]
    assert "CANARY-REASON" not in repr(after)
    with pytest.raises(NotPermitted):
        await lower(app, session_id, who="patient", to="routine")


async def test_another_doctor_cannot(app):
    session_id = await an_emergency(app)
    await a_doctor(app, "other")
    with pytest.raises(NotFound):
        await lower(app, session_id, who="other")
    assert (await inbox_of(app))["colour"] == "red"


@pytest.mark.parametrize("wrong", [{"reason": "  "}, {"to": "emergency"}, {"to": "nothing"}])
async def test_without_a_reason_or_a_lower_level_nothing_changes(app, wrong):
    session_id = await an_emergency(app)
    with pytest.raises(BadInput):
        await lower(app, session_id, **wrong)
    assert (await inbox_of(app))["colour"] == "red"


async def test_what_is_not_more_urgent_cannot_be_lowered(app):
    session_id = await an_emergency(app)
    await lower(app, session_id, to="urgent")
    with pytest.raises(BadInput, match="not more urgent"):
        await lower(app, session_id, to="urgent")


async def test_the_note_comes_as_text_html_and_page_in_two_orders(app):
    _, session_id = await a_session(app)
    doctor = caller(app, "doctor")
    with pytest.raises(NotFound, match="no note yet"):
        await doctor.call("handover.getDocument", sessionId=session_id)
    await tell(app, session_id, *WHOLE_INTAKE)
    text = await doctor.call("handover.getDocument", sessionId=session_id)
    assert text["content"].index("SITUATION") < text["content"].index("RECOMMENDATION")
    for words in ("rules not reviewed by a clinician (draft)", "rules version", "degraded mode", "withheld"):
        assert words in text["content"]
    soap = await doctor.call("handover.getDocument", sessionId=session_id, format="page", order="soap")
    assert soap["mediaType"] == "text/html"
    assert soap["content"].startswith("<!doctype html>")
    assert "<h2>Subjective</h2>" in soap["content"]
    with pytest.raises((NotFound, NotPermitted)):
        await caller(app, "patient").call("handover.getDocument", sessionId=session_id)


async def test_the_page_for_paper_names_the_patient_and_is_the_doctors_alone(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    path = f"/doctor/case/{session_id}/print"
    status, _, body = await http(app.asgi(), "GET", path, who="doctor", query="order=soap")
    assert status == 200
    assert "<h1>Patient Test</h1>" in body
    assert "<h2>Subjective</h2>" in body
    status, _, body = await http(app.asgi(), "GET", path, who="patient")
    assert status in (403, 404)
    assert "Subjective" not in body


async def test_rest_gives_the_same(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    path = f"/api/v1/doctor/cases/{session_id}/document"
    status, _, body = await http(app.asgi(), "GET", path, who="doctor", query=b"format=html&order=soap".decode())
    assert status == 200
    assert "Subjective" in body
    status, _, _ = await http(app.asgi(), "GET", path, who="patient")
    assert status in (403, 404)
