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

from anamnesis.clinical.record import NONE_NOW
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


def well_read(plan, held, facts):
    """What the patient has just told, each as its quote."""
    return [{"field": slot, "value": told, "quote": told} for slot, told in facts]


def carelessly_read(plan, held, facts):
    """For every field that may be proposed some word of the patient's, whatever it means."""
    words = [word for text in held.messages.values() for word in text.split()]
    fields = json.loads(prompt_of(plan, held).case)["may_propose"]
    return [{"field": slot, "value": word, "quote": word} for slot, word in zip(fields, reversed(words), strict=False)]


def held_with_a_model(case, reads=well_read):
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
            draft = drafted(plan, held, reads(plan, held, facts))
            plan = replace(plan, record=with_facts(plan.record, draft.facts, AGENDA), reply=draft.reply)
            held.replies[-1], worded, kept = draft.reply, worded + 1, kept + len(draft.facts)
    held.case, held.record, held.is_ready = patient.case, plan.record, plan.is_ready
    return held, worded, kept


def prompt_of(plan, held):
    lines = [Message(UUID(int=n), n, "user", text, AT) for n, text in enumerate(held.messages.values(), 1)]
    prompt = compose_prompt(plan, UUID(int=1), lines, BRIEFING, AGENDA, known=())
    names = {str(UUID(int=n)): key for n, key in enumerate(held.messages, 1)}
    return replace(prompt, said=tuple(replace(each, message_id=names[each.message_id]) for each in prompt.said))


def drafted(plan, held, proposed):
    prompt = prompt_of(plan, held)
    body = {"reply": "Thank you. " + json.loads(prompt.case)["question"], "facts": proposed, "reasoning": ""}
    return read_draft(prompt, Completion(json.dumps(body), "stop"))


@pytest.fixture(scope="module")
def both():
    with_model = [held_with_a_model(case) for case in CASES]
    plain = figures(judge(interview(case, CONTENT), CONTENT) for case in CASES)
    return plain, figures(judge(held, CONTENT) for held, _, _ in with_model), with_model


@pytest.mark.long
@pytest.mark.proves("I22")
def test_coverage_recall_and_precision_are_not_below_those_of_the_built_in_interviewer(both):
    plain, modelled, with_model = both
    for name in ("finished", "slot_coverage", "danger_signs_asked", "fact_recall", "precision", "starred_met"):
        assert modelled[name] >= plain[name], name
    assert modelled["emergencies"] == plain["emergencies"]
    assert modelled["own_texts_refused"] == 0
    assert sum(worded for _, worded, _ in with_model) > 500


@pytest.mark.long
@pytest.mark.proves("I22")
def test_a_model_that_files_any_words_anywhere_changes_no_question_no_flag_and_no_colour():
    proposed = 0
    for case in CASES[:62]:
        plain, (held, _, kept) = interview(case, CONTENT), held_with_a_model(case, carelessly_read)
        proposed += kept
        assert [each.question_id for each in held.asked] == [each.question_id for each in plain.asked], case.number
        assert (held.record.acuity, held.record.colour) == (plain.record.acuity, plain.record.colour), case.number
        assert [flag.rule_id for flag in held.record.flags] == [flag.rule_id for flag in plain.record.flags]
        assert held.record.complaints == plain.record.complaints, case.number
        assert dict(held.record.signs) == dict(plain.record.signs), case.number
        for slot, answer in plain.record.answers.items():
            assert held.record.known(slot) == answer or slot in GROWING or told_again(held.record.answer(slot), answer)
    assert proposed > 500


GROWING = {"medicines", "allergies", "past_history", "family_history", "social_history"}


def told_again(with_model, plain):
    """Whether the patient's own answer stands, with what the model had read of it only in the evidence or before."""
    return getattr(with_model, "value", None) in (getattr(plain, "value", None), NONE_NOW) or with_model == plain
