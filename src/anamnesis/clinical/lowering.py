"""Lower the urgency of a case, which only a clinician may, and tell what is new since then.

What the clinician knew when deciding is settled: the flags, messages and readings up to then. Whatever comes later, or
changes whom the rules apply to, raises the case again by the same rules as ever.
"""

from dataclasses import replace
from hashlib import sha256
from typing import Final

from anamnesis.clinical.combining import flags_of
from anamnesis.clinical.record import ClinicalRecord, Lowered
from anamnesis.clinical.red_flags import RuleBook
from anamnesis.clinical.terms import Acuity, Colour, Finding, RedFlag, VitalSigns

REASON: Final = "urgency lowered by a clinician"
_COLOURS: Final = {Acuity.ROUTINE: Colour.GREEN, Acuity.URGENT: Colour.YELLOW}


def lowered(record: ClinicalRecord, to: Acuity) -> ClinicalRecord:
    """The record at this lower urgency. Raises ValueError when it is not lower."""
    if to >= record.acuity:
        raise ValueError("the urgency is not higher than that")
    settled = Lowered(
        told=told_colour(record),
        rules=tuple(flag.rule_id for flag in record.flags),
        messages=tuple(dict.fromkeys(finding.message_id for finding in record.findings)),
        vitals=record.vitals,
        person=record.person,
    )
    return replace(record, acuity=to, colour=_COLOURS[to], reasons=(REASON,), lowered=settled)


def basis(record: ClinicalRecord) -> str:
    """A mark of the danger a clinician sees in a case: it changes with every new flag, reading or fact of the person.

    A decision that names it cannot settle what was told after the case was looked at.
    """
    flags = [(flag.rule_id, [(each.message_id, each.quote) for each in flag.evidence]) for flag in record.flags]
    seen = (int(record.acuity), sorted(flags), record.vitals, record.person)
    return sha256(repr(seen).encode()).hexdigest()[:16]


def told_colour(record: ClinicalRecord) -> Colour:
    """The colour the patient was told: a clinician's decision to lower it is not the patient's to read."""
    order = (Colour.UNKNOWN, Colour.GREEN, Colour.YELLOW, Colour.RED)
    before = Colour.UNKNOWN if record.lowered is None else record.lowered.told
    return max(record.colour, before, key=order.index)


def fired_anew(record: ClinicalRecord, rules: RuleBook, *, version: str) -> tuple[RedFlag, ...]:
    """The flags that are new: those never raised, and settled ones that later messages raise by themselves."""
    known = {flag.rule_id for flag in record.flags}
    fired = [
        flag for flag in _raised(record, record.findings, record.vitals, rules, version) if flag.rule_id not in known
    ]
    settled = record.lowered
    if settled is None:
        return tuple(fired)
    later = tuple(each for each in record.findings if each.message_id not in settled.messages)
    again = _raised(record, later, still_counting(record)[1], rules, version)
    return (*fired, *(flag for flag in again if flag.rule_id in settled.rules))


def _raised(
    record: ClinicalRecord, findings: tuple[Finding, ...], vitals: VitalSigns, rules: RuleBook, version: str
) -> tuple[RedFlag, ...]:
    return flags_of(
        findings, vitals, record.person, rules, version=version, apart=record.apart, readings=record.readings
    )


def still_counting(record: ClinicalRecord) -> tuple[tuple[RedFlag, ...], VitalSigns]:
    """The flags and readings that count towards the urgency: all of them, or what came after the lowering."""
    settled = record.lowered
    if settled is None:
        return record.flags, record.vitals
    is_as_it_was = record.vitals == settled.vitals and record.person == settled.person
    flags = tuple(flag for flag in record.flags if flag.rule_id not in settled.rules)
    return flags, VitalSigns() if is_as_it_was else record.vitals


def with_flags(record: ClinicalRecord, new: tuple[RedFlag, ...]) -> ClinicalRecord:
    """The record with these flags; one that fires again keeps its earlier words and is settled no longer."""
    before = {flag.rule_id: flag for flag in record.flags}
    fresh = {flag.rule_id: flag for flag in new}
    joined = tuple(
        replace(flag, evidence=tuple(dict.fromkeys((*before[name].evidence, *flag.evidence))))
        if name in before
        else flag
        for name, flag in fresh.items()
    )
    kept = tuple(flag for flag in record.flags if flag.rule_id not in fresh)
    settled = record.lowered
    if settled is not None:
        settled = replace(settled, rules=tuple(name for name in settled.rules if name not in fresh))
    return replace(record, flags=(*kept, *joined), lowered=settled)
