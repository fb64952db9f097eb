"""From an error's kind to what each protocol calls it: one table, nothing else knows a status."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from anamnesis.kernel import errors


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of failure in the words of tRPC (name and JSON-RPC number) and HTTP (status)."""

    code: str
    json_rpc: int
    status: int


#: tRPC 11's own table (getErrorShape and getHTTPStatusCode in @trpc/server).
TRPC_FAULTS: Final[dict[str, Fault]] = {
    fault.code: fault
    for fault in (
        Fault("PARSE_ERROR", -32700, 400),
        Fault("BAD_REQUEST", -32600, 400),
        Fault("UNAUTHORIZED", -32001, 401),
        Fault("PAYMENT_REQUIRED", -32002, 402),
        Fault("FORBIDDEN", -32003, 403),
        Fault("NOT_FOUND", -32004, 404),
        Fault("METHOD_NOT_SUPPORTED", -32005, 405),
        Fault("TIMEOUT", -32008, 408),
        Fault("CONFLICT", -32009, 409),
        Fault("PRECONDITION_FAILED", -32012, 412),
        Fault("PAYLOAD_TOO_LARGE", -32013, 413),
        Fault("UNSUPPORTED_MEDIA_TYPE", -32015, 415),
        Fault("UNPROCESSABLE_CONTENT", -32022, 422),
        Fault("PRECONDITION_REQUIRED", -32028, 428),
        Fault("TOO_MANY_REQUESTS", -32029, 429),
        Fault("CLIENT_CLOSED_REQUEST", -32099, 499),
        Fault("INTERNAL_SERVER_ERROR", -32603, 500),
        Fault("NOT_IMPLEMENTED", -32603, 501),
        Fault("BAD_GATEWAY", -32603, 502),
        Fault("SERVICE_UNAVAILABLE", -32603, 503),
        Fault("GATEWAY_TIMEOUT", -32603, 504),
    )
}

_KINDS: Final[dict[type[errors.AnamnesisError], str]] = {
    errors.BadInput: "BAD_REQUEST",
    errors.NotSignedIn: "UNAUTHORIZED",
    errors.NotPermitted: "FORBIDDEN",
    errors.NotFound: "NOT_FOUND",
    errors.Conflict: "CONFLICT",
    errors.TooManyRequests: "TOO_MANY_REQUESTS",
    errors.TooLarge: "PAYLOAD_TOO_LARGE",
    errors.NotBuilt: "NOT_IMPLEMENTED",
    errors.Unreadable: "INTERNAL_SERVER_ERROR",
    errors.Unavailable: "SERVICE_UNAVAILABLE",
}


def fault_of(error: BaseException) -> Fault:
    """The fault an error is; anything not of our own kinds is INTERNAL_SERVER_ERROR."""
    for kind in type(error).__mro__:
        if kind in _KINDS:
            return TRPC_FAULTS[_KINDS[kind]]
    return TRPC_FAULTS["INTERNAL_SERVER_ERROR"]


def retry_headers(failures: Iterable[BaseException]) -> dict[str, str]:
    """When to try again, and for who called too often also how many calls a minute there are.

    Of several failures the one with the longest wait is told of.
    """
    waits = {wait: error for error in failures if (wait := getattr(error, "retry_after_s", None)) is not None}
    if not waits:
        return {}
    longest = max(waits)
    error, told = waits[longest], {"retry-after": str(longest)}
    if isinstance(error, errors.TooManyRequests) and error.limit:
        told |= {"ratelimit-limit": str(error.limit), "ratelimit-remaining": "0", "ratelimit-reset": str(longest)}
    return told
