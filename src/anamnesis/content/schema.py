"""Strict shapes of the content files. A file that does not fit stops the service from starting."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Status = Literal["draft", "signed", "retired"]


class Strict(BaseModel):
    """Nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(Strict):
    """One entry of the bibliography."""

    title: Text
    publisher: Text
    year: int


class Citation(Strict):
    """Where in a source a rule comes from."""

    source: Text
    locator: Text


class Examples(Strict):
    """Sentences that must fire a rule, and sentences that must not."""

    fires: Annotated[list[Text], Field(min_length=2)]
    silent: Annotated[list[Text], Field(min_length=2)]


Who = Literal[
    "first_week", "under_two_months", "under_six_months", "under_two", "under_five", "under_ten", "child",
    "under_sixteen", "over_40", "over_50", "over_60", "over_65", "over_70", "may_be_over_25", "pregnant", "postpartum",
    "late_pregnancy", "preterm_pregnancy", "could_be_pregnant",
]  # fmt: skip


class AtLeast(Strict):
    """So many different findings, or groups of people, out of a list."""

    count: Annotated[int, Field(ge=1)]
    of: Annotated[list[Text], Field(min_length=2)]


class ExamplePerson(Strict):
    """Whom a rule's examples are about, when its bounds need one. Ages are in years."""

    age_years: float | int | None = None
    sex: Literal["female", "male"] | None = None
    pregnant: bool | None = None


class Rule(Strict):
    """One red-flag rule as written. catalogue names the lines of the clinical catalogue it covers.

    any_of and at_least may name findings, and groups of findings as "@name".
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    status: Status = "draft"
    catalogue: list[int] = []
    acuity: Literal["urgent", "emergency"]
    all_of: list[Text] = []
    any_of: list[Annotated[list[Text], Field(min_length=1)]] = []
    at_least: AtLeast | None = None
    who: list[Who] = []
    lifts_urgent: bool = False
    is_lifted: bool = False
    sex: Literal["female", "male"] | None = None
    advice: Annotated[str, Field(pattern=r"^advice\.[a-z_]+$")]
    hazard: Annotated[str, Field(pattern=r"^H-\d\d$")]
    review_by: date
    cite: Annotated[list[Citation], Field(min_length=1)]
    examples: dict[Literal["en", "sw", "lg"], Examples]
    example_person: ExamplePerson | None = None


class FindingGroup(Strict):
    """Findings that weigh the same in a rule: written once with what they mean, named there as "@name"."""

    means: Text
    of: Annotated[list[Text], Field(min_length=2)]


class FindingGroups(Strict):
    """Groups of findings by name. A group may name others."""

    status: Status
    group: dict[Annotated[str, Field(pattern=r"^[a-z_]+$")], FindingGroup]


class RuleFile(Strict):
    """The rules of one presentation."""

    rule: list[Rule]


class Refine(Strict):
    """A mention named more exactly by what else the message says. An empty becomes drops it."""

    of: Annotated[list[Text], Field(min_length=1)]
    becomes: str
    with_: Annotated[list[Annotated[list[Text], Field(min_length=1)]], Field(alias="with", min_length=1)]
    unless: list[Text] = []


Phrases = Annotated[list[Text], Field(min_length=1)]


class LexiconFile(Strict):
    """A part of the lexicon; the files together are one. Syntax of phrases: ``clinical/lexicon.py``."""

    status: Status
    classes: dict[str, Phrases] = {}
    spellings: dict[str, Phrases] = {}
    rewrites: dict[str, Phrases] = {}
    not_typos: list[Text] = []
    benign: list[Text] = []
    pseudo_negations: list[Text] = []
    cues: dict[
        Literal[
            "negation", "negation_short", "thinking", "terminator", "starter", "subject", "affirming", "answer_no",
            "answer_yes", "past", "reopening", "resolved", "hypothetical", "condition", "unreal", "opener",
            "weak_opener", "patient", "relation", "distant", "speaking", "told_in_past", "told_weakly", "acute",
            "own_state", "family_history", "other_after", "animal", "mistaken", "explained", "joking", "general",
            "owner", "asking", "relapse", "fiction", "treated", "hearsay", "news", "for_another",
            "dated", "closed", "completed", "reported", "clocked", "lately", "admitting", "owning_up", "of_a_thing",
            "undenying",
            "ailing",
        ],
        Phrases,
    ] = {}  # fmt: skip
    concepts: dict[str, Phrases] = {}
    refine: list[Refine] = []
    implies: dict[str, Phrases] = {}
    still_dangerous: list[Text] = []
    attributes: list[Text] = []
    own_wishes: list[Text] = []
    deeds: list[Text] = []
    contacts: list[Text] = []
    lasting: list[Text] = []
    lifelong: list[Text] = []
    states: list[Text] = []
    of_person: list[Text] = []
