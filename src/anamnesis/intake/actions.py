"""The straight line of a patient's message: keep and screen it, then find words, then append the reply.

Two short transactions around a slow model. The first makes the patient's words safe and raises the flag; while words
are being found nothing is locked and no connection is held; the second appends the reply if the job is still ours.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from anamnesis.care.model import Access
from anamnesis.clinical.guardrails import Refused, check_reply
from anamnesis.clinical.record import Reported, Stage
from anamnesis.clinical.sbar import draft_sbar, sbar_to_json
from anamnesis.clinical.terms import Acuity
from anamnesis.content import ClinicalContent
from anamnesis.intake import interview
from anamnesis.intake.interview import Inbound, TurnPlan
from anamnesis.intake.model import Message, NewMessage, NewReply, Session, Status
from anamnesis.intake.ports import IntakeStore, IntakeTransaction, VersionMoved
from anamnesis.kernel.errors import Conflict, Unavailable
from anamnesis.kernel.jobs import Job, JobKind, NewJob
from anamnesis.llm.port import ChatModel, ModelFailed, Prompt

_NAME_LENGTH: Final = 255
_POLL_S: Final = 0.05
_REPLANS: Final = 5


class Observer(Protocol):
    """Counts what happens; learns nothing of what was said."""

    def turn(self, outcome: str, seconds: float) -> None:
        """A turn came to its end."""
        ...

    def fallback(self, reason: str) -> None:
        """A model could not take a turn."""
        ...

    def red_flag(self, acuity: Acuity) -> None:
        """A red flag was raised."""
        ...


class Unobserved:
    """Counts nothing."""

    def turn(self, outcome: str, seconds: float) -> None:
        """Take no note."""

    def fallback(self, reason: str) -> None:
        """Take no note."""

    def red_flag(self, acuity: Acuity) -> None:
        """Take no note."""


@dataclass(frozen=True, slots=True)
class Interviewer:
    """What a turn needs besides the store."""

    content: ClinicalContent
    model: ChatModel
    deadline_s: float = 25.0
    is_builtin: bool = True
    observer: Observer = field(default_factory=Unobserved)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that is safe: stored now or before, with its reply if that is already known, and the turn to take."""

    message: Message
    reply: Message | None
    job: Job | None


async def receive_message(
    access: Access,
    session_id: UUID,
    message: NewMessage,
    *,
    store: IntakeStore,
    interviewer: Interviewer,
    request_id: str,
) -> Received:
    """Transaction A: keep the patient's words and screen them; the interviewer answers later.

    The same message again is answered with what is stored. Raises Conflict for one id with other words.
    """
    async with store.begin() as tx:
        session = await tx.lock(session_id)
        seen = await tx.seen(session_id, message)
        if seen is not None:
            if seen.text != message.text:
                raise Conflict("This message id was used for other words. Nothing was stored.")
            return Received(seen, None, None)
        return await _keep(tx, session, message, access, interviewer, request_id)


async def _keep(
    tx: IntakeTransaction,
    session: Session,
    message: NewMessage,
    access: Access,
    interviewer: Interviewer,
    request_id: str,
) -> Received:
    content = interviewer.content
    stored = await tx.append(session, message, state="waiting")
    inbound = Inbound(str(stored.id), message.text, stored.seq)
    screened = interview.screen(session.record, inbound, content)
    for flag in screened.new_flags:
        interviewer.observer.red_flag(flag.acuity)
    if screened.new_flags and screened.record.acuity is Acuity.EMERGENCY:
        await tx.enqueue(NewJob(JobKind.ALERT_CLINICIAN, session.id, request_id))
    await tx.announce(f"session:{session.id}", f"inbox:{access.link.doctor_id}")
    if session.status.is_closed:
        reply = NewReply(interview.after_ready(screened.record, content), Stage.HANDOVER.value, "answered_fixed")
        reply = _with_emergency(reply, screened.emergency_text)
        appended = await tx.reply(session, stored.id, reply)
        await tx.save(session, screened.record, session.status, from_patient=True)
        return Received(stored, appended, None)
    if screened.emergency_text is not None:
        plan = interview.plan_turn(screened.record, inbound, content)
        words = f"{screened.emergency_text}\n\n{content.texts['continue']}\n\n{plan.question}"
        appended = await _append(tx, session, stored.id, plan, words, "answered_fixed", interviewer, is_emergency=True)
        await _announce_ready(tx, session, plan, request_id)
        return Received(stored, appended, None)
    await tx.save(session, screened.record, Status.IN_PROGRESS, from_patient=True)
    job = await tx.enqueue_claimed(NewJob(JobKind.TAKE_TURN, session.id, request_id))
    return Received(stored, None, job)


def _with_emergency(reply: NewReply, text: str | None) -> NewReply:
    if text is None:
        return reply
    return NewReply(f"{text}\n\n{reply.text}", reply.agent, reply.state, is_emergency=True)


async def answer(
    received: Received, session_id: UUID, *, store: IntakeStore, interviewer: Interviewer
) -> Message | None:
    """The reply to a received message: taken now if its turn is ours, else waited for; None past the deadline."""
    loop = asyncio.get_running_loop()
    end = loop.time() + interviewer.deadline_s
    job = received.job
    while True:
        if job is not None:
            await take_turn(job, store=store, interviewer=interviewer)
        reply = received.reply or await store.reply_of(received.message.id)
        if reply is not None or loop.time() >= end:
            return reply
        await asyncio.sleep(_POLL_S)
        job = await store.claim_turn(session_id)


async def take_turn(job: Job, *, store: IntakeStore, interviewer: Interviewer) -> None:
    """Answer the oldest waiting message of the job's session; the same code inline and in a worker.

    What is not ours any more when we come to write is dropped: another worker has it.
    """
    started = time.monotonic()
    waiting = await store.waiting(job.subject)
    if waiting is None:
        async with store.begin() as tx:
            await tx.settle(job)
        return
    session = await store.peek(job.subject)
    inbound = Inbound(str(waiting.id), waiting.text, waiting.seq)
    plan = interview.plan_turn(session.record, inbound, interviewer.content)
    words, state = await _find_words(plan, interviewer)
    for _ in range(_REPLANS):
        try:
            await _append_reply(job, session, waiting, plan, words, state, store=store, interviewer=interviewer)
        except VersionMoved:
            # Another message was kept meanwhile: plan again on the fresh record, without asking a model again.
            session = await store.peek(job.subject)
            plan = interview.plan_turn(session.record, inbound, interviewer.content)
            words, state = plan.reply, "answered_fallback"
        else:
            interviewer.observer.turn(state, time.monotonic() - started)
            return
    raise Unavailable


async def _find_words(plan: TurnPlan, interviewer: Interviewer) -> tuple[str, str]:
    """A model's wording of what code decided, or the scripted words when it fails or says what it may not."""
    prompt = Prompt(plan.question_id, plan.reply, plan.record.stage.value, plan.record.language)
    try:
        completion = await interviewer.model.complete(prompt, deadline_s=interviewer.deadline_s)
    except ModelFailed:
        interviewer.observer.fallback("unavailable")
        return plan.reply, "answered_fallback"
    text = completion.text.strip()
    is_usable = bool(text) and bool(completion.finish_reason)
    if not is_usable or isinstance(check_reply(text, after_flag=bool(plan.record.flags)), Refused):
        interviewer.observer.fallback("unusable")
        return plan.reply, "answered_fallback"
    return text, "answered_fallback" if interviewer.is_builtin else "answered_ai"


async def _append_reply(
    job: Job,
    session: Session,
    waiting: Message,
    plan: TurnPlan,
    words: str,
    state: str,
    *,
    store: IntakeStore,
    interviewer: Interviewer,
) -> None:
    """Transaction B: append the reply, if the job is still ours and the session is as it was planned on."""
    async with store.begin() as tx:
        fresh = await tx.lock(session.id)
        if fresh.version != session.version:
            raise VersionMoved
        oldest = await tx.oldest_waiting(session.id)
        if oldest is None or oldest.id != waiting.id or not await tx.settle(job):
            return
        await _append(tx, fresh, waiting.id, plan, words, state, interviewer)
        await _announce_ready(tx, fresh, plan, job.request_id)
        await tx.announce(f"session:{session.id}")
        if await tx.oldest_waiting(session.id) is not None:
            await tx.enqueue(NewJob(JobKind.TAKE_TURN, session.id, job.request_id))


async def _append(
    tx: IntakeTransaction,
    session: Session,
    to: UUID,
    plan: TurnPlan,
    words: str,
    state: str,
    interviewer: Interviewer,
    *,
    is_emergency: bool = False,
) -> Message:
    """The reply and the session's new state; when the interview is complete, the hand-over with them."""
    choices = tuple((choice.value, choice.label) for choice in plan.choices)
    reply = NewReply(words, plan.record.stage.value, state, choices, is_emergency)
    appended = await tx.reply(session, to, reply)
    content, complaint = interviewer.content, plan.record.answer("chief_complaint")
    handover = None
    if plan.is_ready:
        note = draft_sbar(
            plan.record, rules_version=content.version, is_draft=content.is_draft, is_degraded=interviewer.is_builtin
        )
        handover = sbar_to_json(note)
    await tx.save(
        session,
        plan.record,
        Status.READY if plan.is_ready else Status.IN_PROGRESS,
        name=complaint.value[:_NAME_LENGTH] if isinstance(complaint, Reported) else None,
        handover=handover,
        from_patient=is_emergency,
        replies=1,
    )
    return appended


async def _announce_ready(tx: IntakeTransaction, session: Session, plan: TurnPlan, request_id: str) -> None:
    if plan.is_ready:
        await tx.enqueue(NewJob(JobKind.ANNOUNCE_HANDOVER, session.id, request_id))


async def start_session(
    access: Access, *, store: IntakeStore, interviewer: Interviewer, name: str | None, reuse: bool
) -> UUID:
    """Begin an interview with its greeting; with reuse, go on with the one that is open, however many ask at once."""
    async with store.begin() as tx:
        if reuse:
            open_session = await tx.open_session(access.link.connection_id)
            if open_session is not None:
                return open_session
        plan = interview.opening(interview.new_record(name=name), interviewer.content)
        session = await tx.create(access.link.connection_id, plan.record)
        choices = tuple((choice.value, choice.label) for choice in plan.choices)
        await tx.reply(session, None, NewReply(plan.reply, plan.record.stage.value, "answered_fixed", choices))
        await tx.save(session, plan.record, Status.NOT_STARTED)
        return session.id
