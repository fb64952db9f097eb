"""The client for Python against the real application under a real server."""

import asyncio
import importlib.util
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import uvicorn

from anamnesis.care.views import HasProfile, Me, MyConnections
from anamnesis.client import Client, Refused
from anamnesis.intake.views import GrowingReply
from anamnesis.schema import Output
from build import ISSUER_OF_TESTS, a_session, an_app, caller, claims, closing
from files.test_files import PHOTO


@asynccontextmanager
async def served(asgi):
    """The origin of a server of its own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(asgi, lifespan="off", log_config=None, ws="none"))
        running = asyncio.create_task(server._serve([listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag and no event
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await running


def lossy(asgi, times):
    """The application behind a line that breaks after it has done its work, so many times."""
    left = [times]

    async def app(scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "POST" or not left[0]:
            await asgi(scope, receive, send)
            return
        left[0] -= 1

        async def swallow(_message):
            pass

        await asgi(scope, receive, swallow)
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"gone"})

    return app


class Cut(Exception):
    pass


def cutting(asgi, after):
    """The application behind a line that breaks with every so manieth message of a stream, in the middle of it."""

    async def app(scope, receive, send):
        told = 0

        async def carry(message):
            nonlocal told
            told += message["type"] == "http.response.body" and b"\nid: " in message.get("body", b"")
            if told > after:
                await send({**message, "body": message["body"][:20]})
                raise Cut
            await send(message)

        try:
            await asgi(scope, receive, carry if scope["type"] == "http" else send)
        except Cut:
            raise ConnectionResetError from None

    return app


def saying(status, body):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


def a_client(origin, who, **more):
    return Client(origin, ISSUER_OF_TESTS.token(claims(who)), pause_s=0.01, **more)


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        app.bus.start()
        await app.bus.connected(5)
        yield app
        await app.bus.close()


async def test_a_message_sent_over_a_broken_line_is_one_message(app):
    connection_id, session_id = map(UUID, await a_session(app))
    async with served(lossy(app.asgi(), 2)) as origin, a_client(origin, "patient") as client:
        told = await client.intake.send_message(session_id=session_id, content="It is about me")
        sent = await client.message.send(connection_id=connection_id, content="Hello doctor")
        view = await client.intake.get_session(session_id=session_id)
        talk = await client.message.get_conversation(connection_id=connection_id)
        mine = await client.intake.get_my_intake_sessions()
    assert told.ai_message is not None
    assert [line.text for line in view.messages].count("It is about me") == 1
    assert [message.id for message in talk.messages] == [sent.message.id]
    assert [session.id for session in mine.sessions] == [session_id]


async def test_a_refusal_has_its_code_and_nobody_there_is_told(app):
    _, session_id = await a_session(app)
    async with served(app.asgi()) as origin, a_client(origin, "stranger") as client:
        with pytest.raises(Refused, match="NOT_FOUND"):
            await client.intake.get_session(session_id=UUID(session_id))
    async with Client("http://127.0.0.1:9", tries=2, pause_s=0.01) as client:
        with pytest.raises(httpx2.TransportError):
            await client.user.me()


@pytest.mark.parametrize("status", [200, 403, 502])
@pytest.mark.parametrize("body", [b"<html>", b"null", b"[]", b'{"error":"bad gateway"}', b'{"error":{"json":null}}'])
async def test_what_somebody_in_between_says_is_a_refusal_like_any_other(status, body):
    async with served(saying(status, body)) as origin, Client(origin, tries=1) as client:
        with pytest.raises(Refused, match="INTERNAL_SERVER_ERROR") as refused:
            await client.user.me()
        assert refused.value.status == status
        with pytest.raises(Refused):
            await anext(client.notification.on_new())


async def test_times_choices_and_nothing_go_as_the_schemas_ask(app):
    connection_id, session_id = map(UUID, await a_session(app))
    born = datetime(1990, 5, 6, 7, 8, 9, 123456, UTC)
    async with served(app.asgi()) as origin, a_client(origin, "patient") as client:
        assert (await client.patient.update_profile(date_of_birth=born, gender="female")).gender == "female"
        assert (await client.patient.get_my_profile()).date_of_birth == born.replace(microsecond=123000)
        assert (await client.intake.update_session_name(session_id=session_id, name="Mine")).name == "Mine"
        assert (await client.intake.update_session_name(session_id=session_id, name=None)).name is None
        kept = await client.upload_files(session_id, [("a.jpg", PHOTO[0], PHOTO[2])])
        sent = await client.intake.send_message(
            session_id=session_id, content="see", images=tuple(str(file.id) for file in kept.files)
        )
        assert len(sent.user_message.images) == 1
        with pytest.raises(Refused, match="BAD_REQUEST: "):
            await client.upload_files(session_id, [("a.txt", b"plain", "text/plain")])
        listed = await client.connection.get_my_connections(status="all")
    assert (type(listed), [each.id for each in listed.connections]) == (MyConnections, [connection_id])


async def test_a_token_can_be_made_anew_for_each_call(app):
    made = []

    async def token():
        made.append(ISSUER_OF_TESTS.token(claims("patient")))
        return made[-1]

    async with served(app.asgi()) as origin, Client(origin, token) as client:
        assert isinstance(await client.user.me(), Me)
        assert isinstance(await client.patient.has_profile(), HasProfile)
    assert len(made) == 2


def reads_of(client):
    """Every method that reads and can be called with nothing."""
    for group in ("user", "patient", "doctor", "connection", "admin", "message", "intake", "notification"):
        calls = getattr(client, group)
        for name in dir(calls):
            if name.startswith(("get_", "has_", "me")):
                method = getattr(calls, name)
                if all(each.default is None for each in signature(method).parameters.values()):
                    yield method


async def test_every_read_that_asks_for_nothing_answers_in_its_shape(app):
    await a_session(app)
    answers, refusals = [], set()
    async with served(app.asgi()) as origin:
        for who in ("patient", "doctor", "operator"):
            async with a_client(origin, who) as client:
                for method in reads_of(client):
                    try:
                        answers.append(await method())
                    except Refused as refused:
                        refusals.add(refused.code)
    assert len(answers) > 45
    assert all(isinstance(each, Output) for each in answers)
    assert refusals == {"FORBIDDEN", "NOT_FOUND"}  # not the role, or no such profile


async def test_a_stream_that_breaks_again_and_again_loses_and_doubles_nothing(app):
    connection_id, session_id = map(UUID, await a_session(app))
    words = [str(number) for number in range(12)]
    seen = []
    async with served(cutting(app.asgi(), after=2)) as origin, a_client(origin, "doctor") as client:
        stream = client.message.on_conversation(connection_id=connection_id, last_event_id="0")
        for content in words:
            await caller(app, "patient").call("message.send", connectionId=str(connection_id), content=content)
        async with asyncio.timeout(20):
            async for event in stream:
                if event.value.message is not None:
                    seen.append((event.id, event.value.message.content))
                if len(seen) == len(words):
                    break
        await stream.aclose()
        chat = client.intake.on_session(session_id=session_id, growing=True)
        async with asyncio.timeout(10):
            first = await anext(chat)
        await chat.aclose()
    assert seen == [(str(number + 1), content) for number, content in enumerate(words)]
    assert not isinstance(first.value, GrowingReply)
    assert (first.id, first.value.role) == ("1", "model")


async def test_a_stream_that_may_not_be_heard_is_refused(app):
    connection_id, _ = map(UUID, await a_session(app))
    async with served(app.asgi()) as origin, a_client(origin, "stranger") as client:
        with pytest.raises(Refused, match="NOT_FOUND"):
            await anext(client.message.on_conversation(connection_id=connection_id))


async def ended(stream):
    """The code with which a stream that only waits is ended."""
    with pytest.raises(Refused) as refused:
        async for _ in stream:
            pass
    return refused.value.code


@pytest.mark.proves("I28")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE connections SET status = 'disconnected'",
        "UPDATE connections SET status = 'blocked'",
        "UPDATE doctors SET verification_status = 'rejected'",
        "UPDATE users SET is_active = false WHERE clerk_id = 'doctor'",
    ],
)
async def test_whoever_may_see_nothing_more_hears_nothing_more_within_five_seconds(app, owner, statement, request):
    if "users" not in statement:  # that one ends every kind of stream, by the clock they have in the clinic
        request.getfixturevalue("looks_often")
    connection_id, session_id = map(UUID, await a_session(app))
    async with served(app.asgi()) as origin, a_client(origin, "doctor") as client:
        streams = [
            client.message.on_conversation(connection_id=connection_id),
            client.intake.on_session(session_id=session_id),
        ]
        if "users" in statement or "doctors" in statement:
            streams.append(client.intake.on_inbox())
        if "users" in statement:
            streams.append(client.notification.on_new())
        waiting = [asyncio.create_task(ended(stream)) for stream in streams]
        await asyncio.sleep(1)
        await owner.execute(statement)
        found = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        with pytest.raises(Refused):
            await client.message.get_conversation(connection_id=connection_id)
    assert set(found) == {"FORBIDDEN"}


def test_the_methods_are_those_of_the_procedures():
    script = Path(__file__).parents[2] / "scripts" / "calls.py"
    spec = importlib.util.spec_from_file_location("calls", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.MODULE.read_text() == module.module(bound.procedure for bound in module.registry())
