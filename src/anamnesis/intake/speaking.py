"""A reply that is shown while a model still words it, and may be stopped by who reads it.

How far it is stands at the message it answers, where every process finds it; nothing is locked and no connection is
held between two of its sentences.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, Protocol
from uuid import UUID

from anamnesis.intake.model import Message, Turn
from anamnesis.kernel.errors import Unavailable
from anamnesis.kernel.listening import Listener
from anamnesis.llm.port import STOPPED, Completion, Prompt, Speaker

#: In seconds: between two words that are laid out, and for all that came at once, for what follows waits.
_PAUSE_S: Final = 0.045
_LONGEST_S: Final = 0.6
_WORD: Final = re.compile(r"\s*\S+")


class Stopped(Exception):
    """The message was answered by somebody else meanwhile: its reader stopped the reply."""


class Shown(Protocol):
    """Where a reply is kept while it grows."""

    async def show(self, session_id: UUID, message_id: UUID, text: str) -> None: ...  # noqa: D102
    async def reply_of(self, message_id: UUID) -> Message | None: ...  # noqa: D102


def topic_of(message_id: UUID) -> str:
    """What is woken when a message is answered before the model is done."""
    return f"turn:{message_id}"


async def spoken(
    model: Speaker, prompt: Prompt, turn: Turn, *, deadline_s: float, store: Shown, listener: Listener
) -> Completion:
    """What the model says to the message whose turn it is, kept sentence by sentence while it grows.

    Raises ModelFailed and Stopped.
    """
    session_id, message_id = turn.session.id, turn.waiting.id
    showing = _Showing(store, session_id, message_id)
    async with listener.subscribe(topic_of(message_id)) as news:
        speaking = asyncio.ensure_future(model.speak(prompt, deadline_s=deadline_s, hear=showing.hear))
        stopping = asyncio.ensure_future(_answered(news, message_id, store))
        keeping = asyncio.ensure_future(showing.keep())
        try:
            await asyncio.wait({speaking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not speaking.done():
                speaking.cancel(STOPPED)
                raise Stopped
            return speaking.result()
        finally:
            for task in (speaking, stopping, keeping):
                if not task.cancelling():
                    task.cancel()
            await asyncio.gather(speaking, stopping, keeping, return_exceptions=True)


class _Showing:
    """Keeps the latest of what may be shown, without making the model wait for the database."""

    def __init__(self, store: Shown, session_id: UUID, message_id: UUID) -> None:
        self._store, self._session_id, self._message_id = store, session_id, message_id
        self._latest, self._has_news = "", asyncio.Event()

    def hear(self, text: str) -> None:
        self._latest = text
        self._has_news.set()

    async def keep(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            with suppress(Unavailable):  # it is a courtesy: the reply itself comes all the same
                await self._store.show(self._session_id, self._message_id, self._latest)


async def _answered(news: AsyncIterator[str], message_id: UUID, store: Shown) -> None:
    """Return when the message has its reply; without end when nobody is told of it."""
    async for _ in news:
        with suppress(Unavailable):
            if await store.reply_of(message_id) is not None:
                return
    await asyncio.Event().wait()


async def word_by_word(shown: str, text: str) -> AsyncIterator[str]:
    """What is shown, a word longer each time, until it is the text; the text at once where it is no longer the same.

    Every word of it was judged with its sentence before: this is only how it appears.
    """
    if not text.startswith(shown):
        yield text
        return
    ends = [len(shown) + match.end() for match in _WORD.finditer(text[len(shown) :])]
    for end in ends[:-1]:
        yield text[:end]
        await asyncio.sleep(min(_PAUSE_S, _LONGEST_S / len(ends)))
    yield text
