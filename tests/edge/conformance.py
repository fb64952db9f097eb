"""Replay recorded exchanges and superjson vectors from a folder: name each failure, close with the count.

usage: python tests/edge/conformance.py FOLDER
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

from golden_router import app_for, describe

from anamnesis.edge import superjson
from anamnesis.edge.superjson.restoring import restore
from anamnesis.kernel import javascript as js


async def answer_of(app, request):
    """The application's answer to a recorded request: status, headers, body."""
    parts = urlsplit(request["url"])
    body = request["body"] or b""
    body = body.encode(errors="surrogatepass") if isinstance(body, str) else body
    headers = [(name.lower().encode(), str(value).encode()) for name, value in request["headers"].items()]
    scope = {
        "type": "http",
        "method": request["method"],
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": headers,
    }
    sent, pending = [], [{"type": "http.request", "body": body}]

    async def receive():
        if pending:
            return pending.pop()
        await asyncio.Event().wait()
        return None

    async def send(message):
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), 10)
    answered = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(message.get("body", b"") for message in sent[1:]).decode()


def differences(recorded, status, headers, body):
    """What differs from the recording, by the rules of the protocol notes."""
    wanted = recorded["response"]
    if status != wanted["status"]:
        yield f"status {status}, recorded {wanted['status']}"
    for name, value in wanted["headers"].items():
        if name != "transfer-encoding" and headers.get(name) != value:
            yield f"header {name}: {headers.get(name)!r}, recorded {value!r}"
    kind = wanted["headers"].get("content-type", "")
    if kind == "text/event-stream":
        pair = [event_list(text) for text in (body, wanted["body"])]
    elif HEAD_LINE.match(wanted["body"]):
        pair = [line_list(text) for text in (body, wanted["body"])]
    elif not wanted["body"]:
        pair = [body, wanted["body"]]
    else:
        pair = [comparable(json.loads(text)) for text in (body, wanted["body"])]
    if pair[0] != pair[1]:
        yield f"body {pair[0]!r}\n      recorded {pair[1]!r}"


HEAD_LINE = re.compile(r'(?:\{"json":)?\{"0":\[\[0\],\[null,0,0\]\]')


def event_list(text):
    events = [event for event in text.split("\n\n\n") if event]
    return [event for event in events if not event.startswith("event: ping")]


def line_list(text):
    """Lines with chunk ids renamed in order of each call's own chain, so that concurrent calls may change places."""
    lines = [enveloped(json.loads(line)) for line in text.split("\n") if line.strip()]
    if not lines:
        return lines
    head, rest = lines[0], lines[1:]
    names = {chunk[1][2]: f"call {index}" for index, chunk in head["json"].items()}
    renamed = []
    for line in rest:
        chunk, status, *value = line["json"]
        for described in value[0][1:] if isinstance(value[0], list) else []:
            names[described[2]] = f"{names[chunk]}.{described[0]}"
            described[2] = names[described[2]]
        renamed.append((names[chunk], status, comparable(value), line.get("meta")))
    return [comparable(head), *sorted(renamed, key=lambda each: each[0])]


def enveloped(line):
    """A line of a server without superjson is the bare value."""
    return line if isinstance(line, dict) and "json" in line else {"json": line}


SYNTAX = re.compile(r"JSON|Unexpected|Expecting|Extra data|Unterminated|Invalid control|Invalid \\escape|delimiter")


def comparable(value):
    """The value with the words of a JSON syntax error and of a stack left out."""
    if isinstance(value, dict):
        kept = {name: comparable(inner) for name, inner in value.items() if name != "stack"}
        data = kept.get("data")
        if isinstance(data, dict) and data.get("code") in ("BAD_REQUEST", "PARSE_ERROR") and data.get("path"):
            message = str(kept.get("message"))
            if not message.startswith("[") and SYNTAX.search(message):
                kept["message"] = "(syntax)"
        return kept
    return [comparable(inner) for inner in value] if isinstance(value, list) else value


def restored(tagged, refs=None, path="$"):
    """The value a neutral tagged form stands for."""
    refs = {} if refs is None else refs
    if isinstance(tagged, list):
        made = refs[path] = []
        made.extend(restored(x, refs, f"{path}.{i}") for i, x in enumerate(tagged))
        return made
    if not isinstance(tagged, dict):
        return tagged
    return restored_object(tagged, refs, path)


def restored_object(tagged, refs, path):
    kind, value = tagged["$"], tagged.get("v")
    if kind == "ref":
        return refs[value]
    if kind == "object":
        made = refs[path] = {}
        made.update((k, restored(x, refs, f"{path}.{k}")) for k, x in value.items())
        return made
    if kind == "map":
        made = refs[path] = js.JsMap()
        made.entries.extend(
            [restored(k, refs, f"{path}.{i}.0"), restored(v, refs, f"{path}.{i}.1")] for i, (k, v) in enumerate(value)
        )
        return made
    if kind == "set":
        made = refs[path] = js.JsSet()
        made.members.extend(restored(x, refs, f"{path}.{i}") for i, x in enumerate(value))
        return made
    made = refs[path] = LEAVES[kind](tagged, refs, path)
    return made


def restored_error(tagged, refs, path):
    value = tagged["v"]
    cause = restored(value["cause"], refs, f"{path}.cause") if "cause" in value else js.ABSENT
    return js.JsError(value["name"], value["message"], cause)


LEAVES = {
    "undefined": lambda tagged, refs, path: js.UNDEFINED,
    "Date": lambda tagged, refs, path: restore(tagged["v"], "Date"),
    "number": lambda tagged, refs, path: restore(tagged["v"], "number"),
    "bigint": lambda tagged, refs, path: js.BigInt(int(tagged["v"])),
    "URL": lambda tagged, refs, path: js.Url(tagged["v"]),
    "regexp": lambda tagged, refs, path: restore(tagged["v"], "regexp"),
    "Error": restored_error,
    "typed-array": lambda tagged, refs, path: js.TypedArray(tagged["c"], tuple(tagged["v"])),
}


def vector_differences(vector, *, encodes):
    if "error" in vector:
        yield from refusal_differences(vector)
        return
    if encodes and not NOT_IN_PYTHON.search(vector["name"]):
        text = superjson.json_text(superjson.envelope(restored(vector["value"]))).decode()
        if text != vector["serialized"]:
            yield f"encoded {text}\n      recorded {vector['serialized']}"
    payload = superjson.parse_json(vector["serialized"].encode(), max_depth=100)
    decoded = describe(superjson.decode(payload))
    if decoded != vector["decoded"]:
        yield f"decoded {decoded!r}\n      recorded {vector['decoded']!r}"


#: Functions, symbols and instances of classes look like plain objects in the neutral form, and are values of the
#: recording's language alone: only their reading can be compared.
NOT_IN_PYTHON = re.compile("function|symbol|class")


def refusal_differences(vector):
    wanted = vector["error"].removeprefix("Error: ")
    try:
        if vector["serialized"] is None:
            superjson.envelope({FORBIDDEN_KEYS[vector["name"]]: 1})
        else:
            superjson.decode(superjson.parse_json(vector["serialized"].encode(), max_depth=100))
    except ValueError as refused:
        said = str(refused)
    else:
        said = "accepted"
    if said != wanted:
        yield f"said {said!r}, recorded {wanted!r}"


FORBIDDEN_KEYS = {
    "reject_key_proto": "__proto__",
    "reject_key_constructor": "constructor",
    "reject_key_prototype": "prototype",
}


async def replay(folder):
    """(name, differences) of every recording in the folder."""
    results = []
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        if "encode_decode" in found:
            results += vector_results(found)
        elif isinstance(found, list):
            results += [(f"{path.stem} {each['name']}", await exchange_differences(each)) for each in found]
        elif "request" in found:
            results.append((path.stem, await exchange_differences(found)))
    return results


async def exchange_differences(recorded):
    try:
        return list(differences(recorded, *await answer_of(app_for(recorded["server"]), recorded["request"])))
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def vector_results(vectors):
    for part, encodes in (("encode_decode", True), ("decode_only", False)):
        for vector in vectors[part]:
            found = guarded(lambda vector=vector, encodes=encodes: vector_differences(vector, encodes=encodes))
            yield f"vector {vector['name']}", found


def guarded(check):
    try:
        return list(check())
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def main():
    results = asyncio.run(replay(Path(sys.argv[1])))
    failures = [(name, found) for name, found in results if found]
    for name, found in failures:
        print(f"FAILED {name}")
        for difference in found:
            print(f"   {difference}")
    print(f"{len(results) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures or not results else 0


if __name__ == "__main__":
    sys.exit(main())
