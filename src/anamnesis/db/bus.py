"""Wake-ups for live streams: one listening connection a process, many listeners in it.

A wake-up carries ids and is only a hint: who receives one reads the database. So wake-ups may be doubled and, when
a listener is slow, merged; after any time in which one could have been missed everybody is woken once with "".
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from anamnesis.db.outbox import CHANNEL
from anamnesis.db.postgres import Connection

_QUEUED_AT_MOST: Final = 32
_LONGEST_PAUSE_S: Final = 2.0
_CHECK_EVERY_S: Final = 10.0
_CHECK_WITHIN_S: Final = 3.0
_END: Final = None


async def notify(connection: Connection, topic: str, payload: str = "") -> None:
    """Wake the topic's listeners in every process when the caller's transaction commits.

    payload is an id or a number, never content: it passes through the server in the clear. A topic holds no blank.
    """
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{topic} {payload}".rstrip())


@dataclass(slots=True, eq=False)
class _Listener:
    """The wake-ups one subscriber has not taken yet; the oldest gives way when there are too many."""

    queue: "asyncio.Queue[str | None]" = field(default_factory=lambda: asyncio.Queue(_QUEUED_AT_MOST))

    def wake(self, payload: str | None) -> None:
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(payload)

    async def wakes(self) -> AsyncIterator[str]:
        while (payload := await self.queue.get()) is not _END:
            yield payload


@dataclass(slots=True)
class Bus:
    """Brings notifications of the database to the subscribers in this process.

    dsn must reach the server itself, not a transaction pooler. With listens false (the serverless profile) no
    connection is kept, and every subscriber is woken each poll_s seconds instead.
    """

    dsn: str
    listens: bool = True
    poll_s: float = 3.0
    connect_s: float = 10.0
    _topics: dict[str, set[_Listener]] = field(default_factory=dict, repr=False)
    _task: "asyncio.Task[None] | None" = field(default=None, repr=False)
    _connected: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def start(self) -> None:
        """Begin in the background; subscribing before or after makes no difference."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen() if self.listens else self._poll(), name="bus")

    async def close(self) -> None:
        """Stop, and end every subscription."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._wake_all(_END)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[str]]:
        """The topic's wake-ups from now on, as payloads; "" means that any may have been missed.

        The iterator ends when the bus is closed. Subscribe first, then read the state you mean to keep up with.
        """
        listener = _Listener()
        self._topics.setdefault(topic, set()).add(listener)
        try:
            yield listener.wakes()
        finally:
            self._topics[topic].discard(listener)
            if not self._topics[topic]:
                del self._topics[topic]

    async def connected(self, within_s: float) -> bool:
        """Whether the listening connection is up, after waiting for it at most within_s."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), within_s)
        return self._connected.is_set()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.poll_s)
            self._wake_all("")

    async def _listen(self) -> None:
        """Keep one connection listening; wake everybody whenever there was a gap."""
        pause = 0.1
        while True:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await self._listen_once()
                pause = 0.1
            self._wake_all("")
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _listen_once(self) -> None:
        """Listen until the connection is lost."""
        connection = await asyncpg.connect(
            self.dsn, timeout=self.connect_s, server_settings={"application_name": "anamnesis bus"}
        )
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._received)
            self._connected.set()
            self._wake_all("")
            await self._watch(connection, lost)
        finally:
            self._connected.clear()
            connection.terminate()

    async def _watch(self, connection: "asyncpg.Connection[Any]", lost: asyncio.Event) -> None:
        """Return when the connection is gone; a silent one is asked now and then, for a dead network says nothing."""
        while not lost.is_set():
            try:
                await asyncio.wait_for(lost.wait(), _CHECK_EVERY_S)
            except TimeoutError:
                await connection.fetchval("SELECT 1", timeout=_CHECK_WITHIN_S)

    def _received(self, _connection: object, _pid: int, _channel: str, message: object) -> None:
        topic, _, payload = str(message).partition(" ")
        for listener in self._topics.get(topic, ()):
            listener.wake(payload)

    def _wake_all(self, payload: str | None) -> None:
        for listeners in self._topics.values():
            for listener in listeners:
                listener.wake(payload)
