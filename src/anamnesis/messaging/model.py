"""A message from one of two people to the other."""

from dataclasses import dataclass, field
from uuid import UUID

from anamnesis.care.model import Access
from anamnesis.clinical.terms import Acuity
from anamnesis.kernel.identity import Person


@dataclass(frozen=True, slots=True)
class Heard:
    """What code heard in a patient's words: how urgent they sound, whether they are a danger, and fixed advice."""

    acuity: Acuity = Acuity.ROUTINE
    is_danger: bool = False
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to send. client_message_id makes sending it again harmless.

    content is clean already, 1 to 5000 UTF-16 units; it stays out of a representation, so no trace of it is logged.
    """

    access: Access
    sender: Person
    content: str = field(repr=False)
    client_message_id: UUID | None = None
    acuity: Acuity = Acuity.ROUTINE

    @property
    def recipient_id(self) -> UUID:
        """The account on the other side."""
        link = self.access.link
        return link.doctor_user_id if self.sender.user_id == link.patient_user_id else link.patient_user_id
