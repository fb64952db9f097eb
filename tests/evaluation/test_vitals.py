"""The judge of vital signs goes red for each kind of fault, and shares no table with what it judges."""

import ast
from pathlib import Path

import pytest

from anamnesis.cli.eval import judged_vitals
from anamnesis.cli.triage import triage
from anamnesis.content import load_content
from anamnesis.evaluation import vitals

CONTENT = load_content()


def judged_with(**changes):
    """The figures of a triage whose every answer is changed so."""

    def assess(case):
        answer = dict(triage(case, CONTENT))
        return answer | {name: change(answer[name]) for name, change in changes.items()}

    return vitals.figures(vitals.judge(assess))


def test_totals_refusals_and_what_is_withheld_are_exact():
    found = vitals.figures(judged_vitals())
    assert found["sets"] > 900
    assert found["news2_exact"] == found["news2_withheld"] == found["implausible_refused"] == 1


def test_every_set_has_the_colour_of_the_tables():
    assert [(each.case.case_id, each.faults) for each in judged_vitals() if each.faults] == []


@pytest.mark.parametrize(
    ("figure", "changes"),
    [
        ("news2_exact", {"news2": lambda total: None if total is None else total + 1}),
        ("news2_withheld", {"news2": lambda total: total or 0}),
        ("colour_right", {"colour": lambda _: "red"}),
        ("implausible_refused", {"valid": lambda _: True}),
    ],
)
def test_each_figure_can_go_red(figure, changes):
    assert judged_with(**changes)[figure] < vitals.figures(judged_vitals())[figure]


def test_a_triage_that_lowers_one_colour_is_caught():
    found = judged_with(colour=lambda colour: "green" if colour == "yellow" else colour)
    assert found["under_triaged"] > 100


def test_one_point_of_one_band_moved_is_caught(monkeypatch):
    monkeypatch.setattr("anamnesis.clinical.scores._SYSTOLIC", ((90, 3), (100, 2), (111, 1), (219, 0), (999, 3)))
    assert vitals.figures(judged_vitals())["news2_exact"] < 1


def test_the_judge_imports_nothing_it_judges():
    tree = ast.parse(Path(vitals.__file__).read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [module for module in modules if module and module.startswith("anamnesis")]
