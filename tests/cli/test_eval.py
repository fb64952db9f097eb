"""What the evaluation of labelled messages counts and what it refuses."""

import json
from pathlib import Path

import pytest

from anamnesis import cli
from anamnesis.cli.eval import judge, proportion

MESSAGES = Path(__file__).parents[2] / "evals" / "messages"


def write(folder, *cases):
    (folder / "some.jsonl").write_text("\n".join(json.dumps(case) for case in cases))


def test_it_counts_what_was_missed_and_what_was_imagined(tmp_path, capsys):
    write(
        tmp_path,
        {"id": "heard", "text": "I want to kill myself", "expected": "emergency"},
        {"id": "missed", "text": "my knee clicks", "expected": "emergency"},
        {"id": "quiet", "text": "my knee clicks", "expected": "routine"},
        {"id": "imagined", "text": "I want to kill myself", "expected": "routine"},
    )
    assert cli.main(["eval", str(tmp_path), "--list"]) == 0
    told = capsys.readouterr().out
    assert "emergencies found: 1/2 = 50.0%" in told
    assert "routine messages without an emergency: 1/2 = 50.0%" in told
    assert "missed: routine, should be emergency" in told
    assert "heard:" not in told


def test_nothing_to_measure_is_not_a_success(tmp_path, capsys):
    assert cli.main(["eval", str(tmp_path)]) == 2
    assert "No labelled messages" in capsys.readouterr().out


def test_a_line_without_a_label_is_refused(tmp_path):
    write(tmp_path, {"id": "a", "text": "hello"})
    with pytest.raises(ValueError, match="no known expected triage"):
        judge([tmp_path / "some.jsonl"])


def test_the_interval_is_wilsons():
    # Newcombe, Stat Med 1998;17:857, table I: 81/263 has 0.2553 to 0.3662 by the score method.
    assert proportion(81, 263) == "81/263 = 30.8% (95 % interval 25.5% to 36.6%)"


def test_the_share_of_emergencies_found_does_not_fall():
    judged = [each for each in judge(sorted(MESSAGES.glob("*.jsonl"))) if each.expected == "emergency"]
    assert sum(each.got == "emergency" for each in judged) >= 284
