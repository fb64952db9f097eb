"""Failures as problem documents (RFC 9457)."""

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from anamnesis.edge.faults import fault_of, retry_headers
from anamnesis.kernel.errors import AnamnesisError, BadInput
from anamnesis.kernel.procedures import Request

MEDIA_TYPE: Final = "application/problem+json"

#: By status: what a problem's type ends in when the framework found it, and its title.
_KNOWN: Final[dict[int, tuple[str, str]]] = {
    400: ("bad-request", "The request is not valid"),
    401: ("unauthorized", "Sign in first"),
    403: ("forbidden", "Not permitted"),
    404: ("not-found", "Not found"),
    405: ("method-not-supported", "This method does not exist here"),
    409: ("conflict", "Conflict"),
    413: ("payload-too-large", "Too large"),
    414: ("uri-too-long", "The address is too long"),
    415: ("unsupported-media-type", "Send JSON"),
    422: ("unprocessable-content", "The request cannot be followed"),
    429: ("too-many-requests", "Too many requests"),
    500: ("internal-server-error", "Something went wrong on our side"),
    501: ("not-implemented", "Not available yet"),
    503: ("service-unavailable", "Busy or restarting"),
}

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "Stable: `urn:anamnesis:problem:` and the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "Also in the header X-Request-Id, and in our log."},
        "errors": {
            "type": "array",
            "description": "What is wrong with which field of the input.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def problem_document(error: BaseException, request: Request) -> dict[str, Any]:
    """Any failure as ``{type, title, status, detail, request_id, errors?}``.

    Our own errors say their own words; of any other only the status is told.
    """
    status = error.status_code if isinstance(error, HTTPException) else fault_of(error).status
    kind, title = _KNOWN.get(status, ("problem", "The request failed"))
    document: dict[str, Any] = {
        "type": f"urn:anamnesis:problem:{kind}",
        "title": title,
        "status": status,
        "detail": str(error) if isinstance(error, AnamnesisError) else title,
        "request_id": request.request_id,
    }
    if isinstance(error, BadInput) and error.issues:
        document["errors"] = [
            {"field": ".".join(map(str, each.path)), "message": each.message} for each in error.issues
        ]
    return document


def problem(error: BaseException, request: Request) -> Response:
    """Any failure as an answer."""
    document = problem_document(error, request)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    headers |= retry_headers([error])
    return JSONResponse(document, document["status"], headers, MEDIA_TYPE)
