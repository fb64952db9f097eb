"""superjson 2.2.6, both ways: plain JSON beside annotations for what JSON cannot say.

Written from the observed wire format of the genuine package; its recorded vectors are replayed in the tests.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from math import isfinite, isnan
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from anamnesis.kernel.javascript import (
    ABSENT,
    UNDEFINED,
    BigInt,
    FarDate,
    InvalidDate,
    JsError,
    JsMap,
    JsSet,
    RegExp,
    TypedArray,
    Url,
)

Tree = Any
Path = tuple[str, ...]
_FORBIDDEN: Final = frozenset({"__proto__", "prototype", "constructor"})
_SAFE_INTEGER: Final = 2**53
_NAN: Final = float("nan")
_INDEX: Final = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)


class BadEnvelope(ValueError):
    """What came is not superjson; the text is what the genuine decoder says."""


class Unencodable(ValueError):
    """A value the format refuses to carry."""


# -- encoding ----------------------------------------------------------------------------------------------------


class _Shared(Exception):
    """One object stands in two places; the quick encoder gives way to the thorough one."""


def envelope(value: object) -> dict[str, Tree]:
    """The value as ``{"json": …}``, with ``"meta"`` when something needs annotating.

    Plain values are dict, list, str, int, float, bool, None and aware datetime; the rest are the classes of
    ``kernel.javascript``. Raises Unencodable for a key that would pollute a prototype.
    """
    try:
        tree, notes = _quick(value, set())
        equalities = None
    except _Shared:
        walk = _Thorough()
        tree, notes = walk.visit(value, (), ())
        equalities = walk.equalities()
    meta: dict[str, Tree] = {}
    if notes:
        meta["values"] = notes
    if equalities:
        meta["referentialEqualities"] = equalities
    return {"json": tree, "meta": {**meta, "v": 1}} if meta else {"json": tree}


def iso(moment: datetime) -> str:
    """A moment as JavaScript writes it: UTC, always three digits of milliseconds, truncated."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _quick(value: object, seen: set[int]) -> tuple[Tree, Tree]:
    """The common kinds without tracking paths: most answers are trees of these."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value, None
    if kind is int:
        return _integer(value), None  # type: ignore[arg-type]
    if isinstance(value, UUID):  # the database driver has a kind of its own
        return str(value), None
    if id(value) in seen and value is not UNDEFINED:
        raise _Shared
    if kind is datetime:
        seen.add(id(value))
        return iso(value), ["Date"]  # type: ignore[arg-type]
    if kind is dict:
        seen.add(id(value))
        return _quick_object(value, seen)  # type: ignore[arg-type]
    if kind is list or kind is tuple:
        seen.add(id(value))
        return _quick_list(value, seen)  # type: ignore[arg-type]
    if value is UNDEFINED:
        return None, ["undefined"]
    if kind is float and isfinite(value) and (value or str(value) != "-0.0"):  # type: ignore[arg-type]
        return _number(value), None  # type: ignore[arg-type]
    raise _Shared


def _quick_object(value: dict[str, object], seen: set[int]) -> tuple[Tree, Tree]:
    tree: dict[str, Tree] = {}
    notes: dict[str, Tree] = {}
    for key, member in _ordered(value):
        tree[key], inner = _quick(member, seen)
        if inner is not None:
            _note(notes, key, inner)
    return tree, notes or None


def _quick_list(value: list[object], seen: set[int]) -> tuple[Tree, Tree]:
    tree: list[Tree] = []
    notes: dict[str, Tree] = {}
    for index, member in enumerate(value):
        item, inner = _quick(member, seen)
        tree.append(item)
        if inner is not None:
            _note(notes, str(index), inner)
    return tree, notes or None


def _note(notes: dict[str, Tree], key: str, inner: Tree) -> None:
    """Put a member's annotations into its container's: a leaf under its key, a nest under dotted keys."""
    name = _escape(key)
    if type(inner) is list:
        notes[name] = inner
    else:
        for path, note in inner.items():
            notes[f"{name}.{path}"] = note


def _ordered(value: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Members in JavaScript's order: integer-like keys first, ascending."""
    if not _FORBIDDEN.isdisjoint(value):
        key = next(key for key in value if key in _FORBIDDEN)
        raise Unencodable(
            f"Detected property {key}. This is a prototype pollution risk, please remove it from your object."
        )
    if any(key[:1].isdigit() for key in value):
        numbers = sorted((key for key in value if _is_index(key)), key=int)
        rest = [key for key in value if not _is_index(key)]
        return ((key, value[key]) for key in (*numbers, *rest))
    return iter(value.items())


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) < 2**32 - 1


def _escape(key: str) -> str:
    return key.replace("\\", "\\\\").replace(".", "\\.") if "." in key or "\\" in key else key


def _integer(value: int) -> Tree:
    return value if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else _number(float(value))


def _number(value: float) -> Tree:
    """A finite float as JavaScript prints it."""
    if value.is_integer() and abs(value) <= _SAFE_INTEGER:
        return int(value)
    return msgspec.Raw(js_number(value).encode())


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


class _Thorough:
    """The encoder that handles every kind, and notes which objects stand in several places."""

    def __init__(self) -> None:
        self._places: dict[object, list[Path]] = {}
        self._done: dict[int, tuple[Tree, Tree]] = {}
        self._kept: list[object] = []  # an id is only an identity while its object lives

    def visit(self, value: object, path: Path, inside: tuple[int, ...]) -> tuple[Tree, Tree]:
        leaf = _plain(value)
        if leaf is not None:
            return leaf
        identity = self._identity(value)
        self._places.setdefault(identity, []).append(path)
        if id(value) in self._done:
            return self._done[id(value)]
        if id(value) in inside:
            return None, None
        result = self._transform(value, path, (*inside, id(value)))
        self._done[id(value)] = result
        self._kept.append(value)
        return result

    def equalities(self) -> Tree:
        roots: list[str] | None = None
        others: dict[str, list[str]] = {}
        for paths in self._places.values():
            if len(paths) < 2:  # noqa: PLR2004 - two places make an equality
                continue
            first, *rest = sorted(paths, key=len)
            texts = [".".join(map(_escape, path)) for path in rest]
            if first:
                others[".".join(map(_escape, first))] = texts
            else:
                roots = texts
        if roots is not None:
            return [roots, others] if others else [roots]
        return others or None

    @staticmethod
    def _identity(value: object) -> object:
        if isinstance(value, BigInt):
            return ("bigint", value.value)
        return ("nan",) if isinstance(value, float) else id(value)

    def _transform(self, value: object, path: Path, inside: tuple[int, ...]) -> tuple[Tree, Tree]:
        simple = _simple(value)
        if simple is not None:
            return simple
        if isinstance(value, dict):
            return self._members(_ordered(value), path, inside, {})
        if isinstance(value, list | tuple):
            return self._members(((str(i), member) for i, member in enumerate(value)), path, inside, [])
        if isinstance(value, JsSet):
            numbered = ((str(i), member) for i, member in enumerate(value.members))
            return _typed("set", self._members(numbered, path, inside, []))
        if isinstance(value, JsMap):
            entries = [list(entry) for entry in value.entries]
            self._kept.append(entries)
            numbered = ((str(i), entry) for i, entry in enumerate(entries))
            return _typed("map", self._members(numbered, path, inside, []))
        if isinstance(value, JsError):
            parts: dict[str, object] = {"name": value.name, "message": value.message}
            if value.cause is not ABSENT:
                parts["cause"] = value.cause
            return _typed("Error", self._members(iter(parts.items()), path, inside, {}))
        raise Unencodable(f"A {type(value).__name__} cannot be sent.")

    def _members(
        self, members: Iterator[tuple[str, object]], path: Path, inside: tuple[int, ...], tree: Tree
    ) -> tuple[Tree, Tree]:
        notes: dict[str, Tree] = {}
        for key, member in members:
            item, inner = self.visit(member, (*path, key), inside)
            if isinstance(tree, list):
                tree.append(item)
            else:
                tree[key] = item
            if inner is not None:
                _note(notes, key, inner)
        return tree, notes or None


def _plain(value: object) -> tuple[Tree, Tree] | None:
    """Primitives, which have no identity; NaN and bigint do, by value."""
    if value is UNDEFINED:
        return None, ["undefined"]
    if value is None or isinstance(value, str | bool):
        return value, None
    if isinstance(value, UUID):
        return str(value), None
    if isinstance(value, int):
        return _integer(value), None
    if isinstance(value, float) and not isnan(value):
        if isfinite(value) and (value or str(value) != "-0.0"):
            return _number(value), None
        return ("-0" if not value else "Infinity" if value > 0 else "-Infinity"), ["number"]
    return None


def _simple(value: object) -> tuple[Tree, Tree] | None:
    """Objects without insides."""
    match value:
        case datetime():
            return iso(value), ["Date"]
        case FarDate(text):
            return text, ["Date"]
        case InvalidDate():
            return None, None
        case float():
            return "NaN", ["number"]
        case BigInt(number):
            return str(number), ["bigint"]
        case Url(href):
            return href, ["URL"]
        case RegExp(source, flags):
            return f"/{source}/{flags}", ["regexp"]
        case TypedArray(kind, values):
            return [_number(float(number)) for number in values], [["typed-array", kind]]
        case _:
            return None


def _typed(kind: str, inner: tuple[Tree, Tree]) -> tuple[Tree, Tree]:
    tree, notes = inner
    return tree, [kind, notes] if notes else [kind]


# -- JSON text ---------------------------------------------------------------------------------------------------


def json_text(tree: Tree) -> bytes:
    """The tree as JSON.stringify writes it."""
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
    if isinstance(tree, str):
        return _slow_string(tree)
    return msgspec.json.encode(tree).decode()


def _slow_string(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half.group()):04x}", quoted)


class TooDeep(ValueError):
    """Brackets nested deeper than we read."""


def parse_json(body: bytes, *, max_depth: int) -> Tree:
    """Read JSON as JavaScript does: the last of two equal keys wins, big numbers become doubles.

    Raises ValueError, TooDeep among them; never recurses deeper than max_depth.
    """
    text = body.decode()
    _check_depth(text, max_depth)
    return json.loads(text, parse_int=_read_integer, parse_constant=_refuse_constant)


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


_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def _read_integer(text: str) -> float:
    if text == "-0":
        return -0.0
    return int(text) if len(text) < 16 else float(text)  # noqa: PLR2004 - below sixteen digits every integer is exact


def _refuse_constant(name: str) -> Tree:
    raise ValueError(f"Unexpected token in JSON: {name}")


# -- decoding ----------------------------------------------------------------------------------------------------


def decode(payload: Tree) -> object:
    """The value an envelope stands for; what is no envelope stands for undefined.

    Raises BadEnvelope.
    """
    if payload is None:
        raise BadEnvelope("Cannot destructure property 'json' of 'payload' as it is null.")
    if not isinstance(payload, dict):
        return UNDEFINED
    value = payload.get("json", UNDEFINED)
    meta = payload.get("meta")
    if not isinstance(meta, dict):
        return value
    reader = _Reader(is_legacy=meta.get("v", 0) in (0, None))
    value = reader.apply_values(value, meta.get("values"))
    return reader.apply_equalities(value, meta.get("referentialEqualities"))


class _Reader:
    def __init__(self, *, is_legacy: bool) -> None:
        self._is_legacy = is_legacy

    def apply_values(self, value: object, notes: Tree) -> object:
        for kind, path in self._each(notes, ()):
            value = _replace(value, path, partial(_restore, kind=kind))
        return value

    def _each(self, notes: Tree, origin: Path) -> Iterator[tuple[Tree, Path]]:
        """Every annotation with its place, what lies inside a container before the container."""
        if not notes:
            return
        if isinstance(notes, dict):
            for key, inner in notes.items():
                yield from self._each(inner, (*origin, *self._path(key)))
            return
        if not isinstance(notes, list):
            raise BadEnvelope("Malformed annotation")
        if len(notes) > 1 and isinstance(notes[1], dict):
            for key, inner in notes[1].items():
                yield from self._each(inner, (*origin, *self._path(key)))
        yield notes[0], origin

    def apply_equalities(self, value: object, notes: Tree) -> object:
        if isinstance(notes, list):
            for path in notes[0] if notes and isinstance(notes[0], list) else []:
                value = _replace(value, self._path(path), partial(_instead, value))
            notes = notes[1] if len(notes) > 1 else None
        if isinstance(notes, dict):
            for source, copies in notes.items():
                shared = _find(value, self._path(source))
                for path in copies if isinstance(copies, list) else []:
                    value = _replace(value, self._path(path), partial(_instead, shared))
        return value

    def _path(self, text: Tree) -> Path:
        if not isinstance(text, str):
            raise BadEnvelope("invalid path")
        path = tuple(_split(text, is_legacy=self._is_legacy))
        for name in path:
            if name in _FORBIDDEN:
                raise BadEnvelope(f"{name} is not allowed as a property")
        return path


def _instead(new: object, _: object) -> object:
    return new


def _split(text: str, *, is_legacy: bool) -> Iterator[str]:
    segment, position = "", 0
    while position < len(text):
        character, following = text[position], text[position + 1 : position + 2]
        if character == "\\" and (following == "." or (following == "\\" and not is_legacy)):
            segment += following
            position += 1
        elif character == "\\" and not is_legacy:
            raise BadEnvelope("invalid path")
        elif character == ".":
            yield segment
            segment = ""
        else:
            segment += character
        position += 1
    yield segment


def _step(parent: object, key: str) -> object:
    if isinstance(parent, list):
        return parent[int(key)] if key.isdigit() and int(key) < len(parent) else UNDEFINED
    if isinstance(parent, dict):
        return parent.get(key, UNDEFINED)
    if isinstance(parent, JsSet):
        return _step(parent.members, key)
    return UNDEFINED


def _entry(parent: JsMap, key: str, following: str) -> tuple[list[object], int] | None:
    if not key.isdigit() or int(key) >= len(parent.entries):
        return None
    return parent.entries[int(key)], 0 if following == "0" else 1


def _find(value: object, path: Path) -> object:
    position = 0
    while position < len(path):
        if isinstance(value, JsMap):
            found = _entry(value, path[position], path[position + 1] if position + 1 < len(path) else "1")
            value = UNDEFINED if found is None else found[0][found[1]]
            position += 2
        else:
            value = _step(value, path[position])
            position += 1
    return value


def _replace(value: object, path: Path, change: Callable[[object], object]) -> object:
    """Put the changed value in place; a place whose parent is not there is left alone."""
    if not path:
        return change(value)
    map_at = len(path) - 2
    parent = _find(value, path[:map_at]) if map_at >= 0 else UNDEFINED
    if isinstance(parent, JsMap):
        found = _entry(parent, path[map_at], path[-1])
        if found is not None:
            found[0][found[1]] = change(found[0][found[1]])
        return value
    parent, key = _find(value, path[:-1]), path[-1]
    if isinstance(parent, JsSet):
        parent = parent.members
    if isinstance(parent, dict):
        parent[key] = change(parent.get(key, UNDEFINED))
    elif isinstance(parent, list) and key.isdigit() and int(key) <= len(parent):
        changed = change(_step(parent, key))
        parent[int(key) : int(key) + 1] = [changed]
    return value


def _restore(value: object, kind: Tree) -> object:
    if isinstance(kind, list):
        return _restore_composite(value, kind)
    restore = _RESTORERS.get(kind) if isinstance(kind, str) else None
    if restore is None:
        raise BadEnvelope(f"Unknown transformation: {kind}")
    return restore(value)


def _restore_composite(value: object, kind: list[Tree]) -> object:
    if len(kind) > 1 and kind[0] == "typed-array" and kind[1] in _ARRAY_KINDS and isinstance(value, list):
        return TypedArray(str(kind[1]), tuple(number for number in value if isinstance(number, int | float)))
    raise BadEnvelope("Unknown transformation")


_ARRAY_KINDS: Final = frozenset(
    f"{kind}Array"
    for kind in ("Int8", "Uint8", "Uint8Clamped", "Int16", "Uint16", "Int32", "Uint32", "Float32", "Float64")
)


def _restore_date(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (OverflowError, ValueError, OSError):
            return InvalidDate()
    if not isinstance(value, str):
        return InvalidDate()
    if re.fullmatch(r"[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value, re.ASCII) or value.startswith("0000-"):
        return FarDate(value)
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return InvalidDate()


def _restore_bigint(value: object) -> BigInt:
    text = str(value).strip() if isinstance(value, str | int) else ""
    if not re.fullmatch(r"-?\d{1,4000}", text, re.ASCII):
        raise BadEnvelope(f"Cannot convert {value} to a BigInt")
    return BigInt(int(text))


def _restore_number(value: object) -> float:
    if isinstance(value, int | float):
        return value
    special = {"NaN": _NAN, "Infinity": float("inf"), "-Infinity": float("-inf"), "-0": -0.0}
    text = str(value)
    if text in special:
        return special[text]
    try:
        return float(text) if not text.lower().lstrip("+-").startswith(("inf", "nan")) else _NAN
    except ValueError:
        return _NAN


def _restore_set(value: object) -> JsSet:
    if not isinstance(value, list | str):
        raise BadEnvelope("a set needs a list")
    members: list[object] = []
    keys: set[object] = set()
    for member in value:
        key = (type(member), member) if isinstance(member, str | int | float | bool) or member is None else id(member)
        if key not in keys:
            keys.add(key)
            members.append(member)
    return JsSet(members)


def _restore_map(value: object) -> JsMap:
    if not isinstance(value, list) or not all(isinstance(entry, list) for entry in value):
        raise BadEnvelope("a map needs a list of entries")
    return JsMap([[*entry, UNDEFINED, UNDEFINED][:2] for entry in value])


def _restore_url(value: object) -> Url:
    text = str(value)
    try:
        is_url = bool(urlsplit(text).scheme)
    except ValueError:
        is_url = False
    if not is_url:
        raise BadEnvelope("Invalid URL")
    return Url(text)


def _restore_regexp(value: object) -> RegExp:
    text = str(value)
    end = text.rfind("/")
    return RegExp(text[1:end], text[end + 1 :])


def _restore_error(value: object) -> JsError:
    parts = value if isinstance(value, dict) else {}
    return JsError(str(parts.get("name", "Error")), str(parts.get("message", "")), parts.get("cause", ABSENT))


_RESTORERS: Final[dict[str, Callable[[object], object]]] = {
    "undefined": lambda _: UNDEFINED,
    "Date": _restore_date,
    "bigint": _restore_bigint,
    "number": _restore_number,
    "set": _restore_set,
    "map": _restore_map,
    "URL": _restore_url,
    "regexp": _restore_regexp,
    "Error": _restore_error,
}
