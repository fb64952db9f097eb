"""Accounts and the audit trail in PostgreSQL, for operators."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from anamnesis.care.store import audit, keep_reason
from anamnesis.db.encryption import ACCOUNT_REASONS
from anamnesis.db.postgres import Connection, Database
from anamnesis.kernel.errors import NotFound, Unreadable, refused
from anamnesis.kernel.identity import Person

Row = Mapping[str, Any]

_USERS: Final = """
SELECT id, clerk_id, email, first_name, last_name, image_url, primary_role::text AS primary_role, is_active,
       created_at, updated_at
FROM users
"""
_WHO: Final = """
WHERE ($1::text IS NULL OR primary_role::text = $1)
  AND ($2::text IS NULL OR email ILIKE $2 OR first_name ILIKE $2 OR last_name ILIKE $2)
  AND ($3::boolean IS NULL OR is_active = $3)
"""
_USERS_PAGE: Final = _USERS + _WHO + "ORDER BY created_at DESC, id LIMIT $4 OFFSET $5"
# Counted apart: a page beyond the last one has no row to tell how many there are.
_USERS_COUNT: Final = "SELECT count(*) FROM users " + _WHO  # noqa: S608 - words of ours

_ONE: Final = """
SELECT id, clerk_id, email, first_name, last_name, image_url, primary_role::text AS primary_role, is_active,
       created_at, updated_at
FROM users WHERE id = $1 FOR UPDATE"""

_LOGS: Final = """
SELECT a.id, a.user_id, a.action, a.resource_type, a.resource_id, a.metadata, a.created_at,
       a.actor_role, a.procedure, a.patient_ids, a.request_id, a.purpose, u.first_name, u.last_name, u.email
FROM audit_logs a LEFT JOIN users u ON u.id = a.user_id
"""
_WANTED: Final = """
WHERE ($1::uuid IS NULL OR a.user_id = $1) AND ($2::text IS NULL OR a.action = $2)
  AND ($3::text IS NULL OR a.resource_type = $3) AND ($4::timestamptz IS NULL OR a.created_at >= $4)
  AND ($5::timestamptz IS NULL OR a.created_at <= $5) AND ($6::text IS NULL OR a.resource_id = $6)
  AND ($7::text IS NULL OR a.action ILIKE $7 OR a.resource_type ILIKE $7
       OR a.user_id IN (
           SELECT w.id FROM users w WHERE w.email ILIKE $7 OR w.first_name ILIKE $7 OR w.last_name ILIKE $7))
"""
_LOGS_PAGE: Final = _LOGS + _WANTED + "ORDER BY a.id DESC LIMIT $8 OFFSET $9"
# Counted apart: a page of a trail of millions is read from the end of its index.
_LOGS_COUNT: Final = "SELECT count(*) FROM audit_logs a " + _WANTED  # noqa: S608 - words of ours

#: The actions of which the reason stands with the account.
_WITH_REASON: Final = frozenset({"user_activated", "user_suspended", "doctor_approved", "doctor_rejected"})
_REASONS: Final = "SELECT id, user_id, reason FROM account_reasons WHERE id = ANY ($1::uuid[])"

_TELL: Final = """
INSERT INTO notifications (user_id, type, title, message, data) VALUES ($1, 'account_status', 'Your account', $2, $3)"""


@dataclass(frozen=True, slots=True)
class PostgresAdministrationStore:
    """Every change is audited in its own transaction."""

    database: Database

    async def users(
        self, *, role: str | None, search: str | None, is_active: bool | None, limit: int, offset: int
    ) -> tuple[Sequence[Row], int]:
        """Accounts of a role whose name or address holds the words, open or closed ones, newest first; how many."""
        narrowed = (role, _pattern(search), is_active)
        rows = [dict(row) for row in await self.database.fetch(_USERS_PAGE, *narrowed, limit, offset)]
        return rows, int(await self.database.fetchval(_USERS_COUNT, *narrowed))

    async def set_active(self, actor: Person, user_id: UUID, *, is_active: bool, reason: str | None) -> Row:
        """Open or close an account. Raises NotFound, and BadInput for one's own."""
        if not is_active and user_id == actor.user_id:
            raise refused((("isActive",), "you cannot deactivate your own account."))
        async with self.database.transaction() as connection:
            before = await _locked(connection, user_id)
            if before["is_active"] != is_active:
                await connection.execute(
                    "UPDATE users SET is_active = $2, updated_at = clock_timestamp() WHERE id = $1", user_id, is_active
                )
                status = "active" if is_active else "suspended"
                await connection.execute(_TELL, user_id, f"Your account is now {status}.", {"status": status})
                action = "user_activated" if is_active else "user_suspended"
                told = await keep_reason(connection, self.database.keyring, user_id, reason)
                await audit(connection, actor, action, "user", user_id, told)
            return await _locked(connection, user_id)

    async def set_role(self, actor: Person, user_id: UUID, role: str) -> Row:
        """Give an account another role. Raises NotFound, and BadInput for oneself and for the last super_admin.

        A role makes no profile: a doctor joins by making one, and sees nobody before being verified.
        """
        if user_id == actor.user_id:
            raise refused((("role",), "you cannot change your own role."))
        async with self.database.transaction() as connection:
            # Of two who demote each other at once, the second finds the first's change.
            await connection.execute("SELECT id FROM users WHERE primary_role = 'super_admin' ORDER BY id FOR UPDATE")
            before = await _locked(connection, user_id)
            if before["primary_role"] == role:
                return before
            await connection.execute(
                "UPDATE users SET primary_role = $2::text::user_role, updated_at = clock_timestamp() WHERE id = $1",
                user_id,
                role,
            )
            if before["primary_role"] == "super_admin":
                left = await connection.fetchval(
                    "SELECT count(*) FROM users WHERE primary_role = 'super_admin' AND is_active"
                )
                if not left:
                    raise refused((("role",), "this is the last operator; make another one first."))
            metadata = {"previousRole": before["primary_role"], "newRole": role}
            await audit(connection, actor, "user_role_changed", "user", user_id, metadata)
            return await _locked(connection, user_id)

    async def logs(self, wanted: Mapping[str, Any], *, limit: int, offset: int) -> tuple[Sequence[Row], int]:
        """Audit lines, newest first, and how many there are; wanted narrows by the names of the procedure's fields.

        search finds words in the action, the kind of thing, and the names and address of who did it. A reason stands
        with its account: it is told as long as there is one.
        """
        names = ("user_id", "action", "resource_type", "start_date", "end_date", "resource_id")
        narrowed = (*(wanted.get(name) for name in names), _pattern(wanted.get("search")))
        rows = [dict(row) for row in await self.database.fetch(_LOGS_PAGE, *narrowed, limit, offset)]
        reasons = await self._reasons([found for row in rows if (found := _reason_id(row)) is not None])
        told = [_with_reason(row, reasons) for row in rows]
        return told, int(await self.database.fetchval(_LOGS_COUNT, *narrowed))

    async def _reasons(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        if not ids:
            return {}
        found: dict[UUID, str] = {}
        for row in await self.database.fetch(_REASONS, ids):
            with suppress(Unreadable):  # the trail is shown all the same
                found[row["id"]] = self.database.keyring.opened(ACCOUNT_REASONS, row)["reason"]
        return found


def _reason_id(row: Row) -> UUID | None:
    """Where the reason of a line stands, if it has one of ours; lines that were taken over hold anything."""
    metadata = row["metadata"]
    if row["action"] not in _WITH_REASON or not isinstance(metadata, Mapping):
        return None
    try:
        return UUID(metadata["reasonId"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _with_reason(row: Row, reasons: Mapping[UUID, str]) -> Row:
    reason_id = _reason_id(row)
    if reason_id is None:
        return row
    others = {name: value for name, value in row["metadata"].items() if name != "reasonId"}
    return {**row, "metadata": {**others, "reason": reasons.get(reason_id)}}


async def _locked(connection: Connection, user_id: UUID) -> Row:
    row = await connection.fetchrow(_ONE, user_id)
    if row is None:
        raise NotFound("There is no such user.")
    return dict(row)


def _pattern(words: str | None) -> str | None:
    """What holds the words as they are; None for none."""
    if not words:
        return None
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
