"""Triage cases from standard input, one JSON object a line, without a database or a network."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from io import BufferedIOBase
from math import isfinite
from typing import Any, Final, Self, cast

from anamnesis.clinical import told
from anamnesis.clinical.combining import flags_of
from anamnesis.clinical.findings import read_findings
from anamnesis.clinical.terms import Acuity, Age, Assertion, Consciousness, Person, Sex, Speaker, VitalSigns
from anamnesis.clinical.triage import dispose
from anamnesis.clinical.typed_vitals import read_vitals
from anamnesis.clinical.vitals import merged, plausible
from anamnesis.content import ClinicalContent, load_content

SUMMARY: Final = "triage cases, one JSON object a line from standard input"
_TRIAGE: Final = {Acuity.EMERGENCY: "emergency", Acuity.URGENT: "urgent", Acuity.ROUTINE: "routine"}
_NUMBERS: Final = {
    "rr": "respiratory_rate_per_min", "spo2": "spo2_percent", "sbp": "systolic_mmhg", "dbp": "diastolic_mmhg",
    "hr": "heart_rate_per_min", "temp_c": "temperature_celsius", "glucose_mmol_l": "glucose_mmol_l",
    "weight_kg": "weight_kg", "height_cm": "height_cm",
}  # fmt: skip
_PER_UNIT: Final = {"years": Age.of_years, "months": Age.of_months, "days": Age}

_AT_ONCE: Final = 1 << 20  # bytes
_WORTH_SHARING: Final = 200  # lines
_CHUNK: Final = 25  # lines
_MOST_PROCESSES: Final = 8


class BadLine(ValueError):
    """A line that is not a case; the text says what is wrong with it, never what it holds."""


def add_arguments(_: argparse.ArgumentParser) -> None:
    """It takes none: cases come on standard input."""


def run(_: argparse.Namespace) -> int:
    """Answer each case on a line of its own, in order. Exit 2 when a line was bad; the others are done all the same."""
    load_content()
    had_bad = False
    try:
        with _Answering() as answering:
            for lines in _waiting(cast("BufferedIOBase", sys.stdin.buffer)):
                for answer, is_bad in answering.answers(lines):
                    had_bad = had_bad or is_bad
                    sys.stdout.write(answer)
                    sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
    return 2 if had_bad else 0


def _waiting(stream: BufferedIOBase) -> Iterator[list[bytes]]:
    """Lines with something on them, as many together as are waiting to be read, so that none waits for more to come."""
    begun: list[bytes] = []
    while received := stream.read1(_AT_ONCE):
        ended, is_ended, rest = received.rpartition(b"\n")
        if not is_ended:
            begun.append(rest)
            continue
        lines = b"".join([*begun, ended]).split(b"\n")
        begun = [rest]
        yield [line for line in lines if line.strip()]
    last = b"".join(begun)
    if last.strip():
        yield [last]


class _Answering:
    """Answers many lines on all the processor's cores, and few, or where no process can be begun, by itself."""

    def __init__(self) -> None:
        self._pool: Executor | None = None
        self._cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, _MOST_PROCESSES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def answers(self, lines: Sequence[bytes]) -> Iterable[tuple[str, bool]]:
        """The answers in the order of the lines, each as it is printed, and whether its line was bad."""
        pool = self._shared() if len(lines) >= _WORTH_SHARING else None
        return map(_printed, lines) if pool is None else pool.map(_printed, lines, chunksize=_CHUNK)

    def _shared(self) -> Executor | None:
        """A process for each core, or None where there is one core or the system grants no shared memory."""
        if self._pool is None and self._cores > 1:
            try:
                # An interrupt is this process's to answer; the others end with it.
                self._pool = ProcessPoolExecutor(self._cores, None, signal.signal, (signal.SIGINT, signal.SIG_IGN))
            except (OSError, ImportError):
                self._cores = 1
        return self._pool


def _printed(line: bytes) -> tuple[str, bool]:
    """A line's answer as it is printed, and whether the line was bad."""
    answer = triage_line(line, load_content())
    return json.dumps(answer, ensure_ascii=False) + "\n", "error" in answer


def triage_line(line: bytes, content: ClinicalContent) -> dict[str, Any]:
    """The answer to one line: a triage, or an error with the line's id when it has one. Never raises."""
    case_id: Any = None
    try:
        case = _object(line)
        case_id = case.get("id")
        return {"id": case_id, **triage(case, content)}
    except (BadLine, RecursionError) as bad:
        return {"id": case_id, "error": str(bad) or "the line is nested too deeply"}


def triage(case: Mapping[str, Any], content: ClinicalContent) -> dict[str, Any]:
    """One case's triage. Raises BadLine for a field of the wrong kind."""
    text, raw = _text(case, "text"), _text(case, "raw_text")
    given, is_valid = _vitals(case)
    typed = read_vitals(raw, is_asked=True)
    told = read_vitals(text)
    vitals = merged(merged(told.vitals, typed.vitals), given)
    unread = (*told.refused_fields, *typed.refused_fields)
    is_valid = is_valid and all(getattr(vitals, field) is not None for field in unread)
    findings = read_findings(text, content.lexicon)
    person = _person(case, text)
    if person.pregnant is None and person.sex is not Sex.MALE:
        told_pregnant = any(f.concept == "pregnant" and f.assertion is Assertion.AFFIRMED for f in findings)
        person = replace(person, pregnant=True if told_pregnant else None)
    flags = flags_of(findings, vitals, person, content.rules, version=content.version)
    disposition = dispose(flags, vitals, person, findings)
    score = disposition.score
    quotes = [{"rule": flag.rule_id, "quote": flag.evidence[0].quote if flag.evidence else ""} for flag in flags]
    return {
        "triage": _TRIAGE[disposition.acuity],
        "colour": disposition.colour.value,
        "valid": is_valid,
        "news2": score.total if score is not None and is_valid else None,
        "flags": quotes,
        "reasons": [words for _, words in disposition.reasons],
    }


def _object(line: bytes) -> dict[str, Any]:
    try:
        case = json.loads(line)
    except UnicodeDecodeError:
        raise BadLine("the line is not UTF-8") from None
    except ValueError:
        raise BadLine("the line is not JSON") from None
    if not isinstance(case, dict):
        raise BadLine("a case is a JSON object")
    return case


def _text(case: Mapping[str, Any], name: str) -> str:
    value = case.get(name)
    if value is not None and not isinstance(value, str):
        raise BadLine(f"{name} is a text")
    return value or ""


def _person(case: Mapping[str, Any], text: str) -> Person:
    age = _age(case.get("age"))
    sex, pregnant, speaker = case.get("sex"), case.get("pregnant"), case.get("speaker")
    if pregnant is not None and not isinstance(pregnant, bool):
        raise BadLine("pregnant is true, false or null")
    if speaker is not None and speaker not in list(Speaker):
        raise BadLine("speaker is self, parent or other")
    told_age, told_sex = told.read_age(text, is_asked=False), told.read_sex(text, is_asked=False)
    known_sex = {"female": Sex.FEMALE, "f": Sex.FEMALE, "male": Sex.MALE, "m": Sex.MALE}.get(str(sex).lower())
    return Person(
        age or (told_age.value if told_age else None),
        known_sex or (told_sex.value if told_sex and sex is None else None),
        pregnant,
        Speaker(speaker or "self"),
    )


def _age(value: Any) -> Age | None:
    if value is None:
        return None
    number: Any = value
    make: Callable[[float], Age] = Age.of_years
    if isinstance(value, dict):
        number, unit = value.get("value"), value.get("unit")
        if unit not in _PER_UNIT:
            raise BadLine("an age's unit is years, months or days")
        make = _PER_UNIT[unit]
    if not _is_number(number) or number < 0:
        raise BadLine("age is a number from 0 on")
    return make(float(number))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _vitals(case: Mapping[str, Any]) -> tuple[VitalSigns, bool]:
    """The structured readings that are plausible, and whether all were."""
    given = case.get("vitals")
    if given is None:
        return VitalSigns(), True
    if not isinstance(given, dict):
        raise BadLine("vitals is an object")
    numbers = {ours: given[theirs] for theirs, ours in _NUMBERS.items() if given.get(theirs) is not None}
    usable = {name: float(value) for name, value in numbers.items() if _is_number(value)}
    level, scale, oxygen = given.get("consciousness"), given.get("spo2_scale"), given.get("on_oxygen")
    is_level = level is None or level in list(Consciousness)
    is_scale, is_oxygen = scale in (None, 1, 2), oxygen is None or isinstance(oxygen, bool)
    signs = VitalSigns(
        **usable,
        consciousness=Consciousness(level) if level is not None and is_level else None,
        spo2_scale=scale if is_scale and scale is not None else 1,
        on_oxygen=oxygen if is_oxygen else None,
    )
    checked, refused = plausible(signs)
    return checked, not refused and len(usable) == len(numbers) and is_level and is_scale and is_oxygen
