"""Vital signs as people type them: units converted, implausible readings refused, never scored."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Final

from anamnesis.clinical.findings import fold
from anamnesis.clinical.terms import VitalSigns

#: What a living person can have; outside it a reading is asked for again (clinical content, plausibility gates).
PLAUSIBLE: Final[dict[str, tuple[float, float]]] = {
    "temperature_celsius": (25.0, 45.0),
    "heart_rate_per_min": (20.0, 300.0),
    "respiratory_rate_per_min": (3.0, 120.0),
    "spo2_percent": (40.0, 100.0),
    "systolic_mmhg": (40.0, 300.0),
    "diastolic_mmhg": (20.0, 200.0),
    "glucose_mmol_l": (0.5, 60.0),
    "weight_kg": (0.3, 400.0),
    "height_cm": (25.0, 250.0),
}
_MG_DL_PER_MMOL_L: Final = 18.0
_KG_PER_LB: Final = 0.45359237


@dataclass(frozen=True, slots=True)
class Reading:
    """One value found in a text: the field it fills and the verbatim words."""

    field: str
    value: float
    quote: str


@dataclass(frozen=True, slots=True)
class VitalsRead:
    """What a text says of vital signs: plausible values, what they were read from, and what was refused."""

    vitals: VitalSigns
    readings: tuple[Reading, ...]
    refused: tuple[str, ...]


_N: Final = r"(\d{1,3}(?:[.,]\d{1,2})?)"
_SEP: Final = r"\s*(?:is|was|of|at|reads?|ni|[:=\-])?\s*"
#: "the oxygen clip I bought says 96"
_SAYS: Final = r"(?:\s+\w+){0,5}?\s+(?:says?|said|reads?|showed|shows?|gave|counted)\s+(?:it (?:is|was) |about )?"
_OTHER_THAN_KG: Final = (
    r"%|/|lbs?\b|pounds?\b|stones?\b|st\b|g\b|grams?\b|times?\b|days?\b|weeks?\b|months?\b|years?\b|kgs?\b|kilo"
)
_PATTERNS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "bp",
        re.compile(
            rf"\b(?:bp|b\.p\.?|blood pressure|pressure)?{_SEP}\b(\d{{2,3}})\s*(?:/|over|on|by)\s*(\d{{2,3}})(?:\s*mm\s*hg)?"
        ),
    ),
    ("temperature_f", re.compile(rf"\b{_N}\s*(?:°|degrees?|deg)?\s*(?:f|fahrenheit)\b")),
    ("temperature_celsius", re.compile(rf"\b{_N}\s*(?:°\s*c?|degrees?(?:\s*c(?:elsius)?)?|celsius|c)\b|\b{_N}\s*°")),
    ("temperature_any", re.compile(rf"\b(?:temp(?:erature)?|fever)\b{_SEP}{_N}")),
    ("spo2_percent", re.compile(rf"\b(?:spo2|sp02|o2 ?sats?|sats?|saturation|oxygen)\b{_SEP}{_N}\s*%?")),
    ("spo2_percent", re.compile(rf"\b{_N}\s*%\s*(?:oxygen|spo2|saturation|on (?:room )?air)")),
    ("heart_rate_per_min", re.compile(rf"\b(?:pulse|hr|pr|heart ?rate|heart ?beat|bpm)\b{_SEP}(?:rate{_SEP})?{_N}")),
    ("heart_rate_per_min", re.compile(rf"\b{_N}\s*(?:bpm|beats)")),
    ("respiratory_rate_per_min", re.compile(rf"\b(?:rr|resps?|resp(?:iratory)? rate|breathing rate)\b{_SEP}{_N}")),
    ("respiratory_rate_per_min", re.compile(rf"\b(?:breaths?|breathing|breathes)\b\s*{_N}\s*(?:times|/|per|a )")),
    ("respiratory_rate_per_min", re.compile(rf"\b{_N}\s*breaths")),
    (
        "heart_rate_per_min",
        re.compile(rf"\b(?:pulse|heart ?rate|heart ?beats?)\b(?:\s+\w+){{0,3}}?\s*,\s*(?:it\s+)?{_SEP}{_N}\b(?!\s*/)"),
    ),
    ("temperature_any", re.compile(rf"\bthermometer\b{_SAYS}{_N}")),
    ("spo2_percent", re.compile(rf"\b(?:spo2|oxygen|oximeter|sats?|saturation)\b{_SAYS}{_N}")),
    ("heart_rate_per_min", re.compile(rf"\b(?:pulse|heart ?rate|heart ?beats?)\b{_SAYS}{_N}\b(?!\s*/)")),
    ("weight_lb", re.compile(rf"\b{_N}\s*(?:lbs?|pounds)\b")),
    ("weight_kg", re.compile(rf"\b{_N}\s*(?:kgs?|kilos?|kilograms?)\b")),
    (
        "weight_kg",
        re.compile(rf"\b(?:weigh(?:s|ed|ing)?|weight)\b{_SEP}(?:about |around |at )?{_N}\b(?!\s*(?:{_OTHER_THAN_KG}))"),
    ),
    ("glucose_mg_dl", re.compile(rf"\b(?:sugar|rbs|fbs|glucose)\b{_SEP}{_N}\s*mg")),
    ("glucose_mmol_l", re.compile(rf"\b(?:sugar|rbs|fbs|glucose)\b{_SEP}{_N}")),
    ("height_cm", re.compile(rf"\b{_N}\s*cm\b")),
)


_DIGIT: Final = re.compile(r"\d")


def read_vitals(text: str) -> VitalsRead:
    """Every vital sign a text states, in our units. Never raises."""
    folded, readings = fold(text), []
    if not _DIGIT.search(folded):
        return VitalsRead(VitalSigns(), (), ())
    taken = bytearray(len(folded))
    for name, pattern in _PATTERNS:
        for match in pattern.finditer(folded):
            start, end = match.span()
            if any(taken[start:end]):
                continue
            found = _readings(name, match, text[match.start() : match.end()].strip())
            if found:
                taken[start:end] = b"\1" * (end - start)
                readings += found
    return _checked(readings)


def _readings(name: str, match: re.Match[str], quote: str) -> list[Reading]:
    numbers = [float(group.replace(",", ".")) for group in match.groups() if group]
    if name == "bp":
        looks_like_pressure = "p" in match.group()[:16].split("/")[0] or numbers[0] >= 60 or "hg" in match.group()
        if not looks_like_pressure:
            return []
        return [Reading("systolic_mmhg", numbers[0], quote), Reading("diastolic_mmhg", numbers[1], quote)]
    field, convert = _CONVERSIONS.get(name, (name, _same))
    return [Reading(field, round(convert(numbers[0]), 2), quote)]


def _same(value: float) -> float:
    return value


def _celsius(value: float) -> float:
    return (value - 32) * 5 / 9


def _celsius_if_high(value: float) -> float:
    """A bare temperature from 90 to 110 is Fahrenheit."""
    return _celsius(value) if 90 <= value <= 110 else value


_CONVERSIONS: Final[dict[str, tuple[str, Callable[[float], float]]]] = {
    "temperature_f": ("temperature_celsius", _celsius),
    "temperature_any": ("temperature_celsius", _celsius_if_high),
    "weight_lb": ("weight_kg", lambda pounds: pounds * _KG_PER_LB),
    "glucose_mg_dl": ("glucose_mmol_l", lambda value: value / _MG_DL_PER_MMOL_L),
}


def _checked(readings: list[Reading]) -> VitalsRead:
    values: dict[str, float] = {}
    for reading in readings:
        values.setdefault(reading.field, reading.value)
    vitals, refused = plausible(replace(VitalSigns(), **values))  # type: ignore[arg-type]  # every field read is a float
    quotes = {reading.field: reading.quote for reading in reversed(readings)}
    kept = tuple(reading for reading in readings if reading.field not in refused)
    return VitalsRead(vitals, kept, tuple(quotes.get(field, field) for field in refused))


def plausible(vitals: VitalSigns) -> tuple[VitalSigns, tuple[str, ...]]:
    """The readings a living person can have, and the names of those that were refused.

    A diastolic pressure not below the systolic refuses both.
    """
    refused = [
        name
        for name, (low, high) in PLAUSIBLE.items()
        if (value := getattr(vitals, name)) is not None and not low <= value <= high
    ]
    systolic, diastolic = vitals.systolic_mmhg, vitals.diastolic_mmhg
    if systolic is not None and diastolic is not None and diastolic >= systolic:
        refused += [name for name in ("systolic_mmhg", "diastolic_mmhg") if name not in refused]
    return replace(vitals, **dict.fromkeys(refused)), tuple(refused)  # type: ignore[arg-type]  # None is every field's own


def merged(older: VitalSigns, newer: VitalSigns) -> VitalSigns:
    """The newer readings over the older ones; what is not measured anew stays, and so does a decision for scale 2."""
    changes = {
        field.name: value
        for field in fields(VitalSigns)
        if field.name != "spo2_scale" and (value := getattr(newer, field.name)) is not None
    }
    scale = max(older.spo2_scale, newer.spo2_scale)
    return replace(older, **changes, spo2_scale=scale) if changes or scale != older.spo2_scale else older


def is_empty(vitals: VitalSigns) -> bool:
    """Whether nothing was measured."""
    return all(getattr(vitals, name) is None for name in (*PLAUSIBLE, "consciousness"))
