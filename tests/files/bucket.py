"""A small honest bucket: it speaks S3's protocol by path, and believes only requests whose signature it can make."""

import hashlib
import hmac
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

KEY_ID, SECRET, REGION, BUCKET = "clinic-key", "clinic-secret", "eu-test-1", "clinic"


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_of(method, path, query, headers, signed, scope, secret):
    """AWS Signature Version 4, from its published description."""
    listed = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed)
    pairs = sorted(tuple(each.partition("=")[::2]) for each in query.split("&") if each)
    told = "&".join(f"{name}={value}" for name, value in pairs)
    content = headers["x-amz-content-sha256"]
    request = "\n".join([method, quote(unquote(path)), told, listed, ";".join(signed), content])
    day, region, service, end = scope
    text = "\n".join(
        ["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join(scope), hashlib.sha256(request.encode()).hexdigest()]
    )
    key = _hmac(_hmac(_hmac(_hmac(b"AWS4" + secret.encode(), day), region), service), end)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _is_signed(self, body):
        headers = {name.lower(): value for name, value in self.headers.items()}
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            return False
        told = dict(each.strip().split("=", 1) for each in rest.split(","))
        key_id, *scope = told["Credential"].split("/")
        content = headers["x-amz-content-sha256"]
        if key_id != KEY_ID or scope[1] != REGION or content not in (
            "UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest(),
        ):  # fmt: skip
            return False
        parts = urlsplit(self.path)
        signed = told["SignedHeaders"].split(";")
        expected = signature_of(self.command, parts.path, parts.query, headers, signed, scope, SECRET)
        return hmac.compare_digest(expected, told["Signature"])

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        store, key = self.server.blobs, urlsplit(self.path).path.removeprefix(f"/{BUCKET}/")
        self.server.asked.append((self.command, key))
        if self.server.is_down:
            return self._say(503)
        if not self._is_signed(body):
            return self._say(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if self.command == "PUT":
            store[key] = body
            return self._say(200, headers={"etag": '"1"'})
        if self.command == "POST" and urlsplit(self.path).query == "delete":
            keys = re.findall(rb"<Key>([\w-]+)</Key>", body)
            for each in keys:
                store.pop(each.decode(), None)
            deleted = b"".join(b"<Deleted><Key>" + each + b"</Key></Deleted>" for each in keys)
            return self._say(200, b"<DeleteResult>" + deleted + b"</DeleteResult>")
        if key not in store:
            return self._say(404, b"<Error><Code>NoSuchKey</Code></Error>")
        headers = {"etag": '"1"', "last-modified": "Wed, 25 Nov 2026 10:00:00 GMT"}
        return self._say(200, store[key], headers)

    do_GET = do_PUT = do_POST = do_HEAD = _answer  # noqa: N815 - the standard library's own names

    def _say(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def a_bucket():
    """The server while the block runs: its url, and what it holds, was asked, and whether it is down."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.blobs, server.asked, server.is_down = {}, [], False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
