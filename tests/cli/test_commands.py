import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anamnesis.cli import main

ANAMNESIS = Path(sys.executable).parent / "anamnesis"
BARE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def run(*arguments, **variables):
    began = time.monotonic()
    done = subprocess.run(
        [ANAMNESIS, *arguments], env={**BARE, **variables}, capture_output=True, text=True, check=False, timeout=20
    )
    return done, time.monotonic() - began


@pytest.mark.parametrize("command", ["check", "serve", "work"])
def test_an_invalid_environment_is_told_whole_by_name_and_never_by_value(command):
    secret = "hunter2-not-to-be-shown"
    done, took = run(command, ANAMNESIS_ENV="production", DATABASE_URL=secret, PORT="many")
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert took < 4  # two seconds on a quiet machine; this one is shared
    for name in ("DATABASE_URL", "PORT", "CLERK_SECRET_KEY", "NEXT_PUBLIC_APP_URL", "AI_PROVIDER"):
        assert name in said
    assert secret not in said
    assert "many" not in said


def test_signed_content_cannot_be_served_while_it_is_a_draft(monkeypatch, capsys):
    asked = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x", "CONTENT_STATUS": "signed"}
    monkeypatch.setattr(os, "environ", {**BARE, **asked})
    assert main(["serve"]) == 2
    assert "signed" in capsys.readouterr().err


def test_the_demo_refuses_production_and_other_hosts():
    done, _ = run("demo", HOST="0.0.0.0")
    assert done.returncode == 2
    assert "HOST" in done.stderr


def test_an_unknown_command_shows_the_known_ones():
    done, _ = run("nonsense")
    assert done.returncode == 2
    assert "migrate" in done.stderr


def test_the_content_check_passes(capsys):
    assert main(["content", "check"]) == 0, capsys.readouterr().err
