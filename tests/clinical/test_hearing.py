"""What was worked on stays heard: the kinds of complaint people name, and the signs they tell when asked for them."""

import json
from pathlib import Path

import pytest

from anamnesis.clinical.agenda import recognised
from anamnesis.clinical.signs import read_signs
from anamnesis.clinical.terms import Age, Person, Sex
from anamnesis.content import load_content

EVALS = Path(__file__).parents[2] / "evals"
AGENDA = load_content().interview.agenda
DAYS = {"years": 365.25, "months": 30.4375, "weeks": 7.0, "days": 1.0}


def lines(name):
    return [json.loads(line) for line in (EVALS / f"{name}.jsonl").read_text().splitlines()]


def person(case):
    age = case["age"] if isinstance(case["age"], dict) else {"value": case["age"], "unit": "years"}
    return Person(age=Age(age["value"] * DAYS[age["unit"]]), sex=Sex(case["sex"]))


def heard(case):
    return recognised(case["text"], person(case), AGENDA)


def signs_asked_with(name):
    """The signs of the first complaint that has this one, as they would be asked for together."""
    kinds = AGENDA.complaints.values()
    dangerous = (each for each in kinds if name in each.danger)
    kind = next(dangerous, None) or next(each for each in kinds if name in each.associated)
    return [AGENDA.signs[each] for each in dict.fromkeys((*kind.danger, *kind.associated))]


def affirmed(case):
    told = read_signs(case["text"], signs_asked_with(case["sign"]), is_asked=True)
    return {each.sign_id for each in told if each.is_present}


def test_the_kind_of_most_complaints_is_heard_and_few_kinds_are_added():
    cases = [case for case in lines("complaints") if case["kind"] != "other"]
    kinds = [(case, heard(case)) for case in cases]
    added = sum(len(set(found) - {case["kind"], *case["also"]}) for case, found in kinds)
    assert sum(case["kind"] in found for case, found in kinds) / len(cases) >= 0.97
    assert sum(found[:1] == (case["kind"],) for case, found in kinds) / len(cases) >= 0.9
    assert added / len(cases) <= 0.06


def test_most_complaints_of_no_kind_stay_without_one():
    cases = [case for case in lines("complaints") if case["kind"] == "other"]
    assert sum(not heard(case) for case in cases) / len(cases) >= 0.8


@pytest.mark.parametrize(("expected", "least"), [("present", 0.97), ("absent", 0.97), ("unsaid", 0.97)])
def test_most_signs_told_in_own_words_are_heard_and_no_others(expected, least):
    cases = [case for case in lines("signs") if case["expected"] == expected]
    right = sum((case["sign"] in affirmed(case)) is (expected == "present") for case in cases)
    assert right / len(cases) >= least


def test_an_answer_affirms_few_signs_that_it_does_not_tell():
    cases = lines("signs")
    assert sum(bool(affirmed(case) - {case["sign"]}) for case in cases) / len(cases) <= 0.03


@pytest.mark.parametrize(
    ("name", "text", "is_present"),
    [
        ("black_stool", "very black", True),
        ("black_stool", "my new boots are black", False),
        ("swelling", "it is swollen, nothing else", True),
        ("blood_vomited", "nothing red in it", False),
        ("low_belly_pain", "my lower belly doesn't hurt", False),
        ("fainting", "i didn't faint", False),
    ],
)
def test_brief_words_count_alone_and_denials_in_any_order(name, text, is_present):
    assert (name in affirmed({"sign": name, "text": text})) is is_present


def test_words_for_an_answer_are_not_read_elsewhere():
    signs = [AGENDA.signs["hiv"]]
    assert read_signs("i'm positive", signs, is_asked=True)
    assert not read_signs("i'm positive", signs, is_asked=False)
