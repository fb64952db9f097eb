"""Do the jobs, without serving anything."""

import argparse
import asyncio
import os
import signal
import sys
from typing import Final

from anamnesis import journal
from anamnesis.bootstrap import App, build
from anamnesis.serving import settle
from anamnesis.settings import Settings

SUMMARY: Final = "do the jobs that were left for later"


def add_arguments(_: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(_: argparse.Namespace) -> int:
    """Work until SIGTERM. Exit 2 without a database."""
    settings = Settings.from_env(os.environ)
    url = settings.database.url
    if url is None:
        print("DATABASE_URL: is not set. A worker needs the database it works for.", file=sys.stderr)
        return 2
    journal.configure(development=not settings.is_production, level=settings.log_level.upper())
    journal.adopt_process()
    direct = settings.database.migrating_url or url
    app = build(settings, app_dsn=url.reveal(), direct_dsn=direct.reveal())
    settle()
    asyncio.run(_work(app))
    return 0


async def _work(app: App) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with app.running():
        await stopped.wait()
