"""Every procedure refuses with the recorded code: no identity, a wrong role, a malformed id, nothing there."""

import json
from urllib.parse import quote
from uuid import uuid4

import pytest

from anamnesis.kernel.procedures import Allow, Kind
from build import WHOLE_INTAKE, a_doctor, a_session, an_app, caller, closing, http, tell

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

NOWHERE = "00000000-0000-4000-8000-000000000000"
STATUS = {"BAD_REQUEST": 400, "UNAUTHORIZED": 401, "FORBIDDEN": 403, "NOT_FOUND": 404, "CONFLICT": 409}


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def ask(app, who, name, given=None):
    """The code of one call's refusal, or OK."""
    procedure = app.registry.find(name).procedure
    payload = {} if given is None else {"json": given}
    if procedure.kind is Kind.MUTATION:
        answer = await http(app.asgi(), "POST", f"/api/trpc/{name}", who=who, body=payload)
    else:
        query = f"input={quote(json.dumps(payload))}" if payload else ""
        answer = await http(app.asgi(), "GET", f"/api/trpc/{name}", who=who, query=query)
    status, _, text = answer
    if status == 200:
        return "OK"
    error = json.loads(text)["error"]["json"]
    assert (error["data"]["httpStatus"], error["data"]["path"]) == (status, name)
    assert STATUS.get(error["data"]["code"], status) == status
    return error["data"]["code"]


def ours(app, *, but=()):
    """Every procedure that is built, but for streams, whose refusals are events, and those allowed to somebody."""
    for bound in app.registry:
        procedure = bound.procedure
        is_built = "unported" not in procedure.handler.__module__
        if is_built and procedure.kind is not Kind.SUBSCRIPTION and procedure.allow not in but:
            yield procedure


async def test_without_an_identity_every_procedure_but_the_public_ones_is_unauthorized(app):
    names = [procedure.name for procedure in ours(app, but=[Allow.PUBLIC])]
    assert len(names) > 40
    assert {await ask(app, None, name, {}) for name in names} == {"UNAUTHORIZED"}


async def test_a_patient_is_forbidden_what_is_for_doctors_and_operators(app):
    names = [each.name for each in ours(app, but=[Allow.PUBLIC, Allow.PROTECTED, Allow.PATIENT])]
    assert len(names) > 10
    assert {await ask(app, "patient", name, {}) for name in names} == {"FORBIDDEN"}


async def test_an_input_of_the_wrong_kind_is_a_bad_request_of_its_field_everywhere(app):
    await a_doctor(app)
    for procedure in ours(app):
        if procedure.input is None:
            continue
        for field in procedure.input.model_fields.values():
            if str(field.alias or "").endswith("Id"):
                who = {Allow.DOCTOR: "doctor", Allow.ADMIN: "operator"}.get(procedure.allow, "patient")
                assert await ask(app, who, procedure.name, {field.alias: "nonsense"}) == "BAD_REQUEST", procedure.name


#: Who asks what, given the ids of a session of patient and doctor, and is answered how.
REFUSALS = [
    ("patient", "intake.create", {"connectionId": NOWHERE}, "NOT_FOUND"),
    ("stranger", "intake.create", {"connectionId": "connection"}, "NOT_FOUND"),
    ("doctor", "intake.create", {"connectionId": "connection"}, "FORBIDDEN"),
    ("patient", "intake.createNewSession", {"connectionId": NOWHERE}, "NOT_FOUND"),
    ("stranger", "intake.createNewSession", {"connectionId": "connection"}, "NOT_FOUND"),
    ("stranger", "intake.getSession", {"sessionId": "session"}, "NOT_FOUND"),
    ("colleague", "intake.getSession", {"sessionId": "session"}, "NOT_FOUND"),
    ("patient", "intake.sendMessage", {"sessionId": NOWHERE, "content": "x"}, "NOT_FOUND"),
    ("stranger", "intake.sendMessage", {"sessionId": "session", "content": "x"}, "NOT_FOUND"),
    ("operator", "intake.sendMessage", {"sessionId": "session", "content": "x"}, "NOT_FOUND"),
    ("patient", "intake.sendMessage", {"sessionId": "session", "content": ""}, "BAD_REQUEST"),
    ("patient", "intake.sendMessage", {"sessionId": "session", "content": "\0"}, "BAD_REQUEST"),
    ("patient", "intake.getMessages", {"connectionId": NOWHERE}, "NOT_FOUND"),
    ("stranger", "intake.getMessages", {"connectionId": "connection"}, "NOT_FOUND"),
    ("patient", "intake.getSBAR", {"connectionId": "connection"}, "FORBIDDEN"),
    ("stranger", "intake.getSBAR", {"connectionId": "connection"}, "NOT_FOUND"),
    ("doctor", "intake.getSBAR", {"connectionId": NOWHERE}, "NOT_FOUND"),
    ("patient", "intake.getClinicalReasoning", {"connectionId": "connection"}, "FORBIDDEN"),
    ("colleague", "intake.getClinicalReasoning", {"connectionId": "connection"}, "NOT_FOUND"),
    ("doctor", "intake.markAsReviewed", {"sessionId": NOWHERE}, "NOT_FOUND"),
    ("colleague", "intake.markAsReviewed", {"sessionId": "session"}, "NOT_FOUND"),
    ("doctor", "intake.markAsReviewed", {"sessionId": "session"}, "BAD_REQUEST"),
    ("patient", "intake.updateSessionName", {"sessionId": NOWHERE, "name": "x"}, "NOT_FOUND"),
    ("patient", "intake.updateSessionName", {"sessionId": "session", "name": " "}, "BAD_REQUEST"),
    ("patient", "intake.updateSessionName", {"sessionId": "session", "name": "x" * 256}, "BAD_REQUEST"),
    ("doctor", "intake.updateSessionName", {"sessionId": "session", "name": "x"}, "FORBIDDEN"),
    ("stranger", "intake.getMyIntakeSessions", {"connectionId": "connection"}, "OK"),
    ("patient", "intake.getMyIntakeSessions", {"limit": 101}, "BAD_REQUEST"),
    ("doctor", "intake.getDoctorIntakeSessions", {"status": "odd"}, "BAD_REQUEST"),
    ("patient", "message.send", {"connectionId": NOWHERE, "content": "x"}, "NOT_FOUND"),
    ("stranger", "message.send", {"connectionId": "connection", "content": "x"}, "NOT_FOUND"),
    ("patient", "message.send", {"connectionId": "connection", "content": "x" * 5001}, "BAD_REQUEST"),
    ("stranger", "message.getConversation", {"connectionId": "connection"}, "NOT_FOUND"),
    ("patient", "message.getConversation", {"connectionId": "connection", "limit": 0}, "BAD_REQUEST"),
    ("stranger", "message.markAsRead", {"connectionId": "connection"}, "NOT_FOUND"),
    ("patient", "connection.create", {"doctorId": "doctor"}, "CONFLICT"),
    ("colleague", "connection.create", {"doctorId": "doctor"}, "FORBIDDEN"),
    ("patient", "connection.create", {"doctorId": "unverified"}, "FORBIDDEN"),
    ("stranger", "connection.disconnect", {"connectionId": "connection"}, "NOT_FOUND"),
    ("stranger", "connection.getById", {"connectionId": "connection"}, "NOT_FOUND"),
    ("patient", "patient.createProfile", {}, "CONFLICT"),
    ("doctor", "doctor.createProfile", {}, "CONFLICT"),
    ("patient", "patient.updateProfile", {"gender": "odd"}, "BAD_REQUEST"),
    ("patient", "patient.updateProfile", {"dateOfBirth": "1990-05-06"}, "BAD_REQUEST"),
    ("patient", "user.updateProfile", {"firstName": ""}, "BAD_REQUEST"),
    ("operator", "admin.verifyDoctor", {"doctorId": NOWHERE, "action": "approve"}, "NOT_FOUND"),
    ("operator", "admin.verifyDoctor", {"doctorId": "doctor", "action": "odd"}, "BAD_REQUEST"),
]


async def test_what_is_refused_has_the_decided_code(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, "It is about me")
    await caller(app, "stranger").call("patient.createProfile")
    await a_doctor(app, "colleague")
    unverified = await a_doctor(app, "newcomer", verified=False)
    mine = await caller(app, "doctor").call("doctor.getMyProfile")
    ids = {"connection": connection_id, "session": session_id, "doctor": str(mine["id"]),
           "unverified": str(unverified["id"])}  # fmt: skip
    for who, name, given, code in REFUSALS:
        translated = {field: ids.get(value, value) for field, value in given.items()}
        assert await ask(app, who, name, translated) == code, (who, name, given)


async def test_other_words_under_one_id_are_a_conflict_on_the_wire(app):
    connection_id, session_id = await a_session(app)
    for name, place in (
        ("intake.sendMessage", {"sessionId": session_id}),
        ("message.send", {"connectionId": connection_id}),
    ):
        key = {"clientMessageId": str(uuid4()), **place}
        assert await ask(app, "patient", name, {"content": "no", **key}) == "OK"
        assert await ask(app, "patient", name, {"content": "no", **key}) == "OK"
        assert await ask(app, "patient", name, {"content": "yes", **key}) == "CONFLICT"


@pytest.mark.proves("I28")
async def test_on_an_ended_connection_writing_is_forbidden_and_only_the_patient_reads(app):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    connection, session = {"connectionId": connection_id}, {"sessionId": session_id}
    for who, name, given, code in [
        ("patient", "intake.create", connection, "FORBIDDEN"),
        ("patient", "intake.createNewSession", connection, "FORBIDDEN"),
        ("patient", "intake.sendMessage", {**session, "content": "x"}, "FORBIDDEN"),
        ("patient", "message.send", {**connection, "content": "x"}, "FORBIDDEN"),
        ("patient", "intake.getSession", session, "OK"),
        ("patient", "intake.getMessages", connection, "OK"),
        ("patient", "message.getConversation", connection, "OK"),
        ("doctor", "intake.getSession", session, "FORBIDDEN"),
        ("doctor", "intake.getMessages", connection, "FORBIDDEN"),
        ("doctor", "intake.getSBAR", connection, "FORBIDDEN"),
        ("doctor", "intake.getClinicalReasoning", connection, "FORBIDDEN"),
        ("doctor", "intake.markAsReviewed", session, "FORBIDDEN"),
        ("doctor", "message.send", {**connection, "content": "x"}, "FORBIDDEN"),
        ("doctor", "message.getConversation", connection, "FORBIDDEN"),
    ]:
        assert await ask(app, who, name, given) == code, (who, name)


async def test_what_is_refused_for_a_field_names_the_field_to_programs_over_both_transports(app):
    """What no schema can know: what stands in the database decides it, and the answer has the same form."""
    connection_id, session_id = await a_session(app)
    me = str((await caller(app, "operator").call("user.getMe"))["id"])
    for who, name, given, field in [
        ("operator", "admin.updateUserStatus", {"userId": me, "isActive": False}, "isActive"),
        ("operator", "admin.updateUserRole", {"userId": me, "role": "patient"}, "role"),
        ("patient", "intake.updateSessionName", {"sessionId": session_id, "name": "  "}, "name"),
        ("doctor", "handover.lowerUrgency", {"sessionId": session_id, "to": "routine", "reason": "seen her"}, "to"),
        ("patient", "notification.getMyNotifications", {"cursor": "nonsense"}, "cursor"),
        ("patient", "message.getConversation", {"connectionId": connection_id, "cursor": "nonsense"}, "cursor"),
    ]:
        procedure = app.registry.find(name).procedure
        is_query = procedure.kind is not Kind.MUTATION
        asked = {"query": f"input={quote(json.dumps({'json': given}))}"} if is_query else {"body": {"json": given}}
        method = "GET" if is_query else "POST"
        status, _, text = await http(app.asgi(), method, f"/api/trpc/{name}", who=who, **asked)
        assert status == 400, name
        (reason,) = json.loads(text)["error"]["json"]["data"]["zodError"]["fieldErrors"][field]
        rest = procedure.rest
        path = f"/api/v1{rest.path}".format(**given)
        inner = {key: value for key, value in given.items() if f"{{{key}}}" not in rest.path}
        asked = {"query": "&".join(f"{key}={value}" for key, value in inner.items())} if is_query else {"body": inner}
        status, _, text = await http(app.asgi(), rest.method, path, who=who, **asked)
        assert status == 400, (name, path, text)
        assert json.loads(text)["errors"] == [{"field": field, "message": reason}]
