"""The note as text, HTML, a printable page, and in the SOAP order. Patients' words are escaped wherever they stand."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from anamnesis.clinical.sbar import HEADINGS, Sbar, Statement

SOAP: Final = ("subjective", "objective", "assessment", "plan")
#: An assessment line that states a reading or a score, or what a doctor has found, is objective in SOAP.
_OBJECTIVE: Final = (
    "Temperature", "Pulse", "Breathing", "Oxygen", "Blood pressure", "Glucose", "Weight", "Height", "NEWS2", "Vital",
    "Test result by the doctor", "Examination by the doctor",
)  # fmt: skip
_STYLE: Final = (
    "body{font:11pt/1.35 serif;margin:1.5cm;max-width:18cm}h2{font-size:12pt;margin:.6em 0 .2em}"
    "ul{margin:0;padding-left:1.1em}cite{color:#555;font-size:9pt}footer{border-top:1px solid;margin-top:1em}"
    ".sign{border:1px solid;padding:.5cm;margin-top:1em}"
)


def sections(sbar: Sbar) -> dict[str, tuple[Statement, ...]]:
    """The note in the SBAR order."""
    return dict(zip(HEADINGS, (sbar.situation, sbar.background, sbar.assessment, sbar.recommendation), strict=True))


def soap(sbar: Sbar) -> dict[str, tuple[Statement, ...]]:
    """The same statements in the SOAP order; none is lost and none is added."""
    objective = tuple(each for each in sbar.assessment if each.text.startswith(_OBJECTIVE))
    rest = tuple(each for each in sbar.assessment if each not in objective)
    return dict(zip(SOAP, ((*sbar.situation, *sbar.background), objective, rest, sbar.recommendation), strict=True))


def render_text(sbar: Sbar, *, as_soap: bool = False) -> str:
    """The note as plain text."""
    lines: list[str] = []
    for heading, statements in (soap(sbar) if as_soap else sections(sbar)).items():
        lines += [heading.upper(), *(f"- {each.text}" for each in statements), ""]
    return "\n".join([*lines, f"Draft for the patient, unsigned: {sbar.for_patient}", sbar.footer])


def render_html(sbar: Sbar, *, as_soap: bool = False) -> str:
    """The note as an HTML fragment; each statement links to the messages it rests on (``#m-ID``)."""
    parts: list[str] = []
    for heading, statements in (soap(sbar) if as_soap else sections(sbar)).items():
        parts.append(f"<section><h2>{heading.capitalize()}</h2><ul>{''.join(_items(statements))}</ul></section>")
    draft = f"<aside><h2>Draft for the patient, unsigned</h2><p>{escape(sbar.for_patient)}</p></aside>"
    return f"<article>{''.join(parts)}{draft}<footer>{escape(sbar.footer)}</footer></article>"


def _items(statements: Sequence[Statement]) -> Iterator[str]:
    for each in statements:
        ids = dict.fromkeys(evidence.message_id for evidence in each.evidence if evidence.message_id)
        links = " ".join(
            f'<a href="#m-{escape(name)}" title="{escape(_quotes(each, name))}">[{number}]</a>'
            for number, name in enumerate(ids, 1)
        )
        yield f"<li>{escape(each.text)} <cite>{links}</cite></li>"


def _quotes(statement: Statement, message_id: str) -> str:
    return " / ".join(each.quote for each in statement.evidence if each.message_id == message_id)


def render_printable(sbar: Sbar, *, as_soap: bool = False) -> str:
    """The note as a whole page for paper, with a box to sign in; needs nothing from a network."""
    box = (
        '<div class="sign">Reviewed by: ____________________ Date and time: ____________ Signature: ____________</div>'
    )
    head = f'<meta charset="utf-8"><title>Hand-over</title><style>{_STYLE}</style>'
    body = render_html(sbar, as_soap=as_soap)
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}{box}</body></html>'
