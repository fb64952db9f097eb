"""A small honest clinic of people, for actions that need no database."""

from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from anamnesis.care.model import CareLink, ConnectionStatus, KnownDoctor
from anamnesis.kernel.errors import Conflict
from anamnesis.kernel.identity import Claims, ConnectionId, DoctorId, PatientId, Person, Role, UserId


def a_person(role=Role.PATIENT, **known) -> Person:
    return Person(UserId(uuid4()), f"user_{uuid4().hex[:8]}", role, **known)


def a_patient() -> Person:
    return a_person(patient_id=PatientId(uuid4()))


def a_doctor(*, verified=True) -> Person:
    return a_person(Role.DOCTOR, doctor_id=DoctorId(uuid4()), doctor_is_verified=verified)


def a_link(patient: Person, doctor: Person, status=ConnectionStatus.ACTIVE) -> CareLink:
    return CareLink(
        ConnectionId(uuid4()),
        patient.patient_id,
        doctor.doctor_id,
        status,
        patient.user_id,
        doctor.user_id,
        doctor_is_verified=doctor.doctor_is_verified,
    )


@dataclass
class InMemoryCareStore:
    """Implements CareStore."""

    people: dict[str, tuple[Person, bool]] = field(default_factory=dict)
    links: dict[UUID, CareLink] = field(default_factory=dict)
    sources: dict[UUID, str] = field(default_factory=dict)
    audits: list[str] = field(default_factory=list)
    reads: int = 0
    spent: dict[str, int] = field(default_factory=dict)

    async def spend(self, spend):
        self.spent[spend.key] = self.spent.get(spend.key, 0) + 1
        return 60 if self.spent[spend.key] > spend.calls else 0

    async def find_person(self, subject, spend=None):
        self.reads += 1
        wait_s = 0 if spend is None else await self.spend(spend)
        found = self.people.get(subject)
        calls = 0 if spend is None else spend.calls
        return found and (replace(found[0], wait_s=wait_s, calls_a_minute=calls), found[1])

    async def add_person(self, claims: Claims):
        is_new = claims.subject not in self.people
        self.people.setdefault(claims.subject, (Person(UserId(uuid4()), claims.subject, Role.PATIENT), True))
        return is_new

    async def ensure_patient(self, user_id):
        for subject, (person, is_active) in self.people.items():
            if person.user_id == user_id:
                known = person.patient_id or PatientId(uuid4())
                self.people[subject] = (replace(person, patient_id=known), is_active)
                return known
        raise AssertionError("only somebody we know has a profile")

    async def link_of_connection(self, connection_id):
        return self.links.get(connection_id)

    async def find_doctor(self, doctor_id):
        for person, is_active in self.people.values():
            if person.doctor_id == doctor_id:
                return KnownDoctor(doctor_id, person.user_id, person.doctor_is_verified, is_active)
        return None

    async def connect(self, patient_id, doctor, source, actor):
        former = [x for x in self.links.values() if (x.patient_id, x.doctor_id) == (patient_id, doctor.doctor_id)]
        if former and former[0].status is not ConnectionStatus.DISCONNECTED:
            raise Conflict("You are already connected to this doctor.")
        link = former[0] if former else None
        connection_id = link.connection_id if link else ConnectionId(uuid4())
        self.links[connection_id] = CareLink(
            connection_id,
            patient_id,
            doctor.doctor_id,
            ConnectionStatus.ACTIVE,
            actor.user_id,
            doctor.user_id,
            doctor_is_verified=doctor.is_verified,
        )
        self.sources[connection_id] = source or self.sources.get(connection_id, "direct_url")
        self.audits.append("connection_created")
        return self._row(connection_id)

    async def disconnect(self, connection_id, actor, at):
        if self.links[connection_id].status is ConnectionStatus.ACTIVE:
            self.links[connection_id] = replace(self.links[connection_id], status=ConnectionStatus.DISCONNECTED)
            self.audits.append("connection_disconnected")
        return self._row(connection_id)

    def _row(self, connection_id):
        link = self.links[connection_id]
        return {
            "id": connection_id,
            "patient_id": link.patient_id,
            "doctor_id": link.doctor_id,
            "status": link.status.value,
            "connection_source": self.sources[connection_id],
        }
