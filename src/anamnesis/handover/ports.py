"""What the wording of a note needs of storage."""

from typing import Protocol
from uuid import UUID

from anamnesis.handover.model import WordedNote, Written


class NoteStore(Protocol):
    """Hand-overs that wait for their review; the implementation's docstrings say what each does."""

    async def written(self, session_id: UUID) -> Written | None: ...  # noqa: D102
    async def keep_worded(self, session_id: UUID, worded: WordedNote) -> bool: ...  # noqa: D102
