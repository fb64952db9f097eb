import ast
import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

import anamnesis
from anamnesis import journal
from anamnesis.edge.faults import fault_of
from anamnesis.journal import bind, bound, log, procedure_logger
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.identity import Claims
from anamnesis.kernel.procedures import Request

CANARY = "CANARY-8f3a my chest hurts"


class Page(io.StringIO):
    """What was written, as text and as objects."""

    def lines(self):
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def line(self):
        (only,) = self.lines()
        return only


@pytest.fixture
def page():
    page = Page()
    journal.configure(development=False, stream=page)
    yield page
    journal.configure(development=False)


@pytest.fixture
def draft(page):
    """The journal as a developer sees it."""
    journal.configure(development=True, stream=page, level="DEBUG")
    return page


def test_a_line_is_one_object_with_its_time_level_and_event_first(page):
    log.info("health.check", phase="completed", duration_ms=1.23456)
    line = page.line()
    assert list(line) == ["timestamp", "level", "event", "phase", "duration_ms"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    age = datetime.now(UTC) - datetime.fromisoformat(line["timestamp"])
    assert 0 <= age.total_seconds() < 5
    assert (line["level"], line["event"], line["duration_ms"]) == ("info", "health.check", 1.23)


def test_fields_stand_in_the_documented_order(page):
    log.warning(
        "x.y", error_type="E", error_code="C", duration_ms=1, user_id="u", session_id="s", request_id="r", phase="error"
    )
    assert list(page.line()) == [
        "timestamp",
        "level",
        "event",
        "phase",
        "request_id",
        "session_id",
        "user_id",
        "duration_ms",
        "error_code",
        "error_type",
    ]


def test_a_field_nobody_declared_is_dropped_and_counted(page):
    log.info("x.y", content=CANARY, first_name="Ama", phase="started")
    assert page.line() | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "x.y",
        "phase": "started",
        "dropped": 2,
    }


@pytest.mark.parametrize("field", journal.FIELDS)
def test_a_sentence_fits_into_no_field(page, field):
    for value in (CANARY, [CANARY], {"a": CANARY}, CANARY.encode(), ("a", [CANARY])):
        log.info("x.y", **{field: value})
    assert "chest" not in page.getvalue()


@pytest.mark.parametrize("field", journal.FIELDS)
def test_no_field_holds_a_long_text(page, field):
    log.info("x.y", **{field: "a" * (journal.LONGEST_VALUE + 1)})
    assert "aaa" not in page.getvalue()


@settings(max_examples=100, deadline=None)
@given(
    event=st.text(),
    field=st.sampled_from(list(journal.FIELDS)),
    value=st.text() | st.binary() | st.floats() | st.integers() | st.lists(st.text()) | st.none() | st.booleans(),
)
def test_whatever_is_logged_is_one_plain_line_of_json(event, field, value):
    page = Page()
    journal.configure(development=True, stream=page)
    try:
        log.info(event, **{field: value})
    finally:
        journal.configure(development=False)
    text = page.getvalue()
    assert text.count("\n") == 1
    assert text.isascii()
    assert text[:-1].isprintable()
    json.loads(text, parse_constant=pytest.fail)


INJECTIONS = [
    'a"}\n{"event":"forged',
    "a\r\nb",
    "\x1b[31mred",
    "a\u2028b",
    '","level":"critical',
    "\x00",
    "a\tb",
    "%s %n",
]


@pytest.mark.parametrize("injection", INJECTIONS)
def test_a_value_cannot_begin_a_line_or_an_object_of_its_own(page, injection):
    log.info(injection, request_id=injection, error_code=injection, frames=[injection], variables=[injection])
    line = page.line()
    assert line["event"] == "unnamed"
    assert "forged" not in page.getvalue()
    assert line["dropped"] >= 3


def test_ids_counts_and_enums_pass(page):
    session = uuid.uuid4()
    log.info("job.take_turn", session_id=session, job_id=17, attempt=2, worker="host-1.2", variables=["DATABASE_URL"])
    line = page.line()
    assert (line["session_id"], line["job_id"], line["attempt"]) == (str(session), "17", 2)
    assert line["variables"] == ["DATABASE_URL"]


def test_a_list_of_codes_passes(page):
    log.warning("health.check", error_code="database,auth")
    assert page.line()["error_code"] == "database,auth"


def test_in_production_a_user_is_eight_characters(page):
    log.info("x.y", user_id="user_2abcdefgh")
    assert page.line()["user_id"] == "user_2ab"


def test_in_development_a_user_is_told_in_full(draft):
    log.info("x.y", user_id="user_2abcdefgh")
    assert draft.line()["user_id"] == "user_2abcdefgh"


def fail():
    local = CANARY  # a trace with locals would show it
    raise ValueError(local)


def test_in_production_an_exception_leaves_its_type_alone(page):
    try:
        fail()
    except ValueError as error:
        log.error("x.y", exc_info=error)
    assert page.line()["error_type"] == "ValueError"
    assert "frames" not in page.line()
    assert "chest" not in page.getvalue()


def test_in_development_it_leaves_its_frames_without_words_or_locals(draft):
    try:
        fail()
    except ValueError:
        log.error("x.y", exc_info=True)
    frames = draft.line()["frames"]
    assert frames[-1].endswith(":fail")
    assert "test_journal.py" in frames[-1]
    assert "chest" not in draft.getvalue()


def test_lines_below_the_level_are_not_written(page):
    journal.configure(development=False, level="warning", stream=page)
    log.debug("a.b")
    log.info("a.b")
    log.warning("a.b")
    log.error("a.b")
    assert [line["level"] for line in page.lines()] == ["warning", "error"]


def test_where_the_audit_trail_ends_is_written_at_every_level(page):
    journal.configure(development=False, level="error", stream=page)
    log.info("audit.head", audit_seq=4, audit_hash="ab")
    assert page.line()["audit_seq"] == 4


def test_a_level_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="DEBUG"):
        journal.configure(development=False, level="chatty")


async def test_what_is_bound_stands_on_the_lines_of_its_own_task_alone(page):
    async def call(number):
        with bound(request_id=f"request-{number}"):
            await asyncio.sleep(0.001 * (3 - number))
            log.info(f"call.{number}")

    await asyncio.gather(*(call(number) for number in range(3)))
    log.info("after.all")
    seen = {line["event"]: line.get("request_id") for line in page.lines()}
    assert seen == {"call.0": "request-0", "call.1": "request-1", "call.2": "request-2", "after.all": None}


async def test_a_binding_reaches_the_tasks_started_after_it(page):
    with bound(request_id="request-1"):
        bind(session_id="session-1")
        await asyncio.create_task(_say("inner.task"))
    assert (page.line()["request_id"], page.line()["session_id"]) == ("request-1", "session-1")


async def _say(event):
    log.info(event)


def test_a_binding_is_held_to_the_same_rules(page):
    with bound(content=CANARY, request_id=CANARY):
        log.info("x.y")
    assert "chest" not in page.getvalue()


def test_a_journal_that_cannot_be_written_stops_nothing():
    closed = io.StringIO()
    closed.close()
    journal.configure(development=False, stream=closed)
    log.info("x.y")
    journal.configure(development=False)


def test_a_logger_made_without_us_is_held_to_the_same_rules(page):
    structlog.get_logger("anything").info("x.y", note=CANARY, count=3)
    assert page.line()["count"] == 3
    assert "chest" not in page.getvalue()


# -- procedures ----------------------------------------------------------------------------------------------------

REQUEST = Request("request-1", Claims("user_2abcdefgh", email="ama@example.org", first_name="Ama"))


def test_a_procedure_tells_its_start_and_its_end(page):
    observe = procedure_logger(fault_of)
    observe("intake.sendMessage", "started", REQUEST)
    observe("intake.sendMessage", "completed", REQUEST, duration_ms=12.3456)
    first, last = page.lines()
    assert (first["event"], first["phase"], first["request_id"]) == ("intake.sendMessage", "started", "request-1")
    assert "duration_ms" not in first
    assert (last["phase"], last["duration_ms"], last["user_id"]) == ("completed", 12.35, "user_2ab")
    assert "ama" not in page.getvalue().lower()


@pytest.mark.parametrize(
    ("error", "level", "code"),
    [
        (NotFound(), "warning", "NOT_FOUND"),
        (ValueError(CANARY), "error", "INTERNAL_SERVER_ERROR"),
        (asyncio.CancelledError(), "info", "CLIENT_CLOSED_REQUEST"),
    ],
)
def test_a_failure_tells_its_kind_and_how_bad_it_is(page, error, level, code):
    procedure_logger(fault_of)("a.b", "error", REQUEST, duration_ms=1.0, error=error)
    line = page.line()
    assert (line["level"], line["error_code"], line["error_type"]) == (level, code, type(error).__name__)
    assert "chest" not in page.getvalue()


def test_a_visitors_call_has_no_user(page):
    procedure_logger(fault_of)("a.b", "started", Request("request-1"))
    assert "user_id" not in page.line()


# -- everything else a process says --------------------------------------------------------------------------------

NOISY = f"""
import asyncio, gc, logging, sys, threading, warnings
import anamnesis
from anamnesis import journal
journal.configure(development={{development}})
journal.adopt_process()
canary = {CANARY!r}
logging.getLogger("uvicorn.access").critical('GET /?q=%s', canary)
logging.getLogger("uvicorn.error").error("Exception in ASGI application " + canary)
logging.getLogger("asyncpg").warning("%s", canary, extra={{{{"note": canary}}}})
logging.getLogger("httpx2").info("HTTP Request: GET https://x/?q=" + canary)
logging.getLogger(canary).error("%d", canary)
warnings.warn(canary, stacklevel=1)
threading.Thread(target=lambda: int(canary)).start()
class Leaves:
    def __del__(self): raise ValueError(canary)
Leaves()
async def forgotten():
    asyncio.ensure_future(asyncio.sleep(0)).add_done_callback(lambda _: int(canary))
    async def left(): raise RuntimeError(canary)
    asyncio.ensure_future(left())
    await asyncio.sleep(0.01)
asyncio.run(forgotten()); gc.collect()
raise KeyError(canary)
"""


@pytest.mark.parametrize("development", [False, True])
def test_nothing_a_process_says_of_itself_holds_a_patients_words(development):
    program = NOISY.format(development=development)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert "CANARY" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    events = [line["event"] for line in lines]
    assert "library.uvicorn.error" in events
    assert "library.asyncpg" in events
    assert "library.py.warnings" in events
    assert "library.uvicorn.access" not in events
    assert events.count("library.asyncio") == 2
    assert [line["error_type"] for line in lines if line["event"] == "process.uncaught"] == [
        "ValueError",
        "ValueError",
        "KeyError",
    ]
    assert ("frames" in lines[-1]) is development


def test_a_librarys_line_says_where_it_comes_from(page):
    handler = journal._FromLibraries()
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "/x/server.py", 75, CANARY, (), None, "startup")
    handler.emit(record)
    assert page.line()["source"] == "x/server.py:75:startup"
    assert page.line()["level"] == "error"
    assert "chest" not in page.getvalue()


# -- the rest of the house -----------------------------------------------------------------------------------------

SOURCES = sorted(Path(anamnesis.__file__).parent.rglob("*.py"))
WRITERS = {"debug", "info", "warning", "error", "critical", "exception", "bind", "bound"}


def fields_told(source):
    """The keywords of every call in a file that looks like one to the journal, with its line."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            owner = getattr(node.func.value, "id", "") if isinstance(node.func, ast.Attribute) else "log"
            if called in WRITERS and owner in {"log", "_log", "journal"}:
                yield from ((keyword.arg, node.lineno) for keyword in node.keywords if keyword.arg)


def test_nobody_tells_the_journal_what_it_would_drop():
    undeclared = [
        f"{source.name}:{line} {name}"
        for source in SOURCES
        for name, line in fields_told(source)
        if name not in journal.FIELDS and name != "exc_info"
    ]
    assert undeclared == []
