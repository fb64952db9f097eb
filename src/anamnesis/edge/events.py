"""Server-sent events: one subscription as the stream tRPC's clients and a browser's EventSource read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from anamnesis.edge.superjson import json_text
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Tracked
from anamnesis.schema import as_wire

Json = Any
Encode = Callable[[object], Json]

_RETURN: Final = b"event: return\ndata: \n\n\n"
_PING: Final = b"event: ping\ndata: \n\n\n"
_FORBIDDEN_IN_ID: Final = frozenset("\r\n\0")


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


async def events(
    start: Callable[[], Awaitable[Any]],
    *,
    failed: Callable[[BaseException], Json],
    encode: Encode,
    options: SseOptions,
    disabled: BaseException,
    last_id: str | None = None,
) -> AsyncIterator[bytes]:
    """The subscription's events: connected first, always; then values, pings in silence, and how it ended.

    start enters the procedure and answers its values; last_id is where the client says it stopped. Closing this
    generator closes the values. Anything that fails becomes one event, made by failed, and the end.
    """
    yield b"event: connected\ndata: " + json_text(options.client) + b"\n\n\n"
    source: Any = None
    try:
        source = await start()
        if not options.enabled:
            raise disabled  # noqa: TRY301 - one road for every failure
        resumed = last_id if last_id and _FORBIDDEN_IN_ID.isdisjoint(last_id) else None  # it is a stranger's word
        async for chunk in _values(source, encode, options, resumed):
            yield chunk
    except Exception as error:  # noqa: BLE001 - the edge answers everything
        yield b"event: serialized-error\ndata: " + json_text(encode(failed(error))) + b"\n\n\n"
    finally:
        if hasattr(source, "aclose"):
            with suppress(RuntimeError):  # it is running still when the wait for its next value was cut
                await source.aclose()


async def _values(source: Any, encode: Encode, options: SseOptions, last_id: str | None) -> AsyncIterator[bytes]:
    values = aiter(source)
    loop = asyncio.get_running_loop()
    end = None if options.max_duration_s is None else loop.time() + options.max_duration_s
    following: asyncio.Task[Any] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(values, _RETURN))
            done, _ = await asyncio.wait({following}, timeout=_pause(options.ping_s, end, loop.time()))
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
    return min(pauses, default=None)


def _event(value: object, encode: Encode, last_id: str | None) -> list[bytes]:
    """A value's event. An untracked one after a tracked one must not make the client forget where it was."""
    if isinstance(value, Tracked):
        return [_data(value.value, encode) + b"\nid: " + _event_id(value.id) + b"\n\n\n"]
    if last_id is None:
        return [_data(value, encode) + b"\n\n\n"]
    restored = b"event: restore-id\ndata: \nid: " + _event_id(last_id) + b"\n\n\n"
    return [_data(value, encode) + b"\nid: \n\n\n", restored]


def _data(value: object, encode: Encode) -> bytes:
    encoded = encode(as_wire(value))
    return b"data: " + (b"undefined" if encoded is UNDEFINED else json_text(encoded))


def _event_id(text: str) -> bytes:
    if not text or not _FORBIDDEN_IN_ID.isdisjoint(text):
        raise ValueError("an event's id is not empty and has no line break or NUL")
    return text.encode(errors="replace")
