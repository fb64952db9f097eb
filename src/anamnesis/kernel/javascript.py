"""JavaScript's values that Python lacks, for a wire that carries them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from math import isnan
from typing import Final, Literal


class Undefined(Enum):
    """JavaScript's undefined, which clients can tell from null."""

    UNDEFINED = "undefined"

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __bool__(self) -> Literal[False]:
        return False


UNDEFINED: Final = Undefined.UNDEFINED


@dataclass(frozen=True, slots=True)
class BigInt:
    """A whole number of any size, distinct from a number."""

    value: int


@dataclass(frozen=True, slots=True)
class InvalidDate:
    """A Date that is no date."""


@dataclass(frozen=True, slots=True)
class FarDate:
    """A date outside the years 1 to 9999, in JavaScript's own text form."""

    text: str


@dataclass(frozen=True, slots=True)
class Url:
    """An address."""

    href: str


@dataclass(frozen=True, slots=True)
class RegExp:
    """A regular expression, not to be run."""

    source: str
    flags: str


@dataclass(slots=True, eq=False)
class JsMap:
    """A Map: entries in order, with keys of any kind."""

    entries: list[list[object]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class JsSet:
    """A Set: members in order."""

    members: list[object] = field(default_factory=list)


class Absent(Enum):
    """A property that is not there, which differs from one that is undefined."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(slots=True, eq=False)
class JsError:
    """An Error as data; its stack is never carried."""

    name: str
    message: str
    cause: object = ABSENT


@dataclass(frozen=True, slots=True)
class TypedArray:
    """An array of machine numbers of one kind, such as Uint8Array."""

    kind: str
    values: tuple[float, ...]


def type_name(value: object) -> str:
    """What JavaScript and zod call the kind of a value."""
    for kinds, name in _NAMES:
        if isinstance(value, kinds):
            return "nan" if name == "number" and isinstance(value, float) and isnan(value) else name
    return "null" if value is None else "object"


_NAMES: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    ((Undefined,), "undefined"),
    ((bool,), "boolean"),
    ((str,), "string"),
    ((int, float), "number"),
    ((BigInt,), "bigint"),
    ((datetime, InvalidDate, FarDate), "date"),
    ((list, tuple), "array"),
    ((JsMap,), "map"),
    ((JsSet,), "set"),
)
