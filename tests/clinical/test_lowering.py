"""Urgency only rises; a clinician lowers it, and what is told later raises it again."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.lowering import REASON, basis, lowered, told_colour
from anamnesis.clinical.record import record_from_json, record_to_json
from anamnesis.clinical.screening import latch
from anamnesis.clinical.terms import Acuity, Age, Colour
from anamnesis.content import load_content
from anamnesis.intake.interview import Inbound, new_record, screen

CONTENT = load_content()
DANGER = "crushing chest pain and I am sweating"


def told(record, *texts, first=0):
    for number, text in enumerate(texts, first):
        record = screen(record, Inbound(f"m{number}", text, number), CONTENT).record
    return record


@pytest.fixture
def settled():
    return lowered(told(new_record(), "I am 40 years old", DANGER), Acuity.ROUTINE)


def test_a_lowered_case_is_what_the_clinician_said(settled):
    assert (settled.acuity, settled.colour, settled.reasons) == (Acuity.ROUTINE, Colour.GREEN, (REASON,))
    assert settled.flags


def test_a_case_is_never_raised_or_left_by_lowering(settled):
    for same in (Acuity.ROUTINE, Acuity.URGENT, Acuity.EMERGENCY):
        with pytest.raises(ValueError, match="not higher"):
            lowered(settled, same)


def test_harmless_words_leave_it_lowered(settled):
    assert told(settled, "thank you doctor", "no", first=5).acuity is Acuity.ROUTINE


def test_the_same_danger_told_again_raises_it_again(settled):
    again = told(settled, DANGER, first=5)
    assert again.acuity is Acuity.EMERGENCY
    assert again.colour is Colour.RED
    assert len({flag.rule_id for flag in again.flags}) == len(again.flags)


def test_another_danger_raises_it_again(settled):
    assert told(settled, "I want to kill myself", first=5).acuity is Acuity.EMERGENCY


def test_new_readings_raise_it_again_and_settled_ones_do_not():
    record = lowered(told(new_record(), "I am 40 years old", "spo2 85%"), Acuity.URGENT)
    assert told(record, "thank you", first=5).acuity is Acuity.URGENT
    assert told(record, "spo2 84%", first=5).acuity is Acuity.EMERGENCY


def test_a_person_learnt_of_later_is_judged_anew():
    record = lowered(told(new_record(), "spo2 85%"), Acuity.URGENT)
    known = replace(record, person=replace(record.person, age=Age.of_years(70)))
    assert latch(known, CONTENT.rules, version="v").record.acuity is Acuity.EMERGENCY


def test_the_patient_is_told_what_was_told_before(settled):
    assert told_colour(settled) is Colour.RED
    assert told_colour(lowered(told(settled, DANGER, first=5), Acuity.URGENT)) is Colour.RED


def test_it_survives_storage(settled):
    assert record_from_json(json.loads(json.dumps(record_to_json(settled)))) == settled


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from((DANGER, "ok", "I fainted", "spo2 85%", "no", "heavy bleeding")), max_size=5))
def test_after_a_lowering_no_message_lowers_it_further(texts):
    record = lowered(told(new_record(), DANGER), Acuity.URGENT)
    for number, text in enumerate(texts):
        following = told(record, text, first=10 + number)
        assert following.acuity >= record.acuity
        record = following


def test_the_basis_of_a_decision_changes_with_danger_readings_and_the_person_alone():
    seen = told(new_record(), "I am 40 years old", DANGER)
    assert basis(told(seen, "thank you doctor", first=5)) == basis(seen)
    assert basis(record_from_json(json.loads(json.dumps(record_to_json(seen))))) == basis(seen)
    later = [told(seen, words, first=5) for words in ("I swallowed rat poison", "spo2 97", "I am 12 weeks pregnant")]
    assert len({basis(each) for each in (seen, *later)}) == 4


def test_after_the_decision_a_new_reading_counts_beside_what_was_told():
    record = told(new_record(), "I am 40 years old", "I have a headache", "bp 190/125")
    assert record.acuity is Acuity.EMERGENCY
    record = lowered(record, Acuity.ROUTINE)
    assert told(record, "thank you", first=5).acuity is Acuity.ROUTINE
    assert told(record, "the machine now shows bp 205/130 and my head aches", first=5).acuity is Acuity.EMERGENCY
