"""Write audit lines: with the statement that reads or writes, or in its transaction."""

import re
from typing import Any, Final

from anamnesis.kernel.trail import Line, Trail, present

_COLUMNS: Final = (
    "user_id, actor_role, action, procedure, resource_type, resource_id, patient_ids, request_id, purpose, metadata"
)
#: One argument, so that it fits behind those of any statement. A job knows its session and not whose it is.
_WRITE: Final = f"""
INSERT INTO audit_logs ({_COLUMNS})
SELECT e.user_id, e.actor_role, e.action, e.procedure, e.resource_type, e.resource_id,
       coalesce(e.patient_ids, (
           SELECT ARRAY[c.patient_id] FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
           WHERE s.id = CASE WHEN e.resource_type = 'intake_session' THEN e.resource_id::uuid END)),
       e.request_id, e.purpose, e.metadata
FROM jsonb_to_record($%d::jsonb) AS e (user_id uuid, actor_role text, action text, procedure text, resource_type text,
    resource_id text, patient_ids uuid[], request_id text, purpose text, metadata jsonb)"""  # noqa: S608 - columns of ours
WRITE: Final = _WRITE % 1
#: Only the line would be waited for: a power cut may take the last lines of reads, never a line beside a change.
_WITHOUT_WAITING: Final = "\nWHERE set_config('synchronous_commit', 'off', true) IS NOT NULL"
_WITH: Final = re.compile(r"\s*WITH\s+(?!RECURSIVE\b)", re.IGNORECASE)


def carrying(query: str, arguments: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    """The statement, with the present call's line in it when that is due: both happen or neither."""
    trail = present()
    if trail is None or not trail.take():
        return query, arguments
    written = written_by(trail, len(arguments) + 1)
    rest, is_with = _WITH.subn("", query, count=1) if _WITH.match(query) else (query, 0)
    return f"WITH audited AS ({written}){',' if is_with else ''} {rest}", (*arguments, trail.line())


async def write_due(connection: Any) -> None:
    """Write the present call's line in this transaction, when that is due."""
    trail = present()
    if trail is not None and trail.take():
        await connection.execute(written_by(trail), trail.line())


def written_by(trail: Trail, place: int = 1) -> str:
    """The statement that writes this call's own line, which is its argument at this place."""
    return _WRITE % place + (_WITHOUT_WAITING if trail.is_reading else "")


async def write(connection: Any, line: Line, trail: Trail | None) -> None:
    """Write a line that tells more than the call's own, in its place."""
    await connection.execute(WRITE, line)
    if trail is not None:
        trail.is_written = True
