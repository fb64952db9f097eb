"""Runs one send and stops it dead at its k-th await, for every k: a child each, killed with SIGKILL.

usage: python stepping.py DSN MODE   (MODE: kill or cancel). Prints one JSON object: steps and what went wrong.
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


def send(app, session_id, key):
    return caller(app, "patient").call("intake.sendMessage", sessionId=session_id, content=WORDS, clientMessageId=key)


async def step(dsn, session_id, key, at, happen):
    app = an_app(dsn)
    await caller(app, "patient").call("user.getMe")  # the pool is open, so that only the send's own steps count
    stepper = Stepper(send(app, session_id, key), at, happen)
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


async def recover(dsn, owner_dsn, session_id, key):
    """Time passes, a worker looks, the client tries again: what is wrong then."""
    owner = await asyncpg.connect(owner_dsn)
    app = an_app(dsn)
    try:
        await owner.execute("UPDATE jobs SET lease_until = clock_timestamp() WHERE state = 'running'")
        stored = await owner.fetchval("SELECT count(*) FROM chat_messages WHERE client_message_id = $1", key)
        wrong = [] if stored in (0, 1) else [f"stored {stored} times"]
        if stored:
            from anamnesis.db import outbox

            job = await outbox.claim_one(app.database, JobKind.TAKE_TURN, session_id)
            if job is not None:
                await app.worker.handlers[JobKind.TAKE_TURN](job)
        answer = await send(app, session_id, key)
        if answer["aiMessage"] is None:
            wrong.append("no reply after recovery")
        idle = await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
        )
        count = await owner.fetchval("SELECT count(*) FROM chat_messages WHERE client_message_id = $1", key)
        return [*wrong, *(["idle in transaction"] if idle else []), *([] if count == 1 else [f"{count} rows"]),
                *await broken(owner)]  # fmt: skip
    finally:
        await owner.close()
        await app.database.close()


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


def run_child(dsn, session_id, key, at, mode):
    """Fork, run the send, answer (was it stopped, how many steps it had)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        steps = asyncio.run(step(dsn, session_id, key, at, kill if mode == "kill" else cancel))
        os.write(writing, str(steps).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    said = os.read(reading, 20).decode()
    os.close(reading)
    return os.WIFSIGNALED(status) or said == "-1", said


def main(dsn, owner_dsn, mode, stride):
    connection_id = asyncio.run(prepare(dsn))
    wrong, at, stopped = {}, 1, 0
    while at < 500:
        session_id, key = asyncio.run(new_session(dsn, connection_id)), str(uuid4())
        was_stopped, _ = run_child(dsn, session_id, key, at, mode)
        found = asyncio.run(recover(dsn, owner_dsn, session_id, key))
        if found:
            wrong[at] = found
        if not was_stopped:
            break
        stopped += 1
        at += stride
    print(json.dumps({"stopped": stopped, "last": at, "wrong": wrong}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
