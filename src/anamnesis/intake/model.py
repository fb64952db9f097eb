"""An intake session: one interview of one patient for one doctor, and the legal ways it moves."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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
    """A session as it was locked or read; version rises with every change."""

    id: UUID
    connection_id: UUID
    status: Status
    record: ClinicalRecord
    epoch: int
    version: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the transcript."""

    id: UUID
    seq: int
    role: str
    text: str
    at: datetime
    agent: str | None = None
    choices: tuple[tuple[str, str], ...] = ()
    is_emergency: bool = False
    reply_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A patient's words on their way in, already cleaned."""

    sender_id: UUID
    text: str
    client_message_id: UUID | None


@dataclass(frozen=True, slots=True)
class NewReply:
    """A reply on its way out."""

    text: str
    agent: str
    state: str
    choices: tuple[tuple[str, str], ...] = ()
    is_emergency: bool = False
