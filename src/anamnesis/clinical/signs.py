"""Read which signs a message affirms or denies: the answers to "Do you have any of these?", and what is told unasked.

Narrower than the reading for danger: it knows only the signs it is given, and answers for each of them yes or no with
the words. What happened to others or long ago is left alone.
"""

# ruff: noqa: E501 - a pattern is read as a whole
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.agenda import Sign, without
from anamnesis.clinical.findings import fold

_CLAUSE: Final = re.compile(
    r"[.;!?\n]+|,?\s*\b(?:but|however|except|apart from|although|though)\b|,\s*(?=(?:and\s+)?(?:i|he|she|it|they|there)\b)"
)
_NO: Final = re.compile(
    r"\b(?:no|not|never|without|none|nor|neither|don't|dont|doesn't|doesnt|hasn't|haven't|isn't|didn't|aren't|wasn't|hadn't|nothing(?! else)|nobody|denies|hakuna|sina|hana|nedda|siri)\b"
)
_YES: Final = re.compile(r"\b(?:have|has|had|is|am|yes|with|also|some|a little|only|feel|feels|get|gets|was|got)\b")
_NOT_NEGATING: Final = re.compile(
    r"\b(?:not sure|no idea|not only|no doubt|no relief|not better|no better)\b"
    r"|\b(?:not|never|nothing|nobody|\w+n't|dont|doesnt) (?:\w+ )?(?:stop\w*|help\w*|eas\w+|settl\w*|improv\w*|clear\w*|going|gone)\b"
)
_ELSEWHERE: Final = re.compile(
    r"\b(?:my|his|her|our) (?:\w+ )?(?:mother|father|mum|mom|dad|sister|brother|uncle|aunt|auntie|cousin|neighbour|friend|grand\w+|"
    r"husband|wife)\b|\byears? ago\b|\blast year\b|\bas a child\b|\bin the family\b|\bin my family\b|\bused to\b|\bif\b|\bafraid of\b|"
    r"\bworried (?:about|that|it)\b|\bscared of\b"
)
_NO_MORE: Final = re.compile(r"\bnothing (?:else|more)\b|\bnot anything else\b")
_WORD: Final = re.compile(r"[\w']+")
_FEW_WORDS: Final = 2
_AFTER_NO: Final = re.compile(
    r"\s*[-:–?=,]?\s*(?:no|none|nope)\s*(?=$|[,.;!?])"
    r"|\s+(?:(?:do|does)(?:n't| not) hurt|(?:has|have)(?:n't| not) changed|(?:is|are) (?:all |quite |just )?(?:fine|ok|okay|normal|good|clear)\b)"
)


@dataclass(frozen=True, slots=True)
class SignTold:
    """A sign the words affirm or deny, with the verbatim words."""

    sign_id: str
    is_present: bool
    quote: str


def read_signs(text: str, signs: Iterable[Sign], *, is_asked: bool) -> tuple[SignTold, ...]:
    """Every sign the text affirms or denies. A sign affirmed anywhere in the text counts as affirmed.

    is_asked says that the text answers the question for these signs, so that what it says is about the patient now.
    """
    told: dict[str, SignTold] = {}
    known = tuple(signs)
    for each in _read(text, known, is_asked=is_asked):
        if each.sign_id not in told or each.is_present:
            told[each.sign_id] = each
    return tuple(told.values())


def _read(text: str, signs: tuple[Sign, ...], *, is_asked: bool) -> Iterator[SignTold]:
    folded = fold(text)
    for start, end in _clauses(folded):
        clause = folded[start:end]
        if not is_asked and _ELSEWHERE.search(clause):
            continue
        for sign, match in _mentions(clause, signs, is_asked=is_asked):
            is_present = not _is_denied(clause, match)
            quote = text[start:end].strip(" ,") if not is_present else text[start + match.start() : start + match.end()]
            yield SignTold(sign.id, is_present, quote)


def _clauses(folded: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _CLAUSE.finditer(folded):
        if match.start() > start:
            yield start, match.start()
        start = match.end()
    if start < len(folded):
        yield start, len(folded)


def _mentions(clause: str, signs: tuple[Sign, ...], *, is_asked: bool) -> list[tuple[Sign, re.Match[str]]]:
    """The signs of a clause; words inside the longer words of another sign are that one's alone."""
    found = [(sign, match) for sign in signs if (match := _mention(clause, sign, is_asked=is_asked))]
    spans = [match.span() for _, match in found]

    def is_inside(match: re.Match[str]) -> bool:
        start, end = match.span()
        return any(low <= start and end <= high and (high - low) > (end - start) for low, high in spans)

    return [(sign, match) for sign, match in found if not is_inside(match)]


def _mention(clause: str, sign: Sign, *, is_asked: bool) -> re.Match[str] | None:
    """Where the clause tells of the sign. An answer to the question for it is heard in more words."""
    read = without(without(clause, _NO_MORE), sign.unlike)
    match = sign.pattern.search(read)
    if match is None and is_asked and sign.asked is not None:
        match = sign.asked.search(read)
    if match is None and is_asked and sign.brief is not None:
        brief = sign.brief.search(read)
        match = brief if brief is not None and _is_nearly_all(brief, read) else None
    return match


def _is_nearly_all(match: re.Match[str], clause: str) -> bool:
    """Whether the clause says little more than the words found: "very black", not "my boots are black"."""
    beside = f"{clause[: match.start()]} {clause[match.end() :]}"
    return len(_WORD.findall(beside)) <= _FEW_WORDS


def _is_denied(clause: str, match: re.Match[str]) -> bool:
    """Whether a "no" before reaches the words, along a list, or one follows them at once."""
    if _AFTER_NO.match(clause, match.end()):
        return True
    if _NO.match(match.group()):
        return False
    before = _NOT_NEGATING.sub(lambda found: "_" * len(found.group()), clause[: match.start()])
    denials = list(_NO.finditer(before))
    if not denials:
        return False
    between = before[denials[-1].end() :]
    return not re.search(r"\b(?:have|has|am|is|yes|only|just)\b", between) or bool(
        re.match(r"\s*(?:i\s+)?(?:do\s+)?(?:have|has|had|any|been)\b", between)
    )
