"""Blobs in a folder of this machine."""

import asyncio
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anamnesis.kernel.errors import Unavailable


@dataclass(frozen=True, slots=True)
class DiskBlobs:
    """Each blob is one file below the folder; what is being written lies apart, and becomes visible by its renaming."""

    folder: Path

    async def put(self, key: str, content: bytes) -> None:
        """Keep a blob: when this returns it survives a power cut. Raises Unavailable when the disk cannot."""
        try:
            await asyncio.to_thread(self._put, key, content)
        except OSError as failed:
            raise Unavailable("files") from failed

    async def get(self, key: str) -> bytes:
        """A blob. Raises FileNotFoundError, Unavailable."""
        try:
            return await asyncio.to_thread(self._path(key).read_bytes)
        except FileNotFoundError:
            raise
        except OSError as failed:
            raise Unavailable("files") from failed

    async def delete(self, key: str) -> None:
        """Delete a blob; one that is not there is deleted. Raises Unavailable."""
        try:
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)
        except OSError as failed:
            raise Unavailable("files") from failed

    async def sweep(self, older_than_s: float) -> None:
        """Delete what a writer that died left unfinished. Raises Unavailable."""
        try:
            await asyncio.to_thread(self._sweep, older_than_s)
        except OSError as failed:
            raise Unavailable("files") from failed

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key

    @property
    def _unfinished(self) -> Path:
        return self.folder / "unfinished"

    def _put(self, key: str, content: bytes) -> None:
        target, draft = self._path(key), self._unfinished / secrets.token_hex(16)
        for folder in (self._unfinished, target.parent):
            _make(folder)
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _settle(target.parent)

    def _sweep(self, older_than_s: float) -> None:
        before = time.time() - older_than_s
        for draft in self._unfinished.glob("*") if self._unfinished.is_dir() else ():
            with suppress(FileNotFoundError):  # its writer has finished, or another process sweeps
                if draft.stat().st_mtime < before:
                    draft.unlink()


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _settle(folder.parent)


def _settle(folder: Path) -> None:
    """Have the disk remember the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
