"""The OpenAPI 3.1 document of the procedures, and the same as a page without scripts or other hosts."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticOmit, core_schema

from anamnesis.edge import problem
from anamnesis.edge.examples import answer_of, input_of
from anamnesis.edge.routes import METHODS_WITHOUT_BODY, PREFIX, fields_in_path, route_of
from anamnesis.kernel.javascript import UNDEFINED, Undefined
from anamnesis.kernel.procedures import Allow, Kind, Procedure, Registry, Rest

Json = dict[str, Any]
_Mode = Literal["validation", "serialization"]
_REF: Final = "#/components/schemas/{model}"


def openapi_document(registry: Registry) -> Json:
    """The whole document: paths in the registry's order, one operation for each procedure by its name."""
    procedures = [bound.procedure for bound in registry]
    schemas, components = described(procedures)
    paths: dict[str, Json] = {}
    for procedure in procedures:
        rest = route_of(procedure)
        operation = _operation(procedure, rest, schemas, components)
        paths.setdefault(PREFIX + rest.path, {})[rest.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Anamnesis",
            "version": "1",
            "description": "The procedures of the clinic as resources; the same are served as tRPC under /api/trpc. "
            "Times are ISO 8601 in UTC. Problems are RFC 9457 documents.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": problem.SCHEMA},
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


# -- operations --------------------------------------------------------------------------------------------------


def _operation(procedure: Procedure, rest: Rest, schemas: Mapping[str, Json], components: Mapping[str, Json]) -> Json:
    operation: Json = {
        "operationId": procedure.name,
        "summary": procedure.summary,
        "tags": [procedure.name.split(".")[0]],
        "security": [] if procedure.allow is Allow.PUBLIC else [{"session": []}],
        **_described_input(procedure, rest, _resolved(schemas.get(f"{procedure.name} input", {}), components)),
        "responses": {
            str(rest.status): _answer(procedure, _told(procedure, schemas)),
            "default": {
                "description": "A problem",
                "content": {problem.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
            },
        },
    }
    return operation


def _told(procedure: Procedure, schemas: Mapping[str, Json]) -> Json:
    told = [schemas[key] for key in (f"{procedure.name} output", f"{procedure.name} untracked") if key in schemas]
    return told[0] if len(told) == 1 else {"anyOf": told} if told else {}


def _answer(procedure: Procedure, schema: Json) -> Json:
    if procedure.kind is Kind.SUBSCRIPTION:
        return {
            "description": "Server-sent events, each with an id to resume from in Last-Event-ID",
            # What each event's data holds: OpenAPI 3.1 has no word of its own for the items of a stream.
            "content": {"text/event-stream": {"schema": {"type": "string"}, "x-event": schema}},
        }
    answer = answer_of(procedure.name)
    shown = {} if answer is None else {"example": answer}
    return {"description": "Done", "content": {"application/json": {"schema": schema, **shown}}}


def _described_input(procedure: Procedure, rest: Rest, schema: Json) -> Json:
    """The input as path and query parameters, and a body for what is left."""
    given = input_of(procedure.name)
    properties, required, in_path = schema.get("properties", {}), schema.get("required", []), fields_in_path(rest)
    has_body = rest.method not in METHODS_WITHOUT_BODY
    asked = [*sorted(in_path), *(() if has_body else (name for name in properties if name not in in_path))]
    parameters = [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or (name in required and not procedure.input_optional),
            "schema": properties.get(name, {"type": "string"}),
            **({"example": given[name]} if name in given else {}),
        }
        for name in asked
    ]
    body = {name: each for name, each in properties.items() if name not in in_path}
    described: Json = {"parameters": parameters} if parameters else {}
    if has_body and body:
        needed = [name for name in required if name not in in_path]
        content = {"type": "object", "properties": body, **({"required": needed} if needed else {})}
        example = {name: value for name, value in given.items() if name not in in_path}
        shown = {"schema": content, **({"example": example} if example else {})}
        described["requestBody"] = {
            "required": bool(needed) and not procedure.input_optional,
            "content": {("multipart/form-data" if procedure.takes_files else "application/json"): shown},
        }
    return described


# -- schemas -----------------------------------------------------------------------------------------------------


class _Schemas(GenerateJsonSchema):
    """JSON Schema of what REST carries: an undefined field is one that is not there."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the overridden signature
        """No titles: they would repeat the names."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """A default of undefined is no default."""
        if schema.get("default") is UNDEFINED:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """Undefined is no value of JSON's."""
        if schema["cls"] is Undefined:
            raise PydanticOmit
        return super().enum_schema(schema)

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: FBT001 - the overridden signature
        """A field that may be undefined may be missing."""
        return super().field_is_required(field, total) and not _may_be_undefined(field["schema"])


def _may_be_undefined(schema: Any) -> bool:
    if schema["type"] == "union":
        return any(_may_be_undefined(choice) for choice in schema["choices"])
    if schema["type"] == "enum":
        return schema["cls"] is Undefined
    return "schema" in schema and isinstance(schema["schema"], dict) and _may_be_undefined(schema["schema"])


def described(procedures: Iterable[Procedure]) -> tuple[dict[str, Json], dict[str, Json]]:
    """Schemas by ``<procedure> input``, ``output`` and ``untracked``, and the named ones they refer to."""
    wanted: list[tuple[str, _Mode, TypeAdapter[Any]]] = []
    for procedure in procedures:
        if procedure.input is not None:
            wanted.append((f"{procedure.name} input", "validation", TypeAdapter(procedure.input)))
        if procedure.output is not None:
            wanted.append((f"{procedure.name} output", "serialization", TypeAdapter(procedure.output)))
        if procedure.untracked is not None:
            wanted.append((f"{procedure.name} untracked", "serialization", TypeAdapter(procedure.untracked)))
    found, definitions = TypeAdapter.json_schemas(wanted, by_alias=True, ref_template=_REF, schema_generator=_Schemas)
    named = definitions.get("$defs", {})
    new_names = {name: _short(name) for name in named}
    schemas = {key: _renamed(schema, new_names) for (key, _), schema in found.items()}
    return schemas, {new_names[name]: _renamed(schema, new_names) for name, schema in named.items()}


def query_kinds(procedure: Procedure) -> Mapping[str, str]:
    """The JSON type of each field of the procedure's input; a list's is ``array`` and its members'."""
    return {} if procedure.input is None else _kinds_of(procedure.input)


@cache
def _kinds_of(wanted: Any) -> Mapping[str, str]:
    """By the type alone, once a process: schemas are slow to make, and an application may be built many times."""
    schema = TypeAdapter(wanted).json_schema(by_alias=True, ref_template=_REF, schema_generator=_Schemas)
    schema = _resolved(schema, schema.get("$defs", {}))
    return {name: _kind(each) for name, each in schema.get("properties", {}).items()}


def _kind(schema: Json) -> str:
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    kind = str(options[0].get("type", "string")) if options else "string"
    return f"array {_kind(options[0].get('items', {}))}" if kind == "array" else kind


def _short(name: str) -> str:
    """``anamnesis__intake__api__Sent``, which pydantic makes of equal names, as ``IntakeSent``."""
    parts = re.fullmatch(r"anamnesis__(\w+?)__(?:\w+__)?([A-Za-z0-9]+)", name)
    return parts[1].capitalize() + parts[2] if parts else name


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_renamed(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        name = schema["$ref"].rpartition("/")[2]
        return {**schema, "$ref": _REF.format(model=names.get(name, name))}
    return {key: _renamed(each, names) for key, each in schema.items() if key != "title" or not isinstance(each, str)}


def _resolved(schema: Json, components: Mapping[str, Json]) -> Json:
    """The schema a reference of an input as a whole points at."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return components.get(name, schema)


# -- the page ----------------------------------------------------------------------------------------------------


def docs_page(document: Mapping[str, Any]) -> str:
    """The document as one plain page, by tag: no script, no style of its own, no other host."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_row(method, path, operation))
    head = "".join(f"<th scope=col>{each}</th>" for each in ("tRPC", "REST", "What", "Parameters", "Body"))
    tables = "".join(
        f"<h2>{escape(tag)}</h2><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        for tag, rows in sorted(by_tag.items())
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>API – Anamnesis</title></head>'
        "<body><main><h1>Anamnesis API</h1><p>Each procedure is served twice: as tRPC under <code>/api/trpc</code> and "
        'as REST. The full schemas are in the <a href="/openapi.json">OpenAPI 3.1 document</a>.</p>'
        f"{tables}</main></body></html>"
    )


def _row(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = ", ".join(each["name"] + ("" if each["required"] else "?") for each in operation.get("parameters", ()))
    contents: Mapping[str, Json] = operation.get("requestBody", {}).get("content", {})
    content: Json = next((each["schema"] for each in contents.values()), {})
    needed = content.get("required", ())
    body = ", ".join(name + ("" if name in needed else "?") for name in content.get("properties", {}))
    cells = (
        f"<code>{escape(operation['operationId'])}</code>",
        f"<code>{escape(method.upper())} {escape(path)}</code>",
        escape(operation["summary"]),
        escape(parameters),
        escape(body),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
