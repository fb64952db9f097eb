"""How fast the service is beside the database's own limit: both in one run, interleaved, on this machine.

The limit is pgbench running the very statements this build issues for a read, prepared, as the application's role.
Writes have no limit column yet: their statements feed one another, which a fixed script cannot repeat.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from anamnesis.db import embedded
from anamnesis.db.binaries import find_programs
from anamnesis.db.migrating import migrate
from build import ORIGIN, a_session, an_app, caller

ROOT = Path(__file__).resolve().parent.parent
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
CONNECTIONS = (1, 16, 64)
PORT = 8917
BASE = f"http://127.0.0.1:{PORT}"


@dataclass
class Scene:
    """What the load acts on."""

    connection_id: str
    read_session: str
    sessions: list[str]
    token: str


async def prepare(dsn: str) -> Scene:
    """A patient with a session of twenty messages to read and fresh ones to write to."""
    app = an_app(dsn)
    connection_id, read_session = await a_session(app)
    patient = caller(app, "patient")
    for number in range(10):
        await patient.call("intake.sendMessage", sessionId=read_session, content=f"no {number}")
    sessions = []
    for _ in range(64):
        made = await patient.call("intake.createNewSession", connectionId=connection_id)
        sessions.append(str(made["id"]))
    await app.database.close()
    return Scene(connection_id, read_session, sessions, "")


async def load(connections: int, ask: Callable[[int], bytes]) -> tuple[float, list[float]]:
    """Requests a second and every latency in ms, from so many keep-alive connections that wait for their answers."""
    latencies: list[float] = []
    end = time.perf_counter() + SECONDS

    async def asker(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        while time.perf_counter() < end:
            begun = time.perf_counter()
            writer.write(ask(number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))
            await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head.split(b"\r\n")[0].decode())
            latencies.append((time.perf_counter() - begun) * 1000)
        writer.close()
        await writer.wait_closed()

    begun = time.perf_counter()
    await asyncio.gather(*(asker(number) for number in range(connections)))
    return len(latencies) / (time.perf_counter() - begun), latencies


def asks(scene: Scene) -> dict[str, Callable[[int], bytes]]:
    """One request of each kind, as the bytes a client sends."""
    always = f"Host: 127.0.0.1:{PORT}\r\nAuthorization: Bearer {scene.token}\r\nOrigin: {ORIGIN}\r\n"
    wanted = quote(json.dumps({"json": {"sessionId": scene.read_session}}))

    def get(path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{always}\r\n".encode()

    def post(name: str, body: dict[str, str]) -> bytes:
        text = json.dumps({"json": body})
        kind = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        return f"POST /api/trpc/{name} HTTP/1.1\r\n{always}{kind}\r\n{text}".encode()

    def send(number: int) -> bytes:
        session = scene.sessions[number % len(scene.sessions)]
        return post("intake.sendMessage", {"sessionId": session, "content": "no", "clientMessageId": str(uuid4())})

    read = get(f"/api/trpc/intake.getSession?input={wanted}")
    return {
        "health": lambda _: get("/api/health"),
        "intake.getSession": lambda _: read,
        "intake.sendMessage": send,
        "message.send": lambda _: post("message.send", {"connectionId": scene.connection_id, "content": "hello"}),
    }


async def statements_of(dsn: str, scene: Scene, name: str) -> list[str]:
    """The statements one call of the procedure sends, as PostgreSQL saw them, with their values put in."""
    app = an_app(dsn)
    patient = caller(app, "patient")
    seen: list[tuple[str, tuple[Any, ...]]] = []

    def note(record: Any) -> None:
        seen.append((record.query, tuple(record.args or ())))

    async def call() -> None:
        if name == "intake.getSession":
            await patient.call(name, sessionId=scene.read_session)
        elif name == "intake.sendMessage":
            await patient.call(name, sessionId=scene.sessions[0], content="no", clientMessageId=str(uuid4()))
        else:
            await patient.call(name, connectionId=scene.connection_id, content="hello")

    await call()
    pool = await app.database._ready_pool()
    connection = await pool.acquire()
    connection.add_query_logger(note)
    await pool.release(connection)
    await call()
    await app.database.close()
    return [_inlined(query, arguments) for query, arguments in seen if not query.startswith("SELECT set_config")]


def _inlined(query: str, arguments: tuple[Any, ...]) -> str:
    """The statement with literals for its parameters: what pgbench can prepare and run again and again."""
    text = query.strip().rstrip(";")

    def literal(match: re.Match[str]) -> str:
        value = arguments[int(match.group(1)) - 1]
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, dict):
            return "'" + json.dumps(value, default=str).replace("'", "''") + "'::jsonb"
        if isinstance(value, list):
            kind = "jsonb" if value and isinstance(value[0], dict) else "text[]"
            shown = json.dumps(value) if kind == "jsonb" else "{" + ",".join(map(str, value)) + "}"
            return f"'{shown.replace(chr(39), chr(39) * 2)}'::{kind}"
        shown = str(value).replace("'", "''")
        return f"interval '{value.total_seconds()} seconds'" if hasattr(value, "total_seconds") else f"'{shown}'"

    return re.sub(r"\$(\d+)", literal, text)


def main() -> int:
    """Run everything, print a table, leave nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="anamnesis-bench-"))
    server = embedded.start_embedded(folder)
    try:
        return asyncio.run(_main(server, folder))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _main(server: embedded.Embedded, folder: Path) -> int:
    await server.ensure_database()
    await migrate(server.owner_dsn, embedded=True)
    scene = await prepare(server.app_dsn)
    service = _serve(server)
    try:
        scene.token = await _wait_until_up(service)
        rows = await _measure(server, folder, scene, service.pid)
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(15)
    heads = ("procedure", "conn", "ours/s", "limit/s", "ratio", "p50 ms", "p99 ms", "stmts", "cpu ms")
    print("\n{:20} {:>4} {:>8} {:>8} {:>6} {:>7} {:>7} {:>5} {:>7}".format(*heads))
    for row in rows:
        print("{:20} {:>4} {:>8.0f} {:>8} {:>6} {:>7.1f} {:>7.1f} {:>5} {:>7.2f}".format(*row))
    print(f"RSS {PEAK['rss']:.0f} MB; {ROUNDS} rounds of {SECONDS:g} s; the load shares the machine's cores")
    return 0


PEAK = {"rss": 0.0}


def _serve(server: embedded.Embedded) -> subprocess.Popen[bytes]:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from build import ISSUER_OF_TESTS, an_app, claims; from anamnesis.serving import serve, run;"
        "from anamnesis import journal; journal.configure(development=False, level='WARNING');"
        "app = an_app(sys.argv[2]); token = ISSUER_OF_TESTS.token(claims('patient'));"
        f"run(serve(app.asgi(), host='127.0.0.1', port={PORT}, running=app.running, drain=app.drain,"
        "stop=app.worker.stop, ready=lambda: print(token, flush=True)))"
    )
    command = [sys.executable, "-c", code, str(ROOT / "tests"), server.app_dsn]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def _wait_until_up(service: subprocess.Popen[bytes]) -> str:
    """The token the service's own issuer made, which it prints when it takes connections."""
    assert service.stdout is not None
    return (await asyncio.to_thread(service.stdout.readline)).decode().strip()


async def _measure(server: embedded.Embedded, folder: Path, scene: Scene, pid: int) -> list[tuple[Any, ...]]:
    results: dict[tuple[str, int], list[tuple[float, list[float], float]]] = {}
    limits: dict[tuple[str, int], list[float]] = {}
    scripts = {
        name: await statements_of(server.app_dsn, scene, name)
        for name in ("intake.getSession", "intake.sendMessage", "message.send")
    }
    for _ in range(ROUNDS):
        for name, ask in asks(scene).items():
            for connections in CONNECTIONS:
                before = _cpu_s(pid)
                rate, latencies = await load(connections, ask)
                cpu = (_cpu_s(pid) - before) * 1000 / max(1, len(latencies))
                results.setdefault((name, connections), []).append((rate, latencies, cpu))
                PEAK["rss"] = max(PEAK["rss"], _rss_mb(pid))
                if name == "intake.getSession":
                    limit = _pgbench(server, folder, scripts[name], connections)
                    limits.setdefault((name, connections), []).append(limit)
    return [_row(key, runs, limits.get(key), scripts.get(key[0])) for key, runs in results.items()]


def _row(key: tuple[str, int], runs: list[Any], limit: list[float] | None, script: list[str] | None) -> tuple[Any, ...]:
    rate = statistics.median(each[0] for each in runs)
    latencies = sorted(each for _, many, _ in runs for each in many)
    top = statistics.median(limit) if limit else None
    return (
        *key, rate, f"{top:.0f}" if top else "-", f"{rate / top:.0%}" if top else "-", latencies[len(latencies) // 2],
        latencies[int(len(latencies) * 0.99)], len(script) if script else "-", statistics.median(e[2] for e in runs),
    )  # fmt: skip


def _pgbench(server: embedded.Embedded, folder: Path, statements: list[str], connections: int) -> float:
    script = folder / "script.sql"
    script.write_text(";\n".join(each.replace("\n", " ") for each in statements) + ";\n")
    programs = [Path(shutil.which("pgbench") or "/nonexistent"), find_programs(None) / "pgbench"]
    program = next((each for each in programs if each.exists()), None)
    if program is None:
        return 0.0
    load_of = ["-c", str(connections), "-j", "2", "-T", str(int(SECONDS))]
    where = ["-h", server.socket_folder, "-U", embedded.APP, embedded.DATABASE]
    command = [program, "-n", "-M", "prepared", "-f", script, *load_of, *where]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", said.stdout)
    return float(found.group(1)) if found else 0.0


def _cpu_s(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    sys.exit(main())
