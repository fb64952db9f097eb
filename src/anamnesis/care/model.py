"""People, and who is connected to whom."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from anamnesis.kernel.identity import Claims, ConnectionId, DoctorId, PatientId, UserId


class ConnectionStatus(StrEnum):
    """A connection is active until one of the two ends it; a blocked one stays blocked."""

    ACTIVE = "active"
    DISCONNECTED = "disconnected"
    BLOCKED = "blocked"


class Standing(StrEnum):
    """As whom somebody looks at a record."""

    PATIENT = "patient"
    DOCTOR = "doctor"
    OVERSIGHT = "oversight"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class CareLink:
    """One connection with what access to it depends on, read in the request that asks.

    doctor_is_there says whether anybody would read what the patient writes: a verified doctor with an open account.
    """

    connection_id: ConnectionId
    patient_id: PatientId
    doctor_id: DoctorId
    status: ConnectionStatus
    patient_user_id: UserId
    doctor_user_id: UserId
    doctor_is_verified: bool
    doctor_is_there: bool = True


@dataclass(frozen=True, slots=True)
class KnownDoctor:
    """A doctor with what being connected to one depends on, read in the request that asks."""

    doctor_id: DoctorId
    user_id: UserId
    is_verified: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class Access:
    """Proof that somebody may go on: no action on a record works without one."""

    link: CareLink
    standing: Standing


@dataclass(frozen=True, slots=True)
class Spend:
    """One call on somebody's account of calls: key names who calls what, and calls is how many a minute are allowed."""

    key: str
    calls: int


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """What the identity provider tells of an account; at is when it happened, by the provider's clock."""

    id: str
    at: datetime
    is_deleted: bool
    claims: Claims
