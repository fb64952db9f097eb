"""Hear a message for danger: its findings, vital signs and pregnancy, and the flags they raise. Urgency only rises."""

import re
from dataclasses import dataclass, replace
from typing import Final

from anamnesis.clinical import answers
from anamnesis.clinical.agenda import could_be_pregnant
from anamnesis.clinical.findings import read_findings
from anamnesis.clinical.lexicon import Lexicon
from anamnesis.clinical.lowering import fired_anew, still_counting, with_flags
from anamnesis.clinical.reading import Words
from anamnesis.clinical.record import Answer, ClinicalRecord, NoneReported, Reported
from anamnesis.clinical.red_flags import RuleBook
from anamnesis.clinical.terms import Acuity, Assertion, Colour, Evidence, Finding, RedFlag, VitalSigns
from anamnesis.clinical.triage import dispose
from anamnesis.clinical.typed_vitals import read_vitals
from anamnesis.clinical.vitals import is_unknown, merged

_COLOURS: Final = (Colour.UNKNOWN, Colour.GREEN, Colour.YELLOW, Colour.RED)
#: A bare number in a correction is a temperature, in degrees Celsius, when it can be nothing else that was measured.
_WARM: Final = (34.0, 43.0)
#: Questions for what was before, or for other people.
_OF_BEFORE: Final = frozenset({"past_history", "allergies", "background"})
#: Questions beside the complaint: what is answered to them is weighed by itself, and for what it tells of the person.
_APART: Final = _OF_BEFORE | {"medicines", "records", "read_back"}
#: Words that tell of today whatever was asked. Wide on purpose: one of them, and everything in the message counts.
_OF_TODAY: Final = re.compile(
    r"\b(?:now|today|tonight|tonite|nowadays|still|again|currently|yesterday|sudden\w*|just|hours?|minutes?|"
    r"this (?:morning|evening|afternoon|week)|last night|at the moment|can't|cant|cannot|won't|wont|unable|keeps?|"
    r"pain\w*|hurts?|ach(?:e|es)|fever|blood|breath\w*|chest|help|die|dying|kill|suicid\w*|poison\w*|swallowed|drank|"
    r"overdose\w*|attack\w*|beat\w*|hits?|rap(?:e|ed)|unsafe|afraid|sasa|leo|kati|leero|(?!swelling|smoking|living|nothing)\w{3,}ing)\b"
)
#: How an allergy shows, which tells of any day: "penicillin, I was vomiting", "my face swells".
_REACTION: Final = re.compile(
    r"\b(?:rash\w*|hives|welts|bumps|spots|swell\w*|swollen|itch\w*|sneez\w*|wheez\w*|vomit\w*|peel\w*|blister\w*|breath\w*|"
    r"(?:came|come|comes|break|breaks|broke) out|react\w*|lips?|throat|face)\b"
)
#: Words that tell of today nevertheless.
_REACTING: Final = re.compile(
    r"\b(?:now|today|tonight|tonite|still|currently|yesterday|this (?:morning|afternoon|evening)|last night|"
    r"just (?:took|taken|ate|eaten|had|swallowed|used)|(?:minutes?|hours?) ago|(?:is|am|are|keeps?) (?:\w+ )?\w{3,}ing|"
    r"can't (?:breathe|swallow)|cannot (?:breathe|swallow)|help|sasa|leo|kati|leero)\b|\w'(?:s|m|re) \w{3,}ing\b"
)
EMERGENCY_ADVICE: Final = "advice.emergency_now"
#: What is pending after advice that asks whether somebody is safe: a no to it is danger, and answers nothing else.
SAFETY: Final = "safety"
_SELF_HARM_ADVICE: Final = "advice.self_harm"


@dataclass(frozen=True, slots=True)
class Latched:
    """A record with its new flags, and the keys of the emergency advice that is due now, if any."""

    record: ClinicalRecord
    new_flags: tuple[RedFlag, ...]
    advice: tuple[str, ...]


def heard(record: ClinicalRecord, words: Words, lexicon: Lexicon) -> ClinicalRecord:
    """The record with the vital signs, findings and pregnancy the words tell.

    "Fits since primary school", answered to the question for earlier illnesses, is no fit of today.
    """
    findings = read_findings(words.text, lexicon, message_id=words.message_id)
    is_reaction = record.pending == "allergies" and _REACTION.search(words.text.lower())
    of_today = _REACTING if is_reaction else _OF_TODAY
    if record.pending in _OF_BEFORE and not of_today.search(words.text.lower()):
        findings = tuple(_as_past(each) for each in findings)
    if is_unsafe(record, words):
        findings = (*findings, _unsafe(record, words))
    if record.pending in _APART:
        record = replace(record, apart=(*record.apart, words.message_id))
    return _with_pregnancy(_with_vitals(record, words).with_findings(findings))


def is_unsafe(record: ClinicalRecord, words: Words) -> bool:
    """Whether the words answer the question whether somebody is safe, and do not say yes."""
    return record.pending == SAFETY and answers.says_not_safe(words.text)


def _unsafe(record: ClinicalRecord, words: Words) -> Finding:
    """What it is that somebody is not safe from: themself, where that was told, else another person."""
    is_own = any(flag.advice == _SELF_HARM_ADVICE for flag in record.flags)
    concept = "self_harm_intent" if is_own else "violence_now"
    return Finding(concept, Assertion.AFFIRMED, 0, len(words.text), words.text, words.message_id)


def latch(record: ClinicalRecord, rules: RuleBook, *, version: str) -> Latched:
    """The record with what its findings and vital signs raise; nothing that was raised before is lowered."""
    new = fired_anew(record, rules, version=version)
    record = with_flags(record, new)
    flags, vitals = still_counting(record)
    disposition = dispose(flags, vitals, record.person, record.findings)
    rises = disposition.acuity > record.acuity
    emergency = tuple(dict.fromkeys(flag.advice for flag in new if flag.acuity is Acuity.EMERGENCY))
    urgent = tuple(flag.advice for flag in new if flag.acuity is Acuity.URGENT)
    if not emergency and rises and disposition.acuity is Acuity.EMERGENCY:
        emergency = (EMERGENCY_ADVICE,)
    return Latched(
        replace(
            record,
            acuity=max(record.acuity, disposition.acuity),
            colour=max(record.colour, disposition.colour, key=_COLOURS.index),
            reasons=tuple(dict.fromkeys((*record.reasons, *(why for _, why in disposition.reasons)))),
            advice_due=() if emergency else tuple(dict.fromkeys((*record.advice_due, *urgent))),
        ),
        new,
        emergency,
    )


def _as_past(finding: Finding) -> Finding:
    return finding._replace(assertion=Assertion.PAST) if finding.assertion is Assertion.AFFIRMED else finding


def _with_vitals(record: ClinicalRecord, words: Words) -> ClinicalRecord:
    read = read_vitals(words.text, is_asked=record.pending == "vitals")
    if read.vitals == VitalSigns():
        return _with_corrected_temperature(record, words)
    readings = tuple((each.field, words.quoting(each.quote)) for each in read.readings)
    if record.pending == "vitals" or not is_unknown(read.vitals):
        quotes = tuple(dict.fromkeys(evidence.quote for _, evidence in readings))
        record = record.with_answer("vitals", Reported(", ".join(quotes), words.quoting(quotes[0])))
    return replace(record, vitals=merged(record.vitals, read.vitals), readings=(*record.readings, *readings))


def _with_corrected_temperature(record: ClinicalRecord, words: Words) -> ClinicalRecord:
    """Read "no, I meant 38" after a temperature was told."""
    rest = (answers.corrected(words.text) or "").strip(" .!")
    number = re.fullmatch(r"\d{2}(?:[.,]\d)?", rest)
    value = float(rest.replace(",", ".")) if number else 0.0
    was_told = record.vitals.temperature_celsius is not None and "vitals" in record.last_answered
    if not was_told or not _WARM[0] <= value <= _WARM[1]:
        return record
    evidence = words.quoting(rest)
    record = record.with_answer("vitals", Reported(rest, evidence))
    vitals = replace(record.vitals, temperature_celsius=value)
    return replace(record, vitals=vitals, readings=(*record.readings, ("temperature_celsius", evidence)))


def _with_pregnancy(record: ClinicalRecord) -> ClinicalRecord:
    """What the words say of pregnancy, if the person can be pregnant."""
    if not could_be_pregnant(record.person) and record.person.sex is not None:
        return record
    for finding in reversed(record.findings):
        if finding.concept != "pregnant" or finding.assertion not in (Assertion.AFFIRMED, Assertion.DENIED):
            continue
        is_pregnant = finding.assertion is Assertion.AFFIRMED
        evidence = Evidence(finding.message_id, finding.quote)
        answer: Answer = Reported("pregnant", evidence) if is_pregnant else NoneReported(evidence)
        record = replace(record, person=replace(record.person, pregnant=is_pregnant))
        return record if record.is_covered("pregnancy") else record.with_answer("pregnancy", answer)
    return record
