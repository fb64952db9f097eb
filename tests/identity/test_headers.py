import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.edge.client_address import TrustedProxies
from anamnesis.edge.headers import CONTENT_SECURITY_POLICY, GoodManners, request_id_of
from anamnesis.edge.pages import pages_app
from anamnesis.edge.routes import route_of
from anamnesis.settings import Limits, Settings
from build import ORIGIN, an_app, closing, http
from identity.issuing import answered, scope


def saying(*headers, status=200):
    async def app(_, __, send):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"done"})

    return app


async def headers_of(app, asked=None):
    _, headers, _ = await answered(app, asked or scope())
    assert len({name for name, _ in headers}) == len(headers), "a header stands twice"
    return dict(headers)


EXPECTED = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


@pytest.mark.parametrize("status", [200, 204, 303, 403, 404, 500, 503])
async def test_every_answer_carries_the_table(status):
    headers = await headers_of(GoodManners(saying(status=status)))
    assert EXPECTED.items() <= headers.items()
    assert b"camera=()" in headers[b"permissions-policy"]
    assert b"x-request-id" in headers


def test_the_policy_admits_our_own_origin_and_no_inline_code():
    assert "'unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "*" not in CONTENT_SECURITY_POLICY
    for directive in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert directive in CONTENT_SECURITY_POLICY


async def test_an_application_may_say_otherwise_for_itself():
    headers = await headers_of(GoodManners(saying((b"Content-Security-Policy", b"sandbox"))))
    assert headers[b"content-security-policy"] == b"sandbox"


@pytest.mark.parametrize("said", [b"public, max-age=60", b"private", b"no-cache", b"no-store"])
async def test_nothing_but_an_asset_may_be_stored(said):
    app = GoodManners(saying((b"cache-control", said)))
    assert (await headers_of(app))[b"cache-control"] == b"no-store"
    assert (await headers_of(app, scope(path="/static/a1b2/chat.js")))[b"cache-control"] == said
    assert (await headers_of(app, scope(path="/staticky")))[b"cache-control"] == b"no-store"


async def test_an_asset_that_is_not_there_is_not_remembered():
    # While one process of two is new, a page of the new asks the old for what it has not got yet.
    missing = GoodManners(saying(status=404))
    assert (await headers_of(missing, scope(path="/static/a1b2/chat.js")))[b"cache-control"] == b"no-store"


async def test_a_stream_keeps_its_no_transform():
    app = GoodManners(saying((b"cache-control", b"no-cache, no-transform")))
    assert (await headers_of(app))[b"cache-control"] == b"no-store, no-transform"


async def test_strict_transport_is_asked_for_over_tls_only():
    name = b"strict-transport-security"
    app = GoodManners(saying(), is_https=TrustedProxies.of(["10.0.0.0/8"]).is_https)
    assert name not in await headers_of(app)
    assert name in await headers_of(app, {**scope(), "scheme": "https"})
    assert name not in await headers_of(app, scope(x_forwarded_proto="https"))
    behind = {**scope(x_forwarded_proto="https"), "client": ("10.1.2.3", 1)}
    assert name in await headers_of(app, behind)


def everything_asked_for(app):
    """Every road, page, procedure and REST route with each of its methods, and what leads nowhere."""
    for bound in app.registry:
        rest = route_of(bound.procedure)
        yield rest.method, "/api/v1" + FIELD.sub(EVIL, rest.path)
        for method in ("GET", "POST"):
            yield method, f"/api/trpc/{bound.procedure.name}"
    for route in pages_app(app.site()).routes:
        for method in route.methods:
            yield method, FIELD.sub(EVIL, route.path)
    for beginning in ("/api/auth/webhook", "/openapi.json", "/docs", "/api/health", "/livez", "/readyz", "/metrics"):
        yield "GET", beginning
    for path in ("/files/x", f"/{EVIL}", f"//{EVIL}", f"/api/trpc/{EVIL}", f"/api/v1/{EVIL}", f"/static/{EVIL}/x"):
        for method in ("GET", "POST", "OPTIONS", "HEAD", "TRACE"):
            yield method, path


EVIL, FIELD = "evil.example", re.compile(r"{\w+}")


@pytest.mark.parametrize("app_url", [ORIGIN, "https://clinic.example"])  # signed in, and as nobody
async def test_every_route_of_the_service_carries_the_table_and_gives_nothing_back(clinic, app_url):
    settings_ = Settings(app_url=app_url, limits=Limits(factor=10_000))
    # Whether a proxy in front of us is trusted or not: what is reached by https alone says so.
    always = ["x-request-id", *(["strict-transport-security"] if app_url.startswith("https") else [])]
    wrong, asked = [], 0
    async with closing(an_app(clinic.app_dsn, settings=settings_)) as app:
        asgi = app.asgi()
        for method, path in everything_asked_for(app):
            asked += 1
            given = {"origin": f"https://{EVIL}", "access-control-request-method": "POST", "x-forwarded-host": EVIL}
            status, headers, body = await http(asgi, method, path, who="patient", headers=given)
            wanted = {name.decode(): value.decode() for name, value in EXPECTED.items()}
            # A stream adds that it must not be held back.
            missing = [name for name, value in wanted.items() if not headers.get(name, "").startswith(value)]
            missing += [each for each in always if each not in headers]
            told = {name: value for name, value in headers.items() if not value.startswith(f"/s/{EVIL}#")}  # our page
            named = [name for name, value in told.items() if name.startswith("access-control-") or EVIL in value]
            echoes = f"<{EVIL}" in body or (EVIL in body and "html" in headers.get("content-type", ""))
            if missing or named or echoes:
                wrong.append(f"{method} {path}: {status} lacks {missing}, tells {named} {echoes}")
    assert not wrong, "\n".join(wrong)
    assert asked > 300


@pytest.mark.parametrize(
    "told", ["0123456789abcdef", "00-4bf92f3577b34da6a3ce929d0e0e4736-01", "req_12345678", "a" * 64]
)
async def test_a_short_plain_request_id_is_accepted(told):
    assert (await headers_of(GoodManners(saying()), scope(x_request_id=told)))[b"x-request-id"].decode() == told


@pytest.mark.parametrize(
    "told",
    [
        "",
        "short",
        "a" * 65,
        "has space 12",
        "line\nbreak123",
        "\x1b[31mred1234",
        '"},{"a":"b',
        "ünicode1234",
        "a/../b12345",
    ],
)
async def test_any_other_request_id_is_replaced_by_our_own(told):
    given_back = (await headers_of(GoodManners(saying()), scope(x_request_id=told)))[b"x-request-id"].decode()
    assert re.fullmatch(r"[0-9a-f]{32}", given_back)


async def test_two_request_ids_are_none():
    asked = scope(x_request_id=["0123456789abcdef", "fedcba9876543210"])
    assert re.fullmatch(rb"[0-9a-f]{32}", (await headers_of(GoodManners(saying()), asked))[b"x-request-id"])


async def test_the_application_and_the_answer_speak_of_the_same_request():
    seen = []

    async def app(asked, receive, send):
        seen.append(request_id_of(asked))
        await saying((b"x-request-id", b"its-own-idea"))(asked, receive, send)

    headers = await headers_of(GoodManners(app))
    assert headers[b"x-request-id"].decode() == seen[0]


async def test_a_stream_is_passed_on_piece_by_piece():
    order = []

    async def app(_, __, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            order.append(f"made {number}")
            await send({"type": "http.response.body", "body": b"x", "more_body": number < 2})

    async def send(message):
        if message["type"] == "http.response.body":
            order.append("sent")

    await GoodManners(app)(scope(), None, send)
    assert order == ["made 0", "sent", "made 1", "sent", "made 2", "sent"]


# -- whose connection it is ----------------------------------------------------------------------------------------

PROXIES = TrustedProxies.of(["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48"])


def peer(client, *forwarded, proxies=PROXIES, **headers):
    asked = scope(x_forwarded_for=list(forwarded), **headers)
    return proxies.peer_of({**asked, "client": (client, 1) if client else None})


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("1.1.1.1",), "203.0.113.9"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.7, 10.9.9.9",), "198.51.100.7"),
        ("10.0.0.1", ("1.1.1.1", "198.51.100.7", "192.0.2.1"), "198.51.100.7"),
        ("10.0.0.1", ("198.51.100.7, rubbish",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7, ",), "10.0.0.1"),
        ("10.0.0.1", ("unknown",), "10.0.0.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("10.0.0.2, 10.0.0.3",), "10.0.0.2"),
        ("10.0.0.1", ("198.51.100.7:51234",), "198.51.100.7"),
        ("10.0.0.1", ("[2001:db8:1:2:3:4:5:6]:443",), "2001:db8:1:2::/64"),
        ("10.0.0.1", ("::ffff:198.51.100.7",), "198.51.100.7"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("2001:db8:1:2::99", (), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", (), "2001:db8:1:2::/64"),
        ("2001:db8:ffff::1", ("2001:db8:7::1",), "2001:db8:7::/64"),
        ("fe80::1%eth0", (), "fe80::/64"),
        (None, ("1.1.1.1",), "unknown"),
        ("", ("1.1.1.1",), "unknown"),
    ],
)
def test_a_peer_is_counted_from_the_right_as_far_as_trust_reaches(client, forwarded, expected):
    assert peer(client, *forwarded) == expected


def test_other_headers_about_the_peer_are_never_believed():
    told = {"x_real_ip": "1.1.1.1", "forwarded": "for=1.1.1.1", "x_client_ip": "1.1.1.1", "cf_connecting_ip": "1.1.1.1"}
    assert peer("203.0.113.9", **told) == "203.0.113.9"
    assert peer("10.0.0.1", **told) == "10.0.0.1"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=4))
def test_whatever_an_untrusted_client_forwards_changes_nothing(forwarded):
    assert peer("203.0.113.9", *forwarded) == "203.0.113.9"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=4))
def test_what_stands_left_of_a_trusted_proxys_word_changes_nothing(invented):
    assert peer("10.0.0.1", *invented, "198.51.100.7") == "198.51.100.7"


def test_by_default_no_proxy_is_trusted():
    assert peer("127.0.0.1", "1.1.1.1", proxies=TrustedProxies()) == "127.0.0.1"


@pytest.mark.parametrize("wrong", ["", "10.0.0.0/33", "10.0.0.1/8", "proxy.internal", "*"])
def test_a_network_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="trusted proxy"):
        TrustedProxies.of(["10.0.0.0/8", wrong])
