import asyncio
import itertools
import json
import os
import random
import signal
import string
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from anamnesis.db.aside import aside
from anamnesis.db.embedded import OWNER
from anamnesis.db.encryption import CHAT, NOTES, SESSIONS
from anamnesis.legacy.importing import Import
from anamnesis.legacy.source import reading
from anamnesis.legacy.target import writing
from build import ENCRYPTION_KEYS, KEYRING, an_app, caller, closing, http, stored, tell
from legacy import replaced
from legacy.replaced import BARE, CONNECTION, DATA, OPEN, READY, THOUGHT, WORD, key

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

_numbers = itertools.count(1)
ANAMNESIS = Path(sys.executable).parent / "anamnesis"


@pytest.fixture
async def source_dsn(postgres, clinic):
    name = f"replaced_{next(_numbers)}"
    admin = await asyncpg.connect(postgres.dsn(OWNER, "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    yield postgres.dsn(OWNER, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def source(source_dsn):
    db = await asyncpg.connect(source_dsn)
    await replaced.seed(db)
    yield db
    await db.close()


async def take_over(source_dsn, clinic):
    async with reading(source_dsn) as source, writing(clinic.owner_dsn, KEYRING) as target:
        return {tally.table: tally for tally in await Import(source, target).run()}


async def kept(owner, name):
    """What a table kept of rows whole, by their keys."""
    return {row["key"]: row["row"] for row in await stored(owner, aside(name))}


async def orphans(owner):
    return sum(
        row.get("content", "").startswith("orphan") for row in (await kept(owner, "legacy_chat_messages")).values()
    )


def reports(tallies):
    return {(name, row): reason for name, tally in tallies.items() for row, reason in tally.reports}


async def everything(db):
    """Every row of every table with the transaction that wrote it."""
    names = await db.fetch("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
    return {name: sorted(map(str, await db.fetch(f"SELECT xmin, t::text FROM {name} t"))) for (name,) in names}


def command(source_dsn, clinic):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "DATABASE_URL": clinic.owner_dsn,
        "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    }
    return subprocess.run([ANAMNESIS, "import-legacy", source_dsn], env=environment, capture_output=True, text=True,
                          check=False, timeout=60)  # fmt: skip


@pytest.fixture
async def app(clinic, source, source_dsn):
    await take_over(source_dsn, clinic)
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


async def see(app, session_id, who="patient"):
    return await caller(app, who).call("intake.getSession", sessionId=session_id)


async def test_a_clinic_without_faults_is_copied_whole_and_verified(source, source_dsn, clinic):
    tallies = await take_over(source_dsn, clinic)
    assert not reports(tallies)
    assert all(tally.is_whole for tally in tallies.values())
    assert all(tally.same == tally.in_source for tally in tallies.values())


async def test_a_second_run_changes_nothing(source, source_dsn, clinic, owner):
    await replaced.spoil(source)
    await take_over(source_dsn, clinic)
    before = await everything(owner)
    tallies = await take_over(source_dsn, clinic)
    assert await everything(owner) == before
    assert sum(tally.written for tally in tallies.values()) == 0


async def test_an_owner_who_is_no_superuser_takes_over_the_same_and_leaves_all_of_it_behind_the_wall(
    source, source_dsn, plain_dsn
):
    async with reading(source_dsn) as opened, writing(plain_dsn, KEYRING) as target:
        tallies = await Import(opened, target).run()
    assert all(tally.same == tally.in_source for tally in tallies)
    plain = await asyncpg.connect(plain_dsn)
    for table in ("chat_messages", "patients", "legacy_appointments"):
        assert await plain.fetchval(f"SELECT count(*) FROM {table}") == 0
    await plain.execute("SET anamnesis.purpose = 'import'")
    assert await plain.fetchval("SELECT count(*) FROM chat_messages") > 0
    await plain.close()


async def test_the_source_is_only_read(source, source_dsn, clinic):
    before = await everything(source)
    async with reading(source_dsn) as opened:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await opened.connection.execute("DELETE FROM users")
    await take_over(source_dsn, clinic)
    assert await everything(source) == before


async def test_broken_rows_are_reported_and_stop_nothing(source, source_dsn, clinic, owner):
    await replaced.spoil(source)
    tallies = await take_over(source_dsn, clinic)
    said = reports(tallies)
    assert all(tally.is_whole for tally in tallies.values())
    left_out = {row for (_, row), reason in said.items() if reason.startswith("left out")}
    assert {key(600), key(602), key(604), key(607), key(608)} <= left_out
    for row in (601, 603, 605, 606):
        assert any(name[1] == key(row) for name in said), row
    assert await owner.fetchval("SELECT status::text FROM intake_sessions WHERE id = $1", key(603)) == "ready"
    assert [row["medical_data"] for row in await stored(owner, SESSIONS, "id = $1", key(606))] == [DATA]
    assert (await kept(owner, "legacy_intake_sessions"))[key(605)]["medical_data"] == ["not", "an object"]
    assert await orphans(owner) == 1
    assert ("intake_sessions", OPEN) in said  # there are two newer open ones


async def test_columns_of_another_kind_than_they_should_be_stop_nothing(source, source_dsn, clinic, owner):
    """A database that somebody has changed by hand: texts for times and for JSON, no constraint, a number too large."""
    await source.execute("ALTER TABLE notifications ALTER created_at DROP DEFAULT, ALTER created_at TYPE text")
    await source.execute("ALTER TABLE intake_sessions ALTER medical_data TYPE text")
    await source.execute("UPDATE notifications SET created_at = 'yesterday'")
    await source.execute("UPDATE intake_sessions SET medical_data = '{\"broken' WHERE id = $1", OPEN)
    await source.execute("UPDATE intake_sessions SET doctor_thought = '{\"odd\": 1.5e400}' WHERE id = $1", READY)
    await source.execute("ALTER TABLE users DROP CONSTRAINT users_clerk_id_key")
    await source.execute("UPDATE users SET clerk_id = 'patient', first_name = 'Twin' WHERE id = $1", key(2))
    await source.execute("DROP TABLE audit_logs")
    tallies = await take_over(source_dsn, clinic)
    assert all(tally.is_whole for tally in tallies.values())
    assert await owner.fetchval("SELECT count(*) FROM notifications") == 1
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE session_id = $1", OPEN) == 3
    assert {row for _, row in reports(tallies)} >= {OPEN, key(200)}


@pytest.mark.parametrize("depth", [100, 900, 5000])
async def test_what_is_nested_too_deep_to_be_read_stops_nothing_and_is_served_as_the_text_it_was(
    source, source_dsn, clinic, owner, depth
):
    deep = '{"a":' * depth + f'"{WORD}"' + "}" * depth
    for table, column in (("notifications", "data"), ("audit_logs", "metadata"), ("platform_config", "value")):
        await source.execute(f"UPDATE {table} SET {column} = $1::jsonb", deep)
    await source.execute("UPDATE intake_sessions SET medical_data = $2, doctor_thought = $2 WHERE id = $1",
                         OPEN, f'{{"chiefComplaint": "sore throat", "oddField": {deep}}}')  # fmt: skip
    done = command(source_dsn, clinic)
    assert (done.returncode, done.stderr) == (1, "")
    assert WORD not in done.stdout
    assert "NOT" not in done.stdout
    assert "nested too deep" in done.stdout
    async with closing(an_app(clinic.app_dsn)) as app:
        for path in (f"/api/v1/intake-sessions/{OPEN}", "/api/v1/doctor/intake-sessions"):
            status, _, body = await http(app.asgi(), "GET", path, who="doctor")
            assert status == 200
            assert WORD in body
        assert (await see(app, OPEN))["session"]["medicalData"]["chiefComplaint"] == "sore throat"
    assert command(source_dsn, clinic).returncode == 1


async def test_a_key_too_long_for_an_index_and_a_row_our_database_refuses_stop_nothing(
    source, source_dsn, clinic, owner
):
    long = "".join(random.Random(1).choices(string.ascii_letters, k=2600))
    await source.execute("CREATE TABLE a_keys (k text, v text, PRIMARY KEY (k, v))")
    await source.execute("INSERT INTO a_keys VALUES ($1, $2), ('fine', 'y')", long[:1300], '"' * 1300)
    await source.execute("ALTER TABLE doctors DROP CONSTRAINT doctors_slug_key")
    await source.execute("UPDATE doctors SET slug = $1", long * 9)
    await owner.execute("CREATE TABLE legacy_platform_config (key text PRIMARY KEY CHECK (key = ''), row jsonb,"
                        " names text[], copied_at timestamptz DEFAULT now())")  # fmt: skip
    tallies = await take_over(source_dsn, clinic)
    assert all(tally.is_whole for tally in tallies.values())
    assert (tallies["a_keys"].same, tallies["platform_config"].left_out) == (2, 1)
    assert reports(tallies)["platform_config", key(500)] == "refused by the database (CheckViolationError)"
    assert "refused by the database" in reports(tallies)["doctors", replaced.DOCTOR]
    assert (await kept(owner, "legacy_doctors"))[replaced.DOCTOR]["slug"] == long * 9
    assert (await take_over(source_dsn, clinic))["a_keys"].written == 0


async def test_what_the_source_hides_from_the_login_is_not_taken_for_nothing(source, source_dsn, clinic):
    await source.execute("ALTER TABLE chat_messages ENABLE ROW LEVEL SECURITY")
    await source.execute("CREATE ROLE a_reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO a_reader")
    try:
        done = command(source_dsn.replace(f"//{OWNER}@", "//a_reader@"), clinic)
        assert done.returncode == 1
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("chat_messages  "))
        assert line.endswith("NOT READ")
        assert "chat_messages -: the table could not be read: the login must be allowed" in done.stdout
        assert command(source_dsn, clinic).returncode == 0
    finally:
        await source.execute("DROP OWNED BY a_reader; DROP ROLE a_reader")


async def test_an_orphan_is_taken_in_once_its_parent_is_there(source, source_dsn, clinic, owner):
    await replaced.spoil(source)
    await take_over(source_dsn, clinic)
    await replaced.session(source, key(997), status="in_progress", day=9)
    tallies = await take_over(source_dsn, clinic)
    assert tallies["chat_messages"].left_out == 0
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE session_id = $1", key(997)) == 1
    assert await orphans(owner) == 0


async def test_tables_we_do_not_model_are_copied_whole(source, source_dsn, clinic, owner):
    tallies = await take_over(source_dsn, clinic)
    assert tallies['odd "name; x'].same == 3
    assert await owner.fetchval('SELECT count(*) FROM "legacy_odd ""name; x"') == 3
    (row,) = (await kept(owner, "legacy_appointments")).values()
    assert row == {"id": key(400), "connection_id": CONNECTION, "scheduled_at": None, "notes": f"bring {WORD}"}
    assert not await owner.fetchval("SELECT has_table_privilege('anamnesis_app', 'legacy_appointments', 'SELECT')")


async def test_new_and_changed_rows_follow_and_what_was_changed_here_stays(source, source_dsn, clinic, owner):
    await take_over(source_dsn, clinic)
    await owner.execute("UPDATE users SET first_name = 'Ours' WHERE clerk_id = 'patient'")
    await source.execute("UPDATE users SET first_name = 'Theirs', updated_at = now()")
    await source.execute("UPDATE direct_messages SET is_read = true")
    await source.execute("UPDATE intake_sessions SET status = 'reviewed', clinical_handover = $2 WHERE id = $1",
                         OPEN, json.dumps(replaced.SBAR))  # fmt: skip
    late = await replaced.line(source, READY, 30, "model", "Noted.")
    tallies = await take_over(source_dsn, clinic)
    names = dict(await owner.fetch("SELECT clerk_id, first_name FROM users"))
    assert names == {"patient": "Ours", "doctor": "Theirs"}
    assert list(tallies["users"].reports) == [
        (key(1), "is different here or was changed on both sides; ours was kept, the other was put aside")
    ]
    assert await owner.fetchval("SELECT bool_and(is_read) FROM direct_messages")
    assert await owner.fetchval("SELECT status::text FROM intake_sessions WHERE id = $1", OPEN) == "reviewed"
    assert await owner.fetchval("SELECT seq FROM chat_messages WHERE id = $1", late) == 2


async def test_somebody_who_came_to_us_first_keeps_the_account_and_gets_the_history(source, source_dsn, clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        me = await caller(app, "patient").call("user.getMe")
        await take_over(source_dsn, clinic)
        assert (await caller(app, "patient").call("user.getMe"))["id"] == me["id"] != key(1)
        assert len((await see(app, OPEN))["messages"]) == 3


async def test_what_stands_here_otherwise_hides_nothing_that_the_source_had(source, source_dsn, clinic, owner):
    """Of somebody who came first, of a row that both sides changed, and of words that were changed there afterwards."""
    await source.execute("UPDATE patients SET phone = '0700123', emergency_contact = 'Aunt May'")
    async with closing(an_app(clinic.app_dsn)) as app:
        await caller(app, "patient").call("patient.createProfile")
        await take_over(source_dsn, clinic)
        assert (await kept(owner, "legacy_patients"))[replaced.PATIENT]["emergency_contact"] == "Aunt May"
        assert (await kept(owner, "legacy_users"))[replaced.PATIENT_USER]["first_name"] == "Jane"
        await owner.execute("UPDATE doctors SET bio = 'ours'")
        await source.execute("UPDATE doctors SET bio = 'theirs'")
        await source.execute("ALTER TABLE chat_messages DISABLE TRIGGER USER")
        await source.execute("UPDATE chat_messages SET content = 'other words' WHERE role = 'user' AND session_id = $1",
                             OPEN)  # fmt: skip
        for _ in range(2):
            await take_over(source_dsn, clinic)
            assert (await kept(owner, "legacy_doctors"))[replaced.DOCTOR]["bio"] == "theirs"
            assert {"other words"} == {row["content"] for row in (await kept(owner, "legacy_chat_messages")).values()}
            assert (await kept(owner, "legacy_patients"))[replaced.PATIENT]["phone"] == "0700123"
        before = await everything(owner)
        await take_over(source_dsn, clinic)
        assert await everything(owner) == before


async def test_what_was_deleted_here_does_not_come_back_beside(source, source_dsn, clinic, owner):
    await source.execute("UPDATE notifications SET type = 'message', message = $1", WORD)
    await take_over(source_dsn, clinic)
    assert len(await kept(owner, "legacy_notifications")) == 1
    await owner.execute("DELETE FROM notifications")
    await take_over(source_dsn, clinic)
    assert await kept(owner, "legacy_notifications") == {}


async def test_a_killed_run_is_completed_by_the_next(source, source_dsn, clinic, owner):
    await replaced.session(source, key(700), status="in_progress", day=8)
    await source.execute(
        "INSERT INTO chat_messages (session_id, role, content, created_at)"
        " SELECT $1, CASE n % 2 WHEN 0 THEN 'user' ELSE 'model' END, 'line ' || n,"
        " timestamp '2025-02-01' + n * interval '1 second' FROM generate_series(1, 12000) n",
        key(700),
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "DATABASE_URL": clinic.owner_dsn,
        "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    }
    run = await asyncio.create_subprocess_exec(
        ANAMNESIS, "import-legacy", source_dsn, env=environment, stdout=subprocess.DEVNULL
    )
    while await owner.fetchval("SELECT count(*) FROM chat_messages") < 2000:
        assert run.returncode is None
        await asyncio.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    await run.wait()
    assert 0 < await owner.fetchval("SELECT count(*) FROM chat_messages") < 12000
    began = time.monotonic()
    tallies = await take_over(source_dsn, clinic)
    print(f"\n{12000 / (time.monotonic() - began):.0f} rows/s")
    assert all(tally.is_whole for tally in tallies.values())
    lines = await stored(owner, CHAT, "session_id = $1 ORDER BY seq", key(700))
    assert [(row["seq"], row["content"]) for row in lines] == [(n, f"line {n}") for n in range(1, 12001)]


async def test_the_command_prints_figures_and_no_content(source, source_dsn, clinic):
    done = command(source_dsn, clinic)
    assert done.returncode == 0, done.stderr
    assert "NOT THE SAME" not in done.stdout
    await replaced.spoil(source)
    done = command(source_dsn, clinic)
    assert done.returncode == 1, done.stderr
    assert WORD not in done.stdout + done.stderr
    assert "left out" in done.stdout


async def test_the_command_refuses_what_is_not_the_replaced_system(clinic, source_dsn):
    assert command(source_dsn, clinic).returncode == 2
    assert command(clinic.owner_dsn, clinic).returncode == 2
    for url in ("postgresql://nobody:secret@127.0.0.1:1/none", "nonsense", "", "postgresql://x:secret@[::1"):
        done = command(url, clinic)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("URL: the replaced system's database could not be opened (")
        assert "secret" not in done.stderr
    ours = SimpleNamespace(owner_dsn="postgresql://nobody:secret@127.0.0.1:1/none")
    await replaced.seed(source := await asyncpg.connect(source_dsn))
    await source.close()
    assert command(source_dsn, ours).stderr.startswith("DATABASE_URL: the database to copy into could not be opened (")


# Compatibility with records of the replaced system


async def test_imported_sessions_load_with_what_was_stored(app):
    data = (await see(app, OPEN, "doctor"))["session"]["medicalData"]
    assert data["chiefComplaint"] == DATA["chiefComplaint"]
    assert data["oddField"] == DATA["oddField"]
    assert data["vitalsData"]["oddVital"] == "kept"
    assert data["vitalsData"]["triageDecision"] == "agent-assisted"


@pytest.mark.parametrize("session_id", [OPEN, BARE])
async def test_a_missing_history_check_is_false(app, session_id):
    assert (await see(app, session_id))["session"]["medicalData"]["historyCheckCompleted"] is False


@pytest.mark.parametrize("session_id", [OPEN, BARE])
async def test_a_missing_vitals_stage_is_false(app, session_id):
    assert (await see(app, session_id))["session"]["medicalData"]["vitalsData"]["vitalsStageCompleted"] is False


async def test_missing_medical_data_and_thoughts_have_their_initial_values(app):
    view = await see(app, BARE, "doctor")
    assert view["session"]["medicalData"]["medications"] == []
    assert view["session"]["doctorThought"]["differentialDiagnosis"] == []


async def test_a_stored_thought_is_the_doctors_until_the_interview_goes_on(app):
    assert (await see(app, OPEN))["session"]["doctorThought"]["differentialDiagnosis"] == []
    before = (await see(app, OPEN, "doctor"))["session"]["doctorThought"]
    assert before == THOUGHT
    await tell(app, OPEN, "It is about me")
    after = (await see(app, OPEN, "doctor"))["session"]["doctorThought"]
    assert after["differentialDiagnosis"] == THOUGHT["differentialDiagnosis"]
    assert after["nextMove"] != THOUGHT["nextMove"]


async def test_a_stored_thought_is_told_the_same_by_every_procedure_that_tells_thoughts(app, owner):
    await owner.execute("UPDATE intake_sessions SET updated_at = now() WHERE id = $1", OPEN)
    query = {"connectionId": str(CONNECTION)}
    for step in range(2):
        told = (await caller(app, "doctor").call("intake.getClinicalReasoning", **query))["clinicalReasoning"]
        shown = (await caller(app, "doctor").call("intake.getDoctorIntakeSessions"))["sessions"]
        latest = max(shown, key=lambda each: each["updatedAt"])
        assert told == latest["doctorThought"]
        assert told["differentialDiagnosis"] == THOUGHT["differentialDiagnosis"]
        if step == 0:
            await tell(app, str(latest["id"]), "It is about me")


async def test_no_data_are_lost(app, owner):
    (row,) = await stored(owner, SESSIONS, "id = $1", OPEN)
    assert (row["medical_data"], row["doctor_thought"], row["name"]) == (DATA, THOUGHT, "Sore throat")
    (audited,) = (await kept(owner, "legacy_audit_logs")).values()
    assert (audited["ip_address"], audited["metadata"]) == ("192.0.2.1", {"a": 1})


async def test_all_historical_messages_are_there_in_order_and_the_doctors_are_the_doctors(app, owner):
    view = await see(app, OPEN)
    told = [(line["role"], line["text"]) for line in view["messages"]]
    assert told == [("model", "What brings you here?"), ("user", f"My throat hurts {WORD}"), ("model", "Since when?")]
    notes = await stored(owner, NOTES, "session_id = $1 ORDER BY created_at", OPEN)
    assert [row["content"] for row in notes] == [f"doctors own words {WORD}", "enhanced, for the doctor"]
    for who in ("patient", "doctor"):
        direct = await caller(app, who).call("message.getConversation", connectionId=CONNECTION)
        assert sorted(line["content"] for line in direct["messages"]) == ["direct 0", "direct 1", "direct 2"]
    zone = view["messages"][0]["timestamp"]
    assert zone.isoformat() == "2025-01-01T10:01:00.250000+00:00"


async def test_an_open_interview_goes_on_and_keeps_its_state(app):
    answer = await tell(app, OPEN, "It is about me", "I have had a cough since Monday")
    assert answer["aiMessage"]["text"]
    session = (await see(app, OPEN, "doctor"))["session"]
    assert session["status"] == "in_progress"
    assert session["name"] == "Sore throat"
    assert session["medicalData"]["oddField"] == DATA["oddField"]
    assert session["medicalData"]["medications"] == ["amlodipine"]
    assert len((await see(app, OPEN))["messages"]) == 7


@pytest.mark.parametrize("session_id", [READY, BARE])
async def test_a_closed_interview_answers_its_fixed_text_and_stays_closed(app, session_id):
    before = (await see(app, session_id))["session"]["status"]
    answers = [(await tell(app, session_id, words))["aiMessage"]["text"] for words in ("one more thing", "and this")]
    assert answers[0] == answers[1]
    assert (await see(app, session_id))["session"]["status"] == before
    sbar = (await see(app, session_id, "doctor"))["session"]["clinicalHandover"]
    assert sbar == replaced.SBAR


async def test_the_response_has_the_recorded_shape(app):
    from journeys.test_wire_shapes import CHAT_LINE, MEDICAL_DATA, SESSION, VITALS_DATA, check, notes_under, on_the_wire

    for session_id in (OPEN, BARE):
        for who in ("patient", "doctor"):
            wire, notes = on_the_wire(await see(app, session_id, who))
            check(SESSION, wire["session"], notes_under(notes, "session."))
            check(MEDICAL_DATA, wire["session"]["medicalData"])
            check(VITALS_DATA, wire["session"]["medicalData"]["vitalsData"])
            for place, line in enumerate(wire["messages"]):
                if line["role"] == "doctor":  # whose notes say of which kind they are
                    continue
                check(CHAT_LINE, line, notes_under(notes, f"messages.{place}."))
