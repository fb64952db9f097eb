"""The procedures about direct messages: message.*."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from anamnesis.care.policy import access_connection
from anamnesis.kernel.identity import Person
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.procedures import Context, Procedures, Rest
from anamnesis.messaging.model import Draft
from anamnesis.messaging.store import PostgresMessageStore
from anamnesis.schema import Input, Maybe, Output, Uuid, number, text

MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Messaging:
    """What these handlers work on."""

    store: PostgresMessageStore


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


def _person(call: Call) -> Person:
    assert isinstance(call.actor, Person)
    return call.actor


@procedures.mutation(
    "message.send", input=NewMessage, output=Sent, rest=Rest("POST", "/connections/{connectionId}/messages", 201)
)
async def send(call: Call, body: NewMessage) -> Sent:
    """Send a message to the other person of a connection, exactly once."""
    person, store = _person(call), call.services.store
    access = access_connection(person, await store.link(body.connection_id), writing=True)
    key = body.client_message_id
    draft = Draft(access, person, body.content, None if isinstance(key, Undefined) else key)
    return Sent(message=DirectMessage(**await store.send(draft)), recipient_id=draft.recipient_id)


@procedures.query(
    "message.getConversation", input=Page, output=Conversation, rest=Rest("GET", "/connections/{connectionId}/messages")
)
async def conversation(call: Call, body: Page) -> Conversation:
    """Messages of a connection, newest page first."""
    store = call.services.store
    access_connection(_person(call), await store.link(body.connection_id), writing=False)
    cursor = None if isinstance(body.cursor, Undefined) else body.cursor
    rows, following = await store.page(body.connection_id, limit=min(int(body.limit), MOST_AT_ONCE), cursor=cursor)
    messages = [
        SentMessage(
            **{name: row[name] for name in DirectMessage.model_fields},
            sender=Sender(id=row["sender_id"], **{name: row[name] for name in Sender.model_fields if name != "id"}),
        )
        for row in rows
    ]
    return Conversation(messages=messages, next_cursor=following or UNDEFINED)


@procedures.mutation(
    "message.markAsRead", input=ConnectionRef, output=Marked, rest=Rest("POST", "/connections/{connectionId}/read")
)
async def mark_as_read(call: Call, body: ConnectionRef) -> Marked:
    """Mark what the other person wrote as read."""
    store = call.services.store
    access_connection(_person(call), await store.link(body.connection_id), writing=False)
    return Marked(marked_count=await store.mark_read(body.connection_id, _person(call)))


@procedures.query("message.getUnreadCount", output=Count, rest=Rest("GET", "/me/unread-messages"))
async def unread_count(call: Call) -> Count:
    """How many messages wait to be read."""
    return Count(count=await call.services.store.unread(_person(call)))
