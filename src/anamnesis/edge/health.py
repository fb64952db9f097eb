"""Is it alive, is it ready, is it healthy: three answers that come in time even when the database does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import asyncpg
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from anamnesis.db.migrating import durability_problems, pending
from anamnesis.db.postgres import Connection, Database
from anamnesis.kernel.errors import Unavailable

_PATIENCE_S: Final = 0.7  # with a second in all, this leaves room for a busy machine
_FRESH_S: Final = 1.0
_NO_STORE: Final = {"Cache-Control": "no-store"}
_log: Final = structlog.get_logger("anamnesis.health")


class Condition(StrEnum):
    """How one part is. DEGRADED: it works, with something missing."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


Probe = Callable[[], Awaitable[Condition]]

#: Without these nothing can be promised; without the others patients are still served.
ESSENTIAL: Final = frozenset({"database", "migrations", "durability", "auth"})
PARTS: Final = ("database", "migrations", "durability", "worker", "auth", "ai")


@dataclass(slots=True, eq=False)
class Watched:
    """One part, asked at most once at a time and once a second; who waits too long for the answer takes it as DOWN.

    A question that hangs is left running and joined by later askers, so a frozen database collects no queue of them.
    """

    probe: Probe
    patience_s: float = _PATIENCE_S
    fresh_s: float = _FRESH_S
    _asked: "asyncio.Task[Condition] | None" = field(default=None, repr=False)
    _known: Condition = Condition.DOWN
    _known_at: float = float("-inf")

    async def condition(self) -> Condition:
        """How the part is, within patience_s."""
        if time.monotonic() - self._known_at < self.fresh_s:
            return self._known
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._ask(), name="health probe")
        done, _ = await asyncio.wait({self._asked}, timeout=self.patience_s)
        return self._asked.result() if done else Condition.DOWN

    async def _ask(self) -> Condition:
        try:
            self._known = await self.probe()
        except Exception:  # noqa: BLE001 - whatever keeps a part from answering, it is down and we are not
            self._known = Condition.DOWN
        self._known_at = time.monotonic()
        return self._known


@dataclass(slots=True, eq=False)
class Health:
    """The three endpoints over one probe per part; a part without a probe is DOWN.

    Once is_draining says so the service is unready, while it still answers.
    """

    probes: Mapping[str, Probe]
    is_draining: Callable[[], bool] = lambda: False
    patience_s: float = _PATIENCE_S
    _parts: dict[str, Watched] = field(default_factory=dict, repr=False)
    _started: float = field(default_factory=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        unknown = self.probes.keys() - set(PARTS)
        if unknown:
            raise ValueError(f"no such part: {sorted(unknown)}")
        self._parts = {name: Watched(self.probes.get(name, _nobody), self.patience_s) for name in PARTS}

    def routes(self) -> list[Route]:
        """``/livez``, ``/readyz`` and ``/api/health``; GET and HEAD, signed out."""
        return [
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/api/health", self.healthy, methods=["GET"]),
        ]

    async def live(self, _request: Request) -> Response:
        """200 as long as this process can answer at all; touches nothing."""
        return JSONResponse({"status": "alive"}, headers=_NO_STORE)

    async def ready(self, _request: Request) -> Response:
        """Part by part; 503 when an essential one is down, when the service drains, or has not been migrated."""
        report = await self.report()
        return _answer(report["status"] != "unready", report)

    async def report(self) -> dict[str, object]:
        """The body of ``/readyz``: ``status`` and ``parts``."""
        parts = await self.conditions(*PARTS)
        return {"status": "unready" if self.is_draining() else verdict(parts), "parts": parts}

    async def healthy(self, _request: Request) -> Response:
        """The health check of the system replaced, in its shape: database and auth decide, an AI outage never does."""
        started = time.monotonic()
        parts = await self.conditions("database", "auth")
        checks = {name: condition is not Condition.DOWN for name, condition in parts.items()}
        down = [name for name, is_up in checks.items() if not is_up]
        _tell(down, time.monotonic() - started)
        body: dict[str, object] = {
            "status": "unhealthy" if down else "healthy",
            "checks": {**checks, "timestamp": _now()},
            "uptime": int(time.monotonic() - self._started),
        }
        return _answer(not down, {**body, "reason": ",".join(down)} if down else body)

    async def conditions(self, *names: str) -> dict[str, Condition]:
        """How these parts are, all asked at once."""
        found = await asyncio.gather(*(self._parts[name].condition() for name in names))
        return dict(zip(names, found, strict=True))


def verdict(parts: Mapping[str, Condition]) -> str:
    """``unready`` when an essential part is down, ``degraded`` when anything is less than ok, else ``ready``."""
    if any(parts[name] is Condition.DOWN for name in ESSENTIAL):
        return "unready"
    return "ready" if all(condition is Condition.OK for condition in parts.values()) else "degraded"


def database_probes(database: Database) -> dict[str, Probe]:
    """What the database says of itself: that it answers, that it is migrated, that it keeps what it is given."""

    async def reached() -> Condition:
        return Condition.OK if await database.fetchval("SELECT 1") == 1 else Condition.DOWN

    async def migrated() -> Condition:
        return await _empty(database, pending)

    async def durable() -> Condition:
        return await _empty(database, durability_problems)

    return {"database": reached, "migrations": migrated, "durability": durable}


async def _empty(database: Database, find: Callable[[Connection], Awaitable[tuple[str, ...]]]) -> Condition:
    try:
        async with database.connection() as connection:
            return Condition.DOWN if await find(connection) else Condition.OK
    except (Unavailable, asyncpg.PostgresError):
        return Condition.DOWN


def _tell(down: list[str], seconds: float) -> None:
    """A healthy answer is worth no line at the usual level: something asks every few seconds."""
    duration_ms = round(seconds * 1000)
    if down:
        _log.warning("health.check", phase="error", duration_ms=duration_ms, error_code=",".join(down))
    else:
        _log.debug("health.check", phase="completed", duration_ms=duration_ms)


async def _nobody() -> Condition:
    return Condition.DOWN


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _answer(is_good: bool, body: Mapping[str, object]) -> Response:  # noqa: FBT001 - one bit, both senses plain
    return JSONResponse(body, 200 if is_good else 503, headers=_NO_STORE)
