"""Asks every procedure once in a clinic of sample people. Run it to write the examples in the documentation anew."""

import asyncio
import json
import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from anamnesis.db.embedded import start_embedded
from anamnesis.db.migrating import migrate
from anamnesis.edge import examples as module
from anamnesis.edge import superjson
from anamnesis.edge.examples import examples_markdown, plain, rest_request
from anamnesis.kernel.procedures import Kind
from anamnesis.schema import as_wire
from build import WHOLE_INTAKE, an_app, caller, http
from files.hostile import image
from files.test_files import settings_of

ROOT = Path(__file__).resolve().parent.parent
KEPT, PAGE = Path(module.__file__).with_name("examples.json"), ROOT / "docs" / "examples.md"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LONGEST, MOST = 160, 2


class Asking:
    """The application, and what it was asked and answered."""

    def __init__(self, app):
        self.app, self.asgi, self.examples = app, app.asgi(), {}

    async def ask(self, who, name, /, **given):
        """One procedure over REST, and a read over tRPC too, which tells the same."""
        procedure = self.app.registry.find(name).procedure
        method, path, query, body = rest_request(procedure, given)
        status, _, text = await http(self.asgi, method, path, who=who, query=query, body=body)
        assert status in (200, 201), (name, status, text)
        answer = json.loads(text)
        if procedure.kind is Kind.QUERY:
            query = "input=" + quote(json.dumps({"json": given}))
            _, _, text = await http(self.asgi, "GET", f"/api/trpc/{name}", who=who, query=query)
            envelope = json.loads(text)["result"]["data"]
            told = plain(envelope)
            assert differences(answer, told, name) == [], differences(answer, told, name)
        else:
            envelope = tagged(answer)
        self.examples.setdefault(name, {"input": given if procedure.input is not None else None, "answer": envelope})
        return answer

    async def hear(self, who, name, /, **given):
        """The first event of a stream."""
        stream = await caller(self.app, who).call(name, **given)
        event = await asyncio.wait_for(anext(stream), 5)
        await stream.aclose()
        envelope = superjson.envelope(as_wire(event.value))
        self.examples[name] = {"input": given, "answer": envelope, "id": event.id}

    async def be_refused(self):
        """What is not there, over both."""
        nothing = "00000000-0000-4000-8000-000000000000"
        query = "input=" + quote(json.dumps({"json": {"sessionId": nothing}}))
        for how, path, asked in (
            ("trpc", "/api/trpc/intake.getSession", query),
            ("rest", f"/api/v1/intake-sessions/{nothing}", ""),
        ):
            status, _, text = await http(self.asgi, "GET", path, who="patient", query=asked)
            assert status == 404
            self.examples.setdefault("refused", {})[how] = json.loads(text)

    async def upload(self, who, session_id, photo):
        line = "----example"
        head = f'--{line}\r\ncontent-disposition: form-data; name="files"; filename="photo.jpg"\r\n'
        body = (head + "content-type: image/jpeg\r\n\r\n").encode() + photo + f"\r\n--{line}--\r\n".encode()
        status, _, text = await http(
            self.asgi, "POST", f"/api/v1/intake-sessions/{session_id}/files", who=who, body=body,
            headers={"content-type": f"multipart/form-data; boundary={line}"},
        )  # fmt: skip
        assert status == 201, text
        answer = json.loads(text)
        self.examples.setdefault("file.upload", {"input": {"sessionId": session_id}, "answer": tagged(answer)})
        return answer["files"][0]


def tagged(answer):
    """REST's answer with its times as Dates again."""

    def restored(value):
        if isinstance(value, dict):
            return {name: restored(each) for name, each in value.items()}
        if isinstance(value, list):
            return [restored(each) for each in value]
        is_time = isinstance(value, str) and TIME.fullmatch(value)
        return superjson.decode({"json": value, "meta": {"values": ["Date"], "v": 1}}) if is_time else value

    return superjson.envelope(restored(answer))


def differences(one, other, where):
    """Where two answers have other keys or kinds; null and an empty list fit anything."""
    if one is None or other is None:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        wrong = [f"{where}.{name}" for name in one.keys() ^ other.keys()]
        return wrong + [each for name in one.keys() & other.keys()
                        for each in differences(one[name], other[name], f"{where}.{name}")]  # fmt: skip
    if isinstance(one, list) and isinstance(other, list):
        return differences(one[0], other[0], f"{where}.0") if one and other else []
    is_same = type(one) is type(other) or {type(one), type(other)} <= {int, float}
    return [] if is_same else [f"{where} is {type(one).__name__}, {type(other).__name__}"]


async def walk(app):
    """Every procedure once, in an order in which people could ask."""
    asking = Asking(app)
    ask = asking.ask
    doctor = await ask("doctor", "doctor.createProfile", specialty="General practice", clinicName="Lakeside Clinic")
    await ask("operator", "admin.getPendingDoctors", limit=20)
    await ask("operator", "admin.verifyDoctor", doctorId=doctor["id"], action="approve")
    for name in ("getMyProfile", "hasProfile", "getShareUrl", "getQRCode", "regenerateQRCode", "getQRCodeDownload"):
        await ask("doctor", f"doctor.{name}")
    await ask("doctor", "doctor.updateProfile", bio="Twenty years by the lake.", appointmentDuration=20)
    await ask(None, "doctor.getBySlug", slug=doctor["slug"])
    await ask("patient", "patient.createProfile", dateOfBirth="1990-05-06T00:00:00Z", gender="female")
    await ask("patient", "patient.updateProfile", phone="+256 700 000000")
    for name in ("patient.getMyProfile", "patient.hasProfile", "user.me", "user.getMe", "user.getConsents"):
        await ask("patient", name)
    await ask("patient", "user.updateProfile", firstName="Jane")
    words = (await ask("patient", "user.getConsents"))["inForce"][0]
    await ask("patient", "user.giveConsent", **words)
    await ask("patient", "user.withdrawConsent", purpose=words["purpose"])
    connection = (await ask("patient", "connection.create", doctorId=doctor["id"], connectionSource="qr_scan"))["id"]
    await ask("patient", "connection.getMyConnections", status="active")
    await ask("patient", "connection.getById", connectionId=connection)
    await asking.be_refused()
    await messages(asking, connection)
    session = (await ask("patient", "intake.create", connectionId=connection))["id"]
    await interview(asking, connection, session)
    await doctors_side(asking, connection, session)
    await notices(asking)
    await ask("patient", "connection.disconnect", connectionId=connection)
    user = (await ask("patient", "user.getMe"))["id"]
    await ask("operator", "admin.getUsers", role="patient", search="jane")
    await ask("operator", "admin.getAuditLogs", action="connection_created", limit=2)
    await ask("operator", "admin.updateUserRole", userId=user, role="receptionist")
    await ask("operator", "admin.updateUserStatus", userId=user, isActive=True)
    await ask("patient", "patient.requestErasure")
    return asking.examples


async def messages(asking, connection):
    ask = asking.ask
    key = "6a1f9f0e-3a52-4f0e-9d7c-0c9a3a1b2c3d"
    await ask("patient", "message.send", connectionId=connection, content="Hello doctor", clientMessageId=key)
    await ask("doctor", "message.getUnreadCount")
    await ask("doctor", "message.getConversations")
    await ask("doctor", "message.getConversation", connectionId=connection, limit=50)
    await ask("doctor", "message.markAsRead", connectionId=connection)
    await asking.hear("doctor", "message.onConversation", connectionId=connection, lastEventId="0")


async def interview(asking, connection, session):
    ask, key = asking.ask, "0b1e3c52-6d0a-4c5e-8f0b-{:012d}"
    await ask("patient", "intake.createNewSession", connectionId=connection)
    for place, words in enumerate(WHOLE_INTAKE[:4]):
        given = {"sessionId": session, "content": words, "clientMessageId": key.format(place)}
        await ask("patient", "intake.sendMessage", **given)
    await ask("patient", "intake.regenerateResponse", sessionId=session)
    await ask("patient", "intake.stopReply", sessionId=session)
    await ask("patient", "intake.getSession", sessionId=session)
    await ask("patient", "intake.getMessages", connectionId=connection)
    await ask("patient", "intake.updateSessionName", sessionId=session, name="Headache")
    kept = await asking.upload("patient", session, image())
    file = {"url": kept["url"], "fileName": "photo.jpg", "fileType": "image/jpeg", "fileSize": kept["fileSize"]}
    await ask("patient", "intake.storeFileMetadata", sessionId=session, files=[file])
    await ask("patient", "intake.getSessionFiles", sessionId=session)
    await asking.hear("patient", "intake.onSession", sessionId=session, lastEventId="0")
    for place, words in enumerate(WHOLE_INTAKE[4:], start=4):
        given = {"sessionId": session, "content": words, "clientMessageId": key.format(place)}
        await ask("patient", "intake.sendMessage", **given)
    other = (await ask("patient", "intake.createNewSession", connectionId=connection))["id"]
    await ask("patient", "intake.resetSession", sessionId=other)
    await ask("patient", "intake.deleteSession", sessionId=other)
    await ask("patient", "intake.getMyIntakeSessions", status="all", limit=50)
    await ask("patient", "intake.getAllSessionsWithAppointments", status="all", sortBy="newest")
    await ask("patient", "intake.getSessionsForAppointmentLinking", connectionId=connection)


async def doctors_side(asking, connection, session):
    ask, doctors = asking.ask, {"connectionId": connection}
    await asking.hear("doctor", "intake.onInbox", lastEventId="0")
    await ask("doctor", "handover.getInbox")
    await ask("doctor", "intake.getDoctorIntakeSessions", status="ready", limit=50)
    await ask("doctor", "handover.getCase", sessionId=session)
    await ask("doctor", "handover.getDocument", sessionId=session, format="text", order="sbar")
    await ask("doctor", "intake.addMessage", **doctors, content="Neck supple", messageType="exam-finding")
    photo = await asking.upload("doctor", session, image())
    await ask("doctor", "intake.addImageMessage", **doctors, imageUrl=photo["url"], caption="Rash, left arm")
    await ask("doctor", "intake.getSBAR", **doctors)
    await ask("doctor", "intake.getClinicalReasoning", **doctors)
    await ask("doctor", "intake.getUCGRecommendations", **doctors)
    await ask("doctor", "intake.markAsReviewed", sessionId=session)
    await ask("doctor", "intake.markReviewed", **doctors)
    second = (await ask("patient", "intake.createNewSession", connectionId=connection))["id"]
    await ask("patient", "intake.sendMessage", sessionId=second, content="my eyes are yellow")
    reason = "Seen today; the colour is an old one."
    await ask("doctor", "handover.lowerUrgency", sessionId=second, to="routine", reason=reason)
    colleague = await ask("colleague", "doctor.createProfile", specialty="Surgery")
    await ask("operator", "admin.verifyDoctor", doctorId=colleague["id"], action="approve")
    await ask("colleague", "handover.breakGlass", sessionId=session, reason="Found unconscious, brought to us")


async def notices(asking):
    ask = asking.ask
    await asking.hear("doctor", "notification.onNew", lastEventId="0")
    listed = (await ask("doctor", "notification.getMyNotifications", limit=20, unreadOnly=True))["notifications"]
    await ask("doctor", "notification.getUnreadCount")
    await ask("doctor", "notification.markAsRead", notificationId=listed[0]["id"])
    await ask("doctor", "user.getNotifications", limit=20)
    await ask("doctor", "user.getUnreadCount")
    await ask("doctor", "user.markNotificationAsRead", notificationId=listed[1]["id"])
    await ask("doctor", "notification.delete", notificationId=listed[0]["id"])
    await ask("doctor", "notification.markAllAsRead")
    await ask("doctor", "user.markAllNotificationsAsRead")
    await ask("doctor", "notification.deleteAllRead")


def settled(examples):
    """Examples that are the same whenever they are made: ids and times numbered, long texts and lists cut."""
    for example in (each for name, each in examples.items() if name != "refused"):
        answer = json.loads(superjson.json_text(example["answer"]))
        example["answer"] = superjson.envelope(cut(superjson.decode(answer)))
    text = superjson.json_text(examples).decode()
    ids, times = {}, {}
    text = re.sub(r"\b[0-9a-f]{32}\b", "5f3c0d9e8b7a4c6d9e0f1a2b3c4d5e6f", text)
    text = UUID.sub(lambda found: ids.setdefault(found[0], f"00000000-0000-4000-8000-{len(ids) + 1:012d}"), text)
    text = TIME.sub(lambda found: times.setdefault(found[0], f"2026-01-05T09:{len(times) // 60 % 60:02d}:"
                                                             f"{len(times) % 60:02d}.000Z"), text)  # fmt: skip
    text = re.sub(r"until=\d+&signature=[\w-]+", "until=1767604200&signature=…", text)
    return json.loads(text)


def cut(value):
    if isinstance(value, dict):
        return {name: cut(each) for name, each in value.items()}
    if isinstance(value, list):
        return [cut(each) for each in value[:MOST]]
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST] + "…"
    return value


async def main():
    with tempfile.TemporaryDirectory(prefix="anamnesis-examples-") as folder, suppress(KeyboardInterrupt):
        server = start_embedded(Path(folder) / "postgres")
        try:
            await server.ensure_database()
            await migrate(server.owner_dsn, embedded=True)
            app = an_app(server.app_dsn, settings=settings_of(Path(folder) / "files"))
            async with app.running(works=False):
                found = settled(await walk(app))
        finally:
            server.stop()
    KEPT.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    module.examples.cache_clear()
    PAGE.write_text(examples_markdown(app.registry))
    print(f"wrote {KEPT.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
