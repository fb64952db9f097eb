"""Who may see or change what: the only roads to a record."""

from typing import Final

from anamnesis.care.model import Access, CareLink, ConnectionStatus, KnownDoctor, Standing
from anamnesis.kernel.errors import NotFound, NotPermitted
from anamnesis.kernel.identity import ConnectionId, DoctorId, Person, Role
from anamnesis.kernel.trail import concerns

_IF_URGENT: Final = "If it is urgent, go to the nearest hospital or call 999 or 112."
_GONE: Final = f"This doctor cannot be reached here any more, so nothing was sent. {_IF_URGENT}"
_PURPOSES: Final = {
    Standing.PATIENT: "own",
    Standing.DOCTOR: "care",
    Standing.OVERSIGHT: "oversight",
    Standing.EMERGENCY: "break_glass",
}
_ENDED: Final = "This connection has ended. What was written can still be read by the patient."
#: What the patient of one that has ended is told on writing: whoever would have read it does not any more.
ENDED_FOR_PATIENT: Final = f"This connection has ended, so nothing was sent. {_IF_URGENT}"


def access_connection(
    actor: Person,
    link: CareLink | None,
    *,
    writing: bool,
    what: str = "connection",
    oversight: bool = False,
    leaving: bool = False,
) -> Access:
    """Let one of the two people of a connection on, or somebody with oversight where that is allowed.

    What it lets on to goes into the audit line of the call. A doctor who has broken the glass reads what oversight may.
    A stranger learns nothing: what is not his is NotFound, like what does not exist. The two people of one that
    has ended get NotPermitted: the doctor for everything, the patient for writing. An unverified doctor sees
    nobody. A patient writes to nobody who is gone, but may always leave them. Decided before anything that depends
    on the data.
    """
    standing = None if link is None else _standing(actor, link, oversight=oversight and not writing)
    if link is None or standing is None:
        raise NotFound(f"There is no such {what}.")
    if standing is Standing.DOCTOR and not link.doctor_is_verified:
        raise NotPermitted("Your account has not been verified yet.")
    is_active = link.status is ConnectionStatus.ACTIVE
    if not is_active and (writing or standing is Standing.DOCTOR):
        raise NotPermitted(_ENDED if standing is Standing.DOCTOR else ENDED_FOR_PATIENT)
    if writing and not leaving and standing is Standing.PATIENT and not link.doctor_is_there:
        raise NotPermitted(_GONE)
    concerns(link.patient_id, purpose=_PURPOSES[standing])
    return Access(link, standing)


def access_as_patient(actor: Person, link: CareLink | None, *, writing: bool, what: str) -> Access:
    """As access_connection, for what only the patient of the connection may do."""
    access = access_connection(actor, link, writing=writing, what=what)
    if access.standing is not Standing.PATIENT:
        raise NotPermitted("Only the patient may do this.")
    return access


def access_as_clinician(actor: Person, link: CareLink | None, *, writing: bool, what: str) -> Access:
    """As access_connection, for what only the doctor of the connection may do, or oversight may read."""
    access = access_connection(actor, link, writing=writing, what=what, oversight=True)
    if access.standing is Standing.PATIENT:
        raise NotPermitted("Only the doctor may do this.")
    return access


def access_in_emergency(actor: Person, link: CareLink | None) -> ConnectionId:
    """Let a verified doctor who is neither of the two open a connection's cases in an emergency.

    Only whom an operator has verified learns in this way whether there is such a case. Raises NotPermitted for
    everybody else, and for the two, whose access does not come from here; NotFound.
    """
    if verified_doctor(actor) is None:
        raise NotPermitted("Only a verified doctor may do this.")
    if link is None:
        raise NotFound("There is no such session.")
    if actor.user_id in (link.patient_user_id, link.doctor_user_id):
        raise NotPermitted("This is your own connection; there is no glass to break.")
    concerns(link.patient_id, purpose=_PURPOSES[Standing.EMERGENCY])
    return link.connection_id


def access_doctor(actor: Person, doctor: KnownDoctor | None) -> KnownDoctor:
    """Let a patient connect to a doctor who may take patients.

    Raises NotPermitted for a caller who is a doctor and for a doctor not verified, NotFound for none or one who left.
    """
    if actor.doctor_id is not None:
        raise NotPermitted("A doctor's account cannot be connected as a patient.")
    if doctor is None or not doctor.is_active:
        raise NotFound("There is no such doctor.")
    if not doctor.is_verified:
        raise NotPermitted("This doctor has not been verified yet.")
    return doctor


def sees_patients(actor: Person) -> bool:
    """Whether a doctor may see any patient at all: not before an operator has verified who that is."""
    return verified_doctor(actor) is not None


def verified_doctor(actor: Person) -> DoctorId | None:
    """The doctor profile as which the caller sees patients; None without one, and before it was verified."""
    return actor.doctor_id if actor.doctor_is_verified else None


def doctor_who_sees_patients(actor: Person) -> DoctorId:
    """The same for what only such a doctor can be answered. Raises NotFound."""
    doctor_id = verified_doctor(actor)
    if doctor_id is None:
        raise NotFound("You have no verified doctor profile.")
    return doctor_id


def names_patient_to_doctor(status: ConnectionStatus) -> bool:
    """Whether a doctor's list names the patient: a patient who left is not the doctor's to look up any more."""
    return status is ConnectionStatus.ACTIVE


def _standing(actor: Person, link: CareLink, *, oversight: bool) -> Standing | None:
    if actor.user_id == link.patient_user_id:
        return Standing.PATIENT
    if actor.user_id == link.doctor_user_id:
        return Standing.DOCTOR
    if not oversight:
        return None
    if verified_doctor(actor) is not None and link.connection_id in actor.opened:
        return Standing.EMERGENCY
    return Standing.OVERSIGHT if actor.primary_role is Role.SUPER_ADMIN else None
