"""How phrases of complaints and signs are written, and what counts when several are found."""

import re

import pytest

from anamnesis.clinical.agenda import phrase_pattern, recognised, without
from anamnesis.clinical.terms import Age, Person, Sex
from anamnesis.content import load_content

AGENDA = load_content().interview.agenda
WOMAN = Person(age=Age.of_years(30), sex=Sex.FEMALE)
BELLY = {"belly": ["belly", "tummy", "pit_of_the_stomach"]}


@pytest.mark.parametrize(
    ("phrase", "text", "is_found"),
    [
        ("beat_him/her", "they beat her", True),
        ("beat_him/her", "and her", False),
        ("blood bum/back-passage", "blood from the back passage", True),
        ("blood bum/back-passage", "blood on my back", False),
        ("<belly> hurts", "my tummy really hurts", True),
        ("<belly> hurts", "the pit of the stomach hurts", True),
        ("<belly> hurts", "my tummy never hurts", False),
        ("<belly> hurts", "my tummy doesn't hurts", False),
        ("can't breathe", "i cant breathe", True),
        ("*tapika", "natapika sana", True),
        ("light-headed", "light headed", True),
    ],
)
def test_a_phrase_is_found_in_the_words_it_means(phrase, text, is_found):
    assert bool(phrase_pattern([phrase], BELLY).search(text)) is is_found


def test_a_phrase_that_names_no_synonyms_is_an_error():
    with pytest.raises(KeyError):
        phrase_pattern(["<nothing> hurts"], BELLY)


def test_words_that_are_not_read_keep_the_places_of_the_others():
    assert without("hay fever now", re.compile("hay fever")) == ";;;;;;;;; now"
    assert without("fever now", None) == "fever now"


@pytest.mark.parametrize(
    ("text", "person", "kinds"),
    [
        ("my nose", WOMAN, ("ear_nose_throat",)),
        ("i had a seizure and my tongue is chewed", WOMAN, ("fits",)),
        ("hay fever again", WOMAN, ("ear_nose_throat",)),
        ("my baby has a fever", Person(age=Age.of_months(3)), ("fever", "infant")),
        ("my son has a headache", Person(age=Age.of_years(9)), ("headache",)),
        ("seven months pregnant with a headache", WOMAN, ("headache", "pregnancy")),
        ("crying all night", Person(age=Age.of_months(20)), ("child",)),
        ("crying all night", WOMAN, ("mood",)),
        ("I can\u2019t breathe", WOMAN, ("breathlessness",)),
    ],
)
def test_named_beats_hinted_at_and_who_is_ill_comes_last(text, person, kinds):
    assert recognised(text, person, AGENDA) == kinds


def test_a_pattern_is_compiled_when_it_is_first_asked_and_all_of_them_when_the_service_starts():
    pattern = phrase_pattern(["sore throat"])
    assert pattern._compiled is None
    assert pattern.search("my sore throat")
    assert pattern.compiled() is pattern.compiled()
    AGENDA.prepare()
    assert all(each.pattern._compiled is not None for each in AGENDA.signs.values())
