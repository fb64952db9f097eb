"""What a doctor adds to a case: kept once, in the note, and never before the patient's eyes."""

import asyncio
import json
from uuid import uuid4

import pytest
from fault_server import FaultServer, reply_to, says

from anamnesis import journal
from anamnesis.db import outbox
from anamnesis.kernel.errors import BadInput, Conflict, NotFound, NotPermitted
from anamnesis.kernel.jobs import JobKind
from anamnesis.kernel.procedures import Part
from anamnesis.settings import Ai, Limits, Provider, Secret, Settings
from anamnesis.settings import Files as FileSettings
from build import WHOLE_INTAKE, a_doctor, a_session, an_app, caller, closing, http, tell
from files.hostile import image

CANARY = "CANARY-ADDITION-9"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def add(app, connection_id, text=CANARY, who="doctor", **more):
    return await caller(app, who).call("intake.addMessage", connectionId=connection_id, content=text, **more)


@pytest.mark.regression("D9")
async def test_an_addition_stands_in_the_doctors_views_and_in_the_note(app):
    connection_id, session_id = await a_session(app)
    early = await add(app, connection_id, "seen in the waiting room")
    assert early["sbar"] is None
    await tell(app, session_id, *WHOLE_INTAKE)
    added = await add(
        app, connection_id, messageType="exam-finding", metadata={"examSystem": "chest", "messageType": "odd"}
    )
    message = added["message"]
    assert (message["role"], message["contextLayer"], message["text"]) == ("doctor", "doctor-enhancement", CANARY)
    assert message["groundingMetadata"] == {"examSystem": "chest", "messageType": "exam-finding"}
    assert f"Examination by the doctor, {message['timestamp']:%Y-%m-%d}: {CANARY}" in added["sbar"]["assessment"]
    doctor = caller(app, "doctor")
    assert CANARY in (await doctor.call("intake.getSBAR", connectionId=connection_id))["sbar"]["assessment"]
    seen = (await doctor.call("intake.getSession", sessionId=session_id))["messages"]
    assert [line["text"] for line in seen if line["role"] == "doctor"] == ["seen in the waiting room", CANARY]
    assert seen[1]["role"] == "doctor"  # where it was made: after the greeting
    listed = (await doctor.call("intake.getMessages", connectionId=connection_id))["messages"]
    assert [line["contextLayer"] for line in listed].count("doctor-enhancement") == 2
    case = await doctor.call("handover.getCase", sessionId=session_id)
    assert [(note["text"], note["kind"]) for note in case["notes"]][1] == (CANARY, "exam-finding")


async def test_the_note_on_paper_has_what_was_added_where_it_belongs(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    await add(app, connection_id, "crackles <at the left base>", messageType="exam-finding")
    doctor = caller(app, "doctor")
    text = (await doctor.call("handover.getDocument", sessionId=session_id))["content"]
    assessment = text[text.index("ASSESSMENT") : text.index("RECOMMENDATION")]
    assert "crackles <at the left base>" in assessment
    page = await doctor.call("handover.getDocument", sessionId=session_id, format="page", order="soap")
    objective = page["content"].partition("<h2>Objective</h2>")[2].partition("<h2>")[0]
    assert "crackles &lt;at the left base&gt;" in objective


async def test_the_note_that_is_shown_is_of_the_case_that_was_added_to(app, owner):
    connection_id, first = await a_session(app)
    await tell(app, first, *WHOLE_INTAKE)
    await caller(app, "patient").call("intake.createNewSession", connectionId=connection_id)
    await tell(app, first, "one more thing")
    assert CANARY in (await add(app, connection_id))["sbar"]["assessment"]
    shown = await caller(app, "doctor").call("intake.getSBAR", connectionId=connection_id)
    assert CANARY in shown["sbar"]["assessment"]


async def test_what_is_sent_again_after_another_case_was_begun_is_the_same_addition(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    key = str(uuid4())
    first = await add(app, connection_id, clientMessageId=key)
    other = await caller(app, "patient").call("intake.createNewSession", connectionId=connection_id)
    await tell(app, str(other["id"]), "It is about me")
    again = await add(app, connection_id, clientMessageId=key)
    assert again == first
    with pytest.raises(Conflict):
        await add(app, connection_id, "other words", clientMessageId=key)
    listed = (await caller(app, "doctor").call("intake.getMessages", connectionId=connection_id))["messages"]
    assert [line["contextLayer"] for line in listed].count("doctor-enhancement") == 1


@pytest.mark.proves("I27")
@pytest.mark.regression("P2")
async def test_no_response_page_or_notification_carries_it_to_the_patient(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    await add(app, connection_id, metadata={"x": CANARY})
    await caller(app, "doctor").call("intake.sendMessage", sessionId=session_id, content=CANARY)
    patient, seen = caller(app, "patient"), []
    for name, given in {
        "intake.getSession": {"sessionId": session_id},
        "intake.getMessages": {"connectionId": connection_id},
        "intake.getMyIntakeSessions": {},
        "intake.getAllSessionsWithAppointments": {},
        "message.getConversation": {"connectionId": connection_id},
        "message.getConversations": {},
        "notification.getMyNotifications": {},
        "intake.getSessionFiles": {"sessionId": session_id},
    }.items():
        seen.append(await patient.call(name, **given))
    seen.append(await tell(app, session_id, "thank you"))
    seen.append((await http(app.asgi(), "GET", f"/s/{session_id}", who="patient"))[2])
    assert CANARY not in repr(seen)


def answered(exchange):
    """A model's answer to either kind of question."""
    if "lines" in exchange.case:
        return json.dumps({"order": [], "wordings": [], "differential": []})
    return reply_to(exchange)


@pytest.mark.proves("I27")
async def test_no_prompt_and_no_log_line_carries_it(clinic, capsys):
    journal.configure(development=True, level="DEBUG")
    async with FaultServer() as server:
        server.will(says(answered))
        ai = Ai(providers=(Provider.OPENAI,), openai_key=Secret("k"), openai_base_url=f"{server.url}/v1", timeout_s=5.0)
        settings = Settings(ai=ai, consent_recorded_elsewhere=True, limits=Limits(factor=1000))
        async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
            connection_id, session_id = await a_session(app)
            for words in WHOLE_INTAKE:
                await tell(app, session_id, words)
                await add(app, connection_id, metadata={"x": CANARY})
            path, body = f"/api/v1/connections/{connection_id}/additions", json.dumps({"content": CANARY}).encode()
            status, _, _ = await http(app.asgi(), "POST", path, who="doctor", body=body)
            await caller(app, "doctor").call("intake.sendMessage", sessionId=session_id, content=CANARY)
            await app.writer.handlers[JobKind.WORD_NOTE](await outbox.claim(app.database, [JobKind.WORD_NOTE]))
            await app.relay.aclose()
    written = "".join(capsys.readouterr())
    assert (status, "intake.addMessage" in written) == (201, True)
    assert [each for each in server.calls if "lines" in each.case]  # the one that tidies the note, too
    assert CANARY not in json.dumps([each.body for each in server.calls]) + written


async def test_it_is_added_once(app, owner):
    connection_id, _ = await a_session(app)
    key = str(uuid4())
    answers = await asyncio.gather(*(add(app, connection_id, clientMessageId=key) for _ in range(8)))
    assert len({answer["message"]["id"] for answer in answers}) == 1
    for other in ({"text": "other words"}, {"messageType": "test-result"}, {"metadata": {"examSystem": "chest"}}):
        with pytest.raises(Conflict):
            await add(app, connection_id, clientMessageId=key, **other)
    assert await owner.fetchval("SELECT count(*) FROM clinician_notes") == 1
    (told,) = await owner.fetch("SELECT metadata FROM audit_logs WHERE action = 'message_sent'")
    assert CANARY not in told["metadata"]
    assert json.loads(told["metadata"])["contextLayer"] == "doctor-enhancement"


async def test_only_the_doctor_of_the_connection_adds(app):
    connection_id, _ = await a_session(app)
    await a_doctor(app, "another")
    await a_doctor(app, "unverified", verified=False)
    for who, refusal in (
        ("patient", NotPermitted),
        ("another", NotFound),
        ("unverified", NotFound),
        ("operator", NotFound),
    ):
        with pytest.raises(refusal):
            await add(app, connection_id, who=who)
    await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    with pytest.raises(NotPermitted):
        await add(app, connection_id)


async def test_what_cannot_be_added_is_named(app):
    connection_id, _ = await a_session(app)
    for wrong in ({"messageType": "image"}, {"metadata": [1]}, {"metadata": {str(n): n for n in range(51)}}):
        with pytest.raises(BadInput):
            await add(app, connection_id, **wrong)
    with pytest.raises(BadInput):
        await add(app, connection_id, "")
    profile = await a_doctor(app, "second")
    empty = await caller(app, "patient").call("connection.create", doctorId=str(profile["id"]))
    with pytest.raises(NotFound):
        await add(app, str(empty["id"]), who="second")


async def test_a_picture_is_added_only_from_our_own_store_and_by_its_doctor(clinic, tmp_path):
    settings = Settings(limits=Limits(factor=1000), files=FileSettings(folder=str(tmp_path)))
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        await _a_picture_is_added(app)


async def _a_picture_is_added(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)

    async def uploaded(who, colour="seagreen"):
        photo = image(size=(40, 30), colour=colour)

        async def read():
            return photo

        part = Part("scan.jpg", "image/jpeg", len(photo), read)
        kept = await caller(app, who).call("file.upload", sessionId=session_id, files=[part])
        return str(kept["files"][0]["id"])

    async def add_image(image_url, who="doctor", **more):
        return await caller(app, who).call(
            "intake.addImageMessage", connectionId=connection_id, imageUrl=image_url, **more
        )

    own, patients = await uploaded("doctor"), await uploaded("patient")
    for wrong in ("https://elsewhere.example.test/a.png", patients, "nonsense"):
        with pytest.raises(BadInput) as refused:
            await add_image(wrong)
        assert [issue.path for issue in refused.value.issues] == [("imageUrl",)]
    added = await add_image(own, messageType="test-result", caption="Chest film")
    assert own in added["message"]["images"][0]
    assert added["message"]["groundingMetadata"] == {"messageType": "test-result"}
    assert "Test result by the doctor" in added["sbar"]["assessment"]
    key = str(uuid4())
    for _ in range(2):
        assert (await add_image(own, clientMessageId=key))["message"]["text"] == "[image]"
    second = await uploaded("doctor", "red")
    with pytest.raises(Conflict):  # a picture under the id of another one is not taken for it
        await add_image(second, clientMessageId=key)
    case = await caller(app, "doctor").call("handover.getCase", sessionId=session_id)
    assert [(note["kind"], own in note["images"][0]) for note in case["notes"]] == [
        ("test-result", True),
        ("image", True),
    ]
    page = (await http(app.asgi(), "GET", f"/doctor/case/{session_id}", who="doctor"))[2]
    assert page.count("Picture added to the case") == 2
    assert "Test result, " in page
    seen = (await caller(app, "doctor").call("intake.getSession", sessionId=session_id))["messages"]
    assert [len(line["images"]) for line in seen if line["role"] == "doctor"] == [1, 1]
    theirs = repr(await caller(app, "patient").call("intake.getSession", sessionId=session_id))
    assert own not in theirs
    assert "Chest film" not in theirs
    with pytest.raises(NotPermitted):
        await add_image(own, "patient")
