"""Which words of an answer belong to which topic, when one question asked for several.

"6, light makes it worse, sleep helps" answers three. The message is cut at its commas; a piece goes to the topic it
speaks of, or else stays with the piece before it, so that every word ends up in some topic and none is lost.
"""

# ruff: noqa: E501 - a pattern is read as a whole
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from anamnesis.clinical.answers import begins_with_yes, is_none, is_unknown
from anamnesis.clinical.findings import fold
from anamnesis.clinical.told import is_span, read_severity

_CUT: Final = re.compile(
    r"[,;\n]+|[.!?]+(?=\s|$)|\s+\bbut\b\s+|\s+\band\b\s+(?=(?:it|i|he|she|we|no|nothing|rest\w*|my|they|the|does)\b)"
)
_KIN: Final = r"(?:mother|father|mum|mom|dad|sisters?|brothers?|grand\w+|uncles?|aunts?|aunties?|parents?|relatives?|siblings?|cousins?)"
_SPEAKS_OF: Final[dict[str, re.Pattern[str]]] = {
    "onset": re.compile(
        r"\b(?:since|ago|yesterday|today|started|began|last (?:week\w*|month|night|year)|morning|evening|night|lunch\w*|noon|midday|(?:minutes?|hours?|days?|weeks?|months?|years?) back|sudden\w*|slow\w*|gradual\w*|for (?:\w+ )?\w+ (?:minutes?|hours?|days?|weeks?|months?|years?)|monday|tuesday|wednesday|thursday|friday|saturday|sunday|tangu|okuva)\b"
    ),
    "timing": re.compile(
        r"\b(?:all the time|constant\w*|always|com(?:es?|ing) and go\w*|on and off|every|sometimes|continuous\w*|intermittent\w*|waves?|now and then|daily|once|twice|often|steady|stays?|never stops|lasts?|"
        r"about \d+|\d+ (?:minutes?|hours?|days?|weeks?|times?|pads?|fits?|seconds?)|(?:one|two|three|four|five|six|seven|eight|ten|few|several|many) (?:minutes?|hours?|days?|weeks?|months?|times?|pads?|fits?|seconds?)|at night|in the morning|mornings?|nights?|getting (?:worse|better|stronger)|slowly|gradually|widen\w*|grew|bigger|in (?:january|february|march|april|may|june|july|august|september|october|november|december)|a (?:day|night|week|minute|hour|second) or (?:so|two)|an hour or (?:so|two)|(?:light|heavy|bad|better|worse) then|by (?:morning|evening|night|noon|midday|lunch\w*|supper)|wakes? (?:me|him|her|us|them)|climbing (?:higher|up)|got worse|same|worse at|at rest|"
        r"when i (?:move|walk|climb)|at (?:about |around )?(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon|midnight)|o'clock|in the (?:afternoon|evening|day|daytime)|evenings?|afternoons?|daytime|all (?:day|night|morning|evening|along|through)|most of the (?:day|night|time)|each time|each day|more each|non-?stop|spread\w*|hourly|whole (?:day|night)|non ?stop|not stopped|weeks pregnant|weeks?|last (?:visit|month|week|year|seen)|day and night|at (?:dusk|dawn|sunset|sunrise|noon|midday|bedtime)|half an? (?:minute|hour)|an hour|a minute|only when|just when|when i (?:twist|exert|bend|turn|lie|sit|stand|run|work)|after (?:meals?|supper|lunch|breakfast|eating|food|work)|since morning|by itself|straight|before sunrise)\b"
    ),
    "site": re.compile(
        r"\b(?:in front|front|back|left|right|side|behind|upper|lower|middle|centre|center|here|all over|whole|everywhere|both|top|bottom|inside|around|"
        r"head|forehead|temples?|chest|breast\w*|belly|stomach|tummy|navel|abdomen|knees?|ankles?|legs?|feet|foot|arms?|hands?|wrist|shoulders?|neck|throat|hip|groin|ribs?|spine|thigh|calf|fingers?|toes?|face|eyes?|jaw)\b"
    ),
    "character": re.compile(
        r"\b(?:sharp|dull|throb\w*|burn\w*|stab\w*|press\w*|tight\w*|cramp\w*|ach(?:e|es|ing|y)|squeez\w*|pound\w*|heavy|heavi\w*|cutting|like|tingl\w*|numb\w*|stiff\w*|sore|pulling|gnawing|electric|prick\w*|colic\w*|hot|swollen|weak\w*|dead)\b"
    ),
    "radiation": re.compile(
        r"\b(?:spread\w*|mov(?:e|es|ing)|radiat\w*|travel\w*|stays? (?:there|in|at)|shoot\w*|goes (?:to|down|up|into|through|round)|into (?:my|the)|down (?:my|the|to|into)|only there|nowhere|up to (?:my|the)|through to|stays? put|stays? (?:where|on)|no further|does not leave|just there|round to|around to|reach\w*)\b|^\W*(?:and |then )?(?:to|into|towards|down|up|round|across|through)\b(?: (?:to|into))? (?:my|the|his|her|both|one)\b"
    ),
    "exacerbating": re.compile(
        r"\b(?:worse\w*|aggravat\w*|trigger\w*|brings? it|hurts? more|more when|increas\w*|sets it off|comes when|provok\w*|irritat\w*|bothers?|worst|brings? (?:it|this|on)|starts? it|is too much|tires? (?:me|him|her)|hurts? (?:it|me|him|her)|stings?|flar(?:es?|ing)|when i (?:walk|move|breathe|cough|eat|bend|stand|lie|climb|swallow|touch))\b"
    ),
    "relieving": re.compile(
        r"\b(?:better|reliev\w*|helps?|helped|eas(?:e|es|ed|ing)|reduc\w*|goes away|improv\w*|calms?|settles?|works(?! (?:at|in|for|as|with))|relief|soothes?|cools?|numbs?|loosens?|lessens?|dulls?|lifts?|stops? it|(?:brings?|takes?|cuts?) (?:it|this) down|used to (?:work|help)|takes? (?:it|the edge) (?:off|away)|makes? it go|disappears?|(?<!sun )goes down|comforts?)\b"
    ),
    "family_history": re.compile(
        rf"^\W*(?:both |all |only )?(?:my |his |her |our |the )?(?:\w+ )?{_KIN}\b(?! (?:cooks?|smokes?|lives?|works?|stays?))|\b(?:famil\w+|runs in|inherit\w*|hereditary|{_KIN} (?:\w+ )?(?:had|has|have|died|suffer\w*|is|was|are|were|with (?!us|me|him|her|them))|in (?:\w+ ){{0,3}}{_KIN}|passed (?:on|away)|"
        rf"on (?:my|his|her|the|our) (?:\w+'s )?side)\b"
    ),
    "social_history": re.compile(
        r"\b(?:smok\w*|drink\w*|alcohol|beer|waragi|live|lives|living|alone|works?|working|job|teacher|farmer|driver|student|trader|wife|husband|children|kids|married|single|cigarettes?|tobacco|farm|sell|teetotal\w*|stays? with|share|mairungi|widow\w*|divorced|housewife|hostel|school|pension\w*|unemployed|nurse|tailor|mechanic|boda|market|town|village|rooms?|nets?|goats|cows|charcoal|firewood|borehole|spring|tap|latrine)\b"
    ),
}
_NUMBER_WORDS: Final = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|"
    "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|half|quarter|a|an|few|couple|several|many"
)
#: A bare number, clock time or way of going on: answers how often, how long, at what time, and "is it getting worse?".
_AMOUNT: Final = re.compile(
    rf"(?:(?:about|around|maybe|perhaps|roughly|some|over|under|almost|nearly|up to|at|in|by|like|only|just|yes|each|it)\W+)*"
    rf"(?:(?:\d+|{_NUMBER_WORDS})(?:(?:\W+(?:or|to|and|of|past|a)\W+|[ -])(?:\d+|{_NUMBER_WORDS}|so|more))*"
    r"(?:\W*(?:a\.?m|p\.?m|o'?clock|(?:in the )?(?:morning|afternoon|evening)|(?:second|minute|hour|day|week|month|year|time|pad|liner|cup|fit)s?(?: or so)?(?: (?:or so|ago|at most|each|a (?:day|night|week))|)))?"
    r"|(?:very |quite |rather )?(?:slowly|quickly|gradually|suddenly|steadily|rarely|seldom|nightly|nights?|mornings?|evenings?|daytime|always|never|mostly|on and off))"
    r"(?: (?:though|only|yes|please))?"
)
#: Topics that any words may answer; the others need words that speak of them.
_OPEN: Final = frozenset({"site", "character", "details", "onset", "social_history"})
_MOST_PIECES: Final = 60
_FEW_WORDS: Final = 6
_AT_HOME: Final = "social_history"
#: Topics that a no does not answer.
_NEVER_NONE: Final = frozenset({"onset", "timing", "site", "character", "severity"})
_SENTENCE_END: Final = re.compile(r"[.;!?\n]")
_JOINED: Final = re.compile(r"\s*(?:and|or|plus|then|with)\b")
#: What eases more often than it harms: says which of the two a bare "rest" or "Gaviscon" answers.
_EASING: Final = re.compile(
    r"\b(?:rest\w*|sleep\w*|panadol|paracetamol|tablets?|medicines?|syrup|antacids?|gaviscon|milk|tea|honey|ginger|lemon|massag\w*|rubbing|"
    r"ice|warm|warmth|lukewarm|sponging|sponge|(?:cold|cool|hot) (?:water|cloth|bath|pack|compress|shower)|balm|ointment|cream|inhaler|puffer|"
    r"steam\w*|sitting (?:down|still|up)|keeping still|lying (?:down|still|quiet\w*)|fresh air|elevat\w*|pillow)\b"
)
#: What only qualifies the words before it: "prunes used to work, not now".
_QUALIFIES: Final = re.compile(
    r"(?:but )?(?:not (?:now|much|really|always|any ?more|so much|often|all|every time)|no more|no longer)"
)
_TOGETHER: Final = ("timing", "details")
_WAYS: Final = ("exacerbating", "relieving")
#: Any part of the body speaks of these; "I also have pain in my leg" says nothing of where the first pain is.
_PLACES: Final = frozenset({"site", "character"})


@dataclass(frozen=True, slots=True)
class Share:
    """The words that answer one topic, each quote verbatim; is_none says that they are a no."""

    slot: str
    quotes: tuple[str, ...]
    is_none: bool = False


def share_out(text: str, slots: Sequence[str]) -> tuple[Share, ...]:
    """The shares of the text for these topics, in order of the topics; a topic it does not speak of gets none."""
    pieces = [piece for piece in pieces_of(text) if not _is_besides(text[slice(*piece)], slots)]
    owners = _by_order(text, pieces, slots) or _by_words(text, pieces, slots)
    return tuple(share for slot in slots if (share := _share(text, pieces, owners, slot)) is not None)


#: Says that something else is there too, which answers none of the topics: "4, I also have diarrhoea".
_BESIDES: Final = re.compile(
    r"\W*(?:and |but |then )?(?:(?:i|he|she|we|they|there)(?:'s| is| am)? (?:also|too)|also|plus|besides|on top of (?:that|it))\b,? ?"
    r"(?:(?:i|he|she|we|they|there|my|his|her)\b )?(?:am |is |are )?(?:have|has|having|got|get|feel|feels|feeling|a|an|some|my|his|her|the|vomit\w*|cough\w*|bleed\w*)\b"
)


def besides(text: str, slots: Sequence[str]) -> tuple[str, ...]:
    """What a message tells besides these topics, verbatim: pieces that no topic gets."""
    pieces = (text[start:end].strip() for start, end in pieces_of(text))
    return tuple(piece for piece in pieces if _is_besides(piece, slots))


def is_besides(text: str) -> bool:
    """Whether the words say that something else is there too."""
    return _BESIDES.match(fold(text)) is not None


def _is_besides(piece: str, slots: Sequence[str]) -> bool:
    is_asked = "details" in slots or any(speaks_of(slot, piece) for slot in slots if slot not in _PLACES)
    return is_besides(piece) and not is_asked


def _by_words(text: str, pieces: list[tuple[int, int]], slots: Sequence[str]) -> list[tuple[str, ...]]:
    """The topics of each piece by what it speaks of, or else by what stands around it."""
    if tuple(slots) == _TOGETHER and len(pieces) > 1 and is_none(text[slice(*pieces[0])]):
        # "Is it worse at night?" takes a no: the pieces after it are the details.
        return [_TOGETHER[:1], *(_TOGETHER[1:] for _ in pieces[1:])]
    owners: list[tuple[str, ...]] = []
    for number, (start, end) in enumerate(pieces):
        taken = {slot for owner in owners for slot in owner}
        later = _later(text, pieces[number + 1 :], slots)
        if _follows_a_no(text, pieces, number) and _is_vacant(text[start:end], slots):
            taken_by_none = [slot for slot in slots if slot not in taken]
            owners.append(tuple(taken_by_none[:1]) or owners[-1])
            continue
        if not number and _leads_up(text, pieces, slots):
            owners.append((slots[0],))
            continue
        owners.append(_owners(text[start:end], slots, taken, later, owners))
    owners = _in_order(text, pieces, owners, slots)
    for number in range(len(owners) - 2, -1, -1):
        owners[number] = owners[number] or owners[number + 1]
    return _both_ways(text, pieces, owners, slots)


def _leads_up(text: str, pieces: list[tuple[int, int]], slots: Sequence[str]) -> bool:
    """Whether the first piece only begins what the next one says of the first topic: "in spells, a minute each"."""
    if len(pieces) < len(slots) + 1 or slots[0] in _OPEN:
        return False
    first, second = (text[start:end] for start, end in pieces[:2])
    is_vacant = not is_none(first) and _is_vacant(first, slots)
    return is_vacant and _SENTENCE_END.search(text[pieces[0][1] : pieces[1][0]]) is None and speaks_of(slots[0], second)


# -- by the order of the question ---------------------------------------------------------------------------------


def _by_order(text: str, pieces: list[tuple[int, int]], slots: Sequence[str]) -> list[tuple[str, ...]] | None:
    """The topics of each piece in the order they were asked for, where the message has a part for each; else None.

    Parts are its sentences, or else its pieces with those that go on ("dust, and smoke"). What is left at the end is
    the last topic's, if that takes any words. Nothing is guessed where a part speaks of another topic, or of none known.
    """
    if len(slots) < 2:
        return None
    for parts in (_sentences(text, pieces), _joined(text, pieces)):
        extra = len(parts) - len(slots)
        if extra < 0 or (extra and slots[-1] not in _OPEN):
            continue
        last = len(slots) - 1
        by_slot = [*parts[:last], [each for part in parts[last:] for each in part]]
        told = [[text[start:end] for start, end in (pieces[number] for number in part)] for part in by_slot]
        if _is_turned_round(told, slots):
            continue
        if all(_may_answer(slot, each, slots, is_rest=extra > 0) for slot, each in zip(slots, told, strict=True)):
            return [(slot,) for slot, part in zip(slots, by_slot, strict=True) for _ in part]
    return None


def _is_turned_round(told: Sequence[Sequence[str]], slots: Sequence[str]) -> bool:
    """Whether the last topic, which any words may answer, was told first: "a little discharge, eight times a day"."""
    if slots[-1] in _SPEAKS_OF or len(told[-1]) > 1:
        return False
    return any(
        speaks_of(slot, told[-1][0]) and not any(speaks_of(slot, piece) for piece in part)
        for slot, part in zip(slots[:-1], told[:-1], strict=True)
    )


def _may_answer(slot: str, part: Sequence[str], slots: Sequence[str], *, is_rest: bool) -> bool:
    """Whether the pieces of a part can all be what was told of this topic: of it, or of no other that needs words."""
    if any(is_unknown(piece) for piece in part) or (slot in _NEVER_NONE and all(map(is_none, part))):
        return False
    if (slot == "severity" or (is_rest and slot not in _OPEN)) and not any(speaks_of(slot, piece) for piece in part):
        return False
    if slot == slots[-1] and slot in _OPEN:
        opening = part[0]
        if (
            slots[0] == "timing"
            and len(part) == 1
            and len(opening.split()) <= _FEW_WORDS
            and speaks_of("timing", opening)
        ):
            # "Most nights, an hour or so" tells twice of how it goes on, and the details are asked for.
            return False
        is_earlier = any(speaks_of(each, opening) for each in slots[:-1]) and not speaks_of(slot, opening)
        return slot not in _SPEAKS_OF or not is_earlier
    return all(speaks_of(slot, piece) or _is_vacant(piece, slots) for piece in part)


def _sentences(text: str, pieces: list[tuple[int, int]]) -> list[list[int]]:
    """The pieces, those of one sentence together."""
    return _grouped(
        pieces, lambda number: _SENTENCE_END.search(text[pieces[number - 1][1] : pieces[number][0]]) is None
    )


def _joined(text: str, pieces: list[tuple[int, int]]) -> list[list[int]]:
    """The pieces, each with those after it that only go on."""
    return _grouped(pieces, lambda number: _JOINED.match(fold(text[pieces[number][0] : pieces[number][1]])) is not None)


def _grouped(pieces: list[tuple[int, int]], goes_on: Callable[[int], bool]) -> list[list[int]]:
    groups: list[list[int]] = []
    for number in range(len(pieces)):
        if number and goes_on(number):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _both_ways(
    text: str, pieces: list[tuple[int, int]], owners: list[tuple[str, ...]], slots: Sequence[str]
) -> list[tuple[str, ...]]:
    """What makes it worse and what makes it better, where neither is called so.

    One thing alone is told by what such things mostly do; of several the first makes it worse, as it was asked first,
    and where the change comes is known only from one that mostly eases. Else all of it is kept for both.
    """
    if not set(_WAYS) <= set(slots):
        return owners
    if any("exacerbating" in owner for owner in owners):
        return _nothing_eases(text, pieces, owners, slots)
    if any("relieving" in owner for owner in owners):
        return _what_worsens(text, pieces, owners, slots)
    bare = [
        number
        for number, (start, end) in enumerate(pieces)
        if _is_vacant(text[start:end], slots) and not is_none(text[start:end]) and not is_unknown(text[start:end])
    ]
    eases = [_EASING.search(fold(text[pieces[number][0] : pieces[number][1]])) is not None for number in bare]
    goes_on = [_JOINED.match(fold(text[slice(*pieces[number])])) is not None for number in bare[1:]]
    if len(set(eases)) == 1 and all(goes_on):
        # One thing, or things named as one: "dust, and smoke from the stove".
        ways = [_WAYS[eases[0] : eases[0] + 1] for _ in bare]
    elif True in eases[1:] and not eases[0]:
        change = eases.index(True)
        ways = [_WAYS[number >= change : (number >= change) + 1] for number in range(len(bare))]
    else:
        ways = [_WAYS for _ in bare]
    kept = list(owners)
    for number, way in zip(bare, ways, strict=True):
        kept[number] = way
    return kept


def _nothing_eases(
    text: str, pieces: list[tuple[int, int]], owners: list[tuple[str, ...]], slots: Sequence[str]
) -> list[tuple[str, ...]]:
    """In "seven, oily food, no, none" the no is said of what eases, and what stands before it worsens."""
    told = [number for number, owner in enumerate(owners) if set(_WAYS) & set(owner)]
    bare = [number for number in range(told[0]) if _is_vacant(text[slice(*pieces[number])], slots)]
    if not bare or not all(is_none(text[slice(*pieces[number])]) for number in told):
        return owners
    ways = dict.fromkeys(told, _WAYS[1:]) | dict.fromkeys(bare, _WAYS[:1])
    return [ways.get(number, owner) for number, owner in enumerate(owners)]


def _what_worsens(
    text: str, pieces: list[tuple[int, int]], owners: list[tuple[str, ...]], slots: Sequence[str]
) -> list[tuple[str, ...]]:
    """What stands before the words for what eases, and speaks of no topic, is what makes it worse."""
    first = next(number for number, owner in enumerate(owners) if "relieving" in owner)
    return [
        ("exacerbating",)
        if number < first and _is_vacant(text[start:end], slots) and not is_none(text[start:end])
        else owner
        for number, ((start, end), owner) in enumerate(zip(pieces, owners, strict=True))
    ]


# -- by words -----------------------------------------------------------------------------------------------------


def onset_of(text: str) -> str | None:
    """What a complaint's own message says of its beginning, verbatim: after the first piece, which says what it is."""
    for start, end in pieces_of(text)[1:]:
        if speaks_of("onset", text[start:end]) or is_span(text[start:end]):
            return text[start:end].strip()
    return None


def pieces_of(text: str) -> list[tuple[int, int]]:
    """Where the pieces of a message stand, cut at its commas, sentence ends and turns; past a bound the rest is one."""
    pieces, start = [], 0
    for match in islice(_CUT.finditer(fold(text)), _MOST_PIECES):
        pieces.append((start, match.start()))
        start = match.end()
    pieces.append((start, len(text)))
    return [(low, high) for low, high in pieces if text[low:high].strip()]


def _follows_a_no(text: str, pieces: list[tuple[int, int]], number: int) -> bool:
    """Whether the piece before says no: what follows a no is told of the next topic."""
    if not number:
        return False
    start, end = pieces[number - 1]
    return is_none(text[start:end])


def _in_order(
    text: str, pieces: list[tuple[int, int]], owners: list[tuple[str, ...]], slots: Sequence[str]
) -> list[tuple[str, ...]]:
    """Topics without words, given by the order of the question the pieces that speak of no topic.

    "a 6, walking about tires me, sweating eases it": what stands between the first topic's words and the third's is
    the second's. Only where every piece finds one topic; otherwise nothing is guessed.
    """
    missing = [slot for slot in slots if not any(slot in owner for owner in owners)]
    if not missing or len(pieces) != len(slots) or len(_joined(text, pieces)) != len(slots):
        return owners
    kept = list(owners)
    for number, slot in enumerate(slots):
        start, end = pieces[number]
        # Where it is and how it feels are told in any words; home has its own, and a home is no family's illness.
        is_vacant = _is_vacant(text[start:end], [each for each in slots if each not in _OPEN or each == _AT_HOME])
        if slot in missing and is_vacant and not is_unknown(text[start:end]):
            kept[number] = (slot,)
    return kept


def _later(text: str, pieces: list[tuple[int, int]], slots: Sequence[str]) -> set[str]:
    return {slot for start, end in pieces for slot in slots if speaks_of(slot, text[start:end])}


def _owners(
    piece: str, slots: Sequence[str], taken: set[str], later: set[str], before: list[tuple[str, ...]]
) -> tuple[str, ...]:
    free = [slot for slot in slots if slot not in taken]
    if before and _QUALIFIES.fullmatch(fold(piece).strip()):
        return before[-1]
    takes_no = [slot for slot in free if slot not in _NEVER_NONE or is_unknown(piece)]
    if (is_none(piece) or is_unknown(piece)) and takes_no:
        speaking = [slot for slot in takes_no if speaks_of(slot, piece)]
        return tuple((speaking or takes_no)[:1])
    spoken = tuple(slot for slot in slots if speaks_of(slot, piece))
    if spoken:
        fresh = tuple(slot for slot in spoken if slot in free)
        stays = not fresh and before and set(before[-1]) & _OPEN
        return before[-1] if stays else _one(fresh or spoken)
    if not before and slots[0] == "timing" and begins_with_yes(piece):
        return ("timing",)
    opens = [slot for slot in free if slot in _OPEN and slot not in later]
    if opens:
        return (opens[0],)
    return before[-1] if before else ()


def _one(spoken: tuple[str, ...]) -> tuple[str, ...]:
    """What a piece speaks of: "walking makes it worse and rest better" speaks of both, other pieces of the first."""
    both = tuple(slot for slot in spoken if slot in ("exacerbating", "relieving"))
    if len(both) == 2:
        return both
    return spoken if "severity" in spoken else spoken[:1]


def speaks_of(slot: str, piece: str) -> bool:
    """Whether a piece of an answer has words of this topic."""
    if slot == "timing" and _AMOUNT.fullmatch(fold(piece).strip(" .!")):
        return True
    if slot == "severity":
        return read_severity(piece, is_asked=True) is not None and not _SPEAKS_OF["exacerbating"].search(fold(piece))
    pattern = _SPEAKS_OF.get(slot)
    return pattern is not None and pattern.search(fold(piece)) is not None


def _is_vacant(piece: str, slots: Sequence[str]) -> bool:
    """Whether a piece has words of none of these topics."""
    return not any(speaks_of(slot, piece) for slot in slots)


def _share(text: str, pieces: list[tuple[int, int]], owners: list[tuple[str, ...]], slot: str) -> Share | None:
    own = [piece for piece, owner in zip(pieces, owners, strict=True) if slot in owner]
    if not own:
        return None
    quotes = [text[low:high].strip(" ,;\n") for low, high in own]
    if _are_neighbours(own, pieces):
        quotes = [text[own[0][0] : own[-1][1]].strip(" ,;\n")]
    return Share(slot, tuple(quotes), all(is_none(quote) for quote in quotes))


def _are_neighbours(own: list[tuple[int, int]], pieces: list[tuple[int, int]]) -> bool:
    first = pieces.index(own[0])
    return pieces[first : first + len(own)] == own
