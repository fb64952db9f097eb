"""Seal the audit trail: every process asks, the database lets one at a time."""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Final

import asyncpg
import structlog

from anamnesis.db.postgres import Database
from anamnesis.kernel.errors import Unavailable

BATCH: Final = 1000
_HEAD_EVERY_S: Final = 300.0
_HEAD_EVERY_LINES: Final = 10_000
_log: Final = structlog.get_logger("anamnesis.db.sealing")


@dataclass(slots=True)
class Sealer:
    """Puts committed audit lines into the chain, about every second.

    Where the chain ends is told to the log, which is kept elsewhere: when this process first seals, then every five
    minutes or ten thousand lines. Whoever rewrites the whole chain does not rewrite the log.
    """

    database: Database
    every_s: float = 1.0
    _told_at: float = float("-inf")
    _told_seq: int = 0

    async def run(self) -> None:
        """Until cancelled. What fails is tried again; the lines wait."""
        while True:
            await asyncio.sleep(self.every_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            try:
                await self.seal()
            except (Unavailable, asyncpg.PostgresError) as failed:
                _log.warning("audit.seal", phase="error", error_type=type(failed).__name__)

    async def seal(self) -> int:
        """Seal until nothing waits, or somebody else is at it; answers how many lines. Raises Unavailable."""
        total = 0
        while True:
            row = await self.database.fetchrow("SELECT sealed, head_seq, head_hash FROM seal_audit($1)", BATCH)
            if row is None:
                return total
            sealed = int(row["sealed"])
            total += sealed
            if sealed < BATCH:
                if total:
                    self._tell(row["head_seq"], row["head_hash"])
                return total

    def _tell(self, seq: int, digest: str) -> None:
        now = time.monotonic()
        if now - self._told_at >= _HEAD_EVERY_S or seq - self._told_seq >= _HEAD_EVERY_LINES:
            self._told_at, self._told_seq = now, seq
            _log.info("audit.head", audit_seq=seq, audit_hash=digest)
