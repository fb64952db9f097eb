"""Give a copy of everything kept of one patient."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from anamnesis.bootstrap import blobs_of
from anamnesis.cli.operating import add_patient, operate, refuse
from anamnesis.files.model import PDF, blob_of
from anamnesis.kernel.errors import Unavailable
from anamnesis.rights.fhir import document_of
from anamnesis.rights.model import PatientFile
from anamnesis.rights.store import PatientRecords
from anamnesis.rights.views import as_json
from anamnesis.settings import Settings

SUMMARY: Final = "copy everything kept of one patient: our JSON, and a FHIR R4 document of what was told with evidence"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, what, and where to."""
    add_patient(parser)
    parser.add_argument("--format", choices=("json", "fhir"), default="json", help="what to print (default: json)")
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="write both, and the files, into a new folder")
    parser.add_argument("--for-patient", action="store_true", help="leave out what doctors wrote for doctors")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when everything was written, 2 when nothing could be."""
    if arguments.to is not None and (problem := _problem(arguments.to)):
        return refuse(f"--to: {problem} Nothing was written.")

    async def export(records: PatientRecords, settings: Settings) -> int:
        file, at = await records.whole(arguments.patient), datetime.now(UTC)
        own = as_json(file, at, for_patient=arguments.for_patient)
        fhir = document_of(file, at, for_patient=arguments.for_patient)
        if arguments.to is None:
            sys.stdout.buffer.write(_text(own if arguments.format == "json" else fhir))
            return 0
        try:
            _make(arguments.to)
            _write(arguments.to / "export.json", _text(own))
            _write(arguments.to / "fhir.json", _text(fhir))
            missing = await _copy_files(file, arguments.to / "files", settings, for_patient=arguments.for_patient)
        except (OSError, Unavailable) as failed:
            return refuse(f"--to: the copy could not be written ({type(failed).__name__}). What is there is not whole.")
        for name in missing:
            print(f"{name}: its bytes are not in the store", file=sys.stderr)
        return 1 if missing else 0

    return operate(export)


def _problem(folder: Path) -> str | None:
    """What is wrong with where to write, found out before anything is read, for reading is audited."""
    if folder.exists() or folder.is_symlink():
        return "this is there already, and nothing is written over. Give a folder that is not there."
    if not folder.parent.is_dir():
        return "there is no such folder to make it in."
    return None if os.access(folder.parent, os.W_OK | os.X_OK) else "nothing can be made there."


def _text(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700)


def _write(path: Path, content: bytes) -> None:
    """For its owner's eyes only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


async def _copy_files(file: PatientFile, folder: Path, settings: Settings, *, for_patient: bool) -> list[str]:
    """The names of the files whose bytes are not there."""
    blobs, missing = blobs_of(settings), []
    _make(folder)
    rows = [row for interview in file.interviews for row in interview.files]
    wanted = [row for row in rows if not for_patient or row["uploader_id"] == file.account["id"]]
    for row in wanted:
        name = f"{row['id']}.{'pdf' if row['file_type'] == PDF else 'jpg'}"
        try:
            _write(folder / name, await blobs.get(blob_of(row["id"])))
        except FileNotFoundError:
            missing.append(name)
    return missing
