"""The lexicon: which words mean which finding, compiled from plain phrases into one matcher.

A phrase is words. ``<pain>`` stands for any word of that class, ``{a|b c}`` is a choice, ``stab*`` a word's beginning,
``#38-43`` a number in that range, ``~3`` lets up to three other words stand between, ``&3`` the same in either order.
A gap never runs over a negation, "but", or a comma; ``~~3`` may cross a comma or colon. ``chest &3 <pain>`` finds
"my chest really hurts" and "pain in the chest". Matching starts at each phrase's rarest word, so it is linear in the
text.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import product
from typing import Final, NamedTuple

from anamnesis.clinical.spelling import LONGEST_STEM, Spelling
from anamnesis.clinical.words import Break, Words, tokenise

_PIECE: Final = re.compile(r"\{[^}]*\}|<[a-z_]+>|[~&]{1,2}\d+|#[\d.\-]*|[^\s{}<>]+|[{}<>]")
_INNER: Final = re.compile(r"\{[^{}]*?(\{[^{}]*\})")
_BRACES: Final = frozenset("{}<>")
_RANGE: Final = re.compile(r"#(?:(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?)?")
#: A gap between the words of a phrase never runs over these: "vomiting but no blood".
GAP_STOPS: Final = frozenset({"no", "not", "never", "without", "nor", "but", "except", "hakuna", "sina", "hana"})
_COMMON: Final = frozenset(
    [
        "i",
        "am",
        "is",
        "my",
        "me",
        "he",
        "she",
        "it",
        "the",
        "a",
        "an",
        "to",
        "of",
        "in",
        "on",
        "at",
        "and",
        "or",
        "not",
        "no",
        "can't",
        "have",
        "has",
        "had",
        "do",
        "does",
        "was",
        "be",
        "been",
        "been",
        "so",
        "too",
        "very",
        "up",
        "out",
        "down",
        "all",
        "any",
        "this",
        "that",
        "with",
        "for",
        "from",
        "his",
        "her",
        "him",
        "we",
        "our",
        "you",
        "since",
        "now",
        "when",
        "after",
        "some",
        "get",
        "got",
        "go",
        "going",
        "one",
        "two",
        "much",
        "lot",
        "bad",
        "feel",
        "feeling",
        "like",
    ]
)
_NUMBERS: Final = {
    word: float(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "hundred": 100.0, "twice": 2.0, "thrice": 3.0}


def number_of(word: str) -> float | None:
    """The number a token says ("38,5", "seven"; of "120/80" the first), or None."""
    if word[:1].isdigit():
        whole, _, _ = word.partition("/")
        try:
            return float(whole.replace(",", "."))
        except ValueError:
            return None
    return _NUMBERS.get(word)


class Step(NamedTuple):
    """From one symbol of a phrase to the next: how many words may stand between, and the weightiest break that may."""

    symbol: int
    gap: int
    limit: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """One compiled phrase: symbols in order, looked for from the rarest, the anchor, forwards and then backwards."""

    name: str
    anchor: int
    ahead: tuple[Step, ...]
    behind: tuple[Step, ...]


class Match(NamedTuple):
    """A phrase found: its name and the tokens [first, last] it spans."""

    name: str
    first: int
    last: int


class Symbols:
    """The alphabet phrases are written in: each distinct set of words, beginnings and number ranges is one symbol."""

    def __init__(self) -> None:
        self._ids: dict[frozenset[str], int] = {}
        self._sets: list[frozenset[str]] = []
        self._words: dict[str, list[int]] = defaultdict(list)
        self._stems: dict[str, list[int]] = defaultdict(list)
        self._ranges: list[tuple[float, float, int]] = []
        self._read: dict[str, frozenset[int]] = {}

    def symbol(self, atoms: frozenset[str]) -> int:
        """The number of this set of atoms, new or known."""
        if atoms in self._ids:
            return self._ids[atoms]
        number = len(self._sets)
        self._ids[atoms] = number
        self._sets.append(atoms)
        for atom in atoms:
            bounds = _RANGE.fullmatch(atom)
            if bounds:
                low, high = bounds.groups()
                self._ranges.append((float(low or 0), float(high or (low and 1e9) or 1e9), number))
            elif atom.endswith("*"):
                self._stems[atom[:-1]].append(number)
            else:
                self._words[atom].append(number)
        return number

    def commonness(self, number: int) -> int:
        """How often a symbol will be met, roughly: an anchor should be low."""
        atoms = self._sets[number]
        return sum(100 if atom in _COMMON else 60 if atom.startswith("#") else 1 for atom in atoms)

    def read(self, word: str) -> frozenset[int]:
        """Every symbol this word can stand for."""
        known = self._read.get(word)
        if known is None:
            known = frozenset(self._reading(word))
            if len(self._read) < _MEMORY:
                self._read[word] = known
        return known

    def hear(self, read: Words) -> "Heard":
        """The message as symbols."""
        known = self._read
        said = [known[word] if word in known else self.read(word) for word in read.words]
        stops = [word in GAP_STOPS for word in read.words]
        return Heard(read.words, [*said, _NOTHING], [*stops, True], [*read.breaks, _WALL])

    def _reading(self, word: str) -> Iterator[int]:
        yield from self._words.get(word, ())
        for length in range(2, min(len(word), LONGEST_STEM) + 1):
            yield from self._stems.get(word[:length], ())
        value = number_of(word)
        if value is not None:
            yield from (number for low, high, number in self._ranges if low <= value <= high)


#: Words are remembered up to so many, so that no message can fill the memory.
_MEMORY: Final = 50_000
_NOTHING: Final = frozenset[int]()
#: What stands before the token after the last: more than any gap may cross.
_WALL: Final = Break.QUESTION + 1


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as the matchers hear it: for each token the symbols it can stand for, and what gaps may not run over.

    One token that says nothing and that no gap crosses is added at the end, so that no walk can leave the message:
    to the right it meets that token, and to the left of the first token index -1 is that token too.
    """

    words: Sequence[str]
    said: Sequence[frozenset[int]]
    stops: Sequence[bool]
    breaks: Sequence[int]

    def without(self, hidden: Sequence[bool]) -> "Heard":
        """The same message with hidden tokens that say nothing."""
        said = [_NOTHING if hide else each for each, hide in zip(self.said, hidden, strict=False)]
        return replace(self, said=[*said, _NOTHING])


@dataclass(frozen=True, slots=True)
class _Beside:
    """Phrases that go on from their anchor to one side: what they want next, and which want a symbol next.

    reach is how many words away any of them looks, limit the weightiest break that any crosses. Phrases that want one
    symbol lie together, at its place: a list for each would be a hundred thousand objects, over which collecting
    garbage takes as long as reading ten messages.
    """

    wanted: frozenset[int]
    reach: int
    limit: int
    phrases: Sequence[Phrase]
    places: Mapping[int, tuple[int, int]]

    def wanting(self, symbol: int) -> Sequence[Phrase]:
        """The phrases that want this symbol next."""
        start, end = self.places[symbol]
        return self.phrases[start:end]


@dataclass(frozen=True, slots=True)
class _Anchored:
    """All phrases whose anchor one word can be: the names of those it is by itself, and those that want more words."""

    alone: Sequence[str] = ()
    ahead: _Beside | None = None
    behind: _Beside | None = None


_NO_ANCHOR: Final = _Anchored()


class Matcher:
    """Finds every phrase of a set in the tokens of a message."""

    def __init__(self, symbols: Symbols, phrases: Iterable[Phrase]) -> None:
        self._symbols = symbols
        self._by_anchor: dict[int, list[Phrase]] = defaultdict(list)
        for phrase in phrases:
            self._by_anchor[phrase.anchor].append(phrase)
        self._anchored: dict[str, _Anchored] = {}

    def find(self, heard: Heard) -> list[Match]:
        """Matches in order of place; of one name's overlapping matches the first longest."""
        alone: list[Sequence[str]] = []
        longer: dict[int, set[tuple[int, str]]] = {}
        known = self._anchored
        for place, (word, said) in enumerate(zip(heard.words, heard.said, strict=False)):
            anchored = (known.get(word) or self._anchored_at(word)) if said else _NO_ANCHOR
            alone.append(anchored.alone)
            ahead, behind = anchored.ahead, anchored.behind
            if ahead and (wanted := _wanted(ahead, range(place + 1, place + 1 + ahead.reach), 0, heard)):
                _match(wanted, place, heard, longer)
            if behind and (wanted := _wanted(behind, range(place - 1, place - 1 - behind.reach, -1), 1, heard)):
                _match(wanted, place, heard, longer)
        return _longest(alone, longer)

    def prepare(self, words: Iterable[str]) -> None:
        """Work out beforehand what begins with these words."""
        for word in words:
            if word not in self._anchored:
                self._anchored_at(word)

    def _anchored_at(self, word: str) -> _Anchored:
        """The phrases whose rarest word this word can be."""
        phrases = [each for symbol in self._symbols.read(word) for each in self._by_anchor.get(symbol, ())]
        anchored = _anchored(phrases) if phrases else _NO_ANCHOR
        if len(self._anchored) < _MEMORY:
            self._anchored[word] = anchored
        return anchored


def _anchored(phrases: Sequence[Phrase]) -> _Anchored:
    alone = tuple(sorted({each.name for each in phrases if not each.ahead and not each.behind}))
    ahead = [(each.ahead[0], each) for each in phrases if each.ahead]
    behind = [(each.behind[0], each) for each in phrases if each.behind and not each.ahead]
    return _Anchored(alone, _beside(ahead), _beside(behind))


def _beside(phrases: Sequence[tuple[Step, Phrase]]) -> _Beside | None:
    """The phrases, each with its first step, as they are looked for; None for none."""
    if not phrases:
        return None
    by_symbol: dict[int, list[Phrase]] = defaultdict(list)
    for step, phrase in phrases:
        by_symbol[step.symbol].append(phrase)
    together: list[Phrase] = []
    places: dict[int, tuple[int, int]] = {}
    for symbol, wanting in by_symbol.items():
        places[symbol] = len(together), len(together) + len(wanting)
        together += wanting
    reach, limit = max(step.gap for step, _ in phrases) + 1, max(step.limit for step, _ in phrases)
    return _Beside(frozenset(places), reach, limit, tuple(together), places)


# Of a hundred phrases that a word may belong to, the words beside it leave one or two. Asking each neighbour for
# all that is wanted at once is one operation on sets; asking each phrase for its neighbours took most of reading.


def _wanted(beside: _Beside, places: range, wall: int, heard: Heard) -> list[Phrase]:
    """The phrases whose next symbol one of the words at these places says, as far as a gap may reach.

    wall is how far from a place its break stands on the way there: at it going right, after it going left.
    """
    said, stops, breaks, wanted, limit = heard.said, heard.stops, heard.breaks, beside.wanted, beside.limit
    found: list[Phrase] = []
    for at in places:
        if breaks[at + wall] > limit:
            break
        if not wanted.isdisjoint(said[at]):
            for symbol in wanted & said[at]:
                found += beside.wanting(symbol)
        if stops[at]:
            break
    return found


def _match(phrases: Iterable[Phrase], place: int, heard: Heard, found: dict[int, set[tuple[int, str]]]) -> None:
    """Add the phrases that stand there with their anchor at place: under their first token, minus last and name."""
    for phrase in phrases:
        last = _last(phrase.ahead, place, heard.said, heard.stops, heard.breaks) if phrase.ahead else place
        if last is None:
            continue
        first = _first(phrase.behind, place, heard.said, heard.stops, heard.breaks) if phrase.behind else place
        if first is not None:
            found.setdefault(first, set()).add((-last, phrase.name))


def _last(
    ahead: Iterable[Step], at: int, said: Sequence[frozenset[int]], stops: Sequence[bool], breaks: Sequence[int]
) -> int | None:
    """Where the steps to the right end, taking the nearest word of each symbol, or None."""
    for symbol, gap, limit in ahead:
        at += 1
        furthest = at + gap
        while breaks[at] <= limit and symbol not in said[at]:
            if at == furthest or stops[at]:
                return None
            at += 1
        if breaks[at] > limit:
            return None
    return at


def _first(
    behind: Iterable[Step], at: int, said: Sequence[frozenset[int]], stops: Sequence[bool], breaks: Sequence[int]
) -> int | None:
    """Where the steps to the left end, taking the nearest word of each symbol, or None."""
    for symbol, gap, limit in behind:
        at -= 1
        furthest = at - gap
        while breaks[at + 1] <= limit and symbol not in said[at]:
            if at == furthest or stops[at]:
                return None
            at -= 1
        if breaks[at + 1] > limit:
            return None
    return at


def _longest(alone: Iterable[Sequence[str]], longer: Mapping[int, Iterable[tuple[int, str]]]) -> list[Match]:
    """The matches by their first token, the longest first, without those that overlap an earlier one of their name.

    alone has for each token the names that it is by itself, in order.
    """
    reached: dict[str, int] = {}
    furthest = -1
    kept: list[Match] = []
    for first, names in enumerate(alone):
        if first in longer:
            longest_first = sorted(longer[first])
            for last, name in longest_first:
                if first > reached.get(name, -1):
                    reached[name] = -last
                    kept.append(Match(name, first, -last))
            furthest = max(furthest, -longest_first[0][0])
        if not names:
            continue
        is_free = first > furthest
        kept += [Match(name, first, first) for name in names if is_free or first > reached.get(name, -1)]
    return kept


@dataclass(frozen=True, slots=True)
class Refinement:
    """A mention named more exactly by what else the same message says: ``of`` becomes ``becomes``.

    Every group of with_ must be met by another affirmed finding, and none of unless may be. An empty ``becomes``
    means the mention is no finding at all ("drooling" while "teething").
    """

    of: frozenset[str]
    becomes: str
    with_: tuple[frozenset[str], ...]
    unless: frozenset[str] = frozenset()

    def holds(self, present: AbstractSet[str]) -> bool:
        """Whether it names something anew where these findings are affirmed."""
        if self.of.isdisjoint(present) or not self.unless.isdisjoint(present):
            return False
        return not any(group.isdisjoint(present) for group in self.with_)


class Refinements:
    """Refinements in the order they are written in, each filed under the findings it may come to rename.

    One may rename what an earlier one has named, so a finding is filed with all that its new names are filed under.
    """

    def __init__(self, refinements: Sequence[Refinement]) -> None:
        self._written = tuple(refinements)
        self._filed: dict[str, set[int]] = defaultdict(set)
        for number in reversed(range(len(self._written))):
            refinement = self._written[number]
            later = self._filed.get(refinement.becomes, set())
            for name in refinement.of:
                self._filed[name] |= {number, *later}

    def __iter__(self) -> Iterator[Refinement]:
        return iter(self._written)

    def about(self, names: Iterable[str]) -> list[Refinement]:
        """Those that may rename something when these findings are affirmed."""
        numbers: set[int] = set()
        for name in names:
            numbers.update(self._filed.get(name, ()))
        return [self._written[number] for number in sorted(numbers)]


@dataclass(frozen=True, slots=True, eq=False)
class Bearing:
    """How a finding bears what is said around it. A lexicon has one of each sort, so they compare by identity.

    An attribute only qualifies other findings: its time and person are its own. An own wish (self-harm) is exempt from
    questions and conditions: asking how is a sign, not a quiz. A deed was done by whoever is named before it, and a
    contact was with them: "uncle hurt her", "my sister has measles". What is lasting matters for weeks or months after:
    "gave birth last month"; what is lifelong is never past; a state goes on when an illness of it has ended. An
    attribute of the person holds for all of a conversation, any other only for the message it stands in.
    """

    is_attribute: bool = False
    is_still_dangerous: bool = False
    is_own_wish: bool = False
    is_deed: bool = False
    is_contact: bool = False
    is_lasting: bool = False
    is_lifelong: bool = False
    is_state: bool = False
    is_of_person: bool = False

    @property
    def outlives_hearsay(self) -> bool:
        """Whether it is so, whoever says it: an outbreak, and a pregnancy that people give advice about."""
        return self.is_contact or self.is_state

    @property
    def is_unending(self) -> bool:
        """Whether an episode weeks back that was brought to an end may still matter."""
        return self.is_own_wish or self.is_deed or self.is_state


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All that reading needs, compiled once: spelling, the two matchers, and what findings imply of one another."""

    spelling: Spelling
    symbols: Symbols
    benign: Matcher
    meaning: Matcher
    concepts: frozenset[str]
    refinements: Refinements
    implies: Mapping[str, tuple[str, ...]]
    bearings: Mapping[str, Bearing]

    @property
    def passing(self) -> frozenset[str]:
        """The attributes that hold only for the message they stand in."""
        return frozenset(
            name for name, bearing in self.bearings.items() if bearing.is_attribute and not bearing.is_of_person
        )

    @property
    def of_person(self) -> frozenset[str]:
        """What holds of the person, in whatever message it is told."""
        return frozenset(name for name, bearing in self.bearings.items() if bearing.is_state or bearing.is_of_person)

    def prepare(self) -> None:
        """Work out for every word of the lexicon what a message with it would wait for."""
        self.benign.prepare(self.spelling.words)
        self.meaning.prepare(self.spelling.words)

    def tokenise(self, text: str) -> Words:
        """The text's tokens as this lexicon spells them."""
        return self.spelling.rewritten(tokenise(text, self.spelling.spell))


_PLAIN: Final = Bearing()
#: Names of matches that are cues and not findings begin with this.
CUE: Final = "cue."


@dataclass(frozen=True, slots=True)
class LexiconText:
    """A lexicon as written: phrases by name. ``classes`` name sets of words, ``spellings`` the variants of one word."""

    classes: Mapping[str, Sequence[str]]
    spellings: Mapping[str, Sequence[str]]
    rewrites: Mapping[str, Sequence[str]]
    not_typos: Sequence[str]
    benign: Sequence[str]
    pseudo_negations: Sequence[str]
    cues: Mapping[str, Sequence[str]]
    concepts: Mapping[str, Sequence[str]]
    refinements: Sequence[Refinement]
    implies: Mapping[str, Sequence[str]]
    still_dangerous: Sequence[str]
    attributes: Sequence[str]
    own_wishes: Sequence[str]
    deeds: Sequence[str]
    contacts: Sequence[str]
    lasting: Sequence[str]
    lifelong: Sequence[str]
    states: Sequence[str]
    of_person: Sequence[str]


def compile_lexicon(written: LexiconText) -> Lexicon:
    """Build the lexicon. Raises ValueError naming a phrase that cannot be read or a class that does not exist."""
    compiler = _Compiler(written)
    benign = [
        *compiler.phrases("benign", written.benign),
        *compiler.phrases("pseudo", written.pseudo_negations),
    ]
    meaning = [
        *(phrase for name, texts in written.cues.items() for phrase in compiler.phrases(CUE + name, texts)),
        *(phrase for name, texts in written.concepts.items() for phrase in compiler.phrases(name, texts)),
    ]
    spelling = Spelling(compiler.words, compiler.stems, written.spellings, written.rewrites, written.not_typos)
    return Lexicon(
        spelling,
        compiler.symbols,
        Matcher(compiler.symbols, benign),
        Matcher(compiler.symbols, meaning),
        frozenset(written.concepts).union(
            (each.becomes for each in written.refinements if each.becomes), *written.implies.values()
        ),
        Refinements(written.refinements),
        _closed(written.implies),
        _bearings(written),
    )


def _bearings(written: LexiconText) -> dict[str, Bearing]:
    """The bearing of every finding; a name without one is a cue's."""
    kinds = {
        "is_attribute": written.attributes,
        "is_still_dangerous": written.still_dangerous,
        "is_own_wish": written.own_wishes,
        "is_deed": written.deeds,
        "is_contact": written.contacts,
        "is_lasting": written.lasting,
        "is_lifelong": written.lifelong,
        "is_state": written.states,
        "is_of_person": written.of_person,
    }
    kinds_of: dict[str, list[str]] = {}
    for kind, names in kinds.items():
        for name in dict.fromkeys(names):
            kinds_of.setdefault(name, []).append(kind)
    sorts = {tuple(each): Bearing(**dict.fromkeys(each, True)) for each in kinds_of.values()}
    return dict.fromkeys(written.concepts, _PLAIN) | {name: sorts[tuple(each)] for name, each in kinds_of.items()}


def _closed(implies: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Everything each finding implies, at any remove."""

    def reach(name: str, seen: tuple[str, ...]) -> tuple[str, ...]:
        for implied in implies.get(name, ()):
            if implied not in seen:
                seen = reach(implied, (*seen, implied))
        return seen

    return {name: reach(name, ()) for name in implies}


class _Compiler:
    """Turns phrases into symbols; remembers every word met, which is the vocabulary that typos are corrected to."""

    def __init__(self, written: LexiconText) -> None:
        self.symbols = Symbols()
        self._spelling = Spelling((), (), {}, written.rewrites, ())
        self._variants = {
            variant: right for right, variants in written.spellings.items() for variant in variants if " " not in right
        }
        self.words: set[str] = set()
        self.stems: set[str] = set()
        self._written = written.classes
        self._classes: dict[str, frozenset[str]] = {}

    def phrases(self, name: str, texts: Sequence[str]) -> Iterator[Phrase]:
        """Every phrase the texts stand for: choices of several words and either-order gaps are written out."""
        for text in texts:
            pieces = self._respelt(_PIECE.findall(_flat(text)))
            if not pieces or pieces[0][0] in "~&" or any("{" in piece[1:] or piece in _BRACES for piece in pieces):
                raise ValueError(f"{name}: cannot read the phrase {text!r}")
            for choice in product(*(self._options(piece, name) for piece in pieces)):
                flat = tuple(part for option in choice for part in option)
                yield from (self._phrase(name, order) for order in _orders(flat))

    def _respelt(self, pieces: list[str]) -> list[str]:
        """The pieces with fixed expressions as the one word that messages will have for them."""
        read = Words(pieces, [0] * len(pieces), [0] * len(pieces), [0] * len(pieces))
        return [self._variants.get(word, word) for word in self._spelling.rewritten(read).words]

    def _options(self, piece: str, name: str) -> list[tuple[str | frozenset[str], ...]]:
        """What one piece may be: a run of atoms-sets, or a gap kept as its text."""
        if piece[0] in "~&":
            return [(piece,)]
        if piece[0] == "<":
            return [(self._class(piece[1:-1], name),)]
        if piece[0] != "{":
            return [(self._atoms([piece]),)]
        single: list[str] = []
        several: list[tuple[str | frozenset[str], ...]] = []
        for option in piece[1:-1].split("|"):
            parts = self._respelt(option.split())
            if len(parts) == 1 and parts[0][0] not in "<{":
                single.append(parts[0])
            else:
                several.append(tuple(self._option_part(part, name) for part in parts))
        classes = [option[0] for option in several if len(option) == 1 and isinstance(option[0], frozenset)]
        joined = self._atoms(single).union(*classes)
        return [*([(joined,)] if joined else []), *(option for option in several if len(option) > 1)]

    def _option_part(self, part: str, name: str) -> str | frozenset[str]:
        if part[0] in "~&":
            return part
        return self._class(part[1:-1], name) if part[0] == "<" else self._atoms([part])

    def _class(self, wanted: str, name: str) -> frozenset[str]:
        if wanted not in self._classes:
            if wanted not in self._written:
                raise ValueError(f"{name}: there is no class <{wanted}>")
            members = self._written[wanted]
            plain = self._atoms([member for member in members if not member.startswith("<")])
            self._classes[wanted] = plain.union(*(self._class(m[1:-1], name) for m in members if m.startswith("<")))
        return self._classes[wanted]

    def _atoms(self, members: Sequence[str]) -> frozenset[str]:
        members = [self._variants.get(member, member) for member in members]
        for member in members:
            if member.endswith("*"):
                self.stems.add(member[:-1])
            elif not member.startswith("#"):
                self.words.add(member)
        return frozenset(members)

    def _phrase(self, name: str, parts: Sequence[str | frozenset[str]]) -> Phrase:
        symbols: list[int] = []
        gaps: list[int] = []
        crosses: list[bool] = []
        gap, cross = 0, False
        for part in parts:
            if isinstance(part, str):
                gap, cross = int(part.lstrip("~&")), part[1] in "~&"
                continue
            symbols.append(self.symbols.symbol(part))
            gaps.append(gap)
            crosses.append(cross)
            gap, cross = 0, False
        anchor = min(range(len(symbols)), key=lambda number: self.symbols.commonness(symbols[number]))
        limits = [Break.COLON if each else Break.NONE for each in crosses]
        ahead = tuple(Step(symbols[at], gaps[at], limits[at]) for at in range(anchor + 1, len(symbols)))
        behind = tuple(Step(symbols[at], gaps[at + 1], limits[at + 1]) for at in range(anchor - 1, -1, -1))
        return Phrase(name, symbols[anchor], ahead, behind)


def _flat(text: str) -> str:
    """A phrase with no choice inside a choice: ``{a|b {c|d}}`` is ``{a|b c|b d}``."""
    while (inner := _INNER.search(text)) is not None:
        outer = inner.start(1)
        start = max(text.rfind("{", 0, outer), text.rfind("|", 0, outer)) + 1
        end = _end_of_option(text, inner.end(1))
        before, after = text[start:outer], text[inner.end(1) : end]
        options = (before + option + after for option in inner.group(1)[1:-1].split("|"))
        text = text[:start] + "|".join(options) + text[end:]
    return text


def _end_of_option(text: str, start: int) -> int:
    """Where the option that start stands in ends: at its own bar or brace, or at the end of the text."""
    depth = 0
    for place in range(start, len(text)):
        if depth == 0 and text[place] in "|}":
            return place
        depth += (text[place] == "{") - (text[place] == "}")
    return len(text)


def _orders(parts: tuple[str | frozenset[str], ...]) -> Iterator[tuple[str | frozenset[str], ...]]:
    """The phrase itself, and for its first either-order gap also the turned one."""
    for number, part in enumerate(parts):
        if isinstance(part, str) and part[0] == "&":
            gap = "~" * (len(part) - len(part.lstrip("&"))) + part.lstrip("&")
            before, after = parts[:number], parts[number + 1 :]
            yield from _orders((*before, gap, *after))
            yield from _orders((*after, gap, *before))
            return
    yield parts
