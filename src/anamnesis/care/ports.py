"""What the use cases of this slice need of the world."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from anamnesis.care.model import CareLink
from anamnesis.kernel.identity import Claims, DoctorId, PatientId, Person, UserId

Row = Mapping[str, Any]


class CareStore(Protocol):
    """People and connections. Every method is one transaction; all may raise Unavailable."""

    async def find_person(self, subject: str) -> tuple[Person, bool] | None:
        """The person of this identity and whether the account is active."""
        ...

    async def add_person(self, claims: Claims) -> None:
        """Make an account for somebody seen for the first time; one that exists is left alone."""
        ...

    async def ensure_patient(self, user_id: UserId) -> PatientId:
        """The user's patient profile, made if there is none."""
        ...

    async def link_of_connection(self, connection_id: UUID) -> CareLink | None:
        """A connection with what access depends on."""
        ...

    async def connect(self, patient_id: PatientId, doctor_id: DoctorId, source: str | None, actor: Person) -> Row:
        """Connect, or connect again after a disconnect. Raises Conflict when connected or blocked."""
        ...

    async def disconnect(self, connection_id: UUID, actor: Person, at: datetime) -> Row:
        """End a connection; a blocked one stays as it is."""
        ...
