"""Print the page about the API."""

import argparse
from typing import Final

from anamnesis.bootstrap import build
from anamnesis.edge.rest import api_markdown
from anamnesis.settings import Settings

SUMMARY: Final = "print docs/api.md, generated from the procedures"


def add_arguments(_: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(_: argparse.Namespace) -> int:
    """Print the page; nothing is connected to."""
    nowhere = "postgresql:///nowhere"
    print(api_markdown(build(Settings(), app_dsn=nowhere, direct_dsn=nowhere).registry), end="")
    return 0
