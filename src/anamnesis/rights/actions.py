"""What the service does about rights by itself: take a wish, let the past expire, have bytes follow their rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from anamnesis.care import actions as care
from anamnesis.care.ports import CareStore
from anamnesis.files.model import blob_of
from anamnesis.files.ports import Blobs
from anamnesis.kernel.identity import Person
from anamnesis.rights.ports import RightsStore

#: One pass is short, for every process makes one a minute.
_MOST_CASES: Final = 20
_MOST_FILES: Final = 100


@dataclass(frozen=True, slots=True)
class Rights:
    """What these use cases work on. Without retention_days everything is kept until somebody is erased."""

    store: RightsStore
    care_store: CareStore
    blobs: Blobs
    retention_days: int | None = None

    async def ask_for_erasure(self, actor: Person) -> datetime:
        """Keep the caller's wish to be erased; answers since when it stands. An operator carries it out."""
        return await self.store.ask(actor, await care.patient_of(actor, store=self.care_store))

    async def sweep(self) -> None:
        """Erase what has expired, and the bytes of files whose rows are gone. Raises Unavailable."""
        if self.retention_days is not None:
            await self.store.purge(self.retention_days, _MOST_CASES)
        await delete_bytes(self.store, self.blobs)


async def delete_bytes(store: RightsStore, blobs: Blobs, *, most: int = _MOST_FILES) -> int:
    """Delete the bytes of files whose rows are gone, at most so many; answers how many. Raises Unavailable.

    The name goes after the bytes: whoever dies in between leaves it to the next.
    """
    wanted = await store.erased_files(most)
    for file_id in wanted:
        await blobs.delete(blob_of(file_id))
        await blobs.delete(blob_of(file_id, small=True))
        await store.forget_file(file_id)
    return len(wanted)
