"""What the turn needs of storage."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from anamnesis.clinical.record import ClinicalRecord
from anamnesis.intake.model import Exchange, Kept, Message, NewMessage, NewReply, NewState, Session, Turn
from anamnesis.kernel.identity import Person
from anamnesis.kernel.jobs import Job, NewJob


class NotOurs(Exception):
    """Somebody else has the job by now, so what was written with it must not stand: the transaction is undone."""


class Photos(Protocol):
    """Photos as a model may be shown them."""

    async def of(self, references: Sequence[str], session_id: UUID, within_s: float) -> tuple[bytes, ...]:
        """Small copies of the first few photos of a session that a message refers to: those there are in time."""
        ...


class IntakeTransaction(Protocol):
    """One transaction on one session; the implementation's docstrings say what each does."""

    async def lock(self, session_id: UUID) -> Session: ...  # noqa: D102
    async def seen(self, session_id: UUID, message: NewMessage) -> Message | None: ...  # noqa: D102
    async def keep(  # noqa: D102
        self, session: Session, message_id: UUID, message: NewMessage, record: ClinicalRecord, *topics: str
    ) -> Kept | None: ...
    async def answer(  # noqa: D102
        self, session: Session, to: UUID | None, reply: NewReply, new: NewState
    ) -> Message | None: ...
    async def replace_reply(  # noqa: D102
        self, session: Session, old: Message, reply: NewReply, *topics: str
    ) -> Message | None: ...
    async def enqueue(self, *jobs: NewJob) -> None: ...  # noqa: D102
    async def enqueue_claimed(self, job: NewJob) -> Job | None: ...  # noqa: D102
    async def settle(self, job: Job, *, has_more: bool = False) -> None: ...  # noqa: D102
    async def create(self, connection_id: UUID, record: ClinicalRecord) -> Session: ...  # noqa: D102
    async def turn(self, session_id: UUID) -> Turn | None: ...  # noqa: D102
    async def archive(self, session_id: UUID) -> None: ...  # noqa: D102
    async def begin_again(  # noqa: D102
        self, session: Session, record: ClinicalRecord, doctor_user_id: UUID
    ) -> Session: ...
    async def audit(  # noqa: D102
        self, actor: Person, action: str, session_id: UUID, metadata: Mapping[str, object]
    ) -> None: ...
    async def open_session(self, connection_id: UUID) -> UUID | None: ...  # noqa: D102


class IntakeStore(Protocol):
    """Reads outside a transaction, and transactions to write in."""

    def begin(self) -> AbstractAsyncContextManager[IntakeTransaction]: ...  # noqa: D102
    async def peek(self, session_id: UUID) -> Session: ...  # noqa: D102
    async def turn(self, session_id: UUID) -> Turn | None: ...  # noqa: D102
    async def reply_of(self, message_id: UUID) -> Message | None: ...  # noqa: D102
    async def show(self, session_id: UUID, message_id: UUID, text: str) -> None: ...  # noqa: D102
    async def last_exchange(self, session_id: UUID, named: UUID | None) -> Exchange | None: ...  # noqa: D102
    async def may_leave(self, session_id: UUID) -> bool: ...  # noqa: D102
    async def known_of(self, session_id: UUID) -> tuple[str, ...]: ...  # noqa: D102
    async def last_lines(self, session_id: UUID, most: int) -> tuple[Message, ...]: ...  # noqa: D102
    async def claim_turn(self, session_id: UUID) -> Job | None: ...  # noqa: D102
    def held(self, job: Job) -> AbstractAsyncContextManager[None]: ...  # noqa: D102
    async def give_back(self, job: Job, error_type: str) -> None: ...  # noqa: D102
