"""`anamnesis check --live`: one real call to each provider, told with its model, time, tokens and cost."""

import pytest
from fault_server import GEMINI, VENDORS, FaultServer, good, hang, says, status

from anamnesis.cli.check import Outcome, check


def environment(vendor, url, **more):
    name = vendor.upper()
    address = url if vendor == GEMINI else f"{url}/v1"
    return {
        "AI_PROVIDER": vendor,
        f"{name}_API_KEY": "k-Q8fj20dj",
        f"{name}_BASE_URL": address,
        "AI_TIMEOUT_S": "0.5",
        **more,
    }


async def found(environment):
    findings = await check(environment, is_live=True)
    assert "Q8fj20dj" not in repr(findings)
    return next(finding for finding in findings if finding.part == "ai")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_live_call_tells_the_model_the_time_the_tokens_and_the_cost(vendor):
    async with FaultServer() as server:
        server.will(good())
        prices = {"AI_MODEL": "m-1", "AI_PRICES": "m-1=0.30/2.50"}
        finding = await found(environment(vendor, server.url, **prices))
    assert finding.outcome is Outcome.OK
    assert f"{vendor}: served-{vendor} answered in " in finding.words
    assert "tokens 900 in, 60 out, $0.000420" in finding.words
    assert len(server.calls) == 1


async def test_without_a_price_the_cost_is_said_to_be_unknown():
    async with FaultServer() as server:
        server.will(good())
        assert "cost is not known" in (await found(environment(GEMINI, server.url))).words


@pytest.mark.parametrize(
    ("fault", "words"),
    [(status(401), "misconfigured (http_401)"), (hang, "timedout"), (says("hello"), "broken (not_json)")],
    ids=["wrong key", "hang", "nonsense"],
)
async def test_a_call_that_fails_is_a_warning_with_its_reason(fault, words):
    async with FaultServer() as server:
        server.will(fault)
        finding = await found(environment(GEMINI, server.url))
    assert finding.outcome is Outcome.WARNING
    assert words in finding.words
