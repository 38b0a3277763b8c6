"""What is away for a while, under the running stack: the API stays up, what it answers holds, and the workers come back by themselves."""

from __future__ import annotations

import resource
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.client import ends, eventually, until_closed
from tests.contract.faulty_proxy import faulty_proxy
from tests.faults.conftest import Bucket
from tests.servers import Valkey
from tests.stack import Origin, Stack


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack.start()
    finally:
        stack.stop()


def away(client) -> list[str]:
    assert client.http.get("/healthz").json() == {"status": "ok"}
    answer = client.http.get("/readyz")
    assert answer.status_code == 200
    parts: list[str] = answer.json()["away"]
    return parts


# ------------------------------------------------------------------------------------------------ Redis


def test_redis_that_was_gone_for_a_while_finds_everybody_where_it_left_them(tmp_path: Path, redis: Valkey, origin: Origin) -> None:
    """Processes, sockets and work. The outage lasts until each worker was refused three times, which is about what 12 s bring."""
    stack = Stack(
        tmp_path / "stack", redis_url=redis.url, import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), workers="2", lease_seconds="60"
    )  # fmt: skip
    with running(stack), stack.client() as client:
        before = stack.processes()
        channel = client.register(expect=3)
        with client.socket(channel) as socket:
            busy = client.upload(channel, url=origin.url("/slow"))
            assert origin.asked.acquire(timeout=30)
            redis.kill()
            sources = [busy, *(client.upload(channel, b"while redis is away") for _ in range(2))]
            assert away(client) == ["redis"]
            logs = [stack.folder / "logs" / f"worker{number}.log" for number in (1, 2)]
            eventually(lambda: all(log.read_text().count("Connection refused") >= 3 for log in logs))
            redis.start()
            origin.let_go.set()
            told = until_closed(socket, seconds=90)
        assert sorted(end["source-uuid"] for end in ends(told)) == sorted(sources)
        assert {end["status"] for end in ends(told)} == {"success"}
        assert away(client) == []
        assert stack.processes() == before, "nobody had to be started again"


@contextmanager
def full(redis: Valkey) -> Iterator[None]:
    with redis.client() as raw:
        raw.config_set("maxmemory", 1)
        try:
            yield
        finally:
            raw.config_set("maxmemory", 0)


@contextmanager
def unable_to_log(redis: Valkey) -> Iterator[None]:
    """It cannot write its log, as on a full disk, and says MISCONF to whoever wants to write."""
    size = max(path.stat().st_size for path in redis.folder.rglob("*.aof"))
    resource.prlimit(redis.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        with redis.client() as raw:

            def is_stuck() -> bool:
                with suppress(Exception):
                    raw.set("something", "x" * 100)
                return raw.info("persistence")["aof_last_write_status"] == "err"

            eventually(is_stuck)
        yield
    finally:
        resource.prlimit(redis.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.parametrize("trouble", [full, unable_to_log], ids=["full", "cannot-write-its-log"])
def test_a_redis_that_takes_no_writes_is_as_one_that_is_away_and_the_workers_live_on(tmp_path: Path, redis: Valkey, trouble) -> None:
    with running(Stack(tmp_path / "stack", redis_url=redis.url, workers="1")) as stack, stack.client() as client:
        channel = client.register()
        waiting = client.upload(channel, b"before")
        client.wait(waiting)
        before = stack.processes()
        with trouble(redis):
            assert away(client) == ["redis"]
            sources = [client.upload(str(uuid.uuid4()), b"meanwhile") for _ in range(5)]
            assert {client.show(source)["state"] for source in sources} == {"accepted"}
        for source in sources:
            assert client.wait(source)["state"] == "succeeded"
        eventually(lambda: away(client) == [])
        assert stack.processes() == before, "nobody had to be started again"


# ------------------------------------------------------------------------------------------------ the store


def test_a_bucket_that_is_away_is_a_503_that_says_when_to_come_back(tmp_path: Path, bucket: Bucket) -> None:
    with (
        faulty_proxy(bucket.settings["s3_endpoint_url"]) as proxy,
        running(Stack(tmp_path / "stack", workers="1", **bucket.settings | {"s3_endpoint_url": proxy.url})) as stack,
    ):
        with stack.client() as client:
            channel, source = client.register(), str(uuid.uuid4())
            before = stack.processes()
            proxy.chosen = lambda *_: True
            proxy.faults = [(503, b"<Error><Code>SlowDown</Code></Error>", False)] * 10_000
            for body in (b"words", bytes(12 * 1024 * 1024)):
                answer = client.try_upload(channel, source, body)
                assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
                assert int(answer.headers["retry-after"]) > 0
            assert client.http.get(f"/public/sources/{source}").status_code == 503
            assert away(client) == ["storage"]
            proxy.faults = []
            client.upload(channel, b"words", source=source)
            assert client.wait(source)["state"] == "succeeded"
            assert away(client) == []
            assert stack.processes() == before


@contextmanager
def small_disk(folder: Path, size_kib: int) -> Iterator[Path]:
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", folder], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """To the last byte; the answer is what to remove."""
    file = folder / "filling"
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        while stream.write(bytes(4096)) == 4096:
            pass
    return file


def test_a_store_on_a_full_disk_is_a_503_and_leaves_nothing_half(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24 * 1024) as disk:
        with running(Stack(tmp_path / "stack", workers="1", storage_url=(disk / "store").as_uri())) as stack, stack.client() as client:
            channel = client.register()
            client.wait(client.upload(channel, b"before"))
            eventually(lambda: not [path for path in (disk / "store" / "inbox").rglob("*") if path.is_file()])  # it goes after the end was said
            kept = sorted(path for path in (disk / "store").rglob("*") if path.is_file())
            large = client.try_upload(channel, str(uuid.uuid4()), bytes(30 * 1024 * 1024))  # the disk fills while it comes
            assert (large.status_code, large.json()["code"]) == (503, "storage_failed")
            filling = fill(disk)
            source = str(uuid.uuid4())
            small = client.try_upload(channel, source, bytes(64 * 1024))
            assert (small.status_code, small.json()["code"]) == (503, "storage_failed")
            assert int(small.headers["retry-after"]) > 0
            assert sorted(path for path in (disk / "store").rglob("*") if path.is_file()) == kept
            filling.unlink()
            client.upload(channel, bytes(64 * 1024), source=source)
            assert client.wait(source)["state"] == "succeeded"


def test_a_worker_whose_scratch_is_full_puts_the_run_back_and_costs_it_no_attempt(tmp_path: Path, origin: Origin) -> None:
    with small_disk(tmp_path / "scratch", 64) as scratch:
        filling = fill(scratch)
        stack = Stack(
            tmp_path / "stack", import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), workers="1", scratch_dir=str(scratch), grace_seconds="0.5"
        )  # fmt: skip
        with running(stack), stack.client() as client:
            before = stack.processes()
            source = client.upload(client.register(), url=origin.url("/report.pdf"))
            eventually(lambda: "put back" in (stack.folder / "logs" / "worker1.log").read_text())
            assert client.show(source)["state"] in {"accepted", "processing"}
            filling.unlink()
            shown = client.wait(source)
            assert (shown["state"], shown["attempt"]) == ("succeeded", 1)
            assert stack.processes() == before
            assert list(scratch.iterdir()) == []


# ------------------------------------------------------------------------------------------------ everything at once


def test_a_redis_that_is_frozen_again_and_again_costs_no_answer(tmp_path: Path, redis: Valkey) -> None:
    with running(Stack(tmp_path / "stack", redis_url=redis.url, workers="1")) as stack, stack.client() as client:
        over = threading.Event()

        def freeze() -> None:
            while not over.wait(1.0):
                redis.freeze()
                over.wait(1.5)
                redis.thaw()

        freezing = threading.Thread(target=freeze)
        freezing.start()
        try:
            sources = [client.upload(client.register(), b"words") for _ in range(60)]
        finally:
            over.set()
            freezing.join()
            with suppress(ProcessLookupError):
                redis.thaw()
        assert {client.wait(source)["state"] for source in sources} == {"succeeded"}
