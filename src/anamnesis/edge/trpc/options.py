"""How a router is served."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from anamnesis.edge.events import SseOptions

#: Further headers from (paths, type, how many errors, how many calls). A stream is asked before its calls have run,
#: so it counts none; a request refused as a whole has no paths.
ResponseMeta = Callable[[Sequence[str] | None, str, int, int], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class TrpcOptions:
    """The defaults are the service's; the conformance tests set the others. Times are in seconds, sizes in bytes.

    expose_errors sends an unexpected exception's own words; the service never does. plain leaves superjson out.
    check_outputs validates what handlers answer; a model of the declared kind passes by its type.
    """

    prefix: str = "/api/trpc"
    max_batch: int | None = 20
    allow_batching: bool = True
    allow_method_override: bool = False
    expose_errors: bool = False
    include_stack: bool = False
    check_outputs: bool = True
    plain: bool = False
    with_zod_error: bool = True
    max_body_bytes: int = 1 << 20
    max_url_bytes: int = 32 << 10
    max_depth: int = 100
    cors: bool = False
    response_meta: ResponseMeta | None = None
    jsonl_ping_s: float | None = None
    sse: SseOptions = field(default_factory=SseOptions)
