"""What is answered to a question for the past is no danger of today, unless the words tell of today."""

from dataclasses import replace

import pytest

from anamnesis.clinical.terms import Acuity
from anamnesis.content import load_content
from anamnesis.intake.interview import Inbound, new_record, screen

CONTENT = load_content()


def acuity(text, *, asked):
    return screen(replace(new_record(), pending=asked), Inbound("m", text, 1), CONTENT).record.acuity


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("past_history", "fits since primary school"),
        ("past_history", "a stroke in 2015, malaria many times"),
        ("background", "my father had a stroke, I do not smoke, I live with my wife"),
        ("background", "sickle cell in two cousins, nobody smokes at home"),
        ("allergies", "septrin, my skin peeled"),
        ("allergies", "groundnuts make my lips swell"),
    ],
)
def test_an_old_illness_is_no_emergency(asked, text):
    assert acuity(text, asked=asked) is Acuity.ROUTINE


@pytest.mark.parametrize("asked", ["past_history", "background", "allergies", "medicines", "chief_complaint", None])
@pytest.mark.parametrize(
    "text",
    [
        "crushing chest pain and I am sweating", "I want to kill myself", "he is fitting now", "heavy bleeding",
        "I drank pesticide", "my face is drooping since this morning", "I cannot breathe",
    ],
)  # fmt: skip
def test_danger_of_today_counts_whatever_was_asked(asked, text):
    assert acuity(text, asked=asked) is Acuity.EMERGENCY
