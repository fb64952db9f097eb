"""Put what a message says into the record: the answer to what was asked, and every fact that was told besides.

Nothing enters the record without the verbatim words. Words that fit no topic are kept for the doctor.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeGuard

from anamnesis.clinical import agenda as agendas
from anamnesis.clinical import answers, told
from anamnesis.clinical.agenda import Agenda, Question, Sign
from anamnesis.clinical.record import Answer, ClinicalRecord, Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.sharing import besides, is_besides, onset_of, pieces_of, share_out, speaks_of
from anamnesis.clinical.signs import SignTold, read_signs
from anamnesis.clinical.terms import Acuity, Age, Assertion, Evidence, Finding
from anamnesis.clinical.told import Told
from anamnesis.clinical.vocabulary import Vocabulary

NOT_MENTIONED: Final = "asked, not mentioned"
DOES_NOT_KNOW: Final = "does not know"
REFUSED: Final = "refused"
PERSON_SLOTS: Final = frozenset({"name", "age", "sex"})
#: Questions in whose answers a sign that is named is no sign of today.
_OF_BEFORE: Final = frozenset(
    {
        "medicines",
        "allergies",
        "past_history",
        "immunisation",
        "background",
        "anything_else",
        "read_back",
        "records",
        "speaker",
        "who",
    }
)
_OF_PAST: Final = _OF_BEFORE - {"anything_else"}
_NOW: Final = re.compile(
    r"\b(?:now|today|tonight|yesterday|since|still|again|(?:has|have|just) (?:started|begun|come)|"
    r"this (?:morning|afternoon|evening|week)|sasa|leo|jana|kati|leero|jjo)\b"
)
_OF_NOW: Final = frozenset({"onset", "severity"})
_LISTED: Final = frozenset({"medicines", "allergies", "past_history", "family_history", "social_history"})
#: Asked for as one sentence: a long answer that cannot be divided answers both, and the doctor reads it once.
_TOGETHER: Final = ("timing", "details")
_PIECES_OF_BOTH: Final = 3
_LEAST_WORDS_TOLD: Final = 3
_HOME: Final = ("family_history", "social_history")
_SUBJECT: Final = re.compile(r"\s*(?:yes\W+)?(?:(?:i|he|she|we|they)(?:\s+|$))?", re.IGNORECASE)
_REST_DENIED: Final = re.compile(
    r"\b(?:only|nothing else|no other|none of the (?:others?|rest)|not the (?:others?|rest)|"
    r"the rest,? no|others? no|that'?s all|just|no to the (?:others?|rest))\b"
)


_AND: Final = re.compile(r"\s(?:and|plus|also|na)\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Words:
    """A message's words and its id."""

    message_id: str
    text: str

    @property
    def whole(self) -> Evidence:
        """The message as evidence."""
        return Evidence(self.message_id, self.text)

    def quoting(self, quote: str) -> Evidence:
        """Part of the message as evidence."""
        return Evidence(self.message_id, quote)


# -- who it is about ---------------------------------------------------------------------------------------------


def read_person(record: ClinicalRecord, words: Words, *, asked: str | None) -> ClinicalRecord:
    """Name, age, sex and speaker, wherever they are told. A second, different age is kept as a conflict."""
    is_correction = answers.corrected(words.text) is not None
    wanted = asked == "who" or (is_correction and bool(PERSON_SLOTS & set(record.last_answered)))
    record = _with_age(record, words, told.read_age(words.text, is_asked=wanted), corrects=is_correction)
    sex = told.read_sex(words.text, is_asked=wanted)
    if sex is not None and (not record.is_covered("sex") or is_correction):
        record = replace(record, person=replace(record.person, sex=sex.value))
        record = record.with_answer("sex", Reported(sex.value.value, words.quoting(sex.quote)))
    is_said = not answers.is_question(words.text) and not answers.is_attachment(words.text)
    is_told = asked == "who" and not record.is_covered("name") and is_said
    name = told.read_name(words.text, is_asked=is_told)
    if name is not None and (not record.is_covered("name") or is_correction):
        record = record.with_answer("name", Reported(name.value, words.quoting(name.quote)))
        record = replace(record, name=name.value)
    return _with_speaker(record, words, is_asked=asked == "speaker")


def _with_age(record: ClinicalRecord, words: Words, age: Told[Age] | None, *, corrects: bool) -> ClinicalRecord:
    if age is None:
        return record
    answer, old = Reported(age.quote, words.quoting(age.quote)), record.person.age
    is_known = isinstance(record.answer("age"), Reported)
    if is_known and old is not None and abs(old.years - age.value.years) < 1:
        return record
    record = record.with_conflict("age", answer) if is_known and not corrects else record.with_answer("age", answer)
    return replace(record, person=replace(record.person, age=age.value))


def _with_speaker(record: ClinicalRecord, words: Words, *, is_asked: bool) -> ClinicalRecord:
    speaker = told.read_speaker(words.text, is_asked=is_asked)
    if speaker is None or record.is_covered("speaker"):
        return record
    record = replace(record, person=replace(record.person, speaker=speaker.value))
    return record.with_answer("speaker", Reported(speaker.value.value, words.quoting(speaker.quote)))


def read_pregnancy_answer(record: ClinicalRecord, words: Words) -> ClinicalRecord:
    """The answer to whether the person is pregnant, or gave birth in the last six weeks."""
    if answers.is_unknown(words.text):
        return record.with_answer("pregnancy", Declined(DOES_NOT_KNOW, words.whole))
    if re.search(r"\b(?:gave birth|delivered|birth)\b", words.text.lower()) and not answers.is_none(words.text):
        return record.with_answer("pregnancy", Reported(words.text, words.whole))
    if answers.is_none(words.text) or answers.begins_with_no(words.text):
        record = replace(record, person=replace(record.person, pregnant=False))
        return record.with_answer("pregnancy", NoneReported(words.whole))
    if answers.is_yes(words.text) or answers.begins_with_yes(words.text) or "pregnan" in words.text.lower():
        record = replace(record, person=replace(record.person, pregnant=True))
        value = "pregnant or recently pregnant" if answers.is_yes(words.text) else words.text
        return record.with_answer("pregnancy", Reported(value, words.whole))
    return record


# -- what is told besides ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact told of a topic that was not asked for; is_none says that there is none of it."""

    slot: str
    told: Told[str]

    @property
    def is_none(self) -> bool:
        """Whether the fact is that there is none."""
        return self.told.value == told.NONE


def facts_of(text: str, vocabulary: Vocabulary) -> Iterator[Fact]:
    """Every fact the text states of the topics that people volunteer."""
    single = {
        "onset": told.read_onset(text),
        "severity": told.read_severity(text, is_asked=False),
        "allergies": told.read_allergy(text, vocabulary),
        "medicines": told.read_medicine(text, vocabulary),
        "family_history": told.read_family(text),
        "social_history": told.read_social(text),
    }
    yield from (Fact(slot, found) for slot, found in single.items() if found is not None)
    yield from (Fact("past_history", found) for found in told.read_illnesses(text, vocabulary))


def read_unasked(
    record: ClinicalRecord, words: Words, slots: Sequence[str], question: Question | None, vocabulary: Vocabulary
) -> tuple[ClinicalRecord, tuple[Fact, ...]]:
    """The record with the facts told besides those of the topics asked for, and these facts.

    "Since 2018" in an answer about other illnesses is not the onset of this one. A fact that contradicts an earlier
    answer is kept beside it and marked; in a correction it takes its place.
    """
    is_correction = answers.corrected(words.text) is not None
    is_of_before = question is not None and (
        question.id in _OF_BEFORE - {"speaker", "who"} or question.kind == "vitals"
    )
    besides = frozenset(slots) | (_OF_NOW if is_of_before else frozenset())
    if not isinstance(record.answer("onset"), NotAsked) and not told.is_about_onset(words.text):
        # "The last visit was last month" is no onset of what nobody could say the onset of.
        besides |= {"onset"}
    facts = tuple(fact for fact in facts_of(words.text, vocabulary) if fact.slot not in besides)
    if agendas.is_child(record.person) and "immunisation" not in besides:
        vaccines = told.read_vaccines(words.text)
        facts = facts if vaccines is None else (*facts, Fact("immunisation", vaccines))
    for fact in facts:
        record = _with_fact(record, words, fact, corrects=is_correction)
    return record, facts


def _with_fact(record: ClinicalRecord, words: Words, fact: Fact, *, corrects: bool) -> ClinicalRecord:
    evidence, old = words.quoting(fact.told.quote), record.known(fact.slot)
    answer: Answer = NoneReported(evidence) if fact.is_none else Reported(fact.told.value, evidence)
    if isinstance(old, NotAsked | Declined) or corrects:
        volunteered = (*record.volunteered, fact.slot) if isinstance(old, NotAsked) and not fact.is_none else ()
        return replace(record.with_answer(fact.slot, answer), volunteered=volunteered or record.volunteered)
    if isinstance(old, NoneReported):
        return record if fact.is_none else record.with_conflict(fact.slot, answer)
    if fact.is_none:
        return record.with_conflict(fact.slot, answer)
    if fact.slot in _LISTED:
        return record.with_item(fact.slot, Reported(fact.told.value, evidence))
    is_other_onset = fact.slot == "onset" and told.is_about_onset(words.text)
    return record.with_conflict(fact.slot, answer) if is_other_onset and _differs(old, fact) else record


def _differs(old: Answer, fact: Fact) -> bool:
    return isinstance(old, Reported) and fact.told.value.lower() not in old.value.lower()


def read_complaint(record: ClinicalRecord, words: Words, agenda: Agenda, *, asked: Question | None) -> ClinicalRecord:
    """The chief complaint, told though something else was asked for, and which kinds of complaint it is."""
    if record.is_covered("chief_complaint") or (asked is not None and asked.id == "chief_complaint"):
        return record
    if asked is not None and words.text in {choice.value for choice in asked.choices}:
        return record
    # "Baby Okot, 3 weeks, boy" says who is ill, to the question for that, and not of what.
    only_who = agendas.STATES if asked is not None and asked.kind in ("person", "speaker") else ()
    for start, end in pieces_of(words.text):
        kinds = set(agendas.recognised(words.text[start:end].lower(), record.person, agenda))
        if kinds.difference(only_who) and len(words.text[start:].split()) > 1:
            value = words.text[start:].strip(" ,;")
            return record.with_answer("chief_complaint", Reported(value, words.quoting(value)))
    return record


def classified(record: ClinicalRecord, agenda: Agenda) -> ClinicalRecord:
    """The record with the kinds of complaint that its words name, chief one first; settled once signs were asked."""
    if record.is_covered("danger_signs"):
        return record
    told_words = [answer.value for slot in _NAMING if isinstance(answer := record.known(slot), Reported)]
    chief = record.known("chief_complaint")
    if isinstance(chief, Reported):
        told_words[0] = _apart_from_lists(chief.value, agenda.vocabulary)
        named = agendas.named_outright(_affirmed(told_words[0]), record.person, agenda)
        record = replace(record, is_unnamed=not named)
    chosen = _kinds_besides_words(record, agenda) if record.is_unnamed else ()
    besides = (*_kinds_besides(record, agenda), *agendas.kinds_of_flags(record, agenda, least=Acuity.EMERGENCY))
    for text in told_words:
        found = (*chosen, *agendas.recognised(_affirmed(text), record.person, agenda))
        if found:
            return replace(record, complaints=_ordered((*found, *besides)))
    return replace(record, complaints=_ordered(besides)) if besides else record


def _kinds_besides_words(record: ClinicalRecord, agenda: Agenda) -> tuple[str, ...]:
    """Of words that name no kind for certain: the area chosen from the list, else what the rules that fired tell."""
    area = record.known("area")
    if isinstance(area, Reported):
        return agendas.kinds_of_area(area.value, record, agenda)
    return agendas.kinds_of_flags(record, agenda, least=Acuity.URGENT)


def _ordered(kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds in the order told, who is ill after what of."""
    what = dict.fromkeys(name for name in kinds if name not in agendas.STATES)
    return (*what, *dict.fromkeys(name for name in kinds if name in agendas.STATES))


def _apart_from_lists(text: str, vocabulary: Vocabulary) -> str:
    """The complaint without the medicines, allergies and illnesses told beside it: "my belly hurts. I take ARVs"."""
    kept = [
        text[start:end]
        for start, end in pieces_of(text)
        if not any(fact.slot in _LISTED for fact in facts_of(text[start:end], vocabulary))
    ]
    return ". ".join(kept) or text


#: Where people name what is wrong, most telling first.
_NAMING: Final = ("chief_complaint", "site", "details", "character")


#: Questions in whose answers a further complaint of today may be told.
_OPEN_ENDED: Final = frozenset({"danger_signs", "more_signs", "anything_else"})
_FEARED: Final = re.compile(
    r"\b(?:worr\w*|afraid|fear\w*|scared|if|whether|might|may be|maybe|could (?:it|this|that) be|is (?:it|this)|"
    r"prevent\w*|avoid|allerg\w*|gave (?:me|him|her)|last year|years? ago)\b|\?"
)
_NO_LATE_KIND: Final = frozenset({"chronic_review", "other", *agendas.STATES})


def read_late_kinds(record: ClinicalRecord, words: Words, agenda: Agenda, *, asked: Question | None) -> ClinicalRecord:
    """The record with a complaint told after the danger signs were asked for, so that those of its own are asked too.

    What is only feared is no complaint: "I worry that it is malaria".
    """
    if not record.is_covered("danger_signs"):
        return record
    is_open_ended = asked is None or asked.id in _OPEN_ENDED
    for start, end in pieces_of(words.text):
        piece = words.text[start:end].lower()
        is_listed = any(fact.slot in _LISTED for fact in facts_of(piece, agenda.vocabulary))
        if is_listed or _FEARED.search(piece) or not (is_open_ended or answers.begins_aside(piece)):
            continue
        found = agendas.named_outright(_affirmed(piece), record.person, agenda)
        known = {*_NO_LATE_KIND, *(record.danger_signs if asked is not None and asked.kind == "signs" else ())}
        record = replace(
            record, complaints=_ordered((*record.complaints, *(each for each in found if each not in known)))
        )
    return record


def _kinds_besides(record: ClinicalRecord, agenda: Agenda) -> Iterator[str]:
    """The kinds of complaint told by the way, after the first: their danger signs are asked for too."""
    for each in record.also_told:
        if is_besides(each.quote) or answers.begins_aside(each.quote):
            yield from agendas.recognised(_affirmed(each.quote), record.person, agenda)


def _affirmed(text: str) -> str:
    """The words without the pieces that deny something: "cough, no fever" names a cough."""
    kept = [text[start:end] for start, end in pieces_of(text)]
    return " , ".join(piece for piece in kept if not re.match(r"\s*(?:no|without|not)\b", piece.lower())).lower()


def read_told_signs(record: ClinicalRecord, words: Words, agenda: Agenda, *, asked: Question | None) -> ClinicalRecord:
    """Signs of this complaint that are told or denied before they are asked for."""
    if asked is not None and (asked.id in _OF_BEFORE or asked.kind in ("signs", "area")):
        return record
    wanted = [agenda.signs[name] for name in agendas.signs_to_ask(record, agenda)]
    for each in read_signs(words.text, wanted, is_asked=False):
        record = record.with_sign(each.sign_id, _of_sign(each, words, agenda))
    return record


def read_present_signs(record: ClinicalRecord, words: Words, agenda: Agenda) -> ClinicalRecord:
    """The record with the signs asked for that the words affirm; what they leave out stays open."""
    asked = [agenda.signs[name] for name in record.danger_signs if name in agenda.signs]
    for each in read_signs(words.text, asked, is_asked=True):
        record = record.with_sign(each.sign_id, _of_sign(each, words, agenda)) if each.is_present else record
    return record


def _of_sign(told_so: SignTold, words: Words, agenda: Agenda) -> Answer:
    """What the words say of a sign, as it stands in the record."""
    evidence = words.quoting(told_so.quote)
    return Reported(agenda.signs[told_so.sign_id].label, evidence) if told_so.is_present else NoneReported(evidence)


def read_contradicted_signs(
    record: ClinicalRecord, words: Words, agenda: Agenda, *, asked: Question | None
) -> ClinicalRecord:
    """Signs that were denied and are told now: both stand in the record, and one is asked for.

    Where the past is asked for, only words that speak of now are taken for it; what the reading for danger found to be
    somebody else's, past or only supposed is left alone.
    """
    if asked is not None and (asked.kind == "signs" or (asked.id in _OF_PAST and not _NOW.search(words.text.lower()))):
        return record
    denied = [
        agenda.signs[name]
        for name, answer in record.signs.items()
        if name in agenda.signs and isinstance(answer, NoneReported) and answer.evidence.message_id != words.message_id
    ]
    elsewhere = [each.quote for each in record.findings if each.message_id == words.message_id and _is_not_now(each)]
    for each in read_signs(words.text, denied, is_asked=False):
        told_now = _of_sign(each, words, agenda)
        is_elsewhere = any(quote in each.quote or each.quote in quote for quote in elsewhere)
        if isinstance(told_now, Reported) and not is_elsewhere:
            record = record.with_sign_conflict(each.sign_id, told_now)
    return record


def _is_not_now(finding: Finding) -> bool:
    return finding.assertion is not Assertion.AFFIRMED


# -- the answer to what was asked --------------------------------------------------------------------------------


def read_answer(
    record: ClinicalRecord,
    words: Words,
    question: Question,
    open_slots: Sequence[str],
    facts: Sequence[Fact],
    agenda: Agenda,
) -> ClinicalRecord:
    """The record with the answer in the topics that were asked for. What the words do not answer stays open."""
    text = words.text
    is_beside = answers.is_question(text) or _is_aside(text, open_slots, facts)
    if (
        not open_slots
        or answers.is_greeting(text)
        or answers.is_puzzled(text)
        or (is_beside and question.id != "anything_else")
    ):
        return record
    if question.kind == "signs":
        return _read_signs(record, words, question, agenda)
    if answers.is_refused(text) or answers.is_unknown(text):
        return _not_told(record, words, open_slots)
    match question.kind:
        case "speaker":
            return record
        case "person":
            return _read_unknown_parts(record, words, open_slots)
        case "yes_no":
            return read_pregnancy_answer(record, words)
        case "area" | "vaccines":
            return record.with_answer(question.slots[0], _chosen(words, question))
        case "vitals":
            return _read_no_vitals(record, words, open_slots, facts)
        case "list" if len(open_slots) == 1:
            return _read_list(record, words, open_slots[0], facts, agenda.vocabulary)
        case _:
            return _read_parts(record, words, open_slots, facts)


def _chosen(words: Words, question: Question) -> Answer:
    """An answer to a list of lines to choose from: none of the areas, or that vaccines are, or are not, up to date."""
    is_none = answers.is_none(words.text) or _ELSE.fullmatch(words.text.strip().lower()) is not None
    if question.kind == "area":
        return NoneReported(words.whole) if is_none else Reported(words.text, words.whole)
    value = "up to date" if answers.is_yes(words.text) else "not up to date" if is_none else words.text
    return Reported(value, words.whole)


_ELSE: Final = re.compile(r"(?:it is |it's )?(?:something|another thing|anything) else[\s.!]*")


def _not_told(record: ClinicalRecord, words: Words, slots: Sequence[str]) -> ClinicalRecord:
    """Nothing was told of these topics; whoever keeps only the name back can still tell age and sex."""
    if not answers.is_refused(words.text):
        return _each(record, slots, Declined(DOES_NOT_KNOW, words.whole))
    refused = [slot for slot in slots if slot in PERSON_SLOTS and slot in words.text.lower()]
    return _each(record, refused or slots, Declined(REFUSED, words.whole))


def may_be_answer(text: str, question: Question, vocabulary: Vocabulary) -> bool:
    """Whether words that tell of danger may be the answer to this question all the same.

    Whatever is told of the complaint is; what is asked of the past takes only words of its own topic.
    """
    match question.id:
        case "medicines":
            return (
                vocabulary.medicine.search(text.lower()) is not None or told.read_medicine(text, vocabulary) is not None
            )
        case "allergies":
            return (
                told.read_allergy(text, vocabulary) is not None or vocabulary.medicine.search(text.lower()) is not None
            )
        case "past_history":
            return next(told.read_illnesses(text, vocabulary), None) is not None
        case "vitals":
            return any(character.isdigit() for character in text)
        case _:
            return question.kind in ("words", "signs") or question.id == "anything_else"


def _is_aside(text: str, open_slots: Sequence[str], facts: Sequence[Fact]) -> bool:
    """Whether the message says by the way something else than what was asked for, and nothing of that."""
    if not facts or not answers.begins_aside(text):
        return False
    rest = _without(text, [fact.told.quote for fact in facts])
    return not any(speaks_of(slot, piece) for piece in rest for slot in open_slots)


def _each(record: ClinicalRecord, slots: Sequence[str], answer: Answer) -> ClinicalRecord:
    for slot in slots:
        record = record.with_answer(slot, answer)
    return record


def read_beside_person(record: ClinicalRecord, words: Words, facts: Sequence[Fact]) -> ClinicalRecord:
    """The record with what is told beside name, age and sex, in whole pieces: "I live in Gulu and sell tomatoes"."""
    told_so = (*record.answers.values(), *record.signs.values())
    quotes = [each.evidence.quote for each in told_so if _is_told_in(each, words)]
    quotes += [evidence.quote for _, evidence in record.readings if evidence.message_id == words.message_id]
    for piece in _without(words.text, [*quotes, *(fact.told.quote for fact in facts)]):
        if (
            len(piece.split()) >= _LEAST_WORDS_TOLD
            and not answers.is_none(piece)
            and not answers.is_question(words.text)
        ):
            record = record.with_told(words.quoting(piece))
    return record


def _is_told_in(answer: Answer, words: Words) -> TypeGuard[Reported | NoneReported | Declined]:
    return not isinstance(answer, NotAsked) and answer.evidence.message_id == words.message_id


def _read_unknown_parts(record: ClinicalRecord, words: Words, slots: Sequence[str]) -> ClinicalRecord:
    for start, end in pieces_of(words.text):
        piece = words.text[start:end].strip()
        if re.search(r"\b(?:don't|do not|dont|doesn't|not) know\b|\bnot sure\b|\bno idea\b", piece.lower()):
            return _each(record, slots, Declined(DOES_NOT_KNOW, words.quoting(piece)))
    return record


def _read_no_vitals(
    record: ClinicalRecord, words: Words, slots: Sequence[str], facts: Sequence[Fact]
) -> ClinicalRecord:
    """No reading was found in the words: that there is none, or words instead of numbers, which the doctor reads."""
    if answers.is_none(words.text) or answers.begins_with_no(words.text) or "have none" in words.text.lower():
        return _each(record, slots, NoneReported(words.whole))
    if facts or any(character.isdigit() for character in words.text):
        return record
    return _each(record, slots, Declined("no reading given", words.whole)).with_told(words.whole)


def _read_list(
    record: ClinicalRecord, words: Words, slot: str, facts: Sequence[Fact], vocabulary: Vocabulary
) -> ClinicalRecord:
    """One list: "No, but I am allergic to penicillin" is an allergy; "no medicines, allergic to sulfa" no medicine."""
    if slot in _HOME:
        return _read_home(record, words, slot)
    if slot == "anything_else" and not answers.is_none(words.text):
        return record.with_answer(slot, Reported(words.text, words.whole))
    if answers.is_none(words.text):
        is_told = isinstance(record.known(slot), Reported)
        return record if is_told else record.with_answer(slot, NoneReported(words.whole))
    own = next((fact for fact in facts_of(words.text, vocabulary) if fact.slot == slot and not fact.is_none), None)
    if own is not None and answers.begins_with_no(words.text):
        return record.with_answer(slot, Reported(own.told.value, words.quoting(own.told.quote)))
    if own is not None and _says_only(words.text, own.told.quote):
        return record.with_item(slot, Reported(own.told.value, words.quoting(own.told.quote)))
    rest = _without(words.text, [fact.told.quote for fact in facts])
    substance = [piece for piece in rest if not answers.is_none(piece) and not answers.is_yes(piece)]
    if substance:
        value = words.text if not facts else ", ".join(substance)
        return record.with_item(slot, Reported(value.strip(), words.whole))
    if any(answers.is_none(piece) for piece in rest) and not isinstance(record.known(slot), Reported):
        return record.with_answer(slot, NoneReported(words.whole))
    return record


def _read_home(record: ClinicalRecord, words: Words, slot: str) -> ClinicalRecord:
    """Family or home where only one of them is still asked for; what is said of the other goes to that one.

    "No illness in the family, I don't drink, I live alone" tells of both, whatever was told before.
    """
    if answers.is_none(words.text):
        return record.with_answer(slot, NoneReported(words.whole))
    shares = share_out(words.text, _HOME)
    if not any(share.slot == slot for share in shares):
        return record.with_answer(slot, Reported(words.text, words.whole))
    for share in shares:
        pieces = [told_so[low:high].strip() for told_so in share.quotes for low, high in pieces_of(told_so)]
        for quote in pieces:
            evidence = words.quoting(quote)
            if share.slot == slot and share.is_none:
                record = record.with_answer(slot, NoneReported(evidence))
            elif not share.is_none:
                record = record.with_item(share.slot, Reported(quote, evidence))
    return record


def _says_only(text: str, quote: str) -> bool:
    """Whether the text is the quoted statement and its subject, so that with the value alone nothing is lost."""
    before, _, after = text.partition(quote)
    return _SUBJECT.fullmatch(before) is not None and not after.strip(" .!")


def _without(text: str, quotes: Sequence[str]) -> list[str]:
    """The pieces of the text that none of the quotes touches, fillers left out."""
    spans = [(start, start + len(quote)) for quote in quotes if (start := text.find(quote)) >= 0]
    kept = [
        text[start:end].strip()
        for start, end in pieces_of(text)
        if not any(start < last and first < end for first, last in spans)
    ]
    return [piece for piece in kept if not answers.is_filler(piece)]


def _read_parts(record: ClinicalRecord, words: Words, slots: Sequence[str], facts: Sequence[Fact]) -> ClinicalRecord:
    text = words.text
    if answers.is_none(text):
        needs_words = {"site", "character", "severity", "onset", "chief_complaint"}
        needs_words |= {"social_history", "timing"} if len(slots) > 1 else set()
        takes_none = [slot for slot in slots if slot not in needs_words]
        return _each(record, takes_none, NoneReported(words.whole))
    if "chief_complaint" in slots:
        return _read_complaint_asked(record, words, slots)
    if tuple(slots) == _TOGETHER and answers.is_yes(text):
        return record.with_answer(slots[0], Reported(text, words.whole))
    if not _without(text, [fact.told.quote for fact in facts]):
        return record
    if len(slots) == 1 and slots[0] != "severity" and not besides(text, slots):
        return record.with_answer(slots[0], Reported(text, words.whole))
    if tuple(slots) == _TOGETHER and len(pieces_of(text)) >= _PIECES_OF_BOTH:
        shared = {share.slot for share in share_out(text, slots)}
        if shared != set(slots):
            return _each(record, slots, Reported(text, words.whole))
    for quote in besides(text, slots):
        record = record.with_told(words.quoting(quote))
    for share in share_out(text, slots):
        evidence, *more = (words.quoting(quote) for quote in share.quotes)
        value = _value(share.slot, "; ".join(share.quotes))
        told_so = NoneReported(evidence) if share.is_none else Reported(value, evidence, more=tuple(more))
        record = record.with_answer(share.slot, told_so)
    return record


def _read_complaint_asked(record: ClinicalRecord, words: Words, slots: Sequence[str]) -> ClinicalRecord:
    """The complaint in all the patient's words, and those of them that say when it began."""
    if answers.is_vague(words.text) and record.asked.count("chief_complaint") == 1:
        return record
    record = record.with_answer("chief_complaint", Reported(words.text, words.whole))
    began, piece = told.read_onset(words.text) or told.read_lasting(words.text), onset_of(words.text)
    quote = piece if began is None or (piece is not None and began.quote in piece) else began.quote
    if "onset" in slots and quote is not None:
        record = record.with_answer("onset", Reported(quote, words.quoting(quote)))
    return record


def _value(slot: str, words: str) -> str:
    """A number told for how bad it is reads "7 of 10"; everything else is the patient's words."""
    severity = told.read_severity(words, is_asked=True) if slot == "severity" else None
    return severity.value if severity is not None and len(words.split()) <= 3 else words


def _read_signs(record: ClinicalRecord, words: Words, question: Question, agenda: Agenda) -> ClinicalRecord:
    """The answer to "Do you have any of these?". A sign that is not mentioned is not a sign denied."""
    asked = [agenda.signs[name] for name in record.danger_signs if name in agenda.signs]
    if answers.is_unknown(words.text) or answers.is_refused(words.text):
        reason = DOES_NOT_KNOW if answers.is_unknown(words.text) else REFUSED
        return _rest_of_signs(record, question, Declined(reason, words.whole), Declined(reason, words.whole))
    if answers.is_none(words.text):
        return _rest_of_signs(record, question, NoneReported(words.whole), NoneReported(words.whole))
    for each in read_signs(words.text, asked, is_asked=True):
        record = record.with_sign(each.sign_id, _of_sign(each, words, agenda))
    if answers.is_yes(words.text) and record.asked.count(question.id) < 2:
        return record
    denied_rest = (
        answers.begins_with_no(words.text) or _REST_DENIED.search(words.text.lower()) is not None
    ) and not _has_unread(words.text, asked)
    for quote in _unread(words.text, asked):
        record = record.with_told(words.quoting(quote))
    rest: Answer = NoneReported(words.whole) if denied_rest else Declined(NOT_MENTIONED, words.whole)
    all_told = all(isinstance(record.sign(name), NoneReported) for name in record.danger_signs)
    whole: Answer = NoneReported(words.whole) if all_told else Reported(words.text, words.whole)
    return _rest_of_signs(record, question, rest, whole)


def _has_unread(text: str, asked: Sequence[Sign]) -> bool:
    """Whether the answer affirms something that is none of the signs asked for, as far as it was understood.

    "Sticky stuff glues it shut, nothing else" may be one of them in other words: then the rest is not called denied.
    """
    known = [each.quote for each in read_signs(text, asked, is_asked=True)]
    for start, end in pieces_of(text):
        for part in _AND.split(text[start:end]):
            piece = _REST_DENIED.sub(" ", part.lower()).strip(" .,!")
            is_known = any(quote in part or part.strip() in quote for quote in known)
            is_empty = not piece or answers.is_none(piece) or answers.is_yes(piece) or answers.is_filler(piece)
            if not (is_known or is_empty or answers.begins_with_no(piece)):
                return True
    return False


def _unread(text: str, asked: Sequence[Sign]) -> Iterator[str]:
    """What such an answer says besides the signs asked for, such as "no back pain": the doctor reads it as told."""
    told_signs = read_signs(text, asked, is_asked=True)
    if not any(each.is_present for each in told_signs):
        return
    known = [each.quote for each in told_signs]
    for start, end in pieces_of(text):
        begin = start
        for match in [*_AND.finditer(text, start, end), None]:
            part = text[begin : end if match is None else match.start()].strip(" .,!")
            begin = end if match is None else match.end()
            is_known = any(quote in part or part in quote for quote in known)
            words = _REST_DENIED.sub(" ", part.lower()).strip(" .,!")
            is_empty = not words or any(
                says(words) for says in (answers.is_none, answers.is_yes, answers.is_filler, answers.is_vague)
            )
            if not (is_known or is_empty):
                yield part


def _rest_of_signs(record: ClinicalRecord, question: Question, rest: Answer, whole: Answer) -> ClinicalRecord:
    for name in record.danger_signs:
        if isinstance(record.sign(name), NotAsked):
            record = record.with_sign(name, rest)
    return _each(record, question.slots, whole)


# -- corrections -------------------------------------------------------------------------------------------------


def read_correction(
    record: ClinicalRecord, words: Words, open_slots: Sequence[str], vocabulary: Vocabulary
) -> ClinicalRecord | None:
    """The record with what "no, I meant …" corrects, or None when the message corrects nothing that was told.

    A fact that names its topic corrects that topic; bare words correct the last answer. What was said before is kept.
    """
    rest = answers.corrected(words.text)
    if rest is None:
        return None
    facts = [fact for fact in facts_of(rest, vocabulary) if record.is_covered(fact.slot)]
    if not facts and any(fact.slot in open_slots for fact in facts_of(rest, vocabulary)):
        return None
    for fact in facts:
        record = _with_fact(record, words, fact, corrects=True)
    if facts:
        return record
    targets = [slot for slot in record.last_answered if isinstance(record.answer(slot), Reported | NoneReported)]
    if not targets or PERSON_SLOTS & set(targets) or "vitals" in targets or "speaker" in targets:
        return record if targets else None
    shares = share_out(rest, targets)
    slot = shares[0].slot if shares else targets[0]
    return record.with_answer(slot, Reported(_value(slot, rest), words.quoting(rest)))


_BEGAN: Final = re.compile(r"\b(?:start\w*|began|begun|since|ago|(?:has|have|'s|'ve) been|it(?:'s| is| was) for)\b")
_SIDE: Final = re.compile(r"\b(?:(?:the|my|his|her) (?:left|right|upper|lower)|both)\b")
_MOST_WORDS_OF_A_NUMBER: Final = 7


def read_summary_corrected(record: ClinicalRecord, words: Words) -> ClinicalRecord:
    """The record with what an objection to the summary puts right of onset, severity and side; what stood is kept.

    Medicines, allergies and illnesses are read wherever they are told.
    """
    text = words.text.lower()
    if answers.begins_with_yes(text) or answers.is_yes(text):
        return record
    onset = told.read_onset(words.text) or told.read_lasting(words.text)
    if onset is not None and _BEGAN.search(text) and not is_besides(words.text):
        record = _with_fact(record, words, Fact("onset", onset), corrects=True)
    is_short = len(text.split()) <= _MOST_WORDS_OF_A_NUMBER
    severity = told.read_severity(words.text, is_asked=is_short and "not" in text)
    if severity is not None and isinstance(record.answer("severity"), Reported):
        record = _with_fact(record, words, Fact("severity", severity), corrects=True)
    site = record.answer("site")
    if isinstance(site, Reported) and any(side.split()[-1] not in site.value.lower() for side in _SIDE.findall(text)):
        record = record.with_answer("site", Reported(words.text, words.whole))
    return record
