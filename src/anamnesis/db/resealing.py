"""Bring everything that is sealed, or should be, under the first key: a little at a time, beside a service that works.

Nothing is remembered between runs: what is under another key, or under none, is what there is to do. A value is put in
the place of the one that was read and of no other, so that whoever writes meanwhile is never overwritten.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import asyncpg

from anamnesis.db.aside import PREFIX, aside, names_in
from anamnesis.db.encryption import SEALED, TABLES, Keyring, SealedTable
from anamnesis.db.migrating import NotMigrated, pending
from anamnesis.db.viewing import Purpose
from anamnesis.kernel.errors import KeyMissing, NotAsSealed

#: How status counts what is under no key.
PLAIN: Final = "plain"
_BATCH: Final = 200
_LOOKED_AT: Final = 500
_PASSES: Final = 5
#: What holds nothing needs no sealing, and tells nobody anything.
_EMPTY_TEXTS: Final = ("",)
_EMPTY_DOCUMENTS: Final = ("{}", "[]", "null")
#: Somebody else is at the row: it is tried again in the next pass.
_BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class Broken(NamedTuple):
    """A value that cannot be opened: where it stands, and the key it lacks (None: it is not as it was sealed)."""

    table: str
    column: str
    row_id: str
    missing_key: str | None


@dataclass(slots=True)
class Outcome:
    """What a rotation did: values written anew, those of them that had stood in the clear, and what it could not open.

    left counts what was still not under the first key at the end and is not broken: somebody writes with older keys.
    """

    rewritten: int = 0
    was_plain: int = 0
    left: int = 0
    broken: list[Broken] = field(default_factory=list)


_ASIDE: Final = f"""
SELECT c.relname AS name, c.oid::regclass::text AS quoted FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND starts_with(c.relname, '{PREFIX}')
ORDER BY c.relname"""  # noqa: S608 - a name of ours


class _Column(NamedTuple):
    """One sealed column. as_text is SQL for its value as a text: of JSON that is a string, the string itself."""

    table: SealedTable
    name: str
    quoted: str  # the table's name as SQL has it

    @property
    def is_aside(self) -> bool:
        return self.table.key == "key"

    @property
    def as_text(self) -> str:
        return f"{self.name} #>> '{{}}'" if self.is_document else self.name

    @property
    def kind(self) -> str:
        return "jsonb" if self.is_document else "text"

    @property
    def is_document(self) -> bool:
        return self.name in self.table.documents

    @property
    def empty(self) -> tuple[str, ...]:
        return _EMPTY_DOCUMENTS if self.is_document else _EMPTY_TEXTS


_COLUMNS: Final = tuple(_Column(table, name, table.name) for table in TABLES for name in table.columns)


async def _columns(connection: Any) -> tuple[_Column, ...]:
    """Every sealed column, with those of what a take-over kept whole."""
    kept = [(aside(row["name"]), row["quoted"]) for row in await connection.fetch(_ASIDE)]
    return (*_COLUMNS, *(_Column(table, name, quoted) for table, quoted in kept for name in table.columns))


@asynccontextmanager
async def resealing(url: str) -> AsyncIterator[Any]:
    """A connection as the owner of the tables, for the service's own work. Raises NotMigrated."""
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    try:
        await connection.execute(
            f"SET timezone = 'UTC'; SET anamnesis.purpose = '{Purpose.JOBS.value}'; SET anamnesis.sealing = 'on';"
            "SET lock_timeout = '2s'; SET application_name = 'anamnesis keys'"
        )
        if await pending(connection):
            raise NotMigrated
        yield connection
    finally:
        await connection.close()


async def counted(connection: Any) -> dict[tuple[str, str], Counter[str]]:
    """How many values each column has under which key, or PLAIN, by (table, column); what is empty is not counted."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for column in await _columns(connection):
        rows = await connection.fetch(
            f"SELECT CASE WHEN starts_with(value, '{SEALED}') THEN split_part(value, ':', 2) END AS key, count(*)"  # noqa: S608 - names of ours
            f" FROM (SELECT {column.as_text} AS value FROM {column.quoted}) v"
            " WHERE value <> ALL ($1::text[]) GROUP BY 1",
            column.empty,
        )
        if rows:
            found[column.table.name, column.name] = Counter({row["key"] or PLAIN: row["count"] for row in rows})
    return found


async def sampled(connection: Any) -> frozenset[str]:
    """The ids of keys that some of each column's values are under, for whoever only looks in: ids of rows are random.

    Tables that the login may not read, and what was kept aside, are not looked into.
    """
    found = set[str]()
    async with connection.transaction(readonly=True):
        await connection.execute(f"SET LOCAL anamnesis.purpose = '{Purpose.JOBS.value}'")
        for column in _COLUMNS:
            if not await connection.fetchval("SELECT has_table_privilege($1, 'SELECT')", column.quoted):
                continue
            rows = await connection.fetch(
                f"SELECT DISTINCT split_part(value, ':', 2) AS key FROM (SELECT {column.as_text} AS value"  # noqa: S608 - names of ours
                f" FROM {column.quoted} ORDER BY {column.table.key} LIMIT {_LOOKED_AT}) v"
                f" WHERE starts_with(value, '{SEALED}')"
            )
            found |= {row["key"] for row in rows}
    return frozenset(found)


async def reseal(connection: Any, keyring: Keyring, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Rewrite every value that is not under the first key; raises ValueError without any key.

    It can be killed at any moment and run again. Each pass goes through a column by the order of its keys; a value that
    changed under its hands is left to the next pass, five in all.
    """
    if keyring.first is None:
        raise ValueError("there is no key to write with")
    outcome = Outcome()
    for column in await _columns(connection):
        before = outcome.rewritten
        for _ in range(_PASSES):
            missed, broken = await _pass(connection, keyring, column, outcome)
            if not missed:
                break
        outcome.broken += broken
        if outcome.rewritten > before:
            tell(f"{column.table.name}.{column.name}: {outcome.rewritten - before} values")
    others = sum(count.total() - count[keyring.first] for count in (await counted(connection)).values())
    outcome.left = max(0, others - len(outcome.broken))
    return outcome


async def broken_ones(connection: Any, keyring: Keyring) -> list[Broken]:
    """Every value that cannot be opened, wherever it stands: each one is read and none is changed."""
    found: list[Broken] = []
    for column in await _columns(connection):
        last = None
        while rows := await _page(connection, column, SEALED, last, is_inside=True):
            last = rows[-1]["id"]
            found += [broken for row in rows if isinstance(broken := _renewed(keyring, column, row), Broken)]
    return found


async def _pass(connection: Any, keyring: Keyring, column: _Column, outcome: Outcome) -> tuple[int, list[Broken]]:
    """One way through a column: how many values changed meanwhile or were held, and what could not be opened."""
    missed, broken, last = 0, list[Broken](), None
    while rows := await _page(connection, column, f"{SEALED}{keyring.first}:", last):
        last = rows[-1]["id"]
        made = [(row["id"], row["stored"], _renewed(keyring, column, row)) for row in rows]
        renewed = [(row_id, old, new) for row_id, old, new in made if isinstance(new, str)]
        broken += [new for _, _, new in made if isinstance(new, Broken)]
        written = await _replace(connection, column, renewed)
        plain = {row["id"] for row in rows if not row["value"].startswith(SEALED)}
        outcome.rewritten += len(written)
        outcome.was_plain += len(plain & written)
        missed += len(renewed) - len(written)
    return missed, broken


async def _page(connection: Any, column: _Column, prefix: str, last: Any, *, is_inside: bool = False) -> list[Any]:
    """The next values, by the order of keys, that do not begin so (or do), each with whose it is."""
    table = column.table
    found = await connection.fetch(
        f"SELECT {table.key} AS id, {table.owner} AS owner, {column.name}::text AS stored, {column.as_text} AS value"  # noqa: S608 - names of ours
        f" FROM {column.quoted} WHERE starts_with({column.as_text}, $1) = $2 AND {column.as_text} <> ALL ($3::text[])"
        f" {'' if last is None else f'AND {table.key} > $4'} ORDER BY {table.key} LIMIT {_BATCH}",
        prefix,
        is_inside,
        column.empty,
        *(() if last is None else (last,)),
    )
    return list(found)


def _renewed(keyring: Keyring, column: _Column, row: Any) -> "str | Broken":
    """The text of the column with its value under the first key, or what is wrong with it."""
    is_plain_document = column.is_document and not row["value"].startswith(SEALED)
    try:
        place = keyring.at(column.table, row["id"], row["owner"])
        sealed = place.reseal(column.name, row["stored"] if is_plain_document else row["value"])
    except KeyMissing as missing:
        return Broken(column.table.name, column.name, str(row["id"]), missing.key_id)
    except NotAsSealed:
        return Broken(column.table.name, column.name, str(row["id"]), None)
    return json.dumps(sealed) if column.is_document else sealed


async def _replace(connection: Any, column: _Column, renewed: list[tuple[Any, str, str]]) -> set[Any]:
    """Put each new value where the old one still stands; answers the rows where it did."""
    if not renewed:
        return set()
    ids, old, new = zip(*renewed, strict=True)
    key_type = {int: "bigint", str: "text"}.get(type(ids[0]), "uuid")
    name, key = column.name, column.table.key
    also, names = "", await _names(connection, old) if column.is_aside else [None] * len(ids)
    if column.is_aside:
        also = ", names = coalesce(t.names, ARRAY(SELECT jsonb_array_elements_text(m.names::jsonb)))"
    try:
        rows = await connection.fetch(
            f"UPDATE {column.quoted} t SET {name} = m.new::{column.kind}{also}"  # noqa: S608 - names of ours
            f" FROM unnest($1::{key_type}[], $2::text[], $3::text[], $4::text[]) AS m (id, old, new, names)"
            f" WHERE t.{key} = m.id AND t.{name} = m.old::{column.kind} RETURNING t.{key} AS id",
            ids,
            old,
            new,
            names,
        )
    except _BUSY:
        return set()
    return {row["id"] for row in rows}


async def _names(connection: Any, rows: Sequence[str]) -> list[str]:
    """What rows kept whole name, as JSON; of one that is sealed nothing, for its names stand beside it already."""
    are_sealed = [text.startswith(f'"{SEALED}') for text in rows]
    told = () if all(are_sealed) else await connection.fetch("SELECT clerk_id, email FROM users")
    accounts = frozenset(text for row in told for text in row if text)
    found = [[] if is_sealed else names_in(text, accounts) for text, is_sealed in zip(rows, are_sealed, strict=True)]
    return [json.dumps(names, ensure_ascii=False) for names in found]
