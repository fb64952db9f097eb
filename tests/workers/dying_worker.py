"""A worker that claims one job, says which, and never finishes: to be killed."""

import asyncio
import sys

from anamnesis.db.postgres import Database
from anamnesis.kernel.jobs import JobKind
from anamnesis.workers.loop import Worker


async def hold(job):
    sys.stdout.write(f"{job.subject}\n")
    sys.stdout.flush()
    await asyncio.sleep(60)


def main():
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(Worker(Database(sys.argv[1]), {JobKind.TAKE_TURN: hold}, lease_s=1.0, poll_s=0.05).run())


main()
