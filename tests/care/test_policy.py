"""Who may see whom, as one table."""

from itertools import product

import pytest

from anamnesis.care.model import ConnectionStatus, KnownDoctor, Standing
from anamnesis.care.policy import (
    access_as_clinician,
    access_as_patient,
    access_connection,
    access_doctor,
    names_patient_to_doctor,
    sees_patients,
)
from anamnesis.kernel.errors import NotFound, NotPermitted
from anamnesis.kernel.identity import DoctorId, Role
from care.in_memory import a_doctor, a_link, a_patient, a_person

ACTIVE, DISCONNECTED, BLOCKED = ConnectionStatus
ENDED = (DISCONNECTED, BLOCKED)


def outcome(decide, *arguments, **options):
    try:
        return decide(*arguments, **options).standing
    except (NotFound, NotPermitted) as refused:
        return type(refused)


@pytest.mark.parametrize(
    ("status", "verified", "writing", "patient_gets", "doctor_gets"),
    [
        (ACTIVE, True, False, Standing.PATIENT, Standing.DOCTOR),
        (ACTIVE, True, True, Standing.PATIENT, Standing.DOCTOR),
        (ACTIVE, False, False, Standing.PATIENT, NotPermitted),
        (ACTIVE, False, True, Standing.PATIENT, NotPermitted),
        *(
            (ended, verified, False, Standing.PATIENT, NotPermitted)
            for ended, verified in product(ENDED, (True, False))
        ),
        *((ended, verified, True, NotPermitted, NotPermitted) for ended, verified in product(ENDED, (True, False))),
    ],
)
def test_the_two_people_of_a_connection(status, verified, writing, patient_gets, doctor_gets):
    patient, doctor = a_patient(), a_doctor(verified=verified)
    link = a_link(patient, doctor, status)
    assert outcome(access_connection, patient, link, writing=writing) == patient_gets
    assert outcome(access_connection, doctor, link, writing=writing) == doctor_gets


@pytest.mark.parametrize("ended", ENDED)
def test_a_patient_who_writes_where_nobody_reads_any_more_is_told_what_to_do_if_it_is_urgent(ended):
    patient, doctor = a_patient(), a_doctor()
    with pytest.raises(NotPermitted, match="nearest hospital or call 999"):
        access_connection(patient, a_link(patient, doctor, ended), writing=True)


@pytest.mark.parametrize("stranger", [a_patient(), a_doctor(), a_person(), *(a_person(role) for role in Role)])
@pytest.mark.parametrize(("status", "writing"), list(product(ConnectionStatus, (True, False))))
@pytest.mark.proves("I29")
def test_a_stranger_meets_the_same_words_as_for_what_does_not_exist(stranger, status, writing):
    said = []
    for link in (a_link(a_patient(), a_doctor(), status), None):
        with pytest.raises(NotFound) as refused:
            access_connection(stranger, link, writing=writing)
        said.append(str(refused.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("oversight", [True, False])
def test_an_unverified_doctor_is_told_of_that_before_anything_about_the_connection(oversight):
    patient, doctor = a_patient(), a_doctor(verified=False)
    said = set()
    for status in ConnectionStatus:
        with pytest.raises(NotPermitted) as refused:
            access_connection(doctor, a_link(patient, doctor, status), writing=False, oversight=oversight)
        said.add(str(refused.value))
    assert len(said) == 1


@pytest.mark.parametrize(("writing", "oversight"), list(product((True, False), (True, False))))
def test_oversight_reads_where_it_is_allowed_and_never_writes(writing, oversight):
    operator = a_person(Role.SUPER_ADMIN)
    link = a_link(a_patient(), a_doctor())
    got = outcome(access_connection, operator, link, writing=writing, oversight=oversight)
    assert got == (Standing.OVERSIGHT if oversight and not writing else NotFound)


def test_a_superuser_by_configuration_has_no_oversight_of_records():
    operator = a_person(is_superuser=True)
    link = a_link(a_patient(), a_doctor())
    assert outcome(access_connection, operator, link, writing=False, oversight=True) is NotFound


def test_somebody_who_was_made_operator_still_acts_as_the_patient_they_are():
    patient = a_person(Role.SUPER_ADMIN, patient_id=a_patient().patient_id)
    link = a_link(patient, a_doctor())
    assert outcome(access_connection, patient, link, writing=True, oversight=True) is Standing.PATIENT


def test_what_only_one_of_the_two_may_do_the_other_is_refused():
    patient, doctor = a_patient(), a_doctor()
    link = a_link(patient, doctor)
    assert outcome(access_as_patient, patient, link, writing=True, what="session") is Standing.PATIENT
    assert outcome(access_as_patient, doctor, link, writing=True, what="session") is NotPermitted
    assert outcome(access_as_clinician, doctor, link, writing=True, what="session") is Standing.DOCTOR
    assert outcome(access_as_clinician, patient, link, writing=True, what="session") is NotPermitted


def a_known_doctor(**changed) -> KnownDoctor:
    doctor = a_doctor()
    return KnownDoctor(
        DoctorId(doctor.doctor_id), doctor.user_id, **{"is_verified": True, "is_active": True, **changed}
    )


@pytest.mark.parametrize(
    ("actor", "doctor", "refused"),
    [
        (a_patient(), None, NotFound),
        (a_patient(), a_known_doctor(is_active=False), NotFound),
        (a_patient(), a_known_doctor(is_verified=False), NotPermitted),
        (a_doctor(), a_known_doctor(), NotPermitted),
        (a_doctor(), None, NotPermitted),
    ],
)
def test_who_may_not_be_connected(actor, doctor, refused):
    with pytest.raises(refused):
        access_doctor(actor, doctor)


def test_a_verified_doctor_who_is_there_takes_a_patient():
    doctor = a_known_doctor()
    assert access_doctor(a_patient(), doctor) is doctor


def test_a_doctor_names_patients_of_active_connections_only():
    assert [status for status in ConnectionStatus if names_patient_to_doctor(status)] == [ACTIVE]


def test_only_a_verified_doctor_sees_patients():
    assert sees_patients(a_doctor())
    assert not sees_patients(a_doctor(verified=False))
    assert not sees_patients(a_patient())
