"""What has to be done every minute in every process, however much of it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

Part = Callable[[], Awaitable[object]]

_log: Final = structlog.get_logger("anamnesis.workers")


async def tidy(parts: Mapping[str, Part]) -> None:
    """Do each part once, in order. One that fails is named in the log, and keeps no other from being done."""
    for name, do in parts.items():
        try:
            await do()
        except Exception as error:  # noqa: BLE001 - a store of files that is away must not silence reminders
            _log.error(f"upkeep.{name}", phase="error", error_type=type(error).__name__)


async def keep_tidy(parts: Mapping[str, Part], *, every_s: float) -> None:
    """The same again and again, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        await tidy(parts)
