"""The procedures about files: sending them, listing them, and the bytes of one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from anamnesis.files.actions import Filing, thumbnail
from anamnesis.files.model import IMAGE, StoredFile
from anamnesis.files.policy import access_files, is_shown
from anamnesis.kernel.errors import NotPermitted
from anamnesis.kernel.procedures import Allow, Context, Kind, Part, Procedure, Procedures, Rest
from anamnesis.schema import Boolean, Input, Output, Upload, Uuid, items, number, text

MOST_FILES = 10

Call = Context[Filing]
procedures = Procedures()


class File(Output):
    """A file that can be seen. url and thumbnailUrl are for this caller alone, and for a few minutes."""

    id: UUID
    uploader_id: UUID
    session_id: UUID
    file_name: str
    file_type: str
    file_size: int
    url: str
    thumbnail_url: str | None
    created_at: datetime


class Files(Output):
    """Files of a session, in the order in which they were sent or asked for."""

    files: list[File]


class SessionRef(Input):
    """One session."""

    session_id: Uuid


class SendFiles(Input):
    """Files for a session: photos as JPEG, PNG or WebP, and PDF documents."""

    session_id: Uuid
    files: Annotated[list[Upload], items(MOST_FILES)]


class FileMetadata(Input):
    """A file of our own store, by its id or its url; the rest is what its sender believes of it."""

    url: Annotated[str, text(1, 2000)]
    file_name: Annotated[str, text(0, 500)]
    file_type: Annotated[str, text(0, 200)]
    file_size: Annotated[float, number()]


class StoreMetadata(Input):
    """Which files belong to a session."""

    session_id: Uuid
    files: Annotated[list[FileMetadata], items(20)]


class FileRef(Input):
    """One file as its address names it."""

    file_id: Uuid
    until: Annotated[str, text(0, 20)]
    signature: Annotated[str, text(0, 100)]
    is_small: Boolean = False


@dataclass(frozen=True, slots=True)
class Opened:
    """The bytes of a file, and how a browser is to take them: only a photo is shown in a page."""

    content: bytes
    media_type: str
    file_name: str
    is_shown: bool


def _shown(call: Call, file: StoredFile) -> File:
    url = call.services.url(file.id, call.person)
    return File(
        id=file.id,
        uploader_id=file.uploader_id,
        session_id=file.session_id,
        file_name=file.name,
        file_type=file.media_type,
        file_size=file.size,
        url=url,
        thumbnail_url=thumbnail(file, url),
        created_at=file.at,
    )


@procedures.mutation(
    "file.upload",
    input=SendFiles,
    output=Files,
    rest=Rest("POST", "/intake-sessions/{sessionId}/files", 201),
    takes_files=True,
)
async def upload(call: Call, body: SendFiles) -> Files:
    """Keep photos and documents of a session, all of them or none; REST only, as multipart/form-data."""
    filing = call.services
    access = access_files(call.person, await filing.store.link_of_session(body.session_id), writing=True)
    kept = await filing.keep(access, body.session_id, call.person, body.files)
    return Files(files=[_shown(call, file) for file in kept])


@procedures.mutation("intake.storeFileMetadata", allow=Allow.PATIENT, input=StoreMetadata, output=Files)
async def store_file_metadata(call: Call, body: StoreMetadata) -> Files:
    """The files of a session that were uploaded before, as they are kept; a url of any other store is refused."""
    filing = call.services
    link = await filing.store.link_of_session(body.session_id)
    access_files(call.person, link, writing=True)
    if link is not None and call.person.user_id != link.patient_user_id:
        raise NotPermitted("Only the patient may do this.")
    references = [(("files", place, "url"), file.url) for place, file in enumerate(body.files)]
    found = await filing.refer(references, body.session_id, call.person)
    return Files(files=[_shown(call, file) for file in found])


@procedures.query(
    "intake.getSessionFiles", input=SessionRef, output=Files, rest=Rest("GET", "/intake-sessions/{sessionId}/files")
)
async def session_files(call: Call, body: SessionRef) -> Files:
    """The files of a session that the caller may see, in the order in which they were sent."""
    filing = call.services
    access = access_files(call.person, await filing.store.link_of_session(body.session_id), writing=False)
    found = await filing.store.of_session(body.session_id)
    return Files(files=[_shown(call, file) for file in found if is_shown(file, access)])


async def open_file(call: Call, body: FileRef) -> Opened:
    """The bytes of a file, for whom its address was made for."""
    file, content = await call.services.open(
        body.file_id, call.person, until=body.until, signature=body.signature, is_small=body.is_small
    )
    ending = "jpg" if file.media_type == IMAGE else "pdf"
    return Opened(content, file.media_type, f"anamnesis-{file.id.hex[:8]}.{ending}", file.is_image)


#: It answers bytes, so it stands behind an address of its own and not among the procedures of the registry.
#: A page shows every picture of a case, and nothing of it may be stored: each time it is shown asks for them all.
OPEN_FILE = Procedure(name="file.open", kind=Kind.QUERY, handler=open_file, input=FileRef, at_once=10)

__all__ = ["OPEN_FILE", "File", "Files", "Opened", "Part", "procedures"]
