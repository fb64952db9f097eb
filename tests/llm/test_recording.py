"""What is recorded tells nobody who the patient was, and is said again word for word."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fault_server import GEMINI, VENDORS, FaultServer, good, says, status

from anamnesis.bootstrap import vendor_of
from anamnesis.db.encryption import CHAT
from anamnesis.llm.port import ModelBusy, ModelUnavailable, Prompt
from anamnesis.llm.recording import Recorder, Replay, scrubbed
from anamnesis.settings import Ai, Limits, Provider, Secret, Settings, SettingsInvalid
from build import WHOLE_INTAKE, a_session, an_app, closing, stored, tell
from checker import broken

KEY = "k-Q8fj20dj"
PRIVATE = ("Achieng", "achieng@clinic.example", "0772 123 456", KEY)
TOLD = (
    "It is about me",
    "My name is Achieng, 34, female",
    f"Achieng again: write to {PRIVATE[1]} or call {PRIVATE[2]}. I have had a bad headache since Monday",
    *WHOLE_INTAKE[3:],
)


def settings_for(vendor, url, folder=None):
    ai = Ai(
        providers=(Provider(vendor),), gemini_key=Secret(KEY), openai_key=Secret(KEY), gemini_base_url=url,
        openai_base_url=f"{url}/v1", timeout_s=5.0, record_folder=folder and str(folder),
    )  # fmt: skip
    return Settings(ai=ai, consent_recorded_elsewhere=True, limits=Limits(factor=1000))


async def conversation(app, owner, session_id):
    rows = await stored(owner, CHAT, "session_id = $1::uuid ORDER BY seq", session_id)
    return [(row["role"], row["content"], row["turn_state"]) for row in rows]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_recorded_interview_is_scrubbed_and_replayed_word_for_word(clinic, owner, vendor, tmp_path):
    async with FaultServer() as server:
        server.will(good(lead="Thank you, [NAME_1], I see. "))
        async with closing(an_app(clinic.app_dsn, settings=settings_for(vendor, server.url, tmp_path))) as app:
            _, session_id = await a_session(app)
            await tell(app, session_id, *TOLD)
            first = await conversation(app, owner, session_id)
            await app.relay.aclose()
    assert sum(state == "answered_ai" for _, _, state in first) >= 6
    files = list(tmp_path.glob("*.json"))
    assert len(files) >= 6
    kept = "".join(path.read_text() for path in files)
    assert not [each for each in (*PRIVATE, PRIVATE[0].lower()) if each in kept]
    assert "headache" in kept
    assert {path.stat().st_mode & 0o077 for path in files} == {0}

    async with closing(an_app(clinic.app_dsn, settings=settings_for(vendor, "http://127.0.0.1:1"))) as app:
        replay = Replay.of(tmp_path)
        app.relay.providers = [replace(each, model=replay) for each in app.relay.providers]
        _, again = await a_session(app, patient="nakato", doctor="colleague")
        await tell(app, again, *TOLD, who="nakato")
        assert await conversation(app, owner, again) == first
        await app.relay.aclose()
    assert await broken(owner) == []


def a_prompt(question="How old are you?"):
    return Prompt(
        "who", question, "VitalsTriageAgent", "en", question=question, case=json.dumps({"question": question})
    )


async def test_a_failure_is_recorded_as_the_kind_it_was(tmp_path):
    ai = settings_for(GEMINI, "").ai
    async with FaultServer() as server:
        server.will(status(429))
        recorder = Recorder(vendor_of(Provider.GEMINI, replace(ai, gemini_base_url=server.url)), tmp_path)
        with pytest.raises(ModelBusy):
            await recorder.complete(a_prompt(), deadline_s=2)
        await recorder.aclose()
    with pytest.raises(ModelBusy):
        await Replay.of(tmp_path).complete(a_prompt(), deadline_s=2)
    with pytest.raises(ModelUnavailable):
        await Replay.of(tmp_path).complete(a_prompt("Which medicines do you take?"), deadline_s=2)


async def test_a_key_that_a_model_repeats_is_not_kept(tmp_path):
    ai = settings_for(GEMINI, "").ai
    async with FaultServer() as server:
        server.will(says(f"your key is {KEY}, call +256 772 123456 or a.b@c.example"))
        recorder = Recorder(vendor_of(Provider.GEMINI, replace(ai, gemini_base_url=server.url)), tmp_path, (KEY,))
        await recorder.complete(a_prompt(), deadline_s=2)
        await recorder.aclose()
    (path,) = tmp_path.glob("*.json")
    assert "your key is [KEY], call [PHONE] or [EMAIL]" in path.read_text()


async def test_a_folder_that_takes_nothing_costs_no_answer(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file, no folder")
    async with FaultServer() as server:
        server.will(says("How old are you?"))
        ai = replace(settings_for(GEMINI, "").ai, gemini_base_url=server.url)
        recorder = Recorder(vendor_of(Provider.GEMINI, ai), taken)
        assert (await recorder.complete(a_prompt(), deadline_s=2)).text == "How old are you?"
        await recorder.aclose()


def test_what_the_prompt_hides_is_hidden_in_any_case_and_only_as_a_word():
    prompt = replace(a_prompt(), hidden=(("[NAME_1]", "Ann"),))
    assert scrubbed("ANN has an annual check, ann.", prompt) == "[NAME_1] has an annual check, [NAME_1]."


def test_it_is_for_development_only(tmp_path):
    environment = {"AI_RECORD_FOLDER": str(tmp_path)}
    assert Path(Settings.from_env(environment).ai.record_folder) == tmp_path
    with pytest.raises(SettingsInvalid) as invalid:
        Settings.from_env({**environment, "ANAMNESIS_ENV": "production"})
    assert "AI_RECORD_FOLDER" in {problem.variable for problem in invalid.value.problems}
