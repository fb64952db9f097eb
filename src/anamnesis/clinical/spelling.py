"""Spelling as people do on phones: variants, elongation, words run together, one slip of the finger, and rewrites.

A slip is put right only in words of five letters or more, only to a word of the lexicon with the same first letter,
and never in a word that is itself English (``not_typos``): "health" must not become "death".
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from anamnesis.clinical.words import Break, Words, parts_of, unrepeated

#: No beginning of a word in the lexicon is longer.
LONGEST_STEM: Final = 20
_SHORTEST_TYPO: Final = 5
_SHORTEST_RUN_ON: Final = 6
_LONGEST_RUN_ON: Final = 48
_MEMORY: Final = 50_000
_SHORTEST_BARE: Final = 4
_VOWELS: Final = frozenset("aeiou")
#: The words of a fixed expression, and the one word they become.
_Rewrite: TypeAlias = tuple[list[str], str]
#: Stands for the second word where an expression has none.
_ALONE: Final = ""
_SHORT_TAILS: Final = frozenset({"up", "in", "of", "my", "to"})


class Spelling:
    """Gives each word the form the lexicon knows it in."""

    def __init__(
        self,
        words: Collection[str],
        stems: Collection[str],
        spellings: Mapping[str, Sequence[str]],
        rewrites: Mapping[str, Sequence[str]],
        not_typos: Collection[str],
    ) -> None:
        self._variants = {variant: right for right, variants in spellings.items() for variant in variants}
        self._rewrites = _rewrites(rewrites)
        in_rewrites = {part for texts in rewrites.values() for text in texts for part in text.split()}
        self._words = {*words, *in_rewrites, *rewrites, *spellings, "can't", "won't"}
        self._known = self._words | set(not_typos)
        self._stems = frozenset(stems)
        self._slips = _deletions(
            {word for word in self._words if len(word) >= _SHORTEST_TYPO and word.isalpha()}
            | {stem for stem in stems if len(stem) >= _SHORTEST_TYPO}
        )
        self._bare = _by_bare(word for word in self._words if word.isalpha() and len(word) > _SHORTEST_BARE)
        self._memory: dict[str, tuple[str, ...]] = {}

    @property
    def words(self) -> Collection[str]:
        """Every word of the lexicon as it is spelt."""
        return self._words

    def spell(self, raw: str) -> tuple[str, ...]:
        """The words of one token as the lexicon spells them; several when it was written as one, or has a clitic."""
        known = self._memory.get(raw)
        if known is None:
            known = parts_of(raw, self._spelt)
            if len(self._memory) < _MEMORY:
                self._memory[raw] = known
        return known

    def _spelt(self, raw: str) -> tuple[str, ...]:
        if raw in self._variants:
            return tuple(self._variants[raw].split())
        if raw.endswith("in") and f"{raw}g" in self._words and raw not in self._known:
            return self._spelt(f"{raw}g")  # "bleedin"
        double, single = unrepeated(raw)
        if single == raw and (self._is_known(raw) or not raw.isalpha()):
            return (raw,)
        for shorter in (double, single):
            if shorter != raw and (shorter in self._known or shorter in self._variants):
                return self._spelt(shorter)
        return self._with_vowels(single) or self._without_slip(single) or self._run_on(single) or (raw,)

    def _is_known(self, word: str) -> bool:
        return word in self._known or any(
            word[:length] in self._stems for length in range(3, min(len(word), LONGEST_STEM) + 1)
        )

    def _with_vowels(self, word: str) -> tuple[str, ...]:
        """The one lexicon word that is written here with no vowel after its first letter: "prssing" is none."""
        if len(word) < _SHORTEST_BARE or not _VOWELS.isdisjoint(word[1:]):
            return ()
        full = self._bare.get(_bare(word))
        return tuple(self._variants.get(full, full).split()) if full else ()

    def _without_slip(self, word: str) -> tuple[str, ...]:
        """The one lexicon word a single inserted, dropped, changed or swapped letter away, if there is one."""
        if not _SHORTEST_TYPO <= len(word) <= _LONGEST_RUN_ON:
            return ()
        near = {
            candidate
            for form in (word, *_without_each(word))
            for candidate in self._slips.get(form, ())
            if candidate[0] == word[0] and _is_one_slip(word, candidate)
        }
        best = min(near, key=lambda candidate: _unlike(word, candidate), default=None)
        return () if best is None else tuple(self._variants.get(best, best).split())

    def _run_on(self, word: str) -> tuple[str, ...]:
        """A word that is known words run together, as those: "chestpain" is "chest", "pain"."""
        if not _SHORTEST_RUN_ON <= len(word) <= _LONGEST_RUN_ON:
            return ()
        best: list[tuple[str, ...] | None] = [(), *([None] * len(word))]
        for end in range(1, len(word) + 1):
            for start in range(max(0, end - 14), end):
                part, before = word[start:end], best[start]
                if before is None or not self._is_part(part, is_last=end == len(word)):
                    continue
                shortest = best[end]
                if shortest is None or len(before) + 1 < len(shortest):
                    best[end] = (*before, part)
        return tuple(word for part in best[-1] or () for word in self._variants.get(part, part).split())

    def _is_part(self, part: str, *, is_last: bool) -> bool:
        if len(part) < 3 and not (is_last and part in _SHORT_TAILS):
            return False
        return part in self._words or part in self._variants

    def rewritten(self, read: Words) -> Words:
        """The tokens with fixed expressions as one word each: "throwing up" becomes "vomiting", its span the whole."""
        rewrites = self._rewrites
        out, at = Words([], [], [], [], read.is_question), 0
        for place, word in enumerate(read.words):
            if word in rewrites and place >= at and (rewrite := self._rewrite_at(read, place)):
                parts, becomes = rewrite
                out.extend(read, at, place)
                at = place + len(parts)
                out.append(becomes, read.starts[place], read.ends[at - 1], read.breaks[place])
        if not at:
            return read
        out.extend(read, at, len(read))
        return out

    def _rewrite_at(self, read: Words, at: int) -> _Rewrite | None:
        openings, following = self._rewrites[read.words[at]], read.words[at + 1 : at + 2]
        for parts, becomes in (*openings.get(following[0] if following else _ALONE, ()), *openings.get(_ALONE, ())):
            end = at + len(parts)
            if read.words[at:end] == parts and all(each < Break.SENTENCE for each in read.breaks[at + 1 : end]):
                return parts, becomes
        return None


def _rewrites(written: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[_Rewrite]]]:
    """Rewrites by first and second word, longest first."""
    by_first: dict[str, dict[str, list[_Rewrite]]] = {}
    for becomes, texts in written.items():
        for text in texts:
            parts = text.split()
            second = parts[1] if len(parts) > 1 else _ALONE
            by_first.setdefault(parts[0], {}).setdefault(second, []).append((parts, becomes))
    for openings in by_first.values():
        for options in openings.values():
            options.sort(key=lambda option: -len(option[0]))
    return by_first


def _deletions(words: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Each word under itself and under itself with any one letter left out."""
    index: dict[str, list[str]] = {}
    for word in sorted(words):
        for form in {word, *_without_each(word)}:
            index.setdefault(form, []).append(word)
    return {form: tuple(found) for form, found in index.items()}


def _without_each(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in range(len(word))]


def _bare(word: str) -> str:
    """A word as it is written in haste, with no vowel after its first letter: "bldng" of "bleeding"."""
    return word[0] + "".join(letter for letter in word[1:] if letter not in _VOWELS)


def _by_bare(words: Iterable[str]) -> dict[str, str | None]:
    """Words by how they are written with no vowels; of those that would look alike, none."""
    found: dict[str, str | None] = {}
    for word in words:
        bare = _bare(word)
        found[bare] = None if bare in found else word
    return found


def _unlike(written: str, meant: str) -> tuple[bool, int, str]:
    """How far a word is from the one meant: a vowel left out is the likeliest slip, then a letter changed."""
    is_vowel_short = len(meant) > len(written) and _bare(meant) == _bare(written)
    return not is_vowel_short, abs(len(meant) - len(written)), meant


def _is_one_slip(written: str, meant: str) -> bool:
    """Whether one inserted, dropped, changed or swapped letter turns one into the other."""
    if abs(len(written) - len(meant)) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    if same is None:
        return True
    rest, wanted = written[same:], meant[same:]
    swapped = rest[1::-1] == wanted[:2] and rest[2:] == wanted[2:]
    return swapped or rest[1:] == wanted[1:] or rest[1:] == wanted or rest == wanted[1:]
