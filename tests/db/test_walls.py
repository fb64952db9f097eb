"""Row-level security: what the database shows and takes when the code above it forgets to ask."""

import ast
import asyncio
import importlib
import inspect
import json
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest

from anamnesis.bootstrap import App
from anamnesis.db.postgres import Database, PoolSettings, Profile
from anamnesis.db.viewing import Purpose, at_work, viewer_of, viewing
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.identity import Person, Role, Visitor
from anamnesis.settings import Database as DatabaseSettings
from anamnesis.settings import Limits, Settings
from build import WHOLE_INTAKE, WORKING, a_doctor, a_session, an_app, caller, closing, tell

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

#: Tables that stand before the wall, each with its reason. Whatever else there is holds health data.
NOT_HEALTH_DATA = {
    "doctors": "professional profiles, public by their purpose: patients find their doctor by them",
    "jobs": "kinds of work and ids; no words, no values, no names",
    "rate_windows": "how often somebody called a procedure in the present minute",
    "account_events": "ids of the identity provider's events, so that each is settled once",
    "model_calls": "a ledger of costs and failures; of a patient only a session's id",
    "model_spend": "what models cost in a day",
    "model_breakers": "which provider is not asked now",
    "schema_migrations": "which files of ours were applied",
    "imported_rows": "keys and fingerprints of an import; the application is granted nothing of it",
    "audit_unsealed": "numbers of lines of the audit trail, for the sealer",
    "audit_chain": "numbers of lines of the audit trail, and hashes",
    "audit_head": "where the chain over the audit trail ends, and a hash",
    "erased_ids": "random ids of what is there no more; the application is granted nothing of it",
    "expired_aside": "digests of keys of what is there no more; the application is granted nothing of it",
    "aside_sweeps": "how far tables of a take-over were looked through; the application is granted nothing of it",
    "erased_files": "random ids of files that are there no more, until their bytes are gone",
    "webhook_events": "that something happened, as a job has it: a kind and ids; no words, no values, no names",
    "webhook_deliveries": "how telling an operator's other system of such an event went",
    "message_reminders": "when somebody was last reminded of a conversation; ids",
}
#: What passes the wall, each with its reason. The application may call it and neither make nor change it.
WITH_THE_OWNERS_RIGHTS = {
    "seal_audit": "who may not write the chain asks for it to be made; it answers a count and a hash",
    "audit_line_waits": "notes the number of a line that is being written; it reads no table",
    "purge_expired": "lets expire what is older than a month and not held; it answers a count",
}
STORES = (
    "care", "intake", "handover", "messaging", "files", "notifications", "administration", "rights", "webhooks",
)  # fmt: skip
CANARY, OTHER = "kanari-alpha", "kanari-beta"
SQL = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b")


async def unwalled(connection):
    """The tables of health data that are not behind a forced wall with a policy."""
    rows = await connection.fetch(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity"
        " AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS is_walled"
        " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f', 'm', 'v')"
    )
    return {row["relname"] for row in rows if not row["is_walled"]} - set(NOT_HEALTH_DATA)


async def walled(connection):
    return [
        row["relname"]
        for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relnamespace = 'public'::regnamespace"
            " ORDER BY relname"
        )
    ]


@pytest.mark.proves("I30")
async def test_every_table_of_health_data_has_a_forced_policy_and_a_new_one_without_is_found(owner):
    assert await unwalled(owner) == set()
    await owner.execute("CREATE TABLE allergies (patient_id uuid, words text)")
    assert await unwalled(owner) == {"allergies"}
    await owner.execute("ALTER TABLE allergies ENABLE ROW LEVEL SECURITY")
    await owner.execute("CREATE POLICY p ON allergies USING (true)")
    assert await unwalled(owner) == {"allergies"}  # its owner would still pass
    await owner.execute("ALTER TABLE allergies FORCE ROW LEVEL SECURITY")
    assert await unwalled(owner) == set()
    await owner.execute("ALTER TABLE chat_messages NO FORCE ROW LEVEL SECURITY")
    assert await unwalled(owner) == {"chat_messages"}


async def test_the_list_of_what_is_no_health_data_names_only_tables_that_are(owner):
    there = await owner.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert set(NOT_HEALTH_DATA) <= {row["relname"] for row in there}


async def test_the_applications_role_owns_nothing_and_passes_no_wall(owner):
    role = await owner.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'anamnesis_app'"
    )
    assert not any(role.values())
    mighty = await owner.fetch(
        "SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert {row["proname"] for row in mighty} == set(WITH_THE_OWNERS_RIGHTS)
    # What does not name pg_temp searches it first, where the application may put tables and functions of its own.
    assert {tuple(row["proconfig"]) for row in mighty} == {("search_path=public, pg_temp",)}
    assert not await owner.fetchval(
        "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = 'anamnesis_app'"
    )


class Scene(NamedTuple):
    app: App
    planted: UUID

    @property
    def database(self):
        return self.app.database


# Two tenants, each a patient with a doctor, and doctors who are no longer or not yet anybody's.


async def tenant(app, owner, patient, doctor, canary):
    """A patient's and a doctor's whole story, with the canary wherever a word can stand."""
    me, clinician, profile = caller(app, patient), caller(app, doctor), await a_doctor(app, doctor)
    connection = str((await me.call("connection.create", doctorId=str(profile["id"])))["id"])
    session = str((await me.call("intake.create", connectionId=connection))["id"])
    await tell(app, session, "It is about me", f"I have {canary} pain", who=patient)
    await me.call("intake.updateSessionName", sessionId=session, name=canary)
    await me.call("message.send", connectionId=connection, content=f"hello {canary}")
    await clinician.call("intake.sendMessage", sessionId=session, content=f"note {canary}")
    await clinician.call("message.send", connectionId=connection, content=f"answer {canary}")
    user = await owner.fetchval("SELECT id FROM users WHERE clerk_id = $1", patient)
    await owner.execute("UPDATE users SET first_name = $2, email = $2 WHERE id = $1", user, canary)
    await owner.execute("UPDATE patients SET phone = $2, emergency_contact = $2 WHERE user_id = $1", user, canary)
    await owner.execute("UPDATE connections SET connection_source = $2 WHERE id = $1", UUID(connection), canary)
    await owner.execute("UPDATE notifications SET message = $2 WHERE user_id = $1", user, canary)
    await owner.execute(
        "INSERT INTO consents (user_id, purpose, version) VALUES ($1, 'outside_model', $2)", user, canary
    )
    await owner.execute(
        "UPDATE audit_logs SET metadata = jsonb_build_object('reason', $2::text) WHERE user_id = $1", user, canary
    )
    await owner.execute(
        "INSERT INTO lowerings (session_id, lowered_by, reason) VALUES ($1, $2, $3)", UUID(session), user, canary
    )
    await owner.execute(
        "INSERT INTO account_reasons (id, user_id, reason) VALUES (gen_random_uuid(), $1, $2)", user, canary
    )
    await owner.execute(
        "INSERT INTO worded_notes (session_id, basis, note, prompt_version, reworded, dropped)"
        " VALUES ($1, sha256('x'), jsonb_build_object('planted', $2::text), 'x', 1, 0)",
        UUID(session), canary,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO model_reasonings (reply_id, session_id, content) SELECT id, session_id, $2 FROM chat_messages"
        " WHERE session_id = $1 AND role = 'model' ORDER BY seq LIMIT 1",
        UUID(session), canary,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO legal_holds (patient_id, reason) SELECT id, $2 FROM patients WHERE user_id = $1", user, canary
    )
    await me.call("patient.requestErasure")
    for state in ("ready", "pending"):
        await owner.execute(
            "INSERT INTO files (id, session_id, uploader_id, file_name, file_type, file_size, digest, state, ready_at)"
            " VALUES ($1, $2, $3, $4, 'application/pdf', 1, sha256('x'), $5,"
            " CASE WHEN $5 = 'ready' THEN clock_timestamp() END)",
            uuid4(), UUID(session), user, canary, state,
        )  # fmt: skip
    await owner.execute(
        "UPDATE intake_sessions SET record = record || jsonb_build_object('planted', $2::text),"
        " clinical_handover = jsonb_build_object('planted', $2::text) WHERE id = $1",
        UUID(session), canary,
    )  # fmt: skip
    return connection


@pytest.fixture
async def scene(clinic, owner):
    # In the clear, so that a word that passes the wall is seen to.
    async with closing(an_app(clinic.app_dsn, is_sealed=False)) as app:
        await owner.execute("SET session_replication_role = replica")  # triggers would stamp and refuse what is planted
        connection = await tenant(app, owner, "patient", "doctor", CANARY)
        await tenant(app, owner, "otherpatient", "otherdoctor", OTHER)
        await a_doctor(app, "unverified", verified=False)
        former = await a_doctor(app, "former")
        ended = await caller(app, "patient").call("connection.create", doctorId=str(former["id"]))
        await caller(app, "patient").call("message.send", connectionId=str(ended["id"]), content=f"{CANARY} to former")
        await caller(app, "patient").call("connection.disconnect", connectionId=str(ended["id"]))
        await owner.execute("UPDATE connections SET connection_source = NULL WHERE id = $1", ended["id"])
        await owner.execute(
            "INSERT INTO intake_sessions (connection_id, name, record)"
            " VALUES ($1, $2, jsonb_build_object('said', $2::text))",
            ended["id"], CANARY,
        )  # fmt: skip
        await owner.execute(
            "INSERT INTO clinician_notes (session_id, author_id, content)"
            " SELECT s.id, d.user_id, $2 FROM intake_sessions s, doctors d WHERE s.connection_id = $1 AND d.id = $3",
            ended["id"], CANARY, former["id"],
        )  # fmt: skip
        # Whose half hour is over.
        await owner.execute(
            "INSERT INTO emergency_accesses (doctor_id, connection_id, reason, opened_at, ends_at)"
            " VALUES ($1, $2, 'Unconscious on arrival', now() - interval '1 hour', now() - interval '30 minutes')",
            former["id"], UUID(connection),
        )  # fmt: skip
        yield Scene(app, UUID(connection))


async def person(app, who):
    found, _ = await app.care_store.find_person(who)
    return found


def statements():
    """Every statement of the stores, by where it stands: the named ones and those written in place."""
    found = {}
    for name in STORES:
        module = importlib.import_module(f"anamnesis.{name}.store")
        named = {key: value for key, value in vars(module).items() if isinstance(value, str) and key.startswith("_")}
        tree = ast.parse(inspect.getsource(module))
        written = {
            f"line {node.lineno}": node.value
            for function in ast.walk(tree) if isinstance(function, ast.AsyncFunctionDef)
            for node in ast.walk(function) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }  # fmt: skip
        found |= {f"{name}.{key}": text for key, text in (named | written).items() if SQL.match(text)}
    return found


ENDS = re.compile(r"\b(ORDER BY|LIMIT|RETURNING|FOR UPDATE|GROUP BY|ON CONFLICT|UNION)\b")


def careless(text):
    """The statement with every WHERE gone: what it asked for is still written, and asks nothing any more."""
    out, place = "", 0
    for match in re.finditer(r"\bWHERE\b", text):
        if match.start() < place:
            continue
        end, depth = match.end(), 0
        while end < len(text) and (depth or text[end] != ")") and not (not depth and ENDS.match(text, end)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        # Of what is nested the outermost goes; a lateral join's own condition goes with a pass of its own.
        out += text[place : match.end()] + f" (true OR ({careless(text[match.end() : end])}) IS NULL) "
        place = end
    return out + text[place:]


def fitting(kind):
    """A value of a parameter's type that finds nothing in particular."""
    if kind.kind == "array":
        return []
    return {
        "uuid": uuid4(), "text": "x", "int2": 1, "int4": 100, "int8": 10_000, "bool": True, "jsonb": {}, "json": {},
        "timestamptz": datetime.now(UTC), "float8": 1.0, "interval": timedelta(0), "bytea": bytes(32),
    }.get(kind.name)  # fmt: skip


async def shown(database, somebody, text):
    """All that a statement shows to somebody, as text; what it wrote is undone. None when it does not run at all."""
    try:
        with viewing(somebody):
            async with database.transaction() as connection:
                prepared = await connection.prepare(text)
                rows = await prepared.fetch(*(fitting(each) for each in prepared.get_parameters()))
                await connection.execute("ROLLBACK; BEGIN")
                return repr([dict(row) for row in rows])
    except asyncpg.PostgresSyntaxError:
        return None
    except asyncpg.PostgresError as refused:
        return str(refused)


FORGED_WORDING = """
INSERT INTO worded_notes (session_id, basis, prompt_version, reworded, dropped) VALUES ($1, sha256('x'), 'x', 0, 0)"""
FORGED_REASONING = "INSERT INTO model_reasonings (reply_id, session_id, content) VALUES (gen_random_uuid(), $1, 'x')"
FORGED_FILE = """
INSERT INTO files (id, session_id, uploader_id, file_name, file_type, file_size, digest)
VALUES (gen_random_uuid(), $1, $2, 'x', 'application/pdf', 1, sha256('x'))"""
FORGED_ACCOUNT_REASON = """
INSERT INTO account_reasons (id, user_id, reason) SELECT gen_random_uuid(), $2, 'x' WHERE $1::uuid IS NOT NULL"""
FORGED = (
    "INSERT INTO chat_messages (session_id, seq, role, content) VALUES ($1, 9000, 'model', 'x')",
    "INSERT INTO clinician_notes (session_id, author_id, content) VALUES ($1, $2, 'x')",
    "INSERT INTO lowerings (session_id, lowered_by, reason) VALUES ($1, $2, 'x')",
    FORGED_WORDING,
    FORGED_REASONING,
    FORGED_FILE,
    FORGED_ACCOUNT_REASON,
)


async def refuses_what_is_forged(database, session, somebody):
    for forged in FORGED:
        given = (session, somebody.user_id)[: 2 if "$2" in forged else 1]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute(forged, *given)


STRANGERS = ("otherpatient", "otherdoctor", "former", "unverified")


@pytest.mark.proves("I30")
async def test_a_planted_missing_where_leaks_nothing_to_another_tenant(scene, owner):
    texts = {name: careless(text) for name, text in statements().items()}
    assert len(texts) > 80
    leaks, runs = [], 0
    for who in STRANGERS:
        somebody = viewer_of(await person(scene.app, who))
        for name, text in texts.items():
            found = await shown(scene.database, somebody, text)
            runs += found is not None
            if found is not None and CANARY in found:
                leaks.append((who, name))
    assert leaks == []
    assert runs > 4 * 75


async def test_the_same_statements_leak_without_the_wall_so_that_the_proof_above_can_fail(scene, owner):
    tables, somebody = await walled(owner), viewer_of(await person(scene.app, "otherpatient"))
    for table in tables:
        await owner.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    leaking = {
        name
        for name, text in statements().items()
        if CANARY in (await shown(scene.database, somebody, careless(text)) or "")
    }
    assert len(leaking) > 25
    assert {"intake._TRANSCRIPT", "intake._NOTES", "messaging._PAGE", "handover._INBOX", "care._PATIENT"} <= leaking


async def everything(database, somebody, tables):
    """What somebody sees of each table, as text; of what the application is granted nothing of, nothing."""
    seen = {}
    with viewing(somebody):
        for table in tables:
            if table == "legal_holds":
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await database.fetch("SELECT FROM legal_holds")
                continue
            seen[table] = repr(await database.fetch(f"SELECT t::text FROM {table} t"))
    return seen


async def test_whoever_it_concerns_sees_it_and_each_only_their_part(scene, owner):
    tables = await walled(owner)
    patient = await everything(scene.database, viewer_of(await person(scene.app, "patient")), tables)
    doctor = await everything(scene.database, viewer_of(await person(scene.app, "doctor")), tables)
    assert patient["emergency_accesses"] == doctor["emergency_accesses"] == "[]"
    assert patient["erasure_requests"] != "[]" == doctor["erasure_requests"]
    without_words = {"erasure_requests", "emergency_accesses"}
    assert {table for table, words in patient.items() if CANARY not in words} - without_words == {
        "clinician_notes",
        "worded_notes",
        "model_reasonings",
        "lowerings",
        "account_reasons",
    }
    assert {table for table, words in doctor.items() if CANARY not in words} - without_words == {
        "consents",
        "notifications",
        "audit_logs",
        "lowerings",
        "account_reasons",
    }
    assert not any(OTHER in words for words in (*patient.values(), *doctor.values()))
    assert not any(
        CANARY in words for words in (await everything(scene.database, at_work(Purpose.VISIT), tables)).values()
    )


async def test_a_former_doctor_finds_the_connection_and_nothing_behind_it_and_the_patient_still_reads(scene, owner):
    former = await everything(scene.database, viewer_of(await person(scene.app, "former")), await walled(owner))
    assert former["connections"].count("<Record") == 1
    for table in (
        "intake_sessions",
        "chat_messages",
        "direct_messages",
        "patients",
        "files",
        "clinician_notes",
        "worded_notes",
        "model_reasonings",
    ):
        assert former[table] == "[]"
    with viewing(viewer_of(await person(scene.app, "patient"))):
        assert (
            await scene.database.fetchval("SELECT count(*) FROM direct_messages WHERE content LIKE '% to former'") == 1
        )


@pytest.mark.proves("I30")
async def test_with_no_context_every_table_answers_no_row_and_takes_none(scene, owner, clinic):
    tables = await walled(owner)
    assert len(tables) == 18
    app = await asyncpg.connect(clinic.app_dsn)
    for table in tables:
        row = json.loads(await owner.fetchval(f"SELECT to_jsonb(t) FROM {table} t LIMIT 1"))
        column = next(name for name in row if name != "id")
        if table == "legal_holds":  # not granted at all
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await app.fetch(f"SELECT * FROM {table}")
        else:
            assert await app.fetch(f"SELECT * FROM {table}") == []
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            try:
                assert (await app.execute(statement)).endswith(" 0")
            except asyncpg.InsufficientPrivilegeError:
                pass  # not granted at all
        key = next(name for name in ("id", "patient_id", "session_id") if name in row)
        row[key] = 10**9 if isinstance(row[key], int) else str(uuid4())
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE"
                f" SELECT * FROM jsonb_populate_record(NULL::{table}, $1::jsonb)",
                json.dumps(row),
            )
    await app.close()


@pytest.mark.proves("I30")
async def test_nobody_writes_into_another_tenants_record(scene, owner):
    before = await owner.fetchval(VICTIM, scene.planted)
    session = await owner.fetchval("SELECT id FROM intake_sessions WHERE connection_id = $1", scene.planted)
    for who in STRANGERS:
        somebody = await person(scene.app, who)
        with viewing(viewer_of(somebody)):
            for text in statements().values():
                if re.match(r"\s*(UPDATE|DELETE|WITH)", text):
                    await careless_write(scene.database, careless(text))
            await refuses_what_is_forged(scene.database, session, somebody)
    assert await owner.fetchval(VICTIM, scene.planted) == before


@pytest.mark.proves("I31")
async def test_a_transcript_only_grows_and_once_ready_no_reply_is_replaced_either(clinic, owner):
    lines = "UPDATE chat_messages SET {} WHERE session_id = $1"
    replaced = lines.format("superseded_at = clock_timestamp()") + " AND role = 'model'"
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session = await a_session(app)
        await tell(app, session, *WHOLE_INTAKE[:2])
        with viewing(WORKING):
            assert await app.database.execute(replaced, UUID(session)) == "UPDATE 3"
            for change in ("superseded_at = NULL", "role = 'user'", "created_at = now()", "images = '[]'",
                           "sender_id = gen_random_uuid()", "is_emergency = NOT is_emergency"):  # fmt: skip
                with pytest.raises(asyncpg.CheckViolationError, match="only grows"):
                    await app.database.execute(lines.format(change) + " AND role = 'model'", UUID(session))
        _, whole = await a_session(app, patient="other", doctor="second")
        await tell(app, whole, *WHOLE_INTAKE, who="other")
        for status in ("ready", "reviewed"):
            await owner.execute("UPDATE intake_sessions SET status = $2 WHERE id = $1", UUID(whole), status)
            with viewing(WORKING), pytest.raises(asyncpg.CheckViolationError, match="only grows"):
                await app.database.execute(replaced, UUID(whole))


#: They read nothing, so that only what may be written stands in their way.
BLIND = (
    "UPDATE connections SET connection_source = 'x'", "UPDATE patients SET phone = 'x'",
    "UPDATE users SET last_name = 'x'", "UPDATE consents SET version = 'x'", "UPDATE intake_sessions SET name = 'x'",
    "UPDATE chat_messages SET reply_so_far = 'x'", "UPDATE direct_messages SET is_read = true",
    "UPDATE files SET width = 1", "UPDATE notifications SET is_read = true",
)  # fmt: skip


@pytest.mark.proves("I30")
async def test_a_write_that_asks_for_nothing_changes_nothing_of_another_tenant(scene, owner):
    before = await owner.fetchval(VICTIM, scene.planted)
    for who in STRANGERS:
        with viewing(viewer_of(await person(scene.app, who))):
            for statement in BLIND:
                await scene.database.execute(statement)
    assert await owner.fetchval(VICTIM, scene.planted) == before


async def test_nobody_writes_in_anothers_name_or_after_the_end(scene, owner):
    session = await owner.fetchval("SELECT id FROM intake_sessions WHERE connection_id = $1", scene.planted)
    past = await owner.fetchrow(
        "SELECT s.id, s.connection_id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id"
        " WHERE c.status = 'disconnected'"
    )
    people = {who: await person(scene.app, who) for who in ("patient", "doctor", "former")}
    note = "INSERT INTO clinician_notes (session_id, author_id, content) VALUES ($1, $2, 'x')"
    message = "INSERT INTO direct_messages (connection_id, seq, sender_id, content) VALUES ($1, 900, $2, 'x')"
    for who, statement, where, name in (
        ("doctor", note, session, "patient"),
        ("former", note, past["id"], "former"),
        ("patient", message, scene.planted, "doctor"),
        ("doctor", message, scene.planted, "patient"),
        ("former", message, past["connection_id"], "former"),
        ("patient", message, past["connection_id"], "patient"),
    ):
        with viewing(viewer_of(people[who])), pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scene.database.execute(statement, where, people[name].user_id)
    with viewing(viewer_of(people["former"])):
        for statement in ("UPDATE direct_messages SET is_read = true", "UPDATE intake_sessions SET name = 'x'"):
            assert await scene.database.execute(statement) == "UPDATE 0"


VICTIM = """
SELECT md5(string_agg(t, '|' ORDER BY t)) FROM (
    SELECT s::text AS t FROM intake_sessions s WHERE connection_id = $1
    UNION ALL SELECT m::text FROM chat_messages m JOIN intake_sessions s ON s.id = m.session_id WHERE connection_id = $1
    UNION ALL SELECT n::text FROM clinician_notes n JOIN intake_sessions s ON s.id = n.session_id
              WHERE connection_id = $1
    UNION ALL SELECT f::text FROM files f JOIN intake_sessions s ON s.id = f.session_id WHERE connection_id = $1
    UNION ALL SELECT d::text FROM direct_messages d WHERE connection_id = $1
    UNION ALL SELECT l::text FROM lowerings l JOIN intake_sessions s ON s.id = l.session_id WHERE connection_id = $1
    UNION ALL SELECT w::text FROM worded_notes w JOIN intake_sessions s ON s.id = w.session_id WHERE connection_id = $1
    UNION ALL SELECT r::text FROM model_reasonings r JOIN intake_sessions s ON s.id = r.session_id
              WHERE connection_id = $1
    UNION ALL SELECT e::text FROM emergency_accesses e WHERE connection_id = $1
    UNION ALL SELECT w::text FROM erasure_requests w JOIN connections c USING (patient_id) WHERE c.id = $1
    UNION ALL SELECT c::text FROM connections c WHERE id = $1
    UNION ALL SELECT p::text FROM patients p JOIN connections c ON c.patient_id = p.id WHERE c.id = $1
    UNION ALL SELECT u::text FROM users u JOIN patients p ON p.user_id = u.id JOIN connections c ON c.patient_id = p.id
              WHERE c.id = $1
    UNION ALL SELECT k::text FROM consents k JOIN patients p ON p.user_id = k.user_id
              JOIN connections c ON c.patient_id = p.id WHERE c.id = $1
    UNION ALL SELECT b::text FROM notifications b JOIN patients p ON p.user_id = b.user_id
              JOIN connections c ON c.patient_id = p.id WHERE c.id = $1) all_of_it"""


OF_A_CASE = {
    "users", "patients", "connections", "intake_sessions", "chat_messages", "clinician_notes", "worded_notes",
    "model_reasonings", "files",
}  # fmt: skip


async def opened(scene, owner):
    """A doctor of nobody, before and after breaking the glass over the planted case: as whom they are let in."""
    await a_doctor(scene.app, "helper")
    before = viewer_of(await person(scene.app, "helper"))
    session = await owner.fetchval("SELECT id FROM intake_sessions WHERE connection_id = $1", scene.planted)
    reason = "Unconscious in our emergency room"
    await caller(scene.app, "helper").call("handover.breakGlass", sessionId=str(session), reason=reason)
    return before, viewer_of(await person(scene.app, "helper"))


async def aged(owner, age):
    await owner.execute(
        "UPDATE emergency_accesses SET opened_at = opened_at - $1::interval, ends_at = ends_at - $1::interval"
        " WHERE ends_at > now()",
        age,
    )


@pytest.mark.proves("I30")
async def test_a_broken_glass_opens_one_case_for_half_an_hour_and_no_direct_message(scene, owner):
    tables = await walled(owner)
    before, helper = await opened(scene, owner)
    seen = await everything(scene.database, helper, tables)
    assert {table for table, words in seen.items() if CANARY in words} == OF_A_CASE
    for table in ("direct_messages", "consents", "lowerings", "erasure_requests"):
        assert seen[table] == "[]"
    assert seen["emergency_accesses"].count("<Record") == 1
    assert not any(OTHER in words for words in seen.values())
    assert await scene.database.fetch("SELECT FROM emergency_accesses") == []  # with nobody said, nothing
    await aged(owner, timedelta(minutes=29, seconds=45))
    assert CANARY in (await everything(scene.database, helper, tables))["chat_messages"]
    # The same caller, as a stream that is open would ask: it is the clock of the database that ends it.
    await aged(owner, timedelta(seconds=15))
    after = await everything(scene.database, helper, tables)
    assert [table for table, words in after.items() if CANARY in words] == []
    assert before.said == helper.said


async def test_a_broken_glass_lets_nobody_write(scene, owner):
    _, helper = await opened(scene, owner)
    somebody = await person(scene.app, "helper")
    before = await owner.fetchval(VICTIM, scene.planted)
    session = await owner.fetchval("SELECT id FROM intake_sessions WHERE connection_id = $1", scene.planted)
    patient = await person(scene.app, "patient")
    with viewing(helper):
        for text in (*BLIND, *(careless(text) for text in statements().values())):
            if re.match(r"\s*(UPDATE|DELETE|WITH)", text):
                await careless_write(scene.database, text)
        await refuses_what_is_forged(scene.database, session, somebody)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scene.database.execute(
                "INSERT INTO notifications (user_id, type, title, message) VALUES ($1, 'message', 'x', 'x')",
                patient.user_id,
            )
    assert await owner.fetchval(VICTIM, scene.planted) == before


NOTICE = """
INSERT INTO notifications (user_id, type, title, message, data)
VALUES ($1, 'emergency_access', 'x', 'x', jsonb_build_object('connectionId', $2::uuid))"""


async def test_only_a_verified_doctor_opens_in_their_own_name_and_tells_only_whom_it_concerns(scene, owner):
    access = """
    INSERT INTO emergency_accesses (doctor_id, connection_id, reason, ends_at)
    VALUES ($1, $2, 'Unconscious on arrival', now() + $3::interval)"""
    doctor = await person(scene.app, "doctor")
    for who in ("patient", "otherdoctor", "unverified", "operator"):
        with viewing(viewer_of(await person(scene.app, who))), pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scene.database.execute(access, doctor.doctor_id, scene.planted, timedelta(minutes=5))
    _, helper = await opened(scene, owner)
    me = await person(scene.app, "helper")
    with viewing(helper):
        with pytest.raises(asyncpg.CheckViolationError):
            await scene.database.execute(access, me.doctor_id, scene.planted, timedelta(hours=1))
        await scene.database.execute(NOTICE, doctor.user_id, scene.planted)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scene.database.execute(NOTICE, (await person(scene.app, "otherpatient")).user_id, scene.planted)
    other = await owner.fetchval("SELECT connection_id FROM intake_sessions WHERE name = $1", OTHER)
    with viewing(helper), pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scene.database.execute(NOTICE, (await person(scene.app, "otherpatient")).user_id, other)
    with viewing(viewer_of(await person(scene.app, "former"))), pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scene.database.execute(NOTICE, doctor.user_id, scene.planted)  # whose half hour is over


async def test_lines_of_the_audit_trail_are_added_in_ones_own_name_or_by_a_purpose_that_has_any(scene, owner):
    line = "INSERT INTO audit_logs (user_id, action, resource_type) VALUES ($1, 'forged', 'x')"
    patient, doctor = [(await person(scene.app, who)) for who in ("patient", "doctor")]
    visit, jobs, operations = (at_work(each) for each in (Purpose.VISIT, Purpose.JOBS, Purpose.OPERATIONS))
    for somebody, name in ((viewer_of(patient), patient), (jobs, patient), (jobs, None), (visit, None)):
        with viewing(somebody):
            await scene.database.execute(line, None if name is None else name.user_id)
    forged = ((viewer_of(patient), doctor), (viewer_of(patient), None), (visit, patient), (operations, None))
    for somebody, name in forged:
        with viewing(somebody), pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scene.database.execute(line, None if name is None else name.user_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scene.database.execute(line, None)


@pytest.mark.parametrize("statement", ["SELECT * FROM seal_audit(10)", "SELECT purge_expired(365, 10)"])
async def test_what_has_the_owners_rights_leaves_whoever_asked_as_they_were(scene, owner, plain_dsn, statement):
    plain = Database(plain_dsn)
    for database in (scene.database, plain):
        with viewing(at_work(Purpose.VISIT)):
            async with database.transaction() as connection:
                await connection.fetch(statement)
                assert await connection.fetchval("SELECT current_setting('anamnesis.purpose')") == "visit"
                assert await connection.fetchval("SELECT count(*) FROM intake_sessions") == 0
    await plain.close()


async def careless_write(database, text):
    try:
        async with database.transaction() as connection:
            prepared = await connection.prepare(text)
            await prepared.fetch(*(fitting(each) for each in prepared.get_parameters()))
    except (asyncpg.PostgresError, asyncpg.InterfaceError):
        pass  # refused altogether is as good as touching nothing


@pytest.mark.parametrize("profile", Profile)
async def test_whom_a_transaction_speaks_for_ends_with_it(scene, clinic, profile):
    login = clinic.owner_dsn if profile is Profile.SERVERLESS else clinic.app_dsn
    database = Database(login, PoolSettings(profile=profile, max_size=1))
    with viewing(viewer_of(await person(scene.app, "patient"))):
        assert await database.fetchval("SELECT count(*) FROM chat_messages") > 0
        with pytest.raises(asyncpg.DivisionByZeroError):
            await database.fetchval("SELECT 1 / 0 FROM chat_messages")
        async with database.together():
            assert await database.fetchval("SELECT count(*) FROM patients") == 1
    assert await database.fetchval("SELECT count(*) FROM chat_messages") == 0
    assert await database.fetchval("SELECT coalesce(current_setting('anamnesis.user_id', true), '')") == ""
    with viewing(at_work(Purpose.JOBS)):
        assert await database.fetchval("SELECT count(*) FROM patients") == 2
    assert await database.fetchval("SELECT count(*) FROM patients") == 0
    await database.close()


async def test_tasks_at_once_see_each_their_own(scene):
    people = [await person(scene.app, who) for who in ("patient", "otherpatient")]

    async def look(somebody):
        with viewing(viewer_of(somebody)):
            await asyncio.sleep(0)
            return await scene.database.fetch("SELECT user_id FROM patients")

    found = await asyncio.gather(*(look(people[number % 2]) for number in range(40)))
    assert [[row["user_id"] for row in rows] for rows in found] == [[people[n % 2].user_id] for n in range(40)]


async def test_looking_up_access_leaves_whoever_asked_as_they_were(scene):
    session = "SELECT link.id FROM intake_sessions s CROSS JOIN LATERAL link_of_session(s.id) link"
    with viewing(viewer_of(await person(scene.app, "otherpatient"))):
        async with scene.database.transaction() as connection:
            found = await connection.fetchrow("SELECT id FROM link_of_connection($1)", scene.planted)
            assert found is not None  # who is a stranger to it is decided by policy, which must know whose it is
            assert await connection.fetchval("SELECT count(*) FROM patients") == 1
            assert len(await connection.fetch(session)) == 1
    assert await scene.database.fetchval("SELECT count(*) FROM patients") == 0


@pytest.mark.parametrize("name", ["person_of", "link_of_connection", "link_of_session"])
async def test_what_is_looked_up_without_a_context_is_ids_and_states(owner, name):
    shown = await owner.fetchval(
        "SELECT proargnames::text || proallargtypes::regtype[]::text FROM pg_proc WHERE proname = $1", name
    )
    types = re.findall(r"\{([^}]*)\}", shown)[1].split(",")
    assert set(types[1:]) <= {"uuid", "uuid[]", "boolean", "text"}
    assert types[1:].count("text") == 1  # a role, or a connection's status


def test_who_is_spoken_for_is_what_the_door_knew():
    ids = [uuid4() for _ in range(3)]
    doctor = Person(ids[0], "d", Role.DOCTOR, ids[1], ids[2], doctor_is_verified=False)
    assert "doctor_id" not in viewer_of(doctor).said
    assert str(ids[2]) in viewer_of(Person(ids[0], "d", Role.DOCTOR, None, ids[2], doctor_is_verified=True)).said
    assert "oversight" in viewer_of(Person(ids[0], "o", Role.SUPER_ADMIN)).said
    assert "oversight" not in viewer_of(Person(ids[0], "o", Role.PATIENT, is_superuser=True)).said
    assert viewer_of(Visitor()) == at_work(Purpose.VISIT)


async def test_an_owner_who_is_no_superuser_stands_before_the_wall_too(plain_dsn):
    plain = await asyncpg.connect(plain_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await plain.execute("INSERT INTO users (clerk_id) VALUES ('one')")
    await plain.execute("BEGIN; SET LOCAL anamnesis.purpose = 'migration'; INSERT INTO users (clerk_id) VALUES ('one')")
    assert await plain.fetchval("SELECT count(*) FROM users") == 1
    await plain.execute("COMMIT")
    assert await plain.fetchval("SELECT count(*) FROM users") == 0
    await plain.close()


async def test_a_clinic_behind_a_transaction_pooler_stands_before_the_same_wall(clinic):
    settings = Settings(limits=Limits(factor=10_000), database=DatabaseSettings(profile="serverless"))
    async with closing(an_app(clinic.owner_dsn, settings=settings)) as app:  # a login that would pass every wall
        _, session = await a_session(app)
        await tell(app, session, "It is about me", f"I have {CANARY} pain")
        seen = await asyncio.gather(
            *(caller(app, who).call("intake.getSession", sessionId=session) for who in ("patient", "doctor") * 4)
        )
        assert all(CANARY in repr(each) for each in seen)
        await a_doctor(app, "otherdoctor")
        with viewing(viewer_of(await person(app, "otherdoctor"))):
            assert await app.database.fetch("SELECT content FROM chat_messages") == []
        with pytest.raises(NotFound):
            await caller(app, "otherdoctor").call("intake.getSession", sessionId=session)
