"""Run one procedure the same way whatever protocol asked: admit, read the input, call."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from anamnesis.kernel.identity import Actor
from anamnesis.kernel.procedures import Bound, Context, Kind, Procedure, Request


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
    read_input is called at most once, and only by a procedure that takes an input; it raises BadInput.
    Answers the handler's result, or its async generator for a subscription.
    """
    procedure = bound.procedure
    started = time.perf_counter()
    observe(procedure.name, "started", request)
    try:
        actor = await guard.admit(procedure, request)
        context: Context[Any] = Context(bound.services, actor, request)
        arguments = (context,) if procedure.input is None else (context, read_input())
        result = procedure.handler(*arguments)
        if procedure.kind is not Kind.SUBSCRIPTION:
            result = await result
    except BaseException as error:
        observe(procedure.name, "error", request, duration_ms=(time.perf_counter() - started) * 1000, error=error)
        raise
    observe(procedure.name, "completed", request, duration_ms=(time.perf_counter() - started) * 1000)
    return result
