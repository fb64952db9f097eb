"""The command line: one module a command, loaded only when it is asked for.

A command's module has ``SUMMARY``, ``add_arguments(parser)`` and ``run(arguments) -> int`` (the exit status).
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final[dict[str, str]] = {
    "demo": "demo",
    "serve": "serve",
    "work": "work",
    "migrate": "migrate",
    "import-legacy": "import_legacy",
    "export": "export",
    "erase": "erase",
    "hold": "hold",
    "keys": "keys",
    "webhooks": "webhooks",
    "check": "check",
    "triage": "triage",
    "eval": "eval",
    "content": "content",
    "api": "api",
    "types": "types",
    "audit": "audit",
}


#: These do nothing in an invalid environment, which is told before the long import of what they run.
_CONFIGURED: Final = frozenset({"demo", "serve", "work"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answer its exit status (2 for a command line that makes no sense)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else ""
    if command not in COMMANDS:
        print(_overview(), file=sys.stdout if command in {"", "-h", "--help"} else sys.stderr)
        return 0 if command in {"", "-h", "--help"} else 2
    if command in _CONFIGURED and not {"-h", "--help"} & set(words) and _is_misconfigured():
        return 2
    module = importlib.import_module(f"anamnesis.cli.{COMMANDS[command]}")
    parser = argparse.ArgumentParser(prog=f"anamnesis {command}", description=module.SUMMARY)
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(words[1:])))


def _is_misconfigured() -> bool:
    """Whether the environment cannot be used; says on standard error what to do about it."""
    settings = importlib.import_module("anamnesis.settings")
    try:
        settings.Settings.from_env(os.environ)
    except settings.SettingsInvalid as invalid:
        print(invalid, file=sys.stderr)
        return True
    return False


def _overview() -> str:
    return "usage: anamnesis COMMAND …\n\n" + "\n".join(f"  {name}" for name in COMMANDS)
