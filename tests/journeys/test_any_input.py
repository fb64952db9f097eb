"""Whatever is sent to the real service, over tRPC and forms, it answers in an orderly way: never with a 5xx."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from anamnesis.db.encryption import CHAT, DIRECT
from anamnesis.kernel.procedures import Allow, Kind
from build import ISSUER_OF_TESTS, a_session, an_app, claims, stored

TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["\0", "\ud800", "a\0b", "\udfff\ud83d", "'; DROP TABLE users; --", "%s $1 {}", "\u202e", "x" * 6000, " ", "NaN"]
)
ODD = st.sampled_from([None, True, -1, 0, 1, 10**20, 1e308, -0.5, [], {}, [[]], {"": None}, "__proto__"]) | TEXT
WHO = {Allow.DOCTOR: "doctor", Allow.ADMIN: "operator"}
BOUNDED = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


def inputs(model, ids):
    """An input with real ids, good and bad values in every field, and keys nobody declared."""
    if model is None:
        return st.dictionaries(st.text(max_size=5), ODD, max_size=2)
    fields = {field.alias or name for name, field in model.model_fields.items()}
    values = {name: st.just(ids[name]) | ODD if name in ids else ODD for name in fields}
    return st.fixed_dictionaries({}, optional={**values, "constructor": ODD})


@pytest.mark.long
@pytest.mark.proves("I40")
def test_no_input_of_any_procedure_makes_a_server_error(clinic):
    app = an_app(clinic.app_dsn)
    with TestClient(app.asgi(), raise_server_exceptions=False) as client:
        connection_id, session_id = client.portal.call(a_session, app)
        ids = {"connectionId": connection_id, "sessionId": session_id}
        asked = []
        for procedure in [bound.procedure for bound in app.registry]:
            if procedure.kind is not Kind.SUBSCRIPTION and "unported" not in procedure.handler.__module__:
                fuzz(client, procedure, ids, asked)
        client.portal.call(app.database.close)  # in the loop that opened it
    assert len(asked) > 300


def fuzz(client, procedure, ids, asked):
    token = ISSUER_OF_TESTS.token(claims(WHO.get(procedure.allow, "patient")))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    @BOUNDED
    @given(inputs(procedure.input, ids))
    def check(sent):
        payload, path = json.dumps({"json": sent}), f"/api/trpc/{procedure.name}"
        if procedure.kind is Kind.MUTATION:
            answer = client.post(path, content=payload, headers=headers)
        else:
            answer = client.get(f"{path}?input={quote(payload)}", headers=headers)
        asked.append(answer.status_code)
        assert answer.status_code < 500, (procedure.name, payload, answer.text)

    check()


@pytest.mark.proves("I40")
async def test_words_of_patients_are_cleaned_once_and_stored_by_every_road(clinic, owner):
    from build import caller, closing, http

    async with closing(an_app(clinic.app_dsn)) as app:
        connection_id, session_id = await a_session(app)
        patient = caller(app, "patient")
        await patient.call("intake.sendMessage", sessionId=session_id, content="a\0b\ud800c")
        await patient.call("message.send", connectionId=connection_id, content="a\0b\ud800c")
        await http(
            app.asgi(), "POST", f"/s/{session_id}", who="patient", body=b"content=a%00b%ED%A0%80c&key=x",
            headers={"content-type": "application/x-www-form-urlencoded", "origin": "http://127.0.0.1:8000"},
        )  # fmt: skip
    kept = [*await stored(owner, CHAT, "role = 'user'"), *await stored(owner, DIRECT)]
    assert len(kept) >= 2
    assert all("\0" not in row["content"] and row["content"].startswith("ab") for row in kept)
    assert [row["content"] for row in kept].count("ab\ufffdc") >= 2
