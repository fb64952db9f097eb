"""A receiver on this machine that keeps what comes and verifies it with the library, and fails when told to."""

import asyncio
import ssl
from dataclasses import dataclass, field

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """script holds the answers to give, the last one for all further: a status, "hang", "drip" or "redirect"."""

    script: list = field(default_factory=lambda: [200])
    got: list = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    _serving: list = field(default_factory=list)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hooks?key=path-secret-77"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def verified(self):
        """What came, each verified."""
        return [(headers["webhook-id"], Webhook(SECRET).verify(body, headers)) for _, headers, body in self.got]

    async def _serve(self, reader, writer):
        self._serving.append(asyncio.current_task())
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append((line, headers, body))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if answer == "hang":
            await asyncio.sleep(60)
        if answer == "redirect":
            writer.write(f"HTTP/1.1 302 Found\r\nlocation: {self.url}\r\ncontent-length: 0\r\n\r\n".encode())
        elif answer == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\nx: ")
            while True:
                writer.write(b"y")
                await writer.drain()
                await asyncio.sleep(0.05)
        else:
            writer.write(f"HTTP/1.1 {answer} X\r\ncontent-length: 1000000000\r\n\r\n".encode() + b"z" * 1000)
        await writer.drain()
