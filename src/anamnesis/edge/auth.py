"""From a request's headers to who it says is calling. A caller we cannot make out is nobody, never an error."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from anamnesis.edge.client_address import TrustedProxies
from anamnesis.edge.headers import request_id_of
from anamnesis.edge.tokens import Refusal, TokenRefused, Verifier
from anamnesis.journal import log
from anamnesis.kernel.identity import Claims
from anamnesis.kernel.procedures import Request

SESSION_COOKIE: Final = "__session"
_STATE: Final = "anamnesis.request"

#: Everyday refusals: a phone that slept, a clock that is slow. The others hint at a mistake or an attack.
_EVERYDAY: Final = frozenset({Refusal.EXPIRED, Refusal.NOT_YET, Refusal.PENDING})


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request signs itself with. An empty token is one that contradicts itself: it is nobody's.

    from_cookie is what decides about forgery: a browser adds a cookie by itself, and never a header.
    """

    token: str = field(repr=False)
    from_cookie: bool


def credentials(scope: Scope) -> Credential | None:
    """The request's credential, or None when it brings none.

    A bearer token in ``Authorization`` beats the ``__session`` cookie. Two different ones of a kind are no
    credential, and nothing in the address is ever looked at: addresses are written into histories and logs.
    """
    bearers = _bearer_tokens(scope)
    if bearers:
        return Credential(_only(bearers), from_cookie=False)
    cookies = _session_cookies(scope)
    return Credential(_only(cookies), from_cookie=True) if cookies else None


def _bearer_tokens(scope: Scope) -> set[str]:
    values = (value.decode("latin-1").strip() for name, value in scope["headers"] if name == b"authorization")
    parts = (value.partition(" ") for value in values)
    return {token.strip() for scheme, _, token in parts if scheme.lower() == "bearer"}


def _session_cookies(scope: Scope) -> set[str]:
    lines = (value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
    pairs = (pair.partition("=") for line in lines for pair in line.split(";"))
    return {value.strip() for name, _, value in pairs if name.strip() == SESSION_COOKIE}


def _only(tokens: set[str]) -> str:
    return tokens.pop() if len(tokens) == 1 else ""


RequestOf = Callable[[Scope], Awaitable[Request]]


def request_of(verifier: Verifier, *, proxies: TrustedProxies | None = None) -> RequestOf:
    """What makes a Request from a scope: once for each HTTP request, however many calls share it. It never raises."""
    trusted = proxies or TrustedProxies()

    async def make(scope: Scope) -> Request:
        found = scope.get(_STATE)
        if not isinstance(found, Request):
            claims = await _claims_of(scope, verifier)
            found = scope[_STATE] = Request(request_id_of(scope), claims, trusted.peer_of(scope))
        return found

    return make


async def _claims_of(scope: Scope, verifier: Verifier) -> Claims | None:
    credential = credentials(scope)
    if credential is None or not credential.token:
        return None
    try:
        return await verifier.check(credential.token)
    except TokenRefused as refused:
        write = log.info if refused.reason in _EVERYDAY else log.warning
        write("trpc.context", phase="error", request_id=request_id_of(scope), error_code=refused.reason)
    except Exception as error:  # noqa: BLE001 - a verifier that fails makes an anonymous call, not a server error
        log.error("trpc.context", phase="error", request_id=request_id_of(scope), exc_info=error)
    return None
