"""What other systems are told: over real jobs and a receiver on this machine that verifies with the library."""

import asyncio
import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from anamnesis.db import outbox
from anamnesis.kernel.jobs import JobKind
from anamnesis.settings import Limits, Secret, Settings, SettingsInvalid, Webhooks
from anamnesis.webhooks.model import Event, EventKind, Target, is_public
from anamnesis.webhooks.sending import SignedSender
from build import WHOLE_INTAKE, a_session, an_app, caller, closing, tell
from webhooks.receiving import SECRET, Receiver

ANAMNESIS = Path(sys.executable).parent / "anamnesis"
NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()
DANGER = "I have crushing chest pain and I am sweating, CANARY-8812"


@pytest.fixture
async def receiver():
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def app(clinic, receiver):
    settings = Settings(webhooks=Webhooks(targets=(receiver.url,), secret=Secret(SECRET)), limits=Limits(factor=10_000))
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        yield app


async def work(app):
    """Do every job that is due, once."""
    outcomes = []
    for worker in filter(None, (app.worker, app.teller)):
        while (job := await outbox.claim(app.database, list(worker.handlers))) is not None:
            outcomes.append((job.kind, (await worker._outcome(job))[0]))
    return outcomes


async def hurry(owner):
    await owner.execute("UPDATE jobs SET run_after = clock_timestamp() WHERE state = 'queued'")


async def test_a_whole_case_is_told_by_ids_alone_and_verifies(app, receiver):
    connection_id, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    sent = await caller(app, "patient").call("message.send", connectionId=connection_id, content="CANARY-8812")
    await tell(app, session_id, DANGER)
    await work(app)
    told = [body for _, body in receiver.verified()]
    case = {"connectionId": connection_id, "sessionId": session_id}
    assert {each["type"]: each["data"] for each in told} == {
        "intake.ready": case,
        "intake.emergency": case,
        "message.created": {"connectionId": connection_id, "messageId": str(sent["message"]["id"])},
    }
    assert len(told) == 3
    assert all(set(each) == {"type", "timestamp", "data"} for each in told)
    assert b"CANARY" not in b"".join(body for *_, body in receiver.got)
    line, headers, _ = receiver.got[0]
    assert line == "POST /hooks?key=path-secret-77 HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("known", [NEW, SECRET])
async def test_while_secrets_change_a_receiver_believes_us_with_either(clinic, receiver, known):
    told = {"WEBHOOK_TARGETS": receiver.url, "WEBHOOK_SECRET": f"{NEW}, {SECRET}", "RATE_FACTOR": "1000"}
    async with closing(an_app(clinic.app_dsn, settings=Settings.from_env(told))) as app:
        connection_id, _ = await a_session(app)
        await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
        await work(app)
        assert NEW not in repr(app.teller.handlers) + repr(app.hooks)
    (_, headers, body), *_ = receiver.got
    assert Webhook(known).verify(body, headers)["type"] == "message.created"


async def test_telling_others_is_in_the_audit_trail_as_what_it_is(app, owner, receiver):
    _, session_id = await a_session(app)
    await tell(app, session_id, DANGER)
    await work(app)
    lines = await owner.fetch("SELECT action, resource_type, resource_id FROM audit_logs WHERE action LIKE 'job.%'")
    told = {(line["action"], line["resource_type"], line["resource_id"]) for line in lines}
    event_id = str(await owner.fetchval("SELECT id FROM webhook_events"))
    assert ("job.alert_clinician", "intake_session", session_id) in told
    assert ("job.deliver_webhook", "webhook_event", event_id) in told


async def test_the_event_stands_with_its_cause_or_not_at_all(app, owner, receiver):
    connection_id, _ = await a_session(app)
    key = str(uuid4())
    for _ in range(3):
        await caller(app, "patient").call(
            "message.send", connectionId=connection_id, content="hello", clientMessageId=key
        )
    assert await owner.fetchval("SELECT count(*) FROM webhook_events") == 1
    assert await owner.fetchval("SELECT count(*) FROM jobs WHERE kind = 'deliver_webhook'") == 1
    await owner.execute("ALTER TABLE jobs ADD CONSTRAINT none CHECK (kind <> 'deliver_webhook') NOT VALID")
    with pytest.raises(Exception, match=r"."):
        await caller(app, "patient").call("message.send", connectionId=connection_id, content="lost")
    assert await owner.fetchval("SELECT count(*) FROM direct_messages") == 1


async def test_a_refusal_is_tried_again_under_the_same_id_until_it_is_taken(app, owner, receiver):
    receiver.script = [500, "redirect", 404, 204]
    connection_id, _ = await a_session(app)
    await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
    seen = []
    for _ in range(5):
        seen += await work(app)
        await hurry(owner)
    assert [outcome for _, outcome in seen] == ["retry", "retry", "retry", "done"]
    assert len(receiver.got) == 4  # and the redirect was not followed
    assert len({webhook_id for webhook_id, _ in receiver.verified()}) == 1
    rows = await owner.fetch("SELECT outcome, status FROM webhook_deliveries ORDER BY id")
    assert [tuple(row) for row in rows] == [("refused", 500), ("refused", 302), ("refused", 404), ("delivered", 204)]


async def test_what_is_never_taken_is_given_up_and_can_be_told_again(app, owner, receiver, clinic):
    receiver.script = [500]
    connection_id, _ = await a_session(app)
    await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
    tries = app.teller.max_attempts
    for _ in range(tries + 2):
        await work(app)
        await hurry(owner)
    assert len(receiver.got) == tries
    assert (await outbox.depth(app.database)).dead == 1
    shown = command(clinic, "log", "--failed")
    assert shown.stdout.count("refused 500") == tries
    assert "path-secret" not in shown.stdout
    receiver.script = [200]
    assert "1 to be told again" in command(clinic, "replay", "--failed").stdout
    assert (await outbox.depth(app.database)).dead == 0  # an operator has seen to it
    await work(app)
    assert len({webhook_id for webhook_id, _ in receiver.verified()}) == 1
    assert "0 to be told again" in command(clinic, "replay", "--failed").stdout
    event_id = receiver.verified()[0][0]
    assert command(clinic, "replay", "--event", event_id).returncode == 0
    await work(app)
    assert len(receiver.got) == tries + 2
    assert command(clinic, "replay", "--event", str(uuid4())).returncode == 2
    assert command(clinic, "replay").returncode == 2


async def test_who_has_taken_it_is_not_told_twice_because_another_has_not(clinic, owner):
    async with Receiver() as good, Receiver([500, 200]) as bad:
        hooks = Webhooks(targets=(good.url, bad.url), secret=Secret(SECRET))
        settings = Settings(webhooks=hooks, limits=Limits(factor=10_000))
        async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
            connection_id, _ = await a_session(app)
            await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
            await work(app)
            await hurry(owner)
            await work(app)
        assert (len(good.got), len(bad.got)) == (1, 2)


async def test_an_event_is_offered_for_most_of_a_day_before_it_is_given_up(app, owner, receiver):
    receiver.script = [500]
    connection_id, _ = await a_session(app)
    await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
    waited = 0.0
    while (job := await outbox.claim(app.database, list(app.teller.handlers))) is not None:
        await app.teller._outcome(job)
        pause = await owner.fetchval("SELECT extract(epoch FROM run_after - clock_timestamp()) FROM jobs")
        assert pause <= 7200
        waited += float(pause)
        await hurry(owner)
    assert waited > 12 * 3600 * 0.9  # half of the longest pauses, as chance would have it


async def test_a_receiver_that_hangs_keeps_no_doctor_from_an_alert(clinic, owner):
    async with Receiver(["hang"]) as receiver:
        hooks = Webhooks(targets=(receiver.url,), secret=Secret(SECRET))
        settings = Settings(webhooks=hooks, limits=Limits(factor=10_000))
        async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
            connection_id, session_id = await a_session(app)
            for number in range(8):
                await caller(app, "patient").call("message.send", connectionId=connection_id, content=f"hello {number}")
            running = [asyncio.create_task(each.run()) for each in (app.worker, app.teller)]
            while len(receiver.got) < 8:  # noqa: ASYNC110 - a receiver elsewhere would set no event either
                await asyncio.sleep(0.05)
            await tell(app, session_id, DANGER)
            async with asyncio.timeout(5):
                alerted = "SELECT count(*) FROM notifications WHERE type = 'intake_emergency'"
                while not await owner.fetchval(alerted):  # noqa: ASYNC110 - a worker elsewhere would set no event
                    await asyncio.sleep(0.05)
            for worker in (app.worker, app.teller):
                worker.stop()
            await asyncio.gather(*running)
            given_back = await owner.fetch("SELECT DISTINCT state FROM jobs WHERE kind = 'deliver_webhook'")
            assert [row["state"] for row in given_back] == ["queued"]


async def test_nobody_is_told_later_because_another_hangs(clinic):
    async with Receiver(["hang"]) as slow, Receiver() as good:
        hooks = Webhooks(targets=(slow.url, good.url), secret=Secret(SECRET))
        settings = Settings(webhooks=hooks, limits=Limits(factor=10_000))
        async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
            connection_id, _ = await a_session(app)
            await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
            telling = asyncio.create_task(work(app))
            async with asyncio.timeout(5):
                while not good.got:  # noqa: ASYNC110 - same
                    await asyncio.sleep(0.05)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)


async def test_a_job_that_runs_twice_leaves_one_event(app, owner):
    _, session_id = await a_session(app)
    await tell(app, session_id, *WHOLE_INTAKE)
    job = await outbox.claim(app.database, [JobKind.ANNOUNCE_HANDOVER])
    for _ in range(2):
        await app.worker.handlers[JobKind.ANNOUNCE_HANDOVER](job)
    assert await owner.fetchval("SELECT count(*) FROM webhook_events") == 1


async def test_what_was_left_for_receivers_that_are_named_no_more_ends(app, clinic, owner):
    connection_id, _ = await a_session(app)
    await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
    async with closing(an_app(clinic.app_dsn)) as later:
        await work(later)
    assert await owner.fetchval("SELECT state FROM jobs WHERE kind = 'deliver_webhook'") == "done"


async def test_without_targets_nothing_is_kept(clinic, owner):
    async with closing(an_app(clinic.app_dsn)) as app:
        connection_id, session_id = await a_session(app)
        await tell(app, session_id, DANGER)
        await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
        await work(app)
        assert await owner.fetchval("SELECT count(*) FROM webhook_events") == 0
        assert await owner.fetchval("SELECT count(*) FROM jobs WHERE kind = 'deliver_webhook'") == 0


async def test_neither_the_log_nor_the_table_holds_the_secret_or_the_path(app, owner, receiver):
    receiver.script = [500]
    connection_id, _ = await a_session(app)
    with capture_logs() as lines:
        await caller(app, "patient").call("message.send", connectionId=connection_id, content="CANARY-8812")
        await work(app)
    rows = await owner.fetch("SELECT d::text FROM webhook_deliveries d UNION ALL SELECT e::text FROM webhook_events e")
    said = str(lines) + str(rows) + repr(app.settings) + repr(app.worker.handlers)
    for word in (SECRET, SECRET.removeprefix("whsec_"), "path-secret-77", "CANARY"):
        assert word not in said


async def test_events_of_a_month_ago_are_forgotten(app, owner):
    connection_id, _ = await a_session(app)
    await caller(app, "patient").call("message.send", connectionId=connection_id, content="hello")
    await work(app)
    await app.forget_spent()
    assert await owner.fetchval("SELECT count(*) FROM webhook_deliveries") == 1
    await owner.execute("UPDATE webhook_events SET occurred_at = clock_timestamp() - interval '31 days'")
    await app.forget_spent()
    assert await owner.fetchval("SELECT count(*) FROM webhook_deliveries") == 0


def command(clinic, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DATABASE_URL": clinic.app_dsn}
    return subprocess.run([ANAMNESIS, "webhooks", *arguments], env=environment, capture_output=True, text=True,
                          check=False, timeout=30)  # fmt: skip


# -- where nothing is sent ---------------------------------------------------------------------------------------


def an_event():
    return Event(uuid4(), EventKind.INTAKE_READY, UUID(int=1), UUID(int=2), None, datetime.now(UTC))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::7", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "ff02::1"],
)  # fmt: skip
def test_no_address_inside_counts_as_one_outside(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_wide_world_do(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
async def test_however_this_machine_is_written_nothing_is_sent_there(receiver, host):
    sender = SignedSender(SECRET, is_https_only=False)
    attempt = await sender.send(an_event(), Target(f"http://{host}:{receiver.port}/"))
    assert attempt.outcome in {"not_allowed", "unreachable"}
    assert not receiver.got


async def test_a_name_that_also_leads_inside_is_not_sent_to(receiver, monkeypatch):
    async def resolve(self, host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("8.8.8.8", "127.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", resolve, raising=False)
    attempt = await SignedSender(SECRET, is_https_only=False).send(
        an_event(), Target(f"http://hooks.clinic.ug:{receiver.port}/")
    )
    assert attempt.outcome == "not_allowed"
    assert not receiver.got


async def test_what_was_looked_at_is_what_is_connected_to(receiver, monkeypatch):
    asked = []

    async def resolve(self, host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", resolve, raising=False)
    target = Target(f"http://hooks.clinic.ug:{receiver.port}/x", may_be_private=True)
    attempt = await SignedSender(SECRET, is_https_only=False).send(an_event(), target)
    assert attempt.is_delivered
    assert asked.count("hooks.clinic.ug") == 1
    assert receiver.got[0][1]["host"] == f"hooks.clinic.ug:{receiver.port}"


async def test_plain_http_is_not_sent_to_in_production(receiver):
    attempt = await SignedSender(SECRET).send(an_event(), Target(receiver.url, may_be_private=True))
    assert attempt.outcome == "not_allowed"
    assert not receiver.got


def certificate(folder, name):
    """A certificate for a name, of nobody but itself: the path of it with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    whose, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(pem) + private)
    return path


@pytest.mark.parametrize(
    ("shown", "trusted", "outcome"),
    [
        ("hooks.clinic.ug", True, "delivered"),
        ("hooks.clinic.ug", False, "unreachable"),
        ("other.clinic.ug", True, "unreachable"),
    ],
)
async def test_over_https_a_target_must_show_a_certificate_of_its_name_that_is_trusted(
    tmp_path, monkeypatch, shown, trusted, outcome
):
    async def resolve(self, host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", resolve, raising=False)
    path = certificate(tmp_path, shown)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(path)
    told = {"authorities": lambda: ssl.create_default_context(cafile=path)} if trusted else {}
    async with Receiver(tls=theirs) as receiver:
        target = Target(f"https://hooks.clinic.ug:{receiver.port}/x", may_be_private=True)
        attempt = await SignedSender(SECRET, **told).send(an_event(), target)
        assert attempt.outcome == outcome
        assert len(receiver.got) == (outcome == "delivered")


async def test_no_proxy_of_the_environment_is_used(receiver, monkeypatch):
    async with Receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        sender = SignedSender(SECRET, is_https_only=False)
        assert (await sender.send(an_event(), Target(receiver.url, may_be_private=True))).is_delivered
        assert not proxy.got


@pytest.mark.parametrize("answer", ["hang", "drip"])
async def test_a_receiver_that_takes_its_time_is_left(receiver, answer):
    receiver.script = [answer]
    sender = SignedSender(SECRET, within_s=0.5, is_https_only=False)
    began = time.monotonic()
    attempt = await sender.send(an_event(), Target(receiver.url, may_be_private=True))
    assert (attempt.outcome, attempt.status) == ("timeout", None)
    assert time.monotonic() - began < 3


async def test_a_huge_answer_is_not_read(receiver):
    sender = SignedSender(SECRET, is_https_only=False)
    began = time.monotonic()
    assert (await sender.send(an_event(), Target(receiver.url, may_be_private=True))).is_delivered
    assert time.monotonic() - began < 3


async def test_nobody_there_is_an_attempt_that_failed():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        attempt = await SignedSender(SECRET, is_https_only=False).send(an_event(), Target(url, may_be_private=True))
    assert attempt.outcome == "unreachable"


def test_the_body_is_the_same_bytes_every_time():
    event = Event(
        UUID(int=9), EventKind.MESSAGE_CREATED, UUID(int=1), None, UUID(int=2), datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert event.body() == event.body()
    assert json.loads(event.body())["timestamp"] == "2026-01-02T00:00:00.000Z"
    assert event.occurred_at + timedelta(0) == event.occurred_at


# -- settings ----------------------------------------------------------------------------------------------------


def test_targets_need_a_secret():
    with pytest.raises(SettingsInvalid, match="WEBHOOK_SECRET"):
        Settings.from_env({"WEBHOOK_TARGETS": "https://hooks.clinic.ug/a"})


@pytest.mark.parametrize(
    "target",
    ["http://hooks.clinic.ug/", "https://127.0.0.1/", "https://10.1.2.3/", "https://[::1]/", "https://localhost/"],
)
def test_production_sends_over_https_to_the_outside_only(target):
    environment = {"ANAMNESIS_ENV": "production", "WEBHOOK_TARGETS": target, "WEBHOOK_SECRET": SECRET}
    with pytest.raises(SettingsInvalid) as refused:
        Settings.from_env(environment)
    assert "WEBHOOK_TARGETS" in {problem.variable for problem in refused.value.problems}


@pytest.mark.parametrize("secret", ["whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!"])
def test_a_weak_or_broken_secret_is_refused(secret):
    with pytest.raises(SettingsInvalid, match="WEBHOOK_SECRET"):
        Settings.from_env({"WEBHOOK_TARGETS": "https://hooks.clinic.ug/a", "WEBHOOK_SECRET": secret})
