"""The hand-over: situation, background, assessment, recommendation. Every statement carries what it rests on."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from anamnesis.clinical.record import Answer, ClinicalRecord, Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.scores import news2
from anamnesis.clinical.terms import Acuity, Evidence, Speaker

HEADINGS: Final = ("situation", "background", "assessment", "recommendation")
_QUOTE_WORDS: Final = 20
_UNITS: Final[dict[str, tuple[str, str]]] = {
    "temperature_celsius": ("Temperature", "°C"),
    "heart_rate_per_min": ("Pulse", "/min"),
    "respiratory_rate_per_min": ("Breathing", "/min"),
    "spo2_percent": ("Oxygen saturation", "%"),
    "systolic_mmhg": ("Systolic pressure", "mmHg"),
    "diastolic_mmhg": ("Diastolic pressure", "mmHg"),
    "glucose_mmol_l": ("Glucose", "mmol/L"),
    "weight_kg": ("Weight", "kg"),
    "height_cm": ("Height", "cm"),
}
_HPI: Final = (
    ("onset", "Onset"), ("timing", "Course"), ("site", "Site"), ("character", "Character"), ("radiation", "Spread"),
    ("severity", "Severity"), ("exacerbating", "Worse with"), ("relieving", "Better with"),
)  # fmt: skip
_BACKGROUND: Final = (
    ("past_history", "Past illnesses"), ("medicines", "Medicines"), ("allergies", "Allergies"),
    ("family_history", "Family"), ("social_history", "Social"), ("records", "Records"),
    ("anything_else", "Anything else"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of the note and the quotes it rests on; a line about what is missing rests on nothing."""

    text: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Sbar:
    """The note, by section in order, with the line every copy ends with."""

    situation: tuple[Statement, ...]
    background: tuple[Statement, ...]
    assessment: tuple[Statement, ...]
    recommendation: tuple[Statement, ...]
    footer: str


def draft_sbar(record: ClinicalRecord, *, rules_version: str, is_draft: bool, is_degraded: bool = False) -> Sbar:
    """Write the note from the record alone. Asked and none, not obtained, and not asked are told apart."""
    status = "rules not reviewed by a clinician" if is_draft else "rules signed"
    mode = "; built-in interviewer" if is_degraded else ""
    return Sbar(
        tuple(_situation(record)),
        tuple(_background(record)),
        tuple(_assessment(record)),
        tuple(_recommendation(record)),
        f"Written by software from the patient's own words; {status}; rules version {rules_version}{mode}. Not signed.",
    )


def sbar_to_json(sbar: Sbar) -> dict[str, Any]:
    """The note as plain JSON values."""
    return asdict(sbar)


def sbar_text(sbar: Mapping[str, Any]) -> dict[str, str]:
    """The four sections of a stored note as plain texts, as the wire has them."""
    return {heading: "\n".join(statement["text"] for statement in sbar[heading]) for heading in HEADINGS}


def describe(answer: Answer) -> str:
    """An answer in words; the four values never look alike."""
    match answer:
        case NotAsked():
            return "not asked"
        case Declined(reason=reason):
            return f"not obtained ({reason})"
        case NoneReported():
            return "none reported"
        case Reported(value=value, superseded=superseded):
            return f"{value} (conflicting; said before: {', '.join(superseded)})" if superseded else value


def _line(record: ClinicalRecord, slot: str, label: str) -> Statement:
    answer = record.answer(slot)
    evidence = () if isinstance(answer, NotAsked) else (answer.evidence,)
    return Statement(f"{label}: {describe(answer)}", evidence)


def _situation(record: ClinicalRecord) -> Iterator[Statement]:
    yield Statement(_who(record), tuple(_evidence_of(record, "age", "sex", "pregnancy", "speaker")))
    complaint = record.answer("chief_complaint")
    if isinstance(complaint, Reported):
        quote = " ".join(complaint.evidence.quote.split()[:_QUOTE_WORDS])
        yield Statement(f"Complaint: “{quote}”", (Evidence(complaint.evidence.message_id, quote),))
    else:
        yield _line(record, "chief_complaint", "Complaint")
    yield _line(record, "onset", "Since")
    why = f": {', '.join(record.reasons)}" if record.reasons else ""
    colour = "not known, no vital signs given" if record.colour == "unknown" else record.colour.value
    yield Statement(f"Triage colour: {colour}{why}")
    for flag in record.flags:
        yield Statement(f"Red flag {flag.rule_id} (version {flag.version})", flag.evidence)
    if record.wants_person:
        yield Statement("The patient asked to talk to a person.")


def _who(record: ClinicalRecord) -> str:
    age = record.person.age
    years = (
        "age not known" if age is None else f"{age.years:.0f} years" if age.years >= 2 else f"{age.months:.0f} months"
    )
    sex = "sex not known" if record.person.sex is None else record.person.sex.value
    pregnancy = {True: "pregnant", False: "not pregnant", None: "pregnancy not known"}[record.person.pregnant]
    if record.person.sex == "male":
        pregnancy = "pregnancy not applicable"
    speaker = {Speaker.SELF: "", Speaker.PARENT: "; a parent is writing", Speaker.OTHER: "; a carer is writing"}
    return f"{years}, {sex}, {pregnancy}{speaker[record.person.speaker]}"


def _evidence_of(record: ClinicalRecord, *slots: str) -> Iterator[Evidence]:
    for slot in slots:
        answer = record.answer(slot)
        if not isinstance(answer, NotAsked):
            yield answer.evidence


def _background(record: ClinicalRecord) -> Iterator[Statement]:
    shown: set[str] = set()
    for slot, label in _HPI:
        answer = record.answer(slot)
        if isinstance(answer, Reported) and answer.value in shown:
            continue
        shown.add(answer.value if isinstance(answer, Reported) else "")
        yield _line(record, slot, label)
    asked = f" (asked: {', '.join(record.danger_signs)})" if record.danger_signs else ""
    yield _line(record, "danger_signs", f"Danger signs{asked}")
    for slot, label in _BACKGROUND:
        yield _line(record, slot, label)


def _assessment(record: ClinicalRecord) -> Iterator[Statement]:
    quotes = dict(record.readings)
    for field, (label, unit) in _UNITS.items():
        value = getattr(record.vitals, field)
        if value is not None and field in quotes:
            yield Statement(f"{label} {value:g} {unit}, measured by the patient", (quotes[field],))
    if not record.readings:
        yield _line(record, "vitals", "Vital signs")
    score = news2(record.vitals, record.person)
    if score is not None and record.readings:
        total = (
            f"{score.total}"
            if score.total is not None
            else f"partial {score.partial}, missing {', '.join(score.missing)}"
        )
        yield Statement(f"NEWS2 {total}", tuple(evidence for _, evidence in record.readings))
    yield Statement("Differential diagnosis: withheld, insufficient data")
    missing = ", ".join(record.gaps)
    ended = " The patient ended the interview early." if record.is_ended_early else ""
    yield Statement(f"Missing: {missing or 'nothing that was due'}.{ended}")


def _recommendation(record: ClinicalRecord) -> Iterator[Statement]:
    within = {
        Acuity.EMERGENCY: "now, in an emergency department",
        Acuity.URGENT: "today",
        Acuity.ROUTINE: "within 72 hours",
    }
    yield Statement(
        f"See the patient {within[record.acuity]}.", tuple(e for flag in record.flags for e in flag.evidence[:1])
    )
    if record.flags:
        yield Statement("Confirm or rule out each red flag first; the patient has been given the fixed advice.")
    if record.gaps:
        yield Statement(f"Ask what is missing: {', '.join(record.gaps)}.")
