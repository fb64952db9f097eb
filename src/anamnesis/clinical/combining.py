"""What a reading means beside what was told: 200/120 and a headache, 38.5 and a stiff neck, sugar of 15 and vomiting.

Rules speak of findings. A reading says some of them too, wherever it comes from, but never alone: what a number means
by itself is what the tables say.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from anamnesis.clinical.red_flags import RuleBook, screen
from anamnesis.clinical.terms import Assertion, Consciousness, Evidence, Finding, Person, RedFlag, VitalSigns

_FEVER_CELSIUS: Final = 38.0  # WHO IITT, as clinical content fixes it
_COLD_CELSIUS: Final = 35.5  # WHO IMCI
_HIGH_MMHG: Final = (180, 120)  # ESC: severe hypertension, an emergency with symptoms
_LOW_SYSTOLIC_MMHG: Final = 90
_SUGAR_HIGH_MMOL_L: Final = 11.1  # with vomiting, deep breathing, drowsiness or ketones it is an emergency
_SUGAR_LOW_MMOL_L: Final = (3.0, 4.0)  # from, below: with symptoms an emergency; under the first always
_ADULT_YEARS: Final = 12
_STATES: Final = {
    Consciousness.CONFUSED: "confusion",
    Consciousness.VOICE: "drowsy",
    Consciousness.PAIN: "unresponsive",
    Consciousness.UNRESPONSIVE: "unresponsive",
}
#: What low sugar does.
_OF_LOW_SUGAR: Final = frozenset(
    [
        "sweat",
        "shaking_word",
        "confusion",
        "drowsy",
        "very_drowsy",
        "fainted",
        "seizure",
        "weakness_word",
        "palpitations",
    ]
)
_NOWHERE: Final = Evidence("", "")


def flags_of(
    findings: Sequence[Finding],
    vitals: VitalSigns,
    person: Person,
    rules: RuleBook,
    *,
    version: str = "",
    apart: Collection[str] = (),
    readings: Iterable[tuple[str, Evidence]] = (),
) -> tuple[RedFlag, ...]:
    """Every red flag that the findings raise, alone and beside the readings; readings tell where each was said."""
    told = screen(findings, person, rules, version=version, apart=apart)
    measured = tuple(_measured(vitals, person, dict(readings)))
    if not measured:
        return told
    known = {flag.rule_id for flag in told}
    said = {Evidence(each.message_id, each.quote) for each in findings if each.assertion is Assertion.AFFIRMED}
    both = screen((*findings, *measured), person, rules, version=version, apart=apart)
    new = [_in_words(flag) for flag in both if flag.rule_id not in known and not said.isdisjoint(flag.evidence)]
    return tuple(sorted((*told, *new), key=lambda flag: (-flag.acuity, flag.rule_id)))


def _in_words(flag: RedFlag) -> RedFlag:
    return replace(flag, evidence=tuple(each for each in flag.evidence if each != _NOWHERE))


def _measured(vitals: VitalSigns, person: Person, where: dict[str, Evidence]) -> Iterator[Finding]:
    """The findings that the readings say, each at the words it was read from, or at none when it came as a number."""
    for field, concept in _concepts(vitals, person):
        evidence = where.get(field, _NOWHERE)
        yield Finding(concept, Assertion.AFFIRMED, 0, 0, evidence.quote, evidence.message_id)


def _concepts(vitals: VitalSigns, person: Person) -> Iterator[tuple[str, str]]:
    temperature, sugar = vitals.temperature_celsius, vitals.glucose_mmol_l
    systolic, diastolic = vitals.systolic_mmhg, vitals.diastolic_mmhg
    if temperature is not None and temperature >= _FEVER_CELSIUS:
        yield "temperature_celsius", "fever"
    if temperature is not None and temperature < _COLD_CELSIUS:
        yield "temperature_celsius", "low_temp"
    if (systolic or 0) >= _HIGH_MMHG[0] or (diastolic or 0) >= _HIGH_MMHG[1]:
        yield "systolic_mmhg", "high_bp_number"
    is_grown = person.age is None or person.age.years >= _ADULT_YEARS
    if is_grown and systolic is not None and systolic < _LOW_SYSTOLIC_MMHG:
        yield "systolic_mmhg", "low_pressure"
    if sugar is not None and sugar > _SUGAR_HIGH_MMOL_L:
        yield "glucose_mmol_l", "sugar_high"
    if vitals.consciousness in _STATES:
        yield "consciousness", _STATES[vitals.consciousness]


def is_low_sugar_felt(vitals: VitalSigns, findings: Iterable[Finding]) -> bool:
    """Whether a sugar just under the normal is told together with what low sugar does."""
    sugar = vitals.glucose_mmol_l
    if sugar is None or not _SUGAR_LOW_MMOL_L[0] <= sugar < _SUGAR_LOW_MMOL_L[1]:
        return False
    return any(each.concept in _OF_LOW_SUGAR and each.assertion is Assertion.AFFIRMED for each in findings)
