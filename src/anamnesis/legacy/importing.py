"""One run of the import: page by page, each in a transaction with its ledger, so that a killed run goes on.

Every row is read and mapped in every run; what is here as it should be costs a comparison and no write.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import asyncpg

from anamnesis.legacy.deciding import Entry, Step, Tally, decide
from anamnesis.legacy.mapping import Mapped, Values, World, fingerprint, map_row
from anamnesis.legacy.reading import shallow
from anamnesis.legacy.source import READ, Source
from anamnesis.legacy.target import Target

#: What rows refer to, by column.
_REFERENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "users": {},
    "patients": {"user_id": "users"},
    "doctors": {"user_id": "users", "verified_by": "users"},
    "connections": {"patient_id": "patients", "doctor_id": "doctors"},
    "intake_sessions": {"connection_id": "connections", "reviewed_by": "users"},
    "chat_messages": {"session_id": "intake_sessions"},
    "direct_messages": {"connection_id": "connections", "sender_id": "users"},
    "notifications": {"user_id": "users"},
    "audit_logs": {"user_id": "users"},
}
_LONGEST_INT: Final = 4000
#: A key that is longer does not fit into an index: its digest stands for it.
_LONGEST_KEY: Final = 1000
_TOO_DEEP: Final = "is nested too deep; what lies deeper is the text it was"
_NOT_READ: Final = "the table could not be read"
_HIDDEN: Final = f"{_NOT_READ}: the login must be allowed to read every row of it"
_IDS: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPEN: Final = ("not_started", "in_progress")
#: A row the database refuses is reported; trouble with the connection ends the run.
_REFUSALS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.RaiseError,
    asyncpg.ProgramLimitExceededError,
)


@dataclass(slots=True)
class _Line:
    """One row on its way."""

    mapped: Mapped
    wanted: bytes
    step: Step = Step.LEAVE
    our_key: str = ""
    is_ours: bool = False
    is_gone: bool = False  # it was here, and was deleted
    is_another: bool = False  # what is here was never what the source has


@dataclass(slots=True)
class Import:
    """A run. Ask for tallies when it is over."""

    source: Source
    target: Target
    tallies: list[Tally] = field(default_factory=list)
    _open: set[str] = field(default_factory=set)
    _erased: frozenset[str] = frozenset()

    async def run(self) -> list[Tally]:
        """Take over every table; what we do not model is copied whole."""
        tables = await self.source.tables()
        self._erased = await self.target.erased()
        for table in (*READ, *(name for name in tables if name not in READ)):
            tally = Tally(table)
            self.tallies.append(tally)
            if table not in tables:
                continue
            try:
                tally.in_source = await self.source.count(table)
                await (self._model(tally) if table in READ else self._copy(tally))
            except asyncpg.InsufficientPrivilegeError:
                tally.is_unread = True
                tally.reports.append(("-", _HIDDEN))
            except asyncpg.SyntaxOrAccessError as unreadable:
                tally.is_unread = True
                tally.reports.append(("-", f"{_NOT_READ} ({type(unreadable).__name__})"))
        return self.tallies

    async def _copy(self, tally: Tally) -> None:
        columns, seen = await self.source.primary_key(tally.table), Counter[str]()
        async for found in self.source.pages(tally.table):
            page = self._allowed(tally, found)
            rows = {_whole_key(text, columns, seen): text for text in page}
            tally.read += len(found)
            expired = await self.target.expired(tally.table, rows)
            tally.left_out += len(expired)
            rows = {key: text for key, text in rows.items() if key not in expired}
            written, refused = await self._keep(tally, rows)
            tally.written += written
            tally.left_out += len(refused)
            rows = {key: text for key, text in rows.items() if key not in refused}
            tally.kept_aside += len(rows)
            here = await self.target.whole(tally.table, list(rows))
            for key, text in rows.items():
                tally.compare(_digest(text), _digest(here[key]) if key in here else None)

    async def _keep(self, tally: Tally, rows: Mapping[str, str]) -> tuple[int, set[str]]:
        """Keep rows whole: how many were written, and the keys of those the database refused, which are reported."""
        try:
            async with self.target.connection.transaction():
                return await self.target.keep_whole(tally.table, rows), set()
        except _REFUSALS as refusal:
            if len(rows) == 1:
                tally.reports += [(key, f"refused by the database ({type(refusal).__name__})") for key in rows]
                return 0, set(rows)
        written, refused = 0, set[str]()
        for key, text in rows.items():
            count, without = await self._keep(tally, {key: text})
            written += count
            refused |= without
        return written, refused

    def _allowed(self, tally: Tally, page: Sequence[str]) -> list[str]:
        """The rows that name nobody who was erased here; the others are left out, and counted."""
        rows = [text for text in page if self._erased.isdisjoint(_IDS.findall(text))] if self._erased else list(page)
        tally.left_out += len(page) - len(rows)
        return rows

    async def _model(self, tally: Tally) -> None:
        async for page in self.source.pages(tally.table):
            texts = self._allowed(tally, page)
            rows = [_decoded(text) for text in texts]
            tally.reports += [
                (str(row.get("id", "-")), _TOO_DEEP)
                for text, row in zip(texts, rows, strict=True)
                if shallow(text) is not text
            ]
            tally.read += len(page)
            await self._page(tally, rows)

    async def _page(self, tally: Tally, rows: Sequence[Mapping[str, Any]]) -> None:
        mapped = await self._mapped(tally.table, rows)
        keyed = {each.key: each for each in mapped if each.key is not None}
        entries = await self.target.ledger(tally.table, list(keyed))
        lines = [_Line(each, fingerprint(each.values)) for each in mapped if each.is_kept]
        await self._decide(tally.table, lines, entries)
        work = [line for line in lines if line.step is not Step.LEAVE]
        try:
            async with self.target.connection.transaction():
                await self._write(tally, work)
        except _REFUSALS:
            await self._one_by_one(tally, work)
        await self._keep_aside(tally, rows, mapped, lines)
        await self._count(tally, mapped, lines)

    async def _mapped(self, table: str, rows: Sequence[Mapping[str, Any]]) -> list[Mapped]:
        known = {}
        columns = _REFERENCES[table]
        for parent in set(columns.values()):
            named = [row.get(column) for row in rows for column, whose in columns.items() if whose == parent]
            known[parent] = await self.target.known(parent, {str(key) for key in named if _is_key(key)})
        sessions = known.get("intake_sessions", {})
        world = World(known, await self.target.parties(sessions.values()) if sessions else {})
        mapped = []
        for row in rows:
            world = replace(world, open_connections=frozenset(self._open)) if table == "intake_sessions" else world
            mapped.append(map_row(table, row, world))
            if table == "intake_sessions" and row.get("status") in _OPEN:
                self._open = {str(row.get("connection_id"))}  # rows come by connection
        return mapped

    async def _decide(self, table: str, lines: Sequence[_Line], entries: Mapping[str, Entry]) -> None:
        """What to do about each row, by what the ledger knows and what is here."""
        for line in lines:
            entry = entries.get(line.mapped.key or "")
            line.our_key = entry.our_key if entry else "" if table == "audit_logs" else line.mapped.key or ""
        here = await self._here(lines, entries)
        for line in lines:
            await self._name_anew(line)
            entry = entries.get(line.mapped.key or "")
            ours = here.get(line.our_key)
            line.step = decide(entry, line.mapped.table or "", line.wanted, ours)
            line.is_ours = entry is not None and (entry.fingerprint is None or ours != entry.fingerprint)
            line.is_gone = entry is not None and ours is None
            line.is_another = entry is not None and entry.fingerprint is None and ours != line.wanted
            if line.step is Step.OVERWRITE and table == "audit_logs":
                line.step = Step.OURS

    async def _name_anew(self, line: _Line) -> None:
        """A doctor's public address that another doctor has here."""
        mapped = line.mapped
        if mapped.table != "doctors" or not await self.target.slug_is_taken(mapped.key or "", mapped.values["slug"]):
            return
        values = {**mapped.values, "slug": f"{mapped.values['slug']}-{(mapped.key or '')[:8]}"}
        line.mapped = replace(mapped, values=values, reasons=(*mapped.reasons, "slug is taken here; another was made"))
        line.wanted = fingerprint(values)

    async def _here(self, lines: Sequence[_Line], entries: Mapping[str, Entry]) -> dict[str, bytes]:
        by_table: dict[str, list[str]] = {}
        for line in lines:
            entry = entries.get(line.mapped.key or "")
            table = entry.our_table if entry else line.mapped.table or ""
            if line.our_key:
                by_table.setdefault(table, []).append(line.our_key)
        here: dict[str, bytes] = {}
        for table, keys in by_table.items():
            here |= await self.target.fingerprints(table, keys)
        return here

    async def _write(self, tally: Tally, lines: Sequence[_Line]) -> None:
        """Write rows and their ledger in the caller's transaction."""
        noted: dict[str, Entry] = {}
        inserts, updates = _by_table(), _by_table()
        for line in lines:
            key, table = line.mapped.key or "", line.mapped.table or ""
            if line.step is Step.INSERT and (twin := await self.target.twin(table, key, line.mapped.values)):
                line.step, line.our_key, line.is_ours = Step.OURS, twin, True
                noted[key] = Entry(table, twin, None)
            elif line.step is Step.INSERT:
                line.our_key = line.our_key or (await self.target.new_audit_keys(1))[0]
                inserts.setdefault(table, []).append(_row(line))
            elif line.step is Step.OVERWRITE:
                updates.setdefault(table, []).append(_row(line))
            if line.step in (Step.INSERT, Step.OVERWRITE, Step.NOTE):
                noted[key] = Entry(table, line.our_key, line.wanted)
        for table, rows in inserts.items():
            await self.target.insert(table, rows)
        for table, rows in updates.items():
            await self.target.overwrite(table, rows)
        await self.target.note(tally.table, noted)
        tally.written += sum(map(len, (*inserts.values(), *updates.values())))

    async def _one_by_one(self, tally: Tally, lines: Sequence[_Line]) -> None:
        """Some row of the page is refused by the database: find it, and keep the others."""
        for line in lines:
            try:
                async with self.target.connection.transaction():
                    await self._write(tally, [line])
            except _REFUSALS as refused:
                was_here = line.step is Step.OVERWRITE
                reason = f"refused by the database ({type(refused).__name__})"
                aside = line.mapped.values | line.mapped.leftovers
                line.mapped = replace(
                    line.mapped,
                    table=line.mapped.table if was_here else None,
                    reasons=(*line.mapped.reasons, reason),
                    leftovers=aside,
                )
                line.is_ours = was_here

    async def _keep_aside(
        self, tally: Tally, rows: Sequence[Mapping[str, Any]], mapped: Sequence[Mapped], lines: Sequence[_Line]
    ) -> None:
        """Keep what has no home with us.

        That is whole rows that are left out, or in the place of which something else stands here, and single columns of
        the others. What was deleted or has expired here is not brought back this way either.
        """
        by_key = {line.mapped.key: line for line in lines}
        aside, housed = {}, []
        for row, each in zip(rows, mapped, strict=True):
            key, line = each.key or _digest(json.dumps(row, sort_keys=True)).hex(), by_key.get(each.key)
            leftovers = _leftovers(row, line) if line else each.leftovers
            if leftovers:
                aside[key] = json.dumps(leftovers, ensure_ascii=False)
            else:
                housed.append(key)
        for key in await self.target.expired(tally.table, aside):
            del aside[key]
        _, refused = await self._keep(tally, aside)
        async with self.target.connection.transaction():
            await self.target.forget_whole(tally.table, housed)
        tally.kept_aside += len(aside) - len(refused)

    async def _count(self, tally: Tally, mapped: Sequence[Mapped], lines: Sequence[_Line]) -> None:
        """Read back what is here and compare it with what was read there."""
        kept = [line for line in lines if line.mapped.is_kept]
        here: dict[str, bytes] = {}
        for table, keys in _keys_by_table(kept).items():
            here |= await self.target.fingerprints(table, keys)
        for line in kept:
            if line.is_ours or line.step is Step.OURS:
                tally.changed_here += 1
                if line.step is Step.OURS:
                    line.mapped = replace(line.mapped, reasons=(*line.mapped.reasons, _OURS_STAYS))
            else:
                tally.compare(line.wanted, here.get(line.our_key))
        tally.left_out += len(mapped) - len(kept)
        final = {line.mapped.key: line.mapped for line in lines}
        for each in mapped:
            now = final.get(each.key, each)
            tally.reports += [(each.key or "-", reason) for reason in now.reasons]


_OURS_STAYS: Final = "is different here or was changed on both sides; ours was kept, the other was put aside"


def _leftovers(row: Mapping[str, Any], line: _Line) -> Mapping[str, Any]:
    """What of a row that has a place with us stands nowhere with us."""
    if line.is_gone:
        return {}
    return row if line.step is Step.OURS or line.is_another else line.mapped.leftovers


def _by_table() -> dict[str, list[Values]]:
    return {}


def _row(line: _Line) -> Values:
    values = {"id": line.our_key, **line.mapped.values}
    if line.mapped.table == "intake_sessions":
        values["is_named"] = values["name"] is not None
    return values


def _keys_by_table(lines: Sequence[_Line]) -> dict[str, list[str]]:
    by_table: dict[str, list[str]] = {}
    for line in lines:
        if line.our_key:
            by_table.setdefault(line.mapped.table or "", []).append(line.our_key)
    return by_table


def _decoded(text: str) -> dict[str, Any]:
    row = json.loads(shallow(text), parse_float=_float, parse_int=_int)
    return row if isinstance(row, dict) else {}


def _float(text: str) -> float | str:
    """A number, or its digits as text when no number of ours can hold it."""
    return number if math.isfinite(number := float(text)) else text


def _int(text: str) -> int | str:
    return int(text) if len(text) < _LONGEST_INT else text


def _whole_key(text: str, columns: Sequence[str], seen: Counter[str]) -> str:
    """The row's primary key or, where its table has none, what it holds and which of its twins it is."""
    if columns:
        row = _decoded(text)
        values = [row.get(column) for column in columns]
        key = str(values[0]) if len(values) == 1 else json.dumps(values)
        return key if len(key) <= _LONGEST_KEY else _digest(key).hex()
    held = _digest(text).hex()
    seen[held] += 1
    return f"{held}:{seen[held]}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _is_key(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return isinstance(value, str)
