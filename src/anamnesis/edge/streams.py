"""The two streamed forms of tRPC 11: JSON Lines for batches, server-sent events for subscriptions."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from anamnesis.edge.superjson import json_text
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Tracked

Json = Any
Encode = Callable[[object], Json]

PROMISE: Final = 0
ITERABLE: Final = 1


def is_deferred(value: object) -> bool:
    """Whether the value, or a direct property of it, is still to come."""
    members = value.values() if isinstance(value, dict) else (value,)
    return any(inspect.isawaitable(member) or hasattr(member, "__aiter__") for member in members)


def discard(value: object) -> None:
    """Let go of deferred parts nobody will wait for."""
    for member in value.values() if isinstance(value, dict) else (value,):
        if inspect.iscoroutine(member):
            member.close()
        elif isinstance(member, asyncio.Future):
            member.cancel()


@dataclass(slots=True)
class JsonLines:
    """Writes a batch as lines: a head, then each promise or iterable as it settles.

    Chunk ids are handed out in the order in which values are found to be deferred.
    """

    calls: int
    run: Callable[[int], Awaitable[object]]
    failed: Callable[[BaseException, int], Json]
    encode: Encode
    ping_s: float | None = None
    _next: int = 0
    _open: int = 0
    _lines: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def produce(self) -> AsyncIterator[bytes]:
        """Every line as it becomes known."""
        try:
            head: dict[str, Json] = {}
            for index in range(self.calls):
                chunk = self._spawn(partial(self._call, index=index))
                head[str(index)] = [[0], [None, PROMISE, chunk]]
            yield self._line(head)
            while self._open or not self._lines.empty():
                line = await self._next_line()
                if line is not None:
                    yield line
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _next_line(self) -> bytes | None:
        if self.ping_s is None:
            return await self._lines.get()
        try:
            return await asyncio.wait_for(self._lines.get(), self.ping_s)
        except TimeoutError:
            return b" "

    def _line(self, value: Json) -> bytes:
        return json_text(self.encode(value)) + b"\n"

    def _put(self, value: Json) -> None:
        self._lines.put_nowait(self._line(value))

    def _spawn(self, work: Callable[[int], Awaitable[None]]) -> int:
        chunk = self._next
        self._next += 1
        self._open += 1

        async def run() -> None:
            try:
                await work(chunk)
            finally:
                self._open -= 1
                self._lines.put_nowait(None)

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        return chunk

    async def _call(self, chunk: int, index: int) -> None:
        """One call: a promise of {result: promise of {data: promise of the value}}."""
        try:
            value = await self.run(index)
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            self._put([chunk, 0, [[{"error": self.failed(error, index)}]]])
            return
        for name in ("result", "data"):
            following = self._next
            self._next += 1
            self._put([chunk, 0, [[{name: 0}], [name, PROMISE, following]]])
            chunk = following
            await asyncio.sleep(0)
        self._put([chunk, 0, self._deferred(value, index)])

    def _deferred(self, value: object, index: int) -> list[Json]:
        """The value with a placeholder for each part still to come, and where those parts belong."""
        if inspect.isawaitable(value) or hasattr(value, "__aiter__"):
            return [[0], self._describe(None, value, index)]
        if value is UNDEFINED:
            return [[]]
        if not isinstance(value, dict):
            return [[value]]
        described = [
            self._describe(key, member, index)
            for key, member in value.items()
            if inspect.isawaitable(member) or hasattr(member, "__aiter__")
        ]
        places = {description[0] for description in described}
        return [[{key: 0 if key in places else member for key, member in value.items()}], *described]

    def _describe(self, key: str | None, value: Any, index: int) -> list[Json]:
        if hasattr(value, "__aiter__"):
            return [key, ITERABLE, self._spawn(lambda chunk: self._iterate(chunk, value, index))]
        return [key, PROMISE, self._spawn(lambda chunk: self._await(chunk, value, index))]

    async def _await(self, chunk: int, value: Awaitable[object], index: int) -> None:
        try:
            self._put([chunk, 0, self._deferred(await value, index)])
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            self._put([chunk, 1, self.failed(error, index)])

    async def _iterate(self, chunk: int, values: Any, index: int) -> None:
        returned: object = UNDEFINED
        try:
            async for value in values:
                if isinstance(value, Returned):
                    returned = value.value
                    break
                self._put([chunk, 1, self._deferred(value, index)])
            self._put([chunk, 0, self._deferred(returned, index)])
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            self._put([chunk, 2, self.failed(error, index)])


@dataclass(frozen=True, slots=True)
class Returned:
    """What an async generator of ours yields last to say what JavaScript's would return."""

    value: object


@dataclass(frozen=True, slots=True)
class SseOptions:
    """How events are sent. Times are in seconds; client is what the client is told when it connects."""

    enabled: bool = True
    ping_s: float | None = 20.0
    max_duration_s: float | None = None
    client: dict[str, Json] = field(default_factory=dict)


_RETURN: Final = b"event: return\ndata: \n\n\n"
_PING: Final = b"event: ping\ndata: \n\n\n"


async def events(
    start: Callable[[], Awaitable[Any]],
    *,
    failed: Callable[[BaseException], Json],
    encode: Encode,
    options: SseOptions,
    disabled: BaseException,
) -> AsyncIterator[bytes]:
    """One subscription as events: connected first, always; then values, pings in silence, and how it ended."""
    yield b"event: connected\ndata: " + json_text(options.client) + b"\n\n\n"
    source: Any = None
    try:
        if not options.enabled:
            raise disabled  # noqa: TRY301 - one road for every failure
        source = await start()
        async for chunk in _values(source, encode, options):
            yield chunk
    except Exception as error:  # noqa: BLE001 - the edge answers everything
        yield b"event: serialized-error\ndata: " + json_text(encode(failed(error))) + b"\n\n\n"
    finally:
        if hasattr(source, "aclose"):
            with suppress(RuntimeError):
                await source.aclose()


async def _values(source: Any, encode: Encode, options: SseOptions) -> AsyncIterator[bytes]:
    last_id: str | None = None
    values = aiter(source)
    loop = asyncio.get_running_loop()
    end = None if options.max_duration_s is None else loop.time() + options.max_duration_s
    following: asyncio.Task[Any] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(values, _RETURN))
            pause = _pause(options.ping_s, end, loop.time())
            done, _ = await asyncio.wait({following}, timeout=pause)
            if not done:
                if end is not None and loop.time() >= end:
                    return
                yield _PING
                continue
            value, following = following.result(), None
            if value is _RETURN or isinstance(value, Returned):
                yield _RETURN
                return
            for chunk in _event(value, encode, last_id):
                yield chunk
            last_id = value.id if isinstance(value, Tracked) else last_id
    finally:
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await following


def _pause(ping_s: float | None, end: float | None, now: float) -> float | None:
    pauses = [each for each in (ping_s, None if end is None else max(0.0, end - now)) if each is not None]
    return min(pauses) if pauses else None


def _event(value: object, encode: Encode, last_id: str | None) -> list[bytes]:
    """A value's event. An untracked one after a tracked one must not make the client forget where it was."""
    if isinstance(value, Tracked):
        return [_data(value.value, encode) + b"\nid: " + _event_id(value.id) + b"\n\n\n"]
    if last_id is None:
        return [_data(value, encode) + b"\n\n\n"]
    restored = b"event: restore-id\ndata: \nid: " + _event_id(last_id) + b"\n\n\n"
    return [_data(value, encode) + b"\nid: \n\n\n", restored]


def _data(value: object, encode: Encode) -> bytes:
    plain = value.model_dump(by_alias=True) if hasattr(value, "model_dump") else value
    return b"data: " + json_text(encode(plain))


def _event_id(text: str) -> bytes:
    if not text or any(character in text for character in "\r\n\0"):
        raise ValueError("an event's id is not empty and has no line break or NUL")
    return text.encode()
