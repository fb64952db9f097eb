"""The checker can see: each of its sentences goes red when its fault is planted, and a clinic at rest has none."""

from uuid import UUID, uuid4

import pytest

from anamnesis.db import outbox
from anamnesis.db.encryption import CHAT
from build import WHOLE_INTAKE, a_session, an_app, caller, closing, stored, tell
from checker import QUERIES, Told, broken

KEY = UUID(int=7)
#: A fault for every sentence, planted by the owner with the schema's own guards out of the way.
PLANTED = {
    "a message's place is dense": "UPDATE chat_messages SET seq = seq + 1000 WHERE seq = 3",
    "the next place is one more": "UPDATE intake_sessions SET next_seq = next_seq + 1",
    "one client id is one message": "UPDATE chat_messages SET client_message_id = gen_random_uuid()"
    " WHERE role = 'user';"
    " UPDATE chat_messages SET client_message_id = (SELECT client_message_id FROM chat_messages WHERE seq = 2),"
    " sender_id = (SELECT sender_id FROM chat_messages WHERE seq = 2) WHERE seq = 4",
    "one message has at most one current reply": "UPDATE chat_messages SET reply_to ="
    " (SELECT reply_to FROM chat_messages WHERE seq = 3) WHERE seq = 5",
    "a reply stands after its message": "UPDATE chat_messages SET seq = 1000 + seq WHERE seq = 2",
    "an answered message has its reply": "DELETE FROM chat_messages WHERE seq = 3",
    "a waiting message has an open job": "UPDATE chat_messages SET turn_state = 'waiting' WHERE seq = 2",
    "a ready session has its hand-over": "UPDATE intake_sessions SET clinical_handover = NULL",
    "the counter of replies": "UPDATE intake_sessions SET ai_message_count = ai_message_count + 1",
    "a status has its times": "UPDATE intake_sessions SET completed_at = NULL",
    "an emergency has its alert": "UPDATE intake_sessions SET acuity = 2",
    "a ready session is or will be announced": "DELETE FROM jobs",
    "a direct message's place is dense": "UPDATE direct_messages SET seq = seq + 10 WHERE seq = 2",
    "the next place of a conversation": "UPDATE connections SET next_message_seq = 9",
    "one client id is one direct message": f"UPDATE direct_messages SET client_message_id = '{KEY}'",
    "a direct message is of one of the two": "UPDATE direct_messages SET sender_id ="
    " (SELECT id FROM users WHERE clerk_id = 'operator') WHERE seq = 1",
    "a direct message has exactly one notice": "DELETE FROM notifications WHERE type = 'message'",
    "a message has no reply": "UPDATE chat_messages SET turn_state = 'waiting' WHERE seq = 2",
    "a job is left over": "INSERT INTO jobs (kind, subject) VALUES ('take_turn', gen_random_uuid())",
}


@pytest.fixture
async def at_rest(clinic, owner):
    """One whole interview, announced, and two direct messages."""
    async with closing(an_app(clinic.app_dsn)) as app:
        connection_id, session_id = await a_session(app)
        await tell(app, session_id, *WHOLE_INTAKE)
        for words in ("hello", "again"):
            await caller(app, "patient").call(
                "message.send", connectionId=connection_id, content=words, clientMessageId=str(uuid4())
            )
        while (job := await outbox.claim(app.database, list(app.worker.handlers))) is not None:
            await app.worker.handlers[job.kind](job)
            async with app.database.transaction() as connection:
                await outbox.settle(connection, job)
    # Constraints and triggers would refuse the faults before the checker could see them.
    await owner.execute("""
        ALTER TABLE intake_sessions DISABLE TRIGGER USER; ALTER TABLE chat_messages DISABLE TRIGGER USER;
        ALTER TABLE intake_sessions DROP CONSTRAINT intake_sessions_check;
        ALTER TABLE chat_messages DROP CONSTRAINT chat_messages_reply_to_fkey;
        DROP INDEX chat_messages_one_reply, chat_messages_client_id, direct_messages_client_id""")


async def test_a_clinic_at_rest_has_nothing_broken(at_rest, owner):
    assert await broken(owner, at_rest=True) == []


async def test_every_sentence_goes_red_when_its_fault_is_planted(at_rest, owner):
    for sentence, fault in PLANTED.items():
        planting = owner.transaction()
        await planting.start()
        await owner.execute(fault)
        assert any(name.startswith(sentence) for name in await broken(owner, at_rest=True)), sentence
        await planting.rollback()
    unseen = [name for name in QUERIES if not any(name.startswith(sentence) for sentence in PLANTED)]
    assert unseen == []


async def test_a_promise_that_was_not_kept_is_named(at_rest, owner):
    (row,) = await stored(owner, CHAT, "client_message_id IS NOT NULL LIMIT 1")
    kept = (row["client_message_id"], row["content"])
    wrong = {
        "(I1)": Told(uuid4(), "hello"),
        "(I4)": Told(row["client_message_id"], "other words"),
        "(I9)": Told(*kept, message_id=uuid4()),
        "(I3)": Told(*kept, message_id=row["id"], reply_id=uuid4()),
    }
    for invariant, told in wrong.items():
        (found,) = await broken(owner, history=[told])
        assert invariant in found
    assert await broken(owner, history=[Told(uuid4(), "never arrived", acked=False), Told(*kept)]) == []
    await owner.execute(f"UPDATE direct_messages SET client_message_id = '{KEY}'")
    assert "(I2)" in (await broken(owner, history=[Told(KEY, "hello", acked=False)]))[-1]
