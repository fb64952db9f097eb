"""A client of the clinic for Python: the tRPC wire with superjson, typed by the procedures' own shapes.

It sends what the genuine client sends. A message gets its id here, once, so that sending it again after a failure is
the same message.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2

from anamnesis.edge import superjson
from anamnesis.intake.api import Sent, SessionList
from anamnesis.intake.views import SessionView
from anamnesis.messaging.api import Conversation
from anamnesis.messaging.api import Sent as SentMessage
from anamnesis.schema import Output

Answer = TypeVar("Answer", bound=Output)
#: Worth trying again: called too often, or busy.
_PASSING: Final = frozenset({429, 502, 503, 504})
_OK: Final = 200


@dataclass(eq=False)
class Refused(Exception):
    """The service said no: code is tRPC's word for it, and message what it tells people."""

    code: str
    message: str
    status: int

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(slots=True)
class Client:
    """Calls procedures for whoever the token signs in.

    tries bounds how often what may be sent again is sent; pause_s is the first wait between two tries, doubled each
    time, and at most longest_s.
    """

    origin: str
    token: str | None = field(default=None, repr=False)
    tries: int = 4
    pause_s: float = 0.2
    longest_s: float = 5.0
    timeout_s: float = 30.0
    _http: httpx2.AsyncClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        headers = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
        self._http = httpx2.AsyncClient(base_url=self.origin, headers=headers, timeout=self.timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get_session(self, session_id: UUID) -> SessionView:
        """A session with its transcript. Raises Refused."""
        return await self.query("intake.getSession", SessionView, sessionId=str(session_id))

    async def my_sessions(self) -> SessionList:
        """The caller's own sessions as a patient. Raises Refused."""
        return await self.query("intake.getMyIntakeSessions", SessionList)

    async def tell(self, session_id: UUID, content: str, *, message_id: UUID | None = None) -> Sent:
        """Say something in an interview, exactly once however often it has to be sent. Raises Refused."""
        return await self.mutate(
            "intake.sendMessage", Sent, again=True,
            sessionId=str(session_id), content=content, clientMessageId=str(message_id or uuid4()),
        )  # fmt: skip

    async def send(self, connection_id: UUID, content: str, *, message_id: UUID | None = None) -> SentMessage:
        """Write to the other person of a connection, exactly once. Raises Refused."""
        return await self.mutate(
            "message.send", SentMessage, again=True,
            connectionId=str(connection_id), content=content, clientMessageId=str(message_id or uuid4()),
        )  # fmt: skip

    async def conversation(self, connection_id: UUID, *, cursor: str | None = None) -> Conversation:
        """One page of what the two people wrote, the newest first. Raises Refused."""
        place = {} if cursor is None else {"cursor": cursor}
        return await self.query("message.getConversation", Conversation, connectionId=str(connection_id), **place)

    async def query(self, name: str, answer: type[Answer], /, **given: object) -> Answer:
        """Any read, as the shape it is declared to have. Raises Refused."""
        return answer.model_validate(await self.call("GET", name, given, again=True))

    async def mutate(self, name: str, answer: type[Answer], /, *, again: bool = False, **given: object) -> Answer:
        """Any write, as the shape it is declared to have; again says that sending it twice does it once."""
        return answer.model_validate(await self.call("POST", name, given, again=again))

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
                pause_s = max(pause_s, float(response.headers.get("retry-after", "0")))
            await asyncio.sleep(min(pause_s, self.longest_s))
            pause_s *= 2
        raise AssertionError("the last try answers or raises")

    async def _ask(self, method: str, name: str, given: Mapping[str, object]) -> httpx2.Response:
        text = json.dumps(superjson.envelope(dict(given)))
        if method == "GET":
            query = f"?input={quote(text)}" if given else ""
            return await self._http.get(f"/api/trpc/{name}{query}")
        return await self._http.post(f"/api/trpc/{name}", content=text, headers={"content-type": "application/json"})


def _value_of(response: httpx2.Response) -> Any:
    try:
        answered = response.json()
    except ValueError:
        raise Refused("INTERNAL_SERVER_ERROR", "This was no answer of the service.", response.status_code) from None
    if response.status_code == _OK and "result" in answered:
        return superjson.decode(answered["result"]["data"])
    error = answered.get("error", {}).get("json", {})
    code = error.get("data", {}).get("code", "INTERNAL_SERVER_ERROR")
    raise Refused(code, str(error.get("message", "")), response.status_code)
