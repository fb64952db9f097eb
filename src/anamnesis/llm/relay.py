"""A ChatModel made of ChatModels: one deadline over all of them, at most two calls a turn, a breaker shared by all.

What to do after a failure is decided by ``after``, which is pure; the class around it asks, waits and writes down.
"""

import asyncio
import math
import random
import re
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, assert_never

from anamnesis.journal import log
from anamnesis.kernel.calls import Admission, CallBook, ModelCall, Sign
from anamnesis.kernel.errors import Unavailable
from anamnesis.llm.drafts import Draft
from anamnesis.llm.forms import read_answer
from anamnesis.llm.port import (
    STOPPED,
    ChatModel,
    Completion,
    Hear,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelMisconfigured,
    ModelOverBudget,
    ModelRefused,
    ModelShut,
    ModelStopped,
    ModelTimedOut,
    ModelUnavailable,
    Prompt,
    ReplyRefused,
    Speaker,
    Usage,
)
from anamnesis.llm.releasing import Releasing

#: Calls in one turn: the first, and one more to mend its answer, to try again, or to the next provider.
MOST_CALLS: Final = 2
#: With another provider to go to, the first may use this share of what is left of the deadline.
_FIRST_SHARE: Final = 0.6
#: Share of what is left of the deadline that the book may take to say whether a provider may be asked.
_BOOK_SHARE: Final = 0.25
#: Nothing worth reading comes back sooner.
_LEAST_S: Final = 0.1
#: Kept from the deadline, so that a failure has its name before whoever set it loses patience.
_MARGIN_S: Final = 0.05
_PAUSE_S: Final = 0.2
#: The ledger takes what a provider tells of itself only in this form: its words are no more to be trusted than a draft.
_MODEL_NAME: Final = re.compile(r"[\w.:/@-]{1,120}", re.ASCII)
#: English has four or more, Swahili and Luganda fewer: an estimate that errs stops the spending early.
_LETTERS_A_TOKEN: Final = 3
#: Most models count a thousand for a photo of ours; gpt-4o-mini, a cheap one, counts 2,833 and 5,667 for each of four
#: tiles. The same rule: too many rather than too few.
_TOKENS_A_PHOTO: Final = 26_000
#: How long photos are looked for at most, and which share of what is left of the deadline: the model needs the rest.
_LOOK_S: Final = 4.0
_LOOK_SHARE: Final = 0.3
#: How servers answer a request whose form or size they do not take, or a model that has no eyes.
_NOT_TAKEN: Final = frozenset({"http_400", "http_404", "http_413", "http_415", "http_422"})
_MOST_TOKENS_TOLD: Final = 10_000_000
_MOST_COUNTED: Final = 1000
_WHEN_BUSY_S: Final = 5.0
_LONGEST_SHUT_S: Final = 3600.0
_MISCONFIGURED_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens in and out, which is millionths of a dollar for one."""

    input_usd: float
    output_usd: float


@dataclass(frozen=True, slots=True)
class Provider:
    """One model to ask. Without a price its cost is not known, and not guessed."""

    name: str
    model: ChatModel
    model_name: str = ""
    price: Price | None = None


class CallObserver(Protocol):
    """Counts calls; learns nothing of what was said."""

    def model_call(self, call: ModelCall) -> None:
        """A call came to its end."""
        ...


class Unobserved:
    """Counts nothing."""

    def model_call(self, call: ModelCall) -> None:
        """Take no note."""


# -- policy ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Again:
    """Ask the same provider once more after wait_s; with mending, say what was wrong with its answer.

    Without photos nothing that came with them goes along again: they may be what it failed of.
    """

    wait_s: float = 0.0
    is_mending: bool = False
    is_without_photos: bool = False


@dataclass(frozen=True, slots=True)
class GoOn:
    """Ask the next provider."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The built-in interviewer speaks."""


def after(failed: ModelFailed, *, has_next: bool, left_s: float, has_photos: bool = False) -> Again | GoOn | GiveUp:
    """What to do after a failed call, with left_s seconds of the deadline left.

    Another provider beats a second try at the same one. Alone, a broken answer is mended, a dropped connection is tried
    again, a busy server is waited for when the wait it names fits; a refusal, a time-out or a wrong key is final. A
    server that may have refused, or tripped over, the photos is asked once more without them.
    """
    if left_s < _LEAST_S:
        return GiveUp()
    if has_next:
        return GoOn()
    match failed:
        case ModelBusy(retry_after_s=float() | int() as wait) if wait + _LEAST_S <= left_s:
            return Again(wait)
        case ModelBroken():
            return Again(is_mending=True)
        case ModelRefused() if has_photos:
            return Again(is_without_photos=True)
        case ModelBusy() | ModelRefused() | ModelTimedOut() | ModelMisconfigured():
            return GiveUp()
        case ModelUnavailable() if left_s >= _PAUSE_S + _LEAST_S:
            return Again(_PAUSE_S, is_without_photos=has_photos)
        case _:
            return GiveUp()


def time_for(left_s: float, *, has_next: bool) -> float:
    """How long one call may take out of left_s seconds."""
    return left_s * _FIRST_SHARE if has_next else left_s


def sign_of(failed: ModelFailed | None) -> tuple[Sign, float | None]:
    """What a call says of its provider, and for how many seconds it should be left alone whatever came before.

    An answer that is refused for what it says is the answer's fault, not the provider's health.
    """
    match failed:
        case None:
            return Sign.GOOD, None
        case ReplyRefused() | ModelRefused() | ModelStopped():
            return Sign.NEITHER, None
        case ModelBusy():
            wait = _WHEN_BUSY_S if failed.retry_after_s is None else failed.retry_after_s
            return Sign.BAD, min(max(wait, 1.0), _LONGEST_SHUT_S)
        case ModelMisconfigured():
            return Sign.BAD, _MISCONFIGURED_S
        case _:
            return Sign.BAD, None


# -- the shell ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Relay:
    """Asks the providers in order and reads what they say; raises ModelFailed when nobody said anything usable."""

    providers: Sequence[Provider]
    book: CallBook
    observer: CallObserver = field(default_factory=Unobserved)
    most_in_flight: int = 256
    _in_flight: int = 0
    _writing: set["asyncio.Task[None]"] = field(default_factory=set, repr=False)
    _trying: set["asyncio.Task[None]"] = field(default_factory=set, repr=False)

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """A reply that passed every check, and facts that did. Raises ModelFailed within the deadline."""
        return await self._bounded(prompt, deadline_s, None)

    async def speak(self, prompt: Prompt, *, deadline_s: float, hear: Hear) -> Completion:
        """The same. hear is told the reply as far as it passed the checks, "" when that is taken back."""
        return await self._bounded(prompt, deadline_s, hear)

    async def _bounded(self, prompt: Prompt, deadline_s: float, hear: Hear | None) -> Completion:
        if self._in_flight >= self.most_in_flight:
            raise ModelOverBudget("in_flight")
        self._in_flight += 1
        try:
            return await self._turn(prompt, time.monotonic() + deadline_s - _MARGIN_S, hear)
        finally:
            self._in_flight -= 1

    async def aclose(self) -> None:
        """End what nobody waits for, write down what is still to be written, and close every provider's connections."""
        for trying in self._trying:
            trying.cancel()
        await self.written()
        for provider in self.providers:
            close = getattr(provider.model, "aclose", None)
            if close is not None:
                await close()

    async def written(self) -> None:
        """Wait until every call nobody else waits for is over, and every call that ended is written down."""
        await asyncio.gather(*self._trying, return_exceptions=True)
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _turn(self, prompt: Prompt, end: float, hear: Hear | None) -> Completion:
        failed: ModelFailed = ModelShut()
        place, calls, is_admitted = 0, 0, False
        while place < len(self.providers) and calls < MOST_CALLS:
            provider = self.providers[place]
            if not is_admitted:
                try:
                    is_probe = await self._admit(provider, prompt, end)
                except ModelFailed as refusal:
                    failed, place = refusal if calls == 0 else failed, place + 1
                    continue
                if is_probe:
                    self._try(provider, prompt, end, is_heard=hear is not None)
                    place, calls = place + 1, calls + 1
                    continue
                is_admitted = True
                prompt = await _seen(prompt, end)
            calls += 1
            has_next = place + 1 < len(self.providers) and calls < MOST_CALLS
            within_s = time_for(end - time.monotonic(), has_next=has_next)
            try:
                return await self._ask(provider, prompt, calls, within_s, hear)
            except ModelFailed as failure:
                failed = failure
            left_s = end - time.monotonic()
            step = after(failed, has_next=has_next, left_s=left_s, has_photos=bool(prompt.photos))
            if isinstance(step, GiveUp) or calls == MOST_CALLS:
                break
            if isinstance(step, GoOn):
                place, is_admitted = place + 1, False
                continue
            photos = () if step.is_without_photos else prompt.photos
            prompt = replace(prompt, mending=failed.detail if step.is_mending else "", photos=photos)
            await asyncio.sleep(step.wait_s * random.uniform(1.0, 1.1))  # noqa: S311 - jitter, never before it is due
        raise failed

    async def _admit(self, provider: Provider, prompt: Prompt, end: float) -> bool:
        """Whether this would be the one call that tries a provider which is shut.

        Raises ModelFailed for one that is not to be asked; a book that cannot be read is a reason.
        """
        try:
            async with asyncio.timeout(max(0.0, _BOOK_SHARE * (end - time.monotonic()))):
                admission = await self.book.admit(provider.name, prompt.session_id)
        except (Unavailable, TimeoutError):
            raise ModelUnavailable("book") from None
        match admission:
            case Admission.SHUT:
                raise ModelShut("shut")
            case Admission.OVER_BUDGET:
                raise ModelOverBudget("per_minute")
            case Admission.PROBE:
                return True
            case Admission.OPEN:
                return False
            case _:
                assert_never(admission)

    def _try(self, provider: Provider, prompt: Prompt, end: float, *, is_heard: bool) -> None:
        """Learn whether a provider is back, beside the turn: its patient goes on as while it is shut.

        One call a pause, over all processes: nothing is mended or tried again, and its answer tells of health alone. It
        is asked for as the turn's would be, for a server may be well one way and not the other.
        """
        hear = _to_nobody if is_heard else None
        trying = asyncio.create_task(self._tried(provider, prompt, end, hear), name="model probe")
        self._trying.add(trying)
        trying.add_done_callback(self._trying.discard)

    async def _tried(self, provider: Provider, prompt: Prompt, end: float, hear: Hear | None) -> None:
        self._in_flight += 1
        try:
            with suppress(ModelFailed):
                await self._ask(provider, prompt, 1, end - time.monotonic(), hear)
        finally:
            self._in_flight -= 1

    async def _ask(
        self, provider: Provider, prompt: Prompt, attempt: int, within_s: float, hear: Hear | None
    ) -> Completion:
        started = time.monotonic()
        said: Completion | None = None
        draft: Draft | None = None
        left = ModelTimedOut("left")  # what stands if whoever waits for us goes away
        failed: ModelFailed | None = left
        releasing = None if hear is None else Releasing(prompt, hear)
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                said = await _said(provider.model, prompt, within_s, releasing)
            draft, failed = read_answer(prompt, said), None
        except TimeoutError:
            failed = ModelTimedOut("timed_out")
            raise failed from None
        except ModelFailed as failure:
            failed = _perhaps_for_photos(failure, prompt)
            raise failed from None
        except asyncio.CancelledError as gone:
            if gone.args == (STOPPED,):
                failed = ModelStopped("left")  # who would not wait says nothing against it either
            raise
        finally:
            if failed is left and releasing is not None and releasing.heard:
                failed = ModelStopped("left")  # it was answering: this says nothing against it
            if failed is not None and releasing is not None:
                releasing.take_back()
            seconds = time.monotonic() - started
            usage = _used(prompt, said, 0 if releasing is None else releasing.heard)
            self._write_down(_call(provider, prompt, attempt, said, draft, failed, usage, seconds))
        return replace(said, text=draft.reply, facts=draft.facts, reasoning=draft.reasoning)

    def _write_down(self, call: ModelCall) -> None:
        self.observer.model_call(call)
        _tell(call)
        self._in_background(self._recorded(call))

    async def _recorded(self, call: ModelCall) -> None:
        try:
            await self.book.record(call)
        except Unavailable as away:
            log.warning("model.ledger", provider=call.provider, phase="error", exc_info=away)

    def _in_background(self, writing: Coroutine[Any, Any, None]) -> None:
        # The patient's reply does not wait for the ledger.
        task = asyncio.create_task(writing, name="model ledger")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)


def _to_nobody(_: str) -> None:
    """Heard by nobody: what is tried is not shown."""


async def _said(model: ChatModel, prompt: Prompt, within_s: float, releasing: Releasing | None) -> Completion:
    if releasing is None or not isinstance(model, Speaker):
        return await model.complete(prompt, deadline_s=within_s)
    return await model.speak(prompt, deadline_s=within_s, hear=releasing.hear)


async def _seen(prompt: Prompt, end: float) -> Prompt:
    """The prompt with its photos. They are looked for once, when a provider will be asked, for part of what is left."""
    if prompt.look is None:
        return prompt
    within_s = min(_LOOK_S, _LOOK_SHARE * (end - time.monotonic()))
    return replace(prompt, photos=await prompt.look(max(0.0, within_s)), look=None)


def _perhaps_for_photos(failed: ModelFailed, prompt: Prompt) -> ModelFailed:
    """A request that is not taken may have been refused for its photos, by a model that sees none: no wrong setting."""
    is_perhaps = bool(prompt.photos) and isinstance(failed, ModelMisconfigured) and failed.detail in _NOT_TAKEN
    return ModelRefused(f"photos_{failed.detail}") if is_perhaps else failed


def _call(
    provider: Provider,
    prompt: Prompt,
    attempt: int,
    said: Completion | None,
    draft: Draft | None,
    failed: ModelFailed | None,
    usage: Usage,
    seconds: float,
) -> ModelCall:
    sign, shut_for_s = sign_of(failed)
    is_refused = isinstance(failed, ReplyRefused)
    return ModelCall(
        provider=provider.name,
        model=said.model if said is not None and _MODEL_NAME.fullmatch(said.model) else provider.model_name,
        prompt_version=prompt.version,
        session_id=prompt.session_id,
        attempt=attempt,
        outcome="answered" if failed is None else _OUTCOMES.get(type(failed), "unavailable"),
        detail="" if failed is None or is_refused else failed.detail,
        guard=failed.detail if isinstance(failed, ReplyRefused) else "passed" if draft is not None else "",
        facts_kept=0 if draft is None else len(draft.facts),
        facts_dropped=0 if draft is None else min(len(draft.dropped), _MOST_COUNTED),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_microusd=cost_microusd(provider.price, usage),
        latency_ms=round(seconds * 1000),
        photos=len(prompt.photos),
        sign=sign,
        shut_for_s=shut_for_s,
    )


_OUTCOMES: Final[dict[type[ModelFailed], str]] = {
    ModelBusy: "busy",
    ModelRefused: "refused",
    ModelBroken: "broken",
    ReplyRefused: "guarded",
    ModelTimedOut: "timed_out",
    ModelMisconfigured: "misconfigured",
    ModelStopped: "stopped",
}


def _used(prompt: Prompt, said: Completion | None, heard: int) -> Usage:
    """What a call used: what the provider says, as far as it can be true, and else an estimate by the letters.

    heard is how many letters of an answer came that was ended amid it. A provider bills what it does not tell all the
    same, so a cap must count it. Of a call that was never answered nothing is known.
    """
    letters = len(said.text) if said is not None else heard
    if said is None and not heard:
        return Usage()
    told = _plausible(said.usage if said is not None else Usage())
    asked = len(prompt.instructions) + len(prompt.user_text)
    guessed = math.ceil(asked / _LETTERS_A_TOKEN) + _TOKENS_A_PHOTO * len(prompt.photos)
    return Usage(
        guessed if told.input_tokens is None else told.input_tokens,
        math.ceil(letters / _LETTERS_A_TOKEN) if told.output_tokens is None else told.output_tokens,
    )


def _plausible(usage: Usage) -> Usage:
    """What a provider says it used, as far as it can be true."""
    tokens = (usage.input_tokens, usage.output_tokens)
    return Usage(*(each if each is not None and 0 < each <= _MOST_TOKENS_TOLD else None for each in tokens))


def cost_microusd(price: Price | None, usage: Usage) -> int | None:
    """What a call cost; None when no price is set or the call was never answered."""
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return round(usage.input_tokens * price.input_usd + usage.output_tokens * price.output_usd)


def _tell(call: ModelCall) -> None:
    """A wrong key or an unknown model needs a person; everything else the service copes with."""
    write = log.error if call.outcome == "misconfigured" else log.info if call.outcome == "answered" else log.warning
    told = {"session_id": call.session_id, "error_code": call.detail}
    write(
        "model.call",
        provider=call.provider,
        outcome=call.outcome,
        attempt=call.attempt,
        duration_ms=call.latency_ms,
        **{name: value for name, value in told.items() if value},
    )
