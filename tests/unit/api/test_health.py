import pytest

from app.api.websocket.lines import Lines
from tests.unit.api.asgi import request
from tests.unit.api.conftest import application

pytestmark = pytest.mark.anyio


async def ready(app):
    answer = await request(app, "GET", "/readyz")
    return answer.status, answer.json()


async def test_the_process_answers_whatever_is_away(app, house):
    house.ledger.away = True
    house.store.refuse_all = {"stat"}
    answer = await request(app, "GET", "/healthz")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


async def test_it_is_ready(app):
    assert await ready(app) == (200, {"status": "ok", "away": [], "reasons": []})


async def test_it_is_ready_and_degraded_with_reasons_while_something_is_away(app, house):
    house.ledger.away = True
    house.store.refuse_all = {"stat"}
    status, told = await ready(app)
    assert (status, told["status"], told["away"]) == (200, "degraded", ["redis", "storage"])
    assert [(each["part"], each["code"]) for each in told["reasons"]] == [("redis", "redis_unavailable"), ("storage", "storage_unavailable")]


async def test_it_is_not_ready_while_it_stops(house):
    lines = Lines(parks=False)
    app = application(house, lines)
    await lines.drain(0)
    assert await ready(app) == (503, {"status": "stopping", "away": [], "reasons": []})
