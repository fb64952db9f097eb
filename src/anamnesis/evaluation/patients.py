"""Simulated patients: a table of facts each, a way of talking, no model. They answer what they are asked.

A case is a story (what is wrong), a person (the history) and a behaviour; all three are fixed by its number, so that a
figure can be reproduced and a failing case looked at.
"""

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from anamnesis.clinical import agenda as agendas
from anamnesis.clinical.agenda import Agenda
from anamnesis.clinical.record import SIGN, ClinicalRecord, NotAsked
from anamnesis.clinical.screening import SAFETY
from anamnesis.content import ClinicalContent
from anamnesis.intake.interview import Inbound, TurnPlan, after_emergency, new_record, opening, plan_turn, screen

BEHAVIOURS: Final = (
    "plain", "terse", "two_at_once", "vague", "does_not_know", "topic_change", "contradiction", "swahili", "talkative",
)  # fmt: skip
NONE: Final = "no"
_UNSURE: Final = "?"
_MOST_TURNS: Final = 60
_STARTED: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_BETWEEN: Final = timedelta(minutes=1)
_NAMES: Final = ("Jane", "Okello", "Sarah", "Moses", "Grace Auma", "Peter", "Amina", "Joseph", "Nakato", "Daniel")
_NONES: Final = ("No", "none", "nothing", "No, none", "not that I know", "I have none")
#: What a patient answers to a question that the story has no answer for.
_OTHERWISE: Final = {
    "site": "it is hard to say where", "character": "just uncomfortable", "severity": "4", "onset": "some days ago",
    "exacerbating": "nothing makes it worse", "relieving": "nothing makes it better", "timing": "it stays the same",
    "immunisation": "all of them so far",
}  # fmt: skip
#: The line of the list of areas that somebody with this kind of problem taps.
_AREAS: Final = {
    "fever": "Fever", "cough": "Cough or breathing", "breathlessness": "Cough or breathing",
    "chest_pain": "Chest or heart", "palpitations": "Chest or heart", "headache": "Head or balance",
    "dizziness": "Head or balance", "weakness": "A weak or numb part of the body", "fits": "Fits",
    "abdominal_pain": "Belly", "heartburn": "Belly", "vomiting": "Stomach upset", "diarrhoea": "Stomach upset",
    "constipation": "Constipation", "gut_bleeding": "Blood in the stool", "jaundice": "Yellow eyes",
    "urinary": "Passing urine", "discharge": "Private parts or periods",
    "vaginal_bleeding": "Private parts or periods", "rash": "Skin", "injury": "Injury, bite or sting",
    "bite": "Injury, bite or sting", "back_pain": "Back or joints", "joint_pain": "Back or joints", "eye": "Eyes",
    "ear_nose_throat": "Ear, nose or throat", "mood": "Mood or worries",
    "chronic_review": "A check or more medicine",
}  # fmt: skip
_SWAHILI: Final = {"no": "hapana", "yes": "ndiyo", "unknown": "sijui", "me": "mimi"}


@dataclass(frozen=True, slots=True)
class Case:
    """One simulated patient: facts by topic ("no" for none), signs that are there, and how they talk."""

    number: int
    kind: str
    behaviour: str
    facts: Mapping[str, str]
    present: Mapping[str, str]
    name: str
    age: str
    sex: str
    speaker: str
    is_pregnant: bool
    has_profile: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A fact as it was told in one message; a text of "no" says that there is none."""

    message_id: str
    slot: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was put: its id, the topics it asked for, and which of them had been told before.

    "You told me of one medicine; which others?" asks for what was not told.
    """

    question_id: str
    slots: tuple[str, ...]
    told_before: tuple[str, ...]


@dataclass(slots=True)
class Interview:
    """A whole interview: the messages by id, what was told in them, what was asked, and the record at the end."""

    case: Case
    record: ClinicalRecord
    messages: dict[str, str] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    is_ready: bool = False


# -- cases -------------------------------------------------------------------------------------------------------


def read_cases(folder: Path, count: int) -> tuple[Case, ...]:
    """So many cases, made of the stories and people in the folder: every story, then every story with others."""
    stories = tomllib.loads((folder / "stories.toml").read_text())["story"]
    people = tomllib.loads((folder / "people.toml").read_text())["person"]
    return tuple(_case(number, stories[number % len(stories)], people) for number in range(count))


def _case(number: int, story: Mapping[str, Any], people: Sequence[Mapping[str, str]]) -> Case:
    chance = random.Random(number)  # noqa: S311 - a repeatable simulation, no secret
    is_child = story["who"] in ("child", "baby")
    fitting = [person for person in people if (person.get("who") == "child") is is_child]
    person = fitting[(number * 7 + number // len(fitting)) % len(fitting)]
    facts = {slot: person[slot] for slot in person if slot != "who"}
    facts |= {ours: story[theirs] for ours, theirs in _STORY_SLOTS.items() if theirs in story}
    sex = {"m": "male", "f": "female", "pregnant": "female"}.get(story["who"]) or chance.choice(("male", "female"))
    ages = {"child": ("2 years", "3 years", "7 years"), "baby": ("5 months", "4 months"), "old": ("67", "72", "78")}
    return Case(
        number=number,
        kind=story["kind"],
        behaviour=BEHAVIOURS[number % len(BEHAVIOURS)],
        facts={slot: text for slot, text in facts.items() if text},
        present=story["present"],
        name=_NAMES[number % len(_NAMES)],
        age=chance.choice(ages.get(story["who"], ("24", "31", "38", "45"))),
        sex=sex,
        speaker="parent" if is_child else "self",
        is_pregnant=story["who"] == "pregnant",
        has_profile=number % 2 == 0,
    )


_STORY_SLOTS: Final = {
    "chief_complaint": "chief", "onset": "onset", "timing": "timing", "details": "details", "site": "site",
    "character": "character", "radiation": "radiation", "severity": "severity", "exacerbating": "worse",
    "relieving": "better",
}  # fmt: skip


# -- talking -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Patient:
    """Somebody who answers. What was told is remembered; a behaviour is played out once."""

    case: Case
    chance: random.Random
    told: set[str] = field(default_factory=set)
    played: set[str] = field(default_factory=set)

    def answer(self, question_id: str, slots: Sequence[str], signs: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
        """The words, and the facts in them as (topic, text)."""
        odd = self._odd(question_id, slots)
        if odd is not None:
            return odd
        if question_id.startswith("conflict:"):
            topic = question_id.removeprefix("conflict:")
            if topic.startswith(SIGN):
                return self.case.present.get(topic.removeprefix(SIGN), NONE), []
            own = {"name": self.case.name, "age": self.case.age, "sex": self.case.sex}
            fact = {**own, **self.case.facts}.get(topic, NONE)
            return fact, [(topic, fact)]
        if question_id in ("danger_signs", "more_signs"):
            return self._signs(question_id, signs)
        if question_id == "area":
            return self._area()
        if question_id in ("medicines", "past_history") and question_id in self.told:
            return "no, that is all", []
        if question_id in ("speaker", "who", "pregnancy", "read_back"):
            return self._fixed(question_id, slots)
        return self._facts(question_id, slots)

    def _once(self, behaviour: str) -> bool:
        if self.case.behaviour != behaviour or behaviour in self.played:
            return False
        self.played.add(behaviour)
        return True

    def _odd(self, question_id: str, slots: Sequence[str]) -> tuple[str, list[tuple[str, str]]] | None:
        if question_id == "chief_complaint" and self._once("vague"):
            return "I am not feeling well", []
        if question_id in ("details", "background") and self.case.behaviour == "does_not_know":
            return self._unknown(), [(slot, "?") for slot in slots]
        if (
            question_id in ("details", "character")
            and self.case.facts["medicines"] != NONE
            and self._once("topic_change")
        ):
            text = self.case.facts["medicines"]
            return f"By the way I take {text}", [("medicines", text)]
        if question_id == "anything_else" and self._once("contradiction") and self.case.facts["allergies"] == NONE:
            self.case = replace(self.case, facts={**self.case.facts, "allergies": "sulfa drugs"})
            return "I forgot, I am allergic to sulfa drugs", [("allergies", "sulfa drugs"), ("anything_else", "?")]
        return None

    def _unknown(self) -> str:
        return self.chance.choice(("I don't know", "not sure", "I do not know", _SWAHILI["unknown"], "no idea"))

    def _none(self) -> str:
        return _SWAHILI["no"] if self.case.behaviour == "swahili" else self.chance.choice(_NONES)

    def _fixed(self, question_id: str, slots: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
        case = self.case
        if question_id == "speaker":
            own = ("It is about me", "me", "myself", _SWAHILI["me"])
            texts = own if case.speaker == "self" else ("It is about my child", "my child")
            return self.chance.choice(texts), [("speaker", case.speaker)]
        if question_id == "pregnancy":
            yes = _SWAHILI["yes"] if case.behaviour == "swahili" else "Yes, I am pregnant"
            return (yes, [("pregnancy", "pregnant")]) if case.is_pregnant else (self._none(), [("pregnancy", NONE)])
        if question_id == "read_back":
            return self.chance.choice(("Yes, this is right", "yes", "Yes", "correct")), [("read_back", "yes")]
        parts = {"name": case.name, "age": case.age, "sex": case.sex}
        told = [(slot, parts[slot]) for slot in slots]
        if case.behaviour == "terse" and len(told) > 1:
            told = told[:1]
        if case.behaviour == "talkative" and len(told) > 1:
            words = {"name": f"my name is {case.name}", "age": f"I am {case.age} old", "sex": case.sex}
            if case.age.isdigit():
                words["age"] = f"I am {case.age} years old"
            return ", ".join(words[slot] for slot, _ in told), told
        return ", ".join(text for _, text in told), told

    def _area(self) -> tuple[str, list[tuple[str, str]]]:
        """The line of the list that has what is wrong with them, as people see that themselves; or none of them."""
        if self.case.behaviour == "does_not_know":
            return self._unknown(), [("area", _UNSURE)]
        area = _AREAS.get(self.case.kind, "Something else")
        return area, [("area", area if self.case.kind in _AREAS else NONE)]

    def _signs(self, question_id: str, signs: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
        present = [(name, text) for name, text in self.case.present.items() if name in signs]
        if not present:
            return (self.chance.choice((self._none(), "None of these"))), [(question_id, NONE)]
        words = " and ".join(text for _, text in present)
        closing = self.chance.choice((", nothing else", ". The rest no", " only", ", no others"))
        return f"{self.chance.choice(('', 'Yes, '))}{words}{closing}", [
            (f"sign:{name}", text) for name, text in present
        ]

    def _facts(self, question_id: str, slots: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
        told = [(slot, self.case.facts.get(slot, _OTHERWISE.get(slot, NONE))) for slot in slots]
        if self.case.behaviour == "terse":
            # A bare no would answer all that was asked.
            told = [each for each in told if each[1] != NONE][:1] or told[:1]
        if all(text == NONE for _, text in told):
            return self._none(), told
        spoken = [self._spoken(slot, text) for slot, text in told]
        words = self.chance.choice((", ", ". ", ", ")).join(spoken)
        if question_id == "chief_complaint" and self._once("two_at_once"):
            more = [
                (slot, self.case.facts[slot]) for slot in ("medicines", "allergies") if self.case.facts[slot] != NONE
            ]
            said = {"medicines": "I take {}", "allergies": "I am allergic to {}"}
            for slot, text in more[:1]:
                words, told = f"{words}. {said[slot].format(text)}", [*told, (slot, text)]
        if question_id == "chief_complaint" and "onset" not in self.case.facts:
            told = [*told, ("onset", self.case.facts["chief_complaint"])]
        if self.case.behaviour == "talkative" and question_id in (
            "chief_complaint",
            "medicines",
            "past_history",
            "onset",
        ):
            words = f"Well doctor, {words}, that is how it is"
        return words, told

    def _spoken(self, slot: str, text: str) -> str:
        if text != NONE:
            return text
        return {"family_history": "no family illness", "radiation": "it does not spread"}.get(slot, self._none())


# -- the interview -----------------------------------------------------------------------------------------------


def interview(case: Case, content: ClinicalContent) -> Interview:
    """Hold the interview to its end, or to so many turns that something must be wrong."""
    patient = Patient(case, random.Random(1000 + case.number))  # noqa: S311 - a repeatable simulation, no secret
    plan = opening(new_record(name=case.name if case.has_profile else None), content)
    held = Interview(case, plan.record, replies=[plan.reply])
    if case.has_profile:
        patient.told.add("name")
    for turn in range(_MOST_TURNS):
        if plan.record.pending == SAFETY:
            held.asked.append(Asked(SAFETY, (), ()))
            plan = _tell(held, f"m{turn}", turn, "yes, I am safe", (), plan, content)
            continue
        if plan.is_ready or plan.question_id is None:
            break
        slots, signs = _asked_for(plan, content.interview.agenda)
        told_before = tuple(slot for slot in slots if slot in patient.told and slot not in plan.record.volunteered)
        held.asked.append(Asked(plan.question_id, slots, told_before))
        text, facts = patient.answer(plan.question_id, slots, signs)
        patient.told |= {slot for slot, _ in facts}
        plan = _tell(held, f"m{turn}", turn, text, facts, plan, content)
    held.case, held.record, held.is_ready = patient.case, plan.record, plan.is_ready
    return held


def _tell(
    held: Interview,
    message_id: str,
    turn: int,
    text: str,
    facts: Sequence[tuple[str, str]],
    plan: TurnPlan,
    content: ClinicalContent,
) -> TurnPlan:
    inbound = Inbound(message_id, text, turn, _STARTED + turn * _BETWEEN)
    held.messages[message_id] = text
    held.said += [Said(message_id, slot, fact) for slot, fact in facts]
    screened = screen(plan.record, inbound, content)
    if screened.emergency_text is None:
        following = plan_turn(screened.record, inbound, content)
        held.replies.append(following.reply)
        return following
    following, words = after_emergency(screened.record, screened.emergency_text, inbound, content)
    held.replies.append(words)
    return following


def _asked_for(plan: TurnPlan, agenda: Agenda) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The topics the question asks for, and the signs it names."""
    question = agenda.question(plan.question_id)
    if question is None:
        return (), ()
    if question.kind == "signs":
        names = tuple(name for name in plan.record.danger_signs if isinstance(plan.record.sign(name), NotAsked))
        return (question.id,), names
    record = replace(plan.record, asked=plan.record.asked[:-1])
    return agendas.open_slots(question, record, agenda), ()
