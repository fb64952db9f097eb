"""A model tidies a written note: in a job, after the patient has been answered, beside the note that stands already."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from anamnesis.clinical.rewording import rework
from anamnesis.clinical.sbar import sbar_to_json
from anamnesis.handover.model import WordedNote, Written
from anamnesis.handover.ports import NoteStore
from anamnesis.handover.prompting import LANGUAGES, compose_note_prompt
from anamnesis.llm.notes import proposal_of
from anamnesis.llm.port import ChatModel, Completion, ModelFailed

if TYPE_CHECKING:
    from anamnesis.content.prompts import Writer

#: Where the ledger's numbers end.
_MOST_COUNTED: Final = 1000


class Observer(Protocol):
    """Counts what happens; learns nothing of what was said."""

    def fallback(self, reason: str) -> None:
        """A model could not word something."""
        ...


@dataclass(frozen=True, slots=True)
class NoteWriter:
    """Who tidies notes, within deadline_s seconds for all its tries.

    may_leave says of a session whether its patient agreed; None where that is not asked here.
    """

    model: ChatModel
    writer: "Writer"
    observer: Observer
    may_leave: Callable[[UUID], Awaitable[bool]] | None
    deadline_s: float = 25.0


async def word_note(session_id: UUID, *, store: NoteStore, by: NoteWriter) -> None:
    """Ask once for a proposal about this note, and keep what holds of it; the note itself is never touched.

    Again for the same note nothing is asked. A model that fails leaves the note as code wrote it, for good.
    No connection is held while a model is asked. Raises Unavailable.
    """
    written = await store.written(session_id)
    if written is None or written.is_worded or written.record.language not in LANGUAGES:
        return
    if by.may_leave is not None and not await by.may_leave(session_id):
        by.observer.fallback("no_consent")
        return
    prompt = compose_note_prompt(session_id, written, by.writer.agent)
    try:
        async with asyncio.timeout(by.deadline_s):
            said = await by.model.complete(prompt, deadline_s=by.deadline_s)
    except (ModelFailed, TimeoutError) as failed:
        by.observer.fallback(failed.reason if isinstance(failed, ModelFailed) else "timed_out")
        return
    await store.keep_worded(session_id, _kept(written, said, by.writer))


def _kept(written: Written, said: Completion, writer: "Writer") -> WordedNote:
    found = rework(written.note, written.record, written.messages, proposal_of(said.text), writer.conditions)
    return WordedNote(
        written.basis,
        None if found.note == written.note else sbar_to_json(found.note),
        [asdict(each) for each in found.differential],
        writer.agent.version,
        found.reworded,
        min(len(found.dropped), _MOST_COUNTED),
    )
