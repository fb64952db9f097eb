"""The photos of a message, as a model outside is shown them: small, without anything beside their pixels, with consent.

A model's eyes change no more than its words: the same urgency, the same facts, an answer whatever becomes of a photo.
"""

import asyncio
import io
import json
import random
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from fault_server import GEMINI, OPENAI, VENDORS, FaultServer, good, grows, hang, reply_to, says, status
from PIL import Image

from anamnesis import journal
from anamnesis.care.model import Access, Standing
from anamnesis.db import outbox
from anamnesis.db.encryption import CHAT, SESSIONS
from anamnesis.db.viewing import viewing
from anamnesis.files.actions import MOST_GLIMPSE_BYTES, MOST_GLIMPSES
from anamnesis.intake.actions import Interviewer, receive_message
from anamnesis.intake.model import NewMessage
from anamnesis.kernel.errors import BadInput, Unavailable
from anamnesis.kernel.jobs import JobKind
from anamnesis.kernel.procedures import Part
from anamnesis.llm.recording import Replay
from anamnesis.llm.scripted import ScriptedModel
from anamnesis.settings import Ai, Files, Limits, Provider, Secret, Settings
from build import WORKING, a_session, an_app, caller, closing, http, stored, tell
from checker import broken
from files.hostile import GPS, REFUSED, image, pdf, photo_with_gps

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

KEY = Secret("k-Q8fj20dj")
START = ("It is about me", "Jane, 34, female", "I have had a rash since Monday")


def settings_for(vendor, url, folder, *, photos=None, elsewhere=False, then=None, then_url=None, **ai):
    urls = {vendor: url, then: then_url}
    openai_url = urls.get(OPENAI)
    given = Ai(
        providers=tuple(Provider(each) for each in (vendor, then) if each), gemini_key=KEY, openai_key=KEY,
        gemini_base_url=urls.get(GEMINI), openai_base_url=openai_url and f"{openai_url}/v1", photos=photos,
        **({"timeout_s": 10.0} | ai),
    )  # fmt: skip
    limits, files = Limits(factor=1000), Files(folder=str(folder / "blobs"))
    return Settings(ai=given, files=files, consent_recorded_elsewhere=elsewhere, limits=limits)


async def agree(app, who="patient"):
    asked = await caller(app, who).call("user.getConsents")
    (words,) = asked["inForce"]
    await caller(app, who).call("user.giveConsent", **words)


@asynccontextmanager
async def a_clinic(clinic, settings, *, agrees=True):
    """An application and a patient's session; with agrees the patient has consented."""
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        try:
            _, session_id = await a_session(app)
            if agrees:
                await agree(app)
            yield app, session_id
        finally:
            await app.relay.aclose()


@pytest.fixture
async def server():
    async with FaultServer() as server:
        server.will(good())
        yield server


def part(content, name="photo.jpg", kind="image/jpeg"):
    async def read():
        return content

    return Part(name, kind, len(content), read)


async def kept(app, session_id, *contents, who="patient"):
    """Upload these photos; their ids."""
    answer = await caller(app, who).call("file.upload", sessionId=session_id, files=[part(each) for each in contents])
    return [str(file["id"]) for file in answer["files"]]


async def send(app, session_id, text, images, who="patient"):
    return await caller(app, who).call(
        "intake.sendMessage", sessionId=session_id, content=text, clientMessageId=str(uuid4()), images=images
    )


def shown(content):
    with Image.open(io.BytesIO(content)) as photo:
        photo.load()
        return photo.format, photo.size, dict(photo.getexif()), photo.info


async def state_of(owner, session_id):
    (row,) = await stored(owner, SESSIONS, "id = $1::uuid", session_id)
    return {name: row[name] for name in ("status", "acuity", "completeness", "record")}


# -- what goes along ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["whole", "growing"])
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.regression("D13")
async def test_a_model_sees_our_small_copy_of_the_photo_of_the_message_it_answers_and_of_no_other(
    clinic, owner, server, tmp_path, vendor, way
):
    settings = settings_for(vendor, server.url, tmp_path, is_streaming=way == "growing")
    async with a_clinic(clinic, settings) as (app, session_id):
        original = photo_with_gps()
        large = image(size=(2000, 1500), colour="tomato")
        one, two = await kept(app, session_id, original, large)
        await tell(app, session_id, START[0])
        answer = await send(app, session_id, START[1], [one, two])
        assert answer["aiMessage"]["text"]
        await tell(app, session_id, START[2])
        before, with_photos, later = server.calls
        assert [len(call.photos) for call in (before, with_photos, later)] == [0, 2, 0]
        assert all(call.is_growing == (way == "growing") for call in server.calls)
        wire = json.dumps(with_photos.body)
        assert "photo.jpg" not in wire
        assert one not in wire
        assert "/files/" not in wire
        for kind, content in with_photos.photos:
            assert kind == "image/jpeg"
            format_, size, exif, info = shown(content)
            assert (format_, exif) == ("JPEG", {})
            assert max(size) <= 1024
            assert len(content) <= MOST_GLIMPSE_BYTES
            assert not {"exif", "comment", "icc_profile", "xmp"} & set(info)
            assert GPS not in content
            assert content not in (original, large)
        upright, small = (shown(content)[1] for _, content in with_photos.photos)
        assert upright[1] > upright[0]
        assert small == (1024, 768)
        await app.relay.written()
        rows = await owner.fetch("SELECT photos, outcome FROM model_calls ORDER BY id")
        assert [(row["photos"], row["outcome"]) for row in rows] == [(0, "answered"), (2, "answered"), (0, "answered")]
        assert await broken(owner) == []


async def test_of_many_photos_the_first_few_of_the_message_go_along_and_each_is_bounded(clinic, server, tmp_path):
    """Twelve in the session, four in each message; noise, which no encoder makes small."""
    async with a_clinic(clinic, settings_for(OPENAI, server.url, tmp_path)) as (app, session_id):
        noise = random.Random(7)
        for text in START:
            photos = []
            for _ in range(4):
                pixels = Image.frombytes("RGB", (1100, 1100), noise.randbytes(1100 * 1100 * 3))
                written = io.BytesIO()
                pixels.save(written, "JPEG", quality=90)
                photos.append(written.getvalue())
            ids = await kept(app, session_id, *photos)
            server.calls.clear()
            await send(app, session_id, text, ids)
            (call,) = server.calls
            assert len(call.photos) == MOST_GLIMPSES
            assert all(len(content) <= MOST_GLIMPSE_BYTES for _, content in call.photos)
            assert all(max(shown(content)[1]) == 640 for _, content in call.photos)
            assert call.user_text.endswith(f"after this text: {MOST_GLIMPSES}.")


async def test_other_words_for_a_reply_are_asked_for_with_the_same_photos(clinic, server, tmp_path):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        await tell(app, session_id, START[0])
        await send(app, session_id, START[1], await kept(app, session_id, image()))
        server.will(good(lead="I see. "))
        await caller(app, "patient").call("intake.regenerateResponse", sessionId=session_id)
        (call,) = server.calls
        assert len(call.photos) == 1


async def test_a_worker_that_answers_for_a_process_that_died_shows_each_message_its_own_photos(
    clinic, server, tmp_path
):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        link = await app.intake_store.link_of_session(UUID(session_id))
        one, two = await kept(app, session_id, image(), image(colour="tomato"))
        for text, images in ((START[0], (one,)), (START[1], ()), (START[2], (one, two))):
            with viewing(WORKING):
                await receive_message(
                    Access(link, Standing.PATIENT),
                    UUID(session_id),
                    NewMessage(link.patient_user_id, text, uuid4(), images),
                    store=app.intake_store,
                    interviewer=Interviewer(app.content, ScriptedModel()),
                    request_id="r",
                )
        await app.database.execute("UPDATE jobs SET lease_until = clock_timestamp() WHERE state = 'running'")
        for _ in START:
            await app.worker.handlers[JobKind.TAKE_TURN](await outbox.claim(app.database, [JobKind.TAKE_TURN]))
        assert [len(call.photos) for call in server.calls] == [1, 0, 2]


async def test_a_document_and_a_doctors_picture_never_go_along(clinic, owner, server, tmp_path):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        patient, doctor = caller(app, "patient"), caller(app, "doctor")
        document = await patient.call(
            "file.upload", sessionId=session_id, files=[part(pdf(), "result.pdf", "application/pdf")]
        )
        (of_doctor,) = await kept(app, session_id, image(colour="navy"), who="doctor")
        connection_id = str(await owner.fetchval("SELECT id FROM connections"))
        added = await doctor.call(
            "intake.addImageMessage", connectionId=connection_id, imageUrl=of_doctor, messageType="test-result"
        )
        assert added
        for wrong in (str(document["files"][0]["id"]), of_doctor):
            with pytest.raises(BadInput):
                await send(app, session_id, START[0], [wrong])
        await tell(app, session_id, *START[:2])
        assert [call.photos for call in server.calls] == [[], []]
        # Not even where a message's row names it.
        document_id = str(document["files"][0]["id"])
        object.__setattr__(app.photos, "blobs", None)
        with viewing(WORKING):
            named = [document_id, "https://elsewhere.example/x.jpg", str(uuid4())]
            assert await app.photos.of(named, UUID(session_id), 5) == ()
            with pytest.raises(AttributeError):  # a photo would be read
                await app.photos.of(await kept(app, session_id, image()), UUID(session_id), 5)


async def test_a_photo_of_another_session_never_goes_along(clinic, tmp_path, server):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        (mine,) = await kept(app, session_id, image())
        _, other = await a_session(app, patient="another", doctor="other")
        (theirs,) = await kept(app, other, image(), who="another")
        with viewing(WORKING):
            seen = await app.photos.of([theirs, mine], UUID(session_id), 10)
        assert len(seen) == 1


# -- whether anything goes along ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", ["no consent", "older words", "taken back", "off", "asked elsewhere", "asked for photos"]
)
async def test_no_photo_goes_out_but_with_a_consent_to_the_words_in_force_where_the_operator_lets_it(
    clinic, owner, server, tmp_path, row
):
    photos = {"off": False, "asked for photos": True}.get(row)
    elsewhere = row.startswith("asked")
    settings = settings_for(OPENAI, server.url, tmp_path, photos=photos, elsewhere=elsewhere)
    async with a_clinic(clinic, settings, agrees=row in ("taken back", "off")) as (app, session_id):
        if row == "older words":
            (words,) = (await caller(app, "patient").call("user.getConsents"))["inForce"]
            earlier = words["version"].replace(
                "2026-11-26.2", "2026-11-26"
            )  # the same readers, asked about words alone
            assert earlier != words["version"]
            await owner.execute(
                "INSERT INTO consents (user_id, purpose, version, given_at) SELECT id, $1, $2, now() FROM users",
                "outside_model", earlier,
            )  # fmt: skip
        if row == "taken back":
            await caller(app, "patient").call("user.withdrawConsent", purpose="outside_model")
        ids = await kept(app, session_id, image())
        answer = await send(app, session_id, START[0], ids)
        assert answer["aiMessage"]["text"]
        expected = {"off": [0], "asked elsewhere": [0], "asked for photos": [1]}.get(row, [])
        assert [len(call.photos) for call in server.calls] == expected


@pytest.mark.parametrize("photos", [None, False])
async def test_the_page_says_that_photos_are_seen_only_where_they_are(clinic, server, tmp_path, photos):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path, photos=photos)) as (app, session_id):
        page = (await http(app.asgi(), "GET", f"/s/{session_id}", who="patient"))[2]
        assert "Stop that" in page
        assert ("and sees the photos you send" in page) is (photos is None)


# -- what may go wrong -------------------------------------------------------------------------------------------


class Broken:
    """A store of blobs that is down, slow, empty or holds something else, for reading."""

    def __init__(self, inner, how):
        self.inner, self.how = inner, how

    async def get(self, key):
        match self.how:
            case "down":
                raise Unavailable("files")
            case "slow":
                await asyncio.sleep(60)
            case "empty":
                raise FileNotFoundError
            case "damaged":
                return (await self.inner.get(key))[:200]
            case "something else":
                return b"<svg onload=alert(1)>"
        return await self.inner.get(key)


@pytest.mark.parametrize("how", ["down", "slow", "empty", "damaged", "something else"])
async def test_without_the_photo_the_turn_goes_on_in_time_and_nobody_is_told_of_an_error(
    clinic, owner, server, tmp_path, how, capsys
):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path, timeout_s=4.0)) as (app, session_id):
        ids = await kept(app, session_id, image())
        await tell(app, session_id, START[0])
        journal.configure(development=True)
        glimpses = app.photos
        object.__setattr__(glimpses, "blobs", Broken(glimpses.blobs, how))
        started = time.monotonic()
        answer = await send(app, session_id, START[1], ids)
        assert time.monotonic() - started < 3.5
        assert answer["aiMessage"]["text"]
        assert [len(call.photos) for call in server.calls] == [0, 0]
        states = await owner.fetch("SELECT turn_state FROM chat_messages WHERE role = 'user'")
        assert {row["turn_state"] for row in states} == {"answered_ai"}
        assert app.database.in_use == 0
        assert "model.photos" in "".join(capsys.readouterr())


async def test_while_a_photo_is_drawn_no_connection_is_held(clinic, server, tmp_path):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        ids = await kept(app, session_id, image())
        held, glimpses = [], app.photos

        class Watching:
            async def redraw(self, content, kind):
                await asyncio.sleep(0.1)
                held.append(app.database.in_use)
                return await inner.redraw(content, kind)

        inner = glimpses.redraws
        object.__setattr__(glimpses, "redraws", Watching())
        await send(app, session_id, START[0], ids)
        assert held == [0]
        assert [len(call.photos) for call in server.calls] == [1]


async def test_where_nobody_is_asked_no_photo_is_drawn(clinic, server, tmp_path):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        server.will(status(401))
        ids = await kept(app, session_id, image())
        await tell(app, session_id, START[0])
        await app.relay.written()
        glimpses, drawn = app.photos, []

        class Counting:
            async def redraw(self, content, kind):
                drawn.append(kind)
                raise AssertionError

        object.__setattr__(glimpses, "redraws", Counting())
        started = time.monotonic()
        await send(app, session_id, START[1], ids)
        assert time.monotonic() - started <= 0.5
        assert (drawn, len(server.calls)) == ([], 1)


async def test_a_hostile_picture_is_refused_before_there_is_a_message_to_show_it_with(clinic, server, tmp_path):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        for content, name, kind in REFUSED.values():
            with pytest.raises(BadInput):
                await caller(app, "patient").call(
                    "file.upload", sessionId=session_id, files=[part(content, name, kind)]
                )
        assert server.calls == []


@pytest.mark.parametrize("code", [400, 404, 413, 422, 500])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_model_without_eyes_is_asked_again_without_the_photo_and_stays_in_use(
    clinic, owner, tmp_path, vendor, code
):
    def blind(exchange):
        return (status(code) if exchange.photos else good())(exchange)

    async with (
        FaultServer(script=[blind]) as server,
        a_clinic(clinic, settings_for(vendor, server.url, tmp_path)) as (app, session_id),
    ):
        for text in START[:2]:
            await send(app, session_id, text, await kept(app, session_id, image()))
        assert [len(call.photos) for call in server.calls] == [1, 0, 1, 0]
        await app.relay.written()
        states = await owner.fetch("SELECT turn_state FROM chat_messages WHERE role = 'user'")
        assert {row["turn_state"] for row in states} == {"answered_ai"}
        assert await app.relay.book.shut() == frozenset()
        outcomes = {row["outcome"] for row in await owner.fetch("SELECT outcome FROM model_calls")}
        assert "misconfigured" not in outcomes


async def test_the_next_provider_and_the_mending_see_the_photo_too(clinic, tmp_path):
    async with FaultServer() as first, FaultServer() as second:
        first.will(status(503))
        second.will(good())
        settings = settings_for(GEMINI, first.url, tmp_path, then=OPENAI, then_url=second.url)
        async with a_clinic(clinic, settings) as (app, session_id):
            await send(app, session_id, START[0], await kept(app, session_id, image()))
            assert [len(call.photos) for call in (*first.calls, *second.calls)] == [1, 1]
            assert first.calls[0].photos == second.calls[0].photos
    async with FaultServer() as server:
        server.will(says("no json"), good())
        settings = settings_for(OPENAI, server.url, tmp_path)
        async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
            _, session_id = await a_session(app, patient="another", doctor="other")
            await agree(app, "another")
            ids = await kept(app, session_id, image(), who="another")
            await send(app, session_id, START[0], ids, who="another")
            assert [len(call.photos) for call in server.calls] == [1, 1]
            assert "could not be used (not_json)" in server.calls[1].user_text
            await app.relay.aclose()


# -- what a model makes of it ------------------------------------------------------------------------------------


SEES = (
    says(lambda exchange: reply_to(exchange, lead="Thank you for the photo of the red ring. ")),
    says(lambda exchange: reply_to(exchange, lead="You have ringworm. ")),
    says(lambda exchange: reply_to(exchange, lead="That looks harmless. ")),
    says(
        lambda exchange: reply_to(
            exchange,
            facts=[{"field": "details", "value": "red ring with scales", "quote": "red ring with scales"}],
            status="ready",
            acuity="routine",
            reasoning="The photo seems to show a red ring with scales.",
        )
    ),
    hang,
    grows(reply_to, until="Thank you. ", then=hang),
)


@pytest.mark.parametrize("text", [START[2], "I have chest pain and cannot breathe"])
async def test_urgency_and_record_are_the_same_with_and_without_eyes_whatever_the_model_says_it_saw(
    clinic, owner, tmp_path, text
):
    async def told(*, fault, images):
        async with FaultServer() as server:
            server.will(good())
            who = f"p{uuid4().hex[:8]}"
            settings = settings_for(GEMINI, server.url, tmp_path, timeout_s=3.0)
            async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
                _, session_id = await a_session(app, patient=who, doctor=f"d{who}")
                await agree(app, who)
                await tell(app, session_id, *START[:2], who=who)
                ids = await kept(app, session_id, image(), who=who) if images else None
                server.will(fault)
                answer = await (
                    send(app, session_id, text, ids, who=who) if ids else tell(app, session_id, text, who=who)
                )
                await app.relay.written()
                seen = any(call.photos for call in server.calls)
                await owner.execute("DELETE FROM model_breakers")
                found = await state_of(owner, session_id)
                lines = await stored(owner, CHAT, "session_id = $1::uuid", session_id)
                await app.relay.aclose()
        plain = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "id", json.dumps(found, default=str, sort_keys=True))
        return plain, answer["aiMessage"]["text"], seen, json.dumps([line["content"] for line in lines])

    without, words, _, _ = await told(fault=good(), images=False)
    is_emergency = text != START[2]
    for fault in SEES:
        record, reply, seen, lines = await told(fault=fault, images=True)
        assert record == without
        assert seen is not is_emergency
        assert not re.search(r"ring|scales|harmless", lines.lower().replace("during", ""))
        if is_emergency:
            assert reply == words
    assert await broken(owner) == []


async def test_what_a_photo_seems_to_show_is_for_the_doctor_alone(clinic, owner, server, tmp_path):
    async with a_clinic(clinic, settings_for(GEMINI, server.url, tmp_path)) as (app, session_id):
        await tell(app, session_id, *START[:2])
        server.will(good(reasoning="The photo seems to show a red ring with scales."))
        await send(app, session_id, START[2], await kept(app, session_id, image()))
        doctor, patient = caller(app, "doctor"), caller(app, "patient")
        connection_id = str(await owner.fetchval("SELECT id FROM connections"))
        seen = await doctor.call("intake.getClinicalReasoning", connectionId=connection_id)
        assert "red ring with scales" in json.dumps(seen, default=str)
        session = await patient.call("intake.getSession", sessionId=session_id)
        assert "scales" not in json.dumps(session, default=str)


# -- what is written down ----------------------------------------------------------------------------------------


async def test_neither_log_nor_ledger_nor_recording_holds_a_photo_and_the_recording_is_replayed(
    clinic, owner, server, tmp_path, capsys
):
    folder = tmp_path / "recorded"
    settings = settings_for(OPENAI, server.url, tmp_path, record_folder=str(folder))
    journal.configure(development=True, level="DEBUG")
    async with a_clinic(clinic, settings) as (app, session_id):
        await send(app, session_id, START[0], await kept(app, session_id, image()))
        await tell(app, session_id, *START[1:])
        first = [
            line["content"] for line in await stored(owner, CHAT, "session_id = $1::uuid ORDER BY seq", session_id)
        ]
        await app.relay.written()
        wire = server.calls[0].body["messages"][-1]["content"][1]["image_url"]["url"].partition(",")[2]
        kept_ = "".join(path.read_text() for path in folder.glob("*.json"))
        ledger = json.dumps([dict(row) for row in await owner.fetch("SELECT * FROM model_calls")], default=str)
        for told in (kept_, ledger, "".join(capsys.readouterr())):
            assert wire[:60] not in told
            assert "base64" not in told
        assert sorted(json.loads(path.read_text())["photos"] for path in folder.glob("*.json")) == [0, 0, 1]
    async with closing(an_app(clinic.app_dsn, settings=settings_for(OPENAI, "http://127.0.0.1:1", tmp_path))) as app:
        app.relay.providers = [replace(each, model=Replay.of(folder)) for each in app.relay.providers]
        _, again = await a_session(app, patient="nakato", doctor="colleague")
        await agree(app, "nakato")
        await send(app, again, START[0], await kept(app, again, image(), who="nakato"), who="nakato")
        await tell(app, again, *START[1:], who="nakato")
        lines = await stored(owner, CHAT, "session_id = $1::uuid ORDER BY seq", again)
        assert [line["content"] for line in lines] == first
