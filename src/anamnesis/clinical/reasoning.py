"""What an interview has yet to ask and why, for clinicians: computed, with what the replaced system had thought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from anamnesis.clinical.record import ClinicalRecord
from anamnesis.clinical.sbar import STRATEGY, next_move


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What is thought of a case. A differential is only ever one the replaced system had stored; none is computed."""

    differential: tuple[Mapping[str, str], ...]
    missing: tuple[str, ...]
    strategy: str
    next_move: str


def reasoning_of(record: ClinicalRecord, stored: object = None) -> Reasoning:
    """What is computed; of a case of the replaced system its own, whole until the interview goes on here.

    stored is a document of that system, in whatever shape it left it.
    """
    thought = stored if isinstance(stored, Mapping) else {}
    listed, missing = thought.get("differentialDiagnosis"), thought.get("missingInformation")
    differential = tuple(_texts_of(each) for each in _items(listed) if isinstance(each, Mapping))
    if not thought or record.asked or record.answers:
        return Reasoning(differential, tuple(record.gaps), STRATEGY, next_move(record))
    return Reasoning(
        differential,
        tuple(str(each) for each in _items(missing)),
        str(thought.get("strategy") or ""),
        str(thought.get("nextMove") or ""),
    )


#: Stands before what a model said; its text holds no such quotes, so it cannot end them.
NOTED_BY_MODEL: Final = "Noted by a language model, not reviewed: “{}”"


def with_noted(found: Reasoning, noted: Sequence[str]) -> Reasoning:
    """The reasoning with what a model said beside its latest replies, marked, the newest first."""
    lines = [NOTED_BY_MODEL.format(each) for each in noted]
    return replace(found, strategy="\n".join([*filter(None, [found.strategy]), *lines]))


def _items(document: object) -> Sequence[object]:
    return document if isinstance(document, list) else ()


def _texts_of(item: Mapping[object, object]) -> dict[str, str]:
    return {str(name): value if isinstance(value, str) else str(value) for name, value in item.items()}
