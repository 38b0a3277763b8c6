"""Who holds a lease, and whether that process can be proved dead from here."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

_NAME_BYTES = 16
"""Of a host's name, in a worker's. The digest has 17 with its slash, a pid 8 and the start of a process up to 20 with theirs."""


@cache
def _host() -> str:
    """This host's life: name, plus the boot id where the kernel tells one (a container's pids repeat; so do a rebooted host's).

    The beginning of the name, for who reads it, and a digest of all: a worker's name stays within 64 bytes. One longer text, and Redis keeps
    a whole hash in another form, which takes 400 bytes more of each source.
    """
    name = socket.gethostname()
    boot, pid_namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    try:
        life = f"{name}/{boot.read_text().strip()}/{pid_namespace.readlink()}"
    except OSError:
        life = name
    return f"{name.encode()[:_NAME_BYTES].decode(errors='ignore')}/{hashlib.sha256(life.encode()).hexdigest()[:16]}"


def _started(pid: int) -> str:
    """When the process began, in kernel ticks: tells it from a later one with the same pid. Empty where /proc is absent.

    Empty too for one that is over and not yet reaped: its pid is still there, and it does nothing any more.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def this_worker() -> str:
    """The name under which this process holds leases: host, pid, start of the process."""
    return _worker(os.getpid())


@cache
def _worker(pid: int) -> str:
    return f"{_host()}|{pid}|{_started(pid)}"


def is_provably_dead(worker: str) -> bool:
    """True only when `worker` was a process of this very host and runs no more. Never a guess: other hosts are never dead from here."""
    host, _, rest = worker.partition("|")
    pid, _, started = rest.partition("|")
    if host != _host() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError, OverflowError):  # not ours, or no name that we gave
        return False
    return bool(started) and _started(int(pid)) != started  # another process has the pid, or none does anything under it
