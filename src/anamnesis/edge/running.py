"""Run one procedure the same way whatever protocol asked: admit, read the input, call."""

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Protocol

from pydantic import BaseModel

from anamnesis.db.viewing import viewer_of, viewing
from anamnesis.kernel.errors import AnamnesisError, NotFound, TooManyRequests, Unavailable
from anamnesis.kernel.identity import Actor, Person
from anamnesis.kernel.procedures import Bound, Changed, Context, Kind, Procedure, Request
from anamnesis.kernel.trail import Trail, following, trail_of

_DONE: Final = object()


class Guard(Protocol):
    """Decides whether a caller may use a procedure at all, before its input is looked at."""

    async def admit(self, procedure: Procedure, request: Request) -> Actor:
        """The caller as the database knows them now.

        Raises NotSignedIn, NotPermitted, TooManyRequests or Unavailable.
        """
        ...


class Observe(Protocol):
    """Told when a procedure starts, completes or fails; duration_ms and error are given with the end."""

    def __call__(
        self, name: str, phase: str, request: Request, *, duration_ms: float = 0.0, error: BaseException | None = None
    ) -> None:
        """Take note; never raises."""
        ...


def unobserved(
    name: str, phase: str, request: Request, *, duration_ms: float = 0.0, error: BaseException | None = None
) -> None:
    """Take no note."""


async def enter(
    bound: Bound,
    request: Request,
    *,
    guard: Guard,
    read_input: Callable[[], Any],
    observe: Observe = unobserved,
) -> Any:
    """Admit the caller, then parse the input, then call the handler.

    The order is the contract: a stranger with a bad input learns that he is a stranger, and nothing of the input.
    read_input is called at most once, and only by a procedure that takes an input; it raises BadInput. It may answer
    an awaitable, where reading takes as long as its sender likes.
    Answers the handler's result, or a subscription's values as an async generator, which completes when they end
    or nobody listens any more.
    """
    procedure = bound.procedure
    watch = _Watch(procedure.name, request, observe)
    try:
        actor = await guard.admit(procedure, request)
        context: Context[Any] = Context(bound.services, actor, request)
        arguments: tuple[Any, ...] = (context,)
        if procedure.input is not None:
            given = read_input()
            arguments = (context, await given if inspect.isawaitable(given) else given)
        await _refuse_too_many(bound, actor, arguments)
        result = procedure.handler(*arguments)
        is_reading = procedure.kind is not Kind.MUTATION
        trail = trail_of(procedure.name, actor, request.request_id, arguments[-1], is_reading=is_reading)
        if procedure.kind is Kind.SUBSCRIPTION:
            return watch.values(_on_behalf(actor, result, trail, bound))
        with viewing(viewer_of(actor)), following(trail):
            async with _as_it_is_now(trail, bound):
                result = await result
                await _account(trail, bound)
    except BaseException as error:
        watch.fail(error)
        raise
    watch.complete()
    return result


def declared(procedure: Procedure, answer: Any) -> Any:
    """The answer, which is a model of the declared kind and so holds no key that was not declared. Raises TypeError.

    A subscription's values come later, one by one.
    """
    kind = None if procedure.kind is Kind.SUBSCRIPTION else procedure.output
    if isinstance(kind, type) and issubclass(kind, BaseModel) and not isinstance(answer, kind):
        raise TypeError(f"{procedure.name} answered {type(answer).__name__} where {kind.__name__} is declared")
    return answer


async def _account(trail: Trail, bound: Bound) -> None:
    """See to it that the call's audit line is written before anybody sees the answer."""
    if trail.is_owed and bound.keep is not None:
        await bound.keep(trail)


@asynccontextmanager
async def _as_it_is_now(trail: Trail, bound: Bound) -> AsyncIterator[None]:
    """However a call fails beneath which its record was erased, it ends as if there had never been one.

    The database decides that, not the kind of the failure: a row that was not found, a reference or a wall that refused
    are failures of ours as long as the record is there and open. Raises NotFound, NotPermitted.
    """
    try:
        yield
    except Exception as error:
        if bound.changed is None or isinstance(error, NotFound) or type(error) is Unavailable:
            raise
        now = await _change(trail, bound.changed)
        # A connection that ended explains what nobody expected; what we said on purpose still holds.
        if now is None or (isinstance(error, AnamnesisError) and not isinstance(now, NotFound)):
            raise
        raise now from None


async def _change(trail: Trail, ask: Changed) -> AnamnesisError | None:
    try:
        return await ask(trail)
    except Unavailable:
        return None


async def _on_behalf(actor: Actor, source: AsyncGenerator[Any], trail: Trail, bound: Bound) -> AsyncGenerator[Any]:
    """The source's values, each looked for on the caller's behalf and with an audit line, whatever task asks for it."""
    somebody = viewer_of(actor)
    async with aclosing(source):
        while True:
            with viewing(somebody), following(trail):
                async with _as_it_is_now(trail, bound):
                    value = await anext(source, _DONE)
                    if value is _DONE:
                        return
                    await _account(trail, bound)
            yield value
            trail.again()


async def _refuse_too_many(bound: Bound, actor: Actor, arguments: tuple[Any, ...]) -> None:
    """Refuse whoever called too often, unless what they say must be heard."""
    is_urgent = bound.procedure.is_urgent
    if is_urgent is None or not isinstance(actor, Person) or not actor.wait_s:
        return
    if not await is_urgent(bound.services, actor, arguments[-1]):
        raise TooManyRequests(actor.wait_s, actor.calls_a_minute)


class _Watch:
    """Tells the observer of one run: that it started, and once how it ended."""

    def __init__(self, name: str, request: Request, observe: Observe) -> None:
        self._name = name
        self._request = request
        self._observe = observe
        self._started = time.perf_counter()
        observe(name, "started", request)

    def fail(self, error: BaseException) -> None:
        """Tell of a failure."""
        self._observe(self._name, "error", self._request, duration_ms=self._elapsed_ms(), error=error)

    def complete(self) -> None:
        """Tell of a good end."""
        self._observe(self._name, "completed", self._request, duration_ms=self._elapsed_ms())

    async def values(self, source: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
        """The source's values. That nobody listens any more is a good end, and closes the source."""
        try:
            async with aclosing(source):
                async for value in source:
                    yield value
        except (GeneratorExit, asyncio.CancelledError):
            self.complete()
            raise
        except BaseException as error:
            self.fail(error)
            raise
        self.complete()

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000
