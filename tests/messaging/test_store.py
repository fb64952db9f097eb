"""Messages, the same facts in memory and in PostgreSQL; and what only many at once can show."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.care.model import ConnectionStatus
from anamnesis.care.policy import access_connection
from anamnesis.care.store import PostgresCareStore
from anamnesis.db.postgres import Database
from anamnesis.kernel.errors import BadInput, Conflict, NotPermitted
from anamnesis.kernel.identity import Claims, PatientId
from anamnesis.messaging import store as statements
from anamnesis.messaging.model import Draft
from anamnesis.messaging.store import CURSORS, PostgresMessageStore
from build import WORKING
from care.in_memory import a_doctor, a_link, a_patient
from messaging.in_memory import InMemoryMessageStore


@dataclass
class Scene:
    """One conversation over a store, with its two people."""

    store: Any
    link: Any
    patient: Any
    doctor: Any

    def draft(self, content="hello", key=None, *, sender=None):
        sender = sender or self.patient
        return Draft(access_connection(sender, self.link, writing=True), sender, content, key)

    async def say(self, *words, sender=None):
        return [await self.store.send(self.draft(each, sender=sender)) for each in words]

    async def all_pages(self, limit):
        seen, cursor = [], None
        while True:
            rows, cursor = await self.store.page(self.link.connection_id, limit=limit, cursor=cursor)
            seen = [*(row["content"] for row in rows), *seen]
            if cursor is None:
                return seen


def in_memory():
    patient, doctor = a_patient(), a_doctor()
    link = a_link(patient, doctor)
    return Scene(InMemoryMessageStore({link.connection_id: link}), link, patient, doctor)


async def in_postgres(database):
    people = PostgresCareStore(database)
    for subject in ("user_ann", "user_doc", "user_operator"):
        await people.add_person(Claims(subject))
    ann, doc, operator = [(await people.find_person(f"user_{name}"))[0] for name in ("ann", "doc", "operator")]
    row = await people.create_doctor(doc, {})
    await people.decide_on_doctor(operator, row["id"], approve=True, reason=None)
    patient_id = await people.ensure_patient(ann.user_id)
    made = await people.connect(PatientId(patient_id), await people.find_doctor(row["id"]), None, ann)
    patient, doctor = [(await people.find_person(f"user_{name}"))[0] for name in ("ann", "doc")]
    return Scene(PostgresMessageStore(database), await people.link_of_connection(made["id"]), patient, doctor)


@pytest.fixture
async def real(database):
    return await in_postgres(database)


@pytest.fixture(params=["in memory", "PostgreSQL"])
def scene(request):
    return in_memory() if request.param == "in memory" else request.getfixturevalue("real")


async def test_the_same_id_and_words_are_the_same_message(scene):
    key = uuid4()
    first = await scene.store.send(scene.draft("hello", key))
    again = await scene.store.send(scene.draft("hello", key))
    assert first["id"] == again["id"]
    assert await scene.all_pages(50) == ["hello"]


@pytest.mark.proves("I4")
async def test_the_same_id_with_other_words_is_refused_and_leaves_nothing(scene):
    key = uuid4()
    await scene.store.send(scene.draft("hello", key))
    with pytest.raises(Conflict):
        await scene.store.send(scene.draft("other words", key))
    await scene.say("next")
    assert await scene.all_pages(50) == ["hello", "next"]


async def test_an_id_belongs_to_its_sender(scene):
    key = uuid4()
    await scene.store.send(scene.draft("mine", key))
    await scene.store.send(scene.draft("mine too", key, sender=scene.doctor))
    assert await scene.all_pages(50) == ["mine", "mine too"]


@pytest.mark.proves("I5")
async def test_equal_words_without_an_id_are_two_messages(scene):
    await scene.say("no", "no")
    assert await scene.all_pages(50) == ["no", "no"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
@pytest.mark.proves("I16")
async def test_walking_all_pages_gives_each_message_once_in_order(scene, limit):
    words = [str(number) for number in range(13)]
    await scene.say(*words)
    assert await scene.all_pages(limit) == words


async def test_the_last_page_has_no_cursor_even_when_it_is_full(scene):
    await scene.say("1", "2")
    assert (await scene.store.page(scene.link.connection_id, limit=2, cursor=None))[1] is None
    assert await scene.store.page(uuid4(), limit=2, cursor=None) == ([], None)


async def test_a_cursor_of_somebody_else_is_refused(scene):
    with pytest.raises(BadInput):
        await scene.store.page(scene.link.connection_id, limit=2, cursor=str(uuid4()))


async def test_only_what_the_other_side_wrote_waits_and_is_marked(scene):
    await scene.say("1", "2", "3")
    await scene.say("4", sender=scene.doctor)
    assert (await scene.store.unread(scene.doctor), await scene.store.unread(scene.patient)) == (3, 1)
    assert await scene.store.mark_read(scene.link.connection_id, scene.doctor) == 3
    assert await scene.store.mark_read(scene.link.connection_id, scene.doctor) == 0
    assert (await scene.store.unread(scene.doctor), await scene.store.unread(scene.patient)) == (0, 1)
    rows, _ = await scene.store.page(scene.link.connection_id, limit=50, cursor=None)
    assert [row["is_read"] for row in rows] == [True, True, True, False]
    assert [row["read_at"] is not None for row in rows] == [True, True, True, False]


async def test_a_new_message_has_its_keys_and_is_unread(scene):
    (row,) = await scene.say("hello")
    wanted = {"id", "connection_id", "sender_id", "content", "is_read", "read_at", "created_at"}
    assert wanted <= set(row)
    assert (row["is_read"], row["read_at"], row["sender_id"]) == (False, None, scene.patient.user_id)


# -- PostgreSQL only --------------------------------------------------------------------------------------------


async def end(scene, status=ConnectionStatus.DISCONNECTED):
    await scene.store.database.execute("UPDATE connections SET status = $1::text::connection_status", status.value)


async def test_a_connection_that_ends_between_the_decision_and_the_message_takes_none(real):
    draft = real.draft("too late")
    await end(real)
    with pytest.raises(NotPermitted, match="nearest hospital"):
        await real.store.send(draft)
    assert await real.all_pages(50) == []


async def test_a_message_that_was_kept_is_still_confirmed_when_the_connection_ends_meanwhile(real):
    draft = real.draft("kept", uuid4())
    first = await real.store.send(draft)
    await end(real)
    assert (await real.store.send(draft))["id"] == first["id"]


async def test_a_message_its_notice_and_its_event_are_one(real, owner):
    heard = asyncio.Queue()
    await owner.add_listener("anamnesis", lambda *told: heard.put_nowait(told[-1]))
    (row,) = await real.say("crushing chest pain")
    assert await asyncio.wait_for(heard.get(), 5) == f"conversation:{real.link.connection_id}"
    notice = await owner.fetchrow("SELECT user_id, title, message, data FROM notifications WHERE type = 'message'")
    assert notice["user_id"] == real.doctor.user_id
    assert json.loads(notice["data"]) == {
        "connectionId": str(real.link.connection_id),
        "messageId": str(row["id"]),
        "senderName": "",
        "senderRole": "patient",
        "preview": "",
    }
    assert "chest" not in repr(list(notice.values()))


@pytest.mark.proves("I11")
@pytest.mark.regression("R5")
async def test_a_message_whose_notice_cannot_be_kept_is_not_kept_either(real, owner):
    await owner.execute("ALTER TABLE notifications ADD CONSTRAINT none_today CHECK (type <> 'message')")
    with pytest.raises(Exception, match="none_today"):
        await real.say("lost together")
    await owner.execute("ALTER TABLE notifications DROP CONSTRAINT none_today")
    await real.say("first")
    rows, _ = await real.store.page(real.link.connection_id, limit=50, cursor=None)
    assert [(row["content"], row["seq"]) for row in rows] == [("first", 1)]


async def test_marking_reads_away_the_notices_of_this_conversation_alone(real, owner):
    await real.say("1", "2")
    other = "INSERT INTO notifications (user_id, type, title, message, data) VALUES ($1, $2, $3, $3, $4)"
    for kind, about in (("message", uuid4()), ("connection", real.link.connection_id)):
        data = json.dumps({"connectionId": str(about)})
        await owner.execute(other, real.doctor.user_id, kind, "x", data)
    before = await owner.fetchval("SELECT count(*) FROM notifications WHERE NOT is_read")
    await real.store.mark_read(real.link.connection_id, real.doctor)
    assert await owner.fetchval("SELECT count(*) FROM notifications WHERE NOT is_read") == before - 2


@pytest.fixture
async def two_stores(clinic, real):
    pools = [Database(clinic.app_dsn, speaks_for=WORKING) for _ in range(2)]
    yield [PostgresMessageStore(pool) for pool in pools]
    for pool in pools:
        await pool.close()


async def dense(owner):
    return await owner.fetchval(
        "SELECT count(*) = max(m.seq) AND min(m.seq) = 1 AND bool_and(c.next_message_seq > m.seq)"
        " AND max(c.next_message_seq) = max(m.seq) + 1"
        " FROM direct_messages m JOIN connections c ON c.id = m.connection_id"
    )


@pytest.mark.proves("I3")
@pytest.mark.regression("R1")
async def test_sixteen_sends_of_one_id_over_two_pools_are_one_message_and_sixteen_answers(real, two_stores, owner):
    for _ in range(5):
        draft = real.draft("hello", uuid4())
        answers = await asyncio.gather(*(two_stores[number % 2].send(draft) for number in range(16)))
        assert len({answer["id"] for answer in answers}) == 1
    assert await owner.fetchval("SELECT count(*) FROM direct_messages") == 5
    assert await owner.fetchval("SELECT count(*) FROM notifications WHERE type = 'message'") == 5
    assert await dense(owner)


async def test_sixteen_who_mark_at_once_mark_each_message_once(real, two_stores):
    await real.say(*map(str, range(25)))
    marks = (two_stores[n % 2].mark_read(real.link.connection_id, real.doctor) for n in range(16))
    assert sum(await asyncio.gather(*marks)) == 25


@pytest.mark.proves("I13")
async def test_numbers_stay_dense_whoever_sends_repeats_or_is_refused(real, two_stores, owner):
    keys = [uuid4() for _ in range(4)]
    people = (real.patient, real.doctor)
    drafts = [real.draft(f"words {n % 3}", keys[n % 4] if n % 2 else None, sender=people[n % 5 > 2]) for n in range(64)]
    answers = await asyncio.gather(
        *(two_stores[n % 2].send(draft) for n, draft in enumerate(drafts)), return_exceptions=True
    )
    assert {type(each) for each in answers} <= {dict, Conflict}
    assert await owner.fetchval("SELECT count(*) FROM direct_messages") == len(
        {each["id"] for each in answers if isinstance(each, dict)}
    )
    assert await dense(owner)


@pytest.mark.proves("I16")
@pytest.mark.regression("D10")
async def test_paging_loses_nothing_while_others_write(real, two_stores):
    before = [f"old {number}" for number in range(40)]
    await real.say(*before)

    async def write():
        for number in range(60):
            await two_stores[1].send(real.draft(f"new {number}", sender=real.doctor))

    writing = asyncio.create_task(write())
    walks = []
    while not writing.done():
        walks.append(await real.all_pages(7))
    await writing
    assert len(walks) > 1
    for seen in [*walks, await real.all_pages(7)]:
        assert len(seen) == len(set(seen))
        assert seen[:40] == before
        assert seen[40:] == [f"new {number}" for number in range(len(seen) - 40)]


async def test_two_senders_at_once_leave_one_order_that_all_readers_see(real, two_stores):
    await asyncio.gather(
        *(two_stores[n % 2].send(real.draft(str(n), sender=(real.patient, real.doctor)[n % 2])) for n in range(40))
    )
    assert await real.all_pages(7) == await real.all_pages(50)


class Counting:
    """A database that notes what it is asked."""

    def __init__(self, database):
        self._database, self.keyring, self.asked = database, database.keyring, []

    async def fetchrow(self, statement, *arguments):
        self.asked.append(statement)
        return await self._database.fetchrow(statement, *arguments)


async def test_a_send_is_one_statement_and_a_repeat_two(real):
    counting, draft = Counting(real.store.database), real.draft("hello", uuid4())
    store = PostgresMessageStore(counting)
    for statements_so_far in (1, 3):
        await store.send(draft)
        assert len(counting.asked) == statements_so_far


@pytest.mark.parametrize("name", ["_PAGE", "_AFTER", "_STATE", "_CONVERSATIONS", "_UNREAD", "_MARK", "_SEEN", "_SEND"])
async def test_every_statement_has_its_index(owner, name):
    one, two, three = uuid4(), uuid4(), uuid4()
    arguments = {
        "_PAGE": (one, 5, 5),
        "_UNREAD": (one, two, three),
        "_AFTER": (one, 5),
        "_STATE": (one, two),
        "_CONVERSATIONS": (one, two, three),
        "_MARK": (one, two, "anamnesis"),
        "_SEEN": (one, two, three),
        "_SEND": (one, two, "words", three, two, "patient", "anamnesis", three, 0, True, one),
    }[name]
    await owner.execute("SET enable_seqscan = off")
    rows = await owner.fetch(f"EXPLAIN {getattr(statements, name)}", *arguments)
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan, plan


@given(st.integers(min_value=1, max_value=2**60 - 1))
@settings(max_examples=50)
def test_a_cursor_comes_back_as_it_went(seq):
    assert len(str(seq)) > 18 or CURSORS.seq(CURSORS.of(seq)) == seq


@given(st.text(max_size=100))
@settings(max_examples=100)
def test_any_text_is_a_cursor_or_bad_input(text):
    try:
        CURSORS.seq(text)
    except BadInput:
        pass
