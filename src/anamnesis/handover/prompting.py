"""What a model is told about a written note. Pure: the note, its record and what to hide in, a prompt out.

No clinician's note and no other session is at hand here. Names, telephone numbers and e-mail addresses are tokens.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from anamnesis.clinical.record import Stage
from anamnesis.clinical.rewording import has_enough, may_reword, numbered
from anamnesis.clinical.sbar import Statement
from anamnesis.handover.model import Written
from anamnesis.llm.port import Form, Prompt
from anamnesis.llm.privacy import AtMost, hide, names_told

if TYPE_CHECKING:
    from anamnesis.content.prompts import Agent

#: Notes of interviews in these languages may be tidied: those for which the guards over denials are reviewed.
LANGUAGES: Final = frozenset({"en"})
_MOST_QUOTES: Final = 6
_LONGEST_QUOTE: Final = 300
#: What stands under this key of a line is ours.
_OURS: Final = frozenset({"id"})


def compose_note_prompt(session_id: UUID, written: Written, agent: "Agent") -> Prompt:
    """The prompt for one note."""
    record = written.record
    case = {
        "may_propose": has_enough(record),
        "lines": [_line(name, statement) for name, statement in numbered(written.note).items()],
    }
    told, hidden = hide(case, (*names_told(record), *written.known), heard=written.messages.values(), ours=_OURS)
    return Prompt(
        None,
        "",
        Stage.HANDOVER.value,
        record.language,
        instructions=agent.text,
        case=json.dumps(told, ensure_ascii=False, indent=1),
        version=agent.version,
        session_id=session_id,
        is_flagged=bool(record.flags),
        hidden=hidden,
        form=Form.NOTE,
    )


def _line(name: str, statement: Statement) -> Mapping[str, object]:
    quotes = dict.fromkeys(AtMost(_LONGEST_QUOTE, each.quote) for each in statement.evidence if each.quote)
    may_tidy = name.startswith("B") and may_reword(statement)
    return {"id": name, "text": statement.text, "may_tidy": may_tidy, "quotes": list(quotes)[:_MOST_QUOTES]}
