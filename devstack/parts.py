"""The parts of the stack as commands: what each is started with, from the settings."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.settings import PREFIX, Settings
from devstack import ports, probes, valkey
from devstack.datadir import DataDir, Refused, random_secret
from devstack.process import Command

ROOT = Path(__file__).resolve().parent.parent
FLOWER_USER = "headrace"


@dataclass(frozen=True, slots=True)
class Plan:
    """What `supervise` runs: group after group is started, each group at once; stopping goes by kind."""

    base_url: str
    api_key: str
    groups: tuple[tuple[Command, ...], ...]
    table: tuple[str, ...] = ()
    flower_url: str = ""
    listening: socket.socket | None = None
    """The API's, inherited by its processes: while one is away, connections wait instead of being refused."""


def plan(settings: Settings, data: DataDir, environ: Mapping[str, str]) -> Plan:
    """Makes what is missing in the data folder and binds the API's port. Raises Refused."""
    given = settings.model_fields_set
    if settings.storage_url and not settings.storage_url.startswith(("file://", "s3://")):
        raise Refused("HEADRACE_STORAGE_URL: s3://bucket/prefix or file:///folder")
    made = {
        "data_dir": str(data.path),
        "storage_url": settings.storage_url or (data.folder("store")).as_uri(),
        "dev_key": settings.dev_key.get_secret_value() if settings.dev_key else data.kept("dev_key", lambda: "hr_dev_" + random_secret()),
        "secret_keys": settings.secret_keys.get_secret_value() if settings.secret_keys else data.kept("secret_keys", random_secret),
        "api_keys_file": str(settings.api_keys_file or data.empty_file("api_keys")),
        "cors_origins": ",".join(settings.cors_origins) if "cors_origins" in given else "localhost",
    }
    groups: list[tuple[Command, ...]] = []
    with contextlib.ExitStack() as held:
        if "redis_url" in given:
            made["redis_url"] = settings.redis_url.get_secret_value()
        else:
            redis, made["redis_url"] = _redis(data, environ, held)
            groups.append((redis,))
        flower_port = ports.choose(settings.flower_port, "HEADRACE_FLOWER_PORT", held)
        # One port each: several API processes count from the setting upward.
        wanted = [settings.metrics_port and settings.metrics_port + index for index in range(settings.api_processes)]
        metrics = [ports.choose(port, "HEADRACE_METRICS_PORT", held) for port in wanted]
        listening = ports.listen(settings.host, settings.port, "HEADRACE_PORT")
    port = int(listening.getsockname()[1])
    made |= {"host": settings.host, "port": str(port), "flower_port": str(flower_port), "metrics_port": str(metrics[0])}

    base = _environment(environ, made)
    base_url = ports.url(settings.host, port)
    flower_url = ports.url("127.0.0.1", flower_port)
    password = data.kept("flower_password", random_secret)
    groups.append(
        (
            *(
                _api(
                    index,
                    listening,
                    port,
                    settings.host,
                    {**base, "HEADRACE_METRICS_PORT": str(metrics[index]), "HEADRACE_STOP_SECONDS": "3", "HEADRACE_DRAIN_SECONDS": "0"},
                )
                for index in range(settings.api_processes)
            ),
            *(_worker(index, data, base) for index in range(settings.workers)),
            Command("reconciler", "reconciler", _python("worker.reconcile"), base, ready_line="reconciler ready", stop_seconds=7.5),
            _flower(flower_port, {**base, "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}"}),
        )
    )
    table = _table(settings, data, base_url, flower_url, storage_url=made["storage_url"])
    return Plan(base_url, made["dev_key"], tuple(groups), table, flower_url, listening)


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _redis(data: DataDir, environ: Mapping[str, str], held: contextlib.ExitStack) -> tuple[Command, str]:
    folder, password = data.folder("redis"), data.kept("redis_password", random_secret)
    remembered = folder / "port"
    port = ports.prefer(_port(remembered), "redis", held)
    remembered.write_text(str(port))

    async def probe() -> bool:
        return await valkey.answers(port, password)

    argv = (str(valkey.binary()), str(valkey.configure(folder, port=port, password=password)))
    return Command("redis", "redis", argv, environ, probe=probe, stop_seconds=2.5, quiet=True), f"redis://:{password}@127.0.0.1:{port}/0"


def _port(file: Path) -> int:
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _environment(environ: Mapping[str, str], made: Mapping[str, str]) -> dict[str, str]:
    """Ours, with everything that was made or chosen here; nothing of Flower's own variables reaches it."""
    set_here = {f"{PREFIX}{name.upper()}" for name in made}
    kept = {name: value for name, value in environ.items() if not name.startswith("FLOWER_") and name.removesuffix("_FILE") not in set_here}
    return {**kept, **{f"{PREFIX}{name.upper()}": value for name, value in made.items()}, "PYTHONUNBUFFERED": "1"}


def _api(index: int, listening: socket.socket, port: int, host: str, environ: Mapping[str, str]) -> Command:
    # Asked through the common socket, so with several processes it is the first of them that answers.
    ready = probes.http_200(ports.reachable(host), port, "/readyz")
    argv = _python("app.main", "--fd", str(listening.fileno()))
    return Command(f"api{index + 1}", "api", argv, environ, probe=ready, fds=(listening.fileno(),), stop_seconds=6)


def _worker(index: int, data: DataDir, environ: Mapping[str, str]) -> Command:
    # Celery's node names must differ among all stacks on one Redis.
    stack = hashlib.sha256(f"{os.uname().nodename}{data.path}".encode()).hexdigest()[:6]
    # One child each: two small workers beat one with two children, whose parent is the limit.
    options = ("-n", f"worker{index + 1}-{stack}@%h", "-c", "1", "-l", "warning", "--without-mingle", "--without-gossip")
    # A busy worker waits this out before it gives its run back; the stack must stop within 15 s.
    soft_stop = ("--", "worker.soft_shutdown_timeout=5")
    argv = _python("celery", "-A", "worker.celery_app", "worker", *options, *soft_stop)
    # SIGTERM then means: stop now, put back what you are at.
    environ = {**environ, "REMAP_SIGTERM": "SIGQUIT"}
    # Clients wait for the API, and nobody waits for a worker: on a busy laptop uploads are still answered at once.
    return Command(f"worker{index + 1}", "worker", argv, environ, ready_line="worker ready: ", stop_seconds=7.5, nice=5)


def _flower(port: int, environ: Mapping[str, str]) -> Command:
    options = ("--address=127.0.0.1", f"--port={port}", "--read-only", "--max-tasks=5000", "--purge-offline-workers=60")
    argv = _python("celery", "-A", "worker.celery_app", "flower", *options)
    return Command("flower", "flower", argv, environ, probe=probes.accepts("127.0.0.1", port), stop_seconds=5)


def _table(settings: Settings, data: DataDir, base_url: str, flower_url: str, *, storage_url: str) -> tuple[str, ...]:
    here = Path.cwd()
    folder = data.path.relative_to(here) if data.path.is_relative_to(here) else data.path
    if "redis_url" in settings.model_fields_set:
        url = urlsplit(settings.redis_url.get_secret_value())  # shown without its password
        redis = f"{url.scheme}://{url.hostname}:{url.port or 6379}{url.path}"
    else:
        redis = f"valkey, append-only, in {folder}/redis"
    storage = storage_url if settings.storage_url else f"{folder}/store (a bucket instead: make up STORAGE=s3://name/prefix)"
    return (
        f"redis    {redis}     workers  {settings.workers}     reconciler  1",
        f"storage  {storage}     docs  {base_url}/docs",
        f"flower   {flower_url}  (user {FLOWER_USER}, password in {folder}/secrets/flower_password)",
    )
