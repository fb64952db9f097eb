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


class Rule(Strict):
    """One red-flag rule as written."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    status: Status
    acuity: Literal["urgent", "emergency"]
    all_of: list[Text] = []
    any_of: list[Annotated[list[Text], Field(min_length=1)]] = []
    min_age_years: float | int | None = None
    max_age_years: float | int | None = None
    sex: Literal["female", "male"] | None = None
    needs_pregnancy: bool = False
    advice: Annotated[str, Field(pattern=r"^advice\.[a-z_]+$")]
    hazard: Annotated[str, Field(pattern=r"^H-\d\d$")]
    review_by: date
    cite: Annotated[list[Citation], Field(min_length=1)]
    examples: dict[Literal["en", "sw", "lg"], Examples]


class RuleFile(Strict):
    """The rules of one presentation."""

    rule: list[Rule]


class LexiconFile(Strict):
    """The lexicon of one language."""

    status: Status
    still_dangerous: list[Text]
    benign: list[Text]
    pseudo_negations: list[Text]
    variants: dict[str, list[Text]]
    cues: dict[
        Literal[
            "negation", "terminator", "past", "reopening", "resolved", "hypothetical", "first_person_danger",
            "relation",
            "told_in_past", "family_history",
        ],
        list[Text],
    ]  # fmt: skip
    concepts: dict[str, Annotated[list[Text], Field(min_length=1)]]
