"""A procedure: one thing a client can ask for, independent of the protocol it asks in.

A slice declares its procedures once; the edge renders them as tRPC, as REST and as documentation.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from anamnesis.kernel.errors import AnamnesisError
from anamnesis.kernel.identity import Actor, Claims, Person
from anamnesis.kernel.trail import Trail

Services = TypeVar("Services")


class Kind(StrEnum):
    """How a procedure is called: read, write, or listen."""

    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"


class Allow(StrEnum):
    """Who may call a procedure at all; what they may see is decided by policy, object by object."""

    PUBLIC = "public"
    PROTECTED = "protected"
    PATIENT = "patient"
    DOCTOR = "doctor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Request:
    """What every call of one HTTP request shares.

    request_id is ours or an accepted one of the caller; peer is the address limits count by.
    claims is None when there is no acceptable token.
    """

    request_id: str
    claims: Claims | None = None
    peer: str = "unknown"


@dataclass(frozen=True, slots=True)
class Context(Generic[Services]):
    """What a handler is given besides its input: its slice's ports, who is calling, and the request."""

    services: Services
    actor: Actor
    request: Request

    @property
    def person(self) -> Person:
        """Who is calling, where only a person can: only a public procedure ever has a visitor."""
        assert isinstance(self.actor, Person)
        return self.actor


@dataclass(frozen=True, slots=True)
class Part:
    """A file on its way in. name and declared are what its sender calls it; read gives all of its size bytes."""

    name: str
    declared: str
    size: int
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Tracked:
    """One event of a subscription with the id a client resumes from; the id is never empty."""

    id: str
    value: object


@dataclass(frozen=True, slots=True)
class Rest:
    """Where a procedure appears under REST: a method and a path template of the input's field names."""

    method: str
    path: str
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A contract. input and output are types the edge can build a schema from; input None means it takes none.

    input_optional marks an input that may be left out as a whole; the handler then gets None.
    takes_files marks an input that holds files, which only a form can bring.
    at_once is how many calls of it one page makes, by which its limit is multiplied.
    is_urgent tells of the services, the caller and an input that it must be let in although there were too many calls.
    A subscription's output is what each of its events tells; untracked is what it tells besides, without an id.
    A query or mutation's handler is ``async (context, input) -> output``, or ``async (context)`` when it takes
    no input; a subscription's is an async generator of values or of Tracked.
    """

    name: str
    kind: Kind
    handler: Callable[..., Any]
    allow: Allow = Allow.PROTECTED
    input: Any = None
    input_optional: bool = False
    output: Any = None
    untracked: Any = None
    rest: Rest | None = None
    takes_files: bool = False
    at_once: int = 1
    is_urgent: Callable[[Any, Any, Any], Awaitable[bool]] | None = None
    summary: str = ""


#: Keeps the audit line of a call that ends without one, before its answer is seen.
Keep = Callable[[Trail], Awaitable[None]]
#: What a call that failed is answered when what it was let on to has been erased or closed beneath it, else None.
Changed = Callable[[Trail], Awaitable[AnamnesisError | None]]


@dataclass(frozen=True, slots=True)
class Bound:
    """A procedure with the services its handler works on, what keeps its audit line, and what explains its failure."""

    procedure: Procedure
    services: object
    keep: Keep | None = None
    changed: Changed | None = None


@dataclass(slots=True)
class Registry:
    """Every procedure of a service, by exact name."""

    keep: Keep | None = None
    changed: Changed | None = None
    _bound: dict[str, Bound] = field(default_factory=dict)

    def add(self, procedures: Iterable[Procedure], services: object) -> None:
        """Add a slice's procedures. Raises ValueError for a name already taken."""
        for procedure in procedures:
            if procedure.name in self._bound:
                raise ValueError(f"procedure {procedure.name} is declared twice")
            self._bound[procedure.name] = Bound(procedure, services, self.keep, self.changed)

    def find(self, name: str) -> Bound | None:
        """The procedure of exactly this name, or None."""
        return self._bound.get(name)

    def __iter__(self) -> Iterator[Bound]:
        return iter(self._bound.values())


@dataclass(slots=True)
class Procedures:
    """Collects the procedures a module declares, in order; used as a decorator factory.

    The handler's docstring's first line becomes the summary.
    """

    declared: list[Procedure] = field(default_factory=list)

    def query(self, name: str, **contract: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a read."""
        return self._declare(name, Kind.QUERY, contract)

    def mutation(self, name: str, **contract: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a write."""
        return self._declare(name, Kind.MUTATION, contract)

    def subscription(self, name: str, **contract: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a stream of events."""
        return self._declare(name, Kind.SUBSCRIPTION, contract)

    def _declare(
        self, name: str, kind: Kind, contract: dict[str, Any]
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def declare(handler: Callable[..., Any]) -> Callable[..., Any]:
            summary = (handler.__doc__ or "").strip().partition("\n")[0]
            self.declared.append(Procedure(name=name, kind=kind, handler=handler, summary=summary, **contract))
            return handler

        return declare

    def __iter__(self) -> Iterator[Procedure]:
        return iter(self.declared)
