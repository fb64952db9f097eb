"""The rows of files in PostgreSQL: all SQL of this slice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from anamnesis.care.model import CareLink
from anamnesis.care.store import audit, link_of
from anamnesis.db.encryption import FILES
from anamnesis.db.postgres import Database
from anamnesis.db.viewing import Purpose, at_work, viewing
from anamnesis.files.model import NewFile, StoredFile, TakenAway
from anamnesis.kernel.identity import Person

_LINK: Final = """
SELECT id, patient_id, doctor_id, status, patient_user_id, doctor_user_id, is_verified, is_there
"""
_LINK_OF_SESSION: Final = _LINK + "FROM link_of_session($1)"
_LINK_OF_FILE: Final = _LINK + "FROM link_of_session(session_of_file($1))"

_FILES: Final = """
SELECT f.id, f.session_id, f.uploader_id, f.file_name, f.file_type, f.file_size, f.created_at FROM files f
"""
_ONE: Final = _FILES + "WHERE f.id = $1 AND f.state = 'ready'"
_READY: Final = _FILES + "WHERE f.id = ANY ($1::uuid[]) AND f.state = 'ready'"
_OF_SESSION: Final = _FILES + "WHERE f.session_id = $1 AND f.state = 'ready' ORDER BY f.created_at, f.id"
_TWIN: Final = (
    _FILES + "WHERE f.session_id = $1 AND f.uploader_id = $2 AND f.digest = $3 AND f.state = 'ready'"
    " ORDER BY f.created_at, f.id LIMIT 1"
)

_BEGIN: Final = """
INSERT INTO files (id, session_id, uploader_id, file_name, file_type, file_size, digest, width, height)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""

#: Whoever begins or finishes files of a session waits here for others who do: else both would see the same room, and
#: neither the other's twin.
_IN_TURN: Final = "SELECT pg_advisory_xact_lock(hashtext('files'), hashtext($1::uuid::text))"

_TWINS: Final = """
SELECT DISTINCT ON (f.id) f.id, t.id AS twin
FROM files f JOIN files t ON t.session_id = f.session_id AND t.uploader_id = f.uploader_id AND t.digest = f.digest
WHERE f.id = ANY ($1::uuid[]) AND f.state = 'pending' AND t.session_id = $2 AND t.state = 'ready'
ORDER BY f.id, t.created_at, t.id"""

_FINISH: Final = """
UPDATE files SET state = 'ready', ready_at = clock_timestamp()
WHERE id = ANY ($1::uuid[]) AND state = 'pending'"""

#: A ready file is never forgotten here: that is what erasure does.
_FORGET: Final = "DELETE FROM files WHERE id = ANY ($1::uuid[]) AND state = 'pending'"

_ABANDONED: Final = """
SELECT id FROM files WHERE state = 'pending' AND created_at < clock_timestamp() - make_interval(secs => $1)
ORDER BY created_at LIMIT 100"""


@dataclass(frozen=True, slots=True)
class PostgresFileStore:
    """One row a file; a pending one is seen by nobody but who makes it and who sweeps."""

    database: Database

    async def link_of_session(self, session_id: UUID) -> CareLink | None:
        """What access to the session depends on."""
        row = await self.database.lookup(_LINK_OF_SESSION, session_id)
        return None if row is None else link_of(dict(row))

    async def link_of_file(self, file_id: UUID) -> tuple[StoredFile | None, CareLink] | None:
        """What access to a ready file depends on, with the file where the database shows it to the caller at all."""
        link = await self.database.lookup(_LINK_OF_FILE, file_id)
        if link is None:
            return None
        row = await self.database.fetchrow(_ONE, file_id)
        return None if row is None else self._file(row), link_of(dict(link))

    async def kinds(self, file_ids: Sequence[UUID]) -> dict[UUID, str]:
        """The media types of files, finished or not."""
        rows = await self.database.fetch("SELECT id, file_type FROM files WHERE id = ANY ($1::uuid[])", file_ids)
        return {row["id"]: row["file_type"] for row in rows}

    async def twin(self, session_id: UUID, uploader_id: UUID, digest: bytes) -> StoredFile | None:
        """The file that somebody has sent to a session before."""
        row = await self.database.fetchrow(_TWIN, session_id, uploader_id, digest)
        return None if row is None else self._file(row)

    async def begin(self, session_id: UUID, uploader_id: UUID, file: NewFile, *, most: int) -> bool:
        """Note a file before its first byte is kept; False when the session has so many, finished or not."""
        async with self.database.transaction() as connection:
            await connection.execute(_IN_TURN, session_id)
            if await connection.fetchval("SELECT files_in_session($1)", session_id) >= most:
                return False
            await connection.execute(
                _BEGIN, file.id, session_id, uploader_id,
                self.database.keyring.at(FILES, file.id, session_id).seal("file_name", file.name), file.media_type,
                file.size, file.digest, file.width, file.height,
            )  # fmt: skip
            return True

    async def finish(self, session_id: UUID, uploader: Person, file_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Let all these files be seen, or none. Raises TakenAway when one is gone.

        Those that the same person has sent and finished meanwhile stay as they are: answers these with the others.
        """
        if not file_ids:
            return {}
        async with self.database.transaction() as connection:
            await connection.execute(_IN_TURN, session_id)
            twins = {row["id"]: row["twin"] for row in await connection.fetch(_TWINS, file_ids, session_id)}
            new = [each for each in file_ids if each not in twins]
            done = await connection.execute(_FINISH, new)
            if done != f"UPDATE {len(new)}":
                raise TakenAway
            told = {"sessionId": str(session_id)}
            for file_id in new:
                await audit(connection, uploader, "file_uploaded", "file", file_id, told)
            return twins

    async def forget(self, file_ids: Sequence[UUID]) -> None:
        """Delete the rows of unfinished files."""
        if file_ids:
            with viewing(at_work(Purpose.UPKEEP)):
                await self.database.execute(_FORGET, file_ids)

    async def abandoned(self, older_than_s: float) -> list[UUID]:
        """Unfinished files of this age and more, the oldest first."""
        with viewing(at_work(Purpose.UPKEEP)):
            return [row["id"] for row in await self.database.fetch(_ABANDONED, older_than_s)]

    async def ready(self, file_ids: Sequence[UUID]) -> dict[UUID, StoredFile]:
        """Those of these files that can be seen."""
        rows = await self.database.fetch(_READY, file_ids) if file_ids else []
        return {row["id"]: self._file(row) for row in rows}

    async def of_session(self, session_id: UUID) -> list[StoredFile]:
        """Every file of a session that can be seen, in order."""
        return [self._file(row) for row in await self.database.fetch(_OF_SESSION, session_id)]

    def _file(self, row: Any) -> StoredFile:
        return StoredFile(
            row["id"],
            row["session_id"],
            row["uploader_id"],
            self.database.keyring.at(FILES, row["id"], row["session_id"]).open("file_name", row["file_name"]),
            row["file_type"],
            row["file_size"],
            row["created_at"],
        )
