"""Any server that speaks OpenAI's chat completions, through OpenAI's own SDK."""

import asyncio
from typing import Any, Final

import msgspec
import openai

from anamnesis.llm.forms import SHAPES
from anamnesis.llm.port import Completion, Form, ModelBroken, ModelRefused, ModelTimedOut, Prompt, Usage
from anamnesis.llm.wire import SDK_FAULTS, bounded_client, failure_of, unreachable

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

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """The model's answer as it came, with its finish reason. Raises ModelFailed."""
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": prompt.instructions},
                {"role": "user", "content": prompt.user_text},
            ],
            "response_format": _FORMATS[prompt.form],
            self._limit: SHAPES[prompt.form].most_tokens,
        }
        try:
            async with asyncio.timeout(deadline_s):
                raw = await self._create(**request)
        except (TimeoutError, openai.APITimeoutError):
            raise ModelTimedOut("timed_out") from None
        except openai.APIStatusError as refused:
            raise failure_of(refused.status_code, refused.response.headers) from None
        except (openai.OpenAIError, *SDK_FAULTS) as lost:
            raise unreachable(lost) from None
        return _completion(raw.content)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _completion(body: bytes) -> Completion:
    """The first choice. Raises ModelBroken for another shape or without a finish reason, ModelRefused for a refusal."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ModelBroken("not_its_protocol") from None
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
