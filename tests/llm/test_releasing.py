"""What of a growing answer is shown: the reply's own sentences, each checked before, never one that is not over."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anamnesis.llm.drafts import read_draft
from anamnesis.llm.port import Completion, ModelFailed, Prompt, ReplyRefused
from anamnesis.llm.releasing import Releasing, end_of_sentences, reply_so_far

QUESTION = "What is your name, how old are you, and are you male or female?"
PROMPT = Prompt("who", QUESTION, "VitalsTriageAgent", "en", question=QUESTION)
GOOD = f"Thank you. I see. {QUESTION}"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
#: Keys a model may add around the reply, before it or after.
OTHERS = st.dictionaries(
    st.sampled_from(["facts", "reasoning", "status", "a", "replies"]),
    st.one_of(TEXTS, st.lists(TEXTS, max_size=2), st.none(), st.dictionaries(st.sampled_from(["reply", "x"]), TEXTS)),
    max_size=3,
)


def answer(reply=GOOD, **more):
    return json.dumps({"reply": reply, "facts": [], "reasoning": "", **more})


def shown(text, prompt=PROMPT, *, size=1):
    """Everything that was shown, in order, and the refusal if there was one."""
    seen = []
    releasing = Releasing(prompt, seen.append)
    try:
        for place in range(0, len(text), size):
            releasing.hear(text[place : place + size])
    except ReplyRefused as refused:
        return seen, refused.detail
    return seen, None


@given(reply=TEXTS, before=OTHERS, after=OTHERS, escapes=st.booleans(), data=st.data())
def test_the_reply_is_read_out_of_every_beginning_and_never_taken_back(reply, before, after, escapes, data):
    whole = json.dumps(
        {**before, "reply": reply, **{k: v for k, v in after.items() if k not in before}}, ensure_ascii=escapes
    )
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    so_far = ""
    for cut in (*cuts, len(whole)):
        found, is_whole = reply_so_far(whole[:cut])
        assert found.startswith(so_far)
        assert reply.startswith(found)
        assert not is_whole or found == reply
        so_far = found
    assert reply_so_far(whole) == (reply, True)


@given(text=st.one_of(st.text(max_size=80), st.binary(max_size=80).map(lambda raw: raw.decode("latin-1"))))
def test_nothing_that_comes_gets_past_as_anything_but_a_refusal(text):
    for each in (text, '{"reply": ' + text, '{"reply": "' + text, answer(text)):
        seen, _ = shown(each, size=3)
        assert all(isinstance(part, str) for part in seen)


def test_a_reply_is_shown_sentence_by_sentence_and_whole_before_its_facts():
    text = answer(facts=[{"field": "onset", "value": "x", "quote": "x"}] * 5)
    releasing, seen = Releasing(PROMPT, (parts := []).append), []
    for place, letter in enumerate(text):
        releasing.hear(letter)
        if len(parts) > len(seen):
            seen.append((parts[-1], text[: place + 1]))
    assert [part for part, _ in seen] == ["Thank you.", "Thank you. I see.", GOOD]
    assert seen[-1][1].endswith('female?"')


@given(size=st.integers(1, 200))
def test_in_whatever_pieces_it_comes_the_same_is_shown_in_the_end(size):
    seen, fault = shown(answer(), size=size)
    assert (seen[-1], fault) == (GOOD, None)
    assert seen[-1] == read_draft(PROMPT, Completion(answer(), "stop")).reply


REFUSED = {
    "You have malaria.": "diagnosis",
    "Take two tablets of paracetamol every six hours.": "drug",
    "There is no need to see a doctor.": "no_need_for_care",
    "Do not worry.": "reassurance",
    "<b>Thank you</b>.": "markup",
    "Thank you, [NAME_7].": "token",
    "You told me about your diabetes.": "foreign_term",
    "a" * 1300 + ".": "length",
}


@pytest.mark.parametrize("bad", REFUSED)
@pytest.mark.parametrize("lead", ["", "Thank you. "])
def test_a_sentence_that_may_not_be_said_is_never_shown_and_ends_the_call(bad, lead):
    seen, fault = shown(answer(f"{lead}{bad} {QUESTION}"))
    assert seen == ([lead.strip()] if lead else [])
    assert fault is not None
    if not lead:
        with pytest.raises(ModelFailed) as failed:
            read_draft(PROMPT, Completion(answer(f"{bad} {QUESTION}"), "stop"))
        assert fault == failed.value.detail


def test_a_reply_that_asks_something_else_is_refused_where_it_ends():
    seen, fault = shown(answer("Thank you. Where does it hurt?"))
    assert (seen, fault) == (["Thank you."], "off_topic")


def test_what_is_taken_back_is_told_once():
    seen = []
    releasing = Releasing(PROMPT, seen.append)
    releasing.take_back()
    releasing.hear('{"reply": "Thank you. W')
    releasing.take_back()
    releasing.take_back()
    assert seen == ["Thank you.", ""]


def test_a_token_is_shown_as_the_name_it_stands_for():
    named = replace(PROMPT, hidden=(("[NAME_1]", "Jane"),))
    seen, fault = shown(answer(f"Thank you, [NAME_1]. {QUESTION}"), named)
    assert (seen[0], fault) == ("Thank you, Jane.", None)


def test_a_quotation_is_judged_with_what_is_around_it():
    told = ("It hurts. A lot.",)
    assert end_of_sentences("You wrote “It hurts. ") == 0
    seen, fault = shown(answer(f"You wrote “It hurts. A lot.” Thank you. {QUESTION}"), replace(PROMPT, told=told))
    assert fault is None
    assert all(part.count("“") == part.count("”") for part in seen)


def test_an_answer_in_another_form_shows_nothing():
    for text in (
        "How old are you? ",
        f"```json\n{answer()}",
        f"Here: {answer()}",
        "[1, ",
        '{"reply": ["a. b"]',
        "{" * 99,
    ):
        assert shown(text) == ([], None)


def test_an_answer_without_end_is_not_read_again_and_again():
    text = answer(reasoning="")[:-1]
    assert shown('{"reasoning": "' + "a b. " * 20_000 + '", ' + text[1:], size=50) == ([], None)
