"""Take over the data of the replaced system."""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from anamnesis.cli.operating import NOT_MIGRATED, database_and_keys, refuse
from anamnesis.db.encryption import Keyring
from anamnesis.db.migrating import NotMigrated
from anamnesis.kernel.errors import Unreadable
from anamnesis.legacy.deciding import Tally
from anamnesis.legacy.importing import Import
from anamnesis.legacy.source import NotTheReplacedSystem, reading
from anamnesis.legacy.target import Busy, writing
from anamnesis.settings import SettingsInvalid

SUMMARY: Final = "copy the replaced system's PostgreSQL into ours; safe to repeat and to interrupt"
#: How a database fails. A driver's own words may hold values of a row, or a password; its name does not.
FAILURES: Final = (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)
_SHOWN: Final = 20
_HEADINGS: Final = (
    "table", "source", "read", "same", "changed here", "left out", "kept aside", "written",
    "hash there", "hash here", "",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the data are, and how much to say."""
    parser.add_argument("url", metavar="URL", help="the replaced system's database; it is only read")
    parser.add_argument("--all", action="store_true", help=f"name every reported row, not the first {_SHOWN} of a kind")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when all is good, 1 when rows were reported, 2 when it could not run or had to stop."""
    try:
        ours, keyring = database_and_keys("the database to copy into")
    except SettingsInvalid as invalid:
        return refuse(str(invalid))
    try:
        return asyncio.run(_import(arguments.url, ours, keyring, tell_all=arguments.all))
    except NotTheReplacedSystem:
        return refuse("The source has not the tables of the replaced system.")
    except NotMigrated:
        return refuse(NOT_MIGRATED)
    except Unreadable as unreadable:
        return refuse(str(unreadable))
    except Busy:
        return refuse("Another import is running.")
    except FAILURES as failed:
        return refuse(f"A database could not be used ({type(failed).__name__}). What was copied stays; run it again.")


async def _import(source_url: str, our_url: str, keyring: Keyring, *, tell_all: bool) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as opened:
        try:
            source = await opened.enter_async_context(reading(source_url))
        except FAILURES as failed:
            return refuse(f"URL: the replaced system's database could not be opened ({type(failed).__name__}).")
        try:
            target = await opened.enter_async_context(writing(our_url, keyring))
        except FAILURES as failed:
            return refuse(f"DATABASE_URL: the database to copy into could not be opened ({type(failed).__name__}).")
        tallies = await Import(source, target).run()
    took = time.monotonic() - began
    rows = sum(tally.read for tally in tallies)
    print(as_table(tallies))
    print(f"\n{rows} rows in {took:.1f} s, {rows / max(took, 0.001):.0f} rows/s")
    for line in reported(tallies, most=None if tell_all else _SHOWN):
        print(line)
    return int(any(tally.reports or not tally.is_whole for tally in tallies))


def as_table(tallies: Sequence[Tally]) -> str:
    """The figures of each table, side by side."""
    lines = [_HEADINGS, *map(_figures, tallies)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(_HEADINGS))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines)


def _figures(tally: Tally) -> tuple[str, ...]:
    counts = (tally.in_source, tally.read, tally.same, tally.changed_here, tally.left_out, tally.kept_aside)
    verdict = "ok" if tally.is_whole else "NOT READ" if tally.is_unread else "NOT THE SAME"
    return (tally.table, *map(str, (*counts, tally.written)), *tally.hashes, verdict)


def reported(tallies: Sequence[Tally], *, most: int | None) -> list[str]:
    """What was wrong: table, key and reason, never what a row holds."""
    lines = []
    for tally in tallies:
        shown: Counter[str] = Counter()
        for key, reason in tally.reports:
            shown[reason] += 1
            if most is None or shown[reason] <= most:
                lines.append(f"{tally.table} {key}: {reason}")
        lines += [
            f"{tally.table}: {count - most} more: {reason}"
            for reason, count in shown.items()
            if most is not None and count > most
        ]
    return lines
