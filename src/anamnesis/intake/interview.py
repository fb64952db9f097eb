"""The interviewer that needs no model: reads an answer, decides what is asked next, and words it.

Pure: a record and a message in, a record and a text out. Code decides what is asked; a model may only word it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from anamnesis.clinical import agenda as agendas
from anamnesis.clinical import answers, told
from anamnesis.clinical.agenda import Choice, Question
from anamnesis.clinical.guardrails import Refused, check_reply
from anamnesis.clinical.reading import (
    NOT_MENTIONED,
    Words,
    classified,
    may_be_answer,
    read_answer,
    read_beside_person,
    read_complaint,
    read_contradicted_signs,
    read_correction,
    read_late_kinds,
    read_person,
    read_pregnancy_answer,
    read_present_signs,
    read_summary_corrected,
    read_told_signs,
    read_unasked,
)
from anamnesis.clinical.record import SIGN, Answer, ClinicalRecord, Declined, NoneReported, Reported, Stage
from anamnesis.clinical.sbar import describe, shortened
from anamnesis.clinical.screening import EMERGENCY_ADVICE, SAFETY, heard, is_unsafe, latch
from anamnesis.clinical.terms import Acuity, Age, Evidence, Person, RedFlag, Sex
from anamnesis.clinical.typed_vitals import read_vitals
from anamnesis.content import ClinicalContent

__all__ = [
    "Choice",
    "Inbound",
    "Screened",
    "TurnPlan",
    "after_emergency",
    "after_ready",
    "asked_again",
    "new_record",
    "opening",
    "plan_turn",
    "screen",
]

_TRIES: Final = 2
#: Questions whose every part is asked for until it is told, once more than others.
_NEEDED_WHOLE: Final = frozenset({"who", "chief_complaint"})
_ACKS: Final = ("ack_1", "ack_2", "ack_3", "ack_4", "ack_5", "ack_6")
_LONG_ANSWER_WORDS: Final = 12
_CONFLICT: Final = "conflict:"
#: A photo without words answers whether there are results and letters, and nothing else.
_RECORDS: Final = "records"
_NOT_UNDERSTOOD: Final = "not understood twice"
_SHOWN: Final = (
    ("chief_complaint", "Problem"), ("onset", "Since"), ("severity", "How bad"), ("medicines", "Medicines"),
    ("allergies", "Allergies"), ("past_history", "Other illnesses"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inbound:
    """A patient's message: its id, its words, its place in the session, and when it came, in UTC."""

    message_id: str
    text: str
    seq: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Screened:
    """A record after a message was read for danger. emergency_text is fixed text, or None without a new emergency.

    is_danger: the message raises a flag or the urgency, or has advice to go; readings and answers can without a flag.
    """

    record: ClinicalRecord
    new_flags: tuple[RedFlag, ...]
    emergency_text: str | None
    is_danger: bool


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What the interviewer does next: the record after reading, the words, what they ask, and why.

    question is the bare question without what leads up to it, for when a fixed text must stand before it.
    """

    record: ClinicalRecord
    reply: str
    question: str
    question_id: str | None
    choices: tuple[Choice, ...]
    is_ready: bool
    why: str | None = None


def new_record(
    *, language: str = "en", name: str | None = None, age: Age | None = None, sex: Sex | None = None
) -> ClinicalRecord:
    """An empty record, with what the patient's profile already says."""
    record = ClinicalRecord(language=language, name=name, person=Person(age=age, sex=sex))
    profile = {"name": name, "age": age and f"{age.years:.0f} years", "sex": sex and sex.value}
    for slot, value in profile.items():
        if value:
            record = record.with_answer(slot, Reported(str(value), Evidence("profile", str(value))))
    return record


def opening(record: ClinicalRecord, content: ClinicalContent) -> TurnPlan:
    """The greeting and the first question."""
    key = "greeting_named" if record.name else "greeting"
    return _ask_next(record, content, [_say(record, content, key).format(name=record.name)])


def after_ready(record: ClinicalRecord, content: ClinicalContent) -> str:
    """The fixed text for a message after the hand-over was written."""
    advice = [_say(record, content, key) for key in record.advice_due]
    return "\n\n".join([*advice, _say(record, content, "after_ready")])


def _say(record: ClinicalRecord, content: ClinicalContent, key: str) -> str:
    return content.interview.text(key, record.language)


def asked_again(record: ClinicalRecord, reply: str, content: ClinicalContent, *, is_worded: bool) -> TurnPlan | None:
    """The pending question as it was put, for another wording of the reply that put it; the record stays as it is.

    None when that reply says more than thanks and its question: advice, or what could not be read, is not said anew.
    is_worded is whether a model chose the reply's words, which it may do only for a plain question.
    """
    question = content.interview.agenda.question(record.pending)
    if question is None:
        return None
    text = _worded(record, question, content)
    thanks = {"", *(_say(record, content, key) for key in _ACKS)}
    if not is_worded and not (reply.endswith(text) and reply.removesuffix(text).strip() in thanks):
        return None
    return TurnPlan(record, reply, text, question.id, _choices(record, question, content), is_ready=False)


# -- danger ------------------------------------------------------------------------------------------------------


def screen(record: ClinicalRecord, inbound: Inbound, content: ClinicalContent) -> Screened:
    """Read a message for danger, together with all that was told before. Urgency only rises.

    Deterministic and without a model; runs before anything else happens to the message.
    """
    words, acuity = Words(inbound.message_id, inbound.text), record.acuity
    record = read_person(_in_language(record, inbound), words, asked=record.pending)
    if record.pending == "pregnancy":
        record = read_pregnancy_answer(record, words)
    unsafe = is_unsafe(record, words)
    record = _timed(heard(record, words, content.lexicon), inbound)
    latched = latch(record, content.rules, version=content.version)
    # Whoever has just said that they are not safe is told where to go, and not asked for it once more.
    advice = (EMERGENCY_ADVICE,) if unsafe else latched.advice
    text = "\n\n".join(_say(latched.record, content, key) for key in advice) or None
    is_danger = bool(latched.new_flags or text) or latched.record.acuity > acuity
    return Screened(latched.record, latched.new_flags, text, is_danger)


def _timed(record: ClinicalRecord, inbound: Inbound) -> ClinicalRecord:
    """The record with when the readings of this message were told."""
    has_readings = any(evidence.message_id == inbound.message_id for _, evidence in record.readings)
    if inbound.at is None or not has_readings:
        return record
    return replace(record, told_at={**record.told_at, inbound.message_id: f"{inbound.at:%Y-%m-%d %H:%M} UTC"})


_LANGUAGES: Final = {
    "sw": frozenset({
        "nina", "habari", "jambo", "mimi", "mtoto", "wangu", "homa", "hapana", "ndiyo", "sijui", "maumivu", "tangu",
        "jana", "leo", "kichwa", "tumbo", "dawa", "naumwa", "ni", "na", "ya", "miaka",
    }),
    "lg": frozenset({
        "nnina", "nze", "omwana", "wange", "omusujja", "nedda", "yee", "simanyi", "omutwe", "olubuto", "okuva", "jjo",
        "leero", "ndi", "nnumwa", "gyebale", "ssebo", "emyaka",
    }),
}  # fmt: skip
_ENGLISH: Final = re.compile(r"\b(?:i|the|have|is|my|and|it|since|me|no|yes|about|not|with|for)\b")


def _in_language(record: ClinicalRecord, inbound: Inbound) -> ClinicalRecord:
    """The record in the language the patient has changed to: two words of it and none of English."""
    text = inbound.text.lower()
    if record.language != "en" or _ENGLISH.search(text):
        return record
    counts = {language: len(known & set(re.findall(r"\w+", text))) for language, known in _LANGUAGES.items()}
    best = max(counts, key=lambda language: counts[language])
    return replace(record, language=best) if counts[best] > 1 else record


# -- reading an answer -------------------------------------------------------------------------------------------


def plan_turn(record: ClinicalRecord, inbound: Inbound, content: ClinicalContent) -> TurnPlan:
    """Read the answer to what was asked and whatever else was told, then ask the next question, or finish.

    The record is one that ``screen`` has already seen this message with.
    """
    words, agenda = Words(inbound.message_id, inbound.text), content.interview.agenda
    if record.pending not in (_RECORDS, SAFETY) and answers.is_attachment(words.text):
        return _after_attachment(record, content)
    if record.pending is not None and record.pending.startswith(_CONFLICT):
        return _ask_next(_settled(record, words), content, [_ack(record, inbound, content)])
    if record.pending == SAFETY:
        # Whether somebody is safe, and who is with them, is what the doctor looks for first.
        record = record.with_told(words.whole)
    asked = agenda.question(record.pending)
    commanded = _commanded(record, words, asked, content)
    if commanded is not None:
        return commanded
    slots = () if asked is None else _asked_slots(record, asked, content)
    correction = read_correction(record, words, slots, agenda.vocabulary)
    if correction is not None and (asked is None or asked.kind != "read_back"):
        return _after_correction(correction, asked, content)
    before = record
    record, facts = read_unasked(record, words, slots, asked, agenda.vocabulary)
    record = read_complaint(record, words, agenda, asked=asked)
    if asked is not None and asked.kind == "read_back":
        corrected = read_summary_corrected(record, words) if correction is None else correction
        return _after_read_back(corrected, words, asked, content)
    if asked is not None:
        record = read_answer(record, words, asked, slots, facts, agenda)
        record = read_beside_person(record, words, facts) if asked.kind in ("person", "speaker") else record
        # Whoever told of one medicine unasked has now been asked for the others.
        record = replace(record, volunteered=tuple(each for each in record.volunteered if each not in asked.slots))
    record = read_contradicted_signs(record, words, agenda, asked=asked)
    record = read_late_kinds(classified(record, agenda), words, agenda, asked=asked)
    record = read_told_signs(record, words, agenda, asked=asked)
    return _after_answer(before, record, inbound, asked, is_told=bool(facts), content=content)


def after_emergency(
    record: ClinicalRecord, advice: str, inbound: Inbound, content: ClinicalContent
) -> tuple[TurnPlan, str]:
    """What is said to an emergency, and the record with the facts it tells.

    It is read as the answer to what was asked only where it can be one: "metformin and some herbs" are medicines, "I
    want to die" is none. Advice that asks something itself stands alone, and only that is pending after it: "yes, I am
    safe" is no medicine either. Words that were read as nothing are kept for the doctor.
    """
    words, agenda = Words(inbound.message_id, inbound.text), content.interview.agenda
    asked, is_asking = agenda.question(record.pending), asks_for_safety(advice.rstrip()[-1:])
    if asked is not None and not is_asking and may_be_answer(words.text, asked, agenda.vocabulary):
        plan = plan_turn(record, inbound, content)
    else:
        if asked is not None and asked.kind == "signs":
            record = read_present_signs(record, words, agenda)
        plan = plan_turn(replace(record, pending=None), inbound, content)
        if not _is_quoted(plan.record, inbound):
            plan = replace(plan, record=plan.record.with_told(words.whole))
    if not is_asking or plan.is_ready:
        return plan, f"{advice}\n\n{content.texts['continue']}\n\n{plan.question}"
    told_so = replace(
        plan.record, asked=record.asked, danger_signs=record.danger_signs, stage=record.stage, pending=SAFETY
    )
    return TurnPlan(told_so, advice, advice, None, (), is_ready=False), advice


def _asked_slots(record: ClinicalRecord, asked: Question, content: ClinicalContent) -> tuple[str, ...]:
    return agendas.open_slots(asked, record, content.interview.agenda)


def _commanded(
    record: ClinicalRecord, words: Words, asked: Question | None, content: ClinicalContent
) -> TurnPlan | None:
    said = answers.command(words.text)
    if said == "person":
        return _ask_next(replace(record, wants_person=True), content, [_say(record, content, "person_wanted")])
    if said == "done":
        return _ended_early(record, words, content)
    if said == "skip" and asked is not None:
        record = _left(record, _asked_slots(record, asked, content), Declined("skipped", words.whole))
        return _ask_next(record, content, [_say(record, content, "ack_skip")])
    return None


def _ended_early(record: ClinicalRecord, words: Words, content: ClinicalContent) -> TurnPlan:
    """Finish; but a doctor can do nothing for a problem nobody named, so that is asked for once before."""
    complaint = content.interview.agenda.question("chief_complaint")
    if complaint is None or record.is_covered(complaint.id):
        return _finish(replace(record, is_ended_early=True), content)
    if record.asked.count(complaint.id) < _TRIES:
        return _ask(record, complaint, content, [_say(record, content, "before_end")])
    record = _left(record, _asked_slots(record, complaint, content), Declined("ended early", words.whole))
    return _finish(replace(record, is_ended_early=True), content)


def _after_attachment(record: ClinicalRecord, content: ClinicalContent) -> TurnPlan:
    """A photo without words is in the transcript; what was asked is asked again, and that was no try at it."""
    asked, leads = content.interview.agenda.question(record.pending), [_say(record, content, "ask_again_kept")]
    if record.pending is None:
        return _ask_next(record, content, [])
    if record.asked[-1:] == (record.pending,):
        record = replace(record, asked=record.asked[:-1])
    safety = _safety_first(record, content)
    if safety is not None:
        return safety
    if asked is None:
        return _ask_next(replace(record, pending=None), content, leads)
    record, leads = _advised(record, content, leads)
    return _ask(record, asked, content, leads)


def _left(record: ClinicalRecord, slots: Sequence[str], declined: Declined) -> ClinicalRecord:
    """The record without answers to these topics; signs that were named and not answered are left with them."""
    for slot in slots:
        record = record.with_answer(slot, declined)
    if {"danger_signs", "more_signs"} & set(slots):
        for name in record.danger_signs:
            if not record.is_sign_covered(name):
                record = record.with_sign(name, declined)
    return record


def _after_correction(record: ClinicalRecord, asked: Question | None, content: ClinicalContent) -> TurnPlan:
    """Thank for the correction and put the same question again."""
    record = classified(record, content.interview.agenda)
    leads = [_say(record, content, "ack_corrected")]
    slots = () if asked is None else _asked_slots(record, asked, content)
    if asked is None or not slots:
        return _ask_next(record, content, leads)
    return _ask(record, asked, content, leads)


def _after_read_back(record: ClinicalRecord, words: Words, asked: Question, content: ClinicalContent) -> TurnPlan:
    """The summary was right, or what is wrong with it is written down as told."""
    if answers.is_yes(words.text) or answers.is_greeting(words.text):
        return _ask_next(record.with_answer("read_back", Reported("yes", words.whole)), content, [])
    if answers.is_none(words.text) and record.asked.count(asked.id) < _TRIES:
        return _ask(record, asked, content, [_say(record, content, "what_to_change")], bare=True)
    if not answers.begins_with_yes(words.text):
        record = record.with_told(words.whole)
    record = record.with_answer("read_back", Reported(words.text, words.whole))
    return _ask_next(record, content, [_say(record, content, "ack_corrected")])


def _after_answer(
    before: ClinicalRecord,
    record: ClinicalRecord,
    inbound: Inbound,
    asked: Question | None,
    *,
    is_told: bool,
    content: ClinicalContent,
) -> TurnPlan:
    """Go on when the question is answered; ask for the rest of it, or once more, when it is not."""
    ack = _ack(record, inbound, content)
    if asked is None:
        return _ask_next(record, content, [ack])
    still_open = _asked_slots(record, asked, content)
    covered = tuple(slot for slot in asked.slots if record.is_covered(slot))
    if covered:
        record = replace(record, last_answered=covered)
    refused = _refused(inbound, asked)
    if refused and record.asked.count(asked.id) < _TRIES:
        return _again(record, inbound, asked, content, _unusual(record, refused, content))
    if record.acuity is Acuity.EMERGENCY and not asked.in_emergency:
        return _ask_next(record, content, [ack])
    if not still_open:
        is_asking = asked.id == "anything_else" and answers.is_question(inbound.text)
        return _ask_next(record, content, [_say(record, content, "cannot_advise") if is_asking else ack])
    if len(still_open) < len(_asked_slots(before, asked, content)) and _is_rest_left(record, asked, inbound):
        return _ask_next(_left(record, still_open, Declined(NOT_MENTIONED, _whole(inbound))), content, [ack])
    is_answered = len(still_open) < len(asked.slots)
    lead = ack if is_answered or is_told else _why_again(record, inbound, asked, content)
    return _again(record, inbound, asked, content, lead)


def _whole(inbound: Inbound) -> Evidence:
    return Evidence(inbound.message_id, inbound.text)


def _is_rest_left(record: ClinicalRecord, asked: Question, inbound: Inbound) -> bool:
    """Whether the parts of a question that a long answer, or a second one, leaves out are left alone."""
    if asked.id in _NEEDED_WHOLE:
        return False
    return len(inbound.text.split()) > _LONG_ANSWER_WORDS or record.asked.count(asked.id) >= _TRIES


def _refused(inbound: Inbound, asked: Question) -> tuple[str, ...]:
    """The readings nobody can have, among an answer to the question for them: they are asked for again."""
    return read_vitals(inbound.text, is_asked=True).refused if asked.kind == "vitals" else ()


def _unusual(record: ClinicalRecord, refused: Sequence[str], content: ClinicalContent) -> str:
    return _say(record, content, "implausible").format(reading=", ".join(refused))


def _why_again(record: ClinicalRecord, inbound: Inbound, asked: Question, content: ClinicalContent) -> str:
    if answers.is_puzzled(inbound.text):
        return _say(record, content, "not_clear")
    if answers.is_question(inbound.text):
        return _say(record, content, "cannot_advise")
    if answers.is_greeting(inbound.text):
        return _say(record, content, "hello")
    if asked.kind == "signs" and answers.is_yes(inbound.text):
        return _say(record, content, "which_signs")
    if asked.id == "chief_complaint" and not record.is_covered("chief_complaint") and answers.is_vague(inbound.text):
        return _say(record, content, "tell_more")
    # Words beside the question are kept for the doctor below; to say that they were not understood would not be true.
    return _say(record, content, "ask_again_kept" if len(inbound.text.split()) > 1 else "ask_again")


def _again(
    record: ClinicalRecord, inbound: Inbound, question: Question, content: ClinicalContent, lead: str
) -> TurnPlan:
    """Ask once more; after two tries the topic is not obtained and the interview goes on.

    Words that answered nothing are kept for the doctor, and a question of the patient's with them.
    """
    says_nothing = (answers.is_greeting, answers.is_yes, answers.is_puzzled)
    is_answerless = not any(says(inbound.text) for says in says_nothing)
    is_again = any(inbound.text == each.quote for each in _quoted(record))
    if is_answerless and not is_again:
        record = record if _is_quoted(record, inbound) else record.with_told(_whole(inbound))
    safety = _safety_first(record, content)
    if safety is not None:
        return safety
    tries = _TRIES + 1 if question.id in _NEEDED_WHOLE else _TRIES
    if answers.is_greeting(inbound.text):
        # Who comes back after a day says hello first: that is no try at the question.
        record = replace(record, asked=record.asked[:-1])
    if record.asked.count(question.id) < tries:
        record, leads = _advised(record, content, [lead])
        return _ask(record, question, content, leads)
    record = _left(record, _asked_slots(record, question, content), Declined(_NOT_UNDERSTOOD, _whole(inbound)))
    return _ask_next(record, content, [_say(record, content, "ack_skip")])


def _quoted(record: ClinicalRecord) -> tuple[Evidence, ...]:
    """The words the record has already, so that the same message sent again is not kept twice."""
    told_so = (each for each in record.answers.values() if isinstance(each, Reported))
    return (*record.also_told, *(each.evidence for each in told_so))


def _is_quoted(record: ClinicalRecord, inbound: Inbound) -> bool:
    """Whether something of this message already stands in the record."""
    told_so = (*record.answers.values(), *record.signs.values())
    return any(
        isinstance(each, Reported | NoneReported) and each.evidence.message_id == inbound.message_id for each in told_so
    )


def _settled(record: ClinicalRecord, words: Words) -> ClinicalRecord:
    """The contradiction with the patient's word on it: the one of the two that was named, or what was said instead."""
    slot = (record.pending or "").removeprefix(_CONFLICT)
    answer, record = record.in_conflict(slot), replace(record, pending=None)
    if not isinstance(answer, Reported) or answers.is_unknown(words.text):
        return replace(record, conflicts=tuple(each for each in record.conflicts if each != slot))
    if slot.startswith(SIGN):
        is_none = answers.is_none(words.text) and not answers.is_yes(words.text)
        sign = slot.removeprefix(SIGN)
        return (record.with_sign(sign, NoneReported(words.whole)) if is_none else record).settled(slot)
    old = answer.superseded[-1] if answer.superseded else ""
    if words.text.strip().lower() == old.lower():
        kept: Answer = NoneReported(words.whole) if old == told.NONE else Reported(old, words.whole)
        record = record.with_answer(slot, kept)
    elif words.text.strip().lower() != answer.value.lower() and answer.value.lower() not in words.text.lower():
        record = record.with_answer(slot, Reported(words.text, words.whole))
    record = record.settled(slot)
    age = told.read_age(words.text, is_asked=True) if slot == "age" else None
    return record if age is None else replace(record, person=replace(record.person, age=age.value))


# -- what comes next ---------------------------------------------------------------------------------------------


def _ack(record: ClinicalRecord, inbound: Inbound, content: ClinicalContent) -> str:
    """Thanks for what was told; whoever does not know, or will not say, is not thanked for helping."""
    if answers.is_unknown(inbound.text) or answers.is_refused(inbound.text):
        return _say(record, content, "ack_skip")
    return _say(record, content, _ACKS[inbound.seq % len(_ACKS)])


def _advised(record: ClinicalRecord, content: ClinicalContent, leads: list[str]) -> tuple[ClinicalRecord, list[str]]:
    """The leads behind the advice that is due, and the record with it given."""
    advice = [_say(record, content, key) for key in record.advice_due]
    return replace(record, advice_due=()), [*advice, *leads]


def asks_for_safety(advice: str | None) -> bool:
    """Whether the advice asks something itself: whether somebody is safe."""
    return advice is not None and "?" in advice


def _safety_first(record: ClinicalRecord, content: ClinicalContent) -> TurnPlan | None:
    """The advice that is due, alone, when it asks whether somebody is safe: their next words answer that."""
    advice = "\n\n".join(_say(record, content, key) for key in record.advice_due)
    if not asks_for_safety(advice):
        return None
    record = replace(agendas.measured(record, content.interview.agenda), pending=SAFETY, advice_due=())
    return TurnPlan(record, advice, advice, None, (), is_ready=False)


def _ask_next(record: ClinicalRecord, content: ClinicalContent, leads: list[str]) -> TurnPlan:
    safety = _safety_first(record, content)
    if safety is not None:
        return safety
    record, leads = _advised(record, content, leads)
    open_conflicts = [slot for slot in record.conflicts if _CONFLICT + slot not in record.asked]
    if open_conflicts and record.acuity is not Acuity.EMERGENCY:
        return _ask_which(record, open_conflicts[0], content, leads)
    question = agendas.next_question(record, content.interview.agenda)
    if question is None:
        return _finish(record, content, leads)
    return _ask(record, question, content, leads)


def _ask_which(record: ClinicalRecord, slot: str, content: ClinicalContent, leads: list[str]) -> TurnPlan:
    """Ask once which of two contradicting things is right."""
    answer, asked = record.in_conflict(slot), _CONFLICT + slot
    record = replace(agendas.measured(record, content.interview.agenda), pending=asked, asked=(*record.asked, asked))
    new, old = ("", "") if not isinstance(answer, Reported) else (answer.value, answer.superseded[-1])
    topic = slot.removeprefix(SIGN).replace("_", " ")
    text = _say(record, content, "conflict").format(topic=topic, old=old, new=new)
    choices = (Choice(new, new), Choice(old, old))
    why = "Two answers do not fit together."
    return TurnPlan(record, "\n\n".join([*leads, text]), text, asked, choices, is_ready=False, why=why)


def _ask(
    record: ClinicalRecord, question: Question, content: ClinicalContent, leads: list[str], *, bare: bool = False
) -> TurnPlan:
    agenda = content.interview.agenda
    if question.kind == "signs" and record.pending != question.id:
        record = replace(record, danger_signs=_signs_due(record, question, content))
    record = replace(
        agendas.measured(record, agenda),
        pending=question.id,
        asked=(*record.asked, question.id),
        stage=question.stage,
    )
    text = leads[-1] if bare else _worded(record, question, content)
    reply = text if bare else _checked([*leads, text], record)
    choices = () if bare else _choices(record, question, content)
    return TurnPlan(record, reply, text, question.id, choices, is_ready=False, why=question.why)


def _signs_due(record: ClinicalRecord, question: Question, content: ClinicalContent) -> tuple[str, ...]:
    """The signs the question is to name: a list that was named already is named again, but for what was told since."""
    agenda = content.interview.agenda
    if question.id == "more_signs":
        return agendas.signs_left(record, agenda)
    return record.danger_signs or agendas.signs_to_ask(record, agenda)


def _choices(record: ClinicalRecord, question: Question, content: ClinicalContent) -> tuple[Choice, ...]:
    labels = content.interview.label
    fixed = tuple(Choice(each.value, labels(each, record.language)) for each in question.choices)
    if question.kind != "signs":
        return fixed
    signs = (content.interview.agenda.signs[name].label for name in _signs_open(record))
    return (*fixed[:1], *(Choice(label, label) for label in signs), *fixed[1:])


def _signs_open(record: ClinicalRecord) -> tuple[str, ...]:
    """The signs to name: those not told yet, when the question is put once more."""
    return tuple(name for name in record.danger_signs if not record.is_sign_covered(name)) or record.danger_signs


def _checked(lines: list[str], record: ClinicalRecord) -> str:
    """Our own words pass the same guard as a model's; a lead that would not is left out, and no other with it."""
    told_words = tuple(answer.value for answer in record.answers.values() if isinstance(answer, Reported))

    def may_be_said(line: str) -> bool:
        verdict = check_reply(line, after_flag=bool(record.flags), language=record.language, told=told_words)
        return not isinstance(verdict, Refused)

    return "\n\n".join([*filter(may_be_said, lines[:-1]), lines[-1]])


def _worded(record: ClinicalRecord, question: Question, content: ClinicalContent) -> str:
    agenda, own = content.interview.agenda, content.interview.question(question.id, record.language)
    slots = _asked_slots(record, question, content)
    is_whole = len(slots) == len([slot for slot in question.slots if agendas.applies(slot, record, agenda)])
    text = _besides(record, question, content) + agendas.worded(question, record, agenda)
    if own is not None and is_whole and agendas.text_for(question, record.person) == question.text:
        text = agendas.voiced(own, record.person)
    if question.kind == "signs":
        return "\n".join([text, *(f"– {agenda.signs[name].label}" for name in _signs_open(record))])
    if question.kind == "area":
        labels = (content.interview.label(each, record.language) for each in question.choices)
        return "\n".join([text, *(f"– {label}" for label in labels)])
    if question.kind == "read_back":
        return f"{_say(record, content, 'read_back')}\n{_summary(record)}\n{text}"
    return text


def _besides(record: ClinicalRecord, question: Question, content: ClinicalContent) -> str:
    """What was told of a list before it was asked for, so that only the rest is asked."""
    answer = record.answer(question.slots[0])
    if question.kind != "list" or question.slots[0] not in record.volunteered or not isinstance(answer, Reported):
        return ""
    return _say(record, content, "besides").format(told=answer.value) + " "


def _summary(record: ClinicalRecord) -> str:
    lines = [(label, record.answer(slot)) for slot, label in _SHOWN]
    return "\n".join(
        f"– {label}: “{shortened(each.value)}”" if isinstance(each, Reported) else f"– {label}: {describe(each)}"
        for label, each in lines
    )


def _finish(record: ClinicalRecord, content: ClinicalContent, leads: Sequence[str] = ()) -> TurnPlan:
    record = replace(agendas.measured(record, content.interview.agenda), pending=None, stage=Stage.HANDOVER)
    advice = [lead for lead in leads if "999" in lead]
    ready = _say(record, content, "ready")
    return TurnPlan(record, "\n\n".join([*advice, ready]), ready, None, (), is_ready=True)
