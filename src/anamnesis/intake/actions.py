"""The straight line of a patient's message: keep and screen it, then find words, then append the reply.

Two short transactions around a slow model. The first makes the patient's words safe and raises the flag; while words
are being found nothing is locked and no connection is held; the second appends the reply if the job is still ours.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID, uuid4

from anamnesis.care.model import Access
from anamnesis.clinical.guardrails import Refused, check_reply
from anamnesis.clinical.record import ClinicalRecord, Reported, Stage
from anamnesis.clinical.sbar import draft_sbar, sbar_to_json
from anamnesis.clinical.screening import SAFETY
from anamnesis.clinical.terms import Acuity
from anamnesis.content import ClinicalContent
from anamnesis.intake import interview
from anamnesis.intake.interview import Inbound, Screened, TurnPlan
from anamnesis.intake.model import (
    Answered,
    Exchange,
    Kept,
    Message,
    NewMessage,
    NewReply,
    NewState,
    Session,
    Status,
    Turn,
)
from anamnesis.intake.ports import IntakeStore, IntakeTransaction, NotOurs, Photos
from anamnesis.intake.speaking import Stopped, spoken, topic_of
from anamnesis.kernel.clock import Clock, SystemClock
from anamnesis.kernel.errors import BadInput, Conflict, Unavailable
from anamnesis.kernel.identity import Person
from anamnesis.kernel.jobs import Job, JobKind, NewJob
from anamnesis.kernel.listening import Listener
from anamnesis.kernel.text import clean
from anamnesis.llm.port import ChatModel, Completion, Look, ModelFailed, Prompt, Speaker

# What tells a model of a case and reads what it proposes is loaded where a model is set: who names none pays for none.
if TYPE_CHECKING:
    from anamnesis.intake.prompting import Briefing

_NAME_LENGTH: Final = 255
_POLL_S: Final = 0.05
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
    """What a turn needs besides the store. With a listener a model that can be heard is shown while it speaks.

    With photos a model sees those of the message it answers.
    """

    content: ClinicalContent
    model: ChatModel
    deadline_s: float = 25.0
    is_builtin: bool = True
    briefing: "Briefing | None" = None
    observer: Observer = field(default_factory=Unobserved)
    listener: Listener | None = None
    photos: Photos | None = None
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that is safe: stored now or before.

    With its reply and the session if they are already known, and else with the job and the turn to take, if they are
    ours.
    """

    message: Message
    answered: Answered | None = None
    job: Job | None = None
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Worded:
    """A turn with the words for it, and what a model said beside them for the doctor.

    has_failed is None when no model was asked.
    """

    plan: TurnPlan
    text: str
    state: str
    has_failed: bool | None = None
    reasoning: str = field(default="", repr=False)


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
        # Without an id only an unanswered twin tells that it is the same message; with one, storing it tells.
        seen = await tx.seen(session_id, message) if message.client_message_id is None else None
        received = None if seen else await _keep(tx, session, message, access, interviewer, request_id)
        if received is not None:
            return received
        seen = seen or await tx.seen(session_id, message)
        if seen is None:
            raise Unavailable
        if not message.is_again(seen):
            raise Conflict("This message id was used for other words. Nothing was stored.")
        return Received(seen)


async def _keep(
    tx: IntakeTransaction,
    session: Session,
    message: NewMessage,
    access: Access,
    interviewer: Interviewer,
    request_id: str,
) -> Received | None:
    """The message kept and screened, with what has to follow at once; None when it is stored already."""
    message_id, content = uuid4(), interviewer.content
    inbound = Inbound(str(message_id), message.text, session.next_seq, interviewer.clock.now())
    screened = interview.screen(session.record, inbound, content)
    topics = (f"session:{session.id}", f"inbox:{access.link.doctor_id}")
    kept = await tx.keep(session, message_id, message, screened.record, *topics)
    if kept is None:
        return None
    for flag in screened.new_flags:
        interviewer.observer.red_flag(flag.acuity)
    if screened.is_danger and screened.record.acuity is Acuity.EMERGENCY:
        await tx.enqueue(NewJob(JobKind.ALERT_CLINICIAN, session.id, request_id))
    if session.status.is_closed:
        return Received(kept.message, await _answer_after_ready(tx, kept, screened, interviewer, request_id))
    if screened.emergency_text is not None:
        plan, words = _after_emergency(screened.record, screened.emergency_text, inbound, content, is_next=kept.is_next)
        reply, new = _reply(kept.session, plan, words, "answered_fixed", interviewer, is_emergency=True)
        answered = await _answer(tx, kept.session, kept.message.id, reply, new)
        await _announce_ready(tx, session.id, plan, request_id, interviewer)
        return Received(kept.message, answered)
    job = await tx.enqueue_claimed(NewJob(JobKind.TAKE_TURN, session.id, request_id))
    turn = Turn(kept.session, kept.message, has_more=False) if kept.is_next else None
    return Received(kept.message, job=job, turn=turn)


async def _answer_after_ready(
    tx: IntakeTransaction, kept: Kept, screened: Screened, interviewer: Interviewer, request_id: str
) -> Answered:
    """The fixed answer to what is told after the hand-over, which an unread note must not lack if it is a danger."""
    session = kept.session
    reply = _with_emergency(_after_ready(screened.record, interviewer), screened.emergency_text)
    is_outdated = screened.is_danger and session.status is Status.READY
    note = _note(screened.record, interviewer) if is_outdated else None
    if is_outdated:
        await _have_worded(tx, session.id, request_id, interviewer)
    is_asking = interview.asks_for_safety(reply.text)
    pending = SAFETY if is_asking else None
    new = NewState(replace(screened.record, advice_due=(), pending=pending), session.status, handover=note)
    return await _answer(tx, session, kept.message.id, reply, new)


async def _answer(tx: IntakeTransaction, session: Session, to: UUID | None, reply: NewReply, new: NewState) -> Answered:
    """Append a reply to a session this transaction has locked."""
    appended = await tx.answer(session, to, reply, new)
    if appended is None:
        raise Unavailable
    return Answered(appended, session.with_line(new.record, new.status))


def _after_emergency(
    record: ClinicalRecord, advice: str, inbound: Inbound, content: ClinicalContent, *, is_next: bool
) -> tuple[TurnPlan, str]:
    """What is said to an emergency, and the record with the facts it tells.

    While an earlier message still waits (is_next is False) this one is only screened, for facts are read in the order
    in which they were told.
    """
    if not is_next:
        return TurnPlan(record, advice, advice, record.pending, (), is_ready=False), advice
    return interview.after_emergency(record, advice, inbound, content)


def _after_ready(record: ClinicalRecord, interviewer: Interviewer) -> NewReply:
    return NewReply(interview.after_ready(record, interviewer.content), Stage.HANDOVER.value, "answered_fixed")


def _with_emergency(reply: NewReply, text: str | None) -> NewReply:
    if text is None:
        return reply
    return NewReply(f"{text}\n\n{reply.text}", reply.agent, reply.state, is_emergency=True)


def listen(text: str, interviewer: Interviewer) -> Screened:
    """What is heard in words by themselves, whoever says them."""
    return interview.screen(interview.new_record(), Inbound("", text, 0), interviewer.content)


def is_dangerous(text: str, interviewer: Interviewer) -> bool:
    """Whether words raise a flag or tell a dangerous reading: such words are let in above every limit."""
    return listen(text, interviewer).is_danger


def is_dangerous_next(session: Session, text: str, interviewer: Interviewer) -> bool:
    """The same of words that follow on what was told in this session, and on what was asked last."""
    return interview.screen(session.record, Inbound("", text, 0), interviewer.content).is_danger


async def answer(received: Received, session_id: UUID, *, store: IntakeStore, interviewer: Interviewer) -> Answered:
    """The reply to a received message: taken now if its turn is ours, else waited for; None past the deadline."""
    if received.answered is not None:
        return received.answered
    end = time.monotonic() + interviewer.deadline_s
    job, turn, message_id = received.job, received.turn, received.message.id
    while True:
        if job is not None:
            taken = await _take_inline(job, turn, end, store=store, interviewer=interviewer)
            if taken is not None and taken.reply is not None and taken.reply.reply_to == message_id:
                return taken
        reply = await store.reply_of(message_id)
        if reply is not None or time.monotonic() >= end:
            return Answered(reply, None)
        await asyncio.sleep(_POLL_S)
        job, turn = await store.claim_turn(session_id), None


async def _take_inline(
    job: Job, turn: Turn | None, end: float, *, store: IntakeStore, interviewer: Interviewer
) -> Answered | None:
    """One turn before end, its lease kept; given back to the workers when it cannot be finished here."""
    within_s = max(0.0, end - time.monotonic() - _MARGIN_S)
    try:
        async with store.held(job):
            return await take_turn(job, store=store, interviewer=interviewer, within_s=within_s, turn=turn)
    except BaseException as interrupted:
        await store.give_back(job, type(interrupted).__name__)
        raise


async def take_turn(
    job: Job,
    *,
    store: IntakeStore,
    interviewer: Interviewer,
    within_s: float | None = None,
    turn: Turn | None = None,
) -> Answered | None:
    """Answer the oldest waiting message of the job's session; the same code inline and in a worker.

    What is not ours any more when we come to write is dropped: another worker has it, and the answer is None.
    within_s shortens the time a model may take. turn is what to answer, for who has just read it.
    """
    started = time.monotonic()
    turn = turn or await store.turn(job.subject)
    if turn is None:
        await _let_go(job, store)
        return None
    plan, is_fixed = _plan(turn, job.attempt, interviewer)
    deadline_s = interviewer.deadline_s if within_s is None else min(within_s, interviewer.deadline_s)
    is_ours = is_fixed or plan.question_id in _OUR_WORDS_ONLY or bool(turn.session.record.advice_due)
    found = Worded(plan, plan.reply, _state(is_fixed))
    if not is_ours and await _may_be_worded(turn, plan, store, interviewer):
        found = await _find_words(turn, plan, deadline_s, store=store, interviewer=interviewer, is_shown=True)
    state = found.state
    try:
        async with store.begin() as tx:
            answered = await _write(tx, job, turn, found, interviewer)
        if answered is None:
            answered, state = await _answer_under_lock(job, store, interviewer)
    except NotOurs:
        return None
    if answered is not None:
        interviewer.observer.turn(state, time.monotonic() - started)
    return answered


async def _answer_under_lock(job: Job, store: IntakeStore, interviewer: Interviewer) -> tuple[Answered | None, str]:
    """Answer what waits now in the scripted words, with the session locked, so that nothing moves in between.

    For a turn whose session moved while its words were found: another message was kept, or this one was answered.
    """
    async with store.begin() as tx:
        await tx.lock(job.subject)
        turn = await tx.turn(job.subject)
        if turn is None:
            await tx.settle(job)
            return None, ""
        plan, is_fixed = _plan(turn, job.attempt, interviewer)
        found = Worded(plan, plan.reply, _state(is_fixed))
        return await _write(tx, job, turn, found, interviewer), found.state


async def _let_go(job: Job, store: IntakeStore) -> None:
    """Let go of a job that has nothing left to do; if somebody else has it, so much the better."""
    with suppress(NotOurs):
        async with store.begin() as tx:
            await tx.settle(job)


def _plan(turn: Turn, attempt: int, interviewer: Interviewer) -> tuple[TurnPlan, bool]:
    """The next reply, and whether it is the fixed one: the interview is over, or this turn fails again and again."""
    session, waiting = turn.session, turn.waiting
    if not session.status.is_closed and attempt < _HOPELESS_ATTEMPT:
        inbound = Inbound(str(waiting.id), waiting.text, waiting.seq)
        return interview.plan_turn(session.record, inbound, interviewer.content), False
    record, text = session.record, _after_ready(session.record, interviewer).text
    return TurnPlan(replace(record, advice_due=()), text, text, record.pending, (), is_ready=False), True


def _state(is_fixed: bool) -> str:  # noqa: FBT001 - one of two names
    return "answered_fixed" if is_fixed else "answered_fallback"


async def _may_be_worded(turn: Turn, plan: TurnPlan, store: IntakeStore, interviewer: Interviewer) -> bool:
    briefing = interviewer.briefing
    if briefing is None:
        return True
    if not briefing.speaks(plan):
        return False
    if briefing.needs_consent and not await store.may_leave(turn.session.id):
        interviewer.observer.fallback("no_consent")
        return False
    return True


async def _find_words(
    turn: Turn,
    plan: TurnPlan,
    deadline_s: float,
    *,
    store: IntakeStore,
    interviewer: Interviewer,
    is_shown: bool = False,
) -> Worded:
    """A model's wording of what code decided, or the scripted words when it fails or says what it may not.

    With is_shown it is shown as it grows, and stopped words are left for who stopped them to write. The plan comes back
    with what the model read besides; a reply that is not sent brings neither facts nor reasoning with it.
    """
    end = time.monotonic() + deadline_s
    prompt = await _prompt(turn, plan, store, interviewer)
    try:
        # The deadline is ours to keep: a model that hangs does not ask for our patience.
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + end - time.monotonic()):
            left_s = end - time.monotonic()
            completion = await _said(turn, prompt, left_s, store=store, interviewer=interviewer, is_shown=is_shown)
    except Stopped:
        return Worded(plan, plan.reply, "answered_fallback")
    except (ModelFailed, TimeoutError) as failed:
        interviewer.observer.fallback(failed.reason if isinstance(failed, ModelFailed) else "timed_out")
        return Worded(plan, plan.reply, "answered_fallback", has_failed=True)
    text = _usable(completion, prompt)
    if text is None:
        interviewer.observer.fallback("unusable")
        return Worded(plan, plan.reply, "answered_fallback", has_failed=True)
    state = "answered_fallback" if interviewer.is_builtin else "answered_ai"
    worded = replace(plan, record=_with_facts(plan.record, completion, interviewer))
    return Worded(worded, text, state, has_failed=False, reasoning=completion.reasoning)


def _with_facts(record: ClinicalRecord, completion: Completion, interviewer: Interviewer) -> ClinicalRecord:
    if not completion.facts:
        return record
    from anamnesis.intake.prompting import with_facts  # noqa: PLC0415 - who names no model pays for none

    return with_facts(record, completion.facts, interviewer.content.interview.agenda)


async def _said(
    turn: Turn, prompt: Prompt, left_s: float, *, store: IntakeStore, interviewer: Interviewer, is_shown: bool
) -> Completion:
    model, listener = interviewer.model, interviewer.listener
    if listener is None or not is_shown or not isinstance(model, Speaker):
        return await model.complete(prompt, deadline_s=left_s)
    return await spoken(model, prompt, turn, deadline_s=left_s, store=store, listener=listener)


async def _prompt(turn: Turn, plan: TurnPlan, store: IntakeStore, interviewer: Interviewer) -> Prompt:
    if interviewer.briefing is None:
        record = plan.record
        return Prompt(plan.question_id, plan.reply, record.stage.value, record.language, is_flagged=bool(record.flags))
    from anamnesis.intake.prompting import LAST_LINES, compose_prompt  # noqa: PLC0415 - same

    lines = await store.last_lines(turn.session.id, LAST_LINES)
    known = await store.known_of(turn.session.id)
    agenda = interviewer.content.interview.agenda
    prompt = compose_prompt(plan, turn.session.id, lines, interviewer.briefing, agenda, known=known)
    return replace(prompt, look=_look(turn, interviewer.photos))


def _look(turn: Turn, photos: Photos | None) -> Look | None:
    """How the photos of the message are found, of it alone, if it has any and a model may see them."""
    references, session_id = turn.waiting.images, turn.session.id
    if photos is None or not references:
        return None
    return lambda within_s: photos.of(references, session_id, within_s)


def _usable(completion: Completion, prompt: Prompt) -> str | None:
    """The model's words, cleaned as people's are; None when they are cut off, empty, endless or refused."""
    text = clean(completion.text).strip()
    if completion.finish_reason != "stop" or not 0 < len(text) <= _LONGEST_REPLY:
        return None
    verdict = check_reply(text, after_flag=prompt.is_flagged, language=prompt.language, told=prompt.told)
    return None if isinstance(verdict, Refused) else text


async def _write(
    tx: IntakeTransaction, job: Job, turn: Turn, found: Worded, interviewer: Interviewer
) -> Answered | None:
    """Transaction B: append the reply; None, with nothing written, when the session has moved since it was planned.

    The session is locked before the job, as in transaction A, so that the two never wait for each other.
    Raises NotOurs.
    """
    session = turn.session
    plan = found.plan
    reply, new = _reply(session, plan, found.text, found.state, interviewer)
    reply = replace(reply, reasoning=found.reasoning)
    appended = await tx.answer(session, turn.waiting.id, reply, replace(new, has_model_failed=found.has_failed))
    if appended is None:
        return None
    await tx.settle(job, has_more=turn.has_more)
    await _announce_ready(tx, session.id, plan, job.request_id, interviewer)
    return Answered(appended, session.with_line(new.record, new.status))


def _reply(
    session: Session,
    plan: TurnPlan,
    words: str,
    state: str,
    interviewer: Interviewer,
    *,
    is_emergency: bool = False,
) -> tuple[NewReply, NewState]:
    """The reply and the session's new state; when the interview is complete, the hand-over with them."""
    choices = tuple((choice.value, choice.label) for choice in plan.choices)
    complaint = plan.record.answer("chief_complaint")
    open_status = Status.READY if plan.is_ready else Status.IN_PROGRESS
    new = NewState(
        plan.record,
        session.status if session.status.is_closed else open_status,
        name=complaint.value[:_NAME_LENGTH] if isinstance(complaint, Reported) else None,
        handover=_note(plan.record, interviewer) if plan.is_ready else None,
        topics=(f"session:{session.id}",),
    )
    return NewReply(words, plan.record.stage.value, state, choices, is_emergency), new


def _note(record: ClinicalRecord, interviewer: Interviewer) -> dict[str, Any]:
    content = interviewer.content
    note = draft_sbar(
        record, rules_version=content.version, is_draft=content.is_draft, is_degraded=interviewer.is_builtin
    )
    return sbar_to_json(note)


async def _announce_ready(
    tx: IntakeTransaction, session_id: UUID, plan: TurnPlan, request_id: str, interviewer: Interviewer
) -> None:
    if plan.is_ready:
        await tx.enqueue(NewJob(JobKind.ANNOUNCE_HANDOVER, session_id, request_id))
        await _have_worded(tx, session_id, request_id, interviewer)


async def _have_worded(tx: IntakeTransaction, session_id: UUID, request_id: str, interviewer: Interviewer) -> None:
    """Leave it to a worker to have the note tidied, where there is a model; nobody waits for that."""
    if interviewer.briefing is not None:
        await tx.enqueue(NewJob(JobKind.WORD_NOTE, session_id, request_id))


async def stop_reply(
    access: Access,
    session_id: UUID,
    actor: Person,
    *,
    named: UUID | None,
    store: IntakeStore,
    interviewer: Interviewer,
) -> Answered:
    """End the reply that is on its way: what was shown of it is the reply, marked; before that, the scripted words.

    A question that had not been shown whole was not asked, so nothing told next is taken for its answer. When nothing
    is on its way, or another message than the named one is being answered, nothing changes.
    """
    async with store.begin() as tx:
        await tx.lock(session_id)
        turn = await tx.turn(session_id)
        if turn is not None and named in (None, turn.waiting.id):
            return await _stop(tx, turn, access, actor, interviewer)
    return Answered(None if named is None else await store.reply_of(named), None)


async def _stop(tx: IntakeTransaction, turn: Turn, access: Access, actor: Person, interviewer: Interviewer) -> Answered:
    plan, is_fixed = _plan(turn, 0, interviewer)
    words, state = plan.reply, _state(is_fixed)
    if turn.so_far:
        plan, words, state = _as_far_as_shown(turn, plan), turn.so_far, "answered_ai"
    reply, new = _reply(turn.session, plan, words, state, interviewer)
    woken = replace(new, topics=(*new.topics, topic_of(turn.waiting.id)))
    answered = await _answer(tx, turn.session, turn.waiting.id, replace(reply, is_stopped=bool(turn.so_far)), woken)
    told = {"connectionId": str(access.link.connection_id)}
    await tx.audit(actor, "intake_response_stopped", turn.session.id, told)
    return answered


def _as_far_as_shown(turn: Turn, plan: TurnPlan) -> TurnPlan:
    """The plan with what the patient told, and with its question only if the words that were shown ask it."""
    from anamnesis.llm.drafts import asks  # noqa: PLC0415 - same

    if asks(turn.so_far, plan.question):
        return plan
    old, shown = turn.session.record, turn.so_far
    told = replace(plan.record, asked=old.asked, danger_signs=old.danger_signs, stage=old.stage, pending=None)
    return TurnPlan(told, shown, shown, None, (), is_ready=False)


async def regenerate(
    access: Access,
    session_id: UUID,
    actor: Person,
    *,
    named: UUID | None,
    store: IntakeStore,
    interviewer: Interviewer,
) -> Answered:
    """The last reply in other words, the old ones kept as history; a message that still waits is answered.

    Only the wording of a plain question is found anew: the record, the urgency and what is asked stay as they are. A
    reply that may not be worded by a model, or that a model cannot word now, stays; so does one when named, the reply
    the caller saw, was replaced before. Raises BadInput before the patient's first message.
    """
    last = await store.last_exchange(session_id, named)
    if last is None:
        raise BadInput("Nothing was written here yet, so there is no reply to put in other words.")
    if last.reply is None:
        return await answer(Received(last.message), session_id, store=store, interviewer=interviewer)
    found = await _other_words(last, store, interviewer)
    if found is None or found.text == last.reply.text:
        return Answered(last.reply, last.session)
    agent, choices = last.reply.agent or "", last.reply.choices
    reply = NewReply(found.text, agent, "answered_ai", choices, reasoning=found.reasoning)
    async with store.begin() as tx:
        replaced = await tx.replace_reply(last.session, last.reply, reply, f"session:{session_id}")
        if replaced is not None:
            told = {"connectionId": str(access.link.connection_id)}
            await tx.audit(actor, "intake_response_regenerated", session_id, told)
    return Answered(replaced or await store.reply_of(last.message.id), None)


async def _other_words(last: Exchange, store: IntakeStore, interviewer: Interviewer) -> Worded | None:
    """A model's wording of the question that is pending, or None when this reply stays as it is."""
    reply, session, content = last.reply, last.session, interviewer.content
    is_ours = reply is None or reply.is_emergency or last.state == "answered_fixed" or session.status.is_closed
    if reply is None or is_ours or last.has_moved or interviewer.is_builtin:
        return None
    plan = interview.asked_again(session.record, reply.text, content, is_worded=last.state == "answered_ai")
    if plan is None or plan.question_id in _OUR_WORDS_ONLY or session.record.advice_due:
        return None
    turn = Turn(session, last.message, has_more=False)
    if not await _may_be_worded(turn, plan, store, interviewer):
        return None
    found = await _find_words(turn, plan, interviewer.deadline_s, store=store, interviewer=interviewer)
    return None if found.has_failed else found


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
        await _greet(tx, session, plan)
        return session.id


async def _greet(tx: IntakeTransaction, session: Session, plan: TurnPlan) -> None:
    choices = tuple((choice.value, choice.label) for choice in plan.choices)
    greeting = NewReply(plan.reply, plan.record.stage.value, "answered_fixed", choices)
    await _answer(tx, session, None, greeting, NewState(plan.record, Status.NOT_STARTED))


async def archive_session(access: Access, session_id: UUID, actor: Person, *, store: IntakeStore) -> None:
    """Take an unfinished interview out of every list; what was said is kept.

    Raises BadInput for a finished one, and for one with an emergency in it, which only a clinician puts away.
    """
    async with store.begin() as tx:
        session = await tx.lock(session_id)
        _check_unfinished(session, "deleted")
        if session.record.acuity is Acuity.EMERGENCY:
            raise BadInput("What was told here sounded dangerous, so it stays with your doctor until it was seen.")
        await tx.archive(session_id)
        told = {"connectionId": str(access.link.connection_id), "previousStatus": session.status.value}
        await tx.audit(actor, "intake_session_deleted", session_id, told)


async def reset_session(
    access: Access, session_id: UUID, actor: Person, *, store: IntakeStore, interviewer: Interviewer
) -> None:
    """Begin an unfinished interview again under its id; the old conversation is kept, no longer shown.

    A danger that was told stays on record: only a clinician lowers an urgency. Raises BadInput for a finished one.
    """
    async with store.begin() as tx:
        session = await tx.lock(session_id)
        _check_unfinished(session, "begun again")
        told = {
            "connectionId": str(access.link.connection_id),
            "previousStatus": session.status.value,
            "previousCompleteness": session.record.completeness,
        }
        while (turn := await tx.turn(session_id)) is not None:
            # No interview will answer it any more, and no message is left without an answer.
            unchanged = NewState(turn.session.record, turn.session.status)
            last = _after_ready(session.record, interviewer)
            await _answer(tx, turn.session, turn.waiting.id, last, unchanged)
        old, new = session.record, interview.new_record()
        new = replace(
            new, flags=old.flags, acuity=old.acuity, colour=old.colour, reasons=old.reasons, lowered=old.lowered
        )
        plan = interview.opening(new, interviewer.content)
        again = await tx.begin_again(session, plan.record, access.link.doctor_user_id)
        await _greet(tx, again, plan)
        await tx.audit(actor, "intake_reset", session_id, told)


def _check_unfinished(session: Session, done: str) -> None:
    if session.status.is_closed:
        raise BadInput(f"This interview is complete and with your doctor, so it cannot be {done}.")
