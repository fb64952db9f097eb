"""One private PostgreSQL for the whole run, and a fresh migrated database for every test that asks for one."""

import asyncio
import gc
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import certifi
import pytest

from anamnesis.db.embedded import APP, DATABASE, OWNER, Embedded, start_embedded
from anamnesis.db.migrating import migrate
from anamnesis.db.postgres import Database
from anamnesis.db.viewing import Purpose, at_work
from anamnesis.kernel import listening
from build import KEYRING

TEMPLATE = "anamnesis_template"
_numbers = itertools.count(1)

#: Throw-away data need not survive a power cut. Tests about durability start a server of their own.
#: Nor be replicated; and a small cache is soon searched when a database is dropped.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "shared_buffers": "32MB",
}


@dataclass(frozen=True)
class Clinic:
    """One fresh database, with both ways of connecting to it."""

    owner_dsn: str
    app_dsn: str


def memory() -> str | None:
    """A file system in memory with a gigabyte to spare, where a busy disk slows nobody down; else the usual place."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return None
    return "/dev/shm" if free > 2**30 and os.access("/dev/shm", os.W_OK) else None


def pytest_configure(config: pytest.Config):
    """One authority to trust instead of 150: each client of a provider reads them up to three times, 20 ms a time."""
    if "SSL_CERT_FILE" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="anamnesis-trusted-"))
        first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
        (folder / "one.pem").write_text(first + end)
        os.environ["SSL_CERT_FILE"] = str(folder / "one.pem")  # the workers of this run have it from here
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]):
    """Each worker begins with its share of what takes longest, so that none is left alone with it at the end.

    --dist worksteal gives every worker as many neighbours of the list, and whoever is done takes over from the others.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    longest, long, short = [], [], []
    for item in items:
        is_longest, is_long = item.get_closest_marker("timeout"), item.get_closest_marker("long")
        (longest if is_longest else long if is_long else short).append(item)
    items[:] = [
        item
        for worker in range(workers)
        for share in (longest[worker::workers], _part(long, worker, workers), _part(short, worker, workers))
        for item in share
    ]


def _part(items: list[pytest.Item], number: int, of: int) -> list[pytest.Item]:
    return items[len(items) * number // of : len(items) * (number + 1) // of]


def pytest_collection_finish():
    """What is loaded by now stays: walking it again and again took time, and paused whatever was being timed."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Embedded]:
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-tests-", dir=memory()))
    server = start_embedded(folder, settings=FAST)
    asyncio.run(_make_template(server))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(server.socket_folder, ignore_errors=True)


async def _make_template(server: Embedded) -> None:
    await _as_owner(server, f"CREATE DATABASE {TEMPLATE}")
    await migrate(server.dsn(OWNER, TEMPLATE), embedded=True)


async def _as_owner(server: Embedded, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn(OWNER, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def clinic(postgres: Embedded) -> AsyncIterator[Clinic]:
    name = f"clinic_{next(_numbers)}"
    await _as_owner(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    yield Clinic(postgres.dsn(OWNER, name), postgres.dsn(APP, name))
    await _as_owner(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(clinic: Clinic) -> AsyncIterator[Database]:
    # For tests of what stands before the wall; what they write is sealed as an app's is.
    database = Database(clinic.app_dsn, speaks_for=at_work(Purpose.JOBS), keyring=KEYRING)
    yield database
    await database.close()


@pytest.fixture
async def owner(clinic: Clinic) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(clinic.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def plain_dsn(postgres: Embedded) -> AsyncIterator[str]:
    """A migrated database whose owner is no superuser, as an operator's is."""
    name = f"plain_{next(_numbers)}"
    await _as_owner(postgres, f"CREATE ROLE {name} LOGIN")
    await _as_owner(postgres, f"GRANT {APP} TO {name} WITH ADMIN OPTION")
    await _as_owner(postgres, f"CREATE DATABASE {name} OWNER {name}")
    await migrate(postgres.dsn(name, name))
    yield postgres.dsn(name, name)
    await _as_owner(postgres, f"DROP DATABASE {name} WITH (FORCE)")
    await _as_owner(postgres, f"DROP OWNED BY {name}")
    await _as_owner(postgres, f"DROP ROLE {name}")


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> float:
    """Streams look twice a second whether they may go on: for tests of whether they end, not of how soon."""
    monkeypatch.setattr(listening, "RECHECK_S", 0.5)
    return listening.RECHECK_S


# A server of a test's own, with every durability setting on: for tests that stop, freeze or kill it.


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-own-", dir=memory()))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[Embedded]:
    server = start_embedded(folder / "postgres")
    await _prepare(server)
    yield server
    _signal_all(server, signal.SIGCONT)
    server.stop()


async def _prepare(server: Embedded) -> None:
    await _as_owner(server, f"CREATE DATABASE {DATABASE}")
    await migrate(server.owner_dsn, embedded=True)


def _processes_of(server: Embedded) -> list[int]:
    """The postmaster and all its backends."""
    if server.process is None:
        return []
    pid = server.process.pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *map(int, children)]


def _signal_all(server: Embedded, number: signal.Signals) -> None:
    for pid in _processes_of(server):
        with suppress(ProcessLookupError):  # a backend that ended since it was looked for
            os.kill(pid, number)


@pytest.fixture
def signal_server():
    return _signal_all
