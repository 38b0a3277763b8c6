"""Publishes milestones at a steady rate, in a process of its own: `python -m bench.flood` reads a Flood, prints what it Poured.

They are the ledger's own calls, made beforehand; only the moment of the sending (nanoseconds), which is the message's text, is put in then.
"""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import hiredis

from bench.lives import Life
from bench.pipeline import Pipeline

_MOMENT = "8" * 19
_AT_ONCE = 100
"""Calls in one write, when it is behind."""


@dataclass(frozen=True, slots=True)
class Flood:
    redis_url: str
    lives: Sequence[Life]
    """Claimed; each is told of in turn."""
    first_seq: int
    rate: float
    """A second, over all."""
    rounds: int
    """Milestones of each life."""


@dataclass(frozen=True, slots=True)
class Poured:
    sent: int
    appended: int
    """Of them, those that the script took."""
    seconds: float


def run(flood: Flood) -> Poured:
    done = subprocess.run([sys.executable, "-m", "bench.flood"], input=pickle.dumps(flood), stdout=subprocess.PIPE, check=True)
    return Poured(**json.loads(done.stdout))


def pour(flood: Flood) -> Poured:
    pipeline = Pipeline(flood.redis_url)
    frames = [
        pipeline.packed(life.say(seq, _MOMENT)).split(_MOMENT.encode())
        for seq in range(flood.first_seq, flood.first_seq + flood.rounds)
        for life in flood.lives
    ]
    pipeline.close()
    url = urlsplit(flood.redis_url)
    answers, appended, sent = hiredis.Reader(), 0, 0
    with socket.create_connection((url.hostname, url.port)) as redis:
        redis.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.perf_counter()
        while sent < len(frames):
            due = min(int((time.perf_counter() - started) * flood.rate) + 1, len(frames), sent + _AT_ONCE)
            if due == sent:
                time.sleep(max(0.0, started + sent / flood.rate - time.perf_counter()))
                continue
            moment = str(time.time_ns()).encode()
            redis.sendall(b"".join(moment.join(frame) for frame in frames[sent:due]))
            while sent < due:
                answer = answers.gets()
                if answer is False:
                    answers.feed(redis.recv(65536))
                    continue
                if isinstance(answer, Exception):
                    raise answer
                appended += answer > 0
                sent += 1
        seconds = time.perf_counter() - started
    return Poured(sent, appended, seconds)


if __name__ == "__main__":
    print(json.dumps(asdict(pour(pickle.load(sys.stdin.buffer)))))  # noqa: S301 - from our own parent
