"""The colour of a case: the worst of vital signs, scores and red flags; never lowered by what is missing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.combining import is_low_sugar_felt
from anamnesis.clinical.red_flags import gave_birth_lately, says_infant_is_well
from anamnesis.clinical.scores import News2, meows, news2
from anamnesis.clinical.terms import Acuity, Colour, Consciousness, Finding, Person, RedFlag, VitalSigns
from anamnesis.clinical.vitals import is_unknown

_ORDER: Final = (Colour.UNKNOWN, Colour.GREEN, Colour.YELLOW, Colour.RED)
_ADULT_YEARS: Final = 12
_IMCI_YEARS: Final = 5
#: WHO IITT, high-risk vital signs under 12 years: breaths and beats per minute, by age in years: (up to, high, low).
_CHILD_RESPIRATION: Final = ((1, 50, 25), (5, 40, 20), (12, 30, 10))
_CHILD_PULSE: Final = ((1, 180, 90), (5, 160, 80), (12, 140, 70))

_MATERNITY: Final = "in pregnancy or soon after birth"

Reason = tuple[Colour, str]


@dataclass(frozen=True, slots=True)
class Disposition:
    """How urgent a case is and every reason for it, worst first."""

    colour: Colour
    reasons: tuple[Reason, ...]
    score: News2 | None

    @property
    def acuity(self) -> Acuity:
        """Red is an emergency, yellow urgent, green and unknown routine."""
        return {Colour.RED: Acuity.EMERGENCY, Colour.YELLOW: Acuity.URGENT}.get(self.colour, Acuity.ROUTINE)


def dispose(
    flags: Iterable[RedFlag], vitals: VitalSigns, person: Person, findings: Sequence[Finding] = ()
) -> Disposition:
    """The colour of record: the highest of red flags, IITT vital signs, NEWS2 and the floors.

    WHO IITT is the tool of record; NEWS2 applies from 16 years, not in pregnancy. No vital signs is unknown, not green.
    findings tell what readings mean beside them: a birth of late, what low sugar does, an infant that is called well.
    """
    score, flags = news2(vitals, person), tuple(flags)
    is_mother = bool(person.pregnant) or gave_birth_lately(findings, person)
    is_ill = bool(flags) or not is_unknown(vitals) or not says_infant_is_well(findings)
    reasons = [
        *_flag_reasons(flags),
        *_floor(vitals, person, is_mother=is_mother),
        *_low_sugar(vitals, findings),
        *_iitt(vitals, person),
        *(_young_infant(person) if is_ill else ()),
        *_imci(vitals, person),
        *(_maternity(vitals) if is_mother else ()),
        *_news2(score),
    ]
    reasons.sort(key=lambda reason: -_ORDER.index(reason[0]))
    lowest = Colour.UNKNOWN if is_unknown(vitals) else Colour.GREEN
    return Disposition(reasons[0][0] if reasons else lowest, tuple(reasons), score)


def _flag_reasons(flags: Iterable[RedFlag]) -> Iterator[Reason]:
    for flag in flags:
        yield (Colour.RED if flag.acuity is Acuity.EMERGENCY else Colour.YELLOW), flag.rule_id


def _news2(score: News2 | None) -> Iterator[Reason]:
    """RCP NEWS2 (2017), chart 4. A partial sum can raise, for a missing part only ever adds points."""
    if score is None:
        return
    if score.partial >= 7:
        yield Colour.RED, f"NEWS2 {score.partial}"
    elif score.partial >= 5 or score.has_three:
        yield Colour.YELLOW, f"NEWS2 {score.partial}"


def _floor(vitals: VitalSigns, person: Person, *, is_mother: bool) -> Iterator[Reason]:
    """Single readings that decide alone, whatever a score says."""
    if vitals.consciousness in (Consciousness.PAIN, Consciousness.UNRESPONSIVE):
        yield Colour.RED, "responds to pain only or not at all"
    if vitals.spo2_percent is not None and vitals.spo2_percent < (90 if vitals.spo2_scale == 1 else 84):
        yield Colour.RED, f"oxygen saturation {vitals.spo2_percent:g} %"
    is_adult = person.age is None or person.age.years >= _ADULT_YEARS
    if is_adult and vitals.systolic_mmhg is not None and vitals.systolic_mmhg < 90:
        yield Colour.RED, f"systolic pressure {vitals.systolic_mmhg:g} mmHg"
    yield from _pressure(vitals, is_adult=is_adult, is_mother=is_mother)
    yield from _glucose(vitals)


def _pressure(vitals: VitalSigns, *, is_adult: bool, is_mother: bool) -> Iterator[Reason]:
    """WHO pregnancy danger signs and IITT: 160/110 is red in pregnancy and six weeks after, 140/90 yellow.

    Outside it 180/120 is yellow.
    """
    systolic, diastolic = vitals.systolic_mmhg or 0, vitals.diastolic_mmhg or 0
    words = f"blood pressure {_shown(vitals.systolic_mmhg)}/{_shown(vitals.diastolic_mmhg)} mmHg"
    if is_mother and (systolic >= 160 or diastolic >= 110):
        yield Colour.RED, f"{words} {_MATERNITY}"
    elif is_mother and (systolic >= 140 or diastolic >= 90):
        yield Colour.YELLOW, f"{words} {_MATERNITY}"
    elif is_adult and (systolic >= 180 or diastolic >= 120):
        yield Colour.YELLOW, words


def _shown(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _low_sugar(vitals: VitalSigns, findings: Sequence[Finding]) -> Iterator[Reason]:
    if is_low_sugar_felt(vitals, findings):
        yield Colour.RED, f"glucose {vitals.glucose_mmol_l:g} mmol/L with signs of low sugar"


def _glucose(vitals: VitalSigns) -> Iterator[Reason]:
    glucose = vitals.glucose_mmol_l
    if glucose is not None and glucose < 3.0:
        yield Colour.RED, f"glucose {glucose:g} mmol/L"
    elif glucose is not None and (glucose < 4.0 or glucose >= 17):
        yield Colour.YELLOW, f"glucose {glucose:g} mmol/L"


def _iitt(vitals: VitalSigns, person: Person) -> Iterator[Reason]:
    """WHO IITT: red vital signs from 12 years, and the high-risk ones of every age, which mean review without delay."""
    age = None if person.age is None else person.age.years
    if age is not None and age < _ADULT_YEARS:
        yield from _iitt_child(vitals, age)
    else:
        yield from _iitt_adult(vitals)
    if vitals.spo2_percent is not None and vitals.spo2_percent < 92 and vitals.spo2_scale == 1:
        yield Colour.YELLOW, f"oxygen saturation {vitals.spo2_percent:g} %"
    if vitals.consciousness in (Consciousness.CONFUSED, Consciousness.VOICE):
        yield Colour.YELLOW, "not fully alert"
    temperature = vitals.temperature_celsius
    is_changed = vitals.consciousness in (Consciousness.CONFUSED, Consciousness.VOICE)
    if is_changed and temperature is not None and not 36 <= temperature < 38:
        yield Colour.RED, f"not fully alert, with temperature {temperature:g} °C"
    if temperature is not None and not 36 <= temperature <= 39:
        young = age is not None and age < 2 / 12
        yield (Colour.RED if young else Colour.YELLOW), f"temperature {temperature:g} °C"


def _iitt_adult(vitals: VitalSigns) -> Iterator[Reason]:
    pulse, breaths = vitals.heart_rate_per_min, vitals.respiratory_rate_per_min
    if pulse is not None and not 50 <= pulse <= 150:
        yield Colour.RED, f"pulse {pulse:g} /min"
    elif pulse is not None and not 60 <= pulse <= 130:
        yield Colour.YELLOW, f"pulse {pulse:g} /min"
    if breaths is not None and not 10 <= breaths <= 30:
        yield Colour.YELLOW, f"breathing {breaths:g} /min"


def _iitt_child(vitals: VitalSigns, age_years: float) -> Iterator[Reason]:
    for name, value, bands in (
        ("breathing", vitals.respiratory_rate_per_min, _CHILD_RESPIRATION),
        ("pulse", vitals.heart_rate_per_min, _CHILD_PULSE),
    ):
        high, low = next((high, low) for up_to, high, low in bands if age_years < up_to)
        if value is not None and not low <= value <= high:
            yield Colour.YELLOW, f"{name} {value:g} /min"


def _young_infant(person: Person) -> Iterator[Reason]:
    """WHO IITT: any infant under 8 days who is brought ill is red, any under 6 months yellow.

    One said to be well, whose parents ask when the next vaccine is due, is not brought ill (catalogue 57 to 59).
    """
    age_years = None if person.age is None else person.age.years
    if age_years is not None and age_years < 8 / 365.25:
        yield Colour.RED, "an infant under 8 days"
    elif age_years is not None and age_years < 0.5:
        yield Colour.YELLOW, "an infant under 6 months"


def _imci(vitals: VitalSigns, person: Person) -> Iterator[Reason]:
    """WHO IMCI (2014): fever or a cold body of a young infant, and fast breathing up to five years."""
    if person.age is None or person.age.years >= _IMCI_YEARS:
        return
    years, temperature, breaths = person.age.years, vitals.temperature_celsius, vitals.respiratory_rate_per_min
    is_young = years < 2 / 12
    if is_young and temperature is not None and (temperature >= 38 or temperature < 35.5):
        yield Colour.RED, f"temperature {temperature:g} °C under two months"
    fast = 60 if is_young else 50 if years < 1 else 40
    if breaths is not None and breaths >= fast:
        yield Colour.YELLOW, f"fast breathing, {breaths:g} /min"


def _maternity(vitals: VitalSigns) -> Iterator[Reason]:
    """CRADLE's shock index (pulse by systolic pressure), and the trigger of MEOWS: one red reading or two yellow."""
    pulse, systolic = vitals.heart_rate_per_min, vitals.systolic_mmhg
    if pulse is not None and systolic:
        index = pulse / systolic
        if index >= 0.9:
            yield (Colour.RED if index >= 1.7 else Colour.YELLOW), f"shock index {index:.1f} {_MATERNITY}"
    if meows(vitals).is_triggered:
        yield Colour.YELLOW, "obstetric early warning (MEOWS)"
