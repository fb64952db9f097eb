import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from anamnesis.kernel.text import clean

ANY_TEXT = st.text(st.characters())


@given(ANY_TEXT)
def test_cleaning_what_is_clean_changes_nothing(text):
    assert clean(clean(text)) == clean(text)


@given(ANY_TEXT)
def test_cleaned_text_can_be_stored_and_sent(text):
    stored = clean(text).encode()
    assert b"\0" not in stored
    assert unicodedata.is_normalized("NFC", stored.decode())


def test_words_and_layout_stay():
    assert clean("no pain\tnow\nthank you 😀") == "no pain\tnow\nthank you 😀"


def test_a_nul_goes_and_half_a_character_is_replaced():
    assert clean("a\x00b\ud83dc\r\nd") == "ab\ufffdc\nd"
