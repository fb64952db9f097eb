"""The process in which a stranger's photo is decoded: it has memory and time within limits, and nothing else.

The photo comes in on standard input; standard output carries width, height and two lengths, then the photo and a small
one, both written anew as JPEG: pixels only, upright, in sRGB. It exits with UNREADABLE or TOO_LARGE where it cannot.
It can neither open a file nor a socket once the photo is looked at, and no text of it leaves on standard error.
"""

import io
import resource
import struct
import sys
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from PIL import Image as Pillow

UNREADABLE: Final = 3
TOO_LARGE: Final = 4
HEADER: Final = struct.Struct(">IIII")

#: Forty million pixels take 160 MB while they are decoded and half as much again while they are made smaller.
_ADDRESSES: Final = 512 << 20
#: WebP's decoder holds four copies of a picture; no telephone makes one so large.
_MOST_WEBP_PIXELS: Final = 16_000_000
_CPU_S: Final = 10
_LONGEST_SIDE: Final = 30_000
_QUALITY: Final = 87
_SMALL_QUALITY: Final = 75


def main(arguments: list[str]) -> int:
    """Redraw one photo; arguments are its format, the most pixels, and the longest side of photo and small photo."""
    kind, most_pixels, side, small_side = arguments[0], *map(int, arguments[1:])
    _limit(resource.RLIMIT_AS, _ADDRESSES)
    _limit(resource.RLIMIT_CPU, _CPU_S)
    for unused in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        _limit(unused, 0)
    # Within the limits from here on. Everything a photo can need is loaded now, for later no file can be opened; only
    # the formats that are taken, for all of them cost half a second.
    from PIL import (  # noqa: PLC0415
        Image,
        ImageChops,  # noqa: F401
        ImageCms,
        ImageColor,  # noqa: F401
        ImageOps,
        ImagePalette,  # noqa: F401
        MpoImagePlugin,  # noqa: F401 - two photos in one file, as many telephones write
        TiffImagePlugin,  # noqa: F401 - what a camera writes beside the pixels
        WebPImagePlugin,  # noqa: F401
    )

    Image.preinit()
    content = sys.stdin.buffer.read()
    _limit(resource.RLIMIT_NOFILE, 3)
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as photo:
            width, height = photo.size
            if kind == "WEBP":
                most_pixels = min(most_pixels, _MOST_WEBP_PIXELS)
            if width * height > most_pixels or max(width, height) > _LONGEST_SIDE:
                return TOO_LARGE
            photo.thumbnail((side, side), reducing_gap=2.0)
            photo.load()
            drawn = _plain(ImageOps.exif_transpose(photo), ImageCms)
        _answer(drawn, small_side)
    except Exception:  # noqa: BLE001 - whatever a decoder says of hostile bytes, the answer is the same
        return UNREADABLE
    return 0


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def _plain(photo: "Pillow.Image", colours: Any) -> "Pillow.Image":
    """The pixels in sRGB on white, and nothing that was written beside them."""
    from PIL import Image  # noqa: PLC0415 - loaded long since

    profile = photo.info.get("icc_profile")
    if photo.mode.startswith("I"):
        photo = _of_eight_bits(photo)
    if photo.has_transparency_data:
        seen = photo.convert("RGBA")
        flat = Image.new("RGB", seen.size, "white")
        flat.paste(seen, mask=seen.getchannel("A"))
    elif profile and photo.mode == "RGB":
        flat = _in_srgb(photo, profile, colours)
    else:
        flat = photo.convert("RGB")
    flat.info = {}
    return flat


def _of_eight_bits(photo: "Pillow.Image") -> "Pillow.Image":
    """A grey picture of up to sixteen bits, as X-rays are, by the bits it makes use of: most of them use twelve.

    Converted as it stands, all that is brighter than 255 of 65,535 would be white, which is nearly everything.
    """
    whole = photo.convert("I")
    _, brightest = cast("tuple[int, int]", whole.getextrema())
    scale = 1 / (1 << max(0, brightest.bit_length() - 8))
    return whole.point(lambda value: value * scale + 0).convert("L")


def _in_srgb(photo: "Pillow.Image", profile: bytes, colours: Any) -> "Pillow.Image":
    """The colours as the camera meant them: a rash must not turn grey. An unusable profile is ignored."""
    try:
        meant = colours.ImageCmsProfile(io.BytesIO(profile))
        converted: Pillow.Image = colours.profileToProfile(photo, meant, colours.createProfile("sRGB"))
    except (colours.PyCMSError, OSError, ValueError):
        return photo
    return converted


def _answer(photo: "Pillow.Image", small_side: int) -> None:
    whole = _jpeg(photo, _QUALITY)
    width, height = photo.size
    photo.thumbnail((small_side, small_side))
    small = _jpeg(photo, _SMALL_QUALITY)
    sys.stdout.buffer.write(HEADER.pack(width, height, len(whole), len(small)) + whole + small)
    sys.stdout.buffer.flush()


def _jpeg(photo: "Pillow.Image", quality: int) -> bytes:
    written = io.BytesIO()
    photo.save(written, "JPEG", quality=quality)
    return written.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
