"""The ASGI application: run the calls of one request, and answer in the form it asked for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from anamnesis.edge import superjson
from anamnesis.edge.events import events
from anamnesis.edge.faults import retry_headers
from anamnesis.edge.running import Guard, Observe, unobserved
from anamnesis.edge.trpc import lines
from anamnesis.edge.trpc.calls import Calls, ClientGone, Inputs, Receive, Scope, read_calls
from anamnesis.edge.trpc.errors import TrpcError, error_shape, trpc_fault
from anamnesis.edge.trpc.exchange import Exchange, Service
from anamnesis.edge.trpc.options import TrpcOptions
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Kind, Registry, Request

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Json = Any

_VARY: Final = (b"vary", b"trpc-accept, accept")
_JSON: Final = (b"content-type", b"application/json")
_REQUEST_LEVEL: Final = (b"content-type", b"text/plain;charset=UTF-8")
_NO_CONTENT: Final = 204


class TrpcApp:
    """Serves a registry's procedures. request_of makes what all calls of one HTTP request share."""

    def __init__(
        self,
        registry: Registry,
        *,
        guard: Guard,
        request_of: Callable[[Scope], Awaitable[Request]],
        options: TrpcOptions | None = None,
        observe: Observe = unobserved,
    ) -> None:
        self._options = options or TrpcOptions()
        self._service = Service(registry, guard, request_of, self._options, observe)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "HEAD":
            await _respond(send, _NO_CONTENT, [], b"")
            return
        try:
            calls = read_calls(scope, self._service.registry, self._options)
        except TrpcError as refused:
            await self._refuse(refused, send)
            return
        exchange = Exchange(self._service, calls, Inputs(calls, receive, self._options), scope)
        try:
            await exchange.inputs.load()
        except ClientGone:
            return
        if calls.is_stream:
            await self._answer_lines(exchange, receive, send)
        elif calls.kind == Kind.SUBSCRIPTION and not calls.is_batch:
            await self._answer_events(exchange, receive, send)
        else:
            await self._answer(exchange, send)

    async def _refuse(self, refused: TrpcError, send: Send) -> None:
        """Answer a request that is wrong as a whole: one error without a path, whatever was asked."""
        headers = _joined([_REQUEST_LEVEL, *self._common()], self._meta(None, "unknown", 1, 1))
        await _respond(send, trpc_fault(refused).status, headers, self._text(self._error(refused, None, None)))

    # -- plain answers -------------------------------------------------------------------------------------------

    async def _answer(self, exchange: Exchange, send: Send) -> None:
        calls = exchange.calls
        runs = [self._outcome(exchange, index) for index in range(len(calls.calls))]
        outcomes = [await runs[0]] if len(runs) == 1 else await asyncio.gather(*runs)  # one needs no task of its own
        statuses = {status for status, _, _ in outcomes}
        failures = [error for _, _, error in outcomes if error is not None]
        headers = [_JSON, *self._common(), *self._failure_headers(calls, failures)]
        headers = _joined(headers, self._meta(calls.paths, calls.kind, len(failures), len(calls.calls)))
        texts = [text for _, text, _ in outcomes]
        body = b"[" + b",".join(texts) + b"]" if calls.is_batch else texts[0]
        await _respond(send, statuses.pop() if len(statuses) == 1 else 207, headers, body)

    async def _outcome(self, exchange: Exchange, index: int) -> tuple[int, bytes, BaseException | None]:
        """One call's status, its JSON text and its error."""
        path: str | None = exchange.calls.calls[index].path
        try:
            value = await exchange.run(index)
            # From here on a single call has no path to tell: the genuine server fails outside of it.
            path = path if exchange.calls.is_batch else None
            if lines.is_deferred(value):
                lines.discard(value)
                text = "Cannot use stream-like response in non-streaming request - use httpBatchStreamLink"
                raise TrpcError("UNSUPPORTED_MEDIA_TYPE", text)  # noqa: TRY301 - one road for every failure
            return 200, self._text(self._result(value)), None
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            if isinstance(error, superjson.Unencodable):
                exchange.note(index, error)
            return trpc_fault(error).status, self._text(self._error(error, path, exchange.request)), error

    def _result(self, value: object) -> Json:
        if self._options.plain:
            data = superjson.plain(value)
            return {"result": {} if data is UNDEFINED else {"data": data}}
        return {"result": {"data": superjson.envelope(value)}}

    def _error(self, error: BaseException, path: str | None, request: Request | None) -> Json:
        return {"error": self._encode(error_shape(error, path, request, self._options))}

    def _encode(self, value: object) -> Json:
        return superjson.plain(value) if self._options.plain else superjson.envelope(value)

    @staticmethod
    def _text(shape: Json) -> bytes:
        return superjson.json_text(shape)

    # -- headers -------------------------------------------------------------------------------------------------

    def _common(self) -> Headers:
        return [(b"access-control-allow-origin", b"*"), _VARY] if self._options.cors else [_VARY]

    def _meta(self, paths: Sequence[str] | None, kind: str, errors: int, calls: int) -> Headers:
        if self._options.response_meta is None:
            return []
        further = self._options.response_meta(paths, kind, errors, calls)
        return [(name.encode(), value.encode()) for name, value in further.items()]

    def _failure_headers(self, calls: Calls, failures: Sequence[BaseException]) -> Headers:
        headers: Headers = []
        if any(trpc_fault(error).code == "METHOD_NOT_SUPPORTED" for error in failures):
            headers.append((b"allow", self._allowed(calls)))
        told = retry_headers(failures)
        return [*headers, *((name.encode(), value.encode()) for name, value in told.items())]

    def _allowed(self, calls: Calls) -> bytes:
        kinds = {call.bound.procedure.kind for call in calls.calls if call.bound}
        if kinds == {Kind.MUTATION}:
            return b"POST"
        return b"GET, POST" if self._options.allow_method_override else b"GET"

    # -- streams -------------------------------------------------------------------------------------------------

    async def _answer_lines(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        written = lines.JsonLines(
            calls=len(exchange.calls.calls),
            run=exchange.run,
            failed=exchange.shape_of,
            encode=self._encode,
            ping_s=self._options.jsonl_ping_s,
        )
        await _stream(send, receive, self._stream_headers(exchange.calls, [_JSON]), written.produce())

    async def _answer_events(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache, no-transform"),
            (b"x-accel-buffering", b"no"),
        ]
        told = events(
            lambda: exchange.run(0),
            failed=lambda error: exchange.shape_of(error, 0),
            encode=self._encode,
            options=self._options.sse,
            disabled=TrpcError("METHOD_NOT_SUPPORTED", 'Missing experimental flag "sseSubscriptions"'),
            last_id=exchange.calls.last_event_id,
        )
        await _stream(send, receive, self._stream_headers(exchange.calls, headers), told)

    def _stream_headers(self, calls: Calls, headers: Headers) -> Headers:
        """A stream's headers are sent before its calls have run; only what is refused beforehand shows in them."""
        override = self._options.allow_method_override
        refused = [each for call in calls.calls if (each := calls.refusal(call, allow_method_override=override))]
        headers = [*headers, *self._common(), *self._failure_headers(calls, refused)]
        return _joined(headers, self._meta(calls.paths, calls.kind, 0, 0))


def _joined(headers: Headers, further: Headers) -> Headers:
    """Headers and further ones; a name in both has both values, as a Headers object of fetch appends them."""
    joined = dict(headers)
    for name, value in further:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return list(joined.items())


async def _respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    if status != _NO_CONTENT:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send, receive: Receive, headers: Headers, chunks: AsyncIterator[bytes]) -> None:
    """Send chunks as they come; when the client leaves, stop producing them."""
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def produce() -> None:
        async with aclosing(chunks):  # type: ignore[type-var]  # every caller passes a generator
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    producing = asyncio.ensure_future(produce())
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({producing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if producing.done():
            producing.result()
    finally:
        for task in (producing, leaving):
            task.cancel()
        await asyncio.gather(producing, leaving, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
