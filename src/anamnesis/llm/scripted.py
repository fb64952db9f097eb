"""Models that need no network: the built-in interviewer's own words, and a stub with settable slowness."""

import asyncio
from dataclasses import dataclass

from anamnesis.llm.port import Completion, ModelUnavailable, Prompt


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """Says what the interview scripted: the default without a key, and what is left when every model fails."""

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:  # noqa: ARG002 - the port's signature
        """The scripted words, at once."""
        return Completion(prompt.scripted_reply, "stop")


@dataclass(slots=True)
class StubModel:
    """Waits, then says the scripted words or fails; for benchmarks and tests of slowness."""

    latency_s: float = 0.0
    failure: Exception | None = None
    text: str | None = None
    calls: int = 0
    in_flight: int = 0

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """The scripted words after the latency. Raises the set failure, or ModelUnavailable past the deadline."""
        self.calls += 1
        self.in_flight += 1
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.sleep(self.latency_s)
        except TimeoutError:
            raise ModelUnavailable from None
        finally:
            self.in_flight -= 1
        if self.failure is not None:
            raise self.failure
        return Completion(prompt.scripted_reply if self.text is None else self.text, "stop")
