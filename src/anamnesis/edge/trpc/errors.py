"""Failures as tRPC's clients see them."""

import traceback
from typing import Any

from pydantic import ValidationError

from anamnesis.edge.faults import TRPC_FAULTS, Fault, fault_of
from anamnesis.edge.issues import flatten, issue_text
from anamnesis.edge.trpc.options import TrpcOptions
from anamnesis.kernel.errors import AnamnesisError, BadInput, Issue
from anamnesis.kernel.procedures import Request
from anamnesis.schema import issues_of

Json = Any


class TrpcError(Exception):
    """A failure with a code of the protocol's own. Without a message it says its cause's, else its code."""

    def __init__(self, code: str, message: str | None = None, cause: BaseException | None = None) -> None:
        super().__init__(message if message is not None else str(cause) if cause is not None else code)
        self.fault = TRPC_FAULTS.get(code, TRPC_FAULTS["INTERNAL_SERVER_ERROR"])


class OutputInvalid(Exception):
    """A handler answered something else than it declares."""

    def __init__(self, issues: tuple[Issue, ...]) -> None:
        super().__init__("Output validation failed")
        self.issues = issues


def trpc_fault(error: BaseException) -> Fault:
    """What an error is called in the protocol."""
    return error.fault if isinstance(error, TrpcError) else fault_of(error)


def error_shape(
    error: BaseException, path: str | None, request: Request | None, options: TrpcOptions
) -> dict[str, Json]:
    """The error as ``{message, code, data}``, keys in the genuine server's order.

    Our own errors say their own words; an unexpected one gets a fixed text with the request's id, since an
    exception's words can hold a patient's. A path of None, as in errors of a request as a whole, is left out.
    """
    fault, issues = trpc_fault(error), _issues(error)
    data: dict[str, Json] = {"code": fault.code, "httpStatus": fault.status}
    if options.include_stack:
        data["stack"] = "".join(traceback.format_exception(error))
    if path is not None:
        data["path"] = path
    if options.with_zod_error:
        data["zodError"] = flatten(issues) if issues else None
    return {"message": _message(error, issues, request, options), "code": fault.json_rpc, "data": data}


def _issues(error: BaseException) -> tuple[Issue, ...]:
    if isinstance(error, BadInput | OutputInvalid):
        return error.issues
    return issues_of(error) if isinstance(error, ValidationError) else ()


def _message(error: BaseException, issues: tuple[Issue, ...], request: Request | None, options: TrpcOptions) -> str:
    if isinstance(error, BadInput) and issues:
        return issue_text(issues)
    if options.expose_errors:
        return issue_text(issues) if isinstance(error, ValidationError) else str(error)
    if isinstance(error, AnamnesisError | TrpcError):
        return str(error)
    reference = request.request_id if request else "unknown"
    return f"Something went wrong on our side. What was confirmed is safe (reference {reference})"
