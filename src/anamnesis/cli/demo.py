"""A working clinic on this machine: embedded database, sample people, the built-in interviewer, one-tap sign-in."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from anamnesis import journal
from anamnesis.bootstrap import App, build
from anamnesis.cli.keys import own_keys
from anamnesis.db.embedded import Embedded, start_embedded
from anamnesis.db.migrating import migrate
from anamnesis.demo import seed
from anamnesis.edge.demo_issuer import ISSUER, DemoIssuer
from anamnesis.serving import run as run_until_stopped
from anamnesis.serving import serve, settle
from anamnesis.settings import Settings

SUMMARY: Final = "run the demo clinic on this machine"
_DATA: Final = Path("var") / "demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo's only argument: where its data lie."""
    parser.add_argument("--data", type=Path, default=_DATA, help=f"folder of the demo's database (default {_DATA})")


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C; data survive for the next time. Exit 2 where a demo may not run."""
    settings = Settings.from_env(os.environ)
    try:
        origin = f"http://{settings.host}:{settings.port}"
        issuer = DemoIssuer(origin, settings.host, settings.is_production)
        keys = settings.encryption_keys or own_keys(arguments.data)
    except ValueError as invalid:
        print(invalid, file=sys.stderr)
        return 2
    files = replace(settings.files, folder=str(arguments.data / "files"), bucket=None)
    settings = replace(settings, app_url=origin, files=files, encryption_keys=keys)
    journal.configure(development=True, level="ERROR")
    journal.adopt_process()
    embedded = start_embedded(arguments.data, pg_bin=settings.database.pg_bin)
    try:
        run_until_stopped(_run(settings, issuer, embedded))
    finally:
        embedded.stop()
    return 0


async def _run(settings: Settings, issuer: DemoIssuer, embedded: Embedded) -> None:
    await embedded.ensure_database()
    await migrate(embedded.owner_dsn, embedded=True)
    app = build(
        settings,
        app_dsn=embedded.app_dsn,
        direct_dsn=embedded.app_dsn,
        keys=issuer.keys(),
        issuer=ISSUER,
        superusers=[seed.OPERATOR.subject],
        extra_roads=[("/demo", issuer.app()), ("/sign-out", issuer.app())],
    )
    await seed.clinic(app)
    settle()
    await serve(
        app.asgi(),
        host=settings.host,
        port=settings.port,
        running=app.running,
        ready=lambda: _greet(app, issuer),
        drain=app.drain,
        stop=app.worker.stop,
    )


def _greet(app: App, issuer: DemoIssuer) -> None:
    links = [
        ("Patient", issuer.link(seed.PATIENT, "/")),
        ("Doctor", issuer.link(seed.DOCTOR, "/doctor")),
        ("Operator", issuer.link(seed.OPERATOR, "/ops")),
        ("New patient", issuer.link(seed.NEWCOMER, f"/connect/{seed.SLUG}")),
    ]
    print(f"\nThe demo clinic is open at {app.settings.public_origin}\n")
    for who, link in links:
        print(f"  {who:<12} {link}")
    print(
        "\nThe clinical rules are drafts that no clinician has reviewed. Stop with Ctrl-C; the data stay.\n", flush=True
    )
