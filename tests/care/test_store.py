"""People and connections, the same facts in memory and in PostgreSQL; and what only many at once can show."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from anamnesis.care import store as statements
from anamnesis.care.actions import connect
from anamnesis.care.model import ConnectionStatus, KnownDoctor
from anamnesis.care.store import PostgresCareStore
from anamnesis.db.postgres import Database
from anamnesis.kernel.errors import Conflict
from anamnesis.kernel.identity import Claims, DoctorId, Role
from build import WORKING
from care.in_memory import InMemoryCareStore, a_doctor

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(params=["in memory", "PostgreSQL"])
def store(request):
    if request.param == "in memory":
        return InMemoryCareStore()
    return PostgresCareStore(request.getfixturevalue("database"))


async def add(store, subject="user_ann"):
    await store.add_person(Claims(subject, f"{subject}@example.test", "Ann"))
    person, _ = await store.find_person(subject)
    return person


async def add_doctor(store, subject="user_doc") -> KnownDoctor:
    """A verified doctor, put there as each store keeps one."""
    person = await add(store, subject)
    if isinstance(store, InMemoryCareStore):
        doctor = a_doctor()
        store.people[subject] = (doctor, True)
        return await store.find_doctor(doctor.doctor_id)
    doctor = await store.create_doctor(person, {})
    operator = await add(store, "user_operator")
    await store.decide_on_doctor(operator, doctor["id"], approve=True, reason=None)
    return await store.find_doctor(DoctorId(doctor["id"]))


async def test_nobody_is_found_who_was_never_seen(store):
    assert await store.find_person("user_nobody") is None
    assert await store.find_doctor(DoctorId(uuid4())) is None
    assert await store.link_of_connection(uuid4()) is None


async def test_somebody_added_twice_is_one_active_patient(store):
    person = await add(store)
    assert await add(store) == person
    assert await store.find_person("user_ann") == (person, True)
    assert (person.primary_role, person.patient_id, person.doctor_id) == (Role.PATIENT, None, None)


async def test_a_profile_is_made_once_and_found_with_its_person(store):
    person = await add(store)
    made = await store.ensure_patient(person.user_id)
    assert await store.ensure_patient(person.user_id) == made
    assert (await store.find_person("user_ann"))[0].patient_id == made


async def test_a_connection_knows_its_two_people(store):
    person, doctor = await add(store), await add_doctor(store)
    patient_id = await store.ensure_patient(person.user_id)
    row = await store.connect(patient_id, doctor, "qr_scan", person)
    assert (row["status"], row["connection_source"]) == ("active", "qr_scan")
    link = await store.link_of_connection(row["id"])
    assert (link.patient_user_id, link.doctor_user_id) == (person.user_id, doctor.user_id)
    assert (link.status, link.doctor_is_verified) == (ConnectionStatus.ACTIVE, True)


async def test_connected_twice_is_a_conflict_and_after_parting_the_same_connection(store):
    person, doctor = await add(store), await add_doctor(store)
    patient_id = await store.ensure_patient(person.user_id)
    row = await store.connect(patient_id, doctor, "referral", person)
    with pytest.raises(Conflict):
        await store.connect(patient_id, doctor, None, person)
    assert (await store.disconnect(row["id"], person, NOW))["status"] == "disconnected"
    again = await store.connect(patient_id, doctor, None, person)
    assert (again["id"], again["status"], again["connection_source"]) == (row["id"], "active", "referral")


# -- PostgreSQL only --------------------------------------------------------------------------------------------


@pytest.fixture
async def two_stores(clinic):
    pools = [Database(clinic.app_dsn, speaks_for=WORKING) for _ in range(2)]
    yield [PostgresCareStore(pool) for pool in pools]
    for pool in pools:
        await pool.close()


async def at_once(stores, times, call):
    """The call so many times at once over the stores in turn: answers and exceptions."""
    return await asyncio.gather(*(call(stores[n % len(stores)]) for n in range(times)), return_exceptions=True)


async def test_sixteen_first_sights_over_two_pools_make_one_account(two_stores, owner):
    people = await at_once(two_stores, 16, add)
    assert len({person.user_id for person in people}) == 1
    assert await owner.fetchval("SELECT count(*) FROM users") == 1


async def test_sixteen_connections_at_once_over_two_pools_are_one_and_fifteen_conflicts(two_stores, owner):
    doctor = await add_doctor(two_stores[0])
    person = await add(two_stores[0])
    made = await at_once(two_stores, 16, lambda store: connect(person, doctor.doctor_id, None, store=store))
    assert sum(isinstance(each, Conflict) for each in made) == 15
    assert await owner.fetchval("SELECT count(*) FROM connections") == 1
    assert await owner.fetchval("SELECT count(*) FROM patients") == 1
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'connection_created'") == 1
    assert await owner.fetchval("SELECT count(*) FROM notifications WHERE type = 'connection'") == 1


async def test_sixteen_partings_at_once_are_audited_once(two_stores, owner):
    person, doctor = await add(two_stores[0]), await add_doctor(two_stores[0])
    row = await two_stores[0].connect(await two_stores[0].ensure_patient(person.user_id), doctor, None, person)
    parted = await at_once(two_stores, 16, lambda store: store.disconnect(row["id"], person, NOW))
    assert {each["status"] for each in parted} == {"disconnected"}
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'connection_disconnected'") == 1


async def test_sixteen_doctor_profiles_at_once_are_one(two_stores, owner):
    person = await add(two_stores[0])
    made = await at_once(two_stores, 16, lambda store: store.create_doctor(person, {"specialty": "General"}))
    assert sum(isinstance(each, Conflict) for each in made) == 15
    assert await owner.fetchval("SELECT count(*) FROM doctors") == 1
    assert await owner.fetchval("SELECT count(*) FROM audit_logs WHERE action = 'doctor_created'") == 1


@pytest.mark.regression("P14")
async def test_a_blocked_connection_can_neither_be_ended_nor_made_again(database, owner):
    store = PostgresCareStore(database)
    person, doctor = await add(store), await add_doctor(store)
    patient_id = await store.ensure_patient(person.user_id)
    row = await store.connect(patient_id, doctor, None, person)
    await owner.execute("UPDATE connections SET status = 'blocked'")
    assert (await store.disconnect(row["id"], person, NOW))["status"] == "blocked"
    with pytest.raises(Conflict):
        await store.connect(patient_id, doctor, None, person)


async def test_notices_and_audit_lines_name_ids_and_nobody(database, owner):
    store = PostgresCareStore(database)
    person, doctor = await add(store), await add_doctor(store)
    row = await store.connect(await store.ensure_patient(person.user_id), doctor, "qr_scan", person)
    notice = await owner.fetchrow("SELECT user_id, title, message, data FROM notifications WHERE type = 'connection'")
    assert notice["user_id"] == doctor.user_id
    assert json.loads(notice["data"]) == {
        "connectionId": str(row["id"]),
        "patientUserId": str(person.user_id),
        "patientName": "A patient",
        "action": "new",
    }
    line = await owner.fetchrow("SELECT user_id, resource_id, metadata FROM audit_logs ORDER BY id DESC LIMIT 1")
    assert (line["user_id"], line["resource_id"]) == (person.user_id, str(row["id"]))
    assert json.loads(line["metadata"]) == {
        "doctorId": str(doctor.doctor_id),
        "connectionSource": "qr_scan",
        "isReconnection": False,
    }
    assert "Ann" not in repr(list(notice.values()) + list(line.values()))


async def test_the_application_cannot_change_or_remove_an_audit_line(database):
    store = PostgresCareStore(database)
    await add_doctor(store)
    for statement in ("UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"):
        with pytest.raises(Exception, match="permission denied"):
            await database.execute(statement)


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (statements._FIND, ("user_ann",)),
        (statements._LINK, (uuid4(),)),
        (statements._KNOWN_DOCTOR, (uuid4(),)),
        (statements._DOCTOR_BY_SLUG, ("ann-00000000",)),
        (statements._DOCTORS_PENDING, (20, 0)),
        (statements._OF_ONE, (uuid4(),)),
        (statements._OF_PATIENT, (uuid4(), "active")),
        (statements._OF_DOCTOR, (uuid4(), "all")),
    ],
)
async def test_every_read_has_its_index(owner, statement, arguments):
    await owner.execute("SET enable_seqscan = off")
    plan = "\n".join(row[0] for row in await owner.fetch(f"EXPLAIN {statement}", *arguments))
    assert "Seq Scan" not in plan, plan
