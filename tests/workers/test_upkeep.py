"""What is done every minute, when parts of it fail."""

import asyncio

import pytest
from structlog.testing import capture_logs

from anamnesis.kernel.errors import Unavailable
from anamnesis.workers.upkeep import keep_tidy, tidy


def failing(error):
    async def do():
        raise error

    return do


@pytest.mark.parametrize("error", [Unavailable("files"), FileNotFoundError("a secret path"), ValueError("x")])
async def test_a_part_that_fails_is_told_by_name_and_keeps_no_other_from_being_done(error):
    done = []

    async def do():
        done.append("done")

    with capture_logs() as lines:
        await tidy({"before": do, "files": failing(error), "after": do})
    assert done == ["done", "done"]
    (line,) = lines
    assert (line["event"], line["error_type"]) == ("upkeep.files", type(error).__name__)
    assert "secret" not in str(line)


async def test_whatever_fails_it_is_done_again_and_again():
    times = []

    async def do():
        times.append("done")
        raise OSError

    task = asyncio.create_task(keep_tidy({"files": do}, every_s=0.01))
    with capture_logs():
        await asyncio.sleep(0.2)
    assert len(times) > 3
    task.cancel()
