"""A CallBook in memory, for tests of what stands above it; the same contract test runs on it and on PostgreSQL."""

import time
from dataclasses import dataclass, field

from anamnesis.kernel.calls import Admission, ModelCall, Sign


@dataclass
class InMemoryCallBook:
    per_minute: int = 20
    failures: int = 3
    pause_s: float = 15.0
    calls: list[ModelCall] = field(default_factory=list)
    _at: list[float] = field(default_factory=list)
    _failures: dict[str, int] = field(default_factory=dict)
    _shut_until: dict[str, float] = field(default_factory=dict)

    async def admit(self, provider, session_id):
        now, until = time.monotonic(), self._shut_until.get(provider)
        mine = zip(self.calls, self._at, strict=True)
        recent = sum(session_id is not None and call.session_id == session_id and at > now - 60 for call, at in mine)
        if recent >= self.per_minute:
            return Admission.OVER_BUDGET
        if until is not None and until <= now:
            self._shut_until[provider] = now + self.pause_s
            return Admission.PROBE
        return Admission.OPEN if until is None else Admission.SHUT

    async def record(self, call):
        self.calls.append(call)
        self._at.append(time.monotonic())
        name = call.provider
        if call.sign is Sign.GOOD:
            self._failures.pop(name, None)
            self._shut_until.pop(name, None)
        if call.sign is Sign.BAD:
            self._failures[name] = self._failures.get(name, 0) + 1
            pause = call.shut_for_s
            if pause is None and self._failures[name] >= self.failures:
                pause = self.pause_s
            if pause is not None:
                self._shut_until[name] = max(self._shut_until.get(name, 0.0), time.monotonic() + pause)

    def forget_pauses(self):
        """Everybody may be asked again at once."""
        self._shut_until.clear()

    async def shut(self):
        return frozenset(self._shut_until)
