"""The procedures as a TypeScript type: what `@trpc/client` v11 asks of a router to check a program against it.

A date of an answer is a Date, for superjson restores it; one of an input is the ISO text the schema asks for. What only
a form can bring and what has not been built are left out.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from anamnesis.edge.openapi import described
from anamnesis.kernel.procedures import Kind, Procedure, Registry

Json = Mapping[str, Any]

_HEAD: Final = """\
// The procedures of this version of Anamnesis, printed by `anamnesis types`. Use it with superjson:
//   createTRPCClient<AppRouter>({ links: [httpBatchLink({ url: ".../api/trpc", transformer: superjson })] })
import type {
  TRPCBuiltRouter,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCSubscriptionProcedure,
} from "@trpc/server";

type Query<Input, Output> = TRPCQueryProcedure<{ input: Input; output: Output; meta: object }>;
type Mutation<Input, Output> = TRPCMutationProcedure<{ input: Input; output: Output; meta: object }>;
// An event has an id to go on from, or is what is told besides.
type Subscription<Input, Event, Besides = never> = TRPCSubscriptionProcedure<{
  input: Input;
  output: AsyncIterable<{ id: string; data: Event } | Besides>;
  meta: object;
}>;
// What was wrong with an input, by its field; null when something else was.
type ErrorShape = TRPCDefaultErrorShape & {
  data: { zodError: { formErrors: Array<string>; fieldErrors: Record<string, Array<string> | undefined> } | null };
};
"""
_ROUTER: Final = """\
export type AppRouter = TRPCBuiltRouter<
  { ctx: object; meta: object; errorShape: ErrorShape; transformer: true },
  Procedures
>;
"""
_WORDS: Final = {Kind.QUERY: "Query", Kind.MUTATION: "Mutation", Kind.SUBSCRIPTION: "Subscription"}
_SCALARS: Final = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*")


def app_router(registry: Registry) -> str:
    """The whole declaration: one type for each named shape, and AppRouter."""
    procedures = [bound.procedure for bound in registry if _is_callable(bound.procedure)]
    schemas, components = described(procedures)
    inputs = _reached([schemas[key] for key in schemas if key.endswith(" input")], components)
    named = [
        f"export type {_type_name(name)} = {_type(schema, is_input=name in inputs)};"
        for name, schema in sorted(components.items())
    ]
    return "\n".join([_HEAD, *named, "", _record(procedures, schemas), _ROUTER])


def _is_callable(procedure: Procedure) -> bool:
    is_built = procedure.output is not None or procedure.kind is Kind.SUBSCRIPTION
    return is_built and not procedure.takes_files


def _record(procedures: Iterable[Procedure], schemas: Mapping[str, Json]) -> str:
    by_router: dict[str, list[str]] = {}
    for procedure in procedures:
        router, _, name = procedure.name.partition(".")
        words = f"    /** {procedure.summary} */\n    {name}: {_procedure(procedure, schemas)};"
        by_router.setdefault(router, []).append(words)
    routers = (f"  {router}: {{\n" + "\n".join(lines) + "\n  };" for router, lines in by_router.items())
    return "export type Procedures = {\n" + "\n".join(routers) + "\n};\n"


def _procedure(procedure: Procedure, schemas: Mapping[str, Json]) -> str:
    given = schemas.get(f"{procedure.name} input")
    input_ = "void" if given is None else _type(given, is_input=True)
    optional = " | undefined" if procedure.input_optional else ""
    answer = schemas.get(f"{procedure.name} output")
    output = "unknown" if answer is None else _type(answer, is_input=False)
    besides = schemas.get(f"{procedure.name} untracked")
    more = "" if besides is None else f", {_type(besides, is_input=False)}"
    return f"{_WORDS[procedure.kind]}<{input_}{optional}, {output}{more}>"


def _reached(schemas: Sequence[Any], components: Mapping[str, Json]) -> frozenset[str]:
    """The names of the shapes these refer to, and of those that these refer to in turn."""
    found: set[str] = set()
    waiting = list(schemas)
    while waiting:
        new = set(_references(waiting.pop())) - found
        found |= new
        waiting += [components[name] for name in new]
    return frozenset(found)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for each in schema.values():
            yield from _references(each)


def _type_name(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _type(schema: Json, *, is_input: bool) -> str:
    if "$ref" in schema:
        return _type_name(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    for way in ("anyOf", "oneOf"):
        if way in schema:
            return " | ".join(dict.fromkeys(_type(each, is_input=is_input) for each in schema[way]))
    kind = schema.get("type")
    if kind == "string" and schema.get("format") == "date-time" and not is_input:
        return "Date"
    if kind == "array":
        return f"Array<{_type(schema.get('items', {}), is_input=is_input)}>"
    if kind == "object" or "properties" in schema:
        return _object(schema, is_input=is_input)
    return _SCALARS.get(str(kind), "unknown")


def _object(schema: Json, *, is_input: bool) -> str:
    properties = schema.get("properties")
    if properties is None:
        rest = schema.get("additionalProperties")
        return f"Record<string, {_type(rest, is_input=is_input) if isinstance(rest, dict) else 'unknown'}>"
    # What has a default may be left out of an input, and is always there in an answer.
    needed = {
        *schema.get("required", ()),
        *(name for name in properties if not is_input and "default" in properties[name]),
    }
    fields = (
        f"{name if _NAME.fullmatch(name) else json.dumps(name)}{'' if name in needed else '?'}:"
        f" {_type(each, is_input=is_input)}"
        for name, each in properties.items()
    )
    return "{ " + "; ".join(fields) + " }" if properties else "Record<string, never>"
