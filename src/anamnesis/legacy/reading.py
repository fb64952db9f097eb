"""Values of the replaced system's rows, read with suspicion: what is not of its kind becomes nothing, with a reason.

A reason names the column and what is wrong with it, never what it holds.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

#: A time for what has none; it is reported.
LONG_AGO: Final = "1970-01-01T00:00:00+00:00"
_LARGEST_INT: Final = 2**31 - 1
_NUL: Final = "\\u0000"
_FRACTION: Final = ".%f"
#: No value of the replaced system is nested deeper than a dozen times.
_DEEPEST: Final = 64
_TOKENS: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')


@dataclass(slots=True)
class SourceRow:
    """One row, column by column. A column that could be read has a home with us; the others are kept aside whole."""

    values: Mapping[str, Any]
    reasons: list[str] = field(default_factory=list)
    housed: set[str] = field(default_factory=set)

    def report(self, reason: str) -> None:
        """Note what is wrong with the row."""
        self.reasons.append(reason)

    @property
    def leftovers(self) -> dict[str, Any]:
        """The columns that say something and have no home with us."""
        return {name: value for name, value in self.values.items() if name not in self.housed and value is not None}

    def text(self, column: str) -> str | None:
        """A text as it stands."""
        value = self.values.get(column)
        if value is None or isinstance(value, str):
            self.housed.add(column)
            return value
        self._wrong(column, "is not text")
        return None

    def name(self, column: str) -> str | None:
        """A name; a blank one is none."""
        value = self.text(column)
        if value is not None and not value.strip():
            self.report(f"{column} is blank")
            return None
        return value

    def text_or(self, column: str, default: str) -> str:
        """A text that has to be there."""
        value = self.text(column)
        if value is not None:
            return value
        if column in self.housed:
            self.report(f"{column} is missing")
        return default

    def key(self, column: str) -> str | None:
        """An identifier."""
        value = self.values.get(column)
        if value is None:
            return None
        try:
            key = str(UUID(value))
        except (ValueError, TypeError, AttributeError):
            self._wrong(column, "is not an identifier")
            return None
        self.housed.add(column)
        return key

    def choice(self, column: str, choices: Sequence[str], default: str) -> str:
        """One of some words. What is none of them is the default, reported; what is missing is the default."""
        value = self.values.get(column)
        if value is None or value in choices:
            self.housed.add(column)
            return default if value is None else str(value)
        self._wrong(column, "is not one of its values")
        return default

    def number(self, column: str, default: int | None = None, *, most: int = _LARGEST_INT) -> int | None:
        """A whole number from 0 to most; another one is brought to the nearest of these, reported."""
        value = self.values.get(column)
        if value is None:
            return default
        is_endless = isinstance(value, float) and not math.isfinite(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or is_endless:
            self._wrong(column, "is not a number")
            return default
        whole = min(max(round(value), 0), most)
        if whole == value:
            self.housed.add(column)
        else:
            self._wrong(column, "is out of its range")
        return whole

    def flag(self, column: str, *, default: bool, when_wrong: bool) -> bool:
        """Yes or no."""
        value = self.values.get(column)
        if value is None or isinstance(value, bool):
            self.housed.add(column)
            return default if value is None else value
        self._wrong(column, "is not yes or no")
        return when_wrong

    def time(self, column: str) -> str | None:
        """A moment; the replaced system's clock had no zone and ran on UTC."""
        value = self.values.get(column)
        if value is None:
            return None
        moment = _moment(value)
        if moment is None:
            self._wrong(column, "is not a time")
            return None
        self.housed.add(column)
        return moment

    def time_or(self, column: str, default: str) -> str:
        """A moment that has to be there."""
        moment = self.time(column)
        if moment is None and self.values.get(column) is None:
            self.report(f"{column} is missing")
        return moment or default

    def document(self, column: str) -> dict[str, Any] | None:
        """A JSON object, also one that was stored as a text, which is reported."""
        value = self.values.get(column)
        if value is None or isinstance(value, dict):
            self.housed.add(column)
            return value
        inner = _parsed(value) if isinstance(value, str) else None
        if isinstance(inner, dict):
            self.housed.add(column)
            self.report(f"{column} was a text and is the object it held")
            return inner
        self._wrong(column, "is not an object")
        return None

    def texts(self, column: str) -> list[str] | None:
        """A list of texts, or None when there are none."""
        value = self.values.get(column)
        inner = _parsed(value) if isinstance(value, str) else value
        if inner is None and value is None:
            self.housed.add(column)
            return None
        if not isinstance(inner, list):
            self._wrong(column, "is not a list")
            return None
        texts = [each for each in inner if isinstance(each, str)]
        if len(texts) < len(inner):
            self._wrong(column, "holds what is not text")
        else:
            self.housed.add(column)
        return texts or None

    def _wrong(self, column: str, what: str) -> None:
        self.report(f"{column} {what}")


def shallow(text: str) -> str:
    """JSON in which what is nested too deep for a program to read safely is the text it was; else the same text."""
    if text.count("{") + text.count("[") <= _DEEPEST:
        return text
    parts, depth, begun, done = list[str](), 0, 0, 0
    for token in _TOKENS.finditer(text):
        mark = text[token.start()]
        if mark in "{[":
            depth += 1
            begun = token.start() if depth == _DEEPEST + 1 else begun
        elif mark in "}]":
            if depth == _DEEPEST + 1:
                parts += [text[done:begun], json.dumps(text[begun : token.end()], ensure_ascii=False)]
                done = token.end()
            depth -= 1
    return "".join([*parts, text[done:]]) if parts else text


def _moment(value: object) -> str | None:
    """The moment as the database writes it in UTC: no trailing zeros in the fraction of the second."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    fraction = moment.strftime(_FRACTION).rstrip("0").rstrip(".")
    return f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}{fraction}+00:00"


def _parsed(text: str) -> object:
    """The JSON value of a text, or None when it is none that can be stored."""
    if _NUL in text or shallow(text) != text:
        return None
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


def _refuse(name: str) -> None:
    raise ValueError(name)
