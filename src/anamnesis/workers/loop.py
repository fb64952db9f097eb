"""Claim, run, settle: the one loop behind `anamnesis work` and the worker inside `anamnesis serve`."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from anamnesis.db import outbox
from anamnesis.db.bus import Bus
from anamnesis.db.postgres import Database
from anamnesis.kernel.errors import Unavailable
from anamnesis.kernel.jobs import Job, JobKind

Run = Callable[[Job], Awaitable[None]]
#: Told of every job that ended: its kind, its outcome (done, retry, dead, lost, released) and its seconds.
Observe = Callable[[JobKind, str, float], None]

JOBS_TOPIC: Final = "jobs:"
_LONGEST_OUTAGE_PAUSE_S: Final = 1.0
_FAREWELL_S: Final = 1.0
_log: Final = structlog.get_logger("anamnesis.workers")


def _unobserved(_kind: JobKind, _outcome: str, _seconds: float) -> None:
    """Nobody is counting."""


@dataclass(slots=True, eq=False)
class Worker:
    """Runs jobs, at most concurrency at once, until told to stop.

    A handler with an effect in the database settles its job in that effect's transaction and raises LeaseLost when
    the fence is stale; for any other the worker settles when the handler returns. While a handler runs its lease is
    renewed, so a slow model costs no second run; a worker that dies renews nothing and loses the job within lease_s.
    A handler that takes longer than longest_s has failed and is tried again.
    """

    database: Database
    handlers: Mapping[JobKind, Run]
    bus: Bus | None = None
    concurrency: int = 4
    lease_s: float = outbox.LEASE_S
    max_attempts: int = outbox.MAX_ATTEMPTS
    longest_pause_s: float = outbox.LONGEST_PAUSE_S
    longest_s: float = 60.0
    poll_s: float = 1.0
    drain_s: float = 8.0
    observe: Observe = _unobserved
    _stopping: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _running: "set[asyncio.Task[None]]" = field(default_factory=set, repr=False)
    _last_look: float = field(default=float("-inf"), repr=False)

    def stop(self) -> None:
        """Claim nothing more; run() ends within drain_s and about a second."""
        self._stopping = True
        self._wake.set()

    def is_alive(self, within_s: float = 5.0) -> bool:
        """Whether the queue was looked at, with success, in the last within_s seconds."""
        return time.monotonic() - self._last_look < within_s

    async def run(self) -> None:
        """Work until stop(); then let what runs finish, and hand the rest back to others."""
        async with AsyncExitStack() as stack:
            if self.bus is not None:
                wakes = await stack.enter_async_context(self.bus.subscribe(JOBS_TOPIC))
                listening = asyncio.create_task(self._pass_on(wakes), name="worker wake-ups")
                stack.callback(listening.cancel)
            try:
                await self._claim_until_stopped()
            finally:
                await self._drain()

    async def _pass_on(self, wakes: AsyncIterator[str]) -> None:
        async for _ in wakes:
            self._wake.set()

    async def _claim_until_stopped(self) -> None:
        pause = 0.05
        while not self._stopping:
            # Cleared before looking: a wake-up that comes while we look is kept for the next wait.
            self._wake.clear()
            try:
                found = len(self._running) < self.concurrency and await self._claim()
                pause = 0.05
            except Unavailable:
                found = False
                await self._rest(pause)
                pause = min(_LONGEST_OUTAGE_PAUSE_S, pause * 2)
                continue
            if not found:
                await self._rest(self.poll_s)

    async def _claim(self) -> bool:
        job = await outbox.claim(self.database, list(self.handlers), lease_s=self.lease_s)
        self._last_look = time.monotonic()
        if job is None:
            return False
        task = asyncio.create_task(self._work(job), name=f"job {job.kind.value}")
        self._running.add(task)
        task.add_done_callback(self._finished)
        return True

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._wake.set()

    async def _rest(self, seconds: float) -> None:
        """Until woken, or a while; the jitter keeps many workers from looking in step."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter

    async def _drain(self) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=self.drain_s)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=2 * _FAREWELL_S)

    async def _work(self, job: Job) -> None:
        started = time.monotonic()
        log = _log.bind(request_id=job.request_id)
        event = f"job.{job.kind.value}"
        log.info(event, phase="started")
        keeping = asyncio.create_task(self._keep_lease(job), name="lease")
        outcome, error_type = "released", "CancelledError"
        try:
            outcome, error_type = await self._outcome(job)
        except asyncio.CancelledError:
            await self._give_back(job)
            raise
        finally:
            keeping.cancel()
            seconds = time.monotonic() - started
            self.observe(job.kind, outcome, seconds)
            told = {"duration_ms": round(seconds * 1000)}
            if error_type:
                log.error(event, phase="error", error_type=error_type, **told)
            else:
                log.info(event, phase="completed", **told)

    async def _outcome(self, job: Job) -> tuple[str, str]:
        """What became of the job and the type of what went wrong, if anything did."""
        if job.attempt > self.max_attempts:
            # Its workers kept dying before they could say so.
            await self._quietly(outbox.bury(self.database, job, "WorkerLost"))
            return "dead", "WorkerLost"
        try:
            async with asyncio.timeout(self.longest_s):
                await self.handlers[job.kind](job)
            await self._settle(job)
        except outbox.LeaseLost:
            return await self._given_up(job, "LeaseLost")
        except Exception as error:  # noqa: BLE001 - the one place where any failure of a job is answered
            name = type(error).__name__
            state = await self._again(job, name)
            return await self._given_up(job, name) if state == "lost" else (state, name)
        return "done", ""

    async def _given_up(self, job: Job, error_type: str) -> tuple[str, str]:
        """A job that is ours no longer. One that was erased with what it was about has nothing left to fail at."""
        with suppress(Unavailable):
            if not await outbox.exists(self.database, job):
                return "done", ""
        return "lost", error_type

    async def _settle(self, job: Job) -> None:
        """Mark done what the handler did not; one that settled itself is no longer running under this fence."""
        async with self.database.transaction() as connection:
            await outbox.settle(connection, job)

    async def _again(self, job: Job, error_type: str) -> str:
        try:
            state = await outbox.retry(
                self.database, job, error_type, max_attempts=self.max_attempts, longest_pause_s=self.longest_pause_s
            )
        except Unavailable:
            return "lost"  # the lease runs out by itself
        return {"queued": "retry"}.get(state, state)

    async def _give_back(self, job: Job) -> None:
        """Return the job at once instead of after its lease; when even that fails the lease does it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._quietly(outbox.release(self.database, job)), _FAREWELL_S)

    async def _quietly(self, effect: Awaitable[None]) -> None:
        with suppress(Unavailable):
            await effect

    async def _keep_lease(self, job: Job) -> None:
        """Renew the lease while the handler runs; missing one renewal is harmless, there are three to a lease."""
        held = True
        while held:
            await asyncio.sleep(self.lease_s / 3)
            with suppress(Unavailable):
                held = await outbox.extend(self.database, job, lease_s=self.lease_s)
