"""Load what a model is told: a text for all stages and one for each, written by people, versioned by content."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from pydantic import ValidationError

from anamnesis.clinical.record import Stage
from anamnesis.content.schema import Status, Strict

#: The hand-over asks nothing, so no model words it.
SPEAKING: Final = tuple(stage for stage in Stage if stage is not Stage.HANDOVER)
_FENCE: Final = "+++\n"
_COMMON: Final = "common.md"


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


class AgentsInvalid(Exception):
    """The texts do not fit together; each problem names its file or stage."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@cache
def load_agents() -> Mapping[Stage, Agent]:
    """One agent for each stage at which a model may speak. Raises AgentsInvalid naming every problem."""
    return read_agents(files("anamnesis.content") / "agents")


def read_agents(folder: Traversable) -> Mapping[Stage, Agent]:
    """The agents of a folder. Raises AgentsInvalid."""
    problems: list[str] = []
    common, found = "", dict[Stage, tuple[Header, str]]()
    for path in sorted((path for path in folder.iterdir() if path.name.endswith(".md")), key=lambda path: path.name):
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
