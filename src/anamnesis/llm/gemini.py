"""Gemini, through Google's own SDK."""

import asyncio
import math
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2
import msgspec
from google import genai
from google.genai import errors, types

from anamnesis.llm.forms import SHAPES
from anamnesis.llm.port import (
    Completion,
    Form,
    Hear,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    Prompt,
    Usage,
)
from anamnesis.llm.wire import (
    SDK_FAULTS,
    bounded_client,
    failure_of,
    in_its_protocol,
    let_go,
    paced,
    step_s,
    unreachable,
)

# The SDK prints a name it does not know as it came, and what a model says for one may be a patient's words.
warnings.filterwarnings("ignore", category=UserWarning, module=r"google\.genai\._common")

_BASE_URL: Final = "https://generativelanguage.googleapis.com"
_API_VERSION: Final = "v1beta"  # the SDK's default, v1, has no JSON schema for answers
_ENDS: Final = {"STOP": "stop", "MAX_TOKENS": "length"}
_STATUSES: Final = range(300, 600)
_BROKEN_ENDS: Final = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "FINISH_REASON_UNSPECIFIED", "CONTINUATION"}
)


class _Part(msgspec.Struct):
    text: str | None = None
    thought: bool = False


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    model_version: str = ""


class Gemini:
    """A ChatModel over the Gemini API."""

    def __init__(
        self,
        key: str,
        *,
        model: str,
        base_url: str | None = None,
        timeout_s: float = 25.0,
        is_outside_forbidden: bool = False,
    ) -> None:
        """Opens no connection. base_url ends before the API's version."""
        self.model = model
        self._http = bounded_client(timeout_s=timeout_s, is_outside_forbidden=is_outside_forbidden)
        self._client = genai.Client(
            api_key=key,
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=base_url or _BASE_URL,
                api_version=_API_VERSION,
                timeout=int(timeout_s * 1000),
                retry_options=types.HttpRetryOptions(attempts=1),
                httpx_async_client=self._http,
            ),
        )
        # The SDK builds its shapes when they are first used; better now than while patients wait.
        _config("", Form.TURN, timeout_s)
        _config("", Form.TURN, timeout_s, is_growing=True)
        _said(Prompt(None, "", "", "", photos=(b"",)))

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """The model's answer as it came, with its finish reason. Raises ModelFailed."""
        with _failing():
            async with asyncio.timeout(deadline_s):
                answer = await self._client.aio.models.generate_content(
                    model=self.model,
                    contents=_said(prompt),
                    config=_config(prompt.instructions, prompt.form, deadline_s),
                )
        raw = answer.sdk_http_response
        return _completion(_decoded((raw and raw.body) or ""))

    async def speak(self, prompt: Prompt, *, deadline_s: float, hear: Hear) -> Completion:
        """The same, each piece told as it comes. Raises ModelFailed, and what hear raises."""
        with _failing():
            async with asyncio.timeout(deadline_s), let_go():
                pieces = await self._client.aio.models.generate_content_stream(
                    model=self.model,
                    contents=_said(prompt),
                    config=_config(prompt.instructions, prompt.form, deadline_s, is_growing=True),
                )
                with in_its_protocol():
                    return _completion(await _gathered(pieces, hear))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


@contextmanager
def _failing() -> Iterator[None]:
    """What the SDK raises, as failures of ours."""
    try:
        yield
    except (TimeoutError, httpx2.TimeoutException):
        raise ModelTimedOut("timed_out") from None
    except errors.APIError as refused:
        raise _failure(refused) from None
    except SDK_FAULTS as lost:
        raise unreachable(lost) from None


def _config(
    instructions: str, form: Form, deadline_s: float, *, is_growing: bool = False
) -> types.GenerateContentConfig:
    """What is asked for beside the words. The SDK would go on asking by itself after an answer that breaks off."""
    return types.GenerateContentConfig(
        system_instruction=instructions,
        http_options=types.HttpOptions(timeout=math.ceil(step_s(deadline_s) * 1000)),
        response_mime_type="application/json",
        response_json_schema=SHAPES[form].schema,
        max_output_tokens=SHAPES[form].most_tokens,
        candidate_count=1,
        should_return_http_response=not is_growing,
        automatic_continuation=False,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _said(prompt: Prompt) -> list[types.Content]:
    photos = [types.Part.from_bytes(data=photo, mime_type="image/jpeg") for photo in prompt.photos]
    return [types.Content(role="user", parts=[types.Part(text=prompt.user_text), *photos])]


def _failure(refused: errors.APIError) -> ModelFailed:
    """By status. Google names the wait in the body rather than in a header.

    An error told in the middle of an answer has only the status its own text claims.
    """
    code: object = refused.code
    if not isinstance(code, int) or code not in _STATUSES:
        return ModelUnavailable("error_in_answer")
    headers = getattr(refused.response, "headers", None) or {}
    failed = failure_of(code, headers)
    if isinstance(failed, ModelBusy) and failed.retry_after_s is None:
        return ModelBusy(failed.detail, retry_after_s=_retry_delay_s(refused.details))
    return failed


def _retry_delay_s(details: Any) -> float | None:
    try:
        delays = [each["retryDelay"] for each in details["error"]["details"] if "retryDelay" in each]
        return max(0.0, float(str(delays[0]).removesuffix("s")))
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _decoded(body: str) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ModelBroken("not_its_protocol") from None


async def _gathered(pieces: AsyncIterator[types.GenerateContentResponse], hear: Hear) -> _Answer:
    """The answer that the pieces make, thoughts among them, which are not told."""
    answer, said = _Answer(), _Content([])
    async for raw in paced(pieces):
        told = raw.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
        piece = msgspec.convert(told, type=_Answer)
        answer.prompt_feedback = piece.prompt_feedback or answer.prompt_feedback
        answer.usage_metadata = piece.usage_metadata or answer.usage_metadata
        answer.model_version = piece.model_version or answer.model_version
        for candidate in piece.candidates[:1]:
            answer.candidates = answer.candidates or [_Candidate(said)]
            answer.candidates[0].finish_reason = candidate.finish_reason or answer.candidates[0].finish_reason
            parts = candidate.content.parts if candidate.content else []
            said.parts.extend(parts)
            for part in parts:
                if part.text and not part.thought:
                    hear(part.text)
    return answer


def _completion(answer: _Answer) -> Completion:
    """The first candidate's text, its thoughts left out. Raises ModelBroken or ModelRefused."""
    if answer.prompt_feedback is not None and answer.prompt_feedback.block_reason:
        raise ModelRefused("refused")
    if not answer.candidates:
        raise ModelBroken("empty")
    candidate, usage = answer.candidates[0], answer.usage_metadata or _Usage()
    reason = candidate.finish_reason
    if reason is None or reason in _BROKEN_ENDS:
        raise ModelBroken("no_finish_reason" if reason is None else "broken_off")
    if reason not in _ENDS:
        raise ModelRefused("refused")
    parts = candidate.content.parts if candidate.content else []
    text = "".join(part.text or "" for part in parts if not part.thought)
    if not text:
        raise ModelBroken("empty")
    spent = [count for count in (usage.candidates_token_count, usage.thoughts_token_count) if count is not None]
    return Completion(
        text,
        _ENDS[reason],
        model=answer.model_version,
        usage=Usage(usage.prompt_token_count, sum(spent) if spent else None),
    )
