import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.scores import news2
from anamnesis.clinical.terms import Acuity, Age, Colour, Consciousness, Person, RedFlag, VitalSigns
from anamnesis.clinical.triage import dispose
from anamnesis.clinical.vitals import plausible, read_vitals

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


@pytest.mark.parametrize(("days", "colour"), [(3, Colour.RED), (60, Colour.YELLOW), (200, Colour.UNKNOWN)])
def test_the_age_of_an_infant_decides_unless_it_is_said_to_be_well(days, colour):
    infant = Person(age=Age(days))
    assert dispose((), VitalSigns(), infant).colour is colour
    assert dispose((), VitalSigns(), infant, is_said_well=True).colour is Colour.UNKNOWN


def test_a_well_infant_with_a_complaint_or_a_measurement_has_the_colour_of_its_age():
    infant = Person(age=Age(3))
    flag = RedFlag("first_week_illness", Acuity.URGENT, "advice.child", (), "1")
    assert dispose([flag], VitalSigns(), infant, is_said_well=True).colour is Colour.RED
    assert dispose((), VitalSigns(heart_rate_per_min=130), infant, is_said_well=True).colour is Colour.RED


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_and_what_is_kept_is_plausible(text):
    read = read_vitals(text)
    assert plausible(read.vitals)[1] == ()
    assert all(reading.quote in text for reading in read.readings)


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
    ],
)
def test_a_reading_is_understood_as_it_is_told_in_passing(text, field, value):
    assert getattr(read_vitals(text).vitals, field) == value


@pytest.mark.parametrize("text", ["I weigh it 3 times a day", "my pulse, 2 days now", "no weight for 6 months"])
def test_a_number_beside_a_reading_is_none(text):
    assert read_vitals(text).vitals == VitalSigns()
