"""Who may send, read and mark, on messages kept in memory."""

from uuid import uuid4

import pytest

from anamnesis.care.model import ConnectionStatus
from anamnesis.kernel.errors import NotFound, NotPermitted
from anamnesis.messaging import actions
from anamnesis.messaging.model import Draft, Heard
from care.in_memory import a_doctor, a_link, a_patient, a_person
from messaging.in_memory import InMemoryMessageStore


def quiet(_):
    return Heard()


def a_conversation(*, verified=True):
    patient, doctor = a_patient(), a_doctor(verified=verified)
    link = a_link(patient, doctor)
    return patient, doctor, link.connection_id, InMemoryMessageStore({link.connection_id: link})


def doings(who, connection_id, store):
    return (
        lambda: actions.send(who, connection_id, "hello", None, store=store, hear=quiet),
        lambda: actions.read(who, connection_id, limit=50, cursor=None, store=store),
        lambda: actions.mark_as_read(who, connection_id, store=store),
    )


async def test_a_message_is_for_the_other_of_the_two():
    patient, doctor, connection_id, store = a_conversation()
    _, recipient, _ = await actions.send(patient, connection_id, "hello", None, store=store, hear=quiet)
    assert recipient == doctor.user_id
    _, recipient, _ = await actions.send(doctor, connection_id, "hello", None, store=store, hear=quiet)
    assert recipient == patient.user_id
    assert [notice["user_id"] for notice in store.notices] == [doctor.user_id, patient.user_id]


@pytest.mark.parametrize("stranger", [a_patient(), a_doctor(), a_person("super_admin")])
@pytest.mark.proves("I29")
async def test_a_stranger_is_told_there_is_no_such_connection_and_nothing_is_read(stranger):
    _, _, connection_id, store = a_conversation()
    for wanted in (connection_id, uuid4()):
        for do in doings(stranger, wanted, store):
            with pytest.raises(NotFound):
                await do()
    assert store.writes == 0


@pytest.mark.parametrize("status", [ConnectionStatus.DISCONNECTED, ConnectionStatus.BLOCKED])
async def test_after_the_end_the_patient_reads_and_nobody_writes(status):
    patient, doctor, connection_id, store = a_conversation()
    await actions.send(doctor, connection_id, "hello", None, store=store, hear=quiet)
    store.end(connection_id, status)
    for do in doings(doctor, connection_id, store):
        with pytest.raises(NotPermitted):
            await do()
    send, read, mark = doings(patient, connection_id, store)
    with pytest.raises(NotPermitted):
        await send()
    assert len((await read())[0]) == 1
    assert await mark() == 1


async def test_an_unverified_doctor_does_nothing_here():
    _, doctor, connection_id, store = a_conversation(verified=False)
    for do in doings(doctor, connection_id, store):
        with pytest.raises(NotPermitted):
            await do()


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (50, 50), (51, 50), (100, 50)])
async def test_more_than_fifty_may_be_asked_for_and_fifty_are_given(asked, given):
    patient, _, connection_id, store = a_conversation()
    for number in range(60):
        await actions.send(patient, connection_id, str(number), None, store=store, hear=quiet)
    rows, _ = await actions.read(patient, connection_id, limit=asked, cursor=None, store=store)
    assert len(rows) == given


def test_words_stay_out_of_a_drafts_representation():
    patient, doctor = a_patient(), a_doctor()
    access = actions.access_connection(patient, a_link(patient, doctor), writing=True)
    assert "chest pain" not in repr(Draft(access, patient, "chest pain"))
