"""Words of a message with their places: folding, tokens, breaks between them, and the spelling of phones.

Everything downstream speaks of token numbers; only here do they meet characters.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_STRAIGHT: Final = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": "-"})
_TOKEN: Final = re.compile(
    r"(?<!\w)(?:2day|2nite|2night|2moro|2morrow|4eva|b4|w8|l8r|gr8|m8|24/7)(?!\w)"
    r"|\d+(?:[.,]\d+)*(?:/\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*|[&+%]|[\U0001f600-\U0001f606\U0001f923]"
)
_LETTERED: Final = re.compile(r"\b(?:[a-z][\s.\-]{1,3}){3,}[a-z]\b")
_REPEATED: Final = re.compile(r"([^\W\d_])\1{2,}")
_CLITICS: Final = {"m": "am", "re": "are", "ve": "have", "ll": "will", "d": "", "s": ""}
_SHORT_NOT: Final = frozenset(
    [
        "do",
        "does",
        "did",
        "have",
        "has",
        "had",
        "is",
        "was",
        "are",
        "were",
        "would",
        "should",
        "must",
        "need",
        "do",
        "does",
        "ai",
    ]
)  # the rest of "don't", "hasn't"; can't and won't keep their own word: they begin findings
_BARE_NOT: Final = {f"{verb}nt": verb for verb in sorted(_SHORT_NOT) if verb not in {"ai", "were"}}
_CAN_NOT: Final = frozenset({"can't", "cant", "cannot", "cnt", "couldn't", "couldnt", "can'nt", "cudnt"})
_PRONOUN_CLITICS: Final = {
    "im": ("i", "am"),
    "ive": ("i", "have"),
    "thats": ("that",),
    "hes": ("he",),
    "shes": ("she",),
}


class Break:
    """What stands between a token and the one before it; later values part more.

    Plain numbers: they are asked for at every word, and the member of an enum takes ten times as long to look up.
    """

    NONE: Final = 0
    COMMA: Final = 1
    COLON: Final = 2
    SENTENCE: Final = 3
    QUESTION: Final = 4


@dataclass(frozen=True, slots=True)
class Words:
    """A message as parallel lists: token i says ``words[i]``, at ``text[starts[i]:ends[i]]``, after ``breaks[i]``.

    is_question says whether the last sentence ends in a question mark.
    """

    words: list[str]
    starts: list[int]
    ends: list[int]
    breaks: list[int]
    is_question: bool = False

    def __len__(self) -> int:
        return len(self.words)

    def append(self, word: str, start: int, end: int, gap: int) -> None:
        """One more token."""
        self.words.append(word)
        self.starts.append(start)
        self.ends.append(end)
        self.breaks.append(gap)

    def extend(self, other: "Words", first: int, last: int) -> None:
        """The tokens first to last (not included) of another message."""
        self.words.extend(other.words[first:last])
        self.starts.extend(other.starts[first:last])
        self.ends.extend(other.ends[first:last])
        self.breaks.extend(other.breaks[first:last])


def fold(text: str) -> str:
    """The text in the form it is matched in, character for character: lower case, plain quotes, no accents."""
    straight = text.translate(_STRAIGHT)
    if straight.isascii():
        return straight.lower()
    return "".join(map(_fold_character, straight))


def _fold_character(character: str) -> str:
    if character.isascii():
        return character.lower()
    base = unicodedata.normalize("NFKD", character)[0].lower()
    return base if len(base) == 1 else character


def tokenise(text: str, spell: Callable[[str], tuple[str, ...]]) -> Words:
    """The tokens of a text of any kind, in order; ``spell`` gives the words of one token, often one, sometimes more."""
    folded = fold(text)
    read = Words([], [], [], [], is_question=folded.rstrip(" )\n").endswith("?"))
    last = 0
    for start, end in _places(folded):
        parts = spell(folded[start:end])
        between = folded[last:start]
        gap = Break.NONE if between == " " or not last else _break_of(between)
        for word in parts:
            read.append(word, start, end, gap)
            gap = Break.NONE
        last = end if parts else last
    _soften(read)
    return read


def _places(folded: str) -> Iterable[tuple[int, int]]:
    """Spans of tokens; a word spelt out letter by letter ("c h e s t") is one."""
    places = [match.span() for match in _TOKEN.finditer(folded)]
    lettered = [match.span() for match in _LETTERED.finditer(folded)]
    return _joined(places, lettered) if lettered else places


def _joined(places: Iterable[tuple[int, int]], lettered: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans with those of each lettered word as one."""
    at = 0
    for start, end in places:
        while at < len(lettered) and lettered[at][1] <= start:
            at += 1
        if at < len(lettered) and lettered[at][0] <= start:
            if lettered[at][0] == start:
                yield lettered[at]
            continue
        yield start, end


def parts_of(raw: str, spell: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """One token's words: clitics apart, a possessive dropped, "n't" as a word of its own, the rest as spelt."""
    if raw in _CAN_NOT or unrepeated(raw)[1] in _CAN_NOT:
        return ("can't",)
    if raw in _PRONOUN_CLITICS:
        return _PRONOUN_CLITICS[raw]
    if raw in _BARE_NOT:
        return (_BARE_NOT[raw], "not")
    if "'" in raw:
        return _with_clitic(raw, spell)
    if _LETTERED.fullmatch(raw):
        return spell(re.sub(r"[\s.\-]", "", raw))
    return spell(raw)


def _with_clitic(raw: str, spell: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    stem, _, clitic = raw.rpartition("'")
    if clitic == "t" and stem.endswith("n"):
        verb = stem[:-1]
        return (verb, "not") if verb in _SHORT_NOT else spell(raw)
    if clitic in _CLITICS:
        extra = _CLITICS[clitic]
        return (*spell(stem), *((extra,) if extra else ()))
    return spell(raw)


def _break_of(between: str) -> int:
    """How much the characters between two tokens part them."""
    if between in {" ", "", "-"}:
        return Break.NONE
    if "?" in between:
        return Break.QUESTION
    if "\n" in between or ";" in between or "!" in between or "|" in between:
        return Break.SENTENCE
    if "." in between:
        return Break.COMMA if ".." in between else Break.SENTENCE if between[-1] != "." else Break.NONE
    if ":" in between or "=" in between or " - " in between or "->" in between:
        return Break.COLON
    return Break.COMMA if any(mark in between for mark in ",()/…[]{}•*") or "-" in between.strip() else Break.NONE


def _soften(read: Words) -> None:
    """A comma before "it" or "which" goes on about the same thing: "my chest, it hurts"."""
    for number, word in enumerate(read.words):
        if word in {"it", "which"} and read.breaks[number] == Break.COMMA:
            read.breaks[number] = Break.NONE


def unrepeated(word: str) -> tuple[str, str]:
    """An elongated word with its long runs of letters cut to two and to one: "hearrrt" is "hearrt" or "heart"."""
    return _REPEATED.sub(r"\1\1", word), _REPEATED.sub(r"\1", word)
