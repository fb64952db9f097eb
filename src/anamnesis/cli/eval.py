"""How often danger is heard, vital signs are judged right, histories are whole and leaks are stopped; no network."""

import argparse
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from anamnesis.cli.triage import triage
from anamnesis.content import load_content
from anamnesis.evaluation import interviews, leaks, patients, vitals
from anamnesis.evaluation.criteria import Section, lines_of, page
from anamnesis.evaluation.messages import Judged, half_of
from anamnesis.evaluation.report import of_leaks, of_messages, of_patients, of_vitals, sensitivity

SUMMARY: Final = "measure the triage, the interview, the hand-over and the guard against their goals"
EVALS: Final = Path("evals")
PAGE: Final = Path("docs/evaluation.md")
PARTS: Final = ("messages", "vitals", "patients", "leaks")
_LABELS: Final = frozenset({"routine", "urgent", "emergency"})
_OF_HALF: Final = (
    "Written before the reader met them; every second story was then read and worked on, the others only counted: "
    "the figures are theirs. The first run stands among the blind figures below."
)
#: Each set of simulated patients: its title, how it was used, its folder, and the number of interviews.
_PATIENTS: Final = (
    ("Simulated patients", "Stories that were looked at while the reader was made.", ".", 124),
    (
        "Simulated patients in other words",
        "Stories written before the reader met them; since mended by them, see the blind figures below.",
        "heldout",
        68,
    ),
    ("Simulated patients of a second writer", _OF_HALF, "second", 124),
    ("Simulated patients of a third writer", _OF_HALF, "third", 62),
)
#: Files of messages of which every one was looked at while the reader was made: they only keep what was reached.
_LOOKED_AT: Final = frozenset({"en", "worked"})
_ROUNDING: Final = 0.0001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of the sets, which of them to run, and what to do with the result."""
    parser.add_argument("folder", nargs="?", type=Path, default=EVALS, help="where the sets lie")
    parser.add_argument("--only", choices=PARTS, help="run one part")
    parser.add_argument("--list", action="store_true", help="name each message and set of readings judged wrongly")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    parser.add_argument("--accept", action="store_true", help="write the found emergencies as the new baseline")


def run(arguments: argparse.Namespace) -> int:
    """Print every figure with its goal. Exit 1 when a goal is missed, 2 when there is nothing to measure."""
    parts = (arguments.only,) if arguments.only else PARTS
    sections = [section for part in parts for section in measure(part, arguments.folder)]
    if not sections:
        print(f"Nothing to measure in {arguments.folder}; name a folder that has some.")
        return 2
    print("\n".join(line for section in sections for line in lines_of(section)))
    if arguments.list:
        print("\n".join(wrong(parts, arguments.folder)))
    if arguments.accept:
        accept(arguments.folder)
    if arguments.write and not arguments.only:
        PAGE.write_text(page(sections, blind_figures(arguments.folder)), encoding="utf-8")
    return 0 if all(section.is_met for section in sections) else 1


def measure(part: str, folder: Path) -> list[Section]:
    """The sections of one part; none when the folder has nothing of it."""
    match part:
        case "messages":
            files = sorted((folder / "messages").glob("*.jsonl"))
            judged = judge([file for file in files if file.stem not in _LOOKED_AT])
            known = judge([file for file in files if file.stem in _LOOKED_AT])
            return [of_messages(judged, known)] if judged else []
        case "vitals":
            return [of_vitals(judged_vitals())]
        case "patients":
            return _of_patients(folder / "patients")
        case _:
            corpora = {path.stem: leaks.read_corpus(path) for path in sorted((folder / "leaks").glob("*.toml"))}
            return [of_leaks(corpora)] if corpora else []


def _of_patients(folder: Path) -> list[Section]:
    content = load_content()
    sections = []
    for title, lead, where, count in _PATIENTS:
        if (folder / where / "stories.toml").exists():
            held = [patients.interview(case, content) for case in patients.read_cases(folder / where, count)]
            judged = [interviews.judge(each, content) for each in held]
            sections.append(of_patients(title, lead, judged, is_halved=lead is _OF_HALF))
    return sections


def judged_vitals() -> tuple[vitals.VitalsJudged, ...]:
    """The sets of readings, judged as ``anamnesis triage`` answers them."""
    content = load_content()
    return vitals.judge(lambda case: triage(case, content))


def judge(files: Sequence[Path]) -> list[Judged]:
    """Each labelled message, triaged. Raises ValueError for a line that is not a case or has no known label."""
    content, judged = load_content(), []
    for file in files:
        for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
            case: dict[str, Any] = json.loads(line)
            if case.get("expected") not in _LABELS:
                raise ValueError(f"{file.name}: {case.get('id')} has no known expected triage")
            got = triage(case, content)["triage"]
            names = {"trap": case.get("trap", "plain"), "language": case.get("language", "en")}
            judged.append(Judged(str(case["id"]), case["expected"], got, **names))
    return judged


def wrong(parts: Sequence[str], folder: Path) -> list[str]:
    """Each message of the dev half and each set of readings judged wrongly, in words; the test half is only counted."""
    lines = []
    if "messages" in parts:
        judged = [each for each in judge(sorted((folder / "messages").glob("*.jsonl"))) if half_of(each) == "dev"]
        lines += [
            f"{each.case_id}: {each.got}, should be {each.expected}" for each in judged if each.got != each.expected
        ]
    if "vitals" in parts:
        lines += [f"{each.case.case_id}: {'; '.join(each.faults)}" for each in judged_vitals() if each.faults]
    return lines


# -- what may not fall -------------------------------------------------------------------------------------------


def baseline(folder: Path) -> dict[str, float]:
    """The share of emergencies found that was accepted last, by file of messages."""
    rates: dict[str, float] = tomllib.loads((folder / "baseline.toml").read_text())["emergency_sensitivity"]
    return rates


def found_now(folder: Path) -> dict[str, float]:
    """The share of emergencies found now, by file of messages."""
    shares = {path.stem: sensitivity(judge([path])) for path in sorted((folder / "messages").glob("*.jsonl"))}
    return {name: share.value for name, share in shares.items() if share.value is not None}


def fallen(before: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """The files in which fewer emergencies are found than was accepted; a file that is gone counts as none found."""
    return [name for name, rate in before.items() if now.get(name, 0) < rate - _ROUNDING]


def accept(folder: Path) -> None:
    """Write what is found now as the baseline that ``make check`` holds the next change against."""
    lines = [
        "# Written by `anamnesis eval --accept`: the share of emergencies found in each file of messages.",
        "# A fall below it fails `make check`.",
        "[emergency_sensitivity]",
        *(f"{name} = {rate:.4f}" for name, rate in found_now(folder).items()),
    ]
    (folder / "baseline.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def blind_figures(folder: Path) -> list[dict[str, Any]]:
    """What each set showed the first time it was run."""
    path = folder / "blind.toml"
    records: list[dict[str, Any]] = tomllib.loads(path.read_text()).get("measured", []) if path.exists() else []
    return records
