import asyncio

import pytest

from app.api.running import Running
from tests.unit.api.asgi import request

pytestmark = pytest.mark.anyio


async def cut_off(app, began):
    """The answer to a request that is cancelled once it has begun, as the server does it when its time is over."""
    running = Running(app)
    asked = asyncio.create_task(request(running, "POST", "/"))
    await began.wait()
    asked.cancel()
    await running.ended(10)
    return asked


async def test_a_request_that_is_cut_off_cleans_up_and_is_answered():
    began, cleaned = asyncio.Event(), []

    async def app(scope, receive, send):
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(True)

    answer = (await cut_off(app, began)).result()
    assert cleaned == [True]
    assert (answer.status, answer.json()["code"], answer.headers["connection"]) == (503, "stopping", "close")
    assert int(answer.headers["retry-after"]) > 0


async def test_what_was_answered_in_part_is_not_answered_twice():
    began = asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        began.set()
        await asyncio.Event().wait()

    asked = await cut_off(app, began)
    with pytest.raises(asyncio.CancelledError):
        asked.result()


async def test_nobody_is_waited_for_longer_than_was_said():
    began, let_go = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        began.set()
        await let_go.wait()

    running = Running(app)
    asked = asyncio.create_task(request(running, "GET", "/"))
    await began.wait()
    await running.ended(0.01)
    assert not asked.done()
    let_go.set()
    await asked
    await running.ended(0)
