"""tRPC 11 over HTTP, as the genuine server answers (11.25.2): batches, 207, JSON Lines, subscriptions, every error.

A plain ASGI application: the busiest road takes no framework. Differences from the genuine server are listed in
docs/adr/0010-differences-on-the-wire.md.
"""

import asyncio
import contextlib
import json
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from pydantic import BaseModel, ValidationError

from anamnesis.edge import streams, superjson
from anamnesis.edge.faults import TRPC_FAULTS, Fault, fault_of
from anamnesis.edge.issues import flatten, issue_text, read_input
from anamnesis.edge.running import Guard, Observe, enter, unobserved
from anamnesis.kernel.errors import AnamnesisError, BadInput, Issue
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Bound, Kind, Registry, Request
from anamnesis.schema import Input, issues_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Json = Any

VARY: Final = (b"vary", b"trpc-accept, accept")
_JSON: Final = b"application/json"
_REQUEST_LEVEL_TYPE: Final = b"text/plain;charset=UTF-8"
_KINDS_BY_METHOD: Final[dict[str, frozenset[Kind]]] = {
    "GET": frozenset({Kind.QUERY, Kind.SUBSCRIPTION}),
    "POST": frozenset({Kind.MUTATION}),
}


class TrpcError(Exception):
    """A failure with a code of the protocol's own. Without a message it says its cause's, else its code."""

    def __init__(self, code: str, message: str | None = None, cause: BaseException | None = None) -> None:
        super().__init__(message if message is not None else str(cause) if cause is not None else code)
        self.fault = TRPC_FAULTS.get(code, TRPC_FAULTS["INTERNAL_SERVER_ERROR"])


class OutputInvalid(Exception):
    """A handler answered something else than it declares."""

    def __init__(self, issues: tuple[Issue, ...]) -> None:
        super().__init__("Output validation failed")
        self.issues = issues


@dataclass(frozen=True, slots=True)
class TrpcOptions:
    """How a router is served. The defaults are the service's; the conformance tests set the others.

    expose_errors sends an unexpected exception's own words; the service never does. plain leaves superjson out.
    response_meta gets (paths, type, errors, calls) and answers further headers. Times are in seconds, sizes in bytes.
    """

    prefix: str = "/api/trpc"
    max_batch: int | None = 20
    allow_batching: bool = True
    allow_method_override: bool = False
    expose_errors: bool = False
    include_stack: bool = False
    check_outputs: bool = False
    plain: bool = False
    with_zod_error: bool = True
    max_body_bytes: int = 1 << 20
    max_url_bytes: int = 32 << 10
    max_depth: int = 100
    cors: bool = False
    response_meta: Callable[[Sequence[str], str, int, int], Mapping[str, str]] | None = None
    jsonl_ping_s: float | None = None
    sse: streams.SseOptions = field(default_factory=streams.SseOptions)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a request: its path and, when the path is known, its procedure."""

    path: str
    bound: Bound | None


@dataclass(slots=True)
class Parsed:
    """A request whose outer form is right."""

    method: str
    calls: list[Call]
    is_batch: bool
    is_stream: bool
    kind: str
    query: dict[str, str]
    content: str
    headers: dict[bytes, bytes]

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [call.path for call in self.calls]


class TrpcApp:
    """The ASGI application. request_of makes what all calls of one HTTP request share."""

    def __init__(
        self,
        registry: Registry,
        *,
        guard: Guard,
        request_of: Callable[[Scope], Awaitable[Request]],
        options: TrpcOptions | None = None,
        observe: Observe = unobserved,
    ) -> None:
        self._registry = registry
        self._guard = guard
        self._request_of = request_of
        self._options = options or TrpcOptions()
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "HEAD":
            await _respond(send, 204, [], b"")
            return
        try:
            parsed = self._parse(scope)
        except TrpcError as refused:
            body = self._text(self._error(refused, None, None))
            await _respond(send, refused.fault.status, [(b"content-type", _REQUEST_LEVEL_TYPE), *self._common()], body)
            return
        inputs = _Inputs(parsed, receive, self._options)
        await inputs.load()
        if parsed.is_stream:
            await self._answer_lines(parsed, inputs, scope, receive, send)
        elif parsed.kind == Kind.SUBSCRIPTION and not parsed.is_batch:
            await self._answer_events(parsed, inputs, scope, receive, send)
        else:
            await self._answer(parsed, inputs, scope, send)

    # -- the request's outer form ----------------------------------------------------------------------------

    def _parse(self, scope: Scope) -> Parsed:
        """Raises TrpcError for what concerns the request as a whole."""
        options = self._options
        headers = {name.lower(): value for name, value in reversed(scope["headers"])}
        method = scope["method"]
        raw_path, raw_query = scope.get("raw_path") or scope["path"].encode(), scope.get("query_string", b"")
        if len(raw_path) + len(raw_query) > options.max_url_bytes:
            raise TrpcError("BAD_REQUEST", f"The address is longer than {options.max_url_bytes} bytes")
        content = _content_kind(method, headers.get(b"content-type"))
        path = _path_of(raw_path, options.prefix)
        query = _query_of(raw_query)
        is_batch = query.get("batch") == "1"
        if is_batch and options.max_batch is not None and path.count(",") >= options.max_batch:
            raise TrpcError("BAD_REQUEST", "Batch call exceeds maximum size")
        paths = path.split(",") if is_batch else [path]
        calls = [Call(each, self._registry.find(each)) for each in paths]
        kinds = list(dict.fromkeys(call.bound.procedure.kind.value for call in calls if call.bound))
        if len(kinds) > 1:
            raise TrpcError("BAD_REQUEST", f"Cannot mix procedure types in call: {', '.join(kinds)}")
        _check_connection_params(query.get("connectionParams"))
        if is_batch and not options.allow_batching:
            raise TrpcError("BAD_REQUEST", "Batching is not enabled on the server")
        is_stream = headers.get(b"trpc-accept") == b"application/jsonl" or b"application/jsonl" in headers.get(
            b"accept", b""
        )
        if is_stream and not is_batch:
            raise TrpcError("BAD_REQUEST", "Streaming requests must be batched (you can do a batch of 1)")
        return Parsed(method, calls, is_batch, is_stream, kinds[0] if kinds else "unknown", query, content, headers)

    # -- one call --------------------------------------------------------------------------------------------

    def _refusal(self, call: Call, parsed: Parsed) -> TrpcError | None:
        """Why this call cannot even start."""
        if call.bound is None:
            return TrpcError("NOT_FOUND", f'No procedure found on path "{call.path}"')
        kind = call.bound.procedure.kind
        if kind not in self._kinds(parsed.method):
            text = f'Unsupported {parsed.method}-request to {kind.value} procedure at path "{call.path}"'
            return TrpcError("METHOD_NOT_SUPPORTED", text)
        if kind is Kind.SUBSCRIPTION and parsed.is_batch:
            return TrpcError("BAD_REQUEST", "Cannot batch subscription calls")
        return None

    def _kinds(self, method: str) -> frozenset[Kind]:
        if method == "POST" and self._options.allow_method_override:
            return frozenset(Kind)
        return _KINDS_BY_METHOD.get(method, frozenset())

    async def _run(self, index: int, parsed: Parsed, inputs: "_Inputs", context: "_Shared") -> Any:
        """The call's value. Raises whatever it fails with."""
        call = parsed.calls[index]
        refused = self._refusal(call, parsed)
        if refused is not None:
            raise refused
        assert call.bound is not None
        request = await context.get()
        procedure = call.bound.procedure

        def read() -> Any:
            return read_input(procedure, inputs.of(index, procedure.kind))

        value = await enter(call.bound, request, guard=self._guard, read_input=read, observe=self._observe)
        if self._options.check_outputs and isinstance(procedure.output, type) and issubclass(procedure.output, Input):
            try:
                procedure.output.model_validate(value)
            except ValidationError as invalid:
                raise OutputInvalid(issues_of(invalid)) from None
        return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else value

    # -- plain answers ---------------------------------------------------------------------------------------

    async def _answer(self, parsed: Parsed, inputs: "_Inputs", scope: Scope, send: Send) -> None:
        context = _Shared(self._request_of, scope)
        runs = (self._outcome(index, parsed, inputs, context) for index in range(len(parsed.calls)))
        outcomes = [await next(runs)] if len(parsed.calls) == 1 else await asyncio.gather(*runs)
        statuses = {status for status, _, _ in outcomes}
        status = statuses.pop() if len(statuses) == 1 else 207
        failures = [error for _, _, error in outcomes if error is not None]
        headers = [(b"content-type", _JSON), *self._common(), *self._meta(parsed, len(failures))]
        headers += self._failure_headers(parsed, failures)
        texts = [text for _, text, _ in outcomes]
        body = b"[" + b",".join(texts) + b"]" if parsed.is_batch else texts[0]
        await _respond(send, status, headers, body)

    async def _outcome(
        self, index: int, parsed: Parsed, inputs: "_Inputs", context: "_Shared"
    ) -> tuple[int, bytes, BaseException | None]:
        """One call's status, its JSON text and its error."""
        path: str | None = parsed.calls[index].path
        try:
            value = await self._run(index, parsed, inputs, context)
            if streams.is_deferred(value):
                streams.discard(value)
                path = path if parsed.is_batch else None
                text = "Cannot use stream-like response in non-streaming request - use httpBatchStreamLink"
                raise TrpcError("UNSUPPORTED_MEDIA_TYPE", text)  # noqa: TRY301 - one road for every failure
            return 200, self._text(self._result(value)), None
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            if isinstance(error, superjson.Unencodable) and context.known is not None:
                self._observe(parsed.calls[index].path, "error", context.known, error=error)
            shape = self._error(error, path, context.known)
            return self._fault(error).status, self._text(shape), error

    def _result(self, value: object) -> Json:
        if self._options.plain:
            return {"result": {} if value is UNDEFINED else {"data": value}}
        return {"result": {"data": superjson.envelope(value)}}

    def _text(self, shape: Json) -> bytes:
        return superjson.json_text(shape)

    # -- errors ----------------------------------------------------------------------------------------------

    @staticmethod
    def _fault(error: BaseException) -> Fault:
        return error.fault if isinstance(error, TrpcError) else fault_of(error)

    def _error(self, error: BaseException, path: str | None, request: Request | None) -> Json:
        shape = self.error_shape(error, path, request)
        return {"error": shape if self._options.plain else superjson.envelope(shape)}

    def error_shape(self, error: BaseException, path: str | None, request: Request | None) -> dict[str, Json]:
        """The error as clients see it: our own words for our own errors, a fixed text for the unexpected."""
        fault, issues = self._fault(error), _issues(error)
        data: dict[str, Json] = {"code": fault.code, "httpStatus": fault.status}
        if self._options.include_stack:
            data["stack"] = "".join(traceback.format_exception(error))
        if path is not None:
            data["path"] = path
        if self._options.with_zod_error:
            data["zodError"] = flatten(issues) if issues else None
        return {"message": self._message(error, issues, request), "code": fault.json_rpc, "data": data}

    def _message(self, error: BaseException, issues: tuple[Issue, ...], request: Request | None) -> str:
        if isinstance(error, BadInput | ValidationError) and issues:
            return issue_text(issues)
        if self._options.expose_errors or isinstance(error, AnamnesisError | TrpcError):
            return str(error)
        reference = request.request_id if request else "unknown"
        return f"Something went wrong on our side. What was confirmed is safe (reference {reference})"

    # -- headers ---------------------------------------------------------------------------------------------

    def _common(self) -> Headers:
        return [(b"access-control-allow-origin", b"*"), VARY] if self._options.cors else [VARY]

    def _meta(self, parsed: Parsed, failures: int) -> Headers:
        if self._options.response_meta is None:
            return []
        further = self._options.response_meta(parsed.paths, parsed.kind, failures, len(parsed.calls))
        return [(name.encode(), value.encode()) for name, value in further.items()]

    def _failure_headers(self, parsed: Parsed, failures: Sequence[BaseException]) -> Headers:
        headers: Headers = []
        if any(self._fault(error).code == "METHOD_NOT_SUPPORTED" for error in failures):
            methods = {Kind.MUTATION: "POST"}.get(Kind(parsed.kind), "GET")
            allowed = "GET, POST" if methods == "GET" and self._options.allow_method_override else methods
            headers.append((b"allow", allowed.encode()))
        waits = [wait for error in failures if (wait := getattr(error, "retry_after_s", None)) is not None]
        if waits:
            headers.append((b"retry-after", str(max(waits)).encode()))
        return headers

    # -- streams ---------------------------------------------------------------------------------------------

    async def _answer_lines(
        self, parsed: Parsed, inputs: "_Inputs", scope: Scope, receive: Receive, send: Send
    ) -> None:
        context = _Shared(self._request_of, scope)

        def failed(error: BaseException, index: int) -> Json:
            return self.error_shape(error, parsed.calls[index].path, context.known)

        lines = streams.JsonLines(
            calls=len(parsed.calls),
            run=lambda index: self._run(index, parsed, inputs, context),
            failed=failed,
            encode=(lambda value: value) if self._options.plain else superjson.envelope,
            ping_s=self._options.jsonl_ping_s,
        )
        headers = [(b"content-type", _JSON), *self._common(), *self._meta(parsed, 0)]
        await _stream(send, receive, headers, lines.produce())

    async def _answer_events(
        self, parsed: Parsed, inputs: "_Inputs", scope: Scope, receive: Receive, send: Send
    ) -> None:
        context = _Shared(self._request_of, scope)
        refused = self._refusal(parsed.calls[0], parsed)
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache, no-transform"),
            (b"x-accel-buffering", b"no"),
            *self._common(),
            *self._failure_headers(parsed, [refused] if refused else []),
        ]
        events = streams.events(
            lambda: self._run(0, parsed, inputs, context),
            failed=lambda error: self.error_shape(error, parsed.calls[0].path, context.known),
            encode=(lambda value: value) if self._options.plain else superjson.envelope,
            options=self._options.sse,
            disabled=TrpcError("METHOD_NOT_SUPPORTED", 'Missing experimental flag "sseSubscriptions"'),
        )
        await _stream(send, receive, headers, events)


def _issues(error: BaseException) -> tuple[Issue, ...]:
    if isinstance(error, BadInput | OutputInvalid):
        return error.issues
    return issues_of(error) if isinstance(error, ValidationError) else ()


class _Shared:
    """What the calls of one request share: made when the first needs it; its failure is everybody's."""

    def __init__(self, make: Callable[[Scope], Awaitable[Request]], scope: Scope) -> None:
        self._make = make
        self._scope = scope
        self._task: asyncio.Future[Request] | None = None
        self.known: Request | None = None

    async def get(self) -> Request:
        if self.known is None:
            if self._task is None:
                self._task = asyncio.ensure_future(self._make(self._scope))
            self.known = await self._task
        return self.known


class _Inputs:
    """The raw inputs of a request, parsed and decoded when the first call looks at its own."""

    def __init__(self, parsed: Parsed, receive: Receive, options: TrpcOptions) -> None:
        self._parsed = parsed
        self._receive = receive
        self._options = options
        self._body: bytes | None = None
        self._read: dict[int, object] | Exception | None = None

    async def load(self) -> None:
        """Take the body off the wire, up to the limit; more is refused when somebody needs it."""
        if self._parsed.method == "GET":
            return
        declared = self._parsed.headers.get(b"content-length", b"0")
        limit = self._options.max_body_bytes
        if declared.isdigit() and int(declared) > limit:
            self._read = TrpcError("PAYLOAD_TOO_LARGE")
            return
        body = bytearray()
        while True:
            message = await self._receive()
            body += message.get("body", b"")
            if len(body) > limit:
                self._read = TrpcError("PAYLOAD_TOO_LARGE")
                return
            if not message.get("more_body", False):
                break
        self._body = bytes(body)

    def of(self, index: int, kind: Kind) -> object:
        """The decoded input of one call. Raises TrpcError."""
        if self._read is None:
            try:
                self._read = self._decode()
            except (ValueError, RecursionError) as error:
                self._read = TrpcError("BAD_REQUEST", _said(error))
        if isinstance(self._read, Exception):
            raise self._read
        value = self._read.get(index, UNDEFINED)
        return self._resumed(value) if kind is Kind.SUBSCRIPTION else value

    def _decode(self) -> dict[int, object]:
        if self._parsed.content != "json":
            return {0: {}}
        text = self._parsed.query.get("input", "").encode() if self._parsed.method == "GET" else self._body or b""
        payload = superjson.parse_json(text, max_depth=self._options.max_depth) if text else UNDEFINED
        decode = (lambda value: value) if self._options.plain else superjson.decode
        if not self._parsed.is_batch:
            return {} if payload is UNDEFINED else {0: decode(payload)}
        if payload is UNDEFINED:
            return {}
        if not isinstance(payload, dict):
            raise superjson.BadEnvelope('"input" needs to be an object when doing a batch call')
        indices = range(len(self._parsed.calls))
        return {index: decode(payload[str(index)]) for index in indices if str(index) in payload}

    def _resumed(self, value: object) -> object:
        """Where a subscription goes on from, put into its input."""
        query, header = self._parsed.query, self._parsed.headers.get(b"last-event-id")
        last = header.decode("latin-1") if header else query.get("lastEventId") or query.get("Last-Event-Id")
        if not last:
            return value
        if isinstance(value, dict):
            return {**value, "lastEventId": last}
        return {"lastEventId": last} if value is UNDEFINED or value is None else value


def _said(error: Exception) -> str:
    """What to tell of a text that could not be read; a decoder's own words may quote it, and it is the caller's."""
    if isinstance(error, UnicodeDecodeError):
        return "The text is not valid UTF-8"
    return "The input is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _content_kind(method: str, given: bytes | None) -> str:
    media = (given or b"").split(b";")[0].strip().lower().decode("latin-1")
    if media == "application/json":
        return "json"
    if method == "POST" and media in ("multipart/form-data", "application/octet-stream"):
        return "other"
    if method == "GET":
        return "json"
    if not given:
        raise TrpcError("UNSUPPORTED_MEDIA_TYPE", "Missing content-type header")
    raise TrpcError("UNSUPPORTED_MEDIA_TYPE", f'Unsupported content-type "{given.decode("latin-1")}')


_BAD_PERCENT: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")


def _path_of(raw: bytes, prefix: str) -> str:
    inside = raw.split(b"?")[0].removeprefix(prefix.encode())
    inside = inside.removeprefix(b"/").removesuffix(b"/")
    try:
        path = unquote_to_bytes(inside).decode()
    except ValueError:
        path = None
    if path is None or _BAD_PERCENT.search(inside):
        raise TrpcError("BAD_REQUEST", f'Invalid URL-encoding in path "{inside.decode("latin-1")}"')
    return path


def _query_of(raw: bytes) -> dict[str, str]:
    """Query parameters as WHATWG's URLSearchParams reads them; the first of a repeated name wins."""
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
    return dict(reversed(pairs))


def _check_connection_params(text: str | None) -> None:
    if text is None:
        return
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise TrpcError("PARSE_ERROR", "Not JSON-parsable query params") from None
    if given is not None and not (isinstance(given, dict) and all(isinstance(value, str) for value in given.values())):
        raise TrpcError("PARSE_ERROR", "Invalid connection params shape")


async def _respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    if status != 204:  # noqa: PLR2004 - an answer without a body has no length
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send, receive: Receive, headers: Headers, chunks: AsyncIterator[bytes]) -> None:
    """Send chunks as they come; when the client leaves, stop producing them."""
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def produce() -> None:
        async with contextlib.aclosing(chunks):  # type: ignore[type-var]  # every caller passes a generator
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
