"""Photos as cameras, scanners and attackers make them, redrawn by the real process."""

import asyncio
import io
import struct
import time

import pytest
from PIL import Image, ImageCms

from anamnesis.pictures import child
from anamnesis.pictures.redrawing import Redrawer, TooManyPixels, Unreadable
from files.hostile import bomb, image, lying_png, photo_with_gps, text_bomb


def saved(photo, kind, **options):
    written = io.BytesIO()
    photo.save(written, kind, **options)
    return written.getvalue()


def colours(size=(90, 60)):
    return Image.linear_gradient("L").resize(size).convert("RGB")


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

#: Every kind of picture people send, by what is special about it.
PHOTOS = {
    "progressive": (saved(colours(), "JPEG", progressive=True), "JPEG"),
    "grey": (saved(colours().convert("L"), "JPEG"), "JPEG"),
    "of a printer": (saved(colours().convert("CMYK"), "JPEG"), "JPEG"),
    "turned, with a place": (photo_with_gps(), "JPEG"),
    "with a colour profile": (saved(colours(), "JPEG", icc_profile=PROFILE), "JPEG"),
    "with a broken profile": (saved(colours(), "JPEG", icc_profile=PROFILE[:200]), "JPEG"),
    "two in one": (saved(colours(), "MPO", save_all=True, append_images=[colours()]), "JPEG"),
    "with a palette": (saved(colours().convert("P"), "PNG", transparency=0), "PNG"),
    "of an X-ray": (saved(colours().convert("L").convert("I;16"), "PNG"), "PNG"),
    "black and white": (saved(colours().convert("1"), "PNG"), "PNG"),
    "with a shadow": (saved(colours().convert("LA"), "PNG"), "PNG"),
    "interlaced over many frames": (saved(colours(), "PNG", save_all=True, append_images=[colours()]), "PNG"),
    "lossless": (saved(colours().convert("RGBA"), "WEBP", lossless=True), "WEBP"),
    "moving": (saved(colours(), "WEBP", save_all=True, append_images=[colours()]), "WEBP"),
    "of one pixel": (image("PNG", size=(1, 1)), "PNG"),
    "with more rows than it tells of": (lying_png(), "PNG"),
}


async def test_every_kind_of_photo_comes_out_as_plain_jpeg():
    redrawer = Redrawer()
    for what, (content, kind) in PHOTOS.items():
        drawn = await redrawer.redraw(content, kind)
        for written in (drawn.photo, drawn.small):
            with Image.open(io.BytesIO(written)) as photo:
                assert (photo.format, photo.mode) == ("JPEG", "RGB"), what
                assert not {"exif", "comment", "icc_profile", "xmp"} & set(photo.info), what


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
async def test_an_x_ray_of_many_bits_keeps_its_greys(bits):
    step = (1 << bits) // 256
    grey = Image.frombytes("I;16", (256, 8), struct.pack("<256H", *(step * each for each in range(256))) * 8)
    drawn = await Redrawer().redraw(saved(grey, "PNG"), "PNG")
    with Image.open(io.BytesIO(drawn.photo)) as photo:
        seen = [photo.getpixel((place, 4))[0] for place in range(0, 256, 15)]
    assert seen == pytest.approx(list(range(0, 256, 15)), abs=4)


async def test_what_unpacks_without_end_dies_in_its_process():
    with pytest.raises(Unreadable):
        await Redrawer().redraw(text_bomb(), "PNG")


async def test_pixels_are_counted_before_any_is_drawn():
    content = bomb(2100)
    started = time.monotonic()
    with pytest.raises(TooManyPixels):
        await Redrawer(most_pixels=4_000_000).redraw(content, "PNG")
    assert time.monotonic() - started < 10
    assert (await Redrawer(most_pixels=4_500_000, longest_side=500).redraw(content, "PNG")).width == 500


async def test_whoever_takes_too_long_is_ended_with_everything_of_his():
    redrawer = Redrawer(within_s=0.05)
    with pytest.raises(Unreadable):
        await redrawer.redraw(image(size=(4000, 4000)), "JPEG")
    assert len(redrawer._turns._waiters or ()) == 0


async def test_a_caller_who_leaves_takes_the_process_along():
    running = asyncio.create_task(Redrawer().redraw(image(size=(5000, 5000)), "JPEG"))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.socket()",
        "open('/etc/passwd')",
        "open('/tmp/anamnesis-escaped', 'w')",
        "bytearray(600 << 20)",
    ],
)
async def test_code_that_ran_in_the_decoder_would_reach_neither_network_nor_files_nor_memory(attempt):
    """The decoder is replaced by the attempt, as a hole in it would do, after the limits were set."""
    program = (
        "import sys, io\nfrom PIL import Image\nfrom anamnesis.pictures import child\n"
        f"Image.open = lambda *_, **__: exec({attempt!r})\n"
        "sys.exit(child.main(['JPEG', '1000', '100', '10']))"
    )
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate(b"x")
    assert process.returncode == child.UNREADABLE
    assert answer == b""
