"""A written hand-over as whoever tidies it sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anamnesis.clinical.record import ClinicalRecord
from anamnesis.clinical.sbar import Sbar


@dataclass(frozen=True, slots=True)
class Written:
    """A hand-over that waits for its review, what it was written from, and its digest (basis).

    messages are the patient's words by message id; known are the names and telephone number of the patient's account.
    Nothing of a clinician's is in it. is_worded says that a model has had this very note before.
    """

    note: Sbar
    record: ClinicalRecord
    messages: Mapping[str, str]
    known: tuple[str, ...]
    basis: bytes
    is_worded: bool


@dataclass(frozen=True, slots=True)
class WordedNote:
    """What is kept of a model's proposal: the note with it, or None when nothing of it held."""

    basis: bytes
    note: dict[str, Any] | None
    differential: list[dict[str, Any]]
    prompt_version: str
    reworded: int
    dropped: int
