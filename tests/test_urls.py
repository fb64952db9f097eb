"""What a browser's URL class made of the same texts (Node 20), and laws of any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.kernel.urls import href_of

READ = {
    "https://a.b/c?d#e": "https://a.b/c?d#e",
    "HTTPS://A.test": "https://a.test/",
    "  http://a  ": "http://a/",
    "http:a": "http://a/",
    "http:\\\\a\\b": "http://a/b",
    "http://a:80": "http://a/",
    "http://a:0080/": "http://a/",
    "http://a:8080": "http://a:8080/",
    "http://u:p@h": "http://u:p@h/",
    "http://:@h": "http://h/",
    "http://a/../b/./c/%2e%2E/d": "http://a/b/d",
    "https://a.test/x y": "https://a.test/x%20y",
    "http://a/é?é'#é": "http://a/%C3%A9?%C3%A9%27#%C3%A9",
    "http://ä.de": "http://xn--4ca.de/",
    "http://1": "http://0.0.0.1/",
    "http://0x7f.1": "http://127.0.0.1/",
    "http://[1:0:0:0:0:0:0:1]": "http://[1::1]/",
    "file:///x": "file:///x",
    "file:x": "file:///x",
    "mailto:x": "mailto:x",
    "x://h:80/p": "x://h:80/p",
    "data:,": "data:,",
}
REFUSED = [
    "", "nope", "://a", "1x:a", "http://", "http://a b", "http://[x]", "http://[::1", "http://a:99999", "http://a:x", "http://%",
    "http://a^b", "http://user@", "http://256.1.1.1", "http://1.2.3.4.5", "http://a.1x.2", "x://h:99999", "http://a%00",
]  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_an_address_is_read_as_a_browser_reads_it(text):
    assert href_of(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_a_browser_refuses_is_none(text):
    assert href_of(text) is None


PARTS = st.sampled_from(
    ["http:", "x:", "//", "/", "a", "b.c", ":", "80", "@", "?", "#", "[::1]", "%", "..", " ", "é", "\ud800", "\\"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=9).map("".join) | st.text(st.characters(), max_size=20).map("https://".__add__))
def test_an_address_once_read_is_read_as_itself(text):
    href = href_of(text)
    assert href is None or href_of(href) == href
