"""The whole matrix, for `make matrix`: run by name, not with the suite."""

import pytest

from matrix.judging import Judge, everything
from matrix.oracle import ACTORS, PAGES, ROADS, ROWS, STATES, TARGETS
from matrix.world import a_world


@pytest.mark.timeout(7200)
async def test_the_whole_matrix_is_as_the_oracle_says(clinic):
    async with a_world(clinic) as world:
        judge = Judge(world)
        await everything(judge)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(judge.asked.items()))
    allowed = [each for each in judge.wrong if each.startswith("WRONG ALLOW")]
    print(
        f"\n{len(ACTORS)} actors, {len(ROWS)} procedures, {len(PAGES)} pages, {len(ROADS)} other routes, {len(TARGETS)}"
        f" connections, {len(STATES)} states: {sum(judge.asked.values())} requests ({counts});"
        f" {len(allowed)} wrong allows, {len(judge.wrong) - len(allowed)} other differences"
    )
    assert not judge.wrong, "\n".join(judge.wrong[:200])
