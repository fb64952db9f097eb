"""What a model is told about a note: composed purely, shown whole in a snapshot, nobody's name or number in it.

`python tests/handover/test_prompting.py` writes the snapshot anew; read the difference before you keep it.
"""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from anamnesis.clinical.record import Stage
from anamnesis.clinical.sbar import draft_sbar
from anamnesis.content import load_content
from anamnesis.content.prompts import SPEAKING, AgentsInvalid, load_agents, load_writer, read_writer
from anamnesis.handover.model import Written
from anamnesis.handover.prompting import compose_note_prompt
from anamnesis.intake.interview import Inbound, new_record, opening, plan_turn, screen
from anamnesis.llm.port import Form

CONTENT = load_content()
WRITER = load_writer()
SESSION = UUID(int=7)
SNAPSHOT = Path(__file__).parent / "prompts" / "HandoverSpecialist.txt"
TOLD = (
    "It is about me", "Jane Akello, 34, female", "I have had a bad headache since Monday, says jane", "No",
    "in front, throbbing, it does not spread", "It comes and goes, it took a day to get bad",
    "6, light makes it worse, sleep helps", "None of these", "bp 120/80 temp 37.2", "No records",
    "I take amlodipine 5 mg", "No, but I am allergic to penicillin", "high blood pressure",
    "No smoking, I live with my sister Rose. My number is +256 772 123 456, Jane, or jane@example.ug", "Nothing else",
    "Yes, this is right",
)  # fmt: skip
PRIVATE = ("Jane", "jane", "Akello", "+256 772 123 456", "jane@example.ug", "Okello")


def written():
    plan, messages = opening(new_record(), CONTENT), {}
    for number, text in enumerate(TOLD):
        inbound = Inbound(f"m{number}", text, number)
        messages[inbound.message_id] = text
        plan = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
    note = draft_sbar(plan.record, rules_version="v7", is_draft=True)
    return Written(note, plan.record, messages, ("Jane", "Okello"), b"", is_worded=False)


def shown():
    prompt = compose_note_prompt(SESSION, written(), WRITER.agent)
    return f"{prompt.version}\n\n--- instructions\n{prompt.instructions}\n--- case\n{prompt.case}\n"


def test_the_prompt_is_as_it_was_last_read_by_a_person():
    assert shown() == SNAPSHOT.read_text()


def test_it_asks_for_a_note_and_names_nobody():
    prompt = compose_note_prompt(SESSION, written(), WRITER.agent)
    assert (prompt.form, prompt.stage) == (Form.NOTE, Stage.HANDOVER.value)
    assert not [private for private in PRIVATE if private in prompt.instructions + prompt.case]
    assert "+256 772 123 456" in dict(prompt.hidden).values()
    case = json.loads(prompt.case)
    assert case["may_propose"]
    assert {line["id"][0] for line in case["lines"] if line["may_tidy"]} == {"B"}


def test_a_name_of_the_account_that_was_never_told_is_hidden_too():
    told = written()
    told = replace(told, known=("Monday",))
    assert "Monday" not in compose_note_prompt(SESSION, told, WRITER.agent).case


def test_nobody_speaks_to_a_patient_with_the_text_for_the_note():
    assert WRITER.agent.stage not in load_agents()
    assert Stage.HANDOVER not in SPEAKING
    assert "{" not in WRITER.agent.text


def test_what_does_not_fit_is_refused_with_its_file(tmp_path):
    text, names = tmp_path / "handover.md", tmp_path / "conditions.toml"
    text.write_text('+++\nstage = "Triage"\nstatus = "draft"\nversion = 1\n+++\nTidy {conditions}.\n')
    names.write_text('status = "draft"\nversion = 1\n[names]\na = ["Gout", "gout"]\n')
    with pytest.raises(AgentsInvalid) as invalid:
        read_writer(text, names)
    assert [problem.split(":")[0] for problem in invalid.value.problems] == ["conditions.toml"] * 2 + ["handover.md"]
    names.write_text("names = 7\n")
    with pytest.raises(AgentsInvalid, match=r"conditions\.toml"):
        read_writer(text, names)


if __name__ == "__main__":
    SNAPSHOT.write_text(shown())
