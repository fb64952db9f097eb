"""Published scores over vital signs, exactly as their tables say."""

from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.terms import Consciousness, Person, VitalSigns

NEWS2_ADULT_YEARS: Final = 16

Band = tuple[float, int]
#: RCP, National Early Warning Score 2 (2017), chart 1: up to and including the limit, so many points.
_RESPIRATION: Final[tuple[Band, ...]] = ((8, 3), (11, 1), (20, 0), (24, 2), (float("inf"), 3))
_SPO2_SCALE_1: Final[tuple[Band, ...]] = ((91, 3), (93, 2), (95, 1), (float("inf"), 0))
_SPO2_SCALE_2_AIR: Final[tuple[Band, ...]] = ((83, 3), (85, 2), (87, 1), (float("inf"), 0))
_SPO2_SCALE_2_OXYGEN: Final[tuple[Band, ...]] = (
    (83, 3),
    (85, 2),
    (87, 1),
    (92, 0),
    (94, 1),
    (96, 2),
    (float("inf"), 3),
)
_SYSTOLIC: Final[tuple[Band, ...]] = ((90, 3), (100, 2), (110, 1), (219, 0), (float("inf"), 3))
_PULSE: Final[tuple[Band, ...]] = ((40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (float("inf"), 3))
_TEMPERATURE: Final[tuple[Band, ...]] = ((35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1), (float("inf"), 2))


@dataclass(frozen=True, slots=True)
class News2:
    """The points by part. total is None unless all seven parts are known; missing names the others."""

    points: tuple[tuple[str, int], ...]
    missing: tuple[str, ...]

    @property
    def partial(self) -> int:
        """The points of what is known."""
        return sum(points for _, points in self.points)

    @property
    def total(self) -> int | None:
        """The score, when complete."""
        return None if self.missing else self.partial

    @property
    def has_three(self) -> bool:
        """Whether any single part scores 3."""
        return any(points == 3 for _, points in self.points)


def news2(vitals: VitalSigns, person: Person) -> News2 | None:
    """NEWS2 for a person of 16 or over who is not pregnant; None when it does not apply or that is not known.

    RCP (2017), charts 1 and 2. Temperature is rounded to one decimal first.
    """
    if person.age is None or person.age.years < NEWS2_ADULT_YEARS or person.pregnant:
        return None
    parts = {
        "respiration": _points(vitals.respiratory_rate_per_min, _RESPIRATION),
        "oxygen saturation": _oxygen(vitals),
        "air or oxygen": None if vitals.on_oxygen is None else 2 * vitals.on_oxygen,
        "systolic pressure": _points(vitals.systolic_mmhg, _SYSTOLIC),
        "pulse": _points(vitals.heart_rate_per_min, _PULSE),
        "consciousness": _consciousness(vitals.consciousness),
        "temperature": _points(_rounded(vitals.temperature_celsius), _TEMPERATURE),
    }
    return News2(
        tuple((name, points) for name, points in parts.items() if points is not None),
        tuple(name for name, points in parts.items() if points is None),
    )


def _points(value: float | None, bands: tuple[Band, ...]) -> int | None:
    return None if value is None else next(points for limit, points in bands if value <= limit)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value + 1e-9, 1)


def _oxygen(vitals: VitalSigns) -> int | None:
    if vitals.spo2_scale == 1:
        return _points(vitals.spo2_percent, _SPO2_SCALE_1)
    return _points(vitals.spo2_percent, _SPO2_SCALE_2_OXYGEN if vitals.on_oxygen else _SPO2_SCALE_2_AIR)


def _consciousness(level: Consciousness | None) -> int | None:
    return None if level is None else 0 if level is Consciousness.ALERT else 3


#: MEOWS (CEMACH; Singh 2012): what lies outside the first pair is red, what lies outside the second is yellow.
_MEOWS: Final = (
    ("temperature_celsius", "temperature", (35, 38), (36.0001, 38)),
    ("systolic_mmhg", "systolic pressure", (90, 160), (100.0001, 149.9999)),
    ("diastolic_mmhg", "diastolic pressure", (0, 100), (0, 89.9999)),
    ("heart_rate_per_min", "pulse", (40, 120), (50.0001, 99.9999)),
    ("respiratory_rate_per_min", "respiration", (10, 30), (10, 20.9999)),
    ("spo2_percent", "oxygen saturation", (95, 100), (95, 100)),
)


@dataclass(frozen=True, slots=True)
class Meows:
    """The readings that are red and yellow by the obstetric early warning chart, and how many were read of seven."""

    red: tuple[str, ...]
    yellow: tuple[str, ...]
    read: int

    @property
    def is_triggered(self) -> bool:
        """One red reading or two yellow ones."""
        return bool(self.red) or len(self.yellow) > 1


def meows(vitals: VitalSigns) -> Meows:
    """The modified early obstetric warning chart. For pregnancy and six weeks after, which the caller knows."""
    red, yellow, read = [], [], 0
    for field, name, (lowest, highest), (low, high) in _MEOWS:
        value = getattr(vitals, field)
        if value is None:
            continue
        read += 1
        if not lowest <= value <= highest:
            red.append(name)
        elif not low <= value <= high:
            yellow.append(name)
    level = vitals.consciousness
    if level in (Consciousness.PAIN, Consciousness.UNRESPONSIVE):
        red.append("consciousness")
    if level is Consciousness.VOICE:
        yellow.append("consciousness")
    return Meows(tuple(red), tuple(yellow), read + (level is not None))


@dataclass(frozen=True, slots=True)
class Counted:
    """How many signs of a list are there, and how many of them were measured."""

    points: int
    known: int
    of: int


def _counted(signs: tuple[bool | None, ...]) -> Counted:
    known = [each for each in signs if each is not None]
    return Counted(sum(known), len(known), len(signs))


def qsofa(vitals: VitalSigns) -> Counted:
    """Breathing of 22 or more, systolic pressure of 100 or less, not fully alert (Singer, JAMA 2016). Adults."""
    breaths, systolic = vitals.respiratory_rate_per_min, vitals.systolic_mmhg
    return _counted(
        (
            None if breaths is None else breaths >= 22,
            None if systolic is None else systolic <= 100,
            _is_changed(vitals.consciousness),
        )
    )


def ugandan_sepsis_index(vitals: VitalSigns) -> Counted:
    """Five signs; three or more go with death in hospital (Asiimwe, Crit Care 2015; made in Uganda). Adults."""
    breaths, pulse, temperature = vitals.respiratory_rate_per_min, vitals.heart_rate_per_min, vitals.temperature_celsius
    mean = _mean_arterial_mmhg(vitals)
    return _counted(
        (
            None if breaths is None else breaths >= 30,
            None if pulse is None else pulse >= 100,
            None if mean is None else mean >= 110 or mean < 70,
            None if temperature is None else temperature >= 38.6 or temperature < 35.6,
            _is_changed(vitals.consciousness),
        )
    )


def _mean_arterial_mmhg(vitals: VitalSigns) -> float | None:
    systolic, diastolic = vitals.systolic_mmhg, vitals.diastolic_mmhg
    return None if systolic is None or diastolic is None else diastolic + (systolic - diastolic) / 3


def _is_changed(level: Consciousness | None) -> bool | None:
    return None if level is None else level is not Consciousness.ALERT
