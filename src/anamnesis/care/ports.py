"""What the use cases of this slice need of the world."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from anamnesis.care.model import CareLink, KnownDoctor, Spend
from anamnesis.kernel.identity import Claims, DoctorId, PatientId, Person, UserId

Row = Mapping[str, Any]


class CareStore(Protocol):
    """People and connections. Every method is one transaction; all may raise Unavailable."""

    async def find_person(self, subject: str, spend: Spend | None = None) -> tuple[Person, bool] | None:
        """The person of this identity and whether the account is active.

        With spend the call is counted in the same step; the person's wait_s tells of one too many.
        """
        ...

    async def spend(self, spend: Spend) -> int:
        """Count a call; answers how many whole seconds too early it is, 0 when it is allowed."""
        ...

    async def add_person(self, claims: Claims) -> bool:
        """Make an account for somebody seen for the first time, and answer whether this did; one there is stays."""
        ...

    async def ensure_patient(self, user_id: UserId) -> PatientId:
        """The user's patient profile, made if there is none."""
        ...

    async def link_of_connection(self, connection_id: UUID) -> CareLink | None:
        """A connection with what access depends on."""
        ...

    async def find_doctor(self, doctor_id: DoctorId) -> KnownDoctor | None:
        """A doctor with what being connected to one depends on."""
        ...

    async def connect(self, patient_id: PatientId, doctor: KnownDoctor, source: str | None, actor: Person) -> Row:
        """Connect, or connect again after a disconnect, with the doctor's notification and an audit line.

        source None keeps what a former connection says, and is a direct address for a new one.
        Raises Conflict when connected or blocked; of many at once, exactly one connects.
        """
        ...

    async def disconnect(self, connection_id: UUID, actor: Person, at: datetime) -> Row:
        """End a connection, with an audit line; one that is not active stays as it is, and nothing is audited."""
        ...
