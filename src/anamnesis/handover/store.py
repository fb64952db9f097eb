"""What the doctor's side reads and writes in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from anamnesis.care.model import CareLink
from anamnesis.care.store import link_of
from anamnesis.db.bus import notify
from anamnesis.db.postgres import Database

Row = Mapping[str, Any]

_CASE: Final = """
SELECT s.id, s.connection_id, s.status::text AS status, s.record, s.clinical_handover, c.id AS link_id,
       c.patient_id, c.doctor_id, c.status::text AS connection_status, p.user_id AS patient_user_id,
       d.user_id AS doctor_user_id, d.verification_status = 'verified' AS is_verified
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
WHERE s.id = $1 AND s.archived_at IS NULL"""

_LATEST: Final = """
SELECT id, record, clinical_handover FROM intake_sessions
WHERE connection_id = $1 AND archived_at IS NULL ORDER BY created_at DESC, id LIMIT 1"""

_INBOX: Final = """
SELECT s.id, s.status::text AS status, s.record, s.last_patient_at, u.first_name, u.last_name,
       (SELECT count(*) FROM direct_messages m
        WHERE m.connection_id = s.connection_id AND m.sender_id <> $2 AND NOT m.is_read) AS unread
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
JOIN patients p ON p.id = c.patient_id JOIN users u ON u.id = p.user_id
WHERE c.doctor_id = $1 AND c.status = 'active' AND s.archived_at IS NULL
  AND (s.status <> 'not_started' OR s.acuity > 0)
ORDER BY (s.status = 'reviewed' AND coalesce(s.last_patient_at <= coalesce(s.seen_at, s.reviewed_at), true)),
         s.acuity DESC, coalesce(s.last_patient_at, s.created_at), s.id LIMIT $3"""

_NOTES: Final = "SELECT content, created_at FROM clinician_notes WHERE session_id = $1 ORDER BY created_at, id"

# One notification about a session, however often the job runs; of an emergency, one since the latest was told.
_ANNOUNCE: Final = """
INSERT INTO notifications (user_id, type, title, message, data)
SELECT d.user_id, $2, $3, $4, jsonb_build_object('sessionId', s.id, 'connectionId', c.id, 'patientName', 'A patient')
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id JOIN doctors d ON d.id = c.doctor_id
WHERE s.id = $1 AND NOT EXISTS (
    SELECT 1 FROM notifications n WHERE n.user_id = d.user_id AND n.type = $2 AND n.data->>'sessionId' = s.id::text
    AND ($2 <> 'intake_emergency' OR n.created_at >= (
        SELECT max(m.created_at) FROM chat_messages m WHERE m.session_id = s.id AND m.is_emergency)))"""


@dataclass(frozen=True, slots=True)
class PostgresHandoverStore:
    """Every statement of the doctor's side."""

    database: Database

    async def case(self, session_id: UUID) -> tuple[Row | None, CareLink | None]:
        """A session and what access to it depends on."""
        row = await self.database.fetchrow(_CASE, session_id)
        if row is None:
            return None, None
        return dict(row), link_of({**row, "id": row["link_id"], "status": row["connection_status"]})

    async def latest(self, connection_id: UUID) -> Row | None:
        """The connection's newest session."""
        row = await self.database.fetchrow(_LATEST, connection_id)
        return None if row is None else dict(row)

    async def inbox(self, doctor_id: UUID, reader_id: UUID, limit: int) -> Sequence[Row]:
        """A doctor's cases: what waits first, the most urgent, then the longest waiting."""
        return [dict(row) for row in await self.database.fetch(_INBOX, doctor_id, reader_id, limit)]

    async def notes(self, session_id: UUID) -> Sequence[Row]:
        """The clinicians' notes on a session, oldest first."""
        return [dict(row) for row in await self.database.fetch(_NOTES, session_id)]

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
