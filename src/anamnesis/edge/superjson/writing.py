"""Writing superjson: plain JSON beside annotations for what JSON cannot say."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import isfinite, isnan
from typing import Any, Final
from uuid import UUID

from anamnesis.edge.superjson.text import number_tree
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
_DATE: Final = ["Date"]
_FORBIDDEN: Final = frozenset({"__proto__", "prototype", "constructor"})
_INDEX: Final = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)


class Unencodable(ValueError):
    """A value the format refuses to carry."""


def envelope(value: object) -> dict[str, Tree]:
    """The value as ``{"json": …}``, with ``"meta"`` when something needs annotating.

    Plain values are dict, list, str, int, float, bool, None, UUID and aware datetime; the rest are the classes of
    ``kernel.javascript``. Raises Unencodable for a key that would pollute a prototype.
    """
    try:
        quick = _Quick()
        tree, notes, equalities = quick.tree(value), quick.notes, None
    except _NotQuick:
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
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds")[:-6] + "Z"


def plain(value: object) -> Tree:
    """The value as JSON alone, as JSON.stringify has it: undefined is left out of objects and null in lists.

    UNDEFINED by itself stays. Raises Unencodable for a bigint, and for what is no JSON at all.
    """
    if isinstance(value, dict):
        return {key: plain(member) for key, member in _by_index(value) if member is not UNDEFINED}
    if isinstance(value, list | tuple):
        return [None if member is UNDEFINED else plain(member) for member in value]
    if isinstance(value, float):
        return number_tree(value) if isfinite(value) else None
    if isinstance(value, BigInt):
        raise Unencodable("Do not know how to serialize a BigInt")
    if isinstance(value, JsMap | JsSet | RegExp | JsError):
        return {}
    if isinstance(value, TypedArray):
        return {str(index): number_tree(number) for index, number in enumerate(value.values)}
    if value is UNDEFINED:
        return UNDEFINED
    simple = _primitive(value) or _without_insides(value)
    if simple is None:
        raise Unencodable(f"A {type(value).__name__} cannot be sent.")
    return simple[0]


# -- the common kinds, in one pass -------------------------------------------------------------------------------


class _NotQuick(Exception):
    """A rarer kind, or one object in two places: the quick encoder gives way to the thorough one."""


_CONTAINERS: Final = (dict, list, tuple)
_AS_IT_IS: Final = frozenset({str, bool, type(None)})
#: No key up to this one in the alphabet is let through quickly: it may be integer-like, or empty.
_LAST_INDEX: Final = "9999999999"


class _Quick:
    """Encodes trees of JSON, dates and undefined: most answers are nothing else."""

    def __init__(self) -> None:
        self.notes: Tree = {}
        self._seen: set[int] = set()

    def tree(self, value: object) -> Tree:
        """The JSON of a whole answer; its annotations are in ``notes`` afterwards. Raises _NotQuick."""
        item = self._member(value, "")
        if not isinstance(value, _CONTAINERS):
            self.notes = self.notes.get("")  # a leaf alone is annotated without a path
        return item

    def _object(self, value: dict[str, object], prefix: str) -> Tree:
        """The paths of the members begin with prefix."""
        self._meet(value)
        made: dict[str, Tree] = {}
        for key, member in value.items():
            if key <= _LAST_INDEX or key in _FORBIDDEN:
                raise _NotQuick  # its members, and their annotations, may have to change places
            made[key] = member if type(member) in _AS_IT_IS else self._member(member, prefix + _escape(key))
        return made

    def _list(self, value: Sequence[object], prefix: str) -> Tree:
        if value != ():  # Python has only one empty tuple, so its places say nothing of sharing
            self._meet(value)
        made, is_annotated = [], False
        for index, member in enumerate(value):
            if type(member) in _AS_IT_IS:
                made.append(member)
                continue
            known = len(self.notes)
            made.append(self._member(member, f"{prefix}{index}"))
            is_annotated |= len(self.notes) > known and not isinstance(member, _CONTAINERS)
        if is_annotated:
            raise _NotQuick  # an item annotated by itself goes before what lies inside its neighbours
        return made

    def _member(self, value: object, path: str) -> Tree:
        kind = type(value)
        if kind is UUID:
            return str(value)
        if kind is datetime:
            self._meet(value)
            self.notes[path] = _DATE
            return iso(value)  # type: ignore[arg-type]  # its very type was asked
        if isinstance(value, _CONTAINERS):
            prefix = f"{path}." if path else ""
            return self._object(value, prefix) if isinstance(value, dict) else self._list(value, prefix)
        simple = _primitive(value)
        if simple is None:
            raise _NotQuick
        if simple[1] is not None:
            self.notes[path] = simple[1]
        return simple[0]

    def _meet(self, value: object) -> None:
        before = len(self._seen)
        self._seen.add(id(value))
        if len(self._seen) == before:
            raise _NotQuick


# -- every kind, and every identity ------------------------------------------------------------------------------


class _Thorough:
    """The encoder that handles every kind, and notes which objects stand in several places."""

    def __init__(self) -> None:
        self._places: dict[object, list[Path]] = {}
        self._done: dict[int, tuple[Tree, Tree]] = {}
        self._kept: list[object] = []  # an id is only an identity while its object lives

    def visit(self, value: object, path: Path, inside: tuple[int, ...]) -> tuple[Tree, Tree]:
        """The value's JSON and its annotations; inside are the ids of what it stands in."""
        primitive = _primitive(value)
        if primitive is not None:
            return primitive
        self._places.setdefault(self._identity(value), []).append(path)
        if id(value) in self._done:
            return self._done[id(value)]
        if id(value) in inside:
            return None, None
        result = self._transform(value, path, (*inside, id(value)))
        self._done[id(value)] = result
        self._kept.append(value)
        return result

    def equalities(self) -> Tree:
        """Places by the shortest path of each object that has several; a list when the root is one of them."""
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
        others = _in_order(others)
        if roots is not None:
            return [roots, others] if others else [roots]
        return others or None

    def _identity(self, value: object) -> object:
        if value == ():
            return len(self._places), "empty"  # each place of Python's one empty tuple is its own
        if isinstance(value, BigInt):
            return ("bigint", value.value)
        return ("nan",) if isinstance(value, float) else id(value)

    def _transform(self, value: object, path: Path, inside: tuple[int, ...]) -> tuple[Tree, Tree]:
        simple = _without_insides(value)
        if simple is not None:
            return simple
        if isinstance(value, dict):
            return self._members(_ordered(value), path, inside, {})
        if isinstance(value, list | tuple):
            return self._members(_numbered(value), path, inside, [])
        if isinstance(value, JsSet):
            return _typed("set", self._members(_numbered(value.members), path, inside, []))
        if isinstance(value, JsMap):
            entries = [list(entry) for entry in value.entries]
            self._kept.append(entries)
            return _typed("map", self._members(_numbered(entries), path, inside, []))
        if isinstance(value, JsError):
            parts: dict[str, object] = {"name": value.name, "message": value.message}
            if value.cause is not ABSENT:
                parts["cause"] = value.cause
            return _typed("Error", self._members(parts.items(), path, inside, {}))
        raise Unencodable(f"A {type(value).__name__} cannot be sent.")

    def _members(
        self, members: Iterable[tuple[str, object]], path: Path, inside: tuple[int, ...], tree: Tree
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
        return tree, _in_order(notes) or None


def _note(notes: dict[str, Tree], key: str, inner: Tree) -> None:
    """Put a member's annotations into its container's: a leaf under its key, a nest under dotted keys."""
    name = _escape(key)
    if isinstance(inner, list):
        notes[name] = inner
    else:
        for path, note in inner.items():
            notes[f"{name}.{path}"] = note


def _numbered(members: Iterable[object]) -> Iterable[tuple[str, object]]:
    return ((str(index), member) for index, member in enumerate(members))


def _typed(kind: str, inner: tuple[Tree, Tree]) -> tuple[Tree, Tree]:
    tree, notes = inner
    return tree, [kind, notes] if notes else [kind]


# -- values ------------------------------------------------------------------------------------------------------


def _primitive(value: object) -> tuple[Tree, Tree] | None:
    """Values without an identity; NaN and bigint have one, by value."""
    if value is UNDEFINED:
        return None, ["undefined"]
    if value is None or isinstance(value, bool):
        return value, None
    if isinstance(value, str):
        return str.__str__(value), None  # a StrEnum's member is its text
    if isinstance(value, UUID):
        return str(value), None
    if isinstance(value, int):
        return number_tree(value), None
    if isinstance(value, float) and not isnan(value):
        if isfinite(value) and (value or str(value) != "-0.0"):
            return number_tree(value), None
        return ("-0" if not value else "Infinity" if value > 0 else "-Infinity"), ["number"]
    return None


def _without_insides(value: object) -> tuple[Tree, Tree] | None:
    """Objects that hold no other values."""
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
            return [number_tree(number) for number in values], [["typed-array", kind]]
        case _:
            return None


def _ordered(value: dict[str, object]) -> Iterable[tuple[str, object]]:
    """Members in JavaScript's order. Raises Unencodable."""
    if not _FORBIDDEN.isdisjoint(value):
        key = next(key for key in value if key in _FORBIDDEN)
        raise Unencodable(
            f"Detected property {key}. This is a prototype pollution risk, please remove it from your object."
        )
    return _by_index(value)


def _by_index(value: dict[str, object]) -> Iterable[tuple[str, object]]:
    """Members with integer-like keys first, ascending; the others as they were put in."""
    if not _may_have_indices(value):
        return value.items()
    numbers = sorted((key for key in value if _is_index(key)), key=int)
    rest = [key for key in value if not _is_index(key)]
    return ((key, value[key]) for key in (*numbers, *rest))


def _may_have_indices(value: dict[str, object]) -> bool:
    """Whether some key may be integer-like: none is when even the first in the alphabet comes after them all."""
    return bool(value) and min(value) <= "9999999999"


def _in_order(notes: dict[str, Tree]) -> dict[str, Tree]:
    """Annotations are themselves members of an object of JavaScript's."""
    return dict(_by_index(notes))


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) < 2**32 - 1


def _escape(key: str) -> str:
    return key.replace("\\", "\\\\").replace(".", "\\.") if "." in key or "\\" in key else key
