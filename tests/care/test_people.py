"""The procedures about people, as clients meet them: recorded keys, kinds and codes, and who sees whom."""

import base64
import json
from urllib.parse import quote

import pytest

from anamnesis.edge import superjson
from anamnesis.kernel.consents import IN_FORCE
from anamnesis.kernel.errors import BadInput, Conflict, NotFound, NotPermitted
from build import a_doctor, an_app, caller, closing, http

USER = "id clerkId email firstName lastName imageUrl? primaryRole isActive:boolean createdAt:Date updatedAt:Date"
PATIENT = "id userId dateOfBirth:Date? gender? phone? emergencyContact? emergencyPhone? createdAt:Date updatedAt:Date"
DOCTOR = (
    "id userId slug specialty? clinicName? bio? phone? address? verificationStatus verifiedAt:Date? verifiedBy? "
    "rejectionReason? consultationFee:number? acceptsPayments:boolean appointmentDuration:number bufferTime:number "
    "maxDailyAppointments:number qrCodeUrl? createdAt:Date updatedAt:Date"
)
CONNECTION = "id patientId doctorId status connectionSource? connectedAt:Date disconnectedAt:Date? createdAt:Date"
NAMES = "firstName? lastName? imageUrl?"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


def kinds(value, notes, path):
    if path in notes:
        return notes[path][0]
    names = {type(None): "null", bool: "boolean", str: "string", int: "number", dict: "object", list: "array"}
    return names[type(value)]


def recorded(answer, shape, at=""):
    """The answer on the wire has exactly the recorded keys of the recorded kinds; a ? may be null."""
    whole = superjson.envelope(answer)
    notes, value = whole.get("meta", {}).get("values", {}), whole["json"]
    for step in at.split(".") if at else ():
        value = value[int(step) if step.isdigit() else step]
    wanted = {}
    for each in shape.split():
        name, _, kind = each.rstrip("?").partition(":")
        wanted[name] = {kind or "string", *({"null"} if each.endswith("?") else ())}
    assert set(value) == set(wanted)
    for name, allowed in wanted.items():
        assert kinds(value[name], notes, f"{at}.{name}".lstrip(".")) in allowed, name


async def connect(app, patient="patient", doctor="doctor"):
    profile = await a_doctor(app, doctor)
    return await caller(app, patient).call("connection.create", doctorId=str(profile["id"]))


async def test_an_account_has_the_recorded_shape_from_its_first_sight(app):
    me = await caller(app, "patient").call("user.me")
    recorded(me, f"{USER} patient:object? doctor:object?")
    assert (me["patient"], me["doctor"], me["primaryRole"]) == (None, None, "patient")
    recorded(await caller(app, "patient").call("user.getMe"), USER)
    recorded(await caller(app, "patient").call("user.updateProfile", firstName="Ann"), USER)


async def test_a_patient_profile_has_the_recorded_shape(app):
    patient = caller(app, "patient")
    assert await patient.call("patient.hasProfile") == {"hasProfile": False}
    with pytest.raises(NotFound):
        await patient.call("patient.getMyProfile")
    changed = await patient.call("patient.updateProfile", dateOfBirth="1990-05-01T00:00:00.000Z", gender="female")
    recorded(changed, PATIENT)
    recorded(await patient.call("patient.getMyProfile"), f"{PATIENT} user:object")
    recorded(await patient.call("patient.getMyProfile"), f"id email? {NAMES}", at="user")
    recorded(await patient.call("user.me"), PATIENT, at="patient")
    assert await patient.call("patient.hasProfile") == {"hasProfile": True}
    with pytest.raises(Conflict):
        await patient.call("patient.createProfile")
    recorded(await caller(app, "other").call("patient.createProfile", phone="+256700000000"), PATIENT)


async def test_what_is_left_out_of_a_profile_is_kept_and_nothing_is_null(app):
    patient = caller(app, "patient")
    await patient.call("patient.updateProfile", gender="female", phone="1")
    kept = await patient.call("patient.updateProfile", phone="2")
    assert (kept["gender"], kept["phone"]) == ("female", "2")
    for field, value in (("gender", None), ("gender", "x"), ("dateOfBirth", "1990-05-01"), ("phone", "1" * 51)):
        with pytest.raises(BadInput):
            await patient.call("patient.updateProfile", **{field: value})


async def test_a_doctor_has_the_recorded_shape(app):
    doctor = caller(app, "doctor")
    made = await doctor.call("doctor.createProfile", specialty="General")
    recorded(made, f"{DOCTOR} shareUrl user:object")
    assert (made["verificationStatus"], made["shareUrl"]) == (
        "pending",
        f"http://127.0.0.1:8000/connect/{made['slug']}",
    )
    recorded(await doctor.call("doctor.getMyProfile"), f"{DOCTOR} shareUrl user:object")
    recorded(await doctor.call("user.me"), DOCTOR, at="doctor")
    with pytest.raises(Conflict):
        await doctor.call("doctor.createProfile")


async def test_the_operators_list_and_decision_have_the_recorded_shapes(app):
    for name in ("one", "two", "three"):
        await a_doctor(app, name, verified=False)
    operator = caller(app, "operator")
    page = await operator.call("admin.getPendingDoctors", limit=2)
    recorded(page, "doctors:array total:number limit:number offset:number")
    recorded(page, f"{DOCTOR} user:object", at="doctors.0")
    recorded(page, f"email? {NAMES}", at="doctors.0.user")
    rest = await operator.call("admin.getPendingDoctors", offset=2)
    names = [each["user"]["firstName"] for each in page["doctors"] + rest["doctors"]]
    assert (names, page["total"]) == (["One", "Two", "Three"], 3)
    decided = await operator.call("admin.verifyDoctor", doctorId=str(page["doctors"][0]["id"]), action="approve")
    recorded(decided, DOCTOR)
    assert (await operator.call("admin.getPendingDoctors"))["total"] == 2


async def test_a_rejected_doctor_can_be_verified_later_and_a_verified_one_rejected(app):
    doctor = await a_doctor(app)
    operator = caller(app, "operator")
    for action, status in (("reject", "rejected"), ("approve", "verified"), ("reject", "rejected")):
        decided = await operator.call("admin.verifyDoctor", doctorId=str(doctor["id"]), action=action, reason="Letter")
        assert decided["verificationStatus"] == status
        assert (decided["verifiedAt"] is not None) == (status == "verified")


async def test_nobody_but_an_operator_decides_on_doctors(app):
    doctor = await a_doctor(app, verified=False)
    for who in ("doctor", "patient"):
        with pytest.raises(NotPermitted):
            await caller(app, who).call("admin.getPendingDoctors")
        with pytest.raises(NotPermitted):
            await caller(app, who).call("admin.verifyDoctor", doctorId=str(doctor["id"]), action="approve")


async def test_connections_have_the_recorded_shapes_for_both_people(app):
    connection = await connect(app)
    recorded(connection, CONNECTION)
    for who, other in (("patient", "doctor"), ("doctor", "patient")):
        mine = await caller(app, who).call("connection.getMyConnections")
        assert mine["role"] == who
        recorded(mine, f"{CONNECTION} {other}:object", at="connections.0")
        detail = await caller(app, who).call("connection.getById", connectionId=str(connection["id"]))
        recorded(detail, f"{CONNECTION} doctor:object patient:object")
        recorded(detail, "id slug specialty? clinicName? verificationStatus user:object", at="doctor")
        recorded(detail, NAMES, at="doctor.user")
        recorded(detail, f"email? {NAMES}", at="patient.user")
    assert await caller(app, "nobody").call("connection.getMyConnections") == {"connections": [], "role": None}
    recorded(await caller(app, "patient").call("connection.disconnect", connectionId=str(connection["id"])), CONNECTION)


REFUSALS = [
    (None, "user.me", None, 401, "UNAUTHORIZED"),
    (None, "doctor.getBySlug", {"slug": "no-such-doctor"}, 404, "NOT_FOUND"),
    ("patient", "connection.getById", {"connectionId": "00000000-0000-4000-8000-000000000000"}, 404, "NOT_FOUND"),
    ("patient", "connection.getById", {"connectionId": "nonsense"}, 400, "BAD_REQUEST"),
    ("patient", "patient.getMyProfile", None, 404, "NOT_FOUND"),
    ("patient", "doctor.getMyProfile", None, 403, "FORBIDDEN"),
    ("patient", "admin.getPendingDoctors", None, 403, "FORBIDDEN"),
]


async def test_a_refusal_has_the_recorded_code(app):
    for who, path, given, status, code in REFUSALS:
        query = "" if given is None else "input=" + quote(json.dumps({"json": given}))
        answered, _, text = await http(app.asgi(), "GET", f"/api/trpc/{path}", who=who, query=query)
        error = json.loads(text)["error"]["json"]["data"]
        assert (answered, error["httpStatus"], error["code"], error["path"]) == (status, status, code, path)


async def test_connecting_twice_or_to_nobody_has_the_recorded_code(app):
    connection = await connect(app)
    asgi = app.asgi()
    unknown = "00000000-0000-4000-8000-000000000000"
    for doctor_id, status in ((str(connection["doctorId"]), 409), (unknown, 404)):
        body = {"json": {"doctorId": doctor_id}}
        answered, _, _ = await http(asgi, "POST", "/api/trpc/connection.create", who="patient", body=body)
        assert answered == status


@pytest.mark.regression("P6")
async def test_no_profile_takes_a_role_away(app, owner):
    await a_doctor(app)
    await caller(app, "doctor").call("patient.createProfile")
    assert (await caller(app, "doctor").call("user.getMe"))["primaryRole"] == "doctor"
    for role in ("super_admin", "clinic_admin", "receptionist"):
        await caller(app, role).call("user.getMe")
        await owner.execute("UPDATE users SET primary_role = $1::text::user_role WHERE clerk_id = $1", role)
        await caller(app, role).call("doctor.createProfile")
        await caller(app, role).call("patient.createProfile")
        assert (await caller(app, role).call("user.getMe"))["primaryRole"] == role


async def test_a_doctor_no_longer_verified_sees_nobody(app):
    connection = await connect(app)
    operator, doctor = caller(app, "operator"), caller(app, "doctor")
    await caller(app, "patient").call("message.send", connectionId=str(connection["id"]), content="hello")
    assert (await doctor.call("message.getUnreadCount"))["count"] == 1
    await operator.call("admin.verifyDoctor", doctorId=str(connection["doctorId"]), action="reject")
    for status in ("active", "all"):
        mine = await doctor.call("connection.getMyConnections", status=status)
        assert mine == {"connections": [], "role": "doctor"}
    assert (await doctor.call("message.getUnreadCount"))["count"] == 0
    with pytest.raises(NotPermitted):
        await doctor.call("connection.getById", connectionId=str(connection["id"]))


async def test_a_patient_who_left_is_not_the_doctors_to_look_up(app):
    connection = await connect(app)
    doctor, patient = caller(app, "doctor"), caller(app, "patient")
    await patient.call("connection.disconnect", connectionId=str(connection["id"]))
    (ended,) = (await doctor.call("connection.getMyConnections", status="all"))["connections"]
    assert ended["status"] == "disconnected"
    assert "Patient" not in repr(ended)
    assert "patient@" not in repr(ended)
    (mine,) = (await patient.call("connection.getMyConnections", status="disconnected"))["connections"]
    assert mine["doctor"]["user"]["firstName"] == "Doctor"
    with pytest.raises(NotPermitted):
        await doctor.call("connection.getById", connectionId=str(connection["id"]))
    assert await patient.call("connection.getById", connectionId=str(connection["id"]))


async def test_a_doctors_own_list_survives_a_call_meant_for_patients(app):
    await connect(app)
    with pytest.raises(NotFound):
        await caller(app, "doctor").call("patient.updateProfile", phone="1")
    assert (await caller(app, "doctor").call("connection.getMyConnections"))["role"] == "doctor"


async def test_a_doctor_who_left_is_neither_shown_nor_connected(app, owner):
    doctor = await a_doctor(app)
    await owner.execute("UPDATE users SET is_active = false WHERE clerk_id = 'doctor'")
    with pytest.raises(NotFound):
        await caller(app, "patient").call("doctor.getBySlug", slug=doctor["slug"])
    with pytest.raises(NotFound):
        await caller(app, "patient").call("connection.create", doctorId=str(doctor["id"]))
    with pytest.raises(NotPermitted):
        await caller(app, "doctor").call("user.me")


PICTURES_REFUSED = (
    "javascript:alert(1)", "data:text/html,x", "http://a.test/x.png", "https://a.test/\x00", "https://a/\ud800",
    "https://a.test/" + "x" * 2048,
)  # fmt: skip


@pytest.mark.regression("P17")
async def test_a_picture_is_fetched_over_https_and_never_runs(app):
    patient = caller(app, "patient")
    for url in PICTURES_REFUSED:
        with pytest.raises(BadInput) as refused:
            await patient.call("user.updateProfile", imageUrl=url)
        assert [issue.path for issue in refused.value.issues] == [("imageUrl",)], url
    good = await patient.call("user.updateProfile", imageUrl="https://img.example.test/a.png")
    assert good["imageUrl"] == "https://img.example.test/a.png"


async def test_a_doctor_changes_what_is_given_and_the_rest_stays(app):
    await a_doctor(app)
    doctor = caller(app, "doctor")
    changed = await doctor.call("doctor.updateProfile", bio="Thirty years in Mbale.", appointmentDuration=45)
    assert (changed["bio"], changed["appointmentDuration"], changed["specialty"]) == (
        "Thirty years in Mbale.",
        45,
        "General",
    )
    assert changed["shareUrl"].endswith(f"/connect/{changed['slug']}")
    for wrong in ({"appointmentDuration": 14}, {"bufferTime": 61}, {"maxDailyAppointments": 0}, {"bio": "x" * 2001}):
        with pytest.raises(BadInput):
            await doctor.call("doctor.updateProfile", **wrong)
    with pytest.raises(BadInput):
        await doctor.call("doctor.updateProfile", consultationFee=2**31)
    assert (await doctor.call("doctor.getMyProfile"))["appointmentDuration"] == 45


async def test_a_share_link_can_be_shown_and_printed(app):
    await a_doctor(app)
    doctor = caller(app, "doctor")
    shared = await doctor.call("doctor.getShareUrl")
    code = await doctor.call("doctor.getQRCode")
    file = await doctor.call("doctor.getQRCodeDownload")
    assert code["shareUrl"] == shared["shareUrl"]
    assert code["qrCodeUrl"] == f"data:{file['mimeType']};base64,{file['data']}"
    assert await doctor.call("doctor.regenerateQRCode") == code
    assert base64.b64decode(file["data"]).startswith(b"\x89PNG\r\n")
    assert file["filename"] == f"{shared['slug']}.png"
    assert await doctor.call("doctor.hasProfile") == {"hasProfile": True}
    assert await caller(app, "patient").call("doctor.hasProfile") == {"hasProfile": False}


async def test_who_has_no_doctor_profile_shares_none(app, owner):
    await caller(app, "patient").call("user.getMe")
    await owner.execute("UPDATE users SET primary_role = 'doctor'")
    for name in ("doctor.updateProfile", "doctor.getShareUrl", "doctor.getQRCode", "doctor.getQRCodeDownload"):
        given = {"bio": "x"} if name == "doctor.updateProfile" else {}
        with pytest.raises(NotFound):
            await caller(app, "patient").call(name, **given)


STANDS = ("outside_model", "2026-11-25")


async def test_a_consent_stands_once_until_it_is_taken_back_and_every_step_is_on_record(app, owner):
    patient = caller(app, "patient")
    version = IN_FORCE["outside_model"]
    before = await patient.call("user.getConsents")
    assert (before["consents"], before["inForce"]) == ([], [{"purpose": "outside_model", "version": version}])
    await owner.execute("INSERT INTO consents (user_id, purpose, version) SELECT id, $1, $2 FROM users", *STANDS)
    assert (await patient.call("user.getConsents"))["consents"] == []
    for _ in range(2):
        given = await patient.call("user.giveConsent", purpose="outside_model", version=version)
    assert [(each["purpose"], each["version"]) for each in given["consents"]] == [("outside_model", version)]
    assert await patient.call("user.getConsents") == given
    assert (await caller(app, "other").call("user.getConsents"))["consents"] == []
    for _ in range(2):
        left = await patient.call("user.withdrawConsent", purpose="outside_model", version=version)
    assert left["consents"] == []
    kept = await owner.fetch("SELECT version FROM consents WHERE withdrawn_at IS NOT NULL ORDER BY id")
    assert [row["version"] for row in kept] == [STANDS[1], version]
    noted = await owner.fetch("SELECT action FROM audit_logs WHERE action LIKE 'consent%' ORDER BY created_at")
    assert [row["action"] for row in noted] == ["consent_given", "consent_withdrawn"]


async def test_a_consent_to_other_words_than_those_in_force_is_refused_and_leaves_what_stands(app):
    patient, version = caller(app, "patient"), IN_FORCE["outside_model"]
    await patient.call("user.giveConsent", purpose="outside_model", version=version)
    for other in ("1", "2026-11-25", f"{version} "):
        with pytest.raises(BadInput) as refused:
            await patient.call("user.giveConsent", purpose="outside_model", version=other)
        (issue,) = refused.value.issues
        assert issue.path == ("version",)
        assert version in issue.message
    (standing,) = (await patient.call("user.getConsents"))["consents"]
    assert standing["version"] == version


@pytest.mark.proves("J6")
async def test_two_people_with_one_email_address_are_two_accounts_and_share_nothing(app, owner):
    await a_doctor(app)
    await caller(app, "impostor").call("user.getMe")
    await owner.execute("UPDATE users SET email = 'doctor@example.test'")
    impostor = await caller(app, "impostor").call("user.me")
    assert (impostor["email"], impostor["primaryRole"], impostor["doctor"]) == ("doctor@example.test", "patient", None)
    with pytest.raises(NotPermitted):
        await caller(app, "impostor").call("doctor.getMyProfile")
