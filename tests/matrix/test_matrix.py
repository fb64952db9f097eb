"""Every actor asks for everything once, and is answered as the oracle says; `make matrix` asks in every way."""

import pytest

from anamnesis.edge.pages import pages_app
from build import an_app
from matrix.judging import Judge, each_once
from matrix.oracle import ACTORS, PAGES, ROADS, ROWS
from matrix.world import a_world


@pytest.fixture
def nowhere():
    return an_app("postgresql:///nowhere")


def test_every_procedure_has_a_row(nowhere):
    assert {bound.procedure.name for bound in nowhere.registry} == set(ROWS)


def test_every_page_has_a_row(nowhere):
    routes = pages_app(nowhere.site()).routes
    assert {(method, route.path) for route in routes for method in route.methods - {"HEAD"}} == set(PAGES)


def test_every_other_road_has_a_row(nowhere):
    app = nowhere.asgi()
    while not hasattr(app, "_roads"):
        app = next(value for name, value in vars(app).items() if name in ("_app", "app", "_inner"))
    assert {beginning for beginning, _ in app._roads} - {"/api/trpc", "/api/v1"} == set(ROADS)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_everybody_is_answered_as_the_oracle_says(clinic):
    async with a_world(clinic) as world:
        judge = Judge(world)
        await each_once(judge)
    assert not judge.wrong, "\n".join(judge.wrong)
    assert sum(judge.asked.values()) >= len(ACTORS) * (len(ROWS) + len(PAGES) + len(ROADS))
