"""What two people do with each other's words: send, read, mark as read."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from anamnesis.care.model import Standing
from anamnesis.care.policy import access_connection
from anamnesis.kernel.errors import NotPermitted
from anamnesis.kernel.identity import Person
from anamnesis.messaging.model import Draft, Heard
from anamnesis.messaging.ports import MessageStore, Row

#: More may be asked for and is not given: a client of the replaced system asks for up to 100 and gets 50.
MOST_AT_ONCE: Final = 50


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
    return await store.page(connection_id, limit=min(limit, MOST_AT_ONCE), cursor=cursor)


async def mark_as_read(reader: Person, connection_id: UUID, *, store: MessageStore) -> int:
    """Mark what the other side wrote; answers how many messages that were. Raises NotFound, NotPermitted."""
    access_connection(reader, await store.link(connection_id), writing=False)
    return await store.mark_read(connection_id, reader)


async def news(reader: Person, connection_id: UUID, after: int, *, store: MessageStore) -> tuple[list[Row], Row]:
    """The messages after this place, and the conversation's state. Raises NotFound, NotPermitted.

    Access is decided anew each time, so a stream ends when it does.
    """
    access_connection(reader, await store.link(connection_id), writing=False)
    state = await store.state(connection_id, reader)
    if not state["is_active"]:
        raise NotPermitted("This account has been deactivated.")
    return (await store.after(connection_id, after) if state["last"] > after else []), state
