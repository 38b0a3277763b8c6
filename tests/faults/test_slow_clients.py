"""Slow clients behind the nginx site that we ship: others are served, each slow one is cut off by its deadline, and memory is bounded."""

import uuid
from pathlib import Path

import httpx
import pytest

from bench.proc import Watch
from tests import nginx
from tests.faults.api_process import KEY, ApiProcess
from tests.loris import Loris
from tests.nginx import Nginx
from tests.servers import Valkey, eventually

pytestmark = pytest.mark.skipif(nginx.binary() is None or not Path("/proc/self/status").exists(), reason="nginx is not installed, or there is no /proc")

IDLE = HALF = 100
BODIES = 30
MOST_MIB = 32


def upload(client: httpx.Client) -> int:
    form = {"ws-uuid": str(uuid.uuid4()), "source-uuid": str(uuid.uuid4())}
    return client.post("/public/sources/upload-source", data=form, files={"file": ("a.txt", b"quick")}).status_code


def test_slow_clients_are_cut_off_and_keep_nobody_else_waiting(tmp_path, valkey: Valkey, redis_prefix: str):
    with ApiProcess(tmp_path, valkey.url, redis_prefix, body_stall_seconds="2") as api, Nginx([api.port], head_seconds=2) as front:
        client = httpx.Client(base_url=front.url, headers={"X-API-Key": KEY, "X-User-ID": "quick"}, trust_env=False, timeout=60)
        with client, Watch(api.process.pid) as watch, Loris(front.port, KEY, idle=IDLE, half=HALF, bodies=BODIES) as slow:
            assert [upload(client) for _ in range(20)] == [200] * 20
            assert slow.ended["bodies"] < BODIES, "all of them were gone before anybody else came"
            eventually(lambda: slow.ended == {"idle": IDLE, "half": HALF, "bodies": BODIES}, seconds=30)
            assert set(slow.answered) == {b"HTTP/1.1 408 Request Timeout"}
            assert [upload(client) for _ in range(5)] == [200] * 5
        assert watch.growth_mib < MOST_MIB
        assert api.drafts() == 0
