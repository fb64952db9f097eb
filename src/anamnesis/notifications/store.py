"""Notifications in PostgreSQL. Who has something to tell writes them, in the transaction that makes it so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from anamnesis.db.postgres import Database
from anamnesis.kernel.cursors import LAST, Cursors

Row = Mapping[str, Any]

_PAGE: Final = """
SELECT id, user_id, type, title, message, data, is_read, read_at, created_at, seq
FROM notifications WHERE user_id = $1 AND seq < $2 AND NOT (is_read AND $3) ORDER BY seq DESC LIMIT $4"""

_AFTER: Final = """
SELECT id, user_id, type, title, message, data, is_read, read_at, created_at, seq
FROM notifications WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT 100"""

# Of one that was read before, the first reading stands.
_MARK: Final = """
UPDATE notifications SET read_at = CASE WHEN is_read THEN read_at ELSE clock_timestamp() END, is_read = true
WHERE id = $1 AND user_id = $2
RETURNING id, user_id, type, title, message, data, is_read, read_at, created_at"""

# Whoever takes several takes them by id: an erasure does, too, and neither waits for the other in a circle.
_MARK_ALL: Final = """
WITH unread AS MATERIALIZED (
    SELECT id FROM notifications WHERE user_id = $1 AND NOT is_read ORDER BY id FOR NO KEY UPDATE
), marked AS (
    UPDATE notifications n SET is_read = true, read_at = clock_timestamp() FROM unread WHERE n.id = unread.id
    RETURNING n.id)
SELECT count(*) FROM marked"""

_DELETE_READ: Final = """
WITH known AS MATERIALIZED (
    SELECT id FROM notifications WHERE user_id = $1 AND is_read ORDER BY id FOR UPDATE
), gone AS (
    DELETE FROM notifications n USING known WHERE n.id = known.id RETURNING n.id)
SELECT count(*) FROM gone"""

_CURSORS: Final = Cursors("n")


@dataclass(frozen=True, slots=True)
class PostgresNotificationStore:
    """Every statement names whose notifications it is about, so nobody's are touched by another."""

    database: Database

    async def page(
        self, user_id: UUID, *, limit: int, cursor: str | None, unread_only: bool
    ) -> tuple[list[Row], str | None]:
        """The newest before the cursor, newest first, and the cursor of the next page. Raises BadInput."""
        before = LAST if cursor is None else _CURSORS.seq(cursor)
        rows: list[Row] = [
            dict(row) for row in await self.database.fetch(_PAGE, user_id, before, unread_only, limit + 1)
        ]
        shown = rows[:limit]
        return shown, _CURSORS.of(shown[-1]["seq"]) if len(rows) > limit else None

    async def after(self, user_id: UUID, seq: int) -> list[Row]:
        """The next ones after this place, oldest first; at most a hundred."""
        return [dict(row) for row in await self.database.fetch(_AFTER, user_id, seq)]

    async def last(self, user_id: UUID) -> int:
        """The place of the newest one; 0 when there is none."""
        last = await self.database.fetchval("SELECT max(seq) FROM notifications WHERE user_id = $1", user_id)
        return int(last or 0)

    async def unread(self, user_id: UUID) -> int:
        """How many have not been read."""
        return int(
            await self.database.fetchval(
                "SELECT count(*) FROM notifications WHERE user_id = $1 AND NOT is_read", user_id
            )
        )

    async def mark(self, user_id: UUID, notification_id: UUID) -> Row | None:
        """Mark one as read; None when this person has none of that id."""
        row = await self.database.fetchrow(_MARK, notification_id, user_id)
        return None if row is None else dict(row)

    async def mark_all(self, user_id: UUID) -> int:
        """Mark all as read; answers how many were not."""
        return int(await self.database.fetchval(_MARK_ALL, user_id))

    async def delete(self, user_id: UUID, notification_id: UUID) -> bool:
        """Delete one; False when this person has none of that id."""
        done = await self.database.execute(
            "DELETE FROM notifications WHERE id = $1 AND user_id = $2", notification_id, user_id
        )
        return done == "DELETE 1"

    async def delete_read(self, user_id: UUID) -> int:
        """Delete what was read; answers how many."""
        return int(await self.database.fetchval(_DELETE_READ, user_id))
