"""Verify the audit trail, or write it out."""

import argparse
import asyncio
import csv
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO
from uuid import UUID

import asyncpg

from anamnesis.db.chain import LATE_S, Verdict, lines, verify
from anamnesis.settings import Settings, SettingsInvalid

SUMMARY: Final = "verify the audit trail, or write it out"
_CONNECT_S: Final = 10.0
_HEAD: Final = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
#: What a spreadsheet would take for a formula when a cell begins with it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS: Final = (
    "seq", "id", "created_at", "user_id", "actor_role", "action", "procedure", "resource_type", "resource_id",
    "patient_ids", "request_id", "purpose", "metadata", "hash",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and about which lines."""
    what = parser.add_subparsers(dest="what", required=True)
    checking = what.add_parser("verify", help="exit 0: as it was sealed · 1: tampered with · 2: could not be verified")
    checking.add_argument(
        "--expect-head", type=_head, action="append", default=[], metavar="PLACE:HASH", help="a head noted earlier"
    )
    checking.add_argument("--heads", type=Path, help="a log with audit.head lines, one JSON object a line")
    writing = what.add_parser("export", help="every line, oldest first, to standard output")
    writing.add_argument("--format", choices=("csv", "jsonl"), required=True)
    writing.add_argument("--since", type=_moment, help="ISO date and time, UTC unless it says otherwise")
    writing.add_argument("--until", type=_moment, help="as --since; lines of this moment and later are left out")
    writing.add_argument("--patient", type=UUID, help="a patient's id")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 done, 1 tampered with, 2 not able to say."""
    try:
        database = Settings.database_from_env(os.environ)
        url = database.migrating_url
        if url is None:
            print("DATABASE_URL: is not set.", file=sys.stderr)
            return 2
        work = _verify if arguments.what == "verify" else _export
        return asyncio.run(_connected(url.reveal(), lambda connection: work(connection, arguments)))
    except SettingsInvalid as refused:
        print(refused, file=sys.stderr)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        print("The database has no audit trail of this kind yet; run `anamnesis migrate`.", file=sys.stderr)
    except asyncpg.PostgresError as refused:
        print(f"The database refused: {type(refused).__name__}.", file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()
    except (OSError, TimeoutError, asyncpg.InterfaceError):
        print("The database or a file could not be read.", file=sys.stderr)
    return 2


async def _connected(url: str, work: Callable[[Any], Awaitable[int]]) -> int:
    connection = await asyncpg.connect(url, timeout=_CONNECT_S, server_settings={"application_name": "anamnesis audit"})
    try:
        return await work(connection)
    finally:
        await connection.close()


async def _verify(connection: Any, arguments: argparse.Namespace) -> int:
    expected = dict(arguments.expect_head)
    if arguments.heads is not None:
        with arguments.heads.open() as log:
            told = heads_in(log)
        if not told:
            print(f"{arguments.heads} holds no audit.head line, so there is nothing to compare with.", file=sys.stderr)
            return 2
        expected = {**told, **expected}
    found = await verify(connection, expected)
    return _tell(found, anchored=len(expected))


def _tell(found: Verdict, *, anchored: int) -> int:
    if found.broken is not None:
        print(f"TAMPERED {found.broken}")
        return 1
    print(f"{found.seq} lines are as they were sealed. Head {found.seq}:{found.head}")
    print(f"{anchored} heads noted elsewhere were met." if anchored else "No head noted elsewhere was compared.")
    if found.waiting:
        print(f"{found.waiting} lines are not sealed yet, the oldest for {found.waiting_s:.0f} s.")
    if found.waiting_s > LATE_S:
        print("Nobody is sealing: nothing can be said about these lines.", file=sys.stderr)
        return 2
    return 0


async def _export(connection: Any, arguments: argparse.Namespace) -> int:
    write = _csv(sys.stdout) if arguments.format == "csv" else _jsonl(sys.stdout)
    wanted = {"since": arguments.since, "until": arguments.until, "patient_id": arguments.patient}
    async for line in lines(connection, **wanted):
        write(line)
    sys.stdout.flush()
    return 0


def heads_in(log: TextIO) -> dict[int, str]:
    """The heads of the chain that a log tells of, by place; what is no such line is passed over.

    Of two for one place the first is believed: the second is of a chain that was made anew.
    """
    found: dict[int, str] = {}
    for text in log:
        with suppress(ValueError, KeyError, TypeError):
            line = json.loads(text)
            if line["event"] == "audit.head":
                found.setdefault(int(line["audit_seq"]), str(line["audit_hash"]))
    return found


def _csv(out: TextIO) -> Callable[[Mapping[str, Any]], None]:
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    return lambda line: writer.writerow([cell(line[name]) for name in _COLUMNS])


def cell(value: object) -> str:
    """A value as the text of a cell that no spreadsheet takes for a formula."""
    match value:
        case None:
            text = ""
        case datetime():
            text = value.astimezone(UTC).isoformat()
        case list():
            text = " ".join(str(each) for each in value)
        case _:
            text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _jsonl(out: TextIO) -> Callable[[Mapping[str, Any]], None]:
    def write(line: Mapping[str, Any]) -> None:
        told = {name: line[name] for name in _COLUMNS}
        told["created_at"] = cell(line["created_at"])
        told["metadata"] = json.loads(line["metadata"]) if line["metadata"] else None
        out.write(json.dumps(told, default=str, ensure_ascii=False) + "\n")

    return write


def _head(text: str) -> tuple[int, str]:
    match = _HEAD.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("a head is PLACE:HASH, as `audit verify` and the log tell it")
    return int(match.group(1)), match.group(2)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
