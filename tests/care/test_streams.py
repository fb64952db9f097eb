"""What is taken from somebody ends their open streams too, within five seconds, whatever the stream is about."""

import asyncio
import time

import pytest

from anamnesis.kernel.errors import AnamnesisError
from build import a_doctor, a_session, an_app, caller, closing

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

MOST_S = 5.0


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def listening(app, who, name, **given):
    """A stream that has told what there was to tell, and how it ends: the error, and after how many seconds."""
    stream = await caller(app, who).call(name, **given)
    opened = asyncio.Event()

    async def listen():
        started = time.monotonic()
        try:
            while True:
                coming = asyncio.ensure_future(anext(stream))
                await asyncio.wait({coming}, timeout=0.3)
                opened.set()
                await asyncio.wait_for(coming, MOST_S + 2)
        except (AnamnesisError, StopAsyncIteration, TimeoutError) as ended:
            return type(ended).__name__, time.monotonic() - started

    ending = asyncio.ensure_future(listen())
    await opened.wait()
    return ending


async def all_ended(streams):
    since = time.monotonic()
    endings = await asyncio.gather(*streams.values())
    told = {name: end for name, (end, _) in zip(streams, endings, strict=True)}
    assert {name: end for name, end in told.items() if end not in ("NotPermitted", "NotFound")} == {}
    assert time.monotonic() - since < MOST_S


@pytest.mark.proves("I28")
async def test_a_closed_account_hears_nothing_more(app, owner):
    connection_id, session_id = await a_session(app)
    session, connection = {"sessionId": session_id}, {"connectionId": connection_id}
    streams = {
        "the patient's interview": await listening(app, "patient", "intake.onSession", **session),
        "the patient's messages": await listening(app, "patient", "message.onConversation", **connection),
        "the patient's notices": await listening(app, "patient", "notification.onNew"),
        "the doctor's inbox": await listening(app, "doctor", "intake.onInbox"),
        "the doctor's case": await listening(app, "doctor", "intake.onSession", **session),
    }
    await owner.execute("UPDATE users SET is_active = false WHERE clerk_id IN ('patient', 'doctor')")
    await all_ended(streams)


@pytest.mark.proves("I28")
async def test_who_is_no_verified_doctor_or_operator_any_more_hears_nothing_more(app, owner):
    connection_id, session_id = await a_session(app)
    session, connection = {"sessionId": session_id}, {"connectionId": connection_id}
    await caller(app, "chief").call("user.getMe")
    await owner.execute("UPDATE users SET primary_role = 'super_admin' WHERE clerk_id = 'chief'")
    await a_doctor(app, "helper")
    await caller(app, "helper").call("handover.breakGlass", **session, reason="Unconscious on arrival")
    streams = {
        "the doctor's inbox": await listening(app, "doctor", "intake.onInbox"),
        "the doctor's case": await listening(app, "doctor", "intake.onSession", **session),
        "the doctor's messages": await listening(app, "doctor", "message.onConversation", **connection),
        "oversight": await listening(app, "chief", "intake.onSession", **session),
        "an emergency": await listening(app, "helper", "intake.onSession", **session),
    }
    await owner.execute("UPDATE doctors SET verification_status = 'rejected' WHERE user_id IN"
                        " (SELECT id FROM users WHERE clerk_id = 'doctor')")  # fmt: skip
    await owner.execute("UPDATE users SET primary_role = 'patient' WHERE clerk_id = 'chief'")
    await owner.execute(
        "UPDATE emergency_accesses SET opened_at = opened_at - interval '31 minutes',"
        " ends_at = ends_at - interval '31 minutes'"
    )
    await all_ended(streams)


@pytest.mark.proves("I28")
async def test_whose_patient_has_left_hears_nothing_more_and_the_patient_still_does(app):
    connection_id, session_id = await a_session(app)
    session, connection = {"sessionId": session_id}, {"connectionId": connection_id}
    streams = {
        "the doctor's case": await listening(app, "doctor", "intake.onSession", **session),
        "the doctor's messages": await listening(app, "doctor", "message.onConversation", **connection),
    }
    own = await listening(app, "patient", "intake.onSession", **session)
    await caller(app, "patient").call("connection.disconnect", **connection)
    await all_ended(streams)
    assert (await own)[0] == "TimeoutError"
