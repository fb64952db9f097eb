"""The journal: one JSON object a line, made only of fields that were declared here.

Health data is kept out by construction, not by searching for it: a key that is not in FIELDS is dropped, and so is
a value that does not have its key's shape. No shape admits a space, so a sentence fits nowhere. Libraries that log
through the standard library go the same way: their messages are not kept, only who logged, where, and at what level.
"""

import json
import logging
import math
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, Protocol, TextIO, cast

import structlog

from anamnesis.kernel.procedures import Request

LONGEST_VALUE: Final = 128
LONGEST_LIST: Final = 40
USER_ID_CHARACTERS: Final = 8
PHASES: Final = ("started", "completed", "error")

Value = str | int | float | bool | list[str]
Shape = Callable[[object], Value | None]

_NAME: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.:,-]{{0,{LONGEST_VALUE - 1}}}")
_PLACE: Final = re.compile(r"[A-Za-z0-9_<][A-Za-z0-9_./<>-]{0,96}:\d{1,6}:[A-Za-z0-9_<>]{1,48}")
_EVENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,79}")


def _name(value: object) -> str | None:
    """An id, an enum's value or another word of ours: ASCII letters, digits and ``_.:,-``."""
    text = str(value)
    return text if _NAME.fullmatch(text) else None


def _place(value: object) -> str | None:
    """A place in source code, as file:line:function."""
    text = str(value)
    return text if _PLACE.fullmatch(text) else None


def _whole(value: object) -> int | None:
    """A count, or a number of bytes or seconds."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _milliseconds(value: object) -> float | None:
    """A duration, kept to a hundredth."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(float(value), 2)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _phase(value: object) -> str | None:
    return value if isinstance(value, str) and value in PHASES else None


def _list_of(shape: Callable[[object], str | None]) -> Shape:
    def listed(value: object) -> list[str] | None:
        if not isinstance(value, list | tuple):
            return None
        shaped = [text for each in value[:LONGEST_LIST] if (text := shape(each)) is not None]
        return shaped or None

    return listed


#: Everything a line may hold besides timestamp, level and event, in the order in which it is written.
FIELDS: Final[Mapping[str, Shape]] = {
    "phase": _phase,
    "request_id": _name,
    "session_id": _name,
    "user_id": _name,
    "duration_ms": _milliseconds,
    "error_code": _name,
    "error_type": _name,
    # what was asked, and by which road
    "procedure": _name,
    "method": _name,
    "route": _name,
    "status": _whole,
    # work left for later
    "job_id": _name,
    "job": _name,
    "worker": _name,
    "attempt": _whole,
    "fence": _whole,
    # where the chain of audit lines ends
    "audit_seq": _whole,
    "audit_hash": _name,
    # ids of things
    "message_id": _name,
    "connection_id": _name,
    "handover_id": _name,
    # words from closed lists
    "part": _name,
    "state": _name,
    "outcome": _name,
    "provider": _name,
    "acuity": _name,
    "rule": _name,
    "topic": _name,
    "kind": _name,
    "migration": _name,
    "version": _name,
    # amounts
    "count": _whole,
    "queued": _whole,
    "calls": _whole,
    "bytes": _whole,
    "retry_after_s": _whole,
    "port": _whole,
    "pid": _whole,
    "signal": _name,
    # configuration: names of variables, never their values
    "variables": _list_of(_name),
    # where in the code
    "source": _place,
    "frames": _list_of(_place),
    "is_fallback": _flag,
    "is_replay": _flag,
}


@dataclass(slots=True)
class _House:
    """How the journal is kept in this process."""

    development: bool = False
    level: int = logging.INFO
    stream: TextIO | None = None
    pen: threading.Lock = field(default_factory=threading.Lock)


_house: Final = _House()
_LEVELS: Final = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}
_context: ContextVar[Mapping[str, object]] = ContextVar("journal", default={})  # noqa: B039 - never changed in place


def configure(*, development: bool, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Say how the journal is kept: whole user ids and frames only in development, lines to stream (standard error).

    Until this is called the journal keeps to production's rules. Raises ValueError for a level logging does not have.
    """
    number = _LEVELS.get(level.lower())
    if number is None:
        raise ValueError("the log level is DEBUG, INFO, WARNING, ERROR or CRITICAL")
    _house.development, _house.level, _house.stream = development, number, stream


def bind(**fields: object) -> None:
    """Put fields on every line of the task that runs now, and of the tasks it starts from here on."""
    _context.set({**_context.get(), **fields})


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Put fields on every line written inside, in this task."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def _admit(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep what was declared and has its shape; tell by number what was not."""
    given = {**_context.get(), **event}
    name = str(given.pop("event", ""))
    _describe_error(given, given.pop("exc_info", None))
    line: dict[str, Any] = {"timestamp": _timestamp(), "level": level, "event": name}
    if not _EVENT.fullmatch(name):
        line["event"] = "unnamed"
    kept = {key: value for key, shape in FIELDS.items() if key in given and (value := shape(given[key])) is not None}
    line |= kept
    if "user_id" in kept and not _house.development:
        line["user_id"] = str(kept["user_id"])[:USER_ID_CHARACTERS]
    dropped = sum(1 for key, value in given.items() if key not in kept and value is not None)
    if dropped:
        line["dropped"] = dropped
    return line


def _describe_error(given: dict[str, Any], told: object) -> None:
    """An exception leaves its type and, in development, its frames. Its message and locals may quote a patient."""
    error = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
    if not isinstance(error, BaseException):
        return
    given.setdefault("error_type", type(error).__name__)
    if _house.development:
        given["frames"] = _frames(error.__traceback__)


def _frames(trace: TracebackType | None) -> list[str]:
    """The innermost frames, outermost first, as file:line:function, with the last three parts of the file's path."""
    summary = traceback.extract_tb(trace)[-LONGEST_LIST:]
    return [f"{_short_path(frame.filename)}:{frame.lineno}:{frame.name}" for frame in summary]


def _short_path(filename: str) -> str:
    return "/".join(PurePath(filename).parts[-3:]).lstrip("/").replace(" ", "_")


def _timestamp() -> str:
    now = time.time()
    whole = int(now)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((now - whole) * 1000):03d}Z"


#: Written at every level: what the audit trail is compared with must not go with a quieter log.
_ALWAYS: Final = frozenset({"audit.head"})


def _is_wanted(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _LEVELS[level] < _house.level and event.get("event") not in _ALWAYS:
        raise structlog.DropEvent
    return event


def _render(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    # ASCII only: no terminal code, line separator or odd direction mark survives as itself.
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"))


class _Pen:
    """Writes finished lines. A journal that cannot be written never stops the clinic."""

    def write(self, line: str) -> None:
        stream = _house.stream or sys.stderr
        try:
            with _house.pen:
                stream.write(line + "\n")
                stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = exception = msg = write


class Journal(Protocol):
    """How a line is written: an event's name, and fields of FIELDS. exc_info takes an exception, or True."""

    def debug(self, event: str, **fields: object) -> None:
        """Something only a developer asks for."""
        ...

    def info(self, event: str, **fields: object) -> None:
        """Something that happened as it should."""
        ...

    def warning(self, event: str, **fields: object) -> None:
        """Something refused or degraded; the service copes."""
        ...

    def error(self, event: str, **fields: object) -> None:
        """Something that needs a person."""
        ...


_PROCESSORS: Final = (_is_wanted, _admit, _render)

log: Final = cast(
    "Journal",
    structlog.wrap_logger(
        _Pen(),
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=True,
    ),
)
# A logger made without us must not print what it is given either.
structlog.configure(processors=list(_PROCESSORS), logger_factory=lambda *_: _Pen())


class Fault(Protocol):
    """What a procedure's failure is called on the wire."""

    @property
    def code(self) -> str:
        """The name, such as NOT_FOUND."""
        ...

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...


FIRST_SERVER_FAULT: Final = 500


class ProcedureLogger(Protocol):
    """Told when a procedure starts, completes or fails."""

    def __call__(
        self, name: str, phase: str, request: Request, *, duration_ms: float = 0.0, error: BaseException | None = None
    ) -> None:
        """Take note; never raises."""
        ...


def procedure_logger(fault_of: Callable[[BaseException], Fault]) -> ProcedureLogger:
    """An observer that writes a line for each procedure's start and end, with who called and what failed."""

    def observe(
        name: str, phase: str, request: Request, *, duration_ms: float = 0.0, error: BaseException | None = None
    ) -> None:
        fields: dict[str, object] = {"phase": phase, "request_id": request.request_id}
        if request.claims is not None:
            fields["user_id"] = request.claims.subject
        if phase != "started":
            fields["duration_ms"] = duration_ms
        if error is None:
            log.info(name, **fields)
            return
        _tell_failure(name, fields, error, fault_of)

    return observe


def _tell_failure(
    name: str, fields: dict[str, object], error: BaseException, fault_of: Callable[[BaseException], Fault]
) -> None:
    if not isinstance(error, Exception):
        # A cancelled call: the client left or the process is stopping. Nobody made a mistake.
        log.info(name, **fields, error_code="CLIENT_CLOSED_REQUEST", error_type=type(error).__name__)
        return
    fault = fault_of(error)
    write = log.error if fault.status >= FIRST_SERVER_FAULT else log.warning
    write(name, **fields, error_code=fault.code, exc_info=error)


class _FromLibraries(logging.Handler):
    """Takes what libraries log. Their words may quote a request or a patient, so only the place is kept."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        source = f"{_short_path(record.pathname)}:{record.lineno}:{record.funcName}"
        write = {logging.ERROR: log.error, logging.CRITICAL: log.error, logging.WARNING: log.warning}
        write.get(record.levelno, log.info)(f"library.{record.name}", source=source, exc_info=error)


def adopt_process() -> None:
    """Route everything else this process would print about itself through the journal.

    That is the standard library's loggers (warnings and above; uvicorn's access log, which holds addresses, not at
    all), Python's warnings, and exceptions nobody caught in the main thread, in others and in destructors.
    """
    root = logging.getLogger()
    root.handlers[:] = [_FromLibraries()]
    root.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    # Its complaint about a broken log call would print that call's arguments.
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda left: _uncaught(left.exc_type, left.exc_value, left.exc_traceback)
    sys.unraisablehook = lambda left: _uncaught(left.exc_type, left.exc_value, left.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, _: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        log.error("process.uncaught", error_type=kind.__name__, exc_info=error)
