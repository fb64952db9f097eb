"""The clinical record: what was told, with its evidence. Nothing enters it without a quote; nothing leaves it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
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
    """Told. superseded keeps what was said before, oldest first; more is what else the value rests on.

    A conflict is what was told twice, differently, and not yet settled: the latest words are the value.
    """

    value: str
    evidence: Evidence
    superseded: tuple[str, ...] = ()
    more: tuple[Evidence, ...] = ()
    is_conflicting: bool = False


Answer = NotAsked | Declined | NoneReported | Reported
_NOT_ASKED: Final = NotAsked()
_MOST_FINDINGS: Final = 500
_MOST_TOLD: Final = 60
NONE_NOW: Final = "none now"
#: How a sign is named among the conflicts, which else are topics.
SIGN: Final = "sign:"


@dataclass(frozen=True, slots=True)
class Lowered:
    """What a clinician had before them when lowering the urgency: it is settled, and later danger is not.

    told is the highest colour the patient was told; rules are ids of flags, messages those read for danger until then.
    """

    told: Colour
    rules: tuple[str, ...]
    messages: tuple[str, ...]
    vitals: VitalSigns
    person: Person


@dataclass(frozen=True, slots=True)
class ClinicalRecord:
    """One interview's state. Made by ``intake.interview``; changed only by making another one.

    told_at has the minute, in UTC, of each message with a reading: an old temperature is none of today. is_unnamed says
    that the words of the complaint name no kind of it for certain.
    """

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
    signs: Mapping[str, Answer] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    also_told: tuple[Evidence, ...] = ()
    conflicts: tuple[str, ...] = ()
    last_answered: tuple[str, ...] = ()
    volunteered: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    signs_due: tuple[str, ...] = ()
    not_applicable: tuple[str, ...] = ()
    told_at: Mapping[str, str] = field(default_factory=dict)
    is_unnamed: bool = False
    is_ended_early: bool = False
    wants_person: bool = False
    lowered: Lowered | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, slot: str) -> Answer:
        """The answer to a topic."""
        return self.answers.get(slot, _NOT_ASKED)

    def known(self, slot: str) -> Answer:
        """The answer to a topic as far as code has read it: what a model proposed decides nothing."""
        return _NOT_ASKED if slot in self.proposed else self.answer(slot)

    def is_covered(self, slot: str) -> bool:
        """Whether the topic was asked or told, whatever came of it. What a model proposed is still asked for."""
        return not isinstance(self.known(slot), NotAsked)

    def with_proposed(self, slot: str, answer: Reported) -> "ClinicalRecord":
        """The record with what a model read of a topic neither asked nor told; it is asked for all the same."""
        return replace(self, answers={**self.answers, slot: answer}, proposed=(*self.proposed, slot))

    def with_answer(self, slot: str, answer: Answer) -> "ClinicalRecord":
        """The record with this answer. What was reported before is kept as superseded; a Declined never replaces it.

        What a model proposed gives way to what the patient answers; its words stay for the doctor.
        """
        old = self.answer(slot)
        if slot in self.proposed and isinstance(old, Reported):
            return self._with_proposal_answered(slot, old, answer)
        return replace(self, answers={**self.answers, slot: _merged(old, answer)})

    def _with_proposal_answered(self, slot: str, old: Reported, answer: Answer) -> "ClinicalRecord":
        proposed = tuple(each for each in self.proposed if each != slot)
        match answer:
            case Reported():
                settled: Answer = replace(answer, more=(*answer.more, old.evidence))
            case NoneReported():
                settled = _merged(old, answer)
            case _:
                record = replace(self, answers={**self.answers, slot: answer}, proposed=proposed)
                return record.with_told(old.evidence)
        return replace(self, answers={**self.answers, slot: settled}, proposed=proposed)

    def with_item(self, slot: str, answer: Reported) -> "ClinicalRecord":
        """The record with one thing more in a list, such as a second medicine; what was listed stays."""
        old = self.known(slot)
        if not isinstance(old, Reported) or old.value == NONE_NOW:
            return self.with_answer(slot, answer)
        if answer.value.lower() in old.value.lower():
            return self
        more = (*old.more, answer.evidence)
        return replace(
            self, answers={**self.answers, slot: replace(old, value=f"{old.value}; {answer.value}", more=more)}
        )

    def with_conflict(self, slot: str, answer: Answer) -> "ClinicalRecord":
        """The record with what contradicts an earlier answer: both are kept, and the topic waits to be settled."""
        merged = _merged(self.answer(slot), answer)
        if isinstance(merged, Reported):
            merged = replace(merged, is_conflicting=True)
        return replace(self, answers={**self.answers, slot: merged}, conflicts=(*self.conflicts, slot))

    def with_sign_conflict(self, sign_id: str, answer: Reported) -> "ClinicalRecord":
        """The record with a sign that was denied before: both are kept, and it waits to be settled."""
        merged = _merged(self.sign(sign_id), replace(answer, is_conflicting=True))
        return replace(self, signs={**self.signs, sign_id: merged}, conflicts=(*self.conflicts, SIGN + sign_id))

    def in_conflict(self, name: str) -> Answer:
        """What was said of a topic, or of a sign, that is named among the conflicts."""
        return self.sign(name.removeprefix(SIGN)) if name.startswith(SIGN) else self.answer(name)

    def settled(self, name: str) -> "ClinicalRecord":
        """The record in which this is no longer in conflict: the latest words stand, the earlier are kept."""
        answer, conflicts = self.in_conflict(name), tuple(each for each in self.conflicts if each != name)
        if not isinstance(answer, Reported):
            return replace(self, conflicts=conflicts)
        calm = replace(answer, is_conflicting=False)
        if name.startswith(SIGN):
            return replace(self, signs={**self.signs, name.removeprefix(SIGN): calm}, conflicts=conflicts)
        return replace(self, answers={**self.answers, name: calm}, conflicts=conflicts)

    def sign(self, sign_id: str) -> Answer:
        """What was said of one danger sign or accompanying symptom."""
        return self.signs.get(sign_id, _NOT_ASKED)

    def is_sign_covered(self, sign_id: str) -> bool:
        """Whether the sign was told, denied, or asked for without an answer."""
        return not isinstance(self.sign(sign_id), NotAsked)

    def with_sign(self, sign_id: str, answer: Answer) -> "ClinicalRecord":
        """The record with this sign. A sign that was there stays reported, whatever is said of it later."""
        return replace(self, signs={**self.signs, sign_id: _merged(self.sign(sign_id), answer)})

    def with_told(self, evidence: Evidence) -> "ClinicalRecord":
        """The record with words that fitted no topic, so that the doctor still reads them."""
        return replace(self, also_told=(*self.also_told, evidence)[-_MOST_TOLD:])

    def with_findings(self, findings: tuple[Finding, ...]) -> "ClinicalRecord":
        """The record with further findings; the oldest beyond a bound are let go, what they raised stays latched."""
        return replace(self, findings=(*self.findings, *findings)[-_MOST_FINDINGS:])


def _merged(old: Answer, new: Answer) -> Answer:
    """The new answer without the loss of what was reported before."""
    if isinstance(new, NotAsked):
        return old
    if isinstance(old, NoneReported) and isinstance(new, Reported):
        return replace(new, superseded=(*new.superseded, "none"), more=(*new.more, old.evidence))
    if not isinstance(old, Reported):
        return old if isinstance(old, NoneReported) and isinstance(new, Declined) else new
    match new:
        case Declined():
            return old
        case NoneReported():
            return Reported(NONE_NOW, new.evidence, (*old.superseded, old.value), (*old.more, old.evidence))
        case Reported() if new.value == old.value:
            return replace(old, more=(*old.more, new.evidence))
        case _:
            more = (*old.more, old.evidence, *new.more)
            return replace(new, superseded=(*old.superseded, old.value), more=more)


# -- as JSON -----------------------------------------------------------------------------------------------------

_KNOWN: Final = frozenset(each.name for each in fields(ClinicalRecord)) - {"unknown"}
_VITALS: Final = tuple(each.name for each in fields(VitalSigns))
_FINDING: Final = Finding._fields
_FLAG: Final = tuple(each.name for each in fields(RedFlag))


def record_of_urgency(acuity: Acuity, reason: str) -> ClinicalRecord:
    """What is known of a case of which nothing is known but how urgent it was found; that nothing was is not green."""
    colour = {Acuity.EMERGENCY: Colour.RED, Acuity.URGENT: Colour.YELLOW}.get(acuity, Colour.UNKNOWN)
    return ClinicalRecord(acuity=acuity, colour=colour, reasons=(reason,))


def record_to_json(record: ClinicalRecord) -> dict[str, Any]:
    """The record as plain JSON values, with every key a newer version had put there."""
    return {
        **record.unknown,
        "language": record.language,
        "name": record.name,
        "person": _person_to_json(record.person),
        "answers": {slot: _answer_to_json(answer) for slot, answer in record.answers.items()},
        "vitals": _vitals_to_json(record.vitals),
        "readings": [[name, _evidence_to_json(evidence)] for name, evidence in record.readings],
        "findings": [{name: getattr(finding, name) for name in _FINDING} for finding in record.findings],
        "flags": [_flag_to_json(flag) for flag in record.flags],
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
        "signs": {sign: _answer_to_json(answer) for sign, answer in record.signs.items()},
        "complaints": list(record.complaints),
        "also_told": [_evidence_to_json(each) for each in record.also_told],
        "conflicts": list(record.conflicts),
        "last_answered": list(record.last_answered),
        "volunteered": list(record.volunteered),
        "proposed": list(record.proposed),
        "apart": list(record.apart),
        "signs_due": list(record.signs_due),
        "not_applicable": list(record.not_applicable),
        "told_at": dict(record.told_at),
        "is_unnamed": record.is_unnamed,
        "is_ended_early": record.is_ended_early,
        "wants_person": record.wants_person,
        "lowered": None if record.lowered is None else _lowered_to_json(record.lowered),
    }


def _person_to_json(person: Person) -> dict[str, Any]:
    return {
        "age": None if person.age is None else person.age.days,
        "sex": person.sex,
        "pregnant": person.pregnant,
        "speaker": person.speaker.value,
    }


def _vitals_to_json(vitals: VitalSigns) -> dict[str, Any]:
    return {name: getattr(vitals, name) for name in _VITALS}


def _lowered_to_json(lowered: Lowered) -> dict[str, Any]:
    return {
        "told": lowered.told.value,
        "rules": list(lowered.rules),
        "messages": list(lowered.messages),
        "vitals": _vitals_to_json(lowered.vitals),
        "person": _person_to_json(lowered.person),
    }


def record_from_json(data: Mapping[str, Any]) -> ClinicalRecord:
    """The record of stored JSON; what an older version did not store is as in a new record, unknown keys are kept."""
    return ClinicalRecord(
        language=data.get("language", "en"),
        name=data.get("name"),
        person=_person(data.get("person") or {}),
        answers={slot: _answer_from_json(answer) for slot, answer in (data.get("answers") or {}).items()},
        vitals=_vitals(data.get("vitals") or {}),
        readings=tuple((name, Evidence(**evidence)) for name, evidence in data.get("readings") or ()),
        findings=tuple(_finding(each) for each in data.get("findings") or ()),
        flags=tuple(_flag(each) for each in data.get("flags") or ()),
        acuity=Acuity(data.get("acuity", 0)),
        colour=Colour(data.get("colour", "unknown")),
        reasons=tuple(data.get("reasons") or ()),
        stage=_stage(data.get("stage")),
        completeness=data.get("completeness", 0),
        gaps=tuple(data.get("gaps") or ()),
        asked=tuple(data.get("asked") or ()),
        pending=data.get("pending"),
        advice_due=tuple(data.get("advice_due") or ()),
        danger_signs=tuple(data.get("danger_signs") or ()),
        signs={sign: _answer_from_json(answer) for sign, answer in (data.get("signs") or {}).items()},
        complaints=tuple(data.get("complaints") or ()),
        also_told=tuple(Evidence(**each) for each in data.get("also_told") or ()),
        conflicts=tuple(data.get("conflicts") or ()),
        last_answered=tuple(data.get("last_answered") or ()),
        volunteered=tuple(data.get("volunteered") or ()),
        proposed=tuple(data.get("proposed") or ()),
        apart=tuple(data.get("apart") or ()),
        signs_due=tuple(data.get("signs_due") or ()),
        not_applicable=tuple(data.get("not_applicable") or ()),
        told_at=dict(data.get("told_at") or {}),
        is_unnamed=bool(data.get("is_unnamed")),
        is_ended_early=bool(data.get("is_ended_early")),
        wants_person=bool(data.get("wants_person")),
        lowered=_lowered(data["lowered"]) if data.get("lowered") else None,
        unknown={name: value for name, value in data.items() if name not in _KNOWN},
    )


def _answer_to_json(answer: Answer) -> dict[str, Any]:
    match answer:
        case Reported():
            return {
                "kind": "reported",
                "value": answer.value,
                "evidence": _evidence_to_json(answer.evidence),
                "superseded": list(answer.superseded),
                "more": [_evidence_to_json(each) for each in answer.more],
                "is_conflicting": answer.is_conflicting,
            }
        case NoneReported():
            return {"kind": "none", "evidence": _evidence_to_json(answer.evidence)}
        case Declined():
            return {"kind": "declined", "reason": answer.reason, "evidence": _evidence_to_json(answer.evidence)}
        case _:
            return {"kind": "not_asked"}


def _evidence_to_json(evidence: Evidence) -> dict[str, str]:
    return {"message_id": evidence.message_id, "quote": evidence.quote}


def _flag_to_json(flag: RedFlag) -> dict[str, Any]:
    plain = {name: getattr(flag, name) for name in _FLAG}
    return {**plain, "acuity": int(flag.acuity), "evidence": [_evidence_to_json(each) for each in flag.evidence]}


def _answer_from_json(data: Mapping[str, Any]) -> Answer:
    evidence = Evidence(**data["evidence"]) if "evidence" in data else Evidence("", "")
    match data["kind"]:
        case "declined":
            return Declined(data["reason"], evidence)
        case "none":
            return NoneReported(evidence)
        case "reported":
            more = tuple(Evidence(**each) for each in data.get("more") or ())
            superseded = tuple(data.get("superseded") or ())
            return Reported(data["value"], evidence, superseded, more, bool(data.get("is_conflicting")))
        case _:
            return _NOT_ASKED


def _person(data: Mapping[str, Any]) -> Person:
    age = data.get("age")
    return Person(
        None if age is None else Age(age),
        Sex(data["sex"]) if data.get("sex") else None,
        data.get("pregnant"),
        Speaker(data.get("speaker", "self")),
    )


def _lowered(data: Mapping[str, Any]) -> Lowered:
    return Lowered(
        Colour(data["told"]),
        tuple(data["rules"]),
        tuple(data["messages"]),
        _vitals(data["vitals"]),
        _person(data["person"]),
    )


def _vitals(data: Mapping[str, Any]) -> VitalSigns:
    known = {name: value for name, value in data.items() if name in _VITALS}
    if known.get("consciousness"):
        known["consciousness"] = Consciousness(known["consciousness"])
    return VitalSigns(**known)


def _stage(name: object) -> Stage:
    """A stage; a name that is none of ours, as older rows have, begins again."""
    return next((stage for stage in Stage if stage.value == name), Stage.VITALS)


def _finding(data: Mapping[str, Any]) -> Finding:
    return Finding(**{**data, "assertion": Assertion(data["assertion"])})


def _flag(data: Mapping[str, Any]) -> RedFlag:
    evidence = tuple(Evidence(**each) for each in data["evidence"])
    return RedFlag(**{**data, "acuity": Acuity(data["acuity"]), "evidence": evidence})
