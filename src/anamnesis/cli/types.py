"""Print the procedures as a TypeScript type."""

import argparse
from typing import Final

from anamnesis.bootstrap import build
from anamnesis.edge.typescript import app_router
from anamnesis.settings import Settings

SUMMARY: Final = "print AppRouter, the TypeScript type that @trpc/client checks a program against"


def add_arguments(_: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(_: argparse.Namespace) -> int:
    """Print the declaration; nothing is connected to."""
    nowhere = "postgresql:///nowhere"
    print(app_router(build(Settings(), app_dsn=nowhere, direct_dsn=nowhere).registry), end="")
    return 0
