"""JSON text as JavaScript writes and reads it, within bounds."""

import json
import re
from typing import Any, Final

import msgspec

Tree = Any
#: Beyond this a double no longer tells neighbouring integers apart.
SAFE_INTEGER: Final = 2**53
#: What some editors put before a text; fetch drops it from a body, JSON itself does not allow it.
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_PROTO: Final = "__proto__"


# -- writing -----------------------------------------------------------------------------------------------------


def json_text(tree: Tree) -> bytes:
    """The tree as JSON.stringify writes it. Its numbers are ints, or come from ``number_tree``."""
    try:
        return msgspec.json.encode(tree)
    except UnicodeEncodeError:
        return _slow_text(tree).encode()


def _slow_text(tree: Tree) -> str:
    """For texts with half characters, which JSON.stringify escapes and a UTF-8 encoder refuses."""
    if isinstance(tree, dict):
        return "{" + ",".join(f"{_slow_string(key)}:{_slow_text(member)}" for key, member in tree.items()) + "}"
    if isinstance(tree, list | tuple):
        return "[" + ",".join(map(_slow_text, tree)) + "]"
    return _slow_string(tree) if isinstance(tree, str) else msgspec.json.encode(tree).decode()


def _slow_string(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half.group()):04x}", quoted)


def number_tree(value: float) -> Tree:
    """A finite number as what ``json_text`` prints in JavaScript's form."""
    if -SAFE_INTEGER <= value <= SAFE_INTEGER and (isinstance(value, int) or value.is_integer()):
        return int(value)
    return msgspec.Raw(js_number(float(value)).encode())


def js_number(value: float) -> str:
    """The shortest text that reads back as this finite double, in ECMAScript's notation."""
    text = repr(value)
    digits, _, exponent = text.partition("e")
    if not exponent:
        return text.removesuffix(".0")
    power = int(exponent)
    sign = "-" if digits.startswith("-") else ""
    whole, _, fraction = digits.lstrip("-").partition(".")
    if 0 <= power < 21:  # noqa: PLR2004 - ECMA-262 Number::toString switches at 1e21
        return sign + whole + fraction.ljust(power, "0")
    if -7 < power < 0:  # noqa: PLR2004 - and at 1e-7
        return f"{sign}0.{'0' * (-power - 1)}{whole}{fraction}"
    return f"{sign}{whole}{'.' + fraction if fraction else ''}e{'+' if power > 0 else '-'}{abs(power)}"


# -- reading -----------------------------------------------------------------------------------------------------


class TooDeep(ValueError):
    """Brackets nested deeper than we read."""


def parse_json(body: bytes, *, max_depth: int) -> Tree:
    """Read JSON as JavaScript does: the last of two equal keys wins, big numbers become doubles.

    A key ``__proto__`` is dropped, since no object of a client's can have it. Raises ValueError, TooDeep among them;
    never recurses deeper than max_depth.
    """
    text = body.decode()
    _check_depth(text, max_depth)
    without_proto = _without_proto if _PROTO in text or "\\u005f" in text.lower() else None
    return json.loads(text, parse_int=_read_integer, parse_constant=_refuse_constant, object_hook=without_proto)


_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def _check_depth(text: str, max_depth: int) -> None:
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for token in _BRACKETS.finditer(text):
        if token.group() in "[{":
            depth += 1
            if depth > max_depth:
                raise TooDeep(f"JSON may be nested {max_depth} deep at most")
        elif token.group() in "]}":
            depth -= 1


def _read_integer(text: str) -> float:
    if text == "-0":
        return -0.0
    return int(text) if len(text) < 16 else float(text)  # noqa: PLR2004 - below sixteen digits every integer is exact


def _refuse_constant(name: str) -> Tree:
    raise ValueError(f"Unexpected token in JSON: {name}")


def _without_proto(members: dict[str, Tree]) -> dict[str, Tree]:
    members.pop(_PROTO, None)
    return members
