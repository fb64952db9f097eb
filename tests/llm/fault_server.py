"""A small server that speaks both providers' protocols over real sockets, and fails in every way they do.

A fault is an awaitable function of the exchange; the script names one for each call, the last one for all further.
"""

import asyncio
import base64
import json
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

GEMINI, OPENAI = "gemini", "openai"
VENDORS = (GEMINI, OPENAI)
_BASE64 = str.maketrans("-_", "+/")


@dataclass
class Exchange:
    """One call as it came in, and when its socket was closed by the caller (monotonic seconds)."""

    vendor: str
    path: str
    headers: dict
    body: dict
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    at: float
    closed_at: float | None = None

    @property
    def user_text(self):
        if self.vendor == OPENAI:
            content = self.body["messages"][-1]["content"]
            return content if isinstance(content, str) else content[0]["text"]
        return self.body["contents"][-1]["parts"][0]["text"]

    @property
    def photos(self):
        """The bytes of the pictures that came, each with what kind it is said to be, in the vendor's own form."""
        if self.vendor == OPENAI:
            content = self.body["messages"][-1]["content"]
            urls = [part["image_url"]["url"] for part in content[1:]] if isinstance(content, list) else []
            parts = [url.removeprefix("data:").split(";base64,") for url in urls]
        else:
            # The SDK writes this one name with an underscore, and the other alphabet of base64; the API takes both.
            found = [part["inlineData"] for part in self.body["contents"][-1]["parts"][1:]]
            parts = [(each.get("mimeType") or each["mime_type"], each["data"]) for each in found]
        return [(kind, base64.b64decode(told.translate(_BASE64))) for kind, told in parts]

    @property
    def instructions(self):
        if self.vendor == OPENAI:
            return self.body["messages"][0]["content"]
        return self.body["systemInstruction"]["parts"][0]["text"]

    @property
    def is_growing(self):
        """Whether the answer was asked for as it grows."""
        return self.path.endswith(":streamGenerateContent") or self.body.get("stream") is True

    @property
    def case(self):
        """The case as data, without what follows it."""
        return json.JSONDecoder().raw_decode(self.user_text)[0]


@dataclass
class FaultServer:
    """elsewhere answers what is no turn of an interview, beside the script; without it the script answers that too."""

    script: list = field(default_factory=list)
    elsewhere: object = None
    calls: list = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    _server: asyncio.Server | None = None
    _open: set = field(default_factory=set)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def will(self, *faults):
        self.script = list(faults)
        self.calls.clear()

    async def _serve(self, reader, writer):
        self._open.add(asyncio.current_task())
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(asyncio.current_task())
            writer.transport.abort()

    async def _one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = urlsplit(line.split(" ")[1]).path
        vendor = OPENAI if "chat/completions" in path else GEMINI
        exchange = Exchange(vendor, path, headers, json.loads(body), reader, writer, time.monotonic())
        if self.elsewhere is not None and "question" not in exchange.case:
            return await self.elsewhere(exchange)
        self.calls.append(exchange)
        fault = self.script[min(len(self.calls), len(self.script)) - 1]
        return await fault(exchange)


# -- how a call goes ---------------------------------------------------------------------------------------------


def envelope(vendor, content, *, finish="stop", usage=True):
    """The vendor's own JSON around what its model said; finish None leaves the finish reason out."""
    if vendor == OPENAI:
        choice = {"index": 0, "message": {"role": "assistant", "content": content}}
        if finish:
            choice["finish_reason"] = finish
        body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "served-openai", "choices": [choice]}
        return body | ({"usage": {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}} if usage else {})
    names = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
    candidate = {"index": 0, "content": {"role": "model", "parts": [{"text": content}]}}
    if finish:
        candidate["finishReason"] = names[finish]
    tokens = {"promptTokenCount": 900, "candidatesTokenCount": 60, "totalTokenCount": 960}
    return {"candidates": [candidate], "modelVersion": "served-gemini"} | ({"usageMetadata": tokens} if usage else {})


def pieces(vendor, content, *, finish="stop", usage=True, size=9):
    """The same as the vendor tells it while it grows, a few letters at a time; very much of it in larger pieces."""
    size = max(size, len(content) // 6000)
    parts = [content[place : place + size] for place in range(0, len(content), size)] or [""]
    last = len(parts) - 1
    if vendor == GEMINI:
        return [
            envelope(vendor, part, finish=finish if n == last else None, usage=usage) for n, part in enumerate(parts)
        ]
    common = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "served-openai"}
    told = [common | {"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]} for part in parts]
    ended = common | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    bill = common | {"choices": [], "usage": envelope(vendor, "")["usage"]}
    return [*told, *([ended] if finish else []), *([bill] if usage else [])]


def reply_to(exchange, *, lead="Thank you. ", facts=(), **more):
    """What a well-behaved model says: the question it was given, after a word of thanks."""
    return json.dumps({"reply": lead + exchange.case["question"], "facts": list(facts), "reasoning": "", **more})


def raw(body, *, status=200, headers=(), length=None, kind="application/json"):
    """These bytes under this status."""
    data = body if isinstance(body, bytes) else body.encode()

    async def fault(exchange):
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", *headers]
        lines.append(f"content-length: {len(data) if length is None else length}")
        exchange.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await exchange.writer.drain()
        return length is None

    return fault


def told(*bodies):
    """These events and no other."""
    return raw("".join(f"data: {json.dumps(body)}\n\n" for body in bodies), kind="text/event-stream")


def grows(content, *, pause_s=0.0, until=None, then=None, **options):
    """The model's message as events, pause_s between them; after the piece that ends with until, then has its way."""

    async def fault(exchange):
        text = content(exchange) if callable(content) else content
        kept = text if until is None else text[: text.index(until) + len(until)]
        told = pieces(exchange.vendor, kept, **({"finish": None, "usage": False} if then else {}), **options)
        exchange.writer.write(
            b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        events = [f"data: {json.dumps(each)}\n\n" for each in told]
        events += ["data: [DONE]\n\n"] if exchange.vendor == OPENAI and then is None else []
        for event in events:
            exchange.writer.write(f"{len(event.encode()):x}\r\n{event}\r\n".encode())
            await exchange.writer.drain()
            await asyncio.sleep(pause_s)
        if then is not None:
            return await then(exchange)
        exchange.writer.write(b"0\r\n\r\n")
        return True

    return fault


def says(content, **envelope_options):
    """The model's message, whole or as it grows, and as given; a function of the exchange may make it."""

    async def fault(exchange):
        if exchange.is_growing:
            return await grows(content, **envelope_options)(exchange)
        text = content(exchange) if callable(content) else content
        return await raw(json.dumps(envelope(exchange.vendor, text, **envelope_options)))(exchange)

    return fault


def good(**options):
    return says(lambda exchange: reply_to(exchange, **options))


def status(code, *headers, body=None):
    def shaped(exchange):
        if body is not None:
            return body
        error = {"code": code, "message": "SECRETOSIS said the provider", "status": "X"}
        return json.dumps({"error": error})

    async def fault(exchange):
        return await raw(shaped(exchange), status=code, headers=headers)(exchange)

    return fault


async def _until_closed(exchange):
    try:
        while await exchange.reader.read(1024):
            pass
    except OSError:
        pass
    exchange.closed_at = time.monotonic()
    return False


async def ends(exchange):
    """Closed in good order, in the middle of what was being told."""
    exchange.writer.write(b"0\r\n\r\n")
    return True


async def hang(exchange):
    return await _until_closed(exchange)


async def hang_after_headers(exchange):
    exchange.writer.write(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n")
    return await _until_closed(exchange)


async def hang_in_body(exchange):
    body = json.dumps(envelope(exchange.vendor, reply_to(exchange))).encode()
    head = f"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    exchange.writer.write(head + body[: len(body) // 2])
    return await _until_closed(exchange)


async def drip(exchange):
    """A byte at a time, for ever: no single read is ever late."""
    exchange.writer.write(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n")
    try:
        while not exchange.reader.at_eof():
            exchange.writer.write(b" ")
            await exchange.writer.drain()
            await asyncio.sleep(0.05)
    except OSError:
        pass
    exchange.closed_at = time.monotonic()
    return False


async def endless(exchange):
    """More than anybody wants to read."""
    exchange.writer.write(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    try:
        while not exchange.reader.at_eof():
            exchange.writer.write(b"10000\r\n" + b"[" * 65536 + b"\r\n")
            await exchange.writer.drain()
    except OSError:
        pass
    exchange.closed_at = time.monotonic()
    return False


async def reset(exchange):
    exchange.writer.transport.abort()
    return False


async def reset_in_body(exchange):
    exchange.writer.write(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{")
    await exchange.writer.drain()
    exchange.writer.transport.abort()
    return False


async def cut_body(exchange):
    """Closed in good order, before what was announced has come."""
    exchange.writer.write(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{")
    await exchange.writer.drain()
    return False


def late(seconds):
    async def fault(exchange):
        await asyncio.sleep(seconds)
        return await good()(exchange)

    return fault
