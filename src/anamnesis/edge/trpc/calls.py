"""From an HTTP request to the calls it asks for, and their inputs when they are wanted."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from anamnesis.edge import superjson
from anamnesis.edge.trpc.errors import TrpcError
from anamnesis.edge.trpc.options import TrpcOptions
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Bound, Kind, Registry

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_LINES: Final = "application/jsonl"
_JSON: Final = "application/json"
_FORM: Final = "multipart/form-data"
_BYTES: Final = "application/octet-stream"
_KINDS_BY_METHOD: Final[dict[str, frozenset[Kind]]] = {
    "GET": frozenset({Kind.QUERY, Kind.SUBSCRIPTION}),
    "POST": frozenset({Kind.MUTATION}),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a request: its path and, when the path is known, its procedure."""

    path: str
    bound: Bound | None


@dataclass(frozen=True, slots=True)
class Calls:
    """A request whose outer form is right.

    kind is the type of its procedures, or ``unknown`` when no path is known. content is the media type of its body.
    """

    method: str
    calls: tuple[Call, ...]
    is_batch: bool
    is_stream: bool
    kind: str
    content: str
    query: dict[str, str]
    headers: dict[bytes, bytes]

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [call.path for call in self.calls]

    @property
    def last_event_id(self) -> str | None:
        """Where a subscription goes on from; the header that browsers send beats the query, and none is empty."""
        header = self.headers.get(b"last-event-id")
        if header is not None:
            return header.decode(errors="replace") or None
        return self.query.get("lastEventId", self.query.get("Last-Event-Id")) or None

    def refusal(self, call: Call, *, allow_method_override: bool) -> TrpcError | None:
        """Why a call cannot even start."""
        if call.bound is None:
            return TrpcError("NOT_FOUND", f'No procedure found on path "{call.path}"')
        kind = call.bound.procedure.kind
        may_override = self.method == "POST" and allow_method_override
        if not may_override and kind not in _KINDS_BY_METHOD.get(self.method, ()):
            text = f'Unsupported {self.method}-request to {kind.value} procedure at path "{call.path}"'
            return TrpcError("METHOD_NOT_SUPPORTED", text)
        if kind is Kind.SUBSCRIPTION and self.is_batch:
            return TrpcError("BAD_REQUEST", "Cannot batch subscription calls")
        return None


def read_calls(scope: Scope, registry: Registry, options: TrpcOptions) -> Calls:
    """The calls of a request. Raises TrpcError for what concerns the request as a whole, in the genuine order."""
    headers = {name.lower(): value for name, value in reversed(scope["headers"])}
    raw_path, raw_query = scope.get("raw_path") or scope["path"].encode(), scope.get("query_string", b"")
    if len(raw_path) + len(raw_query) > options.max_url_bytes:
        raise TrpcError("BAD_REQUEST", f"The address is longer than {options.max_url_bytes} bytes")
    method = scope["method"]
    content = _content(method, headers.get(b"content-type"))
    path, query = _path_of(raw_path, options.prefix), _query_of(raw_query)
    # A form or a stream of bytes is the input of one mutation; it is never a batch.
    is_batch = content == _JSON and query.get("batch") == "1"
    if is_batch and options.max_batch is not None and path.count(",") >= options.max_batch:
        raise TrpcError("BAD_REQUEST", "Batch call exceeds maximum size")
    calls = tuple(Call(each, registry.find(each)) for each in (path.split(",") if is_batch else (path,)))
    kind = _kind_of(calls) if content == _JSON else Kind.MUTATION.value
    if content == _JSON:
        _check_connection_params(query.get("connectionParams"), options.max_depth)
    if is_batch and not options.allow_batching:
        raise TrpcError("BAD_REQUEST", "Batching is not enabled on the server")
    is_stream = _wants_lines(headers)
    if is_stream and not is_batch:
        raise TrpcError("BAD_REQUEST", "Streaming requests must be batched (you can do a batch of 1)")
    return Calls(method, calls, is_batch, is_stream, kind, content, query, headers)


def _kind_of(calls: tuple[Call, ...]) -> str:
    kinds = list(dict.fromkeys(call.bound.procedure.kind.value for call in calls if call.bound))
    if len(kinds) > 1:
        raise TrpcError("BAD_REQUEST", f"Cannot mix procedure types in call: {', '.join(kinds)}")
    return kinds[0] if kinds else "unknown"


def _wants_lines(headers: dict[bytes, bytes]) -> bool:
    """Only the bare media type counts; with parameters it is another one, as in the genuine server."""
    if headers.get(b"trpc-accept", b"").decode("latin-1") == _LINES:
        return True
    return _LINES in (each.strip() for each in headers.get(b"accept", b"").decode("latin-1").split(","))


def _content(method: str, given: bytes | None) -> str:
    media = (given or b"").split(b";")[0].strip().lower().decode("latin-1")
    if media in (_FORM, _BYTES):
        if method != "POST":
            raise TrpcError("METHOD_NOT_SUPPORTED", f"Only POST requests are supported for {media} requests")
        return media
    if media == _JSON or method == "GET":
        return _JSON
    if not given:
        raise TrpcError("UNSUPPORTED_MEDIA_TYPE", "Missing content-type header")
    raise TrpcError("UNSUPPORTED_MEDIA_TYPE", f'Unsupported content-type "{given.decode("latin-1")}')


_BAD_PERCENT: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")


def _path_of(raw: bytes, prefix: str) -> str:
    """What follows the prefix, decoded once. One slash before it and two after it do not count."""
    inside = raw.split(b"?")[0].removeprefix(prefix.encode())
    inside = inside.removeprefix(b"/").removesuffix(b"/").removesuffix(b"/")
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


def _check_connection_params(text: str | None, max_depth: int) -> None:
    """Parameters for an EventSource, which can send no headers: an object of texts, or null. We use none."""
    if text is None:
        return
    try:
        given = superjson.parse_json(text.encode(errors="replace"), max_depth=max_depth)
    except (ValueError, RecursionError):
        raise TrpcError("PARSE_ERROR", "Not JSON-parsable query params") from None
    if given is not None and not (isinstance(given, dict) and all(isinstance(value, str) for value in given.values())):
        raise TrpcError("PARSE_ERROR", "Invalid connection params shape")


class ClientGone(Exception):
    """The client left before its request was whole; nobody waits for an answer."""


class Inputs:
    """The raw inputs of a request, parsed and decoded when the first call looks at its own."""

    def __init__(self, calls: Calls, receive: Receive, options: TrpcOptions) -> None:
        self._calls = calls
        self._receive = receive
        self._options = options
        self._body = b""
        self._read: dict[int, object] | Exception | None = None

    async def load(self) -> None:
        """Take the body off the wire, up to the limit; more is refused when somebody needs it. Raises ClientGone."""
        if self._calls.method == "GET":
            return
        declared = self._calls.headers.get(b"content-length", b"0")
        limit = self._options.max_body_bytes
        is_over = declared.isdigit() and (len(declared) > len(str(limit)) or int(declared) > limit)
        body, is_whole = bytearray(), False
        while not (is_over or is_whole):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            is_over, is_whole = len(body) > limit, not message.get("more_body", False)
        if is_over:
            self._read = TrpcError("PAYLOAD_TOO_LARGE")
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
        if self._calls.content != _JSON:
            return {0: self._form()}
        text = self._body.removeprefix(superjson.BYTE_ORDER_MARK)
        if self._calls.method == "GET":
            text = self._calls.query.get("input", "").encode(errors="surrogatepass")
        payload = superjson.parse_json(text, max_depth=self._options.max_depth) if text else UNDEFINED
        if payload is UNDEFINED:
            return {}
        decode = (lambda value: value) if self._options.plain else superjson.decode
        if not self._calls.is_batch:
            return {0: decode(payload)}
        if not isinstance(payload, dict):
            raise superjson.BadEnvelope('"input" needs to be an object when doing a batch call')
        indices = range(len(self._calls.calls))
        return {index: decode(payload[str(index)]) for index in indices if str(index) in payload}

    def _form(self) -> dict[str, object]:
        """What a schema of ours sees of a form or a stream of bytes: an object without fields.

        No procedure takes either; a form is looked at only to say as the genuine server does that it is none.
        """
        named = re.search(rb'boundary="?([^";,]+)', self._calls.headers.get(b"content-type", b""))
        if self._calls.content == _FORM and (named is None or b"--" + named[1] not in self._body):
            raise TrpcError("BAD_REQUEST", "Failed to parse body as FormData.")
        return {}

    def _resumed(self, value: object) -> object:
        """Where a subscription goes on from, put into its input."""
        last = self._calls.last_event_id
        if last is None:
            return value
        if isinstance(value, dict):
            return {**value, "lastEventId": last}
        return {"lastEventId": last} if value is UNDEFINED or value is None else value


def _said(error: Exception) -> str:
    """What to tell of a text that could not be read; a decoder's own words may quote it, and it is the caller's."""
    if isinstance(error, UnicodeDecodeError):
        return "The text is not valid UTF-8"
    return "The input is nested too deeply" if isinstance(error, RecursionError) else str(error)
