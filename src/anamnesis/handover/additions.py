"""The procedures of a doctor's own layer: what is added to a case and never shown to its patient."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from anamnesis.care.policy import access_as_clinician, doctor_who_sees_patients
from anamnesis.handover.api import Call, Sbar, sbar_with
from anamnesis.handover.store import Addition, Row
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.procedures import Allow, Procedures, Rest
from anamnesis.schema import ONE_OF, Input, Maybe, Output, Record, Uuid, text

procedures = Procedures()


class AddedLine(Output):
    """What was added, as a line of the doctor's view."""

    id: UUID
    role: str
    text: str
    images: list[str] | Undefined
    timestamp: datetime
    grounding_metadata: dict[str, Any] | None
    context_layer: str


class Added(Output):
    """What was added, and the note with it; sbar is null until the interview is complete."""

    message: AddedLine
    sbar: Sbar | None


class NewAddition(Input):
    """What to add. The same client message id means the same addition."""

    connection_id: Uuid
    content: Annotated[str, text(1, 5000)]
    message_type: Annotated[Literal["text", "test-result", "exam-finding"], ONE_OF] = "text"
    metadata: Maybe[Record] = UNDEFINED
    client_message_id: Maybe[Uuid] = UNDEFINED


class NewImage(Input):
    """A picture to add, by its id or its url in our own store. The same client message id means the same addition."""

    connection_id: Uuid
    image_url: Annotated[str, text(1, 2000)]
    message_type: Annotated[Literal["image", "test-result"], ONE_OF] = "image"
    caption: Maybe[Annotated[str, text(0, 5000)]] = UNDEFINED
    client_message_id: Maybe[Uuid] = UNDEFINED


@procedures.mutation(
    "intake.addMessage",
    allow=Allow.DOCTOR,
    input=NewAddition,
    output=Added,
    rest=Rest("POST", "/connections/{connectionId}/additions", 201),
)
async def add_message(call: Call, body: NewAddition) -> Added:
    """Add a note, a result or a finding to a connection's case that changed last; its patient never sees it."""
    key = body.client_message_id or None
    session = await _case_of(call, body.connection_id, key)
    metadata = body.metadata or None
    addition = Addition(body.content, body.message_type, metadata, key=key)
    return await _add(call, body.connection_id, session, addition)


@procedures.mutation(
    "intake.addImageMessage",
    allow=Allow.DOCTOR,
    input=NewImage,
    output=Added,
    rest=Rest("POST", "/connections/{connectionId}/additions/images", 201),
)
async def add_image(call: Call, body: NewImage) -> Added:
    """Add a picture the doctor has uploaded to the case; any other url is refused by its field."""
    key = body.client_message_id or None
    session = await _case_of(call, body.connection_id, key)
    references = [(("imageUrl",), body.image_url)]
    (photo,) = await call.services.files.refer(references, session["id"], call.person, images=True)
    words, kind = body.caption or f"[{body.message_type}]", body.message_type
    addition = Addition(words, kind, images=[str(photo.id)], key=key)
    return await _add(call, body.connection_id, session, addition)


async def _case_of(call: Call, connection_id: UUID, key: UUID | None) -> Row:
    """The case of a connection that changed last, for its doctor. Raises NotFound, NotPermitted.

    What is sent again goes to the case it was kept with, whatever has changed since: it is the same addition.
    """
    handover = call.services
    doctor_who_sees_patients(call.person)
    link = await handover.care.link_of_connection(connection_id)
    access_as_clinician(call.person, link, writing=True, what="connection")
    seen = None if key is None else await handover.store.added_to(connection_id, call.person, key)
    session = seen or await handover.store.latest_changed(connection_id)
    if session is None:
        raise NotFound("This connection has no session yet.")
    return session


async def _add(call: Call, connection_id: UUID, session: Row, addition: Addition) -> Added:
    handover = call.services
    row = await handover.store.add(session["id"], connection_id, call.person, addition)
    message = AddedLine(
        id=row["id"],
        role="doctor",
        text=row["content"],
        images=handover.files.urls(tuple(row["images"] or ()), call.person) or UNDEFINED,
        timestamp=row["created_at"],
        grounding_metadata={**(row["metadata"] or {}), "messageType": row["kind"]},
        context_layer="doctor-enhancement",
    )
    added = await handover.store.notes(session["id"])
    return Added(message=message, sbar=sbar_with(session["clinical_handover"], added))
