"""One deadline over all providers, at most two calls, and what each failure leads to."""

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest
from in_memory import InMemoryCallBook

from anamnesis.db.model_calls import PostgresCallBook
from anamnesis.db.postgres import Database
from anamnesis.kernel.calls import Sign
from anamnesis.kernel.errors import Unavailable
from anamnesis.llm.port import (
    Completion,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelMisconfigured,
    ModelOverBudget,
    ModelRefused,
    ModelShut,
    ModelTimedOut,
    ModelUnavailable,
    Prompt,
    ReplyRefused,
    Usage,
)
from anamnesis.llm.relay import Again, GiveUp, GoOn, Price, Provider, Relay, after, sign_of, time_for

QUESTION = "How old are you?"
SESSION = uuid4()
PROMPT = Prompt("who", QUESTION, "VitalsTriageAgent", "en", question=QUESTION, version="v-1", session_id=SESSION)


def draft(reply=QUESTION, **more):
    return Completion(json.dumps({"reply": reply, "facts": []}), "stop", **more)


GOOD = draft("Thank you. " + QUESTION, model="m-1", usage=Usage(900, 60))
NONSENSE = Completion("Sure! How old are you?", "stop")
HARM = draft("You have malaria. " + QUESTION)


@dataclass
class Scripted:
    """Answers, fails or hangs as its script says, call by call."""

    script: list
    asked: list = field(default_factory=list)
    in_flight: int = 0

    async def complete(self, prompt, *, deadline_s):
        self.asked.append((prompt, deadline_s))
        step = self.script[min(len(self.asked), len(self.script)) - 1]
        self.in_flight += 1
        try:
            if isinstance(step, float):
                await asyncio.sleep(step)
                return GOOD
        finally:
            self.in_flight -= 1
        if isinstance(step, Exception):
            raise step
        return step


def a_relay(*scripts, book=None, **options):
    names = ("gemini", "openai")
    models = [Scripted(list(script)) for script in scripts]
    providers = [Provider(name, model, f"{name}-1") for name, model in zip(names, models, strict=False)]
    return Relay(providers, book or InMemoryCallBook(), **options), *models


async def failure(relay, *, deadline_s=1.0, kind=ModelFailed):
    with pytest.raises(kind) as failed:
        await relay.complete(PROMPT, deadline_s=deadline_s)
    await relay.written()
    return failed.value


# -- policy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "step"),
    [
        (ModelBusy(retry_after_s=1.0), Again(1.0)),
        (ModelBusy(retry_after_s=30.0), GiveUp()),
        (ModelBusy(), GiveUp()),
        (ModelBroken("not_json"), Again(is_mending=True)),
        (ReplyRefused("dose"), Again(is_mending=True)),
        (ModelRefused(), GiveUp()),
        (ModelTimedOut(), GiveUp()),
        (ModelMisconfigured("http_401"), GiveUp()),
        (ModelUnavailable("reset"), Again(0.2)),
    ],
    ids=lambda each: repr(each)[:40],
)
def test_alone_only_what_can_be_mended_or_waited_for_is_asked_again(failed, step):
    assert after(failed, has_next=False, left_s=5.0) == step
    assert after(failed, has_next=True, left_s=5.0) == GoOn()
    assert after(failed, has_next=True, left_s=0.05) == GiveUp()
    assert after(failed, has_next=False, left_s=0.05) == GiveUp()


@pytest.mark.parametrize(
    ("failed", "step"),
    [
        (ModelRefused("photos_http_400"), Again(is_without_photos=True)),
        (ModelRefused("refused"), Again(is_without_photos=True)),
        (ModelUnavailable("http_500"), Again(0.2, is_without_photos=True)),
        (ModelBroken("not_json"), Again(is_mending=True)),
        (ModelBusy(retry_after_s=1.0), Again(1.0)),
        (ModelTimedOut(), GiveUp()),
        (ModelMisconfigured("http_401"), GiveUp()),
    ],
    ids=lambda each: repr(each)[:40],
)
def test_what_the_photos_may_have_caused_is_tried_once_more_without_them(failed, step):
    assert after(failed, has_next=False, left_s=5.0, has_photos=True) == step
    assert after(failed, has_next=True, left_s=5.0, has_photos=True) == GoOn()


def test_with_another_to_go_to_the_first_leaves_it_time():
    assert time_for(10.0, has_next=True) == 6.0
    assert time_for(10.0, has_next=False) == 10.0


def test_an_answer_that_is_refused_says_nothing_of_its_providers_health():
    assert sign_of(None) == (Sign.GOOD, None)
    assert sign_of(ReplyRefused("dose")) == (Sign.NEITHER, None)
    assert sign_of(ModelBroken("not_json")) == (Sign.BAD, None)
    assert sign_of(ModelBusy(retry_after_s=9.0)) == (Sign.BAD, 9.0)
    assert sign_of(ModelBusy(retry_after_s=1e9)) == (Sign.BAD, 3600.0)


# -- the shell ---------------------------------------------------------------------------------------------------


async def test_a_good_answer_is_one_call():
    relay, first, second = a_relay([GOOD], [GOOD])
    said = await relay.complete(PROMPT, deadline_s=1)
    assert (said.text, said.finish_reason) == ("Thank you. " + QUESTION, "stop")
    assert (len(first.asked), len(second.asked)) == (1, 0)


BAD = [
    ModelUnavailable("reset"), ModelMisconfigured("http_401"), ModelBusy(retry_after_s=3600), ModelRefused(),
    NONSENSE, HARM, Completion("", "length"), 60.0,
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda each: type(each).__name__)
async def test_whatever_happens_to_the_first_the_second_answers_inside_the_same_deadline(bad):
    relay, first, second = a_relay([bad], [GOOD])
    started = time.monotonic()
    said = await relay.complete(PROMPT, deadline_s=1)
    assert said.text.endswith(QUESTION)
    assert time.monotonic() - started < 1
    assert (len(first.asked), len(second.asked)) == (1, 1)


@pytest.mark.parametrize("bad", BAD, ids=lambda each: type(each).__name__)
async def test_when_all_fail_it_fails_by_name_after_two_calls_at_most_and_in_time(bad):
    for scripts in ([[bad]], [[bad], [bad]]):
        relay, *models = a_relay(*scripts)
        started = time.monotonic()
        await failure(relay, deadline_s=0.4)
        assert time.monotonic() - started <= 0.4
        assert sum(len(model.asked) for model in models) <= 2


async def test_alone_a_bad_answer_is_mended_once_with_the_reason_why():
    relay, model = a_relay([NONSENSE, GOOD])
    await relay.complete(PROMPT, deadline_s=1)
    assert [prompt.mending for prompt, _ in model.asked] == ["", "not_json"]


@pytest.mark.proves("I24")
async def test_a_wait_that_fits_is_waited_and_one_that_does_not_is_not():
    relay, model = a_relay([ModelBusy(retry_after_s=0.3), GOOD])
    started = time.monotonic()
    await relay.complete(PROMPT, deadline_s=2)
    assert 0.3 <= time.monotonic() - started < 0.6
    relay, model = a_relay([ModelBusy(retry_after_s=30)])
    assert (await failure(relay)).reason == "rate_limited"
    assert len(model.asked) == 1


async def test_an_answer_after_the_deadline_is_not_waited_for():
    relay, model = a_relay([5.0])
    assert (await failure(relay, deadline_s=0.3)).reason == "timed_out"
    assert model.in_flight == 0


async def test_three_failures_shut_a_provider_and_then_nobody_waits():
    relay, model = a_relay([60.0])
    for _ in range(3):
        await failure(relay, deadline_s=0.3)
    started = time.monotonic()
    assert isinstance(await failure(relay), ModelShut)
    assert time.monotonic() - started < 0.05
    assert len(model.asked) == 3


async def test_a_shut_provider_is_passed_over():
    book = InMemoryCallBook(failures=1)
    relay, first, second = a_relay([ModelUnavailable("reset")], [GOOD], book=book)
    for _ in range(2):
        await relay.complete(PROMPT, deadline_s=1)
        await relay.written()
    assert (len(first.asked), len(second.asked)) == (1, 2)


@pytest.mark.proves("I18")
async def test_after_its_pause_one_call_tries_a_provider_and_heals_it_while_its_patient_does_not_wait():
    book = InMemoryCallBook(failures=1, pause_s=0.2)
    relay, model = a_relay([ModelTimedOut(), 0.3, GOOD], book=book)
    await failure(relay)
    assert isinstance(await failure(relay), ModelShut)
    await asyncio.sleep(0.25)
    started = time.monotonic()
    with pytest.raises(ModelShut):
        await relay.complete(PROMPT, deadline_s=25)
    assert time.monotonic() - started < 0.1
    await relay.written()
    assert model.asked[-1][1] > 20  # a slow model is no dead one, and nobody waits for it
    assert await book.shut() == frozenset()
    assert (await relay.complete(PROMPT, deadline_s=1)).text


@pytest.mark.parametrize(
    "bad", [ModelUnavailable("reset"), NONSENSE, HARM, 60.0], ids=["lost", "broken", "harm", "hang"]
)
@pytest.mark.proves("I24")
async def test_a_provider_that_is_tried_is_asked_once_and_the_next_answers(bad):
    book = InMemoryCallBook(failures=1, pause_s=0.2)
    relay, first, second = a_relay([ModelTimedOut(), bad], [GOOD], book=book)
    await relay.complete(PROMPT, deadline_s=1)
    await relay.written()
    await asyncio.sleep(0.25)
    started = time.monotonic()
    await relay.complete(PROMPT, deadline_s=0.5)
    assert time.monotonic() - started < 0.1
    await relay.written()
    assert (len(first.asked), len(second.asked)) == (2, 2)
    assert await book.shut() == {"gemini"}


async def test_a_provider_that_is_being_tried_is_let_go_when_the_process_ends():
    book = InMemoryCallBook(failures=1, pause_s=0.1)
    relay, model = a_relay([ModelTimedOut(), 60.0], book=book)
    await failure(relay)
    await asyncio.sleep(0.15)
    with pytest.raises(ModelShut):
        await relay.complete(PROMPT, deadline_s=25)
    await asyncio.sleep(0)
    started = time.monotonic()
    await relay.aclose()
    assert time.monotonic() - started < 0.5
    assert model.in_flight == 0
    assert len(book.calls) == 2


async def test_more_calls_than_a_session_may_have_in_a_minute_are_not_made():
    relay, model = a_relay([GOOD], book=InMemoryCallBook(per_minute=2))
    for _ in range(2):
        await relay.complete(PROMPT, deadline_s=1)
        await relay.written()
    assert isinstance(await failure(relay), ModelOverBudget)
    assert len(model.asked) == 2


@pytest.mark.proves("I24")
async def test_more_calls_than_may_be_in_flight_are_not_made():
    relay, model = a_relay([0.3], most_in_flight=5)
    outcomes = await asyncio.gather(*(relay.complete(PROMPT, deadline_s=1) for _ in range(9)), return_exceptions=True)
    assert sum(isinstance(each, ModelOverBudget) for each in outcomes) == 4
    assert len(model.asked) == 5


class Away(InMemoryCallBook):
    async def admit(self, provider, session_id):
        raise Unavailable


class Hung(InMemoryCallBook):
    async def admit(self, provider, session_id):
        await asyncio.sleep(60)


@pytest.mark.parametrize("book", [Away(), Hung()], ids=["away", "hung"])
async def test_without_its_book_nobody_is_asked_and_nobody_waits_long(book):
    relay, model = a_relay([GOOD], book=book)
    started = time.monotonic()
    await failure(relay, kind=ModelUnavailable)
    assert time.monotonic() - started < 0.5
    assert model.asked == []


class Forgetful(InMemoryCallBook):
    async def record(self, call):
        raise Unavailable


async def test_a_ledger_that_cannot_be_written_costs_no_answer():
    relay, _ = a_relay([GOOD], book=Forgetful())
    await relay.complete(PROMPT, deadline_s=1)
    await relay.written()


# -- what is written down ----------------------------------------------------------------------------------------


class Counted:
    def __init__(self):
        self.calls = []

    def model_call(self, call):
        self.calls.append(call)


async def test_every_call_is_written_down_without_what_was_said():
    book, counted = InMemoryCallBook(), Counted()
    model = Scripted([HARM, GOOD])
    relay = Relay([Provider("gemini", model, "g-1", Price(0.3, 2.5))], book, counted)
    await relay.complete(PROMPT, deadline_s=1)
    await relay.written()
    guarded, answered = book.calls
    assert counted.calls == book.calls
    assert (guarded.outcome, guarded.guard, guarded.model) == ("guarded", "diagnosis", "g-1")
    assert (answered.outcome, answered.guard, answered.model) == ("answered", "passed", "m-1")
    assert (answered.input_tokens, answered.output_tokens, answered.cost_microusd) == (900, 60, 420)
    assert (answered.provider, answered.prompt_version, answered.session_id) == ("gemini", "v-1", SESSION)
    assert "old" not in repr(book.calls)


class Looked:
    """Two photos, and how often and for how long they were looked for."""

    def __init__(self):
        self.within_s = []

    async def __call__(self, within_s):
        self.within_s.append(within_s)
        return b"one", b"two"


async def test_photos_are_looked_for_once_for_part_of_the_deadline_and_counted_with_every_call():
    book, look = InMemoryCallBook(), Looked()
    relay, model = a_relay([NONSENSE, GOOD], book=book)
    await relay.complete(replace(PROMPT, look=look), deadline_s=2)
    await relay.written()
    assert [prompt.photos for prompt, _ in model.asked] == [(b"one", b"two")] * 2
    assert [call.photos for call in book.calls] == [2, 2]
    (within_s,) = look.within_s
    assert 0.3 < within_s < 0.7


async def test_a_request_refused_for_its_photos_says_nothing_against_the_provider():
    book, look = InMemoryCallBook(), Looked()
    relay, model = a_relay([ModelMisconfigured("http_400"), GOOD], book=book)
    await relay.complete(replace(PROMPT, look=look), deadline_s=2)
    await relay.written()
    assert [len(prompt.photos) for prompt, _ in model.asked] == [2, 0]
    told = [(call.outcome, call.detail, call.sign, call.photos) for call in book.calls]
    assert told == [("refused", "photos_http_400", Sign.NEITHER, 2), ("answered", "", Sign.GOOD, 0)]
    # A key that is wrong is wrong with photos too, and a request that is wrong without them is nobody's photo.
    for failed in (ModelMisconfigured("http_401"), ModelMisconfigured("http_400")):
        relay, model = a_relay([failed])
        with pytest.raises(ModelMisconfigured):
            await relay.complete(replace(PROMPT, look=look), deadline_s=2)
        assert len(model.asked) == (1 if failed.detail == "http_401" else 2)


async def test_where_nobody_is_asked_nobody_looks_for_photos():
    look = Looked()
    relay, _ = a_relay([ModelMisconfigured("http_401")])
    for _ in range(2):
        with pytest.raises(ModelFailed):
            await relay.complete(replace(PROMPT, look=look), deadline_s=1)
        await relay.written()
    assert len(look.within_s) == 1


async def test_photos_count_where_the_usage_of_an_answer_that_broke_off_is_estimated():
    used = []
    for look in (None, Looked()):
        book = InMemoryCallBook()
        model = Speaking([draft("You have malaria. " + QUESTION)])
        relay = Relay([Provider("gemini", model, "gemini-1")], book)
        with pytest.raises(ModelFailed):
            await relay.speak(replace(PROMPT, look=look), deadline_s=1, hear=lambda _: None)
        await relay.written()
        used.append(book.calls[0].input_tokens)
    assert used[1] >= used[0] + 2 * 25_501  # gpt-4o-mini's count for two of 1024 by 1024


async def test_a_call_nobody_waits_for_any_more_is_written_down_too():
    book = InMemoryCallBook()
    relay, model = a_relay([60.0], book=book)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await relay.complete(PROMPT, deadline_s=5)
    await relay.written()
    assert [call.outcome for call in book.calls] == ["timed_out"]
    assert model.in_flight == 0


async def test_without_a_price_the_cost_is_unknown():
    book = InMemoryCallBook()
    relay, _ = a_relay([GOOD], book=book)
    await relay.complete(PROMPT, deadline_s=1)
    await relay.written()
    assert book.calls[0].cost_microusd is None


@pytest.mark.parametrize("told", [Usage(), Usage(input_tokens=900), Usage(0, 10**12)])
async def test_an_answer_whose_tokens_are_not_told_is_counted_by_its_letters(told):
    book = InMemoryCallBook()
    model = Scripted([replace(GOOD, usage=told)])
    relay = Relay([Provider("openai", model, "m-1", Price(0.3, 2.5))], book)
    await relay.complete(PROMPT, deadline_s=1)
    await relay.written()
    (call,) = book.calls
    asked = len(PROMPT.instructions) + len(PROMPT.user_text)
    assert call.input_tokens == (900 if told.input_tokens == 900 else pytest.approx(asked / 3, abs=1))
    assert call.output_tokens == pytest.approx(len(GOOD.text) / 3, abs=1)
    assert call.cost_microusd > 0


HOSTILE = [
    replace(GOOD, model="x\x00y"), replace(GOOD, model="I have a headache, says Jane"), replace(GOOD, model="m" * 9999),
    replace(GOOD, usage=Usage(10**30, -5)),
    Completion(json.dumps({"reply": QUESTION, "facts": [0] * 20_000}), "stop", model="m-1"),
]  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_a_provider_tells_of_itself_is_not_trusted_either(clinic, owner, said):
    database = Database(clinic.app_dsn)
    relay, _ = a_relay([said], book=PostgresCallBook(database))
    await relay.complete(replace(PROMPT, session_id=None), deadline_s=1)
    await relay.written()
    row = await owner.fetchrow("SELECT model, input_tokens, output_tokens, facts_dropped FROM model_calls")
    assert row["model"] in ("gemini-1", "m-1")
    assert all(0 <= row[name] <= 100_000 for name in ("input_tokens", "output_tokens"))
    assert row["facts_dropped"] <= 1000
    await database.close()


# -- heard as it grows -------------------------------------------------------------------------------------------


class Speaking(Scripted):
    """The same, its answer told in pieces of a few letters."""

    async def speak(self, prompt, *, deadline_s, hear):
        said = await self.complete(prompt, deadline_s=deadline_s)
        for place in range(0, len(said.text), 5):
            hear(said.text[place : place + 5])
        return said


async def spoken(*script, deadline_s=1.0, kind=Speaking):
    """What was shown, in order; the reply or the failure; and the model."""
    model, shown = kind(list(script)), []
    relay = Relay([Provider("gemini", model, "gemini-1")], InMemoryCallBook())
    try:
        end = (await relay.speak(PROMPT, deadline_s=deadline_s, hear=shown.append)).text
    except ModelFailed as failed:
        end = failed
    await relay.written()
    return shown, end, model, relay.book.calls


async def test_a_reply_is_shown_before_it_is_whole_and_is_then_the_same():
    shown, end, *_ = await spoken(GOOD)
    assert shown == ["Thank you.", "Thank you. How old are you?"]
    assert end == shown[-1]


async def test_what_is_refused_is_not_shown_and_what_was_shown_before_it_is_taken_back_before_the_mending():
    harm = draft("Thank you. You have malaria. " + QUESTION)
    shown, end, model, calls = await spoken(harm, GOOD)
    assert shown == ["Thank you.", "", "Thank you.", "Thank you. How old are you?"]
    assert end == shown[-1]
    assert model.asked[1][0].mending == "diagnosis"
    assert [(call.outcome, call.guard) for call in calls] == [("guarded", "diagnosis"), ("answered", "passed")]


async def test_when_nothing_comes_of_it_nothing_stays_shown():
    cut = Completion('{"reply": "Thank you. How old', "stop")
    for script in ((cut, HARM), (cut, ModelUnavailable("reset")), (replace(GOOD, finish_reason="length"), HARM)):
        shown, end, *_ = await spoken(*script)
        assert isinstance(end, ModelFailed)
        assert "".join(shown) == "" or shown[-1] == ""
        assert not any("malaria" in each for each in shown)


async def test_a_model_that_cannot_be_heard_is_asked_all_the_same():
    shown, end, *_ = await spoken(GOOD, kind=Scripted)
    assert (shown, end) == ([], "Thank you. How old are you?")
