"""The agenda: what has to be asked of this person about this complaint, what is still open, and what is missing."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from anamnesis.clinical.record import ClinicalRecord, Declined, NotAsked, Reported, Stage
from anamnesis.clinical.terms import Acuity, Person, Sex, Speaker
from anamnesis.clinical.vocabulary import Vocabulary
from anamnesis.clinical.words import fold

#: From menarche to menopause, in years (clinical content model 4.1: pregnancy and last period, females of 12 to 55).
FERTILE_YEARS: Final = (12, 55)
#: WHO IMCI, general danger signs: asked of every ill child under five years, whatever the complaint.
_IMCI_MONTHS: Final = 60
_INFANT_MONTHS: Final = 12
#: Until here vaccines are asked for, and a carer is asked as a parent is: not what the patient smokes or drinks.
_CHILD_MONTHS: Final = 144
_MOST_SIGNS: Final = 16
#: As many signs as one message names; what is due beyond them is named in the next.
_MOST_DANGER_SIGNS: Final = 16
_MOST_KINDS: Final = 3
_MOST_LISTS: Final = 2
_PLACE: Final = ("site", "character", "radiation")
_LISTS: Final = ("medicines", "past_history")
_COURSE: Final = ("severity", "exacerbating", "relieving")


_NONE: Final[Mapping[str, Sequence[str]]] = {}
#: Kinds that say who is ill rather than of what: they add their danger signs to those of what is named beside them.
STATES: Final = ("infant", "child", "pregnancy")


@dataclass(frozen=True, slots=True)
class Choice:
    """A tappable answer; one of the list of areas names the kinds of complaint it stands for."""

    value: str
    label: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One topic of a question and the clause that asks for it."""

    slot: str
    words: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question: either one text for all its slots, or parts of which only the open ones are asked.

    A child, and an infant, may be asked in other words than an adult.
    """

    id: str
    stage: Stage
    kind: str
    slots: tuple[str, ...]
    why: str
    text: str | None = None
    text_child: str | None = None
    text_infant: str | None = None
    parts: tuple[Part, ...] = ()
    choices: tuple[Choice, ...] = ()
    only_for: str = "anyone"
    in_emergency: bool = False


class PhrasePattern:
    """A pattern that is compiled when it is first looked for: a command that asks nobody needs none of them."""

    __slots__ = ("_compiled", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._compiled: re.Pattern[str] | None = None

    def compiled(self) -> re.Pattern[str]:
        """The pattern; made once."""
        if self._compiled is None:
            self._compiled = re.compile(self._text)
        return self._compiled

    def search(self, text: str) -> re.Match[str] | None:
        """As of a compiled pattern."""
        return self.compiled().search(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """As of a compiled pattern."""
        return self.compiled().finditer(text)

    def sub(self, by: Callable[[re.Match[str]], str], text: str) -> str:
        """As of a compiled pattern."""
        return self.compiled().sub(by, text)


@dataclass(frozen=True, slots=True)
class Sign:
    """A danger sign or accompanying symptom: how it is called when asked, and how it is told.

    ``pattern`` finds it in any words, ``asked`` in an answer to the question for it, ``brief`` in such an answer that
    says little else ("positive" for HIV); ``unlike`` finds words that only look like it and are not read.
    """

    id: str
    label: str
    pattern: PhrasePattern
    only_for: str = "anyone"
    asked: PhrasePattern | None = None
    brief: PhrasePattern | None = None
    unlike: PhrasePattern | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """A kind of complaint: how people name it, what is asked, and its danger signs (clinical content model 4.2).

    ``pattern`` finds words that name it, ``weak`` words that hint at it and count only where nothing is named;
    ``unlike`` finds words that only look like it and are not read. ``flags`` are the rules that tell of it by firing.
    """

    id: str
    label: str
    pattern: PhrasePattern | None
    timing: str
    details: str
    asks: frozenset[str]
    danger: tuple[str, ...]
    associated: tuple[str, ...]
    max_age_months: float | None = None
    min_age_months: float | None = None
    weak: PhrasePattern | None = None
    unlike: PhrasePattern | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agenda:
    """All questions in order, all kinds of complaint, all signs, and what medicines and illnesses are called."""

    questions: tuple[Question, ...]
    complaints: Mapping[str, Complaint]
    signs: Mapping[str, Sign]
    vocabulary: Vocabulary

    def prepare(self) -> None:
        """Compile every pattern now, so that no patient's first message waits for it."""
        of_kinds = ((each.pattern, each.weak, each.unlike) for each in self.complaints.values())
        of_signs = ((each.pattern, each.asked, each.brief, each.unlike) for each in self.signs.values())
        for patterns in (*of_kinds, *of_signs):
            for pattern in patterns:
                if pattern is not None:
                    pattern.compiled()

    def question(self, question_id: str | None) -> Question | None:
        """The question of this id."""
        return next((each for each in self.questions if each.id == question_id), None)


def phrase_pattern(phrases: Sequence[str], synonyms: Mapping[str, Sequence[str]] = _NONE) -> "PhrasePattern":
    """A pattern of phrases: words in order with up to two others between, none where ``_`` joins them.

    ``a/b`` is either word, ``-`` joins the words of one alternative (``bum/back-passage``), ``*`` stands for any
    letters, ``<name>`` for any of the synonyms of that name, and an apostrophe may be left out. Raises KeyError for a
    name that is no key of synonyms.
    """
    alternatives = sorted((_phrase(phrase.lower(), synonyms) for phrase in phrases), key=len, reverse=True)
    return PhrasePattern(r"(?<![\w'])(?:" + "|".join(alternatives) + r")(?![\w'])")


_GAP: Final = r"[^\w.;!?]+"
_OTHERS: Final = rf"{_GAP}(?:(?!(?:no|not|but|never|\w+n't)\b)[\w']+{_GAP}){{0,2}}"


def _phrase(phrase: str, synonyms: Mapping[str, Sequence[str]]) -> str:
    words = (_GAP.join(_either(word, synonyms) for word in joined.split("_")) for joined in phrase.split())
    return _OTHERS.join(words)


def _either(word: str, synonyms: Mapping[str, Sequence[str]]) -> str:
    alternatives = [
        one for each in word.split("/") for one in (synonyms[each[1:-1]] if each.startswith("<") else (each,))
    ]
    return "(?:" + "|".join(map(_letters, alternatives)) + ")"


def _letters(word: str) -> str:
    return _GAP.join(re.escape(part).replace(r"\*", r"[\w']*").replace("'", "'?") for part in re.split("[-_]", word))


# -- who is asked what -------------------------------------------------------------------------------------------


def could_be_pregnant(person: Person) -> bool:
    """Whether pregnancy has to be asked of this person; an unknown age or sex counts as possible."""
    if person.sex is Sex.MALE:
        return False
    return person.age is None or FERTILE_YEARS[0] <= person.age.years <= FERTILE_YEARS[1]


def is_child(person: Person) -> bool:
    """Whether this is a child, whose vaccines are asked for; an unknown age is taken for an adult's."""
    return person.age is not None and person.age.months < _CHILD_MONTHS


def complaint_of(record: ClinicalRecord, agenda: Agenda) -> Complaint:
    """The first kind of complaint that was named, or the one for everything else."""
    return agenda.complaints[record.complaints[0] if record.complaints else "other"]


def recognised(text: str, person: Person, agenda: Agenda) -> tuple[str, ...]:
    """The kinds of complaint the words name, in the order named; the same words count for the longer phrase only.

    Words that only hint at a kind count when none is named. That it is a small child or a pregnancy comes last.
    """
    folded = fold(text)
    kinds = [each for each in agenda.complaints.values() if _is_of_age(each, person)]
    named = _longest(_found(folded, ((each.id, each.pattern, each.unlike) for each in kinds)))
    kept = named or _longest(_found(folded, ((each.id, each.weak, each.unlike) for each in kinds)))
    names = dict.fromkeys(name for _, _, name in sorted(kept))
    what = [name for name in names if name not in STATES]
    is_child = "infant" not in names and (not what or _is_small(person))
    who = [name for name in names if name in STATES and (name != "child" or is_child)]
    return (*what, *who)


def named_outright(text: str, person: Person, agenda: Agenda) -> tuple[str, ...]:
    """The kinds the words name for certain, in order: neither hinted at, nor that it is a child who is unwell.

    A place that hurts is named for certain: "pain in my right knee".
    """
    folded = fold(text)
    kinds = [each for each in agenda.complaints.values() if _is_of_age(each, person)]
    found = _longest(_found(folded, ((each.id, each.pattern, each.unlike) for each in kinds)))
    if not found and _HURTS.search(folded):
        found = _longest(_found(folded, ((each.id, each.weak, each.unlike) for each in kinds)))
    return tuple(name for name in dict.fromkeys(name for _, _, name in sorted(found)) if name != "child")


_HURTS: Final = re.compile(r"\b(?:hurt|pain|ach(?:e|ing)|sore\b|inauma|maumivu|[kln]+uma\b)")


def _found(
    text: str, patterns: Iterable[tuple[str, PhrasePattern | None, PhrasePattern | None]]
) -> Iterator[tuple[int, int, str]]:
    for name, pattern, unlike in patterns:
        if pattern is not None:
            read = without(text, unlike)
            yield from ((match.start(), match.end(), name) for match in pattern.finditer(read))


def without(text: str, unlike: PhrasePattern | re.Pattern[str] | None) -> str:
    """The text with what the pattern finds made unreadable; every other letter keeps its place."""
    return text if unlike is None else unlike.sub(lambda match: ";" * len(match.group()), text)


def _longest(found: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    places = list(found)
    return [one for one in places if not any(_covers(other, one) for other in places)]


def _is_small(person: Person) -> bool:
    return person.age is not None and person.age.months < _IMCI_MONTHS


def _covers(longer: tuple[int, int, str], shorter: tuple[int, int, str]) -> bool:
    is_longer = longer[1] - longer[0] > shorter[1] - shorter[0]
    return is_longer and longer[0] <= shorter[0] and shorter[1] <= longer[1]


def _is_of_age(complaint: Complaint, person: Person) -> bool:
    """Whether it is a complaint of people of this age; one for small children only where the age is known."""
    months = None if person.age is None else person.age.months
    is_too_old = complaint.max_age_months is not None and (months is None or months >= complaint.max_age_months)
    is_too_young = complaint.min_age_months is not None and months is not None and months < complaint.min_age_months
    return not is_too_old and not is_too_young


def kinds_of_flags(record: ClinicalRecord, agenda: Agenda, *, least: Acuity) -> tuple[str, ...]:
    """The kinds that the rules which fired tell of: what was danger enough to fire one need not be named besides."""
    rules = [flag.rule_id for flag in record.flags if flag.acuity >= least]
    kinds = (each for each in agenda.complaints.values() if each.flags and _is_of_age(each, record.person))
    return tuple(each.id for each in kinds if any(fnmatchcase(rule, glob) for rule in rules for glob in each.flags))


def kinds_of_area(text: str, record: ClinicalRecord, agenda: Agenda) -> tuple[str, ...]:
    """The kinds of the line of the list of areas that was tapped or typed, else those the words name."""
    choices = (each for question in agenda.questions if question.kind == "area" for each in question.choices)
    typed = fold(text).strip(" .!–-")
    chosen = next((each.kinds for each in choices if typed in (fold(each.value), fold(each.label))), None)
    if chosen is None:
        return recognised(text, record.person, agenda)
    return tuple(
        name for name in chosen if name in agenda.complaints and _is_of_age(agenda.complaints[name], record.person)
    )


def applies(slot: str, record: ClinicalRecord, agenda: Agenda) -> bool:
    """Whether a topic makes sense for this person and complaint; one that does not is "not applicable", not missing."""
    complaint = complaint_of(record, agenda)
    if slot == "pregnancy":
        return could_be_pregnant(record.person)
    if slot == "immunisation":
        return is_child(record.person)
    if slot == "area":
        return record.is_unnamed
    if slot == "more_signs":
        return bool(signs_left(record, agenda))
    if slot in _PLACE:
        return "place" in complaint.asks
    return slot not in _COURSE or "course" in complaint.asks


def signs_to_ask(record: ClinicalRecord, agenda: Agenda) -> tuple[str, ...]:
    """The signs to name in one question: the danger signs of the complaint and of the person's state, then symptoms.

    What was already told, affirmed or denied, is left out.
    """
    danger = danger_signs(record, agenda)[:_MOST_DANGER_SIGNS]
    associated = complaint_of(record, agenda).associated
    symptoms = dict.fromkeys(name for name in associated if _fits(agenda.signs[name].only_for, record.person))
    wanted = [*danger, *(name for name in symptoms if name not in danger)][: max(_MOST_SIGNS, len(danger))]
    return tuple(name for name in wanted if isinstance(record.sign(name), NotAsked))


def signs_left(record: ClinicalRecord, agenda: Agenda) -> tuple[str, ...]:
    """The danger signs still to name once the first list was: those it had no room for, and those of a late complaint.

    "And I have a cough too", said at the very end, opens the danger signs of a cough. None before the first list.
    """
    if not record.is_covered("danger_signs"):
        return ()
    left = (name for name in danger_signs(record, agenda) if isinstance(record.sign(name), NotAsked))
    return tuple(left)[:_MOST_DANGER_SIGNS]


def danger_signs(record: ClinicalRecord, agenda: Agenda) -> tuple[str, ...]:
    """Every danger sign that has to be known of this case, told or not."""
    return tuple(dict.fromkeys(_danger(record, agenda)))


def _danger(record: ClinicalRecord, agenda: Agenda) -> Iterator[str]:
    named = [agenda.complaints[name] for name in record.complaints[:_MOST_KINDS]]
    if not named or (record.is_unnamed and not isinstance(record.known("area"), Reported)):
        # Words that only hint at a kind may mean another one.
        named.append(agenda.complaints["other"])
    told = _told_signs(record, agenda)
    for complaint in (*named, *_of_state(record, agenda)):
        for name in complaint.danger:
            if name not in told and _fits(agenda.signs[name].only_for, record.person):
                yield name


def _told_signs(record: ClinicalRecord, agenda: Agenda) -> frozenset[str]:
    """The signs that are the complaint itself: one does not ask a person with a headache for a headache.

    A complaint that was only guessed at tells of none.
    """
    return frozenset() if record.is_unnamed else frozenset(record.complaints) & agenda.signs.keys()


def _of_state(record: ClinicalRecord, agenda: Agenda) -> Iterator[Complaint]:
    age = record.person.age
    if age is not None and age.months < _INFANT_MONTHS:
        yield agenda.complaints["infant"]
    elif age is not None and age.months < _IMCI_MONTHS:
        yield agenda.complaints["child"]
    if record.person.pregnant:
        yield agenda.complaints["pregnancy"]


def _fits(only_for: str, person: Person) -> bool:
    years = None if person.age is None else person.age.years
    match only_for:
        case "pregnant":
            return person.pregnant is True
        case "female":
            return could_be_pregnant(person)
        case "male":
            return person.sex is Sex.MALE
        case "teen":
            return years is None or years >= 10
        case _:
            return True


# -- what is open ------------------------------------------------------------------------------------------------


def open_slots(question: Question, record: ClinicalRecord, agenda: Agenda) -> tuple[str, ...]:
    """The topics of a question that apply and are not covered yet.

    One medicine or illness told unasked leaves the question for the others open.
    """
    if question.id == "more_signs":
        is_left = applies("more_signs", record, agenda) and record.asked.count(question.id) <= _MOST_LISTS
        return question.slots if is_left else ()
    if question.kind == "signs":
        return () if record.is_covered("danger_signs") else question.slots
    return tuple(slot for slot in question.slots if _is_open(slot, question, record) and applies(slot, record, agenda))


def _is_open(slot: str, question: Question, record: ClinicalRecord) -> bool:
    before = record.asked[:-1] if record.pending == question.id else record.asked
    is_first_of_list = slot in _LISTS and slot in record.volunteered and question.id not in before
    return is_first_of_list or not record.is_covered(slot)


def next_question(record: ClinicalRecord, agenda: Agenda) -> Question | None:
    """The next question due for this person, or None when everything due was asked.

    In an emergency only what whoever receives the patient needs at once is asked.
    """
    return next((each for each in questions_due(record, agenda) if open_slots(each, record, agenda)), None)


def questions_due(record: ClinicalRecord, agenda: Agenda) -> tuple[Question, ...]:
    """The questions that make up this person's agenda, asked or not."""
    is_emergency = record.acuity is Acuity.EMERGENCY
    return tuple(each for each in agenda.questions if each.in_emergency or not is_emergency)


def due_slots(record: ClinicalRecord, agenda: Agenda) -> tuple[str, ...]:
    """Every topic a complete interview of this person covers, in order; an emergency does not make it shorter."""
    slots = (slot for question in agenda.questions for slot in question.slots)
    return tuple(slot for slot in slots if slot != "read_back" and applies(slot, record, agenda))


def measured(record: ClinicalRecord, agenda: Agenda) -> ClinicalRecord:
    """The record with its completeness in whole percent, its gaps by name, and what does or does not apply to it.

    A topic is covered when it was told, denied, or asked and not obtained; it is a gap while nothing is known of it.
    """
    due = due_slots(record, agenda)
    covered = sum(record.is_covered(slot) for slot in due)
    gaps = tuple(slot.replace("_", " ") for slot in due if isinstance(record.answer(slot), NotAsked | Declined))
    return replace(
        record,
        completeness=100 * covered // max(1, len(due)),
        gaps=gaps,
        signs_due=danger_signs(record, agenda),
        not_applicable=tuple(
            slot for each in agenda.questions for slot in each.slots if not applies(slot, record, agenda)
        ),
    )


# -- how it is worded --------------------------------------------------------------------------------------------

_ALTERNATIVES: Final = re.compile(r"\{([^{}]*\|[^{}]*)\}")
_LONG_QUESTION_WORDS: Final = 14
_VOICES: Final = {Speaker.SELF: 0, Speaker.PARENT: 1, Speaker.OTHER: 2}


def voiced(text: str, person: Person) -> str:
    """The text as said to whoever writes: ``{you|the child|the patient}``; of a child as to a parent."""
    is_of_child = person.speaker is Speaker.OTHER and is_child(person)
    voice = _VOICES[Speaker.PARENT if is_of_child or _is_small(person) else person.speaker]

    def chosen(match: re.Match[str]) -> str:
        words = match.group(1).split("|")
        return words[min(voice, len(words) - 1)]

    return _ALTERNATIVES.sub(chosen, text)


def text_for(question: Question, person: Person) -> str | None:
    """The whole question in the words for somebody of this age."""
    if person.age is not None and person.age.months < _INFANT_MONTHS and question.text_infant:
        return question.text_infant
    return question.text_child if question.text_child and is_child(person) else question.text


def worded(question: Question, record: ClinicalRecord, agenda: Agenda) -> str:
    """The question in words, asking for its open parts only."""
    if question.id == "details":
        complaint = complaint_of(record, agenda)
        clauses = {
            slot: voiced(words, record.person)
            for slot, words in (("timing", complaint.timing), ("details", complaint.details))
        }
        return sentence([clauses[slot] for slot in open_slots(question, record, agenda)])
    text = text_for(question, record.person)
    if text is not None:
        return voiced(text, record.person)
    open_now = open_slots(question, record, agenda)
    return sentence([voiced(part.words, record.person) for part in question.parts if part.slot in open_now])


def sentence(clauses: Sequence[str]) -> str:
    """One question out of clauses: "Where is it, and does it spread?"; when it grows long, a short sentence each."""
    kept = list(clauses)
    if sum(len(clause.split()) for clause in kept) > _LONG_QUESTION_WORDS:
        return " ".join(f"{_capital(clause)}?" for clause in kept)
    if len(kept) > 1:
        kept[-1] = kept[-1] if ", and " in kept[-1] else f"and {kept[-1]}"
    return f"{_capital(', '.join(kept))}?" if kept else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
