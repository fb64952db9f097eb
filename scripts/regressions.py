"""Write docs/regressions.md: what the replaced service did wrong, and the tests that it does not come back.

A test names what it keeps from coming back with ``@pytest.mark.regression("D8")``.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "regressions.md"

#: Its grave defects in the messaging core, by the number they were written down under.
DEFECTS = {
    "D1": "The interview jumped to its last speaker after two messages.",
    "D2": "No stage lasted longer than two replies, whatever the patient told.",
    "D3": "Nobody screened what patients wrote for danger.",
    "D4": "Danger was a matter of substrings: denials alarmed, real emergencies did not.",
    "D5": "A symptom that began like a command ended or skipped the interview.",
    "D6": "A no with an allergy behind it was taken for no allergy.",
    "D7": "What was never asked counted as answered.",
    "D8": "A session could be neither deleted nor begun again.",
    "D9": "What a doctor added never reached the note.",
    "D10": "A message or notification was lost between two pages.",
    "D11": "A model's failure was passed on as its answer.",
    "D12": "A slow model left the message stored and the sender without an answer.",
    "D13": "Pictures were never looked at by a model.",
    "P1": "Patients were sent the doctor's line of thought.",
    "P2": "Patients were sent the doctor's notes, findings and results.",
    "P3": "One way of ending the interview sent patients the whole hand-over.",
    "P4": "A doctor's words became part of the patient's own account.",
    "P5": "Anybody could read and mark anybody's notification.",
    "P6": "One call made anybody a doctor, another took a doctor's role away.",
    "P7": "A hostile site with a similar name passed for our own.",
    "P8": "A header or a word in the address switched the check of the origin off.",
    "P10": "Every process counted calls for itself.",
    "P11": "Errors told callers what the database had said.",
    "P12": "Logs held health data and whole identities.",
    "P13": "After a connection had ended both sides read and wrote on.",
    "P14": "Whoever was blocked could disconnect and connect again.",
    "P17": "Any address was taken for a picture.",
    "P18": "Reads of health data were not audited.",
    "P19": "What a patient wrote could instruct the model.",
    "R1": "A message sent twice at once was two messages.",
    "R2": "Messages at once overwrote each other's record.",
    "R3": "A failure between question and answer left the question alone for good.",
    "R5": "A failed notice made a stored message look unsent, so it was sent again.",
    "I1": "A model's empty answer erased what the patient had told.",
    "I2": "A model decided whether a case was ready.",
    "I3": "Ending early saved nothing and told nobody.",
    "A1": "Health and public procedures answered not found to whoever had not signed in.",
}
#: Nothing of ours can show these yet.
OPEN = {
    "D13, the rest": "A photo needs words with it, as the clients' interface has it.",
    "D14": "A failed send lost the text in the browser: the pages' tests keep the draft, the old client is not ours.",
}


def found() -> dict[str, list[str]]:
    """The tests by what they name, in the order of files and lines."""
    tests: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for number in _named(node):
                    tests.setdefault(number, []).append(f"{path.relative_to(ROOT)}::{node.name}")
    return tests


def _named(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
    marks = [each for each in calls if ast.unparse(each.func) == "pytest.mark.regression"]
    return [str(ast.literal_eval(argument)) for each in marks for argument in each.args]


def page() -> str:
    """The whole page."""
    tests = found()
    lines = [
        "# What does not come back",
        "",
        "Written by `python scripts/regressions.py`; a test fails when it is stale. Each grave defect of the replaced",
        "service's messaging core, and the tests that ours does not have it.",
        "",
        "| | what it did | tests |",
        "|---|---|---|",
    ]
    for number, what in DEFECTS.items():
        names = "<br>".join(f"`{name}`" for name in tests.get(number, []))
        lines.append(f"| {number} | {what} | {names} |")
    return "\n".join([*lines, "", "Still open:", "", *(f"- {each}: {what}" for each, what in OPEN.items()), ""])


if __name__ == "__main__":
    PAGE.write_text(page())
