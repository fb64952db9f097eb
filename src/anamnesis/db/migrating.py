"""Bring a database's schema forward: numbered SQL files, each in one transaction, one runner at a time."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import asyncpg

from anamnesis.db.postgres import APP_ROLE
from anamnesis.db.viewing import Purpose, at_work
from anamnesis.kernel.errors import AnamnesisError

_NAME: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")
_LOCK_KEY: Final = 0x616E616D  # one arbitrary number for all runners: "anam"
_LOCK_ATTEMPTS: Final = 20
_TURN_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.1
_LOCK_TIMEOUT: Final = "2s"

_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number      integer PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp()
)"""


class MigrationRefused(AnamnesisError):
    """The schema cannot be brought forward as things are; nothing was changed."""


class NotMigrated(Exception):
    """The database lacks what somebody who works on it as its owner needs."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name and its text."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells an edited file from the one that was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """Every migration of the folder (ours by default) in order. Raises MigrationRefused for two of one number."""
    found = [
        Migration(int(match.group(1)), entry.name, entry.read_text())
        for entry in (folder or files("anamnesis.db") / "migrations").iterdir()
        if (match := _NAME.fullmatch(entry.name))
    ]
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if len(set(numbers)) != len(numbers):
        raise MigrationRefused(f"two migrations have one number: {numbers}")
    return tuple(found)


async def migrate(
    owner_dsn: str, *, app_login: str | None = None, embedded: bool = False, steps: Sequence[Migration] | None = None
) -> tuple[str, ...]:
    """Apply what is missing, as the owner; answers the names applied.

    app_login is the role the service signs in as; it becomes a member of the application's role. embedded lets that
    role itself sign in, which is safe only where a folder's mode guards the socket.
    Raises MigrationRefused when an applied file was edited, a newer one is already there, or the role cannot be made.
    """
    wanted = tuple(steps if steps is not None else migrations())
    connection = await asyncpg.connect(owner_dsn, timeout=10)
    try:
        await _take_turn(connection)
        await _ensure_role(connection, app_login=app_login, embedded=embedded)
        await connection.execute(_LEDGER)
        await connection.execute(f"GRANT SELECT ON schema_migrations TO {APP_ROLE}")
        missing = _missing(wanted, await _applied(connection))
        for migration in missing:
            await _apply(connection, migration)
        return tuple(migration.name for migration in missing)
    finally:
        await connection.close()


async def pending(connection: Any) -> tuple[str, ...]:
    """The names of migrations this database still lacks; all of them when it has no ledger yet."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return tuple(migration.name for migration in migrations())
    return tuple(migration.name for migration in _missing(migrations(), await _applied(connection), strict=False))


async def durability_problems(connection: Any) -> tuple[str, ...]:
    """The settings under which an acknowledged message could be lost; none is what is wanted."""
    rows = await connection.fetch(
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
        " AND setting IN ('off', 'local') ORDER BY name"
    )
    return tuple(f"{row['name']} is {row['setting']}" for row in rows)


async def role_problems(connection: Any) -> tuple[str, ...]:
    """Why the service could not speak as the application's role through this login; none is what is wanted."""
    row = await connection.fetchrow(
        "SELECT count(*) AS there, bool_or(pg_has_role(session_user, oid, 'MEMBER')) AS granted,"
        " bool_or(rolsuper OR rolbypassrls) AS mighty FROM pg_roles WHERE rolname = $1",
        APP_ROLE,
    )
    if not row["there"]:
        return (f"the role {APP_ROLE} is not there; run `anamnesis migrate`",)
    missing = () if row["granted"] else (f"the login of DATABASE_URL is not a member of {APP_ROLE}",)
    return (*missing, f"{APP_ROLE} can pass every barrier") if row["mighty"] else missing


async def owns_tables(connection: Any) -> bool:
    """Whether this login could set the application's role aside and be the tables' owner, or a superuser, again."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('audit_logs')"
            " AND pg_has_role(session_user, relowner, 'MEMBER'))"
        )
    )


async def wall_problems(connection: Any) -> tuple[str, ...]:
    """The tables whose policies hold nobody, or not their owner; none is what is wanted."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class c WHERE EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)"
        " AND NOT (relrowsecurity AND relforcerowsecurity) ORDER BY relname"
    )
    return tuple(f"row-level security is off for {row['relname']}" for row in rows)


def _missing(wanted: Sequence[Migration], applied: dict[int, str], *, strict: bool = True) -> tuple[Migration, ...]:
    for migration in wanted:
        if strict and applied.get(migration.number, migration.checksum) != migration.checksum:
            raise MigrationRefused(
                f"{migration.name} was edited after it had been applied."
                " Restore the file and put the change in a new one."
            )
    missing = tuple(migration for migration in wanted if migration.number not in applied)
    if strict and missing and applied and missing[0].number < max(applied):
        raise MigrationRefused(
            f"{missing[0].name} is older than what is already applied; give it the next free number."
        )
    return missing


async def _applied(connection: Any) -> dict[int, str]:
    rows = await connection.fetch("SELECT number, checksum FROM schema_migrations")
    return {row["number"]: row["checksum"] for row in rows}


async def _apply(connection: Any, migration: Migration) -> None:
    """One file, one transaction; a lock somebody else holds is waited for a little, many times, never long."""
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await connection.execute("SELECT set_config('lock_timeout', $1, true)", _LOCK_TIMEOUT)
                # An owner who is no superuser stands before the same wall as everybody.
                await connection.execute(at_work(Purpose.MIGRATION).said)
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.checksum,
                )
        except asyncpg.LockNotAvailableError as busy:
            if attempt == _LOCK_ATTEMPTS:
                raise MigrationRefused(
                    f"{migration.name} waited too long for a lock; nothing of it was applied."
                ) from busy
            await asyncio.sleep(0.1 * attempt)
        else:
            return


async def _take_turn(connection: Any) -> None:
    """One runner at a time; the lock ends with the connection, so a killed runner holds nobody up."""
    for _ in range(round(_TURN_WITHIN_S / _LOOK_EVERY_S)):
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK_KEY):
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    raise MigrationRefused("another migration has been running for a minute; nothing was changed.")


async def _ensure_role(connection: Any, *, app_login: str | None, embedded: bool) -> None:
    try:
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", APP_ROLE):
            await connection.execute(f"CREATE ROLE {APP_ROLE} {'LOGIN' if embedded else 'NOLOGIN'}")
        for login in {app_login, await connection.fetchval("SELECT current_user")} - {None, APP_ROLE}:
            if not embedded and not await connection.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", login, APP_ROLE):
                quoted = await connection.fetchval("SELECT quote_ident($1)", login)
                await connection.execute(f"GRANT {APP_ROLE} TO {quoted}")
    except asyncpg.InsufficientPrivilegeError as denied:
        raise MigrationRefused(
            f"The migrating login may not make the role {APP_ROLE}. As an administrator run:"
            f" CREATE ROLE {APP_ROLE} NOLOGIN; GRANT {APP_ROLE} TO the login of DATABASE_URL."
        ) from denied
