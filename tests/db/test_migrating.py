import asyncio

import asyncpg
import pytest

from anamnesis.db.migrating import Migration, MigrationRefused, migrate, migrations, pending

FIRST = Migration(9001, "9001_first.sql", "CREATE TABLE first (x int)")
SECOND = Migration(9002, "9002_second.sql", "CREATE TABLE second (x int)")


async def run(clinic, *steps):
    return await migrate(clinic.owner_dsn, embedded=True, steps=[*migrations(), *steps])


async def test_a_step_is_applied_once(clinic):
    assert await run(clinic, FIRST) == ("9001_first.sql",)
    assert await run(clinic, FIRST) == ()


async def test_many_runners_at_once_apply_each_step_once(clinic):
    applied = await asyncio.gather(*(run(clinic, FIRST, SECOND) for _ in range(5)))
    assert sorted(name for names in applied for name in names) == ["9001_first.sql", "9002_second.sql"]


async def test_a_step_edited_after_it_was_applied_is_refused(clinic):
    await run(clinic, FIRST)
    with pytest.raises(MigrationRefused, match="edited"):
        await run(clinic, Migration(9001, "9001_first.sql", "CREATE TABLE first (y int)"))


async def test_a_step_older_than_what_is_applied_is_refused(clinic):
    await run(clinic, SECOND)
    with pytest.raises(MigrationRefused, match="older"):
        await run(clinic, FIRST, SECOND)


async def test_a_step_that_fails_leaves_nothing_of_itself(clinic, owner):
    with pytest.raises(asyncpg.PostgresError):
        await run(clinic, Migration(9001, "9001_bad.sql", "CREATE TABLE half (x int); SELECT nonsense"))
    assert await owner.fetchval("SELECT to_regclass('half')") is None


async def test_a_fresh_database_lacks_everything_and_ours_nothing(owner):
    assert await pending(owner) == ()
