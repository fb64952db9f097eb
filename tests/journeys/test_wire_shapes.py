"""The recorded exchanges of the replaced system against ours: keys, kinds and codes, never its sentences."""

from dataclasses import replace

import pytest

from anamnesis.clinical.reasoning import NOTED_BY_MODEL
from anamnesis.db.viewing import viewing
from anamnesis.edge import superjson
from anamnesis.llm.scripted import StubModel
from build import WORKING, a_doctor, a_session, an_app, caller, closing, tell

WORDED = "Could you tell me your name, how old you are, and whether you are male or female?"

#: Keys and kinds as recorded from the genuine client. A name with "?" may be null; Date is a tagged date.
USER = {
    "id": "string", "clerkId": "string", "email": "string", "firstName": "string", "lastName": "string",
    "imageUrl": "string?", "primaryRole": "string", "isActive": "boolean", "createdAt": "Date", "updatedAt": "Date",
}  # fmt: skip
CONNECTION = {
    "id": "string", "patientId": "string", "doctorId": "string", "status": "string", "connectionSource": "string?",
    "connectedAt": "Date", "disconnectedAt": "Date?", "createdAt": "Date",
}  # fmt: skip
SESSION = {
    "id": "string", "connectionId": "string", "name": "string?", "status": "string", "medicalData": "object",
    "clinicalHandover": "object?", "doctorThought": "object?", "completeness": "number", "currentAgent": "string",
    "startedAt": "Date?", "completedAt": "Date?", "reviewedAt": "Date?", "reviewedBy": "string?", "createdAt": "Date",
    "updatedAt": "Date",
}  # fmt: skip
SESSION_ROW = {
    **SESSION, "followUpCounts": "object", "answeredTopics": "array", "consecutiveErrors": "number",
    "aiMessageCount": "number", "hasOfferedConclusion": "boolean", "terminationReason": "string?",
}  # fmt: skip
MEDICAL_DATA = {
    "vitalsData": "object", "chiefComplaint": "string?", "hpi": "string?", "medicalRecords": "array",
    "recordsCheckCompleted": "boolean", "historyCheckCompleted": "boolean", "medications": "array",
    "allergies": "array", "pastMedicalHistory": "array", "familyHistory": "string?", "socialHistory": "string?",
    "reviewOfSystems": "array", "currentAgent": "string", "clinicalHandover": "object?",
    "ucgRecommendations": "string?", "bookingStatus": "string",
}  # fmt: skip
THOUGHT = {
    "differentialDiagnosis": "array", "missingInformation": "array", "strategy": "string", "nextMove": "string",
}  # fmt: skip
CONSIDERED = {"condition": "string", "probability": "string", "reasoning": "string"}
VITALS_DATA = {
    "patientName": "string?", "patientAge": "number?", "patientGender": "string?", "vitalsCollected": "boolean",
    "temperature": "object", "weight": "object", "bloodPressure": "object", "currentStatus": "string?",
    "triageDecision": "string", "triageReason": "string?", "triageFactors": "array", "vitalsStageCompleted": "boolean",
}  # fmt: skip
CHAT_LINE = {
    "id": "string", "role": "string", "text": "string", "images": "undefined", "timestamp": "Date",
    "groundingMetadata": "null", "activeAgent": "string?",
}  # fmt: skip


class Thinking(StubModel):
    async def complete(self, prompt, *, deadline_s):
        return replace(await super().complete(prompt, deadline_s=deadline_s), reasoning="Think of zebras.")


def kind_of(value, note):
    if note is not None:
        return note[0]
    names = {type(None): "null", bool: "boolean", str: "string", int: "number", float: "number", dict: "object"}
    return names.get(type(value), "array")


def check(shape, value, notes=None, path=""):
    """Every recorded key is there, of the recorded kind; more keys are allowed."""
    for name, wanted in shape.items():
        where = f"{path}{name}"
        assert name in value, where
        found = kind_of(value[name], (notes or {}).get(where))
        allowed = {wanted.rstrip("?"), *({"null"} if wanted.endswith("?") else ())}
        assert found in allowed, f"{where} is {found}, recorded {wanted}"


def on_the_wire(value):
    whole = superjson.envelope(value)
    return whole["json"], whole.get("meta", {}).get("values", {})


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def test_people_and_connections_have_the_recorded_shapes(app):
    connection_id, _ = await a_session(app)
    patient = caller(app, "patient")
    json, notes = on_the_wire(await patient.call("user.me"))
    check({**USER, "patient": "object", "doctor": "object?"}, json, notes)
    json, notes = on_the_wire(await patient.call("connection.getMyConnections"))
    assert json["role"] == "patient"
    check({**CONNECTION, "doctor": "object"}, json["connections"][0], notes_under(notes, "connections.0."))
    json, notes = on_the_wire(await patient.call("connection.getById", connectionId=connection_id))
    check({**CONNECTION, "doctor": "object", "patient": "object"}, json, notes)
    check({"firstName": "string", "lastName": "string", "imageUrl": "string?"}, json["doctor"]["user"])


def notes_under(notes, beginning):
    return {path.removeprefix(beginning): note for path, note in notes.items() if path.startswith(beginning)}


async def test_sessions_have_the_recorded_shapes(app):
    connection_id, session_id = await a_session(app)
    patient = caller(app, "patient")
    json, notes = on_the_wire(await patient.call("intake.createNewSession", connectionId=connection_id))
    check(SESSION_ROW, json, notes)
    json, notes = on_the_wire(await patient.call("intake.getSession", sessionId=session_id))
    assert json["userRole"] == "patient"
    check(SESSION, json["session"], notes_under(notes, "session."))
    check(MEDICAL_DATA, json["session"]["medicalData"])
    check(VITALS_DATA, json["session"]["medicalData"]["vitalsData"])
    check(CHAT_LINE, json["messages"][0], notes_under(notes, "messages.0."))
    check({"id": "string", "status": "string", "patientId": "string", "doctorId": "string"}, json["connection"])
    json, notes = on_the_wire(await patient.call("intake.getMyIntakeSessions", connectionId=connection_id))
    check({**SESSION, "connection": "object"}, json["sessions"][0], notes_under(notes, "sessions.0."))
    json, notes = on_the_wire(await caller(app, "doctor").call("intake.getDoctorIntakeSessions"))
    check({**SESSION, "connection": "object"}, json["sessions"][0], notes_under(notes, "sessions.0."))


async def test_a_sent_message_has_the_recorded_shape(app):
    _, session_id = await a_session(app)
    json, notes = on_the_wire(await tell(app, session_id, "It is about me"))
    shape = {
        "userMessage": "object", "aiMessage": "object", "thought": "object", "updatedMedicalData": "object",
        "completeness": "number", "isReady": "boolean",
    }  # fmt: skip
    check(shape, json, notes)
    user = {"id": "string", "role": "string", "text": "string", "images": "undefined", "timestamp": "Date"}
    check(user, json["userMessage"], notes_under(notes, "userMessage."))
    ai = {"id": "string", "role": "string", "text": "string", "timestamp": "Date", "groundingMetadata": "undefined"}
    check({**ai, "activeAgent": "string"}, json["aiMessage"], notes_under(notes, "aiMessage."))


async def test_other_words_for_a_reply_have_the_described_shape_and_a_patients_thought_is_neutral(clinic):
    async with closing(an_app(clinic.app_dsn, model=Thinking(text=WORDED))) as app:
        _, session_id = await a_session(app)
        await tell(app, session_id, "It is about me")
        for who in ("patient", "doctor"):
            json, notes = on_the_wire(await caller(app, who).call("intake.regenerateResponse", sessionId=session_id))
            shape = {
                "aiMessage": "object", "thought": "object", "updatedMedicalData": "object", "completeness": "number",
                "isReady": "boolean",
            }  # fmt: skip
            check(shape, json, notes)
            ai = {"id": "string", "role": "string", "text": "string", "timestamp": "Date", "activeAgent": "string"}
            check({**ai, "groundingMetadata": "undefined"}, json["aiMessage"], notes_under(notes, "aiMessage."))
            check(THOUGHT, json["thought"])
            if who == "patient":
                assert not any(json["thought"].values())
            check(MEDICAL_DATA, json["updatedMedicalData"])


async def test_the_reasoning_of_a_case_has_the_described_shape_with_what_a_model_said_in_it(clinic):
    async with closing(an_app(clinic.app_dsn, model=Thinking(text=WORDED))) as app:
        connection_id, session_id = await a_session(app)
        doctor = caller(app, "doctor")
        await tell(app, session_id, "It is about me")
        with viewing(WORKING):
            stored = {"differentialDiagnosis": [{"condition": "Flu", "probability": "Low", "reasoning": "told"}]}
            await app.database.execute("UPDATE intake_sessions SET doctor_thought = $1", stored)
        json, notes = on_the_wire(await doctor.call("intake.getClinicalReasoning", connectionId=connection_id))
        assert set(json) == {"clinicalReasoning"}
        assert set(json["clinicalReasoning"]) == set(THOUGHT)
        assert notes == {}
        check(THOUGHT, json["clinicalReasoning"])
        (considered,) = json["clinicalReasoning"]["differentialDiagnosis"]
        check(CONSIDERED, considered)
        assert {kind_of(each, None) for each in json["clinicalReasoning"]["missingInformation"]} == {"string"}
        assert json["clinicalReasoning"]["strategy"].endswith(NOTED_BY_MODEL.format("Think of zebras."))
        session = await caller(app, "patient").call("intake.getSession", sessionId=session_id)
        assert not any(on_the_wire(session)[0]["session"]["doctorThought"].values())


async def test_direct_messages_have_the_recorded_shapes(app):
    connection_id, _ = await a_session(app)
    patient = caller(app, "patient")
    json, notes = on_the_wire(await patient.call("message.send", connectionId=connection_id, content="hello"))
    message = {
        "id": "string", "connectionId": "string", "senderId": "string", "content": "string", "isRead": "boolean",
        "readAt": "Date?", "createdAt": "Date",
    }  # fmt: skip
    check(message, json["message"], notes_under(notes, "message."))
    assert isinstance(json["recipientId"], str)
    json, notes = on_the_wire(await patient.call("message.getConversation", connectionId=connection_id))
    check({**message, "sender": "object"}, json["messages"][0], notes_under(notes, "messages.0."))
    assert notes["nextCursor"] == ["undefined"]


async def test_a_public_doctor_has_the_recorded_shape(app):
    profile = await a_doctor(app)
    json, _ = on_the_wire(await caller(app, "patient").call("doctor.getBySlug", slug=profile["slug"]))
    shape = {
        "id": "string", "slug": "string", "specialty": "string?", "clinicName": "string?", "bio": "string?",
        "verificationStatus": "string", "appointmentDuration": "number", "consultationFee": "number?",
        "acceptsPayments": "boolean", "user": "object", "shareUrl": "string", "qrCodeUrl": "string?",
    }  # fmt: skip
    check(shape, json)
