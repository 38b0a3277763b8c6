"""What a source with a channel of its own costs Redis, at each step of its life and after its end: the growth of `used_memory` over thousands of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median

from redis import Redis

from app.adapters.redis.calls import Call
from app.domain.jobs import Lane
from bench.claim import Claim
from bench.lives import CALLS, Life
from bench.pipeline import Pipeline
from bench.session import Session
from devstack.valkey import STREAM_NODE_BYTES
from tests.servers import Valkey

_RATES = (1, 10, 100)
_KINDS = ("events", "channel", "source", "timeline", "alias", "progress", "busy")


def run(session: Session) -> Iterator[Claim]:
    few, many = (200, 600) if session.quick else (2000, 10_000)
    with Valkey() as server:
        pipeline = Pipeline(server.url)
        pipeline.redis.config_set("stream-node-max-bytes", STREAM_NODE_BYTES)  # as every server of ours has it
        cost = {}
        for step, lead in _STEPS.items():
            cost[step], kinds = measure(pipeline, lead, few, many)
            yield Claim(f"Redis, a source that {step}", cost[step], "B", note=kinds)
        yield Claim("Redis, keys of ended sources that stay for ever", _lasting(pipeline.redis), "", bound=0)
        pipeline.close()
    ended = cost["has ended, text previewed"]
    for rate in _RATES:
        note = "; ".join(f"{seconds} s: {rate * seconds * ended / 1024**2:.0f} MiB" for seconds in (600, CALLS.terms.events_ttl_after_end_seconds))
        yield Claim(f"Redis, {rate}/s, all that ended, kept for an hour", rate * 3600 * ended / 1024**2, "MiB", note=note)


def _ended(lives: list[Life]) -> Iterator[list[Call[object]]]:
    yield from _at_work(lives)
    yield [life.finish() for life in lives]


def _waiting(lives: list[Life]) -> Iterator[list[Call[object]]]:
    yield [life.register() for life in lives]
    yield [life.accept() for life in lives]


def _at_work(lives: list[Life]) -> Iterator[list[Call[object]]]:
    yield from _waiting(lives)
    yield [call for life in lives for call in life.work()]


def _without_text(lives: list[Life]) -> Iterator[list[Call[object]]]:
    for life in lives:
        life.preview = ""
    yield from _ended(lives)


_STEPS: dict[str, Callable[[list[Life]], Iterator[list[Call[object]]]]] = {
    "has a channel only": lambda lives: iter([[life.register() for life in lives]]),
    "waits, with its message": _waiting,
    "is at work": _at_work,
    "has ended, no text": _without_text,
    "has ended, text previewed": _ended,
}


def measure(pipeline: Pipeline, lead: Callable[[list[Life]], Iterator[list[Call[object]]]], few: int, many: int) -> tuple[float, str]:
    """Bytes of a source, between `few` and `many` of them; and the same by key, of one in the middle."""
    pipeline.redis.flushall()
    used, lives = [], [Life(number) for number in range(many)]
    for some in (lives[:few], lives[few:]):
        for calls in lead(some):
            pipeline.run(calls)
            if lead is not _waiting:  # a worker took it
                pipeline.redis.delete(*(CALLS.keys.queue(lane.queue) for lane in Lane))
        used.append(_used(pipeline.redis))
    found = {kind: median(_usage(pipeline.redis, kind, life) for life in lives[:: many // 50]) for kind in _KINDS}
    return (used[1] - used[0]) / (many - few), ", ".join(f"{kind} {size:.0f}" for kind, size in found.items() if size)


def _usage(redis: Redis, kind: str, life: Life) -> int:
    keys, owner = CALLS.keys, life.owner
    name = {
        "events": keys.stream(owner, life.channel), "channel": keys.channel(owner, life.channel), "source": keys.source(owner, life.source),
        "timeline": keys.timeline(owner, life.source), "alias": keys.alias(life.channel), "progress": keys.progress(owner, life.channel),
        "busy": keys.busy(owner, life.channel),
    }[kind]  # fmt: skip
    return int(redis.memory_usage(name, samples=0) or 0)


def _used(redis: Redis) -> int:
    """Once it stands still: tables are moved to their new size in the background."""
    before = -1
    while abs((now := int(redis.info("memory")["used_memory"])) - before) > 1024:
        before = now
        time.sleep(0.3)
    return now


def _lasting(redis: Redis) -> int:
    return sum(redis.ttl(name) == -1 for name in redis.scan_iter(count=1000))
