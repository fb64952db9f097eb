"""admin.*: accounts opened and closed, roles given, and what was done about them."""

import asyncio

import pytest

from anamnesis.kernel.errors import BadInput, NotFound, NotPermitted
from build import a_doctor, a_session, an_app, caller, closing

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


@pytest.fixture
def operator(app):
    return caller(app, "operator")


async def user_id(app, who):
    return str((await caller(app, who).call("user.getMe"))["id"])


async def test_only_an_operator_may(app):
    patient = await user_id(app, "patient")
    await a_doctor(app)
    calls = {
        "admin.getUsers": {},
        "admin.getAuditLogs": {},
        "admin.updateUserStatus": {"userId": patient, "isActive": False},
        "admin.updateUserRole": {"userId": patient, "role": "super_admin"},
    }
    for who in ("patient", "doctor"):
        for name, given in calls.items():
            with pytest.raises(NotPermitted):
                await caller(app, who).call(name, **given)


async def test_accounts_are_found_by_role_and_words_and_counted(app, operator):
    for who in ("patient", "other", "100%sure"):
        await user_id(app, who)
    found = await operator.call("admin.getUsers", search="oTHe")
    assert [each["clerkId"] for each in found["users"]] == ["other"]
    assert (found["total"], found["limit"], found["offset"]) == (1, 20, 0)
    assert [each["clerkId"] for each in (await operator.call("admin.getUsers", search="%"))["users"]] == ["100%sure"]
    page = await operator.call("admin.getUsers", role="patient", limit=1, offset=1)
    assert (len(page["users"]), page["total"]) == (1, 4)
    beyond = await operator.call("admin.getUsers", role="patient", limit=1, offset=100)
    assert (beyond["users"], beyond["total"]) == ([], page["total"])
    assert (await operator.call("admin.getUsers", role="clinic_admin"))["users"] == []
    await operator.call("admin.updateUserStatus", userId=await user_id(app, "other"), isActive=False)
    closed = await operator.call("admin.getUsers", isActive=False)
    assert ([each["clerkId"] for each in closed["users"]], closed["total"]) == (["other"], 1)
    opened = await operator.call("admin.getUsers", isActive=True)
    assert opened["total"] == len(opened["users"]) == (await operator.call("admin.getUsers"))["total"] - 1


@pytest.mark.proves("I28")
async def test_a_closed_account_may_do_nothing_until_it_is_opened_again(app, operator):
    patient = await user_id(app, "patient")
    closed = await operator.call("admin.updateUserStatus", userId=patient, isActive=False, reason="asked for it")
    assert closed["isActive"] is False
    with pytest.raises(NotPermitted):
        await caller(app, "patient").call("user.getMe")
    await operator.call("admin.updateUserStatus", userId=patient, isActive=False)
    await operator.call("admin.updateUserStatus", userId=patient, isActive=True)
    assert (await caller(app, "patient").call("user.getMe"))["isActive"] is True
    told = (await caller(app, "patient").call("notification.getMyNotifications"))["notifications"]
    assert [each["data"]["status"] for each in told] == ["active", "suspended"]
    done = (await operator.call("admin.getAuditLogs", resourceType="user"))["logs"]
    assert [each["action"] for each in done] == ["user_activated", "user_suspended"]
    assert done[1]["metadata"]["reason"] == "asked for it"
    assert done[1]["metadata"]["access"] == {
        "procedure": "admin.updateUserStatus", "role": "patient", "purpose": None, "patientIds": [],
        "requestId": "r-operator",
    }  # fmt: skip
    assert done[0]["user"]["firstName"] == "Operator"


async def test_nobody_closes_or_demotes_themselves_and_one_operator_is_left(app, operator, owner):
    me, patient = await user_id(app, "operator"), await user_id(app, "patient")
    with pytest.raises(BadInput):
        await operator.call("admin.updateUserStatus", userId=me, isActive=False)
    with pytest.raises(BadInput):
        await operator.call("admin.updateUserRole", userId=me, role="patient")
    with pytest.raises(NotFound):
        await operator.call("admin.updateUserRole", userId=UNKNOWN, role="doctor")
    await operator.call("admin.updateUserRole", userId=patient, role="super_admin")
    with pytest.raises(BadInput):
        await operator.call("admin.updateUserRole", userId=patient, role="patient")
    assert (
        await owner.fetchval("SELECT primary_role::text FROM users WHERE id = $1::text::uuid", patient) == "super_admin"
    )


async def test_of_two_who_demote_each_other_one_stays(app, operator, owner):
    ids = [await user_id(app, who) for who in ("a", "b")]
    for each in ids:
        await operator.call("admin.updateUserRole", userId=each, role="super_admin")
    tries = [
        caller(app, "a").call("admin.updateUserRole", userId=ids[1], role="patient"),
        caller(app, "b").call("admin.updateUserRole", userId=ids[0], role="patient"),
    ]
    await asyncio.gather(*tries, return_exceptions=True)
    assert await owner.fetchval("SELECT count(*) FROM users WHERE primary_role = 'super_admin'") == 1


async def test_a_role_makes_no_doctor_who_sees_patients(app, operator):
    await a_session(app)
    await operator.call("admin.updateUserRole", userId=await user_id(app, "other"), role="doctor")
    with pytest.raises(NotFound):
        await caller(app, "other").call("intake.getDoctorIntakeSessions")


async def test_what_was_done_can_be_narrowed(app, operator):
    await a_session(app)
    everything = await operator.call("admin.getAuditLogs")
    assert everything["total"] == len(everything["logs"]) > 2
    assert all(each["ipAddress"] is None for each in everything["logs"])
    patient = await user_id(app, "patient")
    own = (await operator.call("admin.getAuditLogs", userId=patient, limit=1))["logs"]
    assert [str(each["userId"]) for each in own] == [patient]
    assert (await operator.call("admin.getAuditLogs", action="nothing_of_ours"))["logs"] == []
    about = next(each for each in everything["logs"] if each["action"] == "connection_created")["resourceId"]
    of_one = (await operator.call("admin.getAuditLogs", resourceId=about))["logs"]
    assert of_one
    assert {each["resourceId"] for each in of_one} == {about}
    assert (await operator.call("admin.getAuditLogs", resourceId=UNKNOWN))["logs"] == []
    found = await operator.call("admin.getAuditLogs", search="NNECTION_CRE")
    assert ({each["action"] for each in found["logs"]}, found["total"]) == ({"connection_created"}, 1)
    by_name = (await operator.call("admin.getAuditLogs", search="patient@example"))["logs"]
    assert {str(each["userId"]) for each in by_name} == {patient}
    assert (await operator.call("admin.getAuditLogs", search="%"))["logs"] == []
    assert (await operator.call("admin.getAuditLogs", endDate="2020-01-01T00:00:00Z"))["logs"] == []
