"""Who may see or change what: the only roads to a record."""

from typing import Final

from anamnesis.care.model import Access, CareLink, ConnectionStatus, Standing
from anamnesis.kernel.errors import NotFound, NotPermitted
from anamnesis.kernel.identity import Person, Role

_ENDED: Final = "This connection has ended. What was written can still be read by the patient."


def access_connection(
    actor: Person, link: CareLink | None, *, writing: bool, what: str = "connection", oversight: bool = False
) -> Access:
    """Let one of the two people of a connection on, or somebody with oversight where that is allowed.

    A stranger learns nothing: what is not his is NotFound, like what does not exist. The two people of one that
    has ended get NotPermitted: the doctor for everything, the patient for writing. An unverified doctor sees
    nobody. Decided before anything that depends on the data.
    """
    standing = None if link is None else _standing(actor, link, oversight=oversight and not writing)
    if link is None or standing is None:
        raise NotFound(f"There is no such {what}.")
    if standing is Standing.DOCTOR and not link.doctor_is_verified:
        raise NotPermitted("Your account has not been verified yet.")
    is_active = link.status is ConnectionStatus.ACTIVE
    if not is_active and (writing or standing is Standing.DOCTOR):
        raise NotPermitted(_ENDED)
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


def _standing(actor: Person, link: CareLink, *, oversight: bool) -> Standing | None:
    if actor.user_id == link.patient_user_id:
        return Standing.PATIENT
    if actor.user_id == link.doctor_user_id:
        return Standing.DOCTOR
    return Standing.OVERSIGHT if oversight and actor.primary_role is Role.SUPER_ADMIN else None
