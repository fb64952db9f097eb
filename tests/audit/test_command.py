"""anamnesis audit: what it prints, and its exit status."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from anamnesis.cli.audit import cell, heads_in
from anamnesis.db.postgres import Database
from anamnesis.db.sealing import Sealer
from build import WORKING

PATIENT = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


def command(dsn, *words):
    anamnesis = Path(sys.executable).with_name("anamnesis")
    environment = {"PATH": os.environ["PATH"], **({"DATABASE_URL": dsn} if dsn else {})}
    done = subprocess.run(
        [anamnesis, "audit", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
async def trail(owner, database):
    await owner.execute(
        "INSERT INTO audit_logs (action, resource_type, resource_id, patient_ids, metadata, created_at) VALUES"
        " ('a', 'x', '=1+1', ARRAY[$1::uuid], '{\"reason\": \"=cmd, \\\"two\\\"\"}', '2026-01-01Z'),"
        " ('b', 'x', 'two\nlines', NULL, NULL, '2026-02-01Z'), ('c', 'x', '3', NULL, NULL, '2026-03-01Z')",
        PATIENT,
    )
    await Sealer(database).seal()
    return owner


async def test_verify_says_how_far_the_trail_is_whole(clinic, trail):
    status, said, _ = command(clinic.owner_dsn, "verify")
    assert status == 0
    assert "3 lines are as they were sealed" in said
    head = said.split("Head ")[1].split()[0]
    assert command(clinic.owner_dsn, "verify", "--expect-head", head)[0] == 0


async def test_verify_names_the_first_place_that_was_tampered_with(clinic, trail):
    await trail.execute("UPDATE audit_logs SET action = 'z' WHERE id = 2")
    status, said, _ = command(clinic.owner_dsn, "verify")
    assert (status, said) == (1, "TAMPERED place 2 (line 2): what is there is not what was sealed there\n")


async def test_verify_compares_with_the_heads_a_log_tells_of(clinic, trail, tmp_path):
    log = tmp_path / "log"
    log.write_text(
        'nothing\n{"event":"x"}\n' + json.dumps({"event": "audit.head", "audit_seq": 3, "audit_hash": "0" * 64})
    )
    status, said, _ = command(clinic.owner_dsn, "verify", "--heads", str(log))
    assert status == 1
    assert said.startswith("TAMPERED place 3")


async def test_a_log_without_any_head_is_no_comparison(clinic, trail, tmp_path):
    log = tmp_path / "log"
    log.write_text('{"event":"x"}\n')
    status, _, complained = command(clinic.owner_dsn, "verify", "--heads", str(log))
    assert status == 2
    assert "no audit.head" in complained


def test_of_two_heads_of_one_place_the_first_is_believed():
    told = [{"event": "audit.head", "audit_seq": 4, "audit_hash": each} for each in ("true", "of a chain made anew")]
    assert heads_in(io.StringIO("\n".join(map(json.dumps, told)))) == {4: "true"}


def test_a_log_is_read_for_its_heads_alone():
    told = '[]\n{"event": "audit.head", "audit_seq": 4, "audit_hash": "ab"}\n{"event": "audit.head"}\n5\n'
    assert heads_in(io.StringIO(told)) == {4: "ab"}


async def test_verify_cannot_say_when_nobody_seals_or_nothing_is_there(clinic, owner):
    await owner.execute("INSERT INTO audit_logs (action, resource_type) VALUES ('a', 'x')")
    await owner.execute("UPDATE audit_unsealed SET waits_since = waits_since - interval '2 minutes'")
    assert command(clinic.owner_dsn, "verify")[0] == 2
    assert command("postgresql://nobody@127.0.0.1:1/none", "verify")[0] == 2
    assert command(None, "verify")[0] == 2
    assert command(clinic.owner_dsn, "verify", "--expect-head", "3:xyz")[0] == 2


async def test_every_line_is_written_out_in_order_as_csv_that_no_spreadsheet_runs(clinic, trail):
    status, said, _ = command(clinic.owner_dsn, "export", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said, newline="")))
    assert status == 0
    assert [row["action"] for row in rows] == ["a", "b", "c"]
    assert (rows[0]["resource_id"], rows[0]["seq"], rows[0]["patient_ids"]) == ("'=1+1", "1", PATIENT)
    assert rows[1]["resource_id"] == "two\nlines"
    assert [cell(text)[0] for text in ("=a", "+a", "-a", "@a", "\ta", "\ra")] == ["'"] * 6


async def test_lines_are_written_out_as_json_by_time_and_patient(clinic, trail):
    _, said, _ = command(clinic.owner_dsn, "export", "--format", "jsonl", "--patient", PATIENT)
    (line,) = [json.loads(text) for text in said.splitlines()]
    assert line["metadata"] == {"reason": '=cmd, "two"'}
    assert line["patient_ids"] == [PATIENT]
    narrowed = ("--since", "2026-02-01", "--until", "2026-03-01T00:00:00Z")
    _, said, _ = command(clinic.owner_dsn, "export", "--format", "jsonl", *narrowed)
    assert [json.loads(text)["action"] for text in said.splitlines()] == ["b"]


async def test_an_owner_who_is_no_superuser_seals_verifies_and_writes_out(plain_dsn):
    database = Database(plain_dsn, speaks_for=WORKING)
    for action in ("a", "b"):
        await database.execute("INSERT INTO audit_logs (action, resource_type) VALUES ($1, 'x')", action)
    unspoken = Database(plain_dsn)  # as the service seals: for nobody
    assert await Sealer(unspoken).seal() == 2
    await unspoken.close()
    await database.close()
    status, said, _ = command(plain_dsn, "verify")
    assert status == 0
    assert "2 lines are as they were sealed" in said
    status, said, _ = command(plain_dsn, "export", "--format", "jsonl")
    assert [json.loads(text)["action"] for text in said.splitlines()] == ["a", "b"]
    plain = await asyncpg.connect(plain_dsn)
    assert await plain.fetchval("SELECT count(*) FROM audit_logs") == 0  # it stands before the wall
    await plain.execute("SET anamnesis.purpose = 'migration'; UPDATE audit_logs SET action = 'z' WHERE action = 'b'")
    await plain.close()
    assert command(plain_dsn, "verify")[:2] == (
        1,
        "TAMPERED place 2 (line 2): what is there is not what was sealed there\n",
    )
