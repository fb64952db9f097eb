"""The procedures about whole sessions: lists of them, taking one away, beginning again."""

from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Literal
from uuid import UUID

from anamnesis.care.policy import access_as_clinician, access_as_patient, doctor_who_sees_patients
from anamnesis.intake import actions
from anamnesis.intake.api import Call, ConnectionRef, SessionRef, patient_id_of, review
from anamnesis.intake.views import ListedConnection, SessionRow, doctor_of, session_row
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.procedures import Allow, Procedures, Rest
from anamnesis.schema import ONE_OF, Input, Output

procedures = Procedures()
_STATUSES = {
    "all": ("not_started", "in_progress", "ready", "reviewed"),
    "active": ("not_started", "in_progress"),
    "completed": ("ready", "reviewed"),
}


class Done(Output):
    """It was done."""

    success: bool = True


class BegunAgain(Done):
    """It was done, and the session as it is now."""

    session: SessionRow


class SessionSummary(Output):
    """A session in the list by connections; appointments are not ported, so none is linked."""

    id: UUID
    name: str | None
    status: str
    completeness: int
    current_agent: str
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    linked_appointment: None


class SessionGroup(Output):
    """The sessions of one connection."""

    connection: ListedConnection
    sessions: list[SessionSummary]


class GroupedSessions(Output):
    """A patient's sessions by connection."""

    grouped_sessions: list[SessionGroup]


class LinkableSession(Output):
    """A session an appointment can be about."""

    id: UUID
    status: str
    completeness: int
    created_at: datetime
    updated_at: datetime


class LinkableSessions(Output):
    """The sessions of a connection that an appointment can be about."""

    sessions: list[LinkableSession]


class Recommendations(Output):
    """What the replaced system had stored as guidelines; this one makes none."""

    recommendations: Any
    session_id: UUID | Undefined = UNDEFINED
    updated_at: datetime | Undefined = UNDEFINED


class Wanted(Input):
    """Which sessions to list, and in which order."""

    status: Annotated[Literal["all", "active", "completed"], ONE_OF] = "all"
    sort_by: Annotated[Literal["newest", "oldest", "completeness"], ONE_OF] = "newest"


@procedures.mutation(
    "intake.deleteSession",
    allow=Allow.PATIENT,
    input=SessionRef,
    output=Done,
    rest=Rest("DELETE", "/intake-sessions/{sessionId}"),
)
async def delete_session(call: Call, body: SessionRef) -> Done:
    """Take an unfinished session out of every list; what was said is kept until retention or erasure."""
    store = call.services.store
    link = await store.link_of_session(body.session_id)
    access = access_as_patient(call.person, link, writing=True, what="session")
    await actions.archive_session(access, body.session_id, call.person, store=store)
    return Done()


@procedures.mutation(
    "intake.resetSession",
    allow=Allow.PATIENT,
    input=SessionRef,
    output=BegunAgain,
    rest=Rest("POST", "/intake-sessions/{sessionId}/reset", 200),
)
async def reset_session(call: Call, body: SessionRef) -> BegunAgain:
    """Begin an unfinished session again under its id; the old conversation is archived, a told danger stays."""
    intake = call.services
    link = await intake.store.link_of_session(body.session_id)
    access = access_as_patient(call.person, link, writing=True, what="session")
    await actions.reset_session(
        access, body.session_id, call.person, store=intake.store, interviewer=intake.interviewer
    )
    return BegunAgain(session=session_row(await intake.store.full(body.session_id) or {}, for_patient=True))


@procedures.query(
    "intake.getAllSessionsWithAppointments",
    allow=Allow.PATIENT,
    input=Wanted,
    output=GroupedSessions,
    rest=Rest("GET", "/me/intake-sessions"),
)
async def all_sessions(call: Call, body: Wanted) -> GroupedSessions:
    """Every session of the calling patient, by connection, the connections in the order of their first session."""
    rows = await call.services.store.all_of_patient(await patient_id_of(call), _STATUSES[body.status])
    if body.sort_by == "oldest":
        rows.reverse()
    if body.sort_by == "completeness":
        rows.sort(key=lambda row: -row["completeness"])  # stable: the newest first among equals
    order = list(dict.fromkeys(row["connection_id"] for row in rows))
    rows.sort(key=lambda row: order.index(row["connection_id"]))
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row["connection_id"])]
    return GroupedSessions(grouped_sessions=[_group(group) for group in groups])


def _group(rows: list[Any]) -> SessionGroup:
    first = rows[0]
    connection = ListedConnection(id=first["connection_id"], status=first["connection_status"], doctor=doctor_of(first))
    fields = [name for name in SessionSummary.model_fields if name != "linked_appointment"]
    sessions = [SessionSummary(**{name: row[name] for name in fields}, linked_appointment=None) for row in rows]
    return SessionGroup(connection=connection, sessions=sessions)


@procedures.query(
    "intake.getSessionsForAppointmentLinking",
    allow=Allow.PATIENT,
    input=ConnectionRef,
    output=LinkableSessions,
    rest=Rest("GET", "/connections/{connectionId}/intake-sessions/linkable"),
)
async def linkable_sessions(call: Call, body: ConnectionRef) -> LinkableSessions:
    """The sessions of a connection that are ready, or half done."""
    intake = call.services
    link = await intake.care.link_of_connection(body.connection_id)
    access_as_patient(call.person, link, writing=False, what="connection")
    rows = await intake.store.linkable(body.connection_id)
    return LinkableSessions(sessions=[LinkableSession(**row) for row in rows])


@procedures.query(
    "intake.getUCGRecommendations",
    allow=Allow.DOCTOR,
    input=ConnectionRef,
    output=Recommendations,
    rest=Rest("GET", "/connections/{connectionId}/recommendations"),
)
async def recommendations(call: Call, body: ConnectionRef) -> Recommendations:
    """What the replaced system had stored as guidelines for the latest session of a connection."""
    intake = call.services
    link = await intake.care.link_of_connection(body.connection_id)
    access_as_clinician(call.person, link, writing=False, what="connection")
    row = await intake.store.recommendations(body.connection_id)
    if row is None or row["recommendations"] is None:
        return Recommendations(recommendations=None)
    return Recommendations(recommendations=row["recommendations"], session_id=row["id"], updated_at=row["updated_at"])


@procedures.mutation("intake.markReviewed", allow=Allow.DOCTOR, input=ConnectionRef, output=BegunAgain)
async def mark_reviewed(call: Call, body: ConnectionRef) -> BegunAgain:
    """As intake.markAsReviewed, of the session of a connection that changed last."""
    intake = call.services
    doctor_who_sees_patients(call.person)
    link = await intake.care.link_of_connection(body.connection_id)
    access_as_clinician(call.person, link, writing=True, what="connection")
    session_id = await intake.store.latest(body.connection_id)
    if session_id is None:
        raise NotFound("This connection has no session yet.")
    return BegunAgain(session=await review(call, session_id))
