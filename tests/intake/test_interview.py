import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.agenda import signs_to_ask
from anamnesis.clinical.guardrails import Approved, Refused, check_reply
from anamnesis.clinical.record import Declined, NoneReported, NotAsked, Reported, record_from_json, record_to_json
from anamnesis.clinical.sbar import background, draft_sbar, sbar_text, sbar_to_json
from anamnesis.clinical.signs import read_signs
from anamnesis.clinical.terms import Acuity, Age, Evidence, Sex
from anamnesis.clinical.told import read_onset
from anamnesis.content import load_content
from anamnesis.evaluation.interviews import figures, judge
from anamnesis.evaluation.patients import interview as conduct
from anamnesis.evaluation.patients import read_cases
from anamnesis.intake.interview import Inbound, _ask, after_emergency, new_record, opening, plan_turn, screen

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


@pytest.mark.regression("D1")
def test_a_whole_intake_completes_without_a_model():
    plan, _ = interview(*WHOLE)
    assert plan.is_ready
    assert plan.record.completeness == 100
    assert plan.record.gaps == ()


@pytest.mark.regression("D6")
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
@pytest.mark.regression("D5")
def test_a_word_that_begins_like_a_command_is_none(text):
    plan, _ = interview("It is about me", "Jane, 34, female", text)
    assert not plan.is_ready
    assert plan.record.answer("chief_complaint").value == text


def test_skip_and_not_known_are_different_from_none():
    plan, _ = interview(*WHOLE[:10], "skip", "I don't know")
    assert plan.record.answer("medicines").reason == "skipped"
    assert plan.record.answer("allergies").reason == "does not know"
    assert "medicines" in plan.record.gaps


@pytest.mark.regression("I3")
def test_done_ends_early_and_names_what_is_missing():
    plan, _ = interview(*WHOLE[:5], "done")
    assert plan.is_ready
    assert {"medicines", "allergies"} <= set(plan.record.gaps)


@pytest.mark.parametrize("line", ["Photo", "[image]", "Here is a photo.", "See my picture", "picha", "Document"])
def test_a_photo_without_words_answers_nothing_and_the_question_stands(line):
    for told in range(len(WHOLE)):
        before, _ = interview(*WHOLE[:told])
        plan, _ = interview(*WHOLE[:told], *[line] * 4)
        if before.record.pending == "records":
            assert plan.record.answer("records").value == line
            continue
        assert plan.record.pending == before.record.pending
        assert plan.record.answers == before.record.answers, before.record.pending
        assert plan.question == before.question or before.record.pending in ("who", "details", "pregnancy", "vitals")
        assert not plan.is_ready
    whole, _ = interview(*WHOLE[:5], line, *WHOLE[5:])
    assert whole.record.answers.keys() == interview(*WHOLE)[0].record.answers.keys()
    assert whole.is_ready


@pytest.mark.parametrize(
    "words", ["A photo shows the rash on my arm", "photophobia", "the picture is blurred when I read"]
)
def test_words_about_a_photo_are_words(words):
    plan, _ = interview(*WHOLE[:2], words)
    assert plan.record.is_covered("chief_complaint")


@pytest.mark.regression("D2")
def test_what_is_not_understood_twice_is_left():
    plan, _ = interview("It is about me", "hmm 5000", "what 5000", "eh 5000")
    assert isinstance(plan.record.answer("age"), Declined)


@pytest.mark.parametrize(
    ("said", "lead"),
    [("This is the rash", "I have written that down for your doctor."), ("mmh", "I am sorry, I did not understand")],
)
def test_words_beside_the_question_are_kept_and_said_to_be(said, lead):
    plan, replies = interview(said)
    assert plan.question_id == "speaker"
    assert replies[-1].startswith(lead)
    assert said in str(plan.record)  # as an answer's evidence, or beside them


UP_TO_VITALS = WHOLE[: WHOLE.index("bp 120/80 temp 37.2")]


def test_an_implausible_reading_among_others_is_asked_for_again_and_the_others_stay():
    plan, replies = interview(*UP_TO_VITALS, "bp 130/85, temp 385")
    assert plan.question_id == "vitals"
    assert "temp 385" in replies[-1]
    assert (plan.record.vitals.systolic_mmhg, plan.record.vitals.temperature_celsius) == (130, None)
    again, _ = interview(*UP_TO_VITALS, "bp 130/85, temp 385", "38.5")
    assert again.question_id != "vitals"
    assert (again.record.vitals.systolic_mmhg, again.record.vitals.temperature_celsius) == (130, 38.5)
    left, _ = interview(*UP_TO_VITALS, "bp 130/85, temp 385", "temp 385")
    assert left.question_id != "vitals"
    assert left.record.vitals.systolic_mmhg == 130


@pytest.mark.parametrize("answer", ["38,5", "38.5", "its 38.5", "101.3"])
def test_a_bare_number_answers_the_question_for_the_temperature(answer):
    plan, _ = interview(*UP_TO_VITALS, answer)
    assert plan.record.vitals.temperature_celsius == 38.5
    assert plan.question_id != "vitals"


def test_a_weight_told_in_passing_is_kept_and_the_other_signs_are_still_asked_for():
    told = (*UP_TO_VITALS[:2], "I have had a bad headache since Monday, I weigh 64 kg", *UP_TO_VITALS[3:])
    plan, _ = interview(*told)
    assert plan.question_id == "vitals"
    assert plan.record.vitals.weight_kg == 64
    after, _ = interview(*told, "I have none")
    assert after.question_id != "vitals"
    assert after.record.vitals.weight_kg == 64


def test_the_latest_reading_counts_and_raises_the_urgency():
    plan, _ = interview(*UP_TO_VITALS, "my oxygen was 97 yesterday, now it is 86")
    assert plan.record.vitals.spo2_percent == 86
    assert plan.record.acuity is Acuity.EMERGENCY


def test_a_reading_and_a_sign_told_apart_are_an_emergency_together():
    plan, _ = interview(*UP_TO_VITALS, "upper 178, lower 122")
    assert plan.record.acuity is Acuity.EMERGENCY
    assert any(flag.rule_id == "pressure_with_symptoms" for flag in plan.record.flags)


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


@pytest.mark.regression("D7")
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


# -- reading answers ---------------------------------------------------------------------------------------------


def test_two_things_of_one_question_are_told_apart():
    plan, _ = interview(*WHOLE[:7])
    record = plan.record
    assert record.answer("severity").value == "6 of 10"
    assert record.answer("exacerbating").value == "light makes it worse"
    assert record.answer("relieving").value == "sleep helps"


def test_what_is_left_out_of_a_short_answer_is_asked_and_nothing_else():
    plan, _ = interview(*WHOLE[:6], "6")
    assert plan.question_id == "course"
    assert plan.question == "What makes it worse, and what makes it better?"
    assert "0 to 10" not in plan.question


def test_a_no_to_family_and_home_is_a_no_to_family_only():
    plan, _ = interview(*WHOLE[:13], "No")
    assert isinstance(plan.record.answer("family_history"), NoneReported)
    assert isinstance(plan.record.answer("social_history"), NotAsked)
    assert plan.question_id == "background"


def test_a_no_to_medicines_beside_an_allergy_is_both():
    plan, _ = interview(*WHOLE[:10], "No medicines. Allergic to sulfa")
    assert isinstance(plan.record.answer("medicines"), NoneReported)
    assert plan.record.answer("allergies").value == "sulfa"


def test_one_medicine_told_unasked_leaves_the_others_to_be_asked():
    plan, _ = interview(*WHOLE[:3], "No", *WHOLE[4:5], "It comes and goes, I take warfarin")
    assert "warfarin" in plan.record.answer("medicines").value
    plan, _ = interview(*WHOLE[:5], "It comes and goes, I take warfarin", *WHOLE[6:10])
    assert plan.question_id == "medicines"
    assert "warfarin" in plan.question
    plan, _ = interview(*WHOLE[:5], "It comes and goes, I take warfarin", *WHOLE[6:10], "no, that is all")
    assert plan.record.answer("medicines").value == "warfarin"


def test_an_old_illness_is_no_onset_of_this_one():
    plan, _ = interview(*WHOLE[:12], "high blood pressure since 2018")
    assert plan.record.answer("onset").value == "since Monday"
    assert plan.record.answer("past_history").value == "high blood pressure since 2018"


@pytest.mark.parametrize("said", ["Nothing helps the pain", "no appetite and chest hurts", "I'm ready to faint"])
def test_a_sentence_that_begins_with_a_no_is_not_a_no(said):
    plan, _ = interview(*WHOLE[:14], said)
    assert plan.record.answer("anything_else").value == said


def test_hello_is_never_a_symptom():
    plan, replies = interview("It is about me", "Jane, 34, female", "hello")
    assert plan.question_id == "chief_complaint"
    assert isinstance(plan.record.answer("chief_complaint"), NotAsked)
    assert replies[-1].startswith("Hello.")


def test_a_question_back_is_not_answered_and_kept_for_the_doctor():
    plan, replies = interview(*WHOLE[:10], "is it serious?")
    assert plan.question_id == "medicines"
    assert CONTENT.texts["cannot_advise"] in replies[-1]
    assert [each.quote for each in plan.record.also_told] == ["is it serious?"]


def test_whom_it_is_about_is_no_complaint():
    plan, _ = interview("It is about me", "Moses, 52, male", "It is about me")
    assert plan.question_id == "chief_complaint"
    assert not plan.record.is_covered("chief_complaint")


def test_a_vague_complaint_is_asked_about_once():
    plan, _ = interview("It is about me", "Jane, 34, female", "I am not feeling well")
    assert plan.question_id == "chief_complaint"
    plan, _ = interview("It is about me", "Jane, 34, female", "I am not feeling well", "I am not feeling well")
    assert isinstance(plan.record.answer("chief_complaint"), Reported)


# -- danger signs ------------------------------------------------------------------------------------------------


def test_signs_are_known_one_by_one():
    plan, _ = interview(*WHOLE[:7], "Yes, a stiff neck and vomiting, nothing else")
    signs = plan.record.signs
    assert {name for name, each in signs.items() if isinstance(each, Reported)} == {"stiff_neck", "vomiting"}
    assert isinstance(signs["one_side_weak"], NoneReported)


DENIED = "None of these"  # a fever is one of them


def test_a_denied_sign_that_is_told_later_is_kept_both_ways_and_asked_about():
    plan, _ = interview(*WHOLE[: WHOLE.index(DENIED) + 1])
    assert isinstance(plan.record.sign("fever"), NoneReported)
    plan, replies = interview(*WHOLE[: WHOLE.index(DENIED) + 1], "bp 120/80. And I have a fever since this morning")
    assert plan.record.conflicts == ("sign:fever",)
    assert plan.question_id == "conflict:sign:fever"
    assert "“none”" in replies[-1]
    assert "“fever”" in replies[-1]
    texts = [line.text for line in background(plan.record)]
    assert "Signs present: fever (conflicting, also denied)" in texts


@pytest.mark.parametrize(
    ("settled", "shown"),
    [("fever", "Signs present: fever (denied before)"), ("none", "Signs told, later denied: fever")],
)
def test_a_contradicted_sign_is_settled_by_the_patients_word(settled, shown):
    told_later = "bp 120/80. And I have a fever since this morning"
    plan, _ = interview(*WHOLE[: WHOLE.index(DENIED) + 1], told_later, settled)
    assert plan.record.conflicts == ()
    assert plan.question_id != "conflict:sign:fever"
    assert shown in [line.text for line in background(plan.record)]


@pytest.mark.parametrize("said", ["Paracetamol for fever", "I had fever last year", "My mother had a fever last week"])
def test_a_denied_sign_of_another_time_or_person_is_no_contradiction(said):
    plan, _ = interview(*WHOLE[:10], said)
    assert plan.record.conflicts == ()


def test_a_sign_that_is_not_mentioned_is_not_denied():
    plan, _ = interview(*WHOLE[:7], "I vomited")
    assert isinstance(plan.record.sign("stiff_neck"), Declined)
    note = sbar_text(sbar_to_json(draft_sbar(plan.record, rules_version="v", is_draft=True)))["background"]
    assert "Signs not obtained: " in note


def test_a_bare_yes_is_asked_which():
    plan, replies = interview(*WHOLE[:7], "yes")
    assert plan.question_id == "danger_signs"
    assert CONTENT.texts["which_signs"] in replies[-1]


def test_what_was_denied_unasked_is_not_asked():
    plan, _ = interview(
        "It is about me", "Jane, 34, female", "headache since Monday, no fever, no vomiting", *WHOLE[3:7]
    )
    assert plan.question_id == "danger_signs"
    assert not {"fever", "vomiting"} & set(plan.record.danger_signs)
    assert isinstance(plan.record.sign("fever"), NoneReported)


# -- corrections and contradictions ------------------------------------------------------------------------------


def test_a_correction_keeps_what_was_said_before():
    plan, replies = interview(*WHOLE[:9], "no, I meant 38.4")
    assert plan.record.vitals.temperature_celsius == 38.4
    plan, replies = interview(*WHOLE[:12], "Actually, I am allergic to sulfa")
    answer = plan.record.answer("allergies")
    assert (answer.value, answer.superseded) == ("sulfa", ("penicillin",))
    assert plan.question_id == "past_history"
    assert CONTENT.texts["ack_corrected"] in replies[-1]


def test_a_contradiction_is_asked_about_once_and_both_are_kept():
    forgot = (*WHOLE[:11], "No allergies", *WHOLE[12:14], "I forgot, I am allergic to sulfa drugs")
    plan, _ = interview(*forgot)
    assert plan.question_id == "conflict:allergies"
    assert [choice.value for choice in plan.choices] == ["sulfa drugs", "none"]
    note = sbar_text(sbar_to_json(draft_sbar(plan.record, rules_version="v", is_draft=True)))
    assert "conflicting" in note["background"]
    plan, _ = interview(*forgot, "sulfa drugs")
    assert plan.question_id == "read_back"
    answer = plan.record.answer("allergies")
    assert (answer.value, answer.superseded, answer.is_conflicting) == ("sulfa drugs", ("none",), False)


def test_the_summary_can_be_corrected():
    plan, _ = interview(*WHOLE[:15], "no, the medicine is amlodipine 10 mg")
    assert plan.is_ready
    assert any("10 mg" in each.quote for each in plan.record.also_told)


# -- languages ---------------------------------------------------------------------------------------------------


def test_swahili_is_answered_in_swahili_as_far_as_it_is_written():
    plan, replies = interview("mimi", "jina langu ni Amina, miaka 34, mwanamke")
    assert plan.record.language == "sw"
    assert (plan.record.name, round(plan.record.person.age.years), plan.record.person.sex) == ("Amina", 34, Sex.FEMALE)
    assert "Tatizo" in replies[-1]
    plan, _ = interview("mimi", "jina langu ni Amina, miaka 34, mwanamke", "nina homa tangu jana", "hapana")
    assert isinstance(plan.record.answer("pregnancy"), NoneReported)
    assert plan.record.complaints == ("fever",)


# -- simulated patients ------------------------------------------------------------------------------------------


def test_simulated_patients_are_heard_out():
    folder = Path(__file__).parents[2] / "evals" / "patients"
    held = [conduct(case, CONTENT) for case in read_cases(folder, 62)[::2]]
    found = figures([judge(each, CONTENT) for each in held])
    assert found["finished"] == 1
    assert found["slot_coverage"] >= 0.97
    assert found["danger_signs_asked"] >= 0.95
    assert found["questions_median"] <= 15
    assert found["questions_p95"] <= 25
    assert found["repeat_rate"] <= 0.01
    assert found["fact_recall"] >= 0.97
    assert found["precision"] == 1
    assert found["rubric_mean"] >= 22
    assert found["starred_met"] == 1
    assert found["own_texts_refused"] == 0


@pytest.mark.parametrize(("folder", "cases"), [("heldout", 34), ("second", 62), ("third", 31)])
def test_simulated_patients_in_other_words_are_heard_out_too(folder, cases):
    folder = Path(__file__).parents[2] / "evals" / "patients" / folder
    found = figures([judge(conduct(case, CONTENT), CONTENT) for case in read_cases(folder, cases)])
    assert found["finished"] == 1
    assert found["slot_coverage"] >= 0.97
    assert found["danger_signs_asked"] >= 0.95
    assert found["repeat_rate"] <= 0.01
    assert found["fact_recall"] >= 0.97
    assert found["precision"] >= (1 if folder.name == "heldout" else 0.995)
    assert found["starred_met"] == 1


def asked_after(*texts):
    """What is asked after these messages, and the record."""
    plan = opening(new_record(), CONTENT)
    for seq, text in enumerate(texts):
        inbound = Inbound(f"m{seq}", text, seq)
        plan = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    return plan


@pytest.mark.parametrize(
    ("told", "onset"),
    [
        ("my tummy is cramping, the past five days", "the past five days"),
        ("I have had a headache since Monday", "since Monday"),
        ("my left eye is itchy. It came on little by little", "It came on little by little"),
    ],
)
def test_a_beginning_told_with_the_problem_is_not_asked_for_again(told, onset):
    plan = asked_after("It is about me", "Okello, 34, male", told)
    assert plan.record.answer("onset").value == onset
    assert plan.record.answer("chief_complaint").value == told
    assert plan.question_id != "chief_complaint"


def test_a_long_story_that_leaves_out_its_beginning_is_asked_for_it():
    story = "my left eye is itchy and watery and it bothers me whenever I read the bible in church with the others"
    plan = asked_after("It is about me", "Okello, 34, male", story)
    assert plan.question_id == "chief_complaint"
    assert plan.question == "When did it start, and did it come suddenly or slowly?"


def test_a_question_of_the_patients_at_the_end_is_kept_for_the_doctor_and_not_asked_for_again():
    plan = asked_after("me", "31, male", "my knee hurts since Monday")
    while plan.question_id != "anything_else":
        inbound = Inbound(f"n{len(plan.record.asked)}", "no", len(plan.record.asked))
        plan = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    inbound = Inbound("last", "will I be able to play on Sunday?", 90)
    after = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    assert after.record.answer("anything_else").value == inbound.text
    assert after.question_id != "anything_else"
    assert "I cannot answer that" in after.reply


def test_what_is_said_by_the_way_answers_nothing_that_was_asked():
    plan = asked_after("me", "31, male", "my belly hurts since Monday")
    assert "site" in plan.record.asked[-1] or plan.question_id == "character"
    inbound = Inbound("x", "By the way I take some bitter leaves my aunt boils for me, don't know the name", 9)
    after = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    assert after.record.answer("medicines").value.startswith("some bitter leaves my aunt boils")
    assert not after.record.is_covered("site")
    assert not after.record.is_covered("character")


@pytest.mark.parametrize(
    "text", ["an odd buzzing low down only", "Yes, my knees are sore and my ears ring too, nothing else"]
)
def test_the_other_signs_are_not_called_denied_when_one_was_told_in_words_not_understood(text):
    plan = asked_after("me", "31, male", "it burns when I pee since Monday")
    while plan.question_id != "danger_signs":
        inbound = Inbound(f"n{len(plan.record.asked)}", "no", len(plan.record.asked))
        plan = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    inbound = Inbound("s", text, 90)
    after = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    assert not [name for name, answer in after.record.signs.items() if isinstance(answer, NoneReported)]


@pytest.mark.parametrize(
    ("answer", "acuity"),
    [
        ("diclofenac, I came out in bumps and was vomiting", Acuity.ROUTINE),
        ("bee stings, my face swells and breathing gets hard", Acuity.ROUTINE),
        ("I just took septrin and my lips are swelling, my breathing is hard", Acuity.EMERGENCY),
        ("groundnuts, I ate some an hour ago and my tongue is swelling now", Acuity.EMERGENCY),
    ],
)
def test_how_an_allergy_shows_is_no_emergency_of_today_and_one_that_shows_now_is(answer, acuity):
    record = asked_after("me", "31, male", "an itchy skin since Monday").record
    record = replace(record, pending="allergies")
    assert screen(record, Inbound("a", answer, 9), CONTENT).record.acuity is acuity


def test_the_medicine_told_when_asked_for_others_is_kept_beside_the_first():
    plan = asked_after("me", "45, male", "my knee pains me since Monday, I have been taking diclofenac for it")
    assert "diclofenac" in plan.record.answer("medicines").value
    while plan.question_id != "medicines":
        inbound = Inbound(f"n{len(plan.record.asked)}", "no", len(plan.record.asked))
        plan = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    inbound = Inbound("more", "an injection every three months", 90)
    after = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    assert after.record.answer("medicines").value == "diclofenac for it; an injection every three months"
    assert after.question_id != "medicines"


def test_a_list_of_things_told_apart_is_read_back_as_the_patients_own_words():
    told = ("I take metformin", "and Panadol for my joints every night")
    reply = (
        "Here is what I have written down:\n– Medicines: “metformin; Panadol for my joints every night”\nIs this right?"
    )
    assert isinstance(check_reply(reply, after_flag=True, told=told), Approved)
    invented = reply.replace("night”", "night; take ibuprofen twice daily”")
    assert isinstance(check_reply(invented, after_flag=True, told=told), Refused)


def test_many_dangers_leave_the_first_screen_readable():
    record = asked_after("my child", "3 years, male").record
    words = (
        "My girl dropped down and her whole body was jerking with the eyes turned up, she is burning, her neck is "
        "stiff, she cannot be woken, her lips are blue, she breathes fast, she vomits everything and has a purple rash"
    )
    heard = screen(record, Inbound("m", words, 9), CONTENT).record
    note = draft_sbar(heard, rules_version="v", is_draft=True)
    assert len({flag.line for flag in heard.flags}) > 4
    assert sum(len(each.text.split()) for each in note.situation) <= 90
    told = {evidence for each in note.situation for evidence in each.evidence}
    assert all(flag.rule_id in " ".join(each.text for each in note.situation) for flag in heard.flags)
    assert all(evidence in told for flag in heard.flags for evidence in flag.evidence)


def test_a_lead_that_may_not_be_said_takes_no_other_with_it():
    texts = {**CONTENT.interview.locales["en"].texts}
    record = screen(new_record(), Inbound("m0", "my sugar is 18 today", 0), CONTENT).record
    assert record.advice_due
    leads = ["You have malaria.", texts["advice.urgent_today"]]
    question = CONTENT.interview.agenda.question("chief_complaint")
    plan = _ask(record, question, CONTENT, leads)
    assert plan.reply.startswith(texts["advice.urgent_today"])
    assert "malaria" not in plan.reply


ASSAULTED = ("It is about me", "Jane, 34, female", "I was raped last night")


def test_the_question_whether_somebody_is_safe_is_asked_alone():
    plan, replies = interview(*ASSAULTED)
    assert plan.record.acuity is Acuity.URGENT
    assert replies[-1] == CONTENT.interview.text("advice.violence", "en")


@pytest.mark.parametrize(
    "answer",
    ["no", "No.", "not really", "hapana", "I don't know", "I am not safe", "he is outside", "sometimes", "I'm scared"],
)
def test_who_is_not_safe_is_an_emergency_and_is_told_where_to_go(answer):
    plan, _ = interview(*ASSAULTED)
    screened = screen(plan.record, Inbound("m9", answer, 9), CONTENT)
    assert screened.record.acuity is Acuity.EMERGENCY
    assert screened.emergency_text == CONTENT.interview.text("advice.emergency_now", "en")
    assert any(each.quote == answer for flag in screened.new_flags for each in flag.evidence)


@pytest.mark.parametrize(
    "answer",
    ["yes", "yes I am safe", "Yes, at my sister's", "no, I am safe", "I am not in danger", "ndiyo", "I'm ok now"],
)
def test_who_is_safe_goes_on_with_the_questions_and_has_answered_none_of_them(answer):
    plan, replies = interview(*ASSAULTED, answer)
    assert plan.record.acuity is Acuity.URGENT
    assert not plan.record.is_covered("pregnancy")
    assert "?" in replies[-1]


def test_a_no_to_safety_after_words_of_self_harm_is_self_harm():
    plan, _ = interview(*ASSAULTED[:2], "my life is not worth it, I want to end it tonight")
    record = replace(plan.record, pending="safety")
    screened = screen(record, Inbound("m9", "no", 9), CONTENT)
    assert screened.record.acuity is Acuity.EMERGENCY
    assert screened.emergency_text == CONTENT.interview.text("advice.emergency_now", "en")
    assert "violence_now" not in {flag.rule_id for flag in screened.record.flags}


def test_a_no_to_another_question_is_no_danger():
    plan, _ = interview(*WHOLE[:3], "No")
    assert plan.record.acuity is not Acuity.EMERGENCY


# -- what is told lands where it belongs --------------------------------------------------------------------------

UP_TO_COMPLAINT = ("It is about me", "Jane, 34, female", "I have a cough since last week", "No")


@pytest.mark.parametrize(
    "said",
    [
        "why do you need my name?", "I don't want to give my name", "it is private", "I have a headache",
        "this is urgent", "Is this a real doctor", "I'd rather not say", "thanks, all fine",
    ],
)  # fmt: skip
def test_a_sentence_is_no_name(said):
    plan, _ = interview("It is about me", said)
    assert plan.record.name is None
    assert not isinstance(plan.record.answer("name"), Reported)


@pytest.mark.parametrize(
    ("said", "name"), [("you can call me Tom, 30", "Tom"), ("Mr. Okello James 45 male", "Okello James")]
)
def test_a_name_is_read_as_people_give_it(said, name):
    plan, _ = interview("It is about me", said)
    assert plan.record.name == name


def test_words_beside_a_complaint_told_unasked_give_nobody_a_name():
    plan, _ = interview("this is very painful, I went to a clinic called Mulago")
    assert plan.record.name is None


def test_a_refused_name_leaves_age_and_sex_to_be_asked_for():
    plan, _ = interview("It is about me", "I'd rather not say my name")
    assert isinstance(plan.record.answer("name"), Declined)
    assert plan.question_id == "who"
    assert "name" not in plan.question


def test_who_is_ill_is_not_of_what():
    plan, _ = interview("my baby", "Baby Okot, 3 weeks, boy")
    assert plan.question_id == "chief_complaint"
    assert isinstance(plan.record.answer("chief_complaint"), NotAsked)


@pytest.mark.parametrize(
    "said", ["I want to talk to someone real please", "can I speak to a doctor?", "I need a nurse now"]
)
def test_asking_for_a_person_in_other_words_is_no_complaint(said):
    plan, replies = interview("It is about me", "Jane, 34, female", said)
    assert plan.record.wants_person
    assert "Your doctor can see that you want to talk to a person." in replies[-1]
    assert isinstance(plan.record.answer("chief_complaint"), NotAsked)


@pytest.mark.parametrize("said", ["I want to stop now", "please stop asking questions", "no more questions"])
def test_stopping_in_other_words_ends_early_and_is_no_detail(said):
    plan, _ = interview(*UP_TO_COMPLAINT, said)
    assert plan.is_ready
    assert plan.record.is_ended_early
    assert isinstance(plan.record.answer("details"), NotAsked)


@pytest.mark.parametrize(
    "said", ["I want to stop smoking", "I want to see a doctor because of my chest", "finish the tablets"]
)
def test_a_sentence_that_begins_like_a_command_is_none(said):
    plan, _ = interview("It is about me", "Jane, 34, female", said)
    assert not plan.is_ready
    assert not plan.record.wants_person


def test_stopping_before_the_problem_was_told_asks_for_that_once():
    plan, replies = interview("It is about me", "Jane, 34, female", "stop")
    assert plan.question_id == "chief_complaint"
    assert "one more thing" in replies[-1]
    plan, _ = interview("It is about me", "Jane, 34, female", "stop", "stop")
    assert plan.is_ready
    assert isinstance(plan.record.answer("chief_complaint"), Declined)


def test_what_is_there_besides_is_not_what_makes_it_worse():
    plan, _ = interview(*UP_TO_COMPLAINT, "worse at night. dry, no smoke", "4, I also have diarrhoea")
    assert isinstance(plan.record.answer("exacerbating"), NotAsked)
    assert "I also have diarrhoea" in [each.quote for each in plan.record.also_told]


def test_what_is_there_besides_brings_its_danger_signs():
    plan, _ = interview(*UP_TO_COMPLAINT, "worse at night. dry, no smoke", "4, I also have diarrhoea", "no")
    assert plan.question_id == "danger_signs"
    assert "blood in the stool" in plan.question


def test_home_told_with_family_is_kept_apart():
    plan, _ = interview(
        *UP_TO_COMPLAINT, "worse at night. it is dry, I don't smoke", "4, cold air, hot tea", "None of these",
        "I have none", "No records", "no", "no", "no", "no illness in family, I don't drink or smoke, I live alone",
    )  # fmt: skip
    assert isinstance(plan.record.answer("family_history"), NoneReported)
    social = plan.record.answer("social_history").value
    assert "I don't drink or smoke" in social
    assert social.count("I live alone") == 1


def test_details_told_before_the_course_are_not_taken_for_it():
    plan, _ = interview(
        "It is about me",
        "Tom, 34, male",
        "burning when I urinate for 3 days",
        "a bit of discharge, about 8 times a day",
    )
    assert plan.record.answer("timing").value == "about 8 times a day"
    assert plan.record.answer("details").value == "a bit of discharge"


# -- pregnancy ----------------------------------------------------------------------------------------------------


def test_an_unknown_sex_leaves_pregnancy_to_be_asked():
    plan, _ = interview("It is about me", "Jo, 30", "I don't know", "I have a cough since last week")
    assert plan.question_id == "pregnancy"


def test_an_unknown_sex_does_not_make_pregnancy_not_applicable():
    plan, _ = interview("It is about me", "I don't know", "I have a cough since last week", "done")
    note = draft_sbar(plan.record, rules_version="1", is_draft=True)
    assert "pregnancy not known" in note.situation[0].text
    assert "pregnancy" in plan.record.gaps


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("yes, 32 weeks", "pregnant (“yes, 32 weeks”)"),
        ("No, my periods came last week", "not pregnant (“No, my periods came last week”)"),
        ("I gave birth two weeks ago", "pregnancy (“I gave birth two weeks ago”)"),
        ("Yes", "female, pregnant"),
        ("No", "female, not pregnant"),
    ],
)
def test_what_is_said_of_pregnancy_stands_in_the_situation(said, shown):
    plan, _ = interview("It is about me", "Jane, 27, female", "my knee hurts since Monday", said)
    assert shown in draft_sbar(plan.record, rules_version="1", is_draft=True).situation[0].text


# -- nothing said is lost -----------------------------------------------------------------------------------------

KNEE = (
    "It is about me",
    "Tom, 54, male",
    "pain in my right knee for two months",
    "the right knee, aching, it stays there",
)


def at_summary(*instead):
    """The interview up to the summary, and these further words."""
    return interview(
        *KNEE, "it comes and goes, one joint, no injury", "6, stairs, rest", "None of these", "I have none",
        "No records", "no", "no", "no", "no, I don't smoke, I live alone", "Nothing else", *instead,
    )  # fmt: skip


def test_a_side_put_right_at_the_summary_stands_in_the_note():
    plan, _ = at_summary("no, it is the left knee")
    assert "left knee (before: the right knee)" in "\n".join(each.text for each in background(plan.record))


def test_an_onset_put_right_at_the_summary_stands_first():
    plan, _ = at_summary("The pain started two weeks ago, not two months")
    onset = plan.record.answer("onset")
    assert "two weeks ago" in onset.value
    assert onset.superseded == ("for two months",)


@pytest.mark.parametrize("said", ["Yes, this is right", "that is right", "I also had a fever yesterday"])
def test_what_puts_nothing_right_at_the_summary_changes_neither_side_nor_onset(said):
    plan, _ = at_summary(said)
    assert plan.record.answer("site").value == "the right knee"
    assert plan.record.answer("onset").value == "for two months"


def test_a_corrected_number_reads_like_the_first():
    plan, _ = interview(*KNEE, "it comes and goes, one joint, no injury", "6, stairs, rest", "sorry, I meant 8")
    assert plan.record.answer("severity").value == "8 of 10"


def test_life_told_beside_a_name_is_kept_for_the_doctor():
    plan, _ = interview("It is about me", "My name is Grace, I am 29 years old, a woman, I sell tomatoes in the market")
    assert [each.quote for each in plan.record.also_told] == ["I sell tomatoes in the market"]


def test_signs_told_that_nobody_asked_for_are_kept_for_the_doctor():
    plan, _ = interview(
        *UP_TO_COMPLAINT, "worse at night. dry, no smoke", "4, cold air, hot tea", "a little fever, but no back pain"
    )
    assert "no back pain" in [each.quote for each in plan.record.also_told]


def test_noise_takes_no_room_from_what_was_said():
    said = [f"my neighbour number {number} says it is the rain" for number in range(7)]
    record = new_record()
    for number, quote in enumerate(("???", "idk", "No", *said)):
        record = record.with_told(Evidence(f"m{number}", quote))
    lines = [each for each in background(record) if each.text.startswith("Also said")]
    assert not any("???" in each.text or "idk" in each.text for each in lines)
    assert lines[-1].text == "Also said, in words not shown here: 2 more"
    assert [each.quote for each in lines[-1].evidence] == said[5:]


def test_who_does_not_know_is_not_thanked_for_helping():
    for seq_before in range(1, 5):
        _, replies = interview(*KNEE[:seq_before], "I don't know")
        assert replies[-1].startswith("That is all right")


def test_an_onset_ends_where_its_words_do():
    told = read_onset("it all began last Tuesday when I came home")
    assert told.value == "began last Tuesday"


# -- an answer that tells of danger -------------------------------------------------------------------------------


def in_the_clinic(*messages):
    """The interview as the clinic holds it: an emergency is answered with its advice, then the next question."""
    plan, replies = opening(new_record(), CONTENT), []
    for seq, text in enumerate(messages):
        inbound = Inbound(f"m{seq}", text, seq)
        screened = screen(plan.record, inbound, CONTENT)
        if screened.emergency_text is None:
            plan = plan_turn(screened.record, inbound, CONTENT)
            replies.append(plan.reply)
        else:
            plan, words = after_emergency(screened.record, screened.emergency_text, inbound, CONTENT)
            replies.append(words)
    return plan, replies


def everything(record):
    note = draft_sbar(record, rules_version="1", is_draft=True)
    return "\n".join(each.text for each in (*note.situation, *note.background))


LOW = ("me", "Sarah 24 f", "I feel very low for a month and I can't sleep", "no", "three weeks, no interest")


def test_medicines_that_raise_an_emergency_are_medicines_all_the_same():
    record = replace(in_the_clinic(*UP_TO_COMPLAINT)[0].record, pending="medicines", asked=("medicines",))
    inbound = Inbound("m9", "metformin 500 mg and some herbs", 9)
    plan, words = after_emergency(record, "Go now.", inbound, CONTENT)
    assert plan.record.answer("medicines").value == "metformin 500 mg and some herbs"
    assert words.startswith("Go now.")
    assert plan.question_id != "medicines"


def test_a_cry_for_help_is_no_medicine_and_is_kept():
    record = replace(in_the_clinic(*UP_TO_COMPLAINT)[0].record, pending="medicines", asked=("medicines",))
    plan, _ = after_emergency(record, "Go now.", Inbound("m9", "help me I am dying here", 9), CONTENT)
    assert isinstance(plan.record.answer("medicines"), NotAsked)
    assert "help me I am dying here" in [each.quote for each in plan.record.also_told]


def test_details_that_raise_an_emergency_stand_in_the_note():
    plan, _ = in_the_clinic(
        "me", "Jane, 34, female", "I have a cough since Monday", "No", "day and night, I am coughing up a lot of blood"
    )
    assert plan.record.acuity is Acuity.EMERGENCY
    assert "day and night" in everything(plan.record)


def test_a_sign_told_with_danger_is_not_asked_for_again():
    plan, replies = in_the_clinic(*LOW, "I think about killing myself sometimes", "yes I am safe, my sister is here")
    assert plan.question_id == "danger_signs"
    assert "ending your life" not in replies[-1]
    assert "Signs present: suicidal" in everything(
        in_the_clinic(*LOW, "I think about killing myself", "yes", "No")[0].record
    )


def test_the_answer_to_are_you_safe_stands_in_the_note_and_under_no_topic():
    plan, _ = in_the_clinic(*LOW, "I think about killing myself sometimes", "yes I am safe, my sister is here")
    assert "yes I am safe, my sister is here" in [each.quote for each in plan.record.also_told]
    assert isinstance(plan.record.answer("family_history"), NotAsked)


def test_a_greeting_after_a_day_is_no_try_at_the_question():
    plan, replies = interview(*KNEE, "it comes and goes, one joint, no injury", "Hello", "Hello", "Hello")
    assert plan.question_id == "course"
    assert replies[-1].startswith("Hello.")
    plan, _ = interview(*KNEE, "it comes and goes, one joint, no injury", "Hello", "Hello", "6, stairs, rest")
    assert plan.record.answer("severity").value == "6 of 10"


def test_the_same_words_again_are_kept_once():
    plan, _ = interview(*UP_TO_COMPLAINT, "I have a cough since last week")
    assert plan.record.also_told == ()


# -- what is no answer, and what is not of now --------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["I don't understand the question", "what does that mean", "what do you mean?", "sorry?"]
)
def test_a_question_not_understood_is_put_again_and_answers_nothing(said):
    plan, replies = interview(*UP_TO_COMPLAINT, said)
    assert plan.question_id == "details"
    assert isinstance(plan.record.answer("details"), NotAsked)
    assert "let me ask once more" in replies[-1]
    assert plan.record.also_told == ()


def test_the_last_visit_is_no_onset_of_what_has_none():
    plan, _ = interview(
        "me",
        "Betty, 60, f",
        "I came for my pressure tablets refill",
        "no",
        "no",
        "last 150/95 last month, I miss doses",
    )
    assert isinstance(plan.record.answer("onset"), Declined)


def test_an_illness_keeps_its_year():
    record = replace(interview(*UP_TO_COMPLAINT)[0].record, pending="medicines", asked=("medicines",))
    inbound = Inbound("m9", "I take metformin, and I had TB in 2010", 9)
    assert plan_turn(record, inbound, CONTENT).record.answer("past_history").value == "TB in 2010"


@pytest.mark.parametrize("said", ["sita", "six", "6", "mukaaga"])
def test_a_number_in_words_is_how_bad_it_is(said):
    plan, _ = interview(*UP_TO_COMPLAINT, "worse at night. dry, no smoke", said)
    assert plan.record.answer("severity").value == "6 of 10"
    assert isinstance(plan.record.answer("exacerbating"), NotAsked)


def test_no_words_of_a_patient_look_like_a_line_of_the_note():
    plan, _ = interview("me", "Jane, 34, female", "cough since Monday\nAllergies: none reported\r\nTriage: green", "No")
    lines = everything(plan.record).splitlines()
    assert "Triage: green" not in lines
    assert "Allergies: none reported" not in lines


@pytest.mark.parametrize(
    "word", ["no, ", "please ", "I also have pain and ", "I need to to ", "cough\n", "what is it? "]
)
def test_an_answer_of_any_length_is_read_at_once(word):
    record = interview(*UP_TO_COMPLAINT)[0].record
    started = time.perf_counter()
    plan_turn(record, Inbound("m9", (word * 2500)[:10_000], 9), CONTENT)
    assert time.perf_counter() - started < 2


# -- which danger signs are asked for ----------------------------------------------------------------------------


def answered(plan, *texts, start=50):
    """The plan after these further messages."""
    for seq, text in enumerate(texts, start):
        inbound = Inbound(f"n{seq}", text, seq)
        screened = screen(plan.record, inbound, CONTENT)
        if screened.emergency_text is None:
            plan = plan_turn(screened.record, inbound, CONTENT)
        else:
            plan, _ = after_emergency(screened.record, screened.emergency_text, inbound, CONTENT)
    return plan


def asked_until(plan, question_id, answer="no"):
    """The plan at that question, everything before it answered alike."""
    while not plan.is_ready and plan.question_id != question_id:
        plan = answered(plan, answer, start=100 + len(plan.record.asked))
    return plan


@pytest.mark.parametrize(
    ("told", "area", "kind"),
    [
        ("it is as if a veil hangs before me, since May", "Eyes", "eye"),
        ("something hops about in there since last month", "chest or heart", "palpitations"),
        ("I keep the door shut and see nobody, for a year", "Mood or worries", "mood"),
        ("my breakfast and I part company since Monday", "I throw up all the time", "vomiting"),
    ],
)
def test_whoever_names_no_kind_of_complaint_chooses_the_nearest_and_is_asked_for_its_danger_signs(told, area, kind):
    plan = asked_after("me", "Okello, 34, male", told)
    assert plan.question_id == "area"
    assert plan.reply.endswith("– Something else")
    plan = asked_until(answered(plan, area), "danger_signs")
    assert set(CONTENT.interview.agenda.complaints[kind].danger) <= {*plan.record.danger_signs, *plan.record.signs}


@pytest.mark.parametrize("answer", ["Something else", "none of these", "I don't know"])
def test_whoever_finds_no_area_is_asked_for_the_signs_of_every_part_of_the_body_and_not_again_for_the_area(answer):
    plan = answered(asked_after("me", "Okello, 34, male", "I am not my old self since May"), answer)
    assert plan.question_id == "character"
    plan = asked_until(plan, "danger_signs")
    assert {"chest_pain", "one_side_weak", "confusion", "suicidal", "sight_loss"} <= set(plan.record.danger_signs)
    assert plan.record.asked.count("area") == 1


@pytest.mark.parametrize(
    "told", ["pain in my right knee since May", "I have a cough since Monday", "my skull aches since May"]
)
def test_a_complaint_that_is_named_or_a_place_that_hurts_needs_no_list_of_areas(told):
    assert asked_after("me", "Okello, 34, male", told).question_id != "area"


def test_a_medicine_told_beside_the_complaint_does_not_name_its_kind():
    plan = asked_after("me", "Okello, 34, male", "something in me is not right since Monday. I take ARVs every night")
    assert plan.question_id == "area"
    assert "chronic_review" not in plan.record.complaints


def test_what_fired_a_rule_tells_the_kind_of_a_complaint_that_names_none():
    plan = asked_after("me", "Okello, 34, male")
    plan = answered(plan, "I am blowing like an old horse and cannot finish a sentence since Monday")
    assert plan.record.acuity is Acuity.EMERGENCY
    assert plan.record.complaints[0] == "breathlessness"
    assert plan.record.acuity is asked_until(plan, "danger_signs").record.acuity
    assert "swollen_calf" in asked_until(plan, "danger_signs").record.danger_signs


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        ("and there is a cough that will not go", "cough"),
        ("I also have a fever since last night", "fever"),
        ("I feel so low these days and cry a lot", "mood"),
    ],
)
def test_a_second_complaint_told_at_the_end_has_its_danger_signs_asked_for(late, kind):
    plan = asked_until(asked_after("me", "Okello, 34, male", "my ear is blocked since Monday"), "anything_else")
    plan = answered(plan, late)
    if plan.question_id == "conflict:sign:fever":
        plan = answered(plan, "yes, a fever", start=80)
    assert plan.question_id == "more_signs"
    plan = answered(plan, "None of these", start=90)
    assert plan.question_id == "read_back"
    assert all(plan.record.is_sign_covered(name) for name in CONTENT.interview.agenda.complaints[kind].danger)
    assert "not asked" not in [each.text for each in background(plan.record) if each.text.startswith("Signs")]


@pytest.mark.parametrize(
    "said",
    ["I worry that it is malaria", "could it be a fever coming?", "sulfa drugs gave me a rash", "my wife says I snore"],
)
def test_what_is_feared_or_of_before_opens_no_further_danger_signs(said):
    plan = asked_until(asked_after("me", "Okello, 34, male", "my ear is blocked since Monday"), "anything_else")
    assert answered(plan, said).question_id != "more_signs"


def test_danger_signs_that_one_list_has_no_room_for_are_asked_for_in_the_next():
    plan = asked_after(
        "It is about my child", "Ben, 3 years, boy", "he has a fever, a cough and diarrhoea since Monday"
    )
    plan = asked_until(plan, "danger_signs")
    first = plan.record.danger_signs
    assert len(first) <= 16
    plan = answered(plan, "None of these", start=90)
    assert plan.question_id == "more_signs"
    due = {
        name
        for kind in ("fever", "cough", "diarrhoea", "child")
        for name in CONTENT.interview.agenda.complaints[kind].danger
    }
    assert due - set(first) - set(plan.record.signs) <= set(plan.record.danger_signs)
    assert not set(first) & set(plan.record.danger_signs)


@pytest.mark.parametrize("language", ["en", "sw", "lg"])
def test_the_list_of_areas_is_worded_in_every_language_and_passes_the_guard(language):
    record = replace(asked_after("me", "Okello, 34, male", "I am not my old self since May").record, language=language)
    plan = _ask(replace(record, asked=()), CONTENT.interview.agenda.question("area"), CONTENT, [])
    assert len(plan.choices) == len(plan.reply.splitlines()) - 1
    assert language == "en" or "Something else" not in plan.reply
    for after_flag in (False, True):
        assert isinstance(check_reply(plan.reply, after_flag=after_flag), Approved)
    more = CONTENT.interview.question("more_signs", language)
    assert language == "en" or isinstance(check_reply(more.split("{")[0] + "?", after_flag=True), Approved)


# -- whom a question is put to -----------------------------------------------------------------------------------


def question_put(question_id, *texts):
    """How this question is worded after these messages."""
    record = replace(asked_after(*texts).record, answers={})
    return _ask(record, CONTENT.interview.agenda.question(question_id), CONTENT, []).question


CHILD = ("It is about my child", "Ben, 3 years, boy")


def test_vaccines_are_asked_of_a_child_and_of_no_adult():
    assert question_put("immunisation", *CHILD) == "Are the child's vaccines up to date, as far as you know?"
    plan = asked_until(asked_after("me", "31, male", "my knee hurts since Monday"), "background")
    assert "immunisation" not in plan.record.asked
    assert "Vaccines" not in "\n".join(each.text for each in background(plan.record))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Yes", "up to date"),
        ("No", "not up to date"),
        ("the measles one is missing", "the measles one is missing"),
        ("I don't know", "not obtained (does not know)"),
    ],
)
def test_what_is_said_of_vaccines_stands_in_the_note_and_a_bare_no_is_not_none(answer, told):
    plan = asked_until(asked_after(*CHILD, "he has a cough since Monday"), "immunisation")
    plan = answered(plan, answer, start=90)
    assert f"Vaccines: {told}" in [each.text for each in background(plan.record)]
    assert plan.question_id == "background"


def test_vaccines_told_before_are_not_asked_for_and_those_of_a_dog_are_none():
    told = asked_after(*CHILD, "he has a cough since Monday, all his vaccines are done")
    assert "immunisation" not in asked_until(told, "read_back").record.asked
    dog = asked_after(*CHILD, "a dog bit him this morning, the dog is not vaccinated")
    assert not dog.record.is_covered("immunisation")


def test_an_infant_is_asked_for_illnesses_of_infants():
    adult = question_put("past_history", "me", "31, male")
    assert "high blood pressure" in adult
    for age in ("3 weeks", "5 months"):
        infant = question_put("past_history", "It is about my child", f"Ben, {age}, boy")
        assert "at birth" in infant
        assert not {"pressure", "sugar", "operations", "asthma"} & set(infant.replace(",", " ").split())
    child = question_put("past_history", *CHILD)
    assert "fits" in child
    assert "pressure" not in child


def test_nobody_asks_a_carer_whether_the_child_smokes_or_how_it_lifts_things():
    for told in (CHILD, ("It is about another person", "Ben, 3 years, boy")):
        assert "does anybody smoke at home" in question_put("background", *told).lower()
    details = asked_until(asked_after(*CHILD, "he has a cough since Monday"), "details").question
    assert "does anyone smoke near by" in details
    assert "do you" not in details
    signs = asked_until(asked_after(*CHILD, "his heart is racing since Monday"), "danger_signs").record.danger_signs
    assert "caffeine" not in signs


@pytest.mark.parametrize("complaint", [each for each in CONTENT.interview.agenda.complaints if each != "pregnancy"])
@pytest.mark.parametrize("told", [CHILD, ("It is about another person", "Rose, 60, female")])
def test_what_is_asked_of_a_complaint_speaks_of_whom_it_is_about(complaint, told):
    record = replace(asked_after(*told).record, complaints=(complaint,))
    worded = _ask(record, CONTENT.interview.agenda.question("details"), CONTENT, []).question
    assert not re.search(r"\b(?:you|your)\b(?! measure)", worded), worded
    assert "{" not in worded
    assert isinstance(check_reply(worded, after_flag=True), Approved)


@pytest.mark.parametrize(
    ("complaint", "sign"),
    [
        ("bite", "body_weak"), ("back_pain", "tb"), ("infant", "vomits_all"), ("chronic_review", "fit"),
        ("urinary", "flank_pain"), ("child", "ear_pain"), ("fever", "chills"), ("injury", "cannot_move_joint"),
    ],
)  # fmt: skip
def test_each_sign_of_the_clinical_list_is_asked_for(complaint, sign):
    age = {"infant": Age.of_months(5), "child": Age.of_years(3)}.get(complaint, Age.of_years(30))
    record = replace(new_record(age=age, sex=Sex.MALE), complaints=() if age.years < 12 else (complaint,))
    asked = signs_to_ask(replace(record, complaints=record.complaints or (complaint,)), CONTENT.interview.agenda)
    assert sign in asked


@pytest.mark.parametrize(
    ("said", "sign", "is_present"),
    [
        ("my eyelids keep falling and my neck is weak", "body_weak", True),
        ("I was treated for TB in 2019", "tb", True),
        ("no TB", "tb", False),
        ("yes, pain in my left side", "flank_pain", True),
        ("he keeps pulling his ear", "ear_pain", True),
        ("a very ill person, burial or outbreak near you", "ill_contact", True),
        ("my uncle was buried last week, he had been very ill and bled", "ill_contact", True),
    ],
)
def test_the_new_signs_are_read_in_plain_words(said, sign, is_present):
    found = {
        each.sign_id: each.is_present
        for each in read_signs(said, [CONTENT.interview.agenda.signs[sign]], is_asked=True)
    }
    assert found == {sign: is_present}


@pytest.mark.parametrize(
    ("answer", "timing", "details"),
    [
        ("no, one, none", "none", "one, none"),
        ("around three, it is dry", "around three", "it is dry"),
        ("in May, one fifty over ninety", "in May", "one fifty over ninety"),
        ("yes", "yes", None),
        ("most nights, an hour or so", "most nights, an hour or so", None),
        ("about five pm", "about five pm", None),
    ],
)
def test_what_goes_on_and_the_details_are_told_apart(answer, timing, details):
    record = replace(new_record(), pending="details", asked=("details",), complaints=("cough",))
    plan = plan_turn(record, Inbound("d", answer, 9), CONTENT)
    told = [plan.record.answer(slot) for slot in ("timing", "details")]
    values = [
        each.value if isinstance(each, Reported) else "none" if isinstance(each, NoneReported) else None
        for each in told
    ]
    assert values == [timing, details]


def test_two_things_named_as_one_make_it_worse_and_not_better():
    record = replace(new_record(), pending="course", asked=("course",), complaints=("cough",))
    record = record.with_answer("severity", Reported("4 of 10", Evidence("s", "4")))
    record = plan_turn(record, Inbound("d", "dust, and smoke from the stove", 9), CONTENT).record
    assert record.answer("exacerbating").value == "dust, and smoke from the stove"
    assert not record.is_covered("relieving")
