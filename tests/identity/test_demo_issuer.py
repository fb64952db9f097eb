import time

import pytest
from starlette.testclient import TestClient

from anamnesis.edge.demo_issuer import ISSUER, DemoIssuer
from anamnesis.edge.keys import PemKeys
from anamnesis.edge.tokens import Expected, Verifier
from anamnesis.kernel.identity import Claims
from identity.issuing import HeldClock, token

ORIGIN = "http://127.0.0.1:8000"
AMINA = Claims("demo_doctor", "doctor@demo.invalid", "Amina", "Nakato")
EXPECTED = Expected(ISSUER, frozenset({ORIGIN}))


def an_issuer(**changes):
    return DemoIssuer(**{"origin": ORIGIN, "host": "127.0.0.1", "is_production": False, **changes})


def verifier(issuer, clock=None):
    return Verifier(issuer.keys(), EXPECTED, clock=clock)


def test_it_cannot_be_made_in_production():
    with pytest.raises(ValueError, match="production"):
        an_issuer(is_production=True)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.7", "clinic.example", "", "127.0.0.1.evil.example", "2130706433"]
)
def test_it_cannot_be_made_where_others_can_connect(host):
    with pytest.raises(ValueError, match="this machine"):
        an_issuer(host=host)


@pytest.mark.parametrize("origin", ["https://clinic.example", "http://192.168.1.7:8000", ""])
def test_it_cannot_be_made_for_an_address_of_others(origin):
    with pytest.raises(ValueError, match="this machine"):
        an_issuer(origin=origin)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_it_can_be_made_on_this_machine(host):
    an_issuer(host=host)


async def test_its_tokens_pass_the_ordinary_verifier_for_twelve_hours():
    issuer, clock = an_issuer(), HeldClock(time.time())
    minted = issuer.token(AMINA)
    assert await verifier(issuer, clock).verify(minted) == AMINA
    clock.seconds += 12 * 3600 - 5
    assert await verifier(issuer, clock).verify(minted) == AMINA
    clock.seconds += 60
    assert await verifier(issuer, clock).verify(minted) is None


async def test_another_run_and_another_issuer_know_nothing_of_each_other():
    issuer, later = an_issuer(), an_issuer()
    assert await verifier(later).verify(issuer.token(AMINA)) is None
    assert await verifier(issuer).verify(token()) is None
    assert isinstance(issuer.keys(), PemKeys)


def client(issuer, base_url=ORIGIN):
    return TestClient(issuer.app(), base_url=base_url, follow_redirects=False)


async def test_a_link_signs_in_and_leads_to_the_persons_own_page():
    issuer = an_issuer()
    link = issuer.link(AMINA, "/doctor")
    for _ in range(2):  # it works again for as long as the demo runs
        answer = client(issuer).get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/doctor")
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        assert await verifier(issuer).verify(answer.cookies["__session"]) == AMINA


def test_the_cookie_is_secure_over_tls():
    issuer = an_issuer(origin="https://127.0.0.1:8000")
    cookie = client(issuer, "https://127.0.0.1:8000").get(issuer.link(AMINA, "/")).headers["set-cookie"]
    assert "Secure" in cookie


@pytest.mark.parametrize("query", ["", "?ticket=", "?ticket=guess", "?ticket=%00", "?next=https://evil.example"])
def test_a_wrong_ticket_signs_nobody_in(query):
    issuer = an_issuer()
    issuer.link(AMINA, "/")
    answer = client(issuer).get(f"/demo/sign-in{query}")
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers


def test_a_link_cannot_be_sent_elsewhere():
    issuer = an_issuer()
    answer = client(issuer).get(issuer.link(AMINA, "/doctor") + "&next=https://evil.example&landing=//evil.example")
    assert answer.headers["location"] == "/doctor"


def test_links_are_long_and_all_different():
    issuer = an_issuer()
    tickets = {issuer.link(AMINA, "/").partition("ticket=")[2] for _ in range(50)}
    assert len(tickets) == 50
    assert min(map(len, tickets)) >= 43


@pytest.mark.parametrize("path", ["/demo/sign-out", "/sign-out"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_signing_out_takes_the_cookie_back(path, method):
    answer = client(an_issuer()).request(method, path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert answer.headers["set-cookie"].startswith('__session="";')
