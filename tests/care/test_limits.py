"""How often somebody may call: counted by account and procedure, for all processes together, and never for danger."""

import asyncio
import json
from urllib.parse import quote
from uuid import uuid4

import pytest

from anamnesis.kernel.errors import BadInput, NotSignedIn, TooManyRequests
from anamnesis.settings import Limits, Settings
from build import a_session, an_app, caller, claims, closing, http, tell

FEW = Settings(limits=Limits(public=3, protected=5, admin=7))
ROOMY = Settings(limits=Limits(factor=1000))


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn, settings=FEW)) as app:
        yield app


async def calls(app, who, count, name="user.getMe", **given):
    """How many of so many calls were answered, of an account that has been seen before."""
    await app.care_store.add_person(claims(who))
    done = await asyncio.gather(*(caller(app, who).call(name, **given) for _ in range(count)), return_exceptions=True)
    assert all(isinstance(each, TooManyRequests) for each in done if isinstance(each, Exception)), done
    return sum(not isinstance(each, Exception) for each in done)


async def test_exactly_as_many_calls_are_answered_as_are_allowed(app):
    assert await calls(app, "patient", 12) == 5
    assert await calls(app, "patient", 3) == 0


async def test_each_account_and_each_procedure_has_its_own(app):
    assert await calls(app, "patient", 6) == 5
    assert await calls(app, "patient", 6, "user.me") == 5
    assert await calls(app, "other", 6) == 5
    assert await calls(app, "operator", 9, "admin.getUsers") == 7


@pytest.mark.regression("P10")
async def test_two_processes_count_together(clinic, app):
    async with closing(an_app(clinic.app_dsn, settings=FEW)) as second:
        answered = await asyncio.gather(calls(app, "patient", 10), calls(second, "patient", 10))
        assert sum(answered) == 5


async def test_a_minute_later_it_begins_anew(app, owner):
    assert await calls(app, "patient", 6) == 5
    await owner.execute("UPDATE rate_windows SET ends_at = clock_timestamp()")
    assert await calls(app, "patient", 6) == 5
    await owner.execute("UPDATE rate_windows SET ends_at = clock_timestamp() - interval '2 minutes'")
    await app.care_store.forget_spent()
    assert await owner.fetchval("SELECT count(*) FROM rate_windows") == 0


async def test_a_clock_set_back_keeps_nobody_out_for_longer_than_a_minute(app, owner):
    assert await calls(app, "patient", 6) == 5
    await owner.execute("UPDATE rate_windows SET ends_at = ends_at + interval '1 day'")
    assert await calls(app, "patient", 6) == 5
    assert await owner.fetchval("SELECT max(ends_at) < now() + interval '2 minutes' FROM rate_windows")


async def test_somebody_new_has_no_more_calls_than_others(app):
    done = await asyncio.gather(*(caller(app, "new").call("user.getMe") for _ in range(30)), return_exceptions=True)
    assert sum(not isinstance(each, TooManyRequests) for each in done) <= 6  # whoever makes the account comes besides


async def test_a_refusal_tells_when_to_come_back_in_both_protocols(app):
    await calls(app, "patient", 5)
    for path, status in (("/api/trpc/user.getMe", 429), ("/api/v1/me/account", 429)):
        answered, headers, text = await http(app.asgi(), "GET", path, who="patient")
        assert answered == status
        assert headers["ratelimit-limit"] == "5"
        assert headers["ratelimit-remaining"] == "0"
        assert 0 < int(headers["retry-after"]) <= 60
        assert headers["retry-after"] in text


async def test_a_refused_message_and_a_refused_page_tell_it_too(clinic, owner):
    async with closing(an_app(clinic.app_dsn, settings=ROOMY)) as roomy:
        _, session_id = await a_session(roomy)
    async with closing(an_app(clinic.app_dsn, settings=FEW)) as app:
        await owner.execute("TRUNCATE rate_windows")
        message = {"content": "it itches a bit"}
        for _ in range(6):
            path = f"/api/v1/intake-sessions/{session_id}/messages"
            told = await http(app.asgi(), "POST", path, who="patient", body=message)
            shown = await http(app.asgi(), "GET", "/sessions", who="patient")
        for status, headers, _ in (told, shown):
            assert (status, headers.get("ratelimit-limit")) == (429, "5")
            assert headers["ratelimit-reset"] == headers["retry-after"]


async def test_words_that_were_refused_in_a_page_come_back_in_the_box(clinic, owner):
    async with closing(an_app(clinic.app_dsn, settings=ROOMY)) as roomy:
        _, session_id = await a_session(roomy)
    async with closing(an_app(clinic.app_dsn, settings=FEW)) as app:
        await owner.execute("TRUNCATE rate_windows")
        form = {"content-type": "application/x-www-form-urlencoded"}
        for _ in range(6):
            words = f"content=it+itches+a+bit&clientMessageId={uuid4()}".encode()
            sent = {"who": "patient", "body": words, "headers": form}
            status, headers, page = await http(app.asgi(), "POST", f"/s/{session_id}", **sent)
        assert (status, headers["ratelimit-limit"]) == (429, "5")
        assert "it itches a bit</textarea>" in page
        assert "Too many requests. Please try again in" in page


async def test_the_calls_of_a_batch_count_one_by_one(app):
    await app.care_store.add_person(claims("patient"))
    path, query = "/api/trpc/" + ",".join(["user.getMe"] * 7), "batch=1&input=" + quote(json.dumps({}))
    status, _, text = await http(app.asgi(), "GET", path, who="patient", query=query)
    assert status == 207
    assert ["error" in each for each in json.loads(text)].count(False) == 5


async def test_a_visitor_is_an_address_whatever_the_headers_say(app):
    statuses = []
    for number in range(6):
        query = "input=" + quote(json.dumps({"json": {"slug": "nobody"}}))
        headers = {"x-forwarded-for": f"203.0.113.{number}", "x-real-ip": f"203.0.113.{number}"}
        answered, _, _ = await http(app.asgi(), "GET", "/api/trpc/doctor.getBySlug", query=query, headers=headers)
        statuses.append(answered)
    assert statuses == [404] * 3 + [429] * 3


async def test_nobody_at_all_costs_nothing(app, owner):
    for _ in range(9):
        with pytest.raises(NotSignedIn):
            await app.door.admit(app.registry.find("user.me").procedure, caller(app, "x").request.__class__("r"))
    assert await owner.fetchval("SELECT count(*) FROM rate_windows") == 0


async def test_danger_in_what_was_told_before_is_heard_above_every_limit(clinic, owner):
    async with closing(an_app(clinic.app_dsn, settings=ROOMY)) as roomy:
        _, session_id = await a_session(roomy)
        told = await tell(roomy, session_id, "my husband is beating me")
        assert "Are you safe right now?" in told["aiMessage"]["text"]
        await caller(roomy, "stranger").call("user.getMe")
    async with closing(an_app(clinic.app_dsn, settings=FEW)) as app:
        await owner.execute("TRUNCATE rate_windows")
        for who in ("stranger", "patient"):
            for _ in range(5):
                with pytest.raises(BadInput):
                    await caller(app, who).call("intake.sendMessage", sessionId=session_id, content="")
        for who, words in (("stranger", "No"), ("patient", "It is green")):
            with pytest.raises(TooManyRequests):
                await caller(app, who).call("intake.sendMessage", sessionId=session_id, content=words)
        answer = await caller(app, "patient").call("intake.sendMessage", sessionId=session_id, content="No")
        assert answer["aiMessage"]["isEmergency"]


async def test_danger_is_heard_above_every_limit(clinic, owner):
    async with closing(an_app(clinic.app_dsn, settings=ROOMY)) as roomy:
        connection_id, session_id = await a_session(roomy)
    async with closing(an_app(clinic.app_dsn, settings=FEW)) as app:
        await owner.execute("TRUNCATE rate_windows")
        assert (
            await calls(app, "patient", 8, "intake.sendMessage", sessionId=session_id, content="it itches a bit") <= 5
        )
        answer = await caller(app, "patient").call(
            "intake.sendMessage", sessionId=session_id, content="now I have crushing chest pain and I am sweating"
        )
        assert answer["aiMessage"]["isEmergency"]
        # What only the readings tell is a danger as much as what words do.
        answer = await caller(app, "patient").call("intake.sendMessage", sessionId=session_id, content="spo2 75")
        assert answer["aiMessage"]["text"]
        assert await calls(app, "patient", 8, "message.send", connectionId=connection_id, content="bp 60/30") == 8
        await owner.execute("TRUNCATE rate_windows")
        assert await calls(app, "patient", 8, "message.send", connectionId=connection_id, content="hello") == 5
        await caller(app, "patient").call("message.send", connectionId=connection_id, content="I want to kill myself")
        await caller(app, "patient").call("message.send", connectionId=connection_id, content="oxygen 84 now")
        told = await caller(app, "patient").call("intake.sendMessage", sessionId=session_id, content="bp 82/50")
        assert told["userMessage"] is not None
        with pytest.raises(TooManyRequests):
            await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
