"""What the matrix has found, each by its name."""

import pytest

from anamnesis.kernel.errors import NotFound
from build import a_session, an_app, caller, closing
from matrix.oracle import ABSENT, OK
from matrix.world import a_world


async def test_a_patient_may_leave_a_doctor_who_is_gone(clinic, owner):
    async with closing(an_app(clinic.app_dsn)) as app:
        connection_id, _ = await a_session(app)
        await owner.execute("UPDATE users SET is_active = false WHERE clerk_id = 'doctor'")
        left = await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    assert left["status"] == "disconnected"


async def test_a_doctor_who_asks_for_sessions_as_a_patient_keeps_the_doctors_lists(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        await a_session(app)
        doctor = caller(app, "doctor")
        with pytest.raises(NotFound):
            await doctor.call("intake.getMyIntakeSessions")
        assert (await doctor.call("connection.getMyConnections"))["role"] == "doctor"


async def test_a_session_is_heard_over_trpc_and_an_operator_can_open_its_case(clinic):
    async with a_world(clinic) as world:
        heard = await world.ask("patient", "trpc", "intake.onSession", "active")
        assert heard.outcome == OK
        assert "wordsof0x" in heard.text
        case = await world.page("super admin", ("GET", "/doctor/case/{session_id}"), "active", "ready")
        assert case.outcome == OK
        assert "mailof0x" not in case.text
        assert (await world.page("distant patient", ("GET", "/s/{session_id}"), "active")).outcome == ABSENT
