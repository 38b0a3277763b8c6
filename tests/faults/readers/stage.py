"""The stage: Redis with its log on disk, two API processes, nginx in front of them; and what goes wrong there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import httpx
from redis.exceptions import RedisError

from tests import nginx
from tests.nginx import Nginx
from tests.ports import free_port
from tests.servers import Valkey, eventually, start

ROOT = Path(__file__).parents[3]
KEY, SECRET, PREFIX = "a-key-of-the-chaos-run", "s" * 32, "chaos:"


class Api:
    """One API process. It keeps its port."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.port = free_port()
        self._log = folder / f"api-{self.port}.log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self._environ = environ | {
            "HEADRACE_PORT": str(self.port), "HEADRACE_METRICS_PORT": "0", "HEADRACE_LOG_LEVEL": "warning",
            "HEADRACE_REDIS_URL": redis_url, "HEADRACE_REDIS_PREFIX": PREFIX, "HEADRACE_STORAGE_URL": (folder / "store").as_uri(),
            "HEADRACE_SECRET_KEYS": SECRET, "HEADRACE_DEV_KEY": KEY, "HEADRACE_DRAIN_SECONDS": "1",
            "HEADRACE_SOCKETS_PER_CHANNEL": "1000", "HEADRACE_SOCKETS_PER_OWNER": "1000",
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = start([sys.executable, "-m", "app.main"], cwd=ROOT, env=self._environ, stdout=log, stderr=log)
        eventually(self._answers, seconds=60)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", trust_env=False, timeout=5).status_code == 200
        return False

    def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
            self._process = None


class Stage:
    """`with Stage(seed) as stage`. Nothing of it is left on disk. Without nginx the readers go to the processes themselves, in turn."""

    def __init__(self, seed: int, *, lost_tails: bool) -> None:
        self._random = random.Random(seed)
        self._lost_tails = lost_tails
        self._opened = ExitStack()
        self.folder = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="headrace-chaos-")))
        self.redis = Valkey(aof=True)
        self.apis: list[Api] = []
        self.urls: list[str] = []
        self.faults: Counter[str] = Counter()

    def __enter__(self) -> Self:
        try:
            self._opened.enter_context(self.redis)
            self.apis = [Api(self.folder, self.redis.url) for _ in range(2)]
            for api in self.apis:
                self._opened.callback(api.end, signal.SIGKILL)
                api.start()
            self.urls = [f"http://127.0.0.1:{api.port}" for api in self.apis]
            if nginx.binary():
                self.urls = [self._opened.enter_context(Nginx([api.port for api in self.apis])).url]
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    async def suffer(self, seconds: float) -> None:
        """Everything that goes wrong, for so long. In the end all is up."""
        async with asyncio.TaskGroup() as faults:
            faults.create_task(self._again(self._cut, seconds, 0.7))
            faults.create_task(self._again(self._crash_redis, seconds, max(1.5, seconds / 7)))
            faults.create_task(self._again(self._end_api, seconds, max(2, seconds / 6)))

    async def _again(self, what, seconds: float, pause: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await asyncio.sleep(self._random.uniform(0.5, 1.5) * pause)
                    await asyncio.shield(asyncio.ensure_future(what()))

    async def _cut(self) -> None:
        def cut() -> int:
            with suppress(RedisError), self.redis.client() as admin:
                return int(admin.client_kill_filter(_type="pubsub"))
            return 0

        self.faults["live links cut"] += await asyncio.to_thread(cut)

    async def _crash_redis(self) -> None:
        lost = self._random.randrange(1, 20_000) if self._lost_tails else 0
        self.faults["crashes of Redis"] += 1
        self.faults["bytes of its log lost"] += lost
        await asyncio.to_thread(self.redis.kill, lose_bytes=lost)
        await asyncio.sleep(self._random.uniform(0, 1))
        await asyncio.to_thread(self.redis.start)

    async def _end_api(self) -> None:
        api, how = self._random.choice(self.apis), self._random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        self.faults["API processes killed" if how is signal.SIGKILL else "API processes stopped"] += 1
        await asyncio.to_thread(api.end, how)
        await asyncio.sleep(self._random.uniform(0, 1))
        await asyncio.to_thread(api.start)
