"""Score the triage of labelled messages: in halves, by trap, by language. Nothing is read from disk here."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

Half = Literal["dev", "test"]
_RANK: Final = {"routine": 0, "urgent": 1, "emergency": 2}


def split_of(case_id: str) -> Half:
    """The half a message belongs to, by its id alone: rules are tuned on dev, and test is only counted."""
    return "test" if hashlib.sha256(case_id.encode()).digest()[0] % 2 else "dev"


@dataclass(frozen=True, slots=True)
class Judged:
    """One message with the triage it should have and the one it got; trap and language as its writer named them."""

    case_id: str
    expected: str
    got: str
    trap: str = "plain"
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Share:
    """So many right of so many."""

    right: int
    total: int

    @property
    def value(self) -> float | None:
        """The share from 0 to 1, or None of nothing."""
        return self.right / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Figures:
    """How a set of messages was triaged.

    sensitivity: emergencies called so. specificity: others not called so. not_under: at the label or above.
    three_way: exactly the label. routine_kept: routine messages without any alarm.
    """

    sensitivity: Share
    specificity: Share
    not_under: Share
    three_way: Share
    routine_kept: Share


def score(judged: Iterable[Judged]) -> Figures:
    """The figures of a set."""
    ranks = [(_RANK[each.expected], _RANK[each.got]) for each in judged]
    emergency = _RANK["emergency"]
    return Figures(
        sensitivity=_share(((want, got) for want, got in ranks if want == emergency), lambda _, got: got == emergency),
        specificity=_share(((want, got) for want, got in ranks if want < emergency), lambda _, got: got < emergency),
        not_under=_share(ranks, lambda want, got: got >= want),
        three_way=_share(ranks, lambda want, got: got == want),
        routine_kept=_share(((want, got) for want, got in ranks if want == 0), lambda _, got: got == 0),
    )


def score_by(judged: Iterable[Judged], key: Callable[[Judged], str]) -> dict[str, Figures]:
    """The figures of each part, in alphabetical order: by half, by trap, by language, or by whatever key says."""
    parts: dict[str, list[Judged]] = {}
    for each in judged:
        parts.setdefault(key(each), []).append(each)
    return {name: score(parts[name]) for name in sorted(parts)}


def half_of(judged: Judged) -> str:
    """A key for score_by."""
    return split_of(judged.case_id)


def trap_of(judged: Judged) -> str:
    """A key for score_by."""
    return judged.trap


def language_of(judged: Judged) -> str:
    """A key for score_by."""
    return judged.language


def _share(ranks: Iterable[tuple[int, int]], is_right: Callable[[int, int], bool]) -> Share:
    right = [is_right(want, got) for want, got in ranks]
    return Share(sum(right), len(right))
