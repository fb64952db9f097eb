"""The record never forgets, never invents, and survives storage."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.record import (
    ClinicalRecord,
    Declined,
    NoneReported,
    NotAsked,
    Reported,
    Stage,
    record_from_json,
    record_to_json,
)
from anamnesis.clinical.terms import Evidence

EVIDENCE = st.builds(Evidence, st.text(max_size=4), st.text(max_size=12))
ANSWERS = st.one_of(
    st.just(NotAsked()),
    st.builds(Declined, st.sampled_from(["skipped", "does not know"]), EVIDENCE),
    st.builds(NoneReported, EVIDENCE),
    st.builds(Reported, st.text(min_size=1, max_size=8), EVIDENCE),
)
SLOTS = st.sampled_from(["allergies", "medicines", "onset"])


def words_of(record, slot):
    answer = record.answer(slot)
    return {answer.value, *answer.superseded} if isinstance(answer, Reported) else set()


@settings(max_examples=60)
@given(st.lists(st.tuples(SLOTS, ANSWERS), max_size=8))
@pytest.mark.regression("I1")
def test_what_was_once_reported_is_never_erased(told):
    record, reported = ClinicalRecord(), set()
    for slot, answer in told:
        record = record.with_answer(slot, answer)
        reported |= {(slot, answer.value)} if isinstance(answer, Reported) else set()
    assert all(value in words_of(record, slot) for slot, value in reported)


@settings(max_examples=60)
@given(st.lists(st.tuples(SLOTS, ANSWERS), max_size=8))
def test_only_what_was_told_is_in_the_record(told):
    record = ClinicalRecord()
    for slot, answer in told:
        record = record.with_answer(slot, answer)
    for slot in {"allergies", "medicines", "onset"} - {slot for slot, _ in told}:
        assert isinstance(record.answer(slot), NotAsked)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(SLOTS, ANSWERS), max_size=6), st.dictionaries(st.text(min_size=20, max_size=24), st.integers())
)
def test_a_stored_record_comes_back_with_every_key_a_newer_version_put_there(told, future):
    record = ClinicalRecord()
    for slot, answer in told:
        record = record.with_answer(slot, answer).with_sign(slot, answer)
    stored = {**json.loads(json.dumps(record_to_json(record))), **future}
    assert json.loads(json.dumps(record_to_json(record_from_json(stored)))) == stored


def test_an_empty_or_older_row_is_a_new_record():
    assert record_from_json({}) == ClinicalRecord()
    older = record_from_json({"stage": "SomebodyElse", "vitals": {"mood": 3}, "answers": {"onset": {"kind": "odd"}}})
    assert older.stage is Stage.VITALS
    assert isinstance(older.answer("onset"), NotAsked)


def test_a_second_medicine_joins_the_first():
    first, second = (Reported(name, Evidence(name, name)) for name in ("aspirin", "warfarin"))
    record = ClinicalRecord().with_item("medicines", first).with_item("medicines", second)
    assert record.answer("medicines").value == "aspirin; warfarin"
    assert record.with_item("medicines", second).answer("medicines").value == "aspirin; warfarin"


def test_a_contradiction_keeps_both_until_it_is_settled():
    record = ClinicalRecord().with_answer("allergies", NoneReported(Evidence("m1", "none")))
    record = record.with_conflict("allergies", Reported("sulfa", Evidence("m2", "sulfa")))
    assert record.conflicts == ("allergies",)
    assert record.answer("allergies").is_conflicting
    settled = record.settled("allergies")
    assert settled.conflicts == ()
    assert settled.answer("allergies").superseded == ("none",)


def test_a_sign_that_was_there_is_not_denied_away():
    record = ClinicalRecord().with_sign("fit", Reported("a fit", Evidence("m1", "a fit")))
    later = record.with_sign("fit", NoneReported(Evidence("m2", "no")))
    assert isinstance(later.sign("fit"), Reported)
