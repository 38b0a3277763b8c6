"""What must hold after a run, looked at from everywhere: readers, the API, the store past all proxies, Redis, this machine."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.domain.ids import owner_id
from app.domain.layout import CHANNELS, INBOX, OBJECTS, SOURCES, result_key, split_member
from app.domain.results import RunResult
from app.settings import Settings
from tests.chaos.fleet import Fleet
from tests.chaos.storage import Storage
from tests.chaos.submission import Submission
from tests.chaos.visitor import ENDED, ENDS, Ear, Visitor
from tests.servers import Valkey

STATUS = {"success": "succeeded", "failure": "failed"}
ORGANISATION = "dev"


@dataclass(slots=True)
class Violation:
    kind: str
    what: str
    visitor: Visitor | None = None
    submission: Submission | None = None


@dataclass(slots=True)
class Audit:
    visitors: list[Visitor]
    storage: Storage
    redis: Valkey
    prefix: str = Settings.model_fields["redis_prefix"].default
    shown: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """Of each source, what the API answered."""
    results: dict[str, list[RunResult]] = field(default_factory=dict)
    """All that the store has, by source."""

    async def ask(self, http: httpx.AsyncClient) -> None:
        """Everything, of the API and of the store."""
        gate = asyncio.Semaphore(8)

        async def show(visitor: Visitor, submission: Submission) -> None:
            async with gate:
                answer = await http.get(f"/public/sources/{submission.source}", headers=visitor.headers)
            self.shown[submission.source] = (answer.status_code, answer.json())

        await asyncio.gather(*(show(visitor, submission) for visitor, submission in self._all()))
        self.results = await asyncio.to_thread(self._read_results)

    def violations(self) -> Iterator[Violation]:
        for visitor, submission in self._all():
            if submission.answered_at is not None:
                yield from self._lost(visitor, submission)
            yield from self._refused(visitor, submission)
            yield from self._contradictions(visitor, submission)
        for visitor in self.visitors:
            for ear in visitor.ears:
                yield from self._doubled(visitor, ear)
                yield from self._unheard(visitor, ear)
        yield from self._orphans()
        yield from self._live_keys()

    def _all(self) -> Iterator[tuple[Visitor, Submission]]:
        for visitor in self.visitors:
            for submission in visitor.submissions:
                yield visitor, submission

    def _read_results(self) -> dict[str, list[RunResult]]:
        found = defaultdict(list)
        for key in self.storage.keys(SOURCES):
            if key.endswith("/result.json"):
                result = RunResult.model_validate_json(self.storage.store.get(key))
                found[result.source_uuid].append(result)
        return dict(found)

    # ------------------------------------------------------------------------------------------- of one source

    def _lost(self, visitor: Visitor, submission: Submission) -> Iterator[Violation]:
        status, shown = self.shown[submission.source]
        if status != 200 or shown["state"] not in ENDED:
            yield Violation("lost", f"answered 200, and now {status} {shown.get('state', shown)}", visitor, submission)
            return
        ended = (shown["state"], shown.get("code"))
        if ended != submission.expected:
            yield Violation("ended wrong", f"as {ended}, and not as {submission.expected}", visitor, submission)
        if shown["state"] == "succeeded" and shown["result"]["sha256"] != submission.sha256:
            yield Violation("ended wrong", "with other bytes", visitor, submission)

    @staticmethod
    def _refused(visitor: Visitor, submission: Submission) -> Iterator[Violation]:
        """An honest client is asked to come again, and never told that it is wrong."""
        for _, answer in submission.answers:
            if answer[0] in "45" and not answer.startswith("503"):
                yield Violation("refused", answer, visitor, submission)

    def _contradictions(self, visitor: Visitor, submission: Submission) -> Iterator[Violation]:
        committed = self.results.get(submission.source, [])
        if len(committed) > 1:
            yield Violation("contradiction", f"{len(committed)} results of one upload", visitor, submission)
        status, shown = self.shown[submission.source]
        told = {_story_of(event) for ear in visitor.ears for _, _, event in ear.heard if event.get("source-uuid") == submission.source} - {None}
        stored = {(str(result.state), result.run, result.attempt, result.code, result.sha256) for result in committed}
        seen = set()
        if status == 200 and shown["state"] in ENDED:
            seen = {(shown["state"], shown["run"], shown["attempt"], shown.get("code"), (shown.get("result") or {}).get("sha256"))}
        if len(stored | told | seen) > 1:
            yield Violation("contradiction", f"stored {stored}, told {told}, shown {seen}", visitor, submission)
        if told and not stored:
            yield Violation("contradiction", f"told {told}, and nothing is stored", visitor, submission)

    # ------------------------------------------------------------------------------------------- of one reader

    @staticmethod
    def _doubled(visitor: Visitor, ear: Ear) -> Iterator[Violation]:
        on_connection: dict[tuple[int, str, int], int] = defaultdict(int)
        ids: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
        forgotten = 0  # after channel.recovered a reader has forgotten what it held
        for connection, _, event in ear.heard:
            if event["event"] == "channel.recovered":
                forgotten += 1
            if event.get("status") in ENDS:
                on_connection[connection, event["source-uuid"], event["run"]] += 1
                ids[event["source-uuid"], event["run"]].setdefault(event["event-id"], forgotten)
        by_id = {submission.source: submission for submission in visitor.submissions}
        for (connection, source, _), count in on_connection.items():
            if count > 1:
                yield Violation("two ends", f"{ear.name} heard {count} on connection {connection}", visitor, by_id[source])
        for (source, _), different in ids.items():
            if len(different) > len(set(different.values())):
                yield Violation("two ends", f"{ear.name} heard different ones, and nothing was recovered between: {different}", visitor, by_id[source])

    @staticmethod
    def _unheard(visitor: Visitor, ear: Ear) -> Iterator[Violation]:
        missing = [submission for submission in visitor.submissions if submission.answered_at and not ear.knows_the_end(submission.source)]
        for submission in missing:
            yield Violation("unheard", f"{ear.name} was {'closed with 1000' if ear.is_done else 'still waiting'}", visitor, submission)
        if not missing and not ear.is_done and any(submission.answered_at for submission in visitor.submissions):
            yield Violation("not closed", f"{ear.name} knows all ends and was left waiting", visitor)

    # ------------------------------------------------------------------------------------------- of nobody

    def _orphans(self) -> Iterator[Violation]:
        """What no result speaks of."""
        owners = {visitor.user: owner_id(ORGANISATION, visitor.user) for visitor in self.visitors}
        of = {submission.source: (visitor, submission) for visitor, submission in self._all()}
        results = [(owners[of[source][0].user], result) for source, found in self.results.items() for result in found]
        named = {artifact.key for _, result in results for artifact in result.artifacts.values()}
        committed = {result_key(owner, result.source_uuid, result.run) for owner, result in results}
        for key in self.storage.keys(INBOX):
            yield Violation("orphan: inbox record", key, *of.get(split_member(key.removeprefix(INBOX))[1], ()))
        for key in self.storage.keys(OBJECTS):
            if key not in named:
                yield Violation("orphan: object", key)
        for key in self.storage.keys(SOURCES):
            if key not in named and key not in committed:
                yield Violation("orphan: artifact", key, *of.get(key.split("/")[2], ()))
        for key in self.storage.keys(CHANNELS):
            if key.rpartition("/")[2] not in self.results:
                yield Violation("orphan: marker", key)
        for key in self.storage.unfinished():
            yield Violation("orphan: unfinished write", key)
        for key in named - set(self.storage.keys(OBJECTS)) - set(self.storage.keys(SOURCES)):
            yield Violation("lost", f"a result speaks of {key}, which is not there")

    def _live_keys(self) -> Iterator[Violation]:
        with self.redis.client() as client:
            for name in ("open", "running"):
                kind = client.type(self.prefix + name)
                members = client.zrange(self.prefix + name, 0, -1) if kind == "zset" else client.hkeys(self.prefix + name) if kind == "hash" else []
                for member in members:
                    yield Violation(f"orphan: {name}", member)
            for pattern in ("busy:*", "progress:*"):
                for key in client.scan_iter(self.prefix + pattern, count=1000):
                    yield Violation(f"orphan: {pattern[:-2]}", key)


def remains(fleet: Fleet) -> Iterator[Violation]:
    """Of a fleet that was stopped."""
    for process in fleet.left():
        yield Violation("orphan: process", process)
    for path in sorted(fleet.scratch.iterdir() if fleet.scratch.is_dir() else []):
        yield Violation("orphan: temporary file", path.name)


def _story_of(event: dict[str, Any]) -> tuple[Any, ...] | None:
    """An end, as it can be compared; None of any other event."""
    if event.get("status") in ENDS:
        return STATUS[event["status"]], event["run"], event["attempt"], event.get("code"), event["result"]["sha256"] if event["status"] == "success" else None
    if event["event"] == "source.snapshot" and event["state"] in ENDED:
        return event["state"], event["run"], event["attempt"], event.get("code"), (event.get("result") or {}).get("sha256")
    return None


def counted(violations: Iterable[Violation]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for violation in violations:
        found[violation.kind] += 1
    return dict(found)
