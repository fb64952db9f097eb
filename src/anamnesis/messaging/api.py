"""The procedures about direct messages: message.*."""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from anamnesis.kernel.identity import Person
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.listening import Listener, News, place_of
from anamnesis.kernel.procedures import Context, Procedures, Rest, Tracked
from anamnesis.messaging import actions
from anamnesis.messaging.actions import MOST_AT_ONCE
from anamnesis.messaging.model import Heard
from anamnesis.messaging.ports import MessageStore, Row
from anamnesis.schema import Input, Maybe, Output, Uuid, number, text


@dataclass(frozen=True, slots=True)
class Messaging:
    """What these handlers work on."""

    store: MessageStore
    listener: Listener
    hear: Callable[[str], Heard]


Call = Context[Messaging]
procedures = Procedures()


class DirectMessage(Output):
    """A message from one of the two people to the other.

    It is sent when it is here, delivered when the other side's client has it (deliveredAt), read when it was marked so.
    """

    id: UUID
    connection_id: UUID
    sender_id: UUID
    content: str
    is_read: bool
    read_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None = None


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
    """What was kept, and for whom; emergencyAdvice, when the words sound like one, is to be shown at once."""

    message: DirectMessage
    recipient_id: UUID
    emergency_advice: str | Undefined


class Conversation(Output):
    """One page of messages, oldest first, and where the page before it begins.

    lastEventId, on the newest page, is where a stream goes on from.
    """

    messages: list[SentMessage]
    next_cursor: str | Undefined
    last_event_id: str | Undefined


class OtherParty(Output):
    """Who is on the other side."""

    user_id: UUID
    first_name: str | None
    last_name: str | None
    image_url: str | None
    role: str


class LatestMessage(Output):
    """The last thing that was written."""

    content: str
    created_at: datetime
    is_read: bool
    is_from_me: bool


class ConversationSummary(Output):
    """One conversation in the list."""

    connection_id: UUID
    other_party: OtherParty
    latest_message: LatestMessage | None
    unread_count: int


class Conversations(Output):
    """The caller's conversations, the latest first."""

    conversations: list[ConversationSummary]


class ConversationEvent(Output):
    """Something new: a message, or that the other side has got or read what the caller wrote, up to when."""

    kind: Literal["message", "delivered", "read"]
    message: SentMessage | None
    read_at: datetime | None
    delivered_at: datetime | None = None


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


class Listen(Input):
    """Which conversation to listen to, and from where; without a place, to what comes from now on."""

    connection_id: Uuid
    last_event_id: Maybe[Annotated[str, text(1, 40)]] = UNDEFINED


class ConnectionRef(Input):
    """One connection."""

    connection_id: Uuid


async def _is_urgent(messaging: Messaging, _: Person, body: NewMessage) -> bool:
    return messaging.hear(body.content).is_danger


@procedures.mutation(
    "message.send",
    input=NewMessage,
    output=Sent,
    rest=Rest("POST", "/connections/{connectionId}/messages", 201),
    is_urgent=_is_urgent,
)
async def send(call: Call, body: NewMessage) -> Sent:
    """Send a message to the other person of a connection, exactly once."""
    key = body.client_message_id or None
    store, hear = call.services.store, call.services.hear
    row, recipient_id, advice = await actions.send(
        call.person, body.connection_id, body.content, key, store=store, hear=hear
    )
    return Sent(message=_message(row), recipient_id=recipient_id, emergency_advice=advice or UNDEFINED)


@procedures.query(
    "message.getConversation", input=Page, output=Conversation, rest=Rest("GET", "/connections/{connectionId}/messages")
)
async def conversation(call: Call, body: Page) -> Conversation:
    """Messages of a connection, newest page first."""
    limit, cursor, store = int(body.limit), body.cursor or None, call.services.store
    rows, following = await actions.read(call.person, body.connection_id, limit=limit, cursor=cursor, store=store)
    place = str(rows[-1]["seq"] if rows else 0) if cursor is None else UNDEFINED
    messages = [_with_sender(row) for row in rows]
    return Conversation(messages=messages, next_cursor=following or UNDEFINED, last_event_id=place)


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


@procedures.query("message.getConversations", output=Conversations, rest=Rest("GET", "/me/conversations"))
async def conversations(call: Call) -> Conversations:
    """The caller's active conversations with their latest message and how many wait to be read."""
    rows = await call.services.store.conversations(call.person)
    return Conversations(conversations=[_summary(row) for row in rows])


@procedures.subscription(
    "message.onConversation",
    input=Listen,
    output=ConversationEvent,
    rest=Rest("GET", "/connections/{connectionId}/events"),
)
async def on_conversation(call: Call, body: Listen) -> AsyncIterator[Tracked]:
    """Each new message of a conversation and each reading of the caller's, for as long as the caller may see it.

    Who goes on from a place is told besides how far the caller's own messages have come, whatever was missed.
    """
    store, connection_id = call.services.store, body.connection_id
    async with call.services.listener.subscribe(f"conversation:{connection_id}") as news:
        place = place_of(body.last_event_id or None)
        after, state = await actions.resume(call.person, connection_id, place, store=store)
        # Who comes back may have missed that the other side got or read the messages: it is told how that stands now.
        seen_at, got_at = (state["read_at"], state["delivered_at"]) if place is None else (None, None)
        with closing(News(news)) as waiting:
            while True:
                rows, state = await actions.news(call.person, connection_id, after, store=store)
                for row in rows:
                    after = row["seq"]
                    yield Tracked(
                        str(after), ConversationEvent(kind="message", message=_with_sender(row), read_at=None)
                    )
                await actions.deliver(call.person, connection_id, rows, store=store)
                got_before, got_at = got_at, state["delivered_at"]
                if state["read_at"] == seen_at and got_at != got_before:
                    yield Tracked(
                        str(after),
                        ConversationEvent(kind="delivered", message=None, read_at=None, delivered_at=got_at),
                    )
                if state["read_at"] != seen_at:
                    seen_at = state["read_at"]
                    yield Tracked(
                        str(after), ConversationEvent(kind="read", message=None, read_at=seen_at, delivered_at=got_at)
                    )
                if not (rows and after < state["last"]) and await waiting.wait() is None:
                    return


def _summary(row: Row) -> ConversationSummary:
    latest = None
    if row["created_at"] is not None:
        latest = LatestMessage(**{name: row[name] for name in LatestMessage.model_fields})
    other = OtherParty(**{name: row[name] for name in OtherParty.model_fields})
    return ConversationSummary(
        connection_id=row["connection_id"], other_party=other, latest_message=latest, unread_count=row["unread"]
    )


def _message(row: Row) -> DirectMessage:
    """What was read before delivery was noted has been delivered, at the latest then."""
    fields = {name: row[name] for name in DirectMessage.model_fields}
    return DirectMessage(**{**fields, "delivered_at": row["delivered_at"] or row["read_at"]})


def _with_sender(row: Row) -> SentMessage:
    message = _message(row).model_dump()
    names = {name: row[name] for name in Sender.model_fields if name != "id"}
    return SentMessage(**message, sender=Sender(id=row["sender_id"], **names))
