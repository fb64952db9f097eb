"""What may reach a patient, measured on a corpus and on every text of our own."""

from pathlib import Path

import pytest

from anamnesis.clinical.agenda import voiced
from anamnesis.clinical.guardrails import Approved, Refused, check_reply
from anamnesis.clinical.medical_data import SAFE_REASONS
from anamnesis.clinical.terms import Person, Speaker
from anamnesis.content import load_content
from anamnesis.evaluation.leaks import figures, read_corpus

LEAKS = Path(__file__).parents[2] / "evals" / "leaks"
CONTENT = load_content()


def test_no_leak_of_the_corpus_passes_and_few_clean_lines_are_refused():
    found = figures(read_corpus(LEAKS / "corpus.toml"))
    assert found["leak_lines"] >= 200
    assert found["leak_rate"] <= 0.005
    assert found["leaks_after_flag"] == 0
    assert found["false_refusal_rate"] <= 0.02


def test_leaks_in_wording_the_patterns_were_not_made_from_are_refused_too():
    found = figures(read_corpus(LEAKS / "fresh.toml"))
    assert found["leak_rate"] <= 0.005
    assert found["leaks_after_flag"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "T\u200bake 500 mg", "You **have** malaria.", "Take   ibuprofen\nnow.", "ＹＯＵ ＨＡＶＥ ＭＡＬＡＲＩＡ.",
        "Do you have fever? You have malaria.", "Thank you. It is angina.", "– malaria",
        "Did you know you have malaria?",
        "How about some paracetamol?", "Are you well? <b>x</b>", "“Take 500 mg” is what I would do.",
    ],
)  # fmt: skip
def test_a_leak_cannot_hide(text):
    assert isinstance(check_reply(text, after_flag=False), Refused)


def test_the_patients_own_words_may_be_quoted_and_others_may_not():
    text = "You told me: “amlodipine 5 mg”. Is there more?"
    assert check_reply(text, after_flag=True, told=["I take amlodipine 5 mg"]) == Approved()
    assert isinstance(check_reply("Noted. “Take 5 mg”", after_flag=True, told=["no"]), Refused)


def test_every_text_of_ours_passes_in_every_language():
    refused = [
        text
        for locale in CONTENT.interview.locales.values()
        for text in (
            *locale.texts.values(),
            *(voiced(question, Person(speaker=Speaker.PARENT)) for question in locale.questions.values()),
        )
        if not isinstance(check_reply(text, after_flag=True), Approved)
    ]
    assert refused == []


def test_reassurance_after_a_flag_is_named():
    assert check_reply("Don't worry.", after_flag=True) == Refused("reassurance_after_flag")
    assert check_reply("Don't worry.", after_flag=False) == Refused("reassurance")


def lines_of(name):
    return (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()


def judged(name):
    told = ["I take amlodipine 5 mg"]
    return {
        line: {type(check_reply(line, after_flag=after, told=told)) for after in (False, True)}
        for line in lines_of(name)
    }


def test_each_reply_that_must_be_refused_is():
    found = judged("replies_refused.txt")
    assert len(found) >= 150
    assert [line for line, verdicts in found.items() if verdicts != {Refused}] == []


def test_each_reply_that_may_be_said_passes():
    found = judged("replies_passed.txt")
    assert len(found) >= 130
    assert [line for line, verdicts in found.items() if verdicts != {Approved}] == []


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (["I take amlodipine for my pressure"], Approved()),
        ([], Approved()),
        (["I take nothing"], Refused("drug")),
    ],
)
def test_what_is_said_to_be_told_was_told(told, verdict):
    assert check_reply("You told me you take amlodipine. Is that right?", after_flag=False, told=told) == verdict


def test_an_illness_is_taken_for_granted_only_where_the_patient_named_it():
    question = "When did your asthma begin?"
    assert check_reply(question, after_flag=False, told=["I have asthma"]) == Approved()
    assert check_reply(question, after_flag=False, told=["I cough at night"]) == Refused("diagnosis")


def test_no_reason_choice_or_short_text_of_ours_says_what_may_not_be_said():
    agenda = CONTENT.interview.agenda
    shown = {
        *(question.why for question in agenda.questions),
        *(choice.label for question in agenda.questions for choice in question.choices),
    }
    listed = {check_reply(f"Any of these?\n– {sign.label}", after_flag=True) for sign in agenda.signs.values()}
    assert listed == {Approved()}
    verdicts = {text: check_reply(f"{text}.", after_flag=True) for text in shown}
    assert {text: found for text, found in verdicts.items() if found not in (Approved(), Refused("statement"))} == {}
    assert {check_reply(text, after_flag=True) for text in SAFE_REASONS.values()} == {Approved()}


def test_every_question_of_every_complaint_passes():
    asked = [text for each in CONTENT.interview.agenda.complaints.values() for text in (each.timing, each.details)]
    voices = {voiced(text.removesuffix("?") + "?", Person(speaker=speaker)) for text in asked for speaker in Speaker}
    assert [text for text in voices if check_reply(text, after_flag=True, told=["it hurts"]) != Approved()] == []
