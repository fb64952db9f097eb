"""Numbers written in words: "thirty-nine point five", "one twenty over eighty", "thelathini na tisa".

A text is rewritten with digits in the place of the words, every other letter where it was, so that what reads digits
reads words too and still quotes them verbatim.
"""

import re
from collections.abc import Iterator
from typing import Final

_UNITS: Final = dict(zip("one two three four five six seven eight nine".split(), range(1, 10), strict=True))  # noqa: SIM905 - words
_TEENS: Final = dict(
    zip(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),  # noqa: SIM905 - words
        range(10, 20),
        strict=True,
    )
)
_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90, "ninty": 90, "ishirini": 20, "thelathini": 30, "arobaini": 40, "hamsini": 50, "sitini": 60,
    "sabini": 70, "themanini": 80, "tisini": 90,
}  # fmt: skip
_SWAHILI: Final = {
    "moja": 1, "mbili": 2, "tatu": 3, "nne": 4, "tano": 5, "sita": 6, "saba": 7, "nane": 8, "tisa": 9,
}  # fmt: skip
_VALUES: Final = {**_UNITS, **_TEENS, **_TENS, **_SWAHILI, "a": 1, "zero": 0, "oh": 0}
_NAMED: Final = frozenset({*_UNITS, *_TEENS, *list(_TENS)[:10]})
_UNIT: Final = "|".join((*_UNITS, *_SWAHILI))
_TEEN: Final = "|".join(_TEENS)
_TEN: Final = "|".join(_TENS)
_BELOW_HUNDRED: Final = rf"(?:(?P<ten>{_TEN})(?:(?:[ -]| na )(?P<unit>{_UNIT}))?|(?P<teen>{_TEEN}))"
#: Twenty and more, with hundreds told in full ("two hundred and ten") or as pressures are ("one twenty").
_LARGE: Final = re.compile(
    rf"\b(?:(?:(?P<hundreds>{_UNIT}|a)[ -]hundred|(?P<bare>hundred))"
    rf"(?:(?: and)?[ -](?:{_BELOW_HUNDRED}|(?P<low>{_UNIT})))?"
    rf"|(?P<spoken>one|two) {_BELOW_HUNDRED.replace('P<', 'P<s')}"
    rf"|(?P<tten>{_TEN})(?:(?:[ -]| na )(?P<tunit>{_UNIT}))?)"
    rf"(?: point (?P<point>(?:zero|oh|{_UNIT})))?\b"
)
#: Fewer than twenty with a point, which only what is measured has: "five point six".
_DECIMAL: Final = re.compile(rf"\b(?P<whole>{_TEEN}|{_UNIT}) point (?P<part>zero|oh|{_UNIT})\b")
#: A point in words between digits: "38 point 9".
_SPOKEN_POINT: Final = re.compile(r"(\d) point (\d)")
#: What has fewer than twenty; "one" only where it counts years, months, weeks or days.
_SMALL: Final = re.compile(rf"\b(?P<small>{_TEEN}|{_UNIT})\b(?=(?P<of>[ -](?:years?|yrs?|months?|weeks?|days?)\b)?)")


def in_digits(text: str, *, small: bool = False) -> str:
    """The folded text with its numbers of twenty and more in digits, and with small those below, padded with spaces."""
    text = _DECIMAL.sub(_decimal, _LARGE.sub(_large, _SPOKEN_POINT.sub(_pointed, text)))
    return _SMALL.sub(_as_small, text) if small else text


def is_number(word: str) -> bool:
    """Whether the word is an English number, or two joined: a name is none."""
    return all(part in _NAMED for part in word.split("-"))


def whole(text: str, start: int, end: int) -> int:
    """Where the number words end of which digits stood at start to end: the end itself for a number in digits."""
    last = next((found.end() for found in _ends(text) if found.start() < end <= found.end()), end)
    return max(end, last) if start < end else end


def _ends(text: str) -> Iterator[re.Match[str]]:
    yield from _LARGE.finditer(text)
    yield from _DECIMAL.finditer(text)
    yield from _SMALL.finditer(text)


def _large(found: re.Match[str]) -> str:
    words = found.groupdict()

    def value(name: str) -> int:
        return _VALUES[words[name]] if words.get(name) else 0

    number = 100 * (value("hundreds") or (1 if words["bare"] else 0) or value("spoken"))
    number += sum(value(name) for name in ("ten", "unit", "teen", "low", "sten", "sunit", "steen", "tten", "tunit"))
    decimals = f".{value('point')}" if words["point"] else ""
    return f"{number}{decimals}".ljust(len(found.group()))


def _pointed(found: re.Match[str]) -> str:
    return f"{found[1]}.{found[2]}".ljust(len(found.group()))


def _decimal(found: re.Match[str]) -> str:
    return f"{_VALUES[found['whole']]}.{_VALUES[found['part']]}".ljust(len(found.group()))


def _as_small(found: re.Match[str]) -> str:
    word = found.group("small")
    if word == "one" and not found.group("of"):
        return word
    return str(_VALUES[word]).ljust(len(word))
