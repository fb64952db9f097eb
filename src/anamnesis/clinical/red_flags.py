"""Red flags: rules over affirmed findings. A rule can add urgency and never remove it: there is no negation."""

from collections.abc import Iterable
from dataclasses import dataclass

from anamnesis.clinical.terms import Acuity, Assertion, Evidence, Finding, Person, RedFlag, Sex


@dataclass(frozen=True, slots=True)
class RedFlagRule:
    """One rule: every finding of all_of, and one of each group of any_of, in a person within the bounds.

    A bound on age or pregnancy holds only when that is known. Ages are in years.
    """

    id: str
    acuity: Acuity
    advice: str
    all_of: frozenset[str]
    any_of: tuple[frozenset[str], ...]
    min_age_years: float | None = None
    max_age_years: float | None = None
    sex: Sex | None = None
    needs_pregnancy: bool = False
    is_draft: bool = True


def screen(
    findings: Iterable[Finding], person: Person, rules: Iterable[RedFlagRule], *, version: str = ""
) -> tuple[RedFlag, ...]:
    """Every red flag the affirmed findings raise in this person, most urgent first.

    Denied, past, hypothetical, resolved findings and those of other people stay out.
    """
    present: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.assertion is Assertion.AFFIRMED:
            present.setdefault(finding.concept, []).append(finding)
    fired = [_flag(rule, present, version) for rule in rules if _holds(rule, present.keys(), person)]
    return tuple(sorted(fired, key=lambda flag: (-flag.acuity, flag.rule_id)))


def _holds(rule: RedFlagRule, present: Iterable[str], person: Person) -> bool:
    names = frozenset(present)
    if not rule.all_of <= names or not all(group & names for group in rule.any_of):
        return False
    if rule.needs_pregnancy and not (person.pregnant or "pregnant" in names or "postpartum" in names):
        return False
    return _is_of_age(rule, person) and (rule.sex is None or person.sex in (None, rule.sex))


def _is_of_age(rule: RedFlagRule, person: Person) -> bool:
    if rule.min_age_years is None and rule.max_age_years is None:
        return True
    if person.age is None:
        return False
    low = -1.0 if rule.min_age_years is None else rule.min_age_years
    high = 1000.0 if rule.max_age_years is None else rule.max_age_years
    return low <= person.age.years < high


def _flag(rule: RedFlagRule, present: dict[str, list[Finding]], version: str) -> RedFlag:
    used = [name for name in present if name in rule.all_of or any(name in group for group in rule.any_of)]
    evidence = tuple(Evidence(finding.message_id, finding.quote) for name in used for finding in present[name][:1])
    return RedFlag(rule.id, rule.acuity, rule.advice, evidence, version, rule.is_draft)
