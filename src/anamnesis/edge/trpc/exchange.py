"""One request being answered: its calls run, each with what they share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from anamnesis.edge.issues import read_input
from anamnesis.edge.running import Guard, Observe, enter
from anamnesis.edge.trpc.calls import Calls, Inputs, Scope
from anamnesis.edge.trpc.errors import OutputInvalid, error_shape
from anamnesis.edge.trpc.options import TrpcOptions
from anamnesis.kernel.procedures import Procedure, Registry, Request
from anamnesis.schema import as_wire, issues_of

Json = Any


@dataclass(frozen=True, slots=True)
class Service:
    """What serves every request: the procedures, who may use them, and how they are served."""

    registry: Registry
    guard: Guard
    request_of: Callable[[Scope], Awaitable[Request]]
    options: TrpcOptions
    observe: Observe


class Exchange:
    """The calls of one HTTP request, their inputs, and the request they share (None until a call needed it)."""

    def __init__(self, service: Service, calls: Calls, inputs: Inputs, scope: Scope) -> None:
        self.calls = calls
        self.inputs = inputs
        self.request: Request | None = None
        self._service = service
        self._scope = scope
        self._making: asyncio.Future[Request] | None = None

    async def run(self, index: int) -> Any:
        """The value of one call as the wire has it. Raises whatever it fails with."""
        service, call = self._service, self.calls.calls[index]
        refused = self.calls.refusal(call, allow_method_override=service.options.allow_method_override)
        if refused is not None:
            raise refused
        assert call.bound is not None  # an unknown path is refused
        request = await self._shared_request()
        procedure = call.bound.procedure

        def read() -> Any:
            return read_input(procedure, self.inputs.of(index, procedure.kind))

        value = await enter(call.bound, request, guard=service.guard, read_input=read, observe=service.observe)
        return as_wire(_checked(procedure, value) if service.options.check_outputs else value)

    async def _shared_request(self) -> Request:
        """What the calls share is made when the first needs it; its failure is everybody's."""
        if self.request is None and len(self.calls.calls) == 1:  # one call alone needs no task to share
            self.request = await self._service.request_of(self._scope)
        elif self.request is None:
            if self._making is None:
                self._making = asyncio.ensure_future(self._service.request_of(self._scope))
            self.request = await self._making
        return self.request

    def shape_of(self, error: BaseException, index: int) -> Json:
        """A call's failure inside a stream, whose lines and events are envelopes themselves."""
        return error_shape(error, self.calls.calls[index].path, self.request, self._service.options)

    def note(self, index: int, error: BaseException) -> None:
        """Tell the observer of a failure that came after the procedure had completed."""
        if self.request is not None:
            self._service.observe(self.calls.calls[index].path, "error", self.request, error=error)


def _checked(procedure: Procedure, value: object) -> object:
    """The value as the declared model, which holds no key that was not declared. Raises OutputInvalid."""
    if isinstance(procedure.output, type) and issubclass(procedure.output, BaseModel):
        try:
            return procedure.output.model_validate(value)
        except ValidationError as invalid:
            raise OutputInvalid(issues_of(invalid)) from None
    return value
