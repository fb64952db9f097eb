"""Whoever reads or writes health data leaves one line: with the reading or writing, or neither happens."""

import asyncio
import json
from uuid import UUID, uuid4

import asyncpg
import pytest

from anamnesis.db.auditing import write_due
from anamnesis.db.postgres import Database, PoolSettings, Profile
from anamnesis.db.viewing import viewing
from anamnesis.edge.calling import Caller
from anamnesis.kernel import health_data
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.procedures import Request
from anamnesis.kernel.trail import Trail, concerns, following, job_trail
from build import WORKING, a_session, an_app, caller, claims, closing, tell
from matrix.oracle import ACTORS, ROWS, STATES, TARGETS, expected
from matrix.world import a_world, subject

#: What the oracle's world has no good input for; each has its own test below or in tests/files.
BY_HAND = frozenset({"file.upload", "handover.lowerUrgency", "intake.addImageMessage"})


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def lines(owner, **wanted):
    rows = await owner.fetch("SELECT * FROM audit_logs ORDER BY id")
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def ways_in(name):
    """Who is let in to a procedure, about what."""
    for who in ACTORS:
        for target in TARGETS:
            for state in STATES:
                answers = expected(who, name, target, state)
                if "OK" in answers:
                    yield len(answers), who, target, state


def test_what_touches_no_health_data_is_a_list_of_procedures_there_are():
    registry = an_app("postgresql:///nowhere").registry
    assert {name for name in health_data.WITHOUT if registry.find(name) is None} == set()


@pytest.mark.proves("I33")
@pytest.mark.timeout(300)
@pytest.mark.regression("P18")
async def test_every_procedure_that_touches_health_data_leaves_one_line_and_no_other_does(clinic):
    async with a_world(clinic) as world:
        wrong, asked = [], 0
        for bound in world.app.registry:
            name = bound.procedure.name
            if ROWS[name].rule == "not built" or name in BY_HAND:
                continue
            for _, who, target, state in sorted(ways_in(name), key=lambda way: way[0]):
                # What is refused for the state of things was let in to the record, and left its own line.
                mark = await world.owner.fetchval("SELECT coalesce(max(id), 0) FROM audit_logs")
                answer = await world.ask(who, "trpc", name, target, state)
                if answer.outcome == "OK":
                    break
            assert answer.outcome == "OK", (name, answer.text[:300])
            asked += 1
            made = await world.owner.fetch(
                "SELECT user_id, request_id, actor_role, action FROM audit_logs WHERE id > $1 AND procedure = $2",
                mark,
                name,
            )
            known = await world.owner.fetchval("SELECT id FROM users WHERE clerk_id = $1", subject(who))
            await world.put_back()
            if name in health_data.WITHOUT:
                wrong += [f"{name} left a line of its own" for row in made if row["action"] == name]
                continue
            own = sum(row["action"] == name for row in made)  # a write that tells more may follow the reading's line
            if not made or (bound.procedure.kind != "subscription" and (own > 1 or len(made) - own > 1)):
                wrong.append(f"{name} left {own} lines of its own of {len(made)}")
            wrong += [f"{name} says {row}" for row in made if (row[0], row[1]) != (known, "matrix-0001") or not row[2]]
    assert not wrong, "\n".join(wrong)
    assert asked > 50


async def test_a_line_says_who_what_whose_why_and_by_which_request_and_nothing_that_was_said(app, owner):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, "I have a canaryword in my knee")
    await caller(app, "doctor").call("intake.getSession", sessionId=session_id)
    (line,) = await lines(owner, action="intake.getSession")
    doctor = await owner.fetchval("SELECT id FROM users WHERE clerk_id = 'doctor'")
    patient_id = await owner.fetchval("SELECT patient_id FROM connections")
    assert (line["user_id"], line["actor_role"], line["procedure"]) == (doctor, "doctor", "intake.getSession")
    assert (line["resource_type"], line["resource_id"]) == ("intake_session", session_id)
    assert (line["patient_ids"], line["purpose"], line["request_id"]) == ([patient_id], "care", "r-doctor")
    written = repr(await owner.fetch("SELECT * FROM audit_logs"))
    assert "canaryword" not in written
    assert connection_id in written


async def test_a_doctors_list_names_every_patient_on_it(app, owner):
    await a_session(app)
    doctor = await owner.fetchval("SELECT id FROM doctors")
    connection = await caller(app, "other").call("connection.create", doctorId=str(doctor))
    session = await caller(app, "other").call("intake.create", connectionId=str(connection["id"]))
    await tell(app, str(session["id"]), "My knee hurts", who="other")
    patients = {row["id"] for row in await owner.fetch("SELECT id FROM patients WHERE user_id IN (SELECT user_id FROM"
                " patients p WHERE EXISTS (SELECT FROM connections c WHERE c.patient_id = p.id))")}  # fmt: skip
    for name in ("intake.getDoctorIntakeSessions", "connection.getMyConnections", "message.getConversations"):
        await caller(app, "doctor").call(name)
        (line,) = await lines(owner, action=name)
        assert set(line["patient_ids"]) == patients, name
    await caller(app, "doctor").call("handover.getInbox")
    (line,) = await lines(owner, action="handover.getInbox")
    assert set(line["patient_ids"]) <= patients
    assert line["patient_ids"]


async def test_who_is_refused_leaves_no_line_of_having_read(app, owner):
    _, session_id = await a_session(app)
    with pytest.raises(NotFound):
        await caller(app, "stranger").call("intake.getSession", sessionId=session_id)
    assert await lines(owner, action="intake.getSession") == []


@pytest.mark.proves("I33")
async def test_nothing_is_read_or_written_when_its_line_cannot_be(app, owner):
    _, session_id = await a_session(app)
    before = await owner.fetchval("SELECT count(*) FROM chat_messages")
    await owner.execute("REVOKE INSERT ON audit_logs FROM anamnesis_app")
    doctor, patient = caller(app, "doctor"), caller(app, "patient")
    calls = [
        doctor.call("intake.getSession", sessionId=session_id),
        doctor.call("handover.getCase", sessionId=session_id),
        doctor.call("handover.getInbox"),
        patient.call("intake.getMyIntakeSessions"),
        patient.call("patient.getMyProfile"),
        patient.call("intake.sendMessage", sessionId=session_id, content="hello", clientMessageId=str(uuid4())),
    ]
    for call in calls:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await call
    assert await owner.fetchval("SELECT count(*) FROM chat_messages") == before


async def test_a_job_is_in_the_trail_as_the_services_own_doing(database, owner, app):
    _, session_id = await a_session(app)
    with following(job_trail("take_turn", UUID(session_id), "r-1")):
        await database.fetch("SELECT 1")
        await database.fetch("SELECT 1")
    (line,) = await lines(owner, action="job.take_turn")
    assert (line["user_id"], line["actor_role"], line["request_id"]) == (None, "system", "r-1")
    assert line["patient_ids"] == [await owner.fetchval("SELECT patient_id FROM connections")]


# The line goes with the statement or the transaction, whatever that is.


STATEMENTS = {
    "a read": ("SELECT $1::int + 1 AS n", 2),
    "a read with a part before it": ("WITH one AS (SELECT $1::int AS n) SELECT n + 1 FROM one", 2),
    "a write": ("INSERT INTO users (clerk_id) VALUES ('x' || $1::int) RETURNING 7", 7),
    "a write with a part before it": (
        "\n with one AS (INSERT INTO users (clerk_id) VALUES ('y' || $1::int) RETURNING 5 AS n) SELECT n FROM one", 5
    ),
    "an update": ("UPDATE users SET email = 'x' || $1::int WHERE clerk_id = 'none' RETURNING 3", None),
    "a locking read": ("SELECT $1::int FROM users WHERE clerk_id = 'none' FOR UPDATE", None),
}  # fmt: skip


@pytest.mark.parametrize("what", STATEMENTS)
async def test_the_first_statement_after_access_carries_the_line_once(database, owner, what):
    statement, answer = STATEMENTS[what]
    with following(Trail("a.b", kind="test")):
        await database.fetch("SELECT 1")
        assert await lines(owner) == []
        concerns(uuid4(), purpose="care")
        assert await database.fetchval(statement, 1) == answer
        assert len(await lines(owner, action="a.b", purpose="care")) == 1
        concerns(uuid4())
        await database.fetchval("SELECT 1")
        async with database.transaction() as connection:
            await connection.execute("SELECT 1")
    assert len(await lines(owner)) == 1


async def test_a_statement_that_fails_leaves_the_line_to_the_next(database, owner):
    with following(Trail("a.b", kind="test")):
        concerns(uuid4())
        with pytest.raises(asyncpg.DivisionByZeroError):
            await database.fetch("SELECT 1 / 0")
        assert await lines(owner) == []
        await database.execute("SELECT 1")
    assert len(await lines(owner)) == 1


async def _undone(database):
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO users (clerk_id) VALUES ('lost')")
        raise ZeroDivisionError


async def test_a_transaction_commits_with_its_line_or_without_both(database, owner):
    with following(Trail("a.b", kind="test")):
        concerns(uuid4())
        with pytest.raises(ZeroDivisionError):
            await _undone(database)
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO users (clerk_id) VALUES ('kept')")
            assert await lines(owner) == []
    assert [row["clerk_id"] for row in await owner.fetch("SELECT clerk_id FROM users")] == ["kept"]
    assert len(await lines(owner)) == 1


async def test_a_serverless_connection_writes_lines_too(clinic, owner):
    database = Database(clinic.app_dsn, PoolSettings(profile=Profile.SERVERLESS), speaks_for=WORKING)
    with following(Trail("a.b", kind="test")):
        concerns(uuid4())
        assert await database.fetchval("SELECT 1") == 1
    await database.close()
    assert len(await lines(owner)) == 1


@pytest.mark.parametrize("profile", Profile)
async def test_what_access_is_looked_up_with_carries_no_line(clinic, owner, profile):
    database = Database(clinic.app_dsn, PoolSettings(profile=profile, max_size=1), speaks_for=WORKING)
    trail = Trail("a.b", kind="test", is_due=True)
    with following(trail):
        if profile is Profile.SERVER:  # nobody is spoken for in it, so nobody's line could be added
            await database.lookup("SELECT 1")
            assert await lines(owner) == []
        async with database.together():
            await database.lookup("SELECT 1")
            assert not trail.is_written
            await database.fetch("SELECT 1")
            assert trail.is_written
    await database.close()
    assert len(await lines(owner)) == 1


async def _read_and_lose(database):
    async with database.together():
        await database.fetch("SELECT 1")
        raise ZeroDivisionError


async def test_what_is_read_together_commits_with_its_line_or_the_line_is_still_owed(database, owner):
    trail = Trail("a.b", kind="test", is_due=True)
    with following(trail):
        with pytest.raises(ZeroDivisionError):
            await _read_and_lose(database)
        assert (await lines(owner), trail.is_owed) == ([], True)
        async with database.together():
            await database.fetch("SELECT 1")
            assert await lines(owner) == []
    assert len(await lines(owner)) == 1


async def test_a_line_is_of_the_very_transaction_that_changes_something(app, owner):
    connection_id, session_id = await a_session(app)
    patient, doctor = caller(app, "patient"), caller(app, "doctor")
    await patient.call("message.send", connectionId=connection_id, content="hello")
    await doctor.call("intake.sendMessage", sessionId=session_id, content="Seen")
    await patient.call("intake.updateSessionName", sessionId=session_id, name="My knee")
    changed = {"direct_messages": "patient", "clinician_notes": "doctor", "intake_sessions": "patient"}
    for table, role in changed.items():
        written_by = await owner.fetchval(f"SELECT xmin::text FROM {table}")
        found = await owner.fetch("SELECT actor_role FROM audit_logs WHERE xmin::text = $1", written_by)
        assert [row["actor_role"] for row in found] == [role]


async def test_a_lowered_urgency_leaves_one_line(app, owner):
    _, session_id = await a_session(app)
    await tell(app, session_id, "I have crushing chest pain and I cannot breathe")
    given = {"sessionId": session_id, "to": "routine", "reason": "Seen and examined"}
    await caller(app, "doctor").call("handover.lowerUrgency", **given)
    (line,) = await lines(owner, procedure="handover.lowerUrgency")
    assert (line["action"], line["purpose"]) == ("urgency_lowered", "care")


async def test_calls_at_once_do_not_take_each_others_lines(app, owner):
    _, session_id = await a_session(app)

    async def ask(number):
        me = Caller(app.registry, app.door, Request(f"r-{number}", claims("doctor")))
        await me.call("intake.getSession", sessionId=session_id)

    await asyncio.gather(*(ask(number) for number in range(20)))
    told = await lines(owner, action="intake.getSession")
    assert sorted(row["request_id"] for row in told) == sorted(f"r-{number}" for number in range(20))


async def test_a_change_that_tells_more_takes_the_place_of_the_calls_own_line(app, owner):
    _, session_id = await a_session(app)
    await caller(app, "patient").call("intake.updateSessionName", sessionId=session_id, name="My knee")
    (line,) = await lines(owner, procedure="intake.updateSessionName")
    assert line["action"] == "intake_session_name_updated"
    assert line["patient_ids"]
    assert json.loads(line["metadata"]) == {}


async def test_a_reading_call_does_not_wait_for_the_disk_and_a_changing_one_does(app):
    kept_as = {}
    for is_reading in (True, False):
        trail = Trail("test.call", is_reading=is_reading, is_due=True)
        with viewing(WORKING), following(trail):
            async with app.database.transaction() as connection:
                await connection.execute("SET LOCAL synchronous_commit = on")
                await write_due(connection)
                kept_as[is_reading] = await connection.fetchval("SHOW synchronous_commit")
    assert kept_as == {True: "off", False: "on"}
