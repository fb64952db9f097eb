"""Files over real HTTP and a real database: what is kept, what is refused, who sees it, and for how long."""

import asyncio
import io
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
import uvicorn
from PIL import Image

from anamnesis import journal
from anamnesis.db.encryption import CHAT
from anamnesis.db.viewing import viewing
from anamnesis.kernel.errors import BadInput, Conflict, NotFound, NotPermitted, Unavailable
from anamnesis.kernel.procedures import Part
from anamnesis.settings import Files, Limits, Settings
from build import ISSUER_OF_TESTS, WORKING, a_doctor, a_session, an_app, caller, claims, closing, stored
from files.hostile import GPS, HTML, PDF_WITH_SCRIPT, REFUSED, bomb, image, pdf, photo_with_gps

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long


@asynccontextmanager
async def served(app):
    """The application under a real server on a port of its own."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app.asgi(), log_config=None, lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    try:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=address, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        await task


def settings_of(folder, *, factor=10_000, **files):
    return Settings(files=Files(folder=str(folder), **files), limits=Limits(factor=factor))


@pytest.fixture
async def app(clinic, tmp_path):
    async with closing(an_app(clinic.app_dsn, settings=settings_of(tmp_path / "blobs"))) as app:
        yield app


@pytest.fixture
async def client(app):
    async with served(app) as client:
        yield client


@pytest.fixture
async def session(app):
    _, session_id = await a_session(app)
    return session_id


def token_of(who):
    return {"authorization": f"Bearer {ISSUER_OF_TESTS.token(claims(who))}"}


async def send(client, session_id, *files, who="patient", headers=None):
    """Upload files, each (content, name, type)."""
    form = [("files", (name, content, kind)) for content, name, kind in files]
    return await client.post(
        f"/api/v1/intake-sessions/{session_id}/files", files=form, headers=headers or token_of(who)
    )


PHOTO = (image(), "photo.jpg", "image/jpeg")


async def one(client, session_id, file=PHOTO, *, who="patient"):
    answer = await send(client, session_id, file, who=who)
    assert answer.status_code == 201, answer.text
    return answer.json()["files"][0]


def path_of(url):
    return url.removeprefix("http://127.0.0.1:8000")


async def get(client, url, who="patient"):
    return await client.get(path_of(url), headers=token_of(who) if who else {})


async def rows(owner):
    return await owner.fetch("SELECT id, state FROM files")


def blobs_in(tmp_path):
    return sorted(each for each in (tmp_path / "blobs").rglob("*") if each.is_file())


# -- what is kept ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_photo_is_kept_as_jpeg_whatever_its_name_says_of_its_format(client, session, kind):
    file = await one(client, session, (image(kind), "IMG 1.png", "image/png"))
    assert (file["fileType"], file["fileName"]) == ("image/jpeg", "IMG 1.png")
    for url, size in ((file["url"], (640, 480)), (file["thumbnailUrl"], (320, 240))):
        answer = await get(client, url)
        with Image.open(io.BytesIO(answer.content)) as drawn:
            assert (drawn.format, drawn.size) == ("JPEG", size)
    assert file["fileSize"] == len((await get(client, file["url"])).content)


async def test_a_photo_loses_place_owner_comment_and_everything_else_beside_its_pixels(client, session):
    sent = photo_with_gps()
    assert GPS in sent
    file = await one(client, session, (sent, "photo.jpg", "image/jpeg"))
    for url in (file["url"], file["thumbnailUrl"]):
        kept = (await get(client, url)).content
        assert GPS not in kept
        assert b"Exif" not in kept
        with Image.open(io.BytesIO(kept)) as drawn:
            assert not dict(drawn.getexif())
            assert drawn.height > drawn.width  # it was turned upright before that was forgotten


async def test_what_a_telephone_writes_behind_a_photo_is_not_kept(client, session):
    file = await one(client, session, (image() + b"SEFT" + HTML, "photo.jpg", "image/jpeg"))
    assert b"script" not in (await get(client, file["url"])).content


async def test_a_transparent_picture_stands_on_white(client, session):
    written = io.BytesIO()
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(written, "PNG")
    file = await one(client, session, (written.getvalue(), "scan.png", "image/png"))
    with Image.open(io.BytesIO((await get(client, file["url"])).content)) as drawn:
        assert drawn.getpixel((5, 5)) == (255, 255, 255)


async def test_a_document_with_a_script_is_kept_as_it_is_and_only_ever_saved(client, session):
    file = await one(client, session, (PDF_WITH_SCRIPT, "result.pdf", "application/pdf"))
    assert file["thumbnailUrl"] is None
    answer = await get(client, file["url"])
    assert answer.content == PDF_WITH_SCRIPT
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_the_headers_of_a_photo_let_nothing_be_kept_guessed_framed_or_run(client, session):
    file = await one(client, session)
    headers = (await get(client, file["url"])).headers
    assert headers["content-type"] == "image/jpeg"
    assert headers["content-disposition"] == f'inline; filename="anamnesis-{file["id"][:8]}.jpg"'
    assert headers["x-content-type-options"] == "nosniff"
    assert "no-store" in headers["cache-control"]
    assert headers["content-security-policy"].startswith("default-src 'none'; sandbox")
    assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_same_photo_sent_again_is_the_same_file(client, session, owner):
    assert (await one(client, session))["id"] == (await one(client, session))["id"]
    assert len(await rows(owner)) == 1


async def test_one_photo_sent_many_times_at_once_as_on_a_thin_network_is_one_file(client, session, owner, tmp_path):
    answers = await asyncio.gather(*(send(client, session, PHOTO, PHOTO) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    (file_id,) = {file["id"] for answer in answers for file in answer.json()["files"]}
    assert [tuple(row) for row in await rows(owner)] == [(UUID(file_id), "ready")]
    assert len(blobs_in(tmp_path)) == 2  # the photo and the small one
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'file_uploaded'") == 1


async def test_a_session_holds_so_many_files_however_many_come_at_once_and_one_sent_again_counts_once(
    client, session, owner, tmp_path
):
    def papers(batch):
        return [(pdf(f"{batch} {number}".encode()), "x.pdf", "application/pdf") for number in range(5)]

    answers = await asyncio.gather(*(send(client, session, *papers(batch)) for batch in range(14)))
    refused = [each for each in answers if each.status_code != 201]
    assert {each.status_code for each in refused} == {400}
    assert "at most 60 files" in refused[0].text
    taken = await owner.fetchval("SELECT count(*) FROM files WHERE state = 'ready'")
    assert taken == await owner.fetchval("SELECT count(*) FROM files") == len(blobs_in(tmp_path)) <= 60
    for batch in range(20, 32 - taken // 5):
        assert (await send(client, session, *papers(batch))).status_code == 201
    assert (await send(client, session, PHOTO)).status_code == 400
    answered = next(batch for batch, each in enumerate(answers) if each.status_code == 201)
    assert (await send(client, session, *papers(answered))).status_code == 201


# -- what is refused ---------------------------------------------------------------------------------------------


async def test_everything_hostile_is_refused_by_the_name_of_its_field_and_nothing_of_it_is_kept(
    client, session, owner, tmp_path
):
    for what, (content, name, kind) in REFUSED.items():
        answer = await send(client, session, (content, name, kind))
        told = answer.json()
        assert answer.status_code == 400, what
        assert told["errors"][0]["field"] in ("files.0", "files"), what
        assert told["errors"][0]["message"], what
    assert await rows(owner) == []
    assert blobs_in(tmp_path) == []


async def test_one_bad_file_among_good_ones_leaves_none_of_them(client, session, owner, tmp_path):
    answer = await send(client, session, PHOTO, (pdf(), "a.pdf", "application/pdf"), (HTML, "x.jpg", "image/jpeg"))
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == ["files.2"]
    assert await rows(owner) == []
    assert blobs_in(tmp_path) == []


async def test_a_bomb_of_forty_million_pixels_in_a_few_kilobytes_is_refused(client, session):
    content = bomb(6400)
    assert len(content) < 250_000
    answer = await send(client, session, (content, "x.png", "image/png"))
    assert "too many pixels" in answer.json()["errors"][0]["message"]


async def test_sizes_are_capped_for_each_kind_and_the_request_as_a_whole(clinic, tmp_path):
    small = settings_of(tmp_path / "blobs", image_mb=1, pdf_mb=2)
    async with closing(an_app(clinic.app_dsn, settings=small)) as app, served(app) as client:
        _, session_id = await a_session(app)
        too_large = image("PNG") + bytes(1 << 20)
        for file, most in (
            ((too_large, "x.png", "image/png"), "at most 1 MB"),
            ((pdf(b"/X(" + bytes(2 << 20) + b")"), "x.pdf", "application/pdf"), "at most 2 MB"),
        ):
            answer = await send(client, session_id, file)
            assert answer.status_code == 400
            assert most in answer.json()["errors"][0]["message"]
        answer = await send(client, session_id, (bytes(12 << 20), "x.pdf", "application/pdf"))
        assert answer.status_code == 413
        assert str(app.filing.caps.request_bytes) in answer.json()["detail"]


async def test_at_most_four_photos_and_five_documents_come_at_once(client, session, owner):
    photos = [(image(colour=colour), "x.jpg", "image/jpeg") for colour in ("red", "blue", "lime", "gold", "navy")]
    assert (await send(client, session, *photos)).json()["errors"][0]["field"] == "files"
    assert (await send(client, session, *photos[:4])).status_code == 201
    papers = [(pdf(str(number).encode()), "x.pdf", "application/pdf") for number in range(6)]
    assert (await send(client, session, *papers)).status_code == 400
    assert (await send(client, session, *papers[:5])).status_code == 201
    assert len(await rows(owner)) == 9


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"--x\r\n", "multipart/form-data", 400),
        (b"--x\r\ncontent-disposition: form-data; name=", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400),
    ],
)
async def test_a_form_that_is_none_is_refused(client, session, body, kind, status):
    headers = {**token_of("patient"), "content-type": kind}
    answer = await client.post(f"/api/v1/intake-sessions/{session}/files", content=body, headers=headers)
    assert answer.status_code == status


async def test_uploads_are_limited_more_than_other_calls(clinic, tmp_path):
    settings = settings_of(tmp_path / "blobs", factor=0.2)  # two uploads a minute
    async with closing(an_app(clinic.app_dsn)) as first:
        _, session_id = await a_session(first)
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app, served(app) as client:
        answers = [await send(client, session_id, PHOTO) for _ in range(3)]
        assert [each.status_code for each in answers] == [201, 201, 429]


async def test_the_pictures_of_a_page_are_shown_however_many_there_are(clinic, tmp_path):
    settings = settings_of(tmp_path / "blobs", factor=0.1)  # six calls a minute; uploads one
    async with closing(an_app(clinic.app_dsn)) as first:
        _, session_id = await a_session(first)
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app, served(app) as client:
        url = (await one(client, session_id))["url"]
        answers = [(await get(client, url)).status_code for _ in range(70)]
    assert answers == [200] * 60 + [429] * 10


# -- nothing by halves -------------------------------------------------------------------------------------------


def a_part(content=PHOTO[0], name="photo.jpg", declared="image/jpeg"):
    async def read():
        return content

    return Part(name, declared, len(content), read)


class Died(BaseException):
    """The process is gone at this step."""


@pytest.mark.parametrize("step", range(6))
async def test_whoever_dies_at_any_step_leaves_no_file_to_be_seen_and_the_sweep_leaves_nothing(
    app, client, session, owner, tmp_path, step
):
    steps = iter(range(100))

    def dying(work):
        async def stepped(*arguments, **named):
            if next(steps) == step:
                raise Died
            return await work(*arguments, **named)

        return stepped

    class Dying:
        """The real parts, of which one dies before it has done its step; afterwards nobody tidies up."""

        def __init__(self, real):
            self._real = real

        def __getattr__(self, name):
            return dying(getattr(self._real, name)) if name in STEPS else getattr(self._real, name)

    class Untidy(type(app.filing)):
        async def _discard(self, begun):
            raise Died

    parts = {each: getattr(app.filing, each) for each in app.filing.__dataclass_fields__}
    doomed = Untidy(**{**parts, "store": Dying(app.filing.store), "blobs": Dying(app.filing.blobs)})
    bound = replace(app.registry.find("file.upload"), services=doomed)
    app.registry._bound["file.upload"] = bound
    patient = caller(app, "patient")
    if step < 4:
        with pytest.raises(Died):
            await patient.call("file.upload", sessionId=session, files=[a_part()])
        assert (await patient.call("intake.getSessionFiles", sessionId=session))["files"] == []
        await app.filing.sweep(older_than_s=0)
        assert await rows(owner) == []
        assert blobs_in(tmp_path) == []
    else:
        kept = await patient.call("file.upload", sessionId=session, files=[a_part()])
        await app.filing.sweep(older_than_s=0)
        assert (await get(client, kept["files"][0]["url"])).status_code == 200


STEPS = ("begin", "put", "finish")  # begin, put the photo, put the small one, finish


async def test_an_upload_whose_store_fails_takes_back_what_it_began(app, client, session, owner, tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "unfinished").write_text("a file where a folder should be")
    assert (await send(client, session, PHOTO)).status_code == 503
    assert await rows(owner) == []


async def test_a_lost_answer_of_the_database_takes_no_bytes_of_a_file_that_is_seen(app, client, session, owner):
    class Forgetful(type(app.filing.store)):
        async def finish(self, *given):
            await super().finish(*given)
            raise Unavailable

    parts = {each: getattr(app.filing, each) for each in app.filing.__dataclass_fields__}
    forgetful = type(app.filing)(**{**parts, "store": Forgetful(app.filing.store.database)})
    bound = app.registry.find("file.upload")
    app.registry._bound["file.upload"] = replace(bound, services=forgetful)
    with pytest.raises(Unavailable):
        await caller(app, "patient").call("file.upload", sessionId=session, files=[a_part()])
    again = await one(client, session)  # as a client does that was told to try again
    assert len(await rows(owner)) == 1
    assert (await get(client, again["url"])).status_code == 200


async def test_the_sweep_leaves_alone_what_is_still_being_sent(app, session, owner):
    from anamnesis.files.model import NewFile

    user = await owner.fetchval("SELECT user_id FROM patients")
    file = NewFile(uuid4(), "x.jpg", "image/jpeg", 5, bytes(32))
    with viewing(WORKING):
        assert await app.filing.store.begin(UUID(session), user, file, most=60)
    await app.filing.sweep()
    assert [row["state"] for row in await rows(owner)] == ["pending"]


# -- who sees what -----------------------------------------------------------------------------------------------


async def test_the_two_people_see_a_file_and_nobody_else_learns_that_it_exists(app, client, session):
    await caller(app, "stranger").call("user.getMe")
    await a_doctor(app, "other")
    file = await one(client, session)
    seen = await client.get(f"/api/v1/intake-sessions/{session}/files", headers=token_of("doctor"))
    url = seen.json()["files"][0]["url"]
    assert (await get(client, url, "doctor")).status_code == 200
    for who in ("stranger", "other"):
        listed = await client.get(f"/api/v1/intake-sessions/{session}/files", headers=token_of(who))
        assert listed.status_code == 404
        assert (await send(client, session, PHOTO, who=who)).status_code == 404
        signed = app.filing.links.url(UUID(file["id"]), await user_id(app, who), datetime.now(UTC))
        answers = [await get(client, signed, who), await get(client, signed.replace(file["id"], str(uuid4())), who)]
        assert [each.status_code for each in answers] == [404, 404]
        texts = [{**each.json(), "request_id": ""} for each in answers]
        assert texts[0] == texts[1]
    assert (await get(client, url, None)).status_code == 401
    assert (await send(client, session, PHOTO, headers={"x": "y"})).status_code == 401


async def user_id(app, who):
    return UUID(str((await caller(app, who).call("user.getMe"))["id"]))


async def test_a_link_is_for_its_viewer_its_file_and_its_time(app, client, session):
    file = await one(client, session)
    other = await one(client, session, (image(colour="red"), "b.jpg", "image/jpeg"))
    await caller(app, "doctor").call("user.getMe")
    url = file["url"]
    assert (await get(client, url)).status_code == 200
    assert (await get(client, url, "doctor")).status_code == 404  # another viewer, who may see the file
    assert (await get(client, url.replace(file["id"], other["id"]))).status_code == 404
    assert (await get(client, url[:-1] + ("0" if url[-1] != "0" else "1"))).status_code == 404
    assert (await get(client, url.replace("until=", "until=1"))).status_code == 404
    assert (await get(client, url.partition("?")[0])).status_code == 404
    past = datetime.now(UTC) - timedelta(minutes=6)
    expired = app.filing.links.url(UUID(file["id"]), await user_id(app, "patient"), past)
    answer = await get(client, expired)
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:anamnesis:problem:gone")
    assert app.filing.links.lasts_s <= 300


async def test_a_link_stops_working_for_the_doctor_the_moment_the_connection_ends(app, client):
    connection_id, session_id = await a_session(app)
    file = await one(client, session_id)
    doctors = await client.get(f"/api/v1/intake-sessions/{session_id}/files", headers=token_of("doctor"))
    url = doctors.json()["files"][0]["url"]
    assert (await get(client, url, "doctor")).status_code == 200
    await caller(app, "patient").call("connection.disconnect", connectionId=connection_id)
    assert (await get(client, url, "doctor")).status_code == 403
    assert (await get(client, file["url"])).status_code == 200  # the patient still reads
    assert (await send(client, session_id, PHOTO)).status_code == 403  # and sends no more


async def test_a_file_of_the_doctor_is_never_shown_to_the_patient(app, client, session):
    file = await one(client, session, who="doctor")
    listed = await client.get(f"/api/v1/intake-sessions/{session}/files", headers=token_of("patient"))
    assert listed.json()["files"] == []
    signed = app.filing.links.url(UUID(file["id"]), await user_id(app, "patient"), datetime.now(UTC))
    assert (await get(client, signed)).status_code == 404


async def test_a_write_with_a_cookie_needs_our_own_origin(client, session):
    cookie = {"cookie": f"__session={ISSUER_OF_TESTS.token(claims('patient'))}"}
    refused = await send(client, session, PHOTO, headers={**cookie, "origin": "http://127.0.0.1:8000.evil.test"})
    assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_ERROR")
    accepted = await send(client, session, PHOTO, headers={**cookie, "origin": "http://127.0.0.1:8000"})
    assert accepted.status_code == 201


# -- what refers to files ----------------------------------------------------------------------------------------


async def test_a_message_shows_its_photos_to_both_and_sent_again_is_the_same_message(app, client, session):
    file = await one(client, session)
    patient = caller(app, "patient")
    message = {"sessionId": session, "content": "It is about me", "clientMessageId": str(uuid4())}
    sent = await patient.call("intake.sendMessage", **message, images=[file["url"]])
    again = await patient.call("intake.sendMessage", **message, images=[file["id"]])
    assert sent["userMessage"]["id"] == again["userMessage"]["id"]
    with pytest.raises(Conflict):
        await patient.call("intake.sendMessage", **message)
    for who in ("patient", "doctor"):
        view = await caller(app, who).call("intake.getSession", sessionId=session)
        (shown,) = [each for each in view["messages"] if each.get("images")]
        assert (await get(client, shown["images"][0], who)).status_code == 200
    assert (await get(client, sent["userMessage"]["images"][0])).status_code == 200


async def test_what_is_kept_of_a_message_is_the_id_of_its_photo(app, client, session, owner):
    file = await one(client, session)
    await caller(app, "patient").call("intake.sendMessage", sessionId=session, content="here", images=[file["url"]])
    (kept,) = await stored(owner, CHAT, "images IS NOT NULL")
    assert kept["images"] == [file["id"]]


@pytest.mark.regression("P17")
async def test_only_the_senders_own_photos_of_this_session_can_be_referred_to(app, client, session):
    connection = (await caller(app, "patient").call("connection.getMyConnections"))["connections"][0]
    other = await caller(app, "patient").call("intake.createNewSession", connectionId=str(connection["id"]))
    elsewhere = await one(client, str(other["id"]), (image(colour="red"), "b.jpg", "image/jpeg"))
    doctors = await one(client, session, (image(colour="blue"), "c.jpg", "image/jpeg"), who="doctor")
    paper = await one(client, session, (pdf(), "a.pdf", "application/pdf"))
    own = await one(client, session)
    wrong = [
        "https://tracker.example.org/pixel.png", "http://169.254.169.254/latest/meta-data", "javascript:alert(1)",
        "file:///etc/passwd", "data:image/png;base64,AAAA", "../../etc/passwd", "//evil.test/files/" + own["id"],
        "http://127.0.0.1:8000@evil.test/files/" + own["id"], "http://127.0.0.1:8000.evil.test/files/" + own["id"],
        "http://evil.test/files/" + own["id"], "http://127.0.0.1:8000/other/" + own["id"], "http://[",
        str(uuid4()), elsewhere["id"], elsewhere["url"], doctors["id"], paper["id"], " ",
    ]  # fmt: skip
    patient = caller(app, "patient")
    texts = set()
    for reference in wrong:
        with pytest.raises(BadInput) as refused:
            await patient.call("intake.sendMessage", sessionId=session, content="x", images=[own["id"], reference])
        assert [issue.path for issue in refused.value.issues] == [("images", 1)], reference
        texts.add(refused.value.issues[0].message)
    assert len(texts) == 1  # a file that is not his sounds like one that does not exist
    view = await patient.call("intake.getSession", sessionId=session)
    assert not [each for each in view["messages"] if each["role"] == "user"]


async def test_metadata_of_files_is_our_own_and_of_no_other_store(app, client, session):
    file, patient = await one(client, session), caller(app, "patient")
    claimed = {"fileName": "lie.exe", "fileType": "text/html", "fileSize": 1}
    given = [{"url": file["url"], **claimed}, {"url": file["id"], **claimed}]
    stored = await patient.call("intake.storeFileMetadata", sessionId=session, files=given)
    assert [(each["fileName"], each["fileType"]) for each in stored["files"]] == [("photo.jpg", "image/jpeg")] * 2
    foreign = {"url": "https://utfs.io/f/abc.jpg", **claimed}
    with pytest.raises(BadInput) as refused:
        await patient.call("intake.storeFileMetadata", sessionId=session, files=[given[0], foreign])
    assert [issue.path for issue in refused.value.issues] == [("files", 1, "url")]
    with pytest.raises(NotFound):
        await caller(app, "stranger").call("intake.storeFileMetadata", sessionId=session, files=[])


async def test_a_doctors_note_takes_no_pictures(app, client, session):
    file = await one(client, session, who="doctor")
    with pytest.raises(BadInput) as refused:
        await caller(app, "doctor").call("intake.sendMessage", sessionId=session, content="x", images=[file["id"]])
    assert refused.value.issues[0].path == ("images",)


async def test_the_bytes_of_a_file_cannot_come_as_json(client, session):
    body = {"json": {"sessionId": session, "files": [{"name": "x.jpg", "content": "AAAA"}]}}
    answer = await client.post("/api/trpc/file.upload", json=body, headers=token_of("patient"))
    assert answer.status_code == 400
    assert "files" in answer.text


async def test_deleting_a_session_takes_its_files_out_of_sight(app, client, session):
    file = await one(client, session)
    await caller(app, "patient").call("intake.deleteSession", sessionId=session)
    assert (await get(client, file["url"])).status_code == 404
    with pytest.raises((NotFound, NotPermitted)):
        await caller(app, "patient").call("intake.getSessionFiles", sessionId=session)


# -- pages, the log and the load ---------------------------------------------------------------------------------


async def test_a_plain_form_sends_words_and_photo_together(app, client, session):
    cookie = {"cookie": f"__session={ISSUER_OF_TESTS.token(claims('patient'))}", "origin": "http://127.0.0.1:8000"}
    files = [("files", ("photo.jpg", PHOTO[0], "image/jpeg")), ("files", ("a.pdf", pdf(), "application/pdf"))]
    fields = {"content": "It is about me", "clientMessageId": str(uuid4())}
    sent = await client.post(f"/s/{session}", data=fields, files=files, headers=cookie)
    assert sent.status_code == 303
    page = (await client.get(f"/s/{session}", headers=cookie)).text
    assert 'class="picture"' in page
    assert "a.pdf" in page
    refused = await client.post(
        f"/s/{session}", data={**fields, "content": "my words"}, files=[("files", ("x.jpg", HTML))], headers=cookie
    )
    assert "neither a photo" in refused.text
    assert "my words</textarea>" in refused.text
    case = await client.get(f"/doctor/case/{session}", headers=token_of("doctor"))
    assert case.text.count("/small?") == 2  # in the bubble and among the files
    assert "PDF to save" in case.text


@pytest.mark.parametrize(
    ("file", "line"),
    [(("p.jpg", image(), "image/jpeg"), "Photo"), (("a.pdf", pdf(), "application/pdf"), "Document")],
)
@pytest.mark.parametrize("words", ["", "  "])
async def test_a_plain_form_sends_a_file_without_words_and_the_interview_takes_it_for_no_answer(
    app, client, session, file, line, words
):
    await caller(app, "patient").call("intake.sendMessage", sessionId=session, content="It is about me")
    cookie = {"cookie": f"__session={ISSUER_OF_TESTS.token(claims('patient'))}", "origin": "http://127.0.0.1:8000"}
    fields = {"content": words, "clientMessageId": str(uuid4())}
    for _ in range(2):  # as on a thin network
        sent = await client.post(f"/s/{session}", data=fields, files=[("files", file)], headers=cookie)
        assert sent.status_code == 303
    told = await caller(app, "patient").call("intake.getSession", sessionId=session)
    mine = [each for each in told["messages"] if each["role"] == "user"]
    assert [each["text"] for each in mine] == ["It is about me", line]
    assert len(mine[-1]["images"] or ()) == (line == "Photo")
    assert told["session"]["medicalData"]["vitalsData"]["patientName"] is None
    assert "What is your name" in told["messages"][-1]["text"]
    empty = await client.post(f"/s/{session}", data={**fields, "clientMessageId": str(uuid4())}, headers=cookie)
    assert "Nothing was sent" in empty.text


async def test_a_file_without_words_that_cannot_be_kept_is_not_said_to_be_sent(clinic, tmp_path, owner):
    async with closing(an_app(clinic.app_dsn, settings=settings_of(tmp_path / "blobs"))) as app, served(app) as client:
        _, session_id = await a_session(app)
        (tmp_path / "blobs").write_text("a file where the folder should be")
        cookie = {"cookie": f"__session={ISSUER_OF_TESTS.token(claims('patient'))}", "origin": "http://127.0.0.1:8000"}
        fields = {"content": "", "clientMessageId": str(uuid4())}
        files = [("files", ("photo.jpg", image(), "image/jpeg"))]
        sent = await client.post(f"/s/{session_id}", data=fields, files=files, headers=cookie)
        assert "Your file was not sent" in sent.text
        assert "Your words were sent" not in sent.text
        assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE role = 'user'") == 0


@pytest.mark.parametrize("why", ["the store is down", "too many uploads"])
async def test_words_of_danger_are_heard_although_the_photo_with_them_cannot_be_kept(clinic, tmp_path, owner, why):
    settings = settings_of(tmp_path / "blobs", factor=0.1)  # one upload a minute
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app, served(app) as client:
        _, session_id = await a_session(app)
        if why == "the store is down":
            (tmp_path / "blobs").write_text("a file where the folder should be")
        else:
            await one(client, session_id)
        cookie = {"cookie": f"__session={ISSUER_OF_TESTS.token(claims('patient'))}", "origin": "http://127.0.0.1:8000"}
        fields = {"content": "crushing chest pain and sweating", "clientMessageId": str(uuid4())}
        files = [("files", ("photo.jpg", image(colour="red"), "image/jpeg"))]
        sent = await client.post(f"/s/{session_id}", data=fields, files=files, headers=cookie)
        assert sent.status_code == 200
        assert "your file was not" in sent.text
        assert 'class="bubble emergency"' in sent.text
        assert await owner.fetchval("SELECT max(acuity) FROM intake_sessions") == 2


async def test_neither_name_nor_content_of_a_file_reaches_a_log_line(clinic, tmp_path, capsys):
    journal.configure(development=True, level="DEBUG")
    canary = "zebrascan4411"
    settings = settings_of(tmp_path / "blobs")
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app, served(app) as client:
        _, session_id = await a_session(app)
        good = (pdf(f"/X({canary})".encode()), f"{canary}.pdf", "application/pdf")
        await one(client, session_id, good)
        for content, kind in ((canary.encode(), "image/jpeg"), (image() + canary.encode(), canary)):
            await send(client, session_id, (content, f"{canary}.jpg", kind))
        await send(client, session_id, (b"\xff\xd8\xff" + canary.encode(), f"{canary}.jpg", "image/jpeg"))
        await client.get(f"/files/{canary}?until={canary}&signature={canary}", headers=token_of("patient"))
        (tmp_path / "blobs" / "unfinished").rename(tmp_path / "gone")
        (tmp_path / "blobs" / "unfinished").write_text("")
        await send(client, session_id, (image(comment=canary.encode()), f"{canary}.jpg", "image/jpeg"))
        names = [str(each) for each in (tmp_path / "blobs").rglob("*")]
    written = "".join(capsys.readouterr())
    assert canary not in written
    assert written.count("file.upload") > 5
    assert not [name for name in names if canary in name]


async def test_ten_photos_at_once_are_decoded_two_at_a_time_and_the_service_still_answers(app, client, session):
    photos = [(image(size=(1500, 1200), colour=(each * 20, 90, 90)), "x.jpg", "image/jpeg") for each in range(10)]
    sending = asyncio.gather(*(send(client, session, photo) for photo in photos))
    slowest = 0.0
    while not sending.done():
        before = time.monotonic()
        assert (await client.get("/livez")).status_code == 200
        slowest = max(slowest, time.monotonic() - before)
        await asyncio.sleep(0.02)
    assert {each.status_code for each in await sending} == {201}
    assert slowest < 2
