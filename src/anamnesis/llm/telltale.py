"""What tells who somebody is: names, addresses and telephone numbers, found in a bare text by their form.

Pure. Somebody's words are kept as they are where they are readings, dates, ages or doses.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from anamnesis.llm.bare import UNSEEN, Span, free

_SHORTEST_NAME: Final = 2
#: So many digits of a number that is private are a part of it; fewer are a reading as likely.
_LEAST_DIGITS_TORN: Final = 5
_MOST_GROUPS: Final = 6
#: What a number is known by, whether it is written with its country, with a nought or with neither.
_DIGITS_OF_A_LINE: Final = 9
_DIGIT: Final = re.compile(r"\d")


def spans(pattern: re.Pattern[str] | None, bare: str) -> list[Span]:
    """Where a pattern stands in a text; nowhere where there is none."""
    return [] if pattern is None else [match.span() for match in pattern.finditer(bare)]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Not before it is wanted: where no model is named, a start need not wait for it."""
    return re.compile(pattern)


def digits(bare: str) -> str:
    """The digits of a text, without what stands between them."""
    return "".join(re.findall(r"\d", bare))


# -- names -------------------------------------------------------------------------------------------------------

_LETTER: Final = r"[^\W\d_]"
#: Stands between the parts of a double name, however they are joined, or not.
_JOINT: Final = "\x01"


def name_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """Each word of the names, each part of a double name, and names that are written together."""
    return any_of((option for name in names for word in name.split() for option in _options(word)), most=4)


def _options(word: str) -> Iterator[str]:
    parts = re.findall(rf"{_LETTER}+", word)
    yield from (part for part in parts if len(part) >= _SHORTEST_NAME)
    if len(parts) > 1:
        yield _JOINT.join(parts)


def any_of(words: Iterable[str], *, most: int = 1) -> re.Pattern[str] | None:
    """Any of the words where it is one, the longest first; most says how many may be written as one."""
    longest_first = sorted(set(words), key=lambda each: (-len(each), each))
    if not longest_first:
        return None
    options = "|".join(map(_pattern, longest_first))
    return re.compile(rf"(?<!{_LETTER})(?:{options}){{1,{most}}}(?!{_LETTER})")


def _pattern(word: str) -> str:
    """The letters of a word with or without what is not seen between them."""
    return f"{UNSEEN}*".join("[-'’‘`´‐.]?" if letter == _JOINT else re.escape(letter) for letter in word)


def without_unseen(found: str) -> str:
    """A word that was found, without what is not seen in it."""
    return found.replace(UNSEEN, "")


# -- addresses ---------------------------------------------------------------------------------------------------

_LOCAL: Final = r"(?<![\w.+%&~'-])[\w.+%&~'-]+"
#: Its last part begins with a letter: what is taken at 6.30am is no address.
_DOMAIN: Final = r"(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{0,62}"
_HOST: Final = r"[a-z][\w-]{0,30}"
_POST: Final = r"(?:gmail|googlemail|yahoo|ymail|hotmail|outlook|live|icloud|aol|proton(?:mail)?)"
_AT: Final = r"(?:\s{1,2}at\s{1,2}|\s?[(\[]\s?at\s?[)\]]\s?)"
_DOT: Final = r"(?:\s{1,2}dot\s{1,2}|\s?[(\[]\s?dot\s?[)\]]\s?)"
_STOP: Final = r"(?:\.|\s\.\s)"
_ADDRESS: Final = (
    rf"{_LOCAL}@{_DOMAIN}|{_LOCAL}\s{{0,2}}@\s{{0,2}}{_HOST}(?:{_STOP}{_HOST}){{0,4}}{_STOP}[a-z]{{2,10}}\b"
    rf"|{_LOCAL}\s{{0,2}}@\s{{0,2}}{_POST}\b"
    rf"|{_LOCAL}(?:{_AT}|\s?@\s?){_HOST}(?:(?:{_DOT}|\.){_HOST}){{0,2}}{_DOT}[a-z]{{2,10}}\b"
    rf"|{_LOCAL}{_AT}{_POST}(?:{_STOP}[a-z]{{2,10}})?\b"
)


def addresses(bare: str) -> list[Span]:
    """Where e-mail addresses stand."""
    return spans(_compiled(_ADDRESS), bare) if "@" in bare or "at" in bare else []


# -- telephone numbers -------------------------------------------------------------------------------------------

_BETWEEN: Final = r"\s()._·•\u2010-\u2015\u2212\-"
#: What may stand between two digits of one number, where its beginning has told that it is one, and where not.
_S: Final = rf"[{_BETWEEN},/]{{0,3}}"
_STRICT: Final = rf"[{_BETWEEN}]{{1,3}}"
#: Countries around whose lines have nine digits.
_COUNTRY: Final = r"(?:25[0456]|211|243)"
_UNIT: Final = r"(?!\s?(?:mc?g|m?l|g|iu|units?|mmhg|bpm|kg|l/min|mmol|cells?|copies)\b)"
_DATE: Final = r"(?!\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}(?!\d))(?!\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d(?!\d))"

#: A date without its strokes.
_DAY: Final = r"\d\d[01]\d(?:19|20)\d\d(?!\d)"
#: Of a clock without its colon, with a blood pressure after it.
_TIME: Final = r"0\d[0-5]\d[\s,-]{1,3}\d{2,3}/1?\d\d(?!\d)"


def _then(digits: int | str, between: str = _S) -> str:
    return rf"(?:{between}\d){{{digits}}}(?!\d)"


#: From what cannot be anything else to what is told by its groups alone. Readings, dates and doses have no such form:
#: no reading begins with a nought before two digits or with a plus, and none around seven hundred comes in threes.
_FORMS: Final = (
    rf"(?:\+|\b00){_S}{_COUNTRY}{_S}(?:\(?0\)?{_S})?[1-9]{_then(8)}",
    rf"\+(?:(?=\d\d)|(?=[17][\s.(-]))\d{_then('7,14')}(?![./,:]\d{{1,3}}(?!\d))",
    rf"\+(?:(?=\d\d)|(?=[17][\s.(-]))\d{_then('7,14')}",
    r"\+\d(?:\s\d(?!\d)){8,14}",
    rf"(?<!0[.,])(?<!\d)00[1-9]{_then('8,12')}",
    *(rf"(?<!0[.,])(?<!\d)(?!\(?(?:{_DAY}|{_TIME}))\(?0(?=\d\d){_then(most)}" for most in (9, 10, 11, 8)),
    r"(?<!\d)0[1-9](?:[\s.-]\d\d){4}(?!\d)",
    r"(?<!\d)(?!0\D{1,3}1\D{1,3}2\D)0(?:[\s.,-]{1,3}\d(?!\d)){9}",
    rf"(?<!\d)(?:{_COUNTRY}{_S}[347]\d\d|254{_S}1\d\d){_then(6)}",
    rf"(?<!\d){_COUNTRY}{_STRICT}7\d{_STRICT}\d{{3}}{_STRICT}\d{{4}}(?!\d)",
    r"(?<!\d)\d{9,}",
    rf"(?<!\d)7\d\d{_STRICT}(?:\d{{3}}{_STRICT}?\d{{3}}|\d\d{_STRICT}\d\d{_STRICT}\d\d)(?!\d){_UNIT}",
    rf"(?<!\d)7(?:\d{{3}}{_STRICT}\d{{5}}|\d{{5}}{_STRICT}\d{{3}}|\d{_STRICT}\d{{3}}{_STRICT}?\d{{4}})(?!\d){_UNIT}",
    r"(?<!\d)(?:\(\d{3}\)\s?|[2-9]\d\d[.-])\d{3}[\s.-]?\d{4}(?!\d)",
)
_CUE: Final = (
    r"\b(?:tel|telephone|phone|mobile|cell|whatsapp|number|contact|call|text|ring|reach|line|e?s?simu|nn?amba(?:ri)?|"
    r"ennamba)\b"
)
_LINK: Final = (
    r"(?:[\s:.,#=(-]|\b(?:me|us|on|at|is|my|via|by|through|it|or|number|no|phone|mobile|whatsapp|ni|yangu|yange|ku|"
    r"kwa)\b){0,10}"
)
_BESIDE: Final = r"[ .()\u2010-\u2015\u2212\-]{0,3}"
_PHONE: Final = "|".join(_FORMS)
#: Beside a word for it fewer digits will do: a number of another country, or without its beginning.
_CUED: Final = rf"{_CUE}{_LINK}{_DATE}(?P<number>\(?\d{{3}}{_then('4,12', _BESIDE)})"


def phones(bare: str) -> list[Span]:
    """Where telephone numbers stand."""
    if not _DIGIT.search(bare):
        return []
    formed = dict.fromkeys(spans(_compiled(_PHONE), bare))
    cued = [match.span("number") for match in _compiled(_CUED).finditer(bare)]
    return [*formed, *free(cued, formed)]


def number_pattern(numbers: Iterable[str]) -> re.Pattern[str] | None:
    """The numbers that are known, with or without what stands before the line's own digits."""
    lines = {_S.join(number[-_DIGITS_OF_A_LINE:]) for number in numbers}
    if not lines:
        return None
    return re.compile(
        rf"(?<!\d)(?:(?:\+|00)\d{{1,3}}{_S}|{_COUNTRY}{_S})?(?:\(?0\)?{_S})?(?:{'|'.join(sorted(lines))})(?!\d)"
    )


def pieces_of(number: str) -> Iterator[str]:
    """The beginnings and ends of a number as it is written, which whoever cuts a text between words may leave."""
    groups = [match.span() for match in re.finditer(r"\d+", number)]
    if len(groups) > _MOST_GROUPS:  # told digit by digit: a piece of it is a row of small numbers like any other
        return
    heads = (number[groups[0][0] : end] for _, end in groups[:-1])
    tails = (number[start : groups[-1][1]] for start, _ in groups[1:])
    yield from (piece for piece in (*heads, *tails) if len(digits(piece)) >= _LEAST_DIGITS_TORN)


def torn(bare: str, pieces: frozenset[str]) -> Iterator[Span]:
    """Where such pieces stand, the longest there is at each place."""
    groups = [match.span() for match in re.finditer(r"\d+", bare)] if pieces else []
    until = 0
    for place, (start, _) in enumerate(groups):
        if start < until:
            continue
        ends = (end for _, end in groups[place : place + _MOST_GROUPS] if bare[start:end] in pieces)
        until = max(ends, default=0)
        if until:
            yield start - bare.startswith(("+", "("), max(start - 1, 0), start), until
