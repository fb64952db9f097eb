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
