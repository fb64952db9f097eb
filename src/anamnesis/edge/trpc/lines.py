"""JSON Lines: a batch whose answers come one by one, and may come in parts."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from anamnesis.edge.events import Returned
from anamnesis.edge.superjson import json_text
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.schema import as_wire

Json = Any
Encode = Callable[[object], Json]

#: Kinds of a part still to come, and how it goes on, as the genuine client numbers them.
PROMISE: Final = 0
ITERABLE: Final = 1
_FULFILLED, _REJECTED = 0, 1
_RETURNED, _YIELDED, _FAILED = 0, 1, 2


def is_deferred(value: object) -> bool:
    """Whether the value, or a direct property of it, is still to come."""
    return any(map(_is_to_come, value.values() if isinstance(value, dict) else (value,)))


def _is_to_come(value: object) -> bool:
    return inspect.isawaitable(value) or hasattr(value, "__aiter__")


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

    run answers a call's value or raises; failed makes an error's shape; encode makes each line an envelope.
    Chunk ids are handed out in the order in which values are found to be deferred. ping_s is in seconds.
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
        """Every line as it becomes known. Closing this generator cancels what is still running."""
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

        self._tasks.add(asyncio.ensure_future(run()))
        return chunk

    async def _call(self, chunk: int, index: int) -> None:
        """One call: a promise of {result: promise of {data: promise of the value}}."""
        try:
            value = await self.run(index)
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            self._put([chunk, _FULFILLED, [[{"error": self.failed(error, index)}]]])
            return
        for name in ("result", "data"):
            following = self._next
            self._next += 1
            self._put([chunk, _FULFILLED, [[{name: 0}], [name, PROMISE, following]]])
            chunk = following
            await asyncio.sleep(0)
        self._settle(chunk, _FULFILLED, value, index, on_failure=_REJECTED)

    def _settle(self, chunk: int, status: int, value: object, index: int, *, on_failure: int) -> bool:
        """Put a value's line, or the line of its failure when it cannot be written; whether it could."""
        try:
            self._put([chunk, status, self._parts(value, index)])
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            discard(value)
            self._put([chunk, on_failure, self.failed(error, index)])
            return False
        return True

    def _parts(self, value: object, index: int) -> list[Json]:
        """The value with a placeholder for each part still to come, and where those parts belong."""
        if _is_to_come(value):
            return [[0], self._describe(None, value, index)]
        value = as_wire(value)
        if value is UNDEFINED:
            return [[]]
        if not isinstance(value, dict):
            return [[value]]
        to_come = {key: member for key, member in value.items() if _is_to_come(member)}
        here = {key: 0 if key in to_come else member for key, member in value.items()}
        if to_come:
            self.encode(here)  # what cannot be written fails before a part of it is waited for
        return [[here], *(self._describe(key, member, index) for key, member in to_come.items())]

    def _describe(self, key: str | None, value: Any, index: int) -> list[Json]:
        if hasattr(value, "__aiter__"):
            return [key, ITERABLE, self._spawn(lambda chunk: self._iterate(chunk, value, index))]
        return [key, PROMISE, self._spawn(lambda chunk: self._await(chunk, value, index))]

    async def _await(self, chunk: int, value: Awaitable[object], index: int) -> None:
        try:
            settled = await value
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            self._put([chunk, _REJECTED, self.failed(error, index)])
            return
        self._settle(chunk, _FULFILLED, settled, index, on_failure=_REJECTED)

    async def _iterate(self, chunk: int, values: Any, index: int) -> None:
        try:
            async with aclosing(values) if hasattr(values, "aclose") else nullcontext():
                returned = await self._yielded(chunk, values, index)
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            self._put([chunk, _FAILED, self.failed(error, index)])
            return
        if returned is not None:
            self._settle(chunk, _RETURNED, returned.value, index, on_failure=_FAILED)

    async def _yielded(self, chunk: int, values: Any, index: int) -> Returned | None:
        """Put each value's line; what the iterable returned, or None when a value could not be written."""
        async for value in values:
            if isinstance(value, Returned):
                return value
            if not self._settle(chunk, _YIELDED, value, index, on_failure=_FAILED):
                return None
        return Returned(UNDEFINED)
