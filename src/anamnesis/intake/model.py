"""An intake session: one interview of one patient for one doctor, and the legal ways it moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from anamnesis.clinical.record import ClinicalRecord


class Status(StrEnum):
    """Where a session stands. It only goes forward."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    READY = "ready"
    REVIEWED = "reviewed"

    @property
    def is_closed(self) -> bool:
        """Whether the hand-over stands, so that messages are kept but no longer interviewed."""
        return self in (Status.READY, Status.REVIEWED)


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it was locked or read.

    version rises with every change, and next_seq, the place of the next line, with every line. legacy is what the
    replaced system had stored of the case.
    """

    id: UUID
    connection_id: UUID
    status: Status
    record: ClinicalRecord
    epoch: int
    version: int
    name: str | None
    next_seq: int
    legacy: Mapping[str, Any]

    def with_line(self, record: ClinicalRecord, status: Status) -> "Session":
        """The session after one more line of its transcript."""
        return replace(self, record=record, status=status, version=self.version + 1, next_seq=self.next_seq + 1)


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the transcript; is_stopped marks a reply of which its reader wanted no more."""

    id: UUID
    seq: int
    role: str
    text: str
    at: datetime
    agent: str | None = None
    choices: tuple[tuple[str, str], ...] = ()
    is_emergency: bool = False
    reply_to: UUID | None = None
    images: tuple[str, ...] = ()
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A patient's words on their way in, already cleaned, with the ids of photos that were kept before."""

    sender_id: UUID
    text: str
    client_message_id: UUID | None
    images: tuple[str, ...] = ()

    def is_again(self, stored: Message) -> bool:
        """Whether this is what a stored message says and shows."""
        return (stored.text, stored.images) == (self.text, self.images)


@dataclass(frozen=True, slots=True)
class NewReply:
    """A reply on its way out; reasoning is what a model said beside it, for the doctor alone."""

    text: str
    agent: str
    state: str
    choices: tuple[tuple[str, str], ...] = ()
    is_emergency: bool = False
    is_stopped: bool = False
    reasoning: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NewState:
    """What a session becomes with a reply. What is None changes nothing; topics are woken.

    has_model_failed counts failures of models in a row; a success ends the count.
    """

    record: ClinicalRecord
    status: Status
    name: str | None = None
    handover: Mapping[str, Any] | None = None
    topics: tuple[str, ...] = ()
    has_model_failed: bool | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that was stored, the session it moved, and whether none before it still waits."""

    message: Message
    session: Session
    is_next: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """The message whose turn it is, with the session it is answered on; has_more when others wait behind it.

    so_far is what has been shown of its reply, "" when nothing has.
    """

    session: Session
    waiting: Message
    has_more: bool
    so_far: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A session, its patient's last message and the reply to it, None while the message waits.

    state is how the message was answered; has_moved says that the reply a caller named was replaced before.
    """

    session: Session
    message: Message
    reply: Message | None
    state: str
    has_moved: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, and the session as it is with it; either is None when it is not known."""

    reply: Message | None
    session: Session | None
