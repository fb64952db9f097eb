"""The clauses a quote stands in, and whether they affirm it: no quote may be cut out of a sentence that denies it."""

import re
from typing import Final

from anamnesis.clinical.findings import fold

_CLAUSE: Final = re.compile(r"[^.!?;\n]*[.!?;\n]?")
NEGATED: Final = re.compile(
    r"\b(?:no|not|never|none|nothing|nobody|without|neither|nor|denies|stopped|cannot|\w+n't|dont|doesnt|didnt|"
    r"hapana|hakuna|sina|si|nedda|tewali|sirina)\b"
)
UNSURE: Final = re.compile(r"\b(?:maybe|perhaps|might|may|if|think|afraid|worried|wonder|could)\b")
OTHERS: Final = re.compile(
    r"\b(?:mother|mum|mom|father|dad|brother|sister|aunt|uncle|cousin|grand\w+|husband|wife|neighbou?r|friend|"
    r"son|daughter|family|somebody|someone|people|he|she|they|his|her|their)\b"
)


def around(quote: str, text: str, start: int | None = None) -> str:
    """The clauses of text the quote stands in, folded; start says which of several places is meant."""
    begin = text.index(quote) if start is None else start
    end = begin + len(quote)
    clauses = (match for match in _CLAUSE.finditer(text) if match.end() > begin and match.start() < end)
    return fold(" ".join(match.group() for match in clauses))


def is_affirmed(clauses: str) -> bool:
    """Whether folded clauses neither deny, nor doubt, nor ask."""
    return not (NEGATED.search(clauses) or UNSURE.search(clauses) or "?" in clauses)


def turns(folded: str) -> set[str]:
    """The words of folded text that deny, doubt, or speak of somebody else; a question mark is one of them."""
    found = {match.group() for pattern in (NEGATED, UNSURE, OTHERS) for match in pattern.finditer(folded)}
    return found | ({"?"} if "?" in folded else set())
