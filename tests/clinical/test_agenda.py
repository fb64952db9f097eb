"""What is asked of whom, and how it is worded."""

import re
from dataclasses import replace

import pytest

from anamnesis.clinical import agenda as agendas
from anamnesis.clinical.agenda import Speaker, sentence, voiced
from anamnesis.clinical.record import ClinicalRecord, NoneReported, Reported
from anamnesis.clinical.terms import Acuity, Age, Evidence, Person, Sex
from anamnesis.content import load_content

CONTENT = load_content()
AGENDA = CONTENT.interview.agenda
WRITERS = tuple(Person(speaker=speaker) for speaker in Speaker)
WOMAN, MAN = Person(Age.of_years(30), Sex.FEMALE), Person(Age.of_years(30), Sex.MALE)


def grade(text):
    """Flesch–Kincaid grade level (Kincaid 1975), syllables counted as groups of vowels."""
    words = re.findall(r"[A-Za-z']+", text)
    sentences = max(1, len(re.findall(r"[.?!:]", text)))
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word.lower())))) for word in words)
    return 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59


def all_questions():
    for question in AGENDA.questions:
        texts = (question.text, question.text_child, question.text_infant)
        for text in filter(None, (*texts, sentence([part.words for part in question.parts]))):
            yield from (voiced(text, each) for each in WRITERS)
    for complaint in AGENDA.complaints.values():
        for each in WRITERS:
            yield sentence([voiced(complaint.timing, each), voiced(complaint.details, each)])


QUESTIONS = sorted(set(all_questions()))


def test_every_question_has_at_most_25_words():
    assert [text for text in QUESTIONS if len(text.split()) > 25] == []


def test_the_questions_read_at_grade_six():
    grades = {text: grade(text) for text in QUESTIONS}
    assert [text for text, level in grades.items() if level > 6] == []


def test_every_question_says_why_and_every_complaint_asks_for_danger():
    assert all(question.why for question in AGENDA.questions)
    assert len(AGENDA.complaints) >= 31
    assert all(len(complaint.danger) >= 2 for complaint in AGENDA.complaints.values())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("My ulcers are back", "heartburn"), ("burning when I pass urine", "urinary"),
        ("running stomach since Friday", "diarrhoea"),
        ("nina homa", "fever"), ("pain in my chest", "chest_pain"), ("a dog bit my leg", "bite"),
        ("I can't sleep", "mood"),
        ("Complete loss of vision", "eye"), ("I twisted my ankle", "injury"), ("vomiting blood", "gut_bleeding"),
    ],
)  # fmt: skip
def test_a_complaint_is_recognised_by_how_people_name_it(text, kind):
    assert agendas.recognised(text.lower(), MAN, AGENDA)[0] == kind


def test_pregnancy_is_asked_of_women_who_can_be_pregnant_only():
    asked = {who: agendas.applies("pregnancy", ClinicalRecord(person=who), AGENDA) for who in (WOMAN, MAN)}
    assert asked == {WOMAN: True, MAN: False}
    assert not agendas.could_be_pregnant(Person(Age.of_years(70), Sex.FEMALE))


def test_signs_follow_sex_age_and_pregnancy():
    def danger(person):
        return agendas.danger_signs(ClinicalRecord(person=person, complaints=("abdominal_pain",)), AGENDA)

    assert "testis_pain" in danger(MAN)
    assert "testis_pain" not in danger(WOMAN)
    assert "baby_moves_less" in danger(replace(WOMAN, pregnant=True))
    assert {"cannot_drink", "very_sleepy"} <= set(danger(Person(Age.of_months(30), Sex.MALE)))


def test_only_the_open_parts_of_a_question_are_asked():
    question = AGENDA.question("course")
    record = ClinicalRecord(complaints=("headache",)).with_answer("severity", Reported("6 of 10", Evidence("m", "6")))
    assert agendas.worded(question, record, AGENDA) == "What makes it worse, and what makes it better?"


def test_a_complaint_without_a_place_is_not_asked_where_it_is():
    record = ClinicalRecord(complaints=("diarrhoea",))
    assert agendas.open_slots(AGENDA.question("character"), record, AGENDA) == ()
    assert "site" in agendas.measured(record, AGENDA).not_applicable


def test_an_emergency_is_asked_only_what_is_needed_at_once():
    record = ClinicalRecord(acuity=Acuity.EMERGENCY)
    ids = [question.id for question in agendas.questions_due(record, AGENDA)]
    assert {"medicines", "allergies", "pregnancy", "danger_signs"} <= set(ids)
    assert not {"background", "records", "vitals", "read_back"} & set(ids)
    assert "family history" in agendas.measured(record, AGENDA).gaps


def test_not_asked_and_not_obtained_are_gaps_and_none_is_not():
    record = ClinicalRecord().with_answer("allergies", NoneReported(Evidence("m", "no")))
    gaps = agendas.measured(record, AGENDA).gaps
    assert "allergies" not in gaps
    assert "medicines" in gaps
