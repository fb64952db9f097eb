"""No name, telephone number or address of a patient reaches a model or a recording, however it is written."""

import json
import re
import unicodedata
from datetime import UTC, datetime
from uuid import UUID

import pytest
from fault_server import VENDORS, FaultServer, reply_to, says
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.record import Reported, Stage
from anamnesis.clinical.sbar import draft_sbar
from anamnesis.clinical.terms import Evidence
from anamnesis.content import load_content
from anamnesis.content.prompts import load_agents, load_writer
from anamnesis.db import outbox
from anamnesis.handover.model import Written
from anamnesis.handover.prompting import compose_note_prompt
from anamnesis.intake.interview import Inbound, new_record, opening, plan_turn, screen
from anamnesis.intake.model import Message
from anamnesis.intake.prompting import Briefing, compose_prompt
from anamnesis.kernel.jobs import JobKind
from anamnesis.kernel.text import clean
from anamnesis.llm.drafts import restored
from anamnesis.llm.port import Prompt
from anamnesis.llm.privacy import AtMost, hide
from anamnesis.llm.recording import scrubbed
from anamnesis.settings import Ai, Limits, Provider, Secret, Settings
from build import WHOLE_INTAKE, a_session, an_app, caller, closing, tell

CONTENT = load_content()
BRIEFING = Briefing(load_agents())
WRITER = load_writer()
AT = datetime(2026, 11, 26, tzinfo=UTC)
#: The name that was told, and what the account knows.
TOLD_NAME, KNOWN = "Jane Akello", ("Zawadi", "O'Brien-Nakato", "0701 555 666")

TELEPHONES = (
    "0772123456", "0772 123 456", "0772.123.456", "0772-123-456", "(0772) 123456", "0772/123456", "077 212 3456",
    "0712 123/456", "07 72 12 34 56", "0 7 7 2 1 2 3 4 5 6", "772 123 456", "772-123-456", "772123456", "772 12 34 56",
    "256 772 123 456", "256772123456", "+256772123456", "+256 772 123 456", "+256-772-123456", "+256.772.123.456",
    "+256 0772 123456", "00256 772 123 456", "254 110 123 456", "0414 123456", "07700 900 123", "+44 7700 900123",
    "+33 6 12 34 56 78", "+256 (0) 772 123456", "(202) 555-0123", "202-555-0123", "+1 202 555 0123",
    "0772\n123\n456", "0772\t123\t456", "0772\u00a0123\u00a0456", "0772\u2011123\u2011456",
    "0772 \u2013 123 \u2013 456", "０７７２ １２３ ４５６", "٠٧٧٢١٢٣٤٥٦", "0772\u200b123\u200b456",
    "07\u00ad72 12\ufeff3 456",
)  # fmt: skip
HEALTH = (
    "120/80", "38.5", "10 20 30", "bp 120/80 temp 37.2", "37.5 80 120 98", "120 80 72 98", "72 120 80 98",
    "120 110 130", "500 500 1000 mg", "700 mg", "3 x 2", "0.025 0.125 0.25", "2026-11-20", "20.11.2026 10:30",
    "05-11-2026 08:15", "20 11 2026 10 30", "0 1 2 3 4 5 6 7 8 9 10", "0 10 20 30 40", "34 years",
    "2 years 6 months", "CD4 350 250000",
    "peak flow 400 410 420", "120/80 130/85 140/90 150/95", "pulse 72\nbp 120/80\ntemp 38.5\nage 34", "call 999",
    "no 120 80 72 98", "05112026 120/80", "contact on 20-11-2026", "1 g @ 6.30am", "in 2024, 2025 and 2026",
    "0600 120/80, 1200 130/85",
)  # fmt: skip
ADDRESSES = (
    "jane@x.org", "j.o'b+1@mail.example.ug", "jane @ gmail . com", "jane at gmail dot com", "jane(at)x(dot)org",
    "jane@gmail", "jane@\nx.org", "ja\u200bne＠x.org",
)  # fmt: skip
NAMES = (
    "Jose", "JOSÉ", "jose\u0301", "Ｊｏｓｅ", "Jo\u200bse", "Jo\u00adsé", "O’Brien", "OBrien", "Brien", "JoseBrien",
)  # fmt: skip


def hidden(*texts, known=(), **options):
    """The texts as told, and what their tokens mean."""
    told, meant = hide(list(texts), known, **options)
    return told, dict(meant)


# -- forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", TELEPHONES, ids=ascii)
@pytest.mark.parametrize("around", ["{}", "Call {}, or write.", "a\n{}\tb", "tel{}", "(\u00a0{})"], ids=ascii)
def test_a_telephone_number_is_hidden_whole_in_every_form(number, around):
    assert hidden(around.format(number)) == ([around.format("[PHONE_1]")], {"[PHONE_1]": number})


@pytest.mark.parametrize(
    "numbers", ["0772123456/0752987654", "0772 123 456, 0752.987.654", "0772123456\n+256752987654"]
)
def test_two_numbers_are_two(numbers):
    assert len(hidden(numbers)[1]) == 2


@pytest.mark.parametrize("health", HEALTH)
@pytest.mark.parametrize("around", ["{}", "I have {} since.", "ok\n{}\n"], ids=ascii)
def test_readings_dates_doses_and_ages_are_no_telephone_numbers(health, around):
    assert hidden(around.format(health)) == ([around.format(health)], {})


def test_the_reading_after_a_number_is_no_part_of_it():
    (told,), _ = hidden("0772 123 456 6 out of 10; +256 772 123 456 120/80; +44 7700 900123 120/80; 0772123456. 38.5")
    assert told == "[PHONE_1] 6 out of 10; [PHONE_2] 120/80; [PHONE_3] 120/80; [PHONE_4]. 38.5"


def test_a_number_of_the_account_is_hidden_in_a_form_of_its_own_and_the_reading_before_it_stays():
    told, _ = hidden("38.5, 701-55-56-66 and 120 0701 555666", "4930/123-45", known=["0701555666", "4930 12345"])
    assert told == ["38.5, [PHONE_1] and 120 [PHONE_2]", "[PHONE_3]"]


@pytest.mark.parametrize("words", ["my number is 414 123 456", "Call me on: 555-0123", "whatsapp 312 111 22"])
def test_beside_a_word_for_it_fewer_digits_are_a_number(words):
    (told,), meant = hidden(words)
    assert told.endswith("[PHONE_1]")
    assert words.endswith(meant["[PHONE_1]"])


@pytest.mark.parametrize("address", ADDRESSES, ids=ascii)
def test_an_address_is_hidden_whole_and_the_sentence_after_it_stays(address):
    (told,), meant = hidden(f"a\n{address}. Fever since")
    assert (told, meant) == ("a\n[EMAIL_1]. Fever since", {"[EMAIL_1]": address})


@pytest.mark.parametrize(
    "written",
    NAMES,
    ids=ascii,
)
@pytest.mark.parametrize("around", ["{}", "\n{}", "\t{}'s", "(\u00a0{}\u00a0)", "pain\u200b{}", "_{}1990"], ids=ascii)
def test_a_name_is_hidden_however_it_is_written(written, around):
    (told,), meant = hidden(around.format(written), known=["José O'Brien"])
    assert "[NAME_1]" in told
    assert not re.search("jose|brien", bare(told))
    assert told.replace("[NAME_1]", meant["[NAME_1]"]) == around.format(written)


def test_a_name_is_hidden_as_a_word_only():
    assert hidden("Joseph has an annual check", known=["Jose", "Ann"])[1] == {}


# -- structures --------------------------------------------------------------------------------------------------


def test_keys_stay_and_so_does_what_is_ours():
    case = {"Jane": "Jane", "from": "Jane", "lines": [{"id": "Jane", "is": True, "text": "Jane"}]}
    told, _ = hide(case, ["Jane"], ours={"from", "id"})
    assert told == {
        "Jane": "[NAME_1]", "from": "Jane", "lines": [{"id": "Jane", "is": True, "text": "[NAME_1]"}],
    }  # fmt: skip


def test_a_text_is_cut_after_the_hiding_and_no_token_is_torn():
    assert hidden(AtMost(4, "I am Jane"), AtMost(7, "0772123456"), AtMost(9, "Jane 0772123456"), known=["Jane"])[0] == [
        "I am", "", "[NAME_1] ",
    ]  # fmt: skip


def test_a_torn_piece_of_a_number_is_hidden_where_the_whole_is_known():
    told, _ = hidden(
        "call +256 772 …", "12 34 56", "120/80", "1 2 3 4 5 6", heard=["+256 772 123 456", "0772 12 34 56"]
    )
    assert told == ["call [PHONE_1] …", "[PHONE_2]", "120/80", "1 2 3 4 5 6"]


@pytest.mark.parametrize("pasted", ["a\\nJane", "a\\t0772123456", "a\\u00a0jane@x.org", "a\\\\nJane"])
def test_the_escapes_of_a_pasted_text_hide_nothing_from_us(pasted):
    (told,), meant = hidden(pasted, known=["Jane"])
    assert gives_away(told) == []
    assert len(meant) == 1


def test_who_writes_what_looks_like_a_token_gets_it_back():
    prompt = Prompt(None, "", "", "en", hidden=tuple(hidden("[NAME_1] [PHONE_1] Jane", known=["Jane"])[1].items()))
    (told,), _ = hidden("[NAME_1] [PHONE_1] Jane", known=["Jane"])
    assert restored(told, prompt) == "[NAME_1] [PHONE_1] Jane"


# -- whole prompts -----------------------------------------------------------------------------------------------


def bare(text):
    """Independent of the code under test: what a reader makes of a text."""
    shown = unicodedata.normalize("NFKD", text)
    return "".join(each for each in shown if unicodedata.category(each) not in {"Cf", "Mn"}).casefold()


def gives_away(text):
    """What of the private words stands in a text, as a reader would find it."""
    letters = bare(text)
    digits = "".join(str(unicodedata.decimal(each)) for each in letters if each.isdecimal())
    names = [name for name in ("jane", "akello", "zawadi", "brien", "nakato") if name in letters]
    return names + [each for each in ("772123456", "701555666") if each in digits]


def with_unseen(text, place):
    return text[: place % len(text)] + "\u200b" + text[place % len(text) :]


def wide(text):
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)


OURS = [each for each in TELEPHONES if "772123456" in re.sub(r"\D", "", bare(each))]
PRIVATE = st.sampled_from(
    ["Jane", "AKELLO", "zawadi", "O'Brien", "Nakato", "0701-555-666", *OURS, "jane@x.org", "akello @ mail.ug"]
)
SPELLED = st.one_of(
    PRIVATE,
    st.builds(with_unseen, PRIVATE, st.integers(1, 40)),
    st.builds(wide, PRIVATE),
    st.builds(str.upper, PRIVATE),
    st.builds(lambda text: text.replace(" ", "\n"), PRIVATE),
    st.builds(lambda text: text.replace(" ", "\u00a0"), PRIVATE),
)
GLUE = st.sampled_from(
    ["\n", "\t", " ", "\u00a0", "\n\n", ", ", " (", ") ", "\u2028", " \u200b", "\n\ufeff", ": ", "\\", '"', " / "]
)
WORD = st.sampled_from(["pain", "and", "since", "nothing", "\u00e9t\u00e9", "n", "t", "u00e9", "\U0001f912", "أ"])


@st.composite
def messages(draw):
    """A message of several lines, and the readings that must stay in it."""
    pieces, kept = [draw(WORD)], []
    for _ in range(draw(st.integers(1, 6))):
        is_health = draw(st.booleans())
        piece = draw(st.sampled_from(HEALTH)) if is_health else draw(SPELLED)
        kept += [piece] if is_health else []
        pieces += [draw(GLUE), piece, draw(GLUE), draw(WORD)]
    return clean("".join(pieces)), kept


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (each for pair in value.items() for item in pair for each in strings(item))
    elif isinstance(value, list):
        yield from (each for item in value for each in strings(item))


def whole_interview(text):
    """The plan after an interview in which a message is told as the records one has, and every line of it."""
    plan = opening(new_record(), CONTENT)
    lines = [Message(UUID(int=1), 1, "model", plan.reply, AT)]
    told = (*WHOLE_INTAKE[:1], f"{TOLD_NAME}, 34, female", *WHOLE_INTAKE[2:9], text, *WHOLE_INTAKE[10:])
    for message in told:
        inbound = Inbound(str(UUID(int=len(lines) + 1)), message, len(lines) + 1)
        lines.append(Message(UUID(inbound.message_id), inbound.seq, "user", message, AT))
        plan = plan_turn(screen(plan.record, inbound, CONTENT).record, inbound, CONTENT)
        lines.append(Message(UUID(int=len(lines) + 1), len(lines) + 1, "model", plan.reply, AT))
        if message == text:
            yield plan, tuple(lines[:-1])
    yield plan, tuple(lines)


@settings(deadline=None)
@given(told=messages())
@pytest.mark.proves("I23")
def test_whatever_is_written_no_private_word_is_in_the_prompt_of_a_turn_and_all_comes_back(told):
    text, kept = told
    plan, lines = next(whole_interview(text))
    record = plan.record.with_answer("records", Reported(text, Evidence("m", text)))
    plan = type(plan)(record, plan.reply, plan.question, plan.question_id, (), is_ready=False)
    prompt = compose_prompt(plan, UUID(int=7), lines, BRIEFING, CONTENT.interview.agenda, known=KNOWN)
    case = json.loads(prompt.case)
    assert [found for each in strings(case) for found in gives_away(each)] == []
    said = case["conversation"][-1]["text"]
    assert [each for each in kept if each not in said] == []
    assert restored(said, prompt) == text[:1000]
    assert case["may_propose"] == list(prompt.fields)
    assert {each["from"] for each in case["conversation"]} == {"patient", "interviewer"}


@settings(deadline=None)
@given(told=messages())
@pytest.mark.proves("I23")
def test_whatever_is_written_no_private_word_is_in_the_prompt_of_the_note_and_all_comes_back(told):
    text, _ = told
    (_, _), (plan, lines) = whole_interview(text)
    assert plan.record.stage is Stage.HANDOVER
    record = plan.record.with_answer("social_history", Reported(text, Evidence(str(lines[19].id), text)))
    note = draft_sbar(record, rules_version="v7", is_draft=True)
    said = {str(line.id): line.text for line in lines if line.role == "user"}
    prompt = compose_note_prompt(UUID(int=7), Written(note, record, said, KNOWN, b"", is_worded=False), WRITER.agent)
    case = json.loads(prompt.case)
    assert [found for each in strings(case) for found in gives_away(each)] == []
    quotes = {restored(quote, prompt) for line in case["lines"] for quote in line["quotes"]}
    assert text[:300] in quotes or len(text) > 300


@settings(deadline=None)
@given(told=messages(), is_ascii=st.booleans(), again=st.booleans())
def test_whatever_a_model_repeats_is_recorded_without_it_and_in_the_form_it_had(told, is_ascii, again):
    text, kept = told
    _, meant = hide([text], (TOLD_NAME, *KNOWN))
    prompt = Prompt(None, "", "", "en", hidden=meant)
    answer = json.dumps({"reply": text, "facts": [{"quote": text}]}, ensure_ascii=is_ascii)
    answer = json.dumps({"wrapped": answer}, ensure_ascii=is_ascii) if again else answer
    written = json.loads(scrubbed(answer, prompt))
    written = json.loads(written["wrapped"]) if again else written
    assert gives_away(written["reply"]) == []
    assert written["facts"] == [{"quote": written["reply"]}]
    assert [each for each in kept if each not in written["reply"]] == []


@settings(deadline=None)
@given(text=st.text(max_size=300))
def test_what_is_hidden_comes_back_whatever_the_text(text):
    (told,), meant = hidden(text, known=["an", "Ünal", "0"])
    prompt = Prompt(None, "", "", "en", hidden=tuple(meant.items()))
    assert restored(told, prompt) == text
    json.loads(scrubbed(json.dumps({"a": text}), prompt))


# -- on the wire -------------------------------------------------------------------------------------------------

SPOKEN = (
    "It is about me",
    "My name is Akello,\n34,\tfemale",
    "Hello\nAkello here,\nZawadi\tagain.\n0772123456\njane@x.org\nI have had a bad headache since Monday",
    "No",
    "in front, throbbing,\u00a0says Aķ\u200bello. Call\n772 123 456",
    *WHOLE_INTAKE[5:],
)
LEAKING = ("akello", "zawadi", "mutesi", "772123456", "772 123 456", "jane@x", "701555666")


def echoed(exchange):
    """An answer with a number and an address in it, each after an escape, as if the model had them from elsewhere."""
    if "lines" in exchange.case:
        return json.dumps({"order": ["\n0772123456", "\tjane@x.org"], "wordings": [], "differential": []})
    reply = json.loads(reply_to(exchange, lead=""))
    return json.dumps({**reply, "reasoning": "said\n0772123456,\njane@x.org,\t772 123 456"})


@pytest.mark.parametrize("vendor", VENDORS)
async def test_nothing_private_goes_over_the_wire_nor_into_a_recording_of_a_whole_interview(clinic, vendor, tmp_path):
    async with FaultServer() as server:
        server.will(says(echoed))
        ai = Ai(
            providers=(Provider(vendor),), gemini_key=Secret("k"), openai_key=Secret("k"), gemini_base_url=server.url,
            openai_base_url=f"{server.url}/v1", timeout_s=5.0, record_folder=str(tmp_path),
        )  # fmt: skip
        settings = Settings(ai=ai, consent_recorded_elsewhere=True, limits=Limits(factor=1000))
        async with closing(an_app(clinic.app_dsn, settings=settings)) as app:
            _, session_id = await a_session(app)
            me = caller(app, "patient")
            await me.call("user.updateProfile", firstName="Zawadi", lastName="Mutesi")
            await me.call("patient.updateProfile", phone="0701 555 666")
            await tell(app, session_id, *SPOKEN, "Zawadi Mutesi,\n0701555666")
            await app.writer.handlers[JobKind.WORD_NOTE](await outbox.claim(app.database, [JobKind.WORD_NOTE]))
            await app.relay.aclose()
    sent = [json.dumps(each.body, ensure_ascii=False) for each in server.calls]
    kept = [path.read_text() for path in tmp_path.glob("*.json")]
    assert [word for word in LEAKING for each in (*sent, *kept) if word in bare(each)] == []
    assert min(len(sent), len(kept)) >= 8
    assert any("headache since Monday" in each for each in sent)
    assert [each for each in server.calls if "lines" in each.case]
