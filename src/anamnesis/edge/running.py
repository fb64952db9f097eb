"""Run one procedure the same way whatever protocol asked: admit, read the input, call."""

from collections.abc import Callable
from typing import Any, Protocol

from anamnesis.kernel.identity import Actor
from anamnesis.kernel.procedures import Bound, Context, Procedure, Request


class Guard(Protocol):
    """Decides whether a caller may use a procedure at all, before its input is looked at."""

    async def admit(self, procedure: Procedure, request: Request) -> Actor:
        """The caller as the database knows them now.

        Raises NotSignedIn, NotPermitted, TooManyRequests or Unavailable.
        """
        ...


async def enter(bound: Bound, request: Request, *, guard: Guard, read_input: Callable[[], Any]) -> Any:
    """Admit the caller, then parse the input, then call the handler.

    The order is the contract: a stranger with a bad input learns that he is a stranger, and nothing of the input.
    read_input is called at most once, and only by a procedure that takes an input; it raises BadInput.
    Answers the handler's awaitable result, or its async generator for a subscription.
    """
    procedure = bound.procedure
    actor = await guard.admit(procedure, request)
    context: Context[Any] = Context(bound.services, actor, request)
    arguments = (context,) if procedure.input is None else (context, read_input())
    result = procedure.handler(*arguments)
    return await result if hasattr(result, "__await__") else result
