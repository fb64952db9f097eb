"""The same procedures as resources: REST under /api/v1, its OpenAPI document, its page.

FastAPI is used for what it is best at, routing and the document; inputs and outputs are the procedures' own.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from anamnesis.edge import superjson
from anamnesis.edge.events import SseOptions, events
from anamnesis.edge.faults import fault_of
from anamnesis.edge.issues import read_input
from anamnesis.edge.running import Guard, Observe, enter, unobserved
from anamnesis.kernel.errors import AnamnesisError, BadInput, NotFound, TooLarge
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Bound, Kind, Procedure, Registry, Request, Rest

PREFIX: Final = "/api/v1"
_METHODS_WITHOUT_BODY: Final = frozenset({"GET", "DELETE"})
_PROBLEM: Final = "application/problem+json"
_TITLES: Final = {
    400: "The request is not valid", 401: "Sign in first", 403: "Not permitted", 404: "Not found",
    405: "This method does not exist here", 409: "Conflict", 413: "Too large", 415: "Send JSON",
    429: "Too many requests", 500: "Something went wrong", 501: "Not available yet", 503: "Busy or restarting",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RestOptions:
    """Bounds on a request, in bytes and levels of nesting."""

    max_body_bytes: int = 1 << 20
    max_depth: int = 100


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
        self._guard = guard
        self._request_of = request_of
        self._options = options or RestOptions()
        self._observe = observe
        self.app = FastAPI(
            title="Anamnesis", version="1", openapi_url="/openapi.json", docs_url=None, redoc_url=None,
            description="The procedures of the clinic as resources. Times are ISO 8601 in UTC; problems are RFC 9457.",
        )  # fmt: skip
        self.app.add_exception_handler(HTTPException, self._http_problem)
        for bound in sorted(registry, key=_specific_first):
            self._add(bound)
        self.app.add_route("/docs", self._docs, include_in_schema=False)

    def _add(self, bound: Bound) -> None:
        procedure = bound.procedure
        rest = route_of(procedure)

        async def endpoint(http: HttpRequest) -> Response:
            return await self._answer(bound, rest, http)

        is_model = isinstance(procedure.output, type) and issubclass(procedure.output, BaseModel)
        self.app.add_api_route(
            PREFIX + rest.path,
            endpoint,
            methods=[rest.method],
            status_code=rest.status,
            name=procedure.name,
            operation_id=procedure.name,
            summary=procedure.summary,
            tags=[procedure.name.split(".")[0]],
            response_model=None,
            responses={
                rest.status: {"model": procedure.output} if is_model else {"description": "Done"},
                "default": {"description": "A problem", "content": {_PROBLEM: {"schema": _PROBLEM_SCHEMA}}},
            },
            openapi_extra=_described_input(procedure, rest),
        )

    async def _answer(self, bound: Bound, rest: Rest, http: HttpRequest) -> Response:
        request = await self._request_of(http.scope)
        procedure = bound.procedure
        try:
            raw = await self._raw_input(procedure, rest, http)
            value = await enter(
                bound, request, guard=self._guard, read_input=lambda: read_input(procedure, raw), observe=self._observe
            )
        except Exception as error:  # noqa: BLE001 - the edge answers everything
            return problem(error, request)
        if procedure.kind is Kind.SUBSCRIPTION:
            return _events(value, request)
        return Response(json_of(value), rest.status, media_type="application/json")

    async def _raw_input(self, procedure: Procedure, rest: Rest, http: HttpRequest) -> object:
        """Path, query and body as one object of the input's fields. Raises BadInput or TooLarge."""
        if procedure.input is None:
            return UNDEFINED
        given: dict[str, Any] = {}
        if rest.method in _METHODS_WITHOUT_BODY:
            given.update(_from_query(procedure, http))
        else:
            given.update(await self._body(http))
        given.update(http.path_params)
        return UNDEFINED if not given and procedure.input_optional else given

    async def _body(self, http: HttpRequest) -> Mapping[str, Any]:
        body = bytearray()
        async for chunk in http.stream():
            body += chunk
            if len(body) > self._options.max_body_bytes:
                raise TooLarge(self._options.max_body_bytes)
        if not body:
            return {}
        if http.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise HTTPException(415)
        try:
            parsed = superjson.parse_json(bytes(body), max_depth=self._options.max_depth)
        except (ValueError, RecursionError):
            raise BadInput("The body is not JSON that can be read.") from None
        if not isinstance(parsed, dict):
            raise BadInput("The body is a JSON object.")
        return parsed

    async def _http_problem(self, http: HttpRequest, error: Exception) -> Response:
        return problem(error, await self._request_of(http.scope))

    async def _docs(self, _: HttpRequest) -> Response:
        return HTMLResponse(docs_page(self.app.openapi()))


def _specific_first(bound: Bound) -> tuple[str, int, str]:
    """Literal paths before templates, so that /doctors/pending is not a slug."""
    rest = route_of(bound.procedure)
    return (rest.method, rest.path.count("{"), rest.path)


def route_of(procedure: Procedure) -> Rest:
    """Where a procedure is found: its own route, or one made from its name."""
    if procedure.rest is not None:
        return procedure.rest
    method = "POST" if procedure.kind is Kind.MUTATION else "GET"
    return Rest(method, "/" + "/".join(_kebab(part) for part in procedure.name.split(".")))


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def _schema_of(procedure: Procedure) -> dict[str, Any]:
    return {} if procedure.input is None else TypeAdapter(procedure.input).json_schema(by_alias=True)


def _from_query(procedure: Procedure, http: HttpRequest) -> dict[str, Any]:
    """Query parameters as the input's fields, numbers and booleans read where the schema has them."""
    properties = _schema_of(procedure).get("properties", {})
    return {
        name: _typed(value, properties.get(name, {}).get("type"))
        for name, value in http.query_params.items()
        if name in properties
    }


def _typed(value: str, kind: str | None) -> object:
    if kind in ("integer", "number") and re.fullmatch(r"-?\d{1,15}(\.\d{1,10})?", value):
        return float(value) if "." in value else int(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _described_input(procedure: Procedure, rest: Rest) -> dict[str, Any]:
    """The input as OpenAPI: path and query parameters, and a body for what is left."""
    schema = _schema_of(procedure)
    properties, required = schema.get("properties", {}), set(schema.get("required", ()))
    in_path = set(re.findall(r"\{(\w+)\}", rest.path))
    has_body = rest.method not in _METHODS_WITHOUT_BODY
    parameters = [
        {"name": name, "in": "path" if name in in_path else "query", "required": name in in_path or name in required,
         "schema": properties.get(name, {"type": "string"})}
        for name in {**dict.fromkeys(in_path), **({} if has_body else properties)}
    ]  # fmt: skip
    left = {name: each for name, each in properties.items() if name not in in_path}
    described: dict[str, Any] = {"parameters": parameters}
    if has_body and left:
        body = {"type": "object", "properties": left, "required": sorted(required - in_path)}
        described["requestBody"] = {
            "required": bool(required - in_path),
            "content": {"application/json": {"schema": body}},
        }
    return described


_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def problem(error: BaseException, request: Request) -> Response:
    """Any failure as a problem document (RFC 9457): our own words, or a fixed text."""
    if isinstance(error, HTTPException):
        status, code = error.status_code, _TITLES.get(error.status_code, "Problem").lower().replace(" ", "-")
    else:
        fault = fault_of(error)
        status, code = fault.status, fault.code.lower().replace("_", "-")
    detail = str(error) if isinstance(error, AnamnesisError) else _TITLES.get(status, "Something went wrong")
    document: dict[str, Any] = {
        "type": f"urn:anamnesis:problem:{code}",
        "title": _TITLES.get(status, "Problem"),
        "status": status,
        "detail": detail,
        "request_id": request.request_id,
    }
    if isinstance(error, BadInput) and error.issues:
        document["errors"] = [
            {"field": ".".join(map(str, each.path)), "message": each.message} for each in error.issues
        ]
    wait = getattr(error, "retry_after_s", None)
    headers = {} if wait is None else {"retry-after": str(wait)}
    if isinstance(error, HTTPException) and error.headers:
        headers.update(error.headers)
    return JSONResponse(document, status, headers, _PROBLEM)


def json_of(value: object) -> bytes:
    """A value as plain JSON: dates in ISO with milliseconds, undefined keys left out."""
    plain = value.model_dump(by_alias=True) if isinstance(value, BaseModel) else value
    return superjson.json_text(superjson.envelope(_without_undefined(plain))["json"])


def _without_undefined(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_undefined(inner) for name, inner in value.items() if inner is not UNDEFINED}
    if isinstance(value, list | tuple):
        return [_without_undefined(inner) for inner in value]
    return None if value is UNDEFINED else value


def _events(source: Any, request: Request) -> Response:
    async def start() -> Any:
        return source

    chunks = events(
        start,
        failed=lambda error: {"status": fault_of(error).status, "request_id": request.request_id},
        encode=_without_undefined_dates,
        options=SseOptions(),
        disabled=NotFound(),
    )
    return StreamingResponse(
        chunks, media_type="text/event-stream", headers={"cache-control": "no-cache, no-transform"}
    )


def _without_undefined_dates(value: object) -> Any:
    return msgspec.json.decode(json_of(value))


def docs_page(document: Mapping[str, Any]) -> str:
    """The document as one plain page: no script, no other host."""
    rows = []
    for path, operations in sorted(document["paths"].items()):
        for method, operation in operations.items():
            fields = ", ".join(each["name"] for each in operation.get("parameters", ()))
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            sent = ", ".join(body.get("properties", {}))
            cells = (method.upper(), path, operation.get("summary", ""), fields, sent, operation["operationId"])
            rows.append("<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{each}</th>" for each in ("Method", "Path", "What", "Parameters", "Body", "tRPC"))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>API – Anamnesis</title>"
        "<h1>Anamnesis API</h1><p>The same procedures are served as tRPC under /api/trpc. "
        '<a href="/openapi.json">OpenAPI 3.1 document</a></p>'
        f"<table><tr>{head}</tr>{''.join(rows)}</table></html>"
    )


def api_markdown(registry: Registry) -> str:
    """Every procedure with its renderings, as a page of the documentation."""
    lines = [
        "# API",
        "",
        "Generated by `anamnesis api`; a test fails when it is stale. Every procedure is served as tRPC under",
        "`/api/trpc` and as REST under `/api/v1`. The full schemas are in `/openapi.json`. Procedures of the replaced",
        "system that are not ported answer NOT_IMPLEMENTED (501).",
        "",
        "| procedure | kind | who | REST | what |",
        "|---|---|---|---|---|",
    ]
    unported = []
    for bound in registry:
        procedure = bound.procedure
        if procedure.summary == "Not available yet.":
            unported.append(procedure.name)
            continue
        rest = route_of(procedure)
        where = f"`{rest.method} {PREFIX}{rest.path}`"
        lines.append(f"| `{procedure.name}` | {procedure.kind} | {procedure.allow} | {where} | {procedure.summary} |")
    return "\n".join([*lines, "", f"Not ported yet: {', '.join(f'`{name}`' for name in unported)}.", ""])


def _escaped(text: object) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
