"""Refuse a write that another site made a signed-in browser send."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from anamnesis.edge.auth import credentials
from anamnesis.edge.keys import LOOPBACK_HOSTS
from anamnesis.journal import log

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
#: What a URL is written in (RFC 3986 section 2). The rest, such as a backslash, two parsers read as two hosts.
_PLAIN: Final = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%-]+")
_REFUSAL: Final = (
    b'{"error":"This request did not come from our own pages. Open the page again and retry.","code":"CSRF_ERROR"}'
)


def origin_of(url: str) -> str | None:
    """The origin of a URL as browsers write it (RFC 6454 section 6.2), or None where there is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not _PLAIN.fullmatch(url) or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return (
        f"{parts.scheme}://{host}"
        if port in {None, _DEFAULT_PORTS[parts.scheme]}
        else f"{parts.scheme}://{host}:{port}"
    )


class OriginGuard:
    """ASGI middleware: a write whose credential is a cookie must come from an allowed origin, else 403 CSRF_ERROR.

    The ``Origin`` header decides, the ``Referer``'s origin where there is no Origin, and equality is exact. With
    allow_own_loopback, for development, a loopback host's own origin is allowed too. A bearer token needs no origin,
    for no browser adds one by itself; neither does a request without any credential.
    """

    def __init__(self, app: ASGIApp, *, allowed: Iterable[str], allow_own_loopback: bool = False) -> None:
        """Raises ValueError for an allowed origin that is not one, such as a URL with a path."""
        self._app = app
        self._allowed = frozenset(_configured(origin) for origin in allowed)
        self._allow_own_loopback = allow_own_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or self._is_acceptable(scope):
            await self._app(scope, receive, send)
            return
        log.warning("edge.origin", phase="error", method=scope["method"], error_code="CSRF_ERROR")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_REFUSAL)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": _REFUSAL})

    def _is_acceptable(self, scope: Scope) -> bool:
        if scope["method"] in _READS:
            return True
        credential = credentials(scope)
        if credential is None or not credential.from_cookie:
            return True
        origin = _sender(scope)
        return origin is not None and (origin in self._allowed or self._is_own_loopback(origin, scope))

    def _is_own_loopback(self, origin: str, scope: Scope) -> bool:
        if not self._allow_own_loopback:
            return False
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        own = origin_of(f"{scope.get('scheme', 'http')}://{hosts[0]}") if len(hosts) == 1 else None
        return own == origin and urlsplit(origin).hostname in LOOPBACK_HOSTS


def _configured(origin: str) -> str:
    found = origin_of(origin)
    if found is None or urlsplit(origin).path not in {"", "/"} or "?" in origin or "#" in origin:
        raise ValueError("an allowed origin is a scheme, a host and perhaps a port, such as https://clinic.example")
    return found


def _sender(scope: Scope) -> str | None:
    """The origin that sent the request, as the browser tells it. Told twice is not told."""
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    if origins:
        return bytes(origins[0]).decode("latin-1") if len(origins) == 1 else None
    referers = [value for name, value in scope["headers"] if name == b"referer"]
    return origin_of(referers[0].decode("latin-1")) if len(referers) == 1 else None
