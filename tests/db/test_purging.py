import asyncio
from datetime import timedelta

from anamnesis.db.purging import KEPT, purge_finished_jobs
from build import an_app, closing

MANY = """
INSERT INTO jobs (kind, subject, state, finished_at)
SELECT 'take_turn', gen_random_uuid(), $1, clock_timestamp() - $2::interval FROM generate_series(1, $3)"""
DAY = timedelta(days=1)


async def left(owner):
    rows = await owner.fetch("SELECT state, count(*) AS number FROM jobs GROUP BY state")
    return {row["state"]: row["number"] for row in rows}


async def test_jobs_done_a_week_ago_go_and_all_others_stay(database, owner):
    await owner.execute(MANY, "done", KEPT + DAY, 40)
    await owner.execute(MANY, "done", KEPT - DAY, 3)
    for state in ("dead", "queued", "running"):
        await owner.execute(MANY, state, KEPT + DAY, 2)
    assert await purge_finished_jobs(database, batch=7) == 40
    assert await left(owner) == {"done": 3, "dead": 2, "queued": 2, "running": 2}
    assert await purge_finished_jobs(database) == 0


async def test_one_purge_is_bounded_and_the_next_goes_on(database, owner):
    await owner.execute(MANY, "done", KEPT + DAY, 50)
    assert await purge_finished_jobs(database, batch=2) == 40
    assert await purge_finished_jobs(database, batch=2) == 10


async def test_two_processes_purge_at_once_and_count_each_job_once(database, owner):
    await owner.execute(MANY, "done", KEPT + DAY, 600)
    counts = await asyncio.gather(*(purge_finished_jobs(database, batch=50) for _ in range(4)))
    await purge_finished_jobs(database)
    assert await left(owner) == {}
    assert sum(counts) <= 600


async def test_the_oldest_are_found_without_reading_all(database, owner):
    await owner.execute(MANY, "done", DAY, 20_000)
    await owner.execute("ANALYZE jobs")
    plan = await owner.fetch(
        "EXPLAIN SELECT id FROM (SELECT id, finished_at FROM jobs WHERE state = 'done' ORDER BY id LIMIT 500) AS oldest"
        " WHERE finished_at < clock_timestamp() - interval '7 days'"
    )
    assert "Index Scan using jobs_pkey" in "\n".join(row[0] for row in plan)


async def test_the_service_purges_in_passing(clinic, owner):
    await owner.execute(MANY, "done", KEPT + DAY, 3)
    async with closing(an_app(clinic.app_dsn)) as app:
        await app.forget_spent()
    assert await left(owner) == {}
