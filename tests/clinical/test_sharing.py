import pytest

from anamnesis.clinical.sharing import pieces_of, share_out

COURSE = ("severity", "exacerbating", "relieving")
BOTH = ("timing", "details")
BACKGROUND = ("family_history", "social_history")


def shared(text, slots):
    return {share.slot: "; ".join(share.quotes) for share in share_out(text, slots)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "6 out of 10. carrying water. a belt brings it down",
            ("6 out of 10", "carrying water", "a belt brings it down"),
        ),
        ("7, stairs, and the hill to work, sitting down", ("7", "stairs, and the hill to work", "sitting down")),
        ("5, stress at work, closing my eyes", ("5", "stress at work", "closing my eyes")),
        ("4. sleep helps. bright light makes it worse", ("4", "bright light makes it worse", "sleep helps")),
        ("3, big meals, spicy food, antacids", ("3", "big meals, spicy food", "antacids")),
    ],
)
def test_how_bad_what_worsens_and_what_eases_are_told_in_the_order_they_were_asked_for(text, told):
    assert shared(text, COURSE) == dict(zip(COURSE, told, strict=True))


@pytest.mark.parametrize(
    ("text", "slot"), [("coughing", "exacerbating"), ("a warm bath", "relieving"), ("two panadol tablets", "relieving")]
)
def test_one_thing_alone_worsens_or_eases_as_such_things_mostly_do(text, slot):
    assert shared(text, ("exacerbating", "relieving")) == {slot: text}


def test_what_cannot_be_told_apart_is_kept_for_both():
    told = shared("6, late nights, quarrels, noise", COURSE)
    assert told["exacerbating"] == told["relieving"] == "late nights, quarrels, noise"


@pytest.mark.parametrize(
    ("text", "timing", "details"),
    [
        ("in bouts, ten minutes each. a spinning, not a faintness. had a cold last week",
         "in bouts, ten minutes each", "a spinning, not a faintness. had a cold last week"),
        ("bad in the evenings, the day is better. no thermometer at home. eats half",
         "bad in the evenings, the day is better", "no thermometer at home. eats half"),
        ("no, it is the same all day. she plays, vaccines are done",
         "no, it is the same all day", "she plays, vaccines are done"),
    ],
)  # fmt: skip
def test_the_first_sentence_tells_the_course_and_the_rest_the_details(text, timing, details):
    assert shared(text, BOTH) == {"timing": timing, "details": details}


def test_a_family_without_illness_is_not_what_is_told_of_work_and_home():
    told = shared("nobody I know of, I drive a taxi, I smoke a little. one room with my brother", BACKGROUND)
    assert told["family_history"] == "nobody I know of"
    assert "taxi" in told["social_history"]
    assert "my brother" in told["social_history"]


@pytest.mark.parametrize(
    ("text", "slots"), [("6, walking", COURSE), ("no, none. never", BOTH), ("", COURSE), ("?!, ,", BOTH)]
)
def test_no_word_is_given_to_a_topic_it_does_not_stand_in(text, slots):
    for share in share_out(text, slots):
        assert all(quote in text for quote in share.quotes)


def test_every_piece_of_an_answer_goes_somewhere():
    text = "8, bending, lifting and long drives, a hot bottle eases it"
    quotes = " ".join(quote for share in share_out(text, COURSE) for quote in share.quotes)
    assert all(text[start:end].strip(" ,") in quotes for start, end in pieces_of(text))


@pytest.mark.parametrize(
    ("text", "worse", "better"),
    [
        ("5, noise at work, being hungry, slow breaths help", "noise at work, being hungry", "slow breaths help"),
        ("four, too little water, prunes used to work, not now", "too little water", "prunes used to work, not now"),
    ],
)
def test_what_stands_before_the_words_for_what_eases_is_what_worsens(text, worse, better):
    told = shared(text, COURSE)
    assert (told["exacerbating"], told["relieving"]) == (worse, better)


def test_words_before_the_first_that_speak_of_a_topic_are_not_lost():
    told = shared("low down, more to the right, a dull ache, into the buttock", ("site", "character", "radiation"))
    assert told == {"site": "low down, more to the right", "character": "a dull ache", "radiation": "into the buttock"}


def test_two_sentences_of_the_family_are_not_given_to_work_and_home():
    assert "both my brothers" in shared("sugar runs in us, both my brothers", BACKGROUND)["family_history"]


def test_a_no_at_the_end_is_said_of_what_eases():
    shares = {share.slot: share for share in share_out("seven, oily food, no, none", COURSE)}
    assert shares["exacerbating"].quotes == ("oily food",)
    assert shares["relieving"].is_none
