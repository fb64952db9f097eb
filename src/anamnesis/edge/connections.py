"""One client's connection: how large a request's head may be, and how long a client may take over anything."""

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from anamnesis.edge.headers import MANNERS

_CLOSE: Final = (b"connection", b"close")
_REQUEST_TIMEOUT: Final = 408
_HEAD_TOO_LARGE: Final = 431


@dataclass(frozen=True, slots=True)
class Patience:
    """What a connection may cost. Times are in seconds; a setting, so that a test need not wait.

    A head (request line and headers) must be whole within head_s of its first byte, or of connecting. A body has
    body_s, and a second more for each slowest_bytes_per_s it has brought: a photo over 2G is slow, and is no attack.
    A client that reads nothing for read_s while there is more to send is let go. When the server stops, a connection
    without a request keeps farewell_s, for one may be on its way.
    """

    head_s: float = 10
    body_s: float = 30
    read_s: float = 30
    slowest_bytes_per_s: int = 2048
    head_bytes: int = 64 * 1024
    headers: int = 200
    sweep_s: float = 1.0
    farewell_s: float = 0.5


PATIENCE: Final = Patience()


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection with limits of its own; see Patience.

    Times are only noted down here and compared by sweep(), once a second for all connections: a timer for every
    request would cost more than most requests do.
    """

    def __init__(self, *given: Any, patience: Patience = PATIENCE, **named: Any) -> None:
        super().__init__(*given, **named)
        self.patience = patience
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._paused_since: float | None = None
        self._head_bytes = 0
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the parent has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Parse; a head that grows past its limit is refused before it is whole."""
        if self._head_since is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_since is not None and self._head_bytes > self.patience.head_bytes:
            self._refuse(_HEAD_TOO_LARGE, b"The request's headers are too large.")

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of the head."""
        super().on_message_begin()
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Hand the request over, or the refusal of a head that came whole and too large."""
        self._head_since, self._head_bytes = None, 0
        self._body_since, self._body_bytes = self.loop.time(), 0
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.patience.head_bytes or len(self.headers) > self.patience.headers:
            # The parser of addresses gives up on long ones before anybody could answer.
            self.app, self.url = _head_too_large, b"/"
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing more."""
        self._body_since = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        self._paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._paused_since = None
        super().resume_writing()

    def shutdown(self) -> None:
        """Be the last: end after the answer under way, or when no request comes any more."""
        if self._is_idle:
            self.loop.call_later(self.patience.farewell_s, self._leave)
        else:
            super().shutdown()

    def _leave(self) -> None:
        if self._is_idle and not self.transport.is_closing():
            self.transport.close()

    def end_if_overdue(self, now: float) -> None:
        """Let go of a client that has used up our patience; now is the loop's time."""
        if self.transport is None or self.transport.is_closing():
            return
        if _is_over(self._paused_since, self.patience.read_s, now):
            # What it did not read would otherwise be kept for it until it does.
            self.transport.abort()
        elif _is_over(self._body_since, self._body_allowance_s, now):
            self.transport.close()
        elif self._is_idle and _is_over(self._head_since, self.patience.head_s, now):
            self._refuse(_REQUEST_TIMEOUT, b"The request did not arrive in time.")

    @property
    def _body_allowance_s(self) -> float:
        return self.patience.body_s + self._body_bytes / self.patience.slowest_bytes_per_s

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP. The text is ours; the library's says the same."""
        del msg
        self._refuse(400, b"This is not a valid HTTP request.")

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer below the application, with the same manners, and close. An answer under way is only closed."""
        if self.transport.is_closing():
            return
        if self._is_idle:
            headers = [*self.server_state.default_headers, *_refusal_headers(text), _CLOSE]
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", text]))
        self.transport.close()


def _is_over(since: float | None, allowed_s: float, now: float) -> bool:
    return since is not None and now - since > allowed_s


def _refusal_headers(text: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-request-id", uuid.uuid4().hex.encode()),
        *MANNERS,
    ]


async def _head_too_large(_: Scope, __: Receive, send: Send) -> None:
    text = b"The request's headers are too large."
    headers = [*_refusal_headers(text), _CLOSE]
    await send({"type": "http.response.start", "status": _HEAD_TOO_LARGE, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def sweep(connections: Iterable[Any], patience: Patience) -> None:
    """Look at every connection again and again, until cancelled. connections is the server's own, living set."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(patience.sweep_s)
        now = loop.time()
        for connection in list(connections):
            if isinstance(connection, BoundedConnection):
                connection.end_if_overdue(now)
