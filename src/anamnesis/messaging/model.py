"""A message from one of two people to the other."""

from dataclasses import dataclass
from uuid import UUID

from anamnesis.care.model import Access
from anamnesis.kernel.identity import Person


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to send. client_message_id makes sending it again harmless."""

    access: Access
    sender: Person
    content: str
    client_message_id: UUID | None

    @property
    def recipient_id(self) -> UUID:
        """The account on the other side."""
        link = self.access.link
        return link.doctor_user_id if self.sender.user_id == link.patient_user_id else link.patient_user_id
