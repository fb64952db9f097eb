"""Inputs as zod would take them, told where the recorded exchanges of tests/edge say nothing."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from anamnesis.kernel.javascript import UNDEFINED, FarDate, InvalidDate
from anamnesis.schema import (
    AS_TEXT,
    ONE_OF,
    Boolean,
    Date,
    Input,
    IsoDatetime,
    Maybe,
    UrlText,
    Uuid,
    issues_of,
    length_utf16,
    number,
    text,
)

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


class Form(Input):
    """One of each."""

    words: Annotated[str, text(1, 5)]
    whole: Annotated[int, number(whole=True)] = 1
    is_so: Maybe[Boolean] = UNDEFINED
    kind: Maybe[Annotated[Literal["a", "b"], ONE_OF]] = UNDEFINED


def read(kind, value, **given):
    return TypeAdapter(kind).validate_python(value, **given)


def complaints(kind, value, **given):
    with pytest.raises(ValidationError) as caught:
        read(kind, value, **given)
    return [(".".join(map(str, each.path)), each.message) for each in issues_of(caught.value)]


@given(st.text())
def test_a_text_is_as_long_as_javascript_counts(words):
    assert length_utf16(words) == len(words.encode("utf-16-le")) // 2


def test_a_face_counts_twice():
    assert read(Form, {"words": "ab😀"}).words == "ab😀"
    assert complaints(Form, {"words": "😀😀😀"}) == [("words", "String must contain at most 5 character(s)")]


def test_a_text_is_cleaned_before_it_is_counted():
    assert complaints(Form, {"words": "\x00\x07"}) == [("words", "String must contain at least 1 character(s)")]


def test_null_is_not_undefined_and_a_boolean_is_no_number():
    given = {"words": None, "whole": True, "isSo": None, "kind": None}
    assert complaints(Form, given) == [
        ("words", "Expected string, received null"),
        ("whole", "Expected number, received boolean"),
        ("isSo", "Expected boolean, received null"),
        ("kind", "Expected 'a' | 'b', received null"),
    ]


def test_undefined_is_as_good_as_missing():
    form = read(Form, {"words": "a", "whole": UNDEFINED, "isSo": UNDEFINED, "unknown": 1})
    assert (form.whole, form.is_so, form.kind) == (1, UNDEFINED, UNDEFINED)
    assert complaints(Form, {"words": UNDEFINED}) == complaints(Form, {}) == [("words", "Required")]


@pytest.mark.parametrize("value", [InvalidDate(), FarDate("+012026-01-02T00:00:00.000Z")])
def test_a_date_no_clinic_can_mean_is_invalid(value):
    assert complaints(Date, value) == [("", "Invalid date")]


def test_a_date_is_a_text_only_where_the_protocol_has_none():
    assert read(Date, MOMENT) == MOMENT
    assert complaints(Date, "2026-01-02T03:04:05.678Z") == [("", "Expected date, received string")]
    assert read(Date, "2026-01-02T03:04:05.678Z", context=AS_TEXT) == MOMENT
    assert complaints(Date, "2026-01-02", context=AS_TEXT) == [("", "Invalid datetime")]


@pytest.mark.parametrize("words", ["2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2026-01-02T03:04:05", "2026-01-02"])
def test_a_moment_is_a_real_one_in_utc(words):
    assert complaints(IsoDatetime, words) == [("", "Invalid datetime")]


def test_a_moment_may_be_finer_than_we_keep():
    assert read(IsoDatetime, "2026-01-02T03:04:05.678000999Z") == MOMENT


@given(st.uuids())
def test_an_id_is_read_in_either_case(value):
    assert read(Uuid, str(value).upper()) == value
    assert isinstance(read(Uuid, str(value)), UUID)


@pytest.mark.parametrize("words", ["http://a b", "http://a:99999", "nope", "//a"])
def test_an_address_is_one_a_browser_would_take(words):
    assert complaints(UrlText, words) == [("", "Invalid url")]
