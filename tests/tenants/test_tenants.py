"""Two clinics, five thousand steps: no word of the one reaches the other, and no doctor's note a patient."""

from uuid import UUID

import pytest

from tenants.walking import NOTE, a_walk, walk_on


@pytest.mark.long
@pytest.mark.timeout(150)
async def test_no_word_of_one_clinic_reaches_the_other(clinic):
    async with a_walk(clinic, seed=1) as walk:
        await walk_on(walk, steps=5_000, within_s=120)
    assert not walk.crossings, "\n".join(walk.crossings)
    assert walk.steps == 5_000
    assert walk.compared > walk.steps / 20


async def test_the_walk_would_see_a_crossing(clinic):
    async with a_walk(clinic, seed=2) as walk:
        walk._search("beta patient", "planted", "a word: QZalphaqz")
        walk._search("alpha patient", "planted", f"a note: {NOTE}")
        walk._search("alpha doctor", "planted", f"my own note: {NOTE} qzalphaqz")
        walk._search("alpha patient", "planted", "my own words: qzalphaqz1")
        walk._search("alpha patient", "planted", "words of my doctor's other patient: qzalphaqz2")
        async with walk._untouched("alpha patient", "planted", "beta"):
            await walk.world.owner.execute(
                "UPDATE connections SET connection_source = 'x' WHERE id = $1", UUID(walk.connections["beta"][0])
            )
        async with walk._untouched("alpha patient", "nothing", "beta"):
            pass
    assert len(walk.crossings) == 4
