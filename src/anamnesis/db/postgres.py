"""The connection pool: every wait is bounded, every driver error becomes one of ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from anamnesis.db.auditing import carrying, write_due, written_by
from anamnesis.db.encryption import Keyring
from anamnesis.db.viewing import Viewer, viewer
from anamnesis.kernel.errors import Unavailable
from anamnesis.kernel.trail import Trail, concerns, kept

Connection: TypeAlias = PoolConnectionProxy | asyncpg.Connection
Result = TypeVar("Result")

APP_ROLE: Final = "anamnesis_app"

#: What a client may cure by trying again a moment later: connection trouble, shutdown, exhaustion, time-outs, races.
_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    OSError,
    TimeoutError,
)
_SERVER_GIVES_UP_AT: Final = 0.9
_SESSION: Final = """
SELECT set_config('role', $1, false), set_config('statement_timeout', $2, false), set_config('lock_timeout', $3, false),
       set_config('idle_in_transaction_session_timeout', $2, false), set_config('timezone', 'UTC', false)"""


class Profile(StrEnum):
    """How connections are kept: a server keeps a pool, a serverless function at most one, briefly."""

    SERVER = "server"
    SERVERLESS = "serverless"


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Every bound on a wait for the database, in seconds, and the pool's sizes.

    statement_s bounds the wait for one answer even when the server is frozen; the server itself gives up a little
    earlier, which costs no connection. A serverless profile waits connect_s for its only connection, not acquire_s.
    """

    profile: Profile = Profile.SERVER
    max_size: int = 10
    acquire_s: float = 2.0
    statement_s: float = 5.0
    lock_s: float = 3.0
    connect_s: float = 10.0
    idle_s: float = 20.0


@dataclass(slots=True)
class Database:
    """A pool of connections that all speak as the application's role, each transaction for one viewer.

    The viewer is who the calling task speaks for, or else speaks_for; it is said in the message that begins the
    transaction, and ends with it. Without any, statements run outside a transaction unless asked for, and row-level
    security shows them no health data. Nothing here holds a connection while other work is done.
    keyring is what stores seal people's words with, and open them; statements themselves know nothing of it.
    """

    dsn: str
    settings: PoolSettings = field(default_factory=PoolSettings)
    role: str = APP_ROLE
    speaks_for: Viewer | None = None
    keyring: Keyring = field(default_factory=Keyring, repr=False)
    _pool: "asyncpg.Pool[Any] | None" = field(default=None, repr=False)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection for a short while. Raises Unavailable when none is to be had in time."""
        if (held := _HELD.get()) is not None and held[0] is self:
            yield held[1]
        elif self._is_serverless or self._viewer() is not None:
            async with self.transaction() as connection:
                yield connection
        else:
            async with self._borrowed() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises. Raises Unavailable."""
        async with self._borrowed() as connection:
            with kept():
                try:
                    with _hung_up_when_late(connection):
                        await self._begin(connection)
                        yield connection
                        await write_due(connection)
                        await connection.execute("COMMIT")
                except BaseException:
                    if not connection.is_closed():
                        await connection.execute("ROLLBACK")
                    raise

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """What this task reads in the block, one thing after another, is read in one transaction."""
        async with self.transaction() as connection:
            token = _HELD.set((self, connection))
            try:
                yield
            finally:
                _HELD.reset(token)

    async def _begin(self, connection: Connection) -> None:
        """Begin a transaction and say for whom, in one message.

        Behind a transaction pooler a session is shared, so what else holds must be said anew in each transaction.
        """
        speaker = self._viewer()
        said = "" if speaker is None else speaker.said
        try:
            await connection.execute(f"BEGIN;{self._limits() if self._is_serverless else ''}{said}")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError) as unusable:
            # The role is not there, or was not granted to this login: `anamnesis migrate` has not run.
            raise Unavailable from unusable

    def _viewer(self) -> Viewer | None:
        return viewer() or self.speaks_for

    def _limits(self) -> str:
        statement_ms, lock_ms = self._milliseconds()
        return (
            f"SET LOCAL ROLE {self.role};SET LOCAL timezone = 'UTC';SET LOCAL lock_timeout = {lock_ms};"
            f"SET LOCAL statement_timeout = {statement_ms};"
            f"SET LOCAL idle_in_transaction_session_timeout = {statement_ms};"
        )

    def _milliseconds(self) -> tuple[int, int]:
        """When the server gives up a statement, and a lock."""
        return int(self.settings.statement_s * _SERVER_GIVES_UP_AT * 1000), int(self.settings.lock_s * 1000)

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[Connection]:
        limits = self.settings
        async with _ours():
            pool = await self._ready_pool()
            connection = await pool.acquire(timeout=limits.connect_s if self._is_serverless else limits.acquire_s)
            try:
                with _hung_up_when_late(connection):
                    yield connection
            finally:
                await pool.release(connection)

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of one statement. Raises Unavailable."""
        async with self._carrying(query, arguments) as (connection, statement, given):
            return list(await connection.fetch(statement, *given))

    async def fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """The first row of one statement, or None. Raises Unavailable."""
        async with self._carrying(query, arguments) as (connection, statement, given):
            return await connection.fetchrow(statement, *given)

    async def fetchval(self, query: str, *arguments: object) -> Any:
        """The first value of one statement, or None. Raises Unavailable."""
        async with self._carrying(query, arguments) as (connection, statement, given):
            return await connection.fetchval(statement, *given)

    async def execute(self, query: str, *arguments: object) -> str:
        """Run one statement; answers PostgreSQL's command tag. Raises Unavailable."""
        async with self._carrying(query, arguments) as (connection, statement, given):
            return str(await connection.execute(statement, *given))

    @asynccontextmanager
    async def _carrying(
        self, query: str, arguments: tuple[object, ...]
    ) -> AsyncIterator[tuple[Connection, str, tuple[object, ...]]]:
        """A connection, and the statement as it carries the call's audit line."""
        with kept():
            statement, given = carrying(query, arguments)
            async with self.connection() as connection:
                yield connection, statement, given

    async def fetch_whose(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """As fetch, for a list over patients; it is committed with the call's audit line. Raises Unavailable.

        Each row has a patient_id, and the line names them all.
        """
        async with self.transaction() as connection:
            rows = list(await connection.fetch(query, *arguments))
            concerns(*(row["patient_id"] for row in rows), purpose="care")
            return rows

    async def keep_line(self, trail: Trail) -> None:
        """Write the audit line of a call that ends without one. Raises Unavailable."""
        trail.is_written = True
        await self.execute(written_by(trail), trail.line())

    async def lookup(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """The first row of a statement that needs nobody to speak for, or None. Raises Unavailable.

        Such are what limits and access are decided on: no health data, so no transaction has to be begun for them, and
        no audit line goes with them.
        """
        needs_transaction = self._is_serverless or _HELD.get() is not None
        async with self.connection() if needs_transaction else self._borrowed() as connection:
            return await connection.fetchrow(query, *arguments)

    @property
    def in_use(self) -> int:
        """How many connections are held right now."""
        return 0 if self._pool is None else self._pool.get_size() - self._pool.get_idle_size()

    @property
    def size(self) -> int:
        """How many connections are open."""
        return 0 if self._pool is None else self._pool.get_size()

    async def close(self, *, within_s: float = 3.0) -> None:
        """Close every connection, by force when somebody still holds one after within_s."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            await asyncio.wait_for(pool.close(), within_s)
        except TimeoutError:
            pool.terminate()

    async def _ready_pool(self) -> "asyncpg.Pool[Any]":
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._open()
        return self._pool

    @property
    def _is_serverless(self) -> bool:
        return self.settings.profile is Profile.SERVERLESS

    async def _open(self) -> "asyncpg.Pool[Any]":
        limits = self.settings
        return await asyncpg.create_pool(
            self.dsn,
            min_size=0,
            max_size=1 if self._is_serverless else limits.max_size,
            max_inactive_connection_lifetime=limits.idle_s if self._is_serverless else 300.0,
            # Behind a transaction pooler a named statement may meet a server connection that does not know it.
            statement_cache_size=0 if self._is_serverless else 256,
            timeout=limits.connect_s,
            command_timeout=limits.statement_s,
            init=use_json if self._is_serverless else self._prepare,
            # No session state is ever left on a connection, so the driver's clean-up round trip buys nothing.
            reset=_leave_as_it_is,
            server_settings={"application_name": "anamnesis"},
        )

    async def _prepare(self, connection: "asyncpg.Connection[Any]") -> None:
        """Bound the session's waits and make it speak as the application's role."""
        statement_ms, lock_ms = self._milliseconds()
        try:
            await connection.execute(_SESSION, self.role, str(statement_ms), str(lock_ms))
        except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError) as unusable:
            # The role is not there, or was not granted to this login: `anamnesis migrate` has not run.
            raise Unavailable from unusable
        await use_json(connection)


#: The transaction that a task reads in, and whose it is.
_HELD: Final[ContextVar["tuple[Database, Connection] | None"]] = ContextVar("held", default=None)


@contextmanager
def _hung_up_when_late(connection: Connection) -> Iterator[None]:
    """Drop a connection whose answer did not come: waiting for it again, to roll back, would double the wait."""
    try:
        yield
    except TimeoutError:
        connection.terminate()
        raise


async def _leave_as_it_is(_: "asyncpg.Connection[Any]") -> None:
    """Nothing to clean: settings of a transaction end with it."""


async def use_json(connection: "asyncpg.Connection[Any]") -> None:
    """Let JSON columns be plain values on this connection."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=_json_text, decoder=msgspec.json.decode, format="text"
        )


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


@asynccontextmanager
async def _ours() -> AsyncIterator[None]:
    """Turn the driver's errors into ours; its texts can hold row values and never leave this module."""
    try:
        yield
    except asyncpg.QueryCanceledError as slow:
        raise Unavailable from slow
    except _AWAY as away:
        raise Unavailable from away
