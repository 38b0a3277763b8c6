"""Every process as its own user of deploy/redis-users.acl: nothing that it needs is refused, and nothing else is granted.

The contract suites of the ledger, the channels, the tickets and the quotas run as these users too (tests/conftest.py).
"""

import json
import os
import subprocess
import sys
import uuid
from contextlib import ExitStack, closing
from dataclasses import replace

import httpx
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from websockets.sync.client import connect

from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import RedisLedger
from app.domain.errors import Unavailable
from app.settings import load
from devstack import parts
from devstack.datadir import DataDir
from devstack.valkey import binary
from tests import redis_users
from tests.celery.container import ProcessContainer
from tests.client import Client, eventually, milestones, until_closed
from tests.ports import free_port
from tests.servers import Valkey, start
from tests.stack import ROOT, Origin

USERS = ("api", "worker", "reconciler", "flower")
FORBIDDEN = [
    ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "dir", "/tmp"), ("KEYS", "*"), ("SCAN", "0"),
    ("SHUTDOWN",), ("ACL", "LIST"), ("ACL", "SETUSER", "api", "+@all"), ("CLIENT", "KILL", "ID", "1"), ("CLIENT", "LIST"), ("MONITOR",), ("BGSAVE",),
    ("REPLICAOF", "NO", "ONE"), ("MODULE", "LIST"), ("FUNCTION", "LIST"), ("SCRIPT", "FLUSH"), ("SLOWLOG", "GET"), ("RANDOMKEY",), ("DBSIZE",),
    ("SELECT", "1"), ("SWAPDB", "0", "1"), ("MIGRATE", "h", "1", "k", "0", "1"), ("DUMP", "headrace:open"), ("OBJECT", "ENCODING", "headrace:open"),
]  # fmt: skip
FOREIGN = [
    ("SET", "other:key", "x"), ("GET", "other:key"), ("LPUSH", "celery", "x"), ("DEL", "headracer:open"), ("PUBLISH", "other:live:x", "x"),
    ("SUBSCRIBE", "other"), ("PSUBSCRIBE", "*"), ("PSUBSCRIBE", "headrace:*"), ("EVAL", "return redis.call('GET', 'other:key')", "0"),
    ("EVAL", "return redis.call('FLUSHALL')", "0"), ("EVAL", "return redis.call('KEYS', '*')", "0"),
]  # fmt: skip
OTHERS = {
    "api": [("SET", "headrace:leader", "me"), ("HSET", "headrace:scan", "whole", "1"), ("DEL", "headrace:unacked"), ("PUBLISH", "headrace:/0.headrace.control.pidbox", "x")],
    "worker": [("GETDEL", "headrace:ticket:t"), ("SET", "headrace:ticket:t", "x"), ("DEL", "headrace:quota/x"), ("SADD", "headrace:token:t", "x"),
               ("SET", "headrace:leader", "me"), ("SUBSCRIBE", "headrace:live:x")],
    "reconciler": [("SET", "headrace:ticket:t", "x"), ("DEL", "headrace:unacked"), ("PUBLISH", "headrace:/0.headrace.control.pidbox", "x")],
    "flower": [("LPUSH", "headrace:headrace.fast", "x"), ("HGETALL", "headrace:source:x"), ("DEL", "headrace:open"), ("PUBLISH", "headrace:live:x", "x")],
}  # fmt: skip


@pytest.fixture(scope="module")
def shared():
    with Valkey() as server:
        redis_users.let_in(server)
        yield server


@pytest.fixture
def server(shared):
    """Of what was refused before nothing is left."""
    with shared.client() as raw:
        raw.acl_log_reset()
    return shared


def user_of(server, user):
    return server.client(username=user, password=redis_users.PASSWORD)


@pytest.mark.parametrize("user", USERS)
def test_what_would_harm_others_is_refused(server, user):
    with user_of(server, user) as client:
        assert client.ping()
        for command in [*FORBIDDEN, *FOREIGN, *OTHERS[user]]:
            with pytest.raises(RedisError, match=r"(?i)no permissions? to|ACL failure"):
                client.execute_command(*command)


@pytest.mark.parametrize("user", USERS)
def test_of_the_dangerous_commands_who_appends_has_info_and_flower_none(server, user):
    with server.client() as raw:
        dangerous = [*raw.acl_cat("dangerous"), *raw.acl_cat("admin")]
    granted = {word.removeprefix("+") for word in redis_users.rules()[user] if word.startswith("+")}
    # Appending asks which life of the server this is; who may not ask would begin a new epoch after each who may.
    assert granted & set(dangerous) == (set() if user == "flower" else {"info"})
    assert not {word for word in granted if word.startswith("@")}


def test_a_right_that_is_lacking_is_no_mere_outage(server, caplog):
    with closing(BlockingCommands(RedisLocation(redis_users.url(server, "worker")))) as redis, pytest.raises(Unavailable):
        RedisLedger(redis, Calls(Keyspace("headrace:"), Terms())).lead("me", seconds=10)
    assert "Redis refused" in caplog.text


def test_the_file_loads_and_lets_nobody_in_whose_password_was_not_set(tmp_path):
    lines = redis_users.FILE.read_text().splitlines()
    file = tmp_path / "users.acl"
    file.write_text("".join(f"{line} >a-secret\n" if line.startswith("user api ") else f"{line}\n" for line in lines))
    port = free_port()
    argv = [binary(), "--bind", "127.0.0.1", "--port", str(port), "--dir", tmp_path, "--save", "", "--aclfile", file]
    with (tmp_path / "log").open("wb") as log, start(argv, stdout=log, stderr=log) as process:
        try:
            with Redis(port=port, username="api", password="a-secret") as api:
                assert eventually(lambda: answers(process, api))
            for user in (None, "default", "worker", "reconciler", "flower"):
                for password in ("", "a-secret"):
                    with Redis(port=port, username=user, password=password, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(AuthenticationError):
                        client.ping()
        finally:
            process.kill()


def answers(process, client):
    assert process.poll() is None
    try:
        return client.ping()
    except RedisConnectionError:
        return False


class Fleet:
    """The embedded stack's own commands as processes, each logged in as its user."""

    def __init__(self, server, folder, origin):
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")} | {
            "HEADRACE_REDIS_URL": server.url, "HEADRACE_PORT": "0", "HEADRACE_FLOWER_PORT": "0", "HEADRACE_METRICS_PORT": "0", "HEADRACE_WORKERS": "1",
            "HEADRACE_WS_TICKETS": "required", "HEADRACE_IMPORT_ALLOW_NETS": "127.0.0.0/8", "HEADRACE_IMPORT_PORTS": str(origin.port),
            "HEADRACE_LEASE_SECONDS": "3", "HEADRACE_GRACE_SECONDS": "1", "HEADRACE_INBOX_SCAN_SECONDS": "1",
        }  # fmt: skip
        with DataDir(folder / "data") as data:
            plan = parts.plan(load(environ), data, environ)
        plan.listening.close()
        self.base_url, self.api_key, self.flower_url = plan.base_url, plan.api_key, plan.flower_url
        self.flower_password = (folder / "data/secrets/flower_password").read_text().strip()
        self.commands = {}
        for command in (each for group in plan.groups for each in group):
            own = {**command.environ, "HEADRACE_REDIS_URL": redis_users.url(server, command.kind)}
            argv = command.argv[:-2] if command.kind == "api" else command.argv  # it listens itself
            self.commands[command.kind] = replace(command, argv=argv, environ=own)
        self.folder = folder

    def __enter__(self):
        with ExitStack() as starting:
            for kind, command in self.commands.items():
                node = ProcessContainer(command, self.folder)
                starting.callback(node.teardown)
                setattr(self, kind, node)
            for kind in self.commands:
                getattr(self, kind).ready()
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_):
        self._running.close()


@pytest.mark.timeout(240)
def test_all_that_the_processes_do_is_granted(server, tmp_path):
    with Origin() as origin, Fleet(server, tmp_path, origin) as fleet, Client(fleet.base_url, fleet.api_key, "ada") as client:
        channel, address = registered(client)
        source = client.upload(channel, b"Water runs down the race.")
        with connect(address, proxy=None, compression=None) as socket:
            assert milestones(until_closed(socket))[-1]["status"] == "success"
        assert client.show(source)["state"] == "succeeded"

        # A worker that is told to stop gives back what it is at, and Celery its message.
        channel, _ = registered(client)
        slow = client.upload(channel, url=origin.url("/slow"))
        assert origin.asked.acquire(timeout=60)
        fleet.worker.kill("SIGTERM")
        fleet.worker.wait(60)
        fleet.worker.start()
        fleet.worker.ready()
        origin.let_go.set()
        assert client.wait(slow)["state"] == "succeeded"

        # The rest of what the API asks Redis for.
        token = client.http.post("/public/tokens", json={"count": 2}).json()["token"]
        with httpx.Client(base_url=fleet.base_url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as browser:
            assert browser.get("/public/sources").status_code == 200
            form = {"ws-uuid": channel, "source-uuid": "by-token"}
            assert browser.post("/public/sources/upload-source", data=form, files={"file": ("a.txt", b"a")}).status_code == 200
        assert client.wait("by-token")["state"] == "succeeded"
        for call in (client.http.delete(f"/public/sources/{source}"), client.http.get("/readyz"), client.http.post(f"/public/sources/{slow}/cancel")):
            assert call.status_code < 500, call.text

        # Flower sees the worker, and asks it.
        with httpx.Client(base_url=fleet.flower_url, auth=("headrace", fleet.flower_password), trust_env=False, timeout=30) as flower:
            seen = eventually(lambda: flower.get("/workers", params={"refresh": True, "json": True}).raise_for_status().json()["data"])
            assert [each["hostname"].partition("-")[0] for each in seen] == ["worker1"]
            assert flower.get("/broker").status_code == 200
        doctor = subprocess.run(
            [sys.executable, "-m", "app.cli", "doctor", "--deployment", "--json"],
            cwd=ROOT,
            env=dict(fleet.commands["worker"].environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert {each["part"] for each in json.loads(doctor.stdout)["findings"] if each["level"] == "bad"} == set(), doctor.stdout
    with server.client() as raw:
        assert raw.acl_log() == []


def registered(client):
    """A channel, and where its socket is, with a ticket."""
    channel = str(uuid.uuid4())
    answer = client.http.post("/public/sources/ws", json={"ws-uuid": channel})
    assert answer.status_code == 200, answer.text
    return channel, answer.json()["ws-address"]
