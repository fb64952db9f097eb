"""What the service writes down of a clinic's day: every call from start to end, and none of its words."""

import asyncio
import json
import re
from collections import Counter, defaultdict
from urllib.parse import quote
from uuid import uuid4

import pytest

from anamnesis import journal
from anamnesis.kernel.procedures import Allow, Kind
from anamnesis.llm.scripted import StubModel
from build import a_doctor, a_session, an_app, caller, closing, http, tell

CANARY = "zebrafever7731"
#: What strangers write of themselves, which may come back to them.
OTHERS = "otterfever4242"
STAFF = {Allow.DOCTOR: "doctor", Allow.ADMIN: "operator"}


def an_input(model, ids):
    """An input that gets as far as it can: real ids, and the marked word in every text that takes one."""
    given = {}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias in ids:
            given[alias] = ids[alias]
        elif alias in ("limit", "offset"):
            given[alias] = 5
        elif field.is_required() or "str" in str(field.annotation):
            given[alias] = str(uuid4()) if alias.endswith("Id") else CANARY
    return given


def accepted(model, given):
    """The same without what the schema refuses."""
    for _ in range(12):
        try:
            model.model_validate(given)
        except Exception as refused:
            wrong = {str(part) for each in refused.errors() for part in _places(each)} & set(given)
            if not wrong:
                break
            given = {name: value for name, value in given.items() if name not in wrong}
        else:
            break
    return given


def _places(error):
    yield from error["loc"]
    for issue in error.get("ctx", {}).get("issues", ()):
        yield from issue.path


async def ask(asgi, procedure, who, given, request_id):
    headers = {"x-request-id": request_id}
    path = f"/api/trpc/{procedure.name}"
    if procedure.kind is Kind.MUTATION:
        return await http(asgi, "POST", path, who=who, body={"json": given}, headers=headers)
    query = f"input={quote(json.dumps({'json': given}))}"
    return await http(asgi, "GET", path, who=who, query=query, headers=headers)


async def a_marked_day(app):
    """Everything the service can do, with marked words wherever words may stand; how each call was answered."""
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, "It is about me", f"I have {CANARY} and crushing chest pain, sweating")
    profile = await caller(app, "doctor").call("doctor.getMyProfile")
    patient = await caller(app, "patient").call("user.me")
    pending = await a_doctor(app, "newcomer", verified=False)
    ids = {
        "connectionId": connection_id, "sessionId": session_id, "doctorId": str(pending["id"]),
        "userId": str(patient["id"]), "slug": profile["slug"], "action": "approve",
    }  # fmt: skip
    answered, asgi = {}, app.asgi()
    last = ("connection.disconnect", "intake.deleteSession", "intake.resetSession", "admin.updateUserStatus",
            "admin.updateUserRole")  # fmt: skip
    procedures = sorted((bound.procedure for bound in app.registry), key=lambda each: each.name in last)
    for procedure in procedures:
        if procedure.kind is Kind.SUBSCRIPTION:
            continue
        given = {} if procedure.input is None else accepted(procedure.input, an_input(procedure.input, ids))
        for who in dict.fromkeys((STAFF.get(procedure.allow, "patient"), "stranger")):
            number = f"{procedure.name}-{who}"
            mine = given if who != "stranger" else json.loads(json.dumps(given).replace(CANARY, OTHERS))
            answered[procedure.name, who] = await ask(asgi, procedure, who, mine, number.replace(".", "-"))
    return answered


async def work_until_rest(app, owner):
    running = asyncio.create_task(app.worker.run())
    while await owner.fetchval("SELECT count(*) FROM jobs WHERE state <> 'done'"):  # noqa: ASYNC110 - a row, no event
        await asyncio.sleep(0.02)
    app.worker.stop()
    await running


def lines_of(written):
    lines = [json.loads(line) for line in written.splitlines() if line.strip()]
    assert all(isinstance(line, dict) for line in lines)
    return lines


@pytest.mark.proves("I32")
async def test_a_day_of_marked_words_leaves_a_trace_of_every_call_and_none_of_the_words(clinic, owner, capsys):
    journal.configure(development=False, level="DEBUG")
    async with closing(an_app(clinic.app_dsn)) as app:
        answered = await a_marked_day(app)
        await work_until_rest(app, owner)
        metrics = (await http(app.asgi(), "GET", "/metrics"))[2]
    lines = lines_of("".join(capsys.readouterr()))
    assert not {CANARY, OTHERS} & set(re.findall("[a-z]+fever[0-9]+", json.dumps(lines)))
    assert CANARY not in metrics
    assert [name for (name, who), (_, _, text) in answered.items() if who == "stranger" and CANARY in text] == []
    assert CANARY not in repr(await owner.fetch("SELECT title, message, data FROM notifications"))
    phases = defaultdict(list)
    for line in lines:
        if "phase" in line and not line["event"].startswith("job."):
            phases[line["request_id"], line["event"]].append(line)
    for (name, who), (status, _, _) in answered.items():
        started, ended = phases[f"{name}-{who}".replace(".", "-"), name]
        assert (started["phase"], ended["phase"]) == ("started", "completed" if status == 200 else "error"), name
        assert isinstance(ended["duration_ms"], int | float)
        assert (status == 200) == ("error_code" not in ended)
    outcome = Counter(status for status, _, _ in answered.values())
    assert outcome[200] > 50
    assert 500 not in outcome


async def test_a_request_id_reaches_the_job_it_caused(clinic, owner, capsys):
    journal.configure(development=False, level="INFO")
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session_id = await a_session(app)
        body = {"json": {"sessionId": session_id, "content": "I have crushing chest pain and I am sweating"}}
        headers = {"x-request-id": "asked-by-a-client-7"}
        await http(app.asgi(), "POST", "/api/trpc/intake.sendMessage", who="patient", body=body, headers=headers)
        await work_until_rest(app, owner)
    lines = [line for line in lines_of("".join(capsys.readouterr())) if line["event"].startswith("job.")]
    assert [(line["event"], line["phase"]) for line in lines] == [
        ("job.alert_clinician", "started"),
        ("job.alert_clinician", "completed"),
    ]
    assert {line["request_id"] for line in lines} == {"asked-by-a-client-7"}
    assert "duration_ms" in lines[1]


@pytest.mark.proves("I32")
@pytest.mark.parametrize("development", [True, False])
async def test_an_exception_that_quotes_a_patient_is_logged_by_its_type_alone(clinic, capsys, development, monkeypatch):
    journal.configure(development=development, level="DEBUG")

    class Quoting(StubModel):
        async def complete(self, prompt, *, deadline_s):
            raise RuntimeError(f"cannot answer {CANARY}")

    async with closing(an_app(clinic.app_dsn, model=Quoting())) as app:
        _, session_id = await a_session(app)
        body = {"json": {"sessionId": session_id, "content": f"It is {CANARY}"}}
        status, _, text = await http(app.asgi(), "POST", "/api/trpc/intake.sendMessage", who="patient", body=body)
        assert (status, CANARY in text) in ((200, True), (500, False))
    assert CANARY not in "".join(capsys.readouterr())
