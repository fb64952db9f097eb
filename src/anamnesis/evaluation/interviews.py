"""What the simulated interviews show: coverage, questions, repeats, recall, precision and the rubric of the note."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median, quantiles
from time import perf_counter
from typing import Final

from anamnesis.clinical import agenda as agendas
from anamnesis.clinical.agenda import Agenda
from anamnesis.clinical.answers import is_none
from anamnesis.clinical.guardrails import Approved, check_reply
from anamnesis.clinical.record import Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.rubric import Item, score
from anamnesis.clinical.sbar import HISTORY, HPI, Sbar, draft_sbar, first_words
from anamnesis.clinical.terms import Acuity
from anamnesis.clinical.told import read_severity
from anamnesis.content import ClinicalContent
from anamnesis.evaluation.patients import NONE, Interview, Said

_NOT_OBTAINED: Final = ("asked, not mentioned", "not understood twice")
_UNSURE: Final = "?"
_WORDS_COMPARED: Final = 20
#: Topics that take no words told for another one; medicines, illnesses and readings are told anywhere.
_ONLY_OWN: Final = frozenset({
    "site", "character", "radiation", "timing", "details", "severity", "exacerbating", "relieving", "family_history",
})  # fmt: skip
_PERSON: Final = ("speaker", "name", "age", "sex", "pregnancy", "read_back")
_WORD: Final = re.compile(r"[\w']+")
#: A reading is told by its numbers; who took it where stands in the message.
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Findings:
    """One interview judged: what was due and covered, what was told and stands in the note, what does not belong."""

    number: int
    due: tuple[str, ...]
    uncovered: tuple[str, ...]
    negatives: tuple[str, ...]
    negatives_unasked: tuple[str, ...]
    questions: int
    repeats: tuple[str, ...]
    told: int
    lost: tuple[Said, ...]
    claims: int
    wrong: tuple[str, ...]
    misplaced: tuple[str, ...]
    rubric: tuple[Item, ...]
    refused: tuple[str, ...]
    is_ready: bool
    is_emergency: bool


def judge(held: Interview, content: ClinicalContent) -> Findings:
    """Judge one interview by the facts of its case: what the patient truly has, not what was recognised, counts."""
    agenda, record = content.interview.agenda, held.record
    began = perf_counter()
    note = draft_sbar(record, rules_version=content.version, is_draft=content.is_draft, is_degraded=True)
    took = perf_counter() - began
    true = replace(record, complaints=(held.case.kind,))
    due = _due(held, agenda)
    negatives = agendas.danger_signs(true, agenda)
    told = [said for said in held.said if said.text != _UNSURE and said.slot != "read_back" and _is_final(said, held)]
    return Findings(
        number=held.case.number,
        due=due,
        uncovered=tuple(slot for slot in due if not _is_covered(held, slot)),
        negatives=negatives,
        negatives_unasked=tuple(name for name in negatives if isinstance(record.sign(name), NotAsked)),
        questions=len(held.asked),
        repeats=tuple(each.question_id for each in held.asked if each.told_before),
        told=len(told),
        lost=tuple(said for said in told if not _stands(said, note, held)),
        claims=len(record.answers) + len(record.signs),
        wrong=tuple(_wrong(held)),
        misplaced=tuple(_misplaced(held)),
        rubric=score(note, record, held.messages, took_seconds=took),
        refused=tuple(_refused(held)),
        is_ready=held.is_ready,
        is_emergency=record.acuity is Acuity.EMERGENCY,
    )


def _is_final(said: Said, held: Interview) -> bool:
    """Whether it was not taken back: "none" and later "I forgot, there is one"."""
    later = held.said[held.said.index(said) + 1 :]
    return not any(each.slot == said.slot and each.text not in (said.text, _UNSURE) for each in later)


def _due(held: Interview, agenda: Agenda) -> tuple[str, ...]:
    """The topics that had to be covered: all that apply to what the patient has; in an emergency the short list."""
    true = replace(held.record, complaints=(held.case.kind,))
    asked = {slot for question in agendas.questions_due(held.record, agenda) for slot in question.slots}
    return tuple(slot for slot in agendas.due_slots(true, agenda) if slot in asked - {"more_signs"})


def _is_covered(held: Interview, slot: str) -> bool:
    answer = held.record.answer(slot)
    if isinstance(answer, Declined):
        return answer.reason not in _NOT_OBTAINED
    return not isinstance(answer, NotAsked)


def _refused(held: Interview) -> Iterator[str]:
    told = tuple(held.messages.values())
    for reply in held.replies:
        if not isinstance(check_reply(reply, after_flag=True, told=told), Approved):
            yield reply


# -- recall ------------------------------------------------------------------------------------------------------


def _text(note: Sbar) -> str:
    sections = (note.situation, note.background, note.assessment, note.recommendation)
    return "\n".join(statement.text for section in sections for statement in section)


def _stands(said: Said, note: Sbar, held: Interview) -> bool:
    """Whether a told fact can be read in the note."""
    text = _text(note)
    if said.slot.startswith("sign:"):
        name = said.slot.removeprefix("sign:").replace("_", " ")
        return re.search(rf"Signs present: .*\b{name}\b", text) is not None or _has_words(said.text, text)
    if said.slot in ("speaker", "name"):
        return said.slot == "name" or (said.text == "parent") == ("a parent is writing" in text)
    if said.slot == "area" and said.text == NONE:
        return True
    if said.slot == "pregnancy":
        return ("not pregnant" in text) == (said.text == NONE)
    if said.slot in ("danger_signs", "more_signs"):
        return "Signs denied: " in text
    if said.text == NONE or (is_none(said.text) and said.slot != "vitals"):
        return _says_none(said.slot, text) or (said.text != NONE and _has_words(said.text, text))
    if said.slot == "onset" and "onset" not in held.case.facts:
        return "Since: not" not in text
    if said.slot == "severity" and (bad := read_severity(said.text, is_asked=True)) is not None:
        return _has_words(bad.value, text) or _has_words(said.text, text)
    if said.slot == "vitals":
        return set(_NUMBER.findall(said.text)) <= set(_NUMBER.findall(text))
    return _has_words(said.text, text) or _stands_apart(said, text)


def _stands_apart(said: Said, text: str) -> bool:
    """Whether an answer that begins with a no stands in two lines: "no other illness, the vaccines are up to date"."""
    first, _, rest = said.text.partition(", ")
    return bool(rest) and is_none(first) and _says_none(said.slot, text) and _has_words(rest, text)


def _says_none(slot: str, text: str) -> bool:
    if slot == "vitals":
        return "Vital signs: none reported" in text
    label = dict((*HISTORY, *HPI)).get(slot, slot)
    return re.search(rf"^[^:\n]*\b{label}\b[^:\n]*: none reported", text, re.MULTILINE) is not None


def _has_words(words: str, text: str) -> bool:
    have = set(_WORD.findall(text.lower()))
    wanted = _WORD.findall(first_words(words, _WORDS_COMPARED).lower().replace("pulse", "").replace("bp", ""))
    missing = [word for word in wanted if word not in have]
    return not [word for word in missing if word not in _READ_AS]


#: Words that the note writes another way: units, and what a reading or a number is called.
_READ_AS: Final = frozenset("temp temperature spo2 oxygen weight months years old out i of kg over heart rate".split())  # noqa: SIM905 - words


# -- precision ---------------------------------------------------------------------------------------------------


def _wrong(held: Interview) -> Iterator[str]:
    """Every entry of the record that the patient did not tell so."""
    for slot, answer in held.record.answers.items():
        if isinstance(answer, Reported) and not _was_told(
            held, slot, answer.evidence.message_id, answer.evidence.quote
        ):
            yield f"{slot}: {answer.value}"
        if isinstance(answer, NoneReported) and not _was_denied(held.said, slot, answer.evidence.message_id):
            yield f"{slot}: none"
    told_signs = {said.slot.removeprefix("sign:") for said in held.said if said.slot.startswith("sign:")}
    for name, answer in held.record.signs.items():
        if isinstance(answer, NoneReported) and name in held.case.present:
            yield f"sign {name} denied"
        if isinstance(answer, Reported) and name not in told_signs and not _is_in_story(held, answer.evidence.quote):
            yield f"sign {name} present"


def _was_told(held: Interview, slot: str, message_id: str, quote: str) -> bool:
    if message_id == "profile" or (slot in ("speaker", "danger_signs", "associated", "more_signs", *_PERSON)):
        return True
    told = [said.text.lower() for said in held.said if said.slot == slot and said.message_id == message_id]
    if _UNSURE in told:
        return True
    words = quote.lower().strip(" .,")
    if any(words in text or text in words for text in told):
        return True
    # A fact of this topic inside a sentence told for another one: "since Monday" in the complaint.
    return any(words in said.text.lower() for said in held.said if said.message_id == message_id)


def _misplaced(held: Interview) -> Iterator[str]:
    """Every topic whose words were told for another one: how it feels is not where it is."""
    for slot in sorted(_ONLY_OWN):
        answer = held.record.answer(slot)
        if not isinstance(answer, Reported):
            continue
        words = answer.evidence.quote.lower().strip(" .,")
        told = [each for each in held.said if each.message_id == answer.evidence.message_id]
        akin = [each.slot for each in told if words in each.text.lower() or each.text.lower() in words]
        is_open = any(each.slot == slot and each.text == _UNSURE for each in told)
        if akin and not {slot, "chief_complaint"} & set(akin) and not is_open:
            yield f"{slot}: {answer.value}"


def _was_denied(said: Sequence[Said], slot: str, message_id: str) -> bool:
    if slot in ("danger_signs", "associated", "more_signs", "area"):
        return True
    own = [each.text for each in said if each.slot == slot and each.message_id == message_id]
    return any(is_none(text) or re.match(r"(?:no|it does not|nothing|it stays|never)\b", text) for text in own)


def _is_in_story(held: Interview, quote: str) -> bool:
    return any(quote.lower() in text.lower() for text in (*held.case.facts.values(), *held.case.present.values()))


# -- figures -----------------------------------------------------------------------------------------------------


def figures(all_findings: Iterable[Findings]) -> dict[str, float]:
    """The figures over many interviews; rates from 0 to 1."""
    each = tuple(all_findings)
    due, negatives = sum(len(one.due) for one in each), sum(len(one.negatives) for one in each)
    questions, told = [one.questions for one in each], sum(one.told for one in each)
    points = [sum(item.is_met for item in one.rubric) for one in each]
    claims = sum(one.claims for one in each)
    return {
        "cases": len(each),
        "emergencies": sum(one.is_emergency for one in each),
        "finished": sum(one.is_ready for one in each) / len(each),
        "slot_coverage": 1 - sum(len(one.uncovered) for one in each) / due,
        "danger_signs_asked": 1 - sum(len(one.negatives_unasked) for one in each) / negatives,
        "questions_median": median(questions),
        "questions_p95": quantiles(questions, n=20)[-1],
        "repeat_rate": sum(len(one.repeats) for one in each) / sum(questions),
        "fact_recall": 1 - sum(len(one.lost) for one in each) / told,
        "precision": 1 - sum(len(one.wrong) for one in each) / claims,
        "in_place": 1 - sum(len(one.misplaced) for one in each) / claims,
        "rubric_mean": mean(points),
        "rubric_least": min(points),
        "starred_met": sum(all(item.is_met for item in one.rubric if item.is_starred) for one in each) / len(each),
        "own_texts_refused": sum(len(one.refused) for one in each),
    }
