"""What the replaced system was recorded to answer, asked of ours in the same order by the same people.

Every recorded key must be there, of the recorded kind and with the recorded annotation, under the recorded status and
code. Values differ where each system makes its own: ids, times, sentences. More keys are allowed. Two exchanges were
not recorded: "shape by its description" is what the replaced system is described to answer, with no value of it.
"""

import json
import re
from pathlib import Path
from urllib.parse import quote, unquote

from anamnesis.db.viewing import viewing
from build import ISSUER_OF_TESTS, WORKING, a_doctor, an_app, caller, claims, closing, http

EXCHANGES = json.loads((Path(__file__).parent / "recorded.json").read_text())
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WHO = {"Bearer <patient>": "patient", "Bearer <doctor>": "doctor"}
#: Answered otherwise on purpose, by the product's decisions: a repeated message is no error any more.
DECIDED = {"intake.sendMessage duplicate -> CONFLICT": 200}
#: A map of counters, whose keys are data.
MAPS = {"followUpCounts"}
#: The one time that was sent without a tag: every time has one now.
UNTAGGED = "conversations.0.latestMessage.createdAt"
KINDS = {bool: "boolean", str: "string", int: "number", float: "number", dict: "object", list: "array"}


class Replay:
    """Ids of the recording become ours as they appear in answers."""

    def __init__(self, ids):
        self.ids = dict(ids)
        self.wrong = []

    def translated(self, text):
        return UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def envelopes(self, recorded, ours, where):
        """Two answers to one call: both results, or both errors of one code."""
        if ("error" in recorded) != ("error" in ours):
            self.wrong.append(f"{where}: {ours}")
        elif "error" in recorded:
            self.shape(recorded["error"]["json"], ours["error"]["json"], {}, {}, f"{where} error")
            told = recorded["error"]["json"], ours["error"]["json"]
            if len({(each["code"], each["data"]["code"], each["data"]["httpStatus"]) for each in told}) != 1:
                self.wrong.append(f"{where}: {told[1]}")
        else:
            pair = recorded["result"]["data"], ours["result"]["data"]
            notes = [each.get("meta", {}).get("values", {}) for each in pair]
            self.shape(pair[0]["json"], pair[1]["json"], *notes, where)

    def shape(self, recorded, ours, recorded_notes, our_notes, where, path=""):
        if isinstance(recorded, str) and isinstance(ours, str) and UUID.fullmatch(recorded) and UUID.fullmatch(ours):
            self.ids.setdefault(recorded, ours)
        notes = [json.dumps(each.get(path)) if isinstance(each, dict) else None for each in (recorded_notes, our_notes)]
        is_null = recorded is None or ours is None
        if is_null and '["undefined"]' not in notes:
            return
        if notes[0] != notes[1] and path != UNTAGGED and not (is_null and recorded != ours):
            self.wrong.append(f"{where} {path}: annotated {notes[1]}, recorded {notes[0]}")
        if KINDS.get(type(recorded)) != KINDS.get(type(ours)) and not is_null:
            self.wrong.append(f"{where} {path}: {type(ours).__name__}, recorded {type(recorded).__name__}")
            return
        inner = (recorded_notes, our_notes, where)
        if isinstance(recorded, dict) and isinstance(ours, dict) and path not in MAPS:
            for name in recorded:
                if name not in ours:
                    if recorded_notes.get(f"{path}.{name}") == ["undefined"]:
                        continue  # to a client a key that is undefined and one that is absent are the same
                    self.wrong.append(f"{where} {path}.{name} is missing")
                else:
                    self.shape(recorded[name], ours[name], *inner, f"{path}.{name}" if path else name)
        elif isinstance(recorded, list) and recorded and isinstance(ours, list) and ours:
            self.shape(recorded[0], ours[0], *inner, f"{path}.0" if path else "0")


def envelopes_of(exchange, text):
    """The answers to the calls of one request, in their order, whatever form they came in."""
    if "trpc-accept" in exchange["request"]["headers"]:
        head, *lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        chunks = {line["json"][0]: line for line in lines}
        return [resolved(chunks, slot[1][2]) for slot in head["json"].values()]
    answer = json.loads(text)
    return answer if isinstance(answer, list) else [answer]


def resolved(chunks, number):
    """What a promise of a stream came to, as the envelope an ordinary answer would have been."""
    line = chunks[number]
    value, *promises = line["json"][2]
    if "error" in value[0]:
        return {"error": {"json": value[0]["error"]}}
    if promises:
        key, _, of = promises[0]
        return {key: resolved(chunks, of)}
    notes = {path.removeprefix("2.0.0."): note for path, note in line.get("meta", {}).get("values", {}).items()}
    return {"json": value[0], "meta": {"values": notes}}


async def ask(asgi, replay, exchange):
    request = exchange["request"]
    path, _, query = request["url"].partition("?")
    given = dict(request["headers"])
    bearer = given.pop("authorization", None)
    if bearer in WHO:
        given["authorization"] = f"Bearer {ISSUER_OF_TESTS.token(claims(WHO[bearer]))}"
    elif bearer is not None:
        given["authorization"] = bearer
    body = None if request["body"] is None else replay.translated(request["body"]).encode()
    query = "&".join(
        f"{name}{is_}{quote(replay.translated(unquote(value)))}"
        for name, is_, value in (each.partition("=") for each in query.split("&"))
    )
    return await http(asgi, request["method"], unquote(path), query=query, body=body, headers=given, stays=True)


async def test_every_recorded_exchange_is_answered_in_the_recorded_shape_and_code(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        profile = await a_doctor(app)
        with viewing(WORKING):
            await app.database.execute("UPDATE users SET image_url = 'https://img.example.test/d/2.png'")
        await caller(app, "patient").call("patient.createProfile")
        doctors = {"1e789953-320d-41cd-8d60-cbbceb4bff18": str(profile["id"])}
        replay, asgi = Replay(doctors), app.asgi()
        for number, exchange in enumerate(EXCHANGES, start=1):
            where = f"{number:03} {exchange['name']}"
            status, _, text = await ask(asgi, replay, exchange)
            if DECIDED.get(exchange["name"]) == status:
                continue
            if status != exchange["response"]["status"]:
                replay.wrong.append(f"{where}: {status}, recorded {exchange['response']['status']}: {text[:200]}")
                continue
            recorded, ours = (envelopes_of(exchange, each) for each in (exchange["response"]["body"], text))
            for one, other in zip(recorded, ours, strict=True):
                replay.envelopes(one, other, where)
    assert replay.wrong == []
