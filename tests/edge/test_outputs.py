"""What a handler answers is held to what it declares, whoever asks."""

import json

import pytest

from anamnesis.edge.calling import Caller
from anamnesis.edge.trpc import TrpcApp
from anamnesis.kernel.identity import Visitor
from anamnesis.kernel.procedures import Allow, Procedures, Registry, Request
from anamnesis.schema import Output
from build import http


class Answer(Output):
    patient_name: str


class Open:
    async def admit(self, procedure, request):
        return Visitor()


def a_registry(answer):
    procedures = Procedures()

    @procedures.query("test.ask", allow=Allow.PUBLIC, output=Answer)
    async def ask(call):
        """Answer something."""
        return answer

    registry = Registry()
    registry.add(procedures, None)
    return registry


async def a_request(_scope):
    return Request("r-1")


async def over_trpc(answer):
    app = TrpcApp(a_registry(answer), guard=Open(), request_of=a_request)
    status, _, text = await http(app, "GET", "/api/trpc/test.ask")
    return status, json.loads(text)


async def test_a_model_of_the_declared_kind_passes():
    assert await Caller(a_registry(Answer(patient_name="Jane")), Open(), Request("r-1")).call("test.ask") == {
        "patientName": "Jane"
    }
    status, said = await over_trpc(Answer(patient_name="Jane"))
    assert (status, said["result"]["data"]["json"]) == (200, {"patientName": "Jane"})


@pytest.mark.parametrize("answer", [{"patientName": "Jane"}, {"patientName": "Jane", "notes": "x"}, None, "Jane", [1]])
async def test_a_page_or_a_test_is_never_shown_what_is_no_model(answer):
    with pytest.raises(TypeError, match="Answer is declared"):
        await Caller(a_registry(answer), Open(), Request("r-1")).call("test.ask")


@pytest.mark.parametrize("answer", [{}, {"patientName": 7}, None, "Jane", [1]])
async def test_a_client_gets_an_error_with_a_reference_instead_of_a_wrong_shape(answer):
    status, said = await over_trpc(answer)
    error = said["error"]["json"]
    assert (status, error["data"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert "(reference r-1)" in error["message"]
