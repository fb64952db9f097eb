"""What is installed is what was locked: each package at one version, by hash, and no download address with it."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parent.parent / "requirements"


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "uv.txt"])
def test_every_locked_package_has_one_version_and_hashes_and_no_address(name):
    text = (REQUIREMENTS / name).read_text()
    packages = re.split(r"\n(?=[A-Za-z0-9])", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    for package in filter(str.strip, packages):
        assert re.match(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z,]+\])?==\S+", package), package[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package[:80]
    assert not re.search(r"://|^-", text, re.MULTILINE)
