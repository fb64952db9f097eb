"""A clinic with everybody of the oracle in it, and every way of asking it for something."""

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode
from uuid import uuid4

import asyncpg
import jwt

from anamnesis.edge.demo_issuer import DemoIssuer
from anamnesis.edge.routes import route_of
from anamnesis.kernel.consents import IN_FORCE
from build import ISSUER_OF_TESTS, ORIGIN, an_app, caller, claims, tell
from matrix.oracle import ACTORS, STATES, TARGETS

NOWHERE = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
TRANSPORTS = ("trpc", "batch", "lines", "rest")
_SILENT_S = 0.15
_OF_PEOPLE = ("anonymous", "forged", "expired")
_CODES = {
    400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "CONFLICT",
    415: "BAD_REQUEST", 429: "TOO_MANY_REQUESTS", 501: "NOT_IMPLEMENTED",
}  # fmt: skip

#: What each procedure needs beside the record it is about.
FURTHER = {
    "intake.sendMessage": {"content": "I feel a little better"},
    "intake.updateSessionName": {"name": "My knee"},
    "intake.addMessage": {"content": "Haemoglobin 12"},
    "handover.lowerUrgency": {"to": "routine", "reason": "Seen and examined"},
    "handover.breakGlass": {"reason": "Unconscious in our emergency room"},
    "intake.storeFileMetadata": {"files": []},
    "intake.addImageMessage": {"imageUrl": "https://elsewhere.example.test/a.png"},
    "file.upload": {"files": []},
    "intake.onSession": {"lastEventId": "0"},
    "intake.getAllSessionsWithAppointments": {"status": "all"},
    "message.send": {"content": "See you tomorrow"},
    "message.onConversation": {"lastEventId": "0"},
    "notification.onNew": {"lastEventId": "0"},
    "connection.getMyConnections": {"status": "all"},
    "patient.updateProfile": {"phone": "123"},
    "patient.createProfile": {"phone": "123"},
    "doctor.createProfile": {"specialty": "General"},
    "doctor.updateProfile": {"bio": "About me"},
    "user.updateProfile": {"firstName": "Ann"},
    "user.giveConsent": {"purpose": "outside_model", "version": IN_FORCE["outside_model"]},
    "user.withdrawConsent": {"purpose": "outside_model"},
    "admin.verifyDoctor": {"action": "approve"},
    "admin.updateUserStatus": {"isActive": True},
    "admin.updateUserRole": {"role": "patient"},
}
FIELDS = {
    "session": "sessionId", "connection": "connectionId", "doctor": "doctorId", "user": "userId",
    "notification": "notificationId", "slug": "slug",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came back: its kind in one word, and all of it."""

    outcome: str
    status: int
    text: str


@dataclass
class Records:
    """The ids of one connection and of what hangs on it."""

    connection: str
    doctor: str
    slug: str
    user: str
    notification: str = ""
    sessions: dict[str, str] = field(default_factory=dict)

    def named(self, about: str, state: str) -> str:
        return self.sessions[state] if about == "session" else getattr(self, about)


NONE = Records(NOWHERE, NOWHERE, "nobody-00000000", NOWHERE, NOWHERE, dict.fromkeys(STATES, NOWHERE))


def words_of(target: str) -> str:
    return f"wordsof{list(TARGETS).index(target)}x"


def messages_of(target: str) -> str:
    return f"mailof{list(TARGETS).index(target)}x"


def notes_of(target: str) -> str:
    return f"noteof{list(TARGETS).index(target)}x"


def subject(who: str) -> str:
    """Who somebody is to the identity provider; the application of tests is told to trust one as a superuser."""
    return "operator" if who == "superuser" else who.replace(" ", "-")


class World:
    """The application, its people and their records; what a request changed can be put back."""

    def __init__(self, app, owner, people=ACTORS):
        self.app, self.owner = app, owner
        self.asgi = app.asgi()
        self.records: dict[str | None, Records] = {None: NONE}
        self.tokens = {who: self._token(who) for who in people}
        self.procedures = {bound.procedure.name: bound.procedure for bound in app.registry}

    @staticmethod
    def _token(who):
        if who == "anonymous":
            return None
        told = claims(subject(who))
        if who == "forged":
            return DemoIssuer(ORIGIN, "127.0.0.1", is_production=False).token(claims("patient"))
        token = ISSUER_OF_TESTS.token(claims("patient") if who == "expired" else told)
        if who == "expired":
            past = {**jwt.decode(token, options={"verify_signature": False}), "exp": int(time.time()) - 3600}
            token = jwt.encode(past, ISSUER_OF_TESTS._key, "RS256")
        return token

    async def ask(self, who, transport, name, target=None, state="in_progress", fields=None):
        """One request for a procedure, about the record of a target."""
        given = fields if fields is not None else self.fields(name, target, state)
        if transport == "rest":
            return await self._rest(who, name, given)
        return await self._trpc(who, transport, name, given)

    def fields(self, name, target, state):
        from matrix.oracle import ROWS

        about = ROWS[name].about
        given = dict(FURTHER.get(name, {}))
        if about:
            given[FIELDS[about]] = self.records[target].named(about, state)
        return given

    async def _trpc(self, who, transport, name, given):
        procedure = self.procedures[name]
        payload = {"json": given} if procedure.input is not None else None
        headers, query = {}, []
        if transport in ("batch", "lines"):
            payload = {"0": payload} if payload is not None else {}
            query.append("batch=1")
        if transport == "lines":
            headers["trpc-accept"] = "application/jsonl"
        body = None
        if procedure.kind == "mutation":
            body = json.dumps(payload or {}).encode()
        elif payload:
            query.append("input=" + quote(json.dumps(payload)))
        method = "POST" if procedure.kind == "mutation" else "GET"
        status, text = await self.http(
            who, method, f"/api/trpc/{name}", body=body, headers=headers, query="&".join(query),
            is_stream=procedure.kind == "subscription",
        )  # fmt: skip
        return Answer(_outcome_of_trpc(status, text), status, text)

    async def _rest(self, who, name, given):
        procedure, given = self.procedures[name], dict(given)
        rest = route_of(procedure)
        path = re.sub(r"\{(\w+)\}", lambda found: quote(str(given.pop(found[1])), safe=""), rest.path)
        is_stream, query, body = procedure.kind == "subscription", "", None
        if rest.method in ("GET", "DELETE"):
            query = urlencode(given)
        elif procedure.input is not None:
            body = json.dumps(given).encode()
        status, text = await self.http(
            who, rest.method, "/api/v1" + path, body=body, query=query, is_stream=is_stream
        )  # fmt: skip
        refused = re.search(r'event: serialized-error\ndata: .*?"status":(\d+)', text)
        outcome = _CODES.get(int(refused[1]) if refused else status, "OK" if status < 400 else f"HTTP {status}")
        return Answer(outcome, status, text)

    async def page(self, who, page, target=None, state="in_progress", content="I feel a little better"):
        method, template = page
        records = self.records[target]
        values = {
            "session_id": records.sessions[state],
            "doctor_id": records.doctor,
            "slug": records.slug,
            "user_id": records.user,
        }
        path = re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "x"), template)
        form = {
            "content": content, "clientMessageId": str(uuid4()), "connectionId": records.connection,
            "doctorId": records.doctor, "action": "open" if "user_id" in template else "approve",
            "to": "routine", "reason": "Seen and examined", "sessionId": values["session_id"],
        }  # fmt: skip
        body = urlencode(form).encode() if method == "POST" else None
        headers = {"content-type": "application/x-www-form-urlencoded"} if body else {}
        status, text = await self.http(who, method, path, body=body, headers=headers)
        return Answer("OK" if status < 400 else _CODES.get(status, f"HTTP {status}"), status, text)

    async def http(self, who, method, path, *, body=None, headers=None, query="", is_stream=False):
        """The status and the whole body; a stream is left when it has been silent for a moment."""
        sent = [("host", "127.0.0.1:8000"), ("x-request-id", "matrix-0001"), *(headers or {}).items()]
        if body is not None and not any(name == "content-type" for name, _ in sent):
            sent.append(("content-type", "application/json"))
        if self.tokens[who] is not None:
            sent.append(("authorization", f"Bearer {self.tokens[who]}"))
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent], "scheme": "http",
            "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8000), "http_version": "1.1", "root_path": "",
        }  # fmt: skip
        asked, chunks, heard, left = [body or b""], [], asyncio.Event(), asyncio.Event()
        status = 0

        async def receive():
            if asked:
                return {"type": "http.request", "body": asked.pop(), "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                chunks.append(message.get("body", b""))
            heard.set()

        running = asyncio.ensure_future(self.asgi(scope, receive, send))
        while is_stream and not running.done():
            heard.clear()
            waiting = asyncio.ensure_future(heard.wait())
            done, _ = await asyncio.wait(
                {running, waiting}, timeout=_SILENT_S, return_when=asyncio.FIRST_COMPLETED
            )  # fmt: skip
            waiting.cancel()
            if not done:
                break
        if is_stream:
            left.set()
        await running
        return status, b"".join(chunks).decode()

    async def put_back(self):
        """Everything as it was when the clinic was made."""
        await self.owner.execute(self._restoring)

    async def remember(self):
        """Keep a copy of every table to go back to."""
        tables = [
            row["relname"]
            for row in await self.owner.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
        ]
        await self.owner.execute("CREATE SCHEMA kept")
        filled = []
        for table in tables:
            await self.owner.execute(f'CREATE TABLE kept."{table}" AS SELECT * FROM public."{table}"')
            columns = [
                row["attname"]
                for row in await self.owner.fetch(
                    "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0"
                    " AND NOT attisdropped AND attgenerated = ''",
                    f'public."{table}"',
                )
            ]
            names = ", ".join(f'"{column}"' for column in columns)
            filled.append(f"""
                IF (SELECT count(*) FROM public."{table}") <> (SELECT count(*) FROM kept."{table}") OR EXISTS (
                    SELECT t::text FROM public."{table}" t EXCEPT ALL SELECT t::text FROM kept."{table}" t
                ) THEN
                    DELETE FROM public."{table}";
                    INSERT INTO public."{table}" ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM kept."{table}";
                END IF;""")
        # Only what differs is written, or what was taken away thousands of times would be read again each time.
        await self.owner.execute(
            f"CREATE FUNCTION kept.put_back() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {''.join(filled)} END $$"
        )
        self._restoring = "SET session_replication_role = replica; SELECT kept.put_back()"


def _outcome_of_trpc(status, text):
    failed = re.search(r'"code":"([A-Z_]+)","httpStatus":\d+', text)
    if failed:
        return failed[1]
    return "OK" if status < 400 else f"HTTP {status}"


@asynccontextmanager
async def a_world(clinic):
    """The clinic of the oracle over a fresh database."""
    app = an_app(clinic.app_dsn)
    owner = await asyncpg.connect(clinic.owner_dsn)
    try:
        world = World(app, owner)
        await _people(world)
        await _accounts(world)
        await world.remember()
        yield world
    finally:
        await owner.close()
        await app.database.close()


async def _people(world):
    """Doctors, all verified for now; connections, each with what is told in it; a doctor who was a patient first."""
    app = world.app
    profiles = {}

    async def practise(who):
        me = caller(app, subject(who))
        profiles[who] = await me.call("doctor.createProfile", specialty="General", clinicName="Clinic")
        doctor_id = str(profiles[who]["id"])
        await caller(app, "operator").call("admin.verifyDoctor", doctorId=doctor_id, action="approve")

    # A doctor cannot connect as a patient, so whoever is both was a patient first.
    order = sorted(TARGETS, key=lambda each: TARGETS[each].doctor == "doctor and patient")
    for name in order:
        link = TARGETS[name]
        if link.doctor not in profiles:
            await practise(link.doctor)
        profile = profiles[link.doctor]
        patient = caller(app, subject(link.patient))
        connection = await patient.call("connection.create", doctorId=str(profile["id"]))
        me = await patient.call("user.getMe")
        world.records[name] = Records(str(connection["id"]), str(profile["id"]), profile["slug"], str(me["id"]))
        await _talk(world, name)
    for who, actor in ACTORS.items():
        if who not in (*_OF_PEOPLE, "newcomer") and not actor.has_patient and actor.doctor is None:
            await caller(app, subject(who)).call("user.getMe")


async def _talk(world, name):
    """Sessions in every state, messages both ways, and the doctor's notes; each carries its mark."""
    app, link, records = world.app, TARGETS[name], world.records[name]
    patient, doctor = caller(app, subject(link.patient)), caller(app, subject(link.doctor))
    for state in STATES:
        session = await patient.call("intake.createNewSession", connectionId=records.connection)
        records.sessions[state] = session_id = str(session["id"])
        if state == "not_started":
            continue
        await tell(app, session_id, "It is about me", f"I have {words_of(name)} pain", who=subject(link.patient))
        await doctor.call("intake.sendMessage", sessionId=session_id, content=f"{notes_of(name)} to doctors")
    await doctor.call("intake.addMessage", connectionId=records.connection, content=f"{notes_of(name)} found")
    await patient.call("message.send", connectionId=records.connection, content=f"{messages_of(name)} from me")
    await doctor.call("message.send", connectionId=records.connection, content=f"{messages_of(name)} from me")


async def _accounts(world):
    """The roles and states that nobody reaches by talking."""
    note = json.dumps(
        {name: [] for name in ("situation", "background", "assessment", "recommendation")} | {"footer": ""}
    )
    for name, link in TARGETS.items():
        records = world.records[name]
        for state in ("ready", "reviewed"):
            await world.owner.execute(
                "UPDATE intake_sessions SET status = 'ready', clinical_handover = $2 WHERE id = $1",
                records.sessions[state], note,
            )  # fmt: skip
        await world.owner.execute(
            "UPDATE intake_sessions SET status = 'reviewed' WHERE id = $1", records.sessions["reviewed"]
        )
        await world.owner.execute(
            "UPDATE intake_sessions SET archived_at = now() WHERE id = $1", records.sessions["archived"]
        )
        await world.owner.execute(
            "UPDATE connections SET status = $2::text::connection_status WHERE id = $1", records.connection, link.status
        )
        records.notification = str(
            await world.owner.fetchval(
                "SELECT n.id FROM notifications n JOIN doctors d ON d.user_id = n.user_id"
                " WHERE d.id = $1 AND n.data->>'connectionId' = $2 AND n.type = 'connection'",
                records.doctor, records.connection,
            )
        )  # fmt: skip
    for who, actor in ACTORS.items():
        if who in (*_OF_PEOPLE, "newcomer"):
            continue
        await world.owner.execute(
            "UPDATE users SET is_active = $2, primary_role = $3::text::user_role WHERE clerk_id = $1",
            subject(who), actor.is_active, actor.role,
        )  # fmt: skip
        if actor.doctor:
            await world.owner.execute(
                "UPDATE doctors SET verification_status = $2::text::verification_status"
                " WHERE user_id = (SELECT id FROM users WHERE clerk_id = $1)",
                subject(who), actor.doctor,
            )  # fmt: skip
