"""One turn in the whole application: what is kept, what is answered, what each side is shown."""

import asyncio
from uuid import UUID, uuid4

import pytest

from anamnesis.care.model import Access, Standing
from anamnesis.db import outbox
from anamnesis.db.viewing import viewing
from anamnesis.intake.actions import Interviewer, receive_message
from anamnesis.intake.model import NewMessage
from anamnesis.kernel.errors import Conflict
from anamnesis.kernel.jobs import JobKind
from anamnesis.kernel.listening import place_of
from anamnesis.llm.port import Completion
from anamnesis.llm.scripted import StubModel
from anamnesis.settings import Ai, Settings
from build import WHOLE_INTAKE, WORKING, a_session, an_app, caller, closing, tell
from checker import broken

URGENT = "my eyes are yellow"
EMERGENCY = "I have crushing chest pain and I am sweating"


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        yield app


def an_app_with(clinic, model):
    return closing(an_app(clinic.app_dsn, model=model))


async def seen_by(app, who, session_id):
    return await caller(app, who).call("intake.getSession", sessionId=session_id)


async def work(app):
    """Do what is left for workers; answers the kinds done."""
    done = []
    while (job := await outbox.claim(app.database, list(app.worker.handlers))) is not None:
        await app.worker.handlers[job.kind](job)
        async with app.database.transaction() as connection:
            await outbox.settle(connection, job)
        done.append(job.kind)
    return done


async def test_danger_told_after_review_puts_the_case_on_top_and_tells_the_doctor_again(app):
    _, reviewed = await a_session(app)
    await tell(app, reviewed, *WHOLE_INTAKE, EMERGENCY)
    await work(app)
    await caller(app, "doctor").call("intake.markAsReviewed", sessionId=reviewed)
    profile = await caller(app, "doctor").call("doctor.getMyProfile")
    connection = await caller(app, "other").call("connection.create", doctorId=str(profile["id"]))
    other = await caller(app, "other").call("intake.create", connectionId=str(connection["id"]))
    await tell(app, str(other["id"]), "It is about me", who="other")
    await tell(app, reviewed, "now I am fainting and I cannot breathe")
    await work(app)
    cases = (await caller(app, "doctor").call("handover.getInbox"))["cases"]
    assert [str(case["sessionId"]) for case in cases] == [reviewed, str(other["id"])]
    with viewing(WORKING):
        told = await app.database.fetchval("SELECT count(*) FROM notifications WHERE type = 'intake_emergency'")
    assert told == 2


async def test_danger_told_after_ready_enters_the_hand_over(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE, EMERGENCY)
    handover = (await seen_by(app, "doctor", session_id))["session"]["clinicalHandover"]
    assert "Red flag" in handover["situation"]


#: Readings that no rule of words knows: vital signs alone raise the urgency.
READINGS = "spo2 75"


@pytest.mark.proves("I11")
async def test_an_emergency_of_vital_signs_alone_tells_the_doctor(app, owner):
    _, session_id = await a_session(app)
    answer = await tell(app, session_id, "It is about me", "Jane, 34, female", "I have a headache", READINGS)
    assert answer["aiMessage"]["isEmergency"]
    assert JobKind.ALERT_CLINICIAN in await work(app)
    assert await broken(owner) == []


async def test_vital_signs_told_after_ready_enter_the_hand_over_and_tell_the_doctor(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    await work(app)
    answer = await tell(app, session_id, READINGS)
    assert answer["aiMessage"]["isEmergency"]
    assert JobKind.ALERT_CLINICIAN in await work(app)
    assert "75" in str((await seen_by(app, "doctor", session_id))["session"]["clinicalHandover"])


async def test_advice_is_given_once_after_ready(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    first = await tell(app, session_id, URGENT)
    second = await tell(app, session_id, "ok")
    assert app.content.texts["advice.urgent_today"] not in second["aiMessage"]["text"]
    assert app.content.texts["advice.urgent_today"] in first["aiMessage"]["text"]


async def alarms(app):
    await work(app)
    with viewing(WORKING):
        return await app.database.fetchval("SELECT count(*) FROM notifications WHERE type = 'intake_emergency'")


async def test_an_emergency_of_a_reading_alone_alarms_the_doctor_too(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, "It is about me", "Jane, 34, female", "my knee itches since Monday")
    answer = await tell(app, session_id, "spo2 86")
    assert app.content.texts["advice.emergency_now"] in answer["aiMessage"]["text"]
    assert await alarms(app) == 1


async def test_an_emergency_of_a_reading_after_ready_enters_the_hand_over(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE, "spo2 86")
    assessment = (await seen_by(app, "doctor", session_id))["session"]["clinicalHandover"]["assessment"]
    assert "Oxygen saturation 86" in assessment
    assert await alarms(app) == 1


async def test_a_no_to_the_question_of_safety_is_an_emergency_and_no_answer(app):
    _, session_id = await a_session(app)
    asked = await tell(app, session_id, "It is about me", "Jane, 34, female", "I was raped last night")
    assert asked["aiMessage"]["text"] == app.content.texts["advice.violence"]
    assert await alarms(app) == 0
    answer = await tell(app, session_id, "no")
    assert answer["aiMessage"]["text"].startswith(app.content.texts["advice.emergency_now"])
    assert await alarms(app) == 1


async def test_a_no_to_the_question_of_safety_counts_after_the_advice_of_an_emergency_and_after_ready(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE, "I was raped last night")
    answer = await tell(app, session_id, "no")
    assert app.content.texts["advice.emergency_now"] in answer["aiMessage"]["text"]
    assert await alarms(app) == 1


@pytest.mark.parametrize("text", ["What is your name?\x00", "word " * 1000], ids=["nul", "endless"])
@pytest.mark.proves("I40")
@pytest.mark.regression("D11")
async def test_whatever_a_model_says_the_patient_gets_an_answer_of_bounded_length(clinic, text):
    async with an_app_with(clinic, StubModel(text=text)) as app:
        _, session_id = await a_session(app)
        answer = await tell(app, session_id, "It is about me")
        assert answer["aiMessage"] is not None
        assert len(answer["aiMessage"]["text"]) < 2500


class CutOff(StubModel):
    async def complete(self, prompt, *, deadline_s):
        return Completion("And what is your na", "length")


class Deaf(StubModel):
    async def complete(self, prompt, *, deadline_s):
        await asyncio.sleep(600)


class TimesOut(StubModel):
    async def complete(self, prompt, *, deadline_s):
        raise TimeoutError


async def test_a_cut_off_answer_is_not_used(clinic):
    async with an_app_with(clinic, CutOff()) as app:
        _, session_id = await a_session(app)
        answer = await tell(app, session_id, "It is about me")
        assert "What is your name" in answer["aiMessage"]["text"]


@pytest.mark.parametrize("model", [Deaf(), TimesOut()], ids=["deaf", "times out"])
@pytest.mark.regression("D12")
async def test_a_model_that_ignores_its_deadline_is_left(clinic, model):
    impatient = Settings(ai=Ai(timeout_s=0.3))
    async with closing(an_app(clinic.app_dsn, model=model, settings=impatient)) as app:
        _, session_id = await a_session(app)
        async with asyncio.timeout(5):
            answer = await tell(app, session_id, "It is about me")
        assert answer["aiMessage"] is not None


async def test_fixed_advice_is_never_left_to_a_model(clinic):
    async with an_app_with(clinic, StubModel(text="Shall we go on?")) as app:
        _, session_id = await a_session(app)
        answer = await tell(app, session_id, "It is about me", "Jane, 34, female", URGENT)
        assert app.content.texts["advice.urgent_today"] in answer["aiMessage"]["text"]


async def test_a_read_back_is_never_left_to_a_model(clinic):
    async with an_app_with(clinic, StubModel(text="Shall we go on?")) as app:
        _, session_id = await a_session(app)
        answer = await tell(app, session_id, *WHOLE_INTAKE[:-1])
        assert "penicillin" in answer["aiMessage"]["text"]


async def test_an_emergency_is_not_read_as_the_answer_to_what_was_asked(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE[:10])
    await tell(app, session_id, "I want to kill myself")
    await tell(app, session_id, "yes I am safe now", *WHOLE_INTAKE[10:], *["no"] * 3)
    data = (await seen_by(app, "doctor", session_id))["session"]["medicalData"]
    assert data["medications"] == ["amlodipine 5 mg"]


async def kept(app, session_id, *messages):
    """Keep these messages as a process does that dies before it answers any of them."""
    link = await app.intake_store.link_of_session(UUID(session_id))
    for text in messages:
        message, interviewer = NewMessage(link.patient_user_id, text, uuid4()), Interviewer(app.content, StubModel())
        with viewing(WORKING):
            await receive_message(
                Access(link, Standing.PATIENT),
                UUID(session_id),
                message,
                store=app.intake_store,
                interviewer=interviewer,
                request_id="r",
            )
    await app.database.execute("UPDATE jobs SET lease_until = clock_timestamp() WHERE state = 'running'")


async def take_one_turn(app):
    await app.worker.handlers[JobKind.TAKE_TURN](await outbox.claim(app.database, [JobKind.TAKE_TURN]))


@pytest.mark.proves("I7")
async def test_a_message_that_waits_while_the_interview_ends_is_answered_whatever_the_doctor_does(app, owner):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE[:-1])
    await kept(app, session_id, WHOLE_INTAKE[-1], "and I also cough")
    await take_one_turn(app)
    ready = (await seen_by(app, "doctor", session_id))["session"]
    assert ready["status"] == "ready"
    await caller(app, "doctor").call("intake.markAsReviewed", sessionId=session_id)
    await take_one_turn(app)
    seen = await seen_by(app, "doctor", session_id)
    assert seen["messages"][-1]["text"] == app.content.texts["after_ready"]
    assert seen["session"]["clinicalHandover"] == ready["clinicalHandover"]
    assert seen["session"]["status"] == "reviewed"
    assert await broken(owner) == []


@pytest.mark.proves("I7", "I10")
@pytest.mark.regression("R2")
async def test_eight_messages_at_once_are_all_answered(clinic, owner):
    async with an_app_with(clinic, StubModel(latency_s=0.01)) as app:
        _, session_id = await a_session(app)
        answers = await asyncio.gather(*(tell(app, session_id, f"my knee hurts, part {n}") for n in range(8)))
        assert all(answer["aiMessage"] for answer in answers)
        assert await broken(owner) == []


async def test_a_note_under_a_used_id_with_other_words_is_a_conflict(app):
    _, session_id = await a_session(app)
    key = str(uuid4())
    doctor = caller(app, "doctor")
    await doctor.call("intake.sendMessage", sessionId=session_id, content="one", clientMessageId=key)
    with pytest.raises(Conflict):
        await doctor.call("intake.sendMessage", sessionId=session_id, content="two", clientMessageId=key)


@pytest.mark.regression("P3")
async def test_a_patient_meets_no_stored_key_that_is_not_listed_for_patients(app, owner):
    _, session_id = await a_session(app)
    await owner.execute(
        "UPDATE intake_sessions SET medical_data = $1",
        '{"doctorNotes": "SECRETOSIS", "futureKey": "SECRETOSIS", "vitalsData": {"x": "SECRETOSIS"}}',
    )
    assert "SECRETOSIS" not in repr(await seen_by(app, "patient", session_id))
    assert "SECRETOSIS" in repr(await seen_by(app, "doctor", session_id))


async def test_what_an_older_record_knows_is_not_replaced_by_nothing(app, owner):
    _, session_id = await a_session(app)
    await owner.execute(
        "UPDATE intake_sessions SET medical_data = $1",
        '{"chiefComplaint": "cough", "allergies": ["penicillin"], "vitalsData": {"patientAge": 61},'
        ' "bookingStatus": "booked"}',
    )
    data = (await seen_by(app, "doctor", session_id))["session"]["medicalData"]
    assert (data["chiefComplaint"], data["allergies"], data["bookingStatus"]) == ("cough", ["penicillin"], "booked")
    assert data["vitalsData"]["patientAge"] == 61


async def test_a_review_answers_the_whole_row(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    row = await caller(app, "doctor").call("intake.markAsReviewed", sessionId=session_id)
    assert {"medicalData", "clinicalHandover", "doctorThought", "aiMessageCount"} <= row.keys()


@pytest.mark.proves("I10")
async def test_the_counter_of_replies_equals_a_recount(app, owner):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE, "one more", "two more")
    counted = await owner.fetchval("SELECT count(*) FROM chat_messages WHERE reply_to IS NOT NULL")
    assert await owner.fetchval("SELECT ai_message_count FROM intake_sessions") == counted


async def test_a_child_is_not_given_the_name_of_the_account(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, "It is about my child", "Tom, 3 years, boy")
    vitals = (await seen_by(app, "doctor", session_id))["session"]["medicalData"]["vitalsData"]
    assert vitals["patientName"] == "Tom"


class Broken(StubModel):
    """Fails in a way no model may: as a defect of ours would."""

    async def complete(self, prompt, *, deadline_s):
        raise ZeroDivisionError


@pytest.mark.proves("I7")
@pytest.mark.regression("R3")
async def test_a_turn_that_keeps_failing_is_answered_by_fixed_text(clinic, owner):
    async with an_app_with(clinic, Broken()) as app:
        _, session_id = await a_session(app)
        with pytest.raises(ZeroDivisionError):
            await tell(app, session_id, "It is about me")
        for _ in range(3):
            job = await outbox.claim_one(app.database, JobKind.TAKE_TURN, UUID(session_id))
            try:
                await app.worker.handlers[JobKind.TAKE_TURN](job)
            except ZeroDivisionError:
                await outbox.retry(app.database, job, "ZeroDivisionError")
        last = (await seen_by(app, "patient", session_id))["messages"][-1]
        assert last["text"] == app.content.texts["after_ready"]
        assert await broken(owner) == []


async def test_a_cancelled_send_is_given_back_at_once(clinic):
    async with an_app_with(clinic, StubModel(latency_s=30)) as app:
        _, session_id = await a_session(app)
        sending = asyncio.create_task(tell(app, session_id, "It is about me"))
        await asyncio.sleep(0.2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert await app.database.fetchval("SELECT state FROM jobs WHERE kind = 'take_turn'") == "queued"


async def test_a_name_the_patient_took_away_is_not_given_again(app):
    _, session_id = await a_session(app)
    await caller(app, "patient").call("intake.updateSessionName", sessionId=session_id, name=None)
    await tell(app, session_id, *WHOLE_INTAKE[:3])
    assert (await seen_by(app, "patient", session_id))["session"]["name"] is None


@pytest.mark.parametrize(("told", "meant"), [("12", 12), ("²", 0), ("x", 0), ("9" * 19, 0)])
def test_a_place_in_the_stream_that_is_no_number_is_the_beginning(told, meant):
    assert (place_of(told) or 0) == meant


async def test_a_medicine_told_with_more_keeps_every_word(app):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE[:10], "I take amlodipine 5 mg and it makes my feet swell")
    data = (await seen_by(app, "doctor", session_id))["session"]["medicalData"]
    assert data["medications"] == ["I take amlodipine 5 mg and it makes my feet swell"]
