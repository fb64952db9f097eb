"""The bytes of a file behind its signed address."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from anamnesis.edge.issues import read_input
from anamnesis.edge.problem import MEDIA_TYPE, problem, problem_document
from anamnesis.edge.running import Guard, Observe, enter, unobserved
from anamnesis.files.api import Opened
from anamnesis.files.links import LinkExpired
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.procedures import Bound, Request

PREFIX: Final = "/files"
_PATH: Final = re.compile(r"/files/([0-9a-f-]{36})(/small)?", re.ASCII)
_GONE: Final = {"type": "urn:anamnesis:problem:gone", "title": "This link has expired", "status": 410}
#: Whatever a file turns out to be, nothing in it runs, loads or is framed.
_POLICY: Final = "default-src 'none'; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class FileEndpoint:
    """ASGI endpoint: GET or HEAD of one file. Who is asking is asked as everywhere, whatever the address says."""

    bound: Bound
    guard: Guard
    request_of: Callable[[MutableMapping[str, Any]], Awaitable[Request]]
    observe: Observe = unobserved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await (await self._answer(HttpRequest(scope, receive)))(scope, receive, send)

    async def _answer(self, http: HttpRequest) -> Response:
        request = await self.request_of(http.scope)
        if http.method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"allow": "GET, HEAD"})
        try:
            opened = await self._open(http, request)
        except LinkExpired as expired:
            return JSONResponse({**problem_document(expired, request), **_GONE}, 410, media_type=MEDIA_TYPE)
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            return problem(error, request)
        kind = "inline" if opened.is_shown else "attachment"
        headers = {
            "content-disposition": f'{kind}; filename="{opened.file_name}"',
            "content-security-policy": _POLICY,
            "cache-control": "private, no-store",
        }
        return Response(opened.content, media_type=opened.media_type, headers=headers)

    async def _open(self, http: HttpRequest, request: Request) -> Opened:
        found = _PATH.fullmatch(http.url.path)
        if found is None:
            raise NotFound("There is no such file.")
        told = {name: http.query_params.get(name, "") for name in ("until", "signature")}
        given = {"fileId": found[1], "isSmall": found[2] is not None, **told}

        def read() -> Any:
            return read_input(self.bound.procedure, given)

        opened: Opened = await enter(self.bound, request, guard=self.guard, read_input=read, observe=self.observe)
        return opened
