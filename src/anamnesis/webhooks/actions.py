"""Telling other systems: leave an event, deliver it to every target until each has taken it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from anamnesis.kernel.jobs import Job
from anamnesis.webhooks.model import Event, EventKind, NotDelivered, Target
from anamnesis.webhooks.ports import HookStore, Sender

_EVENTS: Final = UUID("b0c9a6de-3f0e-5b62-8c43-5d5b2f4a9e11")


@dataclass(frozen=True, slots=True)
class Hooks:
    """What these use cases work on. Without targets nothing is kept and nothing is told."""

    store: HookStore
    sender: Sender
    targets: Sequence[Target] = ()

    async def leave(self, cause: Job, kind: EventKind) -> None:
        """Leave the event of a job about a session, the same one however often the job runs."""
        if self.targets:
            event_id = uuid5(_EVENTS, f"{kind.value} {cause.id}")
            await self.store.leave(event_id, kind, cause.subject, cause.request_id)

    async def deliver(self, job: Job) -> None:
        """Tell every target that has not taken the event yet. Raises NotDelivered when one still has not."""
        found = await self.store.find(job.subject)
        if found is None:
            return
        event, taken = found
        missing = [target for target in self.targets if target.name not in taken]
        # All at once: nobody's event waits until a slow one is given up.
        told = await asyncio.gather(*(self._tell(event, target) for target in missing), return_exceptions=True)
        for failed in told:
            if isinstance(failed, BaseException):
                raise failed
        if not all(told):
            raise NotDelivered

    async def _tell(self, event: Event, target: Target) -> bool:
        """Whether the target has taken it now. Raises Unavailable."""
        attempt = await self.sender.send(event, target)
        await self.store.note(event.id, target.name, attempt)
        return attempt.is_delivered
