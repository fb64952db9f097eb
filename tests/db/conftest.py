"""A private server of a test's own, with every durability setting on: for tests that stop, freeze or kill it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from anamnesis.db.embedded import DATABASE, OWNER, Embedded, start_embedded
from anamnesis.db.migrating import migrate


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-own-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def server(folder: Path):
    server = start_embedded(folder / "postgres")
    await prepare(server)
    yield server
    signal_all(server, signal.SIGCONT)
    server.stop()


async def prepare(server: Embedded) -> None:
    connection = await asyncpg.connect(server.dsn(OWNER, "postgres"))
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
    await migrate(server.owner_dsn, embedded=True)


def processes_of(server: Embedded) -> list[int]:
    """The postmaster and all its backends."""
    if server.process is None:
        return []
    pid = server.process.pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *map(int, children)]


def signal_all(server: Embedded, number: signal.Signals) -> None:
    for pid in processes_of(server):
        os.kill(pid, number)


@pytest.fixture
def signal_server():
    return signal_all
