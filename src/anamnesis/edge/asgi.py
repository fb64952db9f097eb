"""One ASGI application of all protocols: routes, limits, headers. Nothing clinical."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anamnesis.journal import log


class Switch:
    """Chooses the application by the path's beginning; the busiest road is asked first."""

    def __init__(self, roads: Iterable[tuple[str, ASGIApp]], otherwise: ASGIApp) -> None:
        self._roads = tuple(roads)
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            path = scope["path"]
            for beginning, app in self._roads:
                if path == beginning or path.startswith(beginning + "/"):
                    await app(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)


class LastResort:
    """Answers what nobody else caught: a fixed text for the caller, the type and the frames for the journal."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens inside."""
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            log.error("edge.request", phase="error", error_code="INTERNAL_SERVER_ERROR", exc_info=error)
            if not has_begun:
                await _apologise(send)


async def _apologise(send: Send) -> None:
    body = b"Something went wrong on our side. What was confirmed is safe. Please try again."
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
