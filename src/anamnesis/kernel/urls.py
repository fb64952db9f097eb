"""Addresses as a browser reads them, so that we refuse and normalise what our clients' own URL class does.

Written from the WHATWG URL Standard (https://url.spec.whatwg.org, read 2026-11): the parser without a base address.
Left out: Windows drive letters in file addresses, and encodings other than UTF-8.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import unquote_to_bytes

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE | re.ASCII)
_EDGES: Final = "".join(map(chr, range(0x21)))  # C0 controls and space
_DEFAULT_PORTS: Final[dict[str, int | None]] = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "file": None}
_FORBIDDEN_IN_HOST: Final = re.compile(r"[\x00\t\n\r #/:<>?@\[\\\]^|]")
_FORBIDDEN_IN_DOMAIN: Final = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
_LARGEST_PORT: Final = 65535

_FRAGMENT: Final = frozenset(' "<>`')
_QUERY: Final = frozenset(' "#<>')
_SPECIAL_QUERY: Final = _QUERY | {"'"}
_PATH: Final = _QUERY | frozenset("?`{}")
_USERINFO: Final = _PATH | frozenset("/:;=@[\\]^|")


class _NoUrl(ValueError):
    """The text is no address."""


@dataclass(frozen=True, slots=True)
class _Authority:
    """Who is asked: userinfo with its ``@``, host, port with its ``:``."""

    userinfo: str
    host: str
    port: str

    def __str__(self) -> str:
        return f"{self.userinfo}{self.host}{self.port}"


def href_of(text: str) -> str | None:
    """The address in the form a browser would print it, or None when it is none."""
    words = re.sub(r"[\t\n\r]", "", text.strip(_EDGES))
    named = _SCHEME.match(words)
    if named is None:
        return None
    scheme, rest = named.group(1).lower(), words[named.end() :]
    rest, hash_mark, fragment = rest.partition("#")
    rest, question_mark, query = rest.partition("?")
    is_special = scheme in _DEFAULT_PORTS
    try:
        body = _special(scheme, rest.replace("\\", "/")) if is_special else _ordinary(rest)
    except (_NoUrl, UnicodeError):
        return None
    asked = question_mark + _encoded(query, _SPECIAL_QUERY if is_special else _QUERY)
    return f"{scheme}:{body}{asked}{hash_mark}{_encoded(fragment, _FRAGMENT)}"


def _special(scheme: str, rest: str) -> str:
    """A web address: any number of slashes may stand before the host, and the path is never empty."""
    if scheme == "file":
        authority, path = _split(rest[2:]) if rest.startswith("//") else ("", rest)
        host = _domain(authority) if authority else ""
        return f"//{'' if host == 'localhost' else host}{_path(path or '/')}"
    authority, path = _split(rest.lstrip("/"))
    return f"//{_authority(authority, scheme)}{_path(path or '/')}"


def _ordinary(rest: str) -> str:
    """An address of any other scheme, whose host is not looked up and whose path may be opaque."""
    if rest.startswith("//"):
        authority, path = _split(rest[2:])
        return f"//{_authority(authority, None) if authority else ''}{_path(path) if path else ''}"
    return _path(rest) if rest.startswith("/") else _encoded(rest, frozenset())


def _split(rest: str) -> tuple[str, str]:
    authority, slash, path = rest.partition("/")
    return authority, slash + path


def _authority(text: str, scheme: str | None) -> _Authority:
    userinfo, at, place = text.rpartition("@")
    bracket = place.rfind("]")
    name, colon, port = (
        (place[: bracket + 1], *_port_after(place[bracket + 1 :])) if bracket >= 0 else _name_port(place)
    )
    if (scheme and not name) or (not name and (at or colon)):
        raise _NoUrl
    host = _domain(name) if scheme else _opaque_host(name)
    return _Authority(_userinfo(userinfo) if at else "", host, _port(port, scheme))


def _name_port(place: str) -> tuple[str, str, str]:
    name, colon, port = place.partition(":")
    return name, colon, port


def _port_after(rest: str) -> tuple[str, str]:
    if rest and not rest.startswith(":"):
        raise _NoUrl
    return rest[:1], rest[1:]


def _port(text: str, scheme: str | None) -> str:
    if not text:
        return ""
    if not re.fullmatch(r"\d+", text, re.ASCII) or len(text.lstrip("0")) > len(str(_LARGEST_PORT)):
        raise _NoUrl
    number = int(text)
    if number > _LARGEST_PORT:
        raise _NoUrl
    return "" if scheme and number == _DEFAULT_PORTS[scheme] else f":{number}"


def _userinfo(text: str) -> str:
    name, colon, password = text.partition(":")
    shown = _encoded(name, _USERINFO) + (":" + _encoded(password, _USERINFO) if colon and password else "")
    return shown + "@" if shown else ""


def _domain(text: str) -> str:
    """A host that is looked up: a name in ASCII, or a network address in its shortest form."""
    if text.startswith("["):
        return _ipv6(text)
    name = unquote_to_bytes(text).decode()
    if not name.isascii():
        name = ".".join(label.encode("idna").decode() if label else "" for label in name.split("."))
    name = name.lower()
    if not name or _FORBIDDEN_IN_DOMAIN.search(name):
        raise _NoUrl
    return _ipv4(name) if _ends_in_number(name) else name


def _opaque_host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text)
    if _FORBIDDEN_IN_HOST.search(text):
        raise _NoUrl
    return _encoded(text, frozenset())


def _ipv6(text: str) -> str:
    try:
        return f"[{IPv6Address(text[1:-1]).compressed}]" if text.endswith("]") and "%" not in text else _refuse()
    except AddressValueError:
        raise _NoUrl from None


def _refuse() -> str:
    raise _NoUrl


def _ends_in_number(name: str) -> bool:
    last = name.removesuffix(".").rpartition(".")[2]
    return re.fullmatch(r"\d+|0x[0-9a-f]*", last, re.ASCII) is not None


def _ipv4(name: str) -> str:
    parts = [_ipv4_part(part) for part in name.removesuffix(".").split(".")]
    *heads, last = parts
    if len(parts) > 4 or any(head > 255 for head in heads) or last >= 256 ** (5 - len(parts)):  # noqa: PLR2004 - IPv4's four bytes
        raise _NoUrl
    return str(IPv4Address(sum(head << (8 * (3 - place)) for place, head in enumerate(heads)) + last))


def _ipv4_part(text: str) -> int:
    if not text:
        raise _NoUrl
    base = 16 if text.startswith("0x") else 8 if len(text) > 1 and text.startswith("0") else 10
    digits = text[2:] if base == 16 else text  # noqa: PLR2004 - hexadecimal
    if len(digits) > 20:  # noqa: PLR2004 - far beyond four bytes in any base
        raise _NoUrl
    try:
        return int(digits, base) if digits else 0
    except ValueError:
        raise _NoUrl from None


def _path(text: str) -> str:
    """The path with dot segments resolved."""
    kept: list[str] = []
    segments = text.removeprefix("/").split("/")
    for place, segment in enumerate(segments):
        dots = segment.lower().replace("%2e", ".")
        is_last = place == len(segments) - 1
        if dots == "..":
            del kept[-1:]
        if dots not in (".", ".."):
            kept.append(_encoded(segment, _PATH))
        elif is_last:
            kept.append("")
    return "/" + "/".join(kept)


def _encoded(text: str, further: frozenset[str]) -> str:
    """The text with controls, non-ASCII and the given characters as percent escapes; half characters as U+FFFD."""
    return "".join(
        character
        if " " <= character <= "~" and character not in further
        else "".join(
            f"%{byte:02X}" for byte in (b"\xef\xbf\xbd" if "\ud800" <= character <= "\udfff" else character.encode())
        )
        for character in text
    )
