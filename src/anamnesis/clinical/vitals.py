"""What a living person's vital signs can be, and one set of readings over another."""

from dataclasses import fields, replace
from typing import Final

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
_PRESSURE: Final = frozenset({"systolic_mmhg", "diastolic_mmhg"})


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
    """The newer readings over the older ones; what is not measured anew stays, and so does a decision for scale 2.

    The two blood pressures are one reading: a newer one never stands beside half of an older.
    """
    changes = {
        field.name: value
        for field in fields(VitalSigns)
        if field.name != "spo2_scale" and (value := getattr(newer, field.name)) is not None
    }
    if _PRESSURE.intersection(changes):
        changes = {**dict.fromkeys(_PRESSURE), **changes}
    scale = max(older.spo2_scale, newer.spo2_scale)
    return replace(older, **changes, spo2_scale=scale) if changes or scale != older.spo2_scale else older


def is_empty(vitals: VitalSigns) -> bool:
    """Whether nothing was measured."""
    return all(getattr(vitals, name) is None for name in (*PLAUSIBLE, "consciousness"))


def is_unknown(vitals: VitalSigns) -> bool:
    """Whether nothing was measured that tells how somebody is: how heavy or tall they are does not."""
    return is_empty(replace(vitals, weight_kg=None, height_cm=None))
