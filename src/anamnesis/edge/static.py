"""Our few static files: held in memory, compressed once, named by their content so that a browser may keep them."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, its compressed bytes and the tag both are named by."""

    media_type: str
    body: bytes
    compressed: bytes
    tag: str


@cache
def assets() -> dict[str, Asset]:
    """Every file of the static folder, by name."""
    found: dict[str, Asset] = {}
    for entry in (files("anamnesis.edge") / "static").iterdir():
        suffix = entry.name.rpartition(".")[2]
        if suffix in _TYPES:
            body = entry.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:12]
            found[entry.name] = Asset(_TYPES[suffix], body, gzip.compress(body, 9, mtime=0), tag)
    return found


def asset_url(name: str) -> str:
    """Where a page finds the file. Raises KeyError for a file we do not have."""
    return f"/static/{assets()[name].tag}/{name}"


async def serve_asset(request: Request) -> Response:
    """Answer one file; a name or tag we do not have is 404."""
    asset = assets().get(request.path_params["name"])
    if asset is None or asset.tag != request.path_params["tag"]:
        return Response(status_code=404)
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, media_type=asset.media_type, headers={**headers, "content-encoding": "gzip"})
    return Response(asset.body, media_type=asset.media_type, headers=headers)
