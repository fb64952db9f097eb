"""What a model is told about one turn, and what becomes of the facts it proposes.

Pure: the plan and the last lines of this session's own transcript in, a prompt out. Nothing else is at hand here: no
clinician's note, no hand-over, no other session. Names, telephone numbers and e-mail addresses go out as tokens.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from anamnesis.clinical.agenda import Agenda, measured
from anamnesis.clinical.record import NONE_NOW, ClinicalRecord, NotAsked, Reported, Stage
from anamnesis.clinical.sbar import evidence_of
from anamnesis.clinical.terms import Evidence, Speaker
from anamnesis.intake.interview import TurnPlan
from anamnesis.intake.model import Message
from anamnesis.llm.port import FIELDS, Prompt, ProposedFact, Said
from anamnesis.llm.privacy import AtMost, hide, names_told

if TYPE_CHECKING:
    from anamnesis.content.prompts import Agent

#: How many lines of the transcript a model sees, and of how many characters each.
LAST_LINES: Final = 12
_LONGEST_LINE: Final = 1000
_LONGEST_VALUE: Final = 200
_LANGUAGES: Final = {"en": "English"}
#: What stands under these keys of a case is ours, word for word, and nobody's name.
_OURS: Final = frozenset({"writer", "may_propose", "from"})

#: A list grows by what is proposed after it was asked.
_GROWING: Final = frozenset({"medicines", "allergies", "past_history", "family_history", "social_history"})
#: A question that must be asked, whatever a model says the patient told.
_ALWAYS_ASKED: Final = frozenset({"allergies"})


@dataclass(frozen=True, slots=True)
class Briefing:
    """Who speaks at which stage. A stage without an agent is left to the scripted words.

    With needs_consent nothing of a patient goes out before that patient has agreed to it.
    """

    agents: "Mapping[Stage, Agent]"
    needs_consent: bool = True

    def speaks(self, plan: TurnPlan) -> bool:
        """Whether a model may word this turn.

        Only in English, for which the guards over its words are reviewed, and only a plain question: a list of danger
        signs, or how to measure, must reach the patient whole.
        """
        is_plain = bool(plan.question_id) and "?" in plan.question and "\n" not in plan.question
        return is_plain and plan.record.stage in self.agents and plan.record.language in _LANGUAGES


def compose_prompt(
    plan: TurnPlan,
    session_id: UUID,
    lines: Sequence[Message],
    briefing: Briefing,
    agenda: Agenda,
    *,
    known: Sequence[str],
) -> Prompt:
    """The prompt for one turn. lines are the session's own, oldest first, the message to answer among them.

    known are the names and numbers of the patient's account, to be hidden like those that were told.
    """
    record, agent = plan.record, briefing.agents[plan.record.stage]
    said = tuple(Said(str(line.id), line.text) for line in lines[-LAST_LINES:] if line.role == "user")
    fields = _open_fields(plan, agenda)
    case, hidden = hide(
        _case(plan, lines[-LAST_LINES:], fields), (*names_told(record), *known), heard=_quotes(record), ours=_OURS
    )
    return Prompt(
        plan.question_id,
        plan.reply,
        record.stage.value,
        record.language,
        question=plan.question,
        instructions=agent.text.replace("{language}", _LANGUAGES[record.language]),
        case=json.dumps(case, ensure_ascii=False, indent=1),
        version=agent.version,
        session_id=session_id,
        said=said,
        fields=fields,
        told=tuple(each.text for each in said),
        is_flagged=bool(record.flags),
        hidden=hidden,
    )


def _open_fields(plan: TurnPlan, agenda: Agenda) -> tuple[str, ...]:
    """What facts may be proposed for: nothing when the patient is spoken of, and nothing that is just being asked."""
    if plan.record.person.speaker is not Speaker.SELF:
        return ()
    asked = agenda.question(plan.question_id)
    being_asked = () if asked is None else asked.slots
    return tuple(slot for slot in FIELDS if slot not in being_asked and _is_open(plan.record, slot))


def _is_open(record: ClinicalRecord, slot: str) -> bool:
    old = record.answer(slot)
    if isinstance(old, NotAsked):
        return slot not in _ALWAYS_ASKED
    is_growing = isinstance(old, Reported) and not old.is_conflicting and old.value != NONE_NOW
    return is_growing and slot in _GROWING


def _quotes(record: ClinicalRecord) -> Iterator[str]:
    """The words the record rests on, of which its values may be pieces."""
    for answer in (*record.answers.values(), *record.signs.values()):
        yield from (each.quote for each in evidence_of(answer))


def _case(plan: TurnPlan, lines: Sequence[Message], fields: Sequence[str]) -> Mapping[str, object]:
    told = {
        slot: AtMost(_LONGEST_VALUE, answer.value)
        for slot, answer in plan.record.answers.items()
        if isinstance(answer, Reported) and slot != "name"
    }
    conversation = [
        {"from": "patient" if line.role == "user" else "interviewer", "text": AtMost(_LONGEST_LINE, line.text)}
        for line in lines
    ]
    about = {Speaker.SELF: "the patient", Speaker.PARENT: "the parent of the patient", Speaker.OTHER: "a carer"}
    return {
        "question": plan.question,
        "writer": about[plan.record.person.speaker],
        "record": told,
        "may_propose": list(fields),
        "conversation": conversation,
    }


# -- what is proposed --------------------------------------------------------------------------------------------


def with_facts(record: ClinicalRecord, facts: Sequence[ProposedFact], agenda: Agenda) -> ClinicalRecord:
    """The record with the facts that stood every check, each with its evidence. What code has read is never replaced.

    Neither findings nor urgency, vital signs or the person are touched, and no question falls away: a model adds words
    to the record, no danger and no safety.
    """
    for fact in facts:
        if not _is_open(record, fact.field):
            continue
        answer = Reported(fact.value, Evidence(fact.message_id, fact.quote))
        if isinstance(record.answer(fact.field), NotAsked):
            record = record.with_proposed(fact.field, answer)
        elif fact.field not in record.proposed:
            record = record.with_item(fact.field, answer)
    return measured(record, agenda) if facts else record
