"""Validation issues in the two forms clients of the replaced service read: zod's issue list and its flattening."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from anamnesis.kernel.errors import BadInput, Issue
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Procedure
from anamnesis.schema import AS_TEXT, issues_of


def read_input(procedure: Procedure, raw: object, *, as_text: bool = False) -> Any:
    """The raw value as the procedure's own input type; None for an optional input that is undefined.

    as_text is for protocols without dates of their own, whose dates are ISO texts. Raises BadInput with every issue.
    """
    if procedure.input_optional and raw is UNDEFINED:
        return None
    try:
        return _adapter(procedure.input).validate_python(raw, context=AS_TEXT if as_text else None)
    except ValidationError as error:
        raise BadInput(issues=issues_of(error)) from None
    except RecursionError:
        raise BadInput("The input refers to itself.") from None


@cache
def _adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)


def issue_text(issues: Sequence[Issue]) -> str:
    """The issues as the genuine server puts them into an error's message: a JSON list, indented by two."""
    rendered = [
        {name: list(issue.path) if name == "path" else value for name, value in issue.details} for issue in issues
    ]
    return json.dumps(rendered, indent=2, ensure_ascii=False)


def flatten(issues: Sequence[Issue]) -> dict[str, Any]:
    """The issues' messages by the first segment of their paths; those of the whole input apart."""
    fields: dict[str, list[str]] = {}
    for issue in issues:
        if issue.path:
            fields.setdefault(str(issue.path[0]), []).append(issue.message)
    return {"formErrors": [issue.message for issue in issues if not issue.path], "fieldErrors": fields}
