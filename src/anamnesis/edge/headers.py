"""What every answer carries: a request id, and the browser's strictest manners."""

import re
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anamnesis import journal

#: Ids of our own, UUIDs, ULIDs, W3C trace ids and most proxies' ids pass; nothing that could end a line or a header.
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_STATE: Final = "anamnesis.request_id"

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; manifest-src 'self'; "
    "worker-src 'self'"
)
_UNUSED_FEATURES: Final = (
    b"accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), "
    b"gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()"
)

#: OWASP ASVS 5.0 V3.4. Referrer-Policy is same-origin, not no-referrer: under the latter a browser posts our own forms
#: with ``Origin: null`` (Fetch, "append a request Origin header"), which the origin check must refuse.
MANNERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", _UNUSED_FEATURES),
)
_STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_NO_STORE: Final = b"no-store"
_FOUND: Final = frozenset({200, 304})


def request_id_of(scope: MutableMapping[str, Any]) -> str:
    """The id of this request; made on first sight when no middleware of ours has run."""
    found = scope.get(_STATE)
    if not isinstance(found, str):
        found = scope[_STATE] = _accepted_or_new(scope)
    return found


def _accepted_or_new(scope: MutableMapping[str, Any]) -> str:
    told = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(told) == 1 and _REQUEST_ID.fullmatch(told[0]):
        return bytes(told[0]).decode("ascii")
    return uuid.uuid4().hex


class GoodManners:
    """ASGI middleware, the outermost: names the request in the journal and completes the headers of its answer.

    An inner application may set a stricter or other value of a header, which then stands; except that nothing but
    a static asset that is there may be stored by anybody. Bodies pass through untouched and unbuffered.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        is_https: Callable[[Scope], bool] = lambda scope: scope.get("scheme") == "https",
        asset_prefixes: tuple[str, ...] = ("/static/",),
    ) -> None:
        self._app = app
        self._is_https = is_https
        self._asset_prefixes = asset_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                is_there = message["status"] in _FOUND
                message["headers"] = self._completed(scope, message.get("headers", ()), request_id, is_there=is_there)
            await send(message)

        with journal.bound(request_id=request_id):
            await self._app(scope, receive, send_completed)

    def _completed(self, scope: Scope, given: Any, request_id: str, *, is_there: bool) -> list[tuple[bytes, bytes]]:
        headers = [(name.lower(), value) for name, value in given if name.lower() != b"x-request-id"]
        if not is_there or not scope["path"].startswith(self._asset_prefixes):
            headers = _unstorable(headers)
        present = {name for name, _ in headers}
        headers += [pair for pair in MANNERS if pair[0] not in present]
        if self._is_https(scope):
            headers.append(_STRICT_TRANSPORT)
        headers.append((b"x-request-id", request_id.encode("ascii")))
        return headers


def _unstorable(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The same headers with ``no-store``; a stream's ``no-transform`` stays, so that no proxy holds it back."""
    kept, directive = [], _NO_STORE
    for name, value in headers:
        if name != b"cache-control":
            kept.append((name, value))
        elif b"no-transform" in value:
            directive = b"no-store, no-transform"
    return [*kept, (b"cache-control", directive)]
