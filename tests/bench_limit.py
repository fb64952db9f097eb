"""The database's own limit: pgbench running the statements this build issues, prepared, as the application's role.

Statements that feed one another keep doing so: what one returns is put where the service would put it. Every round
works on a session picked by chance, so that a row is not fought over more than by as many patients.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from anamnesis.db import embedded
from anamnesis.db.binaries import find_programs
from build import an_app, caller

SESSIONS = 4000
#: The session of this round, and the id of the message kept in it.
_SESSION = "('00000000-0000-4000-8000-' || lpad(:i::text, 12, '0'))::uuid"
_MESSAGE = "md5(:i::text || '-' || :l_next_seq::text)::uuid"


def session_id(number: int) -> UUID:
    """The id of the so-many-th session that is written to."""
    return UUID(f"00000000-0000-4000-8000-{number:012d}")


@dataclass(frozen=True)
class Statement:
    """One statement as it was sent."""

    query: str
    arguments: tuple[Any, ...]


async def statements_of(dsn: str, name: str, given: Callable[[], Mapping[str, str]]) -> list[Statement]:
    """The statements one call of the procedure sends, as the driver saw them."""
    app = an_app(dsn)
    patient = caller(app, "patient")
    seen: list[Statement] = []
    await patient.call(name, **given())
    connection = await (pool := await app.database._ready_pool()).acquire()
    connection.add_query_logger(lambda record: seen.append(Statement(record.query, tuple(record.args or ()))))
    await pool.release(connection)
    await patient.call(name, **given())
    await app.database.close()
    return [each for each in seen if "set_config" not in each.query]


def script_of(name: str, statements: list[Statement]) -> str:
    """The statements as a script of pgbench's."""
    # Sessions of its own: what it writes over and over was sealed for one row, and the service would refuse it.
    lines = [f"\\set i random({SESSIONS + 1}, {2 * SESSIONS})"]
    for each in statements:
        fed = _fed(each) if name == "intake.sendMessage" else _drawn(each)
        text = _inlined(each, fed).replace("\n", " ")
        if ";" in each.query.strip().rstrip(";"):  # what begins a transaction and says for whom is one message
            lines += ["\\startpipeline", *(f"{part};" for part in text.split(";") if part.strip()), "\\endpipeline"]
            continue
        if name == "intake.sendMessage" and "FOR UPDATE" in each.query:
            lines.append(f"{text} \\gset l_")
        elif name == "intake.sendMessage" and "INSERT INTO jobs" in each.query:
            lines.append(f"{text} \\gset j_")
        else:
            lines.append(f"{text};")
    return "\n".join(lines) + "\n"


def _fed(statement: Statement) -> dict[int, str]:
    """What the service puts into a statement of sendMessage from an earlier one, by the parameter's number."""
    sessions = {
        place: _SESSION
        for place, value in enumerate(statement.arguments, 1)
        if isinstance(value, UUID) and str(value).startswith("00000000-0000-4000-8000")
    }
    if "WITH kept AS" in statement.query:
        fed = {1: _MESSAGE, 4: ":l_next_seq", 7: "gen_random_uuid()"}
        return {**sessions, **fed, **_documents(statement, 9, 15)}
    if "WITH moved AS" in statement.query:
        fed = {2: ":l_version + 1", 10: _MESSAGE, 20: "gen_random_uuid()"}
        return {**sessions, **fed, **_documents(statement, 4, 9, 14)}
    if "UPDATE jobs" in statement.query:
        return {**sessions, 1: ":j_id", 2: ":j_fence"}
    return sessions


def _documents(statement: Statement, *places: int) -> dict[int, str]:
    """What is sealed for a column of JSON, as the JSON string it is."""
    values = {place: statement.arguments[place - 1] for place in places}
    return {place: f"{_quoted(json.dumps(value))}::jsonb" for place, value in values.items() if isinstance(value, str)}


def _drawn(statement: Statement) -> dict[int, str]:
    """The id that message.send draws for each message."""
    return {11: "gen_random_uuid()"} if "INSERT INTO direct_messages" in statement.query else {}


def _inlined(statement: Statement, fed: Mapping[int, str]) -> str:
    """The statement with literals, or what feeds it, for its parameters."""

    def value_of(match: re.Match[str]) -> str:
        place = int(match.group(1))
        return fed.get(place) or _literal(statement.arguments[place - 1])

    return re.sub(r"\$(\d+)", value_of, statement.query.strip().rstrip(";"))


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f"interval '{value.total_seconds()} seconds'"
    if isinstance(value, dict) or (isinstance(value, list) and (not value or isinstance(value[0], dict))):
        return f"{_quoted(json.dumps(value, default=str))}::jsonb"
    if isinstance(value, list | tuple):
        return _quoted("{" + ",".join(f'"{each}"' for each in value) + "}") + "::text[]"
    return _quoted(str(value)) + ("::uuid" if isinstance(value, UUID) else "")


def _quoted(text: str) -> str:
    # A colon before a letter would be a variable of pgbench's, even inside a text.
    return "E'" + re.sub(r":(?=\w)", r"\\x3a", text.replace("\\", "\\\\").replace("'", "''")) + "'"


def given_to(name: str, read_session: str, connection_id: str) -> Callable[[], Mapping[str, str]]:
    """A call's input, with a client id of its own."""
    if name == "intake.getSession":
        return lambda: {"sessionId": read_session}
    if name == "intake.sendMessage":
        session = str(session_id(1))
        return lambda: {"sessionId": session, "content": "It is about me", "clientMessageId": str(uuid4())}
    return lambda: {"connectionId": connection_id, "content": "hello"}


def pgbench(server: embedded.Embedded, script: Path, connections: int, seconds: float) -> float:
    """Rounds of the script a second from so many connections; 0 where pgbench is not installed."""
    programs = [Path(shutil.which("pgbench") or "/nonexistent"), find_programs(None) / "pgbench"]
    program = next((each for each in programs if each.exists()), None)
    if program is None:
        return 0.0
    load_of = ["-c", str(connections), "-j", "2", "-T", str(max(1, int(seconds)))]
    where = ["-h", server.socket_folder, "-U", embedded.APP, embedded.DATABASE]
    command = [program, "-n", "-M", "prepared", "-f", script, *load_of, *where]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", said.stdout)
    if found is None or "Run was aborted" in said.stderr:
        raise SystemExit(f"pgbench did not run: {said.stderr[-600:]}")
    return float(found.group(1))
