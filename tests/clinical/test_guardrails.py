"""What may reach a patient, measured on a corpus and on every text of our own."""

from pathlib import Path

import pytest

from anamnesis.clinical.agenda import voiced
from anamnesis.clinical.guardrails import Approved, Refused, check_reply
from anamnesis.clinical.terms import Speaker
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
            *(voiced(question, Speaker.PARENT) for question in locale.questions.values()),
        )
        if not isinstance(check_reply(text, after_flag=True), Approved)
    ]
    assert refused == []


def test_reassurance_after_a_flag_is_named():
    assert check_reply("Don't worry.", after_flag=True) == Refused("reassurance_after_flag")
    assert check_reply("Don't worry.", after_flag=False) == Refused("reassurance")
