"""What tells who somebody is, as far as its form or the record gives it away, and tokens to stand for it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from anamnesis.clinical.record import ClinicalRecord, Reported

EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
#: Nine digits or more, together or after a plus or a nought: anything else is readings, dates and doses.
PHONE: Final = re.compile(r"(?<![\w/.])(?:(?:\+|0)\d?(?:[ ()-]{0,2}\d){8,14}|\d{9,15})(?!\w)")
_SHORTEST_NAME: Final = 2


def names_told(record: ClinicalRecord) -> tuple[str, ...]:
    """The names of this record's person, as they were told."""
    answer = record.answer("name")
    return tuple(name for name in (record.name, answer.value if isinstance(answer, Reported) else None) if name)


def hidden_in(text: str, names: Iterable[str]) -> dict[str, str]:
    """What stands in the text that nobody outside needs, with the token for it; each spelling has its own."""
    found: dict[str, str] = {}
    for kind, pattern in (("EMAIL", EMAIL), ("PHONE", PHONE), *(("NAME", name) for name in _patterns(names))):
        for match in pattern.finditer(text):
            count = sum(token.startswith(f"[{kind}_") for token in found.values())
            found.setdefault(match.group(), f"[{kind}_{count + 1}]")
    return found


def _patterns(names: Iterable[str]) -> Iterator[re.Pattern[str]]:
    words = {word for name in names for word in re.findall(r"[^\W\d_][\w'’-]+", name) if len(word) >= _SHORTEST_NAME}
    for word in sorted(words, key=len, reverse=True):
        yield re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)


def tokenised(text: str, hidden: Mapping[str, str]) -> str:
    """The text with a token for everything hidden."""
    if not hidden:
        return text
    longest_first = sorted(hidden, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in longest_first))
    return pattern.sub(lambda match: hidden[match.group()], text)
