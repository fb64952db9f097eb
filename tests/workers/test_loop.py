import asyncio
import contextlib
import signal
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from anamnesis.db import outbox
from anamnesis.db.bus import Bus
from anamnesis.db.postgres import Database, PoolSettings
from anamnesis.kernel.jobs import JobKind, NewJob
from anamnesis.workers.loop import Worker

TURN = JobKind.TAKE_TURN
DYING = Path(__file__).with_name("dying_worker.py")


@pytest.fixture
async def effects(owner):
    """Where the handlers of these tests leave their mark."""
    await owner.execute("CREATE TABLE effects (subject uuid NOT NULL, worker text NOT NULL)")
    await owner.execute("GRANT SELECT, INSERT ON effects TO anamnesis_app")
    return owner


async def leave(database, *, delay_s=0.0, subject=None):
    subject = subject or uuid4()
    async with database.transaction() as connection:
        await outbox.enqueue(connection, NewJob(TURN, subject, "req-1", delay_s))
    return subject


@contextlib.asynccontextmanager
async def working(database, handler, **settings):
    worker = Worker(database, {TURN: handler}, **{"poll_s": 0.05, **settings})
    running = asyncio.create_task(worker.run())
    yield worker
    worker.stop()
    await asyncio.wait_for(running, 15)


async def until(question, within_s=10.0):
    deadline = time.monotonic() + within_s
    while not await question():
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.02)


def finished(database):
    async def question():
        return await database.fetchval("SELECT count(*) = 0 FROM jobs WHERE state IN ('queued', 'running')")

    return question


def marking(database, name, *, pause_s=0.0):
    """A handler whose effect and settlement are one transaction."""

    async def handle(job):
        await asyncio.sleep(pause_s)
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO effects (subject, worker) VALUES ($1, $2)", job.subject, name)
            if not await outbox.settle(connection, job):
                raise outbox.LeaseLost

    return handle


async def test_every_job_is_done_once_by_two_workers(database, effects):
    subjects = {await leave(database) for _ in range(30)}
    async with working(database, marking(database, "a")), working(database, marking(database, "b")):
        await until(finished(database))
    rows = [row["subject"] for row in await effects.fetch("SELECT subject FROM effects")]
    assert len(rows) == 30
    assert set(rows) == subjects


async def test_a_handler_without_an_effect_of_its_own_need_not_settle(database):
    await leave(database)
    done = []

    async def handle(job):
        done.append(job.subject)

    async with working(database, handle):
        await until(finished(database))
    assert len(done) == 1
    assert await database.fetchval("SELECT state FROM jobs") == "done"


async def test_a_worker_killed_in_the_middle_loses_the_job_to_another_after_its_lease(database, clinic, effects):
    subject = await leave(database)
    dying = await asyncio.create_subprocess_exec(sys.executable, DYING, clinic.app_dsn, stdout=PIPE)
    assert UUID((await dying.stdout.readline()).decode().strip()) == subject
    dying.send_signal(signal.SIGKILL)
    await dying.wait()
    killed_at = time.monotonic()
    async with working(database, marking(database, "heir")):
        await until(finished(database))
    assert time.monotonic() - killed_at < 1 + 2  # the lease of dying_worker.py, and the time to notice
    assert await effects.fetchval("SELECT count(*) FROM effects WHERE worker = 'heir'") == 1


@pytest.mark.proves("I8")
async def test_the_late_write_of_a_worker_that_lost_its_lease_never_was(database, effects):
    subject = await leave(database)
    slow = await outbox.claim(database, [TURN], lease_s=0.01)
    await asyncio.sleep(0.05)
    async with working(database, marking(database, "quick")):
        await until(finished(database))
    with pytest.raises(outbox.LeaseLost):
        await marking(database, "slow")(slow)
    assert [(row["subject"], row["worker"]) for row in await effects.fetch("SELECT subject, worker FROM effects")] == [
        (subject, "quick")
    ]


async def test_a_slow_handler_keeps_its_lease(database, effects):
    await leave(database)
    slow = marking(database, "slow", pause_s=1.0)
    async with (
        working(database, slow, lease_s=0.3),
        working(database, marking(database, "thief"), lease_s=0.3),
    ):
        await asyncio.sleep(0.05)
        await until(finished(database))
    assert await effects.fetchval("SELECT count(*) FROM effects") == 1


async def test_a_failing_job_is_tried_again_and_then_given_up(database):
    await leave(database)
    tries = []

    async def fail(job):
        tries.append(job.attempt)
        await database.execute("UPDATE jobs SET run_after = clock_timestamp()")
        raise ValueError("chest pain")

    async with working(database, fail, max_attempts=1):
        await until(finished(database))
    assert tries == [1]
    row = await database.fetchrow("SELECT state, last_error_type FROM jobs")
    assert (row["state"], row["last_error_type"]) == ("dead", "ValueError")


async def test_a_job_that_kills_its_workers_is_given_up_too(database):
    await leave(database)
    await database.execute("UPDATE jobs SET attempt = 3")

    async def never(job):
        raise AssertionError

    async with working(database, never, max_attempts=3):
        await until(finished(database))
    assert await database.fetchval("SELECT last_error_type FROM jobs WHERE state = 'dead'") == "WorkerLost"


async def test_a_handler_that_hangs_has_failed(database):
    await leave(database)

    async def hang(job):
        await asyncio.sleep(60)

    async with working(database, hang, longest_s=0.05, max_attempts=1):
        await until(finished(database))
    assert await database.fetchval("SELECT last_error_type FROM jobs WHERE state = 'dead'") == "TimeoutError"


async def test_a_stopping_worker_finishes_what_it_began_and_begins_nothing_more(database, effects):
    await leave(database)
    async with working(database, marking(database, "last", pause_s=0.3)) as worker:
        await until(lambda: _is(database, "running", 1))
        worker.stop()
        await leave(database)
    assert await effects.fetchval("SELECT count(*) FROM effects") == 1
    assert (await outbox.depth(database)).queued == 1


async def test_what_a_stopping_worker_cannot_finish_in_time_is_given_back_untouched(database):
    await leave(database)

    async def hang(job):
        await asyncio.sleep(60)

    async with working(database, hang, drain_s=0.05):
        await until(lambda: _is(database, "running", 1))
    row = await database.fetchrow("SELECT state, attempt FROM jobs")
    assert (row["state"], row["attempt"]) == ("queued", 0)


async def _is(database, state, count):
    return await database.fetchval("SELECT count(*) = $2 FROM jobs WHERE state = $1", state, count)


async def test_a_worker_outlives_an_outage_of_its_database(database, owner, clinic, effects):
    name = await owner.fetchval("SELECT current_database()")
    async with working(database, marking(database, "survivor")) as worker:
        await until(lambda: _alive(worker))
        await owner.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await asyncio.sleep(0.3)
        assert not worker.is_alive(0.2)
        await owner.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
        await leave(database)
        back_at = time.monotonic()
        await until(finished(database))
        assert time.monotonic() - back_at < 3
    assert await effects.fetchval("SELECT count(*) FROM effects") == 1


async def _alive(worker):
    return worker.is_alive(1.0)


async def test_a_notification_wakes_a_worker_long_before_it_would_look_by_itself(database, clinic):
    bus = Bus(clinic.owner_dsn)
    bus.start()
    assert await bus.connected(5)
    done = asyncio.Event()

    async def handle(job):
        done.set()

    async with working(database, handle, bus=bus, poll_s=30) as worker:
        await until(lambda: _alive(worker))
        await asyncio.sleep(0.1)
        await leave(database)
        await asyncio.wait_for(done.wait(), 2)
    await bus.close()


async def test_no_more_than_the_allowed_number_run_at_once(database):
    for _ in range(6):
        await leave(database)
    running, most = 0, 0

    async def handle(job):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.03)
        running -= 1

    async with working(database, handle, concurrency=2):
        await until(finished(database))
    assert most == 2


async def test_a_job_is_logged_by_its_kind_with_its_request_and_never_with_an_errors_words(database):
    await leave(database)

    async def fail(job):
        raise ValueError("my chest hurts")

    with capture_logs() as lines:
        async with working(database, fail, max_attempts=1):
            await until(finished(database))
    assert [(line["event"], line["phase"], line["request_id"]) for line in lines] == [
        ("job.take_turn", "started", "req-1"),
        ("job.take_turn", "error", "req-1"),
    ]
    assert lines[1]["error_type"] == "ValueError"
    assert isinstance(lines[1]["duration_ms"], int)
    assert "chest" not in str(lines)


async def test_the_queue_is_counted_without_reading_finished_jobs(database, owner):
    await owner.execute(
        "INSERT INTO jobs (kind, subject, state)"
        " SELECT 'take_turn', gen_random_uuid(), 'done' FROM generate_series(1, 20000)"
    )
    await leave(database)
    await owner.execute("ANALYZE jobs")
    for query, arguments in (
        (outbox._DEPTH, ()),
        (outbox._CLAIM, (["take_turn"], outbox.timedelta(seconds=1))),
        (outbox._CLAIM_ONE, ("take_turn", uuid4(), outbox.timedelta(seconds=1))),
    ):
        plan = "\n".join(row[0] for row in await owner.fetch("EXPLAIN " + query, *arguments))
        assert "Seq Scan" not in plan, plan


async def test_a_process_of_its_own_pool_sees_the_same_queue(database, clinic):
    other = Database(clinic.app_dsn, PoolSettings(max_size=1))
    await leave(database)
    assert (await outbox.depth(other)).queued == 1
    await other.close()
