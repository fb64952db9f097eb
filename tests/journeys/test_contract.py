"""The replaced system's contract by names: every procedure, who may call it, what it takes and what it answers.

What a client sends and nobody reads is dropped without a word, so a filter that is missing here shows the wrong list.
"""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from build import an_app

CONTRACT = json.loads((Path(__file__).parent / "contract.json").read_text())


@pytest.fixture(scope="module")
def registry():
    return an_app("postgresql:///nowhere").registry


@pytest.mark.parametrize("name", CONTRACT)
def test_every_field_of_the_contract_is_taken_and_answered(registry, name):
    wanted, procedure = CONTRACT[name], registry.find(name).procedure
    assert procedure.allow == wanted["allow"]
    inputs = {} if procedure.input is None else procedure.input.model_fields
    assert set(wanted["takes"]) <= {field.alias for field in inputs.values()}
    shape = TypeAdapter(procedure.output).json_schema(mode="serialization", by_alias=True)
    assert set(wanted["answers"]) <= set(shape["properties"])
