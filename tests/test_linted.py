"""What the linter is trusted with: a statement built from strings does not pass the gate, and nothing opts out."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT = {
    "formatted": 'def find(c, name):\n    return c.fetch(f"SELECT id FROM users WHERE name = {name}")\n',
    "added": 'def find(c, name):\n    return c.fetch("SELECT id FROM users WHERE name = " + name)\n',
    "percent": 'def find(c, name):\n    return c.fetch("DELETE FROM users WHERE name = %s" % name)\n',
}


@pytest.mark.parametrize("how", BUILT)
@pytest.mark.parametrize("room", ["db/x.py", "intake/store.py", "care/store.py"])
def test_a_statement_built_from_strings_does_not_pass(how, room):
    command = [Path(sys.executable).parent / "ruff", "check", "--stdin-filename", f"src/anamnesis/{room}", "-"]
    said = subprocess.run(command, input=BUILT[how], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "S608" in said.stdout


def test_nothing_opts_out_of_it():
    assert [path for path in (ROOT / "src").rglob("*.py") if "S608" in path.read_text()] == []
    assert "S608" not in (ROOT / "pyproject.toml").read_text()
