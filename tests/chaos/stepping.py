"""Runs one send and stops it dead at its k-th await, for every k: a child each, killed with SIGKILL.

usage: python stepping.py DSN OWNER_DSN MODE WHAT
MODE is kill or cancel, WHAT one of WORDS or ready. Prints one JSON object: how many were stopped and what went wrong.
"""

import asyncio
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

sys.path.insert(0, str(Path(__file__).parent.parent))

import asyncpg

from anamnesis.workers.loop import Worker
from build import WHOLE_INTAKE, a_session, an_app, caller, tell
from checker import Told, broken

#: What is sent: the procedure, and whether it has a reply to wait for.
SENDS = {"intake": ("intake.sendMessage", "sessionId"), "direct": ("message.send", "connectionId")}
WORDS = {"first": "It is about me", "emergency": "I have crushing chest pain and I am sweating", "direct": "hello"}


class Stepper:
    """A coroutine whose steps are counted; at the k-th something happens to it."""

    def __init__(self, coroutine, at, happen):
        self._coroutine, self._at, self._happen, self.steps = coroutine, at, happen, 0

    async def run(self):
        """To its end, in the task that is to be cancelled."""
        return await self

    def __await__(self):
        resume = partial(self._coroutine.send, None)
        while True:
            self.steps += 1
            if self.steps == self._at:
                self._happen()
            try:
                awaited = resume()
            except StopIteration as done:
                return done.value
            try:
                yield awaited
            except BaseException as thrown:
                resume = partial(self._coroutine.throw, thrown)
            else:
                resume = partial(self._coroutine.send, None)


def words_of(what):
    return WHOLE_INTAKE[-1] if what == "ready" else WORDS[what]


def send(app, what, place, key):
    procedure, of = SENDS["direct" if what == "direct" else "intake"]
    return caller(app, "patient").call(procedure, content=words_of(what), clientMessageId=key, **{of: place})


async def step(dsn, what, place, key, at, happen):
    app = an_app(dsn)
    await caller(app, "patient").call("user.getMe")  # the pool is open, so that only the send's own steps count
    try:
        await asyncio.create_task(Stepper(send(app, what, place, key), at, happen).run())
    except asyncio.CancelledError:
        return "stopped"
    finally:
        await app.database.close()
    return "ended"


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def cancel():
    asyncio.current_task().cancel()


async def recover(dsn, owner_dsn, what, place, key):
    """Another process starts: its worker finds what is left, then the client tries again. What is wrong then."""
    owner, app = await asyncpg.connect(owner_dsn), an_app(dsn)
    try:
        # The dead process renews nothing: its lease, fifteen seconds, is over.
        await owner.execute("UPDATE jobs SET lease_until = clock_timestamp() WHERE state = 'running'")
        await work_until_rest(app, owner)
        # Without any help of the client, whatever was stored has been answered, and nothing is held.
        wrong = await broken(owner, at_rest=True, history=[Told(UUID(key), words_of(what), acked=False)])
        idle = (
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in trans%' AND datname = current_database()"
        )
        wrong += ["idle in transaction"] if await owner.fetchval(idle) else []
        answers = [await send(app, what, place, key) for _ in range(2)]
        await work_until_rest(app, owner)
        return wrong + await broken(owner, at_rest=True, history=[told_by(answer, what, key) for answer in answers])
    finally:
        await owner.close()
        await app.database.close()


def told_by(answer, what, key):
    if what == "direct":
        return Told(UUID(key), words_of(what), message_id=answer["message"]["id"])
    return Told(UUID(key), words_of(what), message_id=answer["userMessage"]["id"], reply_id=answer["aiMessage"]["id"])


async def work_until_rest(app, owner):
    """The worker of a service that has just started, until it has nothing left to do."""
    worker = Worker(app.database, app.worker.handlers, poll_s=0.02)
    running = asyncio.create_task(worker.run())
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not await owner.fetchval("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"):
            break
        await asyncio.sleep(0.02)
    worker.stop()
    await running


async def prepare(dsn):
    app = an_app(dsn)
    connection_id, _ = await a_session(app)
    await app.database.close()
    return connection_id


async def new_place(dsn, connection_id, what):
    """Where the next message goes: the conversation, or a session of its own, nearly finished for "ready"."""
    if what == "direct":
        return connection_id
    app = an_app(dsn)
    session = await caller(app, "patient").call("intake.createNewSession", connectionId=connection_id)
    if what == "ready":
        await tell(app, str(session["id"]), *WHOLE_INTAKE[:-1])
    await app.database.close()
    return str(session["id"])


def run_child(dsn, what, place, key, at, mode):
    """Fork, run the send in the child; whether it was stopped: by SIGKILL, or by its cancellation."""
    pid = os.fork()
    if pid == 0:
        ended = asyncio.run(step(dsn, what, place, key, at, kill if mode == "kill" else cancel))
        os._exit(0 if ended == "ended" else 3)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert mode == "kill"
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) in ((0,) if mode == "kill" else (0, 3)), status
    return os.WEXITSTATUS(status) == 3


def main(dsn, owner_dsn, mode, what):
    connection_id = asyncio.run(prepare(dsn))
    wrong, stopped = {}, 0
    for at in range(1, 500):
        place, key = asyncio.run(new_place(dsn, connection_id, what)), str(uuid4())
        was_stopped = run_child(dsn, what, place, key, at, mode)
        found = asyncio.run(recover(dsn, owner_dsn, what, place, key))
        if found:
            wrong[at] = found
        if not was_stopped:
            break
        stopped += 1
    print(json.dumps({"stopped": stopped, "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
