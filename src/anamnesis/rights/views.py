"""Everything kept of a patient as JSON of our own: what is in the tables, by the names of the wire."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
from pydantic.alias_generators import to_camel

from anamnesis.clinical.medical_data import patients_medical_data
from anamnesis.rights.model import Interview, PatientFile, Row

FORMAT: Final = "anamnesis-export/1"
#: What is written by doctors for doctors, or computed for them; of medical_data a patient has a part of.
_OF_DOCTORS: Final = frozenset({"clinical_handover", "doctor_thought", "lowered_at", "lowered_reason", "medical_data"})


def as_json(file: PatientFile, at: datetime, *, for_patient: bool = False) -> dict[str, Any]:
    """The whole file. for_patient leaves out the doctors' layer, as every answer to a patient does."""
    whole: dict[str, Any] = {
        "format": FORMAT,
        "exportedAt": at,
        "isForPatient": for_patient,
        "patient": _named(file.patient),
        "account": _named(file.account),
        "consents": _all(file.consents),
        "connections": _all(file.connections),
        "interviews": [_interview(each, file, for_patient=for_patient) for each in file.interviews],
        "directMessages": _all(file.direct_messages),
        "notifications": _all(file.notifications),
        "audit": _all(file.audit),
    }
    of_others = {
        "legalHolds": _all(file.holds),
        "emergencyAccesses": _all(file.emergencies),
        "accountReasons": _all(file.account_reasons),
        "takenOver": {name: [msgspec.Raw(row.encode()) for row in rows] for name, rows in file.taken_over.items()},
    }
    return whole if for_patient else {**whole, **of_others}


def _interview(interview: Interview, file: PatientFile, *, for_patient: bool) -> dict[str, Any]:
    left_out = _OF_DOCTORS | {"record"} if for_patient else frozenset({"record"})
    own = {to_camel(name): value for name, value in interview.row.items() if name not in left_out}
    seen = [each for each in interview.files if not for_patient or each["uploader_id"] == file.account["id"]]
    told = {**own, "messages": _all(interview.messages), "files": _all(seen)}
    if for_patient:
        # Of what the replaced system had stored beside the record, what its patients are shown, by the same function.
        is_closed = interview.row["status"] in ("ready", "reviewed")
        stored = interview.row["medical_data"] or {}
        return {**told, "medicalData": patients_medical_data(interview.record, stored, is_closed=is_closed)}
    return {
        **told,
        "record": interview.row["record"],
        "clinicianNotes": _all(interview.notes),
        "lowerings": _all(interview.lowerings),
        "wordedNotes": _all(interview.worded_notes),
        "modelReasonings": _all(interview.model_reasonings),
    }


def _all(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [_named(row) for row in rows]


def _named(row: Row) -> dict[str, Any]:
    """A row by the names of the wire; what is inside a JSON column stays as it is."""
    return {to_camel(name): value for name, value in row.items()}
