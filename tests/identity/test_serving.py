import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "served.py"


@contextmanager
def served(*, notice=0.3, finish=3, total=5.0, leaving=0.0):
    """The program in a process of its own; yields the process and its port, and ends it if the test did not."""
    arguments = [str(each) for each in (notice, finish, total, leaving)]
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def ended(process, within_s=10.0):
    """What the process printed, and how many seconds it took to end from now on."""
    started = time.monotonic()
    out, err = process.communicate(timeout=within_s)
    return out.split(), [json.loads(line) for line in err.splitlines()], time.monotonic() - started


async def ask(port, path, *, sent=b"", headers="connection: close\r\n"):
    """One request on a connection of its own: status, headers and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n".encode() + sent)
        return parsed(await asyncio.wait_for(reader.read(), 10))
    finally:
        writer.close()


def parsed(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


async def caller(port, path, seen, until):
    """Ask again and again on one kept connection, opening another when the server closes it."""
    connection, is_new = None, False
    while time.monotonic() < until:
        try:
            if connection is None:
                connection, is_new = await asyncio.open_connection("127.0.0.1", port), True
        except OSError:
            seen["refused"] += 1
            return
        outcome = await one(connection, path)
        if is_new and outcome == "cut ConnectionResetError":
            # The kernel greeted it in the microsecond in which the door closed; the server never saw it.
            outcome = "turned away"
        seen[outcome] += 1
        is_new = False
        if connection[0].at_eof() or outcome != "complete":
            connection[1].close()
            connection = None


async def one(connection, path):
    """The outcome of one request on a connection: complete, or cut and how."""
    reader, writer = connection
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).lower()
        assert head.startswith(b"http/1.1 200")
        if b"transfer-encoding: chunked" in head:
            await reader.readuntil(b"0\r\n\r\n")
        else:
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        if b"connection: close" in head:
            await reader.read()
    except (OSError, asyncio.IncompleteReadError) as error:
        return f"cut {type(error).__name__}"
    return "complete"


async def load(port, process, *, callers, signal_after_s, seconds):
    seen = Counter()
    until = time.monotonic() + seconds
    paths = ("/slow", "/fast")
    tasks = [asyncio.create_task(caller(port, paths[n % 2], seen, until)) for n in range(callers)]
    await asyncio.sleep(signal_after_s)
    process.send_signal(signal.SIGTERM)
    await asyncio.gather(*tasks)
    return seen


def cuts(seen):
    return {outcome: number for outcome, number in seen.items() if outcome.startswith("cut")}


@pytest.mark.proves("I38")
async def test_a_stop_under_load_cuts_no_request_and_takes_less_than_ten_seconds():
    with served() as (process, port):
        seen = await load(port, process, callers=16, signal_after_s=0.5, seconds=4)
        out, lines, seconds = ended(process)
    assert process.returncode == 0
    assert seconds < 10
    assert seen["complete"] > 100
    assert seen["refused"] == 16  # in the end everybody is turned away at the door
    assert cuts(seen) == {}
    assert seen["turned away"] <= 1
    assert out == ["stop", "left"]
    assert [line["event"] for line in lines] == ["serve.stop", "serve.stop"]
    assert [line["phase"] for line in lines] == ["started", "completed"]


@pytest.mark.slow
async def test_ten_stops_under_more_load_cut_no_request():
    seen = Counter()
    for _ in range(10):
        with served() as (process, port):
            seen += await load(port, process, callers=64, signal_after_s=0.4, seconds=3)
            ended(process)
    assert cuts(seen) == {}
    assert seen["turned away"] <= 5


async def test_readiness_says_no_while_connections_are_still_taken():
    with served(notice=0.6) as (process, port):
        assert (await ask(port, "/readyz"))[0] == 200
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        status, headers, _ = await ask(port, "/readyz", headers="")
        assert (status, headers["connection"]) == (503, "close")
        await asyncio.sleep(0.7)
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
        ended(process)


async def test_what_has_begun_is_finished_after_the_door_is_closed():
    with served(notice=0.0) as (process, port):
        slow = asyncio.create_task(ask(port, "/slow", headers=""))
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        status, _, body = await slow
        assert (status, b"done slowly" in body) == (200, True)
        assert ended(process)[2] < 2


async def test_an_event_stream_is_sent_away_in_good_order_at_once():
    with served(finish=5) as (process, port):
        stream = asyncio.create_task(ask(port, "/events", headers="accept: text/event-stream\r\n"))
        await asyncio.sleep(0.2)
        assert not stream.done()
        process.send_signal(signal.SIGTERM)
        status, _, body = await asyncio.wait_for(stream, 1)
        assert status == 200
        assert b"data: first" in body
        assert body.endswith(b"0\r\n\r\n")
        assert ended(process)[2] < 2


async def test_a_request_that_never_ends_does_not_keep_the_process():
    with served(notice=0.1, finish=1, total=3) as (process, port):
        stuck = asyncio.create_task(ask(port, "/stuck"))
        await asyncio.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, _, seconds = ended(process)
        assert seconds < 3.5
        stuck.cancel()


async def test_a_background_part_that_does_not_leave_does_not_keep_the_process():
    with served(notice=0.1, finish=1, total=1.5, leaving=60) as (process, _):
        process.send_signal(signal.SIGTERM)
        out, lines, seconds = ended(process)
        assert seconds < 3
        assert out == ["stop"]
        assert lines[-1]["error_code"] == "STOPPED_LATE"


async def test_a_second_signal_waits_for_nobody():
    with served(notice=0.1, finish=30, total=40) as (process, port):
        stuck = asyncio.create_task(ask(port, "/stuck"))
        await asyncio.sleep(0.2)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.3)
        assert ended(process)[2] < 2
        stuck.cancel()


def test_an_address_that_is_taken_ends_the_program_with_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        program = (
            "from contextlib import nullcontext; from anamnesis.serving import run, serve;"
            f"run(serve(None, host='127.0.0.1', port={taken.getsockname()[1]}, running=nullcontext))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot listen on 127.0.0.1:")
    assert "Traceback" not in done.stderr


# -- connections ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port():
    """One program for everything that only talks to it."""
    with served() as (_, port):
        yield port


def tell(port, *pieces, pause_s=0.0, wait_s=5.0):
    """What comes back for bytes sent piece by piece, and after how many seconds the server closed."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        got = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
            while data := connection.recv(65536):
                got += data
        except ConnectionError:
            pass
        return got, time.monotonic() - started


def test_it_runs_on_uvloop_without_naming_the_server(port):
    status, headers, body = asyncio.run(ask(port, "/loop"))
    assert (status, b"uvloop" in body) == (200, True)
    assert "server" not in headers
    assert "date" in headers


def test_a_client_that_sends_nothing_is_let_go(port):
    got, seconds = tell(port)
    assert parsed(got)[0] == 408
    assert 0.4 < seconds < 3


def test_a_client_that_sends_its_head_drop_by_drop_is_let_go(port):
    got, seconds = tell(port, b"GET / HTTP/1.1\r\n", *[b"x: y\r\n"] * 20, pause_s=0.1)
    assert seconds < 4
    assert b"200 OK" not in got


def test_a_client_that_sends_its_body_drop_by_drop_is_let_go(port):
    got, seconds = tell(port, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", *[b"y"] * 30, pause_s=0.1)
    assert seconds < 5
    assert b"200 OK" not in got


def test_a_body_that_is_slow_and_keeps_coming_is_taken(port):
    pieces = [b"y" * 2048] * 12
    head = f"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {2048 * 12}\r\n\r\n".encode()
    got, seconds = tell(port, head, *pieces, pause_s=0.1)
    assert seconds > 1  # longer than a body that brings nothing may take
    assert b"24576" in got


def test_a_client_that_does_not_read_is_let_go(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(1.6)
        got, size = b"x", 0
        try:
            while got:
                got = connection.recv(1 << 20)
                size += len(got)
        except ConnectionError:
            got = b""
        assert size < 2000 * 65536


def test_a_slow_client_delays_nobody_else(port):
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET / HT")
        assert asyncio.run(ask(port, "/fast"))[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(1000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 300_000,
    ],
)
def test_a_head_over_its_limit_is_refused(port, head):
    got, _ = tell(port, head)
    status, headers, _ = parsed(got)
    assert status == 431
    assert headers["connection"] == "close"
    assert "x-request-id" in headers


def test_an_ordinary_large_head_passes(port):
    cookie = b"a" * 30_000
    got, _ = tell(port, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: " + cookie + b"\r\n\r\n")
    assert parsed(got)[0] == 200


NOT_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n",
    b"\x00" * 100 + b"\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("sent", NOT_HTTP)
def test_what_is_not_http_is_a_clients_error_with_our_manners(port, sent):
    got, _ = tell(port, sent)
    status, headers, _ = parsed(got)
    assert 400 <= status < 500
    assert headers["x-content-type-options"] == "nosniff"
    assert "x-request-id" in headers


def test_requests_in_one_packet_are_all_answered(port):
    first, last = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    got, _ = tell(port, first + first + last)
    assert got.count(b"HTTP/1.1 200") == 3
