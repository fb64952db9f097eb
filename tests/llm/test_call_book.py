"""The breaker and the ledger: one contract, in memory and in PostgreSQL, and there over several processes' pools."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from in_memory import InMemoryCallBook

from anamnesis.db.model_calls import PostgresCallBook
from anamnesis.db.postgres import Database
from anamnesis.kernel.calls import Admission, ModelCall, Sign
from build import a_session, an_app, closing

GOOD = ModelCall("gemini", "g-1", "v-1", None, 1, "answered", guard="passed", latency_ms=5)
BAD = replace(GOOD, outcome="timed_out", sign=Sign.BAD)
NEITHER = replace(GOOD, outcome="guarded", sign=Sign.NEITHER)


@pytest.fixture(params=["memory", "postgres"])
async def book(request, clinic):
    if request.param == "memory":
        yield InMemoryCallBook(pause_s=0.2)
        return
    database = Database(clinic.app_dsn)
    yield PostgresCallBook(database, pause_s=0.2)
    await database.close()


async def admitted(book, name="gemini"):
    return await book.admit(name, None) in (Admission.OPEN, Admission.PROBE)


async def test_failures_in_a_row_shut_a_provider_and_nobody_else(book):
    for _ in range(2):
        await book.record(BAD)
    assert await admitted(book)
    await book.record(BAD)
    assert not await admitted(book)
    assert await admitted(book, "openai")
    assert await book.shut() == {"gemini"}


async def test_a_success_between_starts_the_count_again(book):
    for call in (BAD, BAD, GOOD, BAD, BAD, NEITHER):
        await book.record(call)
    assert await admitted(book)


async def test_after_the_pause_one_is_let_through_and_a_success_opens(book):
    for _ in range(3):
        await book.record(BAD)
    await asyncio.sleep(0.25)
    assert [await admitted(book) for _ in range(3)] == [True, False, False]
    await book.record(GOOD)
    assert await admitted(book)
    assert await book.shut() == frozenset()


async def test_a_probe_that_fails_shuts_for_another_pause(book):
    for _ in range(3):
        await book.record(BAD)
    await asyncio.sleep(0.25)
    assert await admitted(book)
    await book.record(BAD)
    assert not await admitted(book)


async def test_a_pause_that_was_asked_for_is_kept_from_the_first_failure(book):
    await book.record(replace(BAD, shut_for_s=0.4))
    await asyncio.sleep(0.25)
    assert not await admitted(book)
    await asyncio.sleep(0.2)
    assert await admitted(book)


@pytest.mark.proves("I18")
async def test_two_processes_share_one_breaker_and_one_probe(clinic):
    pools = [Database(clinic.app_dsn), Database(clinic.app_dsn)]
    one, two = (PostgresCallBook(pool, pause_s=1.5) for pool in pools)
    for book in (one, two, one):
        await book.record(BAD)
    assert not await admitted(two)
    await asyncio.sleep(1.6)
    let = await asyncio.gather(*(admitted(book) for book in (one, two) * 20))
    assert sum(let) == 1
    for pool in pools:
        await pool.close()


async def test_a_session_that_asked_often_enough_within_a_minute_waits(database, owner):
    book = PostgresCallBook(database, per_minute=2)
    session = await a_row(owner)
    for _ in range(2):
        await book.record(replace(GOOD, session_id=session))
    assert await book.admit("gemini", session) is Admission.OVER_BUDGET
    assert await book.admit("gemini", uuid4()) is Admission.OPEN


async def two_of_one_patient(clinic):
    """Two interviews of one patient, with different doctors."""
    async with closing(an_app(clinic.app_dsn)) as app:
        return [UUID((await a_session(app, doctor=doctor))[1]) for doctor in ("doctor", "another")]


async def test_all_interviews_of_a_patient_share_the_minute(clinic, database):
    first, second = await two_of_one_patient(clinic)
    book = PostgresCallBook(database, per_minute=2)
    for _ in range(2):
        await book.record(replace(GOOD, session_id=first))
    assert await book.admit("gemini", second) is Admission.OVER_BUDGET
    assert await book.admit("gemini", None) is Admission.OPEN


async def test_calls_that_are_on_their_way_count_over_all_processes(clinic, database):
    sessions, books = await two_of_one_patient(clinic), []
    async with closing(an_app(clinic.app_dsn)) as second:
        books = [PostgresCallBook(each, per_minute=5) for each in (database, second.database)]
        asking = [book.admit("gemini", session) for book in books for session in sessions for _ in range(6)]
        admitted = await asyncio.gather(*asking)
    assert admitted.count(Admission.OPEN) == 5
    assert admitted.count(Admission.OVER_BUDGET) == 19


@pytest.mark.parametrize("reason", ["rests", "over its minute", "over its cap", "over the day's cap"])
async def test_who_may_not_ask_takes_no_probe_from_who_may(database, owner, reason):
    session, healthy = await a_row(owner), await a_row(owner)
    options = {"over its minute": {"per_minute": 3}, "over its cap": {"session_usd": 0.001}}.get(reason, {})
    book = PostgresCallBook(database, pause_s=0.1, **options)
    kept_back = book if reason != "over the day's cap" else PostgresCallBook(database, pause_s=0.1, daily_usd=0.001)
    mine = NEITHER if reason == "rests" else replace(GOOD, cost_microusd=1_000)
    for call in (mine, mine, mine, BAD, BAD, BAD):
        await book.record(replace(call, session_id=session if call is mine else None))
    for _ in range(6):
        await asyncio.sleep(0.12)
        assert await kept_back.admit("gemini", session) in (Admission.SHUT, Admission.OVER_BUDGET)
        assert await book.admit("gemini", healthy) is Admission.PROBE


async def a_row(owner):
    """A session to hang calls on, without the people it belongs to."""
    await owner.execute("ALTER TABLE intake_sessions DROP CONSTRAINT IF EXISTS intake_sessions_connection_id_fkey")
    return await owner.fetchval("INSERT INTO intake_sessions (connection_id) VALUES ($1) RETURNING id", uuid4())


async def test_a_session_whose_last_calls_all_failed_rests_and_others_go_on(database, owner):
    book, session = PostgresCallBook(database, failures=3, rest_s=0.4), await a_row(owner)
    mine = replace(NEITHER, session_id=session)
    for call in (mine, replace(GOOD, session_id=session), mine, mine):
        await book.record(call)
    assert await book.admit("gemini", session) is Admission.OPEN
    assert await book.resting() == []
    await asyncio.sleep(0.3)
    await book.record(mine)
    assert await book.admit("gemini", session) is Admission.SHUT
    assert await book.admit("gemini", None) is Admission.OPEN
    ((resting, left_s),) = await book.resting()
    assert resting == session
    assert 0 < left_s <= 0.4
    await asyncio.sleep(0.2)  # the rest is counted from the last failure, not from the first
    assert await book.admit("gemini", session) is Admission.SHUT
    await asyncio.sleep(0.25)
    assert await book.admit("gemini", session) is Admission.OPEN
    assert await book.resting() == []
    await book.record(mine)  # nothing was answered since: one more is enough
    assert await book.admit("gemini", session) is Admission.SHUT


async def test_a_reply_its_patient_stopped_is_no_failure_and_an_answer_starts_the_count_again(database, owner):
    book, session = PostgresCallBook(database, failures=3), await a_row(owner)
    failed, stopped, answered = (
        replace(NEITHER, session_id=session, outcome=each) for each in ("guarded", "stopped", "answered")
    )
    for call in (stopped, stopped, stopped, failed, failed, stopped):
        await book.record(call)
    assert await book.admit("gemini", session) is Admission.OPEN
    for call in (answered, failed, failed, stopped):
        await book.record(call)
    assert await book.admit("gemini", session) is Admission.OPEN
    await book.record(failed)
    assert await book.admit("gemini", session) is Admission.SHUT
    assert [each for each, _ in await book.resting()] == [session]
    await book.record(answered)  # one that was on its way when the rest began
    assert await book.admit("gemini", session) is Admission.OPEN
    assert await book.resting() == []


@pytest.mark.proves("I24")
async def test_past_a_days_or_a_sessions_cap_nobody_is_asked(database, owner):
    session = await a_row(owner)
    book = PostgresCallBook(database, daily_usd=0.01, session_usd=0.002)
    await book.record(replace(GOOD, session_id=session, cost_microusd=2_000))
    assert await book.admit("gemini", session) is Admission.OVER_BUDGET
    assert await book.admit("gemini", None) is Admission.OPEN
    await book.record(replace(GOOD, cost_microusd=8_000))
    assert await book.admit("gemini", None) is Admission.OVER_BUDGET
    assert await PostgresCallBook(database).admit("gemini", None) is Admission.OPEN


async def test_the_ledger_holds_every_word_it_was_given_and_no_column_for_content(database, owner):
    call = replace(GOOD, facts_kept=1, facts_dropped=2, input_tokens=9, output_tokens=6, cost_microusd=420, photos=3)
    await PostgresCallBook(database).record(call)
    row = await owner.fetchrow("SELECT * FROM model_calls")
    assert {name: getattr(call, name) for name in dict(row) if hasattr(call, name)}.items() <= dict(row).items()
    assert not {"content", "text", "reply", "prompt"} & dict(row).keys()


async def test_the_service_can_add_to_the_ledger_and_not_change_it(database):
    await PostgresCallBook(database).record(GOOD)
    for statement in ("UPDATE model_calls SET outcome = 'x'", "DELETE FROM model_calls", "DELETE FROM model_breakers"):
        with pytest.raises(Exception, match="permission denied"):
            await database.execute(statement)
