"""What tells who somebody is, by its form or because it is known of this person, and tokens to stand for it.

Pure. Texts are looked at bare: in small letters, without accents and without characters nobody sees, every digit in
ASCII; what is hidden is what stands in the text, letter by letter, so that it comes back as it was said. Each string is
looked at by itself, never the JSON it is sent in: there the letter of an escape would stick to the word after it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.record import ClinicalRecord, Reported
from anamnesis.llm.bare import ANY_ESCAPE, ESCAPE, Bare, Span, free
from anamnesis.llm.telltale import (
    addresses,
    any_of,
    digits,
    name_pattern,
    number_pattern,
    phones,
    pieces_of,
    spans,
    torn,
    without_unseen,
)

_LEAST_DIGITS_KNOWN: Final = 6


@dataclass(frozen=True, slots=True)
class AtMost:
    """A text of which so many characters are told. It is cut after the hiding: half a name is no name to find."""

    longest: int
    text: str


def names_told(record: ClinicalRecord) -> tuple[str, ...]:
    """The names of this record's person, as they were told, those that were corrected later among them."""
    answer = record.answer("name")
    told = (answer.value, *answer.superseded) if isinstance(answer, Reported) else ()
    return tuple(name for name in (record.name, *told) if name)


def hide(
    case: object, known: Iterable[str], *, heard: Iterable[str] = (), ours: Iterable[str] = ()
) -> tuple[object, tuple[tuple[str, str], ...]]:
    """The case with a token for everything private in its strings, and what each token stands for.

    known are the names and telephone numbers of the person; heard are whole texts of which the case may hold torn
    pieces, so that half a number is known by its whole. Keys are not looked at, nor what stands under those of ours.
    """
    hiding = _Hiding(known, frozenset(ours))
    hiding.prepare([*hiding.strings(case), *heard])
    return hiding.told(case), tuple((token, meant) for meant, token in hiding.tokens.items())


def struck(text: str, hidden: Iterable[tuple[str, str]]) -> str:
    """The text, JSON or not, with tokens for what was hidden, and for every number and address that has the form.

    For what a model says and what is kept of it: any spelling of what was hidden is found, escaped or not.
    """
    words = {Bare.of(meant).text: token for token, meant in reversed(tuple(hidden))}
    told, bare, found = any_of(words), Bare.of(text, ANY_ESCAPE), dict[Span, str]()
    tokens = bare.places(spans(_TOKEN, bare.text))
    # Of a backslash that was told and an escape that was escaped again neither shows which it is: both are looked at.
    for escape in (ANY_ESCAPE, ESCAPE):
        parted = Bare.parted(text, escape, Bare.of(text, escape))
        named = {parted.place(span): without_unseen(parted.text[slice(*span)]) for span in spans(told, parted.text)}
        found |= {place: words[named[place]] for place in free(named, (*tokens, *found))}
    found |= dict.fromkeys(free(bare.places(addresses(bare.text)), found), "[EMAIL]")
    found |= dict.fromkeys(free(bare.places(phones(bare.text)), found), "[PHONE]")
    return _replaced(text, found)


def without_others(text: str, known: Collection[str], *, instead: str) -> str:
    """The text without the addresses and telephone numbers that are none of the known ones."""
    bare = Bare.of(text)
    found = bare.places(addresses(bare.text))
    found += free(bare.places(phones(bare.text)), found)
    said = {place: text[slice(*place)] for place in found}
    return _replaced(text, {place: words if words in known else instead for place, words in said.items()})


# -- the hiding --------------------------------------------------------------------------------------------------


class _Hiding:
    """Gives each spelling of each private thing its token."""

    def __init__(self, known: Iterable[str], ours: frozenset[str]) -> None:
        self._ours = ours
        known = [Bare.of(each).text for each in known]
        numbers = [digits(each) for each in known if len(digits(each)) >= _LEAST_DIGITS_KNOWN]
        names = [each for each in known if len(digits(each)) < _LEAST_DIGITS_KNOWN]
        self._numbers, self._names = number_pattern(numbers), name_pattern(names)
        self._torn: frozenset[str] = frozenset()
        self._taken: frozenset[str] = frozenset()
        self._count: dict[str, int] = {}
        self._known_bare: dict[str, Bare] = {}
        #: What is hidden, as it stands in the texts, and the token for it.
        self.tokens: dict[str, str] = {}

    def strings(self, case: object) -> Iterator[str]:
        """Every string of a structure that may hold somebody's words, whole."""
        match case:
            case str():
                yield case
            case AtMost():
                yield case.text
            case Mapping():
                for name, value in case.items():
                    if name not in self._ours:
                        yield from self.strings(value)
            case Sequence():
                for value in case:
                    yield from self.strings(value)

    def told(self, case: object) -> object:
        """The structure with tokens in it."""
        match case:
            case str():
                return self._text(case)
            case AtMost():
                return _cut(self._text(case.text), case.longest)
            case Mapping():
                return {name: value if name in self._ours else self.told(value) for name, value in case.items()}
            case Sequence():
                return [self.told(value) for value in case]
            case _:
                return case

    def prepare(self, texts: Sequence[str]) -> None:
        """Learn from all the texts, before the first is told, what numbers they hold and what looks like a token."""
        self._taken = frozenset(token for text in texts for token in _TOKEN.findall(text))
        bare = (self._bare(text).text for text in texts)
        self._torn = frozenset(
            piece for text in bare for start, end in self._all_phones(text) for piece in pieces_of(text[start:end])
        )

    def _text(self, text: str) -> str:
        found = dict[Span, str]()
        # Somebody who pastes a text may paste its escapes.
        for escape in (None, ANY_ESCAPE) if "\\" in text else (None,):
            bare = self._bare(text) if escape is None else Bare.of(text, escape)
            parted = Bare.parted(text, escape, bare)
            found |= dict.fromkeys(free(bare.places(addresses(bare.text)), found), "EMAIL")
            found |= dict.fromkeys(free(bare.places(self._all_phones(bare.text)), found), "PHONE")
            found |= dict.fromkeys(free(bare.places(torn(bare.text, self._torn)), found), "PHONE")
            found |= dict.fromkeys(free(parted.places(spans(self._names, parted.text)), found), "NAME")
        return _replaced(text, {place: self._token(kind, text[slice(*place)]) for place, kind in sorted(found.items())})

    def _bare(self, text: str) -> Bare:
        if text not in self._known_bare:
            self._known_bare[text] = Bare.of(text)
        return self._known_bare[text]

    def _all_phones(self, bare: str) -> list[Span]:
        known = dict.fromkeys(spans(self._numbers, bare))
        return [*known, *free(phones(bare), known)]

    def _token(self, kind: str, meant: str) -> str:
        while meant not in self.tokens:
            self._count[kind] = self._count.get(kind, 0) + 1
            token = f"[{kind}_{self._count[kind]}]"
            # Somebody may have written these very letters: what came back for them would not be what was said.
            if token not in self._taken:
                self.tokens[meant] = token
        return self.tokens[meant]


_TOKEN: Final = re.compile(r"\[(?:NAME|PHONE|EMAIL)_\d+\]", re.IGNORECASE)


def _cut(text: str, longest: int) -> str:
    """The beginning of a text, with no half of a token at its end."""
    if len(text) <= longest:
        return text
    start = text.rfind("[", 0, longest)
    token = _TOKEN.match(text, start) if start >= 0 else None
    return text[:start] if token is not None and token.end() > longest else text[:longest]


def _replaced(text: str, tokens: Mapping[Span, str]) -> str:
    pieces, end = list[str](), 0
    for (start, stop), token in sorted(tokens.items()):
        pieces += text[end:start], token
        end = stop
    return "".join((*pieces, text[end:]))
