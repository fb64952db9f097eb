"""The client for Python against the real application under a real server."""

import asyncio
import socket
from contextlib import asynccontextmanager
from uuid import UUID

import httpx2
import pytest
import uvicorn

from anamnesis.client import Client, Refused
from build import ISSUER_OF_TESTS, a_session, an_app, claims, closing


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


async def test_a_message_sent_over_a_broken_line_is_one_message(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        connection_id, session_id = map(UUID, await a_session(app))
        token = ISSUER_OF_TESTS.token(claims("patient"))
        async with served(lossy(app.asgi(), 2)) as origin, Client(origin, token, pause_s=0.01) as client:
            told = await client.tell(session_id, "It is about me")
            sent = await client.send(connection_id, "Hello doctor")
            view = await client.get_session(session_id)
            talk = await client.conversation(connection_id)
            mine = await client.my_sessions()
    assert told.ai_message is not None
    assert [line.text for line in view.messages].count("It is about me") == 1
    assert [message.id for message in talk.messages] == [sent.message.id]
    assert [session.id for session in mine.sessions] == [session_id]


async def test_a_refusal_has_its_code_and_nobody_there_is_told(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session_id = await a_session(app)
        token = ISSUER_OF_TESTS.token(claims("stranger"))
        async with served(app.asgi()) as origin, Client(origin, token) as client:
            with pytest.raises(Refused, match="NOT_FOUND"):
                await client.get_session(UUID(session_id))
    async with Client("http://127.0.0.1:9", tries=2, pause_s=0.01) as client:
        with pytest.raises(httpx2.TransportError):
            await client.my_sessions()
