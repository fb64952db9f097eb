"""A language model as we see it: it words what code decided, or it fails in one of four ways."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final, Protocol, runtime_checkable
from uuid import UUID

from anamnesis.kernel.errors import AnamnesisError

#: What a model may propose facts for. Who the person is, their vital signs, danger signs, pregnancy and the complaint
#: itself decide urgency or the agenda: code alone reads those.
FIELDS: Final = (
    "onset", "site", "character", "radiation", "timing", "details", "severity", "exacerbating", "relieving",
    "records", "medicines", "allergies", "past_history", "family_history", "social_history",
)  # fmt: skip


class Form(StrEnum):
    """What a model is asked for: the wording of one turn, or a proposal about a written note."""

    TURN = "turn"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of this patient: only from these may a fact be quoted."""

    message_id: str
    text: str


#: Looks for the photos that go along, within so many seconds: small JPEGs without anything beside their pixels, those
#: that were there in time. Raises nothing.
Look = Callable[[float], Awaitable[tuple[bytes, ...]]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked to word. scripted_reply is what is sent when it fails.

    question is the bare question a wording must still ask. instructions are ours, case is quoted data that holds tokens
    where hidden says what they stand for. said and fields bound what facts may be proposed from and for; told are the
    patient's own words, which a reply may quote. mending says why the answer before this one could not be used.

    photos go along as pictures after the case, as JPEG; look finds them when somebody will see them, not before.
    """

    question_id: str | None
    scripted_reply: str
    stage: str
    language: str
    question: str = ""
    instructions: str = ""
    case: str = ""
    version: str = ""
    session_id: UUID | None = None
    said: tuple[Said, ...] = ()
    fields: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    is_flagged: bool = False
    hidden: tuple[tuple[str, str], ...] = ()
    mending: str = ""
    form: Form = Form.TURN
    photos: tuple[bytes, ...] = field(default=(), repr=False)
    look: Look | None = field(default=None, repr=False, compare=False)

    @property
    def user_text(self) -> str:
        """What is sent as the user's turn, before the photos: the case, their number, what the last answer lacked."""
        text = self.case
        if self.photos:
            text += f"\n\nPhotos the patient sent with the last message, after this text: {len(self.photos)}."
        if self.mending:
            text += f"\n\nYour last answer could not be used ({self.mending}). Answer again, in the given form."
        return text


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used, in tokens; None where the provider did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ProposedFact:
    """What a model says a patient told: the value, and the words it rests on, verbatim in that message."""

    field: str
    value: str
    quote: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model said. facts have been checked; model is its name as billed.

    reasoning is for the doctor alone: a line of plain words, bounded, which nobody has reviewed.
    """

    text: str
    finish_reason: str
    facts: tuple[ProposedFact, ...] = ()
    reasoning: str = ""
    model: str = ""
    usage: Usage = Usage()


class ModelFailed(AnamnesisError):
    """A model did not answer usefully. detail is a word of ours for the ledger, never the provider's text."""

    #: What the fallback is counted under.
    reason: ClassVar[str] = "unavailable"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class ModelBusy(ModelFailed):
    """It asks us to come back later; retry_after_s is when, in seconds, if it said so."""

    reason = "rate_limited"

    def __init__(self, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class ModelRefused(ModelFailed):
    """It will not answer this."""

    reason = "unusable"


class ModelBroken(ModelFailed):
    """It answered something that cannot be used."""

    reason = "unusable"


class ReplyRefused(ModelBroken):
    """It answered in form, and said to the patient what an interviewer may not say."""


class ModelUnavailable(ModelFailed):
    """It cannot be reached, or not in time."""


class ModelTimedOut(ModelUnavailable):
    """It did not answer in the time it had."""

    reason = "timed_out"


#: What a call is cancelled with when whoever listened wants no more: it ends as ModelStopped then, not as late.
STOPPED: Final = "stopped"


class ModelStopped(ModelFailed):
    """It was speaking, and whoever listened wanted no more."""


class ModelMisconfigured(ModelUnavailable):
    """It refuses us: a wrong key, an unknown model, a request it does not take. Asking again does not help."""


class ModelShut(ModelUnavailable):
    """It is not asked now: it failed too often a moment ago."""

    reason = "breaker_open"


class ModelOverBudget(ModelUnavailable):
    """It is not asked now: as much as may be asked has been asked."""

    reason = "over_budget"


class ChatModel(Protocol):
    """Words a reply. Holds nothing of ours while it thinks."""

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """The wording, within the deadline. Raises ModelFailed."""
        ...


#: What is told while a model still speaks: by a vendor's, the next piece of its answer as it came; by the whole layer,
#: the reply as far as it may be shown, "" when what was shown is taken back. What it raises ends the call.
Hear = Callable[[str], None]


@runtime_checkable
class Speaker(ChatModel, Protocol):
    """A ChatModel that can be heard while it speaks."""

    async def speak(self, prompt: Prompt, *, deadline_s: float, hear: Hear) -> Completion:
        """The same as complete, heard as it grows. Raises ModelFailed, and what hear raises."""
        ...


class Vendor(Speaker, Protocol):
    """A ChatModel that keeps connections; model is the name it asks for."""

    model: str

    async def aclose(self) -> None:
        """Close every connection."""
        ...
