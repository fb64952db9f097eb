"""What the doctor's side reads and writes in PostgreSQL."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from anamnesis.care.model import CareLink
from anamnesis.care.store import audit, link_of, listed_cases
from anamnesis.clinical.record import ClinicalRecord, record_from_json, record_to_json
from anamnesis.clinical.sbar import sbar_from_json
from anamnesis.clinical.terms import Acuity
from anamnesis.db.bus import notify
from anamnesis.db.encryption import CHAT, EMERGENCIES, LOWERINGS, NOTES, REASONINGS, SESSIONS, WORDED, Keyring
from anamnesis.db.postgres import Database
from anamnesis.handover.model import WordedNote, Written
from anamnesis.kernel.errors import Conflict
from anamnesis.kernel.identity import Person

Row = Mapping[str, Any]

_CASE: Final = """
SELECT s.id, s.connection_id, s.status::text AS status, s.record, s.version, s.clinical_handover, s.lowered_at,
       s.lowered_reason, w.basis, w.note AS worded, w.differential, c.id AS link_id,
       c.patient_id, c.doctor_id, c.status::text AS connection_status, p.user_id AS patient_user_id,
       d.user_id AS doctor_user_id, d.verification_status = 'verified' AS is_verified
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
LEFT JOIN worded_notes w ON w.session_id = s.id
WHERE s.id = $1 AND s.archived_at IS NULL"""

_LINK: Final = """
SELECT id, patient_id, doctor_id, status, patient_user_id, doctor_user_id, is_verified, is_there
FROM link_of_session($1)"""

_LATEST: Final = """
SELECT s.id, s.connection_id, s.record, s.clinical_handover, s.doctor_thought, w.basis, w.differential
FROM intake_sessions s LEFT JOIN worded_notes w ON w.session_id = s.id
WHERE s.connection_id = $1 AND s.archived_at IS NULL ORDER BY s.updated_at DESC, s.id LIMIT 1"""

# Beside replies that are still what the patient reads: not those that were put in other words, or begun again after.
_REASONINGS: Final = """
SELECT r.reply_id, r.session_id, r.content, r.made_at
FROM model_reasonings r JOIN chat_messages m ON m.id = r.reply_id AND m.superseded_at IS NULL
JOIN intake_sessions s ON s.id = r.session_id AND s.epoch = m.epoch
WHERE r.session_id = $1 ORDER BY m.seq DESC LIMIT $2"""

# A note that was reviewed has been read: it is not tidied any more.
_WRITTEN: Final = """
SELECT s.id, s.connection_id, s.record, s.clinical_handover, w.basis, u.first_name, u.last_name,
       p.phone
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id JOIN patients p ON p.id = c.patient_id
JOIN users u ON u.id = p.user_id LEFT JOIN worded_notes w ON w.session_id = s.id
WHERE s.id = $1 AND s.archived_at IS NULL AND s.status = 'ready'"""

_TOLD: Final = "SELECT id, session_id, content FROM chat_messages WHERE session_id = $1 AND role = 'user'"

# Beside the very note it was made from, or not at all: the note is held while it is looked at.
_NOTE_NOW: Final = """
SELECT id, connection_id, clinical_handover FROM intake_sessions WHERE id = $1 AND archived_at IS NULL FOR UPDATE"""
_KEEP_WORDED: Final = """
INSERT INTO worded_notes AS known (session_id, basis, note, differential, prompt_version, reworded, dropped)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (session_id) DO UPDATE SET
    basis = excluded.basis, note = excluded.note, differential = excluded.differential,
    prompt_version = excluded.prompt_version, reworded = excluded.reworded, dropped = excluded.dropped,
    worded_at = clock_timestamp()
WHERE known.basis <> excluded.basis"""

_INBOX: Final = """
SELECT s.id, s.connection_id, c.patient_id, s.status::text AS status, s.record, s.acuity,
       s.last_patient_at, u.first_name, u.last_name, unread.count AS unread, unread.acuity AS unread_acuity
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
JOIN patients p ON p.id = c.patient_id JOIN users u ON u.id = p.user_id
CROSS JOIN LATERAL (
    SELECT count(*), coalesce(max(m.acuity), 0) AS acuity FROM direct_messages m
    WHERE m.connection_id = s.connection_id AND m.sender_id <> $2 AND NOT m.is_read) unread
WHERE c.doctor_id = $1 AND c.status = 'active' AND s.archived_at IS NULL
  AND (s.status <> 'not_started' OR s.acuity > 0 OR unread.acuity > 0)
ORDER BY (s.status = 'reviewed' AND unread.acuity = 0
          AND coalesce(s.last_patient_at <= coalesce(s.seen_at, s.reviewed_at), true)),
         greatest(s.acuity, unread.acuity) DESC, coalesce(s.last_patient_at, s.created_at), s.id LIMIT $3"""

_NOTES: Final = """
SELECT id, session_id, content, created_at, kind, images FROM clinician_notes
WHERE session_id = $1 ORDER BY created_at, id"""

_DOCTOR: Final = """
SELECT c.id AS connection_id, c.doctor_id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
WHERE s.id = $1"""

_LOWER: Final = """
UPDATE intake_sessions SET record = $3, acuity = $4, lowered_at = clock_timestamp(), lowered_by = $5,
       lowered_reason = $6, version = version + 1, updated_at = clock_timestamp()
WHERE id = $1 AND version = $2 AND archived_at IS NULL"""

# The reason is sealed for its row, so the row's number is drawn first.
_LOWERING: Final = "SELECT nextval(pg_get_serial_sequence('lowerings', 'id'))"
_LOWERED: Final = """
INSERT INTO lowerings (id, session_id, lowered_by, reason) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4)"""

# A doctor adds to the case that is read: that of the newest note, which a session begun since must not hide.
_LATEST_CHANGED: Final = """
SELECT id, connection_id, clinical_handover FROM intake_sessions
WHERE connection_id = $1 AND archived_at IS NULL
ORDER BY clinical_handover IS NULL, updated_at DESC, id LIMIT 1"""

_ADDED_TO: Final = """
SELECT s.id, s.connection_id, s.clinical_handover
FROM intake_sessions s JOIN clinician_notes n ON n.session_id = s.id
WHERE s.connection_id = $1 AND s.archived_at IS NULL AND n.author_id = $2 AND n.client_message_id = $3 LIMIT 1"""

_ADD: Final = """
INSERT INTO clinician_notes (id, session_id, author_id, content, client_message_id, kind, metadata, images)
VALUES ($8, $1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (session_id, author_id, client_message_id) WHERE client_message_id IS NOT NULL DO NOTHING
RETURNING created_at"""

_ADDED: Final = """
SELECT id, session_id, content, created_at, kind, metadata, images FROM clinician_notes
WHERE session_id = $1 AND author_id = $2 AND client_message_id = $3"""

# One notification about a session, however often the job runs; of an emergency, one since the latest was told.
_ANNOUNCE: Final = """
INSERT INTO notifications (user_id, type, title, message, data)
SELECT d.user_id, $2, $3, $4, jsonb_build_object('sessionId', s.id, 'connectionId', c.id, 'patientName', 'A patient')
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id JOIN doctors d ON d.id = c.doctor_id
WHERE s.id = $1 AND NOT EXISTS (
    SELECT 1 FROM notifications n WHERE n.user_id = d.user_id AND n.type = $2 AND n.data->>'sessionId' = s.id::text
    AND ($2 <> 'intake_emergency' OR n.created_at >= (
        SELECT max(m.created_at) FROM chat_messages m WHERE m.session_id = s.id AND m.is_emergency)))"""


_BREAK_GLASS: Final = """
INSERT INTO emergency_accesses (id, doctor_id, connection_id, reason) VALUES ($1, $2, $3, $4) RETURNING ends_at"""

# The patient, the patient's doctor and every operator, in words that tell nothing of anybody's health.
_TELL_OF_BROKEN_GLASS: Final = """
INSERT INTO notifications (user_id, type, title, message, data)
SELECT u.id, 'emergency_access', 'Emergency access',
       'A doctor who is not connected has opened a case in an emergency, for 30 minutes.',
       jsonb_build_object('connectionId', c.id, 'emergencyAccessId', $2::uuid)
FROM connections c JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
JOIN users u ON u.id IN (p.user_id, d.user_id) OR (u.primary_role = 'super_admin' AND u.is_active)
WHERE c.id = $1 ORDER BY u.id"""


@dataclass(frozen=True, slots=True)
class Addition:
    """What a doctor adds: of kind text, test-result, exam-finding or image. key makes sending it again harmless."""

    text: str
    kind: str
    metadata: Mapping[str, Any] | None = None
    images: Sequence[str] | None = None
    key: UUID | None = None


@dataclass(frozen=True, slots=True)
class PostgresHandoverStore:
    """Every statement of the doctor's side."""

    database: Database

    async def case(self, session_id: UUID) -> tuple[Row | None, CareLink | None]:
        """A session and what access to it depends on."""
        row = await self.database.fetchrow(_CASE, session_id)
        if row is None:  # nobody's, or not the caller's to read (any more)
            link = await self.database.lookup(_LINK, session_id)
            return None, None if link is None else link_of(dict(link))
        return self._with_wording(row), link_of({**row, "id": row["link_id"], "status": row["connection_status"]})

    async def latest(self, connection_id: UUID) -> Row | None:
        """The connection's session that changed last, with what a model made of its note."""
        row = await self.database.fetchrow(_LATEST, connection_id)
        return None if row is None else self._with_wording(row)

    async def written(self, session_id: UUID) -> Written | None:
        """A hand-over that waits for its review, with what it rests on; None when there is none."""
        row = await self.database.fetchrow(_WRITTEN, session_id)
        if row is None:
            return None
        case = self._keyring.opened(SESSIONS, row)
        told = self._keyring.all_opened(CHAT, await self.database.fetch(_TOLD, session_id))
        basis = _digest(case["clinical_handover"])
        return Written(
            sbar_from_json(case["clinical_handover"]),
            record_from_json(case["record"]),
            {str(each["id"]): each["content"] for each in told},
            tuple(each for each in (row["first_name"], row["last_name"], row["phone"]) if each),
            basis,
            row["basis"] == basis,
        )

    async def keep_worded(self, session_id: UUID, worded: WordedNote) -> bool:
        """Keep what a model made of a note; False when that note is no longer the session's, or has its wording."""
        place = self._keyring.at(WORDED, session_id, session_id)
        async with self.database.transaction() as connection:
            row = await connection.fetchrow(_NOTE_NOW, session_id)
            if row is None or _digest(self._keyring.opened(SESSIONS, row)["clinical_handover"]) != worded.basis:
                return False
            done = await connection.execute(
                _KEEP_WORDED, session_id, worded.basis, place.seal("note", worded.note),
                place.seal("differential", worded.differential), worded.prompt_version, worded.reworded, worded.dropped,
            )  # fmt: skip
            return str(done) == "INSERT 0 1"

    async def inbox(self, doctor_id: UUID, reader_id: UUID, limit: int) -> Sequence[Row]:
        """A doctor's cases: what waits first, the most urgent, then the longest waiting."""
        return listed_cases(self._keyring, await self.database.fetch_whose(_INBOX, doctor_id, reader_id, limit))

    async def notes(self, session_id: UUID) -> Sequence[Row]:
        """The clinicians' notes on a session, oldest first."""
        return self._keyring.all_opened(NOTES, await self.database.fetch(_NOTES, session_id))

    async def reasonings(self, session_id: UUID, most: int) -> Sequence[Row]:
        """What models said for the doctor beside the latest replies they worded, the newest first."""
        return self._keyring.all_opened(REASONINGS, await self.database.fetch(_REASONINGS, session_id, most))

    async def lower(
        self, session_id: UUID, version: int, record: ClinicalRecord, actor: Person, reason: str, was: Acuity
    ) -> bool:
        """Write a lowered urgency with its audit line; False when the session has changed since that version."""
        async with self.database.transaction() as connection:
            link = await connection.fetchrow(_DOCTOR, session_id)
            if link is None:
                return False
            case = self._keyring.at(SESSIONS, session_id, link["connection_id"])
            done = await connection.execute(
                _LOWER, session_id, version, case.seal("record", record_to_json(record)), int(record.acuity),
                actor.user_id, case.seal("lowered_reason", reason),
            )  # fmt: skip
            if str(done) != "UPDATE 1":
                return False
            # The reason is a doctor's words about a patient: it stands with the case and is erased with it.
            number = await connection.fetchval(_LOWERING)
            sealed = self._keyring.at(LOWERINGS, number, session_id).seal("reason", reason)
            await connection.execute(_LOWERED, number, session_id, actor.user_id, sealed)
            told = {"from": was.name.lower(), "to": record.acuity.name.lower()}
            await audit(connection, actor, "urgency_lowered", "intake_session", session_id, told)
            await notify(connection, f"inbox:{link['doctor_id']}")
            return True

    async def break_glass(self, session_id: UUID, connection_id: UUID, doctor: Person, reason: str) -> datetime:
        """Open a connection's cases to a doctor, with who is told and the audit line; answers until when."""
        access_id = uuid4()
        sealed = self._keyring.at(EMERGENCIES, access_id, connection_id).seal("reason", reason)
        async with self.database.transaction() as connection:
            ends_at = await connection.fetchval(_BREAK_GLASS, access_id, doctor.doctor_id, connection_id, sealed)
            assert isinstance(ends_at, datetime)
            await connection.execute(_TELL_OF_BROKEN_GLASS, connection_id, access_id)
            told = {"emergencyAccessId": str(access_id), "endsAt": ends_at.isoformat()}
            await audit(connection, doctor, "break_glass_opened", "intake_session", session_id, told)
            return ends_at

    async def latest_changed(self, connection_id: UUID) -> Row | None:
        """The connection's session that changed last."""
        row = await self.database.fetchrow(_LATEST_CHANGED, connection_id)
        return None if row is None else self._keyring.opened(SESSIONS, row)

    async def added_to(self, connection_id: UUID, author: Person, key: UUID) -> Row | None:
        """The session of a connection to which something was added under this client id; None when nothing was."""
        row = await self.database.fetchrow(_ADDED_TO, connection_id, author.user_id, key)
        return None if row is None else self._keyring.opened(SESSIONS, row)

    async def add(self, session_id: UUID, connection_id: UUID, author: Person, addition: Addition) -> Row:
        """Keep what a doctor adds, with its audit line; one client id is one addition. Raises Conflict."""
        note_id = uuid4()
        note = self._keyring.at(NOTES, note_id, session_id)
        async with self.database.transaction() as connection:
            added_at = await connection.fetchval(
                _ADD, session_id, author.user_id, note.seal("content", addition.text), addition.key, addition.kind,
                note.seal("metadata", addition.metadata), note.seal("images", addition.images), note_id,
            )  # fmt: skip
            if added_at is not None:
                told = {
                    "connectionId": str(connection_id), "sessionId": str(session_id), "messageType": addition.kind,
                    "contextLayer": "doctor-enhancement",
                }  # fmt: skip
                await audit(connection, author, "message_sent", "intake_session", session_id, told)
                return {
                    "id": note_id, "content": addition.text, "created_at": added_at, "kind": addition.kind,
                    "metadata": addition.metadata, "images": addition.images,
                }  # fmt: skip
            row = await connection.fetchrow(_ADDED, session_id, author.user_id, addition.key)
            seen = None if row is None else self._keyring.opened(NOTES, row)
            if seen is None or not _is_same(addition, seen):
                raise Conflict("This message id was used for something else. Nothing was stored.")
            return seen

    async def announce(self, session_id: UUID, kind: str, title: str, message: str) -> bool:
        """Notify the session's doctor once; False when there is no such session."""
        async with self.database.transaction() as connection:
            doctor_id = await connection.fetchval(
                "SELECT c.doctor_id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id"
                " WHERE s.id = $1",
                session_id,
            )
            await connection.execute(_ANNOUNCE, session_id, kind, title, message)
            await notify(connection, f"inbox:{doctor_id}")
            return doctor_id is not None

    def _with_wording(self, row: Any) -> dict[str, Any]:
        """A case with what a model made of its note, where that is of the very note that stands there."""
        case, place = self._keyring.opened(SESSIONS, row), self._keyring.at(WORDED, row["id"], row["id"])
        if row["basis"] != _digest(case["clinical_handover"]):
            return {**case, "worded": None, "differential": None}
        note, differential = place.open("note", row.get("worded")), place.open("differential", row["differential"])
        return {**case, "worded": note, "differential": differential}

    @property
    def _keyring(self) -> Keyring:
        return self.database.keyring


def _is_same(addition: Addition, seen: Row) -> bool:
    given = (addition.text, addition.kind, list(addition.images or ()))
    kept = (seen["content"], seen["kind"], list(seen["images"] or ()))
    return given == kept and _digest(addition.metadata) == _digest(seen["metadata"])


def _digest(note: Mapping[str, Any] | None) -> bytes:
    """What tells one note from another, however it is stored."""
    return hashlib.sha256(msgspec.json.encode(note, order="sorted")).digest()
