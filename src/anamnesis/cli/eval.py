"""How often danger is heard and how often it is imagined, over labelled messages, without a database or a network."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Final

from anamnesis.cli.triage import triage
from anamnesis.content import load_content

SUMMARY: Final = "measure the triage of labelled messages: what was missed and what was a false alarm"
_Z: Final = 1.959964  # the standard normal's 97.5th percentile
_RANK: Final = {"routine": 0, "urgent": 1, "emergency": 2}


@dataclass(frozen=True, slots=True)
class Judged:
    """One message with the triage it should have and the one it got."""

    case_id: str
    expected: str
    got: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of labelled messages: JSON lines as ``anamnesis triage`` reads them, each with ``expected``."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("evals/messages"))
    parser.add_argument("--list", action="store_true", help="name each message that was judged wrongly")


def run(arguments: argparse.Namespace) -> int:
    """Print the figures, each with its 95 % Wilson interval. Exit 2 when there is nothing to measure."""
    judged = judge(sorted(arguments.folder.glob("*.jsonl")))
    if not judged:
        print(f"No labelled messages in {arguments.folder}; name a folder that has some.")
        return 2
    print("\n".join(report(judged)))
    if arguments.list:
        wrong = (each for each in judged if each.got != each.expected)
        print("\n".join(f"{each.case_id}: {each.got}, should be {each.expected}" for each in wrong))
    return 0


def judge(files: Sequence[Path]) -> list[Judged]:
    """Each labelled message, triaged. Raises ValueError for a line that is not a case or has no known label."""
    content, judged = load_content(), []
    for file in files:
        for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
            case: dict[str, Any] = json.loads(line)
            if case.get("expected") not in _RANK:
                raise ValueError(f"{file.name}: {case.get('id')} has no known expected triage")
            judged.append(Judged(str(case["id"]), case["expected"], triage(case, content)["triage"]))
    return judged


def report(judged: Sequence[Judged]) -> list[str]:
    """The lines of the report, one figure each."""
    asked = (
        ("emergencies found", "emergency", lambda got: got == 2),  # noqa: PLR2004 - the rank of an emergency
        ("urgent cases found as urgent or more", "urgent", lambda got: got >= 1),
        ("routine messages without an emergency", "routine", lambda got: got < 2),  # noqa: PLR2004 - as above
        ("routine messages without any alarm", "routine", lambda got: got == 0),
    )
    lines = [f"{len(judged)} messages"]
    for name, label, is_right in asked:
        got = [_RANK[each.got] for each in judged if each.expected == label]
        lines.append(f"{name}: {proportion(sum(map(is_right, got)), len(got))}")
    return lines


def proportion(right: int, total: int) -> str:
    """A share with its 95 % confidence interval by Wilson's score method (Wilson, J Am Stat Assoc 1927;22:209)."""
    if total == 0:
        return "none"
    share = right / total
    middle = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    reach = _Z * sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2)) / (1 + _Z**2 / total)
    return f"{right}/{total} = {share:.1%} (95 % interval {middle - reach:.1%} to {middle + reach:.1%})"
