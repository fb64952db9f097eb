"""The procedures about notifications: notification.*, and user.*'s older names for the same."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from anamnesis.care.actions import check_again
from anamnesis.care.store import PostgresCareStore
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.listening import Listener, News, place_of
from anamnesis.kernel.procedures import Context, Procedures, Rest, Tracked
from anamnesis.notifications.store import PostgresNotificationStore, Row
from anamnesis.schema import Boolean, Input, Maybe, Output, Uuid, number, text

#: More may be asked for and is not given.
MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Notifications:
    """What these handlers work on."""

    store: PostgresNotificationStore
    care: PostgresCareStore
    listener: Listener


Call = Context[Notifications]
procedures = Procedures()


class Notification(Output):
    """Something that happened; data holds ids and codes only."""

    id: UUID
    user_id: UUID
    type: str
    title: str
    message: str
    data: dict[str, Any] | None
    is_read: bool
    read_at: datetime | None
    created_at: datetime


class NotificationPage(Output):
    """One page, newest first, and where the next begins."""

    notifications: list[Notification]
    next_cursor: str | Undefined


class Count(Output):
    """How many."""

    count: int


class Marked(Output):
    """How many were marked."""

    marked_count: int


class Deleted(Output):
    """How many were deleted."""

    deleted_count: int


class Success(Output):
    """It was done."""

    success: bool = True


class Page(Input):
    """Which notifications to show."""

    limit: Annotated[int, number(at_least=1, at_most=100)] = 20
    cursor: Maybe[Annotated[str, text(1, 100)]] = UNDEFINED
    unread_only: Boolean = False


class NotificationRef(Input):
    """One notification."""

    notification_id: Uuid


class Listen(Input):
    """From where to listen; without a place, to what comes from now on."""

    last_event_id: Maybe[Annotated[str, text(1, 40)]] = UNDEFINED


async def _page(call: Call, body: Page | None, most: int) -> NotificationPage:
    wanted = body or Page()
    rows, following = await call.services.store.page(
        call.person.user_id, limit=min(int(wanted.limit), most), cursor=wanted.cursor or None,
        unread_only=wanted.unread_only,
    )  # fmt: skip
    return NotificationPage(notifications=[_shown(row) for row in rows], next_cursor=following or UNDEFINED)


def _shown(row: Row) -> Notification:
    return Notification(**{name: row[name] for name in Notification.model_fields})


async def _mark(call: Call, notification_id: UUID) -> Notification:
    row = await call.services.store.mark(call.person.user_id, notification_id)
    if row is None:
        raise NotFound("There is no such notification.")
    return _shown(row)


@procedures.query(
    "notification.getMyNotifications",
    input=Page,
    input_optional=True,
    output=NotificationPage,
    rest=Rest("GET", "/me/notifications"),
)
async def my_notifications(call: Call, body: Page | None) -> NotificationPage:
    """The caller's notifications, newest first."""
    return await _page(call, body, MOST_AT_ONCE)


@procedures.query("notification.getUnreadCount", output=Count, rest=Rest("GET", "/me/notifications/unread"))
async def unread_count(call: Call) -> Count:
    """How many of the caller's notifications have not been read."""
    return Count(count=await call.services.store.unread(call.person.user_id))


@procedures.mutation(
    "notification.markAsRead",
    input=NotificationRef,
    output=Notification,
    rest=Rest("POST", "/me/notifications/{notificationId}/read"),
)
async def mark_as_read(call: Call, body: NotificationRef) -> Notification:
    """Mark one of the caller's notifications as read; one that was read stays as it is."""
    return await _mark(call, body.notification_id)


@procedures.mutation("notification.markAllAsRead", output=Marked, rest=Rest("POST", "/me/notifications/read"))
async def mark_all_as_read(call: Call) -> Marked:
    """Mark all of the caller's notifications as read."""
    return Marked(marked_count=await call.services.store.mark_all(call.person.user_id))


@procedures.mutation(
    "notification.delete",
    input=NotificationRef,
    output=Success,
    rest=Rest("DELETE", "/me/notifications/{notificationId}"),
)
async def delete(call: Call, body: NotificationRef) -> Success:
    """Delete one of the caller's notifications; what it told of stays."""
    if not await call.services.store.delete(call.person.user_id, body.notification_id):
        raise NotFound("There is no such notification.")
    return Success()


@procedures.mutation("notification.deleteAllRead", output=Deleted, rest=Rest("DELETE", "/me/notifications"))
async def delete_all_read(call: Call) -> Deleted:
    """Delete those of the caller's notifications that were read."""
    return Deleted(deleted_count=await call.services.store.delete_read(call.person.user_id))


@procedures.subscription(
    "notification.onNew",
    input=Listen,
    input_optional=True,
    output=Notification,
    rest=Rest("GET", "/me/notifications/events"),
)
async def on_new(call: Call, body: Listen | None) -> AsyncIterator[Tracked]:
    """Each new notification of the caller's, for as long as the account may be used."""
    store, user_id = call.services.store, call.person.user_id
    async with call.services.listener.subscribe(f"notifications:{user_id}") as news:
        place = place_of((body.last_event_id if body else None) or None)
        after = await store.last(user_id) if place is None else place
        with closing(News(news)) as waiting:
            while True:
                for row in await store.after(user_id, after):
                    after = row["seq"]
                    yield Tracked(str(after), _shown(row))
                if await waiting.wait() is None:
                    return
                await check_again(call.person, store=call.services.care)


# -- the older names ---------------------------------------------------------------------------------------------


@procedures.query("user.getNotifications", input=Page, input_optional=True, output=NotificationPage)
async def users_notifications(call: Call, body: Page | None) -> NotificationPage:
    """As notification.getMyNotifications; a page may be twice as long."""
    return await _page(call, body, 2 * MOST_AT_ONCE)


@procedures.query("user.getUnreadCount", output=Count)
async def users_unread_count(call: Call) -> Count:
    """As notification.getUnreadCount."""
    return Count(count=await call.services.store.unread(call.person.user_id))


@procedures.mutation("user.markNotificationAsRead", input=NotificationRef, output=Notification)
async def users_mark_as_read(call: Call, body: NotificationRef) -> Notification:
    """As notification.markAsRead: only the caller's own."""
    return await _mark(call, body.notification_id)


@procedures.mutation("user.markAllNotificationsAsRead", output=Success)
async def users_mark_all(call: Call) -> Success:
    """As notification.markAllAsRead."""
    await call.services.store.mark_all(call.person.user_id)
    return Success()
