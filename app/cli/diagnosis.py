"""What `headrace doctor` finds, and what it looks at: workers by their pulses, Redis by INFO, the store by its probe, clocks, versions."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from app.adapters import pulse
from app.adapters.redis.fleet import Process
from app.domain.errors import HeadraceError, ObjectNotFound
from app.domain.layout import DEPLOYMENT, PROBE
from app.domain.version import VERSION
from app.ports import ObjectStore

_LEAST_REDIS = (7, 0)
"""What we are tested with. Valkey says which Redis it is like."""
_FULL, _NEARLY_FULL = 0.95, 0.8
_SKEW_SECONDS, _BAD_SKEW_SECONDS = 2.0, 60.0
"""A ticket lives for a minute; S3 refuses what is signed 15 minutes off."""


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    level: Level
    text: str


Findings = Iterator[Finding]


def workers(folder: Path, now: float | None = None) -> Findings:
    """Of this host, as far as their pulses are in the folder."""
    found = pulse.read(folder)
    if not found:
        yield Finding("worker", Level.BAD, f"no worker has a pulse in {folder}")
    for each in found:
        trouble = pulse.trouble(each, now)
        at = f"{each.running} running, {'?' if each.waiting is None else each.waiting} waiting, {each.taken} taken"
        yield Finding(f"worker {each.name}", Level.BAD if trouble else Level.OK, trouble or at)
        if each.refused:
            yield Finding(f"worker {each.name}", Level.WARNING, f"{each.refused} messages refused that nobody of ours sent: who else writes to the queues?")


def redis(info: Mapping[str, Any]) -> Findings:
    """Of the server's INFO. CONFIG is not asked: a careful operator forbids it."""
    version = str(info.get("redis_version", "0"))
    known = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    product = f"{info['server_name']} {info['valkey_version']}" if "valkey_version" in info else f"redis {version}"
    yield Finding("redis", Level.OK if known >= _LEAST_REDIS else Level.BAD, product if known >= _LEAST_REDIS else f"{product} is older than redis 7.0")
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        yield Finding("redis", Level.BAD, f"maxmemory-policy is {policy}: it drops queues and leases when it is full; set noeviction")
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if not limit:
        yield Finding("redis", Level.WARNING, "no maxmemory is set: when the machine's memory is used up, the kernel ends it")
    elif used >= _NEARLY_FULL * limit:
        yield Finding("redis", Level.BAD if used >= _FULL * limit else Level.WARNING, f"{100 * used // limit} % of maxmemory is used")
    if not int(info.get("aof_enabled", 0)):
        yield Finding("redis", Level.WARNING, "appendonly is off: after a restart all work waits for the reconciler, and open channels lose their history")
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if info.get(name, "ok") != "ok":
            yield Finding("redis", Level.BAD, f"{name} is {info[name]}: look at its disk")
    if info.get("role", "master") != "master":
        yield Finding("redis", Level.BAD, "it is a replica, and takes no writes")
    if int(info.get("cluster_enabled", 0)):
        yield Finding("redis", Level.BAD, "it is a cluster, which Celery's transport cannot use")


def storage(store: ObjectStore, deployment: str) -> Findings:
    """Create-only writes, and our rights. Leaves nothing behind."""
    try:
        store.probe()
        yield Finding("storage", Level.OK, "create-only writes refuse a second writer; we may write, read, list and delete")
        try:
            owner = json.loads(store.get(DEPLOYMENT)).get("deployment")
        except ObjectNotFound:
            yield Finding("storage", Level.WARNING, "nobody has used it yet: the first process that starts takes it for its deployment")
            return
        if owner != deployment:
            yield Finding("storage", Level.BAD, f"it belongs to deployment {owner!r}, not to {deployment!r}")
    except (HeadraceError, ValueError, AttributeError) as error:
        yield Finding("storage", Level.BAD, str(error))


def storage_clock(store: ObjectStore) -> float:
    """Seconds since 1970, as the store dates what it has just been given. Raises HeadraceError."""
    key = f"{PROBE}{secrets.token_hex(12)}"
    try:
        store.put(key, b"")
        seen = store.stat(key)
        return seen.modified.timestamp() if seen else 0.0
    finally:
        with suppress(HeadraceError):
            store.delete([key])


def clock(part: str, ask: Callable[[], float], *, whole_seconds: bool = False) -> Findings:
    """Another clock against ours. `whole_seconds`: it tells no more than that."""
    try:
        before = time.time()
        theirs = ask()
        after = time.time()
    except HeadraceError as error:
        yield Finding(f"clock of {part}", Level.BAD, f"cannot be asked: {error}")
        return
    # What lies between the question and the answer is no difference.
    late, early = theirs - after, before - theirs - (1.0 if whole_seconds else 0.0)
    apart = max(late, early, 0.0)
    level = Level.BAD if apart > _BAD_SKEW_SECONDS else Level.WARNING if apart > _SKEW_SECONDS else Level.OK
    yield Finding(f"clock of {part}", level, f"{apart:.1f} s {'ahead of' if late > early else 'behind'} ours" if apart else "agrees with ours")


def fleet(processes: list[Process]) -> Findings:
    """Is somebody there of each kind, and are all of one version."""
    for kind in ("api", "worker", "reconciler"):
        versions = Counter(process.version for process in processes if process.kind == kind)
        text = ", ".join(f"{count} of version {version}" for version, count in sorted(versions.items()))
        level = Level.BAD if not versions else Level.WARNING if set(versions) != {VERSION} else Level.OK
        yield Finding(f"{kind}s" if kind != "api" else "api processes", level, text or "none has said within a minute that it lives")
