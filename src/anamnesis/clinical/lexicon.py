"""The lexicon: which words mean which finding, compiled from plain phrases.

A phrase is words; ``{a|b}`` is a choice, ``~3`` lets up to three other words stand between, ``*`` ends a word that may
go on. ``chest ~2 {pain*|hurt*}`` finds "my chest really hurts".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r"\{[^}]*\}|~\d+|[^\s{}]+")
_BETWEEN: Final = r"[^\w'?.!;]+"
#: A negation or a turn between two words of a phrase breaks it: "vomiting but no blood".
_GAP_WORD: Final = r"(?!(?:no|not|never|without|but|nor)\b)[\w']+"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Compiled concepts in the order of the file, and the cues that say what words assert of them."""

    concepts: tuple[tuple[str, re.Pattern[str]], ...]
    benign: re.Pattern[str]
    pseudo_negations: re.Pattern[str]
    cues: Mapping[str, re.Pattern[str]]
    still_dangerous: frozenset[str]


def compile_lexicon(
    concepts: Mapping[str, Sequence[str]],
    *,
    variants: Mapping[str, Sequence[str]],
    benign: Sequence[str],
    pseudo_negations: Sequence[str],
    cues: Mapping[str, Sequence[str]],
    still_dangerous: Sequence[str],
) -> Lexicon:
    """Build the lexicon. variants are other spellings of a word, used wherever the word is."""

    def pattern(phrases: Sequence[str]) -> re.Pattern[str]:
        parts = sorted({_phrase(phrase, variants) for phrase in phrases}, key=len, reverse=True)
        return re.compile(r"(?<![\w'])(?:" + "|".join(parts) + r")(?!\w)")

    return Lexicon(
        tuple((name, pattern(phrases)) for name, phrases in concepts.items()),
        pattern(benign),
        pattern(pseudo_negations),
        {name: pattern(phrases) for name, phrases in cues.items()},
        frozenset(still_dangerous),
    )


def _phrase(phrase: str, variants: Mapping[str, Sequence[str]]) -> str:
    built, gap = "", 0
    for token in _TOKEN.findall(phrase):
        if token.startswith("~"):
            gap = int(token[1:])
            continue
        if built:
            built += rf"(?:{_BETWEEN}{_GAP_WORD}){{0,{gap}}}?{_BETWEEN}" if gap else _BETWEEN
        words = token[1:-1].split("|") if token.startswith("{") else [token]
        built, gap = built + "(?:" + "|".join(_word(word, variants) for word in words) + ")", 0
    return built


def _word(word: str, variants: Mapping[str, Sequence[str]]) -> str:
    if " " in word:
        return _BETWEEN.join(_word(part, variants) for part in word.split())
    stem, rest = (word[:-1], r"\w*") if word.endswith("*") else (word, "")
    spellings = [re.escape(each) for each in (stem, *variants.get(stem, ()))]
    body = "|".join(spelling.replace("'", "'?") for spelling in spellings)
    return f"(?:{body}){rest}"
