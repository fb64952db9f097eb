"""The examples in the documentation are what a clinic answers, over REST and over tRPC."""

import json

import pytest

from anamnesis.edge.examples import examples, examples_markdown, plain
from anamnesis.edge.issues import read_input
from anamnesis.edge.openapi import openapi_document
from anamnesis.edge.routes import UNPORTED
from build import an_app, closing
from examples import PAGE, differences, settled, walk
from files.test_files import settings_of


def test_every_procedure_has_an_example_that_it_would_take():
    registry = an_app("postgresql:///nowhere").registry
    built = {bound.procedure.name: bound.procedure for bound in registry if bound.procedure.summary != UNPORTED}
    assert set(built) == set(examples()) - {"refused"}
    for name, procedure in built.items():
        given = examples()[name]["input"]
        assert (given is None) == (procedure.input is None), name
        if given is not None and not procedure.takes_files:
            read_input(procedure, given, as_text=True)


def test_the_page_of_examples_is_fresh():
    assert PAGE.read_text() == examples_markdown(an_app("postgresql:///nowhere").registry)


def test_the_document_shows_them_however_often_it_is_made():
    openapi_document(an_app("postgresql:///nowhere").registry)
    document = openapi_document(an_app("postgresql:///nowhere").registry)
    send = document["paths"]["/api/v1/connections/{connectionId}/messages"]["post"]
    asked, told = send["requestBody"]["content"]["application/json"], send["responses"]["201"]["content"]
    assert asked["example"]["content"] == told["application/json"]["example"]["message"]["content"] == "Hello doctor"
    assert send["parameters"][0]["example"] == told["application/json"]["example"]["message"]["connectionId"]


@pytest.mark.long
async def test_what_is_answered_has_the_shape_of_the_examples(clinic, tmp_path):
    async with closing(an_app(clinic.app_dsn, settings=settings_of(tmp_path))) as app:
        app.bus.start()
        found = json.loads(json.dumps(settled(await walk(app))))
        await app.bus.close()
    wrong = differences(examples()["refused"], found.pop("refused"), "refused")
    for name, example in found.items():
        wrong += differences(plain(examples()[name]["answer"]), plain(example["answer"]), name)
        assert examples()[name].get("id") == example.get("id") or name == "notification.onNew"
    assert wrong == []
