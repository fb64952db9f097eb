import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from anamnesis.clinical.terms import Acuity
from anamnesis.edge.measuring import (
    FALLBACK_REASONS,
    JOB_OUTCOMES,
    TURN_OUTCOMES,
    Measures,
    Measuring,
    metrics_endpoint,
    observed_by,
    procedure_meter,
    route_of,
)
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.identity import Claims
from anamnesis.kernel.jobs import JobKind
from anamnesis.kernel.procedures import Request
from identity.issuing import answered, scope

REQUEST = Request("request-1", Claims("user_2abc", "ama@example.org"))


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def measures(registry):
    return Measures(registry, procedures=["intake.sendMessage", "user.me"])


def value(registry, name, **labels):
    return registry.get_sample_value(name, labels)


def labels_in(registry):
    return {
        text
        for family in registry.collect()
        for sample in family.samples
        for name, text in sample.labels.items()
        if name != "le"
    }


def saying(status, *bodies, content_type=b"application/json", pause_s=0.0):
    async def app(_, __, send):
        headers = [(b"content-type", content_type)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, body in enumerate(bodies, 1):
            await asyncio.sleep(pause_s)
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    return app


async def test_an_answer_is_counted_by_method_class_of_path_and_status(registry, measures):
    app = Measuring(saying(207, b"a", b"b"), measures)
    for path in ("/api/trpc/intake.getSession", "/api/trpc/user.me,user.getMe"):
        await answered(app, scope("POST", path))
    assert value(registry, "anamnesis_http_requests_total", method="POST", route="trpc", status="207") == 2
    assert value(registry, "anamnesis_http_request_duration_seconds_count", route="trpc") == 2


async def test_a_stream_is_timed_to_its_beginning(registry, measures):
    app = Measuring(saying(200, b"a", b"b", content_type=b"text/event-stream; charset=utf-8", pause_s=0.2), measures)
    await answered(app, scope(path="/api/trpc/intake.onSession"))
    assert value(registry, "anamnesis_http_request_duration_seconds_bucket", route="trpc", le="0.1") == 1
    assert value(registry, "anamnesis_http_requests_total", method="GET", route="trpc", status="200") == 1


async def test_an_application_that_fails_counts_as_500_and_is_in_flight_no_more(registry, measures):
    async def failing(_, __, ___):
        assert value(registry, "anamnesis_http_requests_in_flight") == 1
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - only that it goes on
        await answered(Measuring(failing, measures), scope(path="/"))
    assert value(registry, "anamnesis_http_requests_total", method="GET", route="patient", status="500") == 1
    assert value(registry, "anamnesis_http_requests_in_flight") == 0


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "patient"),
        ("/api/trpc", "trpc"),
        ("/api/trpc/a.b", "trpc"),
        ("/api/trpcx", "other"),
        ("/api/v1/intake-sessions/6d0c3e50", "rest"),
        ("/doctor/case/6d0c3e50", "doctor"),
        ("/livez", "health"),
        ("/wp-login.php", "other"),
        ("", "other"),
    ],
)
def test_a_path_belongs_to_a_class(path, route):
    assert route_of(path) == route


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text(), st.text())
def test_nothing_a_caller_writes_becomes_a_label(method, path, name):
    registry = CollectorRegistry()
    measures = Measures(registry, procedures=["user.me"])
    before = labels_in(registry)
    measures.request(method, f"/{path}", 404, 0.1)
    measures.procedure(f"x{name}", "not_found", 0.1)
    measures.turn(name, 0.1)
    measures.job(JobKind.TAKE_TURN, name, 0.1)
    measures.fallback(name)
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    closed = {"other", "unknown", "404", "not_found", "take_turn", route_of(f"/{path}")}
    assert labels_in(registry) - before - known <= closed | TURN_OUTCOMES | JOB_OUTCOMES | FALLBACK_REASONS


def test_procedures_are_counted_by_name_and_outcome(registry, measures):
    observe = procedure_meter(measures)
    observe("user.me", "started", REQUEST)
    observe("user.me", "completed", REQUEST, duration_ms=30)
    observe("user.me", "error", REQUEST, duration_ms=1, error=NotFound())
    observe("user.me", "error", REQUEST, duration_ms=1, error=ValueError("words"))
    observe("user.me", "error", REQUEST, duration_ms=1, error=asyncio.CancelledError())
    observe("nobody.knows", "completed", REQUEST, duration_ms=1)

    def count(name, outcome):
        return value(registry, "anamnesis_procedures_total", procedure=name, outcome=outcome)

    outcomes = ("completed", "not_found", "internal_server_error", "client_closed_request")
    assert [count("user.me", outcome) for outcome in outcomes] == [1, 1, 1, 1]
    assert count("unknown", "completed") == 1
    assert value(registry, "anamnesis_procedure_duration_seconds_sum", procedure="user.me") == pytest.approx(0.033)


def test_several_observers_are_each_told(measures):
    told = []
    observe = observed_by(
        procedure_meter(measures), lambda name, phase, _, *, duration_ms=0.0, error=None: told.append((name, phase))
    )
    observe("user.me", "started", REQUEST)
    assert told == [("user.me", "started")]


def test_turns_jobs_fallbacks_flags_pool_and_queue_are_shown(registry, measures):
    measures.turn("answered_ai", 1.5)
    measures.job(JobKind.ALERT_CLINICIAN, "dead", 0.1)
    measures.fallback("timed_out")
    measures.red_flag(Acuity.EMERGENCY)
    measures.watch_pool(in_use=lambda: 3, size=lambda: 10)
    measures.queue(queued=4, running=1, dead=2, oldest_s=7.5)
    assert value(registry, "anamnesis_turns_total", outcome="answered_ai") == 1
    assert value(registry, "anamnesis_jobs_total", kind="alert_clinician", outcome="dead") == 1
    assert value(registry, "anamnesis_fallbacks_total", reason="timed_out") == 1
    assert value(registry, "anamnesis_red_flags_total", acuity="emergency") == 1
    assert (value(registry, "anamnesis_pool_in_use"), value(registry, "anamnesis_pool_size")) == (3, 10)
    assert value(registry, "anamnesis_queue_jobs", state="dead") == 2
    assert value(registry, "anamnesis_queue_oldest_seconds") == 7.5
    measures.unsealed(lines=3, oldest_s=2.5)
    assert value(registry, "anamnesis_audit_unsealed_lines") == 3
    assert value(registry, "anamnesis_audit_unsealed_oldest_seconds") == 2.5


async def test_the_readings_are_served_in_prometheus_own_format(registry, measures):
    measures.request("GET", "/livez", 200, 0.001)
    status, headers, body = await answered(metrics_endpoint(registry), scope(path="/metrics"))
    assert status == 200
    assert dict(headers)[b"content-type"].startswith(b"text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(body.decode())}
    assert {"anamnesis_http_requests", "anamnesis_pool_size", "process_resident_memory_bytes"} <= families
