"""Vital signs as people type them: which numbers are readings, of what, in which unit, and which of several counts now.

A number is a reading only by a word, a unit or a form that says so. Numbers of other things (telephone numbers, dates,
ages, doses, durations, other people's readings, limits somebody was told) are covered up first. Of several readings of
one thing the one of now counts before the earlier one, and of readings of one time the one farthest from normal.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from operator import itemgetter
from typing import Final

from anamnesis.clinical.numerals import in_digits, whole
from anamnesis.clinical.terms import Consciousness, VitalSigns
from anamnesis.clinical.vital_forms import (
    ANOTHERS,
    AS_TOLD,
    BREAK,
    CM_PER_INCH,
    CUES,
    DIASTOLIC,
    FORMS,
    FROM,
    GOES_ON,
    HEIGHT,
    LONG_AGO,
    MINE,
    MYSELF,
    NAME_BEFORE,
    NO_READING,
    NOT_NOW,
    NUMBER_AFTER,
    NUMBER_FIRST_FORMS,
    NUMBERS_FIRST,
    OF_LAST_NAMED,
    OTHER_NUMBERS,
    OWN,
    RELATIVE,
    SENTENCE,
    SYSTOLIC,
    TIMES,
    WAS,
    Form,
    bare_temperature,
)
from anamnesis.clinical.vitals import PLAUSIBLE, is_empty, plausible
from anamnesis.clinical.words import fold


@dataclass(frozen=True, slots=True)
class Reading:
    """One value found in a text: the field it fills and the verbatim words."""

    field: str
    value: float | Consciousness
    quote: str


@dataclass(frozen=True, slots=True)
class VitalsRead:
    """What a text says of vital signs: plausible values, what they were read from, and what was refused.

    refused are the words of the implausible readings; refused_fields what they were to be.
    """

    vitals: VitalSigns
    readings: tuple[Reading, ...] = ()
    refused: tuple[str, ...] = ()
    refused_fields: tuple[str, ...] = ()


#: What "farthest from normal" is measured from, among readings of one time.
_NORMAL: Final = {
    "temperature_celsius": 37.0, "heart_rate_per_min": 75.0, "respiratory_rate_per_min": 16.0, "spo2_percent": 100.0,
    "systolic_mmhg": 120.0, "glucose_mmol_l": 6.0,
}  # fmt: skip

_ON_OXYGEN: Final = re.compile(
    r"\bon (?:\d+\s*(?:l|lit\w*)(?:\s*/\s*min)? (?:of )?)?(?:oxygen|o2)\b"
    r"|\d\s*%?\s*on (?:\d|1[0-5])(?:\.\d)?\s*l(?:/min|pm)?\b(?! of (?!o)| a day| daily)"
)
_NO_OXYGEN: Final = re.compile(
    r"\b(?:not|without|no|off|never)\b(?: \w+)? (?:on )?(?:oxygen|o2)\b(?! (?:problem|left|finished))"
    r"|\b(?:on |in )?room air\b|\bon air\b|(?<=\d )ra\b|(?<=% )ra\b"
)
_WAS_ON_OXYGEN: Final = re.compile(r"\b(?:was|were|been|used to)\b[^.;\n]{0,12}\bon (?:oxygen|o2)\b")
_LEVEL: Final = re.compile(r"\ba?c?vpu\b\s*(?:is|score)?\s*[:=\-]?\s*([acvpu])\b")
_FULL_GCS: Final = re.compile(r"\bgcs\b\s*(?:is|of)?\s*[:=\-]?\s*15\b(?:/15)?")
_ALERT: Final = re.compile(r"(?:^|[,;.\n+&]\s*|\d%?\s+|\band\s+|\bis\s+)alert(?=\s*(?:$|[,;.\n+&]|\band\b|\bt\b))")
_DIGIT: Final = re.compile(r"\d")
#: Dots that lead the eye from a name to its number on a slip, "BP....120/80", or stand for a space, "T.38".
_LEADERS: Final = re.compile(r"\.{2,}|(?<=[a-z])\.(?=\d)")


#: How far around a number its sentence is read, in characters: reading stays linear in the text's length.
_FAR: Final = 160
#: How far before a number the name may begin that it is of, in characters.
_NAME_REACH: Final = 60
#: One thing measured twice differs by less than this factor.
_ALIKE: Final = 6
_LONG_FORMS: Final = tuple(form for form in FORMS if not form.is_short and not form.is_asked)
#: Read last: beside what others have found.
_SHORT_FORMS: Final = tuple(form for form in FORMS if form.is_short)
#: Bare numbers, which only an answer to the question for vital signs has, of what nothing else in it was read.
_BARE_FORMS: Final = tuple(form for form in FORMS if form.is_asked)
_PAIR: Final = (SYSTOLIC, DIASTOLIC)
_TEMPERATURE: Final = "temperature_celsius"


@dataclass(frozen=True, slots=True)
class _Scene:
    """A text as it was said, the same with other numbers covered up, where its numbers are and its clauses break."""

    said: str
    numbers: str
    windows: list[tuple[int, int]]
    starts: list[int]
    ends: list[int]

    def matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Every place where this stands among the numbers."""
        for low, high in self.windows:
            yield from pattern.finditer(self.numbers, low, high)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A number that is a reading: what of, where, of when, and which numbers were written together."""

    field: str
    value: float
    start: int
    end: int
    when: int
    group: int


def read_vitals(text: str, *, is_asked: bool = False) -> VitalsRead:
    """Every vital sign a text states, in our units. Never raises.

    is_asked says that the text answers the question for vital signs: then "38,5", "120 80" and "97%" speak for
    themselves.
    """
    said = fold(text)
    folded = _LEADERS.sub(_spaces, in_digits(said).replace("·", "."))
    if not _DIGIT.search(folded) and not _LEVEL.search(folded):
        return VitalsRead(VitalSigns())
    chosen = _chosen(_candidates(_scene(folded), is_asked=is_asked))
    readings = [
        Reading(each.field, each.value, text[each.start : whole(said, each.start, each.end)].strip()) for each in chosen
    ]
    measured = replace(VitalSigns(), **{each.field: each.value for each in readings})  # type: ignore[arg-type]  # every field read is a float
    vitals, refused = plausible(measured)
    if not {SYSTOLIC, DIASTOLIC}.isdisjoint(refused):  # a pressure is one reading
        vitals = replace(vitals, systolic_mmhg=None, diastolic_mmhg=None)
    kept = [reading for reading in readings if getattr(vitals, reading.field) is not None]
    states = tuple(_states(folded, text, is_measured=not is_empty(vitals)))
    vitals = replace(vitals, **{each.field: each.value for each in states})  # type: ignore[arg-type]  # each of its field's kind
    quotes = {reading.field: reading.quote for reading in readings}
    return VitalsRead(vitals, (*kept, *states), tuple(dict.fromkeys(quotes[field] for field in refused)), refused)


def _scene(folded: str) -> _Scene:
    windows = _windows(folded)
    covered, last = [], 0
    for low, high in windows:
        covered += [folded[last:low], _covered(folded[low:high])]
        last = high
    breaks = [each.span() for low, high in windows for each in BREAK.finditer(folded, low, high)]
    numbers = "".join((*covered, folded[last:]))
    return _Scene(folded, numbers, windows, [start for start, _ in breaks], [end for _, end in breaks])


def _windows(folded: str) -> list[tuple[int, int]]:
    """The parts of the text that stand near a digit: no other can tell of a reading."""
    windows: list[tuple[int, int]] = []
    for digit in _DIGIT.finditer(folded):
        low, high = max(digit.start() - _FAR, 0), min(digit.end() + _FAR, len(folded))
        if windows and low <= windows[-1][1]:
            windows[-1] = windows[-1][0], high
        else:
            windows.append((low, high))
    return windows


def _covered(part: str) -> str:
    """The text with what is no reading covered up, each digit by one character."""
    for pattern in OTHER_NUMBERS:
        part = pattern.sub(_blank, part)
    return part


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _blank(match: re.Match[str]) -> str:
    return _DIGIT.sub("_", match.group())


def _candidates(scene: _Scene, *, is_asked: bool) -> list[_Candidate]:
    taken = bytearray(len(scene.said))
    found = list(_numbers_first(scene, taken))
    told = {field for field, cue in CUES.items() if any(True for _ in scene.matches(cue))}
    for form in (*_LONG_FORMS, *_SHORT_FORMS):
        if (form.fields[0] in CUES and form.fields[0] not in told) or (form.is_short and not found):
            continue
        found += _of_form(form, scene, taken)
    found += [*_going_on(found, scene, taken), *_own(scene, taken)]
    if is_asked:
        named = {each.field for each in found}
        for form in _BARE_FORMS:
            if named.isdisjoint(form.fields):
                found += _of_form(form, scene, taken)
    return found


def _of_form(form: Form, scene: _Scene, taken: bytearray) -> Iterator[_Candidate]:
    for match in scene.matches(form.pattern):
        start, end = match.start(1), match.end(match.lastindex or 1)
        if any(taken[start:end]) or not (numbers := _numbers(form, match)):
            continue
        taken[start:end] = b"\1" * (end - start)
        yield from _candidates_of(scene, match, numbers)


def _candidates_of(scene: _Scene, match: re.Match[str], numbers: Sequence[tuple[str, float]]) -> Iterator[_Candidate]:
    start = match.start(1)
    begin, when = _trimmed(scene.said, *match.span()), _when(scene, start, match.end())
    return (_Candidate(field, value, begin, match.end(), when, start) for field, value in numbers)


def _numbers_first(scene: _Scene, taken: bytearray) -> Iterator[_Candidate]:
    """The readings of lists in which each name follows its number; their places are taken, names and all."""
    for run in scene.matches(NUMBERS_FIRST):
        before = scene.numbers[max(run.start() - _NAME_REACH, 0) : run.start()]
        if NAME_BEFORE.search(before) or NUMBER_AFTER.match(scene.numbers, run.end()):
            continue
        for form in NUMBER_FIRST_FORMS:
            for match in form.pattern.finditer(scene.numbers, *run.span()):
                if numbers := _numbers(form, match):
                    yield from _candidates_of(scene, match, numbers)
        taken[run.start() : run.end()] = b"\1" * (run.end() - run.start())


def _trimmed(said: str, start: int, end: int) -> int:
    """Where the words of a reading begin."""
    while start < end and said[start] in " ,;.\n-":
        start += 1
    return start


def _numbers(form: Form, match: re.Match[str]) -> list[tuple[str, float]]:
    out: list[tuple[str, float]] = []
    groups = match.groups()
    if (
        len(form.fields) == 2
        and form.fields[0] == form.fields[1]
        and groups[1]
        and FROM.search(match.string, match.start(), match.start(1))
    ):
        groups = (None, groups[1])  # "down from 39 to 37.4"
    for field, digits in zip(form.fields, groups, strict=False):
        value = None if digits is None else form.convert(float(digits.replace(",", ".")))
        if value is not None:
            out.append((field, round(value, 2)))
    if form.fields[0] == "feet":
        inches = dict(out)
        return [(HEIGHT, round((inches["feet"] * 12 + inches.get("inches", 0)) * CM_PER_INCH, 2))]
    return out


def _when(scene: _Scene, at: int, end: int) -> int:
    """When the reading here was taken; ANOTHERS for another person's, NOT_NOW for what is no reading of now."""
    place, later = bisect_right(scene.ends, at), bisect_left(scene.starts, end)
    begin = max(scene.ends[place - 1] if place else 0, at - _FAR)
    stop = min(scene.starts[later] if later < len(scene.starts) else len(scene.said), end + _FAR)
    before, clause, after = scene.said[begin:at], scene.said[begin:stop], scene.said[end:stop]
    if any(pattern.search(part) for pattern in (NO_READING, LONG_AGO) for part in (before, after)):
        return NOT_NOW
    if WAS.search(clause) and _is_long_ago(scene.said, at):
        return NOT_NOW
    if RELATIVE.search(before) and not MINE.search(before):
        return NOT_NOW if WAS.search(clause) or MYSELF.search(scene.said, end, end + _FAR) else ANOTHERS
    return next((when for when, pattern in TIMES if pattern.search(clause)), AS_TOLD)


def _is_long_ago(said: str, at: int) -> bool:
    """Whether the sentence before this place tells of long ago: "In 2015, my pressure was …"."""
    start = max(at - _FAR, 0)
    begin = max((each.end() for each in SENTENCE.finditer(said, start, at)), default=start)
    return LONG_AGO.search(said, begin, at) is not None


def _going_on(found: list[_Candidate], scene: _Scene, taken: bytearray) -> Iterator[_Candidate]:
    """Further numbers of the reading before them."""
    for first in found:
        low, high = PLAUSIBLE[first.field]
        end = first.end
        while first.field not in _PAIR and (match := GOES_ON.match(scene.numbers, end)):
            group = match.lastindex or 1
            start, end = match.span(group)
            number = float(match.group(group).replace(",", "."))
            value = round(bare_temperature(number) if first.field == _TEMPERATURE else number, 2)
            if any(taken[start:end]) or not low <= value <= high or not value / _ALIKE <= first.value <= value * _ALIKE:
                break
            taken[start:end] = b"\1" * (end - start)
            yield _Candidate(first.field, value, start, end, _when(scene, start, end), start)


def _own(scene: _Scene, taken: bytearray) -> Iterator[_Candidate]:
    """Numbers told only by whose they are, of the vital sign that was named last before them."""
    for match in scene.matches(OWN):
        start, end = match.span(1)
        if any(taken[start:end]):
            continue
        low = max(match.start() - _FAR, 0)
        named = [
            (each.end(), field, convert)
            for field, names, convert in OF_LAST_NAMED
            for each in names.finditer(scene.numbers, low, start)
        ]
        if named:
            _, field, convert = max(named, key=itemgetter(0))
            if (value := convert(float(match.group(1).replace(",", ".")))) is not None:
                taken[start:end] = b"\1" * (end - start)
                yield _Candidate(field, round(value, 2), match.start(), end, _when(scene, start, end), start)


def _chosen(found: list[_Candidate]) -> list[_Candidate]:
    """Of each field the latest reading, and of one time the one farthest from normal; pressures in pairs."""
    best: dict[str, _Candidate] = {}
    for each in found:
        if (
            each.field != DIASTOLIC
            and each.when != NOT_NOW
            and (each.field not in best or _weight(each) > _weight(best[each.field]))
        ):
            best[each.field] = each
    if SYSTOLIC in best:
        lower = [each for each in found if each.field == DIASTOLIC and each.group == best[SYSTOLIC].group]
        if lower:
            best[DIASTOLIC] = max(lower, key=lambda each: each.value)
    return list(best.values())


def _weight(each: _Candidate) -> tuple[int, float]:
    normal = _NORMAL.get(each.field)
    return each.when, abs(log(max(each.value, 0.01) / normal)) if normal else -each.start


def _states(folded: str, text: str, *, is_measured: bool) -> Iterator[Reading]:
    """Breathed air and consciousness, in the words and letters they are noted in."""
    if air := _NO_OXYGEN.search(folded):
        yield Reading("on_oxygen", value=False, quote=text[slice(*air.span())])
    elif (oxygen := _ON_OXYGEN.search(folded)) and not _WAS_ON_OXYGEN.search(folded):
        yield Reading("on_oxygen", value=True, quote=text[slice(*oxygen.span())])
    if level := _LEVEL.search(folded):
        yield Reading("consciousness", Consciousness(level.group(1).upper()), text[slice(*level.span())])
    elif alert := _FULL_GCS.search(folded) or (_ALERT.search(folded) if is_measured else None):
        yield Reading("consciousness", Consciousness.ALERT, text[slice(*alert.span())].strip())
