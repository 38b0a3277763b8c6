"""One run: a fleet under load and under fire, then quiet, then the audit."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from redis.exceptions import RedisError

from app.domain.errors import Unavailable
from app.domain.layout import INBOX
from app.settings import Settings
from tests.chaos.audit import Audit, Violation, counted, remains
from tests.chaos.fault import Arena, Fault, schedule
from tests.chaos.fleet import KEY, Fleet
from tests.chaos.storage import Storage
from tests.chaos.story import clock, story
from tests.chaos.submission import KINDS, submission
from tests.chaos.visitor import Visitor
from tests.chaos.web import Web
from tests.servers import Valkey

SHORT_TERMS = {"lease_seconds": "6", "grace_seconds": "2", "inbox_scan_seconds": "4"}
"""So that what waits for a lease or a listing does not take minutes."""
_STORIES = 12
_PRESENT = 6
"""Visitors that send at the same time."""
_READERS_SECONDS = 45
"""After the last end a reader is told what it lost, and is closed; it may be waiting out a silence first."""


@dataclass(slots=True)
class Terms:
    seconds: float
    rate: float
    """Uploads a second."""
    seed: int
    outage_seconds: float = 10
    settle_seconds: float = 300
    settings: dict[str, str] = field(default_factory=dict)
    """Of the fleet; those of production where nothing is said."""


@dataclass(slots=True)
class Report:
    violations: list[Violation]
    text: str


class Campaign:
    def __init__(self, folder: Path, storage: Storage, terms: Terms, *, say: Callable[[str], None] = lambda _: None) -> None:
        self._folder, self._storage, self._terms, self._say = folder, storage, terms, say
        self._chance = random.Random(terms.seed)
        self._visitors: list[Visitor] = []
        self._prefix = Settings.model_fields["redis_prefix"].default

    def run(self) -> Report:
        """Starts everything, and leaves no process."""
        with Valkey(aof=True) as redis, Web() as web:
            terms = {"log_level": "info", **self._terms.settings}
            fleet = Fleet(self._folder, redis, self._storage, web_port=web.port, terms=terms)
            fleet.start()
            try:
                return asyncio.run(self._run(fleet, redis, web))
            finally:
                if fleet.process.poll() is None:
                    fleet.stop()

    async def _run(self, fleet: Fleet, redis: Valkey, web: Web) -> Report:
        terms = self._terms
        arena = Arena(fleet, redis, self._storage, terms.outage_seconds, random.Random(terms.seed + 1))
        faults = schedule(random.Random(terms.seed + 2), terms.seconds, with_store=self._storage.valve is not None)
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=50)
        async with httpx.AsyncClient(base_url=fleet.base_url, timeout=60, trust_env=False, limits=limits) as http:
            try:
                hits = [asyncio.create_task(fault.happen(arena)) for fault in faults]
                await self._load(fleet.base_url, http, web)
                await asyncio.gather(*hits)
                self._say("settling …")
                settled = await self._settle(redis)
                await self._until_told()
            finally:
                await asyncio.gather(*(visitor.stop() for visitor in self._visitors))
            swept = await asyncio.to_thread(fleet.sweep)
            self._say(f"the sweep said: {swept.strip()[-300:]}")
            audit = Audit(self._visitors, self._storage, redis)
            await audit.ask(http)
        violations = list(audit.violations())
        seen = violations[:_STORIES] + [each for each in violations[_STORIES:] if "orphan" not in each.kind][:_STORIES]
        stories = [story(violation, audit, fleet, faults) for violation in seen]
        await asyncio.to_thread(fleet.stop)
        violations += remains(fleet)
        return Report(violations, "\n".join([*stories, *self._table(audit, faults, settled, violations)]))

    async def _load(self, base_url: str, http: httpx.AsyncClient, web: Web) -> None:
        began = time.monotonic()
        due = 0.0
        present: list[Visitor] = []
        leaving: list[asyncio.Task[None]] = []
        while due < self._terms.seconds:
            await asyncio.sleep(max(0, began + due - time.monotonic()))
            due += self._chance.expovariate(self._terms.rate)
            if len(present) < _PRESENT or self._chance.random() < 0.2:
                number = len(self._visitors)
                self._visitors.append(Visitor(number, base_url=base_url, key=KEY, http=http, import_url=web.url, chance=self._chance))
                present.append(self._visitors[-1])
            visitor = self._chance.choice(present)
            visitor.send(submission(self._chance))
            if visitor.is_full:
                present.remove(visitor)
                leaving.append(asyncio.create_task(visitor.finish_sending()))
        await asyncio.gather(*leaving, *(visitor.finish_sending() for visitor in present))

    async def _settle(self, redis: Valkey) -> float:
        """Seconds until nothing was open any more; as many as it was given when it did not come to that."""
        began = time.monotonic()
        while (took := time.monotonic() - began) < self._terms.settle_seconds and await asyncio.to_thread(self._is_open, redis):
            await asyncio.sleep(0.5)
        return took

    def _is_open(self, redis: Valkey) -> bool:
        try:
            with redis.client() as client:
                return bool(next(self._storage.keys(INBOX), None)) or client.zcard(f"{self._prefix}open") > 0
        except (Unavailable, RedisError):
            return True

    async def _until_told(self) -> None:
        deadline = time.monotonic() + _READERS_SECONDS
        while time.monotonic() < deadline and not all(ear.is_done for visitor in self._visitors for ear in visitor.ears):
            await asyncio.sleep(0.2)

    def _table(self, audit: Audit, faults: list[Fault], settled: float, violations: list[Violation]) -> list[str]:
        every = [submission for visitor in self._visitors for submission in visitor.submissions]
        ears = [ear for visitor in self._visitors for ear in visitor.ears]
        lines = [
            "",
            f"seed {self._terms.seed}, {self._terms.seconds:g} s at {self._terms.rate:g}/s",
            "",
            f"{'kind':<12}{'sent':>6}{'accepted':>10}{'succeeded':>11}{'failed':>8}{'in doubt':>10}",
        ]
        for kind in [*KINDS, "all"]:
            of = [each for each in every if kind in {each.kind, "all"}]
            states = Counter(audit.shown[each.source][1].get("state") for each in of)
            accepted = sum(each.answered_at is not None for each in of)
            lines.append(f"{kind:<12}{len(of):>6}{accepted:>10}{states['succeeded']:>11}{states['failed']:>8}{len(of) - accepted:>10}")
        lines += ["", "faults"]
        lines += [f"  {clock(fault.begun_at)}  {fault.name:<20} {fault.what}" for fault in sorted(faults, key=lambda each: each.begun_at or 0)]
        heard = sum(event.get("status") in {"success", "failure"} for ear in ears for _, _, event in ear.heard)
        recovered = sum(event["event"] == "channel.recovered" for ear in ears for _, _, event in ear.heard)
        attempts = Counter(result.attempt for found in audit.results.values() for result in found)
        lines += [
            "",
            f"{len(ears)} readers on {len(self._visitors)} channels, {sum(ear.connections for ear in ears)} connections, {heard} ends heard, {recovered} times recovered",
            f"refused handshakes: {dict(sum((ear.refused for ear in ears), Counter()))}",
            f"attempts: {dict(sorted(attempts.items()))}",
            f"settled in {settled:.1f} s",
            "",
            "violations",
        ]
        found = counted(violations)
        for kind in ("lost", "ended wrong", "refused", "contradiction", "two ends", "unheard", "not closed"):
            lines.append(f"  {kind:<26}{found.pop(kind, 0):>6}")
        lines += [f"  {kind:<26}{count:>6}" for kind, count in sorted(found.items())]
        lines += [f"  all{len(violations):>29}"]
        return lines
