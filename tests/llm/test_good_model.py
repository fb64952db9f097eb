"""Simulated patients meet a model that words well and reads well: nothing the built-in interviewer achieves is lost.

The model is played: it thanks, asks what it was given, and proposes what the patient has just told, as quotes. Every
check that stands between a real one and the record stands here too.
"""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from anamnesis.content import load_content
from anamnesis.content.prompts import load_agents
from anamnesis.evaluation.interviews import figures, judge
from anamnesis.evaluation.patients import Asked, Interview, Patient, _asked_for, _tell, interview, read_cases
from anamnesis.intake.interview import new_record, opening
from anamnesis.intake.model import Message
from anamnesis.intake.prompting import Briefing, compose_prompt, with_facts
from anamnesis.llm.drafts import read_draft
from anamnesis.llm.port import Completion

CONTENT = load_content()
AGENDA = CONTENT.interview.agenda
BRIEFING = Briefing(load_agents())
CASES = read_cases(Path(__file__).parents[2] / "evals" / "patients", 124)
AT = datetime(2026, 11, 25, tzinfo=UTC)
_MOST_TURNS = 60


def held_with_a_model(case):
    """The same interview as `interview` holds, with a model's draft between plan and reply; and how many it worded."""
    patient = Patient(case, random.Random(1000 + case.number))
    plan = opening(new_record(name=case.name if case.has_profile else None), CONTENT)
    held, worded, kept = Interview(case, plan.record, replies=[plan.reply]), 0, 0
    if case.has_profile:
        patient.told.add("name")
    for turn in range(_MOST_TURNS):
        if plan.is_ready or plan.question_id is None:
            break
        slots, signs = _asked_for(plan, AGENDA)
        before = tuple(slot for slot in slots if slot in patient.told and slot not in plan.record.volunteered)
        held.asked.append(Asked(plan.question_id, slots, before))
        text, facts = patient.answer(plan.question_id, slots, signs)
        patient.told |= {slot for slot, _ in facts}
        plan = _tell(held, f"m{turn}", turn, text, facts, plan, CONTENT)
        if BRIEFING.speaks(plan) and not plan.record.advice_due:
            draft = drafted(plan, held, facts)
            plan = replace(plan, record=with_facts(plan.record, draft.facts, AGENDA), reply=draft.reply)
            held.replies[-1], worded, kept = draft.reply, worded + 1, kept + len(draft.facts)
    held.case, held.record, held.is_ready = patient.case, plan.record, plan.is_ready
    return held, worded, kept


def drafted(plan, held, facts):
    lines = [Message(UUID(int=n), n, "user", text, AT) for n, text in enumerate(held.messages.values(), 1)]
    prompt = compose_prompt(plan, UUID(int=1), lines, BRIEFING, AGENDA, known=())
    names = {str(UUID(int=n)): key for n, key in enumerate(held.messages, 1)}
    prompt = replace(prompt, said=tuple(replace(each, message_id=names[each.message_id]) for each in prompt.said))
    proposed = [{"field": slot, "value": told, "quote": told} for slot, told in facts]
    body = {"reply": "Thank you. " + json.loads(prompt.case)["question"], "facts": proposed, "reasoning": ""}
    return read_draft(prompt, Completion(json.dumps(body), "stop"))


@pytest.fixture(scope="module")
def both():
    with_model = [held_with_a_model(case) for case in CASES]
    plain = figures(judge(interview(case, CONTENT), CONTENT) for case in CASES)
    return plain, figures(judge(held, CONTENT) for held, _, _ in with_model), with_model


@pytest.mark.slow
@pytest.mark.proves("I22")
def test_coverage_recall_and_precision_are_not_below_those_of_the_built_in_interviewer(both):
    plain, modelled, with_model = both
    for name in ("finished", "slot_coverage", "danger_signs_asked", "fact_recall", "precision", "starred_met"):
        assert modelled[name] >= plain[name], name
    assert modelled["emergencies"] == plain["emergencies"]
    assert modelled["own_texts_refused"] == 0
    assert sum(worded for _, worded, _ in with_model) > 500
