"""What the scripts run against: one place at a time, a store with the servers that use it, started when first asked for."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from app.adapters.s3_client import S3Location, boto_client, boto_session
from bench.claim import Skipped
from devstack import valkey
from devstack.ceph import Ceph, NotInstalled
from tests.ports import free_port
from tests.servers import start
from tests.stack import ROOT, Stack

BUCKET = "headrace-bench"
SECRET = "bench" * 8
"""HEADRACE_SECRET_KEYS of everything that is measured."""


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int


class Place:
    """`kind`: folder (of this disk), s3 (a real one), null (an S3 that keeps no documents). Everything of it ends with `close`."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self._held = ExitStack()
        self._floors: dict[str, Server] = {}
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def close(self) -> None:
        self._held.close()

    @property
    def folder(self) -> Path:
        """Where the store of kind `folder` is."""
        return self._folder / "store"

    @cached_property
    def storage(self) -> Mapping[str, str]:
        """The settings that name the store. Raises Skipped: no real S3 on this machine."""
        if self.kind == "folder":
            return {"storage_url": self.folder.as_uri()}
        if self.kind == "null":
            port = free_port()
            self._start([sys.executable, "-m", "bench.null_s3", str(port)], {}, f"http://127.0.0.1:{port}")
            return self._bucket(S3Location(BUCKET, "", f"http://127.0.0.1:{port}", "us-east-1", "bench", "bench-secret"))
        try:
            s3 = self._held.enter_context(Ceph(self._folder / "ceph"))
        except NotInstalled as error:
            raise Skipped(str(error)) from error
        location = S3Location(BUCKET, "", s3.endpoint_url, s3.region, s3.access_key_id, s3.secret_access_key)
        boto_client(boto_session(location), location, location.endpoint_url).create_bucket(Bucket=BUCKET)
        return self._bucket(location)

    @staticmethod
    def _bucket(location: S3Location) -> Mapping[str, str]:
        return {
            "storage_url": f"s3://{BUCKET}/documents", "s3_endpoint_url": location.endpoint_url or "", "s3_region": location.region or "",
            "s3_access_key_id": location.access_key_id or "", "s3_secret_access_key": location.secret_access_key or "",
        }  # fmt: skip

    @cached_property
    def stack(self) -> Stack:
        """The whole embedded stack, with the terms of production."""
        terms = {"lease_seconds": "30", "grace_seconds": "10", "inbox_scan_seconds": "60"}
        stack = Stack(self._folder / "stack", **terms, **self.storage)
        stack.start()
        self._held.callback(stack.stop)
        if not stack.base_url:
            raise RuntimeError("the stack did not start:\n" + "\n".join(stack.output[-40:]))
        return stack

    @cached_property
    def redis_url(self) -> str:
        """A server for the API alone."""
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        self.redis_pid = self._start([str(valkey.binary()), *options], {}, None).pid
        return f"redis://127.0.0.1:{port}/0"

    def api(self, module: str = "app.main", **settings: str) -> tuple[Server, str]:
        """A fresh API process on the place's store, without workers; and its key."""
        port, key = free_port(), secrets.token_hex(16)
        settings |= {"port": str(port), "metrics_port": "0", "dev_key": key, **self._shared}
        settings |= {"uploads_per_minute": "1000000", "registrations_per_minute": "1000000"}
        return self._start([sys.executable, "-m", module], settings, f"http://127.0.0.1:{port}"), key

    def worker(self, name: str) -> Server:
        """A worker beside `api`, with one child, on all lanes, as the embedded stack starts it."""
        options = ["-n", f"{name}@%h", "-c", "1", "-l", "warning", "--without-mingle", "--without-gossip"]
        return self._start([sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", *options], self._shared, None)

    def reconciler(self) -> Server:
        return self._start([sys.executable, "-m", "worker.reconcile"], self._shared, None)

    @property
    def _shared(self) -> dict[str, str]:
        """What the processes beside one `redis_url` have in common."""
        return {"log_level": "warning", "redis_url": self.redis_url, "secret_keys": SECRET, "ocr_pages": "0", **self.storage}

    def floor(self, what: str) -> Server:
        """bench/floor_app.py on the place's kind of store; `what` is one of its names."""
        if what not in self._floors:
            port = free_port()
            settings = {"port": str(port), "log_level": "warning", "secret_keys": SECRET, **self.storage}
            self._floors[what] = self._start([sys.executable, "-m", "bench.floor_app", what], settings, f"http://127.0.0.1:{port}")
        return self._floors[what]

    def end(self, server: Server) -> None:
        """Before the place does."""
        _end(self._running.pop(server.pid))

    def _start(self, command: list[str], settings: Mapping[str, str], url: str | None) -> Server:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        environ |= {f"HEADRACE_{name.upper()}": value for name, value in settings.items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        process = start(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
        self._held.callback(_end, process)
        self._running[process.pid] = process
        if url is not None:
            _wait(url, process)
        return Server(url or "", process.pid)


class Session:
    """Holds one place at a time, so that what is not measured does not run. Leaves no file and no process."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._place: Place | None = None

    def __enter__(self) -> Self:
        # In the clone and not in /tmp, which may be memory: a PUT into the folder is measured with its fsync.
        self._folder = tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()
        self._folder.cleanup()

    def place(self, kind: str) -> Place:
        if self._place is None or self._place.kind != kind:
            self.leave()
            self._place = Place(kind, Path(tempfile.mkdtemp(prefix=kind, dir=self._folder.name)))
        return self._place

    def leave(self) -> None:
        if self._place is not None:
            self._place.close()
            self._place = None


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until it answers GET /readyz, with whatever status."""
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args!r} did not start") from None
            time.sleep(0.05)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
