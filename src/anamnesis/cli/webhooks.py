"""What other systems were told, and telling it again."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from anamnesis.cli.operating import refuse
from anamnesis.db.postgres import Database
from anamnesis.kernel.errors import Unavailable
from anamnesis.settings import Settings, SettingsInvalid
from anamnesis.webhooks.store import PostgresHookStore

SUMMARY: Final = "show what other systems were told (log), or tell it again (replay)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which of the two, and about what."""
    parser.add_argument("task", choices=("log", "replay"))
    parser.add_argument("--event", metavar="ID", type=_uuid, help="one event")
    parser.add_argument("--failed", action="store_true", help="log: failed attempts; replay: what was given up")
    parser.add_argument("--limit", type=int, default=50, help="log: how many lines (default: 50)")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be an id as the log shows it") from None


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when done, 1 when the database was not reached, 2 when there was nothing that could be done."""
    try:
        url = Settings.from_env(os.environ).database.url
    except SettingsInvalid as invalid:
        return refuse(str(invalid))
    if url is None:
        return refuse("DATABASE_URL: is not set. It names the database with the events.")
    if arguments.task == "replay" and arguments.event is None and not arguments.failed:
        return refuse("Say which: --event ID, or --failed for all that were given up.")
    try:
        return asyncio.run(_do(arguments, url.reveal()))
    except Unavailable:
        print("The database could not be reached.", file=sys.stderr)
        return 1


async def _do(arguments: argparse.Namespace, url: str) -> int:
    database = Database(url)
    store = PostgresHookStore(database)
    try:
        if arguments.task == "log":
            for row in await store.log(arguments.event, only_failed=arguments.failed, limit=arguments.limit):
                print(_line(row))
            return 0
        wanted = [arguments.event] if arguments.event else await store.given_up()
        done = [await store.replay(event_id) for event_id in wanted]
    finally:
        await database.close()
    print(f"{sum(done)} to be told again.")
    return 0 if all(done) else refuse("There is no such event.")


def _line(row: Mapping[str, Any]) -> str:
    told = "not told yet"
    if row["target"] is not None:
        status = f" {row['status']}" if row["status"] else ""
        told = (
            f"{row['tried_at']:%Y-%m-%d %H:%M:%S}  {row['target']}  {row['outcome']}{status}  {row['duration_ms']} ms"
        )
    return f"{row['id']}  {row['kind']}  {told}"
