"""Who may see which file of a case."""

from anamnesis.care.model import Access, CareLink, Standing
from anamnesis.care.policy import access_connection
from anamnesis.files.model import StoredFile
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.identity import Person


def access_files(actor: Person, link: CareLink | None, *, writing: bool) -> Access:
    """Let somebody on to the files of a session, as to the session itself."""
    return access_connection(actor, link, writing=writing, what="session", oversight=True)


def is_shown(file: StoredFile, access: Access) -> bool:
    """Whether a file is for this viewer: a patient sees the patient's own, never what a doctor added to the case."""
    return access.standing is not Standing.PATIENT or file.uploader_id == access.link.patient_user_id


def access_file(actor: Person, file: StoredFile | None, link: CareLink) -> StoredFile:
    """A file, for whoever may see it; None is one that the database does not show them.

    Raises NotFound, also for what only a doctor may see, and NotPermitted.
    """
    access = access_connection(actor, link, writing=False, what="file", oversight=True)
    if file is None or not is_shown(file, access):
        raise NotFound("There is no such file.")
    return file
