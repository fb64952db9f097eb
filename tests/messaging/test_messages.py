"""message.* as clients meet it over HTTP: recorded codes, limits and order of refusals."""

import json
from urllib.parse import quote
from uuid import uuid4

import pytest

from build import a_doctor, an_app, caller, closing, http

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


@pytest.fixture
async def connection_id(app):
    doctor = await a_doctor(app)
    return str((await caller(app, "patient").call("connection.create", doctorId=str(doctor["id"])))["id"])


async def post(app, name, who="patient", **given):
    status, _, text = await http(app.asgi(), "POST", f"/api/trpc/{name}", who=who, body={"json": given})
    return status, json.loads(text)


async def get(app, name, who="patient", **given):
    query = "input=" + quote(json.dumps({"json": given}))
    status, _, text = await http(app.asgi(), "GET", f"/api/trpc/{name}", who=who, query=query)
    return status, json.loads(text)


SENDS = [
    ({"content": ""}, 400),
    ({"content": "\x00\x01"}, 400),
    ({"content": "x" * 5001}, 400),
    ({"content": "x" * 5000}, 200),
    ({"content": "😀" * 2500}, 200),
    ({"content": "😀" * 2501}, 400),
    ({"content": " "}, 200),
    ({"content": "Hello doctor ✓ 😀"}, 200),
    ({"content": 7}, 400),
    ({"content": "x", "clientMessageId": "nonsense"}, 400),
    ({"content": "x", "clientMessageId": None}, 400),
    ({"content": "x", "connectionId": UNKNOWN}, 404),
    ({"content": "", "connectionId": UNKNOWN}, 400),
]


async def test_what_may_be_sent(app, connection_id):
    for given, status in SENDS:
        answered, body = await post(app, "message.send", **{"connectionId": connection_id, **given})
        assert answered == status, given
        if status == 400:
            assert body["error"]["json"]["data"]["zodError"]["fieldErrors"], given


async def test_words_are_kept_clean_and_the_same_for_everybody(app, connection_id):
    await post(app, "message.send", connectionId=connection_id, content="e\u0301\r\ntwo\x00")
    _, body = await get(app, "message.getConversation", who="doctor", connectionId=connection_id)
    assert [each["content"] for each in body["result"]["data"]["json"]["messages"]] == ["é\ntwo"]


async def test_a_repeat_differs_in_nothing_the_client_sees_and_other_words_conflict(app, connection_id):
    send = {"connectionId": connection_id, "clientMessageId": str(uuid4())}
    first = await post(app, "message.send", content="e\u0301", **send)
    assert first[0] == 200
    assert await post(app, "message.send", content="é", **send) == first
    status, body = await post(app, "message.send", content="other", **send)
    assert (status, body["error"]["json"]["data"]["code"]) == (409, "CONFLICT")


async def test_after_the_end_sending_is_forbidden_until_connected_again(app, connection_id):
    await post(app, "message.send", connectionId=connection_id, content="hello")
    ended = await post(app, "connection.disconnect", connectionId=connection_id)
    assert ended[1]["result"]["data"]["json"]["status"] == "disconnected"
    for who in ("patient", "doctor"):
        assert (await post(app, "message.send", who, connectionId=connection_id, content="x"))[0] == 403
        assert (await post(app, "connection.disconnect", who, connectionId=connection_id))[0] == 403
    assert (await get(app, "message.getConversation", "doctor", connectionId=connection_id))[0] == 403
    assert (await get(app, "message.getConversation", connectionId=connection_id))[0] == 200
    doctor_id = ended[1]["result"]["data"]["json"]["doctorId"]
    again = await post(app, "connection.create", doctorId=doctor_id)
    assert (again[0], again[1]["result"]["data"]["json"]["id"]) == (200, connection_id)
    assert (await post(app, "message.send", connectionId=connection_id, content="x"))[0] == 200


@pytest.mark.parametrize("stranger", ["other", "otherdoctor", "operator"])
async def test_a_stranger_cannot_tell_a_foreign_connection_from_none(app, connection_id, stranger):
    await a_doctor(app, "otherdoctor")
    await post(app, "message.send", connectionId=connection_id, content="private")
    said = []
    for wanted in (connection_id, UNKNOWN):
        for ask, name, more in (
            (post, "message.send", {"content": "x", "clientMessageId": str(uuid4())}),
            (get, "message.getConversation", {}),
            (post, "message.markAsRead", {}),
            (get, "connection.getById", {}),
            (post, "connection.disconnect", {}),
        ):
            said.append(await ask(app, name, stranger, connectionId=wanted, **more))
    assert said[:5] == said[5:]
    assert {status for status, _ in said} == {404}
    assert (await get(app, "message.getUnreadCount", stranger))[1]["result"]["data"]["json"] == {"count": 0}


async def test_nobody_signed_in_learns_that_before_anything_else(app):
    assert (await post(app, "message.send", None, connectionId="nonsense"))[0] == 401
    assert (await get(app, "message.getConversation", None, connectionId=UNKNOWN))[0] == 401


PAGES = [
    ({"limit": 0}, 400),
    ({"limit": 101}, 400),
    ({"limit": "7"}, 400),
    ({"limit": 100}, 200),
    ({"cursor": UNKNOWN}, 400),
    ({"cursor": ""}, 400),
    ({"cursor": None}, 400),
]


async def test_which_pages_may_be_asked_for(app, connection_id):
    for given, status in PAGES:
        answered, _ = await get(app, "message.getConversation", connectionId=connection_id, **given)
        assert answered == status, given


async def test_what_one_marks_the_other_is_shown_as_read(app, connection_id):
    for words in ("one", "two"):
        await post(app, "message.send", connectionId=connection_id, content=words)
    assert (await get(app, "message.getUnreadCount", "doctor"))[1]["result"]["data"]["json"] == {"count": 2}
    marked = await post(app, "message.markAsRead", "doctor", connectionId=connection_id)
    assert marked[1]["result"]["data"]["json"] == {"markedCount": 2}
    _, body = await get(app, "message.getConversation", connectionId=connection_id)
    data = body["result"]["data"]
    assert [each["isRead"] for each in data["json"]["messages"]] == [True, True]
    assert data["meta"]["values"]["messages.0.readAt"] == ["Date"]
    assert data["meta"]["values"]["nextCursor"] == ["undefined"]
