import asyncio

import pytest

from anamnesis.edge.running import enter
from anamnesis.kernel.errors import BadInput, NotPermitted
from anamnesis.kernel.identity import Visitor
from anamnesis.kernel.procedures import Bound, Kind, Procedure, Request

REQUEST = Request("r")


class Open:
    """Lets everybody in."""

    async def admit(self, procedure, request):
        return Visitor()


class Shut:
    """Lets nobody in."""

    async def admit(self, procedure, request):
        raise NotPermitted


class Notebook:
    """Keeps what it was told."""

    def __init__(self):
        self.phases = []

    def __call__(self, name, phase, request, *, duration_ms=0.0, error=None):
        assert duration_ms >= 0
        self.phases.append(phase if error is None else f"{phase} {type(error).__name__}")


def bound(handler, **contract):
    return Bound(Procedure(name="a.b", kind=contract.pop("kind", Kind.QUERY), handler=handler, **contract), None)


async def answer(context, given=None):
    return given


async def one_two(_):
    yield 1
    yield 2


async def breaks(_):
    yield 1
    raise LookupError


def unreadable():
    raise BadInput


async def test_a_run_is_told_from_start_to_end():
    told = Notebook()
    assert await enter(bound(answer), REQUEST, guard=Open(), read_input=unreadable, observe=told) is None
    assert told.phases == ["started", "completed"]


async def test_a_stranger_learns_nothing_of_his_input():
    told = Notebook()
    with pytest.raises(NotPermitted):
        await enter(bound(answer, input=str), REQUEST, guard=Shut(), read_input=unreadable, observe=told)
    assert told.phases == ["started", "error NotPermitted"]


async def test_a_bad_input_never_reaches_the_handler():
    with pytest.raises(BadInput):
        await enter(bound(answer, input=str), REQUEST, guard=Open(), read_input=unreadable)


async def subscribed(handler, told):
    return await enter(
        bound(handler, kind=Kind.SUBSCRIPTION), REQUEST, guard=Open(), read_input=unreadable, observe=told
    )


async def test_a_subscription_completes_when_its_values_end():
    told = Notebook()
    values = await subscribed(one_two, told)
    assert told.phases == ["started"]
    assert [value async for value in values] == [1, 2]
    assert told.phases == ["started", "completed"]


async def test_a_subscription_that_breaks_is_told_with_its_error():
    told = Notebook()
    values = await subscribed(breaks, told)
    with pytest.raises(LookupError):
        assert [value async for value in values] == [1]
    assert told.phases == ["started", "error LookupError"]


async def test_a_subscription_nobody_listens_to_any_more_has_ended_well():
    closed = []

    async def endless(_):
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    told = Notebook()
    values = await subscribed(endless, told)
    assert await anext(values) == 1
    await values.aclose()
    assert (told.phases, closed) == (["started", "completed"], [True])


async def test_a_wait_that_is_cut_is_a_good_end_of_a_subscription():
    async def silent(_):
        await asyncio.Event().wait()
        yield 1

    told = Notebook()
    waiting = asyncio.ensure_future(anext(await subscribed(silent, told)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert told.phases == ["started", "completed"]
