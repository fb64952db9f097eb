import asyncio

import pytest

from anamnesis.db.bus import Bus, notify


@pytest.fixture
async def bus(clinic):
    bus = Bus(clinic.owner_dsn)
    bus.start()
    assert await bus.connected(5)
    yield bus
    await bus.close()


async def next_of(wakes):
    return await asyncio.wait_for(anext(wakes), 5)


async def told(database, topic, payload=""):
    async with database.transaction() as connection:
        await notify(connection, topic, payload)


async def test_a_listener_hears_its_topic_and_no_other(database, bus):
    async with bus.subscribe("session:a") as mine, bus.subscribe("session:b") as other:
        await told(database, "session:a", "7")
        await told(database, "session:b", "8")
        assert await next_of(mine) == "7"
        assert await next_of(other) == "8"


async def test_every_listener_of_a_topic_hears_it(database, bus):
    async with bus.subscribe("inbox") as first, bus.subscribe("inbox") as second:
        await told(database, "inbox", "1")
        assert [await next_of(first), await next_of(second)] == ["1", "1"]


async def test_what_was_rolled_back_wakes_nobody(database, bus):
    async def told_and_failed():
        async with database.transaction() as connection:
            await notify(connection, "inbox", "never")
            raise ZeroDivisionError

    async with bus.subscribe("inbox") as wakes:
        with pytest.raises(ZeroDivisionError):
            await told_and_failed()
        await told(database, "inbox", "then")
        assert await next_of(wakes) == "then"


async def test_a_slow_listener_loses_the_oldest_wake_ups_only(database, bus):
    async with bus.subscribe("inbox") as wakes:
        async with database.transaction() as connection:
            for number in range(100):
                await notify(connection, "inbox", str(number))
        async with bus.subscribe("last") as last:
            await told(database, "last", "heard")
            assert await next_of(last) == "heard"
        heard = [await next_of(wakes) for _ in range(32)]
    assert heard == [str(number) for number in range(68, 100)]


async def test_a_lost_connection_is_made_again_and_everybody_is_woken_once_for_what_was_missed(database, owner, bus):
    async with bus.subscribe("inbox") as wakes:
        cut = await owner.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'anamnesis bus' AND datname = current_database()"
        )
        assert cut == 1
        assert await next_of(wakes) == ""
        assert await bus.connected(5)
        await told(database, "inbox", "again")
        heard = await next_of(wakes)
        while heard == "":
            heard = await next_of(wakes)
        assert heard == "again"


async def test_without_a_listening_connection_everybody_is_woken_every_so_often(owner):
    bus = Bus("postgresql://nobody@127.0.0.1:1/nothing", listens=False, poll_s=0.05)
    bus.start()
    async with bus.subscribe("inbox") as wakes:
        assert [await next_of(wakes), await next_of(wakes)] == ["", ""]
    await bus.close()
    assert await owner.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'anamnesis bus'") == 0


async def test_closing_the_bus_ends_every_subscription(bus):
    async with bus.subscribe("inbox") as wakes:
        await bus.close()
        assert [payload async for payload in wakes] == []


async def test_a_subscription_leaves_nothing_behind(bus):
    async with bus.subscribe("inbox"):
        assert bus._topics.keys() == {"inbox"}
    assert bus._topics == {}


async def test_a_bus_whose_server_is_away_keeps_waking_its_listeners():
    bus = Bus("postgresql://nobody@127.0.0.1:1/nothing")
    bus.start()
    async with bus.subscribe("inbox") as wakes:
        assert await next_of(wakes) == ""
        assert not await bus.connected(0.01)
    await bus.close()
