"""What two people do with each other's words: send, read, mark as read."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from anamnesis.care.model import Standing
from anamnesis.care.policy import access_connection
from anamnesis.kernel.cursors import LAST
from anamnesis.kernel.errors import NotPermitted
from anamnesis.kernel.identity import Person
from anamnesis.messaging.model import Draft, Heard
from anamnesis.messaging.ports import MessageStore, Row

#: More may be asked for and is not given: a client of the replaced system asks for up to 100 and gets 50.
MOST_AT_ONCE: Final = 50
#: Who has not looked in four hours is reminded, once a day for each conversation, for a week.
REMIND_AFTER: Final = timedelta(hours=4)
REMIND_EVERY: Final = timedelta(days=1)
REMIND_WITHIN: Final = timedelta(days=7)


async def send(
    sender: Person,
    connection_id: UUID,
    content: str,
    client_message_id: UUID | None,
    *,
    store: MessageStore,
    hear: Callable[[str], Heard],
) -> tuple[Row, UUID, str | None]:
    """Send once what may be sent often; answers the message, whose account it is for, and fixed advice for a danger.

    A patient's words are screened before anything else, here as everywhere. Raises NotFound for a stranger,
    NotPermitted when the connection has ended, Conflict for other words under one id.
    """
    access = access_connection(sender, await store.link(connection_id), writing=True)
    heard = hear(content) if access.standing is Standing.PATIENT else Heard()
    draft = Draft(access, sender, content, client_message_id, heard.acuity)
    return await store.send(draft), draft.recipient_id, heard.advice


async def read(
    reader: Person, connection_id: UUID, *, limit: int, cursor: str | None, store: MessageStore
) -> tuple[list[Row], str | None]:
    """One page of a conversation. Raises NotFound, NotPermitted, and BadInput for a foreign cursor."""
    access_connection(reader, await store.link(connection_id), writing=False)
    rows, following = await store.page(connection_id, limit=min(limit, MOST_AT_ONCE), cursor=cursor)
    await deliver(reader, connection_id, rows, store=store)
    return rows, following


async def deliver(reader: Person, connection_id: UUID, rows: Sequence[Row], *, store: MessageStore) -> None:
    """Note that these have reached their reader; costs nothing when that is known already."""
    reached = [
        row["seq"]
        for row in rows
        if row["sender_id"] != reader.user_id and row["delivered_at"] is None and not row["is_read"]
    ]
    if reached:
        await store.delivered(connection_id, reader, max(reached))


async def mark_as_read(reader: Person, connection_id: UUID, *, store: MessageStore) -> int:
    """Mark what the other side wrote; answers how many messages that were. Raises NotFound, NotPermitted."""
    access_connection(reader, await store.link(connection_id), writing=False)
    return await store.mark_read(connection_id, reader)


async def news(reader: Person, connection_id: UUID, after: int, *, store: MessageStore) -> tuple[list[Row], Row]:
    """The messages after this place, and the conversation's state. Raises NotFound, NotPermitted.

    Access is decided anew each time, so a stream ends when it does. Who hands the messages over says so, with deliver.
    """
    access_connection(reader, await store.link(connection_id), writing=False)
    state = await store.state(connection_id, reader)
    if not state["is_active"]:
        raise NotPermitted("This account has been deactivated.")
    rows = await store.after(connection_id, after) if state["last"] > after else []
    return rows, state


async def resume(reader: Person, connection_id: UUID, place: int | None, *, store: MessageStore) -> tuple[int, Row]:
    """From where a stream goes on, and the conversation's state. Raises NotFound, NotPermitted.

    Who names a place has everything up to there, so that has been delivered. A place of another conversation, or of a
    database since restored, is beyond the last message: nothing that comes may wait until the numbers get there.
    """
    _, state = await news(reader, connection_id, LAST, store=store)
    if place is None:
        return state["last"], state
    after = min(place, state["last"])
    if after:
        await store.delivered(connection_id, reader, after)
    return after, state


async def remind(*, store: MessageStore) -> int:
    """Remind whoever has left a message unread for too long, without a word of it; answers how many were reminded."""
    return await store.remind(after=REMIND_AFTER, period=REMIND_EVERY, forgotten=REMIND_WITHIN)
