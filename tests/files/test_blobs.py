"""One contract for a folder and for a bucket, and what is particular about each."""

import asyncio
import os
import stat
import subprocess
import sys
import time
from uuid import uuid4

import pytest

from anamnesis.blobs.disk import DiskBlobs
from anamnesis.blobs.s3 import S3Blobs
from anamnesis.files.model import blob_of
from anamnesis.kernel.errors import Unavailable
from anamnesis.settings import Settings, SettingsInvalid
from build import a_session, an_app, closing
from files.bucket import BUCKET, KEY_ID, REGION, SECRET, a_bucket
from files.test_files import PHOTO, get, one, served

ALL_BYTES = bytes(range(256)) * 1000


@pytest.fixture
def bucket():
    with a_bucket() as server:
        yield server


def s3(server, *, secret=SECRET, timeout_s=2):
    return S3Blobs(server.url, BUCKET, REGION, KEY_ID, secret, timeout_s=timeout_s)


@pytest.fixture(params=["folder", "bucket"])
def blobs(request, tmp_path, bucket):
    return DiskBlobs(tmp_path / "deep" / "blobs") if request.param == "folder" else s3(bucket)


async def test_a_blob_comes_back_as_it_was_put_is_replaced_and_is_gone_when_deleted(blobs):
    key = blob_of(uuid4())
    with pytest.raises(FileNotFoundError):
        await blobs.get(key)
    await blobs.put(key, ALL_BYTES)
    assert await blobs.get(key) == ALL_BYTES
    await blobs.put(key, b"other")
    assert await blobs.get(key) == b"other"
    await blobs.delete(key)
    await blobs.delete(key)
    with pytest.raises(FileNotFoundError):
        await blobs.get(key)
    await blobs.sweep(0)


async def test_a_bucket_that_is_down_or_does_not_believe_us_is_unavailable_and_names_no_secret(bucket):
    for blobs in (s3(bucket, secret="wrong"), S3Blobs("http://127.0.0.1:9", BUCKET, REGION, KEY_ID, SECRET, 1)):
        for call in (blobs.put("ab", b"x"), blobs.get("ab"), blobs.delete("ab")):
            with pytest.raises(Unavailable) as failed:
                await call
            assert SECRET not in repr(failed.value) + str(failed.value)
        assert SECRET not in repr(blobs)
    assert bucket.blobs == {}


async def test_files_go_through_a_bucket_as_through_a_folder(clinic, tmp_path, bucket):
    environment = {
        "FILES_S3_URL": bucket.url, "FILES_S3_BUCKET": BUCKET, "FILES_S3_REGION": REGION, "FILES_S3_KEY_ID": KEY_ID,
        "FILES_S3_SECRET_KEY": SECRET, "RATE_FACTOR": "10000",
    }  # fmt: skip
    async with closing(an_app(clinic.app_dsn, settings=Settings.from_env(environment))) as app, served(app) as client:
        _, session_id = await a_session(app)
        file = await one(client, session_id, PHOTO)
        assert (await get(client, file["url"])).status_code == 200
        assert sorted(bucket.blobs) == sorted([file["id"].replace("-", ""), file["id"].replace("-", "") + "-small"])
        bucket.blobs.clear()
        assert (await get(client, file["url"])).status_code == 503


def test_a_bucket_needs_all_of_its_settings():
    with pytest.raises(SettingsInvalid) as invalid:
        Settings.from_env({"FILES_S3_URL": "https://store.clinic.org", "FILES_S3_BUCKET": "files"})
    assert [problem.variable for problem in invalid.value.problems] == ["FILES_S3_KEY_ID", "FILES_S3_SECRET_KEY"]


async def test_a_folder_is_for_us_alone_and_names_tell_nothing(tmp_path):
    blobs, key = DiskBlobs(tmp_path / "blobs"), blob_of(uuid4())
    await blobs.put(key, b"x")
    (found,) = [each for each in (tmp_path / "blobs").rglob("*") if each.is_file()]
    assert found.name == key
    assert stat.S_IMODE(found.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700


def test_a_writer_killed_at_any_moment_leaves_the_old_blob_or_the_new_one_and_drafts_are_swept(tmp_path):
    key, old, new = "ab" * 16, b"o" * 4_000_000, b"n" * 4_000_000
    blobs = DiskBlobs(tmp_path)
    asyncio.run(blobs.put(key, old))
    program = (
        "import asyncio, sys, pathlib\nfrom anamnesis.blobs.disk import DiskBlobs\n"
        "blobs = DiskBlobs(pathlib.Path(sys.argv[1]))\nprint('go', flush=True)\n"
        f"while True: asyncio.run(blobs.put({key!r}, b'n' * 4000000))\n"
    )
    for number in range(4):
        writer = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(0.002 * number)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        assert asyncio.run(blobs.get(key)) in (old, new)
    (tmp_path / "unfinished" / "abandoned").write_bytes(b"half")
    os.utime(tmp_path / "unfinished" / "abandoned", (1, 1))
    asyncio.run(blobs.sweep(3600))
    assert not (tmp_path / "unfinished" / "abandoned").exists()
    assert asyncio.run(blobs.get(key))


async def test_what_cannot_be_swept_from_a_folder_is_unavailable(tmp_path):
    blobs = DiskBlobs(tmp_path)
    await blobs.sweep(0)  # nothing was ever written
    (tmp_path / "unfinished" / "a folder nobody made").mkdir(parents=True)
    with pytest.raises(Unavailable):
        await blobs.sweep(-60)


async def test_a_draft_that_is_gone_when_it_is_looked_at_stops_no_sweep(tmp_path):
    blobs, unfinished = DiskBlobs(tmp_path), tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "a").symlink_to(tmp_path / "renamed meanwhile")
    (unfinished / "b").write_bytes(b"left")
    os.utime(unfinished / "b", (0, 0))
    await blobs.sweep(60)
    assert [each.name for each in unfinished.iterdir()] == ["a"]


async def test_a_disk_that_is_full_is_unavailable_and_leaves_no_draft(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    blobs = DiskBlobs(tmp_path)
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "ab").mkdir()
    with pytest.raises(Unavailable):
        await blobs.put("ab" * 16, b"x")
    assert not list((tmp_path / "unfinished").iterdir())
