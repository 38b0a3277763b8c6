"""Sends large bodies over plain sockets, in a process of its own: `python -m bench.sender` reads a Sending, prints nothing. One thread a body."""

from __future__ import annotations

import pickle
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

# As compressed media looks: a boundary is searched for in it at its real pace.
_CHUNK = random.Random(1).randbytes(1024**2)


@dataclass(frozen=True, slots=True)
class Body:
    url: str
    headers: dict[str, str]
    before: bytes
    size: int
    """Of the filling between `before` and `after`; a multiple of 1 MiB."""
    after: bytes


def run(bodies: Sequence[Body]) -> None:
    """POST them all at once; returns when all were answered with 200."""
    subprocess.run([sys.executable, "-m", "bench.sender"], input=pickle.dumps(bodies), check=True)


def post(body: Body) -> None:
    url = urlsplit(body.url)
    length = len(body.before) + body.size + len(body.after)
    head = f"POST {url.path or '/'} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\nContent-Length: {length}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in body.headers.items()) + "\r\n"
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(head.encode() + body.before)
        for _ in range(body.size // len(_CHUNK)):
            connection.sendall(_CHUNK)
        connection.sendall(body.after)
        answer = connection.recv(64 * 1024)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{url.netloc} answered {answer[:200]!r}")


def _main() -> int:
    failed: list[threading.Thread] = []

    def attempt(body: Body) -> None:
        try:
            post(body)
        except BaseException:
            failed.append(threading.current_thread())
            raise

    threads = [threading.Thread(target=attempt, args=(body,)) for body in pickle.loads(sys.stdin.buffer.read())]  # noqa: S301 - from our own parent
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(failed)


if __name__ == "__main__":
    sys.exit(_main())
