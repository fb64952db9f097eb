"""A small program under the real server, for tests that stop, starve and confuse it from outside.

It prints its port when it takes connections. Arguments: notice, finish and total of stopping, in seconds, and how
long its background part takes to leave.
"""

import asyncio
import sys
from contextlib import asynccontextmanager

from anamnesis import journal
from anamnesis.edge.connections import Patience
from anamnesis.edge.draining import Drain
from anamnesis.edge.headers import GoodManners
from anamnesis.serving import Stopping, run, serve

PATIENCE = Patience(head_s=0.5, body_s=0.8, read_s=0.8, sweep_s=0.1)


async def main(notice_s: float, finish_s: int, total_s: float, leaving_s: float) -> None:
    drain = Drain()
    loop = asyncio.get_running_loop()

    async def app(scope, receive, send):
        async def answer(status, body=b"", *, more=False):
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": body, "more_body": more})

        path = scope["path"]
        if path == "/readyz":
            await answer(503 if drain.has_begun else 200, b"ready")
        elif path == "/slow":
            await asyncio.sleep(0.3)
            await answer(200, b"done slowly")
        elif path == "/stuck":
            await asyncio.sleep(60)
        elif path == "/huge":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(2000):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        elif path == "/events":
            await events(receive, send)
        elif path == "/loop":
            await answer(200, type(loop).__module__.encode())
        else:
            size, more = 0, True
            while more:
                message = await receive()
                size, more = size + len(message.get("body", b"")), message.get("more_body", False)
            await answer(200, str(size).encode())

    async def events(receive, send):
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    @asynccontextmanager
    async def running():
        yield
        await asyncio.sleep(leaving_s)
        print("left", flush=True)

    def ready():
        (listening,) = sockets_of_this_process()
        print(listening, flush=True)

    await serve(
        GoodManners(app),
        host="127.0.0.1",
        port=0,
        running=running,
        ready=ready,
        drain=drain,
        stop=lambda: print("stop", flush=True),
        stopping=Stopping(notice_s, finish_s, total_s),
        patience=PATIENCE,
    )


def sockets_of_this_process():
    import psutil

    return [each.laddr.port for each in psutil.Process().net_connections("tcp") if each.status == "LISTEN"]


if __name__ == "__main__":
    journal.configure(development=False)
    journal.adopt_process()
    notice, finish, total, leaving = sys.argv[1:]
    run(main(float(notice), int(finish), float(total), float(leaving)))
