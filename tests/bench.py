"""How fast the service is beside the database's own limit: both in one run, interleaved, on this machine."""

from __future__ import annotations

import asyncio
import itertools
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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg

from anamnesis.db import embedded, encryption
from anamnesis.db.migrating import migrate
from anamnesis.db.postgres import use_json
from bench_limit import SESSIONS, given_to, pgbench, script_of, session_id, statements_of
from build import KEYRING, ORIGIN, a_session, an_app, caller, stored

ROOT = Path(__file__).resolve().parent.parent
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
CONNECTIONS = (1, 16, 64)
#: One service for each way of finding words: the built-in interviewer, and a stub of a model that takes so long.
SERVICES = {"builtin": None, "0 ms model": 0.0, "200 ms model": 0.2}
PORTS = {name: 8917 + number for number, name in enumerate(SERVICES)}
#: What a patient says in turn; a session hears no more than these, so that its interview stays open.
WORDS = ("It is about me", "Jane, 34, female", "I have had a bad headache since Monday", "No", "in front, throbbing")
#: At most so many ms for 99 of 100.
BUDGETS = {"health": 1000, "intake.getSession": 2000, "intake.sendMessage": 5000, "message.send": 2000}


@dataclass
class Scene:
    """What the load acts on."""

    connection_id: str
    read_session: str
    tokens: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """One kind of request: what it is called, which service it goes to, and its bytes."""

    name: str
    service: str
    ask: Callable[[], bytes]

    @property
    def title(self) -> str:
        return self.name if self.service == "builtin" else f"{self.name}, {self.service}"


async def prepare(server: embedded.Embedded) -> Scene:
    """A patient with a session of twenty messages to read and thousands of fresh ones to write to."""
    app = an_app(server.app_dsn)
    connection_id, read_session = await a_session(app)
    patient = caller(app, "patient")
    for number in range(10):
        await patient.call("intake.sendMessage", sessionId=read_session, content=f"no {number}")
    fresh = await patient.call("intake.createNewSession", connectionId=connection_id)
    await app.database.close()
    owner = await asyncpg.connect(server.owner_dsn)
    await owner.execute("SET session_replication_role = replica")
    await use_json(owner)
    (like,) = await stored(owner, encryption.SESSIONS, "id = $1", UUID(str(fresh["id"])))
    said = await stored(owner, encryption.CHAT, "session_id = $1", UUID(str(fresh["id"])))
    made = [session_id(number) for number in range(1, 2 * SESSIONS + 1)]
    # Each is sealed for itself, as the service would have done it.
    await owner.executemany(
        "INSERT INTO intake_sessions (id, connection_id, record, next_seq, version, completeness, current_agent)"
        " SELECT $2, connection_id, $3, next_seq, version, completeness, current_agent"
        " FROM intake_sessions WHERE id = $1",
        [
            (
                like["id"],
                each,
                KEYRING.at(encryption.SESSIONS, each, like["connection_id"]).seal("record", like["record"]),
            )
            for each in made
        ],
    )
    await owner.executemany(
        "INSERT INTO chat_messages (id, session_id, seq, role, content, active_agent, choices)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            (
                line_id, each, line["seq"], line["role"], place.seal("content", line["content"]),
                line["active_agent"], place.seal("choices", line["choices"]),
            )
            for each in made for line in said
            for line_id in [uuid4()] for place in [KEYRING.at(encryption.CHAT, line_id, each)]
        ],
    )  # fmt: skip
    await owner.execute("ANALYZE")
    await owner.close()
    return Scene(connection_id, read_session)


async def run_load(load: Load, connections: int) -> tuple[float, list[float]]:
    """Requests a second and every latency in ms, from so many keep-alive connections that wait for their answers."""
    latencies: list[float] = []
    end = time.perf_counter() + SECONDS

    async def asker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORTS[load.service])
        while time.perf_counter() < end:
            begun = time.perf_counter()
            writer.write(load.ask())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))
            await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head.split(b"\r\n")[0].decode())
            latencies.append((time.perf_counter() - begun) * 1000)
        writer.close()
        await writer.wait_closed()

    begun = time.perf_counter()
    await asyncio.gather(*(asker() for _ in range(connections)))
    return len(latencies) / (time.perf_counter() - begun), latencies


def loads(scene: Scene) -> list[Load]:
    """One request of each kind, as the bytes a client sends."""
    wanted = quote(json.dumps({"json": {"sessionId": scene.read_session}}))
    turns = itertools.count()

    def get(path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{_always(scene, 'builtin')}\r\n".encode()

    def post(name: str, body: dict[str, str], service: str = "builtin") -> bytes:
        text = json.dumps({"json": body})
        kind = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        return f"POST /api/trpc/{name} HTTP/1.1\r\n{_always(scene, service)}{kind}\r\n{text}".encode()

    def send(service: str) -> bytes:
        turn = next(turns)
        session, words = session_id(turn % SESSIONS + 1), WORDS[turn // SESSIONS % len(WORDS)]
        body = {"sessionId": str(session), "content": words, "clientMessageId": str(uuid4())}
        return post("intake.sendMessage", body, service)

    read = get(f"/api/trpc/intake.getSession?input={wanted}")
    message = {"connectionId": scene.connection_id, "content": "hello"}
    return [
        Load("health", "builtin", lambda: get("/api/health")),
        Load("intake.getSession", "builtin", lambda: read),
        *(Load("intake.sendMessage", service, partial(send, service)) for service in SERVICES),
        Load("message.send", "builtin", lambda: post("message.send", message)),
    ]


def _always(scene: Scene, service: str) -> str:
    return f"Host: 127.0.0.1\r\nAuthorization: Bearer {scene.tokens[service]}\r\nOrigin: {ORIGIN}\r\n"


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
    scene = await prepare(server)
    services = {name: _serve(server, PORTS[name], latency_s) for name, latency_s in SERVICES.items()}
    try:
        for name, service in services.items():
            scene.tokens[name] = await _wait_until_up(service)
        rows = await _measure(server, folder, scene, {name: each.pid for name, each in services.items()})
    finally:
        for service in services.values():
            service.send_signal(signal.SIGINT)
        for service in services.values():
            service.wait(15)
    heads = ("procedure", "conn", "ours/s", "limit/s", "ratio", "p50 ms", "p99 ms", "within", "stmts", "cpu ms")
    print("\n{:32} {:>4} {:>8} {:>8} {:>6} {:>7} {:>7} {:>7} {:>5} {:>7}".format(*heads))
    for row in rows:
        print("{:32} {:>4} {:>8.0f} {:>8} {:>6} {:>7.1f} {:>7.1f} {:>7} {:>5} {:>7.2f}".format(*row))
    print(
        f"RSS {PEAK['rss']:.0f} MB; medians of {ROUNDS} rounds of {SECONDS:g} s; the load and PostgreSQL share the"
        f" machine's {os.cpu_count()} cores; 'within': p99 keeps 1 s health, 5 s intake.sendMessage, 2 s the others"
    )
    return 0


PEAK = {"rss": 0.0}


def _serve(server: embedded.Embedded, port: int, latency_s: float | None) -> subprocess.Popen[bytes]:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from build import ISSUER_OF_TESTS, an_app, claims; from anamnesis.serving import serve, run;"
        "from anamnesis.llm.scripted import StubModel; from anamnesis import journal;"
        "journal.configure(development=False, level='WARNING');"
        "model = StubModel(latency_s=float(sys.argv[4])) if sys.argv[4] != 'None' else None;"
        "app = an_app(sys.argv[2], model=model); token = ISSUER_OF_TESTS.token(claims('patient'));"
        "run(serve(app.asgi(), host='127.0.0.1', port=int(sys.argv[3]), running=app.running, drain=app.drain,"
        "stop=app.worker.stop, ready=lambda: print(token, flush=True)))"
    )
    command = [sys.executable, "-c", code, str(ROOT / "tests"), server.app_dsn, str(port), str(latency_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def _wait_until_up(service: subprocess.Popen[bytes]) -> str:
    """The token the service's own issuer made, which it prints when it takes connections."""
    assert service.stdout is not None
    return (await asyncio.to_thread(service.stdout.readline)).decode().strip()


async def _measure(
    server: embedded.Embedded, folder: Path, scene: Scene, pids: dict[str, int]
) -> list[tuple[Any, ...]]:
    results: dict[tuple[str, str, int], list[tuple[float, list[float], float]]] = {}
    limits: dict[tuple[str, int], list[float]] = {}
    scripts, counts = {}, {}
    for name in ("intake.getSession", "intake.sendMessage", "message.send"):
        given = given_to(name, scene.read_session, scene.connection_id)
        statements = await statements_of(server.app_dsn, name, given)
        counts[name] = len(statements)
        scripts[name] = folder / f"{name}.sql"
        scripts[name].write_text(script_of(name, statements))
    for _ in range(ROUNDS):
        for load, connections in itertools.product(loads(scene), CONNECTIONS):
            pid = pids[load.service]
            before = _cpu_s(pid)
            rate, latencies = await run_load(load, connections)
            cpu = (_cpu_s(pid) - before) * 1000 / max(1, len(latencies))
            results.setdefault((load.title, load.name, connections), []).append((rate, latencies, cpu))
            PEAK["rss"] = max(PEAK["rss"], _rss_mb(pid))
            if load.service == "builtin" and load.name in scripts:
                limit = pgbench(server, scripts[load.name], connections, SECONDS)
                limits.setdefault((load.name, connections), []).append(limit)
                await _forget_turns(server)
    return [
        _row(title, name, connections, runs, limits.get((name, connections)), counts.get(name))
        for (title, name, connections), runs in results.items()
    ]


async def _forget_turns(server: embedded.Embedded) -> None:
    """Drop the turns that pgbench left: it took them itself, and a worker must not, once their lease is over."""
    owner = await asyncpg.connect(server.owner_dsn)
    theirs = [session_id(number) for number in range(SESSIONS + 1, 2 * SESSIONS + 1)]
    await owner.execute("DELETE FROM jobs WHERE subject = ANY ($1::uuid[])", theirs)
    await owner.close()


def _row(
    title: str, name: str, connections: int, runs: list[Any], limit: list[float] | None, count: int | None
) -> tuple[Any, ...]:
    rate = statistics.median(each[0] for each in runs)
    latencies = sorted(each for _, many, _ in runs for each in many)
    top = statistics.median(limit) if limit else None
    p99 = latencies[int(len(latencies) * 0.99)]
    return (
        title, connections, rate, f"{top:.0f}" if top else "-", f"{rate / top:.0%}" if top else "-",
        latencies[len(latencies) // 2], p99, "yes" if p99 <= BUDGETS[name] else "NO", count or "-",
        statistics.median(each[2] for each in runs),
    )  # fmt: skip


def _cpu_s(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    sys.exit(main())
