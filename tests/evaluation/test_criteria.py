"""Figures against goals: every criterion can go red, and no data is not a success."""

from dataclasses import replace
from pathlib import Path

import pytest

from anamnesis.clinical.record import Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.terms import Evidence
from anamnesis.content import load_content
from anamnesis.evaluation.criteria import Criterion, wilson
from anamnesis.evaluation.interviews import figures, judge
from anamnesis.evaluation.leaks import Line
from anamnesis.evaluation.messages import Judged
from anamnesis.evaluation.patients import Asked, Said, interview, read_cases
from anamnesis.evaluation.report import of_leaks, of_messages, of_patients

CONTENT = load_content()
PATIENTS = Path(__file__).parents[2] / "evals" / "patients"


def red(section):
    return {each.name for each in section.criteria if not each.is_met}


def test_no_data_meets_nothing():
    assert not Criterion("a", None, 0).is_met
    assert "no data" in Criterion("a", None, 0).row()


def test_at_most_and_at_least_are_told_apart():
    assert Criterion("a", 0.01, 0.01, is_most=True).is_met
    assert not Criterion("a", 0.02, 0.01, is_most=True).is_met
    assert not Criterion("a", 0.02, 0.03).is_met


def test_the_interval_is_wilsons():
    # Newcombe, Stat Med 1998;17:857, table I: 81/263 has 0.2553 to 0.3662 by the score method.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_every_criterion_of_messages_can_go_red():
    ids = [f"m{number}" for number in range(40)]
    missed = [Judged(each, "emergency", "routine") for each in ids]
    imagined = [Judged(each + "x", "routine", "emergency") for each in ids]
    section = of_messages([*missed, *imagined])
    assert red(section) == {each.name for each in section.criteria}


def test_every_criterion_of_leaks_can_go_red():
    lines = (
        Line("How old are you?", is_leak=True, after_flag=True, kind="drug"),
        Line("You have malaria.", is_leak=False, after_flag=False, kind="clean"),
    )
    section = of_leaks({"mine": lines})
    assert red(section) == {each.name for each in section.criteria}


@pytest.fixture
def held():
    return interview(read_cases(PATIENTS, 6)[4], CONTENT)


def found_of(held):
    return figures([judge(held, CONTENT), judge(held, CONTENT)])


def altered(held, **changes):
    held.record = replace(held.record, **changes)
    return held


def test_a_topic_never_asked_lowers_coverage(held):
    before = found_of(held)["slot_coverage"]
    assert found_of(altered(held, answers={**held.record.answers, "allergies": NotAsked()}))["slot_coverage"] < before


def test_a_sign_never_asked_is_counted(held):
    assert found_of(altered(held, signs={}))["danger_signs_asked"] == 0


def test_a_question_asked_again_is_a_repeat(held):
    held.asked.append(Asked("onset", ("onset",), ("onset",)))
    assert found_of(held)["repeat_rate"] > 0


def test_a_fact_that_does_not_stand_in_the_note_lowers_recall(held):
    before = found_of(held)["fact_recall"]
    gone = Reported("something", Evidence("m0", "something"))
    assert found_of(altered(held, answers={**held.record.answers, "medicines": gone}))["fact_recall"] < before


def test_an_invented_fact_lowers_precision_and_costs_a_starred_item(held):
    invented = Reported("cocaine", Evidence("m3", "cocaine"))
    found = found_of(altered(held, answers={**held.record.answers, "social_history": invented}))
    assert found["precision"] < 1
    assert found["starred_met"] == 0


def test_a_fact_under_another_topic_is_counted(held):
    assert found_of(held)["in_place"] == 1
    held.said.append(Said("m9", "social_history", "I smoke five a day"))
    wrong = Reported("I smoke five a day", Evidence("m9", "I smoke five a day"))
    assert found_of(altered(held, answers={**held.record.answers, "family_history": wrong}))["in_place"] < 1


def test_a_question_of_which_a_part_was_told_is_a_repeat(held):
    held.asked.append(Asked("course", ("severity", "relieving"), ("severity",)))
    assert found_of(held)["repeat_rate"] > 0


def test_of_a_set_half_worked_on_the_other_half_is_reported(held):
    judged = judge(held, CONTENT)
    good, bad = replace(judged, number=0), replace(judged, number=1, wrong=("an invented fact",))
    section = of_patients("Patients", "Lead.", [good, good, bad, bad], is_halved=True)
    precision = next(each for each in section.criteria if each.name == "precision")
    assert not precision.is_met
    assert [row[:2] for row in section.further[0][2]] == [("worked on", "2"), ("only counted", "2")]


def test_a_denial_nobody_made_lowers_precision(held):
    name = next(iter(held.case.present), None) or "chest_pain"
    held.case = replace(held.case, present={name: "yes, that"})
    assert found_of(altered(held, signs={name: NoneReported(Evidence("m1", ""))}))["precision"] < 1


def test_a_reply_that_advises_is_counted(held):
    held.replies.append("You have malaria. Take two tablets.")
    assert found_of(held)["own_texts_refused"] > 0


def test_an_unfinished_long_and_empty_interview_meets_no_goal(held):
    held.is_ready = False
    held.asked += [Asked("onset", ("onset",), ("onset",))] * 30
    declined = Declined("not understood twice", Evidence("m0", "x"))
    altered(held, answers=dict.fromkeys(held.record.answers, declined), signs={})
    missed = red(of_patients("t", "l", [judge(held, CONTENT)] * 2))
    assert {
        "interviews finished",
        "slot coverage",
        "questions, median",
        "questions, 95th percentile",
        "fact recall",
    } <= missed
