"""Which tests prove which invariants. Run it to print docs/invariants.md."""

import ast
from pathlib import Path

HERE = Path(__file__).parent

#: What always holds, by the numbers of the reliability plan.
PROMISED = {
    "I1": "What was confirmed is stored, whichever process dies",
    "I2": "What was not confirmed is stored once or not at all, and sending it again ends in exactly one",
    "I3": "One client id sent many times at once to many processes is one message with one reply",
    "I4": "One client id with other words is refused and nothing is stored",
    "I5": "Equal words under two ids are two messages",
    "I6": "Equal words without an id are one message only while the first waits for its reply",
    "I7": "Every stored message of a patient gets its reply, also after a crash, without the client's help",
    "I8": "A message has at most one current reply, also when two workers had its turn",
    "I9": "The id that is answered is the id that is stored",
    "I10": "Counters equal a recount",
    "I11": "A message, its job and what it changes are stored together or not at all",
    "I12": "A database that may forget what it confirmed is not ready",
    "I13": "Messages stand in the order in which they were confirmed, without gaps",
    "I14": "A reply stands after its message and names it",
    "I15": "What one process confirmed every other reads, and no read goes back",
    "I16": "Walking all pages gives every message once, while others write",
    "I17": "No connection to the database is held while a model is asked",
    "I18": "However a model fails, the patient gets the next question in time, and at once while it is shut",
    "I19": "A whole interview is taken without any model",
    "I20": "Danger is seen by code, before and without a model",
    "I21": "What a model says changes nothing but allowed fields, and no state, role or id",
    "I22": "A model that fails takes nothing away from what is known",
    "I23": "What a model is told of a turn holds no note, hand-over, other session or secret",
    "I24": "A turn is two calls at most, as many are in flight as may be, and a wait that was asked for is kept",
    "I25": "A call that is given up closes its socket within a second, and a late answer is dropped",
    "I26": "Who is no party neither reads nor writes, and cannot tell what is forbidden from what does not exist",
    "I27": "A patient never receives what is for doctors only",
    "I28": "What is taken from somebody takes effect with the next request, and within five seconds on open streams",
    "I29": "Access is decided before anything that depends on the data",
    "I30": "The database alone denies: nobody sees or writes health data of others, whatever WHERE is forgotten",
    "I31": "After the hand-over nothing of the transcript changes, and no state goes back",
    "I32": "No health data and no secret stands in a log line, a label, an error or a notification",
    "I33": "Every use of health data leaves one line, in its transaction; whatever was done to the trail is found out",
    "I35": "Liveness touches nothing, readiness answers within a second and names the part",
    "I36": "Every wait for the database is bounded",
    "I37": "Without the database callers are asked to come again, and served again soon after it is back",
    "I38": "A stopping process cuts nobody off and is gone within ten seconds",
    "I40": "Any bytes are answered in an orderly way, at constant memory",
    "I43": "An invalid configuration ends the process at once, naming variables and never values",
    "J1": "Whatever becomes of the issuer, known keys serve on, and an unknown one is asked for once in thirty seconds",
    "J2": "A new signing key is accepted within half a minute, and a withdrawn one ends",
    "J3": "A token's times hold to the second of the leeway",
    "J4": "One algorithm, keys of the configured issuer only, whatever a token's header says",
    "J5": "Another audience, issuer, party or kind of token is refused",
    "J6": "Nobody gains by an unknown subject, a closed account or somebody else's e-mail address",
    "J7": "One credential in its one place: two of them, or one in an address, are none",
}


def proofs() -> dict[str, list[tuple[str, str]]]:
    """The tests that say they prove an invariant, as (file, name), by invariant."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(HERE.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for number in _proved(node):
                found.setdefault(number, []).append((str(path.relative_to(HERE)), node.name))
    return found


def _proved(node: ast.AST) -> list[str]:
    marks = [each for each in getattr(node, "decorator_list", []) if isinstance(each, ast.Call)]
    return [
        argument.value
        for mark in marks
        if isinstance(mark.func, ast.Attribute) and mark.func.attr == "proves"
        for argument in mark.args
        if isinstance(argument, ast.Constant)
    ]


def page() -> str:
    """The page about them."""
    found = proofs()
    lines = [
        "# What always holds, and the tests that prove it",
        "",
        "Generated by `python tests/invariants.py`; a test fails when it is stale. The slow ones run in `make test`.",
        "",
        "| | invariant | proved by |",
        "|---|---|---|",
    ]
    for number, words in PROMISED.items():
        tests = "<br>".join(
            f"`{file}` {name.removeprefix('test_').replace('_', ' ')}" for file, name in found.get(number, [])
        )
        lines.append(f"| {number} | {words} | {tests} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(page(), end="")
