"""Stopping without cutting anybody off: say so first, finish what has begun, send long listeners away."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Drain:
    """Whether this process is about to stop. Readiness looks at it; once begun it never ends."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether no new work should be sent here."""
        return self._begun.is_set()

    def begin(self) -> None:
        """From now on readiness says no, and every answer closes its connection. Call it inside the running loop."""
        self._begun.set()

    async def begun(self) -> None:
        """Wait until it begins."""
        await self._begun.wait()


class Draining:
    """ASGI middleware: while draining, answers carry ``Connection: close`` and event streams come to an end.

    An event stream never ends by itself, so its application is told that the client has left and its body is closed in
    good order: the client connects again, elsewhere, and resumes after the last event it saw. Everything else that has
    begun is left to finish.
    """

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _wants_events(scope):
            await _Listener(self._drain, receive, send).run(self._app, scope)
        else:
            await self._app(scope, receive, self._closing(send))

    def _closing(self, send: Send) -> Send:
        async def send_closing(message: Message) -> None:
            await send(_with_close(message) if self._drain.has_begun else message)

        return send_closing


class _Listener:
    """One request that may be answered by an event stream."""

    def __init__(self, drain: Drain, receive: Receive, send: Send) -> None:
        self._drain, self._receive, self._send = drain, receive, send
        self._is_stream = self._is_complete = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._receive_or_leave, self._watch)
        if self._is_stream and not self._is_complete and self._drain.has_begun:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _receive_or_leave(self) -> Message:
        told = asyncio.ensure_future(self._receive())
        leaving = asyncio.ensure_future(self._drain.begun())
        try:
            await asyncio.wait({told, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if told.done() or not self._is_stream:
                return await told
            return {"type": "http.disconnect"}
        finally:
            told.cancel()
            leaving.cancel()

    async def _watch(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_stream = any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in message.get("headers", ())
            )
        elif not message.get("more_body", False):
            self._is_complete = True
        await self._send(_with_close(message) if self._drain.has_begun else message)


def _wants_events(scope: Scope) -> bool:
    # Only a request that may stay open for hours pays for being watched.
    return scope["method"] == "GET" and any(
        name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"]
    )


def _with_close(message: Message) -> Message:
    if message["type"] != "http.response.start":
        return message
    return {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
