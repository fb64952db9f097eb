"""What somebody can do, asked and answered no, as the failing it is: "Is he breathing? No." says "he not breathing".

Only questions about a function of the body, in a sentence of their own, are turned round; every other "no" denies what
it answers (``context``). The inserted word has no characters of its own, so that quotes stay verbatim.
"""

from typing import Final

from anamnesis.clinical.words import Break, Words

_LONGEST: Final = 9  # tokens of a question that is turned round
_ANSWERS: Final = frozenset(
    {"no", "nope", "nah", "none", "never", "nothing", "nil", "zero", "hapana", "hakuna", "nedda"}
)
#: An answer in several words: "not one", "not a single drop", "not at all".
_WITHIN_ANSWER: Final = frozenset({"a", "an", "at", "even", "the", "single", "one"})
_CLOSES_ANSWER: Final = frozenset({"one", "once", "drop", "word", "bit", "thing", "all", "sound", "single", "flicker"})
#: "haven't had any", "I haven't felt one": how a no begins, and what it says was not had.
_BEGINS_ANSWER: Final = frozenset({"i", "we", "he", "she", "have", "has", "had", "did"})
_NOT_HAD: Final = frozenset({"had", "felt", "feel", "noticed", "seen", "passed", "any", "one", "them", "a", "single"})
_CLOSES_NOT_HAD: Final = frozenset({"any", "one", "them", "done"})
_LONGEST_ANSWER: Final = 6  # tokens of an answer
#: What may follow an answer in the same breath: "none since last night".
_SINCE: Final = frozenset(
    {"since", "for", "today", "tonight", "yesterday", "from", "all", "at", "yet", "now", "this", "either"}
)
_ADDRESSED: Final = frozenset({"sir", "madam", "doctor", "musawo", "daktari", "please", "nurse"})
_ABLE: Final = frozenset({"can", "could", "able", "can't"})
#: What may stand before the function that is asked for.
_LEADS: Final = frozenset(
    {
        "is", "are", "does", "do", "did", "has", "have", "was", "can", "could", "and", "so", "still", "even", "able",
        "to", "he", "she", "they", "you", "your", "his", "her", "the", "my", "our", "now", "there", "any", "baby",
        "child", "newborn", "son", "daughter", "mother", "father", "husband", "wife", "patient", "boy", "girl", "man",
        "woman", "eyes", "grandmother", "grandfather", "own", "getting", "him", "inside",
    }
)  # fmt: skip
_DONE: Final = frozenset(
    {
        "breathing", "breathe", "breathes", "conscious", "responding", "respond", "responds", "responsive", "awake",
        "alert", "wake", "wakes", "rousable", "moving", "move", "moves", "kicking", "kick", "speak",
        "speaking", "speaks", "talk", "talking", "talks", "answer", "answering", "answers", "lift", "lifting", "raise",
        "swallow", "swallowing", "swallows", "drinking", "drink", "drinks", "feeding", "feed", "feeds",
        "breastfeeding", "sucking", "suck", "sucks", "eating", "eat", "eats", "walk", "walking", "walks", "stand",
        "standing", "stands", "sit", "sitting", "see", "seeing", "sees", "peeing", "pee", "urinate", "urinating",
        "crying", "cry", "cries", "bend", "squeeze", "blink", "blinking", "open", "opening", "opens", "reacting",
        "reacts", "react",
    }
)  # fmt: skip
_HAD: Final = frozenset(
    {
        "pulse", "tears", "response", "reaction", "movement", "movements", "kicks", "heartbeat", "urine", "feeling",
        "sensation", "strength", "power", "grip",
    }
)  # fmt: skip
_PASSED: Final = frozenset({"urine", "water", "stool", "gas", "wind", "pee"})
_ENDED: Final = frozenset({"stopped", "better", "gone", "improved", "eased", "over", "settled", "finished", "stopping"})
#: What is drunk, done or asked for by choice, so that a no is no failing.
_CHOSEN: Final = frozenset(
    {
        "alcohol",
        "beer",
        "waragi",
        "wine",
        "soda",
        "coffee",
        "sleep",
        "smoke",
        "doctor",
        "work",
        "night",
        "nights",
        "air",
    }
)


def turned(read: Words) -> Words:
    """The tokens with every function asked for and answered no as a denial of it; the same if there is none."""
    answers = ((at, _last_of_answer(read, at)) for at, gap in enumerate(read.breaks) if gap >= Break.COLON)
    turns = [
        (at, last, place)
        for at, last in answers
        if last is not None and (place := _turn(read, at, last + 1)) is not None
    ]
    if not turns:
        return read
    out, at = Words([], [], [], [], read.is_question), 0
    for answer, last, place in turns:
        out.extend(read, at, place)
        start = read.starts[place]
        out.append(_denial(read, place), start, start, read.breaks[place])
        out.extend(read, place, answer)
        out.breaks[-(answer - place)] = Break.NONE
        at = last + 1
        if at < len(read):
            at += read.words[at] in _ADDRESSED and not read.breaks[at]
    out.extend(read, at, len(read))
    return out


def _last_of_answer(read: Words, at: int) -> int | None:
    """The last token of the no that begins here; None if none does."""
    if read.words[at] in _ANSWERS:
        return at
    stop = min(at + _LONGEST_ANSWER, len(read))
    start = at
    while start < stop and read.words[start] in _BEGINS_ANSWER and (start == at or not read.breaks[start]):
        start += 1
    if start >= stop or read.words[start] != "not" or (start > at and read.breaks[start]):
        return None
    within, closing = (_NOT_HAD, _CLOSES_NOT_HAD) if start > at else (_WITHIN_ANSWER, _CLOSES_ANSWER)
    last = None
    for place in range(start + 1, stop):
        word = read.words[place]
        if read.breaks[place] or word not in within | closing:
            break
        if word in closing:
            last = place
    return last


def _turn(read: Words, answer: int, after: int) -> int | None:
    """Where the denial goes in the question before an answer; None if it asks for no function, or no answer it is."""
    if after < len(read) and not read.breaks[after] and read.words[after] not in _ADDRESSED | _SINCE:
        return None
    first = answer - 1
    while first > 0 and read.breaks[first] < Break.SENTENCE and answer - first <= _LONGEST:
        first -= 1
    if first < 0 or answer - first > _LONGEST or any(read.breaks[first + 1 : answer]):
        return None
    asked = read.words[first:answer]
    if not _CHOSEN.isdisjoint(asked):
        return None
    if asked[-1] in _ENDED:
        return answer - 1
    place = next((at for at, word in enumerate(asked) if word not in _LEADS), len(asked))
    said = asked[place : place + 2]
    is_passing = said[:1] in (["passing"], ["pass"]) and not _PASSED.isdisjoint(said)
    return first + place if is_passing or (said and said[0] in _DONE | _HAD) else None


def _denial(read: Words, place: int) -> str:
    if read.words[place] in _HAD:
        return "no"
    first = place
    while first > 0 and not read.breaks[first]:
        first -= 1
    return "can't" if not _ABLE.isdisjoint(read.words[first:place]) else "not"
