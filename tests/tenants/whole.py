"""A hundred thousand steps, for `make fuzz`: run by name, not with the suite. STEPS, SECONDS and SEED change it."""

import os

import pytest

from tenants.walking import a_walk, walk_on


@pytest.mark.timeout(7200)
async def test_no_word_crosses_in_a_hundred_thousand_steps(clinic):
    seed, steps = int(os.environ.get("SEED", "7")), int(os.environ.get("STEPS", "100000"))
    async with a_walk(clinic, seed) as walk:
        await walk_on(walk, steps=steps, within_s=float(os.environ.get("SECONDS", "3600")))
    print(f"\nseed {seed}: {walk.steps} of {steps} steps, {len(walk.crossings)} crossings")
    assert not walk.crossings, "\n".join(walk.crossings[:100])
