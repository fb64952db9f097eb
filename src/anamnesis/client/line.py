"""The line of the client for Python to the clinic: the tRPC wire with superjson, tried again where that is harmless.

It sends what the genuine client sends. A message gets its id here, once, so that sending it again after a failure is
the same message.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2

from anamnesis.edge import superjson
from anamnesis.schema import Output

Answer = TypeVar("Answer", bound=Output)
Value = TypeVar("Value")
#: Who signs in: a token, or what makes one for each call, where tokens live for a minute.
Token = str | Callable[[], Awaitable[str]]
#: Worth trying again: called too often, or busy.
_PASSING: Final = frozenset({429, 502, 503, 504})
#: The same as a stream says it, and what a genuine client takes for passing.
_PASSING_CODES: Final = frozenset({"TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE", "INTERNAL_SERVER_ERROR"})
_OK: Final = range(200, 300)
_STREAM: Final = "text/event-stream"
#: What is sent as null, where None is left out.
NULL: Final = object()
#: The service says something every twenty seconds: who hears nothing for longer hears a dead line.
_SILENCE_S: Final = 60.0


@dataclass(eq=False)
class Refused(Exception):
    """The service said no: code is tRPC's word for it, and message what it tells people."""

    code: str
    message: str
    status: int

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Event(Generic[Value]):
    """One event of a stream; id is where to go on from, None for what only stands until the next."""

    id: str | None
    value: Value


@dataclass(slots=True)
class Line:
    """Calls procedures for whoever the token signs in.

    tries bounds how often what may be sent again is sent, and how often in a row a stream is begun anew; pause_s is the
    first wait between two tries, doubled each time, and at most longest_s.
    """

    origin: str
    token: Token | None = field(default=None, repr=False)
    tries: int = 4
    pause_s: float = 0.2
    longest_s: float = 5.0
    timeout_s: float = 30.0
    _http: httpx2.AsyncClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = httpx2.AsyncClient(base_url=self.origin, timeout=self.timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def query(self, name: str, answer: type[Answer], /, **given: object) -> Answer:
        """Any read, as the shape it is declared to have; what is None is left out. Raises Refused."""
        return answer.model_validate(await self.call("GET", name, given_of(given), again=True))

    async def mutate(self, name: str, answer: type[Answer], /, *, again: bool = False, **given: object) -> Answer:
        """Any write, as the shape it is declared to have; again says that sending it twice does it once."""
        return answer.model_validate(await self.call("POST", name, given_of(given), again=again))

    async def once(self, name: str, answer: type[Answer], /, **given: object) -> Answer:
        """A write with a client message id, made here if none is given: however often it is sent it is done once."""
        key = given.get("clientMessageId") or uuid4()
        return await self.mutate(name, answer, again=True, **{**given, "clientMessageId": key})

    async def upload(self, answer: type[Answer], session_id: UUID, files: Sequence[tuple[str, bytes, str]]) -> Answer:
        """Files of a session, each a name, its bytes and their media type; only REST takes them. Raises Refused."""
        parts = [("files", file) for file in files]
        headers = await self._headers()
        response = await self._http.post(f"/api/v1/intake-sessions/{session_id}/files", files=parts, headers=headers)
        document = _document(response)
        if response.status_code in _OK:
            return answer.model_validate(document)
        kind = str(document.get("type", "")).rpartition(":")[2].replace("-", "_").upper()
        raise Refused(kind or "INTERNAL_SERVER_ERROR", str(document.get("detail", "")), response.status_code)

    async def call(self, method: str, name: str, given: Mapping[str, object], *, again: bool) -> Any:
        """One call's value as plain Python. Raises Refused, and httpx2's errors when nobody answers."""
        pause_s = self.pause_s
        for left in reversed(range(self.tries if again else 1)):
            try:
                response = await self._ask(method, name, given)
            except httpx2.TransportError:
                if not left:
                    raise
            else:
                if not left or response.status_code not in _PASSING:
                    return _value_of(response)
                pause_s = max(pause_s, _seconds(response.headers.get("retry-after")))
            await asyncio.sleep(min(pause_s, self.longest_s))
            pause_s *= 2
        raise AssertionError("the last try answers or raises")

    async def listen(
        self, name: str, event: type[Output], besides: type[Output] | None = None, /, **given: object
    ) -> AsyncIterator[Event[Any]]:
        """The events of a stream, until the service ends it: a line that breaks is taken up where it broke.

        besides is the shape of what comes without an id. Raises Refused when the service says no, and httpx2's errors
        when nobody answers tries times in a row.
        """
        wanted, failed = given_of(given), 0
        while True:
            broken: Exception | None = None
            try:
                async with aclosing(self._events(name, wanted)) as events:
                    async for kind, place, value in events:
                        failed = failed if kind == "connected" else 0
                        if kind == "return":
                            return
                        if kind == "message":
                            wanted.update({} if place is None else {"lastEventId": place})
                            yield Event(place, (event if place or not besides else besides).model_validate(value))
            except httpx2.TransportError as error:
                broken = error
            except Refused as refused:
                if refused.code not in _PASSING_CODES:
                    raise
                broken = refused
            failed += 1
            if failed >= self.tries:
                raise broken or _refused(None, _OK.start)
            await asyncio.sleep(min(self.pause_s * 2**failed, self.longest_s))

    async def _events(self, name: str, given: Mapping[str, object]) -> AsyncGenerator[tuple[str, str | None, Any]]:
        """Kind, id and value of each event of one connection. Raises Refused."""
        timeout = httpx2.Timeout(self.timeout_s, read=_SILENCE_S)
        headers = {**await self._headers(), "accept": _STREAM}
        async with self._http.stream("GET", _address(name, given), headers=headers, timeout=timeout) as response:
            if response.status_code not in _OK or not response.headers.get("content-type", "").startswith(_STREAM):
                await response.aread()
                raise _refused(_document(response).get("error"), response.status_code)
            async for fields in _fields(response.aiter_lines()):
                kind, data = fields.get("event", "message"), fields.get("data", "")
                if kind == "serialized-error":
                    raise _refused(superjson.decode(json.loads(data)), response.status_code)
                yield kind, fields.get("id") or None, superjson.decode(json.loads(data)) if kind == "message" else None

    async def _ask(self, method: str, name: str, given: Mapping[str, object]) -> httpx2.Response:
        headers = await self._headers()
        if method == "GET":
            return await self._http.get(_address(name, given), headers=headers)
        text = json.dumps(superjson.envelope(dict(given)))
        headers["content-type"] = "application/json"
        return await self._http.post(f"/api/trpc/{name}", content=text, headers=headers)

    async def _headers(self) -> dict[str, str]:
        if self.token is None:
            return {}
        token = self.token if isinstance(self.token, str) else await self.token()
        return {"authorization": f"Bearer {token}"}


def given_of(given: Mapping[str, object]) -> dict[str, object]:
    """What is sent of an input: ids and times as texts, as the schemas ask for; what is None is left out."""
    return {name: _as_sent(value) for name, value in given.items() if value is not None}


def _as_sent(value: object) -> object:
    if value is NULL:
        return None
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _address(name: str, given: Mapping[str, object]) -> str:
    # An input is always sent: where none is asked for nobody looks, and elsewhere {} takes every default.
    return f"/api/trpc/{name}?input={quote(json.dumps(superjson.envelope(dict(given))))}"


def _seconds(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0  # a date, of some proxy


async def _fields(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    """The fields of each event of a stream."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield fields
            fields = {}


def _document(response: httpx2.Response) -> dict[str, Any]:
    """The answer as an object; whatever else stands there is no answer of the service."""
    try:
        answered = response.json()
    except ValueError:
        answered = None
    if isinstance(answered, dict):
        return answered
    raise Refused("INTERNAL_SERVER_ERROR", "This was no answer of the service.", response.status_code)


def _value_of(response: httpx2.Response) -> Any:
    answered = _document(response)
    if response.status_code in _OK and "result" in answered:
        return superjson.decode(answered["result"]["data"])
    raise _refused(answered.get("error"), response.status_code)


def _refused(error: object, status: int) -> Refused:
    """What an error says; one of somebody in between, as a proxy, says nothing we know."""
    told = error.get("json", error) if isinstance(error, dict) else {}
    told = told if isinstance(told, dict) else {}
    data = told.get("data")
    about = data if isinstance(data, dict) else {}
    code, message = (
        about.get("code", "INTERNAL_SERVER_ERROR"),
        told.get("message", "This was no answer of the service."),
    )
    return Refused(str(code), str(message), int(about.get("httpStatus", status)))
