"""Redis is wiped (FLUSHALL) at each step of a run; the worker lives on, and the reconciler does its turns. Real store, real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from app.adapters.redis.ledger import AsyncRedisLedger
from app.domain.ids import SourceId, UploadId
from app.domain.layout import object_key
from app.domain.source import InboxRecord, State
from app.protocol import inbox
from app.services.offload import Offload
from app.services.sources import Sources
from tests.faults.test_protocol_steps import CHANNEL, OWNER, SOURCE, STEPS, House, house  # noqa: F401 - the fixture
from worker.pipeline.run import process
from worker.reconcile.reconciler import Reconciler


@dataclass
class Wipes:
    """Store or ledger; before or after a call that `when` names, once, Redis is wiped."""

    inner: Any
    wipe: Callable[[], None]
    when: Callable[[str, tuple], bool]
    after: bool
    done: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__getattr__("__call__")(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.inner, name)
        if not callable(real):
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            wipes = not self.done and self.when(name, args)
            self.done = self.done or wipes
            if wipes and not self.after:
                self.wipe()
            answer = real(*args, **kwargs)
            if wipes and self.after:
                self.wipe()
            return answer

        return call


def settle(house: House) -> None:  # noqa: F811
    """What the fleet does from here on: the reconciler's turns, and whatever is in the queues."""
    reconciler = Reconciler(house.parts, name="me", scan_seconds=0)
    for _ in range(4):
        reconciler.turn()
        process(house.parts, OWNER, SOURCE)


@pytest.mark.parametrize("reconciled", [False, True], ids=["nobody looks", "the reconciler looks at once"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", list(STEPS))
def test_wiped_around_any_step_the_run_ends_once_and_answers_from_the_store(house: House, step: str, after: bool, reconciled: bool) -> None:  # noqa: F811
    house.accept()
    where, when = STEPS[step]

    def wipe() -> None:
        with house.valkey.client() as redis:
            redis.flushall()
        if reconciled:
            Reconciler(house.parts, name="me", scan_seconds=0).turn()

    wipes = Wipes(getattr(house.parts, where), wipe, when, after)
    process(replace(house.parts, **{where: wipes}), OWNER, SOURCE)
    assert wipes.done
    if not reconciled:
        house.recover()
    settle(house)
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None
    assert sorted(house.artifacts()) == ["result.json", "text.txt"], "nothing is left of an attempt that lost its run"
    # What was said before the wipe is said again only while its inbox record is there.
    silent = {("inbox away", True)} if reconciled else {("finish", True), ("inbox away", False), ("inbox away", True)}
    assert len(house.ends()) == (0 if (step, after) in silent else 1)
    view = asyncio.run(shown(house))
    assert (view.state, view.result.run) == (State.SUCCEEDED, 1)


async def shown(house: House):  # noqa: F811
    redis = Commands(RedisLocation(house.valkey.url))
    ledger, offload = AsyncRedisLedger(redis, house.parts.ledger._calls), Offload(2)
    sources = Sources(house.parts.store, ledger, offload, house.parts.announcer)
    try:
        views, following = await sources.page(OWNER, after="", limit=10)
        assert ([view.source for view in views], following) == ([SOURCE], None)
        return await sources.show(OWNER, SOURCE)
    finally:
        await ledger.close()
        offload.close()


def test_of_many_that_waited_all_are_opened_again_and_what_was_done_stays_silent(house: House) -> None:  # noqa: F811
    for n in range(30):
        record = InboxRecord(
            source_uuid=SourceId(f"w{n}"), ws_uuid=CHANNEL, upload=UploadId(f"u{n}"), digest="d", size=2, filename="b.txt", base_url="http://here"
        )
        house.parts.store.put(object_key(OWNER, record.upload), b"hi")
        assert inbox.create(house.parts.store, OWNER, record)
        house.parts.ledger.accept(OWNER, record)
        if n < 10:
            process(house.parts, OWNER, record.source_uuid)
    assert len(house.ends()) == 10
    with house.valkey.client(decode_responses=False) as redis:
        redis.flushall()
        reconciler = Reconciler(house.parts, name="me", scan_seconds=60)
        assert reconciler.turn()["opened"] == 20
        assert redis.llen("t:headrace.fast") == 16, "as many as the owner has turns"
        reconciler.turn()
        assert house.parts.ledger.is_whole()
        for n in range(30):
            process(house.parts, OWNER, SourceId(f"w{n}"))
        assert len(house.ends()) == 20
        assert redis.keys("t:waiting:*") == redis.keys("t:turns:*") == []
    assert house.parts.store.names("inbox/") == []
