"""Direct messages in PostgreSQL."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from anamnesis.care.model import CareLink
from anamnesis.care.store import PostgresCareStore
from anamnesis.db.outbox import CHANNEL
from anamnesis.db.postgres import Database
from anamnesis.kernel.errors import BadInput, Conflict
from anamnesis.kernel.identity import Person
from anamnesis.messaging.model import Draft

Row = Mapping[str, Any]

_SEEN: Final = """
SELECT id, connection_id, sender_id, content, is_read, read_at, created_at
FROM direct_messages WHERE connection_id = $1 AND sender_id = $2 AND client_message_id = $3"""

_NEXT_SEQ: Final = """
UPDATE connections SET next_message_seq = next_message_seq + 1 WHERE id = $1 RETURNING next_message_seq - 1"""

_INSERT: Final = """
INSERT INTO direct_messages (connection_id, seq, sender_id, content, client_message_id) VALUES ($1, $2, $3, $4, $5)
RETURNING id, connection_id, sender_id, content, is_read, read_at, created_at"""

_NOTIFY: Final = """
INSERT INTO notifications (user_id, type, title, message, data) VALUES ($1, 'message', $2, $3, $4)"""

_PAGE: Final = """
SELECT m.id, m.connection_id, m.sender_id, m.content, m.is_read, m.read_at, m.created_at, m.seq,
       u.first_name, u.last_name, u.image_url, u.primary_role::text AS primary_role
FROM direct_messages m JOIN users u ON u.id = m.sender_id
WHERE m.connection_id = $1 AND m.seq < $2 ORDER BY m.seq DESC LIMIT $3"""

_MARK: Final = """
UPDATE direct_messages SET is_read = true, read_at = clock_timestamp()
WHERE connection_id = $1 AND sender_id <> $2 AND NOT is_read"""

_MARK_NOTIFICATIONS: Final = """
UPDATE notifications SET is_read = true, read_at = clock_timestamp()
WHERE user_id = $1 AND type = 'message' AND NOT is_read AND data->>'connectionId' = $2"""

_UNREAD: Final = """
SELECT count(*) FROM direct_messages m JOIN connections c ON c.id = m.connection_id
WHERE c.status = 'active' AND (c.patient_id = $1 OR c.doctor_id = $2) AND m.sender_id <> $3 AND NOT m.is_read"""

_LAST: Final = 2**62


@dataclass(frozen=True, slots=True)
class PostgresMessageStore:
    """Every statement about direct messages."""

    database: Database

    async def link(self, connection_id: UUID) -> CareLink | None:
        """The connection with what access depends on."""
        return await PostgresCareStore(self.database).link_of_connection(connection_id)

    async def send(self, draft: Draft) -> Row:
        """Keep a message with its notification; one client id is one message. Raises Conflict for other content."""
        connection_id = draft.access.link.connection_id
        async with self.database.transaction() as connection:
            seq = await connection.fetchval(_NEXT_SEQ, connection_id)  # the row lock orders all senders
            if draft.client_message_id is not None:
                seen = await connection.fetchrow(_SEEN, connection_id, draft.sender.user_id, draft.client_message_id)
                if seen is not None:
                    await connection.execute(
                        "UPDATE connections SET next_message_seq = next_message_seq - 1 WHERE id = $1", connection_id
                    )
                    if seen["content"] != draft.content:
                        raise Conflict("This message id was used for other words. Nothing was stored.")
                    return dict(seen)
            row = await connection.fetchrow(
                _INSERT, connection_id, seq, draft.sender.user_id, draft.content, draft.client_message_id
            )
            assert row is not None
            data = {
                "connectionId": str(connection_id),
                "messageId": str(row["id"]),
                "senderName": "",
                "senderRole": draft.access.standing.value,
                "preview": "",
            }
            title = "New message"
            await connection.execute(_NOTIFY, draft.recipient_id, title, "You have a new message.", data)
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"conversation:{connection_id}")
            return dict(row)

    async def page(self, connection_id: UUID, *, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
        """The newest messages before the cursor, oldest first, and the cursor of the page before them."""
        before = _LAST if cursor is None else _seq_of(cursor)
        rows: list[Row] = [dict(row) for row in await self.database.fetch(_PAGE, connection_id, before, limit + 1)]
        more = len(rows) > limit
        shown = rows[:limit]
        return shown[::-1], _cursor_of(shown[-1]["seq"]) if more else None

    async def mark_read(self, connection_id: UUID, reader: Person) -> int:
        """Mark what the other side wrote as read; answers how many messages that were."""
        async with self.database.transaction() as connection:
            marked = await connection.execute(_MARK, connection_id, reader.user_id)
            await connection.execute(_MARK_NOTIFICATIONS, reader.user_id, str(connection_id))
            return int(str(marked).split()[-1])

    async def unread(self, reader: Person) -> int:
        """How many messages of the reader's active connections wait to be read."""
        found = await self.database.fetchval(_UNREAD, reader.patient_id, reader.doctor_id, reader.user_id)
        return int(found)


def _cursor_of(seq: int) -> str:
    return urlsafe_b64encode(f"m{seq}".encode()).decode().rstrip("=")


def _seq_of(cursor: str) -> int:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        if text[:1] == "m" and len(text) < 20:  # noqa: PLR2004 - a bigint has at most nineteen digits
            return int(text[1:])
    except ValueError:
        pass
    raise BadInput("This cursor is not one of ours. Start again without it.")
