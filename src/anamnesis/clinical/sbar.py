"""The hand-over: situation, background, assessment, recommendation. Every statement carries what it rests on.

Written from the record alone (clinical content, section 7). Told, none, not obtained, not asked, not applicable and
conflicting never look alike. The differential is withheld: nothing here weighs evidence for an illness.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from anamnesis.clinical.answers import is_greeting, is_none, is_unknown, is_yes
from anamnesis.clinical.record import NONE_NOW, Answer, ClinicalRecord, Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.red_flags import gathered, gave_birth_lately
from anamnesis.clinical.scores import NEWS2_ADULT_YEARS, Counted, meows, news2, qsofa, ugandan_sepsis_index
from anamnesis.clinical.terms import Acuity, Colour, Evidence, RedFlag, Sex, Speaker
from anamnesis.clinical.vitals import is_unknown as is_unmeasured

HEADINGS: Final = ("situation", "background", "assessment", "recommendation")
#: How the interview goes about it, as the replaced system names that to clinicians.
STRATEGY: Final = "Built-in interview"
WITHHELD: Final = "Differential diagnosis: withheld, insufficient data."
#: Topics that concern some people only: where they do not, the note is silent.
_OF_SOME: Final = frozenset({"area", "immunisation"})
#: Begins the line that stands in its place when a model's proposal held.
PROPOSED: Final = "Differential diagnosis, proposed by a language model and not confirmed: "
#: What a line says of a topic about which nothing was told.
STATES: Final = ("none reported", "not obtained", "not asked", "not applicable")
_QUOTE_WORDS: Final = 20
_FLAG_QUOTE_WORDS: Final = 6
_VALUE_WORDS: Final = 24
_PREGNANCY_WORDS: Final = 10
_MOST_FLAGS_SHOWN: Final = 4
#: Clinical content model 7, item 24: the situation with its flags is read at a glance.
FIRST_SCREEN_WORDS: Final = 90
_MOST_TOLD_SHOWN: Final = 5
#: Label and UCUM unit of each reading; blood pressure is written as one.
UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "temperature_celsius": ("Temperature", "Cel"),
    "heart_rate_per_min": ("Pulse", "/min"),
    "respiratory_rate_per_min": ("Breathing", "/min"),
    "spo2_percent": ("Oxygen saturation", "%"),
    "systolic_mmhg": ("Blood pressure", "mm[Hg]"),
    "glucose_mmol_l": ("Glucose", "mmol/L"),
    "weight_kg": ("Weight", "kg"),
    "height_cm": ("Height", "cm"),
}
HPI: Final = (
    ("onset", "Onset"), ("timing", "Course"), ("site", "Site"), ("character", "Character"), ("radiation", "Spread"),
    ("severity", "Severity"), ("exacerbating", "Worse with"), ("relieving", "Better with"), ("details", "Details"),
    ("area", "Nearest kind"),
)  # fmt: skip
HISTORY: Final = (
    ("past_history", "Past illnesses"), ("medicines", "Medicines"), ("allergies", "Allergies"),
    ("immunisation", "Vaccines"),
    ("family_history", "Family"), ("social_history", "Social"), ("records", "Records"),
    ("anything_else", "Worries and other"),
)  # fmt: skip
_ALONE: Final = frozenset({"medicines", "allergies", "past_history"})
#: How soon and where, and how long until somebody has to have acted (clinical content, safety requirements, "time").
_URGENCY: Final = {
    Acuity.EMERGENCY: ("Emergency: now, at the nearest hospital emergency department", "within 5 minutes"),
    Acuity.URGENT: ("Urgent: the same day, at a health centre or clinic", "within 4 hours"),
    Acuity.ROUTINE: ("Routine: clinic visit", "within 72 hours"),
}
_SAFETY_NET: Final = "If it gets worse or something new begins, go to the nearest hospital, or call 999 or 112."


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of the note and the quotes it rests on; a line about what is missing rests on nothing."""

    text: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Sbar:
    """The note, by section in order, with the line every copy ends with.

    for_patient is a proposal for the doctor to send or not: a draft, kept apart from the note.
    """

    situation: tuple[Statement, ...]
    background: tuple[Statement, ...]
    assessment: tuple[Statement, ...]
    recommendation: tuple[Statement, ...]
    footer: str
    for_patient: str = _SAFETY_NET


def draft_sbar(record: ClinicalRecord, *, rules_version: str, is_draft: bool, is_degraded: bool = False) -> Sbar:
    """Write the note from the record alone. Asked and none, not obtained, and not asked are told apart."""
    status = "rules not reviewed by a clinician (draft)" if is_draft else "rules signed"
    mode = "; degraded mode: built-in interviewer" if is_degraded else ""
    return Sbar(
        tuple(map(_on_one_line, situation(record))),
        tuple(map(_on_one_line, background(record))),
        tuple(map(_on_one_line, assessment(record, is_degraded=is_degraded))),
        tuple(map(_on_one_line, recommendation(record))),
        f"Written by software from the patient's words; {status}; rules version {rules_version}{mode}. Not signed.",
    )


def _on_one_line(statement: Statement) -> Statement:
    """The statement without line breaks, so that no words of a patient look like a line of the note.

    The evidence keeps them.
    """
    return Statement(" ".join(part.strip() for part in statement.text.splitlines()), statement.evidence)


def sbar_to_json(sbar: Sbar) -> dict[str, Any]:
    """The note as plain JSON values."""
    return asdict(sbar)


def sbar_from_json(note: Mapping[str, Any]) -> Sbar:
    """The note of stored JSON; one of an older version without a draft for the patient gets today's."""
    sections = {heading: tuple(_statement(each) for each in note[heading]) for heading in HEADINGS}
    return Sbar(**sections, footer=note["footer"], for_patient=note.get("for_patient", _SAFETY_NET))


def _statement(data: Mapping[str, Any]) -> Statement:
    return Statement(data["text"], tuple(Evidence(**each) for each in data["evidence"]))


def sbar_text(sbar: Mapping[str, Any]) -> dict[str, str]:
    """The four sections of a stored note as plain texts, as the wire has them."""
    return {heading: "\n".join(statement["text"] for statement in sbar[heading]) for heading in HEADINGS}


def next_move(record: ClinicalRecord) -> str:
    """What the interview would do next, for a clinician who looks on."""
    return f"Ask about {record.pending.replace('_', ' ')}" if record.pending else "Review the hand-over"


def describe(answer: Answer) -> str:
    """An answer in words; the four values never look alike."""
    match answer:
        case NotAsked():
            return "not asked"
        case Declined(reason=reason):
            return f"not obtained ({reason})"
        case NoneReported():
            return "none reported"
        case Reported(value=value, superseded=superseded, is_conflicting=is_conflicting):
            earlier = f" ({'conflicting, also said' if is_conflicting else 'before'}: {', '.join(superseded)})"
            return f"{shortened(value)}{earlier if superseded else ''}"


def shortened(words: str, most: int = _VALUE_WORDS) -> str:
    """The first words of a text, as they stand in it; the evidence keeps the whole."""
    if len(words.split()) <= most:
        return words.strip()
    return f"{first_words(words, most)} …"


def first_words(words: str, most: int) -> str:
    """The first words of a text, verbatim with what stands between them."""
    rest, end = words, 0
    for _ in range(most):
        stripped = rest.lstrip()
        word = stripped.split(maxsplit=1)[0] if stripped else ""
        end += len(rest) - len(stripped) + len(word)
        rest = words[end:]
    return words[:end].strip()


def evidence_of(answer: Answer) -> tuple[Evidence, ...]:
    """What an answer rests on."""
    match answer:
        case NotAsked():
            return ()
        case Reported(evidence=evidence, more=more):
            return (evidence, *more)
        case _:
            return (answer.evidence,)


def _lines(record: ClinicalRecord, labelled: Iterable[tuple[str, str]]) -> Iterator[Statement]:
    """A line for each topic; topics with the same words share one, except those a treatment can be dangerous for."""
    lines: dict[tuple[str, str], tuple[list[str], tuple[Evidence, ...]]] = {}
    for slot, label in labelled:
        answer = record.answer(slot)
        applies = slot not in record.not_applicable or not isinstance(answer, NotAsked)
        words = describe(answer) if applies else "not applicable"
        words += " (as a model read it, not asked)" if slot in record.proposed else ""
        line = (words, slot if slot in _ALONE else "")
        labels, evidence = lines.get(line, ([], ()))
        lines[line] = ([*labels, label], tuple(dict.fromkeys((*evidence, *evidence_of(answer)))))
    for (words, _), (labels, evidence) in lines.items():
        yield Statement(f"{', '.join(labels)}: {words}", evidence)


# -- situation ---------------------------------------------------------------------------------------------------


def situation(record: ClinicalRecord) -> Iterator[Statement]:
    """Who, the complaint in the patient's words, since when, the colour and why, what was already said."""
    opening, closing = tuple(_complaint(record)), tuple(_said_already(record))
    room = FIRST_SCREEN_WORDS - sum(len(each.text.split()) for each in (*opening, *closing))
    yield from (*opening, *_flags(record.flags, room=room), *closing)


def _complaint(record: ClinicalRecord) -> Iterator[Statement]:
    yield Statement(_who(record), tuple(_person_evidence(record)))
    complaint = record.answer("chief_complaint")
    if isinstance(complaint, Reported):
        quote = first_words(complaint.evidence.quote, _QUOTE_WORDS)
        yield Statement(f"Complaint: “{quote}”", (Evidence(complaint.evidence.message_id, quote),))
    else:
        yield Statement(f"Complaint: {describe(complaint)}", evidence_of(complaint))
    onset = record.answer("onset")
    yield Statement(f"Since: {describe(onset)}", evidence_of(onset))
    yield Statement(f"Triage: {_colour(record)}")


def _said_already(record: ClinicalRecord) -> Iterator[Statement]:
    if record.acuity is Acuity.EMERGENCY:
        yield Statement("Already told: the fixed advice to seek emergency care now.")
    if record.wants_person:
        yield Statement("Asked to talk to a person.")


def _who(record: ClinicalRecord) -> str:
    sex = "sex not known" if record.person.sex is None else record.person.sex.value
    speaker = {Speaker.SELF: "", Speaker.PARENT: "; a parent is writing", Speaker.OTHER: "; a carer is writing"}
    return f"{_age(record)}, {sex}, {_pregnancy(record)}{speaker[record.person.speaker]}"


def _age(record: ClinicalRecord) -> str:
    age = record.person.age
    if age is None:
        return "Age not known"
    if age.months < 2:
        return f"{age.days:.0f} days"
    return f"{age.months:.0f} months" if age.years < 2 else f"{age.years:.0f} years"


def _pregnancy(record: ClinicalRecord) -> str:
    answer, pregnant = record.answer("pregnancy"), record.person.pregnant
    is_possible = record.person.sex is not Sex.MALE and "pregnancy" not in record.not_applicable
    if record.person.sex is Sex.MALE or not (is_possible or pregnant):
        return "pregnancy not applicable"
    state = {True: "pregnant", False: "not pregnant", None: "pregnancy"}[pregnant]
    words = _said_of_pregnancy(answer)
    if words:
        return f"{state} (“{words}”)"
    if pregnant is not None:
        return state
    return f"pregnancy {describe(answer)}" if record.is_covered("pregnancy") else "pregnancy not known"


def _said_of_pregnancy(answer: Answer) -> str:
    """What the answer says beyond yes or no: how many weeks, a birth, a last period."""
    if (
        not isinstance(answer, Reported | NoneReported)
        or is_yes(answer.evidence.quote)
        or is_none(answer.evidence.quote)
    ):
        return ""
    return "" if answer.evidence.quote.lower() == "pregnant" else shortened(answer.evidence.quote, _PREGNANCY_WORDS)


def _person_evidence(record: ClinicalRecord) -> Iterator[Evidence]:
    for slot in ("age", "sex", "pregnancy", "speaker"):
        yield from evidence_of(record.answer(slot))


def _colour(record: ClinicalRecord) -> str:
    if record.colour is Colour.UNKNOWN:
        return "unknown, no vital signs given and no red flag"
    rules = {flag.rule_id for flag in record.flags}
    others = [reason for reason in record.reasons if reason not in rules]
    return f"{record.colour.value}{': ' + ', '.join(others) if others else ''}"


def _flags(flags: Sequence[RedFlag], *, room: int) -> tuple[Statement, ...]:
    """Each danger with its words, as many as there is room for on the first screen, the rest by name and evidence."""
    for most in range(_MOST_FLAGS_SHOWN, 0, -1):
        shown = tuple(_flags_shown(flags, most))
        if sum(len(each.text.split()) for each in shown) <= room:
            return shown
    return tuple(_flags_shown(flags, 0))


def _flags_shown(flags: Sequence[RedFlag], most: int) -> Iterator[Statement]:
    groups = gathered(flags)
    for flag, *others in groups[:most]:
        evidence = tuple(dict.fromkeys(each for one in (flag, *others) for each in one.evidence))
        quotes = "”, “".join(first_words(each.quote, _FLAG_QUOTE_WORDS) for each in evidence[:2])
        heard = f", heard as {', '.join(each.rule_id for each in others)} too" if others else ""
        yield Statement(f"Red flag {flag.rule_id} (v {flag.version}): “{quotes}”{heard}", evidence)
    rest = [flag for group in groups[most:] for flag in group]
    if rest:
        names = ", ".join(flag.rule_id for flag in rest)
        yield Statement(
            f"Red flags{' also' if most else ''}: {names} (v {rest[0].version})",
            tuple(e for flag in rest for e in flag.evidence),
        )


# -- background --------------------------------------------------------------------------------------------------


def due(record: ClinicalRecord, topics: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The topics without those that concern few people and not this one: an adult's vaccines."""
    return (each for each in topics if each[0] not in _OF_SOME or each[0] not in record.not_applicable)


def background(record: ClinicalRecord) -> Iterator[Statement]:
    """The history of the complaint, its danger signs one by one, and the person's history."""
    yield from _lines(record, due(record, HPI[1:]))
    yield from _signs(record)
    yield from _lines(record, due(record, HISTORY))
    told = [each for each in record.also_told if _says_something(each.quote)]
    for each in told[:_MOST_TOLD_SHOWN]:
        yield Statement(f"Also said: “{first_words(each.quote, _QUOTE_WORDS)}”", (each,))
    if rest := told[_MOST_TOLD_SHOWN:]:
        yield Statement(f"Also said, in words not shown here: {len(rest)} more", tuple(rest))


def _says_something(words: str) -> bool:
    """Whether words beside all questions tell a doctor anything: more than "???", "no" or "I don't know"."""
    is_said = re.search(r"[^\W_]", words) is not None
    return is_said and not any(says(words) for says in (is_none, is_yes, is_unknown, is_greeting))


def _signs(record: ClinicalRecord) -> Iterator[Statement]:
    """Danger signs and symptoms: present, denied, asked and not obtained, and never asked. Silence is no denial."""
    names = dict.fromkeys((*record.signs_due, *record.danger_signs, *record.signs))
    for label in _SIGN_LABELS:
        found = [name for name in names if _sign_label(record.sign(name)) == label]
        if found:
            evidence = dict.fromkeys(each for name in found for each in evidence_of(record.sign(name)))
            yield Statement(f"{label}: {', '.join(_sign_words(record, name) for name in found)}", tuple(evidence))
    answer = record.answer("danger_signs")
    if isinstance(answer, Reported) and not any(isinstance(each, Reported) for each in record.signs.values()):
        yield Statement(f"Asked for signs, said: {describe(answer)}", evidence_of(answer))


_SIGN_LABELS: Final = (
    "Signs present", "Signs told, later denied", "Signs denied", "Signs not obtained", "Signs not asked",
)  # fmt: skip


def _sign_label(answer: Answer) -> str:
    match answer:
        case Reported(value=value):
            return _SIGN_LABELS[1] if value == NONE_NOW else _SIGN_LABELS[0]
        case NoneReported():
            return _SIGN_LABELS[2]
        case Declined():
            return _SIGN_LABELS[3]
        case NotAsked():
            return _SIGN_LABELS[4]


def _sign_words(record: ClinicalRecord, name: str) -> str:
    """The sign's name, with what the doctor must know when it was denied before it was told."""
    answer, words = record.sign(name), name.replace("_", " ")
    if not isinstance(answer, Reported) or answer.value == NONE_NOW or "none" not in answer.superseded:
        return words
    return f"{words} ({'conflicting, also denied' if answer.is_conflicting else 'denied before'})"


# -- assessment --------------------------------------------------------------------------------------------------


def assessment(record: ClinicalRecord, *, is_degraded: bool = False) -> Iterator[Statement]:
    """Vital signs with unit and source, the score that recomputes, and how good the data are."""
    yield from vital_signs(record)
    yield Statement(WITHHELD)
    if record.flags:
        rules = ", ".join(group[0].rule_id for group in gathered(record.flags)[:_MOST_FLAGS_SHOWN])
        yield Statement(f"Must not be missed: what stands behind {rules}.")
    yield from _quality(record, is_degraded=is_degraded)


def vital_signs(record: ClinicalRecord) -> Iterator[Statement]:
    """Each reading with its UCUM unit, told by the patient in the message quoted, and when; then NEWS2."""
    quotes = dict(record.readings)
    for field, (label, unit) in UNITS.items():
        value = getattr(record.vitals, field)
        if value is not None and field in quotes:
            number = f"{value:g}"
            if field == "systolic_mmhg" and record.vitals.diastolic_mmhg is not None:
                number = f"{value:g}/{record.vitals.diastolic_mmhg:g}"
            told_at = record.told_at.get(quotes[field].message_id)
            when = f" {told_at}" if told_at else ""
            yield Statement(f"{label} {number} {unit}, told by the patient{when}, plausible", (quotes[field],))
    yield from _states(record, quotes)
    if is_unmeasured(record.vitals):
        answer = record.answer("vitals")
        applies = describe(answer)
        yield Statement(f"Vital signs: {applies}", evidence_of(answer))
    yield from _news2(record)
    yield from _beside_the_score(record)


def _states(record: ClinicalRecord, quotes: Mapping[str, Evidence]) -> Iterator[Statement]:
    """Whether oxygen is breathed and how awake somebody is, where the words say it."""
    vitals = record.vitals
    if vitals.on_oxygen is not None and "on_oxygen" in quotes:
        words = "On oxygen" if vitals.on_oxygen else "Breathing air"
        yield Statement(f"{words}, as told", (quotes["on_oxygen"],))
    if vitals.consciousness is not None and "consciousness" in quotes:
        yield Statement(f"Consciousness {vitals.consciousness.value} of ACVPU, as told", (quotes["consciousness"],))


def _beside_the_score(record: ClinicalRecord) -> Iterator[Statement]:
    """What other lists count from the same readings, as information; only the trigger of MEOWS has a colour."""
    person, vitals, evidence = record.person, record.vitals, tuple(each for _, each in record.readings)
    if not record.readings:
        return
    if person.pregnant or gave_birth_lately(record.findings, person):
        chart = meows(vitals)
        red, yellow = ", ".join(chart.red) or "none", ", ".join(chart.yellow) or "none"
        yield Statement(f"MEOWS, {chart.read} of 7 known: red {red}; yellow {yellow}", evidence)
        if vitals.heart_rate_per_min and vitals.systolic_mmhg:
            index = vitals.heart_rate_per_min / vitals.systolic_mmhg
            yield Statement(f"Shock index {index:.2f} (CRADLE: 0.9 amber, 1.7 red)", evidence)
        return
    lists = (("qSOFA", qsofa(vitals)), ("Ugandan sepsis index", ugandan_sepsis_index(vitals)))
    known = [_counted(name, found) for name, found in lists if found.points or found.known == found.of]
    if known and person.age is not None and person.age.years >= NEWS2_ADULT_YEARS:
        yield Statement(f"For information: {'; '.join(known)}", evidence)


def _counted(name: str, found: Counted) -> str:
    return f"{name} {found.points}, {found.known} of {found.of} known"


def _news2(record: ClinicalRecord) -> Iterator[Statement]:
    score = news2(record.vitals, record.person)
    if score is None or not record.readings:
        return
    points = ", ".join(f"{name} {points}" for name, points in score.points)
    sum_of = f"{score.total}" if score.total is not None else f"partial {score.partial}, no total"
    missing = f"; missing: {', '.join(score.missing)}" if score.missing else ""
    yield Statement(f"NEWS2 {sum_of} ({points}){missing}", tuple(evidence for _, evidence in record.readings))


def _quality(record: ClinicalRecord, *, is_degraded: bool) -> Iterator[Statement]:
    conflicting = [
        slot.replace("_", " ")
        for slot, each in (*record.answers.items(), *record.signs.items())
        if isinstance(each, Reported) and each.is_conflicting
    ]
    ended = " Ended early by the patient." if record.is_ended_early else ""
    mode = "built-in interviewer (degraded)" if is_degraded else "model-worded"
    yield Statement(
        f"Missing: {', '.join(record.gaps) or 'nothing'}. Conflicting: {', '.join(conflicting) or 'nothing'}.{ended}"
    )
    yield Statement(f"Language: {record.language}. Mode: {mode}.")


# -- recommendation ----------------------------------------------------------------------------------------------


def recommendation(record: ClinicalRecord) -> Iterator[Statement]:
    """How soon and where, and what to ask and examine first."""
    words, limit = _URGENCY[record.acuity]
    yield Statement(
        f"{words}; review {limit}.", tuple(evidence for flag in record.flags for evidence in flag.evidence[:1])
    )
    if record.flags:
        yield Statement("First confirm or rule out each red flag; take vital signs.")
    elif not record.readings:
        yield Statement("First take vital signs.")
    if record.gaps:
        yield Statement(f"Ask what is missing, first: {', '.join(first_gaps(record.gaps))}.")


def first_gaps(gaps: Sequence[str]) -> Sequence[str]:
    """The gaps to close first: what makes treatment dangerous comes before the rest."""
    urgent = [gap for gap in ("allergies", "medicines", "pregnancy") if gap in gaps]
    return [*urgent, *(gap for gap in gaps if gap not in urgent)][:5]
