"""The same procedures as resources: REST under /api/v1, its OpenAPI document, its page.

FastAPI routes; inputs, outputs and the document are the procedures' own.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Match

from anamnesis.edge import superjson
from anamnesis.edge.events import SseOptions, events
from anamnesis.edge.forms import MULTIPART, read_form
from anamnesis.edge.issues import read_input
from anamnesis.edge.openapi import docs_page, openapi_document, query_kinds
from anamnesis.edge.problem import problem, problem_document
from anamnesis.edge.routes import METHODS_WITHOUT_BODY, PREFIX, api_markdown, route_of
from anamnesis.edge.running import Guard, Observe, declared, enter, unobserved
from anamnesis.kernel.errors import BadInput, NotFound, NotSignedIn, TooLarge
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Bound, Kind, Procedure, Registry, Request, Rest
from anamnesis.schema import as_wire

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["PREFIX", "RestApp", "RestOptions", "api_markdown", "rest_app"]

Json = dict[str, Any]
_EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class RestOptions:
    """Bounds on a request, in bytes and levels of nesting, and how events are sent."""

    max_body_bytes: int = 1 << 20
    max_form_bytes: int = 16 << 20
    max_form_files: int = 10
    max_url_bytes: int = 32 << 10
    max_depth: int = 100
    sse: SseOptions = field(default_factory=SseOptions)


def rest_app(
    registry: Registry,
    *,
    guard: Guard,
    request_of: Callable[[MutableMapping[str, Any]], Awaitable[Request]],
    options: RestOptions | None = None,
    observe: Observe = unobserved,
) -> "FastAPI":
    """An ASGI application that serves a registry's procedures as REST, ``/openapi.json`` and ``/docs``."""
    return RestApp(registry, guard=guard, request_of=request_of, options=options, observe=observe).app


class RestApp:
    """Builds the application: one route for each procedure."""

    def __init__(
        self,
        registry: Registry,
        *,
        guard: Guard,
        request_of: Callable[[MutableMapping[str, Any]], Awaitable[Request]],
        options: RestOptions | None = None,
        observe: Observe = unobserved,
    ) -> None:
        from fastapi import FastAPI  # noqa: PLC0415 - half a second, for the process that serves alone

        self._registry = registry
        self._guard = guard
        self._request_of = request_of
        self._options = options or RestOptions()
        self._observe = observe
        # Its own telemetry is off: its logs carry exception texts, and its spans whole addresses.
        self.app = FastAPI(
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        )
        self.app.add_exception_handler(HTTPException, self._refuse)
        for bound in sorted(registry, key=_specific_first):
            self._add(bound)
        self.app.add_route("/openapi.json", self._show_document)
        self.app.add_route("/docs", self._show_page)

    @cached_property
    def document(self) -> Json:
        """The OpenAPI document, made when somebody first asks for it."""
        return openapi_document(self._registry)

    def _add(self, bound: Bound) -> None:
        rest = route_of(bound.procedure)
        wanted = _Wanted.by(bound.procedure, rest)

        async def endpoint(http: HttpRequest) -> Response:
            return await self._answer(bound, rest, wanted, http)

        self.app.add_route(PREFIX + rest.path, endpoint, methods=[rest.method], name=bound.procedure.name)

    async def _answer(self, bound: Bound, rest: Rest, wanted: "_Wanted", http: HttpRequest) -> Response:
        procedure = bound.procedure
        if http.method == "HEAD" and procedure.kind is Kind.SUBSCRIPTION:
            return Response(headers={"content-type": _EVENTS})  # whoever asks for the head would never stop listening
        request = await self._request_of(http.scope)
        try:
            if len(http.scope["query_string"]) > self._options.max_url_bytes:
                raise HTTPException(414)  # noqa: TRY301 - one road for every failure
            if procedure.takes_files:
                return await self._keep_files(bound, rest, http, request)
            body = await self._body(http) if wanted.has_body else b""

            def read() -> Any:
                return read_input(procedure, self._raw_input(wanted, http, body), as_text=True)

            value = await enter(bound, request, guard=self._guard, read_input=read, observe=self._observe)
            if procedure.kind is Kind.SUBSCRIPTION:
                return self._events(value, request, http.headers.get("last-event-id"))
            return Response(json_of(declared(procedure, value)), rest.status, media_type="application/json")
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            if isinstance(error, superjson.Unencodable):
                self._observe(procedure.name, "error", request, error=error)
            return problem(error, request)

    async def _keep_files(self, bound: Bound, rest: Rest, http: HttpRequest, request: Request) -> Response:
        """The answer to a form with files, which is read only when its sender is known and admitted."""
        if request.claims is None:
            raise NotSignedIn
        if http.headers.get("content-type", "").split(";")[0].strip().lower() != MULTIPART:
            raise HTTPException(415)
        options = self._options
        async with AsyncExitStack() as stack:

            async def read() -> Any:
                form = await stack.enter_async_context(
                    read_form(http, most_bytes=options.max_form_bytes, most_files=options.max_form_files)
                )
                given = {**form.fields, "files": list(form.parts), **http.path_params}
                return read_input(bound.procedure, given, as_text=True)

            value = await enter(bound, request, guard=self._guard, read_input=read, observe=self._observe)
            return Response(json_of(value), rest.status, media_type="application/json")

    # -- what comes in -------------------------------------------------------------------------------------------

    async def _body(self, http: HttpRequest) -> bytes:
        """The body, counted as it comes. Raises TooLarge, ClientDisconnect."""
        body = bytearray()
        async for chunk in http.stream():
            body += chunk
            if len(body) > self._options.max_body_bytes:
                raise TooLarge(self._options.max_body_bytes)
        return bytes(body)

    def _raw_input(self, wanted: "_Wanted", http: HttpRequest, body: bytes) -> object:
        """Path, query, body and Last-Event-ID as one object of the input's fields. Raises BadInput."""
        given: Json = self._parsed(http, body) if wanted.has_body else wanted.from_query(http)
        given.update(http.path_params)
        last = http.headers.get("last-event-id")
        if last and "lastEventId" in wanted.kinds:
            given["lastEventId"] = last
        return UNDEFINED if not given and wanted.is_optional else given

    def _parsed(self, http: HttpRequest, body: bytes) -> Json:
        if not body:
            return {}
        if http.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise HTTPException(415)
        text = body.removeprefix(superjson.BYTE_ORDER_MARK)
        try:
            parsed = superjson.parse_json(text, max_depth=self._options.max_depth)
        except (ValueError, RecursionError):
            raise BadInput("The body is not JSON that can be read.") from None
        if not isinstance(parsed, dict):
            raise BadInput("The body is a JSON object.")
        return parsed

    # -- what goes out -------------------------------------------------------------------------------------------

    def _events(self, source: Any, request: Request, last_id: str | None) -> Response:
        async def start() -> Any:
            return source

        chunks = events(
            start,
            failed=lambda error: problem_document(error, request),
            encode=superjson.plain,
            options=self._options.sse,
            disabled=NotFound(),
            last_id=last_id,
        )
        headers = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}
        return StreamingResponse(chunks, media_type=_EVENTS, headers=headers)

    async def _refuse(self, http: HttpRequest, error: Exception) -> Response:
        """What no route answers, as a problem; a method refused is told which ones there are."""
        if isinstance(error, HTTPException) and error.status_code == 405:  # noqa: PLR2004 - the status itself
            error = HTTPException(405, headers={"allow": ", ".join(self._methods(http))})
        return problem(error, await self._request_of(http.scope))

    def _methods(self, http: HttpRequest) -> list[str]:
        routes = (route for route in self.app.routes if route.matches(http.scope)[0] is not Match.NONE)
        return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})

    async def _show_document(self, _: HttpRequest) -> Response:
        return JSONResponse(self.document)

    async def _show_page(self, _: HttpRequest) -> Response:
        return HTMLResponse(docs_page(self.document))


def _specific_first(bound: Bound) -> tuple[str, int, str]:
    """Literal paths before templates, so that /doctors/pending is not a slug."""
    rest = route_of(bound.procedure)
    return (rest.method, rest.path.count("{"), rest.path)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a procedure's input takes from a request: its fields, and the JSON type each has in a query."""

    has_body: bool
    is_optional: bool
    kinds: Mapping[str, str]

    @classmethod
    def by(cls, procedure: Procedure, rest: Rest) -> "_Wanted":
        """Worked out once for each route."""
        has_body = rest.method not in METHODS_WITHOUT_BODY and procedure.input is not None
        return cls(has_body, procedure.input_optional, query_kinds(procedure))

    def from_query(self, http: HttpRequest) -> Json:
        """Query parameters as the input's fields: the last of a repeated one, or all of them for a list."""
        given: Json = {}
        for name, value in http.query_params.multi_items():
            kind = self.kinds.get(name)
            if kind is not None and kind.startswith("array "):
                given.setdefault(name, []).append(_typed(value, kind.removeprefix("array ")))
            elif kind is not None:
                given[name] = _typed(value, kind)
        return given


def _typed(value: str, kind: str) -> object:
    """A text from an address as the JSON type its field has; what does not fit is left for the schema to refuse."""
    if kind in ("integer", "number") and re.fullmatch(r"-?\d{1,15}(\.\d{1,10})?", value, re.ASCII):
        return float(value) if "." in value else int(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def json_of(value: object) -> bytes:
    """A value as plain JSON: dates in ISO with milliseconds, undefined keys left out, nothing at all as null."""
    tree = superjson.plain(as_wire(value))
    return superjson.json_text(None if tree is UNDEFINED else tree)
