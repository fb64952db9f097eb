"""What a patient may ask for: patient.requestErasure."""

from datetime import datetime

from anamnesis.kernel.procedures import Allow, Context, Procedures, Rest
from anamnesis.rights.actions import Rights
from anamnesis.schema import Output

Call = Context[Rights]
procedures = Procedures()


class ErasureRequest(Output):
    """A wish to be erased, and since when it stands."""

    requested_at: datetime


@procedures.mutation(
    "patient.requestErasure", allow=Allow.PATIENT, output=ErasureRequest, rest=Rest("POST", "/me/erasure-request")
)
async def request_erasure(call: Call) -> ErasureRequest:
    """Ask for everything about the caller as a patient to be erased; an operator carries it out."""
    return ErasureRequest(requested_at=await call.services.ask_for_erasure(call.person))
