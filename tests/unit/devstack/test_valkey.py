import asyncio
import os
import platform
import stat
from contextlib import ExitStack

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from devstack import ports, valkey
from devstack.datadir import Refused
from devstack.process import Child, Command
from devstack.warden import Warden


def run_on(folder, port, work):
    """Runs `work(client)` against a fresh server on that folder; the server is stopped after it, or killed."""

    async def go():
        async def probe():
            return await valkey.answers(port, "pässword")

        argv = (str(valkey.binary()), str(valkey.configure(folder, port=port, password="pässword")))
        with Warden() as warden:
            child = Child(Command("redis", "redis", argv, os.environ, probe=probe), log=folder / "log", cwd=folder, echo=print, warden=warden)
            try:
                await child.start(timeout_seconds=20)
                return await asyncio.to_thread(work)
            finally:
                await child.stop()

    return asyncio.run(go())


@pytest.fixture
def port():
    with ExitStack() as held:
        return ports.choose(0, "X", held)


def test_it_wants_the_password_keeps_what_it_got_and_never_evicts(tmp_path, port):
    folder = tmp_path / 'a "folder" with blanks'
    folder.mkdir()

    def first():
        with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(port=port, password="pässword") as client:
            client.set("kept", "yes")
            found = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "save", "bind", "stream-node-max-bytes")
        assert found == {
            "maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": "", "bind": "127.0.0.1",
            "stream-node-max-bytes": "1024",
        }  # fmt: skip

    def second():
        with redis.Redis(port=port, password="pässword", decode_responses=True) as client:
            assert client.get("kept") == "yes"

    run_on(folder, port, first)
    run_on(folder, port, second)
    assert stat.S_IMODE((folder / "valkey.conf").stat().st_mode) == 0o600


def test_nothing_answers_where_nothing_listens(port):
    assert not asyncio.run(valkey.answers(port, "x"))


def test_without_the_wheel_one_on_path_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    assert valkey.binary() == server


def test_a_platform_without_a_server_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match=r"^no Redis-compatible server for \w+ riscv64: [^\n]*HEADRACE_REDIS_URL$"):
        valkey.binary()
