"""Serve the API and the pages."""

import argparse
import os
import sys
from typing import Final

from anamnesis import journal
from anamnesis.bootstrap import build
from anamnesis.content import load_content
from anamnesis.serving import run as run_until_stopped
from anamnesis.serving import serve, settle
from anamnesis.settings import Settings

SUMMARY: Final = "serve the API and the pages, with a worker inside"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether jobs are done here or by `anamnesis work`."""
    parser.add_argument("--no-worker", action="store_true", help="leave jobs to `anamnesis work`")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM. Exit 2 without a database or signed content it needs. Never migrates."""
    settings = Settings.from_env(os.environ)
    url = settings.database.url
    if url is None:
        print("DATABASE_URL: is not set. Set it, or use `anamnesis demo` for a private database.", file=sys.stderr)
        return 2
    if settings.content_status == "signed" and load_content().is_draft:
        print("CONTENT_STATUS: asks for signed content, and no clinician has signed ours yet.", file=sys.stderr)
        return 2
    journal.configure(development=not settings.is_production, level=settings.log_level.upper())
    direct = settings.database.migrating_url or url
    app = build(settings, app_dsn=url.reveal(), direct_dsn=direct.reveal())
    journal.adopt_process()
    settle()
    running = app.running(works=not arguments.no_worker)
    run_until_stopped(
        serve(
            app.asgi(),
            host=settings.host,
            port=settings.port,
            running=lambda: running,
            drain=app.drain,
            stop=app.worker.stop,
        )
    )
    return 0
