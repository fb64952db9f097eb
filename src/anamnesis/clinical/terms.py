"""The words medicine is spoken in here: urgency, person, finding, red flag, vital signs."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple


class Acuity(IntEnum):
    """How urgent a case is; a higher value is more urgent. Within one case it only rises."""

    ROUTINE = 0
    URGENT = 1
    EMERGENCY = 2


class Colour(StrEnum):
    """The triage colour of record. UNKNOWN means nothing raised it and no vital signs were given; it is not GREEN."""

    UNKNOWN = "unknown"
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Sex(StrEnum):
    """Sex as it matters for medicine here."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


class Speaker(StrEnum):
    """Who is writing: the patient, a parent, or another carer."""

    SELF = "self"
    PARENT = "parent"
    OTHER = "other"


DAYS_PER_YEAR: Final = 365.25
DAYS_PER_MONTH: Final = 30.4375


@dataclass(frozen=True, slots=True, order=True)
class Age:
    """An age in days, which is what the rules for newborns need."""

    days: float

    @classmethod
    def of_years(cls, years: float) -> "Age":
        """The age of so many years."""
        return cls(years * DAYS_PER_YEAR)

    @classmethod
    def of_months(cls, months: float) -> "Age":
        """The age of so many months."""
        return cls(months * DAYS_PER_MONTH)

    @property
    def years(self) -> float:
        """The age in years."""
        return self.days / DAYS_PER_YEAR

    @property
    def months(self) -> float:
        """The age in months."""
        return self.days / DAYS_PER_MONTH


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a case is about. None means not known, which is never the same as no."""

    age: Age | None = None
    sex: Sex | None = None
    pregnant: bool | None = None
    speaker: Speaker = Speaker.SELF


class Assertion(StrEnum):
    """What the words say about a finding; only AFFIRMED and some RESOLVED ones can raise a flag."""

    AFFIRMED = "affirmed"
    DENIED = "denied"
    PAST = "past"
    SOMEONE_ELSE = "someone_else"
    HYPOTHETICAL = "hypothetical"
    RESOLVED = "resolved"


class Finding(NamedTuple):
    """One thing the words mention: ``text[start:end] == quote`` in the message it was read from.

    A tuple, because a long message has hundreds: a frozen dataclass takes four times as long to make.
    """

    concept: str
    assertion: Assertion
    start: int
    end: int
    quote: str
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a statement rests on: a verbatim quote and the message it stands in."""

    message_id: str
    quote: str


@dataclass(frozen=True, slots=True)
class RedFlag:
    """A rule that fired. advice is a key of the locales; version is the version of the rule set.

    line is the first line of the clinical catalogue that the rule covers; several rules may hear one danger.
    """

    rule_id: str
    acuity: Acuity
    advice: str
    evidence: tuple[Evidence, ...]
    version: str = ""
    is_draft: bool = True
    line: int | None = None


class Consciousness(StrEnum):
    """ACVPU: alert, new confusion, responds to voice, to pain, unresponsive."""

    ALERT = "A"
    CONFUSED = "C"
    VOICE = "V"
    PAIN = "P"
    UNRESPONSIVE = "U"


@dataclass(frozen=True, slots=True)
class VitalSigns:
    """One set of readings, in the units of the names; None means not measured.

    spo2_scale is 1 unless a clinician decided on 2 (hypercapnic failure): never from a patient's word.
    """

    respiratory_rate_per_min: float | None = None
    spo2_percent: float | None = None
    on_oxygen: bool | None = None
    spo2_scale: int = 1
    systolic_mmhg: float | None = None
    diastolic_mmhg: float | None = None
    heart_rate_per_min: float | None = None
    temperature_celsius: float | None = None
    consciousness: Consciousness | None = None
    glucose_mmol_l: float | None = None
    weight_kg: float | None = None
    height_cm: float | None = None
