"""A worker's run over S3 that refuses or stalls, from each of its requests on: it is waited for, and the run ends well at its first attempt."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.adapters.memory_ledger import MemoryLedger, MemoryState
from app.domain.layout import object_key, source_prefix
from app.domain.source import State
from app.protocol import inbox
from app.protocol.announce import Announcer
from app.protocol.outcome import outcome
from tests.contract.faulty_proxy import faulty_proxy
from tests.ledgers import OWNER, SOURCE, WS, record
from worker.pipeline.lease import Heartbeat
from worker.pipeline.run import Parts, process

KINDS = ["moto", pytest.param("rgw-http", marks=pytest.mark.s3)]
RUN = record()
_REFUSALS = 12
"""More than the client libraries try by themselves."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_from_any_request_on_is_waited_for(kind: str, location_of, open_s3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Heartbeat, "pause", lambda *_: None)
    monkeypatch.setattr("worker.pipeline.run.time.sleep", lambda _: None)
    location, at, waits = location_of(kind), 0, 0
    with faulty_proxy(location.endpoint_url) as proxy:
        while True:
            store = open_s3(replace(location, prefix=f"{location.prefix}-{at}", endpoint_url=proxy.url))
            ledger = MemoryLedger(MemoryState())
            store.put(object_key(OWNER, RUN.upload), b"words")
            assert inbox.create(store, OWNER, RUN)
            ledger.accept(OWNER, RUN)
            proxy.seen.clear()
            outage = iter([False] * at + [True] * _REFUSALS)
            proxy.chosen = lambda method, path, outage=outage: next(outage, False)
            proxy.faults = [(503, b"", False)] * _REFUSALS
            announcer = Announcer(["s" * 32], timedelta(days=1), lambda: datetime.now(UTC))
            parts = Parts(store, ledger, None, announcer, tmp_path, 1 << 30, lease_seconds=30, outage_seconds=60)
            process(parts, OWNER, SOURCE)
            was_hit = len(proxy.faults) < _REFUSALS
            proxy.faults = []
            result = outcome(store, OWNER, SOURCE).result
            assert (result.state, result.attempt) == (State.SUCCEEDED, 1), at
            assert inbox.read(store, OWNER, SOURCE) is None
            assert sorted(key.rpartition("/")[2] for key in store.keys(source_prefix(OWNER, SOURCE))) == ["result.json", "text.txt"]
            events = [json.loads(body) for body in ledger._state.channel(OWNER, WS).stream]
            waits += sum(event.get("waiting-for") == "storage" for event in events)
            assert [event["status"] for event in events].count("success") == 1
            if not was_hit:
                break
            at += 1
    assert at > 5
    assert waits > 2
