"""The procedures about direct messages: message.*."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.procedures import Context, Procedures, Rest
from anamnesis.messaging import actions
from anamnesis.messaging.actions import MOST_AT_ONCE
from anamnesis.messaging.ports import MessageStore, Row
from anamnesis.schema import Input, Maybe, Output, Uuid, number, text


@dataclass(frozen=True, slots=True)
class Messaging:
    """What these handlers work on."""

    store: MessageStore


Call = Context[Messaging]
procedures = Procedures()


class DirectMessage(Output):
    """A message from one of the two people to the other."""

    id: UUID
    connection_id: UUID
    sender_id: UUID
    content: str
    is_read: bool
    read_at: datetime | None
    created_at: datetime


class Sender(Output):
    """Who wrote it."""

    id: UUID
    first_name: str | None
    last_name: str | None
    image_url: str | None
    primary_role: str


class SentMessage(DirectMessage):
    """A message with its sender."""

    sender: Sender


class Sent(Output):
    """What was kept, and for whom."""

    message: DirectMessage
    recipient_id: UUID


class Conversation(Output):
    """One page of messages, oldest first, and where the page before it begins."""

    messages: list[SentMessage]
    next_cursor: str | Undefined


class Marked(Output):
    """How many messages were marked."""

    marked_count: int


class Count(Output):
    """How many."""

    count: int


class NewMessage(Input):
    """What to send. The same client message id means the same message."""

    connection_id: Uuid
    content: Annotated[str, text(1, 5000)]
    client_message_id: Maybe[Uuid] = UNDEFINED


class Page(Input):
    """Which messages to show."""

    connection_id: Uuid
    limit: Annotated[int, number(at_least=1, at_most=100)] = MOST_AT_ONCE
    cursor: Maybe[Annotated[str, text(1, 100)]] = UNDEFINED


class ConnectionRef(Input):
    """One connection."""

    connection_id: Uuid


@procedures.mutation(
    "message.send", input=NewMessage, output=Sent, rest=Rest("POST", "/connections/{connectionId}/messages", 201)
)
async def send(call: Call, body: NewMessage) -> Sent:
    """Send a message to the other person of a connection, exactly once."""
    key = body.client_message_id or None
    store = call.services.store
    row, recipient_id = await actions.send(call.person, body.connection_id, body.content, key, store=store)
    return Sent(message=DirectMessage(**row), recipient_id=recipient_id)


@procedures.query(
    "message.getConversation", input=Page, output=Conversation, rest=Rest("GET", "/connections/{connectionId}/messages")
)
async def conversation(call: Call, body: Page) -> Conversation:
    """Messages of a connection, newest page first."""
    limit, cursor, store = int(body.limit), body.cursor or None, call.services.store
    rows, following = await actions.read(call.person, body.connection_id, limit=limit, cursor=cursor, store=store)
    return Conversation(messages=[_with_sender(row) for row in rows], next_cursor=following or UNDEFINED)


@procedures.mutation(
    "message.markAsRead", input=ConnectionRef, output=Marked, rest=Rest("POST", "/connections/{connectionId}/read")
)
async def mark_as_read(call: Call, body: ConnectionRef) -> Marked:
    """Mark what the other person wrote as read."""
    count = await actions.mark_as_read(call.person, body.connection_id, store=call.services.store)
    return Marked(marked_count=count)


@procedures.query("message.getUnreadCount", output=Count, rest=Rest("GET", "/me/unread-messages"))
async def unread_count(call: Call) -> Count:
    """How many messages wait to be read."""
    return Count(count=await call.services.store.unread(call.person))


def _with_sender(row: Row) -> SentMessage:
    message = {name: row[name] for name in DirectMessage.model_fields}
    names = {name: row[name] for name in Sender.model_fields if name != "id"}
    return SentMessage(**message, sender=Sender(id=row["sender_id"], **names))
