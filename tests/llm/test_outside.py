"""A deployment that forbids outside models: whatever is tried, no socket is opened and no name is looked up."""

import sys
from dataclasses import replace

import pytest
from fault_server import GEMINI, VENDORS, FaultServer, good

from anamnesis.bootstrap import vendor_of
from anamnesis.cli.check import Outcome, check
from anamnesis.kernel.inside import is_inside
from anamnesis.llm.port import ModelFailed, ModelMisconfigured, Prompt
from anamnesis.settings import Ai, Provider, Secret, Settings, SettingsInvalid
from build import a_session, an_app, caller, closing, http, tell

ELSEWHERE = "http://model.invalid"
PROMPT = Prompt(
    "who",
    "How old are you?",
    "VitalsTriageAgent",
    "en",
    question="How old are you?",
    case='{"question": "How old are you?"}',
)
_ATTEMPTS: list[str] = []


def _listen(event, _):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        _ATTEMPTS.append(event)


@pytest.fixture(scope="module", autouse=True)
def listening():
    sys.addaudithook(_listen)  # for good: an audit hook cannot be taken away


@pytest.fixture
def attempts():
    _ATTEMPTS.clear()
    return _ATTEMPTS


def an_ai(vendor, url, *, is_forbidden=True, **more):
    key, provider = Secret("k-Q8fj20dj"), Provider(vendor)
    return Ai(
        providers=(provider,), gemini_key=key, openai_key=key, is_outside_forbidden=is_forbidden,
        **{f"{vendor}_base_url": url}, **more,
    )  # fmt: skip


async def ask(ai):
    vendor = vendor_of(ai.providers[0], ai)
    try:
        return await vendor.complete(PROMPT, deadline_s=2)
    finally:
        await vendor.aclose()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("url", [ELSEWHERE, "http://8.8.8.8", "http://169.254.169.254", None])
async def test_any_attempt_fails_before_a_socket_is_opened(vendor, url, attempts):
    with pytest.raises(ModelMisconfigured) as failed:
        await ask(an_ai(vendor, url))
    assert failed.value.detail == "outside_forbidden"
    assert attempts == []


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_proxy_of_the_environment_is_no_way_out(vendor, attempts, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ModelMisconfigured):
        await ask(an_ai(vendor, None))
    assert attempts == []


@pytest.mark.parametrize("vendor", VENDORS)
async def test_where_it_is_allowed_the_same_call_looks_for_the_server(vendor, attempts):
    with pytest.raises(ModelFailed):
        await ask(an_ai(vendor, ELSEWHERE, is_forbidden=False))
    assert "socket.getaddrinfo" in attempts


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_model_inside_is_asked_all_the_same(vendor):
    async with FaultServer() as server:
        server.will(good())
        url = server.url if vendor == GEMINI else f"{server.url}/v1"
        await ask(an_ai(vendor, url))
        assert len(server.calls) == 1


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_turn_that_tries_is_answered_by_the_built_in_interviewer(clinic, vendor, attempts):
    settings = Settings(ai=an_ai(vendor, ELSEWHERE, timeout_s=2.0), consent_recorded_elsewhere=True)
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        _, session_id = await a_session(app)
        attempts.clear()
        answer = await tell(app, session_id, "It is about me")
        await app.relay.aclose()
    assert "?" in answer["aiMessage"]["text"]
    assert "socket.getaddrinfo" not in attempts


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.1.2.3", True), ("192.168.0.9", True),
        ("172.31.0.1", True), ("fd00::1", True), ("172.32.0.1", False), ("8.8.8.8", False), ("169.254.169.254", False),
        ("0.0.0.0", False), ("model.local", False), ("127.0.0.1.evil.example", False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_inside_is_this_machine_and_private_addresses_in_figures(host, inside):
    assert is_inside(host) is inside


FORBIDDEN = {"AI_PROVIDER": "openai", "OPENAI_API_KEY": "k-Q8fj20dj", "AI_OUTSIDE": "forbidden"}


@pytest.mark.parametrize("more", [{}, {"OPENAI_BASE_URL": "https://models.clinic.ug/v1"}])
def test_a_forbidden_model_outside_is_an_invalid_configuration(more):
    with pytest.raises(SettingsInvalid) as invalid:
        Settings.from_env({**FORBIDDEN, **more})
    assert [problem.variable for problem in invalid.value.problems] == ["AI_OUTSIDE"]


def test_forbidding_takes_nothing_from_the_built_in_interviewer_or_a_model_inside():
    assert Settings.from_env({"AI_OUTSIDE": "forbidden"}).ai.outside == ()
    settings = Settings.from_env({**FORBIDDEN, "OPENAI_BASE_URL": "http://10.0.0.5:8000/v1"})
    assert settings.ai.outside == (Provider.OPENAI,)


async def test_a_providers_country_is_told_by_check():
    named = {"AI_PROVIDER": "gemini", "GEMINI_API_KEY": "k-Q8fj20dj"}
    said = [each for each in await check({**named, "AI_COUNTRIES": "gemini=the United States"}) if each.part == "ai"]
    assert any("gemini: works in the United States" in each.words for each in said)
    assert any("not marked (AI_COUNTRIES)" in each.words for each in await check(named))
    wrong = await check({**named, "AI_COUNTRIES": "oracle=Greece"})
    assert [(each.part, each.outcome) for each in wrong] == [("AI_COUNTRIES", Outcome.INVALID)]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"countries": (("gemini", "the United States"),)}, "of another company in the United States"),
        ({}, "of another company help"),
        ({"is_outside_forbidden": True, "gemini_base_url": "http://127.0.0.1:1"}, "that runs on the clinic&#39;s own"),
    ],
)
async def test_patient_and_doctor_read_whose_model_it_is(clinic, more, words):
    settings = Settings(ai=replace(an_ai("gemini", None, is_forbidden=False), **more))
    async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
        _, session_id = await a_session(app)
        _, _, page = await http(app.asgi(), "GET", f"/s/{session_id}", who="patient")
        assert words in page
        _, _, case = await http(app.asgi(), "GET", f"/doctor/case/{session_id}", who="doctor")
        assert f"language model {words.removesuffix(' help')}" in case
        assert (await caller(app, "patient").call("user.getConsents"))["consents"] == []
        await app.relay.aclose()
