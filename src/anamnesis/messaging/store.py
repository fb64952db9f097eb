"""Direct messages in PostgreSQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from anamnesis.care.model import CareLink, Standing
from anamnesis.care.policy import ENDED_FOR_PATIENT, verified_doctor
from anamnesis.care.store import PostgresCareStore
from anamnesis.db.encryption import DIRECT
from anamnesis.db.outbox import CHANNEL
from anamnesis.db.postgres import Database
from anamnesis.kernel.cursors import LAST, Cursors
from anamnesis.kernel.errors import Conflict, NotPermitted
from anamnesis.kernel.identity import Person
from anamnesis.messaging.model import Draft

Row = Mapping[str, Any]

# One statement is one transaction and one round trip. The row lock on the connection orders all senders, so numbers are
# dense and a disconnect is either before the message or after it. A client id that is being stored by somebody else
# at this moment passes the NOT EXISTS and is stopped by the unique index: the whole statement then leaves no trace.
_SEND: Final = """
WITH place AS (
    UPDATE connections SET next_message_seq = next_message_seq + 1
    WHERE id = $1 AND status = 'active' AND NOT EXISTS (
        SELECT FROM direct_messages WHERE connection_id = $1 AND sender_id = $2 AND client_message_id = $4)
    RETURNING next_message_seq - 1 AS seq
), message AS (
    INSERT INTO direct_messages (id, connection_id, seq, sender_id, content, client_message_id, acuity)
    SELECT $11, $1, seq, $2, $3, $4, $9 FROM place
    RETURNING id, connection_id, sender_id, content, is_read, read_at, delivered_at, created_at
), notice AS (
    INSERT INTO notifications (user_id, type, title, message, data)
    SELECT $5, 'message', CASE $9::smallint WHEN 2 THEN 'Urgent message' ELSE 'New message' END,
           CASE $9::smallint WHEN 2 THEN 'A message sounds like an emergency.' ELSE 'You have a new message.' END,
           jsonb_build_object('connectionId', connection_id, 'messageId', id, 'senderName', '',
                              'senderRole', $6::text, 'preview', '')
    FROM message
), event AS (
    INSERT INTO webhook_events (kind, connection_id, message_id)
    SELECT 'message.created', connection_id, id FROM message WHERE $10 RETURNING id
), telling AS (
    INSERT INTO jobs (kind, subject) SELECT 'deliver_webhook', id FROM event
)
SELECT id, connection_id, sender_id, content, is_read, read_at, delivered_at, created_at,
       pg_notify($7, 'conversation:' || connection_id) AS told, pg_notify($7, 'inbox:' || $8::uuid) AS told_inbox,
       CASE WHEN $10 THEN pg_notify($7, 'jobs:') END AS told_workers
FROM message"""

_SEEN: Final = """
SELECT id, connection_id, sender_id, content, is_read, read_at, delivered_at, created_at
FROM direct_messages WHERE connection_id = $1 AND sender_id = $2 AND client_message_id = $3"""

_PAGE: Final = """
SELECT m.id, m.connection_id, m.sender_id, m.content, m.is_read, m.read_at, m.delivered_at, m.created_at, m.seq,
       u.first_name, u.last_name, u.image_url, u.primary_role::text AS primary_role
FROM direct_messages m JOIN users u ON u.id = m.sender_id
WHERE m.connection_id = $1 AND m.seq < $2 ORDER BY m.seq DESC LIMIT $3"""

_AFTER: Final = """
SELECT m.id, m.connection_id, m.sender_id, m.content, m.is_read, m.read_at, m.delivered_at, m.created_at, m.seq,
       u.first_name, u.last_name, u.image_url, u.primary_role::text AS primary_role
FROM direct_messages m JOIN users u ON u.id = m.sender_id
WHERE m.connection_id = $1 AND m.seq > $2 ORDER BY m.seq LIMIT 100"""

_STATE: Final = """
SELECT coalesce(max(m.seq), 0) AS last, max(m.read_at) FILTER (WHERE m.sender_id = $2) AS read_at,
       max(m.delivered_at) FILTER (WHERE m.sender_id = $2) AS delivered_at,
       (SELECT is_active FROM users WHERE id = $2) AS is_active
FROM direct_messages m WHERE m.connection_id = $1"""

_CONVERSATIONS: Final = """
SELECT c.id AS connection_id, c.patient_id, o.id AS user_id, o.first_name, o.last_name, o.image_url,
       CASE WHEN c.patient_id = $1 THEN 'doctor' ELSE 'patient' END AS role,
       l.id, l.content, l.created_at, l.is_read, l.sender_id = $3 AS is_from_me,
       (SELECT count(*) FROM direct_messages m WHERE m.connection_id = c.id AND m.sender_id <> $3 AND NOT m.is_read)
           AS unread
FROM connections c JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
JOIN users o ON o.id = CASE WHEN c.patient_id = $1 THEN d.user_id ELSE p.user_id END
LEFT JOIN LATERAL (
    SELECT id, content, created_at, is_read, sender_id FROM direct_messages
    WHERE connection_id = c.id ORDER BY seq DESC LIMIT 1) l ON true
WHERE c.status = 'active' AND (c.patient_id = $1 OR c.doctor_id = $2)
ORDER BY l.created_at DESC NULLS LAST, c.id"""

_MARK: Final = """
WITH marked AS (
    UPDATE direct_messages SET is_read = true, read_at = moment, delivered_at = coalesce(delivered_at, moment)
    FROM clock_timestamp() AS moment
    WHERE connection_id = $1 AND sender_id <> $2 AND NOT is_read RETURNING id
), told AS MATERIALIZED (
    SELECT id FROM notifications
    WHERE user_id = $2 AND type = 'message' AND NOT is_read AND data->>'connectionId' = $1::uuid::text
    ORDER BY id FOR NO KEY UPDATE
), cleared AS (
    UPDATE notifications n SET is_read = true, read_at = clock_timestamp() FROM told WHERE n.id = told.id
)
SELECT count(*) AS marked, CASE WHEN count(*) > 0 THEN pg_notify($3, 'conversation:' || $1::uuid) END FROM marked"""

# What was read has been delivered, whenever that was.
_DELIVER: Final = """
WITH marked AS (
    UPDATE direct_messages SET delivered_at = clock_timestamp()
    WHERE connection_id = $1 AND sender_id <> $2 AND seq <= $3 AND delivered_at IS NULL AND NOT is_read RETURNING id
)
SELECT count(*) AS marked, CASE WHEN count(*) > 0 THEN pg_notify($4, 'conversation:' || $1::uuid) END FROM marked"""

# One statement, so of two processes at once only one reminds: the second finds the first's mark, and it is too young.
# Whoever cannot read the conversation any more, or is not there, is not reminded of it. Whoever was reminded of late is
# left out before they are cut to a number, or the same ones would take all the places. In one order, for notices lock.
_REMIND: Final = """
WITH waiting AS (
    SELECT DISTINCT m.connection_id, CASE WHEN m.sender_id = p.user_id THEN d.user_id ELSE p.user_id END AS user_id
    FROM direct_messages m JOIN connections c ON c.id = m.connection_id AND c.status = 'active'
    JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
    WHERE NOT m.is_read AND m.created_at BETWEEN clock_timestamp() - $3::interval AND clock_timestamp() - $1::interval
      AND (m.sender_id <> p.user_id OR d.verification_status = 'verified')
), due AS (
    INSERT INTO message_reminders AS known (connection_id, user_id)
    SELECT w.connection_id, w.user_id FROM waiting w JOIN users u ON u.id = w.user_id AND u.is_active
    WHERE NOT EXISTS (SELECT FROM message_reminders r WHERE r.connection_id = w.connection_id
                      AND r.user_id = w.user_id AND r.reminded_at >= clock_timestamp() - $2::interval)
    ORDER BY w.user_id, w.connection_id LIMIT 200
    ON CONFLICT (connection_id, user_id) DO UPDATE SET reminded_at = clock_timestamp()
    WHERE known.reminded_at < clock_timestamp() - $2::interval
    RETURNING connection_id, user_id
), told AS (
    INSERT INTO notifications (user_id, type, title, message, data)
    SELECT user_id, 'message', 'Messages wait for you', 'You have messages you have not read.',
           jsonb_build_object('connectionId', connection_id, 'action', 'reminder', 'senderName', '', 'preview', '')
    FROM due RETURNING id
)
SELECT count(*) FROM told"""

_UNREAD: Final = """
SELECT count(*) FROM direct_messages m JOIN connections c ON c.id = m.connection_id
WHERE c.status = 'active' AND (c.patient_id = $1 OR c.doctor_id = $2) AND m.sender_id <> $3 AND NOT m.is_read"""

CURSORS: Final = Cursors("m")


@dataclass(frozen=True, slots=True)
class PostgresMessageStore:
    """Implements MessageStore: every statement about direct messages.

    tells_others has each message leave an event for the operator's other systems, in the message's own transaction.
    """

    database: Database
    tells_others: bool = False

    async def link(self, connection_id: UUID) -> CareLink | None:
        """The connection with what access depends on."""
        return await PostgresCareStore(self.database).link_of_connection(connection_id)

    async def send(self, draft: Draft) -> Row:
        """Keep a message with its notification and its event; one client id is one message."""
        connection_id, sender_id, key = draft.access.link.connection_id, draft.sender.user_id, draft.client_message_id
        message_id = uuid4()
        try:
            row = await self.database.fetchrow(
                _SEND,
                connection_id,
                sender_id,
                self.database.keyring.at(DIRECT, message_id, connection_id).seal("content", draft.content),
                key,
                draft.recipient_id,
                draft.access.standing.value,
                CHANNEL,
                draft.access.link.doctor_id,
                int(draft.acuity),
                self.tells_others,
                message_id,
            )
        except asyncpg.UniqueViolationError:
            row = None
        if row is not None:
            sent = {name: value for name, value in row.items() if not name.startswith("told")}
            return {**sent, "content": draft.content}
        row = None if key is None else await self.database.fetchrow(_SEEN, connection_id, sender_id, key)
        if row is None:
            is_patient = draft.access.standing is Standing.PATIENT
            raise NotPermitted(ENDED_FOR_PATIENT if is_patient else "This connection has ended.")
        seen = self.database.keyring.opened(DIRECT, row)
        if seen["content"] != draft.content:
            raise Conflict("This message id was used for other words. Nothing was stored.")
        return seen

    async def page(self, connection_id: UUID, *, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
        """The newest messages before the cursor, oldest first, and the cursor of the page before them."""
        before = LAST if cursor is None else CURSORS.seq(cursor)
        rows = await self.database.fetch(_PAGE, connection_id, before, limit + 1)
        shown = self.database.keyring.all_opened(DIRECT, rows[:limit])
        return shown[::-1], CURSORS.of(shown[-1]["seq"]) if len(rows) > limit else None

    async def after(self, connection_id: UUID, seq: int) -> list[Row]:
        """The next messages after this place, oldest first; at most a hundred."""
        return self.database.keyring.all_opened(DIRECT, await self.database.fetch(_AFTER, connection_id, seq))

    async def state(self, connection_id: UUID, reader: Person) -> Row:
        """The place of the last message, when the other side last read, and whether the reader may go on at all."""
        return dict(await self.database.fetchrow(_STATE, connection_id, reader.user_id) or {})

    async def conversations(self, reader: Person) -> list[Row]:
        """The reader's active connections with their latest message, the latest first, those without one last."""
        rows = await self.database.fetch_whose(
            _CONVERSATIONS, reader.patient_id, verified_doctor(reader), reader.user_id
        )
        return self.database.keyring.all_opened(DIRECT, rows)

    async def mark_read(self, connection_id: UUID, reader: Person) -> int:
        """Mark what the other side wrote as read; answers how many messages that were."""
        return int(await self.database.fetchval(_MARK, connection_id, reader.user_id, CHANNEL))

    async def delivered(self, connection_id: UUID, reader: Person, seq: int) -> int:
        """Mark what the other side wrote up to this place as delivered; answers how many messages that were."""
        return int(await self.database.fetchval(_DELIVER, connection_id, reader.user_id, seq, CHANNEL))

    async def remind(self, *, after: timedelta, period: timedelta, forgotten: timedelta) -> int:
        """Remind everybody for whom a message has waited longer than after, once a period for each conversation.

        What has waited longer than forgotten is left alone. Answers how many reminders there were, 200 at most.
        """
        return int(await self.database.fetchval(_REMIND, after, period, forgotten))

    async def unread(self, reader: Person) -> int:
        """How many messages wait to be read in active connections the reader may read."""
        return int(await self.database.fetchval(_UNREAD, reader.patient_id, verified_doctor(reader), reader.user_id))
