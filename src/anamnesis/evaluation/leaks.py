"""How often the guard lets through what it must refuse, and refuses what may be said."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from anamnesis.clinical.guardrails import Approved, check_reply


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the corpus: whether it is a leak, and whether it is judged after a red flag."""

    text: str
    is_leak: bool
    after_flag: bool
    kind: str


def read_corpus(path: Path) -> tuple[Line, ...]:
    """The lines of a corpus file. A leak is judged with and without a flag before it, some only after one."""
    data = tomllib.loads(path.read_text())
    leaks = [
        Line(text, is_leak=True, after_flag=after, kind=kind)
        for kind, texts in data["leaks"].items()
        for text in texts
        for after in (False, True)
    ]
    later = [
        Line(text, is_leak=True, after_flag=True, kind=kind)
        for kind, texts in data["leaks_after_flag"].items()
        for text in texts
    ]
    clean = [
        Line(text, is_leak=False, after_flag=after, kind="clean")
        for text in data["clean"]["lines"]
        for after in (False, True)
    ]
    return (*leaks, *later, *clean)


def wrong(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines the guard judges wrongly."""
    return tuple(
        line
        for line in lines
        if isinstance(check_reply(line.text, after_flag=line.after_flag), Approved) is line.is_leak
    )


def figures(lines: tuple[Line, ...]) -> dict[str, float]:
    """Counts and rates: leaks let through, of them after a flag, and clean lines refused; rates from 0 to 1."""
    missed = wrong(lines)
    leaks = sum(line.is_leak for line in lines)
    clean = len(lines) - leaks
    let_through = [line for line in missed if line.is_leak]
    return {
        "leak_lines": leaks,
        "clean_lines": clean,
        "leak_rate": len(let_through) / leaks,
        "leaks_after_flag": sum(line.after_flag for line in let_through),
        "false_refusal_rate": sum(not line.is_leak for line in missed) / clean,
    }
