"""Exchanges with a model kept in files, without what tells who the patient is, and a model that says them again.

For development: a prompt or a check can be tried against what a model once said, without calling it. Of a photo no more
is kept than that it was there: it cannot be made nameless.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from anamnesis.journal import log
from anamnesis.llm import port
from anamnesis.llm.port import Completion, Hear, ModelFailed, ModelUnavailable, Prompt, Usage, Vendor
from anamnesis.llm.privacy import struck

_KINDS: Final = {
    kind.__name__: kind for kind in vars(port).values() if isinstance(kind, type) and issubclass(kind, ModelFailed)
}


class Recorder:
    """A vendor's model whose exchanges are kept in a folder, one file for each question that was put."""

    def __init__(self, inner: Vendor, folder: Path, secrets: tuple[str, ...] = ()) -> None:
        """Opens nothing; the folder is made with the first exchange. secrets are struck out wherever they stand."""
        self.model = inner.model
        self._inner, self._folder, self._secrets = inner, folder, secrets

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:
        """What the vendor says; it or its failure is kept. Raises ModelFailed."""
        return await self._kept(prompt, self._inner.complete(prompt, deadline_s=deadline_s))

    async def speak(self, prompt: Prompt, *, deadline_s: float, hear: Hear) -> Completion:
        """The same, heard as it grows; it is kept whole. Raises ModelFailed, and what hear raises."""
        return await self._kept(prompt, self._inner.speak(prompt, deadline_s=deadline_s, hear=hear))

    async def _kept(self, prompt: Prompt, saying: Awaitable[Completion]) -> Completion:
        try:
            said = await saying
        except ModelFailed as failed:
            await self._keep(prompt, {"failed": type(failed).__name__, "detail": failed.detail})
            raise
        usage = [said.usage.input_tokens, said.usage.output_tokens]
        text = scrubbed(said.text, prompt, self._secrets)
        answer = {"text": text, "finish_reason": said.finish_reason, "model": said.model, "usage": usage}
        await self._keep(prompt, answer)
        return said

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

    async def _keep(self, prompt: Prompt, answer: Mapping[str, Any]) -> None:
        key = key_of(prompt, self._secrets)
        exchange = {
            "key": key,
            "version": prompt.version,
            "question_id": prompt.question_id,
            "instructions": scrubbed(prompt.instructions, prompt, self._secrets),
            "user_text": scrubbed(prompt.user_text, prompt, self._secrets),
            "photos": len(prompt.photos),
            "answer": answer,
        }
        written = json.dumps(exchange, ensure_ascii=False, indent=1)
        try:
            await asyncio.to_thread(self._write, self._folder / f"{key}.json", written)
        except OSError as refused:
            # The reply is worth more than its recording.
            log.warning("model.recording", phase="error", error_type=type(refused).__name__)

    def _write(self, path: Path, written: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(written, encoding="utf-8")
        path.chmod(0o600)


@dataclass(frozen=True, slots=True)
class Replay:
    """A ChatModel that says again what was recorded; what never was asked fails as not recorded."""

    answers: Mapping[str, Mapping[str, Any]]
    model: str = "replayed"

    @classmethod
    def of(cls, folder: Path) -> "Replay":
        """Every exchange of a folder."""
        kept = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))
        return cls({each["key"]: each["answer"] for each in kept})

    async def complete(self, prompt: Prompt, *, deadline_s: float) -> Completion:  # noqa: ARG002 - the port's signature
        """What was said to this prompt. Raises ModelFailed as it was, and ModelUnavailable for another prompt."""
        answer = self.answers.get(key_of(prompt))
        if answer is None:
            raise ModelUnavailable("not_recorded")
        if "failed" in answer:
            raise _KINDS[answer["failed"]](answer["detail"])
        return Completion(answer["text"], answer["finish_reason"], model=answer["model"], usage=Usage(*answer["usage"]))

    async def speak(self, prompt: Prompt, *, deadline_s: float, hear: Hear) -> Completion:
        """The same, word by word. Raises ModelFailed, and what hear raises."""
        said = await self.complete(prompt, deadline_s=deadline_s)
        for piece in re.findall(r"\s*\S+|\s+$", said.text):
            hear(piece)
        return said

    async def aclose(self) -> None:
        """Nothing is open."""


def key_of(prompt: Prompt, secrets: Sequence[str] = ()) -> str:
    """The same for the same question put in the same case with as many photos, whoever is asked."""
    put = f"{prompt.version}\n{prompt.instructions}\n{prompt.user_text}"
    return hashlib.sha256(scrubbed(put, prompt, secrets).encode()).hexdigest()[:32]


def scrubbed(text: str, prompt: Prompt, secrets: Sequence[str] = ()) -> str:
    """The text without what the prompt hides, without telephone numbers and e-mail addresses, and without keys."""
    for secret in secrets:
        text = text.replace(secret, "[KEY]")
    return struck(text, prompt.hidden)
