"""What the present call is, for the line it leaves in the audit trail.

The edge says who calls what, policy says whose record was opened and why, and the database writes the line with the
first statement after that: in the same statement, or in the transaction it belongs to. A call for which none of this
happened leaves its line at its end, before anybody sees its answer.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from anamnesis.kernel.health_data import WITHOUT
from anamnesis.kernel.identity import Actor, Person

#: Where an input names what a call is about, the most exact first, and what that is called in the trail.
_SUBJECTS: Final = (
    ("file_id", "file"),
    ("session_id", "intake_session"),
    ("connection_id", "connection"),
    ("patient_id", "patient"),
    ("doctor_id", "doctor"),
)

Line = Mapping[str, object]


@dataclass(slots=True)
class Trail:
    """One call. is_due: its line can be written; is_written: it is, or will be with what is being done.

    A quiet one owes no line of its own, because it touches no health data; what it changes may still be told. A reading
    one changes nothing else, so its line need not wait for the disk.
    """

    procedure: str
    user_id: UUID | None = None
    role: str | None = None
    request_id: str = ""
    kind: str = ""
    subject: str | None = None
    own_patient_id: UUID | None = None
    patients: set[UUID] = field(default_factory=set)
    purpose: str | None = None
    is_quiet: bool = False
    is_reading: bool = False
    is_due: bool = False
    is_written: bool = False

    def line(
        self, *, action: str | None = None, kind: str = "", subject: str | None = None, metadata: Line | None = None
    ) -> Line:
        """The line as columns; action and what it is about are the call's own unless given."""
        patients = self.patients or ({self.own_patient_id} if self.own_patient_id else set())
        return {
            "user_id": self.user_id,
            "actor_role": self.role,
            "action": action or self.procedure,
            "procedure": self.procedure,
            "resource_type": kind or self.kind,
            "resource_id": subject or self.subject,
            "patient_ids": sorted(patients) or None,
            "request_id": self.request_id or None,
            "purpose": self.purpose,
            "metadata": metadata,
        }

    def take(self) -> bool:
        """Whether the line is to be written now; who is told so writes it."""
        is_mine = self.is_due and self.is_owed
        self.is_written = self.is_written or is_mine
        return is_mine

    @property
    def is_owed(self) -> bool:
        """Whether the line has still to be written."""
        return not self.is_quiet and not self.is_written

    def again(self) -> None:
        """Begin the next part of a stream, which leaves a line of its own."""
        self.is_due = self.is_written = False


_PRESENT: Final[ContextVar[Trail | None]] = ContextVar("trail", default=None)


def trail_of(procedure: str, actor: Actor, request_id: str, given: object = None, *, is_reading: bool = False) -> Trail:
    """The trail of a call."""
    kind, subject = _subject(procedure, given)
    is_quiet = procedure in WITHOUT
    trail = Trail(
        procedure, request_id=request_id, kind=kind, subject=subject, is_quiet=is_quiet, is_reading=is_reading
    )
    if isinstance(actor, Person):
        trail.user_id, trail.role = actor.user_id, actor.primary_role.value
        trail.own_patient_id = actor.patient_id
    return trail


def job_trail(kind: str, subject: UUID, request_id: str, *, about: str = "intake_session") -> Trail:
    """The trail of work the service does by itself on what it is about; its line goes with its first statement."""
    return Trail(f"job.{kind}", None, "system", request_id, about, str(subject), purpose="care", is_due=True)


def present() -> Trail | None:
    """The call this task is part of."""
    return _PRESENT.get()


@contextmanager
def following(trail: Trail | None) -> Iterator[None]:
    """Be part of this call inside the block, and in the tasks it starts."""
    token = _PRESENT.set(trail)
    try:
        yield
    finally:
        _PRESENT.reset(token)


@contextmanager
def kept() -> Iterator[None]:
    """What is undone by an error in the block leaves the line to be written again."""
    trail = _PRESENT.get()
    was_written = trail is not None and trail.is_written
    try:
        yield
    except BaseException:
        if trail is not None:
            trail.is_written = was_written
        raise


def concerns(*patients: UUID, purpose: str | None = None) -> None:
    """Whose record the present call has been let on to, and why; its line goes with what it does next."""
    trail = _PRESENT.get()
    if trail is not None:
        trail.patients.update(patients)
        trail.purpose = purpose or trail.purpose
        trail.is_due = True


def _subject(procedure: str, given: object) -> tuple[str, str | None]:
    for name, kind in _SUBJECTS:
        value = getattr(given, name, None)
        if value:
            return kind, str(value)
    return procedure.partition(".")[0], None
