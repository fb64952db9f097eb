"""notification.* and user.*'s older names: order, pages, ownership, live news."""

import asyncio

import pytest

from anamnesis.kernel.errors import BadInput, NotFound, NotPermitted
from build import a_session, an_app, caller, closing


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        app.bus.start()
        await app.bus.connected(5)
        yield app
        await app.bus.close()


@pytest.fixture
async def connection_id(app):
    return (await a_session(app))[0]


async def said(app, connection_id, *texts):
    for text in texts:
        await caller(app, "patient").call("message.send", connectionId=connection_id, content=text)


async def listed(app, who="doctor", **given):
    return await caller(app, who).call("notification.getMyNotifications", **given)


async def test_a_notification_tells_that_something_was_written_and_never_what(app, connection_id):
    await said(app, connection_id, "my chest hurts")
    newest, first = (await listed(app))["notifications"][:2]
    assert newest["type"] == "message"
    assert newest["data"]["connectionId"] == connection_id
    assert "chest" not in str(newest)
    assert (first["type"], newest["isRead"], newest["readAt"]) == ("connection", False, None)


@pytest.mark.regression("D10")
async def test_pages_lose_and_double_nothing_while_new_ones_come(app, connection_id):
    await said(app, connection_id, *"abcdefg")
    page, ids = await listed(app, limit=3), []
    while True:
        ids += [each["id"] for each in page["notifications"]]
        await said(app, connection_id, "more")
        if not page["nextCursor"]:
            break
        page = await listed(app, limit=3, cursor=page["nextCursor"])
    assert len(ids) == len(set(ids)) == 9  # seven, the connection's and the verification's
    older = await caller(app, "doctor").call("user.getNotifications", limit=100)
    assert [each["id"] for each in older["notifications"]][-9:] == ids


async def test_reading_counts_and_the_first_reading_stands(app, connection_id):
    await said(app, connection_id, "a", "b")
    doctor = caller(app, "doctor")
    before = (await doctor.call("notification.getUnreadCount"))["count"]
    first = (await listed(app))["notifications"][0]
    read = await doctor.call("notification.markAsRead", notificationId=str(first["id"]))
    again = await doctor.call("user.markNotificationAsRead", notificationId=str(first["id"]))
    assert read["isRead"]
    assert again["readAt"] == read["readAt"]
    assert (await doctor.call("user.getUnreadCount"))["count"] == before - 1
    assert first["id"] not in [each["id"] for each in (await listed(app, unreadOnly=True))["notifications"]]
    assert (await doctor.call("notification.markAllAsRead"))["markedCount"] == before - 1
    assert await doctor.call("user.markAllNotificationsAsRead") == {"success": True}
    assert (await listed(app, unreadOnly=True))["notifications"] == []


async def test_deleting_takes_only_what_is_ones_own_or_was_read(app, connection_id):
    await said(app, connection_id, "a", "b")
    doctor = caller(app, "doctor")
    first, second, *rest = (await listed(app))["notifications"]
    assert await doctor.call("notification.delete", notificationId=str(first["id"])) == {"success": True}
    with pytest.raises(NotFound):
        await doctor.call("notification.delete", notificationId=str(first["id"]))
    await doctor.call("notification.markAsRead", notificationId=str(second["id"]))
    assert (await doctor.call("notification.deleteAllRead"))["deletedCount"] == 1
    assert [each["id"] for each in (await listed(app))["notifications"]] == [each["id"] for each in rest]


@pytest.mark.regression("P5")
async def test_nobody_reaches_anothers_notification_by_its_id(app, connection_id):
    await said(app, connection_id, "a")
    (theirs, *_) = (await listed(app))["notifications"]
    stranger = caller(app, "stranger")
    for name in ("notification.markAsRead", "notification.delete", "user.markNotificationAsRead"):
        with pytest.raises(NotFound):
            await stranger.call(name, notificationId=str(theirs["id"]))
    assert (await listed(app, "stranger"))["notifications"] == []
    assert theirs in (await listed(app))["notifications"]


@pytest.mark.parametrize("cursor", ["nonsense", "bTM", "🙂"])
async def test_a_foreign_cursor_is_refused(app, cursor):
    with pytest.raises(BadInput):
        await listed(app, "patient", cursor=cursor)


async def test_new_ones_arrive_live_in_order_and_a_stream_goes_on_where_it_was(app, connection_id):
    stream = await caller(app, "doctor").call("notification.onNew")
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.1)
    await said(app, connection_id, "a", "b", "c")
    got = [await asyncio.wait_for(coming, 5), await anext(stream), await anext(stream)]
    await stream.aclose()
    assert [int(each.id) for each in got] == sorted(int(each.id) for each in got)
    assert [each.value.type for each in got] == ["message"] * 3
    resumed = await caller(app, "doctor").call("notification.onNew", lastEventId=got[0].id)
    assert [(await anext(resumed)).id, (await anext(resumed)).id] == [each.id for each in got[1:]]
    await resumed.aclose()


@pytest.mark.usefixtures("looks_often")
async def test_a_stream_ends_when_its_account_does(app, connection_id, owner):
    stream = await caller(app, "doctor").call("notification.onNew")
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.1)
    await owner.execute("UPDATE users SET is_active = false WHERE clerk_id = 'doctor'")
    with pytest.raises(NotPermitted):
        await asyncio.wait_for(coming, 5)


async def test_of_many_at_once_the_later_number_is_the_later_commit(app, connection_id):
    """A reader who has seen number n never finds a smaller one afterwards."""
    seen, missed = [], []

    async def watch():
        while len(seen) < 40:
            rows = (await listed(app, limit=100))["notifications"]
            known = {each["id"] for each in seen}
            fresh = [each for each in reversed(rows) if each["id"] not in known]
            newest = rows[len(fresh) :]
            missed.extend(each for each in seen[-len(newest) :] if each["id"] not in {each["id"] for each in rows})
            seen.extend(fresh)
            order = [each["createdAt"] for each in seen]
            assert order == sorted(order)

    await asyncio.wait_for(asyncio.gather(watch(), *(said(app, connection_id, *"abcdefghij") for _ in range(4))), 20)
    assert missed == []
