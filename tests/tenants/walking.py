"""A seeded walk through two clinics whose every word is marked; nothing of the one may reach the other.

Anybody tries anything about anybody's records, in any transport. After each step the answer, the stream or page, and
the lines written to the log are searched; from time to time the notifications are, too. A patient's words are marked
for the patient, so they are missed by the other patient of the same doctor as well. What somebody of one clinic tries
on a record of the other must leave every row of it as it was.
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
#: Every row of a clinic, as one number: of its connections and of who is connected.
_ROWS = """
WITH c AS (SELECT * FROM connections WHERE id = ANY ($1::uuid[])),
     s AS (SELECT * FROM intake_sessions WHERE connection_id IN (SELECT id FROM c)),
     u AS (SELECT user_id AS id FROM patients WHERE id IN (SELECT patient_id FROM c)
           UNION SELECT user_id FROM doctors WHERE id IN (SELECT doctor_id FROM c))
SELECT md5(string_agg(row, '|' ORDER BY row)) FROM (
    SELECT c::text AS row FROM c UNION ALL SELECT s::text FROM s
    UNION ALL SELECT m::text FROM chat_messages m WHERE session_id IN (SELECT id FROM s)
    UNION ALL SELECT n::text FROM clinician_notes n WHERE session_id IN (SELECT id FROM s)
    UNION ALL SELECT f::text FROM files f WHERE session_id IN (SELECT id FROM s)
    UNION ALL SELECT d::text FROM direct_messages d WHERE connection_id IN (SELECT id FROM c)
    UNION ALL SELECT b::text FROM notifications b WHERE user_id IN (SELECT id FROM u)
    UNION ALL SELECT k::text FROM consents k WHERE user_id IN (SELECT id FROM u)
    UNION ALL SELECT p::text FROM patients p WHERE user_id IN (SELECT id FROM u)
    UNION ALL SELECT a::text FROM users a WHERE id IN (SELECT id FROM u)) rows"""


def mark_of(who):
    """What a person's own words are marked with: the clinic's mark, and the number of the patient behind it."""
    return MARKS[PEOPLE[who]] + {"patient": "1", "second patient": "2"}.get(who.partition(" ")[2], "")


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
    compared: int = 0
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
        others = [mark_of(each) for each in PEOPLE if "patient" in each and each != who]
        if "patient" in who and any(mark in text for mark in others):
            self.crossings.append(f"{self.steps} {who} {what}: shows another patient's words")
        if NOTE in text and "patient" in who:
            self.crossings.append(f"{self.steps} {who} {what}: shows a doctor's note")

    async def _call(self, who):
        name = self.random.choice(PROCEDURES)
        is_stream = self.world.procedures[name].kind == "subscription"
        if is_stream and self.random.random() < 0.5:
            name, is_stream = "intake.sendMessage", False
        transport = self.random.choice(("trpc", "rest") if is_stream else TRANSPORTS)
        tenant = self._tenant_for(who, name)
        fields = self._fields(who, name, tenant)
        async with self._untouched(who, name, tenant):
            answer = await self.world.ask(who, transport, name, fields=fields)
        self._remember(who, name, answer)
        return f"{name} {transport}", answer

    def _tenant_for(self, who, name):
        own = PEOPLE[who]
        if name == "connection.create":
            return own  # a patient of one clinic may well go to the other; what is theirs then is no leak
        return own if self.random.random() < 0.6 else self.random.choice(list(MARKS))

    @asynccontextmanager
    async def _untouched(self, who, what, tenant):
        """What somebody tries on the other clinic's record changes no row there."""
        if tenant == PEOPLE[who]:
            yield
            return
        before = await self._rows(tenant)
        yield
        self.compared += 1
        if await self._rows(tenant) != before:
            self.crossings.append(f"{self.steps} {who} {what}: changed the other clinic's rows")

    async def _rows(self, tenant):
        return await self.world.owner.fetchval(_ROWS, self.connections[tenant])

    def _fields(self, who, name, tenant):
        fields = dict(FURTHER.get(name, {}))
        about = ROWS[name].about
        mark = mark_of(who)
        if about:
            fields[FIELDS[about]] = self._record(tenant, about)
        if "content" in fields:
            is_note = "doctor" in who and name != "message.send"
            fields["content"] = self._speech(who) + (f" {NOTE}" if is_note else "")
            if self.random.random() < 0.5:
                fields["clientMessageId"] = str(uuid4())
        if name in ("intake.updateSessionName", "patient.updateProfile"):
            fields = {**fields, **({"name": mark} if "name" in fields else {"phone": mark})}
        if name == "user.updateProfile":
            fields["firstName"] = mark if "patient" in who else "Ann"
        return fields

    def _speech(self, who):
        return self.random.choice(_SPEECH).replace("{}", mark_of(who))

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
        async with self._untouched(who, " ".join(page), tenant):
            answer = await self.world.page(who, page, "here", content=self._speech(who) + note)
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
        mark = mark_of(f"{tenant} {who}")
        await patient.call("user.updateProfile", firstName=mark, lastName=mark)
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
