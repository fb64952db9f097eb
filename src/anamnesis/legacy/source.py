"""The replaced system's database, read in one snapshot and never written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

PAGE: Final = 1000
#: What libraries of the replaced system read from an address and PostgreSQL does not know.
_NOT_POSTGRES: Final = frozenset({"pgbouncer", "schema", "connection_limit", "pool_timeout", "channel_binding"})

_TABLES: Final = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname"""
_PRIMARY_KEY: Final = """
SELECT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place) ON true
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
WHERE i.indisprimary AND n.nspname = 'public' AND c.relname = $1 ORDER BY k.place"""

#: Parents before children; what stands in an order of time is read in it. Of messages of one moment the one that lies
#: first was written first, for the table is only appended to.
READ: Final[dict[str, str]] = {
    "users": "SELECT to_jsonb(t)::text FROM public.users t ORDER BY t.id",
    "patients": "SELECT to_jsonb(t)::text FROM public.patients t ORDER BY t.id",
    "doctors": "SELECT to_jsonb(t)::text FROM public.doctors t ORDER BY t.id",
    "connections": "SELECT to_jsonb(t)::text FROM public.connections t ORDER BY t.id",
    "intake_sessions": "SELECT to_jsonb(t)::text FROM public.intake_sessions t"
    " ORDER BY t.connection_id, to_jsonb(t)->>'updated_at' DESC NULLS LAST, t.id",
    "chat_messages": "SELECT to_jsonb(t)::text FROM public.chat_messages t ORDER BY t.session_id, t.created_at, t.ctid",
    "direct_messages": "SELECT to_jsonb(t)::text FROM public.direct_messages t"
    " ORDER BY t.connection_id, t.created_at, t.ctid",
    "notifications": "SELECT to_jsonb(t)::text FROM public.notifications t ORDER BY t.created_at, t.ctid",
    "audit_logs": "SELECT to_jsonb(t)::text FROM public.audit_logs t ORDER BY t.created_at, t.ctid",
}


class NotTheReplacedSystem(Exception):
    """The source has no tables of the replaced system, or is our own database."""


@dataclass(frozen=True, slots=True)
class Source:
    """One snapshot of the source."""

    connection: Any

    async def tables(self) -> list[str]:
        """Every table. Raises NotTheReplacedSystem."""
        names = [row["relname"] for row in await self.connection.fetch(_TABLES)]
        if "users" not in names or "intake_sessions" not in names or "schema_migrations" in names:
            raise NotTheReplacedSystem
        return names

    async def primary_key(self, table: str) -> list[str]:
        """The columns of a table's primary key, in order."""
        return [row["attname"] for row in await self.connection.fetch(_PRIMARY_KEY, table)]

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        name = await self._quoted(table)
        async with self.connection.transaction():
            return int(await self.connection.fetchval(f"SELECT count(*) FROM public.{name}"))  # noqa: S608 - quoted by the server

    async def pages(self, table: str) -> AsyncIterator[list[str]]:
        """A table's rows as JSON, a page at a time, through a cursor of the server."""
        name = await self._quoted(table)
        query = READ.get(table) or f"SELECT to_jsonb(t)::text FROM public.{name} t"  # noqa: S608 - quoted by the server
        async with self.connection.transaction():
            cursor = await self.connection.cursor(query)
            while page := await cursor.fetch(PAGE):
                yield [row[0] for row in page]

    async def _quoted(self, table: str) -> str:
        return str(await self.connection.fetchval("SELECT quote_ident($1)", table))


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Source]:
    """The source in one read-only snapshot for as long as the block lasts."""
    connection = await asyncpg.connect(_address(url), timeout=10, statement_cache_size=0)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # Where a policy hides rows from this login, reading fails: it must not look like an empty table.
            await connection.execute(
                "SET LOCAL timezone = 'UTC'; SET LOCAL statement_timeout = 0; SET LOCAL row_security = off;"
                "SET LOCAL idle_in_transaction_session_timeout = 0"
            )
            yield Source(connection)
    finally:
        await connection.close()


def _address(url: str) -> str:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _NOT_POSTGRES]
    return urlunsplit(parts._replace(query=urlencode(query)))
