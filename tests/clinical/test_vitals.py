from dataclasses import replace

import pytest

from anamnesis.clinical.combining import flags_of
from anamnesis.clinical.findings import read_findings
from anamnesis.clinical.red_flags import RedFlagRule, RuleBook
from anamnesis.clinical.scores import Counted, meows, news2, qsofa, ugandan_sepsis_index
from anamnesis.clinical.terms import (
    Acuity,
    Age,
    Assertion,
    Colour,
    Consciousness,
    Evidence,
    Finding,
    Person,
    RedFlag,
    Sex,
    VitalSigns,
)
from anamnesis.clinical.triage import dispose
from anamnesis.clinical.typed_vitals import read_vitals
from anamnesis.content import load_content

ADULT = Person(age=Age.of_years(40))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("bp 120 over 80", "systolic_mmhg", 120),
        ("pressure 200/110", "diastolic_mmhg", 110),
        ("38,5 °C", "temperature_celsius", 38.5),
        ("101F", "temperature_celsius", 38.33),
        ("spo2-97%", "spo2_percent", 97),
        ("PR 88", "heart_rate_per_min", 88),
        ("rr 24", "respiratory_rate_per_min", 24),
        ("RBS 54 mg/dl", "glucose_mmol_l", 3.0),
        ("weighs 12kg", "weight_kg", 12),
    ],
)
def test_vital_signs_are_read_as_people_type_them(text, field, value):
    assert getattr(read_vitals(text).vitals, field) == pytest.approx(value, abs=0.01)


def test_ages_durations_and_doses_are_no_vital_signs():
    assert read_vitals("I am 24 years, for 38 days, 120 mg").readings == ()


@pytest.mark.parametrize("text", ["temperature 58", "bp 80/120", "pulse 500"])
def test_an_implausible_reading_is_refused_and_named(text):
    read = read_vitals(text)
    assert read.refused
    assert read.vitals == VitalSigns()


NORMAL = {
    "respiratory_rate_per_min": 16,
    "spo2_percent": 97,
    "on_oxygen": False,
    "systolic_mmhg": 120,
    "heart_rate_per_min": 70,
    "temperature_celsius": 37.0,
    "consciousness": Consciousness.ALERT,
}


@pytest.mark.parametrize(
    ("field", "points"),
    [
        ("respiratory_rate_per_min", {8: 3, 9: 1, 11: 1, 12: 0, 20: 0, 21: 2, 24: 2, 25: 3}),
        ("spo2_percent", {91: 3, 92: 2, 93: 2, 94: 1, 95: 1, 96: 0}),
        ("systolic_mmhg", {90: 3, 91: 2, 100: 2, 101: 1, 110: 1, 111: 0, 219: 0, 220: 3}),
        ("heart_rate_per_min", {40: 3, 41: 1, 50: 1, 51: 0, 90: 0, 91: 1, 110: 1, 111: 2, 130: 2, 131: 3}),
        ("temperature_celsius", {35.0: 3, 35.1: 1, 36.0: 1, 36.1: 0, 38.0: 0, 38.1: 1, 39.0: 1, 39.1: 2}),
    ],
)
def test_news2_is_exact_at_every_edge(field, points):
    for value, expected in points.items():
        assert news2(VitalSigns(**{**NORMAL, field: value}), ADULT).total == expected


def test_news2_is_no_total_unless_complete_and_applies_to_adults_who_are_not_pregnant():
    assert news2(VitalSigns(heart_rate_per_min=140), ADULT).total is None
    assert news2(VitalSigns(**NORMAL), Person(age=Age.of_years(10))) is None
    assert news2(VitalSigns(**NORMAL), Person(age=Age.of_years(30), pregnant=True)) is None


def test_no_vital_signs_is_unknown_and_normal_ones_are_green():
    assert dispose((), VitalSigns(), ADULT).colour is Colour.UNKNOWN
    assert dispose((), VitalSigns(**NORMAL), ADULT).colour is Colour.GREEN


@pytest.mark.parametrize(
    ("vitals", "person", "colour"),
    [
        ({"systolic_mmhg": 89}, ADULT, Colour.RED),
        ({"spo2_percent": 89}, ADULT, Colour.RED),
        ({"spo2_percent": 91}, ADULT, Colour.YELLOW),
        ({"heart_rate_per_min": 151}, ADULT, Colour.RED),
        ({"heart_rate_per_min": 131}, ADULT, Colour.YELLOW),
        ({"systolic_mmhg": 160, "diastolic_mmhg": 100}, Person(Age.of_years(25), pregnant=True), Colour.RED),
        ({"systolic_mmhg": 180, "diastolic_mmhg": 100}, ADULT, Colour.YELLOW),
        ({"temperature_celsius": 39.5}, Person(age=Age(30)), Colour.RED),
        ({"glucose_mmol_l": 2.9}, ADULT, Colour.RED),
    ],
)
def test_single_readings_decide_by_their_published_limits(vitals, person, colour):
    assert dispose((), VitalSigns(**vitals), person).colour is colour


SAID_WELL = (Finding("infant_well", Assertion.AFFIRMED, 0, 4, "well"),)


@pytest.mark.parametrize(("days", "colour"), [(3, Colour.RED), (60, Colour.YELLOW), (200, Colour.UNKNOWN)])
def test_the_age_of_an_infant_decides_unless_it_is_said_to_be_well(days, colour):
    infant = Person(age=Age(days))
    assert dispose((), VitalSigns(), infant).colour is colour
    assert dispose((), VitalSigns(), infant, SAID_WELL).colour is Colour.UNKNOWN


def test_a_well_infant_with_a_complaint_or_a_measurement_has_the_colour_of_its_age():
    infant = Person(age=Age(3))
    flag = RedFlag("first_week_illness", Acuity.URGENT, "advice.child", (), "1")
    assert dispose([flag], VitalSigns(), infant, SAID_WELL).colour is Colour.RED
    assert dispose((), VitalSigns(heart_rate_per_min=130), infant, SAID_WELL).colour is Colour.RED


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("weighed 58 at the health centre", "weight_kg", 58),
        ("my weight is about 81 kilos", "weight_kg", 81),
        ("they counted the pulse, 118", "heart_rate_per_min", 118),
        ("weight 150 lbs", "weight_kg", 68.04),
        ("the oxygen clip I bought says 96", "spo2_percent", 96),
        ("ear thermometer said 38.1 an hour ago", "temperature_celsius", 38.1),
        ("the pulse on my watch shows 88", "heart_rate_per_min", 88),
        ("The finger peg says 84", "spo2_percent", 84),
        ("the clip on her finger shows 82", "spo2_percent", 82),
        ("Sugar patient here. The machine reads 18.5 today", "glucose_mmol_l", 18.5),
        ("I'm diabetic, my reading was 15.6", "glucose_mmol_l", 15.6),
    ],
)
def test_a_reading_is_understood_as_it_is_told_in_passing(text, field, value):
    assert getattr(read_vitals(text).vitals, field) == value


@pytest.mark.parametrize(
    "text",
    [
        "I weigh it 3 times a day",
        "my pulse, 2 days now",
        "no weight for 6 months",
        "diabetic. The screen showed 12 letters",
        "the ring on my finger is size 54",
    ],
)
def test_a_number_beside_a_reading_is_none(text):
    assert read_vitals(text).vitals == VitalSigns()


MOTHER = (Finding("postpartum", Assertion.AFFIRMED, 0, 10, "gave birth"),)
WOMAN = Person(Age.of_years(25), Sex.FEMALE)


@pytest.mark.parametrize(
    ("vitals", "colour"),
    [
        ({"systolic_mmhg": 160, "diastolic_mmhg": 100}, Colour.RED),
        ({"systolic_mmhg": 130, "diastolic_mmhg": 110}, Colour.RED),
        ({"systolic_mmhg": 140, "diastolic_mmhg": 80}, Colour.YELLOW),
        ({"systolic_mmhg": 95, "heart_rate_per_min": 118}, Colour.YELLOW),
        ({"systolic_mmhg": 92, "heart_rate_per_min": 157}, Colour.RED),
        ({"temperature_celsius": 38.4}, Colour.YELLOW),
    ],
)
def test_six_weeks_after_birth_the_limits_are_those_of_pregnancy(vitals, colour):
    assert dispose((), VitalSigns(**vitals), WOMAN, MOTHER).colour is colour


def test_what_was_not_measured_of_a_pressure_is_not_given_as_nought():
    pregnant = replace(WOMAN, pregnant=True)
    assert dispose((), VitalSigns(systolic_mmhg=145), pregnant).reasons[0][1].startswith("blood pressure 145/? mmHg")


@pytest.mark.parametrize("size", [{"weight_kg": 70}, {"height_cm": 170}, {"weight_kg": 70, "height_cm": 170}])
def test_how_heavy_and_tall_somebody_is_makes_nobody_green(size):
    assert dispose((), VitalSigns(**size), ADULT).colour is Colour.UNKNOWN


@pytest.mark.parametrize("person", [ADULT, Person(Age.of_years(6))])
@pytest.mark.parametrize(("celsius", "colour"), [(38.0, Colour.RED), (35.9, Colour.RED), (37.9, Colour.YELLOW)])
def test_a_changed_mind_with_fever_or_cold_is_red(person, celsius, colour):
    vitals = VitalSigns(temperature_celsius=celsius, consciousness=Consciousness.CONFUSED)
    assert dispose((), vitals, person).colour is colour


@pytest.mark.parametrize(
    ("sugar", "colour"), [(2.9, Colour.RED), (3.0, Colour.RED), (3.9, Colour.RED), (4.0, Colour.GREEN)]
)
def test_a_sugar_a_little_low_is_red_when_it_is_felt(sugar, colour):
    felt = (Finding("sweat", Assertion.AFFIRMED, 0, 8, "sweating"),)
    assert dispose((), VitalSigns(glucose_mmol_l=sugar), ADULT, felt).colour is colour


def test_a_sugar_a_little_low_is_yellow_when_it_is_not_felt():
    denied = (Finding("sweat", Assertion.DENIED, 0, 8, "sweating"),)
    assert dispose((), VitalSigns(glucose_mmol_l=3.5), ADULT, denied).colour is Colour.YELLOW


def test_the_other_lists_count_what_is_known():
    ill = VitalSigns(
        respiratory_rate_per_min=30, systolic_mmhg=100, diastolic_mmhg=50, heart_rate_per_min=100,
        temperature_celsius=38.6, consciousness=Consciousness.CONFUSED,
    )  # fmt: skip
    assert (qsofa(ill).points, ugandan_sepsis_index(ill)) == (3, Counted(5, 5, 5))
    well = VitalSigns(respiratory_rate_per_min=21, systolic_mmhg=101, temperature_celsius=35.6)
    assert (qsofa(well), ugandan_sepsis_index(well)) == (Counted(0, 2, 3), Counted(0, 2, 5))
    assert ugandan_sepsis_index(VitalSigns(temperature_celsius=35.5)).points == 1
    assert ugandan_sepsis_index(VitalSigns(systolic_mmhg=150, diastolic_mmhg=90)).points == 1
    assert meows(VitalSigns(consciousness=Consciousness.PAIN)).red == ("consciousness",)
    assert meows(VitalSigns(consciousness=Consciousness.VOICE)).yellow == ("consciousness",)


RULES, LEXICON = load_content().rules, load_content().lexicon


def acuity(text, person=ADULT, **vitals):
    found = flags_of(read_findings(text, LEXICON), VitalSigns(**vitals), person, RULES)
    assert all(each.quote in text for flag in found for each in flag.evidence)
    return max((flag.acuity for flag in found), default=Acuity.ROUTINE)


@pytest.mark.parametrize(
    ("text", "vitals"),
    [
        ("I have a severe headache", {"systolic_mmhg": 190, "diastolic_mmhg": 125}),
        ("my sight is blurred", {"systolic_mmhg": 150, "diastolic_mmhg": 125}),
        ("my neck is stiff", {"temperature_celsius": 39.5}),
        ("I am vomiting", {"glucose_mmol_l": 15}),
        ("I am on chemotherapy", {"temperature_celsius": 38.2}),
        ("she is cold to touch, I brought my baby of 3 weeks", {"temperature_celsius": 35.1}),
    ],
)
def test_a_number_and_a_sign_are_an_emergency_together(text, vitals):
    person = Person(Age(21)) if "baby" in text else ADULT
    assert acuity(text, person, **vitals) is Acuity.EMERGENCY


@pytest.mark.parametrize(
    ("text", "vitals"),
    [
        ("no headache, no other trouble, I came for my review", {"systolic_mmhg": 190, "diastolic_mmhg": 125}),
        ("", {"temperature_celsius": 39.0}),
        ("", {"glucose_mmol_l": 13}),
        ("my neck is stiff", {"temperature_celsius": 37.5}),
    ],
)
def test_a_number_alone_raises_what_the_tables_say_and_no_rule(text, vitals):
    assert acuity(text, **vitals) < Acuity.EMERGENCY


@pytest.mark.parametrize(
    ("vitals", "concept"),
    [
        ({"systolic_mmhg": 89}, "low_pressure"),
        ({"consciousness": Consciousness.VOICE}, "drowsy"),
        ({"temperature_celsius": 35.4}, "low_temp"),
    ],
)
def test_readings_are_findings_beside_what_was_told(vitals, concept):
    rules = RuleBook([RedFlagRule("r", Acuity.EMERGENCY, "a", frozenset({concept, "cough"}))])
    cough = Finding("cough", Assertion.AFFIRMED, 0, 5, "cough", "m1")
    found = flags_of([cough], VitalSigns(**vitals), ADULT, rules)
    assert [flag.evidence for flag in found] == [(Evidence("m1", "cough"),)]
    assert flags_of([], VitalSigns(**vitals), ADULT, rules) == ()
