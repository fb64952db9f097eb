"""Load and check what clinicians write; refuse what does not fit."""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

from pydantic import ValidationError

from anamnesis.clinical.findings import read_findings
from anamnesis.clinical.lexicon import Lexicon, compile_lexicon
from anamnesis.clinical.red_flags import RedFlagRule, screen
from anamnesis.clinical.terms import Acuity, Age, Person, Sex
from anamnesis.content import schema
from anamnesis.content.interview import SOURCE_LANGUAGE, InterviewContent, load_interview
from anamnesis.kernel.errors import AnamnesisError

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
    rules: tuple[RedFlagRule, ...]
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
    rule_files = [_read(schema.RuleFile, path, problems) for path in _folder(folder / "red_flags")]
    lexicon_file = _read(schema.LexiconFile, folder / "lexicon" / "en.toml", problems)
    interview = load_interview(folder, problems)
    if problems or lexicon_file is None or interview is None:
        raise ContentInvalid(tuple(problems))
    texts = interview.locales[SOURCE_LANGUAGE].texts
    written = tuple(rule for rules in rule_files if rules for rule in rules.rule if rule.status != "retired")
    problems += _broken_references(written, sources, lexicon_file, texts)
    if problems:
        raise ContentInvalid(tuple(problems))
    parts = lexicon_file.model_dump(exclude={"status"})
    statuses = {lexicon_file.status, *interview.statuses, *(rule.status for rule in written)}
    return ClinicalContent(
        compile_lexicon(**parts),
        tuple(_rule(rule) for rule in written),
        interview,
        texts,
        _version(folder),
        "draft" in statuses,
        written,
        sources,
    )


def failing_examples(content: ClinicalContent) -> tuple[str, ...]:
    """Every example of a rule that does not do what it says."""
    return tuple(
        f"{rule.id}: {'should fire' if wanted else 'should stay silent'}: {sentence}"
        for rule, compiled in zip(content.written_rules, content.rules, strict=True)
        for wanted, sentences in ((True, rule.examples["en"].fires), (False, rule.examples["en"].silent))
        for sentence in sentences
        if _fires(compiled, sentence, content) is not wanted
    )


def _fires(rule: RedFlagRule, sentence: str, content: ClinicalContent) -> bool:
    findings = read_findings(sentence, content.lexicon)
    return bool(screen(findings, Person(age=_example_age(rule)), [rule]))


def _example_age(rule: RedFlagRule) -> Age | None:
    if rule.max_age_years is not None:
        return Age.of_years(rule.max_age_years / 2)
    return None if rule.min_age_years is None else Age.of_years(rule.min_age_years + 10)


def _broken_references(
    rules: tuple[schema.Rule, ...],
    sources: Mapping[str, schema.Source],
    lexicon: schema.LexiconFile,
    texts: Mapping[str, str],
) -> Iterator[str]:
    names: set[str] = set()
    for rule in rules:
        if rule.id in names:
            yield f"{rule.id}: declared twice"
        names.add(rule.id)
        yield from (f"{rule.id}: unknown source {each.source}" for each in rule.cite if each.source not in sources)
        wanted = {*rule.all_of, *(name for group in rule.any_of for name in group)}
        yield from (f"{rule.id}: unknown finding {name}" for name in sorted(wanted - lexicon.concepts.keys()))
        if not wanted:
            yield f"{rule.id}: needs at least one finding"
        if rule.advice not in texts:
            yield f"{rule.id}: no text for {rule.advice}"


def _rule(written: schema.Rule) -> RedFlagRule:
    return RedFlagRule(
        written.id,
        Acuity[written.acuity.upper()],
        written.advice,
        frozenset(written.all_of),
        tuple(frozenset(group) for group in written.any_of),
        written.min_age_years,
        written.max_age_years,
        None if written.sex is None else Sex(written.sex),
        written.needs_pregnancy,
        written.status == "draft",
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
    for name in ("red_flags", "lexicon", "agendas", "locales"):
        for path in _folder(folder / name):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:10]
