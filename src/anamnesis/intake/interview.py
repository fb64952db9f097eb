"""The interviewer that needs no model: reads an answer, decides what is asked next, and words it.

Pure: a record and a message in, a record and a text out. Code decides what is asked; a model may only word it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from anamnesis.clinical import answers
from anamnesis.clinical.findings import read_findings
from anamnesis.clinical.guardrails import Refused, check_reply
from anamnesis.clinical.record import (
    Answer,
    ClinicalRecord,
    Declined,
    NoneReported,
    NotAsked,
    Reported,
    Stage,
)
from anamnesis.clinical.red_flags import screen as screen_flags
from anamnesis.clinical.sbar import describe
from anamnesis.clinical.terms import Acuity, Age, Assertion, Colour, Evidence, Person, RedFlag, Sex, Speaker
from anamnesis.clinical.triage import dispose
from anamnesis.clinical.vitals import is_empty, merged, read_vitals
from anamnesis.content import ClinicalContent
from anamnesis.content.schema import Complaint, Question

_COLOURS: Final = (Colour.UNKNOWN, Colour.GREEN, Colour.YELLOW, Colour.RED)
_FERTILE_YEARS: Final = (12, 55)
_TRIES: Final = 2
_ACKS: Final = ("ack_1", "ack_2", "ack_3", "ack_4")
_WHO: Final = {"name": "What is the patient's name?", "age": "How old is the patient?", "sex": "Male or female?"}
_WHO_SELF: Final = {"name": "What is your name?", "age": "How old are you?", "sex": "Are you male or female?"}
_SHOWN: Final = (
    ("chief_complaint", "Problem"),
    ("onset", "Since"),
    ("severity", "How bad"),
    ("medicines", "Medicines"),
    ("allergies", "Allergies"),
    ("past_history", "Other illnesses"),
)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A patient's message: its id, its words, and its place in the session."""

    message_id: str
    text: str
    seq: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A tappable answer."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Screened:
    """A record after a message was read for danger. emergency_text is fixed text, or None without a new emergency."""

    record: ClinicalRecord
    new_flags: tuple[RedFlag, ...]
    emergency_text: str | None


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What the interviewer does next: the record after reading, the words, and what they ask.

    question is the bare question without what leads up to it, for when a fixed text must stand before it.
    """

    record: ClinicalRecord
    reply: str
    question: str
    question_id: str | None
    choices: tuple[Choice, ...]
    is_ready: bool


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
    return _ask_next(record, content, [content.texts[key].format(name=record.name)])


# -- danger ------------------------------------------------------------------------------------------------------


def screen(record: ClinicalRecord, inbound: Inbound, content: ClinicalContent) -> Screened:
    """Read a message for danger, together with all that was told before. Urgency only rises.

    Deterministic and without a model; runs before anything else happens to the message.
    """
    record = _read_person(record, inbound, is_asked=record.pending == "who")
    findings = read_findings(inbound.text, content.lexicon, message_id=inbound.message_id)
    record = _with_pregnancy(_with_vitals(record, inbound).with_findings(findings))
    flags = screen_flags(record.findings, record.person, content.rules, version=content.version)
    known = {flag.rule_id for flag in record.flags}
    new = tuple(flag for flag in flags if flag.rule_id not in known)
    disposition = dispose((*record.flags, *new), record.vitals, record.person)
    rises = disposition.acuity > record.acuity
    emergency = tuple(flag for flag in new if flag.acuity is Acuity.EMERGENCY)
    urgent = tuple(flag.advice for flag in new if flag.acuity is Acuity.URGENT)
    record = replace(
        record,
        flags=(*record.flags, *new),
        acuity=max(record.acuity, disposition.acuity),
        colour=max(record.colour, disposition.colour, key=_COLOURS.index),
        reasons=tuple(dict.fromkeys((*record.reasons, *(words for _, words in disposition.reasons)))),
        advice_due=tuple(dict.fromkeys((*record.advice_due, *urgent))) if not emergency else (),
    )
    advice = dict.fromkeys(flag.advice for flag in emergency)
    if not advice and rises and disposition.acuity is Acuity.EMERGENCY:
        advice = {"advice.emergency_now": None}
    text = "\n\n".join(content.texts[key] for key in advice) or None
    return Screened(record, new, text)


def _with_vitals(record: ClinicalRecord, inbound: Inbound) -> ClinicalRecord:
    read = read_vitals(inbound.text)
    if is_empty(read.vitals):
        return record
    readings = tuple((each.field, Evidence(inbound.message_id, each.quote)) for each in read.readings)
    quote = ", ".join(dict.fromkeys(each.quote for each in read.readings))
    evidence = Evidence(inbound.message_id, read.readings[0].quote)
    record = record.with_answer("vitals", Reported(quote, evidence))
    return replace(record, vitals=merged(record.vitals, read.vitals), readings=(*record.readings, *readings))


def _with_pregnancy(record: ClinicalRecord) -> ClinicalRecord:
    """What the words say of pregnancy, if the person can be pregnant."""
    if record.person.sex is Sex.MALE:
        return record
    for finding in reversed(record.findings):
        if finding.concept != "pregnant" or finding.assertion not in (Assertion.AFFIRMED, Assertion.DENIED):
            continue
        is_pregnant = finding.assertion is Assertion.AFFIRMED
        evidence = Evidence(finding.message_id, finding.quote)
        answer: Answer = Reported("pregnant", evidence) if is_pregnant else NoneReported(evidence)
        record = replace(record, person=replace(record.person, pregnant=is_pregnant))
        return record.with_answer("pregnancy", answer) if not record.is_covered("pregnancy") else record
    return record


# -- reading an answer -------------------------------------------------------------------------------------------


def plan_turn(record: ClinicalRecord, inbound: Inbound, content: ClinicalContent) -> TurnPlan:
    """Read the answer to what was asked and whatever else was told, then ask the next question, or finish.

    The record is one that ``screen`` has already seen this message with.
    """
    asked = _question(record.pending, content)
    said = answers.command(inbound.text)
    evidence = Evidence(inbound.message_id, inbound.text)
    if said == "person":
        return _ask_next(replace(record, wants_person=True), content, [content.texts["person_wanted"]])
    if said == "done" and record.is_covered("chief_complaint"):
        return _finish(replace(record, is_ended_early=True, pending=None), content)
    if said == "skip" and asked is not None:
        for slot in _open_slots(record, asked):
            record = record.with_answer(slot, Declined("skipped", evidence))
        return _ask_next(record, content, [content.texts["ack_skip"]])
    refused = read_vitals(inbound.text).refused
    record = _read_facts(record, inbound, asked, content)
    record = _read_answer(record, inbound, asked)
    if refused and asked is not None and asked.id == "vitals" and not record.is_covered("vitals"):
        return _again(record, asked, content, content.texts["implausible"].format(reading=", ".join(refused)))
    if asked is not None and _due(record, asked):
        return _again(record, asked, content, content.texts["ask_again"])
    return _ask_next(record, content, [content.texts[_ACKS[inbound.seq % len(_ACKS)]]])


def _read_person(record: ClinicalRecord, inbound: Inbound, *, is_asked: bool) -> ClinicalRecord:
    """Name, age, sex and speaker, wherever they are told; a later statement of an asked-for one corrects."""
    text, person = inbound.text, record.person

    def evidence(quote: str) -> Evidence:
        return Evidence(inbound.message_id, quote)

    age = answers.read_age(text, is_asked=is_asked)
    if age is not None and (is_asked or not record.is_covered("age")):
        person = replace(person, age=age.value)
        record = record.with_answer("age", Reported(age.quote, evidence(age.quote)))
    sex = answers.read_sex(text, is_asked=is_asked)
    if sex is not None and (is_asked or not record.is_covered("sex")):
        person = replace(person, sex=sex.value)
        record = record.with_answer("sex", Reported(sex.value.value, evidence(sex.quote)))
    name = answers.read_name(text, is_asked=is_asked and not record.is_covered("name"))
    if name is not None and not record.is_covered("name"):
        record = replace(record.with_answer("name", Reported(name.value, evidence(name.quote))), name=name.value)
    speaker = answers.read_speaker(text)
    if speaker is not None and not record.is_covered("speaker"):
        person = replace(person, speaker=speaker.value)
        record = record.with_answer("speaker", Reported(speaker.value.value, evidence(speaker.quote)))
    return replace(record, person=person)


def _read_facts(
    record: ClinicalRecord, inbound: Inbound, asked: Question | None, content: ClinicalContent
) -> ClinicalRecord:
    """What a message tells besides what it was asked for, so that it is never asked again."""
    told = {
        "onset": answers.read_onset(inbound.text),
        "severity": answers.read_severity(inbound.text, is_asked=asked is not None and asked.id == "severity"),
        "allergies": answers.read_allergy(inbound.text),
        "medicines": answers.read_medicine(inbound.text),
    }
    for slot, found in told.items():
        if found is None or (record.is_covered(slot) and not (asked and slot in asked.slots)):
            continue
        evidence = Evidence(inbound.message_id, found.quote)
        answer: Answer = NoneReported(evidence) if found.value == "none" else Reported(found.value, evidence)
        record = record.with_answer(slot, answer)
    if not record.is_covered("chief_complaint") and _is_complaint(record, inbound, asked, content):
        record = record.with_answer(
            "chief_complaint", Reported(inbound.text, Evidence(inbound.message_id, inbound.text))
        )
    return record


def _is_complaint(record: ClinicalRecord, inbound: Inbound, asked: Question | None, content: ClinicalContent) -> bool:
    """Whether the message tells what is wrong, though it was asked for something else."""
    if asked is not None and (asked.id == "chief_complaint" or inbound.text in {each.value for each in asked.choices}):
        return False
    affirmed = any(
        finding.message_id == inbound.message_id
        and finding.assertion is Assertion.AFFIRMED
        and finding.concept not in _NOT_WRONG
        for finding in record.findings
    )
    return affirmed or (_complaint_of(inbound.text, content) is not None and len(inbound.text.split()) > 3)  # noqa: PLR2004 - three words are a name


_NOT_WRONG: Final = frozenset({"pregnant", "postpartum", "infant_word", "cardiac_feature", "allergen", "bleeding"})


def _read_answer(record: ClinicalRecord, inbound: Inbound, asked: Question | None) -> ClinicalRecord:
    """Put the answer into the slots of the question that was asked and are still open."""
    if asked is None:
        return record
    text, evidence = inbound.text, Evidence(inbound.message_id, inbound.text)
    slots = _open_slots(record, asked)
    if answers.is_unknown(text):
        return _each(record, slots, Declined("does not know", evidence))
    if asked.id == "read_back":
        record = _each(record, slots, Reported("yes" if answers.is_yes(text) else text, evidence))
        return record if answers.is_yes(text) else record.with_answer("anything_else", Reported(text, evidence))
    if asked.kind == "yes_no" and answers.is_none(text) and asked.id == "pregnancy":
        record = replace(record, person=replace(record.person, pregnant=False))
    if answers.is_none(text) and asked.kind in ("yes_no", "list", "vitals", "words"):
        is_answer = asked.kind != "words" or asked.id in ("character", "modifiers", "social_history")
        return _each(record, slots, NoneReported(evidence)) if is_answer else record
    return _read_words(record, asked, slots, text, evidence)


def _read_words(
    record: ClinicalRecord,
    asked: Question,
    slots: Sequence[str],
    text: str,
    evidence: Evidence,
) -> ClinicalRecord:
    match asked.id:
        case "speaker" | "who" | "severity":
            return record
        case "pregnancy":
            if not answers.is_yes(text) and not record.is_covered("pregnancy"):
                return record
            record = replace(record, person=replace(record.person, pregnant=True))
            return _each(record, slots, Reported("pregnant or recently pregnant", evidence))
        case "vitals":
            return record
        case "danger_signs" if answers.is_yes(text) and record.asked.count("danger_signs") < _TRIES:
            return record
        case "medicines" | "allergies" if record.is_covered(asked.id):
            return record
        case _:
            return _each(record, slots, Reported(text, evidence))


def _each(record: ClinicalRecord, slots: Sequence[str], answer: Answer) -> ClinicalRecord:
    for slot in slots:
        record = record.with_answer(slot, answer)
    return record


# -- what comes next ---------------------------------------------------------------------------------------------


def _question(question_id: str | None, content: ClinicalContent) -> Question | None:
    return next((question for question in content.questions if question.id == question_id), None)


def _open_slots(record: ClinicalRecord, question: Question) -> list[str]:
    return [slot for slot in question.slots if not record.is_covered(slot)]


def _due(record: ClinicalRecord, question: Question) -> bool:
    """Whether the question still has to be asked of this person. Who somebody is needs all three parts."""
    if question.only_for == "could_be_pregnant" and not _could_be_pregnant(record):
        return False
    needed = question.slots if question.id == "who" else question.slots[:1]
    return any(not record.is_covered(slot) for slot in needed)


def _could_be_pregnant(record: ClinicalRecord) -> bool:
    age, sex = record.person.age, record.person.sex
    return sex is Sex.FEMALE and (age is None or _FERTILE_YEARS[0] <= age.years <= _FERTILE_YEARS[1])


def _again(record: ClinicalRecord, question: Question, content: ClinicalContent, lead: str) -> TurnPlan:
    """Ask once more; after two tries the topic is not obtained and the interview goes on."""
    if record.asked.count(question.id) < _TRIES:
        return _ask(record, question, content, [lead])
    evidence = Evidence("", "")
    for slot in _open_slots(record, question):
        record = record.with_answer(slot, Declined("not understood twice", evidence))
    return _ask_next(record, content, [content.texts["ack_skip"]])


def _ask_next(record: ClinicalRecord, content: ClinicalContent, leads: list[str]) -> TurnPlan:
    leads = [*(content.texts[key] for key in record.advice_due), *leads]
    record = _measured(replace(record, advice_due=()), content)
    question = next((question for question in content.questions if _due(record, question)), None)
    if question is None:
        return _finish(record, content, leads)
    return _ask(record, question, content, leads)


def _ask(record: ClinicalRecord, question: Question, content: ClinicalContent, leads: list[str]) -> TurnPlan:
    signs = _danger_signs(record, content) if question.id == "danger_signs" else record.danger_signs
    record = replace(
        _measured(record, content),
        danger_signs=signs,
        pending=question.id,
        asked=(*record.asked, question.id),
        stage=Stage(question.stage),
    )
    text = _worded(record, question, content)
    choices = tuple(Choice(choice.value, choice.label) for choice in question.choices)
    reply = _checked("\n\n".join([*leads, text]), record, text)
    return TurnPlan(record, reply, text, question.id, choices, is_ready=False)


def _checked(reply: str, record: ClinicalRecord, question: str) -> str:
    """Our own words pass the same guard as a model's; a text that would not is replaced by the bare question."""
    refused = isinstance(check_reply(reply, after_flag=bool(record.flags)), Refused)
    return question if refused else reply


def _worded(record: ClinicalRecord, question: Question, content: ClinicalContent) -> str:
    is_self = record.person.speaker is Speaker.SELF
    if question.id == "who":
        open_slots = _open_slots(record, question)
        if len(open_slots) < len(question.slots):
            return " ".join((_WHO_SELF if is_self else _WHO)[slot] for slot in open_slots)
    text = question.text if is_self or question.carer_text is None else question.carer_text
    if question.id == "read_back":
        return content.texts["read_back"].format(summary=_summary(record))
    return text.replace("{signs}", ", ".join(record.danger_signs))


def _summary(record: ClinicalRecord) -> str:
    return "\n".join(f"– {label}: {describe(record.answer(slot))}" for slot, label in _SHOWN)


def _danger_signs(record: ClinicalRecord, content: ClinicalContent) -> tuple[str, ...]:
    complaint = record.answer("chief_complaint")
    text = complaint.value if isinstance(complaint, Reported) else ""
    found = _complaint_of(text, content)
    return tuple(found.danger_signs) if found else ("fever", "hard breathing", "chest pain", "fainting", "bleeding")


def _complaint_of(text: str, content: ClinicalContent) -> Complaint | None:
    """The kind of complaint the words name; the one that most of its words name wins, then the earlier."""
    folded = " " + re.sub(r"[^\w]+", " ", text.lower())
    counts = [(sum(f" {word}" in folded for word in each.words), each) for each in content.complaints]
    best = max(counts, key=lambda pair: pair[0])
    return best[1] if best[0] else None


def _measured(record: ClinicalRecord, content: ClinicalContent) -> ClinicalRecord:
    """Completeness and named gaps, counted over the topics due for this person."""
    due = list(_topics(record, content))
    covered = [slot for slot in due if record.is_covered(slot)]
    gaps = tuple(
        slot.replace("_", " ")
        for slot in due
        if isinstance(record.answer(slot), NotAsked | Declined) and slot != "read_back"
    )
    return replace(record, completeness=100 * len(covered) // max(1, len(due)), gaps=gaps)


def _topics(record: ClinicalRecord, content: ClinicalContent) -> Iterator[str]:
    for question in content.questions:
        if question.only_for == "could_be_pregnant" and not _could_be_pregnant(record):
            continue
        yield from question.slots if question.id == "who" else question.slots[:1]


def _finish(record: ClinicalRecord, content: ClinicalContent, leads: Sequence[str] = ()) -> TurnPlan:
    record = replace(_measured(record, content), pending=None, stage=Stage.HANDOVER)
    advice = [lead for lead in leads if lead in content.texts.values() and "999" in lead]
    ready = content.texts["ready"]
    return TurnPlan(record, "\n\n".join([*advice, ready]), ready, None, (), is_ready=True)


def after_ready(record: ClinicalRecord, content: ClinicalContent) -> str:
    """The fixed text for a message after the hand-over was written."""
    return "\n\n".join([*(content.texts[key] for key in record.advice_due), content.texts["after_ready"]])
