"""Read the sealed audit trail: whether every line still says what was sealed, in the order it was sealed in.

The bytes of each line are made here once more from its columns, not by a function of the database, and nothing is kept
of a line after the next: the trail may be longer than memory.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from anamnesis.db.postgres import Database

_VERSION: Final = "1"
_AT_ONCE: Final = 5000
#: A sealer that works is a second behind, and five at most; later than this nobody seals.
LATE_S: Final = 60.0

_SEALED: Final = """
SELECT c.seq, c.entry_id, c.hash, a.id::text AS id, a.user_id::text AS user_id, a.actor_role, a.action, a.procedure,
       a.resource_type, a.resource_id, a.patient_ids::text AS patient_ids, a.request_id, a.purpose,
       a.metadata::text AS metadata, (extract(epoch FROM a.created_at) * 1000000)::bigint::text AS created_at
FROM audit_chain c LEFT JOIN audit_logs a ON a.id = c.entry_id ORDER BY c.seq"""
_FIELDS: Final = (
    "id", "user_id", "actor_role", "action", "procedure", "resource_type", "resource_id", "patient_ids", "request_id",
    "purpose", "metadata", "created_at",
)  # fmt: skip

_SLIPPED_IN: Final = """
SELECT min(a.id) FROM audit_logs a
WHERE NOT EXISTS (SELECT FROM audit_chain c WHERE c.entry_id = a.id)
  AND NOT EXISTS (SELECT FROM audit_unsealed u WHERE u.entry_id = a.id)"""
_LOST_WAITING: Final = """
SELECT min(u.entry_id) FROM audit_unsealed u
WHERE NOT EXISTS (SELECT FROM audit_logs a WHERE a.id = u.entry_id)
   OR EXISTS (SELECT FROM audit_chain c WHERE c.entry_id = u.entry_id)"""
_WAITING: Final = """
SELECT count(*) AS lines, coalesce(extract(epoch FROM clock_timestamp() - min(waits_since)), 0)::float AS oldest_s
FROM audit_unsealed"""

_LINES: Final = """
SELECT c.seq, encode(c.hash, 'hex') AS hash, a.id, a.created_at, a.user_id, a.actor_role, a.action, a.procedure,
       a.resource_type, a.resource_id, a.patient_ids, a.request_id, a.purpose, a.metadata::text AS metadata
FROM audit_logs a LEFT JOIN audit_chain c ON c.entry_id = a.id
WHERE ($1::timestamptz IS NULL OR a.created_at >= $1) AND ($2::timestamptz IS NULL OR a.created_at < $2)
  AND ($3::uuid IS NULL OR $3 = ANY (a.patient_ids))
ORDER BY a.id"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. broken names the first place that is not as it was sealed; without one all sealed lines are.

    waiting lines are written and not sealed yet, the oldest for waiting_s seconds: about them nothing is said.
    """

    seq: int
    head: str
    broken: str | None
    waiting: int
    waiting_s: float


@dataclass(slots=True)
class _Walk:
    """The walk along the chain: how far it came, and the hash there."""

    expected: Mapping[int, str]
    seq: int = 0
    digest: bytes = bytes(32)
    met: set[int] = field(default_factory=set)

    def step(self, row: Any) -> str | None:
        """Go one place on; answers what is wrong there."""
        if row["seq"] != self.seq + 1:
            return f"place {self.seq + 1}: is missing from the chain"
        self.seq += 1
        where = f"place {self.seq} (line {row['entry_id']})"
        if row["id"] is None:
            return f"{where}: the line was deleted"
        self.digest = hashlib.sha256(self.digest + canonical([row[name] for name in _FIELDS])).digest()
        if self.digest != row["hash"]:
            return f"{where}: what is there is not what was sealed there"
        return self._anchored(where)

    def _anchored(self, where: str) -> str | None:
        wanted = self.expected.get(self.seq)
        if wanted is None:
            return None
        self.met.add(self.seq)
        return None if wanted == self.digest.hex() else f"{where}: the chain up to here is not the one that was noted"


def canonical(fields: Sequence[str | None]) -> bytes:
    """The bytes of a line: each field as its length and itself, nothing as a dash, the format's number first."""
    return "".join(_field(value) for value in (_VERSION, *fields)).encode()


def _field(value: str | None) -> str:
    if value is None:
        return "-,"
    return f"{len(value) if value.isascii() else len(value.encode())}:{value},"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """How many committed lines wait to be sealed, and how long the oldest has, in seconds; 0 when none does."""

    lines: int
    oldest_s: float


async def unsealed(database: Database) -> Unsealed:
    """What waits at this moment. Raises Unavailable."""
    row = await database.fetchrow(_WAITING)
    return Unsealed(0, 0.0) if row is None else Unsealed(row["lines"], row["oldest_s"])


async def verify(connection: Any, expected: Mapping[int, str] | None = None) -> Verdict:
    """Walk along the whole chain as it is at this moment, and look for what stands beside it.

    expected are heads noted earlier somewhere else, by place. Without one, whoever may change every table of the
    database could have made a new chain of whatever remains.
    """
    walk = _Walk(expected or {})
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL anamnesis.purpose = 'jobs'")
        broken = await _walk(connection, walk) or await _beside(connection, walk)
        waiting = await connection.fetchrow(_WAITING)
    return Verdict(walk.seq, walk.digest.hex(), broken, waiting["lines"], waiting["oldest_s"])


async def _walk(connection: Any, walk: _Walk) -> str | None:
    async for row in connection.cursor(_SEALED, prefetch=_AT_ONCE):
        broken = walk.step(row)
        if broken is not None:
            return broken
    return None


async def _beside(connection: Any, walk: _Walk) -> str | None:
    """What the walk cannot see: an end cut off, and lines that were put in or taken out past the sealer."""
    head = await connection.fetchrow("SELECT seq, hash FROM audit_head")
    if head is None or (head["seq"], head["hash"]) != (walk.seq, walk.digest):
        return f"place {walk.seq + 1}: the chain ends at {walk.seq}, and its head says otherwise"
    cut = min((seq for seq in walk.expected if seq not in walk.met), default=None)
    if cut is not None:
        return f"place {walk.seq + 1}: the chain ends at {walk.seq}, and reached {cut} before"
    slipped_in = await connection.fetchval(_SLIPPED_IN)
    if slipped_in is not None:
        return f"line {slipped_in}: was put in past the sealer"
    lost = await connection.fetchval(_LOST_WAITING)
    return None if lost is None else f"line {lost}: was waiting to be sealed, and is not as it was written"


async def lines(
    connection: Any, *, since: datetime | None, until: datetime | None, patient_id: UUID | None
) -> AsyncIterator[dict[str, Any]]:
    """Every audit line from since until before until, about one patient if given, in order; sealed ones say where."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL anamnesis.purpose = 'jobs'")
        async for row in connection.cursor(_LINES, since, until, patient_id, prefetch=_AT_ONCE):
            yield dict(row)
