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


@pytest.mark.parametrize("lets_go", [True, False])
async def test_a_lock_held_by_others_is_asked_for_briefly_and_often_and_never_waited_for_long(
    clinic, owner, monkeypatch, lets_go
):
    monkeypatch.setattr("anamnesis.db.migrating._LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr("anamnesis.db.migrating._LOCK_ATTEMPTS", 4)
    step = Migration(9001, "9001_users.sql", "ALTER TABLE users ADD COLUMN nickname text")
    holding = owner.transaction()
    await holding.start()
    await owner.execute("SELECT count(*) FROM users")
    running = asyncio.create_task(run(clinic, step))
    await asyncio.sleep(0.1)
    # Whoever comes after the waiting step is not kept behind it for longer than its patience.
    other = await asyncpg.connect(clinic.app_dsn)
    await asyncio.wait_for(other.fetchval("SELECT count(*) FROM users"), 1)
    await other.close()
    if lets_go:
        await holding.rollback()
        assert await running == ("9001_users.sql",)
    else:
        with pytest.raises(MigrationRefused, match="too long for a lock"):
            await running
        await holding.rollback()


async def test_a_step_runs_under_a_lock_timeout_of_two_seconds(clinic, owner):
    told = "CREATE TABLE told AS SELECT current_setting('lock_timeout') AS patience"
    await run(clinic, Migration(9001, "9001_told.sql", told))
    assert await owner.fetchval("SELECT patience FROM told") == "2s"


async def test_who_agreed_to_earlier_words_about_models_is_asked_again(owner):
    step = next(each for each in migrations() if each.number == 76)
    await owner.execute("INSERT INTO users (clerk_id) VALUES ('chat'), ('client')")
    await owner.execute(
        "INSERT INTO consents (user_id, purpose, version)"
        " SELECT id, 'outside_model', CASE clerk_id WHEN 'chat' THEN '2026-11-25' ELSE '1' END FROM users"
    )
    await owner.execute(step.sql)
    standing = await owner.fetch("SELECT version FROM consents WHERE withdrawn_at IS NULL")
    assert [row["version"] for row in standing] == ["1"]
