"""The procedures of the doctor's side: the note, the inbox, one case, the review."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from anamnesis.care.policy import access_as_clinician, verified_doctor
from anamnesis.care.store import PostgresCareStore
from anamnesis.clinical.lowering import basis
from anamnesis.clinical.reasoning import reasoning_of, with_noted
from anamnesis.clinical.record import ClinicalRecord, record_from_json
from anamnesis.clinical.red_flags import gathered
from anamnesis.clinical.sbar import HEADINGS, describe, first_gaps, sbar_text
from anamnesis.clinical.terms import Colour
from anamnesis.files.actions import Filing
from anamnesis.handover.store import PostgresHandoverStore
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.procedures import Allow, Context, Procedures, Rest
from anamnesis.schema import Input, Output, Uuid

Row = Mapping[str, Any]
_STRIP = (("allergies", "Allergies"), ("medicines", "Medicines"), ("pregnancy", "Pregnancy"), ("vitals", "Vital signs"))
_INBOX_SIZE = 100
#: How many of the latest replies a model worded are shown with what it said beside them.
_MOST_REASONINGS = 3


@dataclass(frozen=True, slots=True)
class Handover:
    """What these handlers work on."""

    store: PostgresHandoverStore
    care: PostgresCareStore
    files: Filing


Call = Context[Handover]
procedures = Procedures()


class Sbar(Output):
    """The note as plain texts."""

    situation: str
    background: str
    assessment: str
    recommendation: str


class SbarAnswer(Output):
    """The note, or null while there is none."""

    sbar: Sbar | None


class Reasoning(Output):
    """What the interview still misses, and the differential a model proposed or the replaced system had stored."""

    differential_diagnosis: list[dict[str, str]]
    missing_information: list[str]
    strategy: str
    next_move: str


class ReasoningAnswer(Output):
    """The reasoning of the latest session, or null without one."""

    clinical_reasoning: Reasoning | None


class EvidenceItem(Output):
    """A verbatim quote and the message it stands in."""

    message_id: str
    quote: str


class StatementView(Output):
    """One line of the note with what it rests on."""

    text: str
    evidence: list[EvidenceItem]


class Section(Output):
    """One of the four sections."""

    heading: str
    statements: list[StatementView]


class Flag(Output):
    """A red flag in words, with its rule, version and quotes.

    Flags with the same line, one of the clinical catalogue's, speak of one danger.
    """

    words: str
    rule: str
    version: str
    line: int | None
    evidence: list[EvidenceItem]


class Fact(Output):
    """A fact for the strip at the top, in words."""

    label: str
    words: str


class Note(Output):
    """What a clinician has added: a text, test-result, exam-finding or image, with the addresses of its pictures."""

    text: str
    at: datetime
    kind: str
    images: list[str]


class Decision(Output):
    """Why and when a clinician lowered the urgency last."""

    reason: str
    at: datetime


class Ground(Output):
    """What speaks for or against an illness: a line of the note, and the patient's words under it."""

    fact: str
    evidence: EvidenceItem


class Considered(Output):
    """An illness a model proposed, with what holds of its grounds; nobody has confirmed it."""

    condition: str
    supports: list[Ground]
    against: list[Ground]


class Noted(Output):
    """What a model said for the doctor beside a reply it worded; nobody has reviewed it."""

    reply_id: UUID
    text: str
    at: datetime


class CaseView(Output):
    """One case for its doctor. With is_worded_by_model a model tidied the background or proposed the differential.

    noted_by_model is what a model said beside the latest replies it worded, the newest first: plain text, not reviewed.
    basis marks the danger that is shown: a decision to lower the urgency names it.
    """

    session_id: UUID
    colour: str
    about: str
    strip: list[Fact]
    flags: list[Flag]
    sections: list[Section]
    is_worded_by_model: bool
    differential: list[Considered]
    noted_by_model: list[Noted]
    footer: str
    for_patient: str
    acuity: str
    lowered: Decision | None
    basis: str
    notes: list[Note]


class PersonName(Output):
    """A patient's name."""

    first_name: str | None
    last_name: str | None


class InboxCase(Output):
    """One row of the inbox."""

    session_id: UUID
    status: str
    colour: str
    patient: PersonName
    about: str
    waiting_since: datetime | None
    unread_count: int
    chief_complaint: str | None
    reason: str
    completeness: int
    gaps: list[str]
    is_readable: bool


class Inbox(Output):
    """A doctor's cases, the most urgent first, then the longest waiting."""

    cases: list[InboxCase]


class ConnectionRef(Input):
    """One connection."""

    connection_id: Uuid


class SessionRef(Input):
    """One session."""

    session_id: Uuid


async def _let_clinician(call: Call, connection_id: UUID) -> None:
    """Let the connection's doctor read. Raises NotFound, NotPermitted."""
    link = await call.services.care.link_of_connection(connection_id)
    access_as_clinician(call.person, link, writing=False, what="connection")


async def case_of(call: Call, session_id: UUID) -> Row:
    """One case, for its doctor alone. Raises NotFound and NotPermitted."""
    row, link = await call.services.store.case(session_id)
    access_as_clinician(call.person, link, writing=False, what="session")
    assert row is not None
    return row


@procedures.query(
    "intake.getSBAR", input=ConnectionRef, output=SbarAnswer, rest=Rest("GET", "/connections/{connectionId}/sbar")
)
async def get_sbar(call: Call, body: ConnectionRef) -> SbarAnswer:
    """The newest note of a connection with what its doctor has added to that case, for its doctor."""
    await _let_clinician(call, body.connection_id)
    row = await call.services.store.latest_changed(body.connection_id)
    if row is None:
        return SbarAnswer(sbar=None)
    return SbarAnswer(sbar=sbar_with(row["clinical_handover"], await call.services.store.notes(row["id"])))


_ADDED_AS = {"text": "Note", "test-result": "Test result", "exam-finding": "Examination", "image": "Picture"}


def sbar_with(note: Mapping[str, Any] | None, added: Sequence[Row]) -> Sbar | None:
    """The written note with the doctor's additions under its assessment; None while no note was written."""
    if not note:
        return None
    sections = sbar_text(note)
    return Sbar(**{**sections, "assessment": "\n".join([sections["assessment"], *added_lines(added)])})


def added_lines(added: Sequence[Row]) -> list[str]:
    """A doctor's additions as lines of the assessment."""
    return [
        f"{_ADDED_AS[each['kind']]} by the doctor, {each['created_at']:%Y-%m-%d}: {each['content']}" for each in added
    ]


@procedures.query(
    "intake.getClinicalReasoning",
    input=ConnectionRef,
    output=ReasoningAnswer,
    rest=Rest("GET", "/connections/{connectionId}/reasoning"),
)
async def get_reasoning(call: Call, body: ConnectionRef) -> ReasoningAnswer:
    """What is thought of the case that changed last and still missing from it, for its doctor.

    What a model said beside the latest replies it worded follows the strategy, marked as a model's and not reviewed.
    """
    await _let_clinician(call, body.connection_id)
    row = await call.services.store.latest(body.connection_id)
    if row is None:
        return ReasoningAnswer(clinical_reasoning=None)
    noted = await call.services.store.reasonings(row["id"], _MOST_REASONINGS)
    found = reasoning_of(record_from_json(row["record"]), row["doctor_thought"])
    found = with_noted(found, [each["content"] for each in noted])
    reasoning = Reasoning(
        differential_diagnosis=[
            *(dict(each) for each in found.differential),
            *(_on_the_wire(each) for each in row["differential"] or ()),
        ],
        missing_information=list(found.missing),
        strategy=found.strategy,
        next_move=found.next_move,
    )
    return ReasoningAnswer(clinical_reasoning=reasoning)


def _on_the_wire(item: Mapping[str, Any]) -> dict[str, str]:
    """A proposed illness as the replaced system named its own; how likely it is nobody says."""
    supports, against = (
        ", ".join(f"“{ground['evidence']['quote']}”" for ground in item[side]) for side in ("supports", "against")
    )
    reasoning = f"Proposed by a model, not confirmed. For: {supports}. Against: {against or 'nothing told'}."
    return {"condition": item["name"], "probability": "", "reasoning": reasoning}


@procedures.query("handover.getInbox", allow=Allow.DOCTOR, output=Inbox, rest=Rest("GET", "/doctor/inbox"))
async def get_inbox(call: Call) -> Inbox:
    """The calling doctor's cases, who first and why."""
    doctor_id = verified_doctor(call.person)
    if doctor_id is None:
        return Inbox(cases=[])
    rows = await call.services.store.inbox(doctor_id, call.person.user_id, _INBOX_SIZE)
    return Inbox(cases=[_inbox_case(row) for row in rows])


_HEARD = {1: Colour.YELLOW, 2: Colour.RED}
_UNREAD_REASONS = {1: ["an unread message sounds urgent"], 2: ["an unread message sounds like an emergency"]}


def _inbox_case(row: Row) -> InboxCase:
    record = record_from_json(row["record"])
    complaint = record.answer("chief_complaint")
    return InboxCase(
        session_id=row["id"],
        status=row["status"],
        colour=(_HEARD[row["unread_acuity"]] if row["unread_acuity"] > record.acuity else record.colour).value,
        patient=PersonName(first_name=row["first_name"], last_name=row["last_name"]),
        about=_about(record) if row["is_readable"] else "",
        waiting_since=row["last_patient_at"],
        unread_count=row["unread"],
        chief_complaint=getattr(complaint, "value", None),
        reason=", ".join([*_UNREAD_REASONS.get(row["unread_acuity"], ()), *_why_now(record)]),
        completeness=record.completeness,
        gaps=list(first_gaps(record.gaps)[:4]),
        is_readable=row["is_readable"],
    )


def _why_now(record: ClinicalRecord) -> list[str]:
    """Why to look at a case now: its dangers, and that its patient asks for a person, who is told that this shows."""
    asking = ["asks to talk to a person"] if record.wants_person else []
    return [*asking, *map(in_words, _reasons(record)[:3])]


def _reasons(record: ClinicalRecord) -> list[str]:
    """Why a case has its colour, each danger once."""
    again = {flag.rule_id for group in gathered(record.flags) for flag in group[1:]}
    return [reason for reason in record.reasons if reason not in again]


def in_words(reason: str) -> str:
    """A reason as a person reads it: the id of a rule without its underscores, other reasons as they are."""
    return reason.replace("_", " ") if re.fullmatch(r"[a-z0-9_]+", reason) else reason


def _about(record: ClinicalRecord) -> str:
    age, sex = record.person.age, record.person.sex
    years = "age not known" if age is None else f"{age.years:.0f} y" if age.years >= 2 else f"{age.months:.0f} months"  # noqa: PLR2004 - months say more of an infant
    speaker = {"self": "", "parent": ", a parent is writing", "other": ", a carer is writing"}[record.person.speaker]
    pregnant = ", pregnant" if record.person.pregnant else ""
    return f"{years}, {sex.value if sex else 'sex not known'}{pregnant}{speaker}"


@procedures.query(
    "handover.getCase",
    allow=Allow.DOCTOR,
    input=SessionRef,
    output=CaseView,
    rest=Rest("GET", "/doctor/cases/{sessionId}"),
)
async def get_case(call: Call, body: SessionRef) -> CaseView:
    """One case for its doctor: the note line by line with its evidence, the red flags, the notes.

    Where a model tidied the note its wording is shown, marked and with its own footer; urgency, flags and scores are
    code's in either.
    """
    row = await case_of(call, body.session_id)
    record = record_from_json(row["record"])
    note = row["worded"] or row["clinical_handover"]
    notes = await call.services.store.notes(body.session_id)
    noted = await call.services.store.reasonings(body.session_id, _MOST_REASONINGS)
    return CaseView(
        session_id=row["id"],
        colour=record.colour.value,
        about=_about(record),
        strip=[Fact(label=label, words=describe(record.answer(slot))) for slot, label in _STRIP],
        flags=[
            Flag(
                words=in_words(flag.rule_id),
                rule=flag.rule_id,
                version=flag.version,
                line=flag.line,
                evidence=[_item(each) for each in flag.evidence],
            )
            for flag in record.flags
        ],
        sections=[_section(heading, note[heading]) for heading in HEADINGS] if note else [],
        is_worded_by_model=row["worded"] is not None,
        differential=[_considered(each) for each in row["differential"] or ()],
        noted_by_model=[Noted(reply_id=each["reply_id"], text=each["content"], at=each["made_at"]) for each in noted],
        footer=note["footer"] if note else "",
        for_patient=note.get("for_patient", "") if note else "",
        acuity=record.acuity.name.lower(),
        lowered=Decision(reason=row["lowered_reason"], at=row["lowered_at"]) if row["lowered_at"] else None,
        basis=basis(record),
        notes=[_added(call, each) for each in notes],
    )


def _added(call: Call, note: Row) -> Note:
    images = call.services.files.urls(tuple(note["images"] or ()), call.person)
    return Note(text=note["content"], at=note["created_at"], kind=note["kind"], images=images)


def _section(heading: str, statements: list[dict[str, Any]]) -> Section:
    views = [
        StatementView(text=each["text"], evidence=[EvidenceItem(**item) for item in each["evidence"] if item["quote"]])
        for each in statements
    ]
    return Section(heading=heading.capitalize(), statements=views)


def _considered(item: Mapping[str, Any]) -> Considered:
    supports, against = (
        [Ground(fact=ground["fact"], evidence=EvidenceItem(**ground["evidence"])) for ground in item[side]]
        for side in ("supports", "against")
    )
    return Considered(condition=item["name"], supports=supports, against=against)


def _item(evidence: Any) -> EvidenceItem:
    return EvidenceItem(message_id=evidence.message_id, quote=evidence.quote)


async def announce_handover(session_id: UUID, *, store: PostgresHandoverStore) -> None:
    """Tell the doctor, once, that a hand-over is ready. Raises NotFound for a session that is gone."""
    if not await store.announce(session_id, "intake_complete", "An intake is ready", "An intake is ready for you."):
        raise NotFound("There is no such session.")


async def alert_clinician(session_id: UUID, *, store: PostgresHandoverStore) -> None:
    """Tell the doctor, once, that a case is an emergency. Raises NotFound for a session that is gone."""
    if not await store.announce(session_id, "intake_emergency", "Urgent case", "A case needs you now."):
        raise NotFound("There is no such session.")
