"""`anamnesis check` and `anamnesis migrate`, as an operator meets them."""

import base64
import json
import os
import subprocess
import sys
import time

import pytest

from anamnesis.cli import main
from anamnesis.cli.check import Outcome, check
from anamnesis.settings import VARIABLES
from build import ENCRYPTION_KEYS, a_session, an_app, closing, tell
from files.bucket import BUCKET, KEY_ID, REGION, SECRET, a_bucket

QUIET = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
PRODUCTION = {
    "ANAMNESIS_ENV": "production",
    "CLERK_SECRET_KEY": "sk_live_Zk3pQ8rTnW5yB2mX7cVd",
    "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": "pk_live_" + base64.b64encode(b"clerk.clinic.ug$").decode(),
    "NEXT_PUBLIC_APP_URL": "https://clinic.ug",
    "AI_PROVIDER": "builtin",
}


def ran(*words, **environment):
    command = [sys.executable, "-c", "import sys; from anamnesis.cli import main; sys.exit(main())", *words]
    started = time.monotonic()
    environment = {**QUIET, **environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


async def outcomes(environment):
    return {(finding.part, finding.outcome) for finding in await check(environment)}


async def test_it_says_under_which_key_words_are_written_and_when_there_is_none(clinic):
    key = base64.b64encode(bytes(range(32))).decode()
    assert ("encryption", Outcome.SKIPPED) in await outcomes({})
    assert "encrypted under k2; k1 still read" in await words({"ENCRYPTION_KEYS": f"k2:{key},k1:{key}"})
    production = {**PRODUCTION, "DATABASE_URL": clinic.app_dsn}
    assert ("ENCRYPTION_KEYS", Outcome.WARNING) in await outcomes(production)
    assert key not in await words({**production, "ENCRYPTION_KEYS": f"k1:{key}"})


async def test_it_names_a_key_that_words_stand_under_and_that_is_not_set(clinic):
    database = {"DATABASE_URL": clinic.app_dsn, "DATABASE_DIRECT_URL": clinic.owner_dsn}
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session_id = await a_session(app)
        await tell(app, session_id, "It is about me")
    other = base64.b64encode(bytes(range(1, 33))).decode()
    for keys in ({}, {"ENCRYPTION_KEYS": f"other:{other}"}):
        told = [finding for finding in await check({**database, **keys}) if "lacks first," in finding.words]
        assert {(each.part, each.outcome) for each in told} == {
            ("database", Outcome.WARNING), ("database (direct)", Outcome.WARNING),
        }  # fmt: skip
    assert "lacks" not in await words({**database, "ENCRYPTION_KEYS": f"other:{other},{ENCRYPTION_KEYS}"})


async def words(environment):
    return " ".join(finding.words for finding in await check(environment))


def test_a_fresh_clone_is_all_good_and_every_variable_is_listed(monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", QUIET)
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert all(variable.name in said for variable in VARIABLES)


@pytest.mark.parametrize("command", ["check", "serve", "work", "demo"])
@pytest.mark.proves("I43")
def test_what_is_invalid_ends_every_command_with_two_within_two_seconds_and_without_a_value(command):
    secret = "sk_live_Zk3pQ8rTnW5yB2mX 7cVd"
    status, said, seconds = ran(
        command, ANAMNESIS_ENV="production", PORT="eighty", CLERK_SECRET_KEY=secret, AI_PROVIDER="oracle"
    )
    assert status == 2
    assert seconds < 2
    missing = ("DATABASE_URL", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "NEXT_PUBLIC_APP_URL")
    assert all(name in said for name in (*missing, "PORT", "CLERK_SECRET_KEY", "AI_PROVIDER"))
    assert not any(value in said for value in (secret, "eighty", "oracle"))


def test_the_json_report_says_the_same_to_a_machine():
    status, said, _ = ran("check", "--json", PORT="eighty")
    report = json.loads(said)
    assert (status, report["status"], report["exit"]) == (2, "invalid", 2)
    assert [(each["part"], each["outcome"]) for each in report["checks"]] == [("PORT", "invalid")]
    assert {each["name"]: each["state"] for each in report["variables"]}["PORT"] == "set"


async def test_whether_files_can_be_kept_is_tried_out(tmp_path):
    new = tmp_path / "deep" / "files"
    assert ("files", Outcome.OK) in await outcomes({"FILES_FOLDER": str(new)})
    assert not new.exists()
    new.mkdir(parents=True)
    assert ("files", Outcome.OK) in await outcomes({"FILES_FOLDER": str(new)})
    assert not [each for each in new.rglob("*") if each.is_file()]
    (new / "unfinished").rmdir()
    (new / "unfinished").write_text("a file where a folder should be")
    assert ("files", Outcome.WARNING) in await outcomes({"FILES_FOLDER": str(new)})
    (tmp_path / "file").write_text("")
    assert ("files", Outcome.WARNING) in await outcomes({"FILES_FOLDER": str(tmp_path / "file" / "below")})
    bucket = {"FILES_S3_BUCKET": "files", "FILES_S3_KEY_ID": "k", "FILES_S3_SECRET_KEY": "q8ZtWn5yB2mX7cVd"}
    with a_bucket() as store:
        right = {"FILES_S3_BUCKET": BUCKET, "FILES_S3_KEY_ID": KEY_ID, "FILES_S3_SECRET_KEY": SECRET}
        whole = {**right, "FILES_S3_REGION": REGION, "FILES_S3_URL": store.url}
        assert ("files", Outcome.OK) in await outcomes(whole)
        assert store.blobs == {}
        assert ("files", Outcome.WARNING) in await outcomes({**bucket, "FILES_S3_URL": store.url})
    nobody = {**bucket, "FILES_S3_URL": "http://127.0.0.1:9"}
    assert ("files", Outcome.WARNING) in await outcomes(nobody)
    assert "q8Zt" not in await words(nobody)


async def test_a_database_that_cannot_be_reached_is_a_warning_that_repeats_nothing():
    url = "postgresql://app:q8Zt@127.0.0.1:1/clinic"
    environment = {**PRODUCTION, "DATABASE_URL": url}
    assert ("database", Outcome.WARNING) in await outcomes(environment)
    assert "q8Zt" not in await words(environment)


async def test_a_durable_migrated_database_is_good_as_owner_and_as_app(server):
    await server.ensure_database()
    for dsn in (server.owner_dsn, server.app_dsn):
        found = await outcomes({**PRODUCTION, "DATABASE_URL": dsn})
        assert {outcome for part, outcome in found if part == "database"} == {Outcome.OK}


async def test_a_login_that_owns_the_tables_is_told_of(clinic):
    said = {dsn: await words({**PRODUCTION, "DATABASE_URL": dsn}) for dsn in (clinic.owner_dsn, clinic.app_dsn)}
    assert ["owns the tables" in each for each in said.values()] == [True, False]


async def test_what_is_missing_in_a_database_is_named(clinic, owner):
    await owner.execute("DELETE FROM schema_migrations WHERE number = 2")
    await owner.execute("ALTER TABLE chat_messages NO FORCE ROW LEVEL SECURITY")
    said = await words({**PRODUCTION, "DATABASE_URL": clinic.app_dsn})
    assert "1 migrations are missing" in said
    assert "row-level security is off for chat_messages" in said
    assert "fsync is off" in said


async def test_signed_content_cannot_be_asked_of_a_draft():
    assert ("content", Outcome.INVALID) in await outcomes({"CONTENT_STATUS": "signed"})


async def test_a_provider_is_named_and_not_called_unless_asked_to():
    found = await check(
        {"AI_PROVIDER": "openai", "OPENAI_API_KEY": "sk-Q8fj20dj", "OPENAI_BASE_URL": "http://127.0.0.1:1"}
    )
    said = [finding for finding in found if finding.part == "ai"]
    assert {finding.outcome for finding in said} == {Outcome.OK}
    assert "not called" in said[0].words
    assert "giveConsent" in said[3].words
    assert said[4].words.startswith("models see the photos")
    assert "Q8fj20dj" not in str(found)


async def test_the_caps_are_told_and_which_cannot_be_kept_without_prices():
    environment = {"AI_PROVIDER": "openai", "OPENAI_API_KEY": "sk-Q8fj20dj", "OPENAI_MODEL": "m-1"}
    assert "no cap is kept: the price of m-1 is not set (AI_PRICES)" in await words(environment)
    priced = {**environment, "AI_PRICES": "m-1=1/2", "AI_SESSION_USD": "0.25"}
    assert "at most $0.25 an interview (AI_SESSION_USD), $1.00 a patient and day (AI_PATIENT_USD)" in await words(
        priced
    )


async def test_migrating_is_safe_to_repeat_and_says_what_is_pending(clinic, owner):
    await owner.execute("CREATE DATABASE fresh_for_migrate")
    url = clinic.owner_dsn.replace(clinic.owner_dsn.partition("@/")[2].partition("?")[0], "fresh_for_migrate")
    try:
        assert ran("migrate", "--pending", DATABASE_URL=url)[0] == 1
        status, said, _ = ran("migrate", DATABASE_URL=url)
        assert (status, "applied 0001_jobs.sql" in said) == (0, True)
        assert ran("migrate", DATABASE_URL=url)[:2] == (0, "The schema is current.\n")
        assert ran("migrate", "--pending", DATABASE_URL=url)[0] == 0
    finally:
        await owner.execute("DROP DATABASE fresh_for_migrate WITH (FORCE)")


def test_migrating_nothing_or_an_absent_server_says_so():
    assert ran("migrate")[0] == 2
    status, said, _ = ran("migrate", DATABASE_URL="postgresql://app:q8Zt@127.0.0.1:1/clinic")
    assert (status, "q8Zt" in said) == (1, False)
