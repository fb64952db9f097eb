"""Load and check what clinicians write; refuse what does not fit."""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from anamnesis.clinical.findings import read_findings
from anamnesis.clinical.lexicon import Lexicon, LexiconText, Refinement, compile_lexicon
from anamnesis.clinical.red_flags import WHO, AtLeast, RedFlagRule, RuleBook, screen
from anamnesis.clinical.terms import Acuity, Age, Person, Sex
from anamnesis.content import schema
from anamnesis.content.interview import SOURCE_LANGUAGE, InterviewContent, load_interview
from anamnesis.kernel.errors import AnamnesisError

#: Marks the name of a group of findings in a rule.
GROUP: Final = "@"
Shape = TypeVar("Shape", bound=schema.Strict)


class ContentInvalid(AnamnesisError):
    """The content does not fit together; each problem names its file or rule."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ClinicalContent:
    """Everything a clinician can read, cite, sign or change, ready for use."""

    lexicon: Lexicon
    rules: RuleBook
    interview: InterviewContent
    texts: Mapping[str, str]
    version: str
    is_draft: bool
    written_rules: tuple[schema.Rule, ...]
    sources: Mapping[str, schema.Source]


@cache
def load_content() -> ClinicalContent:
    """The content, checked for shape and references. Raises ContentInvalid naming every problem."""
    problems: list[str] = []
    folder = files("anamnesis.content")
    sources = {name: schema.Source(**fields) for name, fields in _toml(folder / "sources.toml").items()}
    groups = _read(schema.FindingGroups, folder / "groups.toml", problems)
    rule_files = [_read(schema.RuleFile, path, problems) for path in _folder(folder / "red_flags")]
    parts = [_read(schema.LexiconFile, path, problems) for path in _folder(folder / "lexicon")]
    interview = load_interview(folder, problems)
    if problems or interview is None or groups is None:
        raise ContentInvalid(tuple(problems))
    texts = interview.locales[SOURCE_LANGUAGE].texts
    members = members_of(groups.group, problems)
    named = tuple(rule for rules in rule_files if rules for rule in rules.rule if rule.status != "retired")
    written = tuple(_spelled_out(rule, members, problems) for rule in named)
    lexicon = _lexicon([part for part in parts if part], problems)
    problems += _broken_references(written, sources, lexicon, texts)
    if problems:
        raise ContentInvalid(tuple(problems))
    statuses = {
        groups.status,
        *(part.status for part in parts if part),
        *interview.statuses,
        *(rule.status for rule in written),
    }
    return ClinicalContent(
        lexicon,
        RuleBook((_rule(rule) for rule in written), lexicon.passing, lexicon.of_person),
        interview,
        texts,
        _version(folder),
        "draft" in statuses,
        written,
        sources,
    )


def failing_examples(content: ClinicalContent) -> tuple[str, ...]:
    """Every example of a rule, in every language it claims, that does not do what it says."""
    return tuple(
        f"{rule.id}: {'should fire' if wanted else 'should stay silent'}: {sentence}"
        for rule in content.written_rules
        for examples in rule.examples.values()
        for wanted, sentences in ((True, examples.fires), (False, examples.silent))
        for sentence in sentences
        if _fires(rule, sentence, content) is not wanted
    )


def _fires(rule: schema.Rule, sentence: str, content: ClinicalContent) -> bool:
    findings = read_findings(sentence, content.lexicon)
    given = rule.example_person or schema.ExamplePerson()
    age = None if given.age_years is None else Age.of_years(given.age_years)
    sex = None if given.sex is None else Sex(given.sex)
    flags = screen(findings, Person(age, sex, given.pregnant), content.rules)
    return rule.id in {flag.rule_id for flag in flags}


def _lexicon(parts: Sequence[schema.LexiconFile], problems: list[str]) -> Lexicon:
    """The parts as one lexicon; a name given in several files has the phrases of all, but a class belongs to one."""
    problems += shared_classes(parts)

    def merged(section: str) -> dict[str, list[str]]:
        together: dict[str, list[str]] = {}
        for part in parts:
            for name, texts in getattr(part, section).items():
                together.setdefault(name, []).extend(texts)
        return together

    def listed(section: str) -> list[str]:
        return [text for part in parts for text in getattr(part, section)]

    refinements = [
        Refinement(frozenset(each.of), each.becomes, tuple(map(frozenset, each.with_)), frozenset(each.unless))
        for part in parts
        for each in part.refine
    ]
    sections = ("classes", "spellings", "rewrites", "cues", "concepts", "implies")
    lists = (
        "not_typos",
        "benign",
        "pseudo_negations",
        "still_dangerous",
        "attributes",
        "own_wishes",
        "deeds",
        "contacts",
        "lasting",
        "lifelong",
        "states",
        "of_person",
    )
    written = LexiconText(
        refinements=refinements,
        **{section: merged(section) for section in sections},  # type: ignore[arg-type]  # the names are its fields
        **{section: listed(section) for section in lists},  # type: ignore[arg-type]  # as above
    )
    try:
        return compile_lexicon(written)
    except ValueError as error:
        raise ContentInvalid((*problems, str(error))) from None


def shared_classes(parts: Iterable[schema.LexiconFile]) -> list[str]:
    """A problem for each class of words in several files: each would widen the other's phrases, unseen."""
    named = Counter(name for part in parts for name in part.classes)
    return [f"lexicon: class {name} stands in {count} files" for name, count in named.items() if count > 1]


def members_of(groups: Mapping[str, schema.FindingGroup], problems: list[str]) -> dict[str, list[str]]:
    """The findings of each group, those of the groups it names among them."""

    def findings(name: str, within: tuple[str, ...]) -> list[str]:
        if name in within:
            problems.append(f"groups: {name} names itself")
            return []
        found: list[str] = []
        for each in groups[name].of:
            inner = each.removeprefix(GROUP)
            if inner == each:
                found.append(each)
            elif inner in groups:
                found += findings(inner, (*within, name))
            else:
                problems.append(f"groups: {name}: unknown group {inner}")
        return found

    return {name: findings(name, ()) for name in groups}


def _spelled_out(rule: schema.Rule, members: Mapping[str, list[str]], problems: list[str]) -> schema.Rule:
    """The rule with the findings in the place of the groups it names."""

    def spelled(names: Sequence[str]) -> list[str]:
        unknown = {each for each in names if each.startswith(GROUP) and each.removeprefix(GROUP) not in members}
        problems.extend(f"{rule.id}: unknown group {each}" for each in sorted(unknown))
        told = [each for name in names for each in members.get(name.removeprefix(GROUP), ()) if name.startswith(GROUP)]
        return list(dict.fromkeys([*(name for name in names if not name.startswith(GROUP)), *told]))

    at_least = rule.at_least
    return rule.model_copy(
        update={
            "any_of": [spelled(names) for names in rule.any_of],
            "at_least": at_least and at_least.model_copy(update={"of": spelled(at_least.of)}),
        }
    )


def _broken_references(
    rules: tuple[schema.Rule, ...],
    sources: Mapping[str, schema.Source],
    lexicon: Lexicon,
    texts: Mapping[str, str],
) -> Iterator[str]:
    names: set[str] = set()
    for rule in rules:
        if rule.id in names:
            yield f"{rule.id}: declared twice"
        names.add(rule.id)
        yield from (f"{rule.id}: unknown source {each.source}" for each in rule.cite if each.source not in sources)
        wanted = {*rule.all_of, *(name for group in rule.any_of for name in group)}
        counted = set(rule.at_least.of if rule.at_least else ()) - WHO.keys()
        yield from (f"{rule.id}: unknown finding {name}" for name in sorted((wanted | counted) - lexicon.concepts))
        if not wanted and not counted:
            yield f"{rule.id}: needs at least one finding"
        if rule.advice not in texts:
            yield f"{rule.id}: no text for {rule.advice}"
    yield from (f"lexicon: unknown finding {name}" for name in sorted(_named(lexicon) - lexicon.concepts))


def _named(lexicon: Lexicon) -> set[str]:
    """Every finding the lexicon's own rules speak of."""
    refining = {name for each in lexicon.refinements for name in each.of.union(each.unless, *each.with_)}
    implied = {name for whole, parts in lexicon.implies.items() for name in (whole, *parts)}
    return refining | implied | set(lexicon.bearings)


def _rule(written: schema.Rule) -> RedFlagRule:
    return RedFlagRule(
        id=written.id,
        acuity=Acuity[written.acuity.upper()],
        advice=written.advice,
        all_of=frozenset(written.all_of),
        any_of=tuple(frozenset(group) for group in written.any_of),
        at_least=AtLeast(written.at_least.count, frozenset(written.at_least.of)) if written.at_least else None,
        who=tuple(written.who),
        sex=None if written.sex is None else Sex(written.sex),
        lifts_urgent=written.lifts_urgent,
        is_lifted=written.is_lifted,
        is_draft=written.status == "draft",
        line=written.catalogue[0] if written.catalogue else None,
    )


def _read(shape: type[Shape], path: Traversable, problems: list[str]) -> Shape | None:
    try:
        return shape.model_validate(_toml(path))
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path.name}: {error}")
    except ValidationError as error:
        problems.extend(
            f"{path.name}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)
        )
    return None


def _toml(path: Traversable) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def _folder(folder: Traversable) -> list[Traversable]:
    return sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)


def _version(folder: Traversable) -> str:
    """A short name of exactly this content: two deployments with one version have the same rules."""
    digest = hashlib.sha256()
    folders = (_folder(folder / name) for name in ("red_flags", "lexicon", "agendas", "locales"))
    for path in (folder / "groups.toml", *(path for paths in folders for path in paths)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]
