"""How labelled messages are parted and counted."""

import json
from pathlib import Path

from anamnesis.evaluation.messages import Judged, half_of, language_of, score, score_by, split_of, trap_of

MESSAGES = Path(__file__).parents[2] / "evals" / "messages"
JUDGED = (
    Judged("a", "emergency", "emergency"),
    Judged("b", "emergency", "urgent", "negation"),
    Judged("c", "urgent", "emergency", "negation", "sw"),
    Judged("d", "routine", "routine"),
    Judged("e", "routine", "urgent"),
)


def labelled():
    return [json.loads(line) for file in MESSAGES.glob("*.jsonl") for line in file.read_text().splitlines()]


def test_each_figure_counts_its_own_messages():
    figures = score(JUDGED)
    assert (figures.sensitivity.right, figures.sensitivity.total) == (1, 2)
    assert (figures.specificity.right, figures.specificity.total) == (2, 3)
    assert (figures.not_under.right, figures.three_way.right) == (4, 2)
    assert figures.routine_kept.value == 0.5
    assert score(()).sensitivity.value is None


def test_figures_are_given_by_trap_language_and_half():
    assert score_by(JUDGED, trap_of)["negation"].sensitivity.total == 1
    assert list(score_by(JUDGED, language_of)) == ["en", "sw"]
    assert set(score_by(JUDGED, half_of)) <= {"dev", "test"}


def test_an_id_is_always_in_the_same_half_and_the_halves_are_alike():
    ids = [case["id"] for case in labelled()]
    on_dev = sum(split_of(each) == "dev" for each in ids)
    assert [split_of(each) for each in ids] == [split_of(each) for each in ids]
    assert 0.4 < on_dev / len(ids) < 0.6


def test_the_messages_are_many_and_unlike():
    cases = labelled()
    texts = {case["text"] for case in cases}
    assert len(texts) == len(cases) >= 600
    assert len({case["id"] for case in cases}) == len(cases)
    assert {line for case in cases for line in case.get("catalogue", [])} == set(range(1, 87))
