"""The mechanical rubric of a hand-over: 24 items, one point each (clinical content, section 7).

It passes at 21 points with every starred item met. Computed from the note, the record and the messages alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.guardrails import Approved, check_reply
from anamnesis.clinical.record import ClinicalRecord, Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.sbar import (
    FIRST_SCREEN_WORDS,
    HISTORY,
    HPI,
    PROPOSED,
    STATES,
    WITHHELD,
    Sbar,
    Statement,
    describe,
)
from anamnesis.clinical.scores import news2
from anamnesis.clinical.terms import Speaker

PASS_POINTS: Final = 21
_MOST_WORDS: Final = 450
_PROFILE: Final = "profile"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the rubric: its number, what it asks, whether it is starred, whether the note meets it."""

    number: int
    asks: str
    is_starred: bool
    is_met: bool


def score(sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str]) -> tuple[Item, ...]:
    """All 24 items for this note; messages are the patient's words by message id."""
    checks = (*_situation(sbar, record, messages), *_background(sbar, record), *_rest(sbar, record, messages))
    return tuple(Item(number, asks, star, met) for number, (asks, star, met) in enumerate(checks, 1))


def passes(items: tuple[Item, ...]) -> bool:
    """Whether the note passes: enough points, and every starred item met."""
    return sum(item.is_met for item in items) >= PASS_POINTS and all(item.is_met for item in items if item.is_starred)


Check = tuple[str, bool, bool]


def _statements(sbar: Sbar) -> tuple[Statement, ...]:
    return (*sbar.situation, *sbar.background, *sbar.assessment, *sbar.recommendation)


def _text(statements: tuple[Statement, ...]) -> str:
    return "\n".join(each.text for each in statements)


def _situation(sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str]) -> Iterator[Check]:
    text, who = _text(sbar.situation), sbar.situation[0].text
    sections = (sbar.situation, sbar.background, sbar.assessment, sbar.recommendation)
    yield "four headed sections in order", True, all(sections)
    yield "age, sex, pregnancy", True, "pregnan" in who and bool(re.search(r"years|months|days|Age not known", who))
    yield "speaker named when not the patient", False, (record.person.speaker is Speaker.SELF) != ("is writing" in who)
    yield "complaint quoted verbatim", True, _is_quoted(sbar, record, messages)
    onset = record.answer("onset")
    yield "duration", False, f"Since: {describe(onset)}" in text and not isinstance(onset, NotAsked)
    yield "triage colour equals the engine's", True, f"Triage: {record.colour.value}" in text
    flags_shown = all(flag.rule_id in text for flag in record.flags)
    flag_evidence = {each for statement in sbar.situation for each in statement.evidence}
    spans = all(evidence in flag_evidence for flag in record.flags for evidence in flag.evidence)
    yield "every flag with its span", True, flags_shown and spans
    yield "rule version", False, all(f"v {flag.version}" in text for flag in record.flags)


def _is_quoted(sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str]) -> bool:
    complaint = next((each for each in sbar.situation if each.text.startswith("Complaint: ")), None)
    if complaint is None:
        return False
    if not isinstance(record.answer("chief_complaint"), Reported):
        return complaint.text.endswith((")", "not asked", "none reported"))
    quote = complaint.text.removeprefix("Complaint: “").removesuffix("”")
    return len(quote.split()) <= 20 and any(quote in words for words in messages.values())


def _background(sbar: Sbar, record: ClinicalRecord) -> Iterator[Check]:
    text = _text(sbar.background) + "\n" + _text(sbar.situation)
    opqrst = [slot for slot, _ in HPI[:8]]
    known = sum(slot in record.not_applicable or record.is_covered(slot) for slot in opqrst)
    yield "six of eight of the history of the complaint", False, known >= 6
    named = all(name.replace("_", " ") in text for name in record.signs_due)
    yield "every danger sign denied, present or not asked", True, named
    for slot, star in (("medicines", True), ("allergies", True), ("past_history", False)):
        yield f"{slot} never blank", star, _stands(text, slot)
    yield "family and social never blank", False, _stands(text, "family_history") and _stands(text, "social_history")


def _stands(text: str, slot: str) -> bool:
    label = dict(HISTORY)[slot]
    return re.search(rf"^(?:[\w, ]*, )?{re.escape(label)}(?:, [\w, ]+)?: \S", text, re.MULTILINE) is not None


def _rest(sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str]) -> Iterator[Check]:
    assessed, everything = _text(sbar.assessment), _text(_statements(sbar))
    readings = [each for each in sbar.assessment if "told by the patient" in each.text]
    units = all(each.evidence and "plausible" in each.text and re.search(r"\d", each.text) for each in readings)
    yield "each vital with unit, source, mark", False, units and bool(readings) == bool(record.readings)
    yield "scores recompute", True, _recomputes(assessed, record)
    proposed = any(each.text.startswith(PROPOSED) and each.evidence for each in sbar.assessment)
    yield "differential, or withheld", False, proposed != (WITHHELD in assessed)
    yield "must not miss when a flag fired", False, not record.flags or "Must not be missed" in assessed
    yield "no finding without its message", True, all(_is_supported(each, messages) for each in _statements(sbar))
    yield "no contradiction with the record", True, _agrees(everything, record)
    first = sbar.recommendation[0].text
    yield "urgency, place, time limit", False, "within" in first and bool(re.search(r"hospital|clinic|centre", first))
    for_patient = isinstance(check_reply(sbar.for_patient, after_flag=bool(record.flags)), Approved)
    yield "text for the patient apart, safe", True, for_patient and sbar.for_patient not in everything
    yield (
        "missing, conflicting, degraded",
        True,
        all(word in assessed for word in ("Missing:", "Conflicting:", "Mode:")),
    )
    words = len(everything.split()) + len(sbar.footer.split())
    yield "length", True, words <= _MOST_WORDS and len(_text(sbar.situation).split()) <= FIRST_SCREEN_WORDS


def _recomputes(assessed: str, record: ClinicalRecord) -> bool:
    score_now = news2(record.vitals, record.person)
    if score_now is None or not record.readings:
        return "NEWS2" not in assessed
    wanted = (
        f"NEWS2 {score_now.total} " if score_now.total is not None else f"NEWS2 partial {score_now.partial}, no total"
    )
    return wanted in assessed


def _is_supported(statement: Statement, messages: Mapping[str, str]) -> bool:
    """Whether each quote stands in the message it names."""
    return all(
        each.message_id in (_PROFILE, "") or each.quote in messages.get(each.message_id, "")
        for each in statement.evidence
    )


def _agrees(text: str, record: ClinicalRecord) -> bool:
    """Whether no topic that was told is called none, and none that is none or unknown is called told."""
    for slot, label in (*HISTORY, *HPI[1:]):
        answer = record.answer(slot)
        line = re.search(rf"^[^:\n]*\b{re.escape(label)}\b[^:\n]*: (.*)$", text, re.MULTILINE)
        if line is None:
            return False
        state = next((state for state in STATES if line.group(1).startswith(state)), None)
        expected = {NoneReported: "none reported", Declined: "not obtained"}.get(type(answer))
        if isinstance(answer, NotAsked):
            expected = "not applicable" if slot in record.not_applicable else "not asked"
        if state != expected:
            return False
    return True
