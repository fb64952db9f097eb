"""From superjson's JSON forms back to values: one function for each annotation, as the genuine decoder restores it."""

import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isfinite, isnan
from typing import Any, Final

from anamnesis.edge.superjson.text import SAFE_INTEGER
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
from anamnesis.kernel.urls import href_of

Tree = Any


class BadEnvelope(ValueError):
    """What came is not superjson; the text is what the genuine decoder says, or says the same."""


def restore(value: object, kind: Tree) -> object:
    """The value an annotation stands for. Raises BadEnvelope for one nobody knows or a form it cannot have."""
    if isinstance(kind, list):
        return _restore_composite(value, kind)
    restorer = _RESTORERS.get(kind) if isinstance(kind, str) else None
    if restorer is None:
        raise BadEnvelope(f"Unknown transformation: {_shown(kind)}")
    return restorer(value)


def _shown(kind: Tree) -> str:
    """An annotation as JavaScript would put it into a text."""
    return "null" if kind is None else str(kind)


def _restore_composite(value: object, kind: list[Tree]) -> object:
    match kind:
        case ["typed-array", str(name), *_]:
            return _typed_array(value, name)
        case [("custom" | "symbol" | "class") as family, *_]:
            # No client of ours can register any: these name things of one program's memory.
            raise BadEnvelope(f"Trying to deserialize unknown {'custom value' if family == 'custom' else family}")
        case _:
            raise BadEnvelope(f"Unknown transformation: {','.join(map(_shown, kind))}")


# -- dates -------------------------------------------------------------------------------------------------------

_DATE: Final = re.compile(
    r"(\d{4}|[+-]\d{6})(?:-(\d\d)(?:-(\d\d))?)?"
    r"(T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?(Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS: Final = -62_135_596_800_000  # 0001-01-01, the first a datetime can hold
_LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999
_DATE_RANGE_MS: Final = 8_640_000_000_000_000  # ECMA-262: a hundred million days either side of 1970
_DAY_MS: Final = 86_400_000


def _date(value: object) -> datetime | FarDate | InvalidDate:
    """JavaScript's ``new Date(value)`` for ISO texts and numbers; its lenient forms are invalid dates here.

    A text without a zone is taken as UTC, as on a server that runs in UTC.
    """
    if value is None or isinstance(value, bool | int | float):
        return _date_at(float(value or 0))
    if not isinstance(value, str):
        return InvalidDate()
    read = _DATE.fullmatch(value)
    milliseconds = None if read is None or value.startswith("-000000") else _milliseconds(read)
    return InvalidDate() if milliseconds is None else _date_at(milliseconds)


def _date_at(milliseconds: float) -> datetime | FarDate | InvalidDate:
    if not abs(milliseconds) <= _DATE_RANGE_MS:
        return InvalidDate()
    whole = int(milliseconds)
    if _FIRST_MS <= whole <= _LAST_MS:
        return _EPOCH + timedelta(milliseconds=whole)
    return FarDate(_far_text(whole))


def _milliseconds(read: "re.Match[str]") -> int | None:
    """Milliseconds since 1970 of a matched text, or None for a month, day or time that no clock shows."""
    year, month, day = int(read[1]), int(read[2] or 1), int(read[3] or 1)
    hour, minute, second = int(read[5] or 0), int(read[6] or 0), int(read[7] or 0)
    is_midnight_after = hour == 24 and not (minute or second or int(read[8] or 0))  # noqa: PLR2004 - ISO's other midnight
    if not (1 <= month <= 12 and 1 <= day <= 31 and (hour < 24 or is_midnight_after) and minute < 60 > second):  # noqa: PLR2004 - calendar and clock
        return None
    offset = _offset_minutes(read[9])
    if offset is None:
        return None
    thousandths = int((read[8] or "0").ljust(3, "0")[:3])
    clock = ((hour * 60 + minute - offset) * 60 + second) * 1000 + thousandths
    return (_days(year, month) + day - 1) * _DAY_MS + clock


def _offset_minutes(zone: str | None) -> int | None:
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - a clock's hands
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def _days(year: int, month: int) -> int:
    """Days from 1970 to the first of a month, in the proleptic Gregorian calendar, for any year.

    Four hundred years are always 146 097 days, so the year is brought to one a datetime can hold.
    """
    cycles, within = divmod(year, 400)
    return (datetime(within + 400, month, 1, tzinfo=UTC) - _EPOCH).days + (cycles - 1) * 146_097


def _far_text(milliseconds: int) -> str:
    """A date beyond datetime's years in JavaScript's own form: ``±YYYYYY-…``, or four digits from year 0."""
    cycles = (milliseconds // _DAY_MS - _days(2000, 1)) // 146_097
    near = _EPOCH + timedelta(milliseconds=milliseconds - cycles * 146_097 * _DAY_MS)
    year = near.year + cycles * 400
    shown = f"{year:04}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06}"  # noqa: PLR2004 - ISO's four digits
    return shown + near.strftime("-%m-%dT%H:%M:%S.") + f"{near.microsecond // 1000:03}Z"


# -- numbers -----------------------------------------------------------------------------------------------------

_DECIMAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)", re.ASCII | re.IGNORECASE)
_BASES: Final = {"0x": 16, "0o": 8, "0b": 2}
_MOST_DIGITS: Final = 4000  # Python refuses to read longer ones by default, since the work grows with the square


def _number(value: object) -> float:
    """JavaScript's ``Number(value)`` of texts and primitives; NaN for the rest."""
    if isinstance(value, int | float):
        return value
    if value is None:
        return 0
    text = value.strip() if isinstance(value, str) else "no number"
    if text in ("Infinity", "+Infinity", "-Infinity"):
        return float(text.lower())
    if text[:2].lower() in _BASES:
        whole = _in_base(text)
        return float("nan") if whole is None else float(whole) if abs(whole) > SAFE_INTEGER else whole
    if not text:
        return 0
    return float(text) if _DECIMAL.fullmatch(text) else float("nan")


def _in_base(text: str) -> int | None:
    try:
        return int(text[2:], _BASES[text[:2].lower()]) if text[2:].isalnum() and len(text) < _MOST_DIGITS else None
    except ValueError:
        return None


def _bigint(value: object) -> BigInt:
    """JavaScript's ``BigInt(value)``, of up to four thousand digits."""
    if isinstance(value, int):
        return BigInt(int(value))
    if isinstance(value, float):
        if value.is_integer():
            return BigInt(int(value))
        raise BadEnvelope(f"The number {value} cannot be converted to a BigInt because it is not an integer")
    text = value.strip() if isinstance(value, str) else _shown(value)
    whole = _in_base(text) if text[:2].lower() in _BASES else _whole(text)
    if whole is None:
        raise BadEnvelope(f"Cannot convert {_shown(value)} to a BigInt")
    return BigInt(whole)


def _whole(text: str) -> int | None:
    if not text:
        return 0
    return int(text) if re.fullmatch(rf"[+-]?\d{{1,{_MOST_DIGITS}}}", text, re.ASCII) else None


def _whole_bits(bits: int, *, signed: bool) -> Callable[[float], float]:
    """JavaScript's conversion to an integer of so many bits: cut, then wrapped."""

    def wrap(number: float) -> int:
        cut = int(number) % (1 << bits) if isfinite(number) else 0
        return cut - (1 << bits) if signed and cut >> (bits - 1) else cut

    return wrap


def _clamped(number: float) -> float:
    """JavaScript's conversion for Uint8ClampedArray: to the nearest of 0 to 255, ties to even."""
    return 0 if isnan(number) else round(min(max(number, 0), 255))


def _single(number: float) -> float:
    """A double rounded to single precision."""
    try:
        (rounded,) = struct.unpack("f", struct.pack("f", number))
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
    return float(rounded)


_ARRAYS: Final[dict[str, Callable[[float], float]]] = {
    "Int8Array": _whole_bits(8, signed=True),
    "Uint8Array": _whole_bits(8, signed=False),
    "Uint8ClampedArray": _clamped,
    "Int16Array": _whole_bits(16, signed=True),
    "Uint16Array": _whole_bits(16, signed=False),
    "Int32Array": _whole_bits(32, signed=True),
    "Uint32Array": _whole_bits(32, signed=False),
    "Float32Array": _single,
    "Float64Array": float,
}


def _typed_array(value: object, name: str) -> TypedArray:
    kept = _ARRAYS.get(name)
    if kept is None:
        raise BadEnvelope("Trying to deserialize unknown typed array")
    if not isinstance(value, list):
        # The genuine decoder would take a number as a length and make that many zeros.
        raise BadEnvelope("a typed array needs a list of numbers")
    return TypedArray(name, tuple(kept(float(_number(member))) for member in value))


# -- containers and the rest -------------------------------------------------------------------------------------


def _set(value: object) -> JsSet:
    if not isinstance(value, list | str | None):
        raise BadEnvelope("a set needs a list")
    members = {_key(member): member for member in value or ()}
    return JsSet(list(members.values()))


def _map(value: object) -> JsMap:
    entries: dict[object, list[object]] = {}
    for entry in (
        value if isinstance(value, list) else () if value is None else _refuse("a map needs a list of entries")
    ):
        if not isinstance(entry, list):
            raise BadEnvelope(f"Iterator value {_shown(entry)} is not an entry object")
        key, member = [*entry, UNDEFINED, UNDEFINED][:2]
        kept = entries.setdefault(_key(key), [key, member])
        kept[1] = member
    return JsMap(list(entries.values()))


def _refuse(message: str) -> list[object]:
    raise BadEnvelope(message)


def _key(member: object) -> object:
    """What makes two members of a Set, or keys of a Map, one: equal primitives, or the same object."""
    if isinstance(member, float) and isnan(member):
        return "nan"
    is_number = isinstance(member, int | float) and not isinstance(member, bool)
    if is_number or isinstance(member, str | bool | BigInt) or member is None:
        return ("number" if is_number else type(member), member)
    return id(member)


def _url(value: object) -> Url:
    href = href_of(value) if isinstance(value, str) else None
    if href is None:
        raise BadEnvelope("Invalid URL")
    return Url(href)


def _regexp(value: object) -> RegExp:
    if not isinstance(value, str):
        raise BadEnvelope("a regular expression needs a text")
    end = value.rfind("/")
    flags = value[end + 1 :]
    if len(set(flags)) < len(flags) or set(flags) - set("dgimsuvy") or {"u", "v"} <= set(flags):
        raise BadEnvelope(f"Invalid flags supplied to RegExp constructor '{flags}'")
    return RegExp(value[1:end], flags)


def _error(value: object) -> JsError:
    if value is None:
        raise BadEnvelope("an error needs an object")
    parts = value if isinstance(value, dict) else {}
    return JsError(str(parts.get("name", "Error")), str(parts.get("message", "")), parts.get("cause", ABSENT))


_RESTORERS: Final[dict[str, Callable[[object], object]]] = {
    "undefined": lambda _: UNDEFINED,
    "Date": _date,
    "bigint": _bigint,
    "number": _number,
    "set": _set,
    "map": _map,
    "URL": _url,
    "regexp": _regexp,
    "Error": _error,
}
