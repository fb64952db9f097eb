"""A patient's interviews as a FHIR R4 document: a Bundle whose first entry, a Composition, says what the others are.

Only facts with evidence become resources: a quote that stands in a message of the same interview. Each has a Provenance
that names the message and gives the quote. The codes are those of the clinical content, section 8; resource ids are
made of ours, so the same fact has the same id in every document.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, Final
from uuid import UUID, uuid5

from anamnesis.clinical.record import (
    NONE_NOW,
    Answer,
    Declined,
    NoneReported,
    NotAsked,
    Reported,
)
from anamnesis.clinical.sbar import HEADINGS, HISTORY, HPI, UNITS, describe
from anamnesis.clinical.terms import Acuity, Evidence
from anamnesis.rights.model import Interview, PatientFile, Row

Json = dict[str, Any]

_LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_TERMS: Final = "http://terminology.hl7.org/CodeSystem"
_OURS: Final = "urn:anamnesis"
_DEVICE: Final = UUID("5f3f3f0e-4c1b-5a43-9d5e-6a2f5f1f7a10")

#: LOINC codes of the readings with their names; oxygen saturation has two, for R4's profile wants the older one.
_VITALS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "temperature_celsius": (("8310-5", "Body temperature"),),
    "heart_rate_per_min": (("8867-4", "Heart rate"),),
    "respiratory_rate_per_min": (("9279-1", "Respiratory rate"),),
    "spo2_percent": (
        ("2708-6", "Oxygen saturation in Arterial blood"),
        ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
    ),
    "glucose_mmol_l": (("15074-8", "Glucose [Moles/volume] in Blood"),),
    "weight_kg": (("29463-7", "Body weight"),),
    "height_cm": (("8302-2", "Body height"),),
}
_PRESSURE: Final = (("85354-9", "Blood pressure panel with all children optional"),)
_PRESSURES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "systolic_mmhg": (("8480-6", "Systolic blood pressure"),),
    "diastolic_mmhg": (("8462-4", "Diastolic blood pressure"),),
}
_PREGNANT: Final = {True: ("LA15173-0", "Pregnant"), False: ("LA26683-5", "Not pregnant")}
_PRIORITY: Final = {
    Acuity.EMERGENCY: ("EM", "emergency"), Acuity.URGENT: ("UR", "urgent"), Acuity.ROUTINE: ("R", "routine"),
}  # fmt: skip
_FLAGS: Final = "flags"
#: What neither a string of FHIR nor its XML can hold: control characters but tab and line breaks, every space character
#: but the common one, and what is no character.
_FOREIGN: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff\ufffe\uffff]"
)
_SECTIONS: Final[tuple[tuple[str, str, str], ...]] = (
    ("complaint", "10154-3", "Chief complaint"),
    ("signs", "8716-3", "Vital signs"),
    ("medicines", "10160-0", "History of Medication use"),
    ("allergies", "48765-2", "Allergies and adverse reactions"),
    ("past_history", "11348-0", "History of Past illness"),
    ("family_history", "10157-6", "History of family member diseases"),
    ("social_history", "29762-2", "Social history"),
    ("pregnancy", "82810-3", "Pregnancy status"),
    (_FLAGS, "", "Red flags"),
)
_LABELS: Final = dict((*HPI, *HISTORY, ("chief_complaint", "Chief complaint"), ("pregnancy", "Pregnancy")))


@dataclass(frozen=True, slots=True)
class _Fact:
    """A resource with the section it belongs to and what it rests on."""

    section: str
    resource: Json
    evidence: tuple[Evidence, ...]


def document_of(file: PatientFile, at: datetime, *, for_patient: bool = False) -> Json:
    """The document, as plain JSON values. for_patient leaves out the hand-over and the flags, which are for doctors."""
    patient_id = UUID(str(file.patient["id"]))
    composition_id = uuid5(patient_id, f"composition {at.isoformat()}")
    parts = [_Part(patient_id, interview, for_patient=for_patient) for interview in file.interviews]
    resources = [
        _composition(composition_id, patient_id, parts, at),
        _patient(file),
        {"resourceType": "Device", "id": str(_DEVICE), "deviceName": [{"name": "Anamnesis", "type": "model-name"}]},
        *(resource for part in parts for resource in part.resources()),
    ]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{composition_id}"},
        "type": "document",
        "timestamp": at.isoformat(),
        "entry": [{"fullUrl": f"urn:uuid:{each['id']}", "resource": _holding(each)} for each in resources],
    }


def _composition(own: UUID, patient_id: UUID, parts: Sequence["_Part"], at: datetime) -> Json:
    encounter = {"encounter": _ref(parts[0].interview.id)} if len(parts) == 1 else {}
    return {
        "resourceType": "Composition",
        "id": str(own),
        "text": _narrative("An account of interviews, made by software of a patient's own words. Not signed."),
        "status": "preliminary",
        "type": _coded(_LOINC, (("34133-9", "Summary of episode note"),)),
        "subject": _ref(patient_id),
        **encounter,
        "date": at.isoformat(),
        "author": [_ref(_DEVICE)],
        "title": "Anamnesis: what the patient told",
        "section": [part.section() for part in parts]
        or [{"title": "Interviews", "text": _narrative("There are none.")}],
    }


def _patient(file: PatientFile) -> Json:
    row, account = file.patient, file.account
    given = _plain(account["first_name"])
    name = {"family": _plain(account["last_name"]), "given": [given] if given else None}
    telecom = [
        {"system": system, "value": _plain(value)}
        for system, value in (("phone", row["phone"]), ("email", account["email"]))
    ]
    contact: Json = {}
    whom, number = _plain(row["emergency_contact"]), _plain(row["emergency_phone"])
    if whom or number:
        phone = [{"system": "phone", "value": number}] if number else None
        relationship = _coded(f"{_TERMS}/v2-0131", (("C", "Emergency Contact"),))
        who = {"text": whom} if whom else None
        contact = _filled({"relationship": [relationship], "name": who, "telecom": phone})
    born = row["date_of_birth"]
    return _filled(
        {
            "resourceType": "Patient",
            "id": str(row["id"]),
            "identifier": [{"system": f"{_OURS}:patient", "value": str(row["id"])}],
            "name": [_filled(name)] if _filled(name) else None,
            "telecom": [each for each in telecom if each["value"]] or None,
            "gender": row["gender"] if row["gender"] in ("male", "female", "other") else "unknown",
            "birthDate": born.date().isoformat() if born else None,
            "contact": [contact] if contact else None,
        }
    )


@dataclass(slots=True)
class _Part:
    """One interview's resources, and its section of the document."""

    patient_id: UUID
    interview: Interview
    for_patient: bool = False
    _said: Mapping[str, Row] = field(init=False)

    def __post_init__(self) -> None:
        self._said = {str(message["id"]): message for message in self.interview.messages}

    def resources(self) -> Iterator[Json]:
        """The encounter, what was answered, each fact, and where each fact comes from."""
        yield self._encounter()
        answered = self._answered()
        if answered:
            yield answered
        for fact in self.facts():
            yield fact.resource
            yield self._provenance(fact)

    def facts(self) -> tuple[_Fact, ...]:
        """Everything the patient told that has a resource of its own, with evidence."""
        found = (
            *self._complaint(), *self._signs(), *self._pressure(), *self._medicines(), *self._allergies(),
            *self._past(), *self._told("family_history", "10157-6", "exam"), *self._pregnancy(),
            *self._told("social_history", "29762-2", "social-history"), *(() if self.for_patient else self._flags()),
        )  # fmt: skip
        return tuple(fact for fact in found if fact.evidence)

    # -- evidence

    def _resting(self, evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
        """Those quotes that stand in a message of this interview, each once."""
        return tuple(dict.fromkeys(each for each in evidence if self._is_said(each)))

    def _is_said(self, evidence: Evidence) -> bool:
        message = self._said.get(evidence.message_id)
        return message is not None and bool(evidence.quote.strip()) and evidence.quote in message["content"]

    def _of(self, answer: Answer) -> tuple[Evidence, ...]:
        match answer:
            case NotAsked():
                return ()
            case Reported(evidence=first, more=more):
                return self._resting((first, *more))
            case Declined(evidence=first) | NoneReported(evidence=first):
                return self._resting((first,))

    def _when(self, evidence: Sequence[Evidence]) -> str:
        """When it was said."""
        message = self._said.get(evidence[0].message_id) if evidence else None
        moment = self.interview.began_at if message is None else message["created_at"]
        return str(moment.isoformat())

    # -- resources

    def _id(self, name: str) -> str:
        return str(uuid5(self.interview.id, name))

    def _encounter(self) -> Json:
        row, record = self.interview.row, self.interview.record
        code, display = _PRIORITY[record.acuity]
        is_judged = bool(record.flags or record.readings or record.complaints)
        ended = row["completed_at"]
        return _filled(
            {
                "resourceType": "Encounter",
                "id": str(self.interview.id),
                "status": "finished" if row["status"] in ("ready", "reviewed") else "in-progress",
                "class": {"system": f"{_TERMS}/v3-ActCode", "code": "VR", "display": "virtual"},
                "priority": _coded(f"{_TERMS}/v3-ActPriority", ((code, display),)) if is_judged else None,
                "subject": _ref(self.patient_id),
                "period": _filled(
                    {"start": self.interview.began_at.isoformat(), "end": ended.isoformat() if ended else None}
                ),
            }
        )

    def _answered(self) -> Json | None:
        """What was asked and told, topic by topic."""
        items = [
            {"linkId": slot, "text": _LABELS.get(slot, slot.replace("_", " ").capitalize()),
             "answer": [{"valueString": describe(answer)}]}
            for slot, answer in self.interview.record.answers.items()
            if self._of(answer)
        ]  # fmt: skip
        items += [
            {"linkId": f"sign.{sign}", "text": sign.replace("_", " "),
             "answer": [{"valueBoolean": isinstance(answer, Reported)}]}
            for sign, answer in self.interview.record.signs.items()
            if isinstance(answer, Reported | NoneReported) and self._of(answer)
        ]  # fmt: skip
        if not items:
            return None
        return {
            "resourceType": "QuestionnaireResponse",
            "id": self._id("answers"),
            "status": "completed" if self.interview.row["status"] in ("ready", "reviewed") else "in-progress",
            "subject": _ref(self.patient_id),
            "encounter": _ref(self.interview.id),
            "authored": self.interview.row["updated_at"].isoformat(),
            "author": _ref(_DEVICE),
            "source": _ref(self.patient_id),
            "item": items,
        }

    def _complaint(self) -> Iterator[_Fact]:
        answer = self.interview.record.answer("chief_complaint")
        if isinstance(answer, Reported):
            status = {"clinicalStatus": _coded(f"{_TERMS}/condition-clinical", (("active", "Active"),))}
            yield self._condition("complaint", "chief_complaint", answer, "provisional", status)

    def _past(self) -> Iterator[_Fact]:
        answer = self.interview.record.answer("past_history")
        if isinstance(answer, Reported) and answer.value != NONE_NOW:
            yield self._condition("past_history", "past_history", answer, "unconfirmed", {})

    def _condition(self, section: str, name: str, answer: Reported, verified: str, status: Json) -> _Fact:
        evidence = self._of(answer)
        category = _coded(f"{_TERMS}/condition-category", (("encounter-diagnosis", "Encounter Diagnosis"),))
        return _Fact(
            section,
            {
                "resourceType": "Condition",
                "id": self._id(name),
                **status,
                "verificationStatus": _coded(f"{_TERMS}/condition-ver-status", ((verified, verified.capitalize()),)),
                "category": [category],
                "code": {"text": answer.value},
                "subject": _ref(self.patient_id),
                "encounter": _ref(self.interview.id),
                "recordedDate": self._when(evidence),
                "asserter": _ref(self.patient_id),
            },
            evidence,
        )

    def _readings(self) -> dict[str, tuple[Evidence, ...]]:
        found: dict[str, list[Evidence]] = {}
        for name, evidence in self.interview.record.readings:
            found.setdefault(name, []).append(evidence)
        return {name: self._resting(evidence[::-1]) for name, evidence in found.items()}

    def _signs(self) -> Iterator[_Fact]:
        for name, evidence in self._readings().items():
            value = getattr(self.interview.record.vitals, name, None)
            if name in _VITALS and value is not None and evidence:
                yield self._observation(
                    "signs", name, _VITALS[name], "vital-signs", evidence, valueQuantity=_quantity(name, value)
                )

    def _pressure(self) -> Iterator[_Fact]:
        """One observation of both pressures; the one that is missing says so."""
        readings, vitals = self._readings(), self.interview.record.vitals
        told = {name: readings.get(name, ()) for name in _PRESSURES if getattr(vitals, name) is not None}
        if not any(told.values()):
            return
        absent = {"dataAbsentReason": _coded(f"{_TERMS}/data-absent-reason", (("unknown", "Unknown"),))}
        components = [
            {"code": _coded(_LOINC, codes),
             **({"valueQuantity": _quantity("systolic_mmhg", getattr(vitals, name))} if told.get(name) else absent)}
            for name, codes in _PRESSURES.items()
        ]  # fmt: skip
        evidence = tuple(dict.fromkeys(each for found in told.values() for each in found))
        yield self._observation("signs", "pressure", _PRESSURE, "vital-signs", evidence, component=components)

    def _observation(
        self, section: str, name: str, codes: Sequence[tuple[str, str]], category: str, evidence: tuple[Evidence, ...],
        **value: Any,
    ) -> _Fact:  # fmt: skip
        return _Fact(
            section,
            {
                "resourceType": "Observation",
                "id": self._id(name),
                "status": "preliminary",
                "category": [
                    _coded(f"{_TERMS}/observation-category", ((category, category.replace("-", " ").title()),))
                ],
                "code": _coded(_LOINC, codes),
                "subject": _ref(self.patient_id),
                "encounter": _ref(self.interview.id),
                "effectiveDateTime": self._when(evidence),
                "performer": [_ref(self.patient_id)],
                **value,
            },
            evidence,
        )

    def _told(self, slot: str, code: str, category: str) -> Iterator[_Fact]:
        answer = self.interview.record.answer(slot)
        if isinstance(answer, Reported | NoneReported):
            codes = ((code, _title(slot)),)
            yield self._observation(slot, slot, codes, category, self._of(answer), valueString=describe(answer))

    def _pregnancy(self) -> Iterator[_Fact]:
        answer, is_pregnant = self.interview.record.answer("pregnancy"), self.interview.record.person.pregnant
        if isinstance(answer, Reported | NoneReported) and is_pregnant is not None:
            value = _coded(_LOINC, (_PREGNANT[is_pregnant],))
            codes = (("82810-3", "Pregnancy status"),)
            yield self._observation(
                "pregnancy", "pregnancy", codes, "social-history", self._of(answer), valueCodeableConcept=value
            )

    def _medicines(self) -> Iterator[_Fact]:
        answer = self.interview.record.answer("medicines")
        if not isinstance(answer, Reported) or answer.value == NONE_NOW:
            return
        evidence = self._of(answer)
        yield _Fact(
            "medicines",
            {
                "resourceType": "MedicationStatement",
                "id": self._id("medicines"),
                "status": "active",
                "medicationCodeableConcept": {"text": answer.value},
                "subject": _ref(self.patient_id),
                "context": _ref(self.interview.id),
                "dateAsserted": self._when(evidence),
                "informationSource": _ref(self.patient_id),
            },
            evidence,
        )

    def _allergies(self) -> Iterator[_Fact]:
        answer = self.interview.record.answer("allergies")
        if not isinstance(answer, Reported | NoneReported):
            return
        evidence = self._of(answer)
        is_none = isinstance(answer, NoneReported) or answer.value == NONE_NOW
        none = _coded("http://snomed.info/sct", (("716186003", "No known allergy"),))
        yield _Fact(
            "allergies",
            {
                "resourceType": "AllergyIntolerance",
                "id": self._id("allergies"),
                "clinicalStatus": _coded(f"{_TERMS}/allergyintolerance-clinical", (("active", "Active"),)),
                "verificationStatus": _coded(
                    f"{_TERMS}/allergyintolerance-verification", (("unconfirmed", "Unconfirmed"),)
                ),
                "code": none if is_none or not isinstance(answer, Reported) else {"text": answer.value},
                "patient": _ref(self.patient_id),
                "encounter": _ref(self.interview.id),
                "recordedDate": self._when(evidence),
                "asserter": _ref(self.patient_id),
            },
            evidence,
        )

    def _flags(self) -> Iterator[_Fact]:
        for flag in self.interview.record.flags:
            evidence = self._resting(flag.evidence)
            words = {"coding": [{"system": f"{_OURS}:red-flag", "code": flag.rule_id}],
                     "text": flag.rule_id.replace("_", " ")}  # fmt: skip
            yield _Fact(
                _FLAGS,
                {
                    "resourceType": "Flag",
                    "id": self._id(f"flag {flag.rule_id}"),
                    "status": "active",
                    "category": [_coded(f"{_TERMS}/flag-category", (("clinical", "Clinical"),))],
                    "code": words,
                    "subject": _ref(self.patient_id),
                    "encounter": _ref(self.interview.id),
                    "period": {"start": self._when(evidence)},
                    "author": _ref(_DEVICE),
                },
                evidence,
            )

    def _provenance(self, fact: _Fact) -> Json:
        agents = (("author", "Author", self.patient_id), ("assembler", "Assembler", _DEVICE))
        return {
            "resourceType": "Provenance",
            "id": self._id(f"provenance {fact.resource['id']}"),
            "target": [_ref(fact.resource["id"])],
            "recorded": self._when(fact.evidence),
            "agent": [
                {"type": _coded(f"{_TERMS}/provenance-participant-type", ((code, display),)), "who": _ref(who)}
                for code, display, who in agents
            ],
            "entity": [
                {
                    "role": "source",
                    "what": {
                        "identifier": {"system": f"{_OURS}:message", "value": each.message_id},
                        "display": each.quote,
                    },
                }
                for each in fact.evidence
            ],
        }

    # -- the section

    def section(self) -> Json:
        """This interview's part of the document."""
        facts, answered = self.facts(), self._answered()
        inner = [self._topic(*topic, facts) for topic in _SECTIONS if not (self.for_patient and topic[0] == _FLAGS)]
        if answered:
            code = _coded(_LOINC, (("10164-2", "History of Present illness"),))
            inner.append({"title": "Questions and answers", "code": code, "entry": [_ref(answered["id"])]})
        note = None if self.for_patient else self.interview.row["clinical_handover"]
        if note and all(heading in note and isinstance(note[heading], list) for heading in HEADINGS):
            inner.append(
                {"title": "Hand-over, not signed", "section": [self._written(note, each) for each in HEADINGS]}
            )
        title = f"Interview of {self.interview.began_at:%Y-%m-%d}"
        return {"title": title, "entry": [_ref(self.interview.id)], "section": inner}

    def _topic(self, section: str, code: str, title: str, facts: Sequence[_Fact]) -> Json:
        entries = [_ref(fact.resource["id"]) for fact in facts if fact.section == section]
        found: Json = {"title": title, **({"code": _coded(_LOINC, ((code, title),))} if code else {})}
        if entries:
            return {**found, "entry": entries}
        why, words = self._emptiness(section)
        return {**found, "text": _narrative(words), "emptyReason": _coded(f"{_TERMS}/list-empty-reason", (why,))}

    def _emptiness(self, section: str) -> tuple[tuple[str, str], str]:
        """Why a section holds nothing: asked and none, not obtained, and not asked never look alike."""
        slot = "chief_complaint" if section == "complaint" else "vitals" if section == "signs" else section
        if section == _FLAGS:
            return ("nilknown", "Nil Known"), "No rule fired."
        answer = self.interview.record.answer(slot)
        if not self._of(answer):
            return ("notasked", "Not Asked"), "not asked"
        if isinstance(answer, NoneReported) or (isinstance(answer, Reported) and answer.value == NONE_NOW):
            return ("nilknown", "Nil Known"), describe(answer)
        return ("unavailable", "Unavailable"), describe(answer)

    def _written(self, note: Mapping[str, Any], heading: str) -> Json:
        """What stands under one heading of the note and rests on a quote."""
        lines = [line["text"] for line in note[heading] if self._resting(Evidence(**each) for each in line["evidence"])]
        return {"title": heading.capitalize(), "text": _narrative(*(lines or ["Nothing that rests on a quote."]))}


def _title(section: str) -> str:
    return next(title for name, _, title in _SECTIONS if name == section)


def _ref(id: UUID | str) -> Json:
    return {"reference": f"urn:uuid:{id}"}


def _coded(system: str, codes: Iterable[tuple[str, str]]) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display} for code, display in codes]}


def _quantity(name: str, value: float) -> Json:
    unit = UNITS[name][1]
    return {"value": value, "unit": unit, "system": _UCUM, "code": unit}


def _narrative(*lines: str) -> Json:
    text = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'}


def _plain(text: str | None) -> str:
    """A text that stands in a field of its own; nothing when it is blank."""
    return _FOREIGN.sub(" ", text or "").strip()


def _holding(value: Any) -> Any:
    """A value in which every text has a space for each character that a document cannot hold."""
    if isinstance(value, str):
        return _FOREIGN.sub(" ", value)
    if isinstance(value, dict):
        return {name: _holding(inner) for name, inner in value.items()}
    return [_holding(inner) for inner in value] if isinstance(value, list) else value


def _filled(found: Mapping[str, Any]) -> Json:
    """Without what is not known: FHIR has no null."""
    return {name: value for name, value in found.items() if value not in (None, "")}
