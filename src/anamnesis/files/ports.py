"""What filing needs: somewhere for rows, somewhere for bytes, and somebody who draws photos anew."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from anamnesis.care.model import CareLink
from anamnesis.files.model import NewFile, StoredFile
from anamnesis.kernel.identity import Person
from anamnesis.pictures.redrawing import Redrawn


class Blobs(Protocol):
    """Bytes under names of ours, each kept whole or not at all. Every method raises Unavailable."""

    async def put(self, key: str, content: bytes) -> None: ...  # noqa: D102
    async def get(self, key: str) -> bytes:
        """Raises FileNotFoundError."""
        ...

    async def delete(self, key: str) -> None: ...  # noqa: D102
    async def sweep(self, older_than_s: float) -> None: ...  # noqa: D102


class Redraws(Protocol):
    """Draws photos anew."""

    async def redraw(self, content: bytes, kind: str) -> Redrawn:
        """Raises Unreadable, TooManyPixels."""
        ...


class FileStore(Protocol):
    """The rows of files. One is pending until all its bytes are kept, and only a ready one is ever found."""

    async def link_of_session(self, session_id: UUID) -> CareLink | None: ...  # noqa: D102
    async def link_of_file(self, file_id: UUID) -> tuple[StoredFile | None, CareLink] | None: ...  # noqa: D102
    async def kinds(self, file_ids: Sequence[UUID]) -> dict[UUID, str]: ...  # noqa: D102
    async def twin(self, session_id: UUID, uploader_id: UUID, digest: bytes) -> StoredFile | None: ...  # noqa: D102
    async def begin(self, session_id: UUID, uploader_id: UUID, file: NewFile, *, most: int) -> bool:
        """Note a file before its first byte is kept; False when the session has so many, finished or not."""
        ...

    async def finish(self, session_id: UUID, uploader: Person, file_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Let all these files be seen, or none. Raises Unavailable when one was swept up meanwhile.

        Those that the same person has sent and finished meanwhile stay as they are: answers these with the others.
        """
        ...

    async def forget(self, file_ids: Sequence[UUID]) -> None: ...  # noqa: D102
    async def abandoned(self, older_than_s: float) -> list[UUID]: ...  # noqa: D102
    async def ready(self, file_ids: Sequence[UUID]) -> dict[UUID, StoredFile]: ...  # noqa: D102
    async def of_session(self, session_id: UUID) -> list[StoredFile]: ...  # noqa: D102
