"""A private PostgreSQL that lives and dies with this process, for the demo, tests and small pilots.

It listens on a unix socket in a folder only we can enter, with every durability setting on.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from anamnesis.db import binaries, unprivileged
from anamnesis.db.unprivileged import Guise
from anamnesis.kernel.errors import AnamnesisError

OWNER: Final = "anamnesis_owner"
APP: Final = "anamnesis_app"
DATABASE: Final = "anamnesis"
#: Where a service's data belong by the Filesystem Hierarchy Standard; used only by root where namespaces are forbidden.
_ELSEWHERE: Final = Path("/var/lib/anamnesis")
_PORT: Final = 5432
_LONGEST_SOCKET_FOLDER: Final = 90  # a unix socket's path holds about 107 bytes, its file name takes 15
_READY_WITHIN_S: Final = 60.0  # crash recovery after a hard stop can take a while
_STOP_WITHIN_S: Final = 8.0
_BUILTIN_LOCALE_SINCE: Final = 17

#: Statements and row values must not reach the server's log: they hold patients' words.
_SETTINGS: Final[dict[str, str]] = {
    "listen_addresses": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "max_connections": "100",
}


class EmbeddedFailed(AnamnesisError):
    """The private server did not start; what it said stands in the named file."""

    def __init__(self, log: Path) -> None:
        super().__init__(f"The embedded PostgreSQL did not start. Its own words are in {log}. No data were changed.")


@dataclass(slots=True)
class Embedded:
    """A running private server. process is None when another process of ours owns it."""

    directory: Path
    socket_folder: Path
    process: subprocess.Popen[bytes] | None = None
    _lock: int | None = field(default=None, repr=False)

    def dsn(self, user: str, database: str = DATABASE) -> str:
        """How to connect to it as this user."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket_folder), safe='/')}&port={_PORT}"

    @property
    def owner_dsn(self) -> str:
        """How the migrations connect."""
        return self.dsn(OWNER)

    @property
    def app_dsn(self) -> str:
        """How the service connects: as a role that owns nothing."""
        return self.dsn(APP)

    async def ensure_database(self, name: str = DATABASE) -> None:
        """Make the database if this server does not have it yet."""
        connection = await asyncpg.connect(self.dsn(OWNER, "postgres"), timeout=10)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
        except asyncpg.DuplicateDatabaseError:
            pass  # another process of ours was quicker
        finally:
            await connection.close()

    def stop(self) -> None:
        """Shut the server down in order, if it is ours; every committed change is on disk before this returns."""
        if self.process is not None:
            _shut_down(self.process)
        self.process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def start_embedded(
    directory: Path,
    *,
    pg_bin: str | None = None,
    settings: Mapping[str, str] | None = None,
    guise: Guise | None = None,
    elsewhere: Path = _ELSEWHERE,
) -> Embedded:
    """Start the server whose data lie in this directory, making it on first use; join it if it already runs.

    Call it from the main thread: the server is told to stop when that thread ends, however it ends.
    When the server must run as a user who could not walk down to the directory, its data lie under elsewhere instead,
    in a folder of that directory's own. settings and guise override ours and are for tests.
    Raises NoPostgres or EmbeddedFailed.
    """
    guise = guise or unprivileged.fitting_guise()
    home = _home(directory.absolute(), guise, elsewhere)
    socket_folder = _socket_folder(home, guise)
    lock = os.open(home / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return _join(home, socket_folder)
    try:
        process = _start(home, socket_folder, guise, binaries.find_programs(pg_bin), {**_SETTINGS, **(settings or {})})
    except BaseException:
        os.close(lock)
        raise
    return Embedded(home, socket_folder, process, lock)


def _start(
    home: Path, socket_folder: Path, guise: Guise, programs: Path, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Make the cluster if there is none, wait for a predecessor to be gone, and launch; we hold the owner's lock."""
    programs, data = _reachable(programs, home, guise), home / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(programs, data, home, guise)
    _wait_until_gone(data)
    process = _launch(programs, data, socket_folder, settings, guise)
    _wait_until_ready(process, data)
    return process


def _home(directory: Path, guise: Guise, elsewhere: Path) -> Path:
    """Where the server's files lie: the directory, or a stand-in its user can reach. No other folder's mode changes."""
    if guise.owner_id is not None and not _is_open(directory.parent):
        elsewhere.mkdir(mode=0o755, parents=True, exist_ok=True)
        directory = elsewhere / hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _give(directory, guise)
    return directory


def _socket_folder(home: Path, guise: Guise) -> Path:
    """A private folder for the socket: beside the data, or a short one when that path is too long for a socket."""
    folder = home / "socket"
    if len(str(folder)) > _LONGEST_SOCKET_FOLDER:
        folder = _short_folder(home / "socket.path", guise)
    folder.mkdir(mode=0o700, exist_ok=True)
    _give(folder, guise)
    return folder


def _short_folder(note: Path, guise: Guise) -> Path:
    """The folder the note names if it is still ours alone, for anybody could make one of that name; else a new one."""
    if note.exists() and _is_private(Path(note.read_text()), {os.geteuid(), guise.owner_id}):
        return Path(note.read_text())
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-"))
    note.write_text(str(folder))
    return folder


def _is_private(folder: Path, owners: Container[int | None]) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid in owners and not found.st_mode & 0o077


def _give(folder: Path, guise: Guise) -> None:
    """Let the server's user own the folder, where that is not ourselves."""
    if guise.owner_id is not None:
        os.chown(folder, guise.owner_id, guise.owner_id)


def _reachable(programs: Path, home: Path, guise: Guise) -> Path:
    """The programs, copied beside the data when the server's user could not reach them where they are."""
    if guise.owner_id is None or _is_open(programs):
        return programs
    copy, unfinished = home / "pginstall", home / "pginstall.new"
    if not copy.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(programs.parent, unfinished, symlinks=True)
        unfinished.rename(copy)
    return copy / "bin"


def _is_open(folder: Path) -> bool:
    """Whether everybody may walk down to this folder, as far as it exists."""
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents) if parent.exists())


def _initialise(programs: Path, data: Path, home: Path, guise: Guise) -> None:
    """Make the cluster in a folder of its own and rename it when whole, so that a crash leaves no half of one."""
    made = home / "data.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    _give(made, guise)
    modern = binaries.major_version(programs) >= _BUILTIN_LOCALE_SINCE
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if modern else ("--no-locale",)
    command = [programs / "initdb", "-D", made, "-U", OWNER, "-A", "trust", "-E", "UTF8", "-k", *locale]
    with (home / "initdb.log").open("wb") as log:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            check=False,
            preexec_fn=unprivileged.preparation(guise),
        )
    if done.returncode:
        raise EmbeddedFailed(home / "initdb.log")
    made.rename(data)


def _launch(
    programs: Path, data: Path, socket_folder: Path, settings: Mapping[str, str], guise: Guise
) -> subprocess.Popen[bytes]:
    """Start the server in a session of its own, so that a Ctrl-C in the terminal reaches us first."""
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command: list[str | Path] = [programs / "postgres", "-D", data, "-k", socket_folder, "-p", str(_PORT), *options]
    with (data.parent / "server.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            preexec_fn=unprivileged.preparation(guise),  # noqa: PLW1509 - no thread exists yet
        )


def _environment() -> dict[str, str]:
    """The server needs no variable of ours; a stray PG* one could redirect it."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _wait_until_gone(data: Path) -> None:
    """A predecessor whose parent was killed may still be shutting down: let it finish."""
    deadline = time.monotonic() + _STOP_WITHIN_S
    while (pid := _pid_in(data)) is not None and _is_alive(pid) and time.monotonic() < deadline:
        if not _is_server(pid):
            (data / "postmaster.pid").unlink()
            return
        time.sleep(0.02)


def _is_server(pid: int) -> bool:
    """Whether a PostgreSQL runs under this id; after a hard stop the id may have gone to anything else."""
    try:
        return "postgres" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return True


def _pid_in(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    """Whether a process of this id still runs; one that has ended and was not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return Path("/proc/self").exists() is False and _answers(pid)


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path) -> None:
    """The server writes its state into its pid file: watching it costs nothing and tells the moment exactly."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while not _says_ready(data, process.pid):
        if process.poll() is not None or time.monotonic() > deadline:
            _shut_down(process)
            raise EmbeddedFailed(data.parent / "server.log")
        time.sleep(0.005)


def _shut_down(process: subprocess.Popen[bytes]) -> None:
    """In order if it can be; at once, with recovery at the next start, if it takes too long."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()


def _says_ready(data: Path, pid: int | None) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return any(line.strip() == "ready" for line in lines) and (pid is None or lines[0] == str(pid))


def _join(directory: Path, socket_folder: Path) -> Embedded:
    """Use the server another process of ours is running, once it is ready."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while not _says_ready(directory / "data", None):
        if time.monotonic() > deadline:
            raise EmbeddedFailed(directory / "server.log")
        time.sleep(0.02)
    return Embedded(directory, socket_folder)
