"""The forms of answer a model may be asked for: the shape, how long it may be, and who reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from anamnesis.llm import drafts, notes
from anamnesis.llm.drafts import Draft
from anamnesis.llm.port import Completion, Form, Prompt
from anamnesis.llm.wire import MOST_TOKENS

#: A note has some forty lines, each with words of its own.
_MOST_TOKENS_OF_NOTE: Final = 6144


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked of a provider for a form, and how its answer is read: raises ModelBroken or ReplyRefused."""

    schema: Mapping[str, Any]
    most_tokens: int
    read: Callable[[Prompt, Completion], Draft]


SHAPES: Final[Mapping[Form, Shape]] = {
    Form.TURN: Shape(drafts.SCHEMA, MOST_TOKENS, drafts.read_draft),
    Form.NOTE: Shape(notes.SCHEMA, _MOST_TOKENS_OF_NOTE, notes.read_note),
}


def read_answer(prompt: Prompt, completion: Completion) -> Draft:
    """The answer as its form has it, checked. Raises ModelBroken for what is not one, ReplyRefused for a reply."""
    return SHAPES[prompt.form].read(prompt, completion)
