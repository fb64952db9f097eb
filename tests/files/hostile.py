"""Files as people and attackers send them, made here: none lies in the repository."""

import io
import struct
import zlib

from PIL import Image

SCRIPT = b"<script>alert(document.domain)</script>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HTML = b"<!doctype html><html><body>" + SCRIPT + b"</body></html>"
GPS = b"zebra-latitude-0.3476"


def image(kind="JPEG", size=(640, 480), colour="seagreen", **options):
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, kind, **options)
    return written.getvalue()


def photo_with_gps():
    """A photo as a telephone takes it: lying on its side, with a place, an owner, a comment and a thumbnail."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x013B] = GPS.decode()
    place = exif.get_ifd(0x8825)
    place.update({1: "N", 2: (0.0, 20.0, 51.36), 3: "E", 4: (32.0, 34.0, 57.0), 29: GPS.decode()})
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + GPS
    return image(size=(600, 400), exif=exif, comment=GPS)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, rows=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb(side):
    """Millions of pixels in some kilobytes: it decodes, and costs its width times its height."""
    row = b"\0" + bytes(3 * side)
    packer = zlib.compressobj(9)
    return png(side, side, b"".join(packer.compress(row) for _ in range(side)) + packer.flush())


def zeros(megabytes):
    """As many zeros packed, without packing them: one megabyte's block again and again, and their checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = ((megabytes << 20) % 65521) << 16 | 1
    return b"\x78\xda" + block * megabytes + b"\x03\x00" + struct.pack(">I", checksum)


def lying_png():
    """A small picture by its head, whose rows unpack to two hundred megabytes."""
    return png(64, 64, zeros(200))


def text_bomb():
    """A picture whose text unpacks to half a gigabyte."""
    body = b"Comment\0\0" + zeros(512)
    whole = image("PNG")
    return whole[:33] + chunk(b"zTXt", body) + whole[33:]


def pdf(extra=b""):
    return (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R" + extra + b">>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )


PDF_WITH_SCRIPT = pdf(b"/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>")

#: What nobody may store, by what it is: the bytes, and the name and type it comes under.
REFUSED = {
    "an SVG under its own name": (SVG, "x.svg", "image/svg+xml"),
    "an SVG that calls itself a photo": (SVG, "x.jpg", "image/jpeg"),
    "a page that calls itself a photo": (HTML, "x.jpg", "image/jpeg"),
    "a page that calls itself a document": (HTML, "x.pdf", "application/pdf"),
    "a page with the head of a photo": (b"\xff\xd8\xff\xe0" + HTML, "x.jpg", "image/jpeg"),
    "a photo behind a page": (HTML + image(), "x.jpg", "image/jpeg"),
    "a PNG with a page behind its end": (image("PNG") + HTML, "x.png", "image/png"),
    "a PNG with an archive behind its end": (image("PNG") + b"PK\x03\x04" + bytes(64), "x.png", "image/png"),
    "a WebP with a page behind its end": (image("WEBP") + HTML, "x.webp", "image/webp"),
    "a document that is a page as well": (b"%PDF-1.7\n" + HTML + pdf(), "x.pdf", "application/pdf"),
    "a document with an archive behind its end": (pdf() + b"PK\x03\x04" + bytes(2048), "x.pdf", "application/pdf"),
    "a document that is cut off": (pdf()[:-8], "x.pdf", "application/pdf"),
    "a JPEG that is cut off": (image(size=(900, 900))[:-400], "x.jpg", "image/jpeg"),
    "a PNG that is cut off": (image("PNG", size=(900, 900))[:-40], "x.png", "image/png"),
    "a PNG whose middle is lost": (image("PNG")[:60] + image("PNG")[90:], "x.png", "image/png"),
    "a WebP that is cut off": (image("WEBP")[:-6], "x.webp", "image/webp"),
    "a GIF": (image("GIF"), "x.gif", "image/gif"),
    "a BMP": (image("BMP"), "x.jpg", "image/jpeg"),
    "a TIFF": (image("TIFF"), "x.jpg", "image/jpeg"),
    "an ICO": (image("ICO", size=(16, 16)), "x.png", "image/png"),
    "giant dimensions": (png(60_000, 60_000, zlib.compress(b"")), "x.png", "image/png"),
    "a long thin one": (png(1_000_000, 2, zlib.compress(b"")), "x.png", "image/png"),
    "no dimensions": (png(0, 0), "x.png", "image/png"),
    "a program": (b"MZ" + bytes(200), "x.jpg", "image/jpeg"),
    "an archive": (b"PK\x03\x04" + bytes(200), "x.pdf", "application/pdf"),
    "a script": (b"#!/bin/sh\nid\n", "x.jpg", "image/jpeg"),
    "a photo that calls itself a document": (image(), "x.pdf", "application/pdf"),
    "a document that calls itself a photo": (pdf(), "x.jpg", "image/jpeg"),
    "a photo that calls itself a page": (image(), "x.html", "text/html"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%EOF", "x.jpg", "image/jpeg"),
    "nothing": (b"", "x.jpg", "image/jpeg"),
}
