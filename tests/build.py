"""A whole clinic for tests: the real application over a fresh database, and people to act in it."""

import asyncio
import json
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

from anamnesis.bootstrap import App, build
from anamnesis.db.encryption import keyring_of
from anamnesis.db.viewing import Purpose, at_work
from anamnesis.edge.calling import Caller
from anamnesis.edge.demo_issuer import ISSUER, DemoIssuer
from anamnesis.kernel.identity import Claims
from anamnesis.kernel.procedures import Request
from anamnesis.settings import Limits, Secret, Settings

ORIGIN = "http://127.0.0.1:8000"
#: For tests of what stands before the wall, which reach past the procedures.
WORKING = at_work(Purpose.JOBS)
#: Every test's clinic seals what people write.
KEYS = (("first", Secret(b64encode(bytes(range(32))).decode())),)
KEYRING = keyring_of(KEYS)
ENCRYPTION_KEYS = f"{KEYS[0][0]}:{KEYS[0][1].reveal()}"
ISSUER_OF_TESTS = DemoIssuer(ORIGIN, "127.0.0.1", is_production=False)


def an_app(app_dsn: str, *, model=None, settings=None, is_sealed=True) -> App:
    """is_sealed is False where a test looks for words in the rows themselves."""
    settings = settings or Settings(limits=Limits(factor=10_000))
    return build(
        replace(settings, encryption_keys=KEYS) if is_sealed and not settings.encryption_keys else settings,
        app_dsn=app_dsn,
        direct_dsn=app_dsn,
        keys=ISSUER_OF_TESTS.keys(),
        issuer=ISSUER,
        superusers=["operator"],
        model=model,
    )


async def stored(connection, table, where="true", *arguments):
    """Rows of a sealed table with the words opened, for a connection with or without our JSON codec."""
    found = []
    for row in await connection.fetch(f"SELECT * FROM {table.name} WHERE {where}", *arguments):
        texts = {name: row[name] for name in table.documents if isinstance(row[name], str)}
        decoded = {name: json.loads(text) if text[:1] in '"{[' else text for name, text in texts.items()}
        found.append(KEYRING.opened(table, {**row, **decoded}))
    return found


def claims(who: str) -> Claims:
    return Claims(who, f"{who}@example.test", who.capitalize(), "Test")


def caller(app: App, who: str) -> Caller:
    return Caller(app.registry, app.door, Request(f"r-{who}", claims(who)))


async def a_doctor(app: App, who: str = "doctor", *, verified: bool = True):
    profile = await caller(app, who).call("doctor.createProfile", specialty="General", clinicName="Clinic")
    if verified:
        await caller(app, "operator").call("admin.verifyDoctor", doctorId=str(profile["id"]), action="approve")
    return profile


async def a_session(app: App, *, patient: str = "patient", doctor: str = "doctor"):
    """A verified doctor, a connected patient and the patient's open session: (connection id, session id)."""
    profile = await a_doctor(app, doctor)
    connection = await caller(app, patient).call("connection.create", doctorId=str(profile["id"]))
    session = await caller(app, patient).call("intake.create", connectionId=str(connection["id"]))
    return str(connection["id"]), str(session["id"])


async def tell(app: App, session_id: str, *messages: str, who: str = "patient"):
    """Send messages one after the other; the last answer."""
    answer = None
    for message in messages:
        answer = await caller(app, who).call(
            "intake.sendMessage", sessionId=session_id, content=message, clientMessageId=str(uuid4())
        )
    return answer


WHOLE_INTAKE = (
    "It is about me", "Jane, 34, female", "I have had a bad headache since Monday", "No",
    "in front, throbbing, it does not spread", "It comes and goes, it took a day to get bad",
    "6, light makes it worse, sleep helps", "None of these", "bp 120/80 temp 37.2", "No records",
    "I take amlodipine 5 mg", "No, but I am allergic to penicillin", "high blood pressure",
    "No family illness, no smoking, I live with my sister", "Nothing else", "Yes, this is right",
)  # fmt: skip


@asynccontextmanager
async def closing(app: App):
    try:
        yield app
    finally:
        await app.database.close()


async def http(asgi, method, path, *, who=None, body=None, headers=None, query="", stays=False):
    """One HTTP request against the application: (status, headers, body text). stays waits for a stream to end."""
    given = {"host": "127.0.0.1:8000", **(headers or {})}
    if who is not None:
        given["authorization"] = f"Bearer {ISSUER_OF_TESTS.token(claims(who))}"
    payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if body is not None:
        given.setdefault("content-type", "application/json")
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()], "scheme": "http",
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8000), "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    sent, asked = [], [{"type": "http.request", "body": payload, "more_body": False}]

    async def receive():
        if stays and not asked:
            await asyncio.Event().wait()
        return asked.pop() if asked else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await asgi(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(each.get("body", b"") for each in sent[1:]).decode()
