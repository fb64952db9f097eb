"""What an operator's commands share: how they refuse, and the database as its owner for those about one patient."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import asyncpg

from anamnesis.db.encryption import Keyring, keyring_of
from anamnesis.db.migrating import NotMigrated
from anamnesis.kernel.errors import AnamnesisError
from anamnesis.rights.store import PatientRecords, operating
from anamnesis.settings import Settings, SettingsInvalid
from anamnesis.settings.reading import Problem

REFUSED: Final = 2
NOT_MIGRATED: Final = "The database of DATABASE_URL is not up to date: run `anamnesis migrate` first."


def add_patient(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    """The patient a command is about."""
    parser.add_argument(
        "--patient", metavar="ID", type=_uuid, required=is_required, help="the patient's id, or that of the account"
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be an id like 1b4e28ba-2fa1-4d2b-883f-0016d3cca427") from None


def database_and_keys(names: str) -> tuple[str, Keyring]:
    """The database of the environment as its owner, and the keys. Raises SettingsInvalid; names says what it names."""
    url = Settings.database_from_env(os.environ).migrating_url
    if url is None:
        raise SettingsInvalid((Problem("DATABASE_URL", f"is not set. It names {names}."),))
    return url.reveal(), keyring_of(Settings.encryption_from_env(os.environ))


def operate(work: Callable[[PatientRecords, Settings], Awaitable[int]]) -> int:
    """Run work on the database of the environment; exit 2 when it refused or could not be done."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsInvalid as invalid:
        return refuse(str(invalid))
    url = settings.database.migrating_url
    if url is None:
        return refuse("DATABASE_URL: is not set. It names the database with the patient's records.")
    try:
        return asyncio.run(_operate(url.reveal(), settings, work))
    except NotMigrated:
        return refuse(NOT_MIGRATED)
    except AnamnesisError as refused:
        return refuse(str(refused))
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as failed:
        # The driver's text may hold values of a row; its name does not.
        return refuse(f"The database could not be used ({type(failed).__name__}). Nothing was changed by halves.")


async def _operate(url: str, settings: Settings, work: Callable[[PatientRecords, Settings], Awaitable[int]]) -> int:
    async with operating(url, keyring_of(settings.encryption_keys)) as records:
        return await work(records, settings)


def refuse(words: str) -> int:
    """Say why nothing was done."""
    print(words, file=sys.stderr)
    return REFUSED
