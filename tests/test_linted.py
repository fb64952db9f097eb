"""What the linter is trusted with: a statement built from strings does not pass the gate."""

import ast
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


#: A take-over, the copy of what it kept and a rotation speak of tables by name: of our own lists, or in the quoting of
#: the catalogue.
NAMED_BY_THE_SERVER = {"legacy/source.py": 2, "legacy/target.py": 11, "db/resealing.py": 4, "rights/store.py": 1}


@pytest.mark.parametrize("how", BUILT)
@pytest.mark.parametrize("room", ["db/x.py", "intake/store.py", "care/store.py"])
def test_a_statement_built_from_strings_does_not_pass(how, room):
    command = [Path(sys.executable).parent / "ruff", "check", "--stdin-filename", f"src/anamnesis/{room}", "-"]
    said = subprocess.run(command, input=BUILT[how], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "S608" in said.stdout


def test_what_opts_out_puts_nothing_but_our_own_constants_together():
    """At a module's top, from its own constants: no value of a caller can stand in it."""
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        excused = {number for number, line in enumerate(text.splitlines(), start=1) if "noqa: S608" in line}
        constants = [node.value for node in ast.parse(text).body if isinstance(node, ast.Assign | ast.AnnAssign)]
        for value in constants:
            if value is None or value.end_lineno not in excused:
                continue
            excused.discard(value.end_lineno)
            parts = [each.value for each in ast.walk(value) if isinstance(each, ast.FormattedValue)]
            assert all(isinstance(part, ast.Name) and part.id.isupper() for part in parts), path
        assert len(excused) == NAMED_BY_THE_SERVER.get(str(path.relative_to(ROOT / "src" / "anamnesis")), 0), path
    assert "S608" not in (ROOT / "pyproject.toml").read_text()
