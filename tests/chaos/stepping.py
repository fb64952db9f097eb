"""Runs one send and stops it dead at its k-th await, for every k: a child each, killed with SIGKILL.

usage: python stepping.py DSN OWNER_DSN MODE STRIDE WHAT   (MODE: kill or cancel; WHAT: intake or message)
Prints one JSON object: how often it was stopped, the last step, and what went wrong.
"""

import asyncio
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent.parent))

import asyncpg

from anamnesis.kernel.jobs import JobKind
from build import a_session, an_app, caller
from checker import broken

WORDS = "It is about me"


class Stepper:
    """A coroutine whose steps are counted; at the k-th something happens to it."""

    def __init__(self, coroutine, at, happen):
        self._coroutine, self._at, self._happen, self.steps = coroutine, at, happen, 0

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


def send(app, place, key):
    """One send into a session, or into a connection when the place is one: (name, id)."""
    what, place_id = place
    if what == "message":
        return caller(app, "patient").call("message.send", connectionId=place_id, content=WORDS, clientMessageId=key)
    return caller(app, "patient").call("intake.sendMessage", sessionId=place_id, content=WORDS, clientMessageId=key)


async def step(dsn, place, key, at, happen):
    app = an_app(dsn)
    await caller(app, "patient").call("user.getMe")  # the pool is open, so that only the send's own steps count
    stepper = Stepper(send(app, place, key), at, happen)
    try:
        await stepper
    except asyncio.CancelledError:
        await app.database.close()
        return -1
    await app.database.close()
    return stepper.steps


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def cancel():
    asyncio.current_task().cancel()


async def recover(dsn, owner_dsn, place, key):
    """Time passes, a worker looks, the client tries again: what is wrong then."""
    owner = await asyncpg.connect(owner_dsn)
    app = an_app(dsn)
    try:
        await owner.execute("UPDATE jobs SET lease_until = clock_timestamp() WHERE state = 'running'")
        stored = await count(owner, place, key)
        wrong = [] if stored in (0, 1) else [f"stored {stored} times"]
        if stored and place[0] == "intake":
            from anamnesis.db import outbox

            job = await outbox.claim_one(app.database, JobKind.TAKE_TURN, place[1])
            if job is not None:
                await app.worker.handlers[JobKind.TAKE_TURN](job)
        answer = await send(app, place, key)
        if place[0] == "intake" and answer["aiMessage"] is None:
            wrong.append("no reply after recovery")
        idle = await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
        )
        kept = await count(owner, place, key)
        return [*wrong, *(["idle in transaction"] if idle else []), *([] if kept == 1 else [f"{kept} rows"]),
                *await broken(owner)]  # fmt: skip
    finally:
        await owner.close()
        await app.database.close()


async def count(owner, place, key):
    table = "chat_messages" if place[0] == "intake" else "direct_messages"
    return await owner.fetchval(f"SELECT count(*) FROM {table} WHERE client_message_id = $1", key)


async def prepare(dsn):
    app = an_app(dsn)
    connection_id, _ = await a_session(app)
    await app.database.close()
    return connection_id


async def new_session(dsn, connection_id):
    app = an_app(dsn)
    session = await caller(app, "patient").call("intake.createNewSession", connectionId=connection_id)
    await app.database.close()
    return str(session["id"])


def run_child(dsn, place, key, at, mode):
    """Fork, run the send, answer (was it stopped, how many steps it had)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        steps = asyncio.run(step(dsn, place, key, at, kill if mode == "kill" else cancel))
        os.write(writing, str(steps).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    said = os.read(reading, 20).decode()
    os.close(reading)
    return os.WIFSIGNALED(status) or said == "-1", said


def main(dsn, owner_dsn, mode, stride, what):
    connection_id = asyncio.run(prepare(dsn))
    wrong, at, stopped = {}, 1, 0
    while at < 500:
        place_id = asyncio.run(new_session(dsn, connection_id)) if what == "intake" else connection_id
        place, key = (what, place_id), str(uuid4())
        was_stopped, _ = run_child(dsn, place, key, at, mode)
        found = asyncio.run(recover(dsn, owner_dsn, place, key))
        if found:
            wrong[at] = found
        if not was_stopped:
            break
        stopped += 1
        at += stride
    print(json.dumps({"stopped": stopped, "last": at, "wrong": wrong}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
