import asyncio
from uuid import uuid4

import pytest

from anamnesis.db import outbox
from anamnesis.kernel.jobs import JobKind, NewJob

TURN = JobKind.TAKE_TURN


async def left(database, *jobs):
    async with database.transaction() as connection:
        await outbox.enqueue(connection, *jobs)


async def settled(database, job):
    async with database.transaction() as connection:
        return await outbox.settle(connection, job)


@pytest.mark.proves("I11")
async def test_a_job_left_in_a_transaction_that_fails_never_was(database):
    async def left_and_failed():
        async with database.transaction() as connection:
            await outbox.enqueue(connection, NewJob(TURN, uuid4()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await left_and_failed()
    assert await outbox.claim(database, [TURN]) is None


async def test_two_jobs_about_one_thing_are_one(database):
    subject = uuid4()
    await left(database, NewJob(TURN, subject), NewJob(TURN, subject))
    assert (await outbox.depth(database)).queued == 1


async def test_many_workers_claim_a_job_once(database):
    await left(database, NewJob(TURN, uuid4()))
    claims = await asyncio.gather(*(outbox.claim(database, [TURN]) for _ in range(8)))
    assert sum(claim is not None for claim in claims) == 1


@pytest.mark.proves("I8")
async def test_a_lease_that_ran_out_is_taken_over_and_the_old_fence_is_refused(database):
    await left(database, NewJob(TURN, uuid4()))
    slow = await outbox.claim(database, [TURN], lease_s=0.01)
    await asyncio.sleep(0.05)
    quick = await outbox.claim(database, [TURN])
    assert quick.id == slow.id
    assert not await settled(database, slow)
    assert await settled(database, quick)


async def test_work_asked_for_while_it_runs_runs_once_more(database):
    subject = uuid4()
    await left(database, NewJob(TURN, subject))
    first = await outbox.claim(database, [TURN])
    await left(database, NewJob(TURN, subject))
    assert await outbox.claim(database, [TURN]) is None
    assert await settled(database, first)
    again = await outbox.claim(database, [TURN])
    assert again.subject == subject
    assert await settled(database, again)
    assert await outbox.claim(database, [TURN]) is None


async def test_what_is_due_again_is_new_work_that_was_never_tried(database):
    subject = uuid4()
    await left(database, NewJob(TURN, subject))
    for _ in range(6):
        job = await outbox.claim(database, [TURN])
        assert job.attempt == 1
        async with database.transaction() as connection:
            assert await outbox.settle(connection, job, has_more=True)


async def test_who_leaves_a_job_may_take_it_at_once(database):
    subject = uuid4()
    async with database.transaction() as connection:
        mine = await outbox.enqueue_claimed(connection, NewJob(TURN, subject))
    async with database.transaction() as connection:
        assert await outbox.enqueue_claimed(connection, NewJob(TURN, subject)) is None
    assert await settled(database, mine)
    assert (await outbox.claim(database, [TURN])).subject == subject


async def test_a_delayed_job_is_left_alone_by_workers_and_found_by_its_name(database):
    subject = uuid4()
    await left(database, NewJob(TURN, subject, delay_s=60))
    assert await outbox.claim(database, [TURN]) is None
    assert (await outbox.claim_one(database, TURN, subject)).subject == subject


async def test_a_job_that_keeps_failing_is_given_up_and_counted(database):
    await left(database, NewJob(TURN, uuid4()))
    job = await outbox.claim(database, [TURN])
    assert await outbox.retry(database, job, "ValueError", max_attempts=2) == "queued"
    job = await outbox.claim_one(database, TURN, job.subject)
    assert await outbox.retry(database, job, "ValueError", max_attempts=2) == "dead"
    assert (await outbox.depth(database)).dead == 1


async def test_a_released_job_does_not_count_as_tried(database):
    await left(database, NewJob(TURN, uuid4()))
    job = await outbox.claim(database, [TURN])
    await outbox.release(database, job)
    assert (await outbox.claim(database, [TURN])).attempt == 1
