"""The whole grammar of asynchrony: what may be left for a worker to do."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class JobKind(StrEnum):
    """Every kind of deferred work. A slice never calls another; it leaves a job."""

    TAKE_TURN = "take_turn"
    ALERT_CLINICIAN = "alert_clinician"
    ANNOUNCE_HANDOVER = "announce_handover"
    WORD_NOTE = "word_note"
    NOTIFY_MESSAGE = "notify_message"
    DELIVER_WEBHOOK = "deliver_webhook"


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to enqueue in the caller's own transaction.

    subject is the id of the thing the work is about; two jobs of one kind and subject are one job.
    request_id links the work to the request that caused it in the log. delay_s is how long a worker leaves it alone.
    """

    kind: JobKind
    subject: UUID
    request_id: str = ""
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """Claimed work. fence rises with every claim; a settlement with an old fence is refused."""

    id: int
    kind: JobKind
    subject: UUID
    attempt: int
    fence: int
    request_id: str
