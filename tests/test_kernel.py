import pytest

from anamnesis.kernel.procedures import Kind, Procedure, Procedures, Registry


async def nothing(_: object) -> None:
    """Do nothing."""


def test_a_declared_procedure_is_found_by_its_exact_name_only():
    registry = Registry()
    registry.add([Procedure(name="a.b", kind=Kind.QUERY, handler=nothing)], services=None)
    assert registry.find("a.b") is not None
    assert registry.find("a") is None
    assert registry.find("a.b.c") is None


def test_a_name_declared_twice_is_refused():
    registry = Registry()
    procedure = Procedure(name="a.b", kind=Kind.QUERY, handler=nothing)
    with pytest.raises(ValueError, match=r"a\.b"):
        registry.add([procedure, procedure], services=None)


def test_the_first_line_of_the_docstring_becomes_the_summary():
    procedures = Procedures()
    procedures.query("a.b")(nothing)
    assert [procedure.summary for procedure in procedures] == ["Do nothing."]
