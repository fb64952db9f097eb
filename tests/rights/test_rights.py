"""A patient is exported, held, expires and is erased: over the real tables, with a scan of every one of them."""

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from pydantic.alias_generators import to_camel

from anamnesis.db.aside import aside
from anamnesis.db.chain import lines
from anamnesis.db.embedded import OWNER
from anamnesis.db.encryption import CHAT, DIRECT, FILES, LOWERINGS, NOTES, SEALED, SESSIONS, Keyring
from anamnesis.db.sealing import Sealer
from anamnesis.intake.store import _MAY_LEAVE
from anamnesis.kernel.consents import IN_FORCE
from anamnesis.kernel.errors import Conflict, NotFound
from anamnesis.kernel.procedures import Part
from anamnesis.legacy.importing import Import
from anamnesis.legacy.source import reading
from anamnesis.legacy.target import writing
from anamnesis.rights.actions import delete_bytes
from anamnesis.rights.fhir import document_of
from anamnesis.rights.store import operating
from anamnesis.rights.views import as_json
from anamnesis.settings import Files, Limits, Settings
from build import ENCRYPTION_KEYS, KEYRING, WHOLE_INTAKE, a_session, an_app, caller, closing, tell
from files.hostile import image, pdf
from legacy import replaced

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

CANARY = "CANARY4711"
ANAMNESIS = Path(sys.executable).parent / "anamnesis"
AGED = """
UPDATE {table} SET {column} = clock_timestamp() - interval '400 days'"""


@pytest.fixture
def folder_of_files(tmp_path):
    return tmp_path / "blobs"


@pytest.fixture
async def app(clinic, folder_of_files):
    settings = Settings(files=Files(folder=str(folder_of_files)), limits=Limits(factor=10_000), retention_days=365)
    # In the clear, so that the scans find every word that is left; tests/db/test_sealed.py has the sealed life.
    async with closing(an_app(clinic.app_dsn, settings=settings, is_sealed=False)) as app:
        yield app


@pytest.fixture
async def records(clinic):
    async with operating(clinic.owner_dsn, Keyring()) as records:
        yield records


def part(content, name):
    async def read():
        return content

    return Part(name, "", len(content), read)


async def a_life(app, who="patient", doctor="doctor"):
    """Somebody of whom every kind of row is kept, each with the canary: (patient id, connection id, session id)."""
    connection_id, session_id = await a_session(app, patient=who, doctor=doctor)
    patient, physician = caller(app, who), caller(app, doctor)
    await patient.call("user.updateProfile", firstName=f"{CANARY}First", lastName=f"{CANARY}Last")
    await patient.call("patient.updateProfile", phone=CANARY, emergencyContact=CANARY, emergencyPhone=CANARY)
    await patient.call("user.giveConsent", purpose="outside_model", version=IN_FORCE["outside_model"])
    await tell(app, session_id, *WHOLE_INTAKE[:-2], f"One more thing, {CANARY}", WHOLE_INTAKE[-1], who=who)
    await tell(app, session_id, f"I have crushing chest pain, {CANARY}", who=who)
    await patient.call("intake.updateSessionName", sessionId=session_id, name=CANARY)
    sent = await patient.call("file.upload", sessionId=session_id, files=[part(image("JPEG"), f"{CANARY}.jpg")])
    await patient.call("file.upload", sessionId=session_id, files=[part(pdf(), f"{CANARY}.pdf")])
    await patient.call("intake.sendMessage", sessionId=session_id, content=CANARY, images=[str(sent["files"][0]["id"])])
    await physician.call("intake.sendMessage", sessionId=session_id, content=f"note {CANARY}")
    await physician.call("intake.addMessage", connectionId=connection_id, content=CANARY, metadata={"x": CANARY})
    await physician.call("handover.lowerUrgency", sessionId=session_id, to="routine", reason=CANARY)
    await physician.call("message.send", connectionId=connection_id, content=f"to you {CANARY}")
    await patient.call("message.send", connectionId=connection_id, content=f"to the doctor {CANARY}")
    await patient.call("patient.requestErasure")
    me = await patient.call("user.me")
    return me["patient"]["id"], connection_id, session_id


async def found_in(owner, *words):
    """The tables of which some row holds one of the words, whatever its case."""
    names = await owner.fetch("SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'")
    pattern = "|".join(words)
    return [
        row["name"]
        for row in names
        if await owner.fetchval(f"SELECT EXISTS (SELECT FROM {row['name']} t WHERE t::text ~* $1)", pattern)
    ]


def blobs_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def command(clinic, folder, *arguments):
    environment = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "DATABASE_URL": clinic.owner_dsn,
        "FILES_FOLDER": str(folder), "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    }  # fmt: skip
    return subprocess.run([ANAMNESIS, *arguments], env=environment, capture_output=True, text=True, check=False,
                          timeout=60)  # fmt: skip


# -- erasure -----------------------------------------------------------------------------------------------------


async def test_an_erased_patient_is_in_no_row_of_any_table_and_in_no_file(app, owner, clinic, folder_of_files):
    patient_id, connection_id, session_id = await a_life(app)
    kept = await a_life(app, "neighbour", "another")
    await owner.execute(
        "INSERT INTO notifications (user_id, type, title, message) SELECT user_id, 'x', 't', $1 FROM doctors",
        f"{CANARY}First {CANARY}Last has a message",
    )
    everywhere = await found_in(owner, CANARY)
    for table in ("users", "patients", "intake_sessions", "chat_messages", "clinician_notes", "lowerings",
                  "direct_messages", "files", "notifications"):  # fmt: skip
        assert table in everywhere
    found = await owner.fetch("SELECT action, metadata FROM audit_logs WHERE metadata::text ~ $1", CANARY)
    assert [tuple(row) for row in found] == []
    assert len(blobs_in(folder_of_files)) == 6
    audited = await owner.fetchval("SELECT count(*) FROM audit_logs")
    done = command(clinic, folder_of_files, "erase", "--patient", str(patient_id), "--confirm", str(patient_id))
    assert (done.returncode, done.stderr) == (0, "")
    assert CANARY not in done.stdout

    for table in (
        "users",
        "patients",
        "consents",
        "connections",
        "intake_sessions",
        "chat_messages",
        "direct_messages",
    ):
        assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE {table}::text ~ $1", str(patient_id)) == 0
    for wanted in (connection_id, session_id):
        assert set(await found_in(owner, wanted)) <= {"audit_logs", "erased_ids"}
    command(clinic, folder_of_files, "erase", "--patient", str(kept[0]), "--confirm", str(kept[0]))
    assert await found_in(owner, CANARY, "patient@example", "neighbour@example") == []
    assert blobs_in(folder_of_files) == []
    assert await owner.fetchval("SELECT count(*) FROM erased_files") == 0
    assert await owner.fetchval("SELECT count(*) FROM audit_logs") == audited + 2
    assert await owner.fetchval("SELECT count(*) FROM doctors") == 2


async def test_no_sample_of_the_planner_holds_what_was_erased(app, owner, clinic, folder_of_files):
    """PostgreSQL keeps values of columns to plan with, until it looks at a table again; of an empty one for good."""
    patient_id, *_ = await a_life(app)
    connection_id, session_id = await a_session(app, patient="neighbour", doctor="another")
    await caller(app, "neighbour").call("patient.updateProfile", phone="0700")
    await caller(app, "neighbour").call("message.send", connectionId=connection_id, content="hello")
    await tell(app, session_id, "It is about me", who="neighbour")
    await owner.execute("ANALYZE")
    sampled = (
        "SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'public'"
        " AND concat(histogram_bounds::text, most_common_vals::text, most_common_elems::text) ~ $1 ORDER BY 1"
    )
    assert {"chat_messages", "users"} <= {row[0] for row in await owner.fetch(sampled, CANARY)}
    erase = ("erase", "--patient", str(patient_id), "--confirm", str(patient_id))
    assert command(clinic, folder_of_files, *erase).returncode == 0
    empty = {"clinician_notes", "files", "lowerings"}  # there is nobody else in them
    assert {row[0] for row in await owner.fetch(sampled, CANARY)} <= empty
    assert await owner.fetch(sampled, "patient@example.test") == []


async def test_bytes_that_arrive_after_their_patient_was_erased_do_not_stay(
    app, owner, records, folder_of_files, monkeypatch
):
    patient_id, _, session_id = await a_life(app)
    kind, put = type(app.filing.blobs), type(app.filing.blobs).put

    async def late(blobs, key, content):
        if await owner.fetchval("SELECT count(*) FROM patients"):
            await records.erase(patient_id)
            while await delete_bytes(app.rights.store, app.rights.blobs):
                pass
        await put(blobs, key, content)

    monkeypatch.setattr(kind, "put", late)
    with pytest.raises(NotFound):
        await caller(app, "patient").call("file.upload", sessionId=session_id, files=[part(image("PNG"), "late.png")])
    assert blobs_in(folder_of_files) == []


async def test_the_sealed_trail_is_whole_after_an_erasure_and_holds_no_word(app, owner, clinic, folder_of_files):
    patient_id, _, _ = await a_life(app)
    await Sealer(app.database).seal()
    assert command(clinic, folder_of_files, "erase", "--patient", str(patient_id), "--confirm", str(patient_id)).stdout
    await Sealer(app.database).seal()
    verified = command(clinic, folder_of_files, "audit", "verify")
    assert (verified.returncode, verified.stderr) == (0, "")
    sealed = await owner.fetchval("SELECT count(*) FROM audit_chain")
    assert sealed == await owner.fetchval("SELECT count(*) FROM audit_logs") > 10
    assert f"{sealed} lines are as they were sealed" in verified.stdout
    assert "audit_logs" not in await found_in(owner, CANARY)


async def test_a_table_nobody_thought_of_is_erased_too(app, owner, records):
    patient_id, connection_id, session_id = await a_life(app)
    await owner.execute("CREATE TABLE later (session_id uuid REFERENCES intake_sessions, words text)")
    await owner.execute("CREATE TABLE later_still (connection_id uuid REFERENCES connections, words text)")
    await owner.execute("INSERT INTO later VALUES ($1, $2)", UUID(session_id), CANARY)
    await owner.execute("INSERT INTO later_still VALUES ($1, $2)", UUID(connection_id), CANARY)
    await records.erase(patient_id)
    assert await found_in(owner, CANARY) == []


async def test_only_the_one_who_is_meant_is_erased(app, owner, records):
    patient_id, _, _ = await a_life(app)
    other = await a_life(app, "neighbour", "another")
    before = await records.whole(other[0])
    await records.erase(patient_id)
    after = await records.whole(other[0])
    assert after.interviews == before.interviews
    assert after.direct_messages == before.direct_messages
    assert (await caller(app, "neighbour").call("intake.getSession", sessionId=other[2]))["session"]["id"]


async def test_what_was_erased_answers_as_absent_to_everybody(app, records):
    patient_id, connection_id, session_id = await a_life(app)
    await records.erase(patient_id)
    for who in ("patient", "doctor", "operator"):
        with pytest.raises(NotFound):
            await caller(app, who).call("intake.getSession", sessionId=session_id)
        with pytest.raises(NotFound):
            await caller(app, who).call("message.getConversation", connectionId=connection_id)
    assert (await caller(app, "doctor").call("handover.getInbox"))["cases"] == []
    with pytest.raises(NotFound):
        await records.erase(patient_id)


async def test_whoever_comes_back_begins_anew(app, records):
    patient_id, _, _ = await a_life(app)
    await records.erase(patient_id)
    me = await caller(app, "patient").call("user.me")
    assert (me["firstName"], me["patient"]) == ("Patient", None)


async def test_a_doctor_who_is_also_a_patient_stays_a_doctor(app, owner, records):
    await a_session(app)
    patient = await caller(app, "other").call("doctor.createProfile", specialty="Eyes")
    await caller(app, "other").call("patient.createProfile", phone=CANARY)
    patient_id = (await caller(app, "other").call("user.me"))["patient"]["id"]
    await records.erase(patient_id)
    me = await caller(app, "other").call("user.me")
    assert (me["patient"], me["doctor"]["id"]) == (None, patient["id"])
    assert await found_in(owner, CANARY) == []


async def test_nothing_is_erased_unconfirmed(app, owner, clinic, folder_of_files):
    patient_id, *_ = await a_life(app)
    for more in ((), ("--confirm", str(uuid4())), ("--confirm", "yes")):
        done = command(clinic, folder_of_files, "erase", "--patient", str(patient_id), *more)
        assert done.returncode == 2
    assert await owner.fetchval("SELECT count(*) FROM patients WHERE id = $1", patient_id) == 1
    assert command(clinic, folder_of_files, "erase", "--patient", str(uuid4()), "--confirm", "x").returncode == 2


async def test_ten_thousand_messages_are_erased_within_ten_seconds(app, owner, records, record_property):
    patient_id, connection_id, session_id = await a_life(app)
    await owner.execute(
        """
        WITH asked AS (
            INSERT INTO chat_messages (session_id, seq, role, content, turn_state)
            SELECT $1, 1000 + 2 * n, 'user', 'words of ' || $2, 'answered_ai' FROM generate_series(1, 5000) n
            RETURNING id, seq)
        INSERT INTO chat_messages (session_id, seq, role, content, reply_to)
        SELECT $1, seq + 1, 'model', 'answer to ' || $2, id FROM asked""",
        UUID(session_id), CANARY,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO direct_messages (connection_id, seq, sender_id, content)"
        " SELECT $1, 1000 + n, (SELECT user_id FROM patients WHERE id = $2), $3 FROM generate_series(1, 2000) n",
        UUID(connection_id), patient_id, CANARY,
    )  # fmt: skip
    began = time.monotonic()
    await records.erase(patient_id)
    took = time.monotonic() - began
    record_property("seconds", round(took, 2))
    print(f"12,000 messages erased in {took:.2f} s")
    assert took < 10
    assert await found_in(owner, CANARY) == []


async def test_a_wish_is_kept_once_listed_and_gone_with_its_owner(app, owner, records, clinic, folder_of_files):
    await a_session(app)
    first = await caller(app, "patient").call("patient.requestErasure")
    assert await caller(app, "patient").call("patient.requestErasure") == first
    actions = await owner.fetch("SELECT action FROM audit_logs WHERE action = 'erasure_requested'")
    assert len(actions) == 1
    patient_id = (await caller(app, "patient").call("user.me"))["patient"]["id"]
    assert str(patient_id) in command(clinic, folder_of_files, "erase", "--requested").stdout
    await records.erase(patient_id)
    assert await records.requests() == ()


async def test_the_service_itself_can_erase_nobody(database, app):
    patient_id, *_ = await a_life(app)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute("SELECT erase_patient($1)", patient_id)
    for table in ("users", "patients", "intake_sessions", "chat_messages", "direct_messages"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute(f"DELETE FROM {table}")
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute("SELECT purge_expired(29, 1)")


async def test_what_an_operator_says_of_an_account_goes_with_it_and_stands_in_no_line_of_the_trail(
    app, owner, records, clinic, folder_of_files
):
    patient_id, *_ = await a_life(app)
    operator, user_id = caller(app, "operator"), str((await caller(app, "patient").call("user.me"))["id"])
    for is_active in (False, True):
        await operator.call("admin.updateUserStatus", userId=user_id, isActive=is_active, reason=f"shouted {CANARY}")
    doctor = await caller(app, "doctor").call("doctor.getMyProfile")
    rejection = {"doctorId": str(doctor["id"]), "action": "reject", "reason": "no licence"}
    assert (await operator.call("admin.verifyDoctor", **rejection))["rejectionReason"] == "no licence"

    async def told():
        logs = (await operator.call("admin.getAuditLogs", limit=100))["logs"]
        by = ("user_suspended", "user_activated", "doctor_rejected")
        return {line["action"]: line["metadata"] for line in logs if line["action"] in by}

    before = await told()
    assert {action: metadata["reason"] for action, metadata in before.items()} == {
        "user_suspended": f"shouted {CANARY}", "user_activated": f"shouted {CANARY}", "doctor_rejected": "no licence",
    }  # fmt: skip
    assert all(set(metadata) == {"reason", "access"} for metadata in before.values())
    stored = await owner.fetchval("SELECT string_agg(metadata::text, ' ') FROM audit_logs")
    assert CANARY not in stored
    assert "no licence" not in stored
    file, at = await records.whole(patient_id), datetime.now(UTC)
    assert [each["reason"] for each in as_json(file, at)["accountReasons"]] == [f"shouted {CANARY}"] * 2
    assert "accountReasons" not in as_json(file, at, for_patient=True)
    await Sealer(app.database).seal()
    await records.erase(patient_id)
    assert await owner.fetchval("SELECT count(*) FROM account_reasons") == 1
    assert await found_in(owner, f"shouted {CANARY}") == []
    after = await told()
    assert after["user_suspended"] == {**before["user_suspended"], "reason": None}
    assert after["doctor_rejected"] == before["doctor_rejected"]
    await Sealer(app.database).seal()
    assert command(clinic, folder_of_files, "audit", "verify").returncode == 0


# -- what was taken over -----------------------------------------------------------------------------------------


@pytest.fixture
async def source_dsn(postgres, clinic):
    admin = await asyncpg.connect(postgres.dsn(OWNER, "postgres"))
    await admin.execute("CREATE DATABASE replaced_rights")
    yield postgres.dsn(OWNER, "replaced_rights")
    await admin.execute("DROP DATABASE replaced_rights WITH (FORCE)")
    await admin.close()


async def take_over(source_dsn, clinic, keyring):
    async with reading(source_dsn) as source, writing(clinic.owner_dsn, keyring) as target:
        return {tally.table: tally for tally in await Import(source, target).run()}


@pytest.mark.parametrize("keyring", [Keyring(), KEYRING], ids=["in the clear", "sealed"])
async def test_what_was_copied_beside_our_tables_is_erased_and_does_not_come_back(
    source_dsn, clinic, owner, records, keyring
):
    source = await asyncpg.connect(source_dsn)
    await replaced.seed(source)
    await source.execute(
        "ALTER TABLE chat_messages DISABLE TRIGGER USER;"
        f"UPDATE chat_messages SET grounding_metadata = '{{\"seen\": \"{replaced.WORD}\"}}', active_agent = 'Odd'"
    )
    await source.execute(
        "UPDATE audit_logs SET action = 'intake_session_name_updated', metadata = $1",
        json.dumps({"connectionId": replaced.CONNECTION, "newName": replaced.WORD}),
    )
    await source.execute(
        "INSERT INTO audit_logs (user_id, action, resource_type, resource_id, metadata)"
        " VALUES ($1, 'user_updated', 'user', $2, $3)",
        UUID(replaced.DOCTOR_USER), replaced.PATIENT_USER, json.dumps({"newValue": {"lastName": replaced.WORD}}),
    )  # fmt: skip
    await source.execute(
        "INSERT INTO appointments VALUES (gen_random_uuid(), $1, now(), $2)", UUID(replaced.CONNECTION), replaced.WORD
    )
    await take_over(source_dsn, clinic, keyring)
    held = await found_in(owner, SEALED if keyring.first else replaced.WORD)
    assert {"legacy_appointments", "legacy_chat_messages", "intake_sessions"} <= set(held)
    await records.erase(UUID(replaced.PATIENT))
    assert await found_in(owner, replaced.WORD) == []
    for name in await found_in(owner, SEALED):  # what names nobody stays, and this patient is not in it
        (table,) = await owner.fetch("SELECT relname AS name FROM pg_class WHERE oid = $1::regclass", name)
        assert table["name"].startswith("legacy_")
        rows = await owner.fetch(f"SELECT key, row FROM {name}")
        opened = [keyring.opened(aside(table["name"]), {**row, "row": json.loads(row["row"])}) for row in rows]
        assert not any(word in str(opened) for word in (replaced.WORD, replaced.PATIENT, replaced.CONNECTION))
    assert set(await found_in(owner, replaced.PATIENT, replaced.CONNECTION)) <= {
        "audit_logs", "erased_ids", "imported_rows",
    }  # fmt: skip
    tallies = await take_over(source_dsn, clinic, keyring)
    assert await found_in(owner, replaced.WORD) == []
    assert await owner.fetchval("SELECT count(*) FROM patients WHERE id = $1", UUID(replaced.PATIENT)) == 0
    assert all(tally.is_whole for tally in tallies.values())
    assert tallies["chat_messages"].left_out == tallies["chat_messages"].in_source
    await source.close()


@pytest.mark.parametrize("keyring", [Keyring(), KEYRING], ids=["in the clear", "sealed"])
async def test_of_somebody_who_came_before_the_take_over_what_was_copied_beside_is_erased_too(
    source_dsn, clinic, owner, records, keyring
):
    """The same two people are connected here already, under ids the replaced system never knew."""
    source = await asyncpg.connect(source_dsn)
    await replaced.seed(source)
    await source.execute("UPDATE patients SET phone = $1", CANARY)
    async with closing(an_app(clinic.app_dsn, is_sealed=bool(keyring.first))) as app:
        await a_session(app)
    await take_over(source_dsn, clinic, keyring)
    assert await owner.fetchval("SELECT count(*) FROM legacy_appointments") == 1
    assert await owner.fetchval("SELECT count(*) FROM intake_sessions") == 4
    await records.erase(await owner.fetchval("SELECT id FROM patients"))
    assert await owner.fetchval("SELECT count(*) FROM legacy_appointments") == 0
    assert set(await found_in(owner, CANARY, replaced.WORD)) == set()
    await take_over(source_dsn, clinic, keyring)
    assert await owner.fetchval("SELECT count(*) FROM legacy_appointments") == 0
    assert set(await found_in(owner, CANARY, replaced.WORD)) == set()
    await source.close()


async def test_the_patients_own_copy_tells_of_what_was_taken_over_what_the_patient_is_shown_and_no_more(
    source_dsn, clinic, records
):
    source = await asyncpg.connect(source_dsn)
    await replaced.seed(source)
    data = {**replaced.DATA, "ucgRecommendations": {"plan": "of the doctors"}, "oddField": "of the doctors"}
    await source.execute("UPDATE intake_sessions SET medical_data = $1", json.dumps(data))
    await take_over(source_dsn, clinic, Keyring())
    copy = as_json(await records.whole(UUID(replaced.PATIENT)), datetime.now(UTC), for_patient=True)
    assert "of the doctors" not in json.dumps(copy, default=str)
    async with closing(an_app(clinic.app_dsn, is_sealed=False)) as app:
        for interview in copy["interviews"]:
            shown = await caller(app, "patient").call("intake.getSession", sessionId=str(interview["id"]))
            assert interview["medicalData"] == shown["session"]["medicalData"]
            assert interview["medicalData"]["chiefComplaint"]
    assert len(copy["interviews"]) > 1
    await source.close()


# -- holds and the end of keeping --------------------------------------------------------------------------------


async def age(owner):
    """Make everything look untouched for four hundred days."""
    await owner.execute("SET session_replication_role = replica")
    for table, columns in {
        "users": ("created_at", "updated_at"), "patients": ("created_at", "updated_at"),
        "connections": ("created_at", "connected_at"),
        "intake_sessions": ("created_at", "updated_at", "last_patient_at", "seen_at", "reviewed_at"),
        "chat_messages": ("created_at",), "clinician_notes": ("created_at",), "direct_messages": ("created_at",),
        "notifications": ("created_at",), "consents": ("given_at",),
    }.items():  # fmt: skip
        for column in columns:
            await owner.execute(AGED.format(table=table, column=column) + f" WHERE {column} IS NOT NULL")
    await owner.execute("SET session_replication_role = origin")


async def test_a_held_patient_is_neither_erased_nor_expires_until_the_hold_is_lifted(
    app, owner, clinic, folder_of_files
):
    patient_id, _, session_id = await a_life(app)
    hold = ("hold", "set", "--patient", str(patient_id), "--reason", f"case at court {CANARY}")
    assert command(clinic, folder_of_files, *hold).returncode == 0
    assert command(clinic, folder_of_files, *hold).returncode == 2  # it is held already
    erase = ("erase", "--patient", str(patient_id), "--confirm", str(patient_id))
    refused = command(clinic, folder_of_files, *erase)
    assert refused.returncode == 2
    assert "legal hold" in refused.stderr
    await age(owner)
    await app.forget_spent()
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE session_id = $1", UUID(session_id)) > 10
    assert await owner.fetchval("SELECT count(*) FROM direct_messages") == 2
    lift = ("hold", "lift", "--patient", str(patient_id), "--reason", "closed")
    assert command(clinic, folder_of_files, *lift).returncode == 0
    assert command(clinic, folder_of_files, *lift).returncode == 2
    assert command(clinic, folder_of_files, *erase).returncode == 0
    assert await found_in(owner, CANARY) == []
    actions = [row["action"] for row in await owner.fetch("SELECT action FROM audit_logs ORDER BY id")]
    assert actions[-3:] == ["legal_hold_set", "legal_hold_lifted", "patient_erased"]


async def test_an_owner_who_is_no_superuser_copies_holds_lets_expire_and_erases_too(
    postgres, plain_dsn, folder_of_files
):
    settings = Settings(files=Files(folder=str(folder_of_files)), limits=Limits(factor=10_000), retention_days=365)
    plain = SimpleNamespace(owner_dsn=plain_dsn)
    owner = await asyncpg.connect(postgres.dsn(OWNER, urlsplit(plain_dsn).path.strip("/")))  # who sees everything
    async with closing(an_app(plain_dsn, settings=settings)) as app:
        patient_id, _, _ = await a_life(app)
        other_id, *_ = await a_life(app, "neighbour", "another")
        copied = command(plain, folder_of_files, "export", "--patient", str(patient_id))
        assert (copied.returncode, CANARY in copied.stdout) == (0, True)
        assert str(other_id) in command(plain, folder_of_files, "erase", "--requested").stdout
        hold = ("hold", "set", "--patient", str(patient_id), "--reason", "case at court")
        assert command(plain, folder_of_files, *hold).returncode == 0
        erase = ("erase", "--patient", str(patient_id), "--confirm", str(patient_id))
        assert "legal hold" in command(plain, folder_of_files, *erase).stderr
        await age(owner)
        for _ in range(3):
            await app.forget_spent()
        left = await owner.fetch("SELECT p.id FROM patients p JOIN connections c ON c.patient_id = p.id")
        assert [row["id"] for row in left] == [patient_id]  # the one that is held
        assert command(plain, folder_of_files, "hold", "lift", *hold[2:]).returncode == 0
        assert command(plain, folder_of_files, *erase).returncode == 0
        assert await found_in(owner, CANARY) == []
        assert blobs_in(folder_of_files) == []
    await owner.close()


async def test_what_nobody_has_touched_for_the_set_time_expires_with_its_files(app, owner, folder_of_files):
    patient_id, *_ = await a_life(app)
    await age(owner)
    _, _, young = await a_life(app, "neighbour", "another")
    assert blobs_in(folder_of_files)
    for _ in range(3):
        await app.forget_spent()
    assert await owner.fetchval("SELECT count(*) FROM intake_sessions") == 1
    assert await owner.fetchval("SELECT count(*) FROM direct_messages") == 2
    assert await owner.fetchval("SELECT count(*) FROM users WHERE clerk_id = 'patient'") == 0
    assert len(blobs_in(folder_of_files)) == 3
    purged = await owner.fetch("SELECT * FROM audit_logs WHERE action LIKE '%purged' ORDER BY id")
    assert [row["action"] for row in purged] == ["intake_session_purged", "direct_messages_purged", "patient_purged"]
    assert {(row["actor_role"], row["purpose"], *row["patient_ids"]) for row in purged} == {
        ("system", "retention", patient_id)
    }
    assert (await caller(app, "neighbour").call("intake.getSession", sessionId=young))["session"]["id"]


async def test_without_a_setting_everything_is_kept(clinic, owner):
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session_id = await a_session(app)
        await tell(app, session_id, *WHOLE_INTAKE[:3])
        await age(owner)
        await app.forget_spent()
        assert await owner.fetchval("SELECT count(*) FROM chat_messages") > 3


async def test_two_processes_let_the_past_expire_at_once(app, owner, clinic, folder_of_files):
    for number in range(4):
        await a_session(app, patient=f"patient{number}", doctor=f"doctor{number}")
    await age(owner)
    await asyncio.gather(*(app.rights.sweep() for _ in range(4)))
    await app.rights.sweep()
    assert await owner.fetchval("SELECT count(*) FROM intake_sessions") == 0


async def sweep_aside(app, owner):
    """Look through every table that keeps rows whole, as the upkeep of a day or two does."""
    await owner.execute("UPDATE aside_sweeps SET swept_at = '-infinity'")
    for _ in range(2 * await owner.fetchval("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'legacy\\_%'")):
        await app.forget_spent()


async def kept_whole(owner):
    """The keys of what was kept whole, by table."""
    names = await owner.fetch(
        "SELECT tablename, quote_ident(tablename) AS quoted FROM pg_tables WHERE tablename LIKE 'legacy\\_%'"
    )
    return {
        row["tablename"]: {each["key"] for each in await owner.fetch(f"SELECT key FROM {row['quoted']}")}
        for row in names
    }


@pytest.mark.parametrize("keyring", [Keyring(), KEYRING], ids=["in the clear", "sealed"])
async def test_what_was_taken_over_and_names_nobody_expires_and_does_not_come_back(
    app, source_dsn, clinic, owner, records, keyring
):
    source = await asyncpg.connect(source_dsn)
    await replaced.seed(source)
    await replaced.spoil(source)
    await source.execute(
        "UPDATE platform_config SET value = '[1]';"  # what stood there is somebody's e-mail among the broken rows
        "CREATE TABLE replies (id uuid PRIMARY KEY, appointment uuid, words text);"
        f"INSERT INTO replies VALUES ('{replaced.key(700)}', '{replaced.key(400)}', 'names what names a patient'),"
        f" ('{replaced.key(701)}', '{replaced.key(799)}', 'names nobody'),"
        f" ('{replaced.key(702)}', '{replaced.key(701)}', 'names what names nobody')"
    )
    await take_over(source_dsn, clinic, keyring)
    await records.hold(UUID(replaced.PATIENT), "case at court")
    before = await kept_whole(owner)
    await sweep_aside(app, owner)
    assert await kept_whole(owner) == before  # nothing is old enough
    for name in before:
        quoted = name.replace('"', '""')
        await owner.execute(f"UPDATE \"{quoted}\" SET copied_at = clock_timestamp() - interval '400 days'")
    await sweep_aside(app, owner)
    after = await kept_whole(owner)
    gone = {name: before[name] - after[name] for name in before if before[name] - after[name]}
    assert gone["legacy_replies"] == {replaced.key(701), replaced.key(702)}
    assert gone["legacy_platform_config"] == {replaced.key(500)}
    assert gone["legacy_patients"] == {replaced.key(602)}
    assert replaced.key(608) in gone["legacy_notifications"]
    assert after["legacy_replies"] == {replaced.key(700)}
    assert after["legacy_appointments"] == {replaced.key(400)}
    assert after["legacy_direct_messages"] == {replaced.key(607)}  # what its sender, a patient, is named in
    assert after["legacy_audit_logs"] == {replaced.key(300)}
    lines = await owner.fetch("SELECT * FROM audit_logs WHERE action = 'taken_over_purged'")
    told = {line["resource_id"]: json.loads(line["metadata"])["count"] for line in lines}
    assert told == {name: len(keys) for name, keys in gone.items()}
    assert {(line["actor_role"], line["purpose"], line["patient_ids"]) for line in lines} == {
        ("system", "retention", None)
    }

    tallies = await take_over(source_dsn, clinic, keyring)
    assert await kept_whole(owner) == after
    assert (tallies["replies"].left_out, tallies["replies"].is_whole) == (2, True)
    await records.lift(UUID(replaced.PATIENT), "closed")
    await records.erase(UUID(replaced.PATIENT))
    # What is left names another account of the replaced system, by its e-mail.
    assert {name for name, keys in (await kept_whole(owner)).items() if keys} == {'legacy_odd "name; x'}
    await source.close()


async def test_what_names_nobody_expires_page_by_page(app, owner):
    await owner.execute(
        "CREATE TABLE legacy_leaflets (key text PRIMARY KEY, row jsonb NOT NULL,"
        " copied_at timestamptz NOT NULL DEFAULT clock_timestamp());"
        "INSERT INTO legacy_leaflets SELECT 'l' || n, '{}', clock_timestamp() - interval '400 days'"
        " FROM generate_series(1, 250) AS n"
    )
    left = []
    for _ in range(4):
        await asyncio.gather(app.rights.sweep(), app.rights.sweep())
        left.append(await owner.fetchval("SELECT count(*) FROM legacy_leaflets"))
    assert left[0] in (50, 150)
    assert left[-1] == 0
    assert (
        await owner.fetchval("SELECT sum((metadata->>'count')::int) FROM audit_logs WHERE action LIKE 'taken%'") == 250
    )


async def test_hold_and_erasure_at_once_leave_a_held_patient_or_none(app, owner, clinic):
    patient_id, *_ = await a_life(app)
    async with operating(clinic.owner_dsn, Keyring()) as one, operating(clinic.owner_dsn, Keyring()) as two:
        done = await asyncio.gather(one.hold(patient_id, "court"), two.erase(patient_id), return_exceptions=True)
    refused = [each for each in done if each is not None]
    assert len(refused) == 1
    assert isinstance(refused[0], Conflict | NotFound)
    there = await owner.fetchval("SELECT count(*) FROM patients WHERE id = $1", patient_id)
    assert there == await owner.fetchval("SELECT count(*) FROM legal_holds")


async def test_a_hold_that_is_being_set_while_the_past_expires_keeps_everything(app, owner, clinic):
    patient_id, *_ = await a_life(app)
    await age(owner)
    async with operating(clinic.owner_dsn, Keyring()) as records, records.connection.transaction():
        await records.hold(patient_id, "court")
        await app.rights.sweep()
    assert await owner.fetchval("SELECT count(*) FROM intake_sessions") == 1
    assert await owner.fetchval("SELECT count(*) FROM direct_messages") == 2
    await app.rights.sweep()
    assert await owner.fetchval("SELECT count(*) FROM intake_sessions") == 1
    assert await owner.fetchval("SELECT count(*) FROM legal_holds WHERE lifted_at IS NULL") == 1


async def test_a_taken_over_notice_that_expires_takes_its_own_words_along(app, owner, source_dsn, clinic):
    source = await asyncpg.connect(source_dsn)
    await replaced.seed(source)
    await source.execute("UPDATE notifications SET type = 'message', message = $1, data = $2, created_at = now()",
                         f"it hurts {CANARY}", json.dumps({"preview": f"it hurts {CANARY}"}))  # fmt: skip
    await take_over(source_dsn, clinic, Keyring())
    await app.rights.sweep()
    assert await found_in(owner, CANARY) == ["legacy_notifications"]
    await owner.execute(AGED.format(table="notifications", column="created_at"))
    await app.rights.sweep()
    assert await owner.fetchval("SELECT count(*) FROM notifications") == 0
    assert await found_in(owner, CANARY) == []
    await source.close()


# -- the copy ----------------------------------------------------------------------------------------------------


async def test_the_copy_holds_everything_and_the_patients_own_nothing_of_the_doctors(
    app, clinic, folder_of_files, tmp_path
):
    patient_id, _, _ = await a_life(app)
    whole, own = tmp_path / "whole", tmp_path / "own"
    done = command(clinic, folder_of_files, "export", "--patient", str(patient_id), "--to", str(whole))
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads((whole / "export.json").read_text())
    assert told["format"] == "anamnesis-export/1"
    (interview,) = told["interviews"]
    assert next(each["content"] for each in interview["messages"] if each["role"] == "user") == WHOLE_INTAKE[0]
    assert [note["content"] for note in interview["clinicianNotes"]] == [f"note {CANARY}", CANARY]
    assert len(told["directMessages"]) == 2
    assert len(list((whole / "files").iterdir())) == 2
    assert (whole / "export.json").stat().st_mode & 0o077 == 0
    command(clinic, folder_of_files, "export", "--patient", str(patient_id), "--to", str(own), "--for-patient")
    words = (own / "export.json").read_text() + (own / "fhir.json").read_text()
    assert "note CANARY" not in words
    for name in ("clinicianNotes", "lowerings", "legalHolds", "Flag", "Hand-over"):
        assert name not in words
    (mine,) = json.loads((own / "export.json").read_text())["interviews"]
    assert "clinicalHandover" not in mine
    assert mine["medicalData"]["clinicalHandover"] is None  # as on the wire
    assert f"to you {CANARY}" in words
    again = command(clinic, folder_of_files, "export", "--patient", str(patient_id), "--to", str(whole))
    assert again.returncode == 2  # nothing is written over


async def test_what_a_model_made_of_a_note_is_in_the_copy_not_in_the_patients_and_erased_with_the_case(
    app, owner, clinic, folder_of_files, records, tmp_path
):
    patient_id, *_ = await a_life(app)
    await owner.execute(
        "INSERT INTO worded_notes (session_id, basis, note, differential, prompt_version, reworded, dropped)"
        """ SELECT id, sha256('x'), '{}', '[{"name": "Migraine"}]', 'v1', 0, 0 FROM intake_sessions"""
    )
    for name, more in (("whole", ()), ("own", ("--for-patient",))):
        folder = tmp_path / name
        done = command(clinic, folder_of_files, "export", "--patient", str(patient_id), "--to", str(folder), *more)
        assert done.returncode == 0
        assert ("Migraine" in (folder / "export.json").read_text()) == (name == "whole")
    await records.erase(patient_id)
    assert await owner.fetchval("SELECT count(*) FROM worded_notes") == 0


async def test_what_a_model_said_for_the_doctor_is_in_the_copy_not_in_the_patients_and_erased_with_the_case(
    app, owner, records
):
    patient_id, *_ = await a_life(app)
    await owner.execute(
        "INSERT INTO model_reasonings (reply_id, session_id, content)"
        " SELECT id, session_id, 'Consider zebras.' FROM chat_messages WHERE role = 'model'"
    )
    file, at = await records.whole(patient_id), datetime.now(UTC)
    (interview,) = as_json(file, at)["interviews"]
    assert {each["content"] for each in interview["modelReasonings"]} == {"Consider zebras."}
    for own in (as_json(file, at, for_patient=True), document_of(file, at), document_of(file, at, for_patient=True)):
        words = json.dumps(own, default=str)
        assert "zebras" not in words
        assert "modelReasonings" not in words
    await records.erase(patient_id)
    assert await owner.fetchval("SELECT count(*) FROM model_reasonings") == 0


@pytest.mark.parametrize("keyring", [Keyring(), KEYRING], ids=["in the clear", "sealed"])
@pytest.mark.parametrize("is_first", [True, False], ids=["who came here first", "who was taken over"])
async def test_the_copy_has_of_what_was_kept_beside_our_tables_exactly_what_erasure_takes(
    source_dsn, clinic, owner, keyring, is_first
):
    source = await asyncpg.connect(source_dsn)
    await replaced.seed(source)
    await replaced.spoil(source)
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    await source.execute("CREATE TABLE records (id uuid PRIMARY KEY, patient_id uuid, body jsonb)")
    await source.execute("INSERT INTO records VALUES (gen_random_uuid(), $1, $2)", UUID(replaced.PATIENT), deep)
    await source.execute("CREATE TABLE replies (id uuid, record_id uuid, words text)")
    await source.execute("INSERT INTO replies SELECT gen_random_uuid(), id, $1 FROM records", CANARY)
    async with closing(an_app(clinic.app_dsn, is_sealed=bool(keyring.first))) as app:
        if is_first:
            await a_session(app)
        await take_over(source_dsn, clinic, keyring)
    (patient_id,) = [row["id"] for row in await owner.fetch("SELECT id FROM patients")]

    async def kept():
        names = await owner.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'legacy%'")
        return {name: await owner.fetchval(f'SELECT count(*) FROM "{name[0].replace(chr(34), chr(34) * 2)}"')
                for name in map(tuple, names)}  # fmt: skip

    async with operating(clinic.owner_dsn, keyring) as records:
        file = await records.whole(patient_id)
        before = await kept()
        await records.erase(patient_id)
        after = await kept()
    gone = {name.removeprefix("legacy_"): before[name,] - after[name,] for (name,) in before}
    assert {name: len(rows) for name, rows in file.taken_over.items()} == {name: n for name, n in gone.items() if n}
    assert {"appointments", "records", "replies"} <= set(file.taken_over)
    written = msgspec.json.encode(as_json(file, datetime.now(UTC)))
    assert f"bring {replaced.WORD}".encode() in written
    assert CANARY.encode() in written
    assert b"takenOver" not in msgspec.json.encode(as_json(file, datetime.now(UTC), for_patient=True))
    await source.close()


async def test_every_column_that_is_sealed_is_in_the_copy(app, records):
    patient_id, *_ = await a_life(app)
    file = await records.whole(patient_id)
    whole = as_json(file, datetime.now(UTC))
    (interview,) = whole["interviews"]
    for table, row in (
        (CHAT, interview["messages"][0]), (NOTES, interview["clinicianNotes"][0]), (SESSIONS, interview),
        (DIRECT, whole["directMessages"][0]), (FILES, interview["files"][0]), (LOWERINGS, interview["lowerings"][0]),
    ):  # fmt: skip
        # A reply that is still growing is no message yet.
        assert {to_camel(column) for column in table.columns} - {"replySoFar"} <= set(row), table.name


@pytest.mark.parametrize("place", ["there", "no/such", "file/in"])
async def test_a_copy_that_cannot_be_written_is_refused_by_its_field_and_nothing_is_read(
    clinic, owner, folder_of_files, tmp_path, place
):
    async with closing(an_app(clinic.app_dsn)) as app:
        await a_session(app)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("x")
    patient_id = await owner.fetchval("SELECT id FROM patients")
    done = command(clinic, folder_of_files, "export", "--patient", str(patient_id), "--to", str(tmp_path / place))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("--to: ")
    assert "Nothing was written." in done.stderr
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'data_export'") == 0


async def test_that_a_copy_was_made_is_audited_without_content(app, owner, records):
    patient_id, *_ = await a_life(app)
    await records.whole(patient_id)
    row = await owner.fetchrow("SELECT action, resource_id, metadata FROM audit_logs ORDER BY id DESC LIMIT 1")
    assert tuple(row) == ("data_export", str(patient_id), None)


async def test_what_an_operator_did_with_a_patients_records_is_among_the_lines_about_the_patient(app, owner, records):
    patient_id, *_ = await a_life(app)
    await records.whole(patient_id)
    await records.hold(patient_id, "case at court")
    await records.lift(patient_id, "closed")
    await records.erase(patient_id)
    about = [line async for line in lines(owner, since=None, until=None, patient_id=patient_id)]
    assert [(line["action"], line["actor_role"]) for line in about[-4:]] == [
        (done, "operator") for done in ("data_export", "legal_hold_set", "legal_hold_lifted", "patient_erased")
    ]


async def test_consent_that_was_withdrawn_ends_with_the_next_message(app, owner):
    _, session_id = await a_session(app)
    await caller(app, "patient").call("user.giveConsent", purpose="outside_model", version=IN_FORCE["outside_model"])
    version = IN_FORCE["outside_model"]
    assert await owner.fetchval(_MAY_LEAVE, UUID(session_id), version)
    await caller(app, "patient").call("user.withdrawConsent", purpose="outside_model")
    assert not await owner.fetchval(_MAY_LEAVE, UUID(session_id), version)
