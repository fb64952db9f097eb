"""The small router the recorded exchanges were taken from, declared on our own registry and schemas."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import TypeAdapter, model_validator

from anamnesis.edge.events import Returned, SseOptions
from anamnesis.edge.faults import TRPC_FAULTS, Fault
from anamnesis.edge.trpc import TrpcApp, TrpcError, TrpcOptions
from anamnesis.kernel.identity import Person, Role, Visitor
from anamnesis.kernel.javascript import (
    ABSENT,
    UNDEFINED,
    BigInt,
    FarDate,
    InvalidDate,
    JsError,
    JsMap,
    JsSet,
    RegExp,
    TypedArray,
    Url,
)
from anamnesis.kernel.procedures import Allow, Procedures, Registry, Request, Tracked
from anamnesis.schema import (
    ONE_OF,
    Anything,
    Date,
    DatetimeText,
    Email,
    Input,
    Maybe,
    Nothing,
    UrlText,
    UuidText,
    custom,
    items,
    number,
    text,
)

D = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
Raw = Annotated[str, text(cleaned=False)]
Number = Annotated[float, number()]
procedures = Procedures()
PUBLIC = Allow.PUBLIC


def given(model: Input) -> dict[str, object]:
    """What zod hands a resolver: the declared keys that came, with their defaults."""
    fields = type(model).model_fields
    shown = {}
    for name, field in fields.items():
        value = getattr(model, name)
        if name in model.model_fields_set or value is not UNDEFINED:
            shown[field.alias or name] = given(value) if isinstance(value, Input) else value
    return shown


class Echo(Input):
    text: Annotated[str, text(1, cleaned=False)]
    when: Maybe[Date] = UNDEFINED
    tags: Anything = UNDEFINED


class Fail(Input):
    code: Raw
    message: Maybe[Raw] = UNDEFINED


class Id(Input):
    id: UuidText


class Profile(Input):
    nick: Annotated[str, text(3, cleaned=False)]
    born: Maybe[Date] = UNDEFINED


class Strict(Input):
    email: Email
    age: Annotated[int, number(whole=True, above=0)]
    id: Maybe[UuidText] = UNDEFINED
    tags: Maybe[Annotated[list[Annotated[str, text(0, 3, cleaned=False)]], items(2)]] = UNDEFINED
    kind: Maybe[Annotated[Literal["qr_scan", "direct_url", "referral"], ONE_OF]] = UNDEFINED
    profile: Maybe[Profile] = UNDEFINED
    limit: Annotated[float, number(at_least=1, at_most=100)] = 50
    datetime: Maybe[DatetimeText] = UNDEFINED
    url: Maybe[UrlText] = UNDEFINED


class Status(Input):
    status: Annotated[Literal["active", "all"], ONE_OF] = "active"


class Ordered(Input):
    a: Number
    b: Number

    @model_validator(mode="after")
    def _a_below_b(self):
        if not self.a < self.b:
            raise custom("a must be below b")
        return self


class Slow(Input):
    ms: Number
    tag: Raw


class Pair(Input):
    a: Number
    b: Number


class Ticks(Input):
    count: Number
    last_event_id: Maybe[Raw] = UNDEFINED


class Resume(Input):
    last_event_id: Maybe[Raw] = UNDEFINED


class A(Input):
    a: Raw


class Thrown(Exception):
    """A plain exception with words of its own."""


@procedures.query("echo", allow=PUBLIC, input=Echo)
async def echo(_, body):
    return given(body)


@procedures.query("ping", allow=PUBLIC)
async def ping(_):
    return "pong"


@procedures.query("voidOut", allow=PUBLIC)
async def void_out(_):
    return UNDEFINED


@procedures.query("nullOut", allow=PUBLIC)
async def null_out(_):
    return None


@procedures.query("fail", allow=PUBLIC, input=Fail)
async def fail(_, body):
    failure = TrpcError(body.code, f"fail {body.code}" if body.message is UNDEFINED else body.message)
    # There a code nobody knows is thrown as it is; ours are checked where they are written.
    failure.fault = TRPC_FAULTS.get(body.code, Fault(body.code, UNDEFINED, 500))
    raise failure


@procedures.query("failNoMessage", allow=PUBLIC)
async def fail_no_message(_):
    raise TrpcError("CONFLICT")


@procedures.query("failCause", allow=PUBLIC)
async def fail_cause(_):
    raise TrpcError("CONFLICT", cause=Thrown("the cause"))


@procedures.query("throwPlain", allow=PUBLIC)
async def throw_plain(_):
    raise Thrown("plain boom")


@procedures.query("throwString", allow=PUBLIC)
async def throw_string(_):
    raise Thrown("just a string")


@procedures.query("throwObject", allow=PUBLIC)
async def throw_object(_):
    raise Thrown("object message")


@procedures.query("throwZod", allow=PUBLIC)
async def throw_zod(_):
    TypeAdapter(A).validate_python({"a": 1})


@procedures.query("protected")
async def protected(context):
    return {"userId": context.actor.subject}


@procedures.query("protectedInput", input=Id)
async def protected_input(context, body):
    return {"userId": context.actor.subject, "id": body.id}


@procedures.query("badOutput", allow=PUBLIC, output=A)
async def bad_output(_):
    return {"a": 1}


@procedures.query("strict", allow=PUBLIC, input=Strict)
async def strict(_, body):
    return given(body)


@procedures.query("optionalInput", allow=PUBLIC, input=Status, input_optional=True)
async def optional_input(_, body):
    return {"got": UNDEFINED if body is None else given(body)}


@procedures.query("refine", allow=PUBLIC, input=Ordered)
async def refine(_, body):
    return "ok"


@procedures.query("slow", allow=PUBLIC, input=Slow)
async def slow(_, body):
    await asyncio.sleep(body.ms / 1000)
    return body.tag


@procedures.query("types", allow=PUBLIC)
async def types(_):
    return {
        "date": at(),
        "undef": UNDEFINED,
        "nul": None,
        "map": JsMap([["k", at()]]),
        "set": JsSet([1, 2]),
        "big": BigInt(12345678901234567890),
        "nan": float("nan"),
        "inf": float("inf"),
        "ninf": float("-inf"),
        "nzero": -0.0,
        "url": Url("https://example.test/a?b=c#d"),
        "re": RegExp("a.b\\/c", "gi"),
        "err": JsError("MyError", "oops"),
        "list": [at(), UNDEFINED, {"when": at()}],
        "dotted.key": {"a.b": at(), "back\\slash": at()},
        "num": 1.5,
        "str": 'é "q" \u2028 <',
        "bool": True,
        "empty": {},
        "emptyList": [],
    }


def at():
    """The one Date of the router: one object, as there."""
    return D


@procedures.query("shared", allow=PUBLIC)
async def shared(_):
    one = {"id": 1, "at": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)}
    return {"a": one, "b": one, "list": [one]}


async def later():
    await asyncio.sleep(0.02)
    return {"at": D}


async def later_fails():
    await asyncio.sleep(0.02)
    raise TrpcError("CONFLICT", "late failure")


@procedures.query("deferred", allow=PUBLIC)
async def deferred(_):
    return {"now": 1, "later": later()}


@procedures.query("deferredFail", allow=PUBLIC)
async def deferred_fail(_):
    return {"now": 1, "later": later_fails()}


async def three():
    yield 1
    await asyncio.sleep(0.01)
    yield {"at": D}
    yield Returned("end")


async def one_then_failure():
    yield 1
    raise TrpcError("NOT_FOUND", "mid-stream")


@procedures.query("iter", allow=PUBLIC)
async def iter_(_):
    return three()


@procedures.query("iterFail", allow=PUBLIC)
async def iter_fail(_):
    return one_then_failure()


@procedures.mutation("add", allow=PUBLIC, input=Pair)
async def add(_, body):
    return {"sum": body.a + body.b}


@procedures.mutation("touch", allow=PUBLIC)
async def touch(_):
    return {"ok": True}


@procedures.mutation("voidMut", allow=PUBLIC, input=Nothing)
async def void_mut(_, body):
    return UNDEFINED


@procedures.mutation("anyMut", allow=PUBLIC, input=Anything)
async def any_mut(_, body):
    return describe(body)


@procedures.mutation("protectedMut")
async def protected_mut(context):
    return {"userId": context.actor.subject}


@procedures.subscription("ticks", allow=PUBLIC, input=Ticks)
async def ticks(_, body):
    last = body.last_event_id or "0"
    if not last.isdecimal():
        return  # there it counts from NaN, and nothing is more than that
    first = int(last) + 1
    for n in range(first, int(body.count) + 1):
        yield Tracked(str(n), {"n": n, "at": D})


@procedures.subscription("ticksBare", allow=PUBLIC)
async def ticks_bare(_):
    for value in (1, "two", {"three": D}, UNDEFINED):
        yield value


@procedures.subscription("ticksMixed", allow=PUBLIC, input=Resume, input_optional=True)
async def ticks_mixed(_, body):
    yield Tracked("a", 1)
    yield 2
    yield Tracked("b", 3)


@procedures.subscription("ticksFail", allow=PUBLIC)
async def ticks_fail(_):
    yield Tracked("1", {"n": 1})
    raise TrpcError("CONFLICT", "tick failed")


@procedures.subscription("ticksThrow", allow=PUBLIC)
async def ticks_throw(_):
    yield Tracked("1", {"n": 1})
    raise Thrown("plain tick boom")


@procedures.subscription("ticksSlow", allow=PUBLIC)
async def ticks_slow(_):
    yield Tracked("1", 1)
    await asyncio.sleep(0.13)
    yield Tracked("2", 2)


@procedures.subscription("ticksForever", allow=PUBLIC)
async def ticks_forever(_):
    n = 0
    while True:
        n += 1
        yield Tracked(str(n), n)
        await asyncio.sleep(0.04)


@procedures.subscription("ticksReturn", allow=PUBLIC)
async def ticks_return(_):
    yield 1
    yield Returned("ignored")


@procedures.subscription("ticksProtected")
async def ticks_protected(context):
    yield Tracked("1", {"userId": context.actor.subject})


@procedures.query("nested.deep.ping", allow=PUBLIC)
async def nested(_):
    return "deep pong"


def describe(value, seen=None, path="$"):
    """The neutral tagged form of a decoded value, for comparing decoders across languages."""
    seen = {} if seen is None else seen
    if value is UNDEFINED:
        return {"$": "undefined"}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        special = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "-0.0": "-0"}.get(str(value))
        return value if special is None else {"$": "number", "v": special}
    if isinstance(value, BigInt):
        return {"$": "bigint", "v": str(value.value)}
    if id(value) in seen:
        return {"$": "ref", "v": seen[id(value)]}
    seen[id(value)] = path
    return describe_object(value, seen, path)


def describe_object(value, seen, path):
    match value:
        case datetime():
            return {"$": "Date", "v": value.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        case FarDate(words):
            return {"$": "Date", "v": words}
        case InvalidDate():
            return {"$": "Date", "v": "Invalid Date"}
        case Url(href):
            return {"$": "URL", "v": href}
        case RegExp(source, flags):
            return {"$": "regexp", "v": f"/{source}/{flags}"}
        case JsError():
            cause = (
                {} if value.cause in (ABSENT, UNDEFINED) else {"cause": describe(value.cause, seen, f"{path}.cause")}
            )
            return {"$": "Error", "v": {"name": value.name, "message": value.message, **cause}}
        case JsMap():
            pairs = [
                [describe(k, seen, f"{path}.{i}.0"), describe(v, seen, f"{path}.{i}.1")]
                for i, (k, v) in enumerate(value.entries)
            ]
            return {"$": "map", "v": pairs}
        case JsSet():
            return {"$": "set", "v": [describe(x, seen, f"{path}.{i}") for i, x in enumerate(value.members)]}
        case TypedArray(kind, values):
            return {"$": "typed-array", "c": kind, "v": list(values)}
        case list():
            return [describe(x, seen, f"{path}.{i}") for i, x in enumerate(value)]
    return {"$": "object", "v": {k: describe(x, seen, f"{path}.{k}") for k, x in value.items()}}


class GoldenGuard:
    """Lets everybody in but to protected procedures, with the recorded words."""

    async def admit(self, procedure, request):
        if request.claims is None:
            if procedure.allow is not Allow.PUBLIC:
                raise TrpcError("UNAUTHORIZED", "You must be logged in to access this resource")
            return Visitor()
        return Person(user_id=None, subject=request.claims, primary_role=Role.PATIENT)


async def request_of(scope):
    authorization = dict(scope["headers"]).get(b"authorization", b"").decode()
    token = authorization.removeprefix("Bearer ")
    if token == "explode":
        raise Thrown("context exploded")
    return Request("r", claims=token or None)


def meta(paths, kind, errors, calls):
    import json

    return {
        "cache-control": "public, max-age=60",
        "x-test": json.dumps([paths, kind, errors, calls], separators=(",", ":")),
    }


NO_PING = SseOptions(ping_s=None)
BASE = {"expose_errors": True, "check_outputs": True, "max_batch": None, "sse": NO_PING}

#: The options each recorded server ran with, by how the recordings name them.
SERVERS = {
    "fetch adapter, default options": {},
    "fetch adapter, allowMethodOverride: true": {"allow_method_override": True},
    "no errorFormatter, no transformer": {"plain": True, "with_zod_error": False},
    "standalone adapter, maxBodySize: 200, no CORS": {"max_body_bytes": 200},
    "fetch adapter, maxBatchSize: 3": {"max_batch": 3},
    "fetch adapter with responseMeta": {"response_meta": meta},
    "standalone adapter with cors()": {"cors": True},
    "fetch adapter, allowBatching: false": {"allow_batching": False},
    "sse: ping 50 ms, client.reconnectAfterInactivityMs 5000": {
        "sse": SseOptions(ping_s=0.05, client={"reconnectAfterInactivityMs": 5000})
    },
    "sse: maxDurationMs 100": {"sse": SseOptions(ping_s=None, max_duration_s=0.1)},
    "sse: emitAndEndImmediately": {},
    "sse: enabled false": {"sse": SseOptions(enabled=False)},
    "jsonl: pingMs 30": {"jsonl_ping_s": 0.03},
}


def app_for(server: str) -> TrpcApp:
    registry = Registry()
    registry.add(procedures, services=None)
    options = SERVERS.get(server, {"include_stack": True})  # a development server names the variable that makes it one
    return TrpcApp(registry, guard=GoldenGuard(), request_of=request_of, options=TrpcOptions(**{**BASE, **options}))
