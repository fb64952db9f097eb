"""Serve an ASGI application until told to stop, then let what is in flight finish."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import uvicorn
from starlette.types import ASGIApp

_DRAIN_S = 8
_KEEP_ALIVE_S = 15


def _nothing() -> None:
    """Nobody waits for it."""


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours: they must also stop the worker and the database."""

    ready: Callable[[], None] = staticmethod(_nothing)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Catch none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, then say so."""
        await super().startup(sockets)
        self.ready()


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    running: Callable[[], AbstractAsyncContextManager[None]],
    ready: Callable[[], None] = _nothing,
) -> None:
    """Serve until SIGINT or SIGTERM. running wraps the background parts; ready is called when connections are taken.

    After the signal no new connection is taken and requests in flight have some seconds to finish.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
        h11_max_incomplete_event_size=64 * 1024,
        ws="none",
    )
    server = _Server(config)
    server.ready = ready
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, server)
    async with running():
        await server.serve()


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True
