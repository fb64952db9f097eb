"""For whom statements are made: row-level security goes by it, and it is said anew in every transaction.

Who speaks is known at the edge (a person, a visitor) and by what works on the service's own behalf, which names its
purpose. Whoever says nothing sees no health data and writes none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from anamnesis.kernel.identity import Actor, PatientId, Person, Role, Visitor


class Purpose(StrEnum):
    """What the service does on its own behalf; the policies in the migrations say what each may see and write."""

    VISIT = "visit"  # showing what anybody may see
    ACCOUNTS = "accounts"  # making accounts and settling what the identity provider tells of them
    JOBS = "jobs"  # what was left for later, about any patient
    UPKEEP = "upkeep"  # clearing up what was never finished
    OPERATIONS = "operations"  # telling operators what is stuck
    IMPORT = "import"  # taking over the replaced system's data
    MIGRATION = "migration"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whom a transaction speaks for, as the statements that say so and end with it."""

    said: str


def viewer_of(actor: Actor) -> Viewer:
    """A caller as the door knew them. Only a verified doctor is one here, and only the role of operators oversees."""
    match actor:
        case Visitor():
            return at_work(Purpose.VISIT)
        case Person():
            # Ids are UUIDs and everything else is a constant: no text of anybody's stands in these statements.
            said = f"SET LOCAL anamnesis.user_id = '{actor.user_id}';"
            if actor.patient_id is not None:
                said += f"SET LOCAL anamnesis.patient_id = '{actor.patient_id}';"
            if actor.doctor_id is not None and actor.doctor_is_verified:
                said += f"SET LOCAL anamnesis.doctor_id = '{actor.doctor_id}';"
            if actor.primary_role is Role.SUPER_ADMIN:
                said += "SET LOCAL anamnesis.operator = 'oversight';"
            elif actor.is_superuser:
                said += "SET LOCAL anamnesis.operator = 'accounts';"
            return Viewer(said)


def at_work(purpose: Purpose) -> Viewer:
    """The service itself, for one of its purposes."""
    return Viewer(f"SET LOCAL anamnesis.purpose = '{purpose.value}';")


_VIEWER: Final[ContextVar[Viewer | None]] = ContextVar("viewer", default=None)


def viewer() -> Viewer | None:
    """Whom this task speaks for at this moment."""
    return _VIEWER.get()


@contextmanager
def viewing(somebody: Viewer) -> Iterator[None]:
    """Speak for somebody inside the block, and in the tasks it starts."""
    token = _VIEWER.set(somebody)
    try:
        yield
    finally:
        _VIEWER.reset(token)


def now_a_patient(patient_id: PatientId) -> None:
    """Speak for this patient too, until the enclosing viewing() ends: the profile was made by this very call."""
    somebody = _VIEWER.get()
    if somebody is not None:
        _VIEWER.set(Viewer(f"{somebody.said}SET LOCAL anamnesis.patient_id = '{patient_id}';"))
