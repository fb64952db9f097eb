import asyncio
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from anamnesis.db.embedded import start_embedded
from anamnesis.db.postgres import Database, PoolSettings, Profile
from anamnesis.kernel.errors import Unavailable

SERVERLESS = PoolSettings(profile=Profile.SERVERLESS)


async def sessions(owner, clause="true"):
    return await owner.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        f" AND application_name = 'anamnesis' AND {clause}"
    )


async def seconds_until_unavailable(awaitable):
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await awaitable
    return time.monotonic() - started


async def test_values_cross_as_what_they_are(database):
    told = {"id": "7", "list": [1, None, {"deep": "é"}]}
    moment = datetime(2026, 11, 25, 17, 4, 18, 123456, UTC)
    name = uuid4()
    row = await database.fetchrow(
        "SELECT $1::jsonb AS told, $2::json AS same, $3::timestamptz AS moment, $4::uuid AS name",
        told,
        told,
        moment,
        name,
    )
    assert (row["told"], row["same"], row["moment"], row["name"]) == (told, told, moment, name)
    assert row["moment"].utcoffset().total_seconds() == 0


async def test_the_service_speaks_as_a_role_that_owns_nothing_and_may_make_nothing(database):
    assert await database.fetchval("SELECT current_user::text") == "anamnesis_app"
    owned = "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
    assert await database.fetchval(owned) == 0
    for statement in ("CREATE TABLE mine (id int)", "DROP TABLE jobs", "DELETE FROM chat_messages", "TRUNCATE jobs"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute(statement)


@pytest.mark.parametrize("profile", Profile)
async def test_a_login_that_owns_everything_is_not_used_as_such(clinic, profile):
    database = Database(clinic.owner_dsn, PoolSettings(profile=profile, max_size=1))
    for _ in range(2):
        assert await database.fetchval("SELECT current_user::text") == "anamnesis_app"
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT current_user::text") == "anamnesis_app"
        assert await connection.fetchval("SHOW statement_timeout") == "4500ms"
    await database.close()


async def test_behind_a_pooler_nothing_is_left_in_the_session(clinic):
    database = Database(clinic.owner_dsn, SERVERLESS)
    await database.execute("SELECT 1")
    session = database._pool._holders[0]._con  # as whoever is given the same server connection next would find it
    assert await session.fetchval("SELECT current_user::text") == "anamnesis_owner"
    assert await session.fetchval("SHOW statement_timeout") == "0"
    await database.close()


async def test_serverless_has_one_connection_with_nothing_prepared_and_drops_it_when_idle(clinic, owner):
    database = Database(clinic.app_dsn, PoolSettings(profile=Profile.SERVERLESS, idle_s=0.3))

    async def use(number):
        async with database.transaction() as connection:
            await connection.fetchval("SELECT $1::int", number)
            return await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")

    assert await asyncio.gather(*(use(number) for number in range(20))) == [0] * 20
    assert await sessions(owner) == 1
    await asyncio.sleep(0.6)
    assert await sessions(owner) == 0
    assert await use(21) == 0
    await database.close()


async def test_a_server_prepares_its_statements_once(database):
    async with database.connection() as connection:
        for number in range(5):
            await connection.fetchval("SELECT $1::int + 41", number)
        prepared = await connection.fetchval(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1::int + 41'"
        )
    assert prepared == 1


def test_the_figures_of_the_profiles_are_those_promised():
    assert (SERVERLESS.connect_s, SERVERLESS.idle_s) == (10.0, 20.0)
    assert (SERVERLESS.acquire_s, SERVERLESS.statement_s) == (2.0, 5.0)


async def silent_server(_reader, writer):
    try:
        await asyncio.sleep(60)
    finally:
        writer.close()


@pytest.mark.parametrize("profile", Profile)
async def test_connecting_to_a_server_that_says_nothing_gives_up(profile):
    silent = await asyncio.start_server(silent_server, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    database = Database(
        f"postgresql://a:b@127.0.0.1:{port}/c?sslmode=disable",
        PoolSettings(profile=profile, connect_s=0.3, acquire_s=0.3),
    )
    assert await seconds_until_unavailable(database.fetchval("SELECT 1")) < 1
    await database.close()
    silent.close()


@pytest.mark.long
async def test_serverless_gives_up_connecting_at_ten_seconds_and_idles_twenty(clinic, owner):
    silent = await asyncio.start_server(silent_server, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    hopeless = Database(f"postgresql://a:b@127.0.0.1:{port}/c?sslmode=disable", SERVERLESS)
    idle = Database(clinic.app_dsn, SERVERLESS)
    await idle.execute("SELECT 1")
    assert 9 < await seconds_until_unavailable(hopeless.fetchval("SELECT 1")) < 11
    await asyncio.sleep(8)
    assert await sessions(owner) == 1
    await asyncio.sleep(4)
    assert await sessions(owner) == 0
    await hopeless.close()
    await idle.close()
    silent.close()


@pytest.mark.proves("I36")
async def test_an_exhausted_pool_refuses_in_time(clinic):
    database = Database(clinic.app_dsn, PoolSettings(max_size=1, acquire_s=0.2))
    async with database.transaction():
        assert await seconds_until_unavailable(database.fetchval("SELECT 1")) < 0.5
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


@pytest.mark.proves("I36")
async def test_a_statement_that_takes_too_long_is_given_up_by_the_server(clinic):
    database = Database(clinic.app_dsn, PoolSettings(statement_s=0.3, max_size=1))
    assert await seconds_until_unavailable(database.execute("SELECT pg_sleep(5)")) < 0.3
    assert database.size == 1  # the connection was worth keeping
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


@pytest.mark.proves("I36")
async def test_a_lock_somebody_holds_is_waited_for_briefly(clinic, database, owner):
    impatient = Database(clinic.app_dsn, PoolSettings(lock_s=0.1))
    async with owner.transaction():
        await owner.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        assert await seconds_until_unavailable(impatient.execute("SELECT count(*) FROM jobs")) < 1
    await impatient.close()


async def test_a_session_ended_from_outside_is_unavailable_once_and_never_in_the_drivers_words(database, owner):
    async with database.connection() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")

    async def cut():
        await asyncio.sleep(0.1)
        await owner.execute("SELECT pg_terminate_backend($1)", pid)

    with pytest.raises(Unavailable) as caught:
        await asyncio.gather(database.execute("SELECT pg_sleep(3)"), cut())
    assert "terminating" not in str(caught.value)
    assert str(caught.value) == str(Unavailable())
    assert await database.fetchval("SELECT 1") == 1


async def test_a_server_that_is_full_is_unavailable(database, owner):
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
    assert await seconds_until_unavailable(database.fetchval("SELECT 1")) < 2
    await owner.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    assert await database.fetchval("SELECT 1") == 1


async def test_a_wrong_statement_is_a_bug_and_not_an_outage(database):
    with pytest.raises(asyncpg.DataError):
        await database.fetchval("SELECT $1::int", "seven")
    with pytest.raises(asyncpg.UndefinedTableError):
        await database.fetchval("SELECT 1 FROM no_such_table")


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_lost_race_may_be_tried_again_and_leaves_nothing(database, owner, state):
    async def lose():
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO jobs (kind, subject) VALUES ('take_turn', gen_random_uuid())")
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'race' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(Unavailable):
        await lose()
    assert await owner.fetchval("SELECT count(*) FROM jobs") == 0


class Stepping:
    """Runs a coroutine and cancels it at its k-th suspension."""

    def __init__(self, coroutine, stop_at):
        self.coroutine, self.left = coroutine, stop_at

    def __await__(self):
        inner = self.coroutine.__await__()
        value, error = None, None
        while True:
            try:
                waited = inner.throw(error) if error else inner.send(value)
            except StopIteration as finished:
                return finished.value
            error = None
            self.left -= 1
            if self.left == 0:
                asyncio.current_task().cancel()
            try:
                value = yield waited
            except BaseException as thrown:
                error = thrown


async def test_a_request_cancelled_at_any_await_leaks_no_connection_and_no_open_transaction(clinic, owner):
    database = Database(clinic.app_dsn, PoolSettings(max_size=2))

    async def request():
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(0.001)")
            await connection.fetchval("SELECT count(*) FROM jobs")
        return "whole"

    async def cancelled_at(k):
        async def stepped():
            return await Stepping(request(), k)

        return await asyncio.create_task(stepped())

    outcome, k = None, 0
    while outcome != "whole" and k < 60:
        k += 1
        outcome = None
        with suppress(asyncio.CancelledError):
            outcome = await cancelled_at(k)
        assert database.in_use == 0, k
    assert k > 4
    await asyncio.sleep(0.1)
    assert await sessions(owner, "state LIKE 'idle in transaction%'") == 0
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


@pytest.mark.proves("I36")
async def test_a_frozen_server_is_unavailable_in_time_and_comes_back_by_itself(server, signal_server):
    database = Database(server.app_dsn, PoolSettings(statement_s=0.5, acquire_s=0.5, max_size=2))
    assert await database.fetchval("SELECT 1") == 1

    async def write():
        async with database.transaction() as connection:
            await connection.execute("SELECT count(*) FROM jobs")

    signal_server(server, signal.SIGSTOP)
    waits = await asyncio.gather(*(seconds_until_unavailable(write()) for _ in range(6)))
    assert max(waits) < 1.5
    signal_server(server, signal.SIGCONT)
    back_at = time.monotonic()
    assert await database.fetchval("SELECT 1") == 1
    assert time.monotonic() - back_at < 1
    await database.close()


@pytest.mark.proves("I37")
async def test_after_a_crash_of_the_server_the_same_pool_serves_within_three_seconds(server, signal_server):
    database = Database(server.app_dsn)
    assert await database.fetchval("SELECT 1") == 1
    signal_server(server, signal.SIGKILL)
    server.process.wait()
    assert await seconds_until_unavailable(database.fetchval("SELECT 1")) < 2
    server.stop()
    again = start_embedded(server.directory)
    started = time.monotonic()
    while True:
        with suppress(Unavailable):
            assert await database.fetchval("SELECT 1") == 1
            break
        await asyncio.sleep(0.05)
    assert time.monotonic() - started < 3
    await database.close()
    again.stop()
