"""The mechanical rubric of a hand-over: 24 items, one point each (clinical content, section 7).

It passes at 21 points with every starred item met. Computed from the note, the record and the messages alone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.guardrails import Approved, check_reply
from anamnesis.clinical.record import NONE_NOW, Answer, ClinicalRecord, Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.red_flags import gave_birth_lately
from anamnesis.clinical.sbar import (
    FIRST_SCREEN_WORDS,
    HISTORY,
    HPI,
    PROPOSED,
    STATES,
    UNITS,
    WITHHELD,
    Sbar,
    Statement,
    describe,
    due,
    evidence_of,
)
from anamnesis.clinical.scores import meows, news2, qsofa, ugandan_sepsis_index
from anamnesis.clinical.terms import Evidence, RedFlag, Sex, Speaker

PASS_POINTS: Final = 21
_MOST_WORDS: Final = 450
_MOST_QUOTED: Final = 20
#: Without a model.
_MOST_SECONDS: Final = 2
_LEAST_KNOWN: Final = 6
_PROFILE: Final = "profile"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the rubric: its number, what it asks, whether it is starred, whether the note meets it."""

    number: int
    asks: str
    is_starred: bool
    is_met: bool


def score(
    sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str], *, took_seconds: float | None = None
) -> tuple[Item, ...]:
    """All 24 items for this note; messages are the patient's words by message id.

    took_seconds is how long it took to write, where that was measured: item 24 has a limit.
    """
    is_late = took_seconds is not None and took_seconds > _MOST_SECONDS
    checks = (
        *_situation(sbar, record, messages),
        *_background(sbar, record),
        *_rest(sbar, record, messages, is_late=is_late),
    )
    return tuple(Item(number, asks, star, met) for number, (asks, star, met) in enumerate(checks, 1))


def passes(items: tuple[Item, ...]) -> bool:
    """Whether the note passes: enough points, and every starred item met."""
    return sum(item.is_met for item in items) >= PASS_POINTS and all(item.is_met for item in items if item.is_starred)


Check = tuple[str, bool, bool]


def _statements(sbar: Sbar) -> tuple[Statement, ...]:
    return (*sbar.situation, *sbar.background, *sbar.assessment, *sbar.recommendation)


def _text(statements: Iterable[Statement]) -> str:
    return "\n".join(each.text for each in statements)


# -- situation ---------------------------------------------------------------------------------------------------


def _situation(sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str]) -> Iterator[Check]:
    text, who = _text(sbar.situation), sbar.situation[0].text
    sections = (sbar.situation, sbar.background, sbar.assessment, sbar.recommendation)
    yield "four headed sections in order", True, all(sections)
    yield "age, sex, pregnancy", True, _says_who(who, record)
    yield "speaker named when not the patient", False, (record.person.speaker is Speaker.SELF) != ("is writing" in who)
    yield "complaint quoted verbatim", True, _is_quoted(sbar, record, messages)
    onset = record.answer("onset")
    has_unit = isinstance(onset, Reported) and _UNIT_OF_TIME.search(onset.value.lower()) is not None
    yield "duration", False, has_unit and _plain(f"Since: {describe(onset)}") in _plain(text)
    yield (
        "triage colour equals the engine's",
        True,
        bool(re.search(rf"^Triage: {record.colour.value}\b", text, re.MULTILINE)),
    )
    yield "every flag with its span", True, all(_is_flagged(flag, sbar.situation) for flag in record.flags)
    yield "rule version", False, all(f"v {flag.version}" in text for flag in record.flags)


#: What makes "it came slowly" a duration: a span, a day or a time, in the languages that are read.
_UNIT_OF_TIME: Final = re.compile(
    r"\d|\b(?:minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|wks?|fortnights?|months?|years?|yrs?|today|yesterday|tonight|"
    r"mornings?|evenings?|afternoons?|noon|midday|midnight|birth|childhood|child|\w+day|january|february|march|april|may|june|"
    r"july|august|september|october|november|december|christmas|easter|eid|jana|leo|juzi|siku|wiki|mwezi|jjo|leero|lunch\w*|"
    r"supper|breakfast|just now|now)\b"
)


def _says_who(who: str, record: ClinicalRecord) -> bool:
    """Whether the line has the age, sex and pregnancy of the record, each known or said not to be."""
    person = record.person
    is_dated = re.search(r"\b\d+ (?:years|months|days)\b", who) is not None
    is_age_right = "Age not known" in who if person.age is None else is_dated
    sex = "sex not known" if person.sex is None else person.sex.value
    return is_age_right and re.search(rf"\b{sex}\b", who) is not None and _says_pregnancy(who, record)


def _says_pregnancy(who: str, record: ClinicalRecord) -> bool:
    person, is_denied = record.person, "not pregnant" in who
    is_void = "pregnancy not applicable" in who
    if person.sex is Sex.MALE or ("pregnancy" in record.not_applicable and not person.pregnant):
        return is_void
    if person.pregnant is None:
        return "pregnancy" in who and not is_void
    return "pregnant" in who and not is_void and is_denied is not person.pregnant


def _is_quoted(sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str]) -> bool:
    complaint = next((each for each in sbar.situation if each.text.startswith("Complaint: ")), None)
    if complaint is None:
        return False
    told = record.answer("chief_complaint")
    if not isinstance(told, Reported):
        return complaint.text.endswith((")", "not asked", "none reported"))
    quote = complaint.text.removeprefix("Complaint: “").removesuffix("”")
    return 0 < len(quote.split()) <= _MOST_QUOTED and _plain(quote) in _plain(
        messages.get(told.evidence.message_id, "")
    )


def _plain(text: str) -> str:
    """The text with one space for each stretch of white: a note stands on one line where a message has several."""
    return " ".join(text.split())


def _is_flagged(flag: RedFlag, lines: Iterable[Statement]) -> bool:
    """Whether a line that names the rule carries every word it was read from."""
    named = [each for each in lines if re.search(rf"\b{re.escape(flag.rule_id)}\b", each.text)]
    return bool(named) and all(any(evidence in each.evidence for each in named) for evidence in flag.evidence)


# -- background --------------------------------------------------------------------------------------------------


def _background(sbar: Sbar, record: ClinicalRecord) -> Iterator[Check]:
    text = _text(sbar.background) + "\n" + _text(sbar.situation)
    opqrst = [_line(text, "Since" if slot == "onset" else label) for slot, label in HPI[:8]]
    known = sum(line is not None and not line.startswith("not asked") for line in opqrst)
    yield "six of eight of the history of the complaint", False, known >= _LEAST_KNOWN
    named = all(
        _is_sign_right(name, record, sbar.background) for name in dict.fromkeys((*record.signs_due, *record.signs))
    )
    yield "every danger sign denied, present or not asked", True, named
    for slot, star in (("medicines", True), ("allergies", True), ("past_history", False)):
        yield f"{slot} never blank", star, _stands(text, slot)
    yield "family and social never blank", False, _stands(text, "family_history") and _stands(text, "social_history")


def _line(text: str, label: str) -> str | None:
    """What stands after this label, alone or beside others; None where nothing does."""
    found = re.search(rf"^(?:[\w, ]*, )?{re.escape(label)}(?:, [\w, ]+)?: (\S.*)", text, re.MULTILINE)
    return None if found is None else found.group(1)


def _stands(text: str, slot: str) -> bool:
    return _line(text, dict(HISTORY)[slot]) is not None


def _is_sign_right(name: str, record: ClinicalRecord, lines: Iterable[Statement]) -> bool:
    """Whether the sign stands in the line of its state, and in no other."""
    words = rf"(?:^|[:,] ){re.escape(name.replace('_', ' '))}(?= \(|,|$)"
    found = [
        each.text.partition(":")[0] for each in lines if each.text.startswith("Signs ") and re.search(words, each.text)
    ]
    return found == [_label_of(record.sign(name))]


def _label_of(answer: Answer) -> str:
    match answer:
        case Reported(value=value):
            return "Signs told, later denied" if value == NONE_NOW else "Signs present"
        case NoneReported():
            return "Signs denied"
        case Declined():
            return "Signs not obtained"
        case NotAsked():
            return "Signs not asked"


# -- assessment, and the whole -----------------------------------------------------------------------------------


def _rest(sbar: Sbar, record: ClinicalRecord, messages: Mapping[str, str], *, is_late: bool) -> Iterator[Check]:
    assessed, everything = _text(sbar.assessment), _text(_statements(sbar))
    yield "each vital with value, unit, time, source, mark", False, _are_vitals_right(sbar.assessment, record)
    yield "scores recompute", True, _recomputes(assessed, record)
    yield "differential, or withheld", False, _is_differential_right(sbar.assessment)
    yield "must not miss when a flag fired", False, not record.flags or "Must not be missed" in assessed
    is_supported = all(_is_supported(each, record, messages) for each in _statements(sbar))
    yield "no finding without its message", True, is_supported
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
    is_short = words <= _MOST_WORDS and len(_text(sbar.situation).split()) <= FIRST_SCREEN_WORDS
    yield "length and time", True, is_short and not is_late


def _are_vitals_right(lines: Iterable[Statement], record: ClinicalRecord) -> bool:
    """Whether each reading has its line with value, unit, time, source and mark, and no other line has any."""
    readings = {
        each.text.rpartition(" told by the patient")[0]: each for each in lines if "told by the patient" in each.text
    }
    measured = {name for name, _ in record.readings}
    wanted = [
        (label, getattr(record.vitals, name), unit)
        for name, (label, unit) in UNITS.items()
        if name in measured and getattr(record.vitals, name) is not None
    ]
    found = [
        each
        for label, value, unit in wanted
        for start, each in readings.items()
        if re.match(rf"{label} {value:g}(?:/\d+)? {re.escape(unit)},$", start) and each.evidence
    ]
    times = [(each, record.told_at.get(each.evidence[0].message_id)) for each in found]
    are_dated = all(time is not None and time in each.text and "plausible" in each.text for each, time in times)
    return len(found) == len(wanted) == len(readings) and are_dated


def _is_differential_right(lines: Iterable[Statement]) -> bool:
    """Withheld, or three to five illnesses with what they rest on; not both, and not neither."""
    proposed = [each for each in lines if each.text.startswith(PROPOSED)]
    is_withheld = any(WITHHELD in each.text for each in lines)
    if not proposed:
        return is_withheld
    illnesses = proposed[0].text.removeprefix(PROPOSED).removesuffix(".").split("; ")
    are_weighed = all(_WEIGHED.fullmatch(each) for each in illnesses)
    are_told_once = len({each.partition(" (")[0] for each in illnesses}) == len(illnesses)
    is_one = len(proposed) == 1 and bool(proposed[0].evidence) and 3 <= len(illnesses) <= 5
    return not is_withheld and is_one and are_weighed and are_told_once


#: An illness with at least one thing for it, and what speaks against it or that none is known.
_WEIGHED: Final = re.compile(r"[^()]+ \([1-9]\d* for, (?:[1-9]\d* against|against not known)\)")


def _recomputes(assessed: str, record: ClinicalRecord) -> bool:
    """Whether every score of the note is the one its readings make, and no score stands that they do not."""
    return _has_news2(assessed, record) and _sums_up(assessed) and _has_others(assessed, record)


def _sums_up(assessed: str) -> bool:
    """Whether the points that are named make the total that is named, whole or partial."""
    found = re.search(r"^NEWS2 (?:partial )?(\d+)[^(\n]*\(([^)\n]*)\)", assessed, re.MULTILINE)
    return found is None or int(found.group(1)) == sum(
        int(each) for each in re.findall(r" (\d+)(?:,|$)", found.group(2))
    )


def _has_others(assessed: str, record: ClinicalRecord) -> bool:
    """MEOWS and the shock index in pregnancy and after a birth, the sepsis scores in other adults; else none."""
    lines = [each for each in assessed.splitlines() if each.startswith(_OTHER_SCORES)]
    vitals, person = record.vitals, record.person
    if not record.readings:
        return not lines
    if person.pregnant or gave_birth_lately(record.findings, person):
        chart = meows(vitals)
        red, yellow = (", ".join(names) or "none" for names in (chart.red, chart.yellow))
        wanted = [f"MEOWS, {chart.read} of 7 known: red {red}; yellow {yellow}"]
        if vitals.heart_rate_per_min and vitals.systolic_mmhg:
            wanted.append(f"Shock index {vitals.heart_rate_per_min / vitals.systolic_mmhg:.2f} ")
    else:
        found = {"qSOFA": qsofa(vitals), "Ugandan sepsis index": ugandan_sepsis_index(vitals)}
        named = [f"{name} {each.points}, {each.known} of {each.of} known" for name, each in found.items()]
        told = re.findall(r"(?:qSOFA|Ugandan sepsis index) \d+, \d+ of \d+ known", "\n".join(lines))
        return set(told) <= set(named) and len(lines) == bool(told)
    return len(lines) == len(wanted) and all(each.startswith(begin) for each, begin in zip(lines, wanted, strict=True))


_OTHER_SCORES: Final = ("MEOWS", "Shock index", "For information: ")


def _has_news2(assessed: str, record: ClinicalRecord) -> bool:
    score_now = news2(record.vitals, record.person)
    if score_now is None or not record.readings:
        return "NEWS2" not in assessed
    wanted = (
        f"NEWS2 {score_now.total} " if score_now.total is not None else f"NEWS2 partial {score_now.partial}, no total"
    )
    return wanted in assessed


#: Lines that code says by itself; every other line is a finding.
_OF_CODE: Final = (
    "Triage:", "Already told:", "Asked to talk", WITHHELD, "Must not be missed", "Missing:", "Language:", "First ",
    "Ask what is missing", "Emergency:", "Urgent:", "Routine:", "Age not known, sex not known",
)  # fmt: skip
_NO_CLAIM: Final = ("not asked", "not applicable")


def _is_supported(statement: Statement, record: ClinicalRecord, messages: Mapping[str, str]) -> bool:
    """Whether a line that says anything of the patient rests on words, and each of them stands where it says."""
    _, _, said = statement.text.partition(": ")
    is_silent = said.startswith(_NO_CLAIM) or statement.text.startswith(("Signs not asked:", *_OF_CODE))
    if not statement.evidence:
        return is_silent
    return all(_is_told(each, record, messages) for each in statement.evidence)


def _is_told(evidence: Evidence, record: ClinicalRecord, messages: Mapping[str, str]) -> bool:
    if evidence.message_id == _PROFILE:
        return any(evidence in evidence_of(record.answer(slot)) for slot in ("name", "age", "sex"))
    return bool(evidence.quote) and evidence.quote in messages.get(evidence.message_id, "")


def _agrees(text: str, record: ClinicalRecord) -> bool:
    """Whether no topic that was told is called none, and none that is none or unknown is called told."""
    for slot, label in due(record, (*HISTORY, *HPI[1:])):
        answer = record.answer(slot)
        line = re.search(rf"^[^:\n]*\b{re.escape(label)}\b[^:\n]*: (.*)$", text, re.MULTILINE)
        if line is None:
            return False
        state = next((state for state in STATES if line.group(1).startswith(state)), None)
        expected = {NoneReported: "none reported", Declined: "not obtained"}.get(type(answer))
        if isinstance(answer, NotAsked):
            expected = "not applicable" if slot in record.not_applicable else "not asked"
        if state != expected or (state is None and not _has_only(line.group(1), answer)):
            return False
    return True


#: Words a line may have beside the patient's: who speaks, and what became of earlier words.
_BESIDE: Final = frozenset({
    "a", "an", "the", "i", "i'm", "im", "me", "my", "is", "am", "are", "it", "it's", "patient", "reports", "before",
    "conflicting", "also", "said", "as", "model", "read", "not", "asked",
})  # fmt: skip
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+(?:['’][^\W\d_]+)*")


def _has_only(line: str, answer: Answer) -> bool:
    """Whether the line has the answer's words and no other; a verb may have another ending, a number may not."""
    told = _TOKEN.findall(describe(answer).lower())
    return all(
        word in _BESIDE or any(word == own or (word.isalpha() and _is_akin(word, own)) for own in told)
        for word in _TOKEN.findall(line.lower())
    )


def _is_akin(word: str, own: str) -> bool:
    return len(own) > 1 and (word[:3] == own[:3] or word.startswith(own))
