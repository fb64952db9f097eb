"""The procedures of operators about accounts and the audit trail: admin.*."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from anamnesis.administration.store import PostgresAdministrationStore, Row
from anamnesis.care.views import User
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Allow, Context, Procedures, Rest
from anamnesis.schema import ONE_OF, Boolean, Input, IsoDatetime, Maybe, Output, Uuid, number, text

MOST_LEFT_OUT = 1_000_000
_ROLES = Literal["super_admin", "doctor", "clinic_admin", "receptionist", "patient"]


@dataclass(frozen=True, slots=True)
class Administration:
    """What these handlers work on."""

    store: PostgresAdministrationStore


Call = Context[Administration]
procedures = Procedures()


class Users(Output):
    """One part of the accounts, and how many there are."""

    users: list[User]
    total: int
    limit: int
    offset: int


class AuditActor(Output):
    """Who did it."""

    first_name: str | None
    last_name: str | None
    email: str | None


class AuditLine(Output):
    """Something that was done. metadata.access tells by which call, as what, whose record and why.

    ipAddress and userAgent are not recorded.
    """

    id: int
    user_id: UUID | None
    action: str
    resource_type: str
    resource_id: str | None
    metadata: dict[str, Any] | None
    ip_address: None
    user_agent: None
    created_at: datetime
    user: AuditActor | None


class AuditLines(Output):
    """One part of the audit trail, and how many lines there are."""

    logs: list[AuditLine]
    total: int
    limit: int
    offset: int


class FindUsers(Input):
    """Which accounts to show."""

    role: Maybe[Annotated[_ROLES, ONE_OF]] = UNDEFINED
    search: Maybe[Annotated[str, text(0, 200)]] = UNDEFINED
    is_active: Maybe[Boolean] = UNDEFINED
    limit: Annotated[int, number(at_least=1, at_most=100)] = 20
    offset: Annotated[int, number(at_least=0, at_most=MOST_LEFT_OUT)] = 0


class NewStatus(Input):
    """Whether an account may be used, and why."""

    user_id: Uuid
    is_active: Boolean
    reason: Maybe[Annotated[str, text(0, 500)]] = UNDEFINED


class NewRole(Input):
    """An account's new role."""

    user_id: Uuid
    role: Annotated[_ROLES, ONE_OF]


class FindLogs(Input):
    """Which audit lines to show."""

    user_id: Maybe[Uuid] = UNDEFINED
    action: Maybe[Annotated[str, text(0, 100)]] = UNDEFINED
    resource_type: Maybe[Annotated[str, text(0, 100)]] = UNDEFINED
    resource_id: Maybe[Uuid] = UNDEFINED
    start_date: Maybe[IsoDatetime] = UNDEFINED
    end_date: Maybe[IsoDatetime] = UNDEFINED
    search: Maybe[Annotated[str, text(0, 200)]] = UNDEFINED
    limit: Annotated[int, number(at_least=1, at_most=100)] = 50
    offset: Annotated[int, number(at_least=0, at_most=MOST_LEFT_OUT)] = 0


@procedures.query(
    "admin.getUsers",
    allow=Allow.ADMIN,
    input=FindUsers,
    input_optional=True,
    output=Users,
    rest=Rest("GET", "/admin/users"),
)
async def get_users(call: Call, body: FindUsers | None) -> Users:
    """Accounts, newest first."""
    wanted = body or FindUsers()
    limit, offset = int(wanted.limit), int(wanted.offset)
    rows, total = await call.services.store.users(
        role=wanted.role or None, search=wanted.search or None,
        is_active=None if wanted.is_active is UNDEFINED else wanted.is_active, limit=limit, offset=offset,
    )  # fmt: skip
    return Users(users=[_user(row) for row in rows], total=total, limit=limit, offset=offset)


@procedures.mutation(
    "admin.updateUserStatus",
    allow=Allow.ADMIN,
    input=NewStatus,
    output=User,
    rest=Rest("POST", "/admin/users/{userId}/status"),
)
async def update_status(call: Call, body: NewStatus) -> User:
    """Open or close an account; it takes effect with the account's next request."""
    row = await call.services.store.set_active(
        call.person, body.user_id, is_active=body.is_active, reason=body.reason or None
    )
    return _user(row)


@procedures.mutation(
    "admin.updateUserRole",
    allow=Allow.ADMIN,
    input=NewRole,
    output=User,
    rest=Rest("POST", "/admin/users/{userId}/role"),
)
async def update_role(call: Call, body: NewRole) -> User:
    """Give an account another role; it makes no profile, and one operator is always left."""
    return _user(await call.services.store.set_role(call.person, body.user_id, body.role))


@procedures.query(
    "admin.getAuditLogs",
    allow=Allow.ADMIN,
    input=FindLogs,
    input_optional=True,
    output=AuditLines,
    rest=Rest("GET", "/admin/audit-logs"),
)
async def audit_logs(call: Call, body: FindLogs | None) -> AuditLines:
    """What was done, newest first."""
    wanted = body or FindLogs()
    limit, offset = int(wanted.limit), int(wanted.offset)
    names = ("user_id", "action", "resource_type", "start_date", "end_date", "search")
    narrowed = {name: getattr(wanted, name) or None for name in names}
    narrowed["resource_id"] = str(wanted.resource_id) if wanted.resource_id else None
    rows, total = await call.services.store.logs(narrowed, limit=limit, offset=offset)
    return AuditLines(logs=[_line(row) for row in rows], total=total, limit=limit, offset=offset)


def _user(row: Row) -> User:
    return User(**{name: row[name] for name in User.model_fields})


def _line(row: Row) -> AuditLine:
    actor = None if row["user_id"] is None else AuditActor(**{name: row[name] for name in AuditActor.model_fields})
    own = {name: row[name] for name in AuditLine.model_fields if name in row}
    if row["procedure"] is not None:
        own["metadata"] = {**(row["metadata"] or {}), "access": _access(row)}
    return AuditLine(**own, ip_address=None, user_agent=None, user=actor)


def _access(row: Row) -> dict[str, Any]:
    return {
        "procedure": row["procedure"],
        "role": row["actor_role"],
        "purpose": row["purpose"],
        "patientIds": [str(patient_id) for patient_id in row["patient_ids"] or ()],
        "requestId": row["request_id"],
    }
