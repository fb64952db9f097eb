"""What a model is told about a written note. Pure: the note, its record and names to hide in, a prompt out.

No clinician's note and no other session is at hand here. Names, telephone numbers and e-mail addresses are tokens.
"""

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from anamnesis.clinical.record import Stage
from anamnesis.clinical.rewording import has_enough, may_reword, numbered
from anamnesis.clinical.sbar import Statement
from anamnesis.handover.model import Written
from anamnesis.llm.port import Form, Prompt
from anamnesis.llm.privacy import hidden_in, names_told, tokenised

if TYPE_CHECKING:
    from anamnesis.content.prompts import Agent

#: Notes of interviews in these languages may be tidied: those for which the guards over denials are reviewed.
LANGUAGES: Final = frozenset({"en"})
_MOST_QUOTES: Final = 6
_LONGEST_QUOTE: Final = 300


def compose_note_prompt(session_id: UUID, written: Written, agent: "Agent") -> Prompt:
    """The prompt for one note."""
    record = written.record
    case = {
        "may_propose": has_enough(record),
        "lines": [_line(name, statement) for name, statement in numbered(written.note).items()],
    }
    text = json.dumps(case, ensure_ascii=False, indent=1)
    hidden = hidden_in(text, (*names_told(record), *written.names))
    return Prompt(
        None,
        "",
        Stage.HANDOVER.value,
        record.language,
        instructions=agent.text,
        case=tokenised(text, hidden),
        version=agent.version,
        session_id=session_id,
        is_flagged=bool(record.flags),
        hidden=tuple((token, meant) for meant, token in hidden.items()),
        form=Form.NOTE,
    )


def _line(name: str, statement: Statement) -> dict[str, Any]:
    quotes = dict.fromkeys(each.quote[:_LONGEST_QUOTE] for each in statement.evidence if each.quote)
    may_tidy = name.startswith("B") and may_reword(statement)
    return {"id": name, "text": statement.text, "may_tidy": may_tidy, "quotes": list(quotes)[:_MOST_QUOTES]}
