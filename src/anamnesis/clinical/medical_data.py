"""A record in the shape the replaced system kept it in, medicalData: for clinicians whole, for patients their part."""

from collections.abc import Mapping
from typing import Any, Final

from anamnesis.clinical.lowering import told_colour
from anamnesis.clinical.record import ClinicalRecord, NoneReported, Reported
from anamnesis.clinical.terms import Colour, Sex

_DECISIONS: Final = {
    Colour.RED: "emergency",
    Colour.YELLOW: "agent-assisted",
    Colour.GREEN: "direct-to-diagnosis",
    Colour.UNKNOWN: "pending",
}
#: What a patient is told of why; the rule's own name is the clinician's.
SAFE_REASONS: Final = {
    Colour.RED: "What you describe may need care now.",
    Colour.YELLOW: "Please be seen by a health worker today.",
}
#: What a patient may see of medicalData. A key we do not know, as from an older system, stays with the clinicians.
_PATIENTS_KEYS: Final = frozenset(
    {"chiefComplaint", "hpi", "medicalRecords", "recordsCheckCompleted", "historyCheckCompleted", "medications"}
    | {"allergies", "pastMedicalHistory", "familyHistory", "socialHistory", "reviewOfSystems", "currentAgent"}
    | {"clinicalHandover", "bookingStatus", "appointmentDate"}
)
_VITALS_KEYS: Final = (
    "patientName", "patientAge", "patientGender", "vitalsCollected", "temperature", "weight", "bloodPressure",
    "currentStatus", "triageDecision", "triageReason", "vitalsStageCompleted",
)  # fmt: skip


def patients_medical_data(record: ClinicalRecord, stored: Mapping[str, Any], *, is_closed: bool) -> dict[str, Any]:
    """MedicalData with the keys a patient may see and no other, whatever was stored beside them."""
    data = medical_data(record, stored, is_closed=is_closed, handover=None)
    vitals = {name: data["vitalsData"][name] for name in _VITALS_KEYS}
    shown = {name: value for name, value in data.items() if name in _PATIENTS_KEYS}
    return {**shown, "vitalsData": {**vitals, "triageFactors": []}, "ucgRecommendations": None}


def medical_data(
    record: ClinicalRecord, stored: Mapping[str, Any], *, is_closed: bool, handover: dict[str, str] | None
) -> dict[str, Any]:
    """The replaced system's medicalData: what the record knows over what was stored before, which survives beside it.

    A fact of an older record is never replaced by nothing.
    """
    known = {
        "chiefComplaint": _value(record, "chief_complaint"),
        "hpi": _hpi(record),
        "medicalRecords": _list(record, "records"),
        "recordsCheckCompleted": record.is_covered("records"),
        "historyCheckCompleted": all(
            record.is_covered(slot) for slot in ("medicines", "allergies", "past_history", "family_history")
        ),
        "medications": _list(record, "medicines"),
        "allergies": _list(record, "allergies"),
        "pastMedicalHistory": _list(record, "past_history"),
        "familyHistory": _value(record, "family_history"),
        "socialHistory": _value(record, "social_history"),
        "reviewOfSystems": [],
    }
    booking = "ready" if is_closed else "collecting"
    return {
        "ucgRecommendations": None,
        **_over(known, stored),
        "vitalsData": _over(_vitals_data(record), stored.get("vitalsData")),
        "currentAgent": record.stage.value,
        "clinicalHandover": handover,
        "bookingStatus": "booked" if stored.get("bookingStatus") == "booked" else booking,
    }


def _over(known: dict[str, Any], stored: object) -> dict[str, Any]:
    """What is known over what was stored; what is not known leaves the stored value, if it is of the same kind."""
    if not isinstance(stored, Mapping):
        return known
    kept = {name: value for name, value in stored.items() if name not in known}
    for name, value in known.items():
        older = stored.get(name)
        is_better = _is_unknown(value) and older is not None and isinstance(older, _KINDS.get(type(value), object))
        kept[name] = older if is_better else value
    return kept


def _is_unknown(value: object) -> bool:
    """Whether a value says nothing: null, none, no, not decided, or a reading without a number."""
    if isinstance(value, Mapping):
        return all(each is None for name, each in value.items() if name != "unit")
    return not value or value == "pending"


_KINDS: Final[dict[type, type]] = {list: list, dict: dict, bool: bool, str: str}


def _vitals_data(record: ClinicalRecord) -> dict[str, Any]:
    vitals, age, sex = record.vitals, record.person.age, record.person.sex
    years = None if age is None else int(age.years) if age.years >= 1 else round(age.years, 2)
    gender = {Sex.FEMALE: "female", Sex.MALE: "male", Sex.OTHER: "other", None: None}[sex]
    return {
        "patientName": record.name,
        "patientAge": years,
        "patientGender": gender,
        "vitalsCollected": bool(record.readings),
        "temperature": {"value": vitals.temperature_celsius, "unit": "celsius", "collectedAt": None},
        "weight": {"value": vitals.weight_kg, "unit": "kg", "collectedAt": None},
        "bloodPressure": {"systolic": vitals.systolic_mmhg, "diastolic": vitals.diastolic_mmhg, "collectedAt": None},
        "currentStatus": None,
        "triageDecision": _DECISIONS[told_colour(record)],
        "triageReason": SAFE_REASONS.get(told_colour(record)),
        "triageFactors": [],
        "vitalsStageCompleted": record.is_covered("vitals"),
    }


def _value(record: ClinicalRecord, slot: str) -> str | None:
    answer = record.answer(slot)
    if isinstance(answer, NoneReported):
        return "none reported"
    return answer.value if isinstance(answer, Reported) else None


def _list(record: ClinicalRecord, slot: str) -> list[str]:
    answer = record.answer(slot)
    return [answer.value] if isinstance(answer, Reported) else []


def _hpi(record: ClinicalRecord) -> str | None:
    parts = []
    for slot in ("onset", "character", "severity", "exacerbating", "danger_signs"):
        value = _value(record, slot)
        if value is not None:
            parts.append(f"{slot.replace('_', ' ')}: {value}")
    return "; ".join(parts) or None
