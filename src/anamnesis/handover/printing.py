"""The note as a document: text or HTML, in the SBAR or the SOAP order, for its doctor alone."""

from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from anamnesis.clinical.rendering import render_html, render_printable, render_text
from anamnesis.clinical.sbar import Sbar, Statement, sbar_from_json
from anamnesis.handover.api import Call, added_lines, case_of
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.procedures import Allow, Procedures, Rest
from anamnesis.schema import ONE_OF, Input, Output, Uuid

procedures = Procedures()

_MEDIA = {"text": "text/plain", "html": "text/html", "page": "text/html"}


class WantedDocument(Input):
    """Which note, as what, in which order. A page is a whole one, for paper."""

    session_id: Uuid
    format: Annotated[Literal["text", "html", "page"], ONE_OF] = "text"
    order: Annotated[Literal["sbar", "soap"], ONE_OF] = "sbar"


class Document(Output):
    """The note, and what its content is."""

    session_id: UUID
    media_type: str
    content: str


@procedures.query(
    "handover.getDocument",
    allow=Allow.DOCTOR,
    input=WantedDocument,
    output=Document,
    rest=Rest("GET", "/doctor/cases/{sessionId}/document"),
)
async def get_document(call: Call, body: WantedDocument) -> Document:
    """A written note with what its doctor has added, as a document. NOT_FOUND while the interview is not complete."""
    row = await case_of(call, body.session_id)
    note = row["worded"] or row["clinical_handover"]
    if not note:
        raise NotFound("There is no note yet: it is written when the interview is complete.")
    added = added_lines(await call.services.store.notes(body.session_id))
    written = sbar_from_json(note)
    whole = replace(written, assessment=(*written.assessment, *map(Statement, added)))
    content = _rendered(whole, body.format, is_soap=body.order == "soap")
    return Document(session_id=row["id"], media_type=_MEDIA[body.format], content=content)


def _rendered(note: Sbar, form: str, *, is_soap: bool) -> str:
    render = {"text": render_text, "html": render_html, "page": render_printable}[form]
    return render(note, as_soap=is_soap)
