"""Vital signs as people type them, judged by hand: one line each in typed_vitals.tsv, what it says before the tab.

T temperature (°C), P pulse, R breathing, S oxygen (%), B blood pressure, Y systolic alone, G glucose (mmol/L), W weight
(kg), H height (cm), O oxygen breathed (1) or air (0), L consciousness; - none, ! refused, ? an answer to the question.
"""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.terms import VitalSigns
from anamnesis.clinical.typed_vitals import read_vitals
from anamnesis.clinical.vitals import PLAUSIBLE, merged, plausible

FIELDS = {
    "T": "temperature_celsius", "P": "heart_rate_per_min", "R": "respiratory_rate_per_min", "S": "spo2_percent",
    "Y": "systolic_mmhg", "G": "glucose_mmol_l", "W": "weight_kg", "H": "height_cm", "O": "on_oxygen",
    "L": "consciousness",
}  # fmt: skip
LINES = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "typed_vitals.tsv").read_text(encoding="utf-8").splitlines()
]


def expected(signs):
    found = {}
    for sign in signs.removeprefix("?").split():
        if sign[0] == "B":
            found |= dict(zip(("systolic_mmhg", "diastolic_mmhg"), map(float, sign[1:].split("/")), strict=True))
        elif sign not in {"-", "!"}:
            found[FIELDS[sign[0]]] = sign[1:] if sign[0] == "L" else float(sign[1:])
    return found


def said(vitals):
    names = (*PLAUSIBLE, "on_oxygen", "consciousness")
    return {name: getattr(vitals, name) for name in names if getattr(vitals, name) is not None}


def test_each_line_says_what_a_person_reads_in_it():
    wrong = []
    for signs, text in LINES:
        read = read_vitals(text, is_asked=signs.startswith("?"))
        is_right = said(read.vitals) == pytest.approx(expected(signs), abs=0.011)
        if not is_right or bool(read.refused) != ("!" in signs):
            wrong.append((text, signs, said(read.vitals), read.refused))
    assert wrong == []
    assert len(LINES) >= 600


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.text("0123456789 ./,-%°'\"tbprhsoxcfkgmn\n٣", max_size=80), st.booleans())
def test_any_text_is_read_and_what_is_kept_is_plausible(text, is_asked):
    read = read_vitals(text, is_asked=is_asked)
    assert plausible(read.vitals)[1] == ()
    assert all(reading.quote in text for reading in read.readings)


@pytest.mark.long
@pytest.mark.parametrize("part", ["bp 120/80 ", "if temp 38 ", "0772 ", "37 then 38 ", "1", "pain 3/10 over "])
def test_reading_is_linear_in_the_length_of_the_text(part):
    def seconds(length):
        text = part * (length // len(part))
        return min(_timed(text) for _ in range(3))

    assert seconds(32_000) < 30 * seconds(4_000)


def _timed(text):
    begun = time.perf_counter()
    read_vitals(text, is_asked=True)
    return time.perf_counter() - begun


def test_half_of_an_older_blood_pressure_never_stands_beside_half_of_a_newer():
    older = VitalSigns(systolic_mmhg=220, diastolic_mmhg=150)
    assert merged(older, VitalSigns(systolic_mmhg=120)) == VitalSigns(systolic_mmhg=120)
