"""What people do: come in, connect, part."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from anamnesis.care.policy import access_connection
from anamnesis.care.ports import CareStore, Row
from anamnesis.kernel.clock import Clock
from anamnesis.kernel.errors import NotPermitted, NotSignedIn, Unavailable
from anamnesis.kernel.identity import Actor, Claims, DoctorId, PatientId, Person, Role, Visitor
from anamnesis.kernel.procedures import Allow, Procedure, Request

_ROLES: Final[dict[Allow, frozenset[Role]]] = {
    Allow.PATIENT: frozenset(Role),
    Allow.DOCTOR: frozenset({Role.SUPER_ADMIN, Role.DOCTOR}),
    Allow.ADMIN: frozenset({Role.SUPER_ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Door:
    """Lets callers in, by what the database knows of them at this moment."""

    store: CareStore
    superusers: Collection[str] = ()

    async def admit(self, procedure: Procedure, request: Request) -> Actor:
        """The caller. Raises NotSignedIn, NotPermitted or Unavailable.

        Somebody with a valid token whom we have never seen gets an account as a patient.
        """
        if request.claims is None:
            if procedure.allow is Allow.PUBLIC:
                return Visitor()
            raise NotSignedIn
        person = await self._known(request.claims)
        allowed = _ROLES.get(procedure.allow)
        if allowed is not None and person.primary_role not in allowed and not person.is_superuser:
            raise NotPermitted("Your account may not do this.")
        return person

    async def _known(self, claims: Claims) -> Person:
        found = await self.store.find_person(claims.subject)
        if found is None:
            await self.store.add_person(claims)
            found = await self.store.find_person(claims.subject)
        if found is None:
            raise Unavailable
        person, is_active = found
        if not is_active:
            raise NotPermitted("This account has been deactivated.")
        return replace(person, is_superuser=True) if person.subject in self.superusers else person


async def patient_of(actor: Person, *, store: CareStore) -> PatientId:
    """The caller's patient profile, made by the first call that needs it."""
    return actor.patient_id or await store.ensure_patient(actor.user_id)


async def connect(actor: Person, doctor_id: UUID, source: str | None, *, store: CareStore) -> Row:
    """Connect a patient to a doctor. Raises NotPermitted for a doctor, NotFound, Conflict."""
    if actor.doctor_id is not None:
        raise NotPermitted("A doctor's account cannot be connected as a patient.")
    patient_id = await patient_of(actor, store=store)
    return await store.connect(patient_id, DoctorId(doctor_id), source, actor)


async def disconnect(actor: Person, connection_id: UUID, *, store: CareStore, clock: Clock) -> Row:
    """End a connection, for either of its two people. Raises NotFound."""
    access_connection(actor, await store.link_of_connection(connection_id), writing=True)
    return await store.disconnect(connection_id, actor, clock.now())


def slug_for(name: str, unique: UUID) -> str:
    """A doctor's public address: the name in plain letters and something nobody else has."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "doctor"
    return f"{words[:60]}-{unique.hex[:8]}"
