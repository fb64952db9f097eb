"""Who is calling, and the ids of things."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
PatientId = NewType("PatientId", UUID)
DoctorId = NewType("DoctorId", UUID)
ConnectionId = NewType("ConnectionId", UUID)
SessionId = NewType("SessionId", UUID)
MessageId = NewType("MessageId", UUID)


class Role(StrEnum):
    """The five roles on the wire; a user has one primary role."""

    SUPER_ADMIN = "super_admin"
    DOCTOR = "doctor"
    CLINIC_ADMIN = "clinic_admin"
    RECEPTIONIST = "receptionist"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says of its bearer; subject is the identity provider's id of the person."""

    subject: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    image_url: str | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody without an accepted token."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody we know, as the database knew them when this request began.

    is_superuser is set by configuration (``SUPERUSER_IDS``) and opens role-gated procedures; it does
    not change primary_role, so it opens no patient's record by itself. wait_s is how long, in whole seconds, the caller
    should have waited: more than 0 only for a procedure that lets what is urgent in above its limit, which is
    calls_a_minute. opened are the connections of other people that a doctor may look at in an emergency at this moment.
    """

    user_id: UserId
    subject: str
    primary_role: Role
    patient_id: PatientId | None = None
    doctor_id: DoctorId | None = None
    doctor_is_verified: bool = False
    is_superuser: bool = False
    wait_s: int = 0
    calls_a_minute: int = 0
    opened: frozenset[ConnectionId] = frozenset()


Actor = Visitor | Person
