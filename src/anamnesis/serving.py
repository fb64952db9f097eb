"""Serve an ASGI application until told to stop, then let what is in flight finish."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from anamnesis.content import load_content
from anamnesis.edge.connections import PATIENCE, BoundedConnection, Patience, sweep
from anamnesis.edge.draining import Drain, Draining
from anamnesis.journal import log

_KEEP_ALIVE_S: Final = 15
_BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class Stopping:
    """How long stopping takes at most, in seconds: notice_s, then finish_s, and total_s with everything else.

    During the notice connections are still taken, while readiness says no and every answer closes its connection, so
    that a balancer and keep-alive clients go elsewhere by themselves.
    """

    notice_s: float = 0.5
    finish_s: int = 7
    total_s: float = 9.5


STOPPING: Final = Stopping()


def _nothing() -> None:
    """Nobody waits for it."""


#: Objects made before the collector looks for rings. What reading a message makes, thousands of tuples, goes by itself;
#: looking through it every 700, as Python does, cost a tenth of the slowest messages (`docs/speed.md`).
_SELDOM: Final = (20_000, 20, 100)


def settle() -> None:
    """Make ready what the first message would wait for, and take it out of the garbage collector's sight.

    It lives as long as the process; walking the whole lexicon took 90 ms in the midst of somebody's answer.
    """
    content = load_content()
    content.lexicon.prepare()
    content.interview.agenda.prepare()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run the program on uvloop, or on asyncio's own loop where that does not exist."""
    factory = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - it does not exist on Windows

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    running: Callable[[], AbstractAsyncContextManager[None]],
    ready: Callable[[], None] = _nothing,
    drain: Drain | None = None,
    stop: Callable[[], None] = _nothing,
    stopping: Stopping = STOPPING,
    patience: Patience = PATIENCE,
) -> None:
    """Serve until SIGINT or SIGTERM. running wraps the background parts; ready is called when connections are taken.

    The signal begins drain, which readiness should look at, and calls stop, which should keep background parts from
    taking up anything new; then requests in flight finish and running is left, all within stopping's total. A second
    signal waits for nobody. Ends the program with a message when the address cannot be listened on.
    """
    drain = drain or Drain()
    sockets = _listen(host, port)
    server = _Server(_config(Draining(app, drain), stopping, patience))
    server.ready = ready
    shutdown = _Shutdown(server, drain, stop, stopping)
    with _signals(shutdown.begin):
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(running())
            async with _swept(server, patience):
                await server.serve(sockets)
            async with shutdown.bounded():
                await stack.aclose()


def _config(app: ASGIApp, stopping: Stopping, patience: Patience) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(BoundedConnection, patience=patience)),
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=stopping.finish_s,
    )


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, take in whoever the kernel has already let in for us, and let everybody finish.

        Closing alone would reset those clients, whose requests may be on their way.
        """
        spares = [listening.dup() for listening in sockets or ()]
        for server in self.servers:
            server.close()
        waiting = [connection for spare in spares for connection in _take_all(spare)]
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state={})
        return made


class _Shutdown:
    """The way from the first signal to the end."""

    def __init__(self, server: uvicorn.Server, drain: Drain, stop: Callable[[], None], stopping: Stopping) -> None:
        self._server, self._drain, self._stop, self._stopping = server, drain, stop, stopping
        self._deadline: float | None = None

    def begin(self) -> None:
        """Take a signal."""
        if self._deadline is not None:
            self._server.should_exit = self._server.force_exit = True
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + self._stopping.total_s
        self._drain.begin()
        self._stop()
        log.info("serve.stop", phase="started")
        loop.call_later(self._stopping.notice_s, self._take_no_more)

    def _take_no_more(self) -> None:
        self._server.should_exit = True

    @contextlib.asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Bound what is left to do by what is left of the time; past it, it is cancelled."""
        loop = asyncio.get_running_loop()
        deadline = self._deadline or loop.time() + self._stopping.total_s
        try:
            async with asyncio.timeout_at(max(deadline, loop.time() + 0.5)):
                yield
        except TimeoutError:
            log.error("serve.stop", phase="error", error_code="STOPPED_LATE")
            return
        log.info("serve.stop", phase="completed")


@contextlib.contextmanager
def _signals(handler: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _swept(server: uvicorn.Server, patience: Patience) -> AsyncIterator[None]:
    sweeping = asyncio.create_task(sweep(server.server_state.connections, patience), name="sweep")
    try:
        yield
    finally:
        sweeping.cancel()


def _take_all(spare: socket.socket) -> list[socket.socket]:
    """Every connection that waits at the door; then the door is gone for good."""
    waiting = []
    with contextlib.closing(spare), contextlib.suppress(BlockingIOError):
        spare.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        while True:
            connection, _ = spare.accept()
            connection.setblocking(False)  # noqa: FBT003 - same
            waiting.append(connection)
    return waiting


def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address the host has. Ends the program with a message where that is not possible."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [_bound(family, address) for family, _, _, _, address in dict.fromkeys(found)]
    except OSError as error:
        raise SystemExit(f"cannot listen on {host}:{port}: {error.strerror}") from None


def _bound(family: int, address: Any) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # Otherwise `::` would take 0.0.0.0 as well, and then only on some systems.
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return listening
