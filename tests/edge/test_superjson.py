from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.edge import superjson
from anamnesis.edge.superjson.restoring import restore
from anamnesis.kernel.javascript import UNDEFINED, BigInt, FarDate, InvalidDate, JsMap, JsSet

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_999, UTC)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(UNDEFINED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.\\1", max_size=4), inner, max_size=3),
    max_leaves=10,
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
KINDS = st.sampled_from(
    ["undefined", "Date", "bigint", "number", "set", "map", "URL", "regexp", "Error", "nope"]
    + [["typed-array", f"{kind}Array"] for kind in ("Uint8", "Int32", "Float32", "Uint8Clamped", "Big")]
)


def text_of(value):
    return superjson.json_text(superjson.envelope(value)).decode()


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_what_is_encoded_decodes_to_itself(value):
    assert superjson.decode(superjson.parse_json(text_of(value).encode(), max_depth=100)) == value


@settings(max_examples=150, deadline=None)
@given(json=JSON_VALUES, values=JSON_VALUES, equalities=JSON_VALUES)
def test_any_envelope_decodes_or_is_refused(json, values, equalities):
    try:
        superjson.decode({"json": json, "meta": {"values": values, "referentialEqualities": equalities, "v": 1}})
    except superjson.BadEnvelope:
        pass


@settings(max_examples=200, deadline=None)
@given(value=JSON_VALUES, kind=KINDS)
def test_any_annotation_of_any_value_is_restored_and_can_be_sent_again_or_is_refused(value, kind):
    try:
        restored = restore(value, kind)
    except superjson.BadEnvelope:
        return
    if not mentions_a_prototype(value):
        superjson.json_text(superjson.envelope(restored))


def mentions_a_prototype(value):
    return any(f"'{name}'" in repr(value) for name in ("__proto__", "prototype", "constructor"))


@given(st.integers(-62_135_500_000_000_000, 253_402_300_000_000_000).map(lambda us: EPOCH + timedelta(microseconds=us)))
def test_a_date_is_cut_to_milliseconds_and_comes_back_the_same(moment):
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert restore(superjson.iso(moment), "Date") == cut
    assert superjson.iso(cut) == superjson.iso(moment)


def test_a_date_of_any_zone_is_written_in_utc():
    assert superjson.iso(MOMENT.astimezone(timezone(timedelta(hours=3)))) == "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04+02:30", datetime(2026, 1, 2, 0, 34, tzinfo=UTC)),
        ("2026-02-30T00:00:00.000Z", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-01-02T24:00:00Z", datetime(2026, 1, 3, tzinfo=UTC)),
        (None, datetime(1970, 1, 1, tzinfo=UTC)),
        ("+012026-01-02T03:04:05.678Z", FarDate("+012026-01-02T03:04:05.678Z")),
        ("-000001-12-31T23:59:59.999Z", FarDate("-000001-12-31T23:59:59.999Z")),
        ("0000-02-29T00:00:00.000Z", FarDate("0000-02-29T00:00:00.000Z")),
        ("+275760-09-13T00:00:00.001Z", InvalidDate()),
        ("-000000-01-01T00:00:00.000Z", InvalidDate()),
        ("2026-13-01", InvalidDate()),
        ("2026-01-02T25:00Z", InvalidDate()),
        ("yesterday", InvalidDate()),
        ([1], InvalidDate()),
    ],
)
def test_a_date_is_read_as_javascript_reads_iso_texts(text, read):
    assert restore(text, "Date") == read


def test_one_object_in_two_places_is_written_twice_and_noted_once():
    one = {"id": 1}
    assert superjson.envelope({"a": one, "b": one})["meta"]["referentialEqualities"] == {"a": ["b"]}


def test_equal_objects_are_not_one_object():
    assert "meta" not in superjson.envelope({"a": {"id": 1}, "b": {"id": 1}, "c": (), "d": ()})


def test_undefined_in_many_places_is_no_shared_object():
    assert superjson.envelope({"a": UNDEFINED, "b": UNDEFINED})["meta"] == {
        "values": {"a": ["undefined"], "b": ["undefined"]},
        "v": 1,
    }


def test_a_word_of_an_enumeration_is_its_text():
    class Colour(StrEnum):
        RED = "red"

    assert text_of({"colour": Colour.RED, "more": JsSet([Colour.RED])}) == (
        '{"json":{"colour":"red","more":["red"]},"meta":{"values":{"more":["set"]},"v":1}}'
    )


@pytest.mark.parametrize("value", [object(), {"a": b"bytes"}, [test_equal_objects_are_not_one_object]])
def test_what_the_wire_has_no_form_for_is_refused(value):
    with pytest.raises(superjson.Unencodable):
        superjson.envelope(value)
    with pytest.raises(superjson.Unencodable):
        superjson.plain(value)


def test_plain_json_is_what_stringify_makes():
    value = {
        "u": UNDEFINED,
        "l": [UNDEFINED, float("nan"), -0.0],
        "d": MOMENT,
        "m": JsMap([["a", 1]]),
        "2": 1.0,
        "1": 1e21,
    }
    assert superjson.json_text(superjson.plain(value)) == (
        b'{"1":1e+21,"2":1,"l":[null,null,0],"d":"2026-01-02T03:04:05.678Z","m":{}}'
    )
    with pytest.raises(superjson.Unencodable, match="BigInt"):
        superjson.plain([BigInt(1)])


def test_a_short_text_cannot_stand_for_an_endless_value():
    levels = 40
    json = {f"x{level}": {} for level in range(levels)}
    equalities = {f"x{level}": [f"x{level + 1}.a", f"x{level + 1}.b"] for level in range(levels - 1)}
    with pytest.raises(superjson.BadEnvelope, match="too often"):
        superjson.decode({"json": json, "meta": {"referentialEqualities": equalities, "v": 1}})


@pytest.mark.parametrize("depth", [101, 100_000])
@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_json_nested_too_deeply_is_refused_before_it_is_read(depth, bracket):
    with pytest.raises(superjson.TooDeep):
        superjson.parse_json((bracket * depth).encode(), max_depth=100)


def test_brackets_in_texts_do_not_nest():
    text = '["' + "[{" * 1000 + '\\"[","]"]'
    assert superjson.parse_json(text.encode(), max_depth=1) == ["[{" * 1000 + '"[', "]"]


def test_no_object_comes_with_a_prototype():
    assert superjson.parse_json(b'{"__proto__":1,"a":{"\\u005f_proto__":2}}', max_depth=5) == {"a": {}}
