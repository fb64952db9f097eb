"""Read what words say: which findings are mentioned, and whether they are affirmed, denied, past, or another's.

The method is ConText (Harkema et al. 2009, J Biomed Inform 42:839): cues around a mention, with scopes that end
at terminators. Benign phrases and pseudo-negations are taken out first. Reading is linear in the text's length.
"""

import re
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.lexicon import Lexicon
from anamnesis.clinical.terms import Assertion, Finding

_STRAIGHT: Final = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": "-"})
_SENTENCE_END: Final = re.compile(r"[.;!?\n]+(?=\s|$)|\n")
_WORD: Final = re.compile(r"[\w']+")
_ANSWERED_NO: Final = re.compile(r"\W{0,3}[?:=\-]\s*(?:no|none|nil|nope|never|negative|hapana|nedda)\b")
_SCOPE_WORDS: Final = 7
_LIST_SCOPE_WORDS: Final = 20
_BREAKS_LIST: Final = re.compile(r"\b(?:i|he|she|it|my|is|am|has|have|had|was|but|now|then|because)\b")


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    text: str


def fold(text: str) -> str:
    """The text in the form it is matched in, character for character: lower case, plain quotes."""
    straight = text.translate(_STRAIGHT)
    return "".join(low if len(low := character.lower()) == 1 else character for character in straight)


def read_findings(text: str, lexicon: Lexicon, *, message_id: str = "") -> tuple[Finding, ...]:
    """Every finding the text mentions, in order of place, with its assertion and verbatim quote.

    Never raises, whatever the text.
    """
    folded = fold(text)
    masked = lexicon.benign.sub(lambda match: " " * len(match.group()), folded)
    cue_text = lexicon.pseudo_negations.sub(lambda match: "_" * len(match.group()), masked)
    sentences = _sentences(folded)
    found = [
        Finding(
            concept,
            _assertion(concept, match.span(), cue_text, sentences, lexicon),
            match.start(),
            match.end(),
            text[match.start() : match.end()],
            message_id,
        )
        for concept, pattern in lexicon.concepts
        for match in pattern.finditer(masked)
    ]
    return tuple(sorted(found, key=lambda finding: (finding.start, finding.end, finding.concept)))


def _sentences(text: str) -> list[_Sentence]:
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        sentences.append(_Sentence(start, match.end(), text[start : match.end()]))
        start = match.end()
    sentences.append(_Sentence(start, len(text), text[start:]))
    return sentences


def _assertion(
    concept: str, span: tuple[int, int], text: str, sentences: list[_Sentence], lexicon: Lexicon
) -> Assertion:
    start, end = span
    sentence = next(
        each for each in sentences if each.start <= start < max(each.end, start + 1) or each is sentences[-1]
    )
    before, after = text[sentence.start : start], text[end : max(sentence.end, end)]
    whole = text[sentence.start : max(sentence.end, end)]
    cues = lexicon.cues
    if _is_negated(before, cues) or _ANSWERED_NO.match(after):
        return Assertion.DENIED
    if cues["hypothetical"].search(whole) and not cues["first_person_danger"].search(whole):
        return Assertion.HYPOTHETICAL
    if _is_someone_else(before, whole, cues):
        return Assertion.SOMEONE_ELSE
    if cues["past"].search(whole) and not cues["reopening"].search(whole):
        return Assertion.PAST
    if cues["resolved"].search(after):
        return Assertion.AFFIRMED if concept in lexicon.still_dangerous else Assertion.RESOLVED
    return Assertion.AFFIRMED


def _is_negated(before: str, cues: "dict[str, re.Pattern[str]] | object") -> bool:
    """Whether a negation before the mention reaches it: few words away, or along a list, with no terminator between."""
    assert isinstance(cues, dict)
    negations = list(cues["negation"].finditer(before))
    if not negations:
        return False
    between = before[negations[-1].end() :]
    if cues["terminator"].search(between):
        return False
    words = len(_WORD.findall(between))
    is_list = bool(re.search(r",|\bor\b|\band\b|/", between)) and not _BREAKS_LIST.search(between)
    return words <= _SCOPE_WORDS - 2 or (is_list and words <= _LIST_SCOPE_WORDS)


def _is_someone_else(before: str, whole: str, cues: "dict[str, re.Pattern[str]] | object") -> bool:
    """Whether it happened to a person who is not the patient: told in the past, or as family history.

    Somebody spoken of in the present is the patient of the message: "my son is fitting".
    """
    assert isinstance(cues, dict)
    if cues["family_history"].search(whole):
        return True
    relations = list(cues["relation"].finditer(before))
    if not relations:
        return False
    between = before[relations[-1].end() :]
    if re.search(r"\b(?:i|me|my)\b", between):
        return False
    return bool(cues["told_in_past"].search(between + " " + whole[len(before) :])) and not cues["reopening"].search(
        whole
    )
