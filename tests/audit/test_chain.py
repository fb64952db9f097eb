"""The chain over the audit trail: sealed by one at a time, whatever commits when; and what verifying it finds out."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time

import asyncpg
import pytest

from anamnesis.db.auditing import WRITE
from anamnesis.db.chain import canonical, verify
from anamnesis.db.postgres import Database
from anamnesis.db.sealing import BATCH, Sealer
from anamnesis.db.viewing import Purpose
from build import WORKING

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

ONE = """
INSERT INTO audit_logs (action, resource_type, resource_id, metadata) VALUES ($1, 'test', $2, '{"b": 1, "a": 2}')"""
MANY = """
INSERT INTO audit_logs (user_id, actor_role, action, procedure, resource_type, resource_id, patient_ids, request_id,
                        purpose, metadata)
SELECT gen_random_uuid(), 'doctor', 'intake.getSession', 'intake.getSession', 'intake_session',
       gen_random_uuid()::text, ARRAY[gen_random_uuid()], 'r-' || n, 'care', NULL FROM generate_series(1, $1) n"""
CLEAR = """
TRUNCATE audit_logs, audit_unsealed, audit_chain RESTART IDENTITY;
UPDATE audit_head SET seq = 0, hash = decode(repeat('00', 32), 'hex')"""
#: What somebody with every right could do to cover what they did: make the chain anew over what is there.
REMAKE = """
INSERT INTO audit_unsealed (entry_id) SELECT entry_id FROM audit_chain ON CONFLICT DO NOTHING;
DELETE FROM audit_unsealed u WHERE NOT EXISTS (SELECT FROM audit_logs a WHERE a.id = u.entry_id);
DELETE FROM audit_chain;
UPDATE audit_head SET seq = 0, hash = decode(repeat('00', 32), 'hex');
SELECT seal_audit(1000000)"""


async def written(connection, count, action="read"):
    for number in range(count):
        await connection.execute(ONE, action, str(number))


async def a_writer(dsn):
    """A connection of the service's own, which says for what it works and so may add lines."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"SET anamnesis.purpose = '{Purpose.JOBS.value}'")
    return connection


@pytest.fixture
def sealer(database):
    return Sealer(database)


async def test_an_untouched_chain_holds_and_its_head_is_told(owner, sealer):
    await written(owner, 5)
    assert await sealer.seal() == 5
    found = await verify(owner)
    assert (found.seq, found.broken, found.waiting) == (5, None, 0)
    assert await owner.fetchval("SELECT encode(hash, 'hex') FROM audit_head") == found.head
    assert (await verify(owner, {5: found.head})).broken is None


async def test_a_line_that_commits_late_is_sealed_late_and_never_passed_over(clinic, owner, sealer):
    late = await a_writer(clinic.app_dsn)
    slow = late.transaction()
    await slow.start()
    await written(late, 1, "late")
    await written(owner, 3)
    assert await sealer.seal() == 3
    await slow.commit()
    assert await sealer.seal() == 1
    await late.close()
    found = await verify(owner)
    assert (found.seq, found.broken) == (4, None)
    order = [row["id"] for row in await owner.fetch("SELECT entry_id AS id FROM audit_chain ORDER BY seq")]
    assert order == [2, 3, 4, 1]


async def test_only_one_seals_at_a_time(clinic, owner, sealer):
    await written(owner, 2)
    other = await asyncpg.connect(clinic.app_dsn)
    async with other.transaction():
        await other.fetch("SELECT * FROM seal_audit(10)")
        assert await sealer.seal() == 0
    await other.close()
    assert (await verify(owner)).seq == 2


async def test_many_sealers_and_writers_at_once_make_one_whole_chain(clinic, owner):
    pools = [Database(clinic.app_dsn, speaks_for=WORKING) for _ in range(3)]

    async def write(pool):
        for number in range(40):
            await pool.execute(ONE, "read", str(number))

    async def seal(pool):
        for _ in range(20):
            await Sealer(pool).seal()
            await asyncio.sleep(0.005)

    await asyncio.gather(*(work(pool) for pool in pools for work in (write, seal)))
    await Sealer(pools[0]).seal()
    found = await verify(owner)
    assert (found.seq, found.broken, found.waiting) == (120, None, 0)
    for pool in pools:
        await pool.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs",
        "INSERT INTO audit_chain VALUES (1, 1, sha256(''))", "UPDATE audit_chain SET seq = 9",
        "DELETE FROM audit_chain",
        "TRUNCATE audit_chain", "UPDATE audit_head SET seq = 0", "DELETE FROM audit_head",
        "INSERT INTO audit_unsealed VALUES (1)", "DELETE FROM audit_unsealed", "TRUNCATE audit_unsealed",
        "ALTER TABLE audit_logs DISABLE TRIGGER ALL", "DROP TRIGGER audit_lines_wait ON audit_logs",
        "DROP FUNCTION seal_audit(integer)",
        "INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('a', 'x', '2020-01-01')",
        "INSERT INTO audit_logs (id, action, resource_type) OVERRIDING SYSTEM VALUE VALUES (900, 'a', 'x')",
    ],
)  # fmt: skip
async def test_the_application_may_add_lines_and_nothing_else(database, owner, statement):
    await written(owner, 1)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute(statement)


async def test_a_table_of_the_callers_own_is_not_taken_for_the_head(clinic, owner, sealer):
    await written(owner, 1)
    await sealer.seal()
    await written(owner, 1)
    forger = await asyncpg.connect(clinic.app_dsn)
    await forger.execute(
        "CREATE TEMP TABLE audit_head AS SELECT true AS is_only, 100::bigint AS seq, sha256('') AS hash"
    )
    await forger.fetch("SELECT * FROM pg_catalog.set_config('search_path', 'pg_temp, public', false)")
    await forger.fetch("SELECT * FROM public.seal_audit(10)")
    await forger.close()
    found = await verify(owner)
    assert (found.seq, found.broken) == (2, None)


async def test_nothing_of_the_callers_own_runs_with_the_owners_rights(clinic, owner):
    await written(owner, 3)
    forger = await asyncpg.connect(clinic.app_dsn)
    await forger.execute("""
        CREATE FUNCTION pg_temp.as_the_owner() RETURNS uuid LANGUAGE plpgsql AS $$
        BEGIN DELETE FROM public.audit_logs; RETURN NULL; END $$;
        CREATE TEMP VIEW legal_holds AS SELECT pg_temp.as_the_owner() AS patient_id, NULL::timestamptz AS lifted_at;
        CREATE TEMP VIEW audit_logs AS SELECT 'x' AS action, pg_temp.as_the_owner() AS resource_id;
        GRANT SELECT ON legal_holds, audit_logs TO PUBLIC""")
    await owner.execute("INSERT INTO users (clerk_id, updated_at) VALUES ('long-gone', now() - interval '2 years')")
    await owner.execute(
        "INSERT INTO patients (user_id, updated_at) SELECT id, updated_at FROM users WHERE clerk_id = 'long-gone'"
    )
    before = await owner.fetch("SELECT id, action FROM audit_logs ORDER BY id")
    for asked in ("SELECT public.purge_expired(365, 10)", "SELECT * FROM public.seal_audit(10)"):
        await forger.fetch(asked)
    await forger.close()
    assert (await owner.fetch("SELECT id, action FROM audit_logs ORDER BY id"))[: len(before)] == before
    assert (await verify(owner)).broken is None


def test_lines_with_other_fields_never_have_the_same_bytes():
    assert canonical(["1:a", None]) != canonical(["1", "a"])
    assert canonical(["a,", "b"]) != canonical(["a", ",b"])
    assert canonical(["-"]) != canonical([None]) != canonical([""])
    assert canonical(["é"]) == "1:1,2:é,".encode()


async def test_any_text_and_value_is_the_same_bytes_here_and_in_the_database(owner, sealer):
    for text in ("", "-", "1:a,", "naïve\n\t\"'", "多", "\U0001f9ea", "x" * 5000):
        line = {
            "action": text, "resource_type": text, "resource_id": text, "request_id": text, "purpose": None,
            "patient_ids": ["6f9619ff-8b86-4d01-b42d-00cf4fc964ff"] * 2,
            "metadata": {"n": 1.50, "text": text, "more": [None, True, {"z": 1e30, "é": -0.0}]},
        }  # fmt: skip
        await sealer.database.execute(WRITE, line)
    await sealer.seal()
    assert (await verify(owner)).broken is None


class Tampering:
    """What can be done to a trail of size lines; each answers the first place that is not as it was, or None."""

    def __init__(self, owner, rng, size):
        self.owner, self.rng, self.size = owner, rng, size
        self.at = rng.randint(1, size)

    async def id_at(self, seq):
        return await self.owner.fetchval("SELECT entry_id FROM audit_chain WHERE seq = $1", seq)

    async def nothing(self):
        return None

    async def edit(self):
        column = self.rng.choice(["action", "resource_id", "actor_role", "purpose", "request_id", "procedure"])
        await self.owner.execute(
            f"UPDATE audit_logs SET {column} = coalesce({column}, '') || 'x' WHERE id = $1", await self.id_at(self.at)
        )
        return f"place {self.at} "

    async def edit_of_time(self):
        await self.owner.execute(
            "UPDATE audit_logs SET created_at = created_at + interval '1 microsecond' WHERE id = $1",
            await self.id_at(self.at),
        )
        return f"place {self.at} "

    async def edit_of_metadata(self):
        await self.owner.execute(
            "UPDATE audit_logs SET metadata = metadata || '{\"a\": 3}' WHERE id = $1", await self.id_at(self.at)
        )
        return f"place {self.at} "

    async def edit_of_hash(self):
        await self.owner.execute("UPDATE audit_chain SET hash = sha256(hash) WHERE seq = $1", self.at)
        return f"place {self.at} "

    async def delete(self):
        await self.owner.execute("DELETE FROM audit_logs WHERE id = $1", await self.id_at(self.at))
        return f"place {self.at} "

    async def delete_with_its_place(self):
        await self.owner.execute("DELETE FROM audit_logs WHERE id = $1", await self.id_at(self.at))
        await self.owner.execute("DELETE FROM audit_chain WHERE seq = $1", self.at)
        return f"place {self.at}:"

    async def close_the_gap(self):
        await self.delete_with_its_place()
        await self.owner.execute("UPDATE audit_chain SET seq = -seq WHERE seq > $1", self.at)
        await self.owner.execute("UPDATE audit_chain SET seq = -seq - 1 WHERE seq < 0")
        await self.owner.execute("UPDATE audit_head SET seq = seq - 1")
        return None if self.at == self.size else f"place {self.at} "

    async def insert(self):
        await self.owner.execute("ALTER TABLE audit_logs DISABLE TRIGGER audit_lines_wait")
        await self.owner.execute(ONE, "forged", "1")
        await self.owner.execute("ALTER TABLE audit_logs ENABLE TRIGGER audit_lines_wait")
        return "line "

    async def reorder(self):
        if self.size < 2:
            return None
        first, second = sorted(self.rng.sample(range(1, self.size + 1), 2))
        one, other = await self.id_at(first), await self.id_at(second)
        await self.owner.execute(
            "UPDATE audit_chain SET entry_id = -entry_id WHERE seq = $1 OR seq = $2", first, second
        )
        await self.owner.execute("UPDATE audit_chain SET entry_id = $2 WHERE seq = $1", first, other)
        await self.owner.execute("UPDATE audit_chain SET entry_id = $2 WHERE seq = $1", second, one)
        return f"place {first} "

    async def cut_lines(self):
        await self.owner.execute(
            "DELETE FROM audit_logs WHERE id IN (SELECT entry_id FROM audit_chain WHERE seq >= $1)", self.at
        )
        return f"place {self.at} "

    async def cut(self):
        await self.cut_lines()
        await self.owner.execute("DELETE FROM audit_chain WHERE seq >= $1", self.at)
        return f"place {self.at}:"

    async def empty(self):
        await self.owner.execute("TRUNCATE audit_logs, audit_chain")
        return "place 1:"

    #: What no table of the database tells any more, and only a head noted elsewhere does.

    async def cut_with_its_head(self):
        await self.cut()
        await self.owner.execute(
            "UPDATE audit_head SET seq = coalesce((SELECT max(seq) FROM audit_chain), 0),"
            " hash = coalesce((SELECT hash FROM audit_chain ORDER BY seq DESC LIMIT 1),"
            " decode(repeat('00', 32), 'hex'))"
        )
        return f"place {self.at}:"

    async def remade_after_a_deletion(self):
        await self.owner.execute("DELETE FROM audit_logs WHERE id = $1", await self.id_at(self.at))
        await self.owner.execute(REMAKE)
        return f"place {self.size}"

    async def remade_after_an_edit(self):
        await self.owner.execute("UPDATE audit_logs SET action = 'x' WHERE id = $1", await self.id_at(self.at))
        await self.owner.execute(REMAKE)
        return f"place {self.size} "


SEEN = (
    "nothing", "edit", "edit_of_time", "edit_of_metadata", "edit_of_hash", "delete", "delete_with_its_place",
    "insert", "reorder", "cut_lines", "cut", "empty",
)  # fmt: skip
COVERED_UP = ("cut_with_its_head", "remade_after_a_deletion", "remade_after_an_edit")


async def _interleave(clinic, rng, sealer):
    """Writers that commit in any order or not at all, sealers that die before they commit; how many lines are kept."""
    writers = [await a_writer(clinic.app_dsn) for _ in range(4)]
    under_way, kept = {}, 0
    for _ in range(rng.randint(8, 30)):
        writer = rng.choice(writers)
        act = rng.random()
        if act < 0.2:
            await sealer.seal()
        elif act < 0.3:
            doomed = await asyncpg.connect(clinic.app_dsn)
            dying = doomed.transaction()
            await dying.start()
            await doomed.fetch("SELECT * FROM seal_audit($1)", rng.randint(1, 5))
            doomed.terminate()
        elif writer not in under_way:
            under_way[writer] = (writer.transaction(), 0)
            await under_way[writer][0].start()
        else:
            transaction, lines = under_way[writer]
            if act < 0.7:
                await writer.execute(ONE, "read", str(lines))
                under_way[writer] = (transaction, lines + 1)
            elif act < 0.9:
                await transaction.commit()
                kept += lines
                del under_way[writer]
            else:
                await transaction.rollback()
                del under_way[writer]
    for transaction, lines in under_way.values():
        await transaction.commit()
        kept += lines
    for writer in writers:
        await writer.close()
    return kept


async def _sealed(sealer, owner):
    """A sealer that was cut off holds its lock until the server has noticed."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        await sealer.seal()
        if not await owner.fetchval("SELECT count(*) FROM audit_unsealed"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not sealed")


@pytest.mark.proves("I33")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [*SEEN, *COVERED_UP])
async def test_whatever_order_lines_come_in_the_verdict_is_the_truth(clinic, owner, sealer, how):
    rounds = int(os.environ.get("AUDIT_ROUNDS", "3"))
    for seed in range(rounds):
        rng = random.Random(f"{how} {seed}")
        await owner.execute(CLEAR)
        kept = await _interleave(clinic, rng, sealer) + 2
        await written(owner, 2)
        await _sealed(sealer, owner)
        before = await verify(owner)
        assert (before.seq, before.broken, before.waiting) == (kept, None, 0)
        noted = {before.seq: before.head}

        tampering = Tampering(owner, rng, kept)
        first = await getattr(tampering, how)()
        found = await verify(owner)
        if how in COVERED_UP:
            assert found.broken is None, "no anchor was compared, so nothing can be known"
            found = await verify(owner, noted)
        if first is None:
            assert found.broken is None
        else:
            assert found.broken is not None, how
            assert found.broken.startswith(first), (found.broken, first)


async def test_a_gap_that_was_closed_is_seen(clinic, owner, sealer):
    await written(owner, 6)
    await sealer.seal()
    tampering = Tampering(owner, random.Random(1), 6)
    tampering.at = 3
    first = await tampering.close_the_gap()
    assert (await verify(owner)).broken.startswith(first)


async def test_a_line_taken_away_before_it_was_sealed_is_missed(owner, sealer):
    await written(owner, 3)
    await owner.execute("DELETE FROM audit_logs WHERE id = 2")
    assert await sealer.seal() == 2
    assert (await verify(owner)).broken.startswith("line 2: was waiting")


async def test_lines_that_nobody_seals_are_told_with_their_age(owner):
    await written(owner, 2)
    await owner.execute("UPDATE audit_unsealed SET waits_since = waits_since - interval '2 minutes'")
    found = await verify(owner)
    assert (found.seq, found.broken, found.waiting) == (0, None, 2)
    assert found.waiting_s > 100


async def test_a_running_sealer_is_at_most_five_seconds_behind(database, owner):
    sealing = asyncio.create_task(Sealer(database).run())
    try:
        for _ in range(3):
            await written(owner, 50)
            started = time.monotonic()
            while await owner.fetchval("SELECT count(*) FROM audit_unsealed"):
                assert time.monotonic() - started < 5
                await asyncio.sleep(0.05)
    finally:
        sealing.cancel()


async def test_a_sealer_that_cannot_seal_goes_on_trying(clinic, owner, database):
    await owner.execute("REVOKE EXECUTE ON FUNCTION seal_audit(integer) FROM anamnesis_app")
    sealing = asyncio.create_task(Sealer(database, every_s=0.05).run())
    try:
        await written(owner, 1)
        await asyncio.sleep(0.3)
        assert not sealing.done()
        await owner.execute("GRANT EXECUTE ON FUNCTION seal_audit(integer) TO anamnesis_app")
        for _ in range(100):
            if (await verify(owner)).seq == 1:
                break
            await asyncio.sleep(0.05)
        assert (await verify(owner)).seq == 1
    finally:
        sealing.cancel()


_SEALS = """
import asyncio, sys
from anamnesis.db.postgres import Database
from anamnesis.db.sealing import Sealer
async def main():
    print("sealing", flush=True)
    await Sealer(Database(sys.argv[1]), every_s=0.001).run()
asyncio.run(main())
"""


def _start_sealing(dsn):
    process = subprocess.Popen([sys.executable, "-c", _SEALS, dsn], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "sealing\n"
    return process


async def _until_it_moves(owner, seq):
    for _ in range(5000):
        if await owner.fetchval("SELECT seq FROM audit_head") != seq:
            return
        await asyncio.sleep(0.002)


@pytest.mark.proves("I33")
@pytest.mark.timeout(120)
async def test_a_sealer_killed_in_the_middle_of_a_batch_leaves_a_chain_that_holds(clinic, owner, sealer):
    rng, lines, killed = random.Random(7), 30 * BATCH, 0
    await owner.execute(MANY, lines)
    for _ in range(4):
        before = await owner.fetchval("SELECT seq FROM audit_head")
        process = _start_sealing(clinic.app_dsn)
        try:
            await _until_it_moves(owner, before)
            await asyncio.sleep(rng.uniform(0, 0.05))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        found = await verify(owner)
        assert found.broken is None
        assert found.seq + found.waiting == lines
        killed += found.waiting > 0
    assert killed, "every sealer had finished before it was killed"
    await _sealed(sealer, owner)
    found = await verify(owner)
    assert (found.seq, found.broken, found.waiting) == (lines, None, 0)
