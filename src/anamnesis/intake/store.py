"""Intake sessions and their transcripts in PostgreSQL: all SQL of this slice."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from anamnesis.care.model import CareLink
from anamnesis.care.store import audit, link_of, listed_cases
from anamnesis.clinical.record import ClinicalRecord, record_from_json, record_to_json
from anamnesis.db import outbox
from anamnesis.db.bus import notify
from anamnesis.db.encryption import CHAT, NOTES, REASONINGS, SESSIONS, Keyring, Place
from anamnesis.db.postgres import Connection, Database
from anamnesis.db.viewing import Purpose, at_work, viewing
from anamnesis.intake.model import Exchange, Kept, Message, NewMessage, NewReply, NewState, Session, Status, Turn
from anamnesis.intake.ports import NotOurs
from anamnesis.kernel.consents import IN_FORCE, OUTSIDE_MODEL
from anamnesis.kernel.errors import Conflict, Unavailable
from anamnesis.kernel.identity import Person
from anamnesis.kernel.jobs import Job, JobKind, NewJob
from anamnesis.kernel.trail import concerns

Row = Mapping[str, Any]

_LINK: Final = """
SELECT id, patient_id, doctor_id, status, patient_user_id, doctor_user_id, is_verified, is_there
FROM link_of_session($1)"""

_SESSION: Final = """
SELECT s.id, s.connection_id, s.status::text AS status, s.record, s.epoch, s.version, s.name, s.next_seq,
       s.medical_data
FROM intake_sessions s WHERE s.id = $1"""
_LOCK: Final = _SESSION + " FOR UPDATE"

#: One statement, so one moment: the session, the message whose turn it is, and how many wait with it.
_TURN: Final = """
SELECT s.id, s.connection_id, s.status::text AS status, s.record, s.epoch, s.version, s.name, s.next_seq,
       s.medical_data, m.id AS waiting_id, m.seq, m.role, m.content, m.created_at, m.images,
       m.reply_so_far,
       (SELECT count(*) FROM chat_messages WHERE session_id = $1 AND turn_state = 'waiting') AS waiting
FROM intake_sessions s JOIN chat_messages m ON m.session_id = s.id
WHERE s.id = $1 AND m.turn_state = 'waiting' ORDER BY m.seq LIMIT 1"""

_SEEN: Final = """
SELECT id, session_id, seq, role, content, created_at, active_agent, choices, is_emergency, reply_to, images
FROM chat_messages WHERE session_id = $1 AND sender_id = $2 AND client_message_id = $3"""

_LATEST_OF_SENDER: Final = """
SELECT id, session_id, seq, role, content, created_at, active_agent, choices, is_emergency, reply_to, images,
       turn_state
FROM chat_messages WHERE session_id = $1 AND sender_id = $2 ORDER BY seq DESC LIMIT 1"""

_REPLY_OF: Final = """
SELECT id, session_id, seq, role, content, created_at, active_agent, choices, is_emergency, reply_to, is_stopped
FROM chat_messages WHERE reply_to = $1 AND superseded_at IS NULL"""

#: As far as a reply may be shown, while its message waits for it; listeners of the session are woken.
_SHOW: Final = """
WITH shown AS (
    UPDATE chat_messages SET reply_so_far = $2 WHERE id = $1 AND turn_state = 'waiting'
    RETURNING session_id)
SELECT pg_notify($3, 'session:' || session_id) FROM shown"""

_SO_FAR: Final = """
SELECT id, session_id, reply_so_far FROM chat_messages
WHERE session_id = $1 AND turn_state = 'waiting' ORDER BY seq LIMIT 1"""

#: The patient's words and what they change, both or neither: a client id that is known already changes nothing.
_KEEP: Final = """
WITH kept AS (
    INSERT INTO chat_messages (id, session_id, epoch, seq, role, sender_id, content, client_message_id, turn_state,
                               images)
    VALUES ($1, $2, $3, $4, 'user', $5, $6, $7, 'waiting', $15)
    ON CONFLICT (session_id, sender_id, client_message_id) WHERE client_message_id IS NOT NULL DO NOTHING
    RETURNING created_at),
moved AS (
    UPDATE intake_sessions
    SET status = $8::intake_status, record = $9, acuity = $10, completeness = $11, current_agent = $12,
        next_seq = next_seq + 1, version = version + 1, updated_at = clock_timestamp(),
        last_patient_at = clock_timestamp(), started_at = coalesce(started_at, clock_timestamp())
    WHERE id = $2 AND EXISTS (SELECT FROM kept))
SELECT created_at, (SELECT count(*) FROM chat_messages WHERE session_id = $2 AND turn_state = 'waiting') AS older,
       (SELECT count(pg_notify($13, topic)) FROM unnest($14::text[]) AS topic)
FROM kept"""

#: The reply and the session's new state over the version it was planned on; no row when that has moved.
_ANSWER: Final = """
WITH moved AS (
    UPDATE intake_sessions
    SET status = $3::intake_status, record = $4, acuity = $5, completeness = $6, current_agent = $7,
        name = CASE WHEN is_named THEN name ELSE $8::text END, is_named = is_named OR $8::text IS NOT NULL,
        clinical_handover = coalesce($9, clinical_handover),
        completed_at = coalesce(completed_at, CASE WHEN $3 = 'ready' THEN clock_timestamp() END),
        ai_message_count = ai_message_count + CASE WHEN $10::uuid IS NULL THEN 0 ELSE 1 END,
        consecutive_errors = CASE WHEN $18::boolean THEN consecutive_errors + 1
                                  WHEN NOT $18::boolean THEN 0 ELSE consecutive_errors END,
        next_seq = next_seq + 1, version = version + 1, updated_at = clock_timestamp()
    WHERE id = $1 AND version = $2
    RETURNING id, epoch, next_seq - 1 AS seq),
marked AS (UPDATE chat_messages m SET turn_state = $11, reply_so_far = NULL FROM moved WHERE m.id = $10)
INSERT INTO chat_messages (id, session_id, epoch, seq, role, content, active_agent, choices, is_emergency, reply_to,
                           is_stopped)
SELECT $20, moved.id, moved.epoch, moved.seq, 'model', $12, $13, $14, $15, $10, $19 FROM moved
RETURNING id, session_id, seq, role, content, created_at, active_agent, choices, is_emergency, reply_to, is_stopped,
          (SELECT count(pg_notify($16, topic)) FROM unnest($17::text[]) AS topic)"""

#: The patient's last message of the present conversation with its reply, and whether the reply named was replaced.
_LAST_EXCHANGE: Final = """
SELECT s.id, s.connection_id, s.status::text AS status, s.record, s.epoch, s.version, s.name, s.next_seq,
       s.medical_data, m.id AS message_id, m.seq AS message_seq, m.content AS message_content,
       m.images AS message_images, m.created_at AS message_at, m.turn_state,
       r.id AS reply_id, r.seq, r.content, r.created_at, r.active_agent, r.choices, r.is_emergency,
       EXISTS (SELECT FROM chat_messages o
               WHERE o.id = $2::uuid AND o.session_id = s.id AND o.superseded_at IS NOT NULL) AS has_moved
FROM intake_sessions s JOIN chat_messages m ON m.session_id = s.id AND m.epoch = s.epoch AND m.role = 'user'
LEFT JOIN chat_messages r ON r.reply_to = m.id AND r.superseded_at IS NULL
WHERE s.id = $1 ORDER BY m.seq DESC LIMIT 1"""

#: Another wording of the current reply at the end of the transcript; the old one is kept. Nothing else changes.
_REPLACE_REPLY: Final = """
WITH moved AS (
    UPDATE intake_sessions
    SET next_seq = next_seq + 1, version = version + 1, consecutive_errors = 0, updated_at = clock_timestamp()
    WHERE id = $1 AND version = $2
    RETURNING id, epoch, next_seq - 1 AS seq),
old AS (
    UPDATE chat_messages m SET superseded_at = clock_timestamp() FROM moved
    WHERE m.id = $3 AND m.session_id = moved.id AND m.superseded_at IS NULL
    RETURNING m.reply_to, m.active_agent),
marked AS (UPDATE chat_messages m SET turn_state = $4 FROM old WHERE m.id = old.reply_to)
INSERT INTO chat_messages (id, session_id, epoch, seq, role, content, active_agent, choices, reply_to)
SELECT $8, moved.id, moved.epoch, moved.seq, 'model', $5, old.active_agent, $9, old.reply_to FROM moved, old
RETURNING id, session_id, seq, role, content, created_at, active_agent, choices, is_emergency, reply_to,
          (SELECT count(pg_notify($6, topic)) FROM unnest($7::text[]) AS topic)"""

#: Nothing is read back: whose turn it is may leave it there and not see it.
_REASONED: Final = "INSERT INTO model_reasonings (reply_id, session_id, content) VALUES ($1, $2, $3)"

_ARCHIVE: Final = "UPDATE intake_sessions SET archived_at = clock_timestamp(), version = version + 1 WHERE id = $1"

#: A new epoch: the old conversation stays where it is and is no longer shown.
_BEGIN_AGAIN: Final = """
UPDATE intake_sessions
SET epoch = epoch + 1, status = 'not_started', record = $2, medical_data = '{}', clinical_handover = NULL,
    doctor_thought = NULL, acuity = $3, completeness = $4, current_agent = $5, ai_message_count = 0,
    consecutive_errors = 0, termination_reason = NULL, started_at = NULL, completed_at = NULL,
    version = version + 1, updated_at = clock_timestamp()
WHERE id = $1
RETURNING id, connection_id, status::text AS status, record, epoch, version, name, next_seq, medical_data"""

_TELL_OF_RESET: Final = """
INSERT INTO notifications (user_id, type, title, message, data)
VALUES ($1, 'message', 'An interview was begun again', 'A patient has begun an interview again.',
        jsonb_build_object('connectionId', $2::uuid, 'sessionId', $3::uuid, 'patientName', 'A patient',
                           'action', 'reset'))"""

_LINKABLE: Final = """
SELECT id, status::text AS status, completeness, created_at, updated_at FROM intake_sessions
WHERE connection_id = $1 AND archived_at IS NULL
  AND (status = 'ready' OR (status = 'in_progress' AND completeness >= 50))
ORDER BY created_at DESC, id"""

_RECOMMENDATIONS: Final = """
SELECT id, connection_id, updated_at, medical_data FROM intake_sessions
WHERE connection_id = $1 AND archived_at IS NULL ORDER BY updated_at DESC, id LIMIT 1"""

_LATEST: Final = """
SELECT id FROM intake_sessions WHERE connection_id = $1 AND archived_at IS NULL ORDER BY updated_at DESC, id LIMIT 1"""

_FULL: Final = """
SELECT s.id, s.connection_id, s.name, s.status::text AS status, s.record, s.medical_data, s.clinical_handover,
       s.doctor_thought, s.acuity, s.completeness, s.current_agent, s.started_at, s.completed_at, s.reviewed_at,
       s.reviewed_by, s.created_at, s.updated_at, s.consecutive_errors, s.ai_message_count, s.termination_reason,
       s.last_patient_at, c.status::text AS connection_status, c.patient_id, c.doctor_id, d.specialty, d.clinic_name,
       du.first_name AS doctor_first_name, du.last_name AS doctor_last_name, du.image_url AS doctor_image_url,
       pu.first_name AS patient_first_name, pu.last_name AS patient_last_name, pu.image_url AS patient_image_url,
       pu.email AS patient_email, p.user_id AS patient_user_id, d.user_id AS doctor_user_id,
       d.verification_status = 'verified' AS is_verified
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
JOIN patients p ON p.id = c.patient_id JOIN users pu ON pu.id = p.user_id
JOIN doctors d ON d.id = c.doctor_id JOIN users du ON du.id = d.user_id
"""
_FULL_BY_ID: Final = _FULL + "WHERE s.id = $1 AND s.archived_at IS NULL"
_FULL_OF_PATIENT: Final = (
    _FULL + "WHERE c.patient_id = $1 AND s.archived_at IS NULL AND ($2::uuid IS NULL OR s.connection_id = $2)"
    " AND ($3 = 'all' OR s.status::text = $3) ORDER BY s.updated_at DESC, s.id LIMIT $4"
)
_ALL_OF_PATIENT: Final = (
    _FULL + "WHERE c.patient_id = $1 AND s.archived_at IS NULL AND s.status::text = ANY ($2::text[])"
    " ORDER BY s.created_at DESC, s.id"
)
_FULL_OF_DOCTOR: Final = (
    _FULL + "WHERE c.doctor_id = $1 AND c.status = 'active' AND s.archived_at IS NULL"
    " AND ($2 = 'all' OR s.status::text = $2) ORDER BY s.updated_at DESC, s.id LIMIT $3"
)

#: Lines of a session's present conversation; a restarted one has a new epoch.
_LINES: Final = """
SELECT m.id, m.session_id, m.seq, m.role, m.content, m.created_at, m.active_agent, m.choices, m.is_emergency,
       m.reply_to, m.images, m.is_stopped
FROM chat_messages m JOIN intake_sessions s ON s.id = m.session_id AND s.epoch = m.epoch
WHERE m.superseded_at IS NULL
"""
_TRANSCRIPT: Final = _LINES + "AND m.session_id = $1 AND m.seq > $2 ORDER BY m.seq"
_MAY_LEAVE: Final = """
SELECT EXISTS (
    SELECT FROM intake_sessions s JOIN connections c ON c.id = s.connection_id JOIN patients p ON p.id = c.patient_id
    JOIN consents a ON a.user_id = p.user_id AND a.purpose = 'outside_model' AND a.version = $2
         AND a.withdrawn_at IS NULL
    WHERE s.id = $1 AND NOT EXISTS (
        SELECT FROM consents taken_back
        WHERE taken_back.user_id = a.user_id AND taken_back.purpose = a.purpose
          AND taken_back.withdrawn_at > a.given_at))"""

_ACCOUNT: Final = """
SELECT u.first_name, u.last_name, p.phone
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id JOIN patients p ON p.id = c.patient_id
JOIN users u ON u.id = p.user_id WHERE s.id = $1"""

_LAST_LINES: Final = _LINES + "AND m.session_id = $1 ORDER BY m.seq DESC LIMIT $2"
_TRANSCRIPT_OF_CONNECTION: Final = (
    _LINES + "AND s.connection_id = $1 AND s.archived_at IS NULL ORDER BY s.created_at, s.id, m.seq"
)

_NOTES: Final = """
SELECT n.id, n.session_id, n.content, n.created_at, n.kind, n.metadata, n.images FROM clinician_notes n
WHERE n.session_id = $1 ORDER BY n.created_at, n.id"""

_NOTES_OF_CONNECTION: Final = """
SELECT n.id, n.session_id, n.content, n.created_at, n.kind, n.metadata, n.images
FROM clinician_notes n JOIN intake_sessions s ON s.id = n.session_id
WHERE s.connection_id = $1 AND s.archived_at IS NULL ORDER BY n.created_at, n.id"""

_NOTE_SEEN: Final = """
SELECT id, session_id, content, created_at FROM clinician_notes
WHERE session_id = $1 AND author_id = $2 AND client_message_id = $3"""

_NOTE: Final = """
INSERT INTO clinician_notes (id, session_id, author_id, content, client_message_id) VALUES ($5, $1, $2, $3, $4)
ON CONFLICT (session_id, author_id, client_message_id) WHERE client_message_id IS NOT NULL DO NOTHING
RETURNING id, session_id, content, created_at"""

_REVIEW: Final = """
UPDATE intake_sessions s SET status = 'reviewed', reviewed_at = coalesce(s.reviewed_at, clock_timestamp()),
       reviewed_by = coalesce(s.reviewed_by, $2), seen_at = clock_timestamp(), version = s.version + 1,
       updated_at = clock_timestamp()
FROM connections c WHERE s.id = $1 AND s.status IN ('ready', 'reviewed') AND c.id = s.connection_id
RETURNING c.doctor_id"""

_STUCK: Final = """
SELECT m.session_id, extract(epoch FROM clock_timestamp() - m.created_at) AS waiting_s,
       coalesce(j.attempt, 0) AS attempts
FROM chat_messages m LEFT JOIN jobs j ON j.subject = m.session_id AND j.kind = 'take_turn' AND j.state <> 'done'
WHERE m.turn_state = 'waiting' AND m.created_at < clock_timestamp() - interval '30 seconds'
ORDER BY m.created_at LIMIT 50"""


@dataclass(frozen=True, slots=True)
class IntakeTransaction:
    """One transaction on one session."""

    connection: Connection
    keyring: Keyring

    async def lock(self, session_id: UUID) -> Session:
        """The session, locked until the transaction ends."""
        row = await self.connection.fetchrow(_LOCK, session_id)
        assert row is not None
        return _session(self.keyring, row)

    async def seen(self, session_id: UUID, message: NewMessage) -> Message | None:
        """The stored message that this one is again: by its client id or, without one, as its unanswered twin."""
        if message.client_message_id is not None:
            row = await self.connection.fetchrow(_SEEN, session_id, message.sender_id, message.client_message_id)
            return None if row is None else _message(self.keyring, row)
        row = await self.connection.fetchrow(_LATEST_OF_SENDER, session_id, message.sender_id)
        latest = _message(self.keyring, row) if row is not None and row["turn_state"] == "waiting" else None
        return latest if latest is not None and message.is_again(latest) else None

    async def keep(
        self, session: Session, message_id: UUID, message: NewMessage, record: ClinicalRecord, *topics: str
    ) -> Kept | None:
        """Keep the patient's words at the end of the transcript, with what they made of the record.

        None when the client id is known already. The topics are woken when the transaction commits.
        """
        status = session.status if session.status.is_closed else Status.IN_PROGRESS
        line, of_session = self.keyring.at(CHAT, message_id, session.id), self._place(session)
        row = await self.connection.fetchrow(
            _KEEP, message_id, session.id, session.epoch, session.next_seq, message.sender_id,
            line.seal("content", message.text), message.client_message_id, status.value,
            of_session.seal("record", record_to_json(record)), int(record.acuity), record.completeness,
            record.stage.value, outbox.CHANNEL, topics, line.seal("images", list(message.images) or None),
        )  # fmt: skip
        if row is None:
            return None
        stored = Message(message_id, session.next_seq, "user", message.text, row["created_at"], images=message.images)
        return Kept(stored, session.with_line(record, status), is_next=row["older"] == 0)

    async def answer(self, session: Session, to: UUID | None, reply: NewReply, new: NewState) -> Message | None:
        """Append a reply, mark its message as answered and write the session's new state.

        None when the session is not as it was planned on. A second current reply is refused by the database.
        """
        choices = _as_json(reply.choices)
        record, reply_id = new.record, uuid4()
        line, of_session = self.keyring.at(CHAT, reply_id, session.id), self._place(session)
        row = await self.connection.fetchrow(
            _ANSWER, session.id, session.version, new.status.value,
            of_session.seal("record", record_to_json(record)), int(record.acuity), record.completeness,
            record.stage.value, of_session.seal("name", new.name),
            of_session.seal("clinical_handover", new.handover), to, reply.state, line.seal("content", reply.text),
            reply.agent, line.seal("choices", choices), reply.is_emergency, outbox.CHANNEL, new.topics,
            new.has_model_failed, reply.is_stopped, reply_id,
        )  # fmt: skip
        return await self._appended(row, reply)

    async def replace_reply(self, session: Session, old: Message, reply: NewReply, *topics: str) -> Message | None:
        """Put another wording in the place of a current reply, which stays as history.

        None when the session is not as it was read.
        """
        reply_id = uuid4()
        line = self.keyring.at(CHAT, reply_id, session.id)
        row = await self.connection.fetchrow(
            _REPLACE_REPLY, session.id, session.version, old.id, reply.state, line.seal("content", reply.text),
            outbox.CHANNEL, topics, reply_id, line.seal("choices", _as_json(old.choices)),
        )  # fmt: skip
        return await self._appended(row, reply)

    async def _appended(self, row: Any, reply: NewReply) -> Message | None:
        """The reply as it was stored, with what a model said beside it for the doctor."""
        if row is None:
            return None
        if reply.reasoning:
            place = self.keyring.at(REASONINGS, row["id"], row["session_id"])
            sealed = place.seal("content", reply.reasoning)
            await self.connection.execute(_REASONED, row["id"], row["session_id"], sealed)
        return _message(self.keyring, row)

    async def enqueue(self, *jobs: NewJob) -> None:
        """Leave work that commits with this transaction."""
        await outbox.enqueue(self.connection, *jobs)

    async def enqueue_claimed(self, job: NewJob) -> Job | None:
        """Leave work and take it at once; None when a worker is already at it."""
        return await outbox.enqueue_claimed(self.connection, job)

    async def settle(self, job: Job, *, has_more: bool = False) -> None:
        """Mark the job as done with this transaction, or as due again. Raises NotOurs."""
        if not await outbox.settle(self.connection, job, has_more=has_more):
            raise NotOurs

    async def create(self, connection_id: UUID, record: ClinicalRecord) -> Session:
        """A new session."""
        session_id = uuid4()
        row = await self.connection.fetchrow(
            "INSERT INTO intake_sessions (id, connection_id, record) VALUES ($1, $2, $3)"
            " RETURNING id, connection_id, status::text AS status, record, epoch, version, name, next_seq,"
            " medical_data",
            session_id,
            connection_id,
            self.keyring.at(SESSIONS, session_id, connection_id).seal("record", record_to_json(record)),
        )
        assert row is not None
        return _session(self.keyring, row)

    async def open_session(self, connection_id: UUID) -> UUID | None:
        """The connection's session that is still going on, with the connection locked against a second one."""
        await self.connection.execute("SELECT id FROM connections WHERE id = $1 FOR UPDATE", connection_id)
        found = await self.connection.fetchval(
            "SELECT id FROM intake_sessions WHERE connection_id = $1 AND status IN ('not_started', 'in_progress')"
            " AND archived_at IS NULL ORDER BY updated_at DESC LIMIT 1",
            connection_id,
        )
        return None if found is None else UUID(str(found))

    async def turn(self, session_id: UUID) -> Turn | None:
        """The message whose turn it is with its session; None when none waits."""
        row = await self.connection.fetchrow(_TURN, session_id)
        return None if row is None else _turn(self.keyring, row)

    async def archive(self, session_id: UUID) -> None:
        """Take the session out of every list; nothing of it is deleted."""
        await self.connection.execute(_ARCHIVE, session_id)

    async def begin_again(self, session: Session, record: ClinicalRecord, doctor_user_id: UUID) -> Session:
        """The session in a new epoch with this record, its doctor told of it."""
        row = await self.connection.fetchrow(
            _BEGIN_AGAIN, session.id, self._place(session).seal("record", record_to_json(record)), int(record.acuity),
            record.completeness, record.stage.value,
        )  # fmt: skip
        assert row is not None
        await self.connection.execute(_TELL_OF_RESET, doctor_user_id, session.connection_id, session.id)
        return _session(self.keyring, row)

    async def audit(self, actor: Person, action: str, session_id: UUID, metadata: Mapping[str, object]) -> None:
        """Write one audit line."""
        await audit(self.connection, actor, action, "intake_session", session_id, metadata)

    def _place(self, session: Session) -> Place:
        return self.keyring.at(SESSIONS, session.id, session.connection_id)


@dataclass(frozen=True, slots=True)
class PostgresIntakeStore:
    """Reads, and transactions to write in."""

    database: Database
    in_force: Mapping[str, str] = field(default_factory=lambda: IN_FORCE)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[IntakeTransaction]:
        """One transaction. Raises Unavailable."""
        async with self.database.transaction() as connection:
            yield IntakeTransaction(connection, self._keyring)

    @staticmethod
    def at_work() -> AbstractContextManager[None]:
        """Speak as the service itself inside the block, for somebody who was let in and asked it to do something."""
        return viewing(at_work(Purpose.JOBS))

    async def link_of_session(self, session_id: UUID) -> CareLink | None:
        """What access to the session depends on, in one statement."""
        row = await self.database.lookup(_LINK, session_id)
        return None if row is None else link_of(dict(row))

    async def peek(self, session_id: UUID) -> Session:
        """The session as it is, without a lock."""
        row = await self.database.fetchrow(_SESSION, session_id)
        assert row is not None
        return _session(self._keyring, row)

    async def turn(self, session_id: UUID) -> Turn | None:
        """The message whose turn it is with its session, without a lock; None when none waits."""
        row = await self.database.fetchrow(_TURN, session_id)
        return None if row is None else _turn(self._keyring, row)

    async def reply_of(self, message_id: UUID) -> Message | None:
        """The current reply to a message."""
        row = await self.database.fetchrow(_REPLY_OF, message_id)
        return None if row is None else _message(self._keyring, row)

    async def show(self, session_id: UUID, message_id: UUID, text: str) -> None:
        """Keep how far the reply to a waiting message is; "" takes back what was shown. Raises Unavailable."""
        sealed = self._keyring.at(CHAT, message_id, session_id).seal("reply_so_far", text or None)
        await self.database.fetchval(_SHOW, message_id, sealed, outbox.CHANNEL)

    async def so_far(self, session_id: UUID) -> tuple[UUID, str] | None:
        """The message that is being answered and what has been shown of its reply; None when nothing has."""
        row = await self.database.fetchrow(_SO_FAR, session_id)
        if row is None or row["reply_so_far"] is None:
            return None
        return row["id"], self._keyring.opened(CHAT, row)["reply_so_far"]

    async def claim_turn(self, session_id: UUID) -> Job | None:
        """Take the session's turn job, if it is open and nobody is at it."""
        return await outbox.claim_one(self.database, JobKind.TAKE_TURN, session_id)

    @asynccontextmanager
    async def held(self, job: Job) -> AsyncIterator[None]:
        """Keep the lease of a job while the block runs; one that cannot be kept runs out, and the fence decides."""
        keeping = asyncio.create_task(self._keep(job), name="lease")
        try:
            yield
        finally:
            keeping.cancel()

    async def _keep(self, job: Job) -> None:
        is_held = True
        while is_held:
            await asyncio.sleep(outbox.LEASE_S / 3)
            with suppress(Unavailable):
                is_held = await outbox.extend(self.database, job)

    async def give_back(self, job: Job, error_type: str) -> None:
        """Let somebody else have a job that was not finished; never raises, for then its lease does it."""
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(1.0):
                await outbox.retry(self.database, job, error_type)

    async def full(self, session_id: UUID) -> Row | None:
        """A session with both people, for a view."""
        row = await self.database.fetchrow(_FULL_BY_ID, session_id)
        return None if row is None else self._keyring.opened(SESSIONS, row)

    async def full_and_link(self, session_id: UUID) -> tuple[Row | None, CareLink | None]:
        """A session for a view with what access to it depends on; the session only where the caller may read it."""
        row = await self.full(session_id)
        if row is None:
            return None, await self.link_of_session(session_id)
        return row, link_of({**row, "id": row["connection_id"], "status": row["connection_status"]})

    async def full_of_patient(self, patient_id: UUID, connection_id: UUID | None, status: str, limit: int) -> list[Row]:
        """A patient's sessions, newest change first."""
        concerns(patient_id, purpose="own")
        rows = await self.database.fetch(_FULL_OF_PATIENT, patient_id, connection_id, status, limit)
        return listed_cases(self._keyring, rows)

    async def full_of_doctor(self, doctor_id: UUID, status: str, limit: int) -> list[Row]:
        """The sessions of a doctor's active connections, newest change first."""
        rows = await self.database.fetch_whose(_FULL_OF_DOCTOR, doctor_id, status, limit)
        return listed_cases(self._keyring, rows)

    async def all_of_patient(self, patient_id: UUID, statuses: tuple[str, ...]) -> list[Row]:
        """Every session of a patient in one of these states, newest first."""
        concerns(patient_id, purpose="own")
        rows = await self.database.fetch(_ALL_OF_PATIENT, patient_id, statuses)
        return listed_cases(self._keyring, rows)

    async def linkable(self, connection_id: UUID) -> list[Row]:
        """The sessions of a connection that tell enough to talk about: ready, or half done."""
        return [dict(row) for row in await self.database.fetch(_LINKABLE, connection_id)]

    async def recommendations(self, connection_id: UUID) -> Row | None:
        """What the replaced system had stored as guidelines for the latest session of a connection."""
        row = await self.database.fetchrow(_RECOMMENDATIONS, connection_id)
        if row is None:
            return None
        found = self._keyring.opened(SESSIONS, row)
        return {**found, "recommendations": found["medical_data"].get("ucgRecommendations")}

    async def latest(self, connection_id: UUID) -> UUID | None:
        """The session of a connection that changed last."""
        found = await self.database.fetchval(_LATEST, connection_id)
        return None if found is None else UUID(str(found))

    async def transcript(self, session_id: UUID, *, after: int = 0) -> list[Row]:
        """The conversation in order, from the first line after this place."""
        return self._keyring.all_opened(CHAT, await self.database.fetch(_TRANSCRIPT, session_id, after))

    async def last_exchange(self, session_id: UUID, named: UUID | None) -> Exchange | None:
        """The patient's last message of the present conversation and its reply; None before the first message."""
        row = await self.database.fetchrow(_LAST_EXCHANGE, session_id, named)
        return None if row is None else _exchange(self._keyring, row)

    async def may_leave(self, session_id: UUID) -> bool:
        """Whether the session's patient agreed, to the words in force, that a model outside reads along."""
        return bool(await self.database.fetchval(_MAY_LEAVE, session_id, self.in_force[OUTSIDE_MODEL]))

    async def known_of(self, session_id: UUID) -> tuple[str, ...]:
        """The names and the telephone number of the account a session belongs to: no model is told them."""
        row = await self.database.fetchrow(_ACCOUNT, session_id)
        return tuple(each for each in row.values() if each) if row is not None else ()

    async def last_lines(self, session_id: UUID, most: int) -> tuple[Message, ...]:
        """The last lines of a session's transcript, oldest first."""
        rows = await self.database.fetch(_LAST_LINES, session_id, most)
        return tuple(_message(self._keyring, row) for row in reversed(rows))

    async def transcript_of_connection(self, connection_id: UUID) -> list[Row]:
        """Every conversation of a connection, in order."""
        return self._keyring.all_opened(CHAT, await self.database.fetch(_TRANSCRIPT_OF_CONNECTION, connection_id))

    async def notes(self, session_id: UUID) -> list[Row]:
        """What doctors added to a session, in order: never for a patient."""
        return self._keyring.all_opened(NOTES, await self.database.fetch(_NOTES, session_id))

    async def notes_of_connection(self, connection_id: UUID) -> list[Row]:
        """What doctors added to every session of a connection, in order: never for a patient."""
        return self._keyring.all_opened(NOTES, await self.database.fetch(_NOTES_OF_CONNECTION, connection_id))

    async def add_note(self, session_id: UUID, author: Person, text: str, key: UUID | None) -> Row:
        """Keep a clinician's note; one client id is one note. Raises Conflict for other words."""
        note_id = uuid4()
        sealed = self._keyring.at(NOTES, note_id, session_id).seal("content", text)
        async with self.database.transaction() as connection:
            row = await connection.fetchrow(_NOTE, session_id, author.user_id, sealed, key, note_id)
            row = row or await connection.fetchrow(_NOTE_SEEN, session_id, author.user_id, key)
        note = None if row is None else self._keyring.opened(NOTES, row)
        if note is None or note["content"] != text:
            raise Conflict("This message id was used for other words. Nothing was stored.")
        return note

    async def rename(self, session_id: UUID, name: str | None, actor: Person) -> None:
        """Name a session, or clear its name; the order of sessions stays."""
        async with self.database.transaction() as connection:
            connection_id = await connection.fetchval(
                "SELECT connection_id FROM intake_sessions WHERE id = $1", session_id
            )
            sealed = self._keyring.at(SESSIONS, session_id, connection_id).seal("name", name)
            await connection.execute(
                "UPDATE intake_sessions SET name = $2, is_named = true WHERE id = $1", session_id, sealed
            )
            await audit(connection, actor, "intake_session_name_updated", "intake_session", session_id, {})

    async def review(self, session_id: UUID, actor: Person) -> None:
        """Note who reviewed a ready session and when, the first time; and that it was dealt with, every time."""
        async with self.database.transaction() as connection:
            doctor_id = await connection.fetchval(_REVIEW, session_id, actor.user_id)
            await audit(connection, actor, "intake_reviewed", "intake_session", session_id, {})
            for topic in (f"session:{session_id}", f"inbox:{doctor_id}"):
                await notify(connection, topic)

    async def stuck(self) -> list[Row]:
        """Messages that have waited too long for their reply."""
        return [dict(row) for row in await self.database.fetch(_STUCK)]

    @property
    def _keyring(self) -> Keyring:
        return self.database.keyring


def _session(keyring: Keyring, row: Any) -> Session:
    place = keyring.at(SESSIONS, row["id"], row["connection_id"])
    return Session(
        row["id"],
        row["connection_id"],
        Status(row["status"]),
        record_from_json(place.open("record", row["record"])),
        row["epoch"],
        row["version"],
        place.open("name", row["name"]),
        row["next_seq"],
        place.open("medical_data", row["medical_data"]),
    )


def _turn(keyring: Keyring, row: Any) -> Turn:
    line = keyring.at(CHAT, row["waiting_id"], row["id"])
    said, so_far = line.open("content", row["content"]), line.open("reply_so_far", row["reply_so_far"])
    images = tuple(line.open("images", row["images"]) or ())
    waiting = Message(row["waiting_id"], row["seq"], row["role"], said, row["created_at"], images=images)
    return Turn(_session(keyring, row), waiting, has_more=row["waiting"] > 1, so_far=so_far or "")


def _exchange(keyring: Keyring, row: Any) -> Exchange:
    line = keyring.at(CHAT, row["message_id"], row["id"])
    message = Message(
        row["message_id"], row["message_seq"], "user", line.open("content", row["message_content"]), row["message_at"],
        images=tuple(line.open("images", row["message_images"]) or ()),
    )  # fmt: skip
    reply = {**row, "id": row["reply_id"], "session_id": row["id"], "role": "model", "reply_to": message.id}
    answered = _message(keyring, reply) if row["reply_id"] is not None else None
    return Exchange(_session(keyring, row), message, answered, row["turn_state"], row["has_moved"])


def _message(keyring: Keyring, row: Any) -> Message:
    line = keyring.at(CHAT, row["id"], row["session_id"])
    return Message(
        row["id"],
        row["seq"],
        row["role"],
        line.open("content", row["content"]),
        row["created_at"],
        row["active_agent"],
        tuple((choice["value"], choice["label"]) for choice in line.open("choices", row["choices"]) or ()),
        row["is_emergency"],
        row["reply_to"],
        tuple(line.open("images", row.get("images")) or ()),
        bool(row.get("is_stopped")),
    )


def _as_json(choices: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"value": value, "label": label} for value, label in choices]
