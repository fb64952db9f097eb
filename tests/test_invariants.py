"""Every invariant we promise is proved by some test that says so, and the page about them is fresh."""

import ast
from pathlib import Path

import invariants

TESTS = Path(__file__).parent


def test_every_invariant_is_proved_by_a_test():
    assert sorted(set(invariants.PROMISED) - set(invariants.proofs())) == []


def test_no_test_proves_what_nobody_promised():
    assert sorted(set(invariants.proofs()) - set(invariants.PROMISED)) == []


def test_the_page_about_them_is_fresh():
    assert (TESTS.parent / "docs" / "invariants.md").read_text() == invariants.page()


def test_a_proof_is_a_test_that_runs():
    for proofs in invariants.proofs().values():
        for file, name in proofs:
            functions = [node.name for node in ast.walk(ast.parse((TESTS / file).read_text())) if hasattr(node, "name")]
            assert name.startswith("test_")
            assert functions.count(name) == 1
