"""Live news for subscriptions: topics with ids only, waited for without losing any."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

#: Below the five seconds after which a lost access must have been noticed.
RECHECK_S: Final = 4.0


class Listener(Protocol):
    """Where live news comes from."""

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Payloads published to the topic while subscribed."""
        ...


class News:
    """Waits for news without ever cancelling the iterator, which a time-out inside it would end."""

    def __init__(self, news: AsyncIterator[str]) -> None:
        self._news = news
        self._next: asyncio.Future[str] | None = None

    async def wait(self) -> bool | None:
        """Whether there was news, within the time access may go unchecked; None when there will be no more."""
        self._next = self._next or asyncio.ensure_future(anext(self._news))
        done, _ = await asyncio.wait({self._next}, timeout=RECHECK_S)
        if not done:
            return False
        following, self._next = self._next, None
        return not isinstance(following.exception(), StopAsyncIteration) or None

    def close(self) -> None:
        """Stop waiting."""
        if self._next is not None:
            self._next.cancel()


def place_of(last_event_id: str | None) -> int | None:
    """The number a client's last event id stands for; None when it has none, or what it has is no number of ours."""
    is_number = last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < 19  # noqa: PLR2004 - a bigint
    return int(last_event_id) if is_number and last_event_id is not None else None
