"""Who gets in, on people kept in memory."""

from dataclasses import replace
from uuid import UUID

import pytest

from anamnesis.care.actions import Door, connect, disconnect, patient_of, slug_for
from anamnesis.kernel.clock import SystemClock
from anamnesis.kernel.errors import Conflict, NotFound, NotPermitted, NotSignedIn, Unavailable
from anamnesis.kernel.identity import Claims, Role, Visitor
from anamnesis.kernel.procedures import Allow, Kind, Procedure, Request
from care.in_memory import InMemoryCareStore, a_doctor, a_person

SIGNED_OUT = Request("r1")


async def nothing(_):
    return None


def a_procedure(allow):
    return Procedure(name="a.b", kind=Kind.QUERY, handler=nothing, allow=allow)


def signed_in(person):
    return Request("r1", Claims(person.subject))


def a_clinic(*people, is_active=True):
    return InMemoryCareStore({person.subject: (person, is_active) for person in people})


async def test_without_a_token_only_what_is_public_opens():
    door = Door(InMemoryCareStore())
    assert await door.admit(a_procedure(Allow.PUBLIC), SIGNED_OUT) == Visitor()
    for allow in set(Allow) - {Allow.PUBLIC}:
        with pytest.raises(NotSignedIn):
            await door.admit(a_procedure(allow), SIGNED_OUT)


@pytest.mark.parametrize(
    ("allow", "roles"),
    [
        (Allow.PUBLIC, set(Role)),
        (Allow.PROTECTED, set(Role)),
        (Allow.PATIENT, set(Role)),
        (Allow.DOCTOR, {Role.SUPER_ADMIN, Role.DOCTOR}),
        (Allow.ADMIN, {Role.SUPER_ADMIN}),
    ],
)
async def test_a_role_opens_what_it_opens_and_nothing_else(allow, roles):
    for role in Role:
        person = a_person(role)
        door = Door(a_clinic(person))
        if role in roles:
            assert await door.admit(a_procedure(allow), signed_in(person)) == person
        else:
            with pytest.raises(NotPermitted):
                await door.admit(a_procedure(allow), signed_in(person))


async def test_a_superuser_passes_every_gate_and_keeps_the_role():
    person = a_person()
    door = Door(a_clinic(person), superusers={person.subject})
    for allow in Allow:
        admitted = await door.admit(a_procedure(allow), signed_in(person))
        assert admitted == replace(person, is_superuser=True)


@pytest.mark.proves("J6")
async def test_somebody_never_seen_before_is_a_patient_without_a_profile():
    store = InMemoryCareStore()
    person = await Door(store).admit(a_procedure(Allow.PATIENT), Request("r1", Claims("user_new")))
    assert (person.primary_role, person.patient_id, person.is_superuser) == (Role.PATIENT, None, False)
    assert list(store.people) == ["user_new"]


async def test_a_person_is_read_once_in_each_request_and_never_remembered():
    person = a_person()
    store = a_clinic(person)
    door = Door(store)
    await door.admit(a_procedure(Allow.PROTECTED), signed_in(person))
    assert store.reads == 1
    store.people[person.subject] = (person, False)
    with pytest.raises(NotPermitted):
        await door.admit(a_procedure(Allow.PROTECTED), signed_in(person))


@pytest.mark.proves("J6")
async def test_somebody_deactivated_may_do_what_anybody_may_and_no_more():
    person = a_person(Role.SUPER_ADMIN)
    door = Door(a_clinic(person, is_active=False), superusers={person.subject})
    assert await door.admit(a_procedure(Allow.PUBLIC), signed_in(person)) == Visitor()
    for allow in set(Allow) - {Allow.PUBLIC}:
        with pytest.raises(NotPermitted):
            await door.admit(a_procedure(allow), signed_in(person))


async def test_an_account_that_cannot_be_made_is_a_failure_of_ours():
    class Forgetful(InMemoryCareStore):
        async def add_person(self, claims):
            pass

    with pytest.raises(Unavailable):
        await Door(Forgetful()).admit(a_procedure(Allow.PROTECTED), Request("r1", Claims("user_new")))


async def test_a_patients_profile_is_made_once_by_whoever_needs_it():
    person = a_person()
    store = a_clinic(person)
    made = await patient_of(person, store=store)
    assert await patient_of(person, store=store) == made
    assert await patient_of(store.people[person.subject][0], store=store) == made


async def test_a_doctor_gets_no_patient_profile_unasked():
    doctor = a_doctor()
    with pytest.raises(NotFound):
        await patient_of(doctor, store=a_clinic(doctor))


async def test_a_connection_is_made_ended_and_made_again_as_the_same():
    person, doctor = a_person(), a_doctor()
    store = a_clinic(person, doctor)
    first = await connect(person, doctor.doctor_id, "qr_scan", store=store)
    with pytest.raises(Conflict):
        await connect(person, doctor.doctor_id, None, store=store)
    ended = await disconnect(person, first["id"], store=store, clock=SystemClock())
    assert ended["status"] == "disconnected"
    with pytest.raises(NotPermitted):
        await disconnect(person, first["id"], store=store, clock=SystemClock())
    assert await connect(person, doctor.doctor_id, None, store=store) == first
    assert store.audits == ["connection_created", "connection_disconnected", "connection_created"]


async def test_a_refused_connection_leaves_no_profile_behind():
    person, doctor = a_person(), a_doctor(verified=False)
    store = a_clinic(person, doctor)
    with pytest.raises(NotPermitted):
        await connect(person, doctor.doctor_id, None, store=store)
    assert store.people[person.subject][0].patient_id is None


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("Zoë Nakató", "zoe-nakato-"),
        ("  ", "doctor-"),
        ("李 医生", "doctor-"),
        ("../../etc/passwd", "etc-passwd-"),
        ("x" * 200, "x" * 60 + "-"),
    ],
)
def test_a_doctors_address_is_plain_letters_and_something_nobody_else_has(name, begins):
    slug = slug_for(name, UUID(int=1))
    assert slug == begins + "00000000"
