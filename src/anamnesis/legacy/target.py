"""Our database as the import writes it: as the owner of the tables, for it makes some."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from anamnesis.db.aside import PREFIX, aside, names_in
from anamnesis.db.encryption import SEALED, TABLES, Keyring, SealedTable
from anamnesis.db.migrating import NotMigrated
from anamnesis.db.viewing import Purpose
from anamnesis.legacy.deciding import Entry
from anamnesis.legacy.mapping import Parties, Values, fingerprint

_LOCK_KEY: Final = 0x6C656761  # one arbitrary number for all imports: "lega"
_LONGEST_NAME: Final = 56
_KEPT_OF_NAME: Final = 47

#: The columns of ours that an import fills and compares.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "users": ("clerk_id", "email", "first_name", "last_name", "image_url", "primary_role", "is_active", "created_at",
              "updated_at"),
    "patients": ("user_id", "date_of_birth", "gender", "phone", "emergency_contact", "emergency_phone", "created_at",
                 "updated_at"),
    "doctors": ("user_id", "slug", "specialty", "clinic_name", "bio", "phone", "address", "verification_status",
                "verified_at", "verified_by", "rejection_reason", "consultation_fee", "accepts_payments",
                "appointment_duration", "buffer_time", "max_daily_appointments", "qr_code_url", "created_at",
                "updated_at"),
    "connections": ("patient_id", "doctor_id", "status", "connection_source", "connected_at", "disconnected_at",
                    "created_at"),
    "intake_sessions": ("connection_id", "name", "status", "record", "medical_data", "clinical_handover",
                        "doctor_thought", "acuity", "completeness", "current_agent", "consecutive_errors",
                        "ai_message_count", "termination_reason", "started_at", "completed_at", "reviewed_at",
                        "reviewed_by", "created_at", "updated_at"),
    "chat_messages": ("session_id", "role", "sender_id", "content", "images", "active_agent", "turn_state",
                      "created_at"),
    "clinician_notes": ("session_id", "author_id", "content", "kind", "metadata", "images", "created_at"),
    "direct_messages": ("connection_id", "sender_id", "content", "is_read", "read_at", "created_at"),
    "notifications": ("user_id", "type", "title", "message", "data", "is_read", "read_at", "created_at"),
    "audit_logs": ("user_id", "action", "resource_type", "resource_id", "metadata", "created_at"),
}  # fmt: skip
#: What we give a row besides.
ASSIGNED: Final[Mapping[str, tuple[str, ...]]] = {
    "intake_sessions": ("is_named",),
    "chat_messages": ("seq",),
    "direct_messages": ("seq",),
}
#: What may be here once: a person who came to us before the import has a row under another key.
ONCE: Final[Mapping[str, tuple[str, ...]]] = {
    "users": ("clerk_id",),
    "patients": ("user_id",),
    "doctors": ("user_id",),
    "connections": ("patient_id", "doctor_id"),
}
#: Where lines stand in an order: whose they are, and where that keeps the next place.
PLACES: Final[Mapping[str, tuple[str, str, str]]] = {
    "chat_messages": ("session_id", "intake_sessions", "next_seq"),
    "direct_messages": ("connection_id", "connections", "next_message_seq"),
}

#: The tables of which some columns are sealed.
_SEALED: Final[Mapping[str, SealedTable]] = {table.name: table for table in TABLES}

_LEDGER: Final = """
SELECT source_key, our_table, our_key, fingerprint FROM imported_rows
WHERE source_table = $1 AND source_key = ANY ($2::text[])"""
_NOTE: Final = """
INSERT INTO imported_rows (source_table, source_key, our_table, our_key, fingerprint)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[])
ON CONFLICT (source_table, source_key) DO UPDATE
SET our_table = excluded.our_table, our_key = excluded.our_key, fingerprint = excluded.fingerprint,
    written_at = clock_timestamp()"""
_PARTIES: Final = """
SELECT s.id::text AS id, p.user_id::text AS patient, d.user_id::text AS doctor
FROM intake_sessions s JOIN connections c ON c.id = s.connection_id JOIN patients p ON p.id = c.patient_id
JOIN doctors d ON d.id = c.doctor_id WHERE s.id = ANY ($1::uuid[])"""
#: An interview reviewed since the last import was ready in between.
_READY_FIRST: Final = """
UPDATE intake_sessions s SET status = 'ready', clinical_handover = m.clinical_handover
FROM jsonb_populate_recordset(NULL::intake_sessions, $1::jsonb) m
WHERE s.id = m.id AND m.status = 'reviewed' AND s.status < 'ready'"""
_KEEP_TIME: Final = """
UPDATE notifications n SET created_at = m.created_at
FROM jsonb_populate_recordset(NULL::notifications, $1::jsonb) m WHERE n.id = m.id"""


class Busy(Exception):
    """Another import is running."""


@dataclass(slots=True)
class Target:
    """One connection to our database; every table's and column's name in its statements is one of ours."""

    connection: Any
    keyring: Keyring
    _made: set[str] = field(default_factory=set)
    _known: frozenset[str] | None = None

    async def ledger(self, table: str, keys: Sequence[str]) -> dict[str, Entry]:
        """What is known of these rows of the source."""
        rows = await self.connection.fetch(_LEDGER, table, keys)
        return {row["source_key"]: Entry(row["our_table"], row["our_key"], row["fingerprint"]) for row in rows}

    async def erased(self) -> frozenset[str]:
        """Whose data must not come back: ids of people, connections and interviews that were erased here."""
        return frozenset(row["id"] for row in await self.connection.fetch("SELECT id::text FROM erased_ids"))

    async def expired(self, table: str, keys: Iterable[str]) -> set[str]:
        """Those of these keys under which a row was kept whole until it expired here: such a row does not come back."""
        name = beside(table)
        digests = {hashlib.sha256(f"{name}\n{key}".encode()).digest(): key for key in keys}
        query = "SELECT digest FROM expired_aside WHERE digest = ANY ($1::bytea[])"
        return {digests[row["digest"]] for row in await self.connection.fetch(query, list(digests))}

    async def note(self, table: str, entries: Mapping[str, Entry]) -> None:
        """Let the ledger know."""
        if entries:
            named = entries.values()
            columns = ([e.our_table for e in named], [e.our_key for e in named], [e.fingerprint for e in named])
            await self.connection.execute(_NOTE, table, list(entries), *columns)

    async def known(self, table: str, keys: Iterable[str]) -> dict[str, str]:
        """Our keys of those of these rows of the source that are here."""
        wanted = list(keys)
        moved = {key: entry.our_key for key, entry in (await self.ledger(table, wanted)).items()}
        ours = {key: moved.get(key, key) for key in wanted}
        query = f"SELECT id::text FROM {table} WHERE id = ANY ($1::uuid[])"  # noqa: S608 - a name of ours
        here = {row["id"] for row in await self.connection.fetch(query, list(ours.values()))}
        return {key: ours_key for key, ours_key in ours.items() if ours_key in here}

    async def parties(self, sessions: Iterable[str]) -> dict[str, Parties]:
        """The two people of each session of ours."""
        rows = await self.connection.fetch(_PARTIES, list(sessions))
        return {row["id"]: Parties(row["patient"], row["doctor"]) for row in rows}

    async def fingerprints(self, table: str, keys: Iterable[str]) -> dict[str, bytes]:
        """What these rows of ours are worth now; without those that are not here."""
        wanted, kind = list(keys), "bigint" if table == "audit_logs" else "uuid"
        typed = [int(key) for key in wanted] if kind == "bigint" else wanted
        columns = ", ".join(COLUMNS[table])
        query = (
            f"SELECT t.id::text AS key, (SELECT to_jsonb(x)::text FROM (SELECT {columns}) x) AS row"  # noqa: S608 - names of ours
            f" FROM {table} t WHERE t.id = ANY ($1::{kind}[])"
        )
        rows = await self.connection.fetch(query, typed)
        return {row["key"]: fingerprint(self._opened(table, row["key"], json.loads(row["row"]))) for row in rows}

    async def twin(self, table: str, key: str, values: Values) -> str | None:
        """Our key of a row that takes the place of this one under another key."""
        once = ONCE.get(table)
        if once is None:
            return None
        same = " AND ".join(f"{column}::text = ${place}" for place, column in enumerate(once, 2))
        query = f"SELECT id::text FROM {table} WHERE id <> $1::uuid AND {same}"  # noqa: S608 - names of ours
        found = await self.connection.fetchval(query, key, *(values[column] for column in once))
        return None if found is None else str(found)

    async def slug_is_taken(self, key: str, slug: str) -> bool:
        """Whether another doctor of ours has the address."""
        query = "SELECT true FROM doctors WHERE slug = $2 AND id <> $1::uuid"
        return bool(await self.connection.fetchval(query, key, slug))

    async def new_audit_keys(self, count: int) -> list[str]:
        """Places at the end of the audit log."""
        query = "SELECT nextval(pg_get_serial_sequence('audit_logs', 'id'))::text AS id FROM generate_series(1, $1)"
        return [row["id"] for row in await self.connection.fetch(query, count)]

    async def take_places(self, table: str, rows: Sequence[Values]) -> None:
        """Give lines the next places of their conversation, in the order they come in."""
        whose, parent, column = PLACES[table]
        parents = sorted({row[whose] for row in rows})
        query = (
            f"SELECT id::text AS id, {column} AS place FROM {parent} WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE"  # noqa: S608 - names of ours
        )
        places = {row["id"]: row["place"] for row in await self.connection.fetch(query, parents)}
        for row in rows:
            row["seq"] = places[row[whose]]
            places[row[whose]] += 1
        query = (
            f"UPDATE {parent} p SET {column} = m.place FROM unnest($1::uuid[], $2::bigint[]) AS m (id, place)"  # noqa: S608 - names of ours
            " WHERE p.id = m.id"
        )
        await self.connection.execute(query, list(places), list(places.values()))

    async def insert(self, table: str, rows: Sequence[Values]) -> None:
        """Add rows."""
        if table in PLACES:
            await self.take_places(table, rows)
        columns = ", ".join(("id", *COLUMNS[table], *ASSIGNED.get(table, ())))
        payload = json.dumps([self._sealed(table, row) for row in rows], ensure_ascii=False, allow_nan=False)
        await self.connection.execute(
            f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"  # noqa: S608 - names of ours
            f" SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)",
            payload,
        )
        if table == "notifications":  # which are stamped as they come in
            await self.connection.execute(_KEEP_TIME, payload)

    async def overwrite(self, table: str, rows: Sequence[Values]) -> None:
        """Bring rows up to date; an envelope that holds what is wanted stays, for what was said is not written anew."""
        stored = await self._envelopes(table, [row["id"] for row in rows])
        sealed = [self._sealed(table, row, stored.get(row["id"], {})) for row in rows]
        payload = json.dumps(sealed, ensure_ascii=False, allow_nan=False)
        if table == "intake_sessions":
            await self.connection.execute(_READY_FIRST, payload)
        columns = ", ".join(f"{column} = m.{column}" for column in COLUMNS[table])
        await self.connection.execute(
            f"UPDATE {table} t SET {columns}"  # noqa: S608 - names of ours
            f" FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb) m WHERE t.id = m.id",
            payload,
        )

    def _sealed(self, table: str, row: Values, stored: Values | None = None) -> Values:
        """The row as it is written. What is stored already and holds the same words stays as it is."""
        described = _SEALED.get(table)
        if described is None:
            return row
        place, found = self.keyring.at(described, row["id"], row[described.owner]), dict(row)
        for column in described.columns:
            if column in row:
                here = (stored or {}).get(column)
                is_same = here is not None and place.open(column, here) == row[column]
                found[column] = here if is_same else place.seal(column, row[column])
        return found

    def _opened(self, table: str, key: str, row: Values) -> Values:
        described = _SEALED.get(table)
        if described is None:
            return row
        opened = self.keyring.opened(described, {**row, "id": key})
        return {column: opened[column] for column in row}

    async def _envelopes(self, table: str, keys: Sequence[str]) -> dict[str, Values]:
        """The sealed columns of these rows as they are stored."""
        described = _SEALED.get(table)
        if described is None:
            return {}
        columns = ", ".join(column for column in described.columns if column in COLUMNS[table])
        query = (
            f"SELECT t.id::text AS key, (SELECT to_jsonb(x)::text FROM (SELECT {columns}) x) AS row"  # noqa: S608 - names of ours
            f" FROM {table} t WHERE t.id = ANY ($1::uuid[])"
        )
        return {row["key"]: json.loads(row["row"]) for row in await self.connection.fetch(query, list(keys))}

    async def keep_whole(self, table: str, rows: Mapping[str, str]) -> int:
        """Keep rows of the source as JSON in a table beside ours; how many were new or had changed."""
        here = await self.whole(table, list(rows)) if rows else {}
        new = {key: text for key, text in rows.items() if here.get(key) != text}
        if not new:
            return 0
        name, accounts = await self._beside(table), await self._accounts()
        tag = await self.connection.execute(
            f"INSERT INTO {name} AS t (key, row, names)"  # noqa: S608 - quoted by the server
            " SELECT key, row, ARRAY(SELECT jsonb_array_elements_text(names))"
            " FROM unnest($1::text[], $2::text[]::jsonb[], $3::text[]::jsonb[]) AS n (key, row, names)"
            " ON CONFLICT (key) DO UPDATE SET row = excluded.row, names = excluded.names, copied_at = clock_timestamp()"
            " WHERE t.row IS DISTINCT FROM excluded.row",
            list(new),
            [self._aside(table, key, text) for key, text in new.items()],
            [json.dumps(names_in(text, accounts), ensure_ascii=False) for text in new.values()],
        )
        return int(tag.rsplit(" ", 1)[-1])

    def _aside(self, table: str, key: str, text: str) -> str:
        """A row's JSON as it is kept: in an envelope, which is a JSON string, or as it is without a key."""
        if self.keyring.first is None:
            return text
        return json.dumps(self.keyring.at(aside(beside(table)), key, key).reseal("row", text))

    async def _accounts(self) -> frozenset[str]:
        """The e-mails and Clerk ids that are known here; asked for once, for the people come first."""
        if self._known is None:
            rows = await self.connection.fetch("SELECT clerk_id, email FROM users")
            self._known = frozenset(text for row in rows for text in row if text)
        return self._known

    async def forget_whole(self, table: str, keys: Sequence[str]) -> None:
        """Let go of what was kept of rows that have a home by now."""
        name = await self._name(table)
        if keys and await self.connection.fetchval("SELECT to_regclass($1)", name) is not None:
            await self.connection.execute(f"DELETE FROM {name} WHERE key = ANY ($1::text[])", list(keys))  # noqa: S608 - quoted by the server

    async def whole(self, table: str, keys: Sequence[str]) -> dict[str, str]:
        """What was kept of rows, as JSON. Raises KeyMissing and NotAsSealed."""
        name = await self._beside(table)
        query = f"SELECT key, row::text AS row FROM {name} WHERE key = ANY ($1::text[])"  # noqa: S608 - quoted by the server
        rows = await self.connection.fetch(query, list(keys))
        return {row["key"]: self._kept(table, row["key"], row["row"]) for row in rows}

    def _kept(self, table: str, key: str, stored: str) -> str:
        if not stored.startswith(f'"{SEALED}'):
            return stored
        return self.keyring.at(aside(beside(table)), key, key).unseal("row", json.loads(stored))

    async def _beside(self, table: str) -> str:
        name = await self._name(table)
        if name not in self._made:
            if await self.connection.fetchval("SELECT to_regclass($1)", name) is None:
                await self.connection.execute(
                    f"CREATE TABLE {name} (key text PRIMARY KEY, row jsonb NOT NULL, names text[],"
                    " copied_at timestamptz NOT NULL DEFAULT clock_timestamp());"
                    f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
                    f"CREATE POLICY imported ON {name} USING ((SELECT viewer_works()))"
                )
            self._made.add(name)
        return name

    async def _name(self, table: str) -> str:
        """The quoted name of the table beside ours."""
        return str(await self.connection.fetchval("SELECT quote_ident($1)", beside(table)))


def beside(table: str) -> str:
    """The name of the table that keeps a table's rows whole; a long one is cut, and told apart by its hash."""
    if len(table.encode()) > _LONGEST_NAME:
        table = table.encode()[:_KEPT_OF_NAME].decode(errors="ignore") + hashlib.sha256(table.encode()).hexdigest()[:8]
    return f"{PREFIX}{table}"


@asynccontextmanager
async def writing(url: str, keyring: Keyring) -> AsyncIterator[Target]:
    """Our database, for one import at a time. Raises Busy and NotMigrated."""
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    try:
        # This connection is ours alone, so what holds for the whole import is said once.
        await connection.execute(f"SET timezone = 'UTC'; SET anamnesis.purpose = '{Purpose.IMPORT.value}'")
        if await connection.fetchval("SELECT to_regclass('imported_rows')") is None:
            raise NotMigrated
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK_KEY):
            raise Busy
        yield Target(connection, keyring)
    finally:
        await connection.close()
