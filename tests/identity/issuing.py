"""An identity provider for tests: real keys, real tokens, and a real HTTP server that can misbehave."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from jwt.algorithms import RSAAlgorithm

from anamnesis.edge.tokens import Expected

ISSUER = "https://clerk.clinic.example"
APP = "https://app.clinic.example"
KID = "ins_first"
NOW = 1_800_000_000
EXPECTED = Expected(issuer=ISSUER, parties=frozenset({APP}), leeway_s=30)


@dataclass
class HeldClock:
    """A clock a test moves by hand; seconds is the time since 1970, or since whenever for monotonic use."""

    seconds: float = NOW

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def __call__(self) -> float:
        return self.seconds


def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name and size; making one takes a tenth of a second."""
    return _made(name, bits)


@cache
def _made(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(name: str, bits: int = 2048) -> str:
    encoded = (
        key(name, bits)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return encoded.decode()


def jwk(name: str, kid: str, bits: int = 2048, **more: Any) -> dict[str, Any]:
    public = RSAAlgorithm.to_jwk(key(name, bits).public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig", "alg": "RS256", **more}


def key_set(*jwks: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(jwks)}).encode()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """A session token's claims at NOW; a claim changed to None is left out."""
    told = {"iss": ISSUER, "azp": APP, "sub": "user_2abc", "sid": "sess_1"}
    times = {"iat": NOW, "nbf": NOW - 10, "exp": NOW + 60}
    return {name: value for name, value in {**told, **times, **changes}.items() if value is not None}


def header(**changes: Any) -> dict[str, Any]:
    told = {"alg": "RS256", "kid": KID, "typ": "JWT", **changes}
    return {name: value for name, value in told.items() if value is not None}


def token(head: Any = None, body: Any = None, *, signed_by: str = "first") -> str:
    """A compact token. head and body may be text, to say what no JSON library would."""
    parts = [header() if head is None else head, claims() if body is None else body]
    texts = [part if isinstance(part, str) else json.dumps(part) for part in parts]
    signing_input = ".".join(b64(text.encode()) for text in texts)
    return f"{signing_input}.{b64(sign(signing_input, signed_by))}"


def sign(text: str, name: str) -> bytes:
    return key(name).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())


@dataclass
class KeyServer:
    """What the issuer's key server does next, and how often it was asked."""

    body: bytes = b""
    status: int = 200
    delay_s: float = 0.0
    headers: str = ""
    asked: int = 0
    url: str = ""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def says(self, **changes: Any) -> None:
        fresh = replace(KeyServer(), **changes)
        self.body, self.status, self.delay_s, self.headers = fresh.body, fresh.status, fresh.delay_s, fresh.headers

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await asyncio.sleep(self.delay_s)
            length = f"content-length: {len(self.body)}\r\nconnection: close\r\n{self.headers}\r\n"
            writer.write(f"HTTP/1.1 {self.status} Said\r\n{length}".encode() + self.body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    server = KeyServer(body=key_set(jwk("first", KID)))
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/.well-known/jwks.json"
    try:
        yield server
    finally:
        listening.close()
        for writer in list(server._open):
            writer.close()


def scope(method: str = "GET", path: str = "/", query: str = "", **headers: str | list[str]) -> dict[str, Any]:
    """An ASGI scope as uvicorn would make it; an underscore in a header's name is a dash."""
    pairs = [
        (name.replace("_", "-").encode(), each.encode("latin-1"))
        for name, value in headers.items()
        for each in ([value] if isinstance(value, str) else value)
    ]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "scheme": "http",
        "client": ("203.0.113.9", 4711),
        "headers": pairs,
    }


async def answered(app: Any, asked: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """What an ASGI application answers to a request without a body."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(asked, receive, send)
    start, *bodies = sent
    return start["status"], list(start["headers"]), b"".join(body.get("body", b"") for body in bodies)
