"""Two clinics, five thousand steps: no word of the one reaches the other, and no doctor's note a patient."""

import pytest

from tenants.walking import NOTE, a_walk, walk_on


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_no_word_of_one_clinic_reaches_the_other(clinic):
    async with a_walk(clinic, seed=1) as walk:
        await walk_on(walk, steps=5_000, within_s=55)
    assert not walk.crossings, "\n".join(walk.crossings)
    assert walk.steps >= 500


async def test_the_walk_would_see_a_crossing(clinic):
    async with a_walk(clinic, seed=2) as walk:
        walk._search("beta patient", "planted", "a word: QZalphaqz")
        walk._search("alpha patient", "planted", f"a note: {NOTE}")
        walk._search("alpha doctor", "planted", f"my own note: {NOTE} qzalphaqz")
    assert len(walk.crossings) == 2
