"""Have a photo decoded and written anew by a process of its own, which may die of it."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from anamnesis.pictures.child import HEADER, TOO_LARGE

_JPEG: Final = b"\xff\xd8\xff"
#: No photo of ours is longer once it is written anew; a process that says more is not believed.
_MOST_OUT: Final = 32 << 20


class Unreadable(Exception):
    """The bytes are not a whole picture of that format, or cost more to decode than is allowed."""


class TooManyPixels(Exception):
    """The picture is larger than is allowed."""


@dataclass(frozen=True, slots=True)
class Redrawn:
    """A photo and a small one, as JPEG without anything beside the pixels; width and height are the photo's."""

    photo: bytes
    small: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Redrawer:
    """Redraws photos, a few at a time. Sizes are in pixels; within_s is how long one may take."""

    most_pixels: int = 40_000_000
    longest_side: int = 3072
    small_side: int = 320
    within_s: float = 20.0
    at_once: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    _turns: asyncio.Semaphore = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """As many turns as photos may be decoded at once."""
        object.__setattr__(self, "_turns", asyncio.Semaphore(self.at_once))

    async def redraw(self, content: bytes, kind: str) -> Redrawn:
        """The photo written anew. kind is Pillow's name of its format. Raises Unreadable, TooManyPixels."""
        async with self._turns:
            status, answer = await self._ask(content, kind)
        if status == TOO_LARGE:
            raise TooManyPixels
        if status != 0 or len(answer) < HEADER.size:
            raise Unreadable
        width, height, photo_size, small_size = HEADER.unpack_from(answer)
        photo, small = answer[HEADER.size : HEADER.size + photo_size], answer[HEADER.size + photo_size :]
        if len(small) != small_size or not photo.startswith(_JPEG) or not small.startswith(_JPEG):
            raise Unreadable
        return Redrawn(photo, small, width, height)

    async def _ask(self, content: bytes, kind: str) -> tuple[int | None, bytes]:
        """The exit status and the answer of a process of its own; it is gone when this returns."""
        sizes = (str(self.most_pixels), str(self.longest_side), str(self.small_side))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", "anamnesis.pictures.child", kind, *sizes,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env=dict(self.environment), cwd="/", start_new_session=True,
        )  # fmt: skip
        telling = asyncio.create_task(_tell(process, content))
        try:
            async with asyncio.timeout(self.within_s):
                answer = await _heard(process)
                await telling
                return await process.wait(), answer
        except TimeoutError:
            return None, b""
        finally:
            telling.cancel()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


async def _tell(process: asyncio.subprocess.Process, content: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(content)
        await process.stdin.drain()
    process.stdin.close()


async def _heard(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    heard = bytearray()
    while chunk := await process.stdout.read(1 << 16):
        heard += chunk
        if len(heard) > _MOST_OUT:
            return b""
    return bytes(heard)
