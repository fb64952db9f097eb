"""The straight line of a patient's message: keep and screen it, then find words, then append the reply.

Two short transactions around a slow model. The first makes the patient's words safe and raises the flag; while words
are being found nothing is locked and no connection is held; the second appends the reply if the job is still ours.
"""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from uuid import UUID

from anamnesis.care.model import Access
from anamnesis.clinical.guardrails import Refused, check_reply
from anamnesis.clinical.record import ClinicalRecord, Reported, Stage
from anamnesis.clinical.sbar import draft_sbar, sbar_to_json
from anamnesis.clinical.terms import Acuity
from anamnesis.content import ClinicalContent
from anamnesis.intake import interview
from anamnesis.intake.interview import Inbound, TurnPlan
from anamnesis.intake.model import Message, NewMessage, NewReply, Session, Status
from anamnesis.intake.ports import IntakeStore, IntakeTransaction, VersionMoved
from anamnesis.kernel.errors import Conflict, Unavailable
from anamnesis.kernel.jobs import Job, JobKind, NewJob
from anamnesis.kernel.text import clean
from anamnesis.llm.port import ChatModel, Completion, ModelFailed, Prompt

_NAME_LENGTH: Final = 255
_POLL_S: Final = 0.05
_REPLANS: Final = 5
_LONGEST_REPLY: Final = 2000
#: Questions whose words carry facts are never left to a model.
_OUR_WORDS_ONLY: Final = frozenset({None, "read_back"})
#: A turn that failed this often is answered by fixed text: whatever is wrong with it, the patient is not left alone.
_HOPELESS_ATTEMPT: Final = 4
#: A turn taken inline must be done this long before the sender's time is up.
_MARGIN_S: Final = 0.5


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
        reply = _after_ready(screened.record, interviewer)
        reply = _with_emergency(reply, screened.emergency_text)
        appended = await tx.reply(session, stored.id, reply)
        # A reviewed note stays what was reviewed; one that nobody has read yet must not lack a danger told since.
        is_outdated = bool(screened.new_flags) and session.status is Status.READY
        note = _note(screened.record, interviewer) if is_outdated else None
        record = replace(screened.record, advice_due=())
        await tx.save(session, record, session.status, handover=note, from_patient=True, replies=1)
        return Received(stored, appended, None)
    if screened.emergency_text is not None:
        is_next = (await tx.oldest_waiting(session.id) or stored).id == stored.id
        plan, words = _after_emergency(screened.record, screened.emergency_text, inbound, content, is_next=is_next)
        appended = await _append(tx, session, stored.id, plan, words, "answered_fixed", interviewer, is_emergency=True)
        await _announce_ready(tx, session, plan, request_id)
        return Received(stored, appended, None)
    await tx.save(session, screened.record, Status.IN_PROGRESS, from_patient=True)
    job = await tx.enqueue_claimed(NewJob(JobKind.TAKE_TURN, session.id, request_id))
    return Received(stored, None, job)


def _after_emergency(
    record: ClinicalRecord, advice: str, inbound: Inbound, content: ClinicalContent, *, is_next: bool
) -> tuple[TurnPlan, str]:
    """What is said to an emergency, and the record with the facts it tells.

    It is not read as the answer to what was asked ("I want to die" is no medicine). Advice that asks something itself
    stands alone, and nothing is pending after it: "yes, I am safe" is no medicine either. While an earlier message
    still waits (is_next is False) this one is only screened, for facts are read in the order in which they were told.
    """
    if not is_next:
        return TurnPlan(record, advice, advice, record.pending, (), is_ready=False), advice
    plan = interview.plan_turn(replace(record, pending=None), inbound, content)
    if not advice.rstrip().endswith("?") or plan.is_ready:
        return plan, f"{advice}\n\n{content.texts['continue']}\n\n{plan.question}"
    told = replace(plan.record, asked=record.asked, danger_signs=record.danger_signs, stage=record.stage, pending=None)
    return TurnPlan(told, advice, advice, None, (), is_ready=False), advice


def _after_ready(record: ClinicalRecord, interviewer: Interviewer) -> NewReply:
    return NewReply(interview.after_ready(record, interviewer.content), Stage.HANDOVER.value, "answered_fixed")


def _with_emergency(reply: NewReply, text: str | None) -> NewReply:
    if text is None:
        return reply
    return NewReply(f"{text}\n\n{reply.text}", reply.agent, reply.state, is_emergency=True)


async def answer(
    received: Received, session_id: UUID, *, store: IntakeStore, interviewer: Interviewer
) -> Message | None:
    """The reply to a received message: taken now if its turn is ours, else waited for; None past the deadline."""
    end = time.monotonic() + interviewer.deadline_s
    job = received.job
    while True:
        if job is not None:
            await _take_inline(job, end, store=store, interviewer=interviewer)
        reply = received.reply or await store.reply_of(received.message.id)
        if reply is not None or time.monotonic() >= end:
            return reply
        await asyncio.sleep(_POLL_S)
        job = await store.claim_turn(session_id)


async def _take_inline(job: Job, end: float, *, store: IntakeStore, interviewer: Interviewer) -> None:
    """One turn before end, its lease kept; given back to the workers when it cannot be finished here."""
    within_s = max(0.0, end - time.monotonic() - _MARGIN_S)
    try:
        async with store.held(job):
            await take_turn(job, store=store, interviewer=interviewer, within_s=within_s)
    except BaseException as interrupted:
        await store.give_back(job, type(interrupted).__name__)
        raise


async def take_turn(job: Job, *, store: IntakeStore, interviewer: Interviewer, within_s: float | None = None) -> None:
    """Answer the oldest waiting message of the job's session; the same code inline and in a worker.

    What is not ours any more when we come to write is dropped: another worker has it. within_s shortens the time a
    model may take.
    """
    started = time.monotonic()
    waiting = await store.waiting(job.subject)
    if waiting is None:
        async with store.begin() as tx:
            await tx.settle(job)
        return
    session = await store.peek(job.subject)
    inbound = Inbound(str(waiting.id), waiting.text, waiting.seq)
    plan, is_fixed = _plan(session, inbound, job, interviewer)
    deadline_s = interviewer.deadline_s if within_s is None else min(within_s, interviewer.deadline_s)
    is_ours = is_fixed or plan.question_id in _OUR_WORDS_ONLY or bool(session.record.advice_due)
    words, state = (plan.reply, _state(is_fixed)) if is_ours else await _find_words(plan, interviewer, deadline_s)
    for _ in range(_REPLANS):
        try:
            await _append_reply(job, session, waiting, plan, words, state, store=store, interviewer=interviewer)
        except VersionMoved:
            # Another message was kept meanwhile: plan again on the fresh record, without asking a model again.
            session = await store.peek(job.subject)
            plan, is_fixed = _plan(session, inbound, job, interviewer)
            words, state = plan.reply, _state(is_fixed)
        else:
            interviewer.observer.turn(state, time.monotonic() - started)
            return
    raise Unavailable


def _plan(session: Session, inbound: Inbound, job: Job, interviewer: Interviewer) -> tuple[TurnPlan, bool]:
    """The next reply, and whether it is the fixed one: the interview is over, or this turn fails again and again."""
    if not session.status.is_closed and job.attempt < _HOPELESS_ATTEMPT:
        return interview.plan_turn(session.record, inbound, interviewer.content), False
    record, text = session.record, _after_ready(session.record, interviewer).text
    return TurnPlan(replace(record, advice_due=()), text, text, record.pending, (), is_ready=False), True


def _state(is_fixed: bool) -> str:  # noqa: FBT001 - one of two names
    return "answered_fixed" if is_fixed else "answered_fallback"


async def _find_words(plan: TurnPlan, interviewer: Interviewer, deadline_s: float) -> tuple[str, str]:
    """A model's wording of what code decided, or the scripted words when it fails or says what it may not."""
    prompt = Prompt(plan.question_id, plan.reply, plan.record.stage.value, plan.record.language)
    try:
        # The deadline is ours to keep: a model that hangs does not ask for our patience.
        async with asyncio.timeout(deadline_s):
            completion = await interviewer.model.complete(prompt, deadline_s=deadline_s)
    except (ModelFailed, TimeoutError):
        interviewer.observer.fallback("unavailable")
        return plan.reply, "answered_fallback"
    text = _usable(completion, after_flag=bool(plan.record.flags))
    if text is None:
        interviewer.observer.fallback("unusable")
        return plan.reply, "answered_fallback"
    return text, "answered_fallback" if interviewer.is_builtin else "answered_ai"


def _usable(completion: Completion, *, after_flag: bool) -> str | None:
    """The model's words, cleaned as people's are; None when they are cut off, empty, endless or refused."""
    text = clean(completion.text).strip()
    if completion.finish_reason != "stop" or not 0 < len(text) <= _LONGEST_REPLY:
        return None
    return None if isinstance(check_reply(text, after_flag=after_flag), Refused) else text


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
    complaint = plan.record.answer("chief_complaint")
    handover = _note(plan.record, interviewer) if plan.is_ready else None
    open_status = Status.READY if plan.is_ready else Status.IN_PROGRESS
    await tx.save(
        session,
        plan.record,
        session.status if session.status.is_closed else open_status,
        name=complaint.value[:_NAME_LENGTH] if isinstance(complaint, Reported) else None,
        handover=handover,
        from_patient=is_emergency,
        replies=1,
    )
    return appended


def _note(record: ClinicalRecord, interviewer: Interviewer) -> dict[str, Any]:
    content = interviewer.content
    note = draft_sbar(
        record, rules_version=content.version, is_draft=content.is_draft, is_degraded=interviewer.is_builtin
    )
    return sbar_to_json(note)


async def _announce_ready(tx: IntakeTransaction, session: Session, plan: TurnPlan, request_id: str) -> None:
    if plan.is_ready:
        await tx.enqueue(NewJob(JobKind.ANNOUNCE_HANDOVER, session.id, request_id))


async def start_session(access: Access, *, store: IntakeStore, interviewer: Interviewer, reuse: bool) -> UUID:
    """Begin an interview with its greeting; with reuse, go on with the one that is open, however many ask at once.

    Nothing is taken over from the account: its owner may be writing about a child.
    """
    async with store.begin() as tx:
        if reuse:
            open_session = await tx.open_session(access.link.connection_id)
            if open_session is not None:
                return open_session
        plan = interview.opening(interview.new_record(), interviewer.content)
        session = await tx.create(access.link.connection_id, plan.record)
        choices = tuple((choice.value, choice.label) for choice in plan.choices)
        await tx.reply(session, None, NewReply(plan.reply, plan.record.stage.value, "answered_fixed", choices))
        await tx.save(session, plan.record, Status.NOT_STARTED)
        return session.id
