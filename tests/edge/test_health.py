import asyncio
import re
import signal
import time

import httpx2
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from anamnesis.db.postgres import Database
from anamnesis.edge.health import PARTS, Condition, Health, database_probes, verdict

OK, DEGRADED, DOWN = Condition


def saying(condition):
    async def probe():
        return condition

    return probe


def a_health(**settings):
    probes = {name: saying(settings.pop(name, OK)) for name in PARTS}
    return Health(probes, **settings)


async def asked(health, path):
    transport = httpx2.ASGITransport(Starlette(routes=health.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://clinic") as client:
        started = time.monotonic()
        answer = await client.get(path)
        return answer.status_code, answer.json(), time.monotonic() - started


@pytest.mark.regression("A1")
async def test_a_healthy_service_answers_in_the_old_services_shape():
    status, body, _ = await asked(a_health(), "/api/health")
    timestamp = body["checks"].pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)
    assert (status, body) == (200, {"status": "healthy", "checks": {"database": True, "auth": True}, "uptime": 0})


@pytest.mark.parametrize(
    ("down", "reason"), [(["database"], "database"), (["auth"], "auth"), (["auth", "database"], "database,auth")]
)
async def test_an_unhealthy_service_says_which_part(down, reason):
    status, body, _ = await asked(a_health(**dict.fromkeys(down, DOWN)), "/api/health")
    assert (status, body["status"], body["reason"]) == (503, "unhealthy", reason)
    assert body["checks"]["database"] is ("database" not in down)
    assert isinstance(body["uptime"], int)


@pytest.mark.proves("I35")
async def test_an_outage_of_the_models_makes_nothing_unhealthy_and_is_told():
    health = a_health(ai=DOWN, worker=DEGRADED)
    assert (await asked(health, "/api/health"))[0] == 200
    status, body, _ = await asked(health, "/readyz")
    assert (status, body["status"]) == (200, "degraded")
    assert body["parts"] == {**dict.fromkeys(PARTS, "ok"), "ai": "down", "worker": "degraded"}


@pytest.mark.parametrize("part", ["database", "migrations", "durability", "auth"])
async def test_without_an_essential_part_the_service_is_unready(part):
    status, body, _ = await asked(a_health(**{part: DOWN}), "/readyz")
    assert (status, body["status"], body["parts"][part]) == (503, "unready", "down")


def test_only_a_service_with_every_part_whole_is_ready():
    assert verdict(dict.fromkeys(PARTS, OK)) == "ready"
    for part in PARTS:
        assert verdict({**dict.fromkeys(PARTS, OK), part: DEGRADED}) == "degraded"


@pytest.mark.proves("I35")
async def test_a_draining_service_is_unready_and_alive():
    health = a_health(is_draining=lambda: True)
    assert (await asked(health, "/readyz"))[:2][0] == 503
    assert (await asked(health, "/livez"))[:2] == (200, {"status": "alive"})


async def test_a_part_that_fails_to_answer_is_down_and_its_words_stay_inside():
    async def fail():
        raise RuntimeError("password=hunter2")

    health = Health({**{name: saying(OK) for name in PARTS}, "auth": fail})
    status, body, _ = await asked(health, "/readyz")
    assert (status, body["parts"]["auth"]) == (503, "down")
    assert "hunter2" not in str(body)


async def test_a_part_that_hangs_is_asked_once_however_many_wait():
    asked_times = 0

    async def hang():
        nonlocal asked_times
        asked_times += 1
        await asyncio.sleep(60)

    health = Health({**{name: saying(OK) for name in PARTS}, "database": hang}, patience_s=0.1)
    for _ in range(3):
        status, body, seconds = await asked(health, "/api/health")
        assert (status, body["reason"]) == (503, "database")
        assert seconds < 0.5
    assert asked_times == 1


async def test_an_answer_is_kept_for_a_moment():
    times = 0

    async def count():
        nonlocal times
        times += 1
        return OK

    health = Health({"database": count})
    for _ in range(5):
        await health.conditions("database")
    assert times == 1


def test_a_part_nobody_knows_is_a_mistake():
    with pytest.raises(ValueError, match="weather"):
        Health({"weather": saying(OK)})


async def test_an_unhealthy_answer_is_logged_by_part():
    with capture_logs() as lines:
        await asked(a_health(database=DOWN), "/api/health")
    assert [(line["event"], line["error_code"]) for line in lines] == [("health.check", "database")]


@pytest.mark.proves("I12")
async def test_a_fast_test_database_is_reached_and_migrated_and_refused_for_its_durability(database):
    health = Health({**{name: saying(OK) for name in PARTS}, **database_probes(database)})
    status, body, _ = await asked(health, "/readyz")
    assert (status, body["parts"]["database"], body["parts"]["migrations"]) == (503, "ok", "ok")
    assert body["parts"]["durability"] == "down"


async def test_a_database_that_was_never_migrated_is_unready(database, owner):
    await owner.execute("DELETE FROM schema_migrations WHERE number = 2")
    health = Health(database_probes(database))
    assert (await health.conditions("migrations"))["migrations"] is DOWN


@pytest.mark.proves("I35")
async def test_health_is_answered_within_a_second_while_the_database_is_frozen(server, signal_server):
    database = Database(server.app_dsn)
    health = Health({**{name: saying(OK) for name in PARTS}, **database_probes(database)})
    assert (await asked(health, "/readyz"))[0] == 200  # with every durability setting on, all of it is ready
    signal_server(server, signal.SIGSTOP)
    await asyncio.sleep(1.1)  # what was known is no longer fresh
    for path in ("/api/health", "/readyz", "/livez", "/api/health", "/readyz"):
        status, _, seconds = await asked(health, path)
        assert status == (200 if path == "/livez" else 503)
        assert seconds < 1.0, path
    signal_server(server, signal.SIGCONT)
    deadline = time.monotonic() + 3
    while (await asked(health, "/api/health"))[0] != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    await database.close(within_s=0.5)
