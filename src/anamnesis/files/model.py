"""A file of a case: what it is by its content, and what may be kept."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from anamnesis.kernel.errors import Unavailable

IMAGE: Final = "image/jpeg"
PDF: Final = "application/pdf"
LONGEST_NAME: Final = 255


class Kind(StrEnum):
    """What content can be, by the name of its decoder. Nothing else is kept."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    PDF = "PDF"

    @property
    def is_image(self) -> bool:
        """Whether it is drawn anew before it is kept."""
        return self is not Kind.PDF


@dataclass(frozen=True, slots=True)
class Caps:
    """How much is taken; sizes are in bytes as sent. The numbers are those of the system replaced."""

    image_bytes: int = 8 << 20
    images_at_once: int = 4
    pdf_bytes: int = 16 << 20
    pdfs_at_once: int = 5
    files_of_session: int = 60

    @property
    def request_bytes(self) -> int:
        """The most that one upload can hold, with its form around it."""
        return max(self.pdf_bytes * self.pdfs_at_once, self.image_bytes * self.images_at_once) + (1 << 20)


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file on its way in: checked, and drawn anew if it is a photo. digest is of what was sent."""

    id: UUID
    name: str
    media_type: str
    size: int
    digest: bytes
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is whole and can be seen by whoever may."""

    id: UUID
    session_id: UUID
    uploader_id: UUID
    name: str
    media_type: str
    size: int
    at: datetime

    @property
    def is_image(self) -> bool:
        """Whether it can be shown in a page; everything else is only ever saved."""
        return self.media_type == IMAGE


def blob_of(file_id: UUID, *, small: bool = False) -> str:
    """The name of a file's blob: random like its id, and nothing of what its owner calls it."""
    return f"{file_id.hex}-small" if small else file_id.hex


_PDF_HEAD: Final = re.compile(rb"%PDF-[12]\.\d")
_PNG_HEAD: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_MARKUP: Final = re.compile(rb"<\s*(?:!doctype|html|script|svg|body|iframe)", re.IGNORECASE)
_EDGE: Final = 1024


def kind_of(content: bytes) -> Kind | None:
    """What the content says it is, from its first byte on; None for everything that is not kept."""
    if content.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if content.startswith(_PNG_HEAD):
        return Kind.PNG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Kind.WEBP
    return Kind.PDF if _PDF_HEAD.match(content) else None


def is_whole(content: bytes, kind: Kind) -> bool:
    """Whether the content ends where its format ends: nothing missing, and nothing of another format behind it.

    Telephones write more behind the end of a JPEG, which is not drawn; its decoder tells whether it is whole.
    """
    if kind is Kind.PNG:
        return content.endswith(_PNG_END)
    if kind is Kind.WEBP:
        return int.from_bytes(content[4:8], "little") + 8 == len(content)
    if kind is Kind.PDF:
        return b"%%EOF" in content[-_EDGE:] and _MARKUP.search(content[:_EDGE]) is None
    return True


def agrees(kind: Kind, name: str, declared: str) -> bool:
    """Whether what the sender calls a file fits what it is: a photo is no document, whatever both are named.

    Which format a photo has is told by its content alone: apps write JPEG into files called .png every day.
    """
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    told = declared.partition(";")[0].strip().lower()
    if told not in ("", "application/octet-stream") and told.startswith("image/") is not kind.is_image:
        return False
    if kind.is_image:
        return ending not in ("pdf", "svg", "html", "htm", "js", "exe")
    return told in ("", "application/octet-stream", PDF) and ending in ("", "pdf")


@dataclass(eq=False)
class TakenAway(Unavailable):
    """The row of a file was swept up, or erased with its patient, while its bytes were being kept: none is seen."""

    part: str = "files"
