"""Load what a model is told: a text for all stages and one for each, one for the note, each versioned by content."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from pydantic import ValidationError

from anamnesis.clinical.findings import fold
from anamnesis.clinical.record import Stage
from anamnesis.content.schema import Status, Strict, Text

#: The hand-over asks nothing; the one who tidies its note has a text of its own.
SPEAKING: Final = tuple(stage for stage in Stage if stage is not Stage.HANDOVER)
_FENCE: Final = "+++\n"
_COMMON: Final = "common.md"
_WRITER: Final = "handover.md"
_NAMES: Final = "conditions.toml"


class Header(Strict):
    """What stands above the text. stage is missing in the one text that is for all of them."""

    stage: str | None = None
    status: Status
    version: int


@dataclass(frozen=True, slots=True)
class Agent:
    """What a model is told at one stage. version names the very text; {language} in it is filled in."""

    stage: Stage
    text: str
    version: str


@dataclass(frozen=True, slots=True)
class Writer:
    """What a model is told about a note, and the only names an illness may have in what it proposes."""

    agent: Agent
    conditions: tuple[str, ...]


class Conditions(Strict):
    """The names of illnesses, by where they are."""

    status: Status
    version: int
    names: dict[str, list[Text]]


class AgentsInvalid(Exception):
    """The texts do not fit together; each problem names its file or stage."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@cache
def load_agents() -> Mapping[Stage, Agent]:
    """One agent for each stage at which a model may speak. Raises AgentsInvalid naming every problem."""
    return read_agents(files("anamnesis.content") / "agents")


@cache
def load_writer() -> Writer:
    """Who tidies the hand-over. Raises AgentsInvalid naming every problem."""
    folder = files("anamnesis.content")
    return read_writer(folder / "agents" / _WRITER, folder / _NAMES)


def read_writer(text: Traversable, names: Traversable) -> Writer:
    """The text and the names of these files. Raises AgentsInvalid."""
    problems: list[str] = []
    read, conditions = _read(text, problems), _conditions(names, problems)
    if read is None or read[0].stage != Stage.HANDOVER.value:
        problems.append(f"{text.name}: it is for the stage {Stage.HANDOVER.value}")
    if read is None or problems:
        raise AgentsInvalid(tuple(problems))
    header, words = read
    return Writer(_agent(Stage.HANDOVER, header, words.replace("{conditions}", "; ".join(conditions))), conditions)


def _conditions(path: Traversable, problems: list[str]) -> tuple[str, ...]:
    try:
        groups = Conditions.model_validate(tomllib.loads(path.read_text())).names
    except (ValidationError, ValueError) as error:
        problems.append(f"{path.name}: {str(error).splitlines()[0]}")
        return ()
    names = [name for group in groups.values() for name in group]
    folded = [fold(name) for name in names]
    problems += [f"{path.name}: {name} stands twice" for name in names if folded.count(fold(name)) > 1]
    return tuple(names)


def read_agents(folder: Traversable) -> Mapping[Stage, Agent]:
    """The agents of a folder. Raises AgentsInvalid."""
    problems: list[str] = []
    common, found = "", dict[Stage, tuple[Header, str]]()
    texts = (path for path in folder.iterdir() if path.name.endswith(".md") and path.name != _WRITER)
    for path in sorted(texts, key=lambda path: path.name):
        read = _read(path, problems)
        if read is None:
            continue
        header, text = read
        stage = next((each for each in SPEAKING if each.value == header.stage), None)
        if path.name == _COMMON:
            common = text
        elif stage is None or stage in found:
            problems.append(f"{path.name}: its stage is unknown or has another text")
        else:
            found[stage] = header, text
    problems += [f"{stage.value}: nobody speaks at this stage" for stage in SPEAKING if stage not in found]
    if not common:
        problems.append(f"{_COMMON} is missing or empty")
    if problems:
        raise AgentsInvalid(tuple(problems))
    return {stage: _agent(stage, header, f"{common}\n{text}") for stage, (header, text) in found.items()}


def _agent(stage: Stage, header: Header, text: str) -> Agent:
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Agent(stage, text, f"{stage.value}-{header.version}-{digest}")


def _read(path: Traversable, problems: list[str]) -> tuple[Header, str] | None:
    _, fence, rest = path.read_text().partition(_FENCE)
    header, closing, text = rest.partition(_FENCE)
    if not fence or not closing or not text.strip():
        problems.append(f"{path.name}: it needs a header between +++ lines, and a text")
        return None
    try:
        return Header.model_validate(tomllib.loads(header)), text.strip() + "\n"
    except (ValidationError, ValueError) as error:
        problems.append(f"{path.name}: {str(error).splitlines()[0]}")
        return None
