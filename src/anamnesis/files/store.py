"""The rows of files in PostgreSQL: all SQL of this slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from anamnesis.care.model import CareLink
from anamnesis.care.store import audit, link_of
from anamnesis.db.postgres import Database
from anamnesis.files.model import NewFile, StoredFile
from anamnesis.kernel.errors import Unavailable
from anamnesis.kernel.identity import Person

Row = Mapping[str, Any]

_LINK_OF_SESSION: Final = """
SELECT c.id AS link_id, c.patient_id, c.doctor_id, c.status::text AS status, p.user_id AS patient_user_id,
       d.user_id AS doctor_user_id, d.verification_status = 'verified' AS is_verified,
       d.verification_status = 'verified' AND u.is_active AS is_there
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id JOIN users u ON u.id = d.user_id
WHERE s.id = $1 AND s.archived_at IS NULL"""

_LINK_OF_FILE: Final = """
SELECT f.id, f.session_id, f.uploader_id, f.file_name, f.file_type, f.file_size, f.created_at,
       c.id AS link_id, c.patient_id, c.doctor_id, c.status::text AS status, p.user_id AS patient_user_id,
       d.user_id AS doctor_user_id, d.verification_status = 'verified' AS is_verified,
       d.verification_status = 'verified' AND u.is_active AS is_there
FROM files f JOIN intake_sessions s ON s.id = f.session_id JOIN connections c ON c.id = s.connection_id
JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id JOIN users u ON u.id = d.user_id
WHERE f.id = $1 AND f.state = 'ready' AND s.archived_at IS NULL"""

_FILES: Final = """
SELECT f.id, f.session_id, f.uploader_id, f.file_name, f.file_type, f.file_size, f.created_at FROM files f
"""
_READY: Final = _FILES + "WHERE f.id = ANY ($1::uuid[]) AND f.state = 'ready'"
_OF_SESSION: Final = _FILES + "WHERE f.session_id = $1 AND f.state = 'ready' ORDER BY f.created_at, f.id"
_TWIN: Final = (
    _FILES + "WHERE f.session_id = $1 AND f.uploader_id = $2 AND f.digest = $3 AND f.state = 'ready'"
    " ORDER BY f.created_at, f.id LIMIT 1"
)

_BEGIN: Final = """
INSERT INTO files (id, session_id, uploader_id, file_name, file_type, file_size, digest, width, height)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""

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
        row = await self.database.fetchrow(_LINK_OF_SESSION, session_id)
        return None if row is None else _link(dict(row))

    async def link_of_file(self, file_id: UUID) -> tuple[StoredFile, CareLink] | None:
        """A ready file with what access to it depends on."""
        row = await self.database.fetchrow(_LINK_OF_FILE, file_id)
        return None if row is None else (_file(row), _link(dict(row)))

    async def count(self, session_id: UUID) -> int:
        """How many files a session has, finished or not."""
        return int(await self.database.fetchval("SELECT count(*) FROM files WHERE session_id = $1", session_id))

    async def kinds(self, file_ids: Sequence[UUID]) -> dict[UUID, str]:
        """The media types of files, finished or not."""
        rows = await self.database.fetch("SELECT id, file_type FROM files WHERE id = ANY ($1::uuid[])", file_ids)
        return {row["id"]: row["file_type"] for row in rows}

    async def twin(self, session_id: UUID, uploader_id: UUID, digest: bytes) -> StoredFile | None:
        """The file that somebody has sent to a session before."""
        row = await self.database.fetchrow(_TWIN, session_id, uploader_id, digest)
        return None if row is None else _file(row)

    async def begin(self, session_id: UUID, uploader_id: UUID, file: NewFile) -> None:
        """Note a file before its first byte is kept."""
        await self.database.execute(
            _BEGIN, file.id, session_id, uploader_id, file.name, file.media_type, file.size, file.digest, file.width,
            file.height,
        )  # fmt: skip

    async def finish(self, session_id: UUID, uploader: Person, file_ids: Sequence[UUID]) -> None:
        """Let all these files be seen, or none. Raises Unavailable when one was swept up meanwhile."""
        if not file_ids:
            return
        async with self.database.transaction() as connection:
            done = await connection.execute(_FINISH, file_ids)
            if done != f"UPDATE {len(file_ids)}":
                raise Unavailable("files")
            told = {"sessionId": str(session_id)}
            for file_id in file_ids:
                await audit(connection, uploader, "file_uploaded", "file", file_id, told)

    async def forget(self, file_ids: Sequence[UUID]) -> None:
        """Delete the rows of unfinished files."""
        if file_ids:
            await self.database.execute(_FORGET, file_ids)

    async def abandoned(self, older_than_s: float) -> list[UUID]:
        """Unfinished files of this age and more, the oldest first."""
        return [row["id"] for row in await self.database.fetch(_ABANDONED, older_than_s)]

    async def ready(self, file_ids: Sequence[UUID]) -> dict[UUID, StoredFile]:
        """Those of these files that can be seen."""
        rows = await self.database.fetch(_READY, file_ids) if file_ids else []
        return {row["id"]: _file(row) for row in rows}

    async def of_session(self, session_id: UUID) -> list[StoredFile]:
        """Every file of a session that can be seen, in order."""
        return [_file(row) for row in await self.database.fetch(_OF_SESSION, session_id)]


def _link(row: Row) -> CareLink:
    return link_of({**row, "id": row["link_id"]})


def _file(row: Any) -> StoredFile:
    return StoredFile(
        row["id"],
        row["session_id"],
        row["uploader_id"],
        row["file_name"],
        row["file_type"],
        row["file_size"],
        row["created_at"],
    )
