"""What medicines, illnesses and reactions are called: content, made into patterns once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_HAVE: Final = (
    r"i have|i've|i am|i'm|i had|known|diagnosed with|history of|have had|he has|she has|he is|she is|i am a|i'm a|"
    r"i suffer from"
)
_BEFORE: Final = r"[,;.]? ?(?:and |it |i |he |she |my |got |had |gives? |gave |made |the )*[^.,;\n]{0,20}"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """medicine finds a word for one; illness one's own, named after "I have", in group 1; reaction what follows it."""

    medicine: re.Pattern[str]
    illness: re.Pattern[str]
    reaction: re.Pattern[str]


def vocabulary(*, medicines: Sequence[str], illnesses: Sequence[str], reactions: Sequence[str]) -> Vocabulary:
    """The patterns of these words; ``*`` before or after a word stands for the rest of it."""
    ill = _any_of(illnesses)
    return Vocabulary(
        re.compile(rf"\b(?:\d+ ?mg|{_any_of(medicines)})\b"),
        re.compile(
            rf"\b(?:{_HAVE}) (?:(?:a|an|known|with|had|long|mild|bad|the) )*({ill}(?:(?:,| and|, and) {ill})*)\b"
        ),
        re.compile(rf"{_BEFORE}\b{_any_of(reactions)}\b[^.,;\n]{{0,20}}"),
    )


def _any_of(words: Sequence[str]) -> str:
    longest_first = sorted(dict.fromkeys(words), key=len, reverse=True)
    return "(?:" + "|".join(re.escape(word).replace(r"\*", r"\w*") for word in longest_first) + ")"
