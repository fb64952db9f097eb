"""What people write stands sealed: in no dump, page or log, for its own place alone, and under whatever key comes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anamnesis.care.store import UNREADABLE
from anamnesis.cli.keys import own_keys
from anamnesis.db.binaries import find_programs
from anamnesis.db.embedded import DATABASE, OWNER
from anamnesis.db.encryption import CHAT, DIRECT, NOTES, SEALED, SESSIONS, TABLES, Keyring
from anamnesis.db.postgres import Database
from anamnesis.db.resealing import counted, reseal, resealing
from anamnesis.db.viewing import Viewer, viewing
from anamnesis.edge.faults import fault_of
from anamnesis.kernel.errors import KeyMissing, NotAsSealed, Unreadable
from anamnesis.rights.store import operating
from anamnesis.settings import Limits, Secret, Settings
from build import (
    ENCRYPTION_KEYS,
    KEYRING,
    KEYS,
    WHOLE_INTAKE,
    WORKING,
    a_doctor,
    a_session,
    an_app,
    caller,
    closing,
    http,
    stored,
    tell,
)

CANARY = "CANARY4711"
REASON = f"Unconscious, {CANARY}"
ANAMNESIS = Path(sys.executable).parent / "anamnesis"
SECOND = ("second", Secret(b64encode(bytes(range(1, 33))).decode()))
#: As two clinics would have them: before, on the way, and after.
OLD, BOTH, NEW = KEYS, (SECOND, *KEYS), (SECOND,)


def ring(keys):
    return Keyring([(key_id, b64decode(key.reveal())) for key_id, key in keys])


def app_of(dsn, keys):
    settings = Settings(limits=Limits(factor=10_000), encryption_keys=keys)
    return closing(an_app(dsn, settings=settings, is_sealed=bool(keys)))


def anamnesis(dsn, *arguments, keys=ENCRYPTION_KEYS):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DATABASE_URL": dsn}
    return subprocess.run(
        [ANAMNESIS, *arguments], env={**environment, **({"ENCRYPTION_KEYS": keys} if keys else {})},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def written(keys):
    return ",".join(f"{key_id}:{key.reveal()}" for key_id, key in keys)


async def a_life(app):
    """Words of both wherever words can stand: (connection id, session id)."""
    connection_id, session_id = await a_session(app)
    patient, doctor = caller(app, "patient"), caller(app, "doctor")
    await tell(app, session_id, *WHOLE_INTAKE[:-1], f"One more thing, {CANARY}", WHOLE_INTAKE[-1])
    await tell(app, session_id, f"I have crushing chest pain, {CANARY}")
    await patient.call("intake.updateSessionName", sessionId=session_id, name=f"my {CANARY}")
    await doctor.call("intake.sendMessage", sessionId=session_id, content=f"note {CANARY}")
    await doctor.call("intake.addMessage", connectionId=connection_id, content=CANARY, metadata={"x": CANARY})
    await doctor.call("handover.lowerUrgency", sessionId=session_id, to="routine", reason=f"no danger, {CANARY}")
    await doctor.call("message.send", connectionId=connection_id, content=f"to you {CANARY}")
    await patient.call("message.send", connectionId=connection_id, content=f"to the doctor {CANARY}")
    await caller(app, "helper").call("doctor.createProfile", specialty="Emergency")
    helper = await caller(app, "helper").call("doctor.getMyProfile")
    await caller(app, "operator").call("admin.verifyDoctor", doctorId=str(helper["id"]), action="approve")
    await caller(app, "helper").call("handover.breakGlass", sessionId=session_id, reason=REASON)
    return connection_id, session_id


async def seen_by(app, who, connection_id, session_id):
    """All that somebody is shown of a case, and who said what to whom."""
    shown = await caller(app, who).call("intake.getSession", sessionId=session_id)
    talk = await caller(app, who).call("message.getConversation", connectionId=connection_id)
    return shown, [(line["id"], line["senderId"], line["content"]) for line in talk["messages"]]


# -- the envelope ------------------------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
#: So long that it is packed.
LONG_TEXT = st.builds(lambda text, times: text * times, ANY_TEXT, st.integers(1, 200))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
A_PLACE = KEYRING.at(CHAT, uuid4(), uuid4())
IN_THE_CLEAR = Keyring().at(CHAT, A_PLACE.row_id, A_PLACE.owner_id)


@given(ANY_TEXT | LONG_TEXT)
def test_any_text_comes_back_as_it_went_and_stands_there_as_no_one_can_read_it(text):
    sealed = A_PLACE.seal("content", text)
    assert sealed.startswith("enc1:first:")
    assert len(text) < 4 or text not in sealed
    assert A_PLACE.open("content", sealed) == text
    assert A_PLACE.seal("content", text) != sealed


@given(st.lists(JSON, min_size=1, max_size=4) | st.dictionaries(ANY_TEXT, JSON, min_size=1, max_size=4))
def test_any_json_comes_back_as_it_went(value):
    assert A_PLACE.open("choices", A_PLACE.seal("choices", value)) == value


@given(ANY_TEXT, st.sampled_from(["", "enc0:", "enc1:", "enc1:first:", "enc1:first:AAAA", "enc7:"]))
def test_what_begins_like_an_envelope_is_a_text_like_any_other(text, beginning):
    words = beginning + text
    for place in (A_PLACE, IN_THE_CLEAR):
        kept = place.seal("content", words)
        assert IN_THE_CLEAR.open("content", kept) == words if place is IN_THE_CLEAR else True
        assert A_PLACE.open("content", kept) == words
    assert A_PLACE.open("content", A_PLACE.reseal("content", IN_THE_CLEAR.seal("content", words))) == words


def test_nothing_stays_nothing_and_what_was_never_sealed_is_read():
    for nothing in (None, [], {}):
        assert A_PLACE.seal("choices", nothing) == nothing
    assert A_PLACE.seal("content", None) is None
    assert A_PLACE.open("content", "as it was") == "as it was"
    assert A_PLACE.open("choices", [{"value": "yes"}]) == [{"value": "yes"}]


@pytest.mark.parametrize("other", [
    ("table", "content", KEYRING.at(NOTES, A_PLACE.row_id, A_PLACE.owner_id)),
    ("column", "choices", A_PLACE),
    ("row", "content", KEYRING.at(CHAT, uuid4(), A_PLACE.owner_id)),
    ("owner", "content", KEYRING.at(CHAT, A_PLACE.row_id, uuid4())),
], ids=lambda other: other[0])  # fmt: skip
def test_what_was_sealed_for_one_place_is_refused_in_another(other):
    _, column, place = other
    with pytest.raises(NotAsSealed) as refused:
        place.open(column, A_PLACE.seal("content", f'"{CANARY}"'))
    assert CANARY not in str(refused.value)


@given(st.data())
def test_whatever_is_changed_about_an_envelope_it_is_refused(data):
    sealed = A_PLACE.seal("content", "my head hurts")
    at = data.draw(st.integers(len("enc1:"), len(sealed) - 1))
    changed = sealed[:at] + data.draw(st.sampled_from("Aa0:=-é ")) + sealed[at + 1 :]
    for broken in {changed, sealed[:at], sealed + "A", sealed[:at] + sealed[at + 1 :]} - {sealed}:
        with pytest.raises(Unreadable):
            A_PLACE.open("content", broken)


def test_a_key_that_is_not_there_is_named_and_nothing_else_is():
    with pytest.raises(KeyMissing) as refused:
        ring(NEW).at(CHAT, A_PLACE.row_id, A_PLACE.owner_id).open("content", A_PLACE.seal("content", CANARY))
    assert refused.value.key_id == "first"
    assert "first" in str(refused.value)
    assert "Nothing was lost" in str(refused.value)
    assert CANARY not in str(refused.value)
    assert fault_of(refused.value).code == "INTERNAL_SERVER_ERROR"


def test_keys_are_never_shown():
    shown = repr((KEYRING, A_PLACE, Settings(encryption_keys=KEYS), Database("", keyring=KEYRING)))
    assert KEYS[0][1].reveal() not in shown


# -- the tables --------------------------------------------------------------------------------------------------------


async def test_every_column_with_words_is_sealed_or_said_to_stand_in_the_clear(owner):
    """A column that is added later has to be put on one side."""
    in_the_clear = {
        "chat_messages": {"role", "active_agent", "turn_state"},
        "clinician_notes": {"kind"},
        "direct_messages": set(),
        "intake_sessions": {"current_agent"},
        "worded_notes": {"prompt_version"},
        "model_reasonings": set(),
        "lowerings": set(),
        "emergency_accesses": set(),
        "legal_holds": set(),
        "files": {"file_type", "state"},
        "account_reasons": set(),
    }
    for table in TABLES:
        rows = await owner.fetch(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = $1 AND data_type IN ('text', 'jsonb')",
            table.name,
        )
        assert {row["column_name"] for row in rows} - in_the_clear[table.name] == set(table.columns), table.name


async def test_a_whole_case_is_read_as_it_was_written_and_every_value_is_under_the_key(clinic, owner):
    async with app_of(clinic.app_dsn, OLD) as app:
        connection_id, session_id = await a_life(app)
        (shown, talk) = await seen_by(app, "doctor", connection_id, session_id)
        assert CANARY in json.dumps(shown, default=str)
        assert {words for _, _, words in talk} == {f"to you {CANARY}", f"to the doctor {CANARY}"}
    async with resealing(clinic.owner_dsn) as connection:
        under = await counted(connection)
    assert {key for keys in under.values() for key in keys} == {"first"}
    # All but what only an operator, an upload or a model writes.
    of_others = {"legal_holds", "files", "worded_notes", "model_reasonings", "account_reasons"}
    assert {table for table, _ in under} == {table.name for table in TABLES} - of_others
    for name in [row[0] for row in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]:
        assert not await owner.fetchval(f"SELECT EXISTS (SELECT FROM {name} t WHERE t::text ~ $1)", CANARY), name


async def test_words_put_in_another_row_are_refused_with_words_of_our_own(clinic, owner, capfd):
    async with app_of(clinic.app_dsn, OLD) as app:
        connection_id, session_id = await a_session(app)
        await tell(app, session_id, "It is about me", f"I have {CANARY}")
        await caller(app, "patient").call("message.send", connectionId=connection_id, content=f"{CANARY} one")
        await caller(app, "patient").call("message.send", connectionId=connection_id, content=f"{CANARY} two")
        await owner.execute("ALTER TABLE chat_messages DISABLE TRIGGER chat_messages_stay")
        for table, name, query in (
            ("chat_messages", "intake.getSession", {"sessionId": session_id}),
            ("direct_messages", "message.getConversation", {"connectionId": connection_id}),
        ):
            swapped = f"UPDATE {table} SET content = (SELECT content FROM {table} WHERE seq = 1) WHERE seq = 2"
            await owner.execute(swapped)
            for who in ("patient", "doctor"):
                with pytest.raises(NotAsSealed) as refused:
                    await caller(app, who).call(name, **query)
                assert CANARY not in str(refused.value)
        status, _, body = await http(app.asgi(), "GET", f"/api/v1/intake-sessions/{session_id}", who="doctor")
        assert (status, json.loads(body)["detail"]) == (500, str(NotAsSealed()))
        assert CANARY not in body
    told = anamnesis(clinic.owner_dsn, "keys", "status", "--check")
    assert told.returncode == 1
    assert told.stderr.count("is not as it was sealed") == 2
    assert CANARY not in "".join((told.stdout, told.stderr, *capfd.readouterr()))


async def test_without_its_key_the_service_says_which_is_missing_and_keeps_everything(clinic, owner):
    async with app_of(clinic.app_dsn, OLD) as app:
        connection_id, session_id = await a_life(app)
        before = await seen_by(app, "doctor", connection_id, session_id)
    async with app_of(clinic.app_dsn, NEW) as app:
        for who in ("patient", "doctor"):
            with pytest.raises(KeyMissing) as refused:
                await caller(app, who).call("intake.getSession", sessionId=session_id)
            assert refused.value.key_id == "first"
        with pytest.raises(KeyMissing):
            await tell(app, session_id, "and another thing")
    told = anamnesis(clinic.owner_dsn, "keys", "rotate", keys=written(NEW))
    assert told.returncode == 1
    assert "under first, which is not set. They were left as they are." in told.stderr
    async with app_of(clinic.app_dsn, OLD) as app:
        assert await seen_by(app, "doctor", connection_id, session_id) == before


@pytest.mark.parametrize("envelope", ["enc1:gone:AAAA", "enc1:first:AAAA"], ids=["its key is gone", "it was changed"])
async def test_a_case_that_cannot_be_read_hides_no_other_and_stands_where_its_urgency_puts_it(clinic, owner, envelope):
    async with app_of(clinic.app_dsn, OLD) as app:
        doctor_id = str((await a_doctor(app))["id"])
        opened = {}
        for who, told in (("lost", "I have crushing chest pain"), ("read", "I have had a cough since Monday")):
            connection = await caller(app, who).call("connection.create", doctorId=doctor_id)
            session = await caller(app, who).call("intake.create", connectionId=str(connection["id"]))
            opened[who] = str(session["id"])
            await tell(app, opened[who], "It is about me", told, who=who)
        another = str((await a_doctor(app, "another"))["id"])
        connection = await caller(app, "lost").call("connection.create", doctorId=another)
        other = await caller(app, "lost").call("intake.create", connectionId=str(connection["id"]))
        await owner.execute(
            "UPDATE intake_sessions SET record = to_jsonb($2::text), medical_data = to_jsonb($2::text), name = $2"
            " WHERE id = $1",
            UUID(opened["lost"]), envelope,
        )  # fmt: skip
        cases = (await caller(app, "doctor").call("handover.getInbox"))["cases"]
        told = [(str(case["sessionId"]), case["colour"], case["isReadable"]) for case in cases]
        assert told == [(opened["lost"], "red", False), (opened["read"], cases[1]["colour"], True)]
        assert "cannot be read" in cases[0]["reason"]
        assert cases[1]["chiefComplaint"]
        listed = (await caller(app, "doctor").call("intake.getDoctorIntakeSessions"))["sessions"]
        names = {str(each["id"]): each["name"] for each in listed}
        assert names[opened["lost"]] == UNREADABLE != names[opened["read"]]
        decisions = {str(each["id"]): each["medicalData"]["vitalsData"]["triageDecision"] for each in listed}
        assert decisions[opened["lost"]] == "emergency"
        mine = (await caller(app, "lost").call("intake.getMyIntakeSessions"))["sessions"]
        assert {str(each["id"]) for each in mine} == {opened["lost"], str(other["id"])}
        grouped = (await caller(app, "lost").call("intake.getAllSessionsWithAppointments"))["groupedSessions"]
        assert len(grouped) == 2
        status, _, page = await http(app.asgi(), "GET", "/doctor", who="doctor")
        assert status == 200
        assert page.count("This case cannot be read at the moment") == 1
        assert page.count("No complaint told yet") == 0
        assert (await http(app.asgi(), "GET", "/", who="lost"))[0] < 400
        with pytest.raises(Unreadable):
            await caller(app, "doctor").call("intake.getSession", sessionId=opened["lost"])


async def test_an_operator_copies_holds_and_erases_what_is_sealed_and_no_envelope_is_left(clinic, owner):
    async with app_of(clinic.app_dsn, OLD) as app:
        await a_life(app)
    patient_id = await owner.fetchval("SELECT id FROM patients")
    async with operating(clinic.owner_dsn, KEYRING) as records:
        await records.hold(patient_id, "Court order 12 of 2026")
        file = await records.whole(patient_id)
        assert [row["reason"] for row in file.holds] == ["Court order 12 of 2026"]
        assert CANARY in json.dumps([each.record for each in file.interviews], default=str)
        assert any(CANARY in row["content"] for row in file.direct_messages)
        assert [row["reason"] for row in file.interviews[0].lowerings] == [f"no danger, {CANARY}"]
        assert [row["reason"] for row in file.emergencies] == [REASON]
        assert (await owner.fetchval("SELECT reason FROM legal_holds")).startswith(SEALED)
        await records.lift(patient_id, "The case was closed")
        await records.erase(patient_id)
    for name in [row[0] for row in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]:
        assert not await owner.fetchval(f"SELECT EXISTS (SELECT FROM {name} t WHERE t::text ~ 'enc[0-9]:')"), name


# -- the disk ----------------------------------------------------------------------------------------------------------


def on_disk(server, *words):
    """The files of the server's folder that hold one of the words: tables, indexes, log and all."""
    return sorted(
        str(path.relative_to(server.directory))
        for path in server.directory.rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in words)
    )


def dumped(server):
    program = find_programs(None) / "pg_dump"
    if not program.exists():
        return None
    done = subprocess.run(
        [program, "-h", str(server.socket_folder), "-p", "5432", "-U", OWNER, DATABASE],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("keys", [OLD, ()], ids=["sealed", "in the clear, so that the search can find"])
async def test_a_canary_is_in_no_page_no_log_and_no_dump(server, keys):
    async with app_of(server.app_dsn, keys) as app:
        await a_life(app)
    owner = await asyncpg.connect(server.owner_dsn)
    await owner.execute("CHECKPOINT")
    words = CANARY.encode(), b64encode(CANARY.encode())[:12]
    found = on_disk(server, *words)
    dump = dumped(server)
    await owner.close()
    if keys:
        assert found == []
        assert dump is None or CANARY.encode() not in dump
    else:
        assert any("pg_wal" in name for name in found)
        assert any("/base/" in f"/{name}" for name in found)
        assert dump is None or CANARY.encode() in dump


# -- another key -------------------------------------------------------------------------------------------------------


async def test_rows_from_before_are_read_and_become_sealed_with_the_record_they_hold(clinic, owner):
    async with app_of(clinic.app_dsn, ()) as app:
        connection_id, session_id = await a_life(app)
        before = await seen_by(app, "doctor", connection_id, session_id)
    plain = await stored(owner, SESSIONS), await stored(owner, CHAT, "true ORDER BY seq")
    assert await owner.fetchval("SELECT count(*) FROM chat_messages WHERE content ~ $1", CANARY) > 0
    async with app_of(clinic.app_dsn, OLD) as app:
        assert await seen_by(app, "doctor", connection_id, session_id) == before
        told = anamnesis(clinic.owner_dsn, "keys", "status")
        assert told.returncode == 1
        assert "unencrypted" in told.stdout
        told = anamnesis(clinic.owner_dsn, "keys", "rotate")
        assert (told.returncode, told.stderr) == (0, "")
        assert "VACUUM FULL" in told.stdout
        assert CANARY not in told.stdout
        assert await seen_by(app, "doctor", connection_id, session_id) == before
    assert (await stored(owner, SESSIONS), await stored(owner, CHAT, "true ORDER BY seq")) == plain
    told = anamnesis(clinic.owner_dsn, "keys", "status", "--check")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.endswith("Everything is under first.\n")


async def test_words_of_before_that_look_like_an_envelope_are_still_those_words(plain_dsn, postgres):
    """As they are read and sealed after the migration that marks them."""
    migration = (Path(__file__).parents[2] / "src/anamnesis/db/migrations/0080_sealed.sql").read_text()
    owner = await asyncpg.connect(plain_dsn)
    try:
        await owner.execute("SET anamnesis.purpose = 'migration'")
        user = await owner.fetchval("INSERT INTO users (clerk_id) VALUES ('x') RETURNING id")
        patient = await owner.fetchval("INSERT INTO patients (user_id) VALUES ($1) RETURNING id", user)
        doctor = await owner.fetchval("INSERT INTO doctors (user_id, slug) VALUES ($1, 'x') RETURNING id", user)
        link = await owner.fetchval(
            "INSERT INTO connections (patient_id, doctor_id) VALUES ($1, $2) RETURNING id", patient, doctor
        )
        session = await owner.fetchval("INSERT INTO intake_sessions (connection_id) VALUES ($1) RETURNING id", link)
        odd = ["enc1:first:" + b64encode(bytes(40)).decode(), "enc0:x", "enc1:", "enc99:", "encore", "x enc1:"]
        for place, words in enumerate(odd, 1):
            await owner.execute(
                "INSERT INTO chat_messages (session_id, seq, role, content) VALUES ($1, $2, 'model', $3)",
                session, place, words,
            )  # fmt: skip
        async with owner.transaction():
            await owner.execute(migration)
        lines = await stored(owner, CHAT, "true ORDER BY seq")
        assert [line["content"] for line in lines] == odd
    finally:
        await owner.close()
    async with resealing(plain_dsn) as connection:
        outcome = await reseal(connection, KEYRING)
        assert (outcome.rewritten, outcome.was_plain, outcome.broken) == (len(odd), len(odd), [])
        assert [line["content"] for line in await stored(connection, CHAT, "true ORDER BY seq")] == odd


async def test_the_services_role_cannot_change_what_was_said_whatever_it_says(clinic, owner):
    async with app_of(clinic.app_dsn, OLD) as app:
        _, session_id = await a_session(app)
        await tell(app, session_id, "It is about me")
        for said in (WORKING.said, WORKING.said + "SET LOCAL anamnesis.sealing = 'on';"):
            with viewing(Viewer(said)), pytest.raises(asyncpg.CheckViolationError):
                await app.database.execute("UPDATE chat_messages SET content = 'enc1:first:AAAA'")


async def keep_writing(app, connection_id, session_id, stop, sent):
    """Somebody who writes without a pause; what was confirmed is noted."""
    while not stop.is_set():
        text = f"line {len(sent)}"
        message = await caller(app, "patient").call("message.send", connectionId=connection_id, content=text)
        said = await tell(app, session_id, text)
        sent.append((text, str(message["message"]["id"]), str(said["userMessage"]["id"])))


@pytest.mark.slow
async def test_a_rotation_beside_writers_loses_no_write_and_leaves_nothing_under_the_old_key(clinic, owner):
    async with app_of(clinic.app_dsn, OLD) as app:
        connection_id, session_id = await a_session(app)
        for number in range(60):
            await tell(app, session_id, f"before {number}")
    stop, sent = asyncio.Event(), []
    async with app_of(clinic.app_dsn, BOTH) as app:
        other = str((await caller(app, "patient").call("intake.createNewSession", connectionId=connection_id))["id"])
        writers = [asyncio.create_task(keep_writing(app, connection_id, each, stop, mine))
                   for each, mine in ((session_id, mine_of(sent)), (other, mine_of(sent)))]  # fmt: skip
        await asyncio.sleep(0.3)
        async with resealing(clinic.owner_dsn) as connection:
            outcome = await reseal(connection, ring(BOTH))
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*writers)
    assert (outcome.broken, outcome.left) == ([], 0)
    assert outcome.rewritten > 120
    confirmed = [each for mine in sent for each in mine]
    assert len(confirmed) > 10
    async with resealing(clinic.owner_dsn) as connection:
        assert {key for keys in (await counted(connection)).values() for key in keys} == {"second"}
    async with app_of(clinic.app_dsn, NEW) as app:  # the old key was thrown away
        shown = [await caller(app, "doctor").call("intake.getSession", sessionId=each) for each in (session_id, other)]
        lines = {str(line["id"]): line["text"] for each in shown for line in each["messages"]}
        talk, cursor = {}, None
        while True:
            page = await caller(app, "patient").call(
                "message.getConversation", connectionId=connection_id, **({"cursor": cursor} if cursor else {})
            )
            talk |= {str(line["id"]): line["content"] for line in page["messages"]}
            if not (cursor := page.get("nextCursor")):
                break
        for text, direct, said in confirmed:
            assert (talk[direct], lines[said]) == (text, text)
        assert sum(text.startswith("before") for text in lines.values()) == 60


def mine_of(sent):
    sent.append([])
    return sent[-1]


@pytest.mark.long
async def test_a_killed_rotation_is_finished_by_the_next(clinic, owner):
    async with app_of(clinic.app_dsn, OLD) as app:
        connection_id, session_id = await a_session(app)
        before = await seen_by(app, "doctor", connection_id, session_id)
    await owner.execute("SET session_replication_role = replica")
    link, sender = UUID(connection_id), await owner.fetchval("SELECT user_id FROM patients")
    ids = [uuid4() for _ in range(20_000)]
    await owner.executemany(
        "INSERT INTO direct_messages (id, connection_id, seq, sender_id, content) VALUES ($1, $2, $3, $4, $5)",
        [(each, link, n, sender, KEYRING.at(DIRECT, each, link).seal("content", f"line {n}"))
         for n, each in enumerate(ids, 1)],
    )  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": clinic.owner_dsn, "ENCRYPTION_KEYS": written(BOTH)}
    run = await asyncio.create_subprocess_exec(ANAMNESIS, "keys", "rotate", env=environment, stdout=subprocess.DEVNULL)
    done = "SELECT count(*) FROM direct_messages WHERE starts_with(content, 'enc1:second:')"
    async with asyncio.timeout(30):
        while await owner.fetchval(done) < 1000:  # noqa: ASYNC110 - another process's work is seen by looking
            await asyncio.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    await run.wait()
    assert 1000 <= await owner.fetchval(done) < len(ids)
    told = anamnesis(clinic.owner_dsn, "keys", "rotate", keys=written(BOTH))
    assert (told.returncode, told.stderr) == (0, "")
    lines = await owner.fetch("SELECT id, connection_id, content FROM direct_messages ORDER BY seq")
    opened = [row["content"] for row in ring(NEW).all_opened(DIRECT, lines)]
    assert opened == [f"line {n}" for n in range(1, len(ids) + 1)]
    async with app_of(clinic.app_dsn, NEW) as app:
        assert (await seen_by(app, "doctor", connection_id, session_id))[0] == before[0]


async def test_a_value_that_changes_under_the_rotations_hands_is_the_writers(clinic, owner):
    async with app_of(clinic.app_dsn, OLD) as app:
        await a_life(app)
    session = await owner.fetchrow("SELECT id, connection_id FROM intake_sessions")
    place = ring(BOTH).at(SESSIONS, session["id"], session["connection_id"])

    class Interrupted:
        """A connection on which somebody renames the session after it was read and before it is rewritten."""

        def __init__(self, connection):
            self._connection, self.is_done = connection, False

        def __getattr__(self, name):
            return getattr(self._connection, name)

        async def fetch(self, query, *arguments):
            if not self.is_done and query.startswith("UPDATE intake_sessions t SET name"):
                self.is_done = True
                sealed = KEYRING.at(SESSIONS, session["id"], session["connection_id"]).seal("name", "the newer name")
                await owner.execute("UPDATE intake_sessions SET name = $1", sealed)
            return await self._connection.fetch(query, *arguments)

    async with resealing(clinic.owner_dsn) as connection:
        interrupted = Interrupted(connection)
        outcome = await reseal(interrupted, ring(BOTH))
        assert interrupted.is_done
        assert (outcome.left, outcome.broken) == (0, [])
    name = await owner.fetchval("SELECT name FROM intake_sessions")
    assert name.startswith("enc1:second:")
    assert place.open("name", name) == "the newer name"


# -- the command and its key -------------------------------------------------------------------------------------------


def test_a_new_key_is_a_key_and_each_is_another():
    command = [ANAMNESIS, "keys", "new"]
    made = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(made) == 2
    for text in made:
        ((key_id, key),) = Settings.encryption_from_env({"ENCRYPTION_KEYS": text})
        assert (len(b64decode(key.reveal())), key_id[0]) == (32, "k")


def test_a_private_database_makes_its_key_once_for_its_owners_eyes(tmp_path):
    keys = own_keys(tmp_path / "data")
    path = tmp_path / "data" / "encryption.keys"
    assert own_keys(tmp_path / "data") == keys
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["encryption.keys"]
    path.write_text("garbage")
    with pytest.raises(ValueError, match="holds no encryption keys"):
        own_keys(tmp_path / "data")
    assert path.read_text() == "garbage"


def test_the_command_refuses_what_it_cannot_do():
    for keys, dsn, words in (
        ("short:AAAA", "postgresql://a:b@127.0.0.1:1/c", "ENCRYPTION_KEYS: must hold 32 bytes"),
        ("", "postgresql://a:b@127.0.0.1:1/c", "ENCRYPTION_KEYS: is not set"),
        (ENCRYPTION_KEYS, "postgresql://a:b@127.0.0.1:1/c", "The database could not be used"),
    ):
        told = anamnesis(dsn, "keys", "rotate", keys=keys)
        assert told.returncode == 2
        assert words in told.stderr
        assert "AAAA" not in told.stderr
