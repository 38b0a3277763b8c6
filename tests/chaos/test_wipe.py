"""Redis is wiped while 100 sources are at work and 100 are done: all 200 end right, and nobody hears a second end."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import httpx
import pytest

from tests.chaos.audit import Audit
from tests.chaos.campaign import SHORT_TERMS
from tests.chaos.fleet import KEY, Fleet
from tests.chaos.storage import Storage, in_folder
from tests.chaos.submission import imported, submission
from tests.chaos.visitor import Visitor
from tests.chaos.web import Web
from tests.servers import Valkey

MANY = 100


class Crowd(Fleet):
    command = ("tests.chaos.up", "worker.celery_app", "--threads", "100")


async def until(what, seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.05)


def knows(visitors: list[Visitor]) -> bool:
    return all(ear.knows_the_end(each.source) for visitor in visitors for ear in visitor.ears for each in visitor.submissions)


async def wiped(fleet: Fleet, redis: Valkey, web: Web, storage: Storage) -> Audit:
    chance = random.Random(3)
    visitors: list[Visitor] = []
    async with httpx.AsyncClient(base_url=fleet.base_url, timeout=60, trust_env=False) as http:

        def visitor() -> Visitor:
            made = Visitor(len(visitors), base_url=fleet.base_url, key=KEY, http=http, import_url=web.url, chance=chance, keep_open=True)
            visitors.append(made)
            return made

        try:
            done = [visitor() for _ in range(MANY)]
            for each in done:
                each.send(submission(chance, "text"))
            await until(lambda: knows(done))
            at_work = [visitor() for _ in range(MANY)]
            for number, each in enumerate(at_work):
                each.send(imported(f"/held/{number}.txt"))
            await until(lambda: len(web.held) == MANY)
            await until(lambda: all(ear.is_connected for each in visitors for ear in each.ears))
            with redis.client() as client:
                client.flushall()
            for each in visitors:
                await each.finish_sending()
            web.let_go.set()
            await until(lambda: knows(at_work))
            await until(lambda: all(ear.is_done for each in visitors for ear in each.ears))
        finally:
            await asyncio.gather(*(each.stop() for each in visitors))
        audit = Audit(visitors, storage, redis)
        await audit.ask(http)
        return audit


@pytest.mark.timeout(300)
def test_a_wipe_in_the_middle_of_two_hundred_sources(tmp_path: Path) -> None:
    with Valkey(aof=True) as redis, Web() as web, in_folder(tmp_path / "store") as storage:
        fleet = Crowd(tmp_path, redis, storage, web_port=web.port, terms=SHORT_TERMS | {"workers": "1", "api_processes": "1"})
        fleet.start()
        try:
            audit = asyncio.run(wiped(fleet, redis, web, storage))
            assert list(audit.violations()) == []
            ends = [event for visitor in audit.visitors for ear in visitor.ears for _, _, event in ear.heard if event.get("status") == "success"]
            assert len(ends) == sum(len(visitor.ears) for visitor in audit.visitors)  # one each, though half of them heard of the wipe after their end
            assert {found[0].attempt for found in audit.results.values()} == {1}
        finally:
            fleet.stop()
