"""Gemini, through Google's own SDK."""

import asyncio
from typing import Any, Final

import httpx2
import msgspec
from google import genai
from google.genai import errors, types

from anamnesis.llm.forms import SHAPES
from anamnesis.llm.port import (
    Completion,
    Form,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    Prompt,
    Usage,
)
from anamnesis.llm.wire import SDK_FAULTS, bounded_client, failure_of, unreachable

_BASE_URL: Final = "https://generativelanguage.googleapis.com"
_API_VERSION: Final = "v1beta"  # the SDK's default, v1, has no JSON schema for answers
_ENDS: Final = {"STOP": "stop", "MAX_TOKENS": "length"}
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
        _config("", Form.TURN)
        _said("")

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """The model's answer as it came, with its finish reason. Raises ModelFailed."""
        try:
            async with asyncio.timeout(deadline_s):
                answer = await self._client.aio.models.generate_content(
                    model=self.model,
                    contents=_said(prompt.user_text),
                    config=_config(prompt.instructions, prompt.form),
                )
        except (TimeoutError, httpx2.TimeoutException):
            raise ModelTimedOut("timed_out") from None
        except errors.APIError as refused:
            raise _failure(refused) from None
        except SDK_FAULTS as lost:
            raise unreachable(lost) from None
        raw = answer.sdk_http_response
        return _completion((raw and raw.body) or "")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _config(instructions: str, form: Form) -> types.GenerateContentConfig:
    """What is asked for beside the words. The SDK would go on asking by itself after an answer that breaks off."""
    return types.GenerateContentConfig(
        system_instruction=instructions,
        response_mime_type="application/json",
        response_json_schema=SHAPES[form].schema,
        max_output_tokens=SHAPES[form].most_tokens,
        candidate_count=1,
        should_return_http_response=True,
        automatic_continuation=False,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _said(text: str) -> list[types.Content]:
    return [types.Content(role="user", parts=[types.Part(text=text)])]


def _failure(refused: errors.APIError) -> ModelFailed:
    """By status. Google names the wait in the body rather than in a header."""
    headers = getattr(refused.response, "headers", None) or {}
    failed = failure_of(int(refused.code or 0), headers)
    if isinstance(failed, ModelBusy) and failed.retry_after_s is None:
        return ModelBusy(failed.detail, retry_after_s=_retry_delay_s(refused.details))
    return failed


def _retry_delay_s(details: Any) -> float | None:
    try:
        delays = [each["retryDelay"] for each in details["error"]["details"] if "retryDelay" in each]
        return max(0.0, float(str(delays[0]).removesuffix("s")))
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _completion(body: str) -> Completion:
    """The first candidate's text, its thoughts left out. Raises ModelBroken or ModelRefused."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ModelBroken("not_its_protocol") from None
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
