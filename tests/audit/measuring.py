"""What the audit trail costs.

python tests/audit/measuring.py [LINES]  how long so many lines take to seal and to verify (a million)
python tests/audit/measuring.py calls    what a call takes with its line and without, by turns, in one process
"""

import asyncio
import itertools
import resource
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_chain import MANY

from anamnesis.db.chain import verify
from anamnesis.db.embedded import APP, OWNER, start_embedded
from anamnesis.db.migrating import migrate
from anamnesis.db.postgres import Database
from anamnesis.db.sealing import Sealer
from anamnesis.kernel.trail import Trail
from build import a_session, an_app, caller, tell

_ROUNDS = 300


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


@contextmanager
def _without_lines():
    take, is_owed = Trail.take, Trail.is_owed
    Trail.take, Trail.is_owed = lambda _: False, property(lambda _: False)
    try:
        yield
    finally:
        Trail.take, Trail.is_owed = take, is_owed


async def _measure_calls(owner_dsn, app_dsn):
    await migrate(owner_dsn, embedded=True)
    app = an_app(app_dsn)
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *(f"no {number}" for number in range(10)))
    patient, words = caller(app, "patient"), itertools.count()
    calls = {
        "intake.getSession, twenty lines": lambda: patient.call("intake.getSession", sessionId=session_id),
        "message.send": lambda: patient.call("message.send", connectionId=connection_id, content=f"no {next(words)}"),
    }
    for name, call in calls.items():
        took = {True: [], False: []}
        for number in range(2 * _ROUNDS):
            has_line = number % 2 == 0
            started = time.perf_counter()
            if has_line:
                await call()
            else:
                with _without_lines():
                    await call()
            took[has_line].append((time.perf_counter() - started) * 1000)
        print(f"{name}: {statistics.median(took[False]):.2f} → {statistics.median(took[True]):.2f} ms")
    await app.database.close()


def main():
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-measuring-"))
    server = start_embedded(folder / "postgres")
    try:
        dsns = server.dsn(OWNER, "postgres"), server.dsn(APP, "postgres")
        if sys.argv[1:] == ["calls"]:
            asyncio.run(_measure_calls(*dsns))
        else:
            asyncio.run(_measure(*dsns, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
