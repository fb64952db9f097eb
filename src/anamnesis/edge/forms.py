"""Forms with files, as pages and clients send them, bounded while they come in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request as HttpRequest
from starlette.types import Message

from anamnesis.kernel.errors import BadInput, TooLarge
from anamnesis.kernel.procedures import Part
from anamnesis.kernel.text import clean

MAX_FIELDS: Final = 20
MULTIPART: Final = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Form:
    """Text fields, cleaned as every text from outside is, and the files in the order in which they came."""

    fields: dict[str, str]
    parts: tuple[Part, ...]


@asynccontextmanager
async def read_form(http: HttpRequest, *, most_bytes: int, most_files: int) -> AsyncIterator[Form]:
    """A form whose files can be read while the block runs; large ones lie on the disk without a name until then.

    Raises BadInput, TooLarge, ClientDisconnect.
    """
    counted = _Counted(http, most_bytes)
    try:
        form = await HttpRequest(http.scope, counted.receive).form(max_files=most_files, max_fields=MAX_FIELDS)
    except (HTTPException, MultiPartException):
        raise BadInput(f"The form cannot be read, or has more than {most_files} files.") from None
    try:
        named = form.multi_items()
        fields = {name: clean(value) for name, value in named if isinstance(value, str)}
        files = [value for _, value in named if isinstance(value, UploadFile)]
        # A file field that was left empty comes as a file without name and content.
        yield Form(fields, tuple(_part(each) for each in files if each.filename or each.size))
    finally:
        await form.close()


class _Counted:
    def __init__(self, http: HttpRequest, most_bytes: int) -> None:
        self._http = http
        self._most_bytes = most_bytes
        self._count = 0

    async def receive(self) -> Message:
        message = await self._http.receive()
        self._count += len(message.get("body", b""))
        if self._count > self._most_bytes:
            raise TooLarge(self._most_bytes)
        return message


def _part(file: UploadFile) -> Part:
    return Part(file.filename or "", file.content_type or "", file.size or 0, file.read)
