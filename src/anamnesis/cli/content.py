"""Check the clinical content."""

import argparse
import sys
from typing import Final

from anamnesis.content import ContentInvalid, load_content
from anamnesis.content.loading import failing_examples
from anamnesis.content.prompts import AgentsInvalid, load_agents, load_writer

SUMMARY: Final = "check the clinical content: shapes, references, and that every example does what it says"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with it."""
    parser.add_argument("action", choices=["check"])


def run(_: argparse.Namespace) -> int:
    """Exit 0 when everything fits, 1 with a line for each problem."""
    try:
        content = load_content()
        agents, writer = load_agents(), load_writer()
        problems = failing_examples(content)
    except (ContentInvalid, AgentsInvalid) as invalid:
        problems = invalid.problems
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(
            f"{len(content.rules)} rules, {len(content.lexicon.concepts)} findings, {len(agents) + 1} agents,"
            f" {len(writer.conditions)} names of illnesses, version {content.version}: all fit"
        )
    return 1 if problems else 0
