"""The page about what does not come back is true."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "regressions.py"


@pytest.fixture
def regressions():
    spec = importlib.util.spec_from_file_location("regressions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_grave_defect_has_a_test_and_every_mark_a_defect(regressions):
    assert set(regressions.found()) == set(regressions.DEFECTS)


def test_the_page_is_fresh(regressions):
    assert regressions.PAGE.read_text() == regressions.page()
