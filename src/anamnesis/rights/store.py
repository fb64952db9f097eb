"""Reading, erasing and holding everything of one patient: all SQL of this slice.

What an operator does runs as the owner of the tables; the service itself can only let the past expire.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from anamnesis.care.store import audit
from anamnesis.clinical.record import record_from_json
from anamnesis.db.aside import IDS, PREFIX, aside
from anamnesis.db.encryption import (
    ACCOUNT_REASONS,
    CHAT,
    DIRECT,
    EMERGENCIES,
    FILES,
    HOLDS,
    LOWERINGS,
    NOTES,
    REASONINGS,
    SEALED,
    SESSIONS,
    WORDED,
    Keyring,
    SealedTable,
)
from anamnesis.db.migrating import NotMigrated
from anamnesis.db.postgres import Database, use_json
from anamnesis.kernel.errors import Conflict, NotFound
from anamnesis.kernel.identity import Person
from anamnesis.rights.model import Interview, PatientFile, Row

_PATIENT: Final = """
SELECT id, user_id, date_of_birth, gender, phone, emergency_contact, emergency_phone, created_at, updated_at
FROM patients WHERE id = $1 OR user_id = $1 ORDER BY id = $1 DESC LIMIT 1"""

_ACCOUNT: Final = """
SELECT id, clerk_id, email, first_name, last_name, image_url, is_active, created_at, updated_at
FROM users WHERE id = $1"""

_CONNECTIONS: Final = """
SELECT c.id, c.doctor_id, c.status::text AS status, c.connection_source, c.connected_at, c.disconnected_at,
       d.specialty, d.clinic_name, u.first_name, u.last_name
FROM connections c JOIN doctors d ON d.id = c.doctor_id JOIN users u ON u.id = d.user_id
WHERE c.patient_id = $1 ORDER BY c.connected_at, c.id"""

_SESSIONS: Final = """
SELECT s.id, s.connection_id, s.name, s.status::text AS status, s.record, s.medical_data, s.clinical_handover,
       s.doctor_thought, s.acuity, s.completeness, s.current_agent, s.termination_reason, s.started_at,
       s.completed_at, s.reviewed_at, s.lowered_at, s.lowered_reason, s.archived_at, s.created_at, s.updated_at
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
WHERE c.patient_id = $1 ORDER BY s.created_at, s.id"""

_MESSAGES: Final = """
SELECT m.id, m.session_id, m.epoch, m.seq, m.role, m.content, m.images, m.choices, m.active_agent, m.reply_to,
       m.is_emergency, m.superseded_at, m.created_at
FROM chat_messages m WHERE m.session_id = ANY ($1::uuid[]) ORDER BY m.session_id, m.seq"""

_NOTES: Final = """
SELECT n.id, n.session_id, n.author_id, n.content, n.kind, n.metadata, n.images, n.created_at
FROM clinician_notes n WHERE n.session_id = ANY ($1::uuid[]) ORDER BY n.session_id, n.created_at, n.id"""

_LOWERINGS: Final = """
SELECT id, session_id, lowered_by, lowered_at, reason FROM lowerings
WHERE session_id = ANY ($1::uuid[]) ORDER BY id"""

_WORDED: Final = """
SELECT session_id, note, differential, prompt_version, worded_at FROM worded_notes
WHERE session_id = ANY ($1::uuid[]) ORDER BY session_id"""

_REASONINGS: Final = """
SELECT reply_id, session_id, content, made_at FROM model_reasonings
WHERE session_id = ANY ($1::uuid[]) ORDER BY session_id, made_at, reply_id"""

_FILES: Final = """
SELECT f.id, f.session_id, f.uploader_id, f.file_name, f.file_type, f.file_size, f.created_at
FROM files f WHERE f.session_id = ANY ($1::uuid[]) AND f.state = 'ready' ORDER BY f.session_id, f.created_at, f.id"""

_DIRECT: Final = """
SELECT m.id, m.connection_id, m.seq, m.sender_id, m.content, m.is_read, m.read_at, m.created_at
FROM direct_messages m JOIN connections c ON c.id = m.connection_id
WHERE c.patient_id = $1 ORDER BY m.connection_id, m.seq"""

_NOTIFICATIONS: Final = """
SELECT id, type, title, message, data, is_read, read_at, created_at
FROM notifications WHERE user_id = $1 ORDER BY seq"""

_CONSENTS: Final = "SELECT purpose, version, given_at, withdrawn_at FROM consents WHERE user_id = $1 ORDER BY id"

_HOLDS: Final = """
SELECT id, patient_id, reason, set_at, lifted_at, lifted_reason FROM legal_holds WHERE patient_id = $1 ORDER BY id"""

_ACCOUNT_REASONS: Final = """
SELECT id, user_id, reason, given_at FROM account_reasons WHERE user_id = $1 ORDER BY given_at, id"""

_EMERGENCIES: Final = """
SELECT e.id, e.connection_id, e.doctor_id, e.reason, e.opened_at, e.ends_at
FROM emergency_accesses e JOIN connections c ON c.id = e.connection_id WHERE c.patient_id = $1 ORDER BY e.opened_at"""

#: What the patient did, and what others did to the patient's things.
_AUDIT: Final = """
SELECT id, action, resource_type, resource_id, created_at FROM audit_logs
WHERE user_id = $1 OR resource_id = ANY ($2::text[]) ORDER BY id"""

#: An account that is the patient's and nobody else's: what names a doctor or an operator names other people's rows.
_LINKS_AND_PERSON: Final = """
WITH links AS (SELECT id FROM connections WHERE patient_id = $1),
sessions AS (SELECT s.id FROM intake_sessions s JOIN links l ON l.id = s.connection_id),
person AS (
    SELECT u.id, u.clerk_id, u.email FROM patients p JOIN users u ON u.id = p.user_id
    WHERE p.id = $1 AND u.primary_role = 'patient'
      AND NOT EXISTS (SELECT FROM doctors d WHERE d.user_id = u.id OR d.verified_by = u.id)
      AND NOT EXISTS (SELECT FROM intake_sessions s WHERE s.reviewed_by = u.id OR s.lowered_by = u.id))
"""
#: What names the patient in what a take-over kept whole: ids of both systems, and the account as it stands in JSON.
_WORDS: Final = f"""{_LINKS_AND_PERSON}
SELECT $1::uuid::text AS word UNION SELECT id::text FROM links UNION SELECT id::text FROM sessions
UNION SELECT id::text FROM person UNION SELECT to_jsonb(clerk_id)::text FROM person
UNION SELECT to_jsonb(p.email)::text FROM person p
      WHERE p.email <> '' AND NOT EXISTS (SELECT FROM users u WHERE u.email = p.email AND u.id <> p.id)
UNION SELECT i.source_key FROM imported_rows i
      WHERE (i.our_table = 'patients' AND i.our_key = $1::uuid::text)
         OR (i.our_table = 'connections' AND i.our_key IN (SELECT id::text FROM links))
         OR (i.our_table = 'users' AND i.our_key IN (SELECT id::text FROM person))"""  # noqa: S608 - both parts are written here
#: Rows of ours of which single columns may have been kept aside, by their keys or those of the replaced system.
_KEYS: Final = f"""{_LINKS_AND_PERSON}
SELECT m.id::text AS key FROM chat_messages m JOIN sessions s ON s.id = m.session_id
UNION SELECT n.id::text FROM clinician_notes n JOIN sessions s ON s.id = n.session_id
UNION SELECT d.id::text FROM direct_messages d JOIN links l ON l.id = d.connection_id
UNION SELECT i.source_key FROM imported_rows i
      JOIN audit_logs a ON i.our_table = 'audit_logs' AND i.our_key = a.id::text
      WHERE a.user_id IN (SELECT id FROM person)"""  # noqa: S608 - both parts are written here
_ASIDE: Final = f"""
SELECT c.relname AS name, c.oid::regclass::text AS quoted, a.attname IS NOT NULL AS has_names
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'names' AND NOT a.attisdropped
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND starts_with(c.relname, '{PREFIX}')
ORDER BY c.relname"""  # noqa: S608 - a name of ours

_TELL_AUDIT: Final = """
INSERT INTO audit_logs (action, procedure, actor_role, purpose, resource_type, resource_id, patient_ids)
VALUES ($1, 'operator.' || $1, 'operator', 'rights', 'patient', $2::uuid::text, ARRAY[$2::uuid])"""

_REQUESTS: Final = "SELECT patient_id, asked_at FROM erasure_requests ORDER BY asked_at"

_ASK: Final = """
INSERT INTO erasure_requests (patient_id) VALUES ($1)
ON CONFLICT (patient_id) DO NOTHING RETURNING asked_at"""

_ASKED: Final = "SELECT asked_at FROM erasure_requests WHERE patient_id = $1"

_ERASED_FILES: Final = "SELECT file_id FROM erased_files ORDER BY erased_at LIMIT $1"
# A reason is sealed for its row, so the row's number is known first.
_NEW_HOLD: Final = "SELECT nextval(pg_get_serial_sequence('legal_holds', 'id'))"
_HOLD: Final = "INSERT INTO legal_holds (id, patient_id, reason) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3)"
_STANDING: Final = "SELECT id FROM legal_holds WHERE patient_id = $1 AND lifted_at IS NULL FOR UPDATE"
_LIFT: Final = "UPDATE legal_holds SET lifted_at = clock_timestamp(), lifted_reason = $2 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class PatientRecords:
    """What an operator does about one patient's data, each a transaction of its own with its audit line."""

    connection: Any
    keyring: Keyring

    async def find(self, wanted: UUID) -> Row:
        """The patient of this id, or whose account has it. Raises NotFound."""
        row = await self.connection.fetchrow(_PATIENT, wanted)
        if row is None:
            raise NotFound("There is no such patient.")
        return dict(row)

    async def whole(self, wanted: UUID) -> PatientFile:
        """Everything kept of a patient, as it was at one moment; that it was read is audited. Raises NotFound."""
        async with self.connection.transaction(isolation="repeatable_read"):
            patient = await self.find(wanted)
            account = dict(await self.connection.fetchrow(_ACCOUNT, patient["user_id"]))
            interviews = await self._interviews(patient["id"])
            links = await self._rows(_CONNECTIONS, patient["id"])
            subjects = [patient["id"], account["id"], *(row["id"] for row in links), *(each.id for each in interviews)]
            file = PatientFile(
                patient,
                account,
                links,
                interviews,
                await self._opened(DIRECT, _DIRECT, patient["id"]),
                await self._rows(_NOTIFICATIONS, account["id"]),
                await self._rows(_CONSENTS, account["id"]),
                await self._opened(HOLDS, _HOLDS, patient["id"]),
                await self._opened(EMERGENCIES, _EMERGENCIES, patient["id"]),
                await self._rows(_AUDIT, account["id"], [str(each) for each in subjects]),
                await self._taken_over(patient["id"]),
                await self._opened(ACCOUNT_REASONS, _ACCOUNT_REASONS, account["id"]),
            )
            await self.connection.execute(_TELL_AUDIT, "data_export", patient["id"])
            return file

    async def _taken_over(self, patient_id: UUID) -> dict[str, tuple[str, ...]]:
        """What a take-over kept whole of the patient, as JSON by the source's table: what erasure would take as well.

        That is what names the patient or stands under a key of the patient's rows, and what in turn names such a row.
        """
        tables = await self.connection.fetch(_ASIDE)
        words = [row["word"] for row in await self.connection.fetch(_WORDS, patient_id)] if tables else []
        keys = [row["key"] for row in await self.connection.fetch(_KEYS, patient_id)] if tables else []
        found: dict[tuple[str, str], str] = {}
        while words:
            fresh = set[str]()
            for table in tables:
                for row in await self.connection.fetch(_naming(table), keys + words, words):
                    place = (table["name"], row["key"])
                    if place not in found:
                        found[place] = self._kept(*place, row["row"])
                        fresh.add(row["key"])
            keys, words = [], [key for key in fresh if IDS.fullmatch(key)]
        by_table: dict[str, tuple[str, ...]] = {}
        for (name, _), text in found.items():
            by_table[name.removeprefix(PREFIX)] = (*by_table.get(name.removeprefix(PREFIX), ()), text)
        return by_table

    def _kept(self, name: str, key: str, stored: str) -> str:
        if not stored.startswith(f'"{SEALED}'):
            return stored
        return self.keyring.at(aside(name), key, key).unseal("row", msgspec.json.decode(stored))

    async def _interviews(self, patient_id: UUID) -> tuple[Interview, ...]:
        sessions = await self._opened(SESSIONS, _SESSIONS, patient_id)
        ids = [row["id"] for row in sessions]
        queries = (
            (CHAT, _MESSAGES),
            (NOTES, _NOTES),
            (FILES, _FILES),
            (LOWERINGS, _LOWERINGS),
            (WORDED, _WORDED),
            (REASONINGS, _REASONINGS),
        )
        parts = [await self._by_session(table, query, ids) for table, query in queries]
        return tuple(
            Interview(row, record_from_json(row["record"]), *(part.get(row["id"], ()) for part in parts))
            for row in sessions
        )

    async def _by_session(self, table: SealedTable, query: str, ids: Sequence[UUID]) -> dict[UUID, tuple[Row, ...]]:
        found: dict[UUID, list[Row]] = {}
        for row in await self._opened(table, query, ids):
            found.setdefault(row["session_id"], []).append(row)
        return {session_id: tuple(rows) for session_id, rows in found.items()}

    async def _rows(self, query: str, *arguments: object) -> tuple[Row, ...]:
        return tuple(dict(row) for row in await self.connection.fetch(query, *arguments))

    async def _opened(self, table: SealedTable, query: str, *arguments: object) -> tuple[Row, ...]:
        return tuple(self.keyring.all_opened(table, await self.connection.fetch(query, *arguments)))

    async def requests(self) -> tuple[Row, ...]:
        """Who asked to be erased and when, longest ago first."""
        return await self._rows(_REQUESTS)

    async def erase(self, patient_id: UUID) -> None:
        """Erase everything of a patient but the audit trail. Raises NotFound, and Conflict under a legal hold."""
        try:
            async with self.connection.transaction():
                if not await self.connection.fetchval("SELECT erase_patient($1)", patient_id):
                    raise NotFound("There is no such patient.")
                await self.connection.execute(_TELL_AUDIT, "patient_erased", patient_id)
        except asyncpg.CheckViolationError:
            raise Conflict("The patient is under a legal hold. Nothing was erased.") from None
        except asyncpg.DeadlockDetectedError:
            raise Conflict("The records were being changed at this moment. Nothing was erased; try again.") from None

    async def forget_samples(self) -> None:
        """Have the database draw anew the values of columns it keeps to plan with, among which are erased ones."""
        await self.connection.execute("ANALYZE")

    async def hold(self, patient_id: UUID, reason: str) -> None:
        """Keep everything of a patient whatever is asked. Raises NotFound, and Conflict when it is held already."""
        try:
            async with self.connection.transaction():
                if not await self.connection.fetchval("SELECT true FROM patients WHERE id = $1 FOR UPDATE", patient_id):
                    raise NotFound("There is no such patient.")
                number = await self.connection.fetchval(_NEW_HOLD)
                sealed = self.keyring.at(HOLDS, number, patient_id).seal("reason", reason)
                await self.connection.execute(_HOLD, number, patient_id, sealed)
                await self.connection.execute(_TELL_AUDIT, "legal_hold_set", patient_id)
        except asyncpg.UniqueViolationError:
            raise Conflict("The patient is under a legal hold already.") from None

    async def lift(self, patient_id: UUID, reason: str) -> None:
        """End a hold. Raises Conflict when there is none."""
        async with self.connection.transaction():
            number = await self.connection.fetchval(_STANDING, patient_id)
            if number is None:
                raise Conflict("The patient is under no legal hold.")
            sealed = self.keyring.at(HOLDS, number, patient_id).seal("lifted_reason", reason)
            await self.connection.execute(_LIFT, number, sealed)
            await self.connection.execute(_TELL_AUDIT, "legal_hold_lifted", patient_id)


def _naming(table: Any) -> str:
    """SQL for the rows of a table beside ours that are under one of the keys, or name one of the words."""
    named = "OR t.names && $2" if table["has_names"] else ""
    return (
        f"SELECT t.key, t.row::text AS row FROM {table['quoted']} t WHERE t.key = ANY ($1::text[]) {named}"  # noqa: S608 - quoted by the server
        " OR EXISTS (SELECT FROM unnest($2::text[]) AS word WHERE position(word IN t.row::text) > 0) ORDER BY t.key"
    )


@asynccontextmanager
async def operating(url: str, keyring: Keyring) -> AsyncIterator[PatientRecords]:
    """The records, for an operator: as the owner of the tables. Raises NotMigrated."""
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    try:
        # The owner of the tables passes no row-level security either: it says that this is the service's own work.
        await connection.execute("SET timezone = 'UTC'; SET anamnesis.purpose = 'jobs'")
        if await connection.fetchval("SELECT to_regclass('legal_holds')") is None:
            raise NotMigrated
        await use_json(connection)
        yield PatientRecords(connection, keyring)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class PostgresRightsStore:
    """What the service itself does: take a wish to be erased, let the past expire, and name bytes that have to go."""

    database: Database

    async def ask(self, actor: Person, patient_id: UUID) -> datetime:
        """Keep a wish to be erased, audited the first time; answers since when it stands."""
        async with self.database.transaction() as connection:
            asked_at = await connection.fetchval(_ASK, patient_id)
            if asked_at is None:
                asked_at = await connection.fetchval(_ASKED, patient_id)
            else:
                await audit(connection, actor, "erasure_requested", "patient", patient_id, {})
            assert isinstance(asked_at, datetime)
            return asked_at

    async def purge(self, days: int, most: int) -> int:
        """Erase what nobody has touched for so many days, at most so many cases; answers how many pieces went."""
        return int(await self.database.fetchval("SELECT purge_expired($1, $2)", days, most))

    async def erased_files(self, most: int) -> list[UUID]:
        """Files whose bytes have yet to go."""
        return [row["file_id"] for row in await self.database.fetch(_ERASED_FILES, most)]

    async def forget_file(self, file_id: UUID) -> None:
        """Let go of the name of a file whose bytes are gone."""
        await self.database.execute("DELETE FROM erased_files WHERE file_id = $1", file_id)
