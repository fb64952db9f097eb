"""Read one variable's text into a value, or say what to do about it; a value is never repeated."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from anamnesis.kernel.errors import AnamnesisError

Value = TypeVar("Value")
Default = TypeVar("Default")
Network = IPv4Network | IPv6Network

_PLACEHOLDERS: Final = re.compile(
    r"""^<.*>$ | ^\[.*\]$ | ^\$?\{.*\}$ | (\.{3}|…)$ | ^(?P<same>[^0-9])(?P=same){2,}$
      | change[-_ ]?me | replace[-_ ]?(me|this) | place[-_ ]?holder | fill[-_ ]?(me|this)[-_ ]?in
      | \byour[-_ ] | [-_]your[-_] | ^to[-_ ]?do$ | ^fixme$ | ^(none|null|undefined|example)$
      | ^(sk|pk|whsec)[-_]((test|live)_)?([x*]{3,}|1234[0-9]*|abcd?e?f?)$ """,
    re.IGNORECASE | re.VERBOSE,
)
_SHORTEST_TOKEN: Final = 16
_EVERYBODYS_PASSWORDS: Final = {"password", "secret", "postgres", "admin", "test", "root", "1234", "123456", "pass"}
_RESERVED_HOSTS: Final = re.compile(r"(^|\.)(example\.(com|net|org)|example)$")
_HOST: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*"
)
_RSA_BITS: Final = 2048
#: Bytes, as Standard Webhooks has it.
_SHORTEST_VERIFYING: Final = 16
_SHORTEST_SECRET: Final = 24
_LONGEST_SECRET: Final = 64
#: How an encryption key is called; it stands in every envelope.
KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_KEY_BYTES: Final = 32


class Refused(AnamnesisError):
    """A text that cannot be the variable's value; the message says what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One variable and what to do about it."""

    variable: str
    advice: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.advice}"


class Secret:
    """A text that prints as nothing: it cannot slip into a log, a traceback or a page."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; call it only where it is handed to who needs it."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(slots=True)
class Reader:
    """Takes variables out of an environment and collects everything that is wrong with them."""

    environment: Mapping[str, str] = field(repr=False)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, variable: str, advice: str) -> None:
        """Note a problem and go on, so that all are told at once."""
        self.problems.append(Problem(variable, advice))

    def take(self, variable: str, parse: Callable[[str], Value], default: Default) -> Value | Default:
        """The variable's value; the default when it is not set, or is wrong and has been noted."""
        text = self.environment.get(variable)
        if text is None:
            return default
        try:
            return parse(_meant(text))
        except Refused as refused:
            self.refuse(variable, str(refused))
            return default

    def require(self, variable: str, advice: str) -> None:
        """Note it when the variable is not set."""
        if variable not in self.environment:
            self.refuse(variable, f"is required. {advice}")


def _meant(text: str) -> str:
    if not text.strip():
        raise Refused("is set but blank. Give it a value, or unset it.")
    if is_placeholder(text.strip()):
        raise Refused("still holds a placeholder. Put the real value there, or unset it.")
    return text.strip()


def is_placeholder(text: str) -> bool:
    """Whether the text looks copied from an example rather than filled in."""
    return _PLACEHOLDERS.search(text) is not None


def is_everybodys(password: str) -> bool:
    """Whether the password is one of those an installation begins with and a burglar tries first."""
    return password.lower() in _EVERYBODYS_PASSWORDS


def is_reserved(host: str) -> bool:
    """Whether nobody can really have this host: RFC 2606 keeps it for examples."""
    return _RESERVED_HOSTS.search(host.lower()) is not None


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def text(value: str) -> str:
    """Any text without blanks or controls."""
    if not value.isprintable() or " " in value:
        raise Refused("must be one word without blanks. Check for a stray line break or quote.")
    return value


def secret(value: str) -> Secret:
    """Any text without blanks or controls, kept hidden."""
    return Secret(text(value))


def token(value: str) -> Secret:
    """A secret that is long enough not to be guessed."""
    if len(text(value)) < _SHORTEST_TOKEN:
        raise Refused(f"must be {_SHORTEST_TOKEN} characters or more. `openssl rand -hex 32` makes one.")
    return Secret(value)


def secret_like(prefixes: tuple[str, ...], where: str) -> Callable[[str], Secret]:
    """A key that begins with one of the prefixes and is long enough to be one."""

    def parse(value: str) -> Secret:
        if not value.startswith(prefixes) or len(text(value)) < len(prefixes[0]) + 12:
            raise Refused(f"must begin with {' or '.join(prefixes)}. Copy the whole key from {where}.")
        return Secret(value)

    return parse


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of these words, in any case."""

    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise Refused(f"must be one of: {', '.join(allowed)}.")
        return value.lower()

    return parse


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not lowest <= int(value) <= highest:
            raise Refused(f"must be a whole number from {lowest} to {highest}.")
        return int(value)

    return parse


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """A decimal number within bounds."""

    def parse(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value) or not lowest <= float(value) <= highest:
            raise Refused(f"must be a number from {lowest:g} to {highest:g}.")
        return float(value)

    return parse


def price(value: str) -> tuple[str, float, float]:
    """A model's price, MODEL=IN/OUT: US dollars for a million tokens in and out."""
    found = re.fullmatch(r"([\w.:/@-]{1,120})=(\d{1,6}(?:\.\d{1,6})?)/(\d{1,6}(?:\.\d{1,6})?)", value)
    if found is None:
        raise Refused("must look like MODEL=0.30/2.50: US dollars for a million tokens in and out.")
    return found.group(1), float(found.group(2)), float(found.group(3))


def country(value: str) -> tuple[str, str]:
    """Where a provider works, PROVIDER=COUNTRY: the country in the words a patient is to read."""
    name, equals, place = value.partition("=")
    if not equals or not re.fullmatch(r"[^\W\d_][\w '().-]{1,59}", place.strip()):
        raise Refused("must look like gemini=the United States.")
    return name.strip().lower(), place.strip()


def truth(value: str) -> bool:
    """Yes or no."""
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if value.lower() not in words:
        raise Refused("must be true or false.")
    return words[value.lower()]


def several(parse: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """A comma-separated list; each entry is read like a variable of its own."""

    def parse_all(value: str) -> tuple[Value, ...]:
        return tuple(dict.fromkeys(parse(_meant(entry)) for entry in value.split(",")))

    return parse_all


def network(value: str) -> Network:
    """An address block in CIDR form, or one address."""
    try:
        block = ip_network(value, strict=False)
    except ValueError:
        raise Refused("must be addresses or blocks like 10.0.0.0/8, separated by commas.") from None
    if block.prefixlen == 0:
        raise Refused("would trust everybody. Name only the addresses of your own proxies.")
    return block


def host(value: str) -> str:
    """A host name or an address to listen on."""
    try:
        return str(ip_address(value))
    except ValueError:
        if not _HOST.fullmatch(value.lower()):
            raise Refused("must be a host name or an IP address, such as 127.0.0.1.") from None
        return value.lower()


def database_url(value: str) -> Secret:
    """Where a PostgreSQL server is: postgresql://user:password@host:port/database."""
    parts = _split(value, ("postgres", "postgresql"), "postgresql://USER:PASSWORD@HOST:5432/DATABASE")
    if parts.path in {"", "/"}:
        raise Refused("names no database. Write postgresql://USER:PASSWORD@HOST:5432/DATABASE.")
    if not parts.hostname and "host=" not in parts.query:
        raise Refused("names no host. Write postgresql://USER:PASSWORD@HOST:5432/DATABASE.")
    if any(is_placeholder(word) for word in (parts.username or "", parts.password or "")):
        raise Refused("still holds a placeholder. Put the real user and password there.")
    return Secret(value)


def web_url(value: str) -> str:
    """An http or https address, without a trailing slash."""
    parts = _split(value, ("http", "https"), "https://HOST")
    if not parts.hostname or parts.username is not None or parts.fragment or parts.query:
        raise Refused("must be a plain address like https://HOST, without user, query or fragment.")
    return value.rstrip("/")


def receiver_url(value: str) -> str:
    """Where events are sent: an http or https address; its path and query may hold what only its owner knows."""
    parts = _split(value, ("http", "https"), "https://HOST/PATH")
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise Refused("must be addresses like https://HOST/PATH, without user or fragment.")
    return value


def verifying_secret(value: str) -> Secret:
    """What Clerk signs its webhook with; one that was cut off in copying would have every event refused, unseen."""
    if not value.startswith("whsec_") or len(_key_in(value)) < _SHORTEST_VERIFYING:
        raise Refused("must be whsec_ and a key in base64. Copy the whole of it from Clerk's webhook page.")
    return Secret(value)


def signing_secret(value: str) -> Secret:
    """A secret of Standard Webhooks: whsec_ and 24 to 64 bytes in base64."""
    key = _key_in(value)
    if not value.startswith("whsec_") or not _SHORTEST_SECRET <= len(key) <= _LONGEST_SECRET:
        raise Refused("must be whsec_ and 24 to 64 random bytes in base64.")
    return Secret(value)


def _key_in(value: str) -> bytes:
    try:
        return base64.b64decode(text(value).removeprefix("whsec_"), validate=True)
    except ValueError:
        return b""


def encryption_key(value: str) -> tuple[str, Secret]:
    """A key of AES-256 with its id, ID:BASE64."""
    key_id, _, encoded = value.partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if not KEY_ID.fullmatch(key_id):
        raise Refused("must be ID:KEY, the id of at most 32 of a-z, 0-9 and hyphens. `anamnesis keys new` makes one.")
    if len(key) != _KEY_BYTES:
        raise Refused("must hold 32 bytes in base64 after each id. `anamnesis keys new` makes a key.")
    if len(set(key)) < _KEY_BYTES // 4:
        raise Refused("holds a key that was not drawn by chance. `anamnesis keys new` makes one.")
    return key_id, Secret(encoded)


def is_not_public(host: str) -> bool:
    """Whether the host is written as an address outside the public internet: wider than what counts as inside."""
    try:
        return not ip_address(host.strip("[]")).is_global
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def origin(value: str) -> str:
    """An origin as a browser sends it: scheme, host and a port that is not the default; no path."""
    parts = urlsplit(web_url(value))
    if parts.path:
        raise Refused("must be an origin like https://HOST, without a path.")
    defaults = {"http": 80, "https": 443}
    name = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    port = f":{parts.port}" if parts.port and parts.port != defaults[parts.scheme.lower()] else ""
    return f"{parts.scheme.lower()}://{name}{port}"


def _split(value: str, schemes: tuple[str, ...], form: str) -> SplitResult:
    try:
        parts = urlsplit(text(value))
        port = parts.port
    except ValueError:
        raise Refused(f"is not a valid address. Write it like {form}.") from None
    if parts.scheme.lower() not in schemes or port == 0:
        raise Refused(f"must look like {form}.")
    if parts.hostname and not (_HOST.fullmatch(unquote(parts.hostname)) or {":", "%"} & set(parts.hostname)):
        raise Refused(f"names an impossible host. Write it like {form}.")
    return parts


def frontend_host(publishable_key: str) -> str:
    """The identity provider's host, which a publishable key carries: base64 of the host and a dollar sign."""
    prefix, _, encoded = publishable_key.rpartition("_")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("ascii")
    except ValueError:
        decoded = ""
    host = decoded[:-1]
    names_host = decoded.endswith("$") and "." in host and _HOST.fullmatch(host)
    if prefix not in {"pk_test", "pk_live"} or not names_host:
        raise Refused("is not a publishable key. Copy the whole pk_test_… or pk_live_… key from Clerk's API keys page.")
    return host


def public_key(value: str) -> str:
    """An RSA public key of at least 2048 bits in PEM form; a backslash and an n count as a line break."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - slow, and seldom set
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - same

    pem = value.replace("\\n", "\n").strip().strip('"')
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise Refused("is not a PEM public key. Copy it whole, from -----BEGIN to END-----.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _RSA_BITS:
        raise Refused(f"must be an RSA public key of at least {_RSA_BITS} bits.")
    return pem + "\n"
