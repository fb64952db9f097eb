"""What is done with files: kept whole or not at all, referred to, shown, swept up."""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4

from anamnesis.care.model import Access
from anamnesis.files.links import Links, small
from anamnesis.files.model import (
    IMAGE,
    LONGEST_NAME,
    PDF,
    Caps,
    Kind,
    NewFile,
    StoredFile,
    TakenAway,
    agrees,
    blob_of,
    is_whole,
    kind_of,
)
from anamnesis.files.policy import access_file
from anamnesis.files.ports import Blobs, FileStore, Redraws
from anamnesis.journal import log
from anamnesis.kernel.clock import Clock
from anamnesis.kernel.errors import AnamnesisError, BadInput, NotFound, Unavailable, refused
from anamnesis.kernel.identity import Person
from anamnesis.kernel.procedures import Part
from anamnesis.kernel.text import clean
from anamnesis.pictures.redrawing import TooManyPixels, Unreadable

Path = tuple[str | int, ...]

#: An upload takes a minute or two; whoever has not finished in an hour has died.
ABANDONED_S: Final = 3600.0
_NOT_TAKEN: Final = "This is neither a photo (JPEG, PNG, WebP) nor a PDF."
_BROKEN: Final = "This file is damaged or not complete. Please take it again."
_DISAGREES: Final = "This file is not what its name or type says. A photo or a PDF under its own name can be sent."
_NOT_OURS: Final = "Refer to a file that you have uploaded to this session, by its id or its url."


@dataclass(frozen=True, slots=True)
class Filing:
    """The files of all cases."""

    store: FileStore
    blobs: Blobs
    redraws: Redraws
    links: Links
    caps: Caps
    clock: Clock

    async def keep(self, access: Access, session_id: UUID, uploader: Person, parts: Sequence[Part]) -> list[StoredFile]:
        """Keep all of these files of somebody who has access to the session, or none of them.

        What the same person sends to the same session again is the file it was, also while the first is on its way.
        Raises BadInput naming the field, Unavailable.
        """
        assert access.link is not None
        if not parts:
            raise refused((("files",), "Send at least one file."))
        begun: dict[bytes, UUID] = {}
        kept: list[UUID] = []
        try:
            for place, part in enumerate(parts):
                kept.append(await self._keep_one(session_id, uploader, part, ("files", place), begun))
                self._check_number(kept, await self.store.kinds(kept))
        except BaseException:
            await asyncio.shield(self._discard([*begun.values()]))
            raise
        # Outside the block: when its answer is lost nobody knows whether they are to be seen already, and bytes of a
        # file that is seen must never be taken back. What did stay pending is swept up later; of what was erased
        # meanwhile nothing is left that a sweep could find, so its bytes are taken back here.
        try:
            twins = await self.store.finish(session_id, uploader, [*begun.values()])
        except TakenAway:
            await asyncio.shield(self._discard([*begun.values()]))
            raise
        if twins:
            await self._discard([*twins])
        named = [twins.get(each, each) for each in kept]
        found = await self.store.ready(named)
        return [found[each] for each in named]

    async def _keep_one(
        self, session_id: UUID, uploader: Person, part: Part, field: Path, begun: dict[bytes, UUID]
    ) -> UUID:
        """The id of a file whose bytes are kept, not yet to be seen; it is put among the begun before anything is."""
        if part.size > max(self.caps.image_bytes, self.caps.pdf_bytes):
            raise self._too_large(field, self.caps.pdf_bytes)
        content = await part.read()
        digest = hashlib.sha256(content).digest()
        if digest in begun:
            return begun[digest]
        twin = await self.store.twin(session_id, uploader.user_id, digest)
        if twin is not None:
            return twin.id
        file, blobs = await self._checked(content, part, digest, field)
        begun[digest] = file.id
        most = self.caps.files_of_session
        if not await self.store.begin(session_id, uploader.user_id, file, most=most):
            raise refused((("files",), f"A session holds at most {most} files."))
        for key, bytes_ in blobs:
            await self.blobs.put(key, bytes_)
        return file.id

    async def _checked(
        self, content: bytes, part: Part, digest: bytes, field: Path
    ) -> tuple[NewFile, list[tuple[str, bytes]]]:
        """A file by its content with the blobs to keep of it. Raises BadInput for what is not taken."""
        kind = kind_of(content)
        if kind is None:
            raise refused((field, _NOT_TAKEN))
        name = clean(part.name).replace("\n", " ").strip()[:LONGEST_NAME]
        if not agrees(kind, name, part.declared):
            raise refused((field, _DISAGREES))
        most = self.caps.image_bytes if kind.is_image else self.caps.pdf_bytes
        if len(content) > most:
            raise self._too_large(field, most)
        if not is_whole(content, kind):
            raise refused((field, _BROKEN))
        file = NewFile(uuid4(), name or ("Photo" if kind.is_image else "Document"), PDF, len(content), digest)
        if not kind.is_image:
            return file, [(blob_of(file.id), content)]
        return await self._redrawn(content, kind, file, field)

    async def _redrawn(
        self, content: bytes, kind: Kind, file: NewFile, field: Path
    ) -> tuple[NewFile, list[tuple[str, bytes]]]:
        try:
            drawn = await self.redraws.redraw(content, kind.value)
        except TooManyPixels:
            raise refused((field, "This picture has too many pixels. Please send a smaller one.")) from None
        except Unreadable:
            raise refused((field, _BROKEN)) from None
        blobs = [(blob_of(file.id), drawn.photo), (blob_of(file.id, small=True), drawn.small)]
        size = len(drawn.photo)
        return replace(file, media_type=IMAGE, size=size, width=drawn.width, height=drawn.height), blobs

    def _too_large(self, field: Path, most: int) -> BadInput:
        return refused((field, f"This file is too large: at most {most >> 20} MB are taken."))

    def _check_number(self, kept: Sequence[UUID], kinds: dict[UUID, str]) -> None:
        images = sum(kinds.get(each) == IMAGE for each in kept)
        caps = self.caps
        if images > caps.images_at_once or len(kept) - images > caps.pdfs_at_once:
            most = f"At most {caps.images_at_once} photos and {caps.pdfs_at_once} documents are taken at once."
            raise refused((("files",), most))

    async def _discard(self, begun: Sequence[UUID]) -> None:
        """Take back what was begun; what cannot be taken back now is swept up later."""
        with suppress(Unavailable):
            await self._remove(begun)

    async def _remove(self, file_ids: Sequence[UUID]) -> None:
        # The rows go last: whoever dies in between leaves the name of what is still to be deleted.
        for file_id in file_ids:
            await self.blobs.delete(blob_of(file_id))
            await self.blobs.delete(blob_of(file_id, small=True))
        await self.store.forget(file_ids)

    async def sweep(self, *, older_than_s: float = ABANDONED_S) -> None:
        """Delete what uploads that died have left. Raises Unavailable."""
        await self._remove(await self.store.abandoned(older_than_s))
        await self.blobs.sweep(older_than_s)

    async def refer(
        self, references: Sequence[tuple[Path, str]], session_id: UUID, sender: Person, *, images: bool = False
    ) -> list[StoredFile]:
        """The files that a client refers to, each by an id or a url of ours under the path of its field.

        Only what this sender has uploaded to this session counts, and with images only photos. Raises BadInput naming
        every field that refers to anything else; it does not tell whether such a file exists.
        """
        named = [(path, self.links.id_in(reference)) for path, reference in references]
        found = await self.store.ready([each for _, each in named if each is not None])
        right = {
            each.id
            for each in found.values()
            if each.session_id == session_id and each.uploader_id == sender.user_id and (each.is_image or not images)
        }
        wrong = [(path, _NOT_OURS) for path, each in named if each not in right]
        if wrong:
            raise refused(*wrong)
        return [found[each] for _, each in named if each is not None]

    def url(self, file_id: UUID, viewer: Person) -> str:
        """The address under which the viewer may see a file for a while."""
        return self.links.url(file_id, viewer.user_id, self.clock.now())

    def urls(self, references: Sequence[str], viewer: Person) -> list[str]:
        """The same for what a message refers to; what the replaced system had stored elsewhere stays as it is."""
        ids = [(reference, self.links.id_in(reference)) for reference in references]
        return [reference if file_id is None else self.url(file_id, viewer) for reference, file_id in ids]

    async def open(
        self, file_id: UUID, viewer: Person, *, until: str, signature: str, is_small: bool
    ) -> tuple[StoredFile, bytes]:
        """A file with its bytes, for the viewer whom the address was made for and who may see it at this moment.

        Raises NotFound, LinkExpired, NotPermitted, Unavailable.
        """
        self.links.check(file_id, viewer.user_id, until, signature, self.clock.now())
        found = await self.store.link_of_file(file_id)
        if found is None:
            raise NotFound("There is no such file.")
        file = access_file(viewer, *found)
        try:
            return file, await self.blobs.get(blob_of(file_id, small=is_small and file.is_image))
        except FileNotFoundError:
            raise Unavailable("files") from None


#: Of one message, and of how many bytes each: more costs every call, and a longer side is made smaller by the vendors.
MOST_GLIMPSES: Final = 3
MOST_GLIMPSE_BYTES: Final = 300_000


@dataclass(frozen=True, slots=True)
class Glimpses:
    """Small copies of patients' photos, made when a model is asked and kept nowhere.

    redraws draws as large as a model is shown them; its small one stands in where the larger has too many bytes.
    """

    store: FileStore
    blobs: Blobs
    redraws: Redraws
    links: Links

    async def of(self, references: Sequence[str], session_id: UUID, within_s: float) -> tuple[bytes, ...]:
        """The first few of the photos of a session that a message refers to, as JPEG, in order.

        What is no photo of ours in this session, cannot be had or is not drawn within_s seconds is left out.
        """
        end = asyncio.get_running_loop().time() + within_s
        photos = await self._photos(references[:MOST_GLIMPSES], session_id, end)
        drawing = [asyncio.create_task(self._glimpse(each), name="glimpse") for each in photos]
        try:
            async with asyncio.timeout_at(end):
                await asyncio.gather(*drawing)
        except TimeoutError:
            log.warning("model.photos", phase="error", error_type="TimeoutError")
        finally:
            for each in drawing:
                each.cancel()
            await asyncio.gather(*drawing, return_exceptions=True)
        seen = (each.result() for each in drawing if not each.cancelled())
        return tuple(each for each in seen if each is not None)

    async def _photos(self, references: Sequence[str], session_id: UUID, end: float) -> list[UUID]:
        named = [found for found in map(self.links.id_in, references) if found is not None]
        try:
            async with asyncio.timeout_at(end):
                files = await self.store.ready(named)
        except (AnamnesisError, TimeoutError) as away:
            log.warning("model.photos", phase="error", error_type=type(away).__name__)
            return []
        right = {each.id for each in files.values() if each.session_id == session_id and each.is_image}
        return [each for each in named if each in right]

    async def _glimpse(self, file_id: UUID) -> bytes | None:
        try:
            drawn = await self.redraws.redraw(await self.blobs.get(blob_of(file_id)), Kind.JPEG.value)
        except (AnamnesisError, OSError, Unreadable, TooManyPixels) as failed:
            # The reply is worth more than what it might have gained.
            log.warning("model.photos", phase="error", error_type=type(failed).__name__)
            return None
        return next((each for each in (drawn.photo, drawn.small) if len(each) <= MOST_GLIMPSE_BYTES), None)


def thumbnail(file: StoredFile, url: str) -> str | None:
    """The address of the small picture of a photo; a document has none."""
    return small(url) if file.is_image else None
