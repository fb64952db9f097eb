"""Read what words say: which findings are mentioned, and whether they are affirmed, denied, past, or another's.

Four steps: spell (``spelling``), take out what only looks like danger (``benign``), find phrases (``lexicon``), and
weigh each in its context (``context``). Reading is linear in the text's length and never raises.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, TypeAlias

from anamnesis.clinical.asked import turned
from anamnesis.clinical.context import Scene
from anamnesis.clinical.lexicon import CUE, Bearing, Lexicon, Match, Refinements
from anamnesis.clinical.terms import Assertion, Finding
from anamnesis.clinical.words import Words, fold

__all__ = ["NO_CONTEXT", "ReadingContext", "fold", "read_findings"]

#: A finding's words, and how it takes its context.
_Mention: TypeAlias = tuple[Match, Bearing]
_BENIGN: Final = "benign"
#: Looked up once: the member of an enum takes long to find, and it is compared for every finding.
_AFFIRMED: Final = Assertion.AFFIRMED
_GOOD: Final = frozenset({"well", "ok", "okay", "fine", "good", "normal", "normally", "properly", "easily", "clear"})
_UNDOING: Final = frozenset({"not", "never", "can't", "hardly", "barely", "stopped", "longer"})


@dataclass(frozen=True, slots=True)
class ReadingContext:
    """What was asked just before: the findings a bare "yes" or "no" speaks of."""

    asked_concepts: frozenset[str] = frozenset()


NO_CONTEXT: Final = ReadingContext()


def read_findings(
    text: str, lexicon: Lexicon, *, context: ReadingContext = NO_CONTEXT, message_id: str = ""
) -> tuple[Finding, ...]:
    """Every finding the text mentions, in order of place, with its assertion and verbatim quote.

    A bare yes or no at the start answers the context's question: no denies all that was asked, yes affirms it when
    one thing was asked (of several, yes does not say which). Never raises, whatever the text.
    """
    read = turned(lexicon.tokenise(text))
    heard = lexicon.symbols.hear(read)
    first = lexicon.benign.find(heard)
    hidden = _hidden(len(read), [match for match in first if match.name == _BENIGN and not _is_undone(match, read)])
    matches = lexicon.meaning.find(heard.without(hidden))
    pseudo = [match for match in first if match.name != _BENIGN]
    cues, mentions = _told_apart(matches, lexicon)
    scene = Scene(text, read, cues, (match for match, bearing in mentions if not bearing.is_attribute), pseudo)
    found = _weighed(mentions, scene, text, read, message_id)
    found.extend(_answered(text, read, cues, context, message_id))
    named = _refined(found, lexicon.refinements)
    return tuple(sorted(_with_implied(named, lexicon), key=attrgetter("start", "end", "concept")))


def _hidden(length: int, benign: Iterable[Match]) -> list[bool]:
    hidden = [False] * length
    for match in benign:
        hidden[match.first : match.last + 1] = [True] * (match.last + 1 - match.first)
    return hidden


def _is_undone(match: Match, read: Words) -> bool:
    """Whether a denial before it takes back what seemed harmless: "not breathing well"."""
    is_denied = match.first > 0 and read.words[match.first - 1] in _UNDOING and not read.breaks[match.first]
    return is_denied and read.words[match.last] in _GOOD


def _told_apart(matches: Iterable[Match], lexicon: Lexicon) -> tuple[list[Match], list[_Mention]]:
    """The cues, and the mentions of findings."""
    cues: list[Match] = []
    mentions: list[_Mention] = []
    bearings = lexicon.bearings
    for match in matches:
        bearing = bearings.get(match.name)
        if bearing is None:
            cues.append(match)
        else:
            mentions.append((match, bearing))
    return cues, mentions


def _weighed(mentions: Iterable[_Mention], scene: Scene, text: str, read: Words, message_id: str) -> list[Finding]:
    """What the message says of each mention. Many findings stand in the same words, which are weighed once."""
    known: dict[tuple[int, int, Bearing], Assertion] = {}
    found: list[Finding] = []
    for match, bearing in mentions:
        name, first, last = match
        key = first, last, bearing
        assertion = known.get(key)
        if assertion is None:
            assertion = known[key] = scene.assertion(match, bearing)
        start, end = read.starts[first], read.ends[last]
        found.append(Finding(name, assertion, start, end, text[start:end], message_id))
    return found


def _answered(text: str, read: Words, cues: Sequence[Match], context: ReadingContext, message_id: str) -> list[Finding]:
    """What a bare yes or no says of what was asked."""
    opening = {match.name for match in cues if match.first == 0}
    if not context.asked_concepts or not len(read):
        return []
    said_no, said_yes = CUE + "answer_no" in opening, CUE + "answer_yes" in opening
    if not said_no and not (said_yes and len(context.asked_concepts) == 1):
        return []
    start, end = read.starts[0], read.ends[0]
    assertion = Assertion.DENIED if said_no else Assertion.AFFIRMED
    return [
        Finding(concept, assertion, start, end, text[start:end], message_id)
        for concept in sorted(context.asked_concepts)
    ]


def _refined(found: Sequence[Finding], refinements: Refinements) -> Sequence[Finding]:
    """The findings, each named as exactly as the rest of the message allows."""
    present = {each.concept for each in found if each.assertion is _AFFIRMED}
    names = {each.concept for each in found}
    becomes: dict[str, str] = {}  # what each name that was told is called by now, as far as it changed
    for refinement in refinements.about(present):
        if not refinement.holds(present):
            continue
        present -= refinement.of
        present |= {refinement.becomes} - {""}
        becomes |= {name: refinement.becomes for name, new in becomes.items() if new in refinement.of}
        becomes |= dict.fromkeys(refinement.of & names - becomes.keys(), refinement.becomes)
    return _renamed(found, becomes) if becomes else found


def _renamed(found: Iterable[Finding], becomes: Mapping[str, str]) -> list[Finding]:
    """The findings under their new names; what becomes nothing is left out."""
    renamed = (each._replace(concept=becomes[each.concept]) if each.concept in becomes else each for each in found)
    return [each for each in renamed if each.concept]


def _with_implied(found: Iterable[Finding], lexicon: Lexicon) -> Iterable[Finding]:
    """The findings and what they imply: convulsing now is a convulsion. Nothing twice for the same words."""
    out: dict[tuple[str, int, int], Finding] = {}
    implies = lexicon.implies
    for finding in found:
        name, _, start, end, _, _ = finding
        out.setdefault((name, start, end), finding)
        for concept in implies.get(name, ()):
            out.setdefault((concept, start, end), finding._replace(concept=concept))
    return out.values()
