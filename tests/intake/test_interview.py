import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.guardrails import Approved, Refused, check_reply
from anamnesis.clinical.record import Declined, NoneReported, NotAsked, Reported, record_from_json, record_to_json
from anamnesis.clinical.sbar import draft_sbar, sbar_text, sbar_to_json
from anamnesis.clinical.terms import Acuity, Sex
from anamnesis.content import load_content
from anamnesis.intake.interview import Inbound, new_record, opening, plan_turn, screen

CONTENT = load_content()


def interview(*messages):
    """Tell these messages one after the other; answer the last plan and all replies."""
    plan = opening(new_record(), CONTENT)
    replies = [plan.reply]
    for seq, text in enumerate(messages):
        inbound = Inbound(f"m{seq}", text, seq)
        plan = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
        replies.append(plan.reply)
    return plan, replies


WHOLE = (
    "It is about me",
    "Jane, 34, female",
    "I have had a bad headache since Monday",
    "No",
    "in front, throbbing, it does not spread",
    "It comes and goes, it took a day to get bad",
    "6, light makes it worse, sleep helps",
    "None of these",
    "bp 120/80 temp 37.2",
    "No records",
    "I take amlodipine 5 mg",
    "No, but I am allergic to penicillin",
    "high blood pressure",
    "No family illness, no smoking, I live with my sister",
    "Nothing else",
    "Yes, this is right",
)


def test_a_whole_intake_completes_without_a_model():
    plan, _ = interview(*WHOLE)
    assert plan.is_ready
    assert plan.record.completeness == 100
    assert plan.record.gaps == ()


def test_no_but_is_an_allergy_and_none_is_none():
    plan, _ = interview(*WHOLE)
    assert plan.record.answer("allergies").value == "penicillin"
    assert isinstance(plan.record.answer("family_history"), NoneReported)


def test_several_facts_in_one_message_are_all_read_and_never_asked_again():
    plan, _ = interview(
        "It is about me", "My name is Jane, 34 years old, female. I have had a cough for 3 days, allergic to penicillin"
    )
    record = plan.record
    assert (record.name, round(record.person.age.years), record.person.sex) == ("Jane", 34, Sex.FEMALE)
    assert record.answer("onset").value == "for 3 days"
    assert isinstance(record.answer("chief_complaint"), Reported)
    assert record.answer("allergies").value == "penicillin"
    assert plan.question_id == "pregnancy"


@pytest.mark.parametrize("text", ["Complete loss of vision", "Stop breathing at night", "Next to my neck is a lump"])
def test_a_word_that_begins_like_a_command_is_none(text):
    plan, _ = interview("It is about me", "Jane, 34, female", text)
    assert not plan.is_ready
    assert plan.record.answer("chief_complaint").value == text


def test_skip_and_not_known_are_different_from_none():
    plan, _ = interview(*WHOLE[:10], "skip", "I don't know")
    assert plan.record.answer("medicines").reason == "skipped"
    assert plan.record.answer("allergies").reason == "does not know"
    assert "medicines" in plan.record.gaps


def test_done_ends_early_and_names_what_is_missing():
    plan, _ = interview(*WHOLE[:5], "done")
    assert plan.is_ready
    assert {"medicines", "allergies"} <= set(plan.record.gaps)


def test_what_is_not_understood_twice_is_left():
    plan, _ = interview("It is about me", "hmm 5000", "what 5000", "eh 5000")
    assert isinstance(plan.record.answer("age"), Declined)


def test_an_implausible_reading_is_asked_for_again():
    plan, replies = interview(*WHOLE[:8], "temperature 58")
    assert plan.question_id == "vitals"
    assert "58" in replies[-1]


def test_a_parent_is_asked_about_the_child():
    plan, replies = interview("It is about my child", "Tom, 3 years old, boy", "he has a fever")
    assert plan.record.person.speaker == "parent"
    assert plan.record.acuity is Acuity.URGENT
    assert "pregnant" not in " ".join(replies)


def test_an_emergency_gets_the_fixed_text_at_once():
    inbound = Inbound("m", "crushing chest pain and I am sweating", 1)
    screened = screen(opening(new_record(), CONTENT).record, inbound, CONTENT)
    assert screened.emergency_text == CONTENT.texts["advice.emergency_now"]
    assert screened.record.colour == "red"
    again = screen(screened.record, Inbound("m2", "I feel fine now, no chest pain", 2), CONTENT)
    assert again.record.acuity is Acuity.EMERGENCY
    assert again.emergency_text is None


def test_every_statement_of_the_hand_over_rests_on_words_the_patient_wrote():
    plan, _ = interview(*WHOLE)
    note = draft_sbar(plan.record, rules_version=CONTENT.version, is_draft=True)
    for section in (note.situation, note.background, note.assessment, note.recommendation):
        for evidence in (each for statement in section for each in statement.evidence):
            assert evidence.quote in WHOLE[int(evidence.message_id[1:])]


def test_the_hand_over_tells_not_asked_declined_and_none_apart():
    plan, _ = interview(*WHOLE[:9], "No records", "skip", "done")
    text = sbar_text(sbar_to_json(draft_sbar(plan.record, rules_version="v", is_draft=True)))["background"]
    assert "Records: none reported" in text
    assert "Medicines: not obtained (skipped)" in text
    assert "Allergies: not asked" in text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60) | st.sampled_from(WHOLE), max_size=25))
def test_any_conversation_goes_on_and_its_record_survives_storage(messages):
    plan, replies = interview(*messages)
    assert all(isinstance(check_reply(reply, after_flag=True), Approved) or reply for reply in replies)
    stored = json.loads(json.dumps(record_to_json(plan.record)))
    assert record_from_json(stored) == plan.record


def test_keys_of_a_newer_version_survive():
    stored = {**record_to_json(new_record()), "from_the_future": [1]}
    assert record_to_json(record_from_json(stored))["from_the_future"] == [1]


def test_silence_never_becomes_none():
    assert isinstance(new_record().answer("allergies"), NotAsked)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("You probably have malaria.", "diagnosis"),
        ("Take 500 mg twice a day.", "dose"),
        ("You should take some ibuprofen.", "drug"),
        ("You will be fine.", "prognosis"),
        ("There is no need to see a doctor.", "no_need_for_care"),
        ("Don't worry.", "reassurance_after_flag"),
        ("<script>alert(1)</script>", "active_content"),
    ],
)
def test_the_guard_refuses_what_only_a_clinician_may_say(text, reason):
    assert check_reply(text, after_flag=True) == Refused(reason)
