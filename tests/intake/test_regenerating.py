"""The last reply in other words: another wording and nothing else, once for each reply that was seen."""

import asyncio
from uuid import UUID, uuid4

import pytest

import build
from anamnesis.db.encryption import CHAT
from anamnesis.kernel.errors import BadInput, NotFound
from anamnesis.llm.port import ModelUnavailable
from anamnesis.llm.scripted import StubModel
from build import WHOLE_INTAKE, a_session, an_app, caller, closing, tell
from checker import broken

ADVICE = "Take 500 mg of paracetamol twice a day and you will be fine. What is your name?"
WORDED = "Could you tell me your name, how old you are, and whether you are male or female?"
EMERGENCY = "I have crushing chest pain and I am sweating"


@pytest.fixture
def model():
    return StubModel()


@pytest.fixture
async def app(clinic, model):
    async with closing(an_app(clinic.app_dsn, model=model)) as app:
        yield app


async def again(app, session_id, who="patient", **more):
    return await caller(app, who).call("intake.regenerateResponse", sessionId=session_id, **more)


async def lines(app, session_id, who="patient"):
    session = await caller(app, who).call("intake.getSession", sessionId=session_id)
    return [(line["role"], line["text"]) for line in session["messages"]]


async def stored(owner, session_id):
    return dict(
        await owner.fetchrow(
            "SELECT status, record, acuity, completeness, clinical_handover, name, ai_message_count"
            " FROM intake_sessions WHERE id = $1",
            UUID(session_id),
        )
    )


async def a_started(app, *told):
    _, session_id = await a_session(app)
    return session_id, await tell(app, session_id, *(told or ("It is about me",)))


async def test_the_reply_is_replaced_by_another_wording_and_the_old_one_kept(app, model, owner):
    session_id, sent = await a_started(app)
    before, seen = await stored(owner, session_id), await lines(app, session_id)
    model.text = WORDED
    answer = await again(app, session_id)
    assert answer["aiMessage"]["text"] == WORDED
    assert answer["aiMessage"]["id"] != sent["aiMessage"]["id"]
    assert answer["aiMessage"]["choices"] == sent["aiMessage"]["choices"]
    assert await lines(app, session_id) == [*seen[:-1], ("model", WORDED)]
    (old,) = await build.stored(owner, CHAT, "id = $1", sent["aiMessage"]["id"])
    assert (old["content"], old["superseded_at"] is None) == (sent["aiMessage"]["text"], False)
    assert await stored(owner, session_id) == before
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'intake_response_regenerated'") == 1
    assert await broken(owner) == []


async def test_a_doctor_may_ask_for_it_too_and_the_conversation_goes_on(app, model, owner):
    session_id, _ = await a_started(app)
    model.text = WORDED
    answer = await again(app, session_id, "doctor")
    assert answer["aiMessage"]["text"] == WORDED
    assert await lines(app, session_id) == await lines(app, session_id, "doctor")
    assert (await lines(app, session_id))[-1] == ("model", WORDED)
    await tell(app, session_id, "Jane, 34, female")
    audit = "SELECT u.clerk_id FROM audit_logs a JOIN users u ON u.id = a.user_id"
    assert await owner.fetchval(f"{audit} WHERE action = 'intake_response_regenerated'") == "doctor"
    assert await broken(owner) == []


async def test_the_shape_is_that_of_a_sent_message_without_it(app):
    session_id, _ = await a_started(app)
    answer = await again(app, session_id)
    assert set(answer) == {"aiMessage", "thought", "updatedMedicalData", "completeness", "isReady"}
    assert answer["thought"]["strategy"] == ""
    assert (await again(app, session_id, "doctor"))["thought"]["strategy"] != ""


async def test_the_interview_goes_on_after_it_as_without_it(app, model, owner):
    session_id, _ = await a_started(app)
    for number, message in enumerate(WHOLE_INTAKE[1:]):
        model.text = None if number % 2 else WORDED
        await again(app, session_id)
        model.text = None
        await tell(app, session_id, message)
    _, plain = await a_session(app, patient="other", doctor="colleague")
    await tell(app, plain, *WHOLE_INTAKE, who="other")
    ours, theirs = await stored(owner, session_id), await stored(owner, plain)
    assert [ours[key] for key in ("status", "acuity", "completeness")] == [
        theirs[key] for key in ("status", "acuity", "completeness")
    ]
    assert ours["status"] == "ready"
    assert await broken(owner) == []


async def test_a_reply_that_was_replaced_is_not_replaced_again(app, model):
    session_id, sent = await a_started(app)
    model.text, seen = WORDED, str(sent["aiMessage"]["id"])
    first = await again(app, session_id, messageId=seen)
    calls, model.text = model.calls, "And your name, your age, and are you male or female, please?"
    second = await again(app, session_id, messageId=seen)
    assert second["aiMessage"]["id"] == first["aiMessage"]["id"]
    assert model.calls == calls


async def test_many_at_once_leave_one_current_reply(app, model, owner):
    session_id, sent = await a_started(app)
    model.text, model.latency_s = WORDED, 0.05
    answers = await asyncio.gather(*(again(app, session_id, messageId=str(sent["aiMessage"]["id"])) for _ in range(8)))
    assert len({answer["aiMessage"]["id"] for answer in answers}) == 1
    assert len(await lines(app, session_id)) == 3
    assert await broken(owner) == []


@pytest.mark.parametrize("failure", [ModelUnavailable("http_503"), None])
async def test_a_model_that_fails_or_says_what_it_may_not_leaves_the_reply(app, model, owner, failure):
    session_id, sent = await a_started(app)
    model.failure, model.text = failure, ADVICE
    before = await lines(app, session_id)
    assert (await again(app, session_id))["aiMessage"]["id"] == sent["aiMessage"]["id"]
    assert await lines(app, session_id) == before
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE superseded_at IS NOT NULL") == 0


@pytest.mark.parametrize("told", [("It is about me", EMERGENCY), WHOLE_INTAKE])
async def test_emergency_advice_and_the_end_are_never_put_in_other_words(app, model, told):
    session_id, sent = await a_started(app, *told)
    calls, model.text = model.calls, WORDED
    answer = await again(app, session_id)
    assert answer["aiMessage"]["id"] == sent["aiMessage"]["id"]
    assert (answer["isReady"], model.calls) == (sent["isReady"], calls)


async def test_a_message_that_still_waits_is_answered(app, owner):
    _, session_id = await a_session(app)
    await owner.execute(
        "INSERT INTO chat_messages (session_id, seq, role, content, turn_state, sender_id)"
        " SELECT $1, next_seq, 'user', 'It is about me', 'waiting', (SELECT id FROM users WHERE clerk_id = 'patient')"
        " FROM intake_sessions WHERE id = $1",
        UUID(session_id),
    )
    await owner.execute("UPDATE intake_sessions SET next_seq = next_seq + 1 WHERE id = $1", UUID(session_id))
    await owner.execute("INSERT INTO jobs (kind, subject) VALUES ('take_turn', $1)", UUID(session_id))
    assert "?" in (await again(app, session_id))["aiMessage"]["text"]
    assert [role for role, _ in await lines(app, session_id)] == ["model", "user", "model"]
    assert await broken(owner) == []


async def test_there_must_be_a_reply_and_it_must_be_theirs(app):
    _, session_id = await a_session(app)
    with pytest.raises(BadInput):
        await again(app, session_id)
    with pytest.raises(NotFound):
        await again(app, session_id, "stranger")
    with pytest.raises(NotFound):
        await again(app, str(uuid4()))


async def test_without_a_model_the_reply_stays(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        session_id, sent = await a_started(app)
        assert (await again(app, session_id))["aiMessage"]["id"] == sent["aiMessage"]["id"]
