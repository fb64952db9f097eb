"""Numbers in words are read like those in digits, and quoted as they were written."""

import pytest

from anamnesis.clinical.numerals import in_digits
from anamnesis.clinical.told import read_age, read_name
from anamnesis.clinical.typed_vitals import read_vitals


@pytest.mark.parametrize(
    ("text", "field", "value", "quote"),
    [
        ("temperature thirty-nine point five", "temperature_celsius", 39.5, "temperature thirty-nine point five"),
        ("joto ni thelathini na tisa", "temperature_celsius", 39.0, "joto ni thelathini na tisa"),
        ("bp one twenty over eighty", "systolic_mmhg", 120.0, "bp one twenty over eighty"),
        ("two hundred over one ten", "systolic_mmhg", 200.0, "two hundred over one ten"),
        ("Pulse is a hundred and ten now", "heart_rate_per_min", 110.0, "Pulse is a hundred and ten"),
        ("oxygen ninety-seven percent", "spo2_percent", 97.0, "oxygen ninety-seven percent"),
        ("weight sixty five kg", "weight_kg", 65.0, "sixty five kg"),
    ],
)
def test_readings_in_words(text, field, value, quote):
    read = {each.field: each for each in read_vitals(text, is_asked=True).readings}
    assert (read[field].value, read[field].quote) == (value, quote)


@pytest.mark.parametrize(
    ("text", "years", "name"),
    [
        ("Jane, thirty-four, female", 34, "Jane"),
        ("thirty four", 34, None),
        ("three years", 3, None),
        ("Okello sixty", 60, "Okello"),
        ("my child is six", 6, None),
        ("I am one of many", None, None),
        ("for three weeks", None, None),
    ],
)
def test_ages_in_words_and_no_name_is_a_number(text, years, name):
    age, told = read_age(text, is_asked=True), read_name(text, is_asked=True)
    assert (age and round(age.value.years)) == years
    assert age is None or age.quote in text
    assert name is None or told.value == name
    assert told is None or not {"thirty", "three", "sixty", "six"} & set(told.value.split())


def test_unasked_only_an_age_that_says_so_is_one():
    assert round(read_age("he is three years old", is_asked=False).value.years) == 3
    assert read_age("I am one of many and have two children", is_asked=False) is None
    assert read_age("it began thirty minutes ago", is_asked=False) is None


@pytest.mark.parametrize(
    "text", ["no number here", "twenty two", "a hundred and one", "someone forty-ninety", "one hundred " * 300]
)
def test_every_other_letter_keeps_its_place(text):
    read = in_digits(text, small=True)
    assert len(read) == len(text)
    assert [letter for letter in read if letter.isdigit()] or read == text
