"""The procedures of the interview: intake.*."""

from collections.abc import AsyncIterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from anamnesis.care.actions import check_again, patient_of
from anamnesis.care.model import Access, Standing
from anamnesis.care.policy import access_as_clinician, access_as_patient, access_connection, doctor_who_sees_patients
from anamnesis.care.store import PostgresCareStore
from anamnesis.clinical.medical_data import medical_data, patients_medical_data
from anamnesis.files.actions import Filing
from anamnesis.intake import actions
from anamnesis.intake.actions import Interviewer
from anamnesis.intake.model import Message, NewMessage, Session, Status
from anamnesis.intake.speaking import word_by_word
from anamnesis.intake.store import PostgresIntakeStore
from anamnesis.intake.views import (
    NEUTRAL_THOUGHT,
    ChatLine,
    Choice,
    DoctorsConnection,
    DoctorsSession,
    GrowingReply,
    LayeredLine,
    ListedConnection,
    ListedSession,
    SessionRow,
    SessionView,
    Thought,
    Urls,
    chat_line,
    doctor_of,
    layered_line,
    note_line,
    patient_in_list,
    session_fields,
    session_row,
    session_view,
    thought_for_clinician,
)
from anamnesis.kernel.errors import BadInput, NotFound, NotPermitted, refused
from anamnesis.kernel.identity import PatientId, Person
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.listening import Listener, News, place_of
from anamnesis.kernel.procedures import Allow, Context, Procedures, Rest, Tracked
from anamnesis.schema import ONE_OF, Boolean, Input, Maybe, Output, Uuid, items, number, text

MOST_AT_ONCE = 50
_STATUS = Literal["not_started", "in_progress", "ready", "reviewed", "all"]


@dataclass(frozen=True, slots=True)
class Intake:
    """What these handlers work on."""

    store: PostgresIntakeStore
    care: PostgresCareStore
    interviewer: Interviewer
    listener: Listener
    files: Filing


Call = Context[Intake]
procedures = Procedures()


class UserMessage(Output):
    """The patient's message as it is stored."""

    id: UUID
    role: str
    text: str
    images: list[str] | Undefined
    timestamp: datetime


class AiMessage(Output):
    """The reply."""

    id: UUID
    role: str
    text: str
    timestamp: datetime
    active_agent: str | None
    grounding_metadata: Undefined | None
    choices: list[Choice]
    is_emergency: bool
    is_stopped: bool | Undefined


class Sent(Output):
    """A message and its reply; aiMessage is null when the reply comes later, and for a clinician's note."""

    user_message: UserMessage
    ai_message: AiMessage | None
    thought: Thought
    updated_medical_data: dict[str, Any]
    completeness: int
    is_ready: bool


class SessionList(Output):
    """A patient's sessions."""

    sessions: list[ListedSession]


class DoctorsSessionList(Output):
    """A doctor's sessions."""

    sessions: list[DoctorsSession]


class Lines(Output):
    """A transcript over all sessions of a connection."""

    messages: list[LayeredLine]


class ConnectionRef(Input):
    """One connection."""

    connection_id: Uuid


class SessionRef(Input):
    """One session."""

    session_id: Uuid


class Regenerated(Output):
    """The reply as it stands now; aiMessage is null when it comes later."""

    ai_message: AiMessage | None
    thought: Thought
    updated_medical_data: dict[str, Any]
    completeness: int
    is_ready: bool


class Regenerate(Input):
    """Which session's last reply to put in other words; with the reply's id, only while that one stands."""

    session_id: Uuid
    message_id: Maybe[Uuid] = UNDEFINED


class Stop(Input):
    """Which session's reply to end; with the id of the message it answers, only while that one is being answered."""

    session_id: Uuid
    message_id: Maybe[Uuid] = UNDEFINED


class StoppedReply(Output):
    """The reply as it stands now; aiMessage is null when there was none on its way."""

    ai_message: AiMessage | None


class SendMessage(Input):
    """What to send. The same client message id means the same message."""

    session_id: Uuid
    content: Annotated[str, text(1, 5000)]
    images: Maybe[Annotated[list[Annotated[str, text(1, 2000)]], items(4)]] = UNDEFINED
    client_message_id: Maybe[Uuid] = UNDEFINED


class ListSessions(Input):
    """Which sessions to list."""

    connection_id: Maybe[Uuid] = UNDEFINED
    status: Annotated[_STATUS, ONE_OF] = "all"
    limit: Annotated[int, number(at_least=1, at_most=100)] = MOST_AT_ONCE


class ListDoctorsSessions(Input):
    """Which sessions to list."""

    status: Annotated[_STATUS, ONE_OF] = "all"
    limit: Annotated[int, number(at_least=1, at_most=100)] = MOST_AT_ONCE


class Rename(Input):
    """A session's new name, or null to clear it."""

    session_id: Uuid
    name: Annotated[str, text(0, 255)] | None


class Listen(Input):
    """Which session to listen to, and from where."""

    session_id: Uuid
    last_event_id: Maybe[Annotated[str, text(1, 40)]] = UNDEFINED
    growing: Maybe[Boolean] = UNDEFINED
    by_word: Maybe[Boolean] = UNDEFINED


class ListenInbox(Input):
    """From where to listen."""

    last_event_id: Maybe[Annotated[str, text(1, 40)]] = UNDEFINED


class InboxSign(Output):
    """Whether something has happened; the first sign only says that somebody listens."""

    changed: bool


async def patient_id_of(call: Call) -> PatientId:
    """The calling patient's profile, made if there is none. Raises NotFound for a doctor without one."""
    return await patient_of(call.person, store=call.services.care)


async def _access(call: Call, session_id: UUID, *, writing: bool) -> Access:
    link = await call.services.store.link_of_session(session_id)
    return access_connection(call.person, link, writing=writing, what="session", oversight=True)


async def _begin(call: Call, connection_id: UUID, *, reuse: bool) -> SessionRow:
    intake = call.services
    access = access_as_patient(
        call.person, await intake.care.link_of_connection(connection_id), writing=True, what="connection"
    )
    session_id = await actions.start_session(access, store=intake.store, interviewer=intake.interviewer, reuse=reuse)
    return session_row(await intake.store.full(session_id) or {}, for_patient=True)


@procedures.mutation(
    "intake.create",
    allow=Allow.PATIENT,
    input=ConnectionRef,
    output=SessionRow,
    rest=Rest("POST", "/connections/{connectionId}/intake-sessions/open", 201),
)
async def create(call: Call, body: ConnectionRef) -> SessionRow:
    """Go on with the interview that is open for this connection, or begin one."""
    return await _begin(call, body.connection_id, reuse=True)


@procedures.mutation(
    "intake.createNewSession",
    allow=Allow.PATIENT,
    input=ConnectionRef,
    output=SessionRow,
    rest=Rest("POST", "/connections/{connectionId}/intake-sessions", 201),
)
async def create_new(call: Call, body: ConnectionRef) -> SessionRow:
    """Begin another interview for this connection."""
    return await _begin(call, body.connection_id, reuse=False)


@procedures.query(
    "intake.getSession", input=SessionRef, output=SessionView, rest=Rest("GET", "/intake-sessions/{sessionId}")
)
async def get_session(call: Call, body: SessionRef) -> SessionView:
    """A session with its transcript; a doctor's view has the doctor's additions in it."""
    store = call.services.store
    async with store.database.together():
        row, link = await store.full_and_link(body.session_id)
        access = access_connection(call.person, link, writing=False, what="session", oversight=True)
        assert row is not None
        lines = await store.transcript(body.session_id)
        notes = None if access.standing is Standing.PATIENT else await store.notes(body.session_id)
    return session_view(row, lines, notes=notes, urls=_urls(call))


def _urls(call: Call) -> Urls:
    """How the caller is shown what a message refers to."""
    return partial(call.services.files.urls, viewer=call.person)


@procedures.query(
    "intake.getMyIntakeSessions",
    allow=Allow.PATIENT,
    input=ListSessions,
    input_optional=True,
    output=SessionList,
    rest=Rest("GET", "/intake-sessions"),
)
async def my_sessions(call: Call, body: ListSessions | None) -> SessionList:
    """The calling patient's sessions."""
    wanted = body or ListSessions()
    connection_id = wanted.connection_id or None
    limit = min(int(wanted.limit), MOST_AT_ONCE)
    rows = await call.services.store.full_of_patient(await patient_id_of(call), connection_id, wanted.status, limit)
    return SessionList(
        sessions=[
            ListedSession(
                **session_fields(row, for_patient=True),
                connection=ListedConnection(
                    id=row["connection_id"], status=row["connection_status"], doctor=doctor_of(row)
                ),
            )
            for row in rows
        ]
    )


@procedures.query(
    "intake.getDoctorIntakeSessions",
    allow=Allow.DOCTOR,
    input=ListDoctorsSessions,
    input_optional=True,
    output=DoctorsSessionList,
    rest=Rest("GET", "/doctor/intake-sessions"),
)
async def doctors_sessions(call: Call, body: ListDoctorsSessions | None) -> DoctorsSessionList:
    """The sessions of the calling doctor's active connections."""
    wanted = body or ListDoctorsSessions()
    rows = await call.services.store.full_of_doctor(
        doctor_who_sees_patients(call.person), wanted.status, min(int(wanted.limit), MOST_AT_ONCE)
    )
    return DoctorsSessionList(
        sessions=[
            DoctorsSession(
                **session_fields(row, for_patient=False),
                connection=DoctorsConnection(
                    id=row["connection_id"], status=row["connection_status"], patient=patient_in_list(row)
                ),
            )
            for row in rows
        ]
    )


async def _is_urgent(intake: Intake, person: Person, body: SendMessage) -> bool:
    """Whether a message is a danger, by itself or as what this patient says next: "no" to "Are you safe?" is one."""
    if actions.is_dangerous(body.content, intake.interviewer):
        return True
    link = await intake.store.link_of_session(body.session_id)
    try:
        access_as_patient(person, link, writing=True, what="session")
    except (NotFound, NotPermitted):
        return False  # whoever has no part in it learns no more of it above the limit than below
    with intake.store.at_work():
        session = await intake.store.peek(body.session_id)
    return actions.is_dangerous_next(session, body.content, intake.interviewer)


@procedures.mutation(
    "intake.sendMessage",
    input=SendMessage,
    output=Sent,
    rest=Rest("POST", "/intake-sessions/{sessionId}/messages"),
    is_urgent=_is_urgent,
)
async def send_message(call: Call, body: SendMessage) -> Sent:
    """Keep a message exactly once, screen it, and answer it; from a doctor it is a note the patient never sees."""
    access = await _access(call, body.session_id, writing=True)
    key = body.client_message_id or None
    if access.standing is not Standing.PATIENT:
        if body.images:
            raise refused((("images",), "A note takes no pictures. Add a picture to the case instead."))
        return await _note(call, body.session_id, body.content, key)
    intake = call.services
    message = NewMessage(call.person.user_id, body.content, key, await _photos(call, body))
    received = await actions.receive_message(
        access, body.session_id, message, store=intake.store, interviewer=intake.interviewer,
        request_id=call.request.request_id,
    )  # fmt: skip
    answered = await actions.answer(received, body.session_id, store=intake.store, interviewer=intake.interviewer)
    session = answered.session or await intake.store.peek(body.session_id)
    images = intake.files.urls(received.message.images, call.person)
    return _sent(session, received.message, images, answered.reply)


async def _photos(call: Call, body: SendMessage) -> tuple[str, ...]:
    """The ids of the photos a message refers to. Raises BadInput for anything but the sender's own of this session."""
    if not body.images:
        return ()
    references = [(("images", place), reference) for place, reference in enumerate(body.images)]
    found = await call.services.files.refer(references, body.session_id, call.person, images=True)
    return tuple(str(photo.id) for photo in found)


def _sent(session: Session, message: Message, images: list[str], reply: Message | None) -> Sent:
    return Sent(
        user_message=UserMessage(
            id=message.id, role="user", text=message.text, images=images or UNDEFINED, timestamp=message.at
        ),
        ai_message=None if reply is None else _ai_message(reply),
        thought=NEUTRAL_THOUGHT,
        updated_medical_data=patients_medical_data(session.record, session.legacy, is_closed=session.status.is_closed),
        completeness=session.record.completeness,
        is_ready=session.status.is_closed,
    )


def _ai_message(reply: Message) -> AiMessage:
    return AiMessage(
        id=reply.id,
        role="model",
        text=reply.text,
        timestamp=reply.at,
        active_agent=reply.agent,
        grounding_metadata=UNDEFINED,
        choices=[Choice(value=value, label=label) for value, label in reply.choices],
        is_emergency=reply.is_emergency,
        is_stopped=reply.is_stopped or UNDEFINED,
    )


@procedures.mutation(
    "intake.regenerateResponse",
    input=Regenerate,
    output=Regenerated,
    rest=Rest("POST", "/intake-sessions/{sessionId}/reply", 200),
)
async def regenerate_response(call: Call, body: Regenerate) -> Regenerated:
    """Put the last question in other words, when a model may; what is asked, known and urgent stays as it is."""
    access = await _access(call, body.session_id, writing=True)
    intake = call.services
    is_patient = access.standing is Standing.PATIENT
    # A doctor asks the interviewer to do it, and writes nothing into the conversation in person.
    with nullcontext() if is_patient else intake.store.at_work():
        answered = await actions.regenerate(
            access, body.session_id, call.person, named=body.message_id or None, store=intake.store,
            interviewer=intake.interviewer,
        )  # fmt: skip
    session = answered.session or await intake.store.peek(body.session_id)
    record, stored, is_closed = session.record, session.legacy, session.status.is_closed
    told = (
        patients_medical_data(record, stored, is_closed=is_closed)
        if is_patient
        else medical_data(record, stored, is_closed=is_closed, handover=None)
    )
    return Regenerated(
        ai_message=None if answered.reply is None else _ai_message(answered.reply),
        thought=NEUTRAL_THOUGHT if is_patient else thought_for_clinician(session.record),
        updated_medical_data=told,
        completeness=session.record.completeness,
        is_ready=session.status.is_closed,
    )


@procedures.mutation(
    "intake.stopReply",
    allow=Allow.PATIENT,
    input=Stop,
    output=StoppedReply,
    rest=Rest("POST", "/intake-sessions/{sessionId}/reply/stop", 200),
)
async def stop_reply(call: Call, body: Stop) -> StoppedReply:
    """End the reply that is on its way and keep what was shown of it, marked as stopped."""
    intake = call.services
    link = await intake.store.link_of_session(body.session_id)
    access = access_as_patient(call.person, link, writing=True, what="session")
    answered = await actions.stop_reply(
        access, body.session_id, call.person, named=body.message_id or None, store=intake.store,
        interviewer=intake.interviewer,
    )  # fmt: skip
    return StoppedReply(ai_message=None if answered.reply is None else _ai_message(answered.reply))


async def _note(call: Call, session_id: UUID, content: str, key: UUID | None) -> Sent:
    store = call.services.store
    note = await store.add_note(session_id, call.person, content, key)
    session = await store.peek(session_id)
    return Sent(
        user_message=UserMessage(
            id=note["id"], role="doctor", text=note["content"], images=UNDEFINED, timestamp=note["created_at"]
        ),
        ai_message=None,
        thought=thought_for_clinician(session.record),
        updated_medical_data=medical_data(
            session.record, session.legacy, is_closed=session.status.is_closed, handover=None
        ),
        completeness=session.record.completeness,
        is_ready=session.status.is_closed,
    )


@procedures.query(
    "intake.getMessages", input=ConnectionRef, output=Lines, rest=Rest("GET", "/connections/{connectionId}/transcript")
)
async def get_messages(call: Call, body: ConnectionRef) -> Lines:
    """The transcript over all sessions of a connection; a doctor's view has the doctor's additions after it."""
    store = call.services.store
    link = await call.services.care.link_of_connection(body.connection_id)
    access = access_connection(call.person, link, writing=False, oversight=True)
    lines = [layered_line(row, _urls(call)) for row in await store.transcript_of_connection(body.connection_id)]
    if access.standing is not Standing.PATIENT:
        lines += [note_line(note, _urls(call)) for note in await store.notes_of_connection(body.connection_id)]
        lines.sort(key=lambda line: line.timestamp)
    return Lines(messages=lines)


@procedures.mutation(
    "intake.updateSessionName",
    allow=Allow.PATIENT,
    input=Rename,
    output=SessionRow,
    rest=Rest("PATCH", "/intake-sessions/{sessionId}"),
)
async def rename(call: Call, body: Rename) -> SessionRow:
    """Name a session, or clear its name."""
    store = call.services.store
    access_as_patient(call.person, await store.link_of_session(body.session_id), writing=True, what="session")
    if body.name is not None and not body.name.strip():
        raise refused((("name",), "a name needs at least one letter; send null to clear it."))
    await store.rename(body.session_id, body.name, call.person)
    return session_row(await store.full(body.session_id) or {}, for_patient=True)


@procedures.mutation(
    "intake.markAsReviewed",
    allow=Allow.DOCTOR,
    input=SessionRef,
    output=SessionRow,
    rest=Rest("POST", "/intake-sessions/{sessionId}/review"),
)
async def mark_as_reviewed(call: Call, body: SessionRef) -> SessionRow:
    """Mark a ready case as reviewed; again only notes that it was dealt with, and it never goes back."""
    return await review(call, body.session_id)


async def review(call: Call, session_id: UUID) -> SessionRow:
    """The session after its doctor has reviewed it. Raises NotFound, NotPermitted, and BadInput for one not ready."""
    store = call.services.store
    row, link = await store.full_and_link(session_id)
    access_as_clinician(call.person, link, writing=True, what="session")
    assert row is not None
    if not Status(row["status"]).is_closed:
        raise BadInput("This interview is not complete yet, so there is nothing to review.")
    await store.review(session_id, call.person)
    return session_row(await store.full(session_id) or {}, for_patient=False)


@procedures.subscription(
    "intake.onSession",
    input=Listen,
    output=ChatLine,
    untracked=GrowingReply,
    rest=Rest("GET", "/intake-sessions/{sessionId}/events"),
)
async def on_session(call: Call, body: Listen) -> AsyncIterator[Tracked | GrowingReply]:
    """Each new line of a session's transcript, from the given one on, for as long as the caller may see it.

    With growing also the reply that is on its way, whole as far as it may be shown, each time it is a sentence longer,
    with byWord a word. Who begins to listen is told at once how far it is.
    """
    store, after = call.services.store, place_of(body.last_event_id or None) or 0
    shown: tuple[UUID, str] | None = None
    is_live = False
    await _access(call, body.session_id, writing=False)
    async with call.services.listener.subscribe(f"session:{body.session_id}") as news:
        with closing(News(news)) as waiting:
            while True:
                for line in await store.transcript(body.session_id, after=after):
                    after = line["seq"]
                    yield Tracked(str(after), chat_line(line, _urls(call)))
                    shown = None if shown and line["reply_to"] == shown[0] else shown
                if body.growing:
                    now = await store.so_far(body.session_id)
                    told = now or (shown and (shown[0], ""))
                    if told and now != shown:
                        before = shown[1] if shown and shown[0] == told[0] else ""
                        async for text in _laid_out(before, told[1], in_words=bool(body.by_word) and is_live):
                            yield GrowingReply(reply_to=told[0], text=text, is_growing=True)
                    shown, is_live = now, True
                if await waiting.wait() is None:
                    return
                await check_again(call.person, store=call.services.care)
                await _access(call, body.session_id, writing=False)


async def _laid_out(shown: str, text: str, *, in_words: bool) -> AsyncIterator[str]:
    if not in_words:
        yield text
        return
    async for longer in word_by_word(shown, text):
        yield longer


@procedures.subscription("intake.onInbox", allow=Allow.DOCTOR, input=ListenInbox, input_optional=True, output=InboxSign)
async def on_inbox(call: Call, _: ListenInbox | None) -> AsyncIterator[Tracked]:
    """A sign whenever something happens in the calling doctor's inbox; what happened is read from the inbox itself.

    It ends when the account is closed or its verification is taken back.
    """
    doctor_id, count = doctor_who_sees_patients(call.person), 0
    async with call.services.listener.subscribe(f"inbox:{doctor_id}") as news:
        yield Tracked("0", InboxSign(changed=False))
        with closing(News(news)) as waiting:
            while (changed := await waiting.wait()) is not None:
                await check_again(call.person, store=call.services.care)
                if changed:
                    count += 1
                    yield Tracked(str(count), InboxSign(changed=True))
