"""Short-lived addresses of files, each for one viewer; who may see the file is asked again when it is used."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from anamnesis.kernel.errors import NotFound

_PATH: Final = re.compile(r"/files/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?:/small)?", re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class LinkExpired(NotFound):
    """A genuine address whose time is over."""

    def __init__(self) -> None:
        super().__init__("This link has expired. Open the page again to see the file.")


@dataclass(frozen=True, slots=True)
class Links:
    """Signs addresses below origin with key; each lasts lasts_s seconds."""

    key: bytes = field(repr=False)
    origin: str
    lasts_s: int = 300

    def url(self, file_id: UUID, viewer_id: UUID, now: datetime) -> str:
        """The address under which this viewer may see the file for a while."""
        until = int(now.timestamp()) + self.lasts_s
        return f"{self.origin}/files/{file_id}?until={until}&signature={self._sign(file_id, viewer_id, until)}"

    def check(self, file_id: UUID, viewer_id: UUID, until: str, signature: str, now: datetime) -> None:
        """Raises NotFound unless we signed just this for just this viewer, and LinkExpired when that is over."""
        if not re.fullmatch(r"\d{1,12}", until, re.ASCII):
            raise NotFound("There is no such file.")
        genuine = self._sign(file_id, viewer_id, int(until))
        if not hmac.compare_digest(genuine.encode(), signature.encode()):
            raise NotFound("There is no such file.")
        if int(until) < now.timestamp():
            raise LinkExpired

    def id_in(self, reference: str) -> UUID | None:
        """The id of a file of ours that a client refers to, by the id or by any address of it; None for all else.

        An expired address still names its file: whether the client may use it is asked apart from this.
        """
        if _ID.fullmatch(reference):
            return UUID(reference)
        try:
            parts = urlsplit(reference)
        except ValueError:
            return None
        if f"{parts.scheme}://{parts.netloc}" != self.origin or "\\" in reference:
            return None
        found = _PATH.fullmatch(parts.path)
        return UUID(found[1]) if found else None

    def _sign(self, file_id: UUID, viewer_id: UUID, until: int) -> str:
        told = f"{file_id}|{viewer_id}|{until}".encode()
        return hmac.new(self.key, told, hashlib.sha256).hexdigest()


def small(url: str) -> str:
    """The address of the small picture of a photo: its signature is the photo's."""
    before, _, query = url.partition("?")
    return f"{before}/small?{query}"


def key_from(secret: str) -> bytes:
    """A key for this one purpose, from a secret that has others."""
    return hmac.new(secret.encode(), b"anamnesis file links", hashlib.sha256).digest()
