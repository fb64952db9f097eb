"""What an operator's instruments show. No label ever holds anything a caller wrote."""

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anamnesis.clinical.terms import Acuity
from anamnesis.edge.faults import fault_of
from anamnesis.edge.running import Observe
from anamnesis.kernel.calls import ModelCall
from anamnesis.kernel.jobs import JobKind
from anamnesis.kernel.procedures import Request

#: From a row read out of memory to the deadline of a reply.
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

UNKNOWN: Final = "unknown"
OTHER: Final = "other"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: The states a patient's message comes to rest in (intake's turn_state), and what a worker reports of a job.
TURN_OUTCOMES: Final = frozenset({"answered_ai", "answered_fallback", "answered_fixed"})
JOB_OUTCOMES: Final = frozenset({"done", "retry", "dead", "lost", "released"})
MODEL_OUTCOMES: Final = frozenset(
    {"answered", "busy", "refused", "broken", "guarded", "timed_out", "misconfigured", "stopped", "unavailable"}
)
MODEL_PROVIDERS: Final = frozenset({"gemini", "openai"})
FALLBACK_REASONS: Final = frozenset(
    {"unavailable", "timed_out", "rate_limited", "unusable", "over_budget", "breaker_open", "no_consent"}
)

#: A path's class: the first prefix that fits.
ROUTES: Final[Mapping[str, str]] = {
    "/api/trpc": "trpc",
    "/api/v1": "rest",
    "/api/health": "health",
    "/api/auth": "webhook",
    "/livez": "health",
    "/readyz": "health",
    "/metrics": "metrics",
    "/openapi.json": "docs",
    "/docs": "docs",
    "/static": "static",
    "/doctor": "doctor",
    "/ops": "ops",
    "/demo": "demo",
}


class Measures:
    """The service's counters and histograms, in a registry of their own.

    procedures are the names that may stand as a label; any other is ``unknown``. A value outside its closed list is
    ``other``, so a caller can never make a new time series.
    """

    def __init__(self, registry: CollectorRegistry, *, procedures: Iterable[str] = ()) -> None:
        """Register everything. A registry takes one of these only; a second raises ValueError."""
        self._procedures_known = frozenset(procedures)
        self._children: dict[tuple[Any, ...], Any] = {}
        self.requests_in_flight = Gauge(
            "anamnesis_http_requests_in_flight", "Requests being answered now.", registry=registry
        )
        self._requests = Counter(
            "anamnesis_http_requests", "Answered requests.", ("method", "route", "status"), registry=registry
        )
        self._request_seconds = _histogram(
            registry, "anamnesis_http_request_duration_seconds", "To the answer's end, or a stream's start.", "route"
        )
        self._procedures = Counter(
            "anamnesis_procedures", "Procedures by outcome.", ("procedure", "outcome"), registry=registry
        )
        self._procedure_seconds = _histogram(
            registry, "anamnesis_procedure_duration_seconds", "From admission to result.", "procedure"
        )
        self._turns = Counter("anamnesis_turns", "Turns by outcome.", ("outcome",), registry=registry)
        self._turn_seconds = _histogram(
            registry, "anamnesis_turn_duration_seconds", "From message to reply.", "outcome"
        )
        self._jobs = Counter("anamnesis_jobs", "Jobs by outcome.", ("kind", "outcome"), registry=registry)
        self._job_seconds = _histogram(registry, "anamnesis_job_duration_seconds", "From claim to settlement.", "kind")
        self._fallbacks = Counter(
            "anamnesis_fallbacks", "Turns the built-in interviewer took over.", ("reason",), registry=registry
        )
        self._model_calls = Counter(
            "anamnesis_model_calls", "Calls to models by outcome.", ("provider", "outcome"), registry=registry
        )
        self._model_seconds = _histogram(registry, "anamnesis_model_call_duration_seconds", "One call.", "provider")
        self._model_tokens = Counter(
            "anamnesis_model_tokens", "Tokens as providers tell them.", ("provider", "direction"), registry=registry
        )
        self._model_cost = Counter(
            "anamnesis_model_cost_usd", "Cost of calls whose model has a price.", ("provider",), registry=registry
        )
        self._model_facts = Counter(
            "anamnesis_model_facts", "Facts models proposed.", ("provider", "fate"), registry=registry
        )
        self._model_photos = Counter(
            "anamnesis_model_photos", "Photos that went along with calls.", ("provider",), registry=registry
        )
        self._resting = Gauge(
            "anamnesis_resting_sessions", "Sessions whose last calls to models all failed.", registry=registry
        )
        self._flags = Counter("anamnesis_red_flags", "Red flags raised.", ("acuity",), registry=registry)
        self._pool_in_use = Gauge("anamnesis_pool_in_use", "Database connections in use.", registry=registry)
        self._pool_size = Gauge("anamnesis_pool_size", "Database connections open.", registry=registry)
        self._queue = Gauge("anamnesis_queue_jobs", "Jobs by state.", ("state",), registry=registry)
        self._queue_age = Gauge("anamnesis_queue_oldest_seconds", "Age of the oldest open job.", registry=registry)
        self._unsealed = Gauge("anamnesis_audit_unsealed_lines", "Audit lines not sealed yet.", registry=registry)
        self._unsealed_age = Gauge(
            "anamnesis_audit_unsealed_oldest_seconds", "Age of the oldest of them; 5 is too old.", registry=registry
        )
        ProcessCollector(registry=registry)

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one answered HTTP request."""
        route = route_of(path)
        self._child(self._requests, method if method in METHODS else OTHER, route, status).inc()
        self._child(self._request_seconds, route).observe(seconds)

    def procedure(self, name: str, outcome: str, seconds: float) -> None:
        """Count one procedure's end; outcome is ``completed`` or the name of a fault."""
        known = name if name in self._procedures_known else UNKNOWN
        self._child(self._procedures, known, outcome).inc()
        self._child(self._procedure_seconds, known).observe(seconds)

    def turn(self, outcome: str, seconds: float) -> None:
        """Count one turn that came to its end; outcome is one of TURN_OUTCOMES."""
        bounded = _bounded(outcome, TURN_OUTCOMES)
        self._child(self._turns, bounded).inc()
        self._child(self._turn_seconds, bounded).observe(seconds)

    def job(self, kind: JobKind, outcome: str, seconds: float) -> None:
        """Count one settled job; outcome is one of JOB_OUTCOMES."""
        self._child(self._jobs, kind.value, _bounded(outcome, JOB_OUTCOMES)).inc()
        self._child(self._job_seconds, kind.value).observe(seconds)

    def fallback(self, reason: str) -> None:
        """Count one turn a model could not take; reason is one of FALLBACK_REASONS."""
        self._child(self._fallbacks, _bounded(reason, FALLBACK_REASONS)).inc()

    def model_call(self, call: ModelCall) -> None:
        """Count one call to a model; what nobody told is not counted."""
        provider = _bounded(call.provider, MODEL_PROVIDERS)
        self._child(self._model_calls, provider, _bounded(call.outcome, MODEL_OUTCOMES)).inc()
        self._child(self._model_seconds, provider).observe(call.latency_ms / 1000)
        amounts = (("in", call.input_tokens), ("out", call.output_tokens))
        for direction, tokens in amounts:
            self._child(self._model_tokens, provider, direction).inc(max(0, tokens or 0))
        self._child(self._model_cost, provider).inc(max(0, call.cost_microusd or 0) / 1_000_000)
        for fate, facts in (("kept", call.facts_kept), ("dropped", call.facts_dropped)):
            self._child(self._model_facts, provider, fate).inc(facts)
        self._child(self._model_photos, provider).inc(call.photos)

    def red_flag(self, acuity: Acuity) -> None:
        """Count one red flag that was raised."""
        self._child(self._flags, acuity.name.lower()).inc()

    def watch_pool(self, *, in_use: Callable[[], int], size: Callable[[], int]) -> None:
        """Ask these two whenever somebody reads the instruments."""
        self._pool_in_use.set_function(in_use)
        self._pool_size.set_function(size)

    def queue(self, *, queued: int, running: int, dead: int, oldest_s: float) -> None:
        """Show the state of the queue as somebody has just read it."""
        for state, number in {"queued": queued, "running": running, "dead": dead}.items():
            self._child(self._queue, state).set(number)
        self._queue_age.set(oldest_s)

    def resting(self, sessions: int) -> None:
        """Show how many sessions no model is asked for, as somebody has just read it."""
        self._resting.set(sessions)

    def unsealed(self, *, lines: int, oldest_s: float) -> None:
        """Show how far the sealing of the audit trail is behind, as somebody has just read it."""
        self._unsealed.set(lines)
        self._unsealed_age.set(oldest_s)

    def _child(self, metric: Any, *labels: object) -> Any:
        # The library validates and locks on every .labels(); every combination here comes from closed lists, so
        # the dictionary stays small.
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child


def _histogram(registry: CollectorRegistry, name: str, about: str, label: str) -> Histogram:
    return Histogram(name, about, (label,), buckets=SECONDS, registry=registry)


def _bounded(value: str, closed: frozenset[str]) -> str:
    return value if value in closed else OTHER


def route_of(path: str) -> str:
    """The class of a path; an id in it, or a path nobody serves, makes no class of its own."""
    for prefix, name in ROUTES.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return name
    return "patient" if path == "/" else OTHER


class Measuring:
    """ASGI middleware: counts and times requests. An event stream is timed to its beginning, not to its end."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Routers below rewrite the scope's path; the class is that of the path which was asked for.
        watch = _Watch(self._measures, scope["method"], scope["path"])

        async def send_watched(message: Message) -> None:
            await send(message)
            watch.saw(message)

        with self._measures.requests_in_flight.track_inprogress():
            try:
                await self._app(scope, receive, send_watched)
            finally:
                watch.finish()


class _Watch:
    """One request on its way to its answer."""

    __slots__ = ("_counted", "_measures", "_method", "_path", "_started", "_status")

    def __init__(self, measures: Measures, method: str, path: str) -> None:
        self._measures, self._method, self._path = measures, method, path
        self._started = time.perf_counter()
        self._status = 500  # what the server answers for an application that fails before it answers
        self._counted = False

    def saw(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if _is_event_stream(message):
                self.finish()
        elif not message.get("more_body", False):
            self.finish()

    def finish(self) -> None:
        if not self._counted:
            self._counted = True
            self._measures.request(self._method, self._path, self._status, time.perf_counter() - self._started)


def _is_event_stream(message: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message.get("headers", ())
    )


def procedure_meter(measures: Measures) -> Observe:
    """An observer that counts and times procedures."""

    def observe(
        name: str,
        phase: str,
        request: Request,  # noqa: ARG001 - a caller's data makes no label
        *,
        duration_ms: float = 0.0,
        error: BaseException | None = None,
    ) -> None:
        if phase == "completed":
            measures.procedure(name, phase, duration_ms / 1000)
        elif error is not None:
            measures.procedure(name, _outcome(error), duration_ms / 1000)

    return observe


def _outcome(error: BaseException) -> str:
    # A cancelled call: the client left or the process is stopping, and nothing is wrong.
    return fault_of(error).code.lower() if isinstance(error, Exception) else "client_closed_request"


class _Observer(Protocol):
    def __call__(
        self, name: str, phase: str, request: Request, *, duration_ms: float = 0.0, error: BaseException | None = None
    ) -> None: ...


def observed_by(*observers: _Observer) -> Observe:
    """One observer that tells each of these, in this order."""

    def observe(
        name: str, phase: str, request: Request, *, duration_ms: float = 0.0, error: BaseException | None = None
    ) -> None:
        for tell in observers:
            tell(name, phase, request, duration_ms=duration_ms, error=error)

    return observe


def shows(scope: Scope, token: str) -> bool:
    """Whether a request shows this bearer token; how long the comparison takes tells nothing of it."""
    given = dict(scope["headers"]).get(b"authorization", b"")
    scheme, _, shown = given.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(shown.strip(), token.encode())


def metrics_endpoint(registry: CollectorRegistry) -> ASGIApp:
    """An ASGI application that answers the instruments' readings in Prometheus' text format 0.0.4."""

    async def answer(_: Scope, __: Receive, send: Send) -> None:
        body = generate_latest(registry)
        headers = [
            (b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer
