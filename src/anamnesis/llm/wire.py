"""What every provider's adapter shares: a bounded HTTP client, the times in headers, failures by status."""

import asyncio
import email.utils
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

import httpx2
import msgspec

from anamnesis.kernel.inside import is_inside
from anamnesis.llm.port import ModelBroken, ModelBusy, ModelFailed, ModelMisconfigured, ModelUnavailable

#: No answer to one question is longer; what is, is cut off and unusable.
LONGEST_BODY: Final = 256 * 1024
#: The same told as it grows, where every few letters come in an envelope of their own.
LONGEST_STREAM: Final = 2 * 1024 * 1024
#: The most calls one process has open at a time.
MOST_CONNECTIONS: Final = 256
#: The most pieces one growing answer may come in, some for every token, and how many are read in one go.
_MOST_PIECES: Final = 4096
_AT_ONCE: Final = 16
#: The most tokens one answer may take, thinking included.
MOST_TOKENS: Final = 2048
#: What an SDK raises, on purpose or over a body it did not expect, besides errors of its own family.
SDK_FAULTS: Final = (
    httpx2.HTTPError, OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError,
)  # fmt: skip
_SPARED_S: Final = 0.25
_SHORTEST_STEP_S: Final = 0.01
_BUSY: Final = 429
_OVERLOADED: Final = frozenset({503, 529})
_SERVER_FAULT: Final = 500
_REQUEST_TIMEOUT: Final = 408


_Piece = TypeVar("_Piece")
_begun: ContextVar[list[httpx2.Response] | None] = ContextVar("begun", default=None)


class TooLong(httpx2.TransportError):
    """The body is longer than an answer can be, or packed so that nobody can tell."""


class OutsideForbidden(httpx2.TransportError):
    """This deployment forbids what is outside of it, so nothing was sent and no connection was begun."""


class _Inside(httpx2.AsyncBaseTransport):
    """A transport to the deployment's own addresses; for any other nothing is opened, not even to ask for its name."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not is_inside(request.url.host):
            raise OutsideForbidden("an address outside of the deployment")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with TooLong rather than without end."""

    def __init__(self, inner: httpx2.AsyncByteStream, longest: int) -> None:
        self._inner, self._left = inner, longest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLong("the body is too long")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooLong("the body is packed")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    if (begun := _begun.get()) is not None:
        begun.append(response)
    is_growing = response.headers.get("content-type", "").startswith("text/event-stream")
    response.stream = _Bounded(response.stream, LONGEST_STREAM if is_growing else LONGEST_BODY)


def bounded_client(*, timeout_s: float, is_outside_forbidden: bool = False) -> httpx2.AsyncClient:
    """A client that reads no more than an answer's length, follows nobody elsewhere and verifies certificates.

    timeout_s is a backstop for each step of a call; the whole call is bounded by whoever makes it. With
    is_outside_forbidden every request to an address that is not the deployment's own raises OutsideForbidden, and no
    proxy of the environment is used.
    """
    limits = httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=16, keepalive_expiry=30)
    own = _Inside(httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)) if is_outside_forbidden else None
    return httpx2.AsyncClient(
        transport=own,
        trust_env=not is_outside_forbidden,
        timeout=httpx2.Timeout(timeout_s),
        limits=limits,
        follow_redirects=False,
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [_bound]},
    )


def step_s(deadline_s: float) -> float:
    """How long each step of a call may take, in seconds: a little less than the whole.

    A transport closes the connection of a step that took too long by itself. One that is cancelled while it shakes
    hands stays open until its memory is collected.
    """
    return max(_SHORTEST_STEP_S, deadline_s - min(_SPARED_S, deadline_s / 10))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait a Retry-After header asks for, in seconds; None when there is none that can be read."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


@asynccontextmanager
async def let_go() -> AsyncIterator[None]:
    """Close every answer that was begun inside, whole or not: an SDK does so only when its generators are collected."""
    begun: list[httpx2.Response] = []
    token = _begun.set(begun)
    try:
        yield
    finally:
        _begun.reset(token)
        for response in begun:
            await response.aclose()


async def paced(pieces: AsyncIterator[_Piece]) -> AsyncIterator[_Piece]:
    """The pieces, others getting their turn in between however fast they come. Raises ModelBroken for too many."""
    count = 0
    async for piece in pieces:
        count += 1
        if count > _MOST_PIECES:
            raise ModelBroken("too_long")
        if count % _AT_ONCE == 0:
            await asyncio.sleep(0)
        yield piece


@contextmanager
def in_its_protocol() -> Iterator[None]:
    """While an answer is read as it comes: whatever it trips over there is no answer. Raises ModelBroken."""
    try:
        yield
    except (msgspec.ValidationError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ModelBroken("not_its_protocol") from None


def failure_of(status: int, headers: Mapping[str, str]) -> ModelFailed:
    """What an HTTP status means. A busy server that names a time is busy; one that does not is away."""
    wait = retry_after_s(headers)
    if status == _BUSY or (status in _OVERLOADED and wait is not None):
        return ModelBusy(f"http_{status}", retry_after_s=wait)
    if status >= _SERVER_FAULT or status == _REQUEST_TIMEOUT:
        return ModelUnavailable(f"http_{status}")
    return ModelMisconfigured(f"http_{status}")


def unreachable(error: Exception) -> ModelFailed:
    """What a failed transport means: away, or never to be trusted as it is (a certificate that does not verify)."""
    name = type(error).__name__
    if any(isinstance(each, OutsideForbidden) for each in _chain(error)):
        return ModelMisconfigured("outside_forbidden")
    is_untrusted = any("certificate" in str(each).lower() for each in _chain(error))
    return ModelMisconfigured("certificate") if is_untrusted else ModelUnavailable(name)


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
