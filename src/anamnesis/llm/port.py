"""A language model as we see it: it words what code decided, or it fails in one of four ways."""

from dataclasses import dataclass
from typing import Protocol

from anamnesis.kernel.errors import AnamnesisError


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked to word. scripted_reply is what is sent when it fails."""

    question_id: str | None
    scripted_reply: str
    stage: str
    language: str


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model said."""

    text: str
    finish_reason: str


class ModelFailed(AnamnesisError):
    """A model did not answer usefully."""


class ModelBusy(ModelFailed):
    """It asks us to come back later."""


class ModelRefused(ModelFailed):
    """It will not answer this."""


class ModelBroken(ModelFailed):
    """It answered something that cannot be used."""


class ModelUnavailable(ModelFailed):
    """It cannot be reached, or not in time."""


class ChatModel(Protocol):
    """Words a reply. Holds nothing of ours while it thinks."""

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """The wording, within the deadline. Raises ModelFailed."""
        ...
