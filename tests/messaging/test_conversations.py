"""The list of conversations, and one of them live."""

import asyncio
import os
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from anamnesis.kernel.errors import NotFound, NotPermitted
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.settings import Files, Limits, Settings
from build import WHOLE_INTAKE, a_doctor, a_session, an_app, caller, closing, http, tell


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        app.bus.start()
        await app.bus.connected(5)
        yield app
        await app.bus.close()


@pytest.fixture
async def connection_id(app):
    return (await a_session(app))[0]


async def say(app, connection_id, text, who="patient"):
    return await caller(app, who).call("message.send", connectionId=connection_id, content=text)


async def test_the_list_has_the_latest_message_and_what_waits_to_be_read(app, connection_id):
    other, _ = await a_session(app, doctor="second")
    await say(app, connection_id, "first")
    await say(app, connection_id, "second", "doctor")
    found = (await caller(app, "patient").call("message.getConversations"))["conversations"]
    assert [str(each["connectionId"]) for each in found] == [connection_id, other]
    latest = found[0]
    assert latest["otherParty"]["role"] == "doctor"
    assert (latest["latestMessage"]["content"], latest["latestMessage"]["isFromMe"]) == ("second", False)
    assert (latest["unreadCount"], found[1]["latestMessage"]) == (1, None)
    (doctors,) = (await caller(app, "doctor").call("message.getConversations"))["conversations"]
    assert (doctors["otherParty"]["role"], doctors["latestMessage"]["isFromMe"]) == ("patient", True)


async def test_who_has_parted_or_is_unverified_has_no_conversation(app, connection_id, owner):
    await say(app, connection_id, "hello")
    await owner.execute("UPDATE doctors SET verification_status = 'rejected'")
    assert (await caller(app, "doctor").call("message.getConversations"))["conversations"] == []
    await owner.execute("UPDATE doctors SET verification_status = 'verified'")
    await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    for who in ("patient", "doctor"):
        assert (await caller(app, who).call("message.getConversations"))["conversations"] == []


async def test_a_conversation_is_live_with_its_readings_and_resumes_without_a_gap(app, connection_id):
    await say(app, connection_id, "before")
    page = await caller(app, "patient").call("message.getConversation", connectionId=connection_id)
    assert page["lastEventId"] == "1"
    await say(app, connection_id, "between", "doctor")
    patient = caller(app, "patient")
    stream = await patient.call("message.onConversation", connectionId=connection_id, lastEventId="1")
    first = await asyncio.wait_for(anext(stream), 5)
    assert (first.id, first.value.kind, first.value.message.content) == ("2", "message", "between")
    coming = asyncio.ensure_future(anext(stream))
    await caller(app, "doctor").call("message.markAsRead", connectionId=connection_id)
    read = await asyncio.wait_for(coming, 5)
    assert (read.value.kind, read.value.message) == ("read", None)
    assert read.value.read_at is not None
    await say(app, connection_id, "after", "doctor")
    assert (await asyncio.wait_for(anext(stream), 5)).value.message.content == "after"
    await stream.aclose()


@pytest.mark.parametrize("how", ["delivered", "read"])
async def test_who_comes_back_learns_how_far_the_own_messages_came_meanwhile(app, connection_id, how):
    await say(app, connection_id, "hello")
    await seen_by(app, connection_id, "doctor")
    if how == "read":
        await caller(app, "doctor").call("message.markAsRead", connectionId=connection_id)
    stream = await caller(app, "patient").call("message.onConversation", connectionId=connection_id, lastEventId="1")
    event = await asyncio.wait_for(anext(stream), 3)
    await stream.aclose()
    assert (event.id, event.value.kind, event.value.message) == ("1", how, None)
    assert event.value.delivered_at is not None
    assert (event.value.read_at is not None) == (how == "read")


async def test_a_place_beyond_the_last_message_hides_nothing_that_comes(app, connection_id):
    await say(app, connection_id, "old")
    stream = await caller(app, "doctor").call("message.onConversation", connectionId=connection_id, lastEventId="900")
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.2)
    await say(app, connection_id, "new")
    assert (await asyncio.wait_for(coming, 3)).value.message.content == "new"
    await stream.aclose()


async def test_what_was_not_handed_over_is_not_delivered_and_a_place_confirms_what_was(app, connection_id):
    for words in ("1", "2", "3"):
        await say(app, connection_id, words)
    doctor = caller(app, "doctor")
    cut = await doctor.call("message.onConversation", connectionId=connection_id, lastEventId="0")
    assert [(await anext(cut)).id, (await anext(cut)).id] == ["1", "2"]
    await cut.aclose()  # the line breaks before the third
    assert await seen_by(app, connection_id, "patient") == [(False, False)] * 3
    again = await doctor.call("message.onConversation", connectionId=connection_id, lastEventId="2")
    assert (await anext(again)).id == "3"
    assert await seen_by(app, connection_id, "patient") == [(True, False), (True, False), (False, False)]
    await again.aclose()


async def test_without_a_place_only_what_comes_is_told(app, connection_id):
    await say(app, connection_id, "old")
    stream = await caller(app, "doctor").call("message.onConversation", connectionId=connection_id)
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.2)
    await say(app, connection_id, "new")
    assert (await asyncio.wait_for(coming, 5)).value.message.content == "new"
    await stream.aclose()


@pytest.mark.usefixtures("looks_often")
async def test_a_stream_ends_when_access_does(app, connection_id):
    stream = await caller(app, "doctor").call("message.onConversation", connectionId=connection_id)
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.2)
    await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    with pytest.raises(NotPermitted):
        await asyncio.wait_for(coming, 5)


async def test_a_stranger_hears_nothing(app, connection_id):
    stream = await caller(app, "stranger").call("message.onConversation", connectionId=connection_id)
    with pytest.raises(NotFound):
        await anext(stream)


async def test_danger_in_a_direct_message_is_heard_answered_and_told_without_its_words(app, connection_id):
    answer = await say(app, connection_id, "I have crushing chest pain and I am sweating")
    assert "999" in answer["emergencyAdvice"]
    (told, *_) = (await caller(app, "doctor").call("notification.getMyNotifications"))["notifications"]
    assert (told["title"], told["type"]) == ("Urgent message", "message")
    assert "chest" not in str(told)


@pytest.mark.parametrize(("who", "words"), [("patient", "thank you doctor"), ("doctor", "any crushing chest pain?")])
async def test_other_words_and_a_doctors_words_raise_nothing(app, connection_id, who, words):
    answer = await say(app, connection_id, words, who)
    assert answer["emergencyAdvice"] is UNDEFINED
    (told, *_) = (
        await caller(app, "doctor" if who == "patient" else "patient").call("notification.getMyNotifications")
    )["notifications"]
    assert told["title"] == "New message"


async def test_the_doctors_inbox_is_woken_by_a_message(app, connection_id):
    stream = await caller(app, "doctor").call("intake.onInbox")
    assert (await anext(stream)).value.changed is False
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.1)
    await say(app, connection_id, "hello")
    assert (await asyncio.wait_for(coming, 5)).value.changed is True
    await stream.aclose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET is_active = false WHERE clerk_id = 'doctor'",
        "UPDATE doctors SET verification_status = 'rejected'",
    ],
)
@pytest.mark.usefixtures("looks_often")
async def test_the_inbox_falls_silent_when_its_doctor_may_see_nobody(app, connection_id, owner, statement):
    stream = await caller(app, "doctor").call("intake.onInbox")
    assert (await anext(stream)).value.changed is False
    await owner.execute(statement)
    with pytest.raises(NotPermitted):
        await asyncio.wait_for(anext(stream), 5)


async def test_an_unread_emergency_leads_the_inbox_even_of_a_reviewed_case_until_it_is_read(app, connection_id):
    doctor = caller(app, "doctor")
    first = (await caller(app, "patient").call("intake.getMyIntakeSessions"))["sessions"][0]
    await tell(app, str(first["id"]), *WHOLE_INTAKE)
    await doctor.call("intake.markAsReviewed", sessionId=str(first["id"]))
    profile, second = await doctor.call("doctor.getMyProfile"), caller(app, "other")
    joined = await second.call("connection.create", doctorId=str(profile["id"]))
    other = str((await second.call("intake.create", connectionId=str(joined["id"])))["id"])
    await tell(app, other, "my eyes are yellow", who="other")
    assert await inbox(doctor) == [(other, "yellow"), (str(first["id"]), "green")]
    await say(app, connection_id, "I have crushing chest pain and I am sweating")
    assert await inbox(doctor) == [(str(first["id"]), "red"), (other, "yellow")]
    await doctor.call("message.markAsRead", connectionId=connection_id)
    assert await inbox(doctor) == [(other, "yellow"), (str(first["id"]), "green")]


async def inbox(doctor):
    cases = (await doctor.call("handover.getInbox"))["cases"]
    return [(str(case["sessionId"]), case["colour"]) for case in cases]


# -- sent, delivered, read ---------------------------------------------------------------------------------------


async def seen_by(app, connection_id, who):
    page = await caller(app, who).call("message.getConversation", connectionId=connection_id)
    return [(bool(each["deliveredAt"]), each["isRead"]) for each in page["messages"]]


async def test_a_message_is_sent_then_delivered_then_read(app, connection_id):
    sent = await say(app, connection_id, "hello")
    assert (sent["message"]["deliveredAt"], sent["message"]["isRead"]) == (None, False)
    assert await seen_by(app, connection_id, "patient") == [(False, False)]  # one's own looking delivers nothing
    await seen_by(app, connection_id, "doctor")
    assert await seen_by(app, connection_id, "patient") == [(True, False)]
    first = await caller(app, "patient").call("message.getConversation", connectionId=connection_id)
    await caller(app, "doctor").call("message.markAsRead", connectionId=connection_id)
    second = await caller(app, "patient").call("message.getConversation", connectionId=connection_id)
    delivered, read = second["messages"][0]["deliveredAt"], second["messages"][0]["readAt"]
    assert first["messages"][0]["deliveredAt"] == delivered < read


async def test_what_was_never_fetched_and_was_marked_is_delivered_when_it_was_read(app, connection_id):
    await say(app, connection_id, "hello")
    await caller(app, "doctor").call("message.markAsRead", connectionId=connection_id)
    page = await caller(app, "patient").call("message.getConversation", connectionId=connection_id)
    (message,) = page["messages"]
    assert message["deliveredAt"] == message["readAt"]


async def test_an_older_page_delivers_no_younger_message(app, connection_id):
    for words in ("1", "2", "3"):
        await say(app, connection_id, words)
    doctor = caller(app, "doctor")
    newest = await doctor.call("message.getConversation", connectionId=connection_id, limit=1)
    await say(app, connection_id, "4")
    await doctor.call("message.getConversation", connectionId=connection_id, limit=1, cursor=newest["nextCursor"])
    assert [each for each, _ in await seen_by(app, connection_id, "patient")] == [True, True, True, False]


async def test_a_stream_delivers_and_its_sender_is_told(app, connection_id):
    sender = await caller(app, "patient").call("message.onConversation", connectionId=connection_id)
    told = asyncio.ensure_future(anext(sender))
    await asyncio.sleep(0.2)
    receiver = await caller(app, "doctor").call("message.onConversation", connectionId=connection_id)
    coming = asyncio.ensure_future(anext(receiver))
    await asyncio.sleep(0.2)
    await say(app, connection_id, "hello")
    assert (await asyncio.wait_for(told, 5)).value.kind == "message"
    assert (await asyncio.wait_for(coming, 5)).value.message.content == "hello"
    listening_on = asyncio.ensure_future(anext(receiver))
    event = (await asyncio.wait_for(anext(sender), 5)).value
    assert (event.kind, event.delivered_at is not None) == ("delivered", True)
    await sender.aclose()
    listening_on.cancel()


async def test_the_page_says_how_far_ones_own_message_has_come(app, connection_id):
    session_id = str((await caller(app, "patient").call("intake.create", connectionId=connection_id))["id"])
    await say(app, connection_id, "hello doctor")
    _, _, page = await http(app.asgi(), "GET", f"/s/{session_id}", who="patient")
    assert '<span class="at state">sent</span>' in page
    await seen_by(app, connection_id, "doctor")
    _, _, page = await http(app.asgi(), "GET", f"/s/{session_id}", who="patient")
    assert '<span class="at state">delivered</span>' in page
    await http(app.asgi(), "GET", f"/doctor/case/{session_id}", who="doctor")
    _, _, page = await http(app.asgi(), "GET", f"/s/{session_id}", who="patient")
    assert '<span class="at state">read</span>' in page


# -- reminders ---------------------------------------------------------------------------------------------------

WAITED = "UPDATE direct_messages SET created_at = clock_timestamp() - $1::interval"
REMINDERS = (
    "SELECT user_id, is_read, title || message || data::text AS words FROM notifications"
    " WHERE data->>'action' = 'reminder'"
)


async def test_who_leaves_messages_unread_is_reminded_once_a_day_without_their_words(app, connection_id, owner):
    for words in ("CANARY-one", "CANARY-two"):
        await say(app, connection_id, words)
    await app.forget_spent()
    assert await owner.fetch(REMINDERS) == []  # nobody has waited long yet
    await owner.execute(WAITED, timedelta(hours=5))
    await asyncio.gather(*(app.forget_spent() for _ in range(4)))
    await app.forget_spent()
    (reminder,) = await owner.fetch(REMINDERS)
    assert reminder["user_id"] == await owner.fetchval("SELECT user_id FROM doctors")
    assert "CANARY" not in reminder["words"]
    await owner.execute("UPDATE message_reminders SET reminded_at = clock_timestamp() - interval '25 hours'")
    await app.forget_spent()
    assert len(await owner.fetch(REMINDERS)) == 2


@pytest.mark.parametrize("why", ["read", "disconnected", "a week old", "account closed", "doctor not verified"])
async def test_nobody_is_reminded_of_what_is_no_longer_theirs_to_read(app, connection_id, owner, why):
    await say(app, connection_id, "hello")
    await owner.execute(WAITED, timedelta(days=8) if why == "a week old" else timedelta(hours=5))
    if why == "read":
        await caller(app, "doctor").call("message.markAsRead", connectionId=connection_id)
    if why == "disconnected":
        await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    if why == "account closed":
        await owner.execute("UPDATE users SET is_active = false WHERE primary_role = 'doctor'")
    if why == "doctor not verified":
        await owner.execute("UPDATE doctors SET verification_status = 'rejected'")
    await app.forget_spent()
    assert await owner.fetch(REMINDERS) == []


async def test_a_store_of_files_that_is_down_keeps_nobody_from_being_reminded(clinic, owner, tmp_path):
    (tmp_path / "unfinished" / "a folder nobody made").mkdir(parents=True)
    os.utime(tmp_path / "unfinished" / "a folder nobody made", (1, 1))
    settings = Settings(files=Files(folder=str(tmp_path)), limits=Limits(factor=1000))
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        connection, _ = await a_session(app)
        await say(app, connection, "hello")
        await owner.execute(WAITED, timedelta(hours=5))
        with capture_logs() as lines:
            await app.forget_spent()
    assert len(await owner.fetch(REMINDERS)) == 1
    told = [(line["event"], line["error_type"]) for line in lines if line["event"].startswith("upkeep")]
    assert told == [("upkeep.files", "Unavailable")]


async def test_however_many_wait_everybody_is_reminded(app, owner):
    doctor = await a_doctor(app)
    await owner.execute(
        "WITH u AS (INSERT INTO users (clerk_id) SELECT 'p' || n FROM generate_series(1, 450) n RETURNING id),"
        " p AS (INSERT INTO patients (user_id) SELECT id FROM u RETURNING id),"
        " c AS (INSERT INTO connections (patient_id, doctor_id) SELECT id, $1 FROM p RETURNING id)"
        " INSERT INTO direct_messages (connection_id, seq, sender_id, content, created_at)"
        " SELECT c.id, 1, (SELECT user_id FROM doctors), 'x', clock_timestamp() - interval '5 hours' FROM c",
        doctor["id"],
    )
    for _ in range(3):
        await app.forget_spent()
    assert len({row["user_id"] for row in await owner.fetch(REMINDERS)}) == 450
    await app.forget_spent()
    assert len(await owner.fetch(REMINDERS)) == 450


async def test_reading_clears_the_reminder(app, connection_id, owner):
    await say(app, connection_id, "hello")
    await owner.execute(WAITED, timedelta(hours=5))
    await app.forget_spent()
    await caller(app, "doctor").call("message.markAsRead", connectionId=connection_id)
    assert [row["is_read"] for row in await owner.fetch(REMINDERS)] == [True]
