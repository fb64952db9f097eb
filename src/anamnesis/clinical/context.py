"""What the words around a mention assert of it: ConText (Harkema et al. 2009, J Biomed Inform 42:839) over tokens.

Cues open scopes to the right or left; sentence ends, contrast words and the start of a new clause close them. A list
shares its negation; "and my …", ", but …", ", now …" reopen. Every walk is bounded, so reading stays linear.
"""

import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from anamnesis.clinical import function_words as small
from anamnesis.clinical.lexicon import CUE, Bearing, Match, number_of
from anamnesis.clinical.terms import Assertion
from anamnesis.clinical.words import Break, Words

_LIST_REACH: Final = 30  # tokens a "no" reaches along a list
_SHORT_REACH: Final = 6  # tokens a "not" reaches
_ANSWER_REACH: Final = 24  # tokens back from ": none" to the list it answers
_ANSWER_OPENS: Final = 2  # tokens of a sentence before its "answer: no"
_ITEM: Final = 8  # tokens of a thing named to be denied: "trouble opening my mouth, no"
_RESOLVED_REACH: Final = 9  # tokens from a mention to "it went away"
_TAKEN_AWAY: Final = 3  # tokens from "but" to "took it away"
_SAID_OF_REACH: Final = 3  # words from a mention to the "is no trouble" said of it: "walking up the stairs is easy"
_DATED_REACH: Final = 2  # tokens from "last fit" to its "in 2019"
_EXPLAINED_REACH: Final = 7  # tokens from a mention to "turned out to be nothing"
_NAMED_REACH: Final = 4  # tokens before "is back" that name what is back
_RELAPSE_REACH: Final = 6  # tokens from "stopped" to "but started again"
#: A sentence without end is parted after so many tokens, or reading it would not be linear.
_LONGEST_SENTENCE: Final = 90
_LAUGH: Final = 2  # tokens of a sentence that only laughs
_OPENS: Final = 6  # tokens of a sentence in which it names whom it goes on about
_FRAME_OPENS: Final = 2  # tokens of a sentence before "at age four", that speaks for all of it
_OCCASION_OPENS: Final = 5  # tokens from "during my first delivery" to its "in 2019"
_BELIEF_REACH: Final = 6  # tokens from "I thought" to what was thought
_DOUBLE_REACH: Final = 14  # tokens from "can't" to its "without"
_OF_THE_KIND: Final = (["like", "that"], ["like", "this"], ["like", "those"], ["of", "the"])
_LIKENING: Final = (["as", "if"], ["as", "though"])
_AS_ONE: Final = (["as", "a"], ["as", "an"])
_OBJECT_REACH: Final = 4  # tokens from "like for a running" to its cow
_CLOSING_REACH: Final = 9  # tokens from "finished" to what was finished
_LEAD_IN: Final = 9  # tokens of a "last year," that speaks for the clause after it
_CLOSING: Final = CUE + "terminator"
#: What spelling makes one word, by that word, as it is written where it means another.
_AS_WRITTEN: Final = {"can't": "couldn't", "because": "cause"}
_STEM: Final = 5  # characters that tell them apart
_MODAL_REACH: Final = 7  # tokens from "can" to its "cause"
_DENYING: Final = ("negation", "negation_short", "answer_no", "mistaken", "explained")
#: Kinds of cues without which a sentence supposes nothing, and tells of nobody else. Most sentences have none.
_SUPPOSING: Final = frozenset({"unreal", "general", "hearsay", "hypothetical", "opener"})
_OF_OTHERS: Final = frozenset({"family_history", "other_after", "relation"})
#: And without which it takes nothing back.
_TAKEN_BACK: Final = frozenset({"explained", "mistaken"})


@dataclass(frozen=True, slots=True)
class _Cues:
    """Cue matches by kind, and for each kind which tokens they cover."""

    spans: Mapping[str, Sequence[Match]]
    covers: Mapping[str, frozenset[int]]

    def at(self, kind: str, place: int) -> bool:
        return place in self.covers[kind]


class Scene:
    """One message, ready to say what it asserts of each of its mentions."""

    def __init__(
        self,
        text: str,
        read: Words,
        cues: Iterable[Match],
        mentions: Iterable[Match],
        pseudo: Iterable[Match],
    ) -> None:
        self._read = read
        self._tensed = _tensed(text, read)
        spans = {(each.first, each.last) for each in mentions}  # many findings have the same words
        self._cues = _gather(cues, self._tensed)
        self._pseudo = _covered_by(pseudo)
        self._mention_places = _covered(spans)
        self._quiet = self._pseudo | self._mention_places
        self._sentence, self._segment = self._parted()
        self._bounds = _bounds(self._segment)
        self._sentence_bounds = _bounds(self._sentence)
        self._by_segment = self._cues_by(self._segment)
        self._by_sentence = self._cues_by(self._sentence)
        self._kinds = {sentence: frozenset(self._by_sentence[sentence]) for sentence in self._sentence_bounds}
        self._known_in_segment: dict[tuple[str, int], Sequence[Match]] = {}
        self._ends_from: dict[int, int] = {}
        self._begins_to: dict[int, int] = {}
        for first, last in spans:
            self._ends_from[first] = max(last, self._ends_from.get(first, last))
            self._begins_to[last] = min(first, self._begins_to.get(last, first))
        self._other_sentences = self._others()
        self._has_denial = any(self._cues.spans[kind] for kind in _DENYING)
        self._denied: dict[tuple[int, int], bool] = {}
        self._undone = self._taken_back()
        negations = _covered_by(self._loud("negation")) - self._doubled() - self._undone
        of_verbs = _before_verbs(negations, read.words)
        self._negations = negations - of_verbs
        short = self._cues.covers["negation_short"]
        quiet = self._quiet - _before_ills(short, read.words)
        self._short_negations = (short - quiet - self._undone) | of_verbs
        self._denied_from = _nearest_before(self._negations | self._short_negations, len(read))
        self._after_no = frozenset(
            place + 1
            for place, (word, gap) in enumerate(zip(read.words, read.breaks[1:], strict=False))
            if word in small.NEVER and not gap and place not in self._pseudo and place not in self._undone
        )
        self._answers = sorted(self._cues.covers["answer_no"])
        self._endings = sorted(self._cues.covers["resolved"] - self._quiet)
        self._contrasts = self._cues.covers["terminator"] - self._quiet
        self._walls = self._negation_walls() | _its(text, read)
        self._denying = frozenset(place for place in self._negations if read.words[place] in small.DENIES)
        self._relations = frozenset(place for place in self._cues.covers["relation"] if not self._is_spoken_to(place))
        named = {self._sentence[each.first] for each in self._cues.spans["animal"]}
        self._near_animals = frozenset(near for each in named for near in (each - 1, each, each + 1))
        self._first_relation = min(self._relations, default=len(read))
        self._own_states = self._clauses_of_self()
        self._asks_for_another = any(each.first not in self._pseudo for each in self._cues.spans.get("for_another", ()))
        spoken = small.FIRST_PERSON | {"my"}
        own = (place for place, word in enumerate(read.words) if word in spoken)
        self._own_words = frozenset(own) - self._cues.covers["asking"]
        self._has_deed = any(word in small.DEEDS and not self._is_suffered(at) for at, word in enumerate(read.words))
        self._owners = frozenset(each.first for each in self._cues.spans.get("owner", ()))

    # -- parts of the message --------------------------------------------------------------------------------

    def _parted(self) -> tuple[list[int], list[int]]:
        """For each token the number of its sentence and of its clause."""
        sentences: list[int] = []
        segments: list[int] = []
        sentence = segment = opened = 0
        starts, sentence_end = self._clause_starts(), Break.SENTENCE
        for place, gap in enumerate(self._read.breaks):
            if place and (gap >= sentence_end or place - opened >= _LONGEST_SENTENCE):
                sentence, segment, opened = sentence + 1, segment + 1, place
            elif place and place in starts:
                segment += 1
            sentences.append(sentence)
            segments.append(segment)
        return sentences, segments

    def _clause_starts(self) -> AbstractSet[int]:
        """Where a clause begins within a sentence: at a contrast, or at a subject after a pause or a joining word."""
        words, breaks = self._read.words, self._read.breaks
        contrasts = self._cues.covers["terminator"] - self._quiet
        return contrasts.union(
            place
            for place in self._cues.covers["starter"]
            if breaks[place] in {Break.COMMA, Break.COLON} or words[place - 1] in small.JOINING
        )

    def _cues_by(self, part: Sequence[int]) -> dict[int, dict[str, list[Match]]]:
        by_part: dict[int, dict[str, list[Match]]] = defaultdict(lambda: defaultdict(list))
        for kind, spans in self._cues.spans.items():
            for span in spans:
                by_part[part[span.first]][kind].append(span)
        return by_part

    def _in_segment(self, kind: str, segment: int) -> Sequence[Match]:
        """Cues of a kind in a clause, leaving out those that are part of a finding's own words.

        What stands in the midst of a finding's words is none of them: "abdomen in 2012 for a burst ulcer".
        """
        known = self._known_in_segment.get((kind, segment))
        if known is None:
            known = [each for each in self._by_segment[segment][kind] if not self._is_own_word(each)]
            self._known_in_segment[kind, segment] = known
        return known

    def _loud(self, kind: str) -> Iterable[Match]:
        """Cues of a kind that are no part of a finding's words or of a harmless expression."""
        return (each for each in self._cues.spans[kind] if not self._quiet.issuperset(range(each.first, each.last + 1)))

    def _is_own_word(self, cue: Match) -> bool:
        is_beginning = self._ends_from.get(cue.first, -1) >= cue.last
        return is_beginning or self._begins_to.get(cue.last, cue.last + 1) <= cue.first

    # -- the assertion ---------------------------------------------------------------------------------------

    def is_denied(self, mention: Match) -> bool:
        """Whether the words deny it, before it ("no …") or as an answer after it ("… – none")."""
        span = mention.first, mention.last
        if span not in self._denied:
            self._denied[span] = (
                self._has_denial
                and (
                    self._is_right_after_no(mention)
                    or self._is_negated_before(mention)
                    or self._is_on_a_denied_list(mention)
                    or self._is_answered_no(mention)
                    or self._is_answered_next(mention)
                    or self._is_mistaken(mention)
                )
                and not self._began_lately(mention)
            )
        return self._denied[span]

    def assertion(self, mention: Match, bearing: Bearing) -> Assertion:
        """What the message says of this mention."""
        if bearing.is_attribute:
            return self._assertion_of_attribute(mention, bearing)
        if self.is_denied(mention):
            return Assertion.DENIED
        if self._is_of_another(mention, bearing):
            return Assertion.SOMEONE_ELSE
        if not bearing.is_own_wish and self._is_supposed(mention, bearing):
            return Assertion.HYPOTHETICAL
        if self._is_past(mention, bearing) or (not bearing.is_unending and self._is_closed(mention)):
            return Assertion.PAST
        if not bearing.is_still_dangerous and self._is_resolved(mention):
            return Assertion.RESOLVED
        return Assertion.AFFIRMED

    def _is_of_another(self, mention: Match, bearing: Bearing) -> bool:
        if not bearing.is_own_wish and self._is_of_an_animal(mention):
            return True
        if not self._names_another(self._sentence[mention.first]):
            return False
        is_others_part = bearing.is_contact or (bearing.is_deed and self._is_done_by(mention))
        return not is_others_part and self._is_someone_else(mention)

    def _names_another(self, sentence: int) -> bool:
        return sentence in self._other_sentences or not _OF_OTHERS.isdisjoint(self._kinds[sentence])

    def _is_supposed(self, mention: Match, bearing: Bearing) -> bool:
        if self._is_hypothetical(mention, outlives_hearsay=bearing.outlives_hearsay):
            return True
        sentence = self._sentence[mention.first]
        if bearing.is_still_dangerous or self._by_sentence[sentence]["clocked"]:
            return False
        return self._is_laughed_at(mention)

    def _assertion_of_attribute(self, mention: Match, bearing: Bearing) -> Assertion:
        """What the message says of a mention that only qualifies others: their time and person are its own."""
        is_after_no = mention.first > 0 and self._read.words[mention.first - 1] in small.NEVER
        if self.is_denied(mention) or (is_after_no and self._read.breaks[mention.first] < Break.SENTENCE):
            return Assertion.DENIED
        if self._cues.at("resolved", mention.last) and self._comes_back(mention.last):
            return Assertion.RESOLVED
        is_own = bearing.is_of_person or bearing.is_contact
        if not is_own and self._is_of_an_animal(mention) and self._follows_an_animal(mention):
            return Assertion.SOMEONE_ELSE
        is_supposed = self._is_hypothetical(mention, outlives_hearsay=bearing.is_contact)
        return Assertion.HYPOTHETICAL if is_supposed else Assertion.AFFIRMED

    # -- denied ----------------------------------------------------------------------------------------------

    def _is_negated_before(self, mention: Match) -> bool:
        words, breaks = self._read.words, self._read.breaks
        far, near, walls = self._negations, self._short_negations, self._walls
        if self._denied_from[mention.first] < mention.first - 1 - _LIST_REACH:
            return False
        commas, joined, listed = 0, 0, False
        for place in range(mention.first - 1, max(mention.first - 2 - _LIST_REACH, -1), -1):
            gap = breaks[place + 1]
            if gap:
                if gap >= Break.SENTENCE or self._stands_alone(place + 1, mention):
                    return False
                commas += 1
                listed = listed or self._is_next_participle(place + 1)
            if place in far:
                if words[place] in small.DETERMINERS and place + 1 < mention.first and self._is_a_clause(mention):
                    return False
                return not (
                    commas and (self._is_affirmed_item(mention) or (not listed and self._is_a_state(place, mention)))
                )
            if place in near:
                is_near = mention.first - place <= _SHORT_REACH or listed
                return is_near and (not commas or listed) and (not joined or listed)
            if place in walls:
                return False
            listed = listed or words[place] in small.LISTING
            if words[place] in small.AND and words[place + 1] in small.OWN_SUBJECT and place + 1 < mention.first:
                return False
            joined += words[place] in small.ADDING
        return False

    def _is_right_after_no(self, mention: Match) -> bool:
        """Whether a "no" stands right before it, be it part of other words too: "no fainting feeling"."""
        return mention.first in self._after_no

    def _began_lately(self, mention: Match) -> bool:
        """Whether what was never so has begun: "no such thoughts until tonight"; "until now" is no beginning."""
        words = self._read.words
        after = range(mention.last + 1, min(mention.last + _RELAPSE_REACH, len(words) - 1))
        return any(words[place] in small.UNTIL and words[place + 1] in small.OF_LATE for place in after)

    def _stands_alone(self, place: int, mention: Match) -> bool:
        """Whether what begins after a comma is no item of a denied list: "neither …, doesn't respond"."""
        is_told = self._cues.at("starter", place) or self._cues.at("affirming", place)
        return (is_told and not self._is_next_participle(place)) or (
            place + 1 == mention.first and self._read.words[mention.first] == "not"
        )

    def _is_next_participle(self, place: int) -> bool:
        """Whether it is a further participle of one "has not": "he has not vomited, had fits or been sleepy"."""
        words, (first, last) = self._read.words, self._sentence_bounds[self._sentence[place]]
        if words[place] not in small.FURTHER or small.LISTING.isdisjoint(words[place + 1 : last + 1]):
            return False
        return any(
            words[at] == "not" and words[at - 1] in small.HAVING for at in range(max(first, place - _LIST_REACH), place)
        )

    def _is_a_clause(self, mention: Match) -> bool:
        """Whether the finding's own words have a verb, so that a "no" before them belongs to something else."""
        return any(
            word in small.FINITE or small.is_past_verb(word)
            for word in self._read.words[mention.first + 1 : mention.last + 1]
        )

    def _is_on_a_denied_list(self, mention: Match) -> bool:
        """Whether "denies" stands before it in its sentence, with no contrast and no new subject between."""
        if not self._denying:
            return False
        sentence = self._sentence[mention.first]
        for place in range(mention.first - 1, max(mention.first - 2 - _LIST_REACH, -1), -1):
            if place in self._denying:
                return self._sentence[place] == sentence
            if place in self._contrasts or self._read.words[place] in small.SUBJECTS:
                return False
        return False

    def _doubled(self) -> frozenset[int]:
        """The "without" of a double denial, which affirms: "can't reach the door without gasping"."""
        words, segment = self._read.words, self._segment
        return frozenset(
            place
            for place in self._cues.covers["negation"]
            if words[place] == "without"
            and any(
                words[at] in small.UNABLE and segment[at] == segment[place] and not self._read.breaks[place]
                for at in range(max(place - _DOUBLE_REACH, 0), place)
            )
        )

    def _taken_back(self) -> frozenset[int]:
        """Both denials of a double one, which affirms: "I can't say that I don't have chest pain".

        The second stands within the clause, before any pause; where there is none, the first still denies.
        """
        denials = self._cues.covers["negation"] | self._cues.covers["negation_short"]
        undone: set[int] = set()
        for cue in self._cues.spans.get("undenying", ()):
            stop = min(cue.last + _DOUBLE_REACH, len(self._read))
            pause = next((at for at in range(cue.last + 1, stop) if self._read.breaks[at]), stop)
            second = denials.intersection(range(cue.last + 1, pause))
            if second or self._read.words[cue.last] in small.DISPUTING:
                undone.update(second, range(cue.first, cue.last + 1))
        return frozenset(undone)

    def _negation_walls(self) -> frozenset[int]:
        """Tokens that a negation further left does not reach over: contrasts, and a new subject."""
        thinking = self._cues.covers["thinking"]
        pauses = self._read.breaks
        subjects = (
            each
            for each in self._cues.covers["subject"]
            if pauses[each] == Break.COLON or not thinking.intersection(range(each - 3, each))
        )
        walls = set(subjects) - (self._quiet & self._cues.covers["terminator"])
        listed = {place for place in walls if self._is_listed(place)}
        return self._contrasts.union(walls - listed)

    def _is_a_state(self, denial: int, mention: Match) -> bool:
        """Whether an item after "no" or "without" is no thing but how somebody is: "without food, sweaty and weak"."""
        words, breaks = self._read.words, self._read.breaks
        if words[denial] not in small.LACKING:
            return False
        return any(breaks[at] and words[at] in small.STATES for at in range(denial + 2, mention.first + 1))

    def _is_listed(self, place: int) -> bool:
        """Whether a subject is one of a denied list: "neither my arm …", "nor did I feel weak"."""
        before = self._read.words[max(place - 2, 0) : place]
        return before[-1:] == ["neither"] or "nor" in before

    def _is_affirmed_item(self, mention: Match) -> bool:
        """Whether a later item of a denied list is itself told of: "no fever, vomiting since morning"."""
        words, breaks = self._read.words, self._read.breaks
        for place in range(mention.last + 1, min(mention.last + 6, len(words))):
            if breaks[place] or words[place] in small.LISTING or words[place] == "and":
                return False
            if self._cues.at("affirming", place):
                return True
        return False

    def _is_answered_no(self, mention: Match) -> bool:
        """Whether an answer after it says no: "fever? no", "bleeding: none", "voice gone odd, no", "fits I haven't"."""
        words, breaks, answers = self._read.words, self._read.breaks, self._cues.covers["answer_no"]
        if _next(self._answers, mention.last) > mention.last + _ANSWER_REACH:
            return False
        terminators = self._cues.covers["terminator"]
        for place in range(mention.last + 1, min(mention.last + 1 + _ANSWER_REACH, len(words))):
            gap = breaks[place]
            if place in answers:
                is_bare = words[place] == "nothing" and words[place + 1 : place + 3] not in _OF_THE_KIND
                if is_bare and (gap != Break.COLON or not self._is_bodily_loss(mention)):
                    return False
                if gap < Break.COLON and not small.NEVER.isdisjoint(words[mention.first : mention.last + 1]):
                    return False
                after = next(
                    (at for at in range(place + 1, len(words)) if at not in answers or breaks[at] >= Break.SENTENCE),
                    len(words),
                )
                ends = after >= len(words) or breaks[after] > 0
                is_next = place == mention.last + 1
                is_answer = gap in {Break.COLON, Break.QUESTION} and (ends or self._cues.at("starter", after))
                if (is_next and ends) or (is_answer and (is_next or self._is_bare_list(mention, place))):
                    return True
                return ends and self._is_bare_item(mention, place)
            if gap >= Break.SENTENCE or place in terminators:
                return False
        return False

    def _is_bodily_loss(self, mention: Match) -> bool:
        """Whether "nothing" is good news of it: "blood: nothing", where "urine: nothing" is a danger."""
        return not small.GOOD_AS_NOTHING.isdisjoint(self._read.words[mention.first : mention.last + 1])

    def _is_answered_next(self, mention: Match) -> bool:
        """Whether the next sentence answers no to what a form asked: "a box about …. My honest answer: no"."""
        sentence = self._sentence[mention.first]
        following = self._sentence_bounds.get(sentence + 1)
        if following is None or not self._by_sentence[sentence + 1]["answer_no"]:
            return False
        words, (start, last) = self._read.words, following
        opening = range(start, min(start + _ANSWER_OPENS, last) + 1)
        answer = next((at for at in opening if words[at] in small.ANSWERS), last)
        is_no = any(self._cues.at("answer_no", at) for at in range(answer + 1, min(answer + 2, last) + 1))
        return is_no and not small.FORMS.isdisjoint(words[self._sentence_bounds[sentence][0] : mention.first])

    def _is_bare_item(self, mention: Match, answer: int) -> bool:
        """Whether what an answer closes names a thing and tells of nobody: "voice gone odd, no", not "I bled, no"."""
        breaks = self._read.breaks
        start = next((at for at in range(mention.first, 0, -1) if breaks[at]), 0)
        item = range(start, answer)
        if len(item) > _ITEM or any(breaks[at] for at in range(start + 1, answer)):
            return False
        return not any(self._cues.at("subject", at) or self._read.words[at] in small.PRESENT for at in item)

    def _is_mistaken(self, mention: Match) -> bool:
        """Whether it was believed and taken back: "I thought it was chest pain but it is not"."""
        if _TAKEN_BACK.isdisjoint(self._kinds[self._sentence[mention.first]]):
            return False
        if self._comes_within("explained", mention, _EXPLAINED_REACH, self._is_said_of):
            return True
        is_believed = any(
            self._cues.at("thinking", place) for place in range(mention.first - _BELIEF_REACH, mention.first)
        )
        return is_believed and self._comes_within("mistaken", mention, 5)

    def _comes_within(
        self, kind: str, mention: Match, reach: int, fits: Callable[[Match, Match], bool] = lambda *_: True
    ) -> bool:
        """Whether a cue of the mention's sentence that fits it begins within so many tokens after it."""
        cues = self._by_sentence[self._sentence[mention.first]][kind]
        return any(mention.last < each.first <= mention.last + reach and fits(mention, each) for each in cues)

    def _is_said_of(self, mention: Match, explained: Match) -> bool:
        """Whether "is no trouble" is said of the mention, and not of what follows it: "chest pain, walking is easy"."""
        words = self._read.words
        if words[explained.first] == "that":
            return self._read.breaks[explained.first] > 0  # "lockjaw, that's my sewing machine"
        if words[explained.first] not in small.SAID_OF:
            return True
        between = words[mention.last + 1 : explained.first]
        is_apart = any(self._read.breaks[mention.last + 1 : explained.first + 1])
        return not is_apart and len(between) <= _SAID_OF_REACH and small.BEGINNING_ANEW.isdisjoint(between)

    def _is_bare_list(self, mention: Match, answer: int) -> bool:
        """Whether the words that an answer closes are only a list or a question, with no "I have" in them."""
        start = self._sentence_bounds[self._sentence[mention.first]][0]
        is_question = self._read.breaks[answer] == Break.QUESTION
        inside = range(start, answer)
        return is_question or not any(self._cues.at("subject", place) for place in inside)

    # -- another person --------------------------------------------------------------------------------------

    def _others(self) -> frozenset[int]:
        """Sentences that tell of somebody who is not the patient, with the "she …" sentences that go on about them."""
        others: set[int] = set()
        for sentence, (first, last) in self._sentence_bounds.items():
            if self._tells_of_other(sentence) or (sentence - 1 in others and self._goes_on(sentence, first, last)):
                others.add(sentence)
        return frozenset(others)

    def _tells_of_other(self, sentence: int) -> bool:
        cues = self._by_sentence[sentence]
        return bool(cues["family_history"] or (cues["relation"] and self._is_told_past(sentence)))

    def _is_told_past(self, sentence: int) -> bool:
        cues = self._by_sentence[sentence]
        return bool(cues["told_in_past"] or cues["past"]) and not cues["acute"]

    def _goes_on(self, sentence: int, first: int, last: int) -> bool:
        """Whether a sentence goes on with the story of another: of them, and in the past."""
        said = self._tensed[first : last + 1]
        if said[0] not in small.THIRD_PERSON or not small.FIRST_PERSON.union(small.PRESENT).isdisjoint(said):
            return False
        return any(map(small.is_past_verb, said)) and not self._by_sentence[sentence]["acute"]

    def _is_someone_else(self, mention: Match) -> bool:
        sentence, segment = self._sentence[mention.first], self._segment[mention.first]
        cues = self._by_sentence[sentence]
        if cues["family_history"] or self._follows("other_after", mention):
            return True
        if self._is_mine_too(sentence):
            return False
        relation = self._relation_before(mention)
        if relation is None:
            return sentence in self._other_sentences and self._goes_on(sentence, *self._sentence_bounds[sentence])
        if self._is_source_only(relation) or self._is_in_present(relation, mention):
            return False
        if self._is_news_of_another(relation, mention) or self._is_buried(mention, sentence):
            return True
        told = range(min(segment, self._segment[relation.first]), segment + 1)
        if any(self._in_segment("acute", each) for each in told) or self._is_told_now(relation, sentence):
            return False
        where = {segment, self._segment[relation.first]}
        if any(self._in_segment("told_in_past", each) for each in where):
            return True
        if any(self._governs(past, mention) for each in where for past in self._in_segment("past", each)):
            return True
        if self._has_died_since(relation, sentence):
            return True
        is_loosely_told = self._is_distant(relation) or any(self._by_segment[each]["told_weakly"] for each in where)
        return is_loosely_told and self._speaks_of_self(mention)

    def _is_in_present(self, relation: Match, mention: Match) -> bool:
        """Whether another is told to be so now, and not in hospital or dead: "my uncle's mouth is crooked"."""
        first, last = self._bounds[self._segment[mention.first]]
        said = self._tensed[relation.last + 1 : mention.last + 1]
        if small.RIGHT_NOW.isdisjoint(said) or not small.OVER.isdisjoint(self._read.words[first : last + 1]):
            return False
        return not any(each.first > mention.last for each in self._by_sentence[self._sentence[mention.first]]["past"])

    def _is_admitted(self, mention: Match, sentence: int) -> bool:
        """Whether what was asked is said to be so: "is it normal to …? Because I am", "… I have both"."""
        told = (*self._by_sentence[sentence]["admitting"], *self._by_sentence[sentence + 1]["admitting"])
        ends = (each.last + 1 for each in told if each.first > mention.last)
        if any(end >= len(self._read) or self._read.breaks[end] for end in ends):
            return True
        opening = self._sentence_bounds.get(sentence + 1, (len(self._read), 0))[0]
        return any(each.first == opening for each in told if self._cues.at("owning_up", each.first))

    def _is_mine_too(self, sentence: int) -> bool:
        """Whether the next sentence says that the speaker has it too: "Mother had the same. Mine came an hour ago"."""
        following = self._sentence_bounds.get(sentence + 1)
        if following is None or self._read.words[following[0]] != "mine":
            return False
        if self._read.words[following[0] + 1 : following[0] + 2] == ["for"]:
            return False  # "mine for the Friday list: 6.1, 5.8"
        return small.OVER.isdisjoint(self._read.words[following[0] : following[1] + 1])

    def _has_died_since(self, relation: Match, sentence: int) -> bool:
        """Whether a later clause of the sentence tells a death long past: "his mouth bent and he died in 1988"."""
        later = range(self._segment[relation.last] + 1, self._segment[self._sentence_bounds[sentence][1]] + 1)
        return any(self._in_segment("told_in_past", each) and self._in_segment("past", each) for each in later)

    def _is_buried(self, mention: Match, sentence: int) -> bool:
        """Whether whom it befell is in the grave by the sentence's end: "a stroke, we buried him yesterday"."""
        last = self._sentence_bounds[sentence][1]
        return not small.BURIED.isdisjoint(self._read.words[mention.last + 1 : last + 1])

    def _is_told_now(self, relation: Match, sentence: int) -> bool:
        """Whether another's story has come to the present, so that help is asked for them: "he is sweating now"."""
        first = self._segment[relation.first] + 1
        last = self._segment[self._sentence_bounds[sentence][1]]
        following = self._sentence_bounds.get(sentence + 1)
        if following and not small.THIRD_PERSON.isdisjoint(self._read.words[following[0] : following[0] + _OPENS]):
            last = self._segment[following[1]]
        return any(self._is_going_on(each) for each in range(first, last + 1))

    def _is_going_on(self, segment: int) -> bool:
        """Whether a clause speaks of a third person in the present, and not of an end: "she is fine", "he died"."""
        first, last = self._bounds[segment]
        said = set(self._read.words[first : last + 1])
        if said & small.OVER or said & small.FIRST_PERSON or not said & small.THIRD_PERSON:
            return False
        ends = any(self._by_segment[segment][kind] for kind in ("told_in_past", "past", "resolved"))
        is_present = not small.PRESENT.isdisjoint(self._tensed[first : last + 1])
        is_ill = is_present and not self._mention_places.isdisjoint(range(first, last + 1))
        return not ends and (is_ill or bool(self._by_segment[segment]["acute"]))

    def _is_news_of_another(self, relation: Match, mention: Match) -> bool:
        """Whether a distant person's story ends ("was taken to hospital") and the writer then speaks of themselves."""
        if not (self._is_distant(relation) and self._speaks_of_self(mention)):
            return False
        segment = self._segment[mention.first]
        first, last = self._bounds[segment]
        if not small.PRESENT.isdisjoint(self._tensed[first : last + 1]):
            return False
        said = {self._read.words[each.first] for each in self._in_segment("acute", segment)}
        return bool(self._in_segment("told_in_past", segment)) or said <= small.RECENT

    def _is_of_an_animal(self, mention: Match) -> bool:
        """Whether an animal is the patient: "my dog was bitten". "A dog bit me" has a person after the deed."""
        sentence = self._sentence[mention.first]
        if sentence not in self._near_animals:
            return False
        owners = [each for each in self._animals(sentence) if each.first <= mention.last]
        if not owners:
            return self._is_named_late(mention, sentence) or self._goes_on_of_an_animal(sentence)
        owner = owners[-1]
        if mention.last <= owner.last and not self._is_deed(owner):
            return True
        if self._has_person_between(owner, mention):
            return False
        last = min(mention.last + 3, self._bounds[self._segment[mention.first]][1] + 1)
        pause = next((at for at in range(mention.last + 1, last) if self._read.breaks[at]), last)
        return not any(self._is_person(place) or self._is_kin(place) for place in range(self._past_body(owner), pause))

    def _follows_an_animal(self, mention: Match) -> bool:
        """Whether its sentence names no animal, or one before it that does or has something.

        "Stray" only says which dog, and "a stray dog, in August" only when.
        """
        named = self._by_sentence[self._sentence[mention.first]]["animal"]
        return not named or any(each.last < mention.first and self._is_subject(each) for each in named)

    def _is_subject(self, owner: Match) -> bool:
        """Whether an animal opens its sentence, and goes on with no pause."""
        start = self._sentence_bounds[self._sentence[owner.first]][0]
        after = owner.last + 1
        return owner.first <= start + _OPENS and after < len(self._read) and not self._read.breaks[after]

    def _animals(self, sentence: int) -> list[Match]:
        return [each for each in self._by_sentence[sentence]["animal"] if not self._is_food(each)]

    def _is_named_late(self, mention: Match, sentence: int) -> bool:
        """Whether the animal is named only after what befell it: "leg caught in wire: that's our ewe"."""
        first, last = self._sentence_bounds[sentence]
        is_named = any(not self._is_deed(each) for each in self._animals(sentence))
        return is_named and self._names_nobody(first, last) and mention.first <= first + _OPENS

    def _goes_on_of_an_animal(self, sentence: int) -> bool:
        """Whether a sentence goes on about the animal before it: "Our goat is sick. It is not breathing well".

        Never where an animal did something to somebody: "It is bleeding" is then the wound.
        """
        first, last = self._sentence_bounds[sentence]
        goes_on = self._read.words[first] in small.THIRD_PERSON | small.OWNED or sentence == 0
        if not goes_on or self._has_deed or (sentence == 0 and self._relations) or self._first_relation < first:
            return False
        beside = sentence + 1 if sentence == 0 else sentence - 1
        if sentence == 0 and (self._by_sentence[0]["animal"] or not any(map(self._is_subject, self._animals(beside)))):
            return False
        return bool(self._animals(beside)) and self._is_ailing(beside) and self._names_nobody(first, last)

    def _is_ailing(self, sentence: int) -> bool:
        """Whether a sentence tells of an animal that it is ill, or asks for one: not "Our dog sleeps by the bed"."""
        return bool(self._by_sentence[sentence]["ailing"]) or self._ends_in_question(self._sentence_bounds[sentence][1])

    def _names_nobody(self, first: int, last: int) -> bool:
        """Whether no person is in these tokens; "mine" at their head is an animal, as in "You treat goats? Mine …"."""
        people = small.FIRST_PERSON | small.OF_PEOPLE - small.OF_BODY - small.OF_ANYBODY | {"baby"}
        opens = first + (self._read.words[first] in small.OWNED)
        return not any(
            (self._read.words[at] in people and not self._owns_animal(at)) or self._is_kin(at)
            for at in range(opens, last + 1)
        )

    def _owns_animal(self, place: int) -> bool:
        """Whether a "my" or "our" is only an animal's: "our poor Bella" is not known, "our old dog" is."""
        if self._read.words[place] not in small.OWNING:
            return False
        return any(place <= each.first <= place + 2 for each in self._cues.spans["animal"] if each.last > place)

    def _is_food(self, owner: Match) -> bool:
        """Whether it is no subject, but what somebody ate, carried or was hurt by: "I ate fish", "the goat stew"."""
        after = self._read.words[owner.last + 1 : owner.last + 2]
        if not small.MADE_OF.isdisjoint(after):
            return True
        if not small.OF_BODY.isdisjoint(after):
            return False
        start = self._sentence_bounds[self._sentence[owner.first]][0]
        pauses = [at for at in range(start, owner.first + 1) if self._read.breaks[at]]
        before = self._read.words[max([owner.first - _OBJECT_REACH, start, *pauses]) : owner.first]
        is_likened = "like" in before or any(before[at : at + 2] in _LIKENING for at in range(len(before)))
        is_likened = is_likened or before[-1:] == ["as"] or before[-2:] in _AS_ONE  # "sick as a dog"
        return is_likened or not small.OBJECT_OF.isdisjoint(before[-3:])

    def _is_deed(self, owner: Match) -> bool:
        """Whether the animal does something that somebody else suffers: "our cow kicked", and not "was kicked"."""
        words = self._read.words
        said = range(owner.first, min(owner.last + 2, len(words)))
        is_done = any(words[at] in small.DEEDS and not self._is_suffered(at) for at in said)
        is_done = is_done or not small.BIT_SOMEBODY.isdisjoint(words[owner.first : owner.last + _OBJECT_REACH])
        return is_done and not {"other", "another", "each"} & set(words[owner.last : owner.last + 3])

    def _is_suffered(self, deed: int) -> bool:
        """Whether somebody else did it: "was bitten", "knocked down by a car"."""
        words = self._read.words
        return words[deed - 1] in small.SUFFERED or "by" in words[deed + 1 : deed + 3]

    def _past_body(self, owner: Match) -> int:
        """The place after an animal and, if it is named, the part of it: "my hen's leg"."""
        after = owner.last + 1
        return after + (after < len(self._read) and self._read.words[after] in small.OF_BODY)

    def _is_person(self, place: int) -> bool:
        """Whether a word is of a person and not the animal's own: "its leg", "from my box"."""
        words = self._read.words
        if words[place] == "i" and not small.TENDING.isdisjoint(words[place + 1 : place + 2]):
            return False
        before = words[max(place - 2, 0) : place]
        is_known = self._first_relation <= place or self._has_deed
        people = small.FIRST_PERSON | small.OF_PEOPLE - (frozenset() if is_known else small.OF_ANYBODY)
        return (
            words[place] in people and "its" not in before and before[-1:] != ["from"] and not self._owns_animal(place)
        )

    def _is_kin(self, place: int) -> bool:
        """Whether a word names a person, and not the young that an animal carries: "our goat is carrying kids"."""
        if place not in self._relations or self._read.words[place - 1] in small.CARRYING:
            return False
        words, (first, last) = self._read.words, self._sentence_bounds[self._sentence[place]]
        is_young = words[place] in {"kid", "kids"} and not {"goat", "goats"}.isdisjoint(words[first : last + 1])
        return self._has_deed or not is_young

    def _has_person_between(self, owner: Match, mention: Match) -> bool:
        """Whether a clause between an animal's and the mention's, or this one, speaks of a person."""
        segment = self._segment[mention.first]
        if self._segment[owner.first] == segment:
            return self._is_deed(owner) or any(map(self._is_kin, range(owner.last + 1, mention.last + 1)))
        is_plural = any(self._read.words[at].endswith("s") for at in range(owner.first, owner.last + 1))
        persons = small.PERSONS - {"they", "their"} if is_plural else small.PERSONS
        is_one = not any(
            word.endswith("s") and word not in small.VERBS_IN_S
            for word in self._read.words[owner.first : owner.last + 1]
        )
        if is_one and self._is_whom_it_tells_of(owner, mention):
            persons -= small.OF_ONE
        return any(
            self._is_kin(place) or self._read.words[place] in persons or self._is_person(place)
            for place in range(owner.last + 1, mention.last + 1)
        )

    def _is_spoken_to(self, place: int) -> bool:
        """Whether a "people" is those who write or read: "do you people treat goats?"."""
        return self._read.words[place - 1 : place + 1] in (["you", "people"], ["we", "people"])

    def _is_whom_it_tells_of(self, owner: Match, mention: Match) -> bool:
        """Whether an animal's doing opens its sentence, and nobody is named whom a "she" could mean after it.

        Not in "a stray dog, in August, since yesterday he fears water".
        """
        between = self._read.words[owner.last + 1 : mention.first]
        if self._has_deed or not self._is_subject(owner) or not small.TURNING.isdisjoint(between):
            return False
        return not any(self._is_kin(place) for place in range(mention.last + 1)) and small.FIRST_PERSON.isdisjoint(
            self._read.words[owner.last + 1 : mention.first]
        )

    def _relation_before(self, mention: Match) -> Match | None:
        """The last person named before the mention in its sentence, unless the speaker comes between."""
        named = [
            each
            for each in self._by_sentence[self._sentence[mention.first]]["relation"]
            if each.first <= mention.first + 1 and each.first not in self._owners and not self._is_likeness(each)
        ]
        if not named:
            return None
        between = self._read.words[named[-1].last + 1 : mention.last + 1]
        between = between[2:] if between[:2] == ["of", "mine"] else between
        return None if small.FIRST_PERSON & set(between) or "my" in between else named[-1]

    def _is_likeness(self, person: Match) -> bool:
        """Whether a person is only compared with: "like someone drunk"."""
        words = self._read.words
        before = person.first - 1 - (words[person.first - 1] in small.ARTICLES)
        return before >= 0 and words[before] in small.LIKENESS

    def _is_done_by(self, mention: Match) -> bool:
        """Whether the person named before a deed is not the one who suffered it: no "was", no "got" between."""
        relation = self._relation_before(mention)
        if relation is None:
            return False
        words = self._read.words
        return small.SUFFERED.isdisjoint(words[relation.last + 1 : mention.first + 1]) and small.TO_SELF.isdisjoint(
            words[relation.last + 1 : mention.last + 2]
        )

    def _is_source_only(self, relation: Match) -> bool:
        """Whether the person only says, brings or gives something: "my mum says I am pale"."""
        return any(place in self._cues.covers["speaking"] for place in range(relation.last + 1, relation.last + 3))

    def _is_distant(self, relation: Match) -> bool:
        return any(self._cues.at("distant", place) for place in range(relation.first, relation.last + 1))

    def _speaks_of_self(self, mention: Match) -> bool:
        """Whether another clause of the message speaks of the writer's own state, and none asks for another."""
        return not self._asks_for_another and not self._own_states <= {self._segment[mention.first]}

    def _clauses_of_self(self) -> frozenset[int]:
        """Clauses of the writer's own state; "should I take him …" is none."""
        words = self._read.words
        return frozenset(
            self._segment[each.first]
            for each in self._cues.spans.get("own_state", ())
            if small.HELPED.isdisjoint(words[each.last + 1 : each.last + 4])
            and small.HELPING.isdisjoint(words[each.last + 1 : each.last + 2])
        )

    def _follows(self, kind: str, mention: Match) -> bool:
        return any(
            mention.last < each.first <= mention.last + 3
            for each in self._by_segment[self._segment[mention.first]][kind]
        )

    # -- hypothetical ----------------------------------------------------------------------------------------

    def _is_hypothetical(self, mention: Match, *, outlives_hearsay: bool) -> bool:
        sentence = self._sentence[mention.first]
        if _SUPPOSING.isdisjoint(self._kinds[sentence]):
            return False
        cues = self._by_sentence[sentence]
        stories = cues["unreal"]
        if outlives_hearsay:
            stories = [each for each in stories if not self._cues.at("news", each.first)]
        if stories and self._is_unreal(mention, stories):
            return True
        # What makes it real again is asked last: few mentions are told as if they were not.
        is_told = self._is_said_in_general(mention) or (not outlives_hearsay and self._is_hearsay(mention))
        if not is_told and (self._is_conditional(mention, cues["hypothetical"]) or self._is_inquiry(mention, sentence)):
            is_told = not self._is_clocked(mention)
        return is_told and not self._is_admitted(mention, sentence)

    def _is_clocked(self, mention: Match) -> bool:
        """Whether a time of these days makes it real: "is it a stroke if the face hangs since this morning?".

        The time may be told in the next sentence, of the same thing: "… for a snake bite? It bit me an hour ago".
        """
        sentence = self._sentence[mention.first]
        if any(each.first > mention.first for each in self._by_sentence[sentence]["clocked"]):
            return True
        following = self._sentence_bounds.get(sentence + 1)
        is_told = following is not None and self._read.words[following[0]] in small.GOING_ON
        return is_told and bool(self._by_sentence[sentence + 1]["clocked"])

    def _is_unreal(self, mention: Match, cues: Sequence[Match]) -> bool:
        """Whether a story holds the mention, and no later clause comes back to the day: "a film, then suddenly I …"."""
        is_today = bool(self._by_segment[self._segment[mention.first]]["acute"])
        return any(
            (not is_today or self._contrasts.isdisjoint(range(cue.last + 1, mention.first)))
            and not self._is_beside(cue, mention)
            for cue in cues
        )

    def _is_laughed_at(self, mention: Match) -> bool:
        """Whether a laugh is in its sentence, or is all that the next one says.

        What follows a laugh in the midst of a sentence, or a "but", is meant: "pointing sideways lol, can't bend it".
        """
        if not self._cues.spans["joking"]:
            return False
        sentence = self._sentence[mention.first]
        opening = self._sentence_bounds[sentence][0] + _LAUGH
        for each in self._by_sentence[sentence]["joking"]:
            is_meant = opening < each.first or not self._contrasts.isdisjoint(range(each.last + 1, mention.first))
            if each.first > mention.first or not is_meant:
                return True
        first, last = self._sentence_bounds.get(sentence + 1, (0, _LONGEST_SENTENCE))
        return last - first < _LAUGH and self._cues.at("joking", first)

    def _is_said_in_general(self, mention: Match) -> bool:
        """Whether its clause speaks of what is known: "coffee can cause fainting"."""
        return self._is_of_nobody(self._in_segment("general", self._segment[mention.first]), mention)

    def _is_hearsay(self, mention: Match) -> bool:
        """Whether "people say" stands before it in its clause; what the speaker told before that is their own."""
        cues = self._in_segment("hearsay", self._segment[mention.first])
        return bool(cues) and self._is_of_nobody([each for each in cues if each.first <= mention.first], mention)

    def _is_of_nobody(self, cues: Sequence[Match], mention: Match) -> bool:
        """Whether no patient is between what is said and the mention; "people say I fainted" is told of the speaker."""
        return any(self._own_words.isdisjoint(self._first_said(each, mention)) for each in cues) and not any(
            self._cues.at("patient", place) for each in cues for place in range(each.last + 1, mention.first)
        )

    @staticmethod
    def _first_said(cue: Match, mention: Match) -> range:
        """The first tokens of what is said, up to the mention if it comes after."""
        end = min(cue.last + 3, mention.first) if cue.last < mention.first else cue.last + 3
        return range(cue.last + 1, end)

    def _is_beside(self, cue: Match, mention: Match) -> bool:
        """Whether a story is only named in passing: after the finding, or before the speaker's own: "a game, my neck".

        A dream and its like (``fiction``) are told as one's own, and hold all of their sentence.
        """
        if self._is_an_occasion(cue):
            return True
        is_own = not self._own_words.isdisjoint(range(cue.last + 1, mention.last + 1))
        is_fiction = self._cues.at("fiction", cue.first)
        if (is_own or not is_fiction) and self._is_now_elsewhere(cue, mention):
            return True
        if is_fiction:
            return not small.AWAKE.isdisjoint(self._read.words[cue.last + 1 : mention.first])
        if cue.first > mention.last:
            return self._segment[cue.first] != self._segment[mention.first]
        return is_own

    def _is_an_occasion(self, story: Match) -> bool:
        """Whether a story is only when it happened, or what it is like: "during the play she collapsed"."""
        before = self._read.words[max(story.first - 3, 0) : story.first]
        is_measure = "as" in self._read.words[story.first : story.last]
        return is_measure or not small.DURING.isdisjoint(before) or "like" in before[-2:]

    def _is_now_elsewhere(self, story: Match, mention: Match) -> bool:
        """Whether another clause than the story's tells it as now: "for the essay I ran, and now I can't breathe"."""
        segment = self._segment[mention.first]
        first, _ = self._bounds[segment]
        return segment != self._segment[story.first] and not small.AT_ONCE.isdisjoint(
            self._read.words[first : mention.first + 1]
        )

    def _is_conditional(self, mention: Match, cues: Iterable[Match]) -> bool:
        return any(
            cue.last < mention.first and not self._is_harmless(cue) and self._reaches(cue, mention) for cue in cues
        )

    def _is_harmless(self, cue: Match) -> bool:
        """Whether a condition is none, or begins or ends a finding's own words: "if I lie flat I drown"."""
        return {cue.first, cue.last} <= self._pseudo or self._is_own_word(cue)

    def _reaches(self, cue: Match, mention: Match) -> bool:
        """Whether a condition still holds at the mention: no contrast, no new clause after a comma, nothing present.

        What is no condition ("prevent", "afraid of", "antivenom") governs a thing and never what somebody does or has.
        """
        words, breaks = self._read.words, self._read.breaks
        for place in range(cue.last + 1, mention.first):
            if self._cues.at("terminator", place) or breaks[place] == Break.COLON:
                return False
            if breaks[place] and self._cues.at("starter", place):
                return False
            if words[place] in small.AND and self._opens_anew(place + 1):
                return False
        if self._cues.at("condition", cue.first):
            return True
        between = words[cue.last + 1 : mention.last + 1]
        is_a_thing = small.DOERS.isdisjoint(between) and not self._is_a_clause(mention)
        return is_a_thing and not self._has_returned(mention)

    def _opens_anew(self, place: int) -> bool:
        """Whether an "and" before this place ends a condition: "if I bleed, and now I am bleeding"."""
        words = self._read.words
        if place >= len(words):
            return False
        return words[place] in small.AT_ONCE or bool(self._read.breaks[place - 1] and self._cues.at("starter", place))

    def _is_inquiry(self, mention: Match, sentence: int) -> bool:
        """Whether the sentence asks about the thing in general: no patient is between the question and it, or in it.

        "A headache this sudden" is somebody's, whatever is asked of it.
        """
        first, last = self._sentence_bounds[sentence]
        segment = self._segment[mention.first]
        openers = [each for each in self._by_segment[segment]["opener"] if each.first not in self._quiet]
        opener = next((each for each in openers if each.first < mention.first), None)
        if opener is None or not self._is_opening(opener, first):
            return False
        if self._cues.at("weak_opener", opener.first) and not self._ends_in_question(last):
            return False
        return not any(self._cues.at("patient", place) for place in range(opener.last + 1, mention.last + 2))

    def _is_opening(self, opener: Match, first: int) -> bool:
        """Whether the opener stands at the start of its sentence or clause."""
        start = self._bounds[self._segment[opener.first]][0]
        if self._cues.at("reported", opener.first):
            return True
        breaks = self._read.breaks
        return (
            opener.first - first <= 3 or opener.first - start <= 1 or any(breaks[opener.first - 1 : opener.first + 1])
        )

    def _ends_in_question(self, last: int) -> bool:
        if last + 1 < len(self._read):
            return self._read.breaks[last + 1] == Break.QUESTION
        return self._read.is_question

    # -- past and resolved -----------------------------------------------------------------------------------

    def _is_past(self, mention: Match, bearing: Bearing) -> bool:
        segment = self._segment[mention.first]
        kinds = self._kinds[self._sentence[mention.first]]
        if "past" not in kinds or bearing.is_lifelong or (bearing.is_lasting and "lately" in kinds):
            return False
        if self._is_unchanged_since(segment) or self._is_the_last(mention, segment):
            return True
        if any(self._is_reopened(each) for each in range(segment, self._segment[mention.last] + 1)):
            return False
        if self._has_returned(mention):
            return False
        if self._is_dated_before(mention, segment):
            return True
        if self._is_in_past_frame(mention) or self._is_summed_up(segment):
            return True
        before = segment - 1
        if before not in self._bounds:
            return False
        if not (self._is_lead_in(before, segment) or self._is_told_on(before, segment)):
            return False
        return bool(self._in_segment("past", before)) and not self._is_reopened(before)

    def _is_the_last(self, mention: Match, segment: int) -> bool:
        """Whether it is called the last one and dated at once, whatever else its clause tells: "last fit in 2019"."""
        words = self._read.words
        if "last" not in words[max(mention.first - 1, 0) : mention.last]:
            return False
        dates = self._in_segment("past", segment)
        is_dated = any(mention.last < each.first <= mention.last + _DATED_REACH for each in dates)
        return is_dated and not any(self._read.breaks[mention.last + 1 : mention.last + 1 + _DATED_REACH])

    def _is_summed_up(self, segment: int) -> bool:
        """Whether the next clause of the sentence only dates this one: "he was scalded all over, that was long ago"."""
        bounds = self._bounds.get(segment + 1)
        if bounds is None or self._sentence[bounds[0]] != self._sentence[self._bounds[segment][0]]:
            return False
        opening = self._read.words[bounds[0] : bounds[0] + 2]
        is_dating = opening in (["that", "was"], ["this", "was"], ["it", "was"]) or opening[0] in small.UNTIL
        if not is_dating and (opening[0] != "that" or number_of(opening[-1]) is None):  # "that's five years ago"
            return False
        dates = self._in_segment("past", segment + 1)
        return any(each.first <= bounds[0] + _FRAME_OPENS for each in dates) and not self._is_reopened(segment + 1)

    def _is_dated_before(self, mention: Match, segment: int) -> bool:
        return any(self._governs(each, mention) for each in self._in_segment("past", segment))

    def _governs(self, past: Match, mention: Match) -> bool:
        """Whether a past time of its clause is the mention's own, and not that of another item of a list.

        "History of fits, crushing chest pain" and "chest pain, bypass in 2019" tell of today; "fits, ten years ago" and
        "in 2019, fits" do not.
        """
        breaks = self._read.breaks
        if past.last < mention.first:
            if self._is_told_in_present(past.last + 1, mention.last):
                return False
            commas = sum(breaks[at] > 0 for at in range(past.last + 1, mention.first + 1))
            opens = self._opens_clause(past, mention)
            commas -= self._is_insert(past.last + 1)
            return not commas or (commas == 1 and opens and not self._cues.at("of_a_thing", past.first))
        pauses = [at for at in range(mention.last + 1, past.first + 1) if breaks[at]]
        if not pauses or self._read.words[pauses[-1]] in small.SUMMING:
            return True
        lead = self._read.words[pauses[-1] : past.first]
        return all(word in small.ROUGHLY or number_of(word) is not None for word in lead)

    def _opens_clause(self, past: Match, mention: Match) -> bool:
        """Whether its clause begins with a past time, or an occasion: "during my first delivery in 2019 I had …"."""
        words, start = self._read.words, self._bounds[self._segment[past.first]][0]
        is_occasion = words[start] in small.PREPOSITIONS and past.first - start <= _OCCASION_OPENS
        is_told = is_occasion and "had" in words[past.last + 1 : mention.first]
        return is_told or past.first - start <= _FRAME_OPENS

    def _is_insert(self, place: int) -> bool:
        """Whether an occasion between commas begins here: "six years ago, after my caesarean, they found …"."""
        words, breaks = self._read.words, self._read.breaks
        return place < len(words) and breaks[place] == Break.COMMA and words[place] in small.PREPOSITIONS

    def _is_unchanged_since(self, segment: int) -> bool:
        """Whether a clause tells what a time long past left: "a stroke in 2015 and my hand is weak ever since"."""
        first, last = self._bounds[segment]
        before = self._bounds.get(segment - 1)
        if before is None or self._sentence[before[0]] != self._sentence[first]:
            return False
        is_lasting = self._read.words[last : last + 2] == ["ever", "since"]
        return is_lasting and bool(self._in_segment("past", segment - 1))

    def _is_told_in_present(self, first: int, last: int) -> bool:
        """Whether somebody is or does something now in these tokens: "after a bite last month he fears water"."""
        words = self._tensed
        if words[first] in small.PRESENT and small.PERFECT.isdisjoint(words[first + 1 : first + 2]):
            return True
        for place in range(first, min(last, len(words) - 2) + 1):
            if words[place] not in small.ACTORS:
                continue
            verb, after = words[place + 1], words[place + 2 : place + 3]
            is_here = verb in small.PRESENT and small.PERFECT.isdisjoint(after)
            if is_here or (words[place] in small.ONE_PERSON and small.is_present_verb(verb)):
                return True
        return False

    def _is_reopened(self, segment: int) -> bool:
        """Whether a clause comes back to today; "never again", "never again since then" and "fine now" do not."""
        resolved, words = self._cues.covers["resolved"], self._read.words
        return any(
            each.last not in resolved and small.NEVER.isdisjoint(self._just_before(each.first, words))
            for each in self._in_segment("reopening", segment)
        )

    @staticmethod
    def _just_before(place: int, words: Sequence[str]) -> Sequence[str]:
        """The word before this place, or both before it where the nearer is "again"."""
        return words[max(place - 1 - (words[place - 1] == "again"), 0) : place]

    def _is_closed(self, mention: Match) -> bool:
        """Whether it is dated weeks back or more and was brought to an end: "choked three weeks ago, … discharged".

        The end is told after it, in its sentence or the next, or is done to it: "finished PEP after a prick".
        """
        sentence = self._sentence[mention.first]
        cues, following = self._by_sentence[sentence], self._by_sentence[sentence + 1]
        if not (cues["closed"] or following["closed"]) or not self._is_dated(mention):
            return False
        ends = [each for each in (*cues["closed"], *following["closed"]) if self._closes(each, mention)]
        if not ends:
            return False
        last = max(each.last for each in ends)
        is_recent = any(each.first < last for each in cues["acute"] if self._read.words[each.first] not in small.ASKING)
        told = self._read.words[self._sentence_bounds[sentence][0] : last + 1]
        return not is_recent and small.UNSETTLED.isdisjoint(told)

    def _is_dated(self, mention: Match) -> bool:
        """Whether its own clause, or the opening of its sentence, puts it weeks back or more."""
        segment, opening = self._segment[mention.first], self._sentence_bounds[self._sentence[mention.first]][0]
        dates = [each for kind in ("dated", "past") for each in self._in_segment(kind, segment)]
        frames = [each for kind in ("dated", "past") for each in self._in_segment(kind, self._segment[opening])]
        return bool(dates) or any(each.first <= opening + _FRAME_OPENS for each in frames)

    def _closes(self, end: Match, mention: Match) -> bool:
        if end.first > mention.last:
            return True
        within = range(end.last + 1, mention.first + 1)
        is_near = end.last < mention.first <= end.last + _CLOSING_REACH
        return is_near and self._cues.at("completed", end.first) and not any(self._read.breaks[at] for at in within)

    def _is_in_past_frame(self, mention: Match) -> bool:
        """Whether its sentence opens with a past time and every clause up to it is told as past.

        "When she was one they gave oxygen because her chest was going in"; not "last month I fell, my arm is weak".
        """
        start, _ = self._sentence_bounds[self._sentence[mention.first]]
        opening = self._segment[start]
        frames = [each for each in self._in_segment("past", opening) if not self._cues.at("of_a_thing", each.first)]
        if self._segment[mention.first] == opening or not any(each.first <= start + _FRAME_OPENS for each in frames):
            return False
        clauses = range(opening, self._segment[mention.last] + 1)
        if any(self._is_reopened(each) or self._by_segment[each]["acute"] for each in clauses):
            return False
        words = self._tensed
        if not small.PRESENT.isdisjoint(words[start : mention.last + 1]):
            return False
        clause = words[self._bounds[self._segment[mention.first]][0] : mention.last + 1]
        return clause[0] in small.PREPOSITIONS or any(map(small.is_past_verb, clause))

    def _is_told_on(self, before: int, segment: int) -> bool:
        """Whether a clause goes on with what was told before it: "in 2021 I had fits and the pressure went to 180"."""
        first, last = self._bounds[segment]
        words = self._read.words
        same = self._sentence[self._bounds[before][0]] == self._sentence[first]
        goes_on = words[first - 1] == "and" or words[first : first + 2] in (["that", "time"], ["because", "of"])
        return same and goes_on and small.PRESENT.isdisjoint(self._tensed[first : last + 1])

    def _is_lead_in(self, before: int, segment: int) -> bool:
        """Whether a short clause like "last year," speaks for the one after it."""
        first, last = self._bounds[before]
        start, end = self._bounds[segment]
        same = self._sentence[first] == self._sentence[start]
        if not small.PRESENT.isdisjoint(self._tensed[start : end + 1]):
            return False
        return same and last - first < _LEAD_IN and not any(p in self._mention_places for p in range(first, last + 1))

    def _is_resolved(self, mention: Match) -> bool:
        return (self._has_ended(mention) or self._is_treated(mention)) and not self._has_returned(mention)

    def _has_ended(self, mention: Match) -> bool:
        if self._read.words[mention.first - 1 : mention.first] == ["stopped"]:
            return self._read.words[mention.first - 2] not in small.NEVER
        if _next(self._endings, mention.last) > mention.last + _RESOLVED_REACH:
            return False
        stop = min(mention.last + 1 + _RESOLVED_REACH, len(self._read))
        for place in range(mention.last + 1, stop):
            if self._cues.at("resolved", place) and place not in self._quiet and not self._turns(place):
                return not self._comes_back(place) and not self._is_anothers(mention, place)
            if self._cues.at("terminator", place) and not self._is_taken_away(place):
                return False
        return False

    def _is_taken_away(self, contrast: int) -> bool:
        """Whether what follows a "but" is the end of it: "cramps had me bent over but ibuprofen took them away"."""
        sentence = self._by_sentence[self._sentence[contrast]]
        ends = [each for each in sentence["resolved"] if contrast < each.first <= contrast + _TAKEN_AWAY]
        return any(not small.THINGS.isdisjoint(self._read.words[each.first : each.last + 1]) for each in ends)

    def _turns(self, place: int) -> bool:
        """Whether an end is none: "has gone numb", "he stopped in the middle of the bottle", "stopped his tablets"."""
        words = self._read.words
        following = words[place + 1] if place + 1 < len(words) and not self._read.breaks[place + 1] else ""
        if words[place] == "stopped":
            by_person = not small.STOPPERS.isdisjoint(words[max(place - 2, 0) : place])
            return following in small.STOPPED_ELSE or (by_person and not following.endswith("ing"))
        if words[place] != "gone":
            return bool(following == "gone") and self._turns(place + 1)
        return bool(following) and following not in small.AFTER_GONE

    def _is_anothers(self, mention: Match, ended: int) -> bool:
        """Whether it is something else, or somebody else, that ended: "her lips are blue. Her sister is fine"."""
        words = self._read.words
        start, last = self._sentence_bounds[self._sentence[mention.first]]
        named = words[start : mention.last + 1]
        if ended > last:
            opened = self._sentence_bounds[self._sentence[ended]][0]
            return not small.REFERRING.union(named).issuperset(words[opened:ended])
        between = range(mention.last + 1, ended)
        return any(place in self._relations and words[place] not in named for place in between)

    def _comes_back(self, ended: int) -> bool:
        """Whether what ended began anew: "had stopped but has started again"."""
        later = range(ended + 1, min(ended + 1 + _RELAPSE_REACH, len(self._read)))
        return any(
            self._read.words[place] in small.RELAPSING and self._cues.at("reopening", place) for place in later
        ) and not self._cues.covers["terminator"].isdisjoint(later)

    def _has_returned(self, mention: Match) -> bool:
        """Whether this sentence or the next says that it is back: "had cleared, now it is back since dawn"."""
        sentence = self._sentence[mention.first]
        here, after = self._by_sentence[sentence]["relapse"], self._by_sentence[sentence + 1]["relapse"]
        if any(mention.last < each.first and self._is_real_return(each) for each in here):
            return True
        return any(self._is_real_return(each) and not self._is_of_its_own(each, mention) for each in after)

    def _is_of_its_own(self, relapse: Match, mention: Match) -> bool:
        """Whether a sentence names what is back, and it is something else: "overdosed in 2013. The dull days are back".

        What it names is told of by its own words, if it is a danger.
        """
        words, start = self._read.words, self._sentence_bounds[self._sentence[relapse.first]][0]
        named = words[max(start, relapse.first - _NAMED_REACH) : relapse.first]
        at = next((at for at, word in enumerate(named) if word in small.NAMING), None)
        if at is None or at + 1 >= len(named):
            return False
        return small.VAGUE.isdisjoint(named[at + 1 :]) and named[-1] not in words[mention.first : mention.last + 1]

    def _is_real_return(self, relapse: Match) -> bool:
        """Whether it is the illness that came back: not "if it is back", "he is back home", "never again since"."""
        words = self._read.words
        if relapse.first and words[relapse.first - 1] in small.GOERS | small.NEVER:
            return False
        after = words[relapse.last + 1 : relapse.last + 3]
        if after and after[0] in small.PLACES_TO_BE_BACK and not after[-1][0].isdigit():
            return False
        return not self._by_segment[self._segment[relapse.first]]["hypothetical"]

    def _is_treated(self, mention: Match) -> bool:
        """Whether it was dealt with: "the doctor drained my abscess", "malaria in February, treated, …"."""
        sentence = self._sentence[mention.first]
        cues = self._by_sentence[sentence]["treated"]
        if not any(self._treats(each, mention) for each in cues):
            return False
        last = self._sentence_bounds[sentence][1]
        return small.UNSETTLED.isdisjoint(self._read.words[mention.last + 1 : last + 1])

    def _treats(self, cue: Match, mention: Match) -> bool:
        if cue.last < mention.first:
            is_done_to_it = cue.last > cue.first and mention.first <= cue.last + 3
            return is_done_to_it and self._segment[cue.last] == self._segment[mention.first]
        breaks = self._read.breaks
        ends = cue.last + 1 == len(breaks) or breaks[cue.last + 1] > 0
        return cue.first == cue.last <= mention.last + _RESOLVED_REACH and breaks[cue.first] > 0 and ends


def _tensed(text: str, read: Words) -> list[str]:
    """The words, with two told apart that spelling makes one: "could not" of "can't", "to cause" of "because"."""
    return [
        _AS_WRITTEN[word] if word in _AS_WRITTEN and _is_written(text, start, _AS_WRITTEN[word]) else word
        for word, start in zip(read.words, read.starts, strict=True)
    ]


def _its(text: str, read: Words) -> frozenset[int]:
    """Every "it" after a comma, which begins a sentence of its own: "it's not gas, it's pain in the chest"."""
    return frozenset(
        place
        for place, word in enumerate(read.words)
        if word == "it" and place and "," in text[read.ends[place - 1] : read.starts[place]]
    )


def _before_ills(denials: Iterable[int], words: Sequence[str]) -> frozenset[int]:
    """Denials that deny on, though they are part of a finding's words: "not tired or feverish" is "not feverish"."""
    return frozenset(place for place in denials if not small.ILLS.isdisjoint(words[place + 1 : place + 2]))


def _before_verbs(negations: Iterable[int], words: Sequence[str]) -> frozenset[int]:
    """Every "no" that denies only the verb after it: "hernia no go back, pain"."""
    return frozenset(
        place
        for place in negations
        if words[place] in small.DETERMINERS and not small.BARE_VERBS.isdisjoint(words[place + 1 : place + 2])
    )


def _is_written(text: str, start: int, word: str) -> bool:
    return text[start : start + _STEM].lower() == word[:_STEM]


def _is_verb(cue: Match, words: Sequence[str]) -> bool:
    """Whether a "cause" is what something may do, and no short "because": "can coffee cause fainting?"."""
    if words[cue.first] != "cause":
        return False
    return not small.MODAL.isdisjoint(words[max(cue.first - _MODAL_REACH, 0) : cue.first])


def _gather(cues: Iterable[Match], words: Sequence[str]) -> _Cues:
    named: dict[str, list[Match]] = defaultdict(list)
    for match in cues:
        named[match.name].append(match)
    if _CLOSING in named:
        named[_CLOSING] = [each for each in named[_CLOSING] if not _is_verb(each, words)]
    spans: dict[str, list[Match]] = defaultdict(list)
    spans.update((name[len(CUE) :], found) for name, found in named.items() if found)
    covers: defaultdict[str, frozenset[int]] = defaultdict(frozenset)
    covers.update((kind, _covered_by(found)) for kind, found in spans.items())
    return _Cues(spans, covers)


def _nearest_before(places: AbstractSet[int], length: int) -> list[int]:
    """For each of so many tokens the last of these places that is before it; where there is none, far out of reach."""
    nearest, out = -length - _LONGEST_SENTENCE, []
    for place in range(length):
        out.append(nearest)
        if place in places:
            nearest = place
    return out


def _next(places: Sequence[int], place: int) -> int:
    """The first of these places, in order, that is after that one; where there is none, one that nothing reaches."""
    at = bisect_right(places, place)
    return places[at] if at < len(places) else sys.maxsize


def _covered_by(matches: Iterable[Match]) -> frozenset[int]:
    return _covered((first, last) for _, first, last in matches)


def _covered(spans: Iterable[tuple[int, int]]) -> frozenset[int]:
    """The tokens of these spans; most have one."""
    places: set[int] = set()
    for first, last in spans:
        if first == last:
            places.add(first)
        else:
            places.update(range(first, last + 1))
    return frozenset(places)


def _bounds(parts: Sequence[int]) -> dict[int, tuple[int, int]]:
    """First and last token of each part, by its number."""
    bounds: dict[int, tuple[int, int]] = {}
    first = 0
    for part, tokens in groupby(parts):
        last = first + sum(1 for _ in tokens) - 1
        bounds[part] = first, last
        first = last + 1
    return bounds
