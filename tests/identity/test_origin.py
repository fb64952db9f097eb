import json

import pytest
from starlette.types import Receive, Scope, Send

from anamnesis.edge.origin import OriginGuard, origin_of
from identity.issuing import answered, scope

APP = "https://app.example.org"


async def inner(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


GUARD = OriginGuard(inner, allowed=[APP])
COOKIE = {"cookie": "__session=t"}

REFUSED = {
    "no origin at all": scope("POST", **COOKIE),
    "null": scope("POST", origin="null", **COOKIE),
    "null, with a good referer": scope("POST", origin="null", referer=f"{APP}/page", **COOKIE),
    "empty": scope("POST", origin="", referer=f"{APP}/page", **COOKIE),
    "another site": scope("POST", origin="https://evil.com", **COOKIE),
    "begins like ours": scope("POST", origin=f"{APP}.evil.com", **COOKIE),
    "ends like ours": scope("POST", origin="https://evil-app.example.org", **COOKIE),
    "ours as the user": scope("POST", origin=f"{APP}@evil.com", **COOKIE),
    "a subdomain": scope("POST", origin="https://x.app.example.org", **COOKIE),
    "the parent": scope("POST", origin="https://example.org", **COOKIE),
    "without TLS": scope("POST", origin="http://app.example.org", **COOKIE),
    "another port": scope("POST", origin=f"{APP}:8443", **COOKIE),
    "with a path": scope("POST", origin=f"{APP}/", **COOKIE),
    "capitals": scope("POST", origin="https://APP.example.org", **COOKIE),
    "a trailing dot": scope("POST", origin=f"{APP}.", **COOKIE),
    "two origins in two lines": scope("POST", origin=[APP, "https://evil.com"], **COOKIE),
    "two origins in one line": scope("POST", origin=f"{APP} https://evil.com", **COOKIE),
    "referer of another site": scope("POST", referer=f"https://evil.com/{APP}", **COOKIE),
    "referer that begins like ours": scope("POST", referer=f"{APP}.evil.com/", **COOKIE),
    "referer with ours as the user": scope("POST", referer=f"{APP}@evil.com/", **COOKIE),
    "referer with a backslash": scope("POST", referer="https://evil.com\\@app.example.org/", **COOKIE),
    "referer with a tab": scope("POST", referer="https://app.example.org\t.evil.com/", **COOKIE),
    "two referers": scope("POST", referer=[f"{APP}/", f"{APP}/"], **COOKIE),
    "referer that is none": scope("POST", referer="https://[::1", **COOKIE),
    "a svix-id": scope("POST", svix_id="msg_1", **COOKIE),
    "uploadthing in the query": scope("POST", "/api/trpc/a.b", "x=/api/uploadthing", **COOKIE),
    "uploadthing in the path": scope("POST", "/api/uploadthing", **COOKIE),
    "own loopback, in production": scope("POST", origin="http://127.0.0.1:8000", host="127.0.0.1:8000", **COOKIE),
    "forwarded host": scope("POST", origin="https://evil.com", x_forwarded_host="evil.com", **COOKIE),
    "own host": scope("POST", origin="https://evil.com", host="evil.com", **COOKIE),
    "put": scope("PUT", origin="https://evil.com", **COOKIE),
    "patch": scope("PATCH", **COOKIE),
    "delete": scope("DELETE", **COOKIE),
    "a method nobody knows": scope("BREW", **COOKIE),
    "get in small letters": scope("get", **COOKIE),
    "two cookies": scope("POST", cookie="__session=t; __session=u"),
    "a basic header beside the cookie": scope("POST", authorization="Basic eDp5", **COOKIE),
}

ALLOWED = {
    "the app's origin": scope("POST", origin=APP, **COOKIE),
    "the app's referer": scope("POST", referer=f"{APP}/doctor/case?x=1", **COOKIE),
    "the app's referer with its default port": scope("POST", referer=f"{APP}:443/", **COOKIE),
    "a bearer token from anywhere": scope("POST", origin="https://evil.com", authorization="Bearer t"),
    "a bearer token beside a cookie": scope("POST", authorization="Bearer t", **COOKIE),
    "no credential": scope("POST", origin="https://evil.com"),
    "a read": scope("GET", origin="https://evil.com", **COOKIE),
    "a head": scope("HEAD", **COOKIE),
    "a preflight": scope("OPTIONS", origin="https://evil.com", **COOKIE),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.regression("P7", "P8")
async def test_a_write_another_site_could_have_caused_is_refused(case):
    status, _, body = await answered(GUARD, REFUSED[case])
    assert status == 403
    told = json.loads(body)
    assert told.keys() == {"error", "code"}
    assert told["code"] == "CSRF_ERROR"


@pytest.mark.parametrize("case", ALLOWED)
async def test_our_own_pages_and_clients_without_cookies_are_let_through(case):
    assert (await answered(GUARD, ALLOWED[case]))[0] == 200


LOOPBACK = OriginGuard(inner, allowed=[APP], allow_own_loopback=True)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:3000", "[::1]:8000", "localhost"])
async def test_in_development_a_loopback_page_may_write_to_its_own_server(host):
    status, _, _ = await answered(LOOPBACK, scope("POST", origin=f"http://{host}", host=host, **COOKIE))
    assert status == 200


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:3000", "localhost:8000"),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://evil.com:8000", "evil.com:8000"),
        ("http://localhost.evil.com:8000", "localhost.evil.com:8000"),
        ("http://127.0.0.1.nip.io", "127.0.0.1.nip.io"),
        ("null", "localhost:8000"),
        ("https://localhost:8000", "localhost:8000"),
    ],
)
async def test_in_development_no_other_page_may(origin, host):
    assert (await answered(LOOPBACK, scope("POST", origin=origin, host=host, **COOKIE)))[0] == 403


@pytest.mark.parametrize(
    "wrong", ["", "app.example.org", "https://a.example/path", "https://u@a.example", "ftp://a.example", "https://a?b"]
)
def test_an_allowed_origin_that_is_none_is_refused_at_once(wrong):
    with pytest.raises(ValueError, match="allowed origin"):
        OriginGuard(inner, allowed=[wrong])


def test_an_origin_is_written_as_browsers_write_it():
    assert origin_of("HTTPS://App.Example.org:443/a?b#c") == "https://app.example.org"
    assert origin_of("http://[::1]:8000/") == "http://[::1]:8000"
    assert origin_of("about:blank") is None
    assert origin_of("https://a:99999/") is None
