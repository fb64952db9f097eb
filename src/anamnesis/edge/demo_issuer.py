"""Sign-in for the demo: an issuer of its own on this machine, verified by the same code as the real one.

It refuses to exist in production or where anybody but this machine could reach it.
"""

import secrets
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from anamnesis.edge.auth import SESSION_COOKIE
from anamnesis.edge.keys import SMALLEST_RSA_BITS, PemKeys
from anamnesis.edge.tokens import ALGORITHM
from anamnesis.kernel.identity import Claims

ISSUER: Final = "https://demo.anamnesis.invalid"
#: A working day: nobody is signed out while showing the demo to somebody.
_SESSION_S: Final = 12 * 3600
_TICKET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who a link signs in, and where it leads."""

    claims: Claims
    landing: str


@dataclass(slots=True)
class DemoIssuer:
    """Issues sessions for the demo's people by links nobody can guess.

    Its key is made at the start and forgotten at the end, so no session outlives a run. origin is where browsers reach
    the clinic, host what it is bound to. Raises ValueError in production, or when either is more than this machine.
    """

    origin: str
    host: str
    is_production: bool
    _key: rsa.RSAPrivateKey = field(init=False, repr=False)
    _tickets: dict[str, Ticket] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.is_production:
            raise ValueError("the demo's sign-in does not exist in production")
        if not is_loopback(self.host) or not is_loopback(urlsplit(self.origin).hostname or ""):
            raise ValueError("the demo's sign-in only exists on this machine itself: set HOST=127.0.0.1")
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=SMALLEST_RSA_BITS)

    def keys(self) -> PemKeys:
        """The public half, for the verifier."""
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return PemKeys(public.decode())

    def token(self, claims: Claims) -> str:
        """A session token of this person, as Clerk would issue it."""
        now = int(time.time())
        payload = {
            "iss": ISSUER, "azp": self.origin, "sub": claims.subject, "iat": now, "nbf": now, "exp": now + _SESSION_S,
            "email": claims.email, "first_name": claims.first_name, "last_name": claims.last_name,
        }  # fmt: skip
        return jwt.encode({name: value for name, value in payload.items() if value is not None}, self._key, ALGORITHM)

    def link(self, claims: Claims, landing: str) -> str:
        """A link that signs this person in for as long as the demo runs."""
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        self._tickets[ticket] = Ticket(claims, landing)
        return f"{self.origin}/demo/sign-in?ticket={ticket}"

    def app(self) -> Starlette:
        """The pages behind the links."""
        # A form posts to sign out, with scripts off as well.
        sign_outs = [Route(path, _sign_out, methods=["GET", "POST"]) for path in ("/sign-out", "/demo/sign-out")]
        return Starlette(routes=[Route("/demo/sign-in", self._sign_in), *sign_outs])

    async def _sign_in(self, request: Request) -> Response:
        ticket = self._tickets.get(request.query_params.get("ticket", ""))
        if ticket is None:
            return Response("This link is of an earlier run. Use the links printed by the running demo.", 404)
        answer = RedirectResponse(ticket.landing, 303)
        answer.set_cookie(
            SESSION_COOKIE,
            self.token(ticket.claims),
            max_age=_SESSION_S,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _sign_out(_: Request) -> Response:
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
    return answer
