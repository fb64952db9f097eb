"""What a model may do to a written note: order the background, tidy the patient's words in it, propose a differential.

A proposal is read as hostile. Labels, states, evidence, urgency, flags, readings and scores are code's and stay. Words
may be tidied only so far that their sense cannot turn: every word that carries sense stands in the new wording, in the
same order, and no other; numbers, medicines, illnesses and denials are such words. What fails keeps its old wording.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from anamnesis.clinical.clauses import NEGATED, UNSURE, around, turns
from anamnesis.clinical.findings import fold
from anamnesis.clinical.record import ClinicalRecord, NoneReported, NotAsked, Reported
from anamnesis.clinical.rubric import score
from anamnesis.clinical.sbar import HEADINGS, HISTORY, HPI, PROPOSED, STATES, WITHHELD, Sbar, Statement
from anamnesis.clinical.terms import Evidence

LEAST_CONDITIONS: Final = 3
MOST_CONDITIONS: Final = 5
#: What must be known besides complaint, onset, age and sex, so that weighing illnesses is more than guessing.
_LEAST_TOLD: Final = 4
_MOST_GROUNDS: Final = 4
_SHORTEST_QUOTE: Final = 2
_LONGEST_WORDS: Final = 300
_LABELS: Final = frozenset(label for _, label in (*HPI, *HISTORY))
_SHORTENED: Final = " …"
WORDED: Final = (
    "The background was tidied, or a differential proposed, by a language model; every line keeps its evidence."
)

_TOKEN: Final = re.compile(r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s]|_")
#: May come and go: who speaks, articles, the present tense of being.
_NEUTRAL: Final = frozenset("a an the i i'm im me my myself it its it's is am are patient reports".split())  # noqa: SIM905 - read as a whole
#: These too, where nothing is denied or doubted: there they say how far the denial reaches.
_JOINING: Final = frozenset({"and", ",", ".", ";", ":"})
#: Verbs whose person and aspect may change. Not their tense, and no noun's number: one ear is not both.
_VERBS: Final = frozenset(
    """go come start begin spread feel hurt get stay take make help move walk live work smoke drink eat need sleep
    climb bend stand lie sit breathe cough swallow burn throb ease""".split()  # noqa: SIM905 - read as a whole
)


# -- what is proposed --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wording:
    """Other words for what stands after the label of a line."""

    line: str
    words: str


@dataclass(frozen=True, slots=True)
class Ground:
    """Words of the patient under a line of the note, verbatim."""

    line: str
    quote: str


@dataclass(frozen=True, slots=True)
class Condition:
    """An illness to consider, what speaks for it and what against."""

    name: str
    supports: tuple[Ground, ...]
    against: tuple[Ground, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """All a model may say about a note. Lines are named by the ids of ``numbered``."""

    order: tuple[str, ...] = ()
    wordings: tuple[Wording, ...] = ()
    differential: tuple[Condition, ...] = ()


# -- what holds --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """A ground that held: the line of the note it stands under, as code wrote it, and the quote."""

    fact: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Considered:
    """An illness of the vocabulary whose grounds held; supports is never empty."""

    name: str
    supports: tuple[Held, ...]
    against: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Reworked:
    """The note with what held of a proposal. dropped has a word for each thing that did not."""

    note: Sbar
    differential: tuple[Considered, ...]
    reworded: int
    dropped: tuple[str, ...]


def numbered(note: Sbar) -> dict[str, Statement]:
    """The lines of a note by their ids: the first letter of the section and a number from 1."""
    return {
        f"{heading[0].upper()}{number}": statement
        for heading in HEADINGS
        for number, statement in enumerate(getattr(note, heading), 1)
    }


def has_enough(record: ClinicalRecord) -> bool:
    """Whether enough was told to weigh illnesses: who, what, since when, the danger signs, and four topics more."""
    who = record.person.age is not None and record.person.sex is not None
    what = all(isinstance(record.answer(slot), Reported) for slot in ("chief_complaint", "onset"))
    told = sum(isinstance(record.answer(slot), Reported | NoneReported) for slot, _ in HPI[1:])
    are_asked = not any(isinstance(record.sign(sign), NotAsked) for sign in record.signs_due)
    return who and what and are_asked and told >= _LEAST_TOLD and not record.is_ended_early


def may_reword(statement: Statement) -> bool:
    """Whether a line holds words of the patient that may be tidied: told, not in conflict, and not a verbatim quote."""
    labels, _, words = statement.text.partition(": ")
    is_told = bool(statement.evidence) and not words.startswith((*STATES, "“")) and "(" not in words
    return is_told and set(labels.split(", ")) <= _LABELS and bool(words)


def rework(
    note: Sbar, record: ClinicalRecord, messages: Mapping[str, str], proposal: Proposal, conditions: Iterable[str]
) -> Reworked:
    """The note with what holds of the proposal; never a lower rubric, never a line or a quote less.

    messages are the patient's words by message id; conditions are the only names an illness may have.
    """
    lines, dropped, reworded = numbered(note), list[str](), 0
    met = _met(note, record, messages)
    best = replace(note, footer=f"{note.footer} {WORDED}")
    for wording in proposal.wordings:
        better = _with_wording(best, lines, wording)
        if better is None or not met <= _met(better, record, messages):
            dropped.append("wording")
        else:
            best, reworded = better, reworded + (better != best)
    ordered = replace(best, background=_in_order(best.background, proposal.order))
    best = ordered if met <= _met(ordered, record, messages) else best
    held, faults = _differential(proposal.differential, lines, messages, conditions)
    proposing = _with_differential(best, held)
    if has_enough(record) and met <= _met(proposing, record, messages):
        best = proposing
    else:
        held = ()
    is_changed = (best.background, best.assessment) != (note.background, note.assessment)
    return Reworked(best if is_changed else note, held, reworded, (*dropped, *faults))


def _met(note: Sbar, record: ClinicalRecord, messages: Mapping[str, str]) -> frozenset[int]:
    """The items of the rubric this note meets."""
    return frozenset(item.number for item in score(note, record, messages) if item.is_met)


# -- words and order ---------------------------------------------------------------------------------------------


def _with_wording(note: Sbar, lines: Mapping[str, Statement], wording: Wording) -> Sbar | None:
    """The note with the line in other words; None when the line may not have them."""
    statement = lines.get(wording.line)
    if statement is None or wording.line[0] != "B" or not may_reword(statement):
        return None
    label, _, words = statement.text.partition(": ")
    place = int(wording.line[1:]) - 1
    new, ending = wording.words.strip(), _SHORTENED if words.endswith(_SHORTENED) else ""
    if note.background[place] != statement or not says_the_same(words.removesuffix(ending), new.removesuffix(ending)):
        return None
    tidied = replace(statement, text=f"{label}: {new.removesuffix(ending)}{ending}")
    return replace(note, background=(*note.background[:place], tidied, *note.background[place + 1 :]))


def says_the_same(old: str, new: str) -> bool:
    """Whether new has every word of old that carries sense, in the same order, and no other such word."""
    if not 0 < len(new) <= _LONGEST_WORDS or not new.isprintable():
        return False
    folded = fold(old)
    is_turned = NEGATED.search(folded) is not None or UNSURE.search(folded) is not None or "or" in folded.split()
    before, after = _sense(old, is_turned=is_turned), _sense(new, is_turned=is_turned)
    pairs = zip(before, after, strict=False)
    return 0 < len(before) == len(after) and all(_is_same_word(mine, theirs) for mine, theirs in pairs)


def _sense(text: str, *, is_turned: bool) -> list[str]:
    plain = unicodedata.normalize("NFC", text).casefold().replace("’", "'").strip(" .,;:")
    left_out = _NEUTRAL if is_turned else _NEUTRAL | _JOINING
    return [token for token in _TOKEN.findall(plain) if token not in left_out]


def _is_same_word(one: str, other: str) -> bool:
    return one == other or not _verbs(one).isdisjoint(_verbs(other))


def _verbs(word: str) -> frozenset[str]:
    """The verbs of the list a word is the present tense of."""
    stems = (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ing"))
    doubled = word.removesuffix("ing")[:-1] if word.endswith("ing") else word
    silent = word.removesuffix("ing") + "e" if word.endswith("ing") else word
    return _VERBS & {*stems, doubled, silent}


def _in_order(background: Sequence[Statement], order: Sequence[str]) -> tuple[Statement, ...]:
    """The background with the named lines first, as named; the others follow as they stood."""
    by_id = {f"B{number}": statement for number, statement in enumerate(background, 1)}
    first = [each for each in dict.fromkeys(order) if each in by_id]
    return tuple(by_id[each] for each in (*first, *(each for each in by_id if each not in first)))


# -- the differential --------------------------------------------------------------------------------------------


def _differential(
    proposed: Sequence[Condition],
    lines: Mapping[str, Statement],
    messages: Mapping[str, str],
    conditions: Iterable[str],
) -> tuple[tuple[Considered, ...], list[str]]:
    """Three to five illnesses whose grounds hold, or none at all; with a word for each that fell."""
    names, held, dropped = {fold(name): name for name in conditions}, dict[str, Considered](), list[str]()
    for each in proposed:
        name = names.get(fold(each.name).strip())
        if name is None or name in held:
            dropped.append("condition")
            continue
        supports = tuple(_holding(each.supports, lines, messages))
        against = tuple(_holding(each.against, lines, messages))
        dropped += ["ground"] * (len(each.supports) + len(each.against) - len(supports) - len(against))
        if not supports or set(supports) & set(against):
            dropped.append("condition")
            continue
        held[name] = Considered(name, supports, against)
    kept = tuple(held.values())[:MOST_CONDITIONS]
    return (kept, dropped) if len(kept) >= LEAST_CONDITIONS else ((), [*dropped, *("too_few" for _ in kept)])


def _holding(grounds: Sequence[Ground], lines: Mapping[str, Statement], messages: Mapping[str, str]) -> Iterator[Held]:
    for ground in dict.fromkeys(grounds[:_MOST_GROUNDS]):
        statement = lines.get(ground.line)
        source = None if statement is None else _source(ground.quote, statement, messages)
        if statement is not None and source is not None:
            yield Held(statement.text, Evidence(source, ground.quote))


def _source(quote: str, statement: Statement, messages: Mapping[str, str]) -> str | None:
    """The message of the evidence that has the quote: whole words, with what denies or doubts them there.

    The evidence was cut by code to what the line says, so a quote is judged within it.
    """
    if len(quote) < _SHORTEST_QUOTE or not re.search(r"\w", quote):
        return None
    for evidence in statement.evidence:
        is_told = bool(evidence.quote) and evidence.quote in messages.get(evidence.message_id, "")
        match = re.search(rf"(?<!\w){re.escape(quote)}(?!\w)", evidence.quote)
        if is_told and match and turns(around(quote, evidence.quote, match.start())) <= turns(fold(quote)):
            return evidence.message_id
    return None


def _weighed(considered: Considered) -> str:
    """How many of the patient's words speak for it and against it; that none against is known is no proof of it."""
    against = f"{len(considered.against)} against" if considered.against else "against not known"
    return f"{len(considered.supports)} for, {against}"


def _with_differential(note: Sbar, held: Sequence[Considered]) -> Sbar:
    if not held:
        return note
    names = "; ".join(f"{each.name} ({_weighed(each)})" for each in held)
    evidence = tuple(dict.fromkeys(ground.evidence for each in held for ground in each.supports))
    proposed = Statement(f"{PROPOSED}{names}.", evidence)
    return replace(note, assessment=tuple(proposed if each.text == WITHHELD else each for each in note.assessment))
