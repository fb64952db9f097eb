"""One ASGI application of all protocols: routes, limits, headers. Nothing clinical."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send


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
