"""Any server that speaks OpenAI's chat completions, through OpenAI's own SDK."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import openai

from anamnesis.llm.forms import SHAPES
from anamnesis.llm.port import Completion, Form, Hear, ModelBroken, ModelRefused, ModelTimedOut, Prompt, Usage
from anamnesis.llm.wire import SDK_FAULTS, bounded_client, failure_of, in_its_protocol, paced, step_s, unreachable

_BASE_URL: Final = "https://api.openai.com/v1"
_FORMATS: Final[dict[Form, dict[str, Any]]] = {
    form: {"type": "json_schema", "json_schema": {"name": form.value, "strict": True, "schema": shape.schema}}
    for form, shape in SHAPES.items()
}
_ENDS: Final = {"stop": "stop", "length": "length", "content_filter": "refused"}


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    model: str = ""
    usage: _Usage | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Growth(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Piece(msgspec.Struct):
    choices: list[_Growth] = []
    model: str = ""
    usage: _Usage | None = None


class OpenAi:
    """A ChatModel over OpenAI's API or a compatible server's."""

    def __init__(
        self,
        key: str,
        *,
        model: str,
        base_url: str | None = None,
        timeout_s: float = 25.0,
        is_outside_forbidden: bool = False,
    ) -> None:
        """Opens no connection. base_url ends before ``/chat/completions``."""
        self.model = model
        self._http = bounded_client(timeout_s=timeout_s, is_outside_forbidden=is_outside_forbidden)
        # Newer models of OpenAI know only the one name of the limit, most compatible servers only the other.
        self._limit = "max_tokens" if base_url else "max_completion_tokens"
        self._client = openai.AsyncOpenAI(
            api_key=key, base_url=base_url or _BASE_URL, max_retries=0, http_client=self._http
        )
        # The SDK imports a resource when it is first touched; better now than while patients wait.
        self._create = self._client.chat.completions.with_raw_response.create
        self._stream = self._client.chat.completions.create

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """The model's answer as it came, with its finish reason. Raises ModelFailed."""
        with _failing():
            async with asyncio.timeout(deadline_s):
                raw = await self._create(**self._request(prompt, deadline_s))
        return _completion(_decoded(raw.content))

    async def speak(self, prompt: Prompt, *, deadline_s: float, hear: Hear) -> Completion:
        """The same, each piece told as it comes. Raises ModelFailed, and what hear raises."""
        request = self._request(prompt, deadline_s) | {"stream": True, "stream_options": {"include_usage": True}}
        with _failing():
            async with asyncio.timeout(deadline_s), await self._stream(**request) as pieces:
                with in_its_protocol():
                    return _completion(await _gathered(pieces, hear))

    def _request(self, prompt: Prompt, deadline_s: float) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [
                {"role": "system", "content": prompt.instructions},
                {"role": "user", "content": _said(prompt)},
            ],
            "response_format": _FORMATS[prompt.form],
            self._limit: SHAPES[prompt.form].most_tokens,
            "timeout": step_s(deadline_s),
        }

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _said(prompt: Prompt) -> str | list[dict[str, Any]]:
    """The text by itself, which every server takes, or as the first of several parts."""
    if not prompt.photos:
        return prompt.user_text
    urls = (f"data:image/jpeg;base64,{base64.b64encode(photo).decode()}" for photo in prompt.photos)
    photos = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"type": "text", "text": prompt.user_text}, *photos]


@contextmanager
def _failing() -> Iterator[None]:
    """What the SDK raises, as failures of ours."""
    try:
        yield
    except (TimeoutError, openai.APITimeoutError):
        raise ModelTimedOut("timed_out") from None
    except openai.APIStatusError as refused:
        raise failure_of(refused.status_code, refused.response.headers) from None
    except (openai.OpenAIError, *SDK_FAULTS) as lost:
        raise unreachable(lost) from None


def _decoded(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ModelBroken("not_its_protocol") from None


async def _gathered(pieces: AsyncIterator[Any], hear: Hear) -> _Answer:
    """The answer that the pieces make. Only a whole stream names a finish; what stands after it is the bill."""
    message, answer = _Message(), _Answer([])
    async for raw in paced(pieces):
        piece = msgspec.convert(raw.to_dict(warnings=False), type=_Piece)
        answer.model, answer.usage = piece.model or answer.model, piece.usage or answer.usage
        for growth in piece.choices[:1]:
            answer.choices = answer.choices or [_Choice(message)]
            answer.choices[0].finish_reason = growth.finish_reason or answer.choices[0].finish_reason
            delta = growth.delta or _Delta()
            message.refusal = delta.refusal or message.refusal
            if delta.content:
                message.content = (message.content or "") + delta.content
                hear(delta.content)
    return answer


def _completion(answer: _Answer) -> Completion:
    """The first choice. Raises ModelBroken without a finish reason, ModelRefused for a refusal."""
    if not answer.choices:
        raise ModelBroken("empty")
    choice, usage = answer.choices[0], answer.usage or _Usage()
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise ModelRefused("refused")
    if choice.finish_reason is None:
        raise ModelBroken("no_finish_reason")
    if not choice.message.content:
        raise ModelBroken("empty")
    return Completion(
        choice.message.content,
        _ENDS.get(choice.finish_reason, "other"),
        model=answer.model,
        usage=Usage(usage.prompt_tokens, usage.completion_tokens),
    )
