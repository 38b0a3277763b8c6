"""`python -m worker.reconcile` as an operator runs it: a process of its own, on a real Redis and a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.adapters.folder import FolderObjectStore
from app.domain.ids import UploadId
from app.domain.layout import object_key
from app.protocol import inbox
from tests.client import eventually
from tests.servers import Valkey, start
from tests.stack import ROOT
from tests.unit.doubles import ADA, a_record


@pytest.fixture
def store(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path / "store")


@pytest.fixture
def environ(tmp_path: Path, valkey: Valkey, redis_prefix: str, store: FolderObjectStore) -> Mapping[str, str]:
    ours = {
        "REDIS_URL": valkey.url, "REDIS_PREFIX": redis_prefix, "STORAGE_URL": (tmp_path / "store").as_uri(), "SECRET_KEYS": "s" * 32,
        "SCRATCH_DIR": str(tmp_path / "scratch"), "RECONCILE_SECONDS": "0.1", "LEASE_SECONDS": "0.5",
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return kept | {f"HEADRACE_{name}": value for name, value in ours.items()}


def run(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker.reconcile", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def running(environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = start([sys.executable, "-m", "worker.reconcile"], cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "reconciler ready\n"
        yield process
        process.kill()
        process.wait()


def test_a_sweep_by_hand_says_what_it_removed_and_then_that_nothing_is_left(environ, store, tmp_path) -> None:
    kept = a_record("open")
    store.put(object_key(ADA, kept.upload), b"abc")
    assert inbox.create(store, ADA, kept)
    store.put(object_key(ADA, UploadId("orphan")), b"abc")
    store.start(object_key(ADA, UploadId("abandoned")), part_bytes=5 << 20).put_part(1, b"abc")
    assert json.loads(run(environ, "--sweep").stdout) == {}, "all of it is young"
    swept = run(environ, "--sweep", "--older-than-seconds", "0")
    assert (swept.returncode, json.loads(swept.stdout)) == (0, {"objects": 1, "transfers": 1})
    assert json.loads(run(environ, "--sweep", "--older-than-seconds", "0").stdout) == {}
    assert store.get(object_key(ADA, kept.upload)) == b"abc"


def test_once_opens_what_waits_in_the_inbox_and_ends(environ, store, open_ledger) -> None:
    for n in range(3):
        assert inbox.create(store, ADA, a_record(f"s-{n}"))
    done = run(environ, "--once")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"opened": 3})
    ledger = open_ledger("redis")
    assert sorted(due.source for due in ledger.queued()) == ["s-0", "s-1", "s-2"]
    assert ledger.is_whole()


def test_once_says_when_another_one_leads(environ, running) -> None:
    done = run(environ, "--once")
    assert (done.returncode, done.stdout, "another reconciler leads" in done.stderr) == (1, "", True)


def test_it_notices_a_wipe_by_itself_and_stops_when_it_is_told(environ, store, running, open_ledger) -> None:
    ledger = open_ledger("redis")
    eventually(ledger.is_whole)
    assert inbox.create(store, ADA, a_record("s"))
    ledger.wipe()
    assert [due.source for due in eventually(ledger.queued)] == ["s"]
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 0


def test_a_setting_that_makes_no_sense_is_named(environ) -> None:
    done = run({**environ, "HEADRACE_ORPHAN_SECONDS": "10"})
    assert (done.returncode, "HEADRACE_ORPHAN_SECONDS" in done.stderr) == (2, True)
