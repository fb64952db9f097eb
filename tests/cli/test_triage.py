import contextlib
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.cli import main
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


BAD_LINES = [b"nonsense", b"[]", b'"x"', b'{"id": 1, "age": -1}', b'{"id": 1, "text": 5}', b"\xff\xfe", b"[" * 5000]


def test_bad_lines_are_errors_that_harm_no_other(monkeypatch, capsys):
    lines = b"".join(line + b'\n\n{"id": 2}\n' for line in BAD_LINES)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    status = main(["triage"])
    answers = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert all(answer["error"] for answer in answers[::2])
    assert [answer["id"] for answer in answers[1::2]] == [2] * len(BAD_LINES)
    assert not any("error" in answer for answer in answers[1::2])
    assert status == 2


def test_many_lines_are_answered_in_their_order_bad_ones_among_them_and_the_last_without_an_end():
    cases = [json.dumps({"id": n, "text": f"I have had a cough for {n} days"}) for n in range(1000)]
    cases[500] = "nonsense"
    done = subprocess.run([ANAMNESIS, "triage"], input="\n".join(cases).encode(), capture_output=True, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [*range(500), None, *range(501, 1000)]
    assert [n for n, answer in enumerate(answers) if "error" in answer] == [500]
    assert done.returncode == 2


def test_a_line_is_answered_before_the_next_one_is_written():
    with subprocess.Popen([ANAMNESIS, "triage"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        for number in range(3):
            running.stdin.write(json.dumps({"id": number}).encode() + b"\n")
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["id"] == number
        running.stdin.close()
    assert running.returncode == 0


def test_a_reader_that_goes_away_ends_it():
    lines = b"".join(json.dumps({"id": n, "text": "fever"}).encode() + b"\n" for n in range(3000))
    with subprocess.Popen([ANAMNESIS, "triage"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        writer = threading.Thread(target=_written_as_far_as_it_is_read, args=(running.stdin, lines))
        writer.start()
        running.stdout.readline()
        running.stdout.close()
        running.wait(timeout=10)
        writer.join(timeout=10)
    assert not writer.is_alive()


def _written_as_far_as_it_is_read(stream, lines):
    with contextlib.suppress(BrokenPipeError):
        stream.write(lines)
        stream.close()


@pytest.mark.long
def test_five_thousand_lines_take_a_moment():
    line = json.dumps({"id": 1, "text": "I have had a cough and a fever for three days, no chest pain", "age": 30})
    began = time.monotonic()
    lines = (line + "\n").encode() * 5000
    done = subprocess.run([ANAMNESIS, "triage"], input=lines, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 5000
    assert time.monotonic() - began < 30  # seconds, on a machine that does much else


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30), lambda x: st.lists(x, max_size=2)
)
KEYS = st.sampled_from(["id", "text", "age", "sex", "pregnant", "speaker", "vitals", "raw_text", "lang"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, ANY_JSON | st.dictionaries(st.sampled_from([*WELL, "spo2_scale"]), ANY_JSON)))
def test_any_object_is_answered(case):
    answer = triage_line(json.dumps(case).encode(), CONTENT)
    assert "error" in answer or answer["triage"] in ("emergency", "urgent", "routine")
