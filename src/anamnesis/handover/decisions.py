"""A clinician's decision about urgency: it may be lowered, with a reason, and later danger raises it again."""

from typing import Annotated, Literal
from uuid import UUID

from anamnesis.care.policy import access_as_clinician
from anamnesis.clinical.lowering import basis, lowered
from anamnesis.clinical.record import record_from_json
from anamnesis.clinical.terms import Acuity
from anamnesis.handover.api import Call
from anamnesis.kernel.errors import Conflict, refused
from anamnesis.kernel.procedures import Allow, Procedures, Rest
from anamnesis.schema import ONE_OF, Input, Output, Uuid, text

procedures = Procedures()

_TRIES = 5
_LEVELS = {"routine": Acuity.ROUTINE, "urgent": Acuity.URGENT}


class Lowering(Input):
    """A lower urgency and why, in the clinician's words; reason is kept for audit and never shown to the patient.

    basis is that of the case as it was looked at: where danger was told since, nothing is lowered.
    """

    session_id: Uuid
    to: Annotated[Literal["routine", "urgent"], ONE_OF]
    reason: Annotated[str, text(3, 500)]
    basis: Annotated[str, text(1, 64)] | None = None


class Urgency(Output):
    """The urgency of a case after the decision."""

    session_id: UUID
    colour: str


@procedures.mutation(
    "handover.lowerUrgency",
    allow=Allow.DOCTOR,
    input=Lowering,
    output=Urgency,
    rest=Rest("POST", "/doctor/cases/{sessionId}/urgency"),
)
async def lower_urgency(call: Call, body: Lowering) -> Urgency:
    """Lower a case's urgency. Only its doctor can, with a reason; whatever is told later raises it again."""
    to, store = _LEVELS[body.to], call.services.store
    for _ in range(_TRIES):
        row, link = await store.case(body.session_id)
        access_as_clinician(call.person, link, writing=True, what="session")
        assert row is not None
        record = record_from_json(row["record"])
        if body.basis is not None and body.basis != basis(record):
            raise Conflict("Something new was told since you looked at this case. Please look at it and decide again.")
        if to >= record.acuity:
            raise refused((("to",), "the case is not more urgent than that."))
        new = lowered(record, to)
        if await store.lower(body.session_id, row["version"], new, call.person, body.reason, record.acuity):
            return Urgency(session_id=row["id"], colour=new.colour.value)
    raise Conflict("The case changed at the same moment. Please look at it and decide again.")
