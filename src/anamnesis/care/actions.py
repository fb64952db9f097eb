"""What people do: come in, connect, part."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from anamnesis.care.model import Spend
from anamnesis.care.policy import access_connection, access_doctor
from anamnesis.care.ports import CareStore, Row
from anamnesis.kernel.clock import Clock
from anamnesis.kernel.errors import NotFound, NotPermitted, NotSignedIn, TooManyRequests, Unavailable
from anamnesis.kernel.identity import Actor, Claims, DoctorId, PatientId, Person, Role, Visitor
from anamnesis.kernel.procedures import Allow, Procedure, Request

_ROLES: Final[dict[Allow, frozenset[Role]]] = {
    Allow.PATIENT: frozenset(Role),
    Allow.DOCTOR: frozenset({Role.SUPER_ADMIN, Role.DOCTOR}),
    Allow.ADMIN: frozenset({Role.SUPER_ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Door:
    """Lets callers in, by what the database knows of them at this moment.

    rates are calls a minute, for each caller and procedure, by whom a procedure is for; a kind without one is not
    counted. A caller is an account, and a visitor the address. uploads is the same for what takes files.
    """

    store: CareStore
    superusers: Collection[str] = ()
    rates: Mapping[Allow, int] = field(default_factory=dict)
    uploads: int | None = None

    async def admit(self, procedure: Procedure, request: Request) -> Actor:
        """The caller. Raises NotSignedIn, NotPermitted, TooManyRequests or Unavailable.

        Somebody with a valid token whom we have never seen gets an account as a patient.
        """
        if request.claims is None:
            if procedure.allow is Allow.PUBLIC:
                return await self._visitor(procedure, request)
            raise NotSignedIn
        spend = self._spend(procedure, request.claims.subject)
        person, is_active = await self._known(request.claims, spend)
        if person.wait_s and procedure.is_urgent is None:
            raise TooManyRequests(person.wait_s, self._rate(procedure) or 0)
        if not is_active:
            return _deactivated(procedure)
        allowed = _ROLES.get(procedure.allow)
        if allowed is not None and person.primary_role not in allowed and not person.is_superuser:
            raise NotPermitted("Your account may not do this.")
        return person

    async def _visitor(self, procedure: Procedure, request: Request) -> Visitor:
        spend = self._spend(procedure, request.peer)
        wait_s = 0 if spend is None else await self.store.spend(spend)
        if wait_s:
            raise TooManyRequests(wait_s, self.rates[procedure.allow])
        return Visitor()

    def _spend(self, procedure: Procedure, caller: str) -> Spend | None:
        calls = self._rate(procedure)
        return None if calls is None else Spend(f"{caller}:{procedure.allow}:{procedure.name}", calls)

    def _rate(self, procedure: Procedure) -> int | None:
        if procedure.takes_files:
            return self.uploads
        calls = self.rates.get(procedure.allow)
        return None if calls is None else calls * procedure.at_once

    async def _known(self, claims: Claims, spend: Spend | None) -> tuple[Person, bool]:
        found = await self.store.find_person(claims.subject, spend)
        if found is None:
            is_first = await self.store.add_person(claims)
            # Of many first calls at once one makes the account; the others are counted like anybody's.
            found = await self.store.find_person(claims.subject, None if is_first else spend)
        if found is None:
            raise Unavailable
        person, is_active = found
        return replace(person, is_superuser=person.subject in self.superusers), is_active


def _deactivated(procedure: Procedure) -> Visitor:
    """Whoever lost an account may still do what anybody may."""
    if procedure.allow is Allow.PUBLIC:
        return Visitor()
    raise NotPermitted("This account has been deactivated.")


async def check_again(actor: Person, *, store: CareStore) -> None:
    """See that what a stream was opened with still holds: an account, its role, a verified doctor, an emergency.

    Raises NotPermitted; a client that may listen in another way connects again.
    """
    found = await store.find_person(actor.subject)
    if found is None or not found[1]:
        raise NotPermitted("This account has been deactivated.")
    now = found[0]
    stands = (now.primary_role, now.doctor_id, now.doctor_is_verified)
    if stands != (actor.primary_role, actor.doctor_id, actor.doctor_is_verified) or not actor.opened <= now.opened:
        raise NotPermitted("What this account may see has changed. Please connect again.")


async def patient_of(actor: Person, *, store: CareStore) -> PatientId:
    """The caller's patient profile, made by the first call that needs it.

    Raises NotFound for a doctor without one: to make it unasked would turn the doctor's own lists into a patient's.
    """
    if actor.patient_id is not None:
        return actor.patient_id
    if actor.doctor_id is not None:
        raise NotFound("You have no patient profile yet.")
    return await store.ensure_patient(actor.user_id)


async def connect(actor: Person, doctor_id: UUID, source: str | None, *, store: CareStore) -> Row:
    """Connect a patient to a doctor. Raises NotPermitted for a doctor, NotFound, Conflict."""
    doctor = access_doctor(actor, await store.find_doctor(DoctorId(doctor_id)))
    return await store.connect(await patient_of(actor, store=store), doctor, source, actor)


async def disconnect(actor: Person, connection_id: UUID, *, store: CareStore, clock: Clock) -> Row:
    """End a connection, for either of its two people. Raises NotFound, NotPermitted when it has ended before."""
    access_connection(actor, await store.link_of_connection(connection_id), writing=True, leaving=True)
    return await store.disconnect(connection_id, actor, clock.now())


def slug_for(name: str, unique: UUID) -> str:
    """A doctor's public address: the name in plain letters and something nobody else has."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "doctor"
    return f"{words[:60]}-{unique.hex[:8]}"
