"""What a model returned about a note: its form is read as hostile, and the rest is counted or asked for again."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.rewording import Condition, Ground, Proposal, Wording
from anamnesis.llm.forms import read_answer
from anamnesis.llm.notes import proposal_of
from anamnesis.llm.port import Completion, Form, ModelBroken, Prompt

PROMPT = Prompt(None, "", "HandoverSpecialist", "en", form=Form.NOTE, hidden=(("[NAME_1]", "Jane"),))
WHOLE = {
    "order": ["B2", "B1"],
    "wordings": [{"id": "B1", "words": "comes and goes, says [NAME_1]"}],
    "differential": [{"condition": "Migraine", "for": [{"id": "B3", "quote": "throbbing"}], "against": []}],
}


def read(body, finish="stop"):
    text = body if isinstance(body, str) else json.dumps(body)
    draft = read_answer(PROMPT, Completion(text, finish))
    return proposal_of(draft.reply), draft.dropped


def test_a_proposal_is_read_with_what_its_tokens_stand_for():
    proposal, dropped = read(WHOLE)
    migraine = Condition("Migraine", (Ground("B3", "throbbing"),))
    assert proposal == Proposal(("B2", "B1"), (Wording("B1", "comes and goes, says Jane"),), (migraine,))
    assert dropped == ()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("Here is the note", "not_json"),
        ("[]", "schema"),
        ("{}", "schema"),
        (json.dumps({**WHOLE, "wordings": None}), "schema"),
        (json.dumps({**WHOLE, "differential": "Migraine"}), "schema"),
        (json.dumps(WHOLE)[:-5], "not_json"),
        (json.dumps(WHOLE) * 2, "not_json"),
        ("[" * 10_000, "not_json"),
        ('{"order": [], "order": [], "wordings": [], "differential": []}', "not_json"),
        ('{"order": [NaN], "wordings": [], "differential": []}', "not_json"),
    ],
)
def test_what_is_no_proposal_is_broken(body, detail):
    with pytest.raises(ModelBroken) as broken:
        read(body)
    assert broken.value.detail == detail


def test_what_is_cut_off_is_broken():
    with pytest.raises(ModelBroken):
        read(WHOLE, "length")


def test_items_of_another_form_are_dropped_and_counted():
    odd = [None, 7, "x", [], {}, {"id": 1, "words": "x"}, {"id": "B1", "words": "a" * 501}]
    proposal, dropped = read({"order": [3, "B1"], "wordings": odd, "differential": [*odd, {"condition": "Migraine"}]})
    assert proposal == Proposal(order=("B1",))
    assert len(dropped) == 1 + len(odd) + 8


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
@settings(max_examples=200, deadline=None)
def test_any_json_is_read_or_broken(value):
    for body in (
        value,
        {**WHOLE, "order": [value]},
        {**WHOLE, "wordings": [value]},
        {**WHOLE, "differential": [value]},
    ):
        try:
            read(json.dumps(body))
        except ModelBroken:
            continue


def test_ten_thousand_mutations_are_read_or_broken():
    rng, whole, kept = random.Random(20261126), json.dumps(WHOLE), 0
    alphabet = '{}[]",:\\\x00\ud800\u202e<>ab1 null true NaN 1e999'
    for _ in range(10_000):
        text = list(whole)
        for _ in range(rng.choice((1, 1, 2, 5))):
            place = rng.randrange(len(text))
            if rng.random() < 0.5:
                text[place] = rng.choice(alphabet)
            else:
                del text[place : place + rng.randrange(1, 20)]
        try:
            read("".join(text))
            kept += 1
        except ModelBroken:
            continue
    assert kept > 100
