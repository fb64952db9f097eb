"""Keep one patient's records whatever is asked, or end that."""

import argparse
from typing import Final

from anamnesis.cli.operating import add_patient, operate, refuse
from anamnesis.rights.store import PatientRecords
from anamnesis.settings import Settings

SUMMARY: Final = "set or lift a legal hold: what is held is neither erased nor does it expire"
_SHORTEST: Final = 3
_LONGEST: Final = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whom, which way, and why."""
    parser.add_argument("change", choices=("set", "lift"))
    add_patient(parser)
    parser.add_argument("--reason", required=True, help="why; kept with the hold, 3 to 500 characters")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when done, 2 when it was refused."""
    reason = arguments.reason.strip()
    if not _SHORTEST <= len(reason) <= _LONGEST:
        return refuse("--reason: must be 3 to 500 characters.")

    async def change(records: PatientRecords, _: Settings) -> int:
        patient_id = (await records.find(arguments.patient))["id"]
        await (records.hold if arguments.change == "set" else records.lift)(patient_id, reason)
        print(f"The hold on patient {patient_id} was {'set' if arguments.change == 'set' else 'lifted'}.")
        return 0

    return operate(change)
