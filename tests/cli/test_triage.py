import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.cli.triage import triage_line
from anamnesis.content import load_content

ANAMNESIS = Path(sys.executable).parent / "anamnesis"
CONTENT = load_content()
WELL = {"rr": 16, "spo2": 98, "on_oxygen": False, "sbp": 120, "hr": 70, "temp_c": 37, "consciousness": "A"}


def triaged(**case):
    return triage_line(json.dumps({"id": "x", **case}).encode(), CONTENT)


def test_text_raises_a_flag_with_a_verbatim_quote():
    text = "I have crushing chest pain and I am sweating"
    answer = triaged(text=text, age=60)
    assert (answer["triage"], answer["colour"]) == ("emergency", "red")
    assert all(flag["quote"] in text for flag in answer["flags"])
    assert answer["news2"] is None


def test_a_complete_set_of_an_adult_has_a_total_and_an_incomplete_one_has_none():
    assert triaged(vitals=WELL, age=40, pregnant=False)["news2"] == 0
    assert triaged(vitals={"hr": 70}, age=40)["news2"] is None
    assert triaged(vitals=WELL, age=30, pregnant=True)["news2"] is None
    assert triaged(vitals=WELL, age={"value": 20, "unit": "months"})["news2"] is None


def test_nothing_told_and_nothing_measured_is_unknown_and_routine():
    answer = triaged(text="hello", age=40)
    assert (answer["triage"], answer["colour"]) == ("routine", "unknown")


def test_an_implausible_reading_is_dropped_and_the_rest_is_assessed():
    answer = triaged(vitals={**WELL, "temp_c": 80, "sbp": 85}, age=40)
    assert answer["valid"] is False
    assert answer["news2"] is None
    assert answer["colour"] == "red"


def test_structured_vitals_beat_typed_ones():
    assert triaged(vitals={"hr": 70}, raw_text="pulse 170", age=40)["colour"] == "green"


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b'"x"', b'{"id": 1, "age": -1}', b'{"id": 1, "text": 5}', b"\xff\xfe", b"[" * 5000]
)
def test_a_bad_line_is_an_error_that_harms_no_other(line):
    done = subprocess.run([ANAMNESIS, "triage"], input=line + b'\n\n{"id": 2}\n', capture_output=True, check=False)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["error"]
    assert second["id"] == 2
    assert done.returncode == 2


def test_a_thousand_lines_take_a_moment():
    line = json.dumps({"id": 1, "text": "I have had a cough and a fever for three days, no chest pain", "age": 30})
    began = time.monotonic()
    lines = (line + "\n").encode() * 1000
    done = subprocess.run([ANAMNESIS, "triage"], input=lines, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 1000
    assert time.monotonic() - began < 10


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30), lambda x: st.lists(x, max_size=2)
)
KEYS = st.sampled_from(["id", "text", "age", "sex", "pregnant", "speaker", "vitals", "raw_text", "lang"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, ANY_JSON | st.dictionaries(st.sampled_from([*WELL, "spo2_scale"]), ANY_JSON)))
def test_any_object_is_answered(case):
    answer = triage_line(json.dumps(case).encode(), CONTENT)
    assert "error" in answer or answer["triage"] in ("emergency", "urgent", "routine")
