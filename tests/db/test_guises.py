"""The private server under other circumstances: another user, no namespaces, a pid reused, a folder stolen."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest

from anamnesis.db.embedded import OWNER, EmbeddedFailed, start_embedded
from anamnesis.db.unprivileged import NOBODY, Guise, is_root

as_root = pytest.mark.skipif(not is_root(), reason="only root can become somebody else")

PARENT = """
import asyncio, signal, sys, time
from pathlib import Path
from anamnesis.db.embedded import start_embedded
server = start_embedded(Path(sys.argv[1]))
try:
    print(server.process.pid, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    pass
finally:
    server.stop()
"""


async def ask(server, statement):
    connection = await asyncpg.connect(server.dsn(OWNER, "postgres"))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def user_of(pid):
    return Path(f"/proc/{pid}").stat().st_uid


def modes_above(folder):
    return [(path, path.stat().st_mode, path.stat().st_uid) for path in folder.parents]


@pytest.fixture
def open_folder():
    """A folder everybody can walk down to."""
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@as_root
async def test_where_namespaces_are_forbidden_the_server_runs_as_nobody_and_opens_no_folder(open_folder):
    folder = open_folder / "deep" / "postgres"
    folder.parent.mkdir()
    above = modes_above(folder)
    server = start_embedded(folder, guise=Guise.NOBODY)
    assert server.directory == folder
    assert user_of(server.process.pid) == NOBODY
    assert await ask(server, "SELECT 1") == 1
    server.stop()
    assert modes_above(folder) == above
    assert folder.stat().st_mode & 0o777 == 0o700


@as_root
async def test_data_its_user_could_not_reach_lie_elsewhere_and_survive(folder, open_folder):
    closed = folder / "postgres"  # below a folder only root may enter
    above = modes_above(closed)
    for number in (0, 1):
        server = start_embedded(closed, guise=Guise.NOBODY, elsewhere=open_folder / "data")
        assert server.directory.parent == open_folder / "data"
        await ask(server, "CREATE TABLE IF NOT EXISTS kept (x int)")
        assert await ask(server, "SELECT count(*) FROM kept") == number
        await ask(server, "INSERT INTO kept VALUES (1)")
        server.stop()
    assert modes_above(closed) == above
    assert not closed.exists()


@as_root
def test_somebody_who_is_not_root_needs_none_of_this(open_folder):
    folder = open_folder / "postgres"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    python = Path(sys.executable)
    if not all(path.stat().st_mode & 0o001 for path in (python.resolve(), *python.resolve().parents)):
        pytest.skip("this Python lies where nobody can reach it")
    parent = subprocess.Popen(
        [python, "-c", PARENT, folder],
        stdout=subprocess.PIPE,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"},
    )
    pid = int(parent.stdout.readline())
    assert user_of(pid) == NOBODY
    parent.send_signal(signal.SIGTERM)
    parent.wait()
    parent.stdout.close()
    wait_until_gone(pid)


def wait_until_gone(pid):
    deadline = time.monotonic() + 8
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)


def test_ctrl_c_in_the_terminal_leaves_no_server_behind(folder):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, folder / "postgres"], stdout=subprocess.PIPE, start_new_session=True
    )
    pid = int(parent.stdout.readline())
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait() == 0
    parent.stdout.close()
    wait_until_gone(pid)
    assert not (folder / "postgres" / "data" / "postmaster.pid").exists()


async def test_a_pid_file_left_by_a_power_cut_does_not_keep_the_server_down_though_its_pid_is_taken(folder):
    server = start_embedded(folder / "postgres")
    server.process.kill()
    server.stop()
    left = folder / "postgres" / "data" / "postmaster.pid"
    lines = left.read_text().split("\n")
    left.write_text("\n".join([str(os.getpid()), *lines[1:]]))  # as if the number had gone to us
    server = start_embedded(folder / "postgres")
    assert await ask(server, "SELECT 1") == 1
    server.stop()


async def test_a_short_socket_folder_somebody_else_made_is_not_used(folder):
    deep = folder / ("long" * 20)
    deep.mkdir()
    stolen = folder / "stolen"
    stolen.mkdir()
    stolen.chmod(0o777)
    (deep / "socket.path").write_text(str(stolen))
    server = start_embedded(deep)
    assert server.socket_folder != stolen
    assert await ask(server, "SELECT 1") == 1
    server.stop()
    shutil.rmtree(server.socket_folder)


async def test_a_start_that_failed_can_be_tried_again(folder):
    with pytest.raises(EmbeddedFailed):
        start_embedded(folder / "postgres", settings={"no_such_setting": "1"})
    server = start_embedded(folder / "postgres")
    assert await ask(server, "SELECT 1") == 1
    server.stop()
