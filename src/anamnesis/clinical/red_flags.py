"""Red flags: rules over affirmed findings. A rule can add urgency and never remove it: there is no negation.

What a rule cannot say with findings is a named group of people (``WHO``), which a rule names.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from anamnesis.clinical.terms import Acuity, Assertion, Evidence, Finding, Person, RedFlag, Sex

_YOUNGEST_MOTHER: Final = 10  # years
Group = Callable[[Person, AbstractSet[str]], bool]


def _younger(days: float, *words: str) -> Group:
    """People known to be younger than so many days, or, when no age is known, called by one of these findings."""

    def holds(person: Person, present: AbstractSet[str]) -> bool:
        if person.age is not None:
            return person.age.days < days
        return not is_pregnant(person, present) and any(word in present for word in words)

    return holds


def _older(years: float) -> Group:
    """People known to be of that age or older, or, when no age is known, called elderly."""

    def holds(person: Person, present: AbstractSet[str]) -> bool:
        return "elderly_word" in present if person.age is None else person.age.years >= years

    return holds


def is_pregnant(person: Person, present: AbstractSet[str]) -> bool:
    """Whether the person is pregnant by what is known of them or by what was told."""
    return person.sex is not Sex.MALE and bool(person.pregnant or "pregnant" in present)


def _could_be_pregnant(person: Person, present: AbstractSet[str]) -> bool:
    """Women of 12 to 55 years, as far as is known, and those who say they missed a period."""
    is_of_age = person.age is not None and 12 <= person.age.years <= 55
    return is_pregnant(person, present) or "missed_period" in present or (person.sex is Sex.FEMALE and is_of_age)


def _gave_birth(person: Person, present: AbstractSet[str]) -> bool:
    """Those who gave birth lately; a baby of whom that is told is the one who was born."""
    is_child = person.age is not None and person.age.years < _YOUNGEST_MOTHER
    return "postpartum" in present and person.sex is not Sex.MALE and not is_child


#: Groups of people a rule may name. Bounds are those of WHO IITT, IMCI and the rules' own sources.
WHO: Final[Mapping[str, Group]] = {
    "first_week": _younger(8, "first_week_word"),
    "under_two_months": _younger(61, "newborn_word", "first_week_word"),
    "under_six_months": _younger(183, "newborn_word", "first_week_word"),
    "under_two": _younger(731, "baby_word", "newborn_word", "first_week_word"),
    "under_five": _younger(1827, "baby_word", "newborn_word", "first_week_word"),
    "under_ten": _younger(3653, "child_word", "baby_word"),
    "child": _younger(4383, "child_word", "baby_word", "newborn_word", "first_week_word"),
    "under_sixteen": _younger(5844, "child_word", "baby_word", "newborn_word", "first_week_word"),
    "over_40": _older(40),
    "over_50": _older(50),
    "over_60": _older(60),
    "over_65": _older(65),
    "over_70": _older(70),
    "may_be_over_25": lambda person, _: person.age is None or person.age.years >= 25,
    "pregnant": is_pregnant,
    "could_be_pregnant": _could_be_pregnant,
    "postpartum": _gave_birth,
    "late_pregnancy": lambda person, present: is_pregnant(person, present) and "weeks_20_plus" in present,
    "preterm_pregnancy": lambda person, present: is_pregnant(person, present) and "weeks_under_37" in present,
}


#: Findings of an infant that nobody brings ill.
_WELL: Final = frozenset({"feeds_well", "infant_well"})


@dataclass(frozen=True, slots=True)
class AtLeast:
    """So many different members out of a set of findings and groups of people."""

    count: int
    of: frozenset[str]


@dataclass(frozen=True)  # without slots: what it mentions is worked out once
class RedFlagRule:
    """One rule: every finding of all_of, one of each group of any_of, enough of at_least.

    who names groups of WHO, one of which must hold. A bound on age holds only when the age is known or told.
    A rule that lifts_urgent holds only where another rule has fired: risks that make an urgent case an emergency.
    One that is_lifted is urgent by a risk alone, which has counted by then: it is nothing that risks lift again.
    """

    id: str
    acuity: Acuity
    advice: str
    all_of: frozenset[str] = frozenset()
    any_of: tuple[frozenset[str], ...] = ()
    at_least: AtLeast | None = None
    who: tuple[str, ...] = ()
    sex: Sex | None = None
    lifts_urgent: bool = False
    is_lifted: bool = False
    is_draft: bool = True
    line: int | None = None

    @cached_property
    def concepts(self) -> frozenset[str]:
        """Every finding the rule mentions."""
        return self.all_of.union(*self.any_of, self.at_least.of if self.at_least else ())


class RuleBook:
    """Rules, each filed under findings of which it needs one: a message asks only those that it could fire.

    passing names findings that count only together with what the same message says, or the one that began the story:
    "nothing" of one answer and "I rub them" of another are no attempt to rouse somebody. of_person names what holds of
    the person in every message: an illness, a pregnancy.
    """

    def __init__(
        self,
        rules: Iterable[RedFlagRule],
        passing: AbstractSet[str] = frozenset(),
        of_person: AbstractSet[str] = frozenset(),
    ) -> None:
        self._rules, self.passing, self.of_person = tuple(rules), passing, of_person
        self._filed: dict[str, list[int]] = {}
        self._unfiled: list[int] = []
        for number, rule in enumerate(self._rules):
            needed = frozenset([min(rule.all_of)]) if rule.all_of else min(rule.any_of, key=len, default=frozenset())
            for name in needed:
                self._filed.setdefault(name, []).append(number)
            if not needed:
                self._unfiled.append(number)

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[RedFlagRule]:
        return iter(self._rules)

    def about(self, names: Iterable[str]) -> list[RedFlagRule]:
        """The rules that could hold when these findings are affirmed, in the order they are written in."""
        numbers = {number for name in names for number in self._filed.get(name, ())}
        return [self._rules[number] for number in sorted(numbers.union(self._unfiled))]


def screen(
    findings: Iterable[Finding],
    person: Person,
    rules: RuleBook,
    *,
    version: str = "",
    apart: Collection[str] = (),
) -> tuple[RedFlag, ...]:
    """Every red flag the affirmed findings raise in this person, most urgent first.

    Denied, past, hypothetical, resolved findings and those of other people stay out. The findings of several
    messages may be given together: danger told in pieces counts. More findings never give a lower acuity.
    apart names messages that answer for what was before or beside: what they tell counts by itself, and of the person.
    """
    affirmed = Assertion.AFFIRMED
    told = _told_together([each for each in findings if each.assertion is affirmed], rules, apart)
    holding: dict[str, tuple[RedFlagRule, _Present]] = {}
    for present in map(_Present, told):
        for rule in rules.about(present.names):
            if rule.id not in holding and _holds(rule, present.names, person):
                holding[rule.id] = rule, present
    has_fired = any(not rule.lifts_urgent and not rule.is_lifted for rule, _ in holding.values())
    fired = [_flag(rule, present, version) for rule, present in holding.values() if has_fired or not rule.lifts_urgent]
    return tuple(sorted(fired, key=lambda flag: (-flag.acuity, flag.rule_id)))


def _told_together(affirmed: Sequence[Finding], rules: RuleBook, apart: Collection[str]) -> list[Mapping[str, Finding]]:
    """The first finding of each name, as they count together: with what each message says in passing, one mapping each.

    What the message says in passing that first has a finding of weight counts throughout: it is what the story is of.
    """
    passing, holds_of_person = rules.passing, rules.of_person
    joined = (each for each in affirmed if each.message_id not in apart)
    opening = next((each.message_id for each in joined if each.concept not in passing), None)
    of_person: dict[str, Finding] = {}
    common: dict[str, Finding] = {}
    own: dict[str, dict[str, Finding]] = {}
    for finding in affirmed:
        concept, message_id = finding.concept, finding.message_id
        is_common = message_id not in apart and (concept not in passing or message_id == opening)
        if concept in holds_of_person:
            of_person.setdefault(concept, finding)
        held = common if is_common else own.setdefault(message_id, {})
        held.setdefault(concept, finding)
    together = {**of_person, **common}
    by_message = [{**(of_person if name in apart else together), **said} for name, said in own.items()]
    return [*([together] if together else []), *by_message]


def gave_birth_lately(findings: Iterable[Finding], person: Person) -> bool:
    """Whether the person says that they gave birth in the last six weeks."""
    return _gave_birth(person, {each.concept for each in findings if each.assertion is Assertion.AFFIRMED})


def says_infant_is_well(findings: Iterable[Finding]) -> bool:
    """Whether somebody said that the infant is well or feeds well."""
    return any(each.concept in _WELL and each.assertion is Assertion.AFFIRMED for each in findings)


def _holds(rule: RedFlagRule, names: AbstractSet[str], person: Person) -> bool:
    if not rule.all_of <= names:
        return False
    for group in rule.any_of:
        if group.isdisjoint(names):
            return False
    if rule.at_least and sum(_counts(name, names, person) for name in rule.at_least.of) < rule.at_least.count:
        return False
    if rule.who and not any(WHO[group](person, names) for group in rule.who):
        return False
    return rule.sex is None or person.sex in (None, rule.sex)


def _counts(name: str, names: AbstractSet[str], person: Person) -> bool:
    return WHO[name](person, names) if name in WHO else name in names


class _Present:
    """The first finding of each name that count together, and their places in the order they were told in."""

    def __init__(self, told: Mapping[str, Finding]) -> None:
        self.names = frozenset(told)
        self._told = list(told.values())
        self._places = {name: place for place, name in enumerate(told)}

    def of(self, names: AbstractSet[str]) -> list[Finding]:
        """The findings of these names as they were told, or the first of all when none was."""
        return [self._told[place] for place in sorted(map(self._places.__getitem__, names & self.names)) or [0]]


def _flag(rule: RedFlagRule, present: _Present, version: str) -> RedFlag:
    """The flag with the words of the rule's own findings, or of any finding when only people were counted."""
    words = dict.fromkeys((finding.message_id, finding.quote) for finding in present.of(rule.concepts))
    evidence = tuple(Evidence(*each) for each in words)
    return RedFlag(rule.id, rule.acuity, rule.advice, evidence, version, rule.is_draft, rule.line)


def gathered(flags: Iterable[RedFlag]) -> tuple[tuple[RedFlag, ...], ...]:
    """The flags that speak of one danger together: those of one line of the catalogue, in the order they stand in."""
    groups: dict[int | str, list[RedFlag]] = {}
    for flag in flags:
        groups.setdefault(flag.rule_id if flag.line is None else flag.line, []).append(flag)
    return tuple(tuple(group) for group in groups.values())
