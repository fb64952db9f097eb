"""Read what words say: which findings are mentioned, and whether they are affirmed, denied, past, or another's.

Four steps: spell (``spelling``), take out what only looks like danger (``benign``), find phrases (``lexicon``), and
weigh each in its context (``context``). Reading is linear in the text's length and never raises.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from anamnesis.clinical.asked import turned
from anamnesis.clinical.context import Scene
from anamnesis.clinical.lexicon import CUE, Bearing, Lexicon, Match, Refinement
from anamnesis.clinical.terms import Assertion, Finding
from anamnesis.clinical.words import Words, fold

__all__ = ["NO_CONTEXT", "ReadingContext", "fold", "read_findings"]

_BENIGN: Final = "benign"
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
    cues = [match for match in matches if match.name.startswith(CUE)]
    mentions = [match for match in matches if not match.name.startswith(CUE)]
    scene = Scene(text, read, cues, (each for each in mentions if not lexicon.bearing(each.name).is_attribute), pseudo)
    weigh = _Weighing(scene, lexicon)
    found = [_finding(match, text, read, weigh.assertion(match), message_id) for match in mentions]
    found.extend(_answered(text, read, cues, context, message_id))
    named = _refined(found, lexicon.refinements)
    return tuple(sorted(_with_implied(named, lexicon), key=lambda each: (each.start, each.end, each.concept)))


def _hidden(length: int, benign: Iterable[Match]) -> list[bool]:
    hidden = [False] * length
    for match in benign:
        hidden[match.first : match.last + 1] = [True] * (match.last + 1 - match.first)
    return hidden


def _is_undone(match: Match, read: Words) -> bool:
    """Whether a denial before it takes back what seemed harmless: "not breathing well"."""
    is_denied = match.first > 0 and read.words[match.first - 1] in _UNDOING and not read.breaks[match.first]
    return is_denied and read.words[match.last] in _GOOD


class _Weighing:
    """What a message says of each mention. Many findings stand in the same words, which are weighed once."""

    def __init__(self, scene: Scene, lexicon: Lexicon) -> None:
        self._scene, self._lexicon = scene, lexicon
        self._known: dict[tuple[int, int, Bearing], Assertion] = {}

    def assertion(self, mention: Match) -> Assertion:
        """As the mention's finding takes its context."""
        bearing = self._lexicon.bearing(mention.name)
        key = mention.first, mention.last, bearing
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._scene.assertion(mention, bearing)
        return known


def _finding(match: Match, text: str, read: Words, assertion: Assertion, message_id: str) -> Finding:
    start, end = read.starts[match.first], read.ends[match.last]
    return Finding(match.name, assertion, start, end, text[start:end], message_id)


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


def _refined(found: Sequence[Finding], refinements: Iterable[Refinement]) -> list[Finding]:
    """The findings, each named as exactly as the rest of the message allows."""
    present = {each.concept for each in found if each.assertion is Assertion.AFFIRMED}
    named = list(found)
    for refinement in refinements:
        if refinement.of.isdisjoint(present) or not refinement.unless.isdisjoint(present):
            continue
        if any(group.isdisjoint(present) for group in refinement.with_):
            continue
        named = [
            _renamed(each, refinement) for each in named if refinement.becomes or each.concept not in refinement.of
        ]
        present = {each.concept for each in named if each.assertion is Assertion.AFFIRMED}
    return named


def _renamed(finding: Finding, refinement: Refinement) -> Finding:
    return replace(finding, concept=refinement.becomes) if finding.concept in refinement.of else finding


def _with_implied(found: Iterable[Finding], lexicon: Lexicon) -> list[Finding]:
    """The findings and what they imply: convulsing now is a convulsion. Nothing twice for the same words."""
    out: dict[tuple[str, int, int], Finding] = {}
    for finding in found:
        out.setdefault((finding.concept, finding.start, finding.end), finding)
        for concept in lexicon.implies.get(finding.concept, ()):
            out.setdefault((concept, finding.start, finding.end), replace(finding, concept=concept))
    return list(out.values())
