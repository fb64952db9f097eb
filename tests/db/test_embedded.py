"""The private server: whose files, whose life, and what survives."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from anamnesis.db import binaries, unprivileged
from anamnesis.db.embedded import APP, OWNER, start_embedded
from anamnesis.db.migrating import durability_problems, migrate

PARENT = """
import sys, time
from pathlib import Path
from anamnesis.db.embedded import start_embedded
server = start_embedded(Path(sys.argv[1]))
print(server.process.pid if server.process else 0, flush=True)
time.sleep(60)
"""


def query(dsn, statement):
    async def ask():
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_data_survive_a_stop_and_a_start_and_no_folder_above_is_touched(folder):
    above = [(path, path.stat().st_mode, path.stat().st_uid) for path in folder.parents]
    server = start_embedded(folder)
    query(server.dsn(OWNER, "postgres"), "CREATE TABLE kept AS SELECT 1 AS x")
    server.stop()
    began = time.monotonic()
    server = start_embedded(folder)
    assert time.monotonic() - began < 3
    assert query(server.dsn(OWNER, "postgres"), "SELECT x FROM kept") == 1
    server.stop()
    assert [(path, path.stat().st_mode, path.stat().st_uid) for path in folder.parents] == above
    assert folder.stat().st_mode & 0o077 == 0


def test_it_listens_on_no_port_and_every_durability_setting_is_on(folder):
    server = start_embedded(folder)
    dsn = server.dsn(OWNER, "postgres")
    assert query(dsn, "SHOW listen_addresses") == ""
    assert query(dsn, "SHOW data_checksums") == "on"
    assert query(dsn, "SHOW server_encoding") == "UTF8"

    async def problems():
        connection = await asyncpg.connect(dsn)
        found = await durability_problems(connection)
        await connection.close()
        return found

    assert asyncio.run(problems()) == ()
    server.stop()


def test_the_server_never_outlives_a_parent_that_was_killed(folder):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, folder], stdout=subprocess.PIPE)
    server = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 8
    while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{server}").exists()
    again = start_embedded(folder)
    assert query(again.dsn(OWNER, "postgres"), "SELECT 1") == 1
    again.stop()


def test_a_second_process_joins_the_running_server_and_does_not_end_it(folder):
    owner = start_embedded(folder)
    guest = subprocess.Popen([sys.executable, "-c", PARENT, folder], stdout=subprocess.PIPE)
    assert int(guest.stdout.readline()) == 0
    guest.kill()
    guest.wait()
    guest.stdout.close()
    assert query(owner.dsn(OWNER, "postgres"), "SELECT 1") == 1
    owner.stop()


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(folder):
    folder = folder / ("long" * 20) / "pg"
    server = start_embedded(folder)
    assert len(str(server.socket_folder)) < 100
    assert server.socket_folder.stat().st_mode & 0o077 == 0
    assert query(server.dsn(OWNER, "postgres"), "SELECT 1") == 1
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to stop being root")
def test_the_server_does_not_see_itself_as_root(folder):
    server = start_embedded(folder)
    if unprivileged.can_use_namespace():
        assert Path(f"/proc/{server.process.pid}/uid_map").read_text().split()[0] == str(unprivileged.NOBODY)
    else:
        assert Path(f"/proc/{server.process.pid}").stat().st_uid == unprivileged.NOBODY
    server.stop()


def test_programs_are_those_named_or_the_systems_or_the_wheels(tmp_path):
    with pytest.raises(binaries.NoPostgres):
        binaries.find_programs(str(tmp_path))
    found = binaries.find_programs(None)
    assert binaries.major_version(found) >= 15
    assert any(binaries.major_version(each) >= 18 for each in binaries._wheel_folders())


def test_the_service_connects_as_a_role_that_owns_nothing(folder):
    server = start_embedded(folder)
    asyncio.run(server.ensure_database())
    asyncio.run(migrate(server.owner_dsn, embedded=True))
    owned = "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = current_user"
    assert query(server.dsn(APP), owned) == 0
    assert query(server.dsn(APP), "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user") is False
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        query(server.dsn(APP), "DELETE FROM chat_messages")
    server.stop()


@pytest.mark.proves("I12")
@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_each_setting_that_could_lose_a_message_is_refused_by_name(folder, setting):
    server = start_embedded(folder, settings={setting: "off"})

    async def problems():
        connection = await asyncpg.connect(server.dsn(OWNER, "postgres"))
        found = await durability_problems(connection)
        await connection.close()
        return found

    assert asyncio.run(problems()) == (f"{setting} is off",)
    server.stop()


def a_folder_that_says(folder, version):
    """A folder with a `postgres` that is only good for telling its version."""
    folder.mkdir(parents=True)
    program = folder / "postgres"
    program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
    program.chmod(0o755)
    return folder


def test_a_named_folder_beats_the_newest_system_one_which_beats_a_wheel(tmp_path, monkeypatch):
    named = a_folder_that_says(tmp_path / "named", "15.9")
    system = {major: a_folder_that_says(tmp_path / "system" / major / "bin", f"{major}.1") for major in ("14", "16")}
    a_folder_that_says(tmp_path / "system" / "15" / "bin", "15.1")
    monkeypatch.setattr(binaries, "_SYSTEM", tmp_path / "system")
    assert binaries.find_programs(str(named)) == named
    assert binaries.find_programs(None) == system["16"]
    with pytest.raises(binaries.NoPostgres):
        binaries.find_programs(str(system["14"]))
    monkeypatch.setattr(binaries, "_SYSTEM", tmp_path / "nothing")
    assert binaries.find_programs(None) in list(binaries._wheel_folders())
