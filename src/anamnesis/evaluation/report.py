"""The four parts of the evaluation, each held against the goals of clinical content 9."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from anamnesis.evaluation import interviews, leaks, vitals
from anamnesis.evaluation.criteria import Criterion, Section, wilson
from anamnesis.evaluation.interviews import Findings
from anamnesis.evaluation.leaks import Line
from anamnesis.evaluation.messages import (
    Figures,
    Judged,
    Share,
    half_of,
    language_of,
    score,
    score_by,
    trap_of,
)
from anamnesis.evaluation.vitals import VitalsJudged

_MESSAGE_GOALS: Final = (
    ("emergency sensitivity", "sensitivity", 0.95),
    ("emergency specificity", "specificity", 0.93),
    ("not under-triaged", "not_under", 0.96),
    ("three-way", "three_way", 0.84),
)
_COLUMNS: Final = ("", "messages", *(name for name, _, _ in _MESSAGE_GOALS))


def of_messages(judged: Sequence[Judged], looked_at: Sequence[Judged] = ()) -> Section:
    """The labelled messages: the half nothing was tuned on is the one that counts.

    looked_at are messages of which both halves were worked on; they stand apart, for they would flatter.
    """
    halves = score_by(judged, half_of)
    criteria = [
        _of_share(f"{name}, {half} half", getattr(halves[half], field), goal)
        for half in sorted(halves, reverse=True)
        for name, field, goal in _MESSAGE_GOALS
    ]
    lead = f"{len(judged)} labelled messages, split by a hash of their ids; rules are tuned on the dev half only."
    known = (("all, both halves tuned on", *_cells(score(looked_at))),) if looked_at else ()
    further = (
        ("By half", _COLUMNS, _rows(judged, half_of)),
        ("Messages worked on as a whole", _COLUMNS, known),
        ("By trap", _COLUMNS, _rows(judged, trap_of)),
        ("By language", _COLUMNS, _rows(judged, language_of)),
    )
    return Section("Labelled messages", lead, tuple(criteria), further)


def _of_share(name: str, share: Share, goal: float) -> Criterion:
    return Criterion(name, share.value, goal, interval=wilson(share.right, share.total))


def _rows(judged: Sequence[Judged], key: object) -> tuple[tuple[str, ...], ...]:
    parts = score_by(judged, key)  # type: ignore[arg-type]  # one of the three keys above
    return tuple((name, *_cells(figures)) for name, figures in parts.items())


def _cells(figures: Figures) -> tuple[str, ...]:
    shares = [getattr(figures, field) for _, field, _ in _MESSAGE_GOALS]
    return (str(figures.three_way.total), *(f"{each.right}/{each.total}" for each in shares))


def sensitivity(judged: Iterable[Judged]) -> Share:
    """The emergencies that were called so, which may not fall below the baseline."""
    return score(judged).sensitivity


def of_vitals(judged: Sequence[VitalsJudged]) -> Section:
    """The sets made from the tables."""
    found = vitals.figures(judged)
    criteria = (
        Criterion("NEWS2 totals exact", found["news2_exact"], 1),
        Criterion("NEWS2 withheld where incomplete or not applicable", found["news2_withheld"], 1),
        Criterion("colour right", found["colour_right"], 1),
        Criterion("under-triaged sets", found["under_triaged"], 0, is_most=True, is_rate=False),
        Criterion("implausible readings refused", found["implausible_refused"], 1),
    )
    lead = (
        f"{found['sets']:g} sets of readings made from the published tables, by code that shares none with the product."
    )
    groups = dict.fromkeys(each.case.group for each in judged)
    rows = tuple(
        (group, str(len(own)), str(sum(bool(each.faults) for each in own)), str(sum(each.is_under for each in own)))
        for group in groups
        if (own := [each for each in judged if each.case.group == group])
    )
    return Section("Vital signs", lead, criteria, (("By group", ("", "sets", "wrong", "under-triaged"), rows),))


def of_patients(title: str, lead: str, judged: Sequence[Findings], *, is_halved: bool = False) -> Section:
    """Simulated interviews. Where every second story was worked on, the criteria are those of the other half."""
    unseen = [each for each in judged if each.number % 2] if is_halved else judged
    found = interviews.figures(unseen)
    criteria = (
        Criterion("interviews finished", found["finished"], 1),
        Criterion("slot coverage", found["slot_coverage"], 0.97),
        Criterion("danger signs asked", found["danger_signs_asked"], 0.95),
        Criterion("questions, median", found["questions_median"], 15, is_most=True, is_rate=False),
        Criterion("questions, 95th percentile", found["questions_p95"], 25, is_most=True, is_rate=False),
        Criterion("repeated questions", found["repeat_rate"], 0.01, is_most=True),
        Criterion("fact recall", found["fact_recall"], 0.97),
        Criterion("precision", found["precision"], 1),
        Criterion("facts under their own topic", found["in_place"], 0.995),
        Criterion("rubric, mean of 24", found["rubric_mean"], 22, is_rate=False),
        Criterion("every starred item", found["starred_met"], 1),
        Criterion("own texts refused by the guard", found["own_texts_refused"], 0, is_most=True, is_rate=False),
    )
    halves = (("worked on", [each for each in judged if not each.number % 2]), ("only counted", unseen))
    rows = tuple((name, *_interview_cells(half)) for name, half in halves) if is_halved else ()
    further = (("By half", ("", "interviews", *(name for name, _ in _BY_HALF)), rows),) if rows else ()
    return Section(title, f"{lead} {len(judged)} interviews.", criteria, further)


_BY_HALF: Final = (
    ("slot coverage", "slot_coverage"), ("danger signs asked", "danger_signs_asked"),
    ("repeated questions", "repeat_rate"), ("fact recall", "fact_recall"), ("precision", "precision"),
    ("facts under their own topic", "in_place"),
)  # fmt: skip


def _interview_cells(judged: Sequence[Findings]) -> tuple[str, ...]:
    found = interviews.figures(judged)
    return (f"{found['cases']:g}", *(f"{found[field]:.1%}" for _, field in _BY_HALF))


def of_leaks(corpora: Mapping[str, tuple[Line, ...]]) -> Section:
    """The guard's corpora."""
    criteria: list[Criterion] = []
    for name, lines in corpora.items():
        found = leaks.figures(lines)
        criteria += [
            Criterion(f"leaks let through, {name}", found["leak_rate"], 0.005, is_most=True),
            Criterion(f"of them after a flag, {name}", found["leaks_after_flag"], 0, is_most=True, is_rate=False),
            Criterion(f"innocent lines refused, {name}", found["false_refusal_rate"], 0.05, is_most=True),
        ]
    lead = "What a model might say and must not, and what it may say; each line before and after a red flag."
    return Section("What reaches a patient", lead, tuple(criteria))
