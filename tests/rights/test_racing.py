"""Calls and jobs in the middle of which their patient is erased end as if nobody had ever been there."""

import asyncio
import itertools
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from anamnesis.db import outbox
from anamnesis.db.encryption import Keyring
from anamnesis.edge.faults import fault_of
from anamnesis.edge.issues import read_input
from anamnesis.edge.running import enter
from anamnesis.kernel.consents import IN_FORCE
from anamnesis.kernel.jobs import JobKind, NewJob
from anamnesis.kernel.procedures import Kind, Part, Request
from anamnesis.rights.store import operating
from anamnesis.settings import Files, Limits, Settings
from build import a_doctor, an_app, caller, claims, closing
from files.hostile import image

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

#: Who calls what about whom; every procedure that a patient's record is behind.
CALLS = {
    "intake.create": ("patient", lambda life: {"connectionId": life.connection}),
    "intake.createNewSession": ("patient", lambda life: {"connectionId": life.connection}),
    "intake.getSession": ("both", lambda life: {"sessionId": life.session}),
    "intake.getMyIntakeSessions": ("patient", lambda _: {}),
    "intake.getDoctorIntakeSessions": ("doctor", lambda _: {}),
    "intake.getAllSessionsWithAppointments": ("patient", lambda _: {"status": "all"}),
    "intake.getSessionsForAppointmentLinking": ("patient", lambda life: {"connectionId": life.connection}),
    "intake.getMessages": ("both", lambda life: {"connectionId": life.connection}),
    "intake.getSBAR": ("doctor", lambda life: {"connectionId": life.connection}),
    "intake.getClinicalReasoning": ("doctor", lambda life: {"connectionId": life.connection}),
    "intake.getUCGRecommendations": ("doctor", lambda life: {"connectionId": life.connection}),
    "intake.getSessionFiles": ("both", lambda life: {"sessionId": life.session}),
    "file.upload": ("both", lambda life: {"sessionId": life.session, "files": [a_photo()]}),
    "intake.sendMessage": ("both", lambda life: {"sessionId": life.session, "content": "It hurts more"}),
    "intake.regenerateResponse": ("patient", lambda life: {"sessionId": life.session}),
    "intake.stopReply": ("patient", lambda life: {"sessionId": life.session}),
    "intake.updateSessionName": ("patient", lambda life: {"sessionId": life.session, "name": "My knee"}),
    "intake.deleteSession": ("patient", lambda life: {"sessionId": life.session}),
    "intake.resetSession": ("patient", lambda life: {"sessionId": life.session}),
    "intake.markAsReviewed": ("doctor", lambda life: {"sessionId": life.session}),
    "intake.markReviewed": ("doctor", lambda life: {"connectionId": life.connection}),
    "intake.addMessage": ("doctor", lambda life: {"connectionId": life.connection, "content": "Haemoglobin 12"}),
    "intake.addImageMessage": ("doctor", lambda life: {"connectionId": life.connection, "imageUrl": life.photo}),
    "intake.onSession": ("both", lambda life: {"sessionId": life.session}),
    "intake.onInbox": ("doctor", lambda _: {}),
    "handover.getInbox": ("doctor", lambda _: {}),
    "handover.getCase": ("doctor", lambda life: {"sessionId": life.session}),
    "handover.getDocument": ("doctor", lambda life: {"sessionId": life.session}),
    "handover.lowerUrgency": (
        "doctor", lambda life: {"sessionId": life.session, "to": "routine", "reason": "Seen and examined"},
    ),
    "handover.breakGlass": ("stranger", lambda life: {"sessionId": life.session, "reason": "Unconscious here"}),
    "message.send": ("both", lambda life: {"connectionId": life.connection, "content": "See you"}),
    "message.getConversation": ("both", lambda life: {"connectionId": life.connection}),
    "message.markAsRead": ("both", lambda life: {"connectionId": life.connection}),
    "message.getUnreadCount": ("both", lambda _: {}),
    "message.getConversations": ("both", lambda _: {}),
    "message.onConversation": ("both", lambda life: {"connectionId": life.connection}),
    "connection.getById": ("both", lambda life: {"connectionId": life.connection}),
    "connection.getMyConnections": ("both", lambda _: {"status": "all"}),
    "connection.create": ("patient", lambda life: {"doctorId": life.other_doctor}),
    "connection.disconnect": ("patient", lambda life: {"connectionId": life.connection}),
    "notification.getMyNotifications": ("both", lambda _: {}),
    "notification.markAllAsRead": ("both", lambda _: {}),
    "notification.deleteAllRead": ("both", lambda _: {}),
    "notification.onNew": ("patient", lambda _: {}),
    "patient.getMyProfile": ("patient", lambda _: {}),
    "patient.updateProfile": ("patient", lambda _: {"phone": "123"}),
    "patient.createProfile": ("patient", lambda _: {"phone": "123"}),
    "patient.hasProfile": ("patient", lambda _: {}),
    "patient.requestErasure": ("patient", lambda _: {}),
    "user.me": ("patient", lambda _: {}),
    "user.getMe": ("patient", lambda _: {}),
    "user.updateProfile": ("patient", lambda _: {"firstName": "Ann"}),
    "user.getConsents": ("patient", lambda _: {}),
    "user.giveConsent": (
        "patient", lambda _: {"purpose": "outside_model", "version": IN_FORCE["outside_model"]},
    ),
    "user.withdrawConsent": ("patient", lambda _: {"purpose": "outside_model"}),
    "admin.updateUserStatus": ("operator", lambda life: {"userId": life.user, "isActive": True}),
    "admin.updateUserRole": ("operator", lambda life: {"userId": life.user, "role": "patient"}),
    "admin.getUsers": ("operator", lambda _: {}),
}  # fmt: skip
_RACES = 60


@dataclass
class Life:
    who: str
    user: str
    patient: UUID
    connection: str
    session: str
    photo: str
    other_doctor: str


def a_photo():
    async def read():
        return PHOTO

    return Part("p.jpg", "", len(PHOTO), read)


PHOTO = image("JPEG")
_names = itertools.count(1)


async def a_life(app, doctor_id, other_doctor, *, has_photo=False):
    """Somebody new with an urgent session and messages both ways, and with has_photo one of the doctor's."""
    who = f"patient{next(_names)}"
    me, doctor = caller(app, who), caller(app, "doctor")
    connection = str((await me.call("connection.create", doctorId=doctor_id))["id"])
    session = str((await me.call("intake.create", connectionId=connection))["id"])
    await me.call("intake.sendMessage", sessionId=session, content="I have crushing chest pain")
    await me.call("message.send", connectionId=connection, content="hello")
    await doctor.call("message.send", connectionId=connection, content="hello")
    photo = ""
    if has_photo:
        kept = await doctor.call("file.upload", sessionId=session, files=[a_photo()])
        photo = str(kept["files"][0]["id"])
    known = await me.call("user.me")
    return Life(who, str(known["id"]), known["patient"]["id"], connection, session, photo, other_doctor)


async def ended(app, who, name, given):
    """How a call ends: the name of its code, and what it was. A stream is listened to for a moment."""
    bound = app.registry.find(name)
    try:
        if bound.procedure.kind is Kind.SUBSCRIPTION:
            await listen(app, who, bound, given)
        else:
            await caller(app, who).call(name, **given)
    except Exception as error:
        return fault_of(error).code, error
    return "OK", None


async def listen(app, who, bound, given):
    def read():
        return read_input(bound.procedure, given)

    source = await enter(bound, Request("r", claims(who)), guard=app.door, read_input=read)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.15):
            async for _ in source:
                pass


@pytest.fixture
async def app(clinic, tmp_path):
    settings = Settings(files=Files(folder=str(tmp_path / "blobs")), limits=Limits(factor=100_000))
    async with closing(an_app(clinic.app_dsn, settings=settings, is_sealed=False)) as app:
        yield app


@pytest.fixture
async def doctors(app):
    return [str((await a_doctor(app, who))["id"]) for who in ("doctor", "stranger")]


class Step:
    """Has a patient erased when a statement of a call is about to run: the first, the second, and so on."""

    def __init__(self, monkeypatch):
        self.erase, self.at, self.count = None, 0, 0
        run = asyncpg.Connection._execute

        async def counted(connection, *arguments, **options):
            if self.erase is not None and asyncio.current_task() is not self.erasing:
                self.count += 1
                if self.count == self.at:
                    self.erasing = asyncio.create_task(self.erase())
                    # What the call has locked is waited for, so the erasure may have to wait for the call's end.
                    await asyncio.wait({self.erasing}, timeout=0.1)
            return await run(connection, *arguments, **options)

        self.erasing = None
        monkeypatch.setattr(asyncpg.Connection, "_execute", counted)

    async def during(self, erase, at, call):
        """The call, with the erasure before its statement of this number; how it ended and whether it got so far."""
        self.erase, self.at, self.count, self.erasing = erase, at, 0, None
        try:
            found = await call
        finally:
            self.erase = None
        if self.erasing is None:
            return found, False
        await asyncio.wait_for(self.erasing, 20)
        return found, True


@pytest.fixture
async def records(clinic):
    async with operating(clinic.owner_dsn, Keyring()) as records:
        yield records


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CALLS)
async def test_whatever_statement_an_erasure_comes_before_the_call_ends_as_if_nobody_were_there(
    app, owner, records, doctors, monkeypatch, name
):
    side, given = CALLS[name]
    step, wrong = Step(monkeypatch), []
    for who in ("patient", "doctor") if side == "both" else (side,):
        for at in itertools.count(1):
            life = await a_life(app, *doctors, has_photo=name == "intake.addImageMessage")
            call = ended(app, life.who if who == "patient" else who, name, given(life))
            (code, what), is_reached = await step.during(partial(records.erase, life.patient), at, call)
            if not is_reached:
                break
            left = await left_of(owner, life)
            if code not in ("OK", "NOT_FOUND") or left:
                wrong.append(f"{who} at {at}: {code} {what!r}, left in {left}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [JobKind.TAKE_TURN, JobKind.ALERT_CLINICIAN, JobKind.ANNOUNCE_HANDOVER])
async def test_whatever_statement_an_erasure_comes_before_a_job_ends_quietly(
    app, owner, records, doctors, monkeypatch, kind
):
    step = Step(monkeypatch)
    for at in itertools.count(1):
        life = await a_life(app, *doctors)
        await owner.execute("UPDATE chat_messages SET turn_state = 'waiting' WHERE turn_state IS NOT NULL")
        await owner.execute("DELETE FROM chat_messages WHERE reply_to IS NOT NULL")
        await owner.execute("DELETE FROM jobs")
        async with app.database.transaction() as connection:
            await outbox.enqueue(connection, NewJob(kind, UUID(life.session), "r"))
        job = await outbox.claim(app.database, [kind])
        with capture_logs() as told:
            _, is_reached = await step.during(partial(records.erase, life.patient), at, app.worker._work(job))
        assert [line for line in told if line["log_level"] in ("warning", "error")] == [], at
        if not is_reached:
            break
        assert await left_of(owner, life) == [], at
    assert at > 4


@pytest.mark.timeout(600)
async def test_calls_from_everywhere_while_patients_are_erased_never_fail_and_leave_nothing(
    app, owner, clinic, doctors
):
    """Nobody says when: many calls at once, as they come, and an erasure somewhere among them."""
    chance, codes, working = random.Random(4711), Counter(), asyncio.create_task(app.worker.run())
    sides = [(name, side, given) for name, (side, given) in CALLS.items() if side != "operator"]
    for _ in range(_RACES):
        life = await a_life(app, *doctors)

        async def erase(life=life):
            async with operating(clinic.owner_dsn, Keyring()) as records:
                await asyncio.sleep(chance.uniform(0, 0.05))
                await records.erase(life.patient)

        async def call(name, side, given, life=life):
            who = life.who if side == "patient" else chance.choice((life.who, "doctor")) if side == "both" else side
            await asyncio.sleep(chance.uniform(0, 0.08))
            code, error = await ended(app, who, name, given(life))
            codes[code] += 1
            assert code not in ("INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"), (name, error, error.__cause__)

        asked = [call(*chance.choice(sides)) for _ in range(12)]
        await asyncio.gather(erase(), *asked)
        assert await left_of(owner, life) == []
    app.worker.stop()
    await working
    assert codes["OK"] > _RACES
    assert codes["NOT_FOUND"] > _RACES
    assert set(codes) <= {"OK", "NOT_FOUND", "BAD_REQUEST", "FORBIDDEN", "CONFLICT"}, codes


@pytest.mark.parametrize(
    "taker", ["notification.markAllAsRead", "notification.deleteAllRead", "message.markAsRead", "erase"]
)
async def test_whoever_takes_several_notices_takes_them_by_id_and_so_never_in_a_circle(
    app, owner, clinic, records, doctors, taker
):
    life = await a_life(app, *doctors)
    doctor = str((await caller(app, "doctor").call("user.me"))["id"])
    await owner.execute("DELETE FROM notifications WHERE user_id = $1", UUID(doctor))
    first, *others = sorted(uuid4() for _ in range(6))
    for number in (*others, first):
        await owner.execute(
            """INSERT INTO notifications (id, user_id, type, title, message, data, is_read)
            VALUES ($1, $2, 'message', 'New', 'New', jsonb_build_object('connectionId', $3::text), $4)""",
            number, UUID(doctor), life.connection, taker == "notification.deleteAllRead",
        )  # fmt: skip
    call = {
        "erase": partial(records.erase, life.patient),
        "message.markAsRead": partial(ended, app, "doctor", taker, {"connectionId": life.connection}),
    }.get(taker, partial(ended, app, "doctor", taker, {}))
    holder = await asyncpg.connect(clinic.owner_dsn)
    async with holder.transaction():
        await holder.fetch("SELECT FROM notifications WHERE id = $1 FOR UPDATE", first)
        taking = asyncio.create_task(call())
        await until_somebody_waits(owner)
        free = await owner.fetch("SELECT id FROM notifications WHERE id = ANY ($1) FOR UPDATE SKIP LOCKED", others)
        assert sorted(row["id"] for row in free) == others
    await taking
    await holder.close()


async def until_somebody_waits(owner):
    async with asyncio.timeout(10):
        while not await owner.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


async def left_of(owner, life):
    """The tables that still name somebody erased; who came back under the same account is somebody else."""
    left = []
    rows = {
        "connections.id": life.connection,
        "intake_sessions.id": life.session,
        "patients.id": life.patient,
        "users.id": life.user,
        "chat_messages.session_id": life.session,
        "clinician_notes.session_id": life.session,
        "files.session_id": life.session,
        "direct_messages.connection_id": life.connection,
        "jobs.subject": life.session,
    }
    for place, value in rows.items():
        table, _, column = place.partition(".")
        if await owner.fetchval(f"SELECT EXISTS (SELECT FROM {table} WHERE {column} = $1)", UUID(str(value))):
            left.append(table)
    return left
