"""What the use cases of this slice need of the world."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from anamnesis.care.model import CareLink
from anamnesis.kernel.identity import Person
from anamnesis.messaging.model import Draft

Row = Mapping[str, Any]


class MessageStore(Protocol):
    """Direct messages. Every method is one transaction; all may raise Unavailable."""

    async def link(self, connection_id: UUID) -> CareLink | None:
        """The connection with what access depends on, or None when there is none."""
        ...

    async def send(self, draft: Draft) -> Row:
        """Keep a message with its notification and its event, or answer the one kept under the same client id.

        Within a connection messages are numbered 1, 2, 3 … without a gap, in the order in which they were kept.
        Raises Conflict for a client id used for other words, NotPermitted when the connection has ended meanwhile;
        then nothing was stored.
        """
        ...

    async def page(self, connection_id: UUID, *, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
        """The newest messages before the cursor, oldest first, and the cursor of the page before them, if any.

        Raises BadInput for a cursor that is not one of ours.
        """
        ...

    async def after(self, connection_id: UUID, seq: int) -> list[Row]:
        """The next messages after this place, oldest first; at most a hundred."""
        ...

    async def state(self, connection_id: UUID, reader: Person) -> Row:
        """The last message's place, when the other side got and read last, whether the reader's account is active."""
        ...

    async def conversations(self, reader: Person) -> list[Row]:
        """The reader's active connections with their latest message, the latest first, those without one last."""
        ...

    async def mark_read(self, connection_id: UUID, reader: Person) -> int:
        """Mark what the other side wrote, and the reader's notifications of it; answers how many messages."""
        ...

    async def delivered(self, connection_id: UUID, reader: Person, seq: int) -> int:
        """Mark what the other side wrote up to this place as delivered; answers how many messages that were."""
        ...

    async def remind(self, *, after: timedelta, period: timedelta, forgotten: timedelta) -> int:
        """Remind everybody for whom a message has waited longer than after, once a period for each conversation.

        What has waited longer than forgotten is left alone. Answers how many reminders there were.
        """
        ...

    async def unread(self, reader: Person) -> int:
        """How many messages wait to be read in active connections the reader may read."""
        ...
