"""Breaking the glass: a doctor who is not connected opens a case in an emergency, for half an hour, never quietly."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from anamnesis.care.policy import access_in_emergency
from anamnesis.handover.api import Call
from anamnesis.kernel.procedures import Allow, Procedures, Rest
from anamnesis.schema import Input, Output, Uuid, text

procedures = Procedures()


class Emergency(Input):
    """Which case, and why it cannot wait; reason is kept for whoever reviews it, and shown to nobody else."""

    session_id: Uuid
    reason: Annotated[str, text(10, 500)]


class Opened(Output):
    """Until when the connection's cases can be read."""

    session_id: UUID
    connection_id: UUID
    ends_at: datetime


@procedures.mutation(
    "handover.breakGlass",
    allow=Allow.DOCTOR,
    input=Emergency,
    output=Opened,
    rest=Rest("POST", "/doctor/cases/{sessionId}/emergency", 201),
)
async def break_glass(call: Call, body: Emergency) -> Opened:
    """Read the cases of a stranger's connection for 30 minutes; patient, doctor and operators are told of it."""
    _, link = await call.services.store.case(body.session_id)
    connection_id = access_in_emergency(call.person, link)
    ends_at = await call.services.store.break_glass(body.session_id, connection_id, call.person, body.reason)
    return Opened(session_id=body.session_id, connection_id=connection_id, ends_at=ends_at)
