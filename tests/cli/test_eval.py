"""What the evaluation counts, refuses and holds on to."""

import json
from pathlib import Path

import pytest

from anamnesis import cli
from anamnesis.cli.eval import PARTS, baseline, blind_figures, fallen, found_now, judge, measure
from anamnesis.evaluation.criteria import page, structure
from anamnesis.evaluation.messages import split_of

ROOT = Path(__file__).parents[2]
EVALS = ROOT / "evals"


def write(folder, *cases):
    (folder / "messages").mkdir(exist_ok=True)
    (folder / "messages" / "some.jsonl").write_text("\n".join(json.dumps(case) for case in cases))


def test_it_counts_what_was_missed_and_what_was_imagined(tmp_path, capsys):
    write(
        tmp_path,
        {"id": "heard", "text": "I want to kill myself", "expected": "emergency"},
        {"id": "missed", "text": "my knee clicks", "expected": "emergency", "trap": "typo"},
        {"id": "quiet", "text": "my knee clicks", "expected": "routine"},
        {"id": "imagined", "text": "I want to kill myself", "expected": "routine", "language": "sw"},
    )
    assert cli.main(["eval", str(tmp_path), "--only", "messages", "--list"]) == 1
    told = capsys.readouterr().out
    assert "| typo | 1 | 0/1 |" in told
    assert "| sw | 1 | 0/0 | 0/1 |" in told
    assert "NOT MET" in told
    assert "heard:" not in told


def test_only_messages_of_the_dev_half_are_named(tmp_path, capsys):
    write(tmp_path, *({"id": f"m{n}", "text": "my knee clicks", "expected": "emergency"} for n in range(20)))
    cli.main(["eval", str(tmp_path), "--only", "messages", "--list"])
    named = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines() if "should be" in line]
    assert named == [name for name in (f"m{n}" for n in range(20)) if split_of(name) == "dev"]


def test_nothing_to_measure_is_not_a_success(tmp_path, capsys):
    assert cli.main(["eval", str(tmp_path), "--only", "messages"]) == 2
    assert "Nothing to measure" in capsys.readouterr().out


def test_a_line_without_a_label_is_refused(tmp_path):
    write(tmp_path, {"id": "a", "text": "hello"})
    with pytest.raises(ValueError, match="no known expected triage"):
        judge([tmp_path / "messages" / "some.jsonl"])


def test_the_share_of_emergencies_found_does_not_fall():
    assert fallen(baseline(EVALS), found_now(EVALS)) == []


def test_a_fall_and_a_lost_file_are_both_seen():
    assert fallen({"en": 0.9, "more": 0.8, "lost": 0.5}, {"en": 0.89, "more": 0.8}) == ["en", "lost"]


@pytest.mark.long
def test_the_page_of_results_has_every_part_and_criterion():
    sections = [section for part in PARTS for section in measure(part, EVALS)]
    fresh = page(sections, blind_figures(EVALS))
    assert structure((ROOT / "docs" / "evaluation.md").read_text()) == structure(fresh)
    assert structure(fresh.replace("fact recall", "recall of facts")) != structure(fresh)
