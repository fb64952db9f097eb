"""What the turn needs of storage."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

from anamnesis.clinical.record import ClinicalRecord
from anamnesis.intake.model import Message, NewMessage, NewReply, Session, Status
from anamnesis.kernel.jobs import Job, NewJob


class VersionMoved(Exception):
    """Somebody else changed the session between reading and writing it."""


class IntakeTransaction(Protocol):
    """One transaction on one session; the implementation's docstrings say what each does."""

    async def lock(self, session_id: UUID) -> Session: ...  # noqa: D102
    async def seen(self, session_id: UUID, message: NewMessage) -> Message | None: ...  # noqa: D102
    async def append(self, session: Session, message: NewMessage, *, state: str) -> Message: ...  # noqa: D102
    async def reply(self, session: Session, to: UUID | None, reply: NewReply) -> Message: ...  # noqa: D102
    async def oldest_waiting(self, session_id: UUID) -> Message | None: ...  # noqa: D102
    async def enqueue(self, *jobs: NewJob) -> None: ...  # noqa: D102
    async def enqueue_claimed(self, job: NewJob) -> Job | None: ...  # noqa: D102
    async def settle(self, job: Job) -> bool: ...  # noqa: D102
    async def announce(self, *topics: str) -> None: ...  # noqa: D102
    async def create(self, connection_id: UUID, record: ClinicalRecord) -> Session: ...  # noqa: D102
    async def open_session(self, connection_id: UUID) -> UUID | None: ...  # noqa: D102

    async def save(  # noqa: D102
        self,
        session: Session,
        record: ClinicalRecord,
        status: Status,
        *,
        name: str | None = None,
        handover: Mapping[str, Any] | None = None,
        from_patient: bool = False,
        replies: int = 0,
        errors: int = 0,
    ) -> None: ...


class IntakeStore(Protocol):
    """Reads outside a transaction, and transactions to write in."""

    def begin(self) -> AbstractAsyncContextManager[IntakeTransaction]: ...  # noqa: D102
    async def peek(self, session_id: UUID) -> Session: ...  # noqa: D102
    async def waiting(self, session_id: UUID) -> Message | None: ...  # noqa: D102
    async def reply_of(self, message_id: UUID) -> Message | None: ...  # noqa: D102
    async def claim_turn(self, session_id: UUID) -> Job | None: ...  # noqa: D102
    def held(self, job: Job) -> AbstractAsyncContextManager[None]: ...  # noqa: D102
    async def give_back(self, job: Job, error_type: str) -> None: ...  # noqa: D102
