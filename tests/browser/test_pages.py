"""The demo clinic in real Chromium: an intake with scripts, one without, and the doctor's side of both."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from anamnesis.db.embedded import start_embedded
from build import WHOLE_INTAKE
from llm.fault_server import FaultServer, grows, hang, reply_to, says

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine"),
]
ANAMNESIS = Path(sys.executable).parent / "anamnesis"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def demo_in(folder, **settings):
    """A demo clinic of its own while the block runs: its sign-in links by who they are for."""
    environment = {**os.environ, "PORT": str(free_port()), **settings}
    log = (folder / "log").open("w")
    process = subprocess.Popen([ANAMNESIS, "demo", "--data", folder / "data"], stdout=log, stderr=log, env=environment)
    deadline = time.monotonic() + 60
    while "Ctrl-C" not in (text := (folder / "log").read_text()):
        assert process.poll() is None, text
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    yield dict(re.findall(r"^  (Patient|Doctor|Operator|New patient)\s+(http\S+)", text, re.MULTILINE))
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    log.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One clinic for the tests that do not mind what others left in it."""
    with demo_in(tmp_path_factory.mktemp("demo")) as links:
        yield links


@pytest.fixture
def fresh_demo(tmp_path):
    """A clinic in which the new patient has told nothing yet, whatever ran before."""
    with demo_in(tmp_path) as links:
        yield links


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def problems():
    return []


def page_of(browser, problems, **context):
    page = browser.new_context(viewport={"width": 390, "height": 844}, **context).new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if "127.0.0.1" in asked.url else problems.append(asked.url))
    return page


def test_an_intake_completes_live_without_a_reload_and_the_doctor_sees_it(fresh_demo, browser, problems):
    page = page_of(browser, problems)
    page.goto(fresh_demo["New patient"])
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".bubble.model")
    loads = []
    page.on("load", lambda _: loads.append(1))
    for number, words in enumerate(WHOLE_INTAKE, start=2):
        page.fill("#content", words)
        page.press("#content", "Enter")
        page.locator(".bubble.model").nth(number - 1).wait_for(timeout=8000)
    assert "Your answers are with your doctor" in page.locator(".bubble.model").last.inner_text()
    assert loads == []
    said = page.locator(".bubble.user .text").all_inner_texts()
    assert said == list(WHOLE_INTAKE)
    doctor = page_of(browser, problems)
    doctor.goto(fresh_demo["Doctor"])
    doctor.get_by_role("link", name=re.compile("Newcomer")).click()
    assert "Allergies: penicillin" in doctor.locator(".sbar").inner_text()
    evidence = doctor.locator(".sbar .evidence").first
    evidence.click()
    assert doctor.locator(".bubble:target").count() == 1
    doctor.fill("#reply", "Please come tomorrow at nine.")
    doctor.get_by_role("button", name="Send").click()
    doctor.get_by_role("button", name="Mark as reviewed").click()
    assert "reviewed" in doctor.locator("header").inner_text()
    page.reload()
    assert "Please come tomorrow at nine." in page.locator(".log").inner_text()
    assert problems == []


def test_an_intake_completes_with_scripts_off(demo, browser, problems):
    page = page_of(browser, problems, java_script_enabled=False)
    page.goto(demo["Patient"])
    if page.url.endswith("/"):
        page.get_by_role("button", name=re.compile("Start|something new")).click()
    for words in WHOLE_INTAKE:
        page.fill("#content", words)
        page.get_by_role("button", name="Send").click()
    assert "Your answers are with your doctor" in page.locator(".bubble.model").last.inner_text()
    assert problems == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_time_is_the_readers_own_or_says_that_it_is_utc(demo, browser, problems, scripts):
    doctor = page_of(browser, problems, java_script_enabled=scripts, timezone_id="Africa/Kampala", locale="en-GB")
    doctor.goto(demo["Doctor"])
    doctor.locator("a[href*='/doctor/case/']").first.click()
    time_of_day = doctor.locator("time.at").first
    moment = datetime.fromisoformat(time_of_day.get_attribute("datetime"))
    here = f"{moment.astimezone(ZoneInfo('Africa/Kampala')):%H:%M}"
    assert time_of_day.inner_text() == (here if scripts else f"{moment.astimezone(UTC):%H:%M} UTC")
    assert problems == []


def test_an_emergency_shows_at_once_and_leads_the_open_inbox(fresh_demo, browser, problems):
    doctor = page_of(browser, problems)
    doctor.goto(fresh_demo["Doctor"])
    doctor.wait_for_timeout(1500)
    page = page_of(browser, problems)
    page.goto(fresh_demo["New patient"])
    page.get_by_role("button", name="Start").click()
    page.fill("#content", "I can't breathe and my lips are blue")
    page.press("#content", "Enter")
    page.locator(".bubble.emergency").wait_for(timeout=5000)
    page.locator("#emergency a[href='tel:999']").wait_for(timeout=5000)
    doctor.get_by_text("lips are blue").wait_for(timeout=8000)
    assert "Newcomer" in doctor.locator(".row.red").nth(1).inner_text()


def test_the_operator_sees_readiness_and_verifies_a_doctor(demo, browser, problems):
    page = page_of(browser, problems)
    page.goto(demo["Operator"])
    page.get_by_role("button", name="Verify").first.click()
    assert page.get_by_text("Okot").count() == 0
    assert problems == []


def test_the_first_load_is_small(demo, browser, problems):
    page = page_of(browser, problems)
    sizes = []
    page.on("requestfinished", lambda asked: sizes.append(asked.sizes()["responseBodySize"]))
    page.goto(demo["Patient"])
    page.wait_for_timeout(1000)
    assert sum(sizes) <= 70_000


def a_photo(folder):
    from files.hostile import photo_with_gps

    path = folder / "rash.jpg"
    path.write_bytes(photo_with_gps())
    return path


def test_a_photo_is_sent_from_the_chat_and_both_see_it(fresh_demo, browser, problems, tmp_path):
    from files.hostile import HTML, pdf

    page = page_of(browser, problems)
    page.goto(fresh_demo["New patient"])
    page.get_by_role("button", name=re.compile("Start|Go on")).first.click()
    page.wait_for_selector(".bubble.model")
    page.set_input_files("#file", a_photo(tmp_path))
    page.locator("#attached img").wait_for(timeout=15000)
    page.fill("#content", "This is the rash")
    page.press("#content", "Enter")
    shown = page.locator(".bubble.user .picture img").last
    shown.wait_for()
    page.wait_for_function("[...document.querySelectorAll('.picture img')].every((each) => each.naturalWidth > 0)")
    assert page.locator("#attached li").count() == 0
    (tmp_path / "result.pdf").write_bytes(pdf())
    (tmp_path / "page.jpg").write_bytes(HTML)
    page.set_input_files("#file", [tmp_path / "result.pdf", tmp_path / "page.jpg"])
    page.get_by_text("neither a photo").wait_for(timeout=15000)
    assert "your doctor has it" in page.locator("#attached").inner_text()
    page.screenshot(path=os.environ.get("SCREENSHOTS", str(tmp_path)) + "/patient.png", full_page=True)
    page.reload()
    assert page.locator(".bubble.user .picture img").count() == 1
    with page.expect_download() as saved:
        page.get_by_role("link", name="result.pdf").click()
    assert saved.value.suggested_filename.endswith(".pdf")
    doctor = page_of(browser, problems)
    doctor.goto(fresh_demo["Doctor"])
    doctor.get_by_role("link", name=re.compile("Newcomer")).click()
    assert doctor.locator(".files li").count() == 2
    doctor.locator(".files img").scroll_into_view_if_needed()
    doctor.wait_for_function("[...document.querySelectorAll('.files img')].every((each) => each.naturalWidth > 0)")
    doctor.screenshot(path=os.environ.get("SCREENSHOTS", str(tmp_path)) + "/doctor.png", full_page=True)
    assert [each for each in problems if "400 (Bad Request)" not in each] == []


@pytest.mark.parametrize("at_once", [False, True])
def test_a_photo_is_sent_without_words(fresh_demo, browser, problems, tmp_path, at_once):
    page = page_of(browser, problems)
    page.goto(fresh_demo["New patient"])
    page.get_by_role("button", name=re.compile("Start|Go on")).first.click()
    page.wait_for_selector(".bubble.model")
    page.set_input_files("#file", a_photo(tmp_path))
    if not at_once:
        page.locator("#attached img").wait_for(timeout=15000)
    page.get_by_role("button", name="Send").click()
    page.locator(".bubble.user .picture img").wait_for(timeout=15000)
    page.locator(".bubble.waiting").wait_for(state="detached", timeout=15000)
    assert page.locator("#attached li").count() == 0
    page.reload()
    assert page.locator(".bubble.user").count() == 1
    assert page.locator(".bubble.user").inner_text().splitlines()[0:1] != []
    assert page.locator(".bubble.user .picture img").count() == 1
    page.get_by_role("button", name="Send").click()
    assert page.locator(".bubble.user").count() == 1
    assert problems == []


def test_a_photo_is_sent_with_scripts_off(demo, browser, problems, tmp_path):
    page = page_of(browser, problems, java_script_enabled=False)
    page.goto(demo["New patient"])
    page.get_by_role("button", name=re.compile("Start|Go on")).first.click()
    before = page.locator(".bubble.user .picture img").count()
    page.set_input_files("#file", a_photo(tmp_path))
    page.fill("#content", "Here it is again")
    page.get_by_role("button", name="Send").click()
    assert page.locator(".bubble.user .picture img").count() == before + 1
    page.screenshot(path=os.environ.get("SCREENSHOTS", str(tmp_path)) + "/plain.png", full_page=True)
    assert problems == []


# -- a reply that is shown while a model words it -----------------------------------------------------------------


LEAD = "Thank you for telling me that. "
QUESTION = "What is your name, how old are you, and are you male or female?"


def told(exchange):
    """What the model says: a sentence of its own, and the question it was given."""
    return reply_to(exchange, lead=LEAD)


#: The cases that stand in the clinic from the beginning have notes, and a model is asked about them.
NO_PROPOSAL = json.dumps({"order": [], "wordings": [], "differential": []})


@contextmanager
def a_model():
    """A provider on a thread of its own: where it is, and what gives it another script."""
    loop, begun, over, found = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), []

    async def serve():
        async with FaultServer(elsewhere=says(lambda _: NO_PROPOSAL)) as server:
            server.will(says(told))
            found.append(server)
            begun.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert begun.wait(10)
    yield found[0].url, lambda *script: loop.call_soon_threadsafe(found[0].will, *script)
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="module")
def modelled(tmp_path_factory):
    """A clinic with a model: where it lies, its links, and what changes the model's script."""
    folder = tmp_path_factory.mktemp("modelled")
    with a_model() as (url, will):
        model = {"AI_PROVIDER": "openai", "OPENAI_API_KEY": "k-Q8fj20dj", "OPENAI_BASE_URL": f"{url}/v1"}
        with demo_in(folder, **model, CONSENT_RECORDED_ELSEWHERE="true") as links:
            yield folder, links, will


async def forget_newcomer(folder):
    """Whoever signs in as the newcomer next is somebody the clinic has never seen."""
    connection = await asyncpg.connect(start_embedded(folder / "data").owner_dsn)  # joins the server that runs
    await connection.execute("UPDATE users SET clerk_id = 'left ' || id WHERE clerk_id = 'demo_newcomer'")
    await connection.execute("DELETE FROM model_breakers")
    await connection.close()


@pytest.fixture
def speaking(modelled):
    """A clinic whose model tells its replies as a script says, and what changes the script; the newcomer is new."""
    folder, links, will = modelled
    with ThreadPoolExecutor(1) as thread:  # the browser keeps this one's loop
        thread.submit(asyncio.run, forget_newcomer(folder)).result(20)
    will(says(told))
    return links, will


#: Keeps every text the growing reply ever had.
WATCH = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const item = document.querySelector(".bubble.growing .text");
    if (item && window.seen.at(-1) !== item.textContent) window.seen.push(item.textContent);
  }).observe(document.querySelector(".log"), { childList: true, subtree: true, characterData: true });
}"""


def begin(page, link):
    page.goto(link)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".bubble.model")
    page.evaluate(WATCH)
    page.fill("#content", "It is about me")
    page.press("#content", "Enter")


def test_a_reply_appears_word_by_word_and_stays_as_it_was_shown(speaking, browser, problems):
    page, (links, will) = page_of(browser, problems), speaking
    will(grows(told, pause_s=0.05))
    begin(page, links["New patient"])
    page.locator(".bubble.growing").wait_for(timeout=5000)
    assert page.get_by_role("button", name="Stop").is_visible()
    page.locator(".bubble.model:not(.growing)").nth(1).wait_for(timeout=8000)
    page.get_by_text(LEAD + QUESTION, exact=True).wait_for(timeout=5000)
    seen = [text for text in page.evaluate("window.seen") if text]
    assert len(seen) >= 6
    assert seen == sorted(seen, key=len)
    assert all((LEAD + QUESTION).startswith(text) for text in seen)
    assert page.locator(".bubble.model .text").last.inner_text() == LEAD + QUESTION
    assert page.get_by_role("button", name="Stop").is_hidden()
    page.reload()
    assert page.locator(".bubble.model .text").last.inner_text() == LEAD + QUESTION
    assert problems == []


def test_stop_keeps_the_part_that_was_shown_also_on_another_device_and_after_a_reload(speaking, browser, problems):
    page, (links, will) = page_of(browser, problems), speaking
    will(grows(told, until=LEAD, then=hang), grows(told))
    begin(page, links["New patient"])
    part = LEAD.strip()
    page.get_by_text(part, exact=True).wait_for(timeout=5000)
    second = page.context.new_page()
    second.goto(page.url)
    second.locator(".bubble.growing").get_by_text(part, exact=True).wait_for(timeout=5000)
    page.reload()
    page.locator(".bubble.growing").get_by_text(part, exact=True).wait_for(timeout=5000)
    page.get_by_role("button", name="Stop").click()
    for each in (page, second):
        each.locator(".bubble.model:not(.growing)").get_by_text("stopped", exact=True).wait_for(timeout=5000)
        assert each.locator(".bubble.model .text").last.inner_text() == part
        assert each.get_by_role("button", name="Stop").is_hidden()
    page.reload()
    assert page.locator(".bubble.model").last.get_by_text("stopped", exact=True).is_visible()
    page.fill("#content", "No")
    page.press("#content", "Enter")
    page.get_by_text(QUESTION).wait_for(timeout=5000)
    assert problems == []


class Line:
    """The line between a browser and the clinic, as a SOCKS proxy on a thread of its own: it can be cut and mended."""

    def __init__(self):
        self.loop, self.is_down, self.opened, self._open = asyncio.new_event_loop(), False, 0, set()
        self._begun, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))

    def __enter__(self):
        self._thread.start()
        assert self._begun.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self.loop.close()

    async def _serve(self):
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._begun.set()
        await self._over.wait()
        server.close()
        self._cut()
        await asyncio.sleep(0.1)

    async def _carry(self, reader, writer):
        self._open.add(writer)
        try:
            greeting = await reader.readexactly(2)
            await reader.readexactly(greeting[1])
            writer.write(b"\x05\x00")
            head = await reader.readexactly(4)
            host = await reader.readexactly(4 if head[3] == 1 else (await reader.readexactly(1))[0])
            name = socket.inet_ntoa(host) if head[3] == 1 else host.decode()
            port = int.from_bytes(await reader.readexactly(2), "big")
            if self.is_down or name != "127.0.0.1":
                writer.write(b"\x05\x05\x00\x01" + bytes(6))
                return
            there, out = await asyncio.open_connection(name, port)
            self._open.add(out)
            self.opened += 1
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
            await asyncio.gather(self._pump(reader, out), self._pump(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _pump(self, reader, writer):
        try:
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        finally:
            writer.close()

    def _cut(self):
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    def cut(self):
        """Every connection is reset, and none comes about any more."""
        self.is_down = True
        self.loop.call_soon_threadsafe(self._cut)

    def mend(self):
        self.is_down = False


@pytest.mark.parametrize("is_whole_first", [False, True], ids=["while it grows", "whole before the line is back"])
def test_a_line_that_drops_while_a_reply_grows_is_taken_up_where_it_is(speaking, browser, is_whole_first):
    links, will = speaking
    broken, asked = [], []
    with Line() as line:
        proxy = {"server": f"socks5://127.0.0.1:{line.port}", "bypass": "<-loopback>"}
        page = browser.new_context(viewport={"width": 390, "height": 844}, proxy=proxy).new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("request", lambda request: asked.append(request.url) if "onSession" in request.url else None)
        will(grows(told, pause_s=0.3 if is_whole_first else 0.9))
        begin(page, links["New patient"])
        growing = page.locator(".bubble.growing")
        growing.get_by_text(LEAD.strip()).wait_for(timeout=8000)
        opened = line.opened
        line.cut()
        time.sleep(5 if is_whole_first else 1)
        assert page.locator(".bubble.model .text").last.inner_text().startswith(LEAD.strip())
        assert page.get_by_text(QUESTION).count() == 0
        line.mend()
        if not is_whole_first:
            with page.expect_request(lambda request: "onSession" in request.url, timeout=8000):
                pass
            assert growing.is_visible()
        page.get_by_text(LEAD + QUESTION, exact=True).wait_for(timeout=40_000)
        page.locator(".bubble.model:not(.growing)").nth(1).wait_for(timeout=10_000)
        assert line.opened > opened
        assert len(asked) > 1
        assert page.locator(".bubble.model").count() == 2
        assert page.locator(".bubble.user").count() == 1
        assert page.locator(".bubble.waiting").count() == 0
        assert all((LEAD + QUESTION).startswith(text) for text in page.evaluate("window.seen"))
        shown = page.locator(".bubble .text").all_inner_texts()
        page.reload()
        assert page.locator(".bubble .text").all_inner_texts() == shown
        assert page.get_by_role("button", name="Stop").is_hidden()
    assert broken == []


OTHER = "Tell me please: "


def test_a_question_is_asked_in_other_words_with_and_without_scripts(speaking, browser, problems):
    page, (links, will) = page_of(browser, problems), speaking
    will(says(told), says(lambda exchange: reply_to(exchange, lead=OTHER)))
    begin(page, links["New patient"])
    page.get_by_text(LEAD + QUESTION, exact=True).wait_for(timeout=5000)
    page.get_by_role("button", name="Ask it in other words").click()
    page.get_by_text(OTHER + QUESTION, exact=True).wait_for(timeout=5000)
    assert page.get_by_text(LEAD + QUESTION, exact=True).count() == 0
    assert page.locator(".bubble.model").count() == 2
    will(says(told))
    plain = page_of(browser, problems, java_script_enabled=False)
    plain.context.add_cookies(page.context.cookies())
    plain.goto(page.url)
    plain.get_by_role("button", name="Ask it in other words").click()
    assert plain.locator(".bubble.model .text").last.inner_text() == LEAD + QUESTION
    assert plain.locator(".bubble.model").count() == 2
    assert problems == []


def test_the_operator_finds_an_account_closes_it_with_a_reason_and_opens_it_again(fresh_demo, browser, problems):
    patient = page_of(browser, problems)
    patient.goto(fresh_demo["Patient"])
    page = page_of(browser, problems)
    page.goto(fresh_demo["Operator"])
    page.get_by_label("Name or e-mail address").fill("nobody of that name")
    page.get_by_role("button", name="Search").click()
    assert page.get_by_text("No account has “nobody of that name”").count() == 1
    name = patient.evaluate("fetch('/api/trpc/user.me').then(r => r.json())")["result"]["data"]["json"]["firstName"]
    page.get_by_label("Name or e-mail address").fill(name)
    page.get_by_role("button", name="Search").click()
    account = page.locator("#accounts form", has_text="patient").first
    account.get_by_label("Why").fill("A lost phone")
    account.get_by_role("button", name="Close").click()
    page.get_by_text("· closed").first.wait_for(timeout=5000)
    refused = patient.evaluate("fetch('/api/trpc/user.me').then(r => r.status)")
    assert refused in (401, 403)
    page.locator("#accounts form", has_text="closed").first.get_by_role("button", name="Open again").click()
    page.get_by_text("· open").first.wait_for(timeout=5000)
    assert patient.evaluate("fetch('/api/trpc/user.me').then(r => r.status)") == 200


def test_an_operator_cannot_close_their_own_account_and_is_told_so(demo, browser, problems):
    page = page_of(browser, problems)
    page.goto(demo["Operator"])
    page.get_by_label("Name or e-mail address").fill("operator")
    page.get_by_role("button", name="Search").click()
    account = page.locator("#accounts form", has_text="super admin").first
    account.get_by_label("Why").fill("a slip")
    account.get_by_role("button", name="Close").click()
    page.get_by_role("alert").wait_for(timeout=5000)
    assert "Nothing was changed" in page.get_by_role("alert").inner_text()
