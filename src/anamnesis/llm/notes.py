"""What a model returned about a note, read as hostile input: the form of a proposal, and nothing of its sense.

What is not of the form is dropped item by item; a document that is none at all is broken, and asked for once more.
Whether a proposal holds is judged where the note is at hand (``clinical/rewording.py``).
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from anamnesis.clinical.rewording import Condition, Ground, Proposal, Wording
from anamnesis.kernel.text import clean
from anamnesis.llm.drafts import Draft, object_of, restored
from anamnesis.llm.port import Completion, ModelBroken, Prompt

_GROUND: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "quote"],
    "properties": {
        "id": {"type": "string"},
        "quote": {"type": "string", "description": "The patient's words, copied exactly."},
    },
}

#: The shape asked of every provider.
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["order", "wordings", "differential"],
    "properties": {
        "order": {"type": "array", "items": {"type": "string"}},
        "wordings": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "words"],
                "properties": {"id": {"type": "string"}, "words": {"type": "string"}},
            },
        },
        "differential": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition", "for", "against"],
                "properties": {
                    "condition": {"type": "string"},
                    "for": {"type": "array", "items": _GROUND},
                    "against": {"type": "array", "items": _GROUND},
                },
            },
        },
    },
}

_MOST_LINES: Final = 60
_MOST_CONDITIONS: Final = 8
_MOST_GROUNDS: Final = 8
_LONGEST: Final = 500


def read_note(prompt: Prompt, completion: Completion) -> Draft:
    """The proposal as clean JSON in the draft's reply. Raises ModelBroken for what is not one."""
    if completion.finish_reason != "stop":
        raise ModelBroken("cut_off")
    raw = object_of(completion.text)
    if not all(isinstance(raw.get(name), list) for name in SCHEMA["properties"]):
        raise ModelBroken("schema")
    kept = _Reading(prompt)
    proposal = {
        "order": [line for each in raw["order"][:_MOST_LINES] for line in kept.text(each)],
        "wordings": [item for each in raw["wordings"][:_MOST_LINES] for item in kept.texts(each, "id", "words")],
        "differential": [item for each in raw["differential"][:_MOST_CONDITIONS] for item in kept.condition(each)],
    }
    return Draft(json.dumps(proposal, ensure_ascii=False), (), "", ("schema",) * kept.dropped)


def proposal_of(text: str) -> Proposal:
    """The proposal a draft's reply holds, as ``read_note`` wrote it."""
    read = json.loads(text)
    return Proposal(
        tuple(read["order"]),
        tuple(Wording(each["id"], each["words"]) for each in read["wordings"]),
        tuple(
            Condition(each["condition"], _grounds(each["for"]), _grounds(each["against"]))
            for each in read["differential"]
        ),
    )


def _grounds(items: list[dict[str, str]]) -> tuple[Ground, ...]:
    return tuple(Ground(each["id"], each["quote"]) for each in items)


class _Reading:
    """Takes what has the form, and counts what has not."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self.dropped = 0

    def text(self, raw: Any) -> Iterator[str]:
        """The text, cleaned as people's are, with what its tokens stand for."""
        if isinstance(raw, str) and len(raw) <= _LONGEST:
            yield restored(clean(raw).strip(), self._prompt)
        else:
            self.dropped += 1

    def texts(self, raw: Any, *names: str) -> Iterator[dict[str, str]]:
        """The object of these texts."""
        if isinstance(raw, dict) and all(isinstance(raw.get(name), str) for name in names):
            read = {name: text for name in names for text in self.text(raw[name])}
            if len(read) == len(names):
                yield read
        else:
            self.dropped += 1

    def condition(self, raw: Any) -> Iterator[dict[str, Any]]:
        """One illness with the grounds that have the form."""
        is_formed = isinstance(raw, dict) and all(isinstance(raw.get(name), list) for name in ("for", "against"))
        if not is_formed:
            self.dropped += 1
            return
        for named in self.texts(raw, "condition"):
            grounds = {
                name: [item for each in raw[name][:_MOST_GROUNDS] for item in self.texts(each, "id", "quote")]
                for name in ("for", "against")
            }
            yield {**named, **grounds}
