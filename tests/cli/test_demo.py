"""`anamnesis demo` as somebody runs it: how soon it answers, what a kill and Ctrl-C leave behind, what survives."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

ANAMNESIS = Path(sys.executable).parent / "anamnesis"
COLD_S, WARM_S = 60, 3
pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def demo(folder):
    """A running demo: its process, its sign-in links, and how long its first page took."""
    port, log, started = free_port(), folder / "log", time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(
            [ANAMNESIS, "demo", "--data", folder / "data"], stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, "PORT": str(port)},
        )  # fmt: skip
        try:
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() - started < COLD_S, log.read_text()
                try:
                    httpx2.get(f"http://127.0.0.1:{port}/", timeout=5)
                    break
                except httpx2.TransportError:
                    time.sleep(0.02)
            seconds = time.monotonic() - started
            while "Ctrl-C" not in (said := log.read_text()):
                assert time.monotonic() - started < COLD_S, said
                time.sleep(0.02)
            yield process, dict(re.findall(r"^  (Patient|Doctor|New patient)\s+(http\S+)", said, re.MULTILINE)), seconds
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def processes_in(folder):
    """Every process that has a file of this folder open or in its command line, but for ourselves."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            if str(folder) in command or str(folder) in str((entry / "cwd").readlink()):
                found.append((int(entry.name), command))
        except OSError:
            continue
    return found


def gone(folder, within_s=10):
    deadline = time.monotonic() + within_s
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return processes_in(folder)


def test_a_demo_starts_in_time_survives_a_kill_and_leaves_nothing_running(tmp_path, record_property):
    with demo(tmp_path) as (process, links, cold_s):
        with httpx2.Client(follow_redirects=True) as browser:
            page = browser.get(links["Patient"])
            action = re.search(r'<form[^>]*action="(/s/[^"/]+)"', page.text)
            assert action, page.text[:2000]
            fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
            origin = f"http://{page.url.host}:{page.url.port}"
            sent = browser.post(
                f"{origin}{action[1]}", data={**fields, "content": "It is about me and my knee"},
                headers={"origin": origin},
            )  # fmt: skip
            assert sent.status_code == 200
            assert "my knee" in sent.text
        assert processes_in(tmp_path / "data")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(tmp_path / "data") == []
    with demo(tmp_path) as (process, links, warm_s):
        with httpx2.Client(follow_redirects=True) as browser:
            assert "my knee" in browser.get(links["Patient"]).text
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(15) == 0
        assert gone(tmp_path / "data") == []
    record_property("cold_s", round(cold_s, 2))
    record_property("warm_s", round(warm_s, 2))
    print(f"first page: cold {cold_s:.2f} s, warm {warm_s:.2f} s")
    assert cold_s < COLD_S
    # The promise is three seconds on a quiet machine; here other tests run beside it.
    assert warm_s < 3 * WARM_S
