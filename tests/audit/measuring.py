"""How long a million audit lines take to seal and to verify: python tests/audit/measuring.py [LINES]."""

import asyncio
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
from test_chain import MANY

from anamnesis.db.chain import verify
from anamnesis.db.embedded import APP, OWNER, start_embedded
from anamnesis.db.migrating import migrate
from anamnesis.db.postgres import Database
from anamnesis.db.sealing import Sealer


async def _measure(owner_dsn, app_dsn, lines):
    await migrate(owner_dsn, embedded=True)
    owner, database = await asyncpg.connect(owner_dsn), Database(app_dsn)
    for _ in range(0, lines, 50_000):
        await owner.execute(MANY, 50_000)
    started = time.monotonic()
    sealed = await Sealer(database).seal()
    print(f"sealed {sealed} lines in {time.monotonic() - started:.1f} s")
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    found = await verify(owner)
    print(f"verified {found.seq} lines in {time.monotonic() - started:.1f} s, broken: {found.broken}")
    print(f"memory grew by {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MB")
    await database.close()
    await owner.close()


def main():
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-measuring-"))
    server = start_embedded(folder / "postgres")
    try:
        lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
        asyncio.run(_measure(server.dsn(OWNER, "postgres"), server.dsn(APP, "postgres"), lines))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
