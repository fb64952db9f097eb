"""Figures held against their goals, and the page of results made of them. Nothing here reads or writes a file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

_Z: Final = 1.959964  # the standard normal's 97.5th percentile
_ROW: Final = re.compile(r"^(?:## (.*)|\| ([^|]+?) \|.*\b(?:met|MET) \|)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One figure and what it must reach, at least or at most. Rates run from 0 to 1; value None is no data."""

    name: str
    value: float | None
    goal: float
    is_most: bool = False
    is_rate: bool = True
    interval: tuple[float, float] | None = None

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached; nothing measured reaches nothing."""
        if self.value is None:
            return False
        return self.value <= self.goal if self.is_most else self.value >= self.goal

    def row(self) -> str:
        """The figure as a row of a table."""
        sign = "≤" if self.is_most else "≥"
        verdict = "met" if self.is_met else "NOT MET"
        return f"| {self.name} | {self._shown()} | {sign} {_number(self.goal, is_rate=self.is_rate)} | {verdict} |"

    def _shown(self) -> str:
        if self.value is None:
            return "no data"
        words = _number(self.value, is_rate=self.is_rate)
        if self.interval is None:
            return words
        low, high = self.interval
        return f"{words} ({low:.1%} to {high:.1%})"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the evaluation: what it is, its criteria, and figures without a goal as further rows."""

    title: str
    lead: str
    criteria: tuple[Criterion, ...]
    further: tuple[tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether every criterion is met."""
        return all(each.is_met for each in self.criteria)


def _number(value: float, *, is_rate: bool) -> str:
    return f"{value:.1%}" if is_rate else f"{value:g}"


def wilson(right: int, total: int) -> tuple[float, float] | None:
    """The 95 % interval of a share by Wilson's score method (Wilson, J Am Stat Assoc 1927;22:209); None of nothing."""
    if total == 0:
        return None
    share = right / total
    middle = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    reach = _Z * sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2)) / (1 + _Z**2 / total)
    return middle - reach, middle + reach


def page(sections: Sequence[Section], blind: Sequence[Mapping[str, Any]]) -> str:
    """The whole page of results."""
    return "\n".join([*_opening(), *(line for each in sections for line in lines_of(each)), *_blind(blind)]) + "\n"


def _opening() -> Iterator[str]:
    yield "# Evaluation"
    yield ""
    yield "Written by `anamnesis eval --write`, measured by `make eval`; do not edit. No clinician has reviewed the"
    yield "labels, the stories or the leaks: they are drafts like the rules they judge. Intervals are 95 %, by Wilson's"
    yield "method."
    yield ""


def lines_of(section: Section) -> Iterator[str]:
    """A section as text."""
    yield from (f"## {section.title}", "", section.lead, "")
    yield from ("| figure | measured | goal | |", "|---|---|---|---|")
    yield from (each.row() for each in section.criteria)
    yield ""
    for title, columns, rows in section.further:
        yield from (f"### {title}", "", _cells(columns), _cells(["---"] * len(columns)))
        yield from (_cells(row) for row in rows)
        yield ""


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _blind(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("## First, blind figures", "")
    yield "What a set showed the first time it was run, before anything was mended by it. Only these tell how unseen"
    yield "words fare."
    yield ""
    for each in records:
        yield from (f"### {each['set']}, {each['date']}", "", "| figure | first measured |", "|---|---|")
        yield from (_cells([name, str(value)]) for name, value in each["figures"].items())
        yield ""


def structure(text: str) -> tuple[str, ...]:
    """The parts and the names of their criteria, which go stale when one is added; figures are noise."""
    return tuple(match.group(1) or match.group(2) for match in _ROW.finditer(text))
