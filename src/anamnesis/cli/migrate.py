"""Bring the database's schema forward."""

import argparse
import asyncio
import os
import sys
from typing import Final
from urllib.parse import unquote, urlsplit

import asyncpg

from anamnesis.db.migrating import MigrationRefused, migrate, pending
from anamnesis.settings import Database, Settings, SettingsInvalid

SUMMARY: Final = "bring the database's schema forward; safe to repeat, and from several places at once"
_CONNECT_S: Final = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to change anything."""
    parser.add_argument("--pending", action="store_true", help="only name what is missing; exit 1 if anything is")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when the schema is current, 1 when the server could not be reached, 2 when nothing can be done so."""
    try:
        database = Settings.database_from_env(os.environ)
        if database.migrating_url is None:
            print("DATABASE_URL: is not set. `anamnesis demo` migrates its private database itself.", file=sys.stderr)
            return 2
        return asyncio.run(_pending(database) if arguments.pending else _migrate(database))
    except (SettingsInvalid, MigrationRefused) as refused:
        print(refused, file=sys.stderr)
        return 2
    except asyncpg.InvalidAuthorizationSpecificationError:
        print("The database refused the login of the migrating URL.", file=sys.stderr)
        return 1
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
        print("The database could not be reached.", file=sys.stderr)
        return 1


async def _migrate(database: Database) -> int:
    applied = await migrate(_address(database), app_login=_app_login(database))
    for name in applied:
        print(f"applied {name}")
    print("The schema is current.")
    return 0


async def _pending(database: Database) -> int:
    connection = await asyncpg.connect(_address(database), timeout=_CONNECT_S)
    try:
        missing = await pending(connection)
    finally:
        await connection.close()
    for name in missing:
        print(name)
    return 1 if missing else 0


def _address(database: Database) -> str:
    url = database.migrating_url
    assert url is not None
    return url.reveal()


def _app_login(database: Database) -> str | None:
    """Who the service signs in as, where that is not who migrates."""
    user = urlsplit(database.url.reveal()).username if database.url and database.direct_url else None
    return unquote(user) if user else None
