"""The command line: one module a command, loaded only when it is asked for.

A command's module has ``SUMMARY``, ``add_arguments(parser)`` and ``run(arguments) -> int`` (the exit status).
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final[dict[str, str]] = {
    "demo": "demo",
    "serve": "serve",
    "work": "work",
    "migrate": "migrate",
    "check": "check",
    "triage": "triage",
    "content": "content",
    "api": "api",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answer its exit status (2 for a command line that makes no sense)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else ""
    if command not in COMMANDS:
        print(_overview(), file=sys.stdout if command in {"", "-h", "--help"} else sys.stderr)
        return 0 if command in {"", "-h", "--help"} else 2
    module = importlib.import_module(f"anamnesis.cli.{COMMANDS[command]}")
    parser = argparse.ArgumentParser(prog=f"anamnesis {command}", description=module.SUMMARY)
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(words[1:])))


def _overview() -> str:
    return "usage: anamnesis COMMAND …\n\n" + "\n".join(f"  {name}" for name in COMMANDS)
