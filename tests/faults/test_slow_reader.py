"""Clients that connect and never read: each is gone within its bound, costs little meanwhile, and nobody else notices."""

import json
import re
import socket
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import RedisLedger
from app.domain.ids import SourceId, new_fence, owner_id
from app.domain.lease import this_worker
from tests.ledgers import milestone, record
from tests.ports import free_port
from tests.servers import Valkey, eventually
from tests.stack import Stack

BOUND_BYTES, BOUND_MESSAGES = 256 * 1024, 200
COST_BYTES = 512 * 1024
STUCK = 8
"""Of them together the process' memory is measured: of one alone it would be lost among what else moves."""
BATCH = 20
MOST_BYTES = 128 * 1024**2
"""Nobody's kernel takes so much for one connection that is not read."""


@pytest.fixture
def redis():
    with Valkey() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, redis: Valkey):
    """Without a worker's or the reconciler's hand in it: the lease of what the test writes does not run out."""
    running = Stack(tmp_path / "stack", redis_url=redis.url, metrics_port=str(free_port()), lease_seconds="600", workers="1").start()
    yield running
    running.stop()


class Writer:
    """A run at work on a channel, told of milestone by milestone."""

    def __init__(self, redis: Valkey, channel: str) -> None:
        self._ledger = RedisLedger(BlockingCommands(RedisLocation(redis.url, 10)), Calls(Keyspace("headrace:"), Terms()))
        self._owner, self._fence, self._seq = owner_id("dev", "e2e"), new_fence(), 0
        self._record = record(SourceId(f"source-of-{channel}"), ws=channel)
        assert self._ledger.claim(self._owner, self._record, fence=self._fence, worker=this_worker()).kind == "ok"

    def write(self, count: int, size: int) -> None:
        for _ in range(count):
            self._seq += 1
            event = milestone(self._record, "x" * size)
            assert self._ledger.append(self._owner, self._record, event, fence=self._fence, attempt=1, seq=self._seq, stage=None)

    def close(self) -> None:
        self._ledger.close()


class Good:
    """A client that reads. What it has not read in order fails the test."""

    def __init__(self, client, channel, held: ExitStack) -> None:
        self._socket = held.enter_context(client.socket(channel))
        self.position, self.offset = "", 0
        self.frame_bytes = 0
        """On the wire, so far."""

    def hear(self, count: int) -> None:
        for _ in range(count):
            text = self._socket.recv(timeout=60)
            self.position = json.loads(text)["event-id"]
            self.offset += 1
            assert int(self.position.partition(":")[2]) == self.offset
            self.frame_bytes += len(text) + 4


def stuck(stack: Stack, channel: str, after: str) -> socket.socket:
    """Opens a socket as a client does that comes back, and reads nothing after the handshake; the kernel takes little for it."""
    host, _, port = stack.base_url.removeprefix("http://").partition(":")
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.connect((host, int(port)))
    opened.sendall(
        f"GET /ws/{channel}?after={after} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += opened.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return opened


def kernel_bytes(clients: list[socket.socket]) -> list[int]:
    """What the kernel holds for each of these clients, on both ends of the connection."""
    held = {client.getsockname()[1]: 0 for client in clients}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(fields[place].partition(":")[2], 16) for place in (1, 2))
        unsent, unread = (int(size, 16) for size in fields[4].split(":"))
        if local in held:
            held[local] += unread
        elif remote in held:
            held[remote] += unsent
    return list(held.values())


def metric(stack: Stack, name: str) -> float:
    """Summed over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.environ['HEADRACE_METRICS_PORT']}/metrics") as answer:
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found, name
    return sum(map(float, found))


def rss_bytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss:\s+(\d+) kB", rollup, re.MULTILINE)[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory and sockets are read from /proc")
@pytest.mark.parametrize(("size", "bound"), [(4000, "bytes"), (700, "messages")])
def test_a_client_that_never_reads_is_gone_within_its_bound_and_delays_nobody(stack: Stack, redis: Valkey, size: int, bound: str) -> None:
    with ExitStack() as held:
        client = held.enter_context(stack.client())
        crowded, other = client.register(), client.register()
        writers = [Writer(redis, channel) for channel in (crowded, other)]
        for writer in writers:
            held.callback(writer.close)
        good = [Good(client, channel, held) for channel in (crowded, other)]

        def both(count: int) -> None:
            for writer in writers:
                writer.write(count, size)
            for reader in good:
                reader.hear(count)

        both(300)  # warm
        pid = stack.processes()["api1"]
        rss, begun = rss_bytes(pid), good[0].frame_bytes
        never = [held.enter_context(stuck(stack, crowded, good[0].position)) for _ in range(STUCK)]
        while metric(stack, "headrace_sockets_slow_total") < STUCK:
            both(BATCH)
            sent = good[0].frame_bytes - begun
            assert sent < MOST_BYTES
            assert rss_bytes(pid) - rss < STUCK * COST_BYTES
            if not metric(stack, "headrace_sockets_slow_total"):
                most = sent - min(kernel_bytes(never))
                frame = good[0].frame_bytes / good[0].offset
                assert most <= (BOUND_BYTES if bound == "bytes" else BOUND_MESSAGES * frame) + 2 * frame
        eventually(lambda: metric(stack, "headrace_sockets") == len(good))
        both(BATCH)
        assert rss_bytes(pid) - rss < STUCK * COST_BYTES
        for client_of in never:  # what the kernel had taken, and then the end
            with suppress(ConnectionResetError):
                while client_of.recv(65536):
                    pass
