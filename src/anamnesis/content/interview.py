"""Load what the interview asks and says: the agenda, the kinds of complaint, the signs, and the texts by language."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, ValidationError

from anamnesis.clinical import agenda as clinical
from anamnesis.clinical.record import Stage
from anamnesis.clinical.vocabulary import vocabulary
from anamnesis.content.schema import Status, Strict, Text

SOURCE_LANGUAGE: Final = "en"
OnlyFor = Literal["anyone", "could_be_pregnant", "pregnant", "female", "male", "teen"]
Synonyms = Mapping[str, list[str]]
Shape = TypeVar("Shape", bound=Strict)


class Choice(Strict):
    """A tappable answer."""

    value: Text
    label: Text
    kinds: list[Text] = Field(default_factory=list)


class Part(Strict):
    """One topic of a question and the clause that asks for it."""

    slot: Text
    text: Text


class Question(Strict):
    """One question as written: a text for all its slots, or parts."""

    id: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    stage: Stage = Field(strict=False)
    kind: Literal["words", "person", "yes_no", "list", "vitals", "speaker", "signs", "area", "vaccines", "read_back"]
    slots: list[Text] = Field(default_factory=list)
    text: Text | None = None
    text_child: Text | None = None
    text_infant: Text | None = None
    parts: list[Part] = Field(default_factory=list)
    why: Text
    choices: list[Choice] = Field(default_factory=list)
    only_for: OnlyFor = "anyone"
    in_emergency: bool = False


class AgendaFile(Strict):
    """The questions everybody is asked, in order."""

    status: Status
    question: list[Question]


class Sign(Strict):
    """A danger sign or accompanying symptom as written."""

    label: Text
    words: Annotated[list[Text], Field(min_length=1)]
    asked: list[Text] = Field(default_factory=list)
    brief: list[Text] = Field(default_factory=list)
    unlike: list[Text] = Field(default_factory=list)
    only_for: OnlyFor = "anyone"


class SignFile(Strict):
    """Every sign that can be asked for."""

    status: Status
    signs: dict[str, Sign]


class Complaint(Strict):
    """A kind of complaint as written."""

    id: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    label: Text
    words: list[Text]
    weak: list[Text] = Field(default_factory=list)
    unlike: list[Text] = Field(default_factory=list)
    flags: list[Text] = Field(default_factory=list)
    timing: Text
    details: Text
    asks: list[Literal["place", "course"]]
    danger: Annotated[list[Text], Field(min_length=2)]
    associated: list[Text]
    max_age_months: int | None = None
    min_age_months: int | None = None


class ComplaintFile(Strict):
    """Every kind of complaint."""

    status: Status
    complaint: list[Complaint]


class SynonymFile(Strict):
    """Words that mean the same in every phrase, by the name a phrase calls them with."""

    status: Status
    synonyms: dict[str, Annotated[list[Text], Field(min_length=2)]]


class WordFile(Strict):
    """What medicines, illnesses and reactions are called; sources are ids of the bibliography."""

    status: Status
    sources: Annotated[list[Text], Field(min_length=1)]
    medicines: Annotated[list[Text], Field(min_length=1)]
    illnesses: Annotated[list[Text], Field(min_length=1)]
    reactions: Annotated[list[Text], Field(min_length=1)]


class LocaleFile(Strict):
    """Patients' texts of one language: by key, and the questions by id where they are translated."""

    status: Status
    texts: dict[str, Text]
    questions: dict[str, Text] = Field(default_factory=dict)
    choices: dict[str, Text] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InterviewContent:
    """What the interviewer asks and says. English is whole; another language falls back to it."""

    agenda: clinical.Agenda
    locales: Mapping[str, LocaleFile]
    statuses: frozenset[str]

    def text(self, key: str, language: str) -> str:
        """A patient's text. Advice in a language that is only a draft is followed by the English one."""
        english = self.locales[SOURCE_LANGUAGE].texts[key]
        own = self.locales[language].texts.get(key) if language in self.locales else None
        if own is None or own == english:
            return english
        return f"{own}\n\n{english}" if key.startswith("advice.") else own

    def question(self, question_id: str, language: str) -> str | None:
        """The whole question in that language, where it is translated."""
        return self.locales[language].questions.get(question_id) if language in self.locales else None

    def label(self, choice: clinical.Choice, language: str) -> str:
        """What stands on a button; its value stays English."""
        return (
            self.locales[language].choices.get(choice.value, choice.label) if language in self.locales else choice.label
        )


def load_interview(folder: Traversable, problems: list[str]) -> InterviewContent | None:
    """The interview's content, or None after adding every problem of it to problems."""
    questions = _read(AgendaFile, folder / "agendas" / "common.toml", problems)
    signs = _read(SignFile, folder / "agendas" / "signs.toml", problems)
    complaints = _read(ComplaintFile, folder / "agendas" / "complaints.toml", problems)
    paths = sorted((path for path in (folder / "locales").iterdir() if path.name.endswith(".toml")), key=str)
    locales = {path.name.removesuffix(".toml"): _read(LocaleFile, path, problems) for path in paths}
    words = _read(WordFile, folder / "agendas" / "words.toml", problems)
    synonyms = _read(SynonymFile, folder / "agendas" / "synonyms.toml", problems)
    if questions is None or signs is None or complaints is None or words is None or synonyms is None:
        return None
    if not all(locales.values()):
        return None
    known = {name: locale for name, locale in locales.items() if locale is not None}
    problems += _broken(questions, signs, complaints, known)
    unknown = _unknown_synonyms(signs, complaints, synonyms)
    problems += (f"agendas: unknown synonym {name}" for name in unknown)
    if unknown:
        return None
    known_sources = tomllib.loads((folder / "sources.toml").read_text())
    problems += [f"words.toml: unknown source {each}" for each in words.sources if each not in known_sources]
    own = (questions.status, signs.status, complaints.status, words.status, synonyms.status)
    statuses = frozenset((*own, *(each.status for each in known.values())))
    return InterviewContent(_agenda(questions, signs, complaints, words, synonyms.synonyms), known, statuses)


def _broken(
    questions: AgendaFile, signs: SignFile, complaints: ComplaintFile, locales: Mapping[str, LocaleFile]
) -> Iterator[str]:
    for complaint in complaints.complaint:
        wanted = {*complaint.danger, *complaint.associated}
        yield from (f"complaint {complaint.id}: unknown sign {name}" for name in sorted(wanted - signs.signs.keys()))
    kinds = {name for each in questions.question for choice in each.choices for name in choice.kinds}
    unknown = kinds.difference(complaint.id for complaint in complaints.complaint)
    yield from (f"choices: unknown complaint {name}" for name in sorted(unknown))
    if SOURCE_LANGUAGE not in locales:
        yield "locales: English is missing"
        return
    english, ids = locales[SOURCE_LANGUAGE], {question.id for question in questions.question}
    for language, locale in locales.items():
        yield from (f"{language}: unknown text {key}" for key in sorted(locale.texts.keys() - english.texts.keys()))
        yield from (f"{language}: unknown question {name}" for name in sorted(locale.questions.keys() - ids))


def _unknown_synonyms(signs: SignFile, complaints: ComplaintFile, synonyms: SynonymFile) -> list[str]:
    of_signs = (
        phrase for each in signs.signs.values() for phrase in (*each.words, *each.asked, *each.brief, *each.unlike)
    )
    of_kinds = (phrase for each in complaints.complaint for phrase in (*each.words, *each.weak, *each.unlike))
    named = {name for phrase in (*of_signs, *of_kinds) for name in re.findall(r"<(\w+)>", phrase)}
    return sorted(named - synonyms.synonyms.keys())


def _agenda(
    questions: AgendaFile, signs: SignFile, complaints: ComplaintFile, words: WordFile, synonyms: Synonyms
) -> clinical.Agenda:
    return clinical.Agenda(
        tuple(_question(each) for each in questions.question),
        {each.id: _complaint(each, synonyms) for each in complaints.complaint},
        {name: _sign(name, each, synonyms) for name, each in signs.signs.items()},
        vocabulary(medicines=words.medicines, illnesses=words.illnesses, reactions=words.reactions),
    )


def _question(written: Question) -> clinical.Question:
    return clinical.Question(
        written.id,
        written.stage,
        written.kind,
        tuple(written.slots or (part.slot for part in written.parts)),
        written.why,
        written.text,
        written.text_child,
        written.text_infant,
        tuple(clinical.Part(part.slot, part.text) for part in written.parts),
        tuple(clinical.Choice(choice.value, choice.label, tuple(choice.kinds)) for choice in written.choices),
        written.only_for,
        written.in_emergency,
    )


def _complaint(written: Complaint, synonyms: Synonyms) -> clinical.Complaint:
    return clinical.Complaint(
        written.id,
        written.label,
        _pattern(written.words, synonyms),
        written.timing,
        written.details,
        frozenset(written.asks),
        tuple(written.danger),
        tuple(written.associated),
        written.max_age_months,
        written.min_age_months,
        _pattern(written.weak, synonyms),
        _pattern(written.unlike, synonyms),
        tuple(written.flags),
    )


def _sign(name: str, written: Sign, synonyms: Synonyms) -> clinical.Sign:
    words = [written.label, *written.words]
    return clinical.Sign(
        name,
        written.label,
        clinical.phrase_pattern(words, synonyms),
        written.only_for,
        _pattern(written.asked, synonyms),
        _pattern(written.brief, synonyms),
        _pattern(written.unlike, synonyms),
    )


def _pattern(phrases: list[str], synonyms: Synonyms) -> clinical.PhrasePattern | None:
    return clinical.phrase_pattern(phrases, synonyms) if phrases else None


def _read(shape: type[Shape], path: Traversable, problems: list[str]) -> Shape | None:
    try:
        return shape.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{path.name}: {error}")
    except ValidationError as error:
        problems.extend(
            f"{path.name}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)
        )
    return None
