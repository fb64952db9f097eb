"""Decide whether a session token is genuine, current and meant for us. One algorithm, one issuer, no exceptions."""

import base64
import hashlib
import json
import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from anamnesis.edge.keys import KeySource
from anamnesis.kernel.clock import Clock, SystemClock
from anamnesis.kernel.errors import NotSignedIn
from anamnesis.kernel.identity import Claims
from anamnesis.kernel.text import clean

ALGORITHM: Final = "RS256"
#: Browsers keep no cookie above 4 KB, so no session token is longer; twice that leaves room for headers.
LONGEST_TOKEN: Final = 8192
LONGEST_LEEWAY_S: Final = 60
LONGEST_SUBJECT: Final = 255
LONGEST_EMAIL: Final = 320
LONGEST_NAME: Final = 100
LONGEST_URL: Final = 2048

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KID: Final = re.compile(r"[A-Za-z0-9._~=:-]{1,128}")
_SUBJECT: Final = re.compile(r"[\x21-\x7e]+")

#: These bring a key, change what is signed, or wrap another token: RFC 7515 4.1, RFC 7516 4.1, RFC 7797, RFC 7519 5.2.
_FORBIDDEN_PARAMETERS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "cty", "enc", "zip", "epk"})


class Refusal(StrEnum):
    """Why a token was not accepted. For the journal; a caller only learns that nobody is signed in."""

    TOO_LONG = "token_too_long"
    MALFORMED = "token_malformed"
    ALGORITHM = "token_algorithm"
    HEADER = "token_header"
    UNKNOWN_KEY = "token_key_unknown"
    SIGNATURE = "token_signature"
    CLAIMS = "token_claims"
    EXPIRED = "token_expired"
    NOT_YET = "token_not_yet_valid"
    FROM_THE_FUTURE = "token_issued_in_future"
    ISSUER = "token_issuer"
    PARTY = "token_party"
    AUDIENCE = "token_audience"
    SUBJECT = "token_subject"
    PENDING = "token_pending"


@dataclass(eq=False)
class TokenRefused(NotSignedIn):
    """The token is not acceptable; reason never holds any part of it."""

    reason: Refusal = Refusal.MALFORMED


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say. issuer equals ``iss``; ``azp`` is one of parties, the origins that may hold our sessions.

    A token with an ``aud`` needs one of audiences (RFC 7519 4.1.3), a session token has none. leeway_s is in whole
    seconds, 0 to 60, and is granted to ``exp``, ``nbf`` and ``iat`` alike.
    """

    issuer: str
    parties: frozenset[str]
    audiences: frozenset[str] = frozenset()
    leeway_s: int = 30

    def __post_init__(self) -> None:
        if not self.issuer or not self.parties:
            raise ValueError("a verifier needs an issuer and at least one authorized party")
        if not 0 <= self.leeway_s <= LONGEST_LEEWAY_S:
            raise ValueError(f"the leeway is 0 to {LONGEST_LEEWAY_S} seconds")


@dataclass(frozen=True, slots=True)
class _Times:
    """The token's own clock, in seconds since 1970."""

    expires: float
    not_before: float
    issued: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A verified token: who it is, when it holds, and the key that must still be the issuer's."""

    kid: str | None
    key: RSAPublicKey
    times: _Times
    claims: Claims


class Verifier:
    """Verifies session tokens and remembers the verified ones by their hash, so that a signature is checked once.

    Remembering never extends a token: its times and its key are looked at again on every use.
    """

    def __init__(
        self, keys: KeySource, expected: Expected, *, clock: Clock | None = None, remembered: int = 4096
    ) -> None:
        self._keys = keys
        self._expected = expected
        self._clock = clock or SystemClock()
        self._remembered = remembered
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()
        self._jws = PyJWS(algorithms=[ALGORITHM])

    async def verify(self, token: str) -> Claims | None:
        """Whose token it is, or None for one that is not acceptable. Waits for the network only for an unknown key."""
        try:
            return await self.check(token)
        except TokenRefused:
            return None

    async def check(self, token: str) -> Claims:
        """Whose token it is. Raises TokenRefused with the reason."""
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused(reason=Refusal.TOO_LONG)
        if not _COMPACT.fullmatch(token):
            raise TokenRefused(reason=Refusal.MALFORMED)
        digest = hashlib.sha256(token.encode()).digest()
        seen = self._recall(digest)
        if seen is None:
            seen = await self._examine(token)
            self._remember(digest, seen)
        self._check_times(seen.times)
        return seen.claims

    async def _examine(self, token: str) -> _Seen:
        kid = _read_kid(token)
        key = await self._keys.find(kid)
        if key is None:
            raise TokenRefused(reason=Refusal.UNKNOWN_KEY)
        payload = self._verified_payload(token, key)
        times = _read_times(payload)
        # Before the claims: an expired token of an old deployment is expired, whatever else has changed since.
        self._check_times(times)
        self._check_addressed_to_us(payload)
        return _Seen(kid, key, times, _read_claims(payload))

    def _verified_payload(self, token: str, key: RSAPublicKey) -> Mapping[str, Any]:
        try:
            signed = self._jws.decode_complete(token, key, algorithms=[ALGORITHM])
        except PyJWTError:
            raise TokenRefused(reason=Refusal.SIGNATURE) from None
        return _read_object(signed["payload"], Refusal.CLAIMS)

    def _check_times(self, times: _Times) -> None:
        now, leeway = self._clock.now().timestamp(), self._expected.leeway_s
        if now >= times.expires + leeway:
            raise TokenRefused(reason=Refusal.EXPIRED)
        if now < times.not_before - leeway:
            raise TokenRefused(reason=Refusal.NOT_YET)
        if now < times.issued - leeway:
            raise TokenRefused(reason=Refusal.FROM_THE_FUTURE)

    def _check_addressed_to_us(self, payload: Mapping[str, Any]) -> None:
        if payload.get("iss") != self._expected.issuer:
            raise TokenRefused(reason=Refusal.ISSUER)
        party = payload.get("azp")
        if not isinstance(party, str) or party not in self._expected.parties:
            raise TokenRefused(reason=Refusal.PARTY)
        if "aud" in payload and not _audiences(payload["aud"]) & self._expected.audiences:
            raise TokenRefused(reason=Refusal.AUDIENCE)
        # A Clerk session that still owes a step (a second factor, a choice of organisation) is not signed in yet.
        if payload.get("sts", "active") != "active":
            raise TokenRefused(reason=Refusal.PENDING)

    def _recall(self, digest: bytes) -> _Seen | None:
        seen = self._seen.get(digest)
        if seen is None:
            return None
        if self._keys.in_hand(seen.kid) != seen.key:
            # The issuer has withdrawn the key since, or put another in its place.
            del self._seen[digest]
            return None
        self._seen.move_to_end(digest)
        return seen

    def _remember(self, digest: bytes, seen: _Seen) -> None:
        self._seen[digest] = seen
        self._seen.move_to_end(digest)
        while len(self._seen) > self._remembered:
            self._seen.popitem(last=False)


def _read_kid(token: str) -> str | None:
    """The key id of an acceptable header. Nothing in a header is believed but this and the algorithm's name."""
    encoded = token.partition(".")[0]
    try:
        text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        raise TokenRefused(reason=Refusal.MALFORMED) from None
    header = _read_object(text, Refusal.MALFORMED)
    if header.get("alg") != ALGORITHM:
        raise TokenRefused(reason=Refusal.ALGORITHM)
    if str(header.get("typ", "JWT")).upper() != "JWT" or not _FORBIDDEN_PARAMETERS.isdisjoint(header):
        raise TokenRefused(reason=Refusal.HEADER)
    kid = header.get("kid")
    if kid is not None and not (isinstance(kid, str) and _KID.fullmatch(kid)):
        raise TokenRefused(reason=Refusal.HEADER)
    return kid


def _read_object(text: bytes, refusal: Refusal) -> Mapping[str, Any]:
    """A JSON object in which no name stands twice: two readers would otherwise see two tokens."""
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise TokenRefused(reason=refusal) from None
    if not isinstance(found, dict):
        raise TokenRefused(reason=refusal)
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(_: str) -> float:
    raise ValueError("NaN and Infinity are not JSON")


def _read_times(payload: Mapping[str, Any]) -> _Times:
    return _Times(
        expires=_instant(payload.get("exp")),
        not_before=_instant(payload["nbf"]) if "nbf" in payload else -math.inf,
        issued=_instant(payload.get("iat")),
    )


def _instant(value: object) -> float:
    """Seconds since 1970. A bool is not a number, and neither is a number in a string."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(reason=Refusal.CLAIMS)
    try:
        instant = float(value)
    except OverflowError:
        instant = math.inf
    if not math.isfinite(instant):
        raise TokenRefused(reason=Refusal.CLAIMS)
    return instant


def _audiences(value: object) -> frozenset[str]:
    listed = value if isinstance(value, list) else [value]
    return frozenset(each for each in listed if isinstance(each, str))


def _read_claims(payload: Mapping[str, Any]) -> Claims:
    subject = payload.get("sub")
    if not isinstance(subject, str) or len(subject) > LONGEST_SUBJECT or not _SUBJECT.fullmatch(subject):
        raise TokenRefused(reason=Refusal.SUBJECT)
    image = _text(payload, LONGEST_URL, "image_url", "picture")
    return Claims(
        subject=subject,
        email=_text(payload, LONGEST_EMAIL, "email", "email_address", "primary_email"),
        first_name=_text(payload, LONGEST_NAME, "first_name", "given_name"),
        last_name=_text(payload, LONGEST_NAME, "last_name", "family_name"),
        image_url=image if image and image.startswith("https://") else None,
    )


def _text(payload: Mapping[str, Any], longest: int, *names: str) -> str | None:
    """The first of these claims that is a usable text; one that is not is no reason to refuse a person."""
    for name in names:
        value = payload.get(name)
        if isinstance(value, str) and (text := clean(value).strip()) and len(text) <= longest:
            return text
    return None
