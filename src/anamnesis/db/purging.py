"""Delete finished jobs that are of no use any more; what was given up stays until an operator has seen it."""

from datetime import timedelta
from typing import Final

from anamnesis.db.postgres import Database

KEPT: Final = timedelta(days=7)
_BATCH: Final = 500
_MOST_BATCHES: Final = 20

# The oldest finished jobs are found by walking the primary key from its beginning, so that no index has to be kept for
# them while they are busy; what another process deletes at this moment is not waited for.
_PURGE: Final = """
WITH gone AS (
    SELECT id FROM jobs WHERE id IN (
        SELECT id FROM (SELECT id, finished_at FROM jobs WHERE state = 'done' ORDER BY id LIMIT $1) AS oldest
        WHERE finished_at < clock_timestamp() - $2::interval)
    FOR UPDATE SKIP LOCKED
), purged AS (DELETE FROM jobs WHERE id IN (SELECT id FROM gone) AND state = 'done' RETURNING id)
SELECT count(*) FROM purged"""


async def purge_finished_jobs(database: Database, *, kept: timedelta = KEPT, batch: int = _BATCH) -> int:
    """Delete jobs that were done longer than kept ago; answers how many, at most twenty batches.

    Each batch is a short transaction of its own. Raises Unavailable.
    """
    purged = 0
    for _ in range(_MOST_BATCHES):
        found = int(await database.fetchval(_PURGE, batch, kept))
        purged += found
        if found < batch:
            break
    return purged
