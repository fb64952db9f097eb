"""Reading superjson: JSON plus the annotations of what JSON cannot say."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from anamnesis.edge.superjson.restoring import BadEnvelope, restore
from anamnesis.kernel.javascript import ABSENT, UNDEFINED, JsError, JsMap, JsSet

Tree = Any
Path = tuple[str, ...]
_FORBIDDEN: Final = frozenset({"__proto__", "prototype", "constructor"})
#: Shared objects are written out at each of their places, so a short text could stand for an endless one.
_MOST_NODES: Final = 200_000


def decode(payload: Tree) -> object:
    """The value an envelope stands for; what is no envelope stands for undefined.

    The payload's own lists and objects become the value's. Raises BadEnvelope.
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
    if not meta.get("referentialEqualities"):
        return value
    value = reader.apply_equalities(value, meta["referentialEqualities"])
    _check_size(value, {})
    return value


class _Reader:
    def __init__(self, *, is_legacy: bool) -> None:
        self._is_legacy = is_legacy

    def apply_values(self, value: object, notes: Tree) -> object:
        for kind, path in self._each(notes, ()):
            value = _replace(value, path, partial(restore, kind=kind))
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
            for path in _listed(notes[0]):
                value = _replace(value, self._path(path), partial(_instead, value))
            notes = notes[1] if len(notes) > 1 else {}
        if not isinstance(notes, dict):
            raise BadEnvelope("Malformed referential equalities")
        for source, copies in notes.items():
            shared = _find_shared(value, self._path(source))
            for path in _listed(copies):
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


def _listed(paths: Tree) -> list[Tree]:
    if not isinstance(paths, list):
        raise BadEnvelope("Malformed referential equalities")
    return paths


def _instead(new: object, _: object) -> object:
    return new


def _split(text: str, *, is_legacy: bool) -> Iterator[str]:
    r"""The keys of a dotted path. Version 0 knows one escape, ``\.``; version 1 also ``\\``, and no other."""
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
        return parent[int(key)] if _is_digits(key) and int(key) < len(parent) else UNDEFINED
    if isinstance(parent, dict):
        return parent.get(key, UNDEFINED)
    if isinstance(parent, JsError) and key == "cause" and parent.cause is not ABSENT:
        return parent.cause
    return _step(parent.members, key) if isinstance(parent, JsSet) else UNDEFINED


def _is_digits(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 10  # noqa: PLR2004 - no list of ours is that long


def _entry(parent: JsMap, key: str, following: str) -> tuple[list[object], int] | None:
    if not _is_digits(key) or int(key) >= len(parent.entries):
        return None
    return parent.entries[int(key)], 0 if following == "0" else 1


def _find(value: object, path: Path) -> object:
    """What stands at a path; a Map takes two steps: which entry, and 0 for its key or 1 for its value."""
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


def _find_shared(value: object, path: Path) -> object:
    """What stands at a path, which must at least lead somewhere. Raises BadEnvelope."""
    if path and _find(value, path[:-1]) in (UNDEFINED, None):
        raise BadEnvelope(f"Cannot read properties of undefined (reading '{path[-1]}')")
    return _find(value, path)


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
    elif isinstance(parent, list) and _is_digits(key) and int(key) <= len(parent):
        parent[int(key) : int(key) + 1] = [change(_step(parent, key))]
    return value


def _check_size(value: object, sizes: dict[int, int]) -> int:
    """How many nodes the value has when every shared object is written out at each place; a cycle counts once.

    Raises BadEnvelope beyond the bound, RecursionError for objects strung into a chain.
    """
    members = _members(value)
    if members is None:
        return 1
    if id(value) in sizes:
        return sizes[id(value)]
    sizes[id(value)] = 1
    total = 1 + sum(_check_size(member, sizes) for member in members)
    if total > _MOST_NODES:
        raise BadEnvelope("The input refers to its own parts too often")
    sizes[id(value)] = total
    return total


def _members(value: object) -> list[object] | None:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    if isinstance(value, JsSet):
        return value.members
    if isinstance(value, JsMap):
        return [member for entry in value.entries for member in entry]
    return [value.cause] if isinstance(value, JsError) else None
