"""What the use cases of this slice need of the world."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from anamnesis.kernel.identity import Person


class RightsStore(Protocol):
    """Wishes, the end of keeping, and names of bytes that have to go. All may raise Unavailable."""

    async def ask(self, actor: Person, patient_id: UUID) -> datetime: ...  # noqa: D102
    async def purge(self, days: int, most: int) -> int: ...  # noqa: D102
    async def erased_files(self, most: int) -> list[UUID]: ...  # noqa: D102
    async def forget_file(self, file_id: UUID) -> None: ...  # noqa: D102
