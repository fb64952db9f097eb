"""Call a procedure from inside the process, as a page does: same guard, same schemas, same policy as from outside."""

from dataclasses import dataclass
from typing import Any

from anamnesis.edge.issues import read_input as read
from anamnesis.edge.running import Guard, Observe, declared, enter, unobserved
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Registry, Request
from anamnesis.schema import as_wire


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls procedures by name on behalf of one request."""

    registry: Registry
    guard: Guard
    request: Request
    observe: Observe = unobserved

    async def call(self, name: str, /, **given: object) -> Any:
        """The procedure's answer as plain values with wire names; given are input fields by wire name.

        Raises what the procedure raises, BadInput for an input its schema refuses, and TypeError for an answer that
        is no model of the declared kind: what a page or a test is shown has been checked, key by key.
        """
        bound = self.registry.find(name)
        if bound is None:
            raise NotFound(f"There is no procedure {name}.")

        def read_input() -> object:
            return read(bound.procedure, given or UNDEFINED if bound.procedure.input_optional else given)

        answer = await enter(bound, self.request, guard=self.guard, read_input=read_input, observe=self.observe)
        return as_wire(declared(bound.procedure, answer))
