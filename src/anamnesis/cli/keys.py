"""The keys under which what people write is encrypted: make one, count what is under which, rewrite under the first."""

import argparse
import asyncio
import base64
import os
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from anamnesis.cli.operating import NOT_MIGRATED, database_and_keys, refuse
from anamnesis.db.encryption import Keyring
from anamnesis.db.migrating import NotMigrated
from anamnesis.db.resealing import PLAIN, Broken, Outcome, broken_ones, counted, reseal, resealing
from anamnesis.settings import Secret, Settings, SettingsInvalid

SUMMARY: Final = "the keys of ENCRYPTION_KEYS: new makes one, status counts what is under which, rotate rewrites all"
_KEY_BYTES: Final = 32
_SHOWN: Final = 20
#: Beside the data of a private database.
_FILE: Final = "encryption.keys"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("new", help="print a fresh key with its id; it is kept nowhere")
    status = tasks.add_parser("status", help="how many values stand under which key, or unencrypted, in each table")
    status.add_argument("--check", action="store_true", help="also open every value, and name those that cannot be")
    tasks.add_parser("rotate", help="rewrite everything under the first key; safe to interrupt, and beside the service")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when all is well, 1 when something is under another key or cannot be opened, 2 when nothing was done."""
    if arguments.task == "new":
        print(new_key())
        return 0
    try:
        url, keyring = database_and_keys("the database with what was written")
    except SettingsInvalid as invalid:
        return refuse(str(invalid))
    if arguments.task == "rotate" and keyring.first is None:
        return refuse("ENCRYPTION_KEYS: is not set. `anamnesis keys new` makes a key to begin with.")
    try:
        return asyncio.run(_do(arguments, url, keyring))
    except NotMigrated:
        return refuse(NOT_MIGRATED)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as failed:
        # The driver's text may hold values of a row; its name does not.
        return refuse(
            f"The database could not be used ({type(failed).__name__}). What was rewritten stays; run it again."
        )


def own_keys(folder: Path) -> tuple[tuple[str, Secret], ...]:
    """The keys a private database in this folder is encrypted under: made once, for its owner's eyes only.

    Raises ValueError for a file that holds no keys, and leaves it as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, made = folder / _FILE, folder / f"{_FILE}.{os.getpid()}"
    if not path.exists():
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # whoever was quicker has made the key of both
            path.hardlink_to(made)
        made.unlink()
    try:
        return Settings.encryption_from_env({"ENCRYPTION_KEYS": path.read_text()})
    except (SettingsInvalid, UnicodeDecodeError):
        raise ValueError(
            f"{path} holds no encryption keys. Put the file back as it was; without it nothing is read."
        ) from None


def new_key() -> str:
    """A key drawn by chance with an id of today, as an entry of ENCRYPTION_KEYS."""
    key_id = f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(2)}"
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


async def _do(arguments: argparse.Namespace, url: str, keyring: Keyring) -> int:
    async with resealing(url) as connection:
        if arguments.task == "rotate":
            return _tell(await reseal(connection, keyring, print), keyring)
        return await _status(connection, keyring, is_thorough=arguments.check)


async def _status(connection: Any, keyring: Keyring, *, is_thorough: bool) -> int:
    under: Counter[str] = Counter()
    for (table, column), keys in (await counted(connection)).items():
        under += keys
        print(f"{table}.{column}: {', '.join(f'{count} {_named(key)}' for key, count in sorted(keys.items()))}")
    missing = sorted(set(under) - keyring.ids - {PLAIN})
    for key_id in missing:
        print(f"ENCRYPTION_KEYS lacks {key_id}: {under[key_id]} values cannot be read without it.", file=sys.stderr)
    broken = await broken_ones(connection, keyring) if is_thorough else []
    _name([each for each in broken if each.missing_key is None])
    others = under.total() - (under[keyring.first] if keyring.first else 0)
    if not others:
        print(f"Everything is under {keyring.first}." if keyring.first else "Nothing was written yet.")
    elif keyring.first:
        print(f"{others} values are not under {keyring.first}; `anamnesis keys rotate` brings them there.")
    else:
        print("ENCRYPTION_KEYS is not set: what is written now stands unencrypted.")
    return int(bool(missing or broken or others))


def _named(key: str) -> str:
    return "unencrypted" if key == PLAIN else f"under {key}"


def _tell(outcome: Outcome, keyring: Keyring) -> int:
    print(f"{outcome.rewritten} values were rewritten under {keyring.first}.")
    if outcome.was_plain:
        print(
            f"{outcome.was_plain} of them had stood unencrypted. Pages of the tables, the log and backups hold them"
            " still: run VACUUM FULL, and let older backups and archived logs expire."
        )
    lacking = Counter(each.missing_key for each in outcome.broken if each.missing_key is not None)
    for key_id, count in sorted(lacking.items()):
        print(f"{count} values are under {key_id}, which is not set. They were left as they are.", file=sys.stderr)
    _name([each for each in outcome.broken if each.missing_key is None])
    if outcome.left:
        print(
            f"{outcome.left} values were written meanwhile under another key: some process has another first key."
            " Restart it with these, and rotate again.",
            file=sys.stderr,
        )
    return int(bool(outcome.broken or outcome.left))


def _name(tampered: Sequence[Broken]) -> None:
    """Say which values are not as they were sealed."""
    for each in tampered[:_SHOWN]:
        print(f"{each.table}.{each.column} of {each.row_id} is not as it was sealed.", file=sys.stderr)
    if len(tampered) > _SHOWN:
        print(f"{len(tampered) - _SHOWN} more are not as they were sealed.", file=sys.stderr)
