"""What telling other systems needs of the world."""

from typing import Protocol
from uuid import UUID

from anamnesis.webhooks.model import Attempt, Event, EventKind, Target


class HookStore(Protocol):
    """Events and how telling them went. All may raise Unavailable."""

    async def leave(self, event_id: UUID, kind: EventKind, session_id: UUID, request_id: str) -> None:
        """Keep an event of a session and leave its delivery, once; one of a session that is gone is none."""
        ...

    async def find(self, event_id: UUID) -> tuple[Event, frozenset[str]] | None:
        """An event with the names of the targets that have taken it; None when it is gone."""
        ...

    async def note(self, event_id: UUID, target: str, attempt: Attempt) -> None: ...  # noqa: D102
    async def forget_old(self) -> None: ...  # noqa: D102


class Sender(Protocol):
    """Tells one target."""

    async def send(self, event: Event, target: Target) -> Attempt:
        """Never raises but for cancellation: whatever goes wrong is an attempt that failed."""
        ...
