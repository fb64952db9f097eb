"""A text as it is looked at when somebody's name or number is sought in it, and the way back to the text itself.

Pure. In small letters, without accents and without characters nobody sees, every digit in ASCII.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

Span = tuple[int, int]
#: Stands for what is not seen, where that may be the end of a word as well as nothing.
UNSEEN: Final = "\0"
#: What is the same bare.
_PLAIN: Final = re.compile(r"[\t\n\r -~]*")
#: A letter, or the escape of one as JSON has it, and however often it was escaped again.
ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))|.', re.DOTALL)
ANY_ESCAPE: Final = re.compile(r'\\+(?:u([0-9a-fA-F]{4})|(["/bfnrt]))|.', re.DOTALL)
#: So many backslashes are more than escaping twice makes of none: one among them was told. The rest of the division
#: says how many are the letter's own.
_ONE_WAS_TOLD: Final = 4
_OWN: Final = (0, 1, 2, 1)
_MEANT: Final = {"n": "\n", "t": "\t", "r": "\n", "b": "", "f": "\n"}
_HIDING: Final = frozenset({"Cf", "Cc", "Mn", "Me"})
_MARKS: Final = frozenset({"Mn", "Me"})
#: Blanks that Unicode counts among letters and symbols.
_FILLERS: Final = frozenset("\u115f\u1160\u2800")


@dataclass(frozen=True, slots=True)
class Bare:
    """A text as it is looked at, and from where to where each of its letters stands in the text itself."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    #: Whether everything in it is seen.
    is_seen: bool = True

    @classmethod
    def of(cls, text: str, escape: re.Pattern[str] | None = None, *, unseen: str = "") -> "Bare":
        """The text bare; escape reads its letters where they are escaped, unseen is what stands for the unseen."""
        if (escape is None or "\\" not in text) and _PLAIN.fullmatch(text):
            return cls(text.lower(), range(len(text)), range(1, len(text) + 1))
        letters, starts, ends, is_seen = list[str](), list[int](), list[int](), True
        for start, end, letter in _letters(text, escape):
            bare = _bare(letter)
            if not bare and letter and unicodedata.category(letter) in _MARKS:
                ends[-1:] = [end] * len(ends[-1:])
            elif not bare:
                bare, is_seen = unseen, False
            letters.extend(bare)
            starts.extend([start] * len(bare))
            ends.extend([end] * len(bare))
        return cls("".join(letters), starts, ends, is_seen)

    @classmethod
    def parted(cls, text: str, escape: re.Pattern[str] | None, bare: "Bare") -> "Bare":
        """The same, where what is not seen may also be the end of a word; bare is the text read with this escape."""
        return bare if bare.is_seen else cls.of(text, escape, unseen=UNSEEN)

    def place(self, span: Span) -> Span:
        """Where something that was found stands in the text itself."""
        first, last = span
        return self.starts[first], self.ends[last - 1]

    def places(self, spans: Iterable[Span]) -> list[Span]:
        """Where they stand, all of them."""
        return [self.place(span) for span in spans]


def _letters(text: str, escape: re.Pattern[str] | None) -> Iterator[tuple[int, int, str]]:
    if escape is None:
        yield from ((place, place + 1, letter) for place, letter in enumerate(text))
        return
    for match in escape.finditer(text):
        code, letter = match.groups()
        meant = chr(int(code, 16)) if code else _MEANT.get(letter, letter) if letter else match.group()
        start, backslashes = match.start(), len(match.group()) - len(match.group().lstrip("\\"))
        if backslashes >= _ONE_WAS_TOLD:
            own = _OWN[backslashes % _ONE_WAS_TOLD]
            yield start, start + backslashes - own, "\\"
            start += backslashes - own
            meant = meant if own else match.group().lstrip("\\")
        yield start, match.end(), meant


@lru_cache(maxsize=4096)
def _bare(letter: str) -> str:
    """One letter, bare: "" for what is not seen, more than one where it stands for more."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letter).casefold())
    seen = (
        each for each in folded
        if each in "\t\n\r" or (unicodedata.category(each) not in _HIDING and each not in _FILLERS)
    )  # fmt: skip
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in seen)


def free(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """The spans that share no character with those that are taken."""
    # By places, so that a text full of numbers costs no more than its length.
    covered = {place for start, end in taken for place in range(start, end)}
    return [(start, end) for start, end in spans if covered.isdisjoint(range(start, end))]
