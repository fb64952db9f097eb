"""One private PostgreSQL for the whole run, and a fresh migrated database for every test that asks for one."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from anamnesis.db.embedded import APP, OWNER, Embedded, start_embedded
from anamnesis.db.migrating import migrate
from anamnesis.db.postgres import Database

TEMPLATE = "anamnesis_template"
_numbers = itertools.count(1)

#: Throw-away data need not survive a power cut. Tests about durability start a server of their own.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@dataclass(frozen=True)
class Clinic:
    """One fresh database, with both ways of connecting to it."""

    owner_dsn: str
    app_dsn: str


@pytest.fixture(scope="session")
def postgres() -> Iterator[Embedded]:
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-tests-"))
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
    await _as_owner(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield Clinic(postgres.dsn(OWNER, name), postgres.dsn(APP, name))
    await _as_owner(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(clinic: Clinic) -> AsyncIterator[Database]:
    database = Database(clinic.app_dsn)
    yield database
    await database.close()


@pytest.fixture
async def owner(clinic: Clinic) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(clinic.owner_dsn)
    yield connection
    await connection.close()
