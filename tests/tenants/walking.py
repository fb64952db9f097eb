"""A seeded walk through two clinics whose every word is marked; nothing of the one may reach the other.

Anybody tries anything about anybody's records, in any transport. After each step the answer, the stream or page, and
the lines written to the log are searched; from time to time the notifications are, too.
"""

import io
import random
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg

from anamnesis import journal
from build import an_app, caller
from matrix.oracle import PAGES, ROWS
from matrix.world import FIELDS, FURTHER, NONE, TRANSPORTS, Records, World, subject

MARKS = {"alpha": "qzalphaqz", "beta": "qzbetaqz"}
NOTE = "qznoteqz"
PEOPLE = {f"{tenant} {who}": tenant for tenant in MARKS for who in ("doctor", "patient", "second patient")}
_LEFT_OUT = ("admin.", "handover.breakGlass", "doctor.createProfile", "doctor.updateProfile", "patient.createProfile")
PROCEDURES = [name for name, row in ROWS.items() if row.rule != "not built" and not name.startswith(_LEFT_OUT)]
#: Nor the pages that do the same: whoever opens a case in an emergency is meant to read it.
_WALKED_PAGES = [page for page, asked in PAGES.items() if "/ops" not in page[1] and "handover.breakGlass" not in asked]
_SPEECH = (
    "{} pain since Monday", "No", "6, light makes it worse {}", "It is about me", "{}, 34, female", "bp 120/80 {}",
    "I have {} and chest pain, sweating", "No, but I am allergic to {}", "Yes, this is right", "I take {} 5 mg",
)  # fmt: skip
_FORGET_AFTER = 1000


@dataclass
class Walk:
    """One walk: where it is, what it has seen, and what it should never have seen."""

    world: World
    log: io.StringIO
    random: random.Random
    connections: dict[str, list[str]] = field(default_factory=dict)
    sessions: dict[str, list[str]] = field(default_factory=dict)
    notifications: list[str] = field(default_factory=list)
    doctors: dict[str, Records] = field(default_factory=dict)
    steps: int = 0
    crossings: list[str] = field(default_factory=list)

    async def step(self):
        self.steps += 1
        who = self.random.choice(list(PEOPLE))
        if self.random.random() < 0.15:
            what, answer = await self._page(who)
        else:
            what, answer = await self._call(who)
        self._search(who, what, answer.text)
        written = self.log.getvalue()
        self.log.seek(0)
        self.log.truncate()
        if any(mark in written.lower() for mark in (*MARKS.values(), NOTE)):
            self.crossings.append(f"{self.steps} {who} {what}: in the log")
        if self.steps % 100 == 0:
            await self._search_notifications()
        if self.steps % _FORGET_AFTER == 0:
            await self.world.put_back()
            self.sessions = {tenant: known[:2] for tenant, known in self.sessions.items()}

    def _search(self, who, what, text):
        text = text.lower()
        foreign = MARKS["beta" if PEOPLE[who] == "alpha" else "alpha"]
        if foreign in text:
            self.crossings.append(f"{self.steps} {who} {what}: shows the other clinic's words")
        if NOTE in text and "patient" in who:
            self.crossings.append(f"{self.steps} {who} {what}: shows a doctor's note")

    async def _call(self, who):
        name = self.random.choice(PROCEDURES)
        is_stream = self.world.procedures[name].kind == "subscription"
        if is_stream and self.random.random() < 0.5:
            name, is_stream = "intake.sendMessage", False
        transport = self.random.choice(("trpc", "rest") if is_stream else TRANSPORTS)
        fields = self._fields(who, name)
        answer = await self.world.ask(who, transport, name, fields=fields)
        self._remember(who, name, answer)
        return f"{name} {transport}", answer

    def _fields(self, who, name):
        fields = dict(FURTHER.get(name, {}))
        about = ROWS[name].about
        own = PEOPLE[who]
        tenant = own if self.random.random() < 0.6 else self.random.choice(list(MARKS))
        if name == "connection.create":
            tenant = own  # a patient of one clinic may well go to the other; what is theirs then is no leak
        if about:
            fields[FIELDS[about]] = self._record(tenant, about)
        if "content" in fields:
            is_note = "doctor" in who and name != "message.send"
            fields["content"] = self._speech(own) + (f" {NOTE}" if is_note else "")
            if self.random.random() < 0.5:
                fields["clientMessageId"] = str(uuid4())
        if name in ("intake.updateSessionName", "patient.updateProfile"):
            fields = {**fields, **({"name": MARKS[own]} if "name" in fields else {"phone": MARKS[own]})}
        if name == "user.updateProfile":
            fields["firstName"] = MARKS[own] if "patient" in who else "Ann"
        return fields

    def _speech(self, tenant):
        return self.random.choice(_SPEECH).replace("{}", MARKS[tenant])

    def _record(self, tenant, about):
        if about == "session":
            return self.random.choice(self.sessions[tenant])
        if about == "connection":
            return self.random.choice(self.connections[tenant])
        if about == "notification":
            return self.random.choice([*self.notifications, NONE.notification])
        return getattr(self.doctors[tenant], about)

    def _remember(self, who, name, answer):
        if answer.outcome != "OK":
            return
        if name in ("intake.create", "intake.createNewSession"):
            found = re.search(r'"id":"([0-9a-f-]{36})"', answer.text)
            if found:
                known = self.sessions[PEOPLE[who]]
                known.append(found[1])
                del known[2:-8]
        if name.endswith("otifications"):
            self.notifications = (self.notifications + re.findall(r'"id":"([0-9a-f-]{36})"', answer.text))[-40:]

    async def _page(self, who):
        page = self.random.choice(_WALKED_PAGES)
        own = PEOPLE[who]
        tenant = self.random.choice((own, own, *MARKS))
        if page == ("POST", "/connect/{slug}"):
            tenant = own
        session = self.random.choice(self.sessions[tenant])
        doctor = self.doctors[tenant]
        records = Records(
            self.random.choice(self.connections[tenant]), doctor.doctor, doctor.slug, doctor.user, "",
            {"in_progress": session},
        )  # fmt: skip
        self.world.records["here"] = records
        note = f" {NOTE}" if page[1].endswith("/note") and "doctor" in who else ""
        answer = await self.world.page(who, page, "here", content=self._speech(own) + note)
        return " ".join(page), answer

    async def _search_notifications(self):
        rows = await self.world.owner.fetch("SELECT title, message, data::text AS data FROM notifications")
        if any(mark in str(dict(row)).lower() for row in rows for mark in (*MARKS.values(), NOTE)):
            self.crossings.append(f"{self.steps}: a notification carries health data")


@asynccontextmanager
async def a_walk(clinic, seed):
    """Two clinics with a doctor and two patients each, and a walk at its beginning."""
    log = io.StringIO()
    journal.configure(development=False, level="INFO", stream=log)
    app = an_app(clinic.app_dsn)
    owner = await asyncpg.connect(clinic.owner_dsn)
    try:
        walk = Walk(World(app, owner, PEOPLE), log, random.Random(seed))
        for tenant in MARKS:
            await _open(walk, app, tenant)
        await walk.world.remember()
        log.seek(0)
        log.truncate()
        yield walk
    finally:
        journal.configure(development=True)
        await owner.close()
        await app.database.close()


async def _open(walk, app, tenant):
    doctor = caller(app, subject(f"{tenant} doctor"))
    profile = await doctor.call("doctor.createProfile", specialty="General", clinicName="Clinic")
    await caller(app, "operator").call("admin.verifyDoctor", doctorId=str(profile["id"]), action="approve")
    walk.connections[tenant], walk.sessions[tenant] = [], []
    for who in ("patient", "second patient"):
        patient = caller(app, subject(f"{tenant} {who}"))
        await patient.call("user.updateProfile", firstName=MARKS[tenant], lastName=MARKS[tenant])
        connection = await patient.call("connection.create", doctorId=str(profile["id"]))
        session = await patient.call("intake.create", connectionId=str(connection["id"]))
        walk.connections[tenant].append(str(connection["id"]))
        walk.sessions[tenant].append(str(session["id"]))
    user = await doctor.call("user.getMe")
    walk.doctors[tenant] = Records("", str(profile["id"]), profile["slug"], str(user["id"]))


async def walk_on(walk, *, steps, within_s):
    """Walk until one of the two is used up."""
    end = time.monotonic() + within_s
    while walk.steps < steps and time.monotonic() < end:
        await walk.step()
