"""Events for other systems and how telling them went, in PostgreSQL: all SQL of this slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from anamnesis.db import outbox
from anamnesis.db.postgres import Database
from anamnesis.kernel.jobs import JobKind, NewJob
from anamnesis.webhooks.model import Attempt, Event, EventKind

Row = Mapping[str, Any]
KEPT_DAYS: Final = 30

_LEAVE: Final = """
INSERT INTO webhook_events (id, kind, connection_id, session_id)
SELECT $1, $2, connection_id, id FROM intake_sessions WHERE id = $3
ON CONFLICT (id) DO NOTHING RETURNING id"""

_FIND: Final = """
SELECT e.id, e.kind, e.connection_id, e.session_id, e.message_id, e.occurred_at,
       ARRAY(SELECT DISTINCT d.target FROM webhook_deliveries d WHERE d.event_id = e.id AND d.outcome = 'delivered'
             AND d.tried_at >= coalesce(e.replayed_at, e.occurred_at)) AS taken
FROM webhook_events e WHERE e.id = $1"""

_NOTE: Final = """
INSERT INTO webhook_deliveries (event_id, target, outcome, status, duration_ms)
SELECT id, $2, $3, $4, $5 FROM webhook_events WHERE id = $1"""

_LOG: Final = """
SELECT e.id, e.kind, e.occurred_at, d.target, d.outcome, d.status, d.duration_ms, d.tried_at
FROM webhook_events e LEFT JOIN webhook_deliveries d ON d.event_id = e.id
WHERE ($1::uuid IS NULL OR e.id = $1) AND (NOT $2 OR d.outcome <> 'delivered')
ORDER BY coalesce(d.tried_at, e.occurred_at) DESC, d.id DESC LIMIT $3"""

#: Those that some target has not taken and nobody is trying to tell any more, the oldest first.
_GIVEN_UP: Final = """
SELECT e.id FROM webhook_events e
WHERE e.id IN (SELECT subject FROM jobs WHERE kind = 'deliver_webhook' AND state = 'dead')
ORDER BY e.occurred_at, e.id"""

#: Told again, it is not given up any more, and does not count among what an operator has to look at.
_TAKE_UP: Final = "DELETE FROM jobs WHERE kind = 'deliver_webhook' AND subject = $1 AND state = 'dead'"

_REPLAY: Final = "UPDATE webhook_events SET replayed_at = clock_timestamp() WHERE id = $1 RETURNING id"

_FORGET: Final = """
DELETE FROM webhook_events WHERE id IN (
    SELECT id FROM webhook_events WHERE occurred_at < clock_timestamp() - make_interval(days => $1)
    ORDER BY occurred_at LIMIT 500 FOR UPDATE SKIP LOCKED)"""


@dataclass(frozen=True, slots=True)
class PostgresHookStore:
    """Implements HookStore, and what an operator asks about it."""

    database: Database

    async def leave(self, event_id: UUID, kind: EventKind, session_id: UUID, request_id: str) -> None:
        """Keep an event of a session and leave its delivery; the same event again changes nothing."""
        async with self.database.transaction() as connection:
            if await connection.fetchval(_LEAVE, event_id, kind.value, session_id):
                await outbox.enqueue(connection, NewJob(JobKind.DELIVER_WEBHOOK, event_id, request_id))

    async def find(self, event_id: UUID) -> tuple[Event, frozenset[str]] | None:
        """An event with the names of the targets that have taken it since it was last to be told."""
        row = await self.database.fetchrow(_FIND, event_id)
        if row is None:
            return None
        names = ("connection_id", "session_id", "message_id", "occurred_at")
        return Event(row["id"], EventKind(row["kind"]), *(row[name] for name in names)), frozenset(row["taken"])

    async def note(self, event_id: UUID, target: str, attempt: Attempt) -> None:
        """Keep how telling a target went."""
        told = (attempt.outcome, attempt.status, attempt.duration_ms)
        await self.database.execute(_NOTE, event_id, target, *told)

    async def log(self, event_id: UUID | None, *, only_failed: bool, limit: int) -> Sequence[Row]:
        """Attempts with their events, the latest first; an event nobody was told of yet has no attempt."""
        return [dict(row) for row in await self.database.fetch(_LOG, event_id, only_failed, limit)]

    async def given_up(self) -> list[UUID]:
        """Events that were not delivered and are not tried any more."""
        return [row["id"] for row in await self.database.fetch(_GIVEN_UP)]

    async def replay(self, event_id: UUID) -> bool:
        """Have an event told to every target once more; False when there is none of that id."""
        async with self.database.transaction() as connection:
            if await connection.fetchval(_REPLAY, event_id) is None:
                return False
            await connection.execute(_TAKE_UP, event_id)
            await outbox.enqueue(connection, NewJob(JobKind.DELIVER_WEBHOOK, event_id))
            return True

    async def forget_old(self) -> None:
        """Delete events of a month ago with their log. Raises Unavailable."""
        await self.database.execute(_FORGET, KEPT_DAYS)
