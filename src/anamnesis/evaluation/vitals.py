"""Sets of vital signs made from the published tables, and what they must come to, by code of its own.

The tables of clinical content 2.1 to 2.9 are written here a second time, as intervals, so that a slip in
``clinical/scores.py`` or ``clinical/triage.py`` is not repeated by its judge. Every edge of every band is a case, the
value beside it another; a seeded sample mixes bands.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Readings = Mapping[str, float | bool | str]
Interval = tuple[float, float, int]
_FAR: Final = 10_000.0
_COLOURS: Final = ("unknown", "green", "yellow", "red")
_SAMPLE: Final = 300

#: RCP, National Early Warning Score 2 (2017), chart 1: from, to (both included), points.
_NEWS2: Final[Mapping[str, tuple[Interval, ...]]] = {
    "rr": ((0, 8, 3), (9, 11, 1), (12, 20, 0), (21, 24, 2), (25, _FAR, 3)),
    "sbp": ((0, 90, 3), (91, 100, 2), (101, 110, 1), (111, 219, 0), (220, _FAR, 3)),
    "hr": ((0, 40, 3), (41, 50, 1), (51, 90, 0), (91, 110, 1), (111, 130, 2), (131, _FAR, 3)),
    "temp_c": ((0, 35.0, 3), (35.1, 36.0, 1), (36.1, 38.0, 0), (38.1, 39.0, 1), (39.1, _FAR, 2)),
}
_SCALE_1: Final[tuple[Interval, ...]] = ((0, 91, 3), (92, 93, 2), (94, 95, 1), (96, 100, 0))
_SCALE_2_AIR: Final[tuple[Interval, ...]] = ((0, 83, 3), (84, 85, 2), (86, 87, 1), (88, 100, 0))
_SCALE_2_OXYGEN: Final[tuple[Interval, ...]] = (
    (0, 83, 3), (84, 85, 2), (86, 87, 1), (88, 92, 0), (93, 94, 1), (95, 96, 2), (97, 100, 3),
)  # fmt: skip
#: WHO IITT, under 12 years, step 3: from age, below age, breaths low and high, beats low and high (inside is well).
_IITT_CHILD: Final = ((0, 1, 25, 50, 90, 180), (1, 5, 20, 40, 80, 160), (5, 12, 10, 30, 70, 140))
#: WHO IMCI, fast breathing: below so many months, so many breaths a minute or more.
_IMCI_FAST: Final = ((2, 60), (12, 50), (60, 40))
#: What a living person can have (clinical content 2.9): low and high, both still believed.
GATES: Final[Mapping[str, tuple[float, float]]] = {
    "temp_c": (25, 45), "hr": (20, 300), "rr": (3, 120), "spo2": (40, 100), "sbp": (40, 300), "dbp": (20, 200),
    "glucose_mmol_l": (0.5, 60), "weight_kg": (0.3, 400), "height_cm": (25, 250),
}  # fmt: skip
_WELL: Final[dict[str, Any]] = {
    "rr": 16, "spo2": 98, "on_oxygen": False, "sbp": 124, "dbp": 78, "hr": 76, "temp_c": 37.0, "consciousness": "A",
}  # fmt: skip
_WELL_CHILD: Final[dict[str, Any]] = {"spo2": 98, "temp_c": 37.0, "consciousness": "A"}


@dataclass(frozen=True, slots=True)
class VitalsCase:
    """One set of readings with what it must come to: the lowest and highest colour allowed, and the NEWS2 total."""

    case_id: str
    group: str
    person: Mapping[str, object]
    readings: Readings
    least: str
    most: str
    news2: int | None
    is_valid: bool = True

    def as_line(self) -> dict[str, Any]:
        """The case as ``anamnesis triage`` reads it."""
        return {"id": self.case_id, **self.person, "vitals": dict(self.readings)}


@dataclass(frozen=True, slots=True)
class VitalsJudged:
    """One case and the answer it got: what is wrong with it, in words; empty when it is right."""

    case: VitalsCase
    is_under: bool
    faults: tuple[str, ...] = field(default=())


# -- what a set must come to -------------------------------------------------------------------------------------


def _within(value: float, intervals: Sequence[Interval]) -> int:
    return next(points for low, high, points in intervals if low <= value <= high)


def news2_of(readings: Readings) -> tuple[int, int, bool]:
    """The points, the greatest part, and whether all seven parts are there."""
    parts: list[int] = []
    for name, intervals in _NEWS2.items():
        if name in readings:
            parts.append(_within(round(float(readings[name]) + 1e-9, 1), intervals))
    oxygen = bool(readings.get("on_oxygen"))
    if "on_oxygen" in readings:
        parts.append(2 if oxygen else 0)
    if "spo2" in readings:
        second = _SCALE_2_OXYGEN if oxygen else _SCALE_2_AIR
        parts.append(_within(float(readings["spo2"]), second if readings.get("spo2_scale") == 2 else _SCALE_1))
    if "consciousness" in readings:
        parts.append(0 if readings["consciousness"] == "A" else 3)
    return sum(parts), max(parts, default=0), len(parts) == 7


def colour_of(readings: Readings, *, years: float, is_pregnant: bool) -> str:
    """The colour that clinical content 2.9 demands of these readings at this age."""
    if not set(readings) - {"spo2_scale"}:
        return "red" if years < 8 / 365.25 else "unknown"
    found = {"green"}
    number = {name: float(value) for name, value in readings.items() if isinstance(value, int | float)}
    if years >= 16 and not is_pregnant:
        total, worst, _ = news2_of(readings)
        found.add("red" if total >= 7 else "yellow" if total >= 5 or worst == 3 else "green")
    found |= set(_of_all_ages(readings, number, years))
    found |= set(_of_adults(number, is_pregnant=is_pregnant) if years >= 12 else _of_children(number, years))
    if is_pregnant:
        found |= set(_of_pregnancy(readings, number))
    return max(found, key=_COLOURS.index)


# ruff: noqa: PLR2004 - a table of limits reads best as a list of comparisons
def _of_all_ages(readings: Readings, number: Mapping[str, float], years: float) -> Iterator[str]:
    level = readings.get("consciousness")
    if level in ("P", "U"):
        yield "red"
    if level in ("C", "V"):
        yield "yellow"
    if level in ("C", "V") and "temp_c" in number and (number["temp_c"] < 36 or number["temp_c"] >= 38):
        yield "red"  # IITT: two of a changed mind, a stiff neck, fever or hypothermia, headache
    if "spo2" in number:
        if readings.get("spo2_scale") == 2:
            yield "red" if number["spo2"] <= 83 else "green"
        else:
            yield "red" if number["spo2"] < 90 else "yellow" if number["spo2"] < 92 else "green"
    if "temp_c" in number and (number["temp_c"] < 36 or number["temp_c"] > 39):
        yield "red" if years < 2 / 12 else "yellow"
    if "glucose_mmol_l" in number:
        glucose = number["glucose_mmol_l"]
        yield "red" if glucose < 3.0 else "yellow" if glucose < 4.0 or glucose >= 17 else "green"


def _of_adults(number: Mapping[str, float], *, is_pregnant: bool) -> Iterator[str]:
    if "hr" in number:
        pulse = number["hr"]
        yield "red" if pulse < 50 or pulse > 150 else "yellow" if pulse < 60 or pulse > 130 else "green"
    if "rr" in number:
        yield "yellow" if number["rr"] < 10 or number["rr"] > 30 else "green"
    if number.get("sbp", 120) < 90:
        yield "red"
    if not is_pregnant and (number.get("sbp", 0) >= 180 or number.get("dbp", 0) >= 120):
        yield "yellow"


def _of_children(number: Mapping[str, float], years: float) -> Iterator[str]:
    slow, fast, low, high = next(row[2:] for row in _IITT_CHILD if row[0] <= years < row[1])
    if "rr" in number:
        yield "yellow" if number["rr"] < slow or number["rr"] > fast else "green"
        limit = next((breaths for months, breaths in _IMCI_FAST if years * 12 < months), None)
        if limit is not None and number["rr"] >= limit:
            yield "yellow"
    if "hr" in number:
        yield "yellow" if number["hr"] < low or number["hr"] > high else "green"
    if years < 8 / 365.25:
        yield "red"
    elif years <= 0.5:
        yield "yellow"
    if years < 2 / 12 and ("temp_c" in number) and (number["temp_c"] >= 38 or number["temp_c"] < 35.5):
        yield "red"


def _of_pregnancy(readings: Readings, number: Mapping[str, float]) -> Iterator[str]:
    systolic, diastolic = number.get("sbp", 0), number.get("dbp", 0)
    if systolic >= 160 or diastolic >= 110:
        yield "red"
    elif systolic >= 140 or diastolic >= 90:
        yield "yellow"
    if "hr" in number and "sbp" in number:
        index = number["hr"] / number["sbp"]
        yield "red" if index >= 1.7 else "yellow" if index >= 0.9 else "green"
    reds, yellows = _meows(readings, number)
    if reds or yellows >= 2:
        yield "yellow"


def _meows(readings: Readings, number: Mapping[str, float]) -> tuple[int, int]:
    """Red and yellow readings of MEOWS (Singh 2012): below red low, above red high, else the yellow bands."""
    limits = {
        "temp_c": (35, 38, (35, 36), None), "sbp": (90, 160, (90, 100), (150, 160)),
        "dbp": (None, 100, None, (90, 100)), "hr": (40, 120, (40, 50), (100, 120)),
        "rr": (10, 30, None, (21, 30)), "spo2": (95, None, None, None),
    }  # fmt: skip
    reds = yellows = 0
    for name, (low, high, low_band, high_band) in limits.items():
        if name not in number:
            continue
        value = number[name]
        if (low is not None and value < low) or (high is not None and value > high):
            reds += 1
        elif any(band is not None and band[0] <= value <= band[1] for band in (low_band, high_band)):
            yellows += 1
    level = readings.get("consciousness")
    return reds + (level in ("P", "U")), yellows + (level == "V")


# -- the cases ---------------------------------------------------------------------------------------------------


def cases() -> tuple[VitalsCase, ...]:
    """Every case, each with a name that says what it tries."""
    made = (*_adults(), *_scale_2(), *_children(), *_pregnancies(), *_incomplete(), *_implausible(), *_mixed())
    return tuple(made)


def _case(
    name: str, group: str, readings: Readings, *, years: float, is_pregnant: bool = False, tolerates: str | None = None
) -> VitalsCase:
    age: object = years if years >= 2 else {"value": round(years * 365.25, 2), "unit": "days"}
    sex = "female" if is_pregnant else "male"
    person = {"age": age, "sex": sex, "pregnant": is_pregnant}
    total, _, is_whole = news2_of(readings)
    shows = is_whole and years >= 16 and not is_pregnant
    colour = colour_of(readings, years=years, is_pregnant=is_pregnant)
    most = max(colour, tolerates or colour, key=_COLOURS.index)
    return VitalsCase(name, group, person, readings, colour, most, total if shows else None)


def _around(edges: Sequence[float], step: float) -> list[float]:
    """Each edge and the values one step to either side of it."""
    near = (round(edge + side * step, 1) for edge in edges for side in (-1, 0, 1))
    return sorted(set(near))


_EDGES: Final[Mapping[str, tuple[tuple[float, ...], float]]] = {
    "rr": ((8, 9, 10, 11, 12, 20, 21, 24, 25, 30, 31), 1),
    "spo2": ((83, 89, 90, 91, 92, 93, 94, 95, 96), 1),
    "sbp": ((89, 90, 91, 100, 101, 110, 111, 179, 180, 219, 220), 1),
    "dbp": ((119, 120), 1),
    "hr": ((40, 41, 49, 50, 51, 59, 60, 90, 91, 110, 111, 130, 131, 150, 151), 1),
    "temp_c": ((35.0, 35.1, 36.0, 36.1, 38.0, 38.1, 39.0, 39.1), 0.1),
    "glucose_mmol_l": ((2.9, 3.0, 3.9, 4.0, 11.1, 16.9, 17.0), 0.1),
}


def _adults() -> Iterator[VitalsCase]:
    for name, (edges, step) in _EDGES.items():
        for value in _around(edges, step):
            readings = {**_WELL, name: value}
            if name == "dbp":
                readings["sbp"] = 160
            yield _case(f"adult-{name}-{value:g}", "adult, one reading", readings, years=40)
    for level in "ACVPU":
        yield _case(f"adult-avpu-{level}", "adult, one reading", {**_WELL, "consciousness": level}, years=40)
    yield _case("adult-oxygen", "adult, one reading", {**_WELL, "on_oxygen": True}, years=40)
    for years in (12, 15, 16):
        for pulse in (49, 50, 59, 60, 130, 131, 150, 151):
            yield _case(f"age-{years}-hr-{pulse}", "adult, one reading", {**_WELL, "hr": pulse}, years=years)


def _scale_2() -> Iterator[VitalsCase]:
    for on_oxygen in (False, True):
        for value in _around((83, 84, 86, 88, 92, 93, 95, 97), 1):
            readings = {**_WELL, "spo2_scale": 2, "on_oxygen": on_oxygen, "spo2": value}
            yield _case(f"scale2-{on_oxygen}-{value:g}", "oxygen scale 2", readings, years=66)


def _children() -> Iterator[VitalsCase]:
    ages = (3 / 365.25, 7.9 / 365.25, 8.1 / 365.25, 0.1, 0.3, 0.7, 1.0, 3.0, 4.9, 5.0, 8.0, 11.9)
    for years in ages:
        name = f"child-{years:.2f}y"
        slow, fast, low, high = next(row[2:] for row in _IITT_CHILD if row[0] <= years < row[1])
        breaths = [slow, fast, *(limit for months, limit in _IMCI_FAST if years * 12 < months)]
        for value in _around(breaths, 1):
            yield _case(f"{name}-rr-{value:g}", "child", {**_WELL_CHILD, "rr": value}, years=years)
        for value in _around((low, high), 1):
            yield _case(f"{name}-hr-{value:g}", "child", {**_WELL_CHILD, "hr": value}, years=years)
        for value in _around((35.5, 36.0, 38.0, 39.0), 0.1):
            # A fever under five years may be raised to the same day (test for malaria); it need not be by the table.
            tolerates = "yellow" if value >= 38 else None
            yield _case(
                f"{name}-temp-{value:g}", "child", {**_WELL_CHILD, "temp_c": value}, years=years, tolerates=tolerates
            )
        for value in _around((90, 92), 1):
            yield _case(f"{name}-spo2-{value:g}", "child", {**_WELL_CHILD, "spo2": value}, years=years)
        for level in "CVPU":
            yield _case(f"{name}-avpu-{level}", "child", {**_WELL_CHILD, "consciousness": level}, years=years)
        yield _case(f"{name}-glucose", "child", {**_WELL_CHILD, "glucose_mmol_l": 2.9}, years=years)


def _pregnancies() -> Iterator[VitalsCase]:
    for systolic, diastolic in (
        (139, 89), (140, 80), (120, 90), (159, 109), (160, 100), (150, 110), (149, 85), (170, 115), (89, 60), (90, 60),
    ):  # fmt: skip
        readings = {**_WELL, "sbp": systolic, "dbp": diastolic}
        yield _case(f"pregnant-bp-{systolic}-{diastolic}", "pregnancy", readings, years=27, is_pregnant=True)
    for pulse, systolic in ((107, 120), (108, 120), (109, 120), (152, 90), (153, 90), (119, 112), (120, 112)):
        readings = {**_WELL, "hr": pulse, "sbp": systolic}
        yield _case(f"pregnant-si-{pulse}-{systolic}", "pregnancy", readings, years=27, is_pregnant=True)
    singles = {"temp_c": (34.9, 35.5, 36.1, 38.0, 38.1), "rr": (9, 10, 20, 21, 30, 31), "spo2": (94, 95, 96)}
    for name, values in singles.items():
        for value in values:
            yield _case(f"pregnant-{name}-{value:g}", "pregnancy", {**_WELL, name: value}, years=27, is_pregnant=True)
    yield _case("pregnant-two-yellow", "pregnancy", {**_WELL, "rr": 22, "hr": 104}, years=27, is_pregnant=True)


def _incomplete() -> Iterator[VitalsCase]:
    yield _case("nothing", "incomplete", {}, years=40)
    for name in _WELL:
        without = {key: value for key, value in _WELL.items() if key != name}
        yield _case(f"without-{name}", "incomplete", without, years=40)
        if name != "on_oxygen":  # breathing air is no reading
            yield _case(f"only-{name}", "incomplete", {name: _WELL[name]}, years=40)


def _implausible() -> Iterator[VitalsCase]:
    """Just outside the gates it is refused and nothing is shown as complete; just inside it is believed."""
    for name, (low, high) in GATES.items():
        step = 0.1 if name in ("temp_c", "glucose_mmol_l", "weight_kg") else 1
        for value in (round(low - step, 1), round(high + step, 1)):
            yield _refused(f"refused-{name}-{value:g}", {**_WELL, name: value}, {name})
    yield _refused("refused-dbp-over-sbp", {**_WELL, "sbp": 80, "dbp": 120}, {"sbp", "dbp"})
    yield _refused("refused-dbp-is-sbp", {**_WELL, "sbp": 120, "dbp": 120}, {"sbp", "dbp"})


def _refused(name: str, readings: dict[str, Any], dropped: set[str]) -> VitalsCase:
    rest = {key: value for key, value in readings.items() if key not in dropped}
    colour = colour_of(rest, years=40, is_pregnant=False)
    person = {"age": 40, "sex": "male", "pregnant": False}
    return VitalsCase(name, "implausible", person, readings, colour, colour, None, is_valid=False)


def _mixed() -> Iterator[VitalsCase]:
    chance = random.Random(20171)  # noqa: S311 - a repeatable sample, no secret
    for number in range(_SAMPLE):
        readings: dict[str, float | bool | str] = {
            "rr": chance.randint(6, 40), "spo2": chance.randint(80, 100), "on_oxygen": chance.random() < 0.2,
            "sbp": chance.randint(95, 230), "dbp": chance.randint(40, 90), "hr": chance.randint(35, 160),
            "temp_c": round(chance.uniform(34.5, 40.5), 1), "consciousness": chance.choice("AAAAACVPU"),
        }  # fmt: skip
        for name in [name for name in readings if chance.random() < 0.06]:
            del readings[name]
        yield _case(f"mixed-{number}", "mixed, adult", readings, years=chance.choice((16, 30, 58, 80)))


# -- judging -----------------------------------------------------------------------------------------------------


def judge(assess: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> tuple[VitalsJudged, ...]:
    """Every case with what is wrong with the answer ``assess`` gives to it."""
    return tuple(_judged(case, assess(case.as_line())) for case in cases())


def _judged(case: VitalsCase, got: Mapping[str, Any]) -> VitalsJudged:
    rank = _COLOURS.index(got["colour"])
    is_under = rank < _COLOURS.index(case.least)
    faults = []
    if is_under or rank > _COLOURS.index(case.most):
        faults.append(f"colour {got['colour']}, should be {case.least}")
    if got["news2"] != case.news2:
        faults.append(f"NEWS2 {got['news2']}, should be {case.news2}")
    if got["valid"] is not case.is_valid:
        faults.append(f"valid is {got['valid']}")
    return VitalsJudged(case, is_under, tuple(faults))


def figures(judged: Sequence[VitalsJudged]) -> dict[str, float]:
    """Counts and rates from 0 to 1."""
    scored = [each for each in judged if each.case.news2 is not None]
    unscored = [each for each in judged if each.case.news2 is None]
    refused = [each for each in judged if not each.case.is_valid]

    def share(group: Sequence[VitalsJudged], fault: str) -> float:
        return 1 - sum(any(each.startswith(fault) for each in one.faults) for one in group) / max(1, len(group))

    return {
        "sets": len(judged),
        "news2_exact": share(scored, "NEWS2"),
        "news2_withheld": share(unscored, "NEWS2"),
        "colour_right": share(judged, "colour"),
        "under_triaged": sum(each.is_under for each in judged),
        "implausible_refused": share(refused, "valid"),
    }
