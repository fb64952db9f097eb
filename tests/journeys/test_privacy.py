"""Marked health data goes through every route, and is found in no log line."""

import json
import re
from collections import defaultdict

import pytest

from anamnesis import journal
from build import a_session, an_app, caller, closing, http, tell

CANARY = "zebrafever7731"


@pytest.mark.proves("I32")
@pytest.mark.regression("P12")
async def test_marked_health_data_reaches_no_log_line(clinic, capsys):
    journal.configure(development=True, level="DEBUG")
    async with closing(an_app(clinic.app_dsn)) as app:
        connection_id, session_id = await a_session(app)
        await tell(app, session_id, "It is about me", f"I have {CANARY} and chest pain, sweating")
        asgi = app.asgi()
        for bound in app.registry:
            procedure = bound.procedure
            if procedure.kind == "subscription":
                continue
            marked = {
                "sessionId": session_id, "connectionId": connection_id, "content": CANARY, "name": CANARY,
                "firstName": CANARY, "slug": CANARY, "doctorId": CANARY, "phone": CANARY, "action": CANARY,
            }  # fmt: skip
            for who in ("patient", "doctor", "operator", "stranger"):
                path = f"/api/trpc/{procedure.name}"
                if procedure.kind == "mutation":
                    await http(asgi, "POST", path, who=who, body={"json": marked})
                else:
                    query = "input=" + json.dumps({"json": marked}).replace(" ", "")
                    await http(asgi, "GET", path, who=who, query=query)
                if procedure.rest is not None:
                    given = procedure.rest.path.format_map(defaultdict(lambda: CANARY, marked))
                    body = None if procedure.rest.method in ("GET", "DELETE") else marked
                    rest = f"/api/v1{given}"
                    await http(asgi, procedure.rest.method, rest, who=who, body=body, query=f"cursor={CANARY}")
        for path in (f"/s/{session_id}", f"/connect/{CANARY}", f"/doctor/case/{session_id}/note", f"/{CANARY}"):
            for who in ("patient", "doctor", "stranger"):
                form = {"content-type": "application/x-www-form-urlencoded"}
                await http(asgi, "POST", path, who=who, body=f"content={CANARY}".encode(), headers=form)
        await http(asgi, "POST", "/api/auth/webhook", body=CANARY.encode(), headers={"svix-id": CANARY})
        for path in ("/", f"/s/{session_id}", f"/connect/{CANARY}", f"/{CANARY}", f"/doctor/case/{session_id}", "/ops"):
            for who in ("patient", "doctor", "operator"):
                await http(asgi, "GET", path, who=who)
        await http(asgi, "POST", "/api/trpc/intake.sendMessage", who="patient", body=CANARY.encode())
        view = await caller(app, "patient").call("intake.getSession", sessionId=session_id)
        assert CANARY in repr(view)
    written = "".join(capsys.readouterr())
    assert CANARY not in written
    lines = [line for line in written.splitlines() if line.startswith("{")]
    assert len(lines) > 100
    assert all(isinstance(json.loads(line), dict) for line in lines)


@pytest.mark.proves("I32", "I37")
@pytest.mark.regression("P11")
async def test_no_error_body_carries_driver_text(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        await a_session(app)
        await app.database.close()
        broken = an_app("postgresql://anamnesis_app@/nowhere?host=/nonexistent")
        status, headers, text = await http(broken.asgi(), "GET", "/api/trpc/user.getMe", who="patient")
    assert status == 503
    assert headers["retry-after"]
    assert not re.search(r"asyncpg|postgres|/nonexistent|Errno|connect", text, re.IGNORECASE)
