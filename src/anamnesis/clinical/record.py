"""The clinical record: what was told, with its evidence. Nothing enters it without a quote; nothing leaves it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from anamnesis.clinical.terms import (
    Acuity,
    Age,
    Assertion,
    Colour,
    Consciousness,
    Evidence,
    Finding,
    Person,
    RedFlag,
    Sex,
    Speaker,
    VitalSigns,
)


class Stage(StrEnum):
    """Which part of the interview is due; the names are those the replaced system's agents had on the wire."""

    VITALS = "VitalsTriageAgent"
    COMPLAINT = "Triage"
    SYMPTOMS = "ClinicalInvestigator"
    RECORDS = "RecordsClerk"
    HISTORY = "HistorySpecialist"
    HANDOVER = "HandoverSpecialist"


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Nothing is known: nobody asked, or the question has no answer yet."""


@dataclass(frozen=True, slots=True)
class Declined:
    """Asked, and not obtained: skipped, refused, not known, or not understood twice."""

    reason: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NoneReported:
    """Asked, and there is none."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Reported:
    """Told. superseded keeps what was said before, oldest first."""

    value: str
    evidence: Evidence
    superseded: tuple[str, ...] = ()


Answer = NotAsked | Declined | NoneReported | Reported
_NOT_ASKED: Final = NotAsked()
_MOST_FINDINGS: Final = 500


@dataclass(frozen=True, slots=True)
class ClinicalRecord:
    """One interview's state. Made by ``intake.interview``; changed only by making another one."""

    language: str = "en"
    name: str | None = None
    person: Person = field(default_factory=Person)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    vitals: VitalSigns = field(default_factory=VitalSigns)
    readings: tuple[tuple[str, Evidence], ...] = ()
    findings: tuple[Finding, ...] = ()
    flags: tuple[RedFlag, ...] = ()
    acuity: Acuity = Acuity.ROUTINE
    colour: Colour = Colour.UNKNOWN
    reasons: tuple[str, ...] = ()
    stage: Stage = Stage.VITALS
    completeness: int = 0
    gaps: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    pending: str | None = None
    advice_due: tuple[str, ...] = ()
    danger_signs: tuple[str, ...] = ()
    is_ended_early: bool = False
    wants_person: bool = False
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, slot: str) -> Answer:
        """The answer to a topic."""
        return self.answers.get(slot, _NOT_ASKED)

    def is_covered(self, slot: str) -> bool:
        """Whether the topic was asked or told, whatever came of it."""
        return not isinstance(self.answer(slot), NotAsked)

    def with_answer(self, slot: str, answer: Answer) -> "ClinicalRecord":
        """The record with this answer. What was reported before is kept as superseded; a Declined never replaces it."""
        old = self.answer(slot)
        if isinstance(old, Reported):
            if isinstance(answer, Declined | NotAsked):
                return self
            if isinstance(answer, Reported) and answer.value != old.value:
                answer = replace(answer, superseded=(*old.superseded, old.value))
            elif isinstance(answer, NoneReported):
                answer = Reported("none now", answer.evidence, (*old.superseded, old.value))
        return replace(self, answers={**self.answers, slot: answer})

    def with_findings(self, findings: tuple[Finding, ...]) -> "ClinicalRecord":
        """The record with further findings; the oldest beyond a bound are let go, what they raised stays latched."""
        return replace(self, findings=(*self.findings, *findings)[-_MOST_FINDINGS:])


# -- as JSON -----------------------------------------------------------------------------------------------------

_KNOWN: Final = frozenset(each.name for each in fields(ClinicalRecord)) - {"unknown"}


def record_to_json(record: ClinicalRecord) -> dict[str, Any]:
    """The record as plain JSON values, with every key a newer version had put there."""
    return {
        **record.unknown,
        "language": record.language,
        "name": record.name,
        "person": {
            "age": None if record.person.age is None else record.person.age.days,
            "sex": record.person.sex,
            "pregnant": record.person.pregnant,
            "speaker": record.person.speaker.value,
        },
        "answers": {slot: _answer_to_json(answer) for slot, answer in record.answers.items()},
        "vitals": asdict(record.vitals),
        "readings": [[name, asdict(evidence)] for name, evidence in record.readings],
        "findings": [asdict(finding) for finding in record.findings],
        "flags": [{**asdict(flag), "acuity": int(flag.acuity)} for flag in record.flags],
        "acuity": int(record.acuity),
        "colour": record.colour.value,
        "reasons": list(record.reasons),
        "stage": record.stage.value,
        "completeness": record.completeness,
        "gaps": list(record.gaps),
        "asked": list(record.asked),
        "pending": record.pending,
        "advice_due": list(record.advice_due),
        "danger_signs": list(record.danger_signs),
        "is_ended_early": record.is_ended_early,
        "wants_person": record.wants_person,
    }


def record_from_json(data: Mapping[str, Any]) -> ClinicalRecord:
    """The record of stored JSON; what an older version did not store is as in a new record, unknown keys are kept."""
    person, vitals = data.get("person") or {}, dict(data.get("vitals") or {})
    if vitals.get("consciousness"):
        vitals["consciousness"] = Consciousness(vitals["consciousness"])
    age = person.get("age")
    return ClinicalRecord(
        language=data.get("language", "en"),
        name=data.get("name"),
        person=Person(
            None if age is None else Age(age),
            Sex(person["sex"]) if person.get("sex") else None,
            person.get("pregnant"),
            Speaker(person.get("speaker", "self")),
        ),
        answers={slot: _answer_from_json(answer) for slot, answer in (data.get("answers") or {}).items()},
        vitals=VitalSigns(**vitals),
        readings=tuple((name, Evidence(**evidence)) for name, evidence in data.get("readings") or ()),
        findings=tuple(_finding(each) for each in data.get("findings") or ()),
        flags=tuple(_flag(each) for each in data.get("flags") or ()),
        acuity=Acuity(data.get("acuity", 0)),
        colour=Colour(data.get("colour", "unknown")),
        reasons=tuple(data.get("reasons") or ()),
        stage=Stage(data.get("stage", Stage.VITALS)),
        completeness=data.get("completeness", 0),
        gaps=tuple(data.get("gaps") or ()),
        asked=tuple(data.get("asked") or ()),
        pending=data.get("pending"),
        advice_due=tuple(data.get("advice_due") or ()),
        danger_signs=tuple(data.get("danger_signs") or ()),
        is_ended_early=bool(data.get("is_ended_early")),
        wants_person=bool(data.get("wants_person")),
        unknown={name: value for name, value in data.items() if name not in _KNOWN},
    )


def _answer_to_json(answer: Answer) -> dict[str, Any]:
    kinds = {NotAsked: "not_asked", Declined: "declined", NoneReported: "none", Reported: "reported"}
    return {"kind": kinds[type(answer)], **asdict(answer)}


def _answer_from_json(data: Mapping[str, Any]) -> Answer:
    evidence = Evidence(**data["evidence"]) if "evidence" in data else Evidence("", "")
    match data["kind"]:
        case "declined":
            return Declined(data["reason"], evidence)
        case "none":
            return NoneReported(evidence)
        case "reported":
            return Reported(data["value"], evidence, tuple(data.get("superseded") or ()))
        case _:
            return _NOT_ASKED


def _finding(data: Mapping[str, Any]) -> Finding:
    return Finding(**{**data, "assertion": Assertion(data["assertion"])})


def _flag(data: Mapping[str, Any]) -> RedFlag:
    evidence = tuple(Evidence(**each) for each in data["evidence"])
    return RedFlag(**{**data, "acuity": Acuity(data["acuity"]), "evidence": evidence})
