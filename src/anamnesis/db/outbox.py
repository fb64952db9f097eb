"""The outbox: jobs committed with the fact that caused them, claimed under a lease, settled behind a fence."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from anamnesis.db.postgres import Connection, Database
from anamnesis.kernel.errors import AnamnesisError
from anamnesis.kernel.jobs import Job, JobKind, NewJob

CHANNEL: Final = "anamnesis"
LEASE_S: Final = 15.0
MAX_ATTEMPTS: Final = 10
LONGEST_PAUSE_S: Final = 300.0

_WAKE: Final = "SELECT pg_notify($1, 'jobs:')"

# A job that is already queued for the same thing will see what we wrote, so it serves us too. One that is running may
# have read before we wrote, so it is asked to run once more when it is done.
_ENQUEUE: Final = """
INSERT INTO jobs (kind, subject, request_id, run_after)
VALUES ($1, $2, $3, clock_timestamp() + $4::interval)
ON CONFLICT (kind, subject) WHERE state IN ('queued', 'running')
DO UPDATE SET rerun = (jobs.state = 'running'),
              run_after = CASE WHEN jobs.state = 'queued' THEN least(jobs.run_after, excluded.run_after)
                               ELSE jobs.run_after END"""

_ENQUEUE_CLAIMED: Final = """
INSERT INTO jobs AS open (kind, subject, request_id, state, attempt, fence, lease_until)
VALUES ($1, $2, $3, 'running', 1, 1, clock_timestamp() + $4::interval)
ON CONFLICT (kind, subject) WHERE state IN ('queued', 'running')
DO UPDATE SET
    rerun = (open.state = 'running' AND open.lease_until >= clock_timestamp()),
    attempt = open.attempt
              + CASE WHEN open.state = 'running' AND open.lease_until >= clock_timestamp() THEN 0 ELSE 1 END,
    fence = open.fence
            + CASE WHEN open.state = 'running' AND open.lease_until >= clock_timestamp() THEN 0 ELSE 1 END,
    lease_until = CASE WHEN open.state = 'running' AND open.lease_until >= clock_timestamp() THEN open.lease_until
                       ELSE excluded.lease_until END,
    state = 'running'
RETURNING id, kind, subject, attempt, fence, request_id, rerun"""

_CLAIM: Final = """
UPDATE jobs SET state = 'running', attempt = attempt + 1, fence = fence + 1,
                lease_until = clock_timestamp() + $2::interval
WHERE id = (
    SELECT id FROM jobs
    WHERE kind = ANY ($1::text[])
      AND ((state = 'queued' AND run_after <= clock_timestamp())
           OR (state = 'running' AND lease_until < clock_timestamp()))
    ORDER BY run_after
    LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING id, kind, subject, attempt, fence, request_id"""

_CLAIM_ONE: Final = """
UPDATE jobs SET state = 'running', attempt = attempt + 1, fence = fence + 1,
                lease_until = clock_timestamp() + $3::interval
WHERE id = (
    SELECT id FROM jobs
    WHERE kind = $1 AND subject = $2
      AND (state = 'queued' OR (state = 'running' AND lease_until < clock_timestamp()))
    FOR UPDATE SKIP LOCKED)
RETURNING id, kind, subject, attempt, fence, request_id"""

# What is due again is new work: how often the finished piece was tried says nothing of it.
_SETTLE: Final = """
UPDATE jobs SET state = CASE WHEN rerun OR $3 THEN 'queued' ELSE 'done' END,
                attempt = CASE WHEN rerun OR $3 THEN 0 ELSE attempt END,
                finished_at = CASE WHEN rerun OR $3 THEN NULL ELSE clock_timestamp() END,
                rerun = false, lease_until = NULL, run_after = clock_timestamp(), last_error_type = NULL
WHERE id = $1 AND fence = $2 AND state = 'running'
RETURNING state"""

_RETRY: Final = """
UPDATE jobs SET state = CASE WHEN attempt >= $4 THEN 'dead' ELSE 'queued' END, lease_until = NULL,
                run_after = clock_timestamp() + $3::interval, last_error_type = $5,
                finished_at = CASE WHEN attempt >= $4 THEN clock_timestamp() END
WHERE id = $1 AND fence = $2 AND state = 'running'
RETURNING state"""

_RELEASE: Final = """
UPDATE jobs SET state = 'queued', lease_until = NULL, attempt = attempt - 1, run_after = clock_timestamp()
WHERE id = $1 AND fence = $2 AND state = 'running'"""

_EXTEND: Final = """
UPDATE jobs SET lease_until = clock_timestamp() + $3::interval
WHERE id = $1 AND fence = $2 AND state = 'running'"""

_BURY: Final = """
UPDATE jobs SET state = 'dead', lease_until = NULL, last_error_type = $3, finished_at = clock_timestamp()
WHERE id = $1 AND fence = $2 AND state = 'running'"""

# Two counts, because each has a small partial index of its own; one over all states would read every finished job.
# A job that must wait counts as old from the moment it is due.
_DEPTH: Final = """
SELECT open.queued, open.running, open.oldest_s, given_up.dead
FROM (SELECT count(*) FILTER (WHERE state = 'queued') AS queued,
             count(*) FILTER (WHERE state = 'running') AS running,
             coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(run_after))), 0) AS oldest_s
      FROM jobs WHERE state IN ('queued', 'running')) AS open,
     (SELECT count(*) AS dead FROM jobs WHERE state = 'dead') AS given_up"""


class LeaseLost(AnamnesisError):
    """Somebody else has the job now: raise it inside the effect's transaction, so that the effect never was."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How much work is open, how much was given up, and how long the oldest open piece has been due, in seconds."""

    queued: int
    running: int
    dead: int
    oldest_s: float


async def enqueue(connection: Connection, *jobs: NewJob) -> None:
    """Leave work in the caller's transaction; workers wake when it commits, unless all of it may wait."""
    for job in jobs:
        await connection.execute(_ENQUEUE, job.kind.value, job.subject, job.request_id, timedelta(seconds=job.delay_s))
    if any(job.delay_s == 0 for job in jobs):
        await connection.execute(_WAKE, CHANNEL)


async def enqueue_claimed(connection: Connection, job: NewJob, *, lease_s: float = LEASE_S) -> Job | None:
    """Leave work in the caller's transaction and take it at once: the caller goes on to do it.

    None when another worker is at it; it will be asked to run once more. When the caller dies, the lease runs out
    and any worker takes over.
    """
    arguments = (job.kind.value, job.subject, job.request_id, timedelta(seconds=lease_s))
    row = dict(await connection.fetchrow(_ENQUEUE_CLAIMED, *arguments) or {})
    return None if row.pop("rerun") else _job(row)


async def claim(database: Database, kinds: Sequence[JobKind], *, lease_s: float = LEASE_S) -> Job | None:
    """Take the job that is due longest, or one whose worker's lease ran out; None when there is none."""
    row = await database.fetchrow(_CLAIM, [kind.value for kind in kinds], timedelta(seconds=lease_s))
    return None if row is None else _job(dict(row))


async def claim_one(database: Database, kind: JobKind, subject: UUID, *, lease_s: float = LEASE_S) -> Job | None:
    """Take this one job now; None when it is not open or another worker holds it."""
    row = await database.fetchrow(_CLAIM_ONE, kind.value, subject, timedelta(seconds=lease_s))
    return None if row is None else _job(dict(row))


async def settle(connection: Connection, job: Job, *, has_more: bool = False) -> bool:
    """Mark the job done in the transaction of its effect; due again when has_more, or when it was asked for meanwhile.

    False means that the lease was lost and somebody else has the job: the caller must roll its effect back.
    """
    state = await connection.fetchval(_SETTLE, job.id, job.fence, has_more)
    if state == "queued":
        await connection.execute(_WAKE, CHANNEL)
    return state is not None


async def retry(
    database: Database,
    job: Job,
    error_type: str,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    longest_pause_s: float = LONGEST_PAUSE_S,
) -> str:
    """Put a failed job back with growing pauses; after max_attempts it is dead.

    Answers the new state, or "lost" when somebody else has the job.
    """
    pause = min(longest_pause_s, 2.0 ** (job.attempt - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
    arguments = (job.id, job.fence, timedelta(seconds=pause), max_attempts, error_type)
    return str(await database.fetchval(_RETRY, *arguments) or "lost")


async def extend(database: Database, job: Job, *, lease_s: float = LEASE_S) -> bool:
    """Keep the job for another lease_s from now; False when somebody else has it."""
    return await database.execute(_EXTEND, job.id, job.fence, timedelta(seconds=lease_s)) == "UPDATE 1"


async def exists(database: Database, job: Job) -> bool:
    """Whether there is still such a job; erasure takes a person's along."""
    return bool(await database.fetchval("SELECT EXISTS (SELECT FROM jobs WHERE id = $1)", job.id))


async def bury(database: Database, job: Job, error_type: str) -> None:
    """Give the job up for good; an operator sees it among the dead."""
    await database.execute(_BURY, job.id, job.fence, error_type)


async def release(database: Database, job: Job) -> None:
    """Give a job back untouched, as a worker does that must stop."""
    await database.execute(_RELEASE, job.id, job.fence)


async def depth(database: Database) -> Depth:
    """The state of the queue. Raises Unavailable."""
    row = await database.fetchrow(_DEPTH)
    assert row is not None
    return Depth(row["queued"], row["running"], row["dead"], float(row["oldest_s"]))


def _job(row: dict[str, object]) -> Job:
    return Job(kind=JobKind(str(row.pop("kind"))), **row)  # type: ignore[arg-type]  # the columns are Job's fields
