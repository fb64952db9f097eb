"""The public keys a token may be signed with: one given as PEM, or the issuer's published set."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from anamnesis.journal import log

#: NIST SP 800-131A rev. 2, table 2: RSA below 2048 bits is disallowed for verifying new signatures.
SMALLEST_RSA_BITS: Final = 2048
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class KeyState(StrEnum):
    """What readiness says of the keys. DEGRADED: keys are in hand, and the last attempt to renew them failed."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class KeySource(Protocol):
    """Where a verifier gets keys from. kid is the key's id as the token's header names it, or None."""

    @property
    def state(self) -> KeyState:
        """Whether a key is in hand; asks nobody."""
        ...

    def in_hand(self, kid: str | None) -> RSAPublicKey | None:
        """The key as known now; never waits."""
        ...

    async def find(self, kid: str | None) -> RSAPublicKey | None:
        """The key, after asking the issuer if it is unknown and may be asked for. Never raises for an outage."""
        ...

    async def warm(self) -> None:
        """Fetch what can be fetched before the first token arrives. Never raises for an outage."""
        ...


class PemKeys:
    """One key, given by configuration; it signs whatever kid a token names. No network."""

    state: Final = KeyState.OK

    def __init__(self, pem: str) -> None:
        r"""Read an RSA public key; a PEM kept on one line may write its breaks as ``\n``. Raises ValueError."""
        try:
            key = load_pem_public_key(pem.replace("\\n", "\n").strip().encode())
        except Exception:  # noqa: BLE001 - the library raises four kinds, and their texts may quote the key
            key = None
        if not isinstance(key, RSAPublicKey) or key.key_size < SMALLEST_RSA_BITS:
            raise ValueError(f"the key must be an RSA public key in PEM form, of at least {SMALLEST_RSA_BITS} bits")
        self._key = key

    def in_hand(self, kid: str | None) -> RSAPublicKey | None:  # noqa: ARG002 - there is only one
        """The one key."""
        return self._key

    async def find(self, kid: str | None) -> RSAPublicKey | None:  # noqa: ARG002 - there is only one
        """The one key."""
        return self._key

    async def warm(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class JwksPolicy:
    """How a published key set is kept. Times are in seconds.

    A set is fresh for fresh_s; then its next use renews it in the background while it goes on serving. If
    renewing fails it serves until stale_s (at least a day, so that an issuer's outage locks nobody out). No two
    attempts start within retry_s, whatever tokens arrive.
    """

    fresh_s: float = 600
    stale_s: float = 72 * 3600
    retry_s: float = 30
    timeout_s: float = 5
    max_bytes: int = 64 * 1024
    max_keys: int = 20


class KeySetUnusable(Exception):
    """The issuer answered, and not with a key set."""


Fetch = Callable[[str, JwksPolicy], Awaitable[bytes]]


async def fetch_bytes(url: str, policy: JwksPolicy) -> bytes:
    """GET the url: no redirect is followed, at most max_bytes are read, in at most timeout_s altogether.

    Raises httpx2.HTTPError, TimeoutError or KeySetUnusable.
    """
    # Compression is declined: a few compressed bytes could otherwise become any number.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    async with (
        asyncio.timeout(policy.timeout_s),
        httpx2.AsyncClient(timeout=policy.timeout_s) as client,
        client.stream("GET", url, headers=headers, follow_redirects=False) as answer,
    ):
        if answer.status_code != httpx2.codes.OK:
            raise KeySetUnusable
        body = bytearray()
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > policy.max_bytes:
                raise KeySetUnusable
        return bytes(body)


class JwksKeys:
    """The issuer's published keys: cached, renewed behind the scenes, one request at a time.

    A known key never waits for the network. An issuer that is down, slow or talking nonsense changes nothing
    until the set is older than stale_s; an unusable answer counts as an outage, an answer with keys replaces
    the whole set, so a withdrawn key is gone with the next renewal.
    """

    def __init__(
        self,
        url: str,
        *,
        policy: JwksPolicy | None = None,
        fetch: Fetch = fetch_bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the url for later; fetches nothing. Raises ValueError unless it is https, or http on loopback."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS):
            raise ValueError("a key set is fetched over https only")
        self._url = url
        self._policy = policy or JwksPolicy()
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._renewed_at = float("-inf")
        self._tried_at = float("-inf")
        self._failed = False
        self._renewal: asyncio.Task[None] | None = None

    @property
    def state(self) -> KeyState:
        """Whether keys are in hand, and whether they could be renewed."""
        if not self._keys or self._age() > self._policy.stale_s:
            return KeyState.DOWN
        return KeyState.DEGRADED if self._failed else KeyState.OK

    def in_hand(self, kid: str | None) -> RSAPublicKey | None:
        """The key if it is known and not too old. Needs a running loop, where a set past its freshness is renewed."""
        age = self._age()
        if kid is None or age > self._policy.stale_s:
            return None
        if age > self._policy.fresh_s:
            self._start_renewal()
        return self._keys.get(kid)

    async def find(self, kid: str | None) -> RSAPublicKey | None:
        """The key; an unknown kid asks the issuer, at most once per retry_s and in at most timeout_s."""
        key = self.in_hand(kid)
        if key is None and kid is not None:
            await self.warm()
            key = self.in_hand(kid)
        return key

    async def warm(self) -> None:
        """Renew the set unless that was tried a moment ago; joins an attempt under way."""
        renewal = self._start_renewal()
        if renewal is not None:
            # Shielded: the caller who gives up must not end what the others wait for.
            await asyncio.shield(renewal)

    def _age(self) -> float:
        return self._monotonic() - self._renewed_at

    def _start_renewal(self) -> "asyncio.Task[None] | None":
        if self._renewal is not None and not self._renewal.done():
            return self._renewal
        if self._monotonic() - self._tried_at < self._policy.retry_s:
            return None
        self._tried_at = self._monotonic()
        self._renewal = asyncio.get_running_loop().create_task(self._renew())
        return self._renewal

    async def _renew(self) -> None:
        started = self._monotonic()
        try:
            self._keys = read_key_set(await self._fetch(self._url, self._policy), self._policy.max_keys)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, KeySetUnusable) as error:
            self._failed = True
            log.warning("auth.keys", phase="error", error_type=type(error).__name__, duration_ms=self._since(started))
            return
        self._renewed_at, self._failed = self._monotonic(), False
        log.info("auth.keys", phase="completed", count=len(self._keys), duration_ms=self._since(started))

    def _since(self, started: float) -> float:
        return (self._monotonic() - started) * 1000


def read_key_set(body: bytes, max_keys: int) -> dict[str, RSAPublicKey]:
    """The RS256 verification keys of a JWKS document (RFC 7517), by kid; others in it are passed over.

    Raises KeySetUnusable when it is no such document or holds no usable key.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise KeySetUnusable from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > max_keys:
        raise KeySetUnusable
    keys = {jwk["kid"]: key for jwk in listed if (key := _usable_key(jwk)) is not None}
    if not keys:
        raise KeySetUnusable
    return keys


def _usable_key(jwk: object) -> RSAPublicKey | None:
    """The key of one entry when it may verify RS256 signatures; one published with its private part may not."""
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or "d" in jwk:
        return None
    if jwk.get("kty") != "RSA" or jwk.get("use", "sig") != "sig" or jwk.get("alg", "RS256") != "RS256":
        return None
    try:
        key = RSAAlgorithm.from_jwk(jwk)
    except (InvalidKeyError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= SMALLEST_RSA_BITS else None
