"""Erase one patient."""

import argparse
import sys
from typing import Final

import asyncpg

from anamnesis.bootstrap import blobs_of
from anamnesis.cli.operating import add_patient, operate, refuse
from anamnesis.db.postgres import Database
from anamnesis.kernel.errors import Unavailable
from anamnesis.rights.actions import delete_bytes
from anamnesis.rights.store import PatientRecords, PostgresRightsStore
from anamnesis.settings import Settings

_LEFT: Final = 1
SUMMARY: Final = "erase everything of one patient for good, except the audit trail, which holds no content"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, and whether that is meant."""
    add_patient(parser, is_required=False)
    parser.add_argument("--confirm", metavar="ID", help="the patient's id again, to erase without being asked")
    parser.add_argument("--requested", action="store_true", help="only list who asked to be erased, and when")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when done, 1 when bytes of files, or samples, are left that go later, 2 when nothing was erased."""
    if arguments.requested:
        return operate(_list)
    if arguments.patient is None:
        return refuse("--patient: is not given. `--requested` lists who asked.")

    async def erase(records: PatientRecords, settings: Settings) -> int:
        patient_id = (await records.find(arguments.patient))["id"]
        if not _is_meant(str(patient_id), arguments.confirm):
            return refuse("Not confirmed. Nothing was erased.")
        await records.erase(patient_id)
        print(f"Patient {patient_id} was erased. Backups made before still hold the records until they expire.")
        return max(await _delete_files(settings), await _forget_samples(records))

    return operate(erase)


def _is_meant(patient_id: str, confirmed: str | None) -> bool:
    if confirmed is None and sys.stdin.isatty():
        confirmed = input(f"This cannot be undone. Type {patient_id} to erase this patient: ").strip()
    return confirmed == patient_id


async def _list(records: PatientRecords, _: Settings) -> int:
    for row in await records.requests():
        print(f"{row['patient_id']}  asked {row['asked_at']:%Y-%m-%d %H:%M} UTC")
    return 0


async def _forget_samples(records: PatientRecords) -> int:
    try:
        await records.forget_samples()
    except asyncpg.PostgresError:
        print(
            "PostgreSQL keeps samples of columns to plan with; run ANALYZE, for they may hold values.", file=sys.stderr
        )
        return _LEFT
    return 0


async def _delete_files(settings: Settings) -> int:
    url = settings.database.url
    assert url is not None, "what migrates is DATABASE_URL when nothing else is set"
    database, blobs = Database(url.reveal()), blobs_of(settings)
    try:
        while await delete_bytes(PostgresRightsStore(database), blobs):
            pass
    except Unavailable:
        print("Some files could not be reached; the service deletes them as soon as they can be.", file=sys.stderr)
        return _LEFT
    finally:
        await database.close()
    return 0
