"""What each side sees of a session, as types: the patient's has no place for what only a clinician may read."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import TypeAdapter

from anamnesis.clinical.medical_data import medical_data, patients_medical_data
from anamnesis.clinical.reasoning import reasoning_of
from anamnesis.clinical.record import ClinicalRecord, record_from_json
from anamnesis.clinical.sbar import sbar_text
from anamnesis.intake.model import Status
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.schema import Output

Row = Mapping[str, Any]
#: How a viewer is shown what a message refers to: addresses that are the viewer's own.
Urls = Callable[[Sequence[str]], list[str]]


class Thought(Output):
    """A clinician's reasoning aid; a patient's is always empty."""

    differential_diagnosis: list[dict[str, str]]
    missing_information: list[str]
    strategy: str
    next_move: str


class Names(Output):
    """How somebody is shown."""

    first_name: str | None
    last_name: str | None
    image_url: str | None


class NamesAndEmail(Names):
    """The same for the doctor's list."""

    email: str | None


class DoctorOfSession(Output):
    """The doctor a session is for."""

    id: UUID
    specialty: str | None
    clinic_name: str | None
    user: Names


class PatientOfSession(Output):
    """The patient a session is of."""

    id: UUID
    user: Names


class PatientInList(Output):
    """The same in the doctor's list."""

    id: UUID
    user: NamesAndEmail


class Choice(Output):
    """A tappable answer."""

    value: str
    label: str


class ChatLine(Output):
    """One line of the transcript."""

    id: UUID
    role: str
    text: str
    images: list[str] | Undefined
    timestamp: datetime
    grounding_metadata: dict[str, Any] | None
    active_agent: str | None
    choices: list[Choice]
    is_emergency: bool
    is_stopped: bool | Undefined


class GrowingReply(Output):
    """A reply on its way, as far as it may be shown; "" takes back what was shown. Its own line follows."""

    reply_to: UUID
    text: str
    is_growing: Literal[True]


class LayeredLine(ChatLine):
    """The same in the listing over all sessions."""

    context_layer: str


class SessionFields(Output):
    """The fifteen fields of a session on the wire."""

    id: UUID
    connection_id: UUID
    name: str | None
    status: str
    medical_data: dict[str, Any]
    clinical_handover: dict[str, str] | None
    doctor_thought: Thought | None
    completeness: int
    current_agent: str
    started_at: datetime | None
    completed_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: UUID | None
    created_at: datetime
    updated_at: datetime


class SessionRow(SessionFields):
    """The whole row, as create and review answer it."""

    follow_up_counts: dict[str, int]
    answered_topics: list[str]
    consecutive_errors: int
    ai_message_count: int
    has_offered_conclusion: bool
    termination_reason: str | None


class ConnectionOfSession(Output):
    """The connection of a session with both people."""

    id: UUID
    status: str
    patient_id: UUID
    doctor_id: UUID
    doctor: DoctorOfSession
    patient: PatientOfSession


class ListedConnection(Output):
    """The connection in the patient's list."""

    id: UUID
    status: str
    doctor: DoctorOfSession


class DoctorsConnection(Output):
    """The connection in the doctor's list."""

    id: UUID
    status: str
    patient: PatientInList


class ListedSession(SessionFields):
    """A session in the patient's list."""

    connection: ListedConnection


class DoctorsSession(SessionFields):
    """A session in the doctor's list."""

    connection: DoctorsConnection


class SessionView(Output):
    """A session with its transcript. lastEventId is where a stream goes on from."""

    session: SessionFields
    messages: list[ChatLine]
    connection: ConnectionOfSession
    user_role: str
    last_event_id: str


NEUTRAL_THOUGHT: Final = Thought(differential_diagnosis=[], missing_information=[], strategy="", next_move="")


def thought_for_clinician(record: ClinicalRecord, stored: object = None) -> Thought:
    """What is thought of a case; stored is what the replaced system had."""
    found = reasoning_of(record, stored)
    return Thought(
        differential_diagnosis=[dict(each) for each in found.differential],
        missing_information=list(found.missing),
        strategy=found.strategy,
        next_move=found.next_move,
    )


def session_fields(row: Row, *, for_patient: bool) -> dict[str, Any]:
    """The fifteen fields. A patient's have no hand-over and an empty thought, whatever is stored."""
    handover = None if for_patient or not row["clinical_handover"] else sbar_text(row["clinical_handover"])
    kept = ("id", "connection_id", "name", "status", "completeness", "current_agent", "started_at", "completed_at")
    times = ("reviewed_at", "reviewed_by", "created_at", "updated_at")
    record, stored, is_closed = record_from_json(row["record"]), row["medical_data"], Status(row["status"]).is_closed
    told = (
        patients_medical_data(record, stored, is_closed=is_closed)
        if for_patient
        else medical_data(record, stored, is_closed=is_closed, handover=handover)
    )
    return {
        **{name: row[name] for name in (*kept, *times)},
        "medical_data": told,
        "clinical_handover": handover,
        "doctor_thought": NEUTRAL_THOUGHT if for_patient else thought_for_clinician(record, row["doctor_thought"]),
    }


def session_row(row: Row, *, for_patient: bool) -> SessionRow:
    """The whole row; counters we do not keep are as in a new session."""
    counters = ("consecutive_errors", "ai_message_count", "termination_reason")
    return SessionRow(
        **session_fields(row, for_patient=for_patient),
        **{name: row[name] for name in counters},
        follow_up_counts={},
        answered_topics=[],
        has_offered_conclusion=False,
    )


#: A transcript is made at once: line by line costs twice the time.
_CHAT_LINES: Final = TypeAdapter(list[ChatLine])


def chat_line(row: Row, urls: Urls) -> ChatLine:
    """One line of the transcript."""
    return ChatLine(**_line(row, urls))


def layered_line(row: Row, urls: Urls) -> LayeredLine:
    """One line of the listing over all sessions; notes of clinicians are not in it."""
    return LayeredLine(**_line(row, urls), context_layer="patient-intake")


def _line(row: Row, urls: Urls) -> dict[str, Any]:
    return {
        "id": row["id"],
        "role": row["role"],
        "text": row["content"],
        "images": urls(row.get("images") or ()) or UNDEFINED,
        "timestamp": row["created_at"],
        "grounding_metadata": None,
        "active_agent": row["active_agent"],
        "choices": row["choices"] or [],
        "is_emergency": row["is_emergency"],
        "is_stopped": row.get("is_stopped") or UNDEFINED,
    }


def note_line(note: Row, urls: Urls) -> LayeredLine:
    """Something a doctor added, as a line of the doctor's own view of a transcript."""
    return LayeredLine(
        id=note["id"],
        role="doctor",
        text=note["content"],
        images=urls(note["images"] or ()) or UNDEFINED,
        timestamp=note["created_at"],
        grounding_metadata={**(note["metadata"] or {}), "messageType": note["kind"]},
        active_agent=None,
        choices=[],
        is_emergency=False,
        is_stopped=UNDEFINED,
        context_layer="doctor-enhancement",
    )


def doctor_of(row: Row) -> DoctorOfSession:
    """The doctor of a session's row."""
    return DoctorOfSession(
        id=row["doctor_id"],
        specialty=row["specialty"],
        clinic_name=row["clinic_name"],
        user=Names(**_names(row, "doctor")),
    )


def patient_in_list(row: Row) -> PatientInList:
    """The patient of a session's row, for the doctor's list."""
    return PatientInList(id=row["patient_id"], user=NamesAndEmail(**_names(row, "patient"), email=row["patient_email"]))


def session_view(row: Row, lines: list[Row], *, notes: list[Row] | None, urls: Urls) -> SessionView:
    """A session with its transcript as one of the two sides sees it; notes is None for the patient."""
    connection = ConnectionOfSession(
        id=row["connection_id"],
        status=row["connection_status"],
        patient_id=row["patient_id"],
        doctor_id=row["doctor_id"],
        doctor=doctor_of(row),
        patient=PatientOfSession(id=row["patient_id"], user=Names(**_names(row, "patient"))),
    )
    return SessionView(
        session=SessionFields(**session_fields(row, for_patient=notes is None)),
        messages=_with_notes(_CHAT_LINES.validate_python([_line(line, urls) for line in lines]), notes, urls),
        connection=connection,
        user_role="patient" if notes is None else "doctor",
        last_event_id=str(lines[-1]["seq"]) if lines else "0",
    )


def _with_notes(lines: list[ChatLine], notes: list[Row] | None, urls: Urls) -> list[ChatLine]:
    """The transcript with the doctor's additions where they were made; the transcript's own order stays."""
    if not notes:
        return lines
    added = [note_line(note, urls) for note in notes]
    return sorted([*lines, *(ChatLine(**dict(line)) for line in added)], key=lambda line: line.timestamp)


def _names(row: Row, who: str) -> dict[str, Any]:
    return {name: row[f"{who}_{name}"] for name in ("first_name", "last_name", "image_url")}
