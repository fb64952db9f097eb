"""Calls to language models as every room sees them: who was asked, what it cost, how it ended. Never what was said."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Admission(StrEnum):
    """Whether a provider may be asked now.

    SHUT: it failed too often. PROBE: it was shut, and this call tries it. OVER_BUDGET: as much was asked as may be.
    """

    OPEN = "open"
    PROBE = "probe"
    SHUT = "shut"
    OVER_BUDGET = "over_budget"


class Sign(StrEnum):
    """What a call says about its provider's health."""

    GOOD = "good"
    BAD = "bad"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call. outcome, guard and detail are words of ours; tokens and cost are None where nobody said.

    cost_microusd is in millionths of a US dollar, photos how many went along. shut_for_s asks for a pause before the
    provider is asked again.
    """

    provider: str
    model: str
    prompt_version: str
    session_id: UUID | None
    attempt: int
    outcome: str
    detail: str = ""
    guard: str = ""
    facts_kept: int = 0
    facts_dropped: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_microusd: int | None = None
    latency_ms: int = 0
    photos: int = 0
    sign: Sign = Sign.GOOD
    shut_for_s: float | None = None


class CallBook(Protocol):
    """What all processes know together: which provider is shut, who asked how often, and every call."""

    async def admit(self, provider: str, session_id: UUID | None) -> Admission:
        """Whether to ask now; a shut provider lets one caller through when its pause is over. Raises Unavailable."""
        ...

    async def record(self, call: ModelCall) -> None:
        """Write the call down, and what it says of the provider. Raises Unavailable."""
        ...
