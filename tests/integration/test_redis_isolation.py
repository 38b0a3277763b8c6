"""Two stacks and a stranger's Celery on one Redis: nobody touches what is another's, neither keys nor pub/sub."""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from celery import Celery
from kombu import Consumer

from app.adapters.redis.calls import Terms
from app.domain.ids import SourceId
from app.domain.jobs import PROCESS_SOURCE, Lane, ProcessSource
from tests import servers
from tests.ledgers import OWNER, RedisFaces, record
from tests.monitor import Monitor
from tests.servers import Valkey, eventually

ROOT = Path(__file__).parents[2]
PREFIXES = ("a:", "b:")


@pytest.fixture(scope="module")
def server():
    with Valkey() as server:
        yield server


@pytest.fixture(autouse=True)
def empty(server):
    with server.client() as raw:
        raw.flushall()
        yield raw


class Stack:
    """A worker in a process of its own, and its application here to send and listen with."""

    def __init__(self, server, prefix, folder):
        self.prefix, self.name = prefix, (prefix or "foreign").rstrip(":")
        self.url = server.url
        self.hostname = f"worker@{self.name}"
        self.log = folder / f"{self.name}.log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "CELERY_"))}
        if prefix:
            environ |= {"CELERY_STACK": "headrace", "HEADRACE_REDIS_URL": server.url, "HEADRACE_REDIS_PREFIX": prefix}
        else:
            environ |= {"CELERY_STACK": "foreign", "FOREIGN_BROKER": server.url}
        argv = [sys.executable, "-m", "celery", "-A", "tests.integration.celery_stack", "worker", "--pool=solo", "-E", "--heartbeat-interval=1"]
        with self.log.open("wb") as log:
            self.process = servers.start([*argv, f"--hostname={self.hostname}", "--loglevel=info"], cwd=ROOT, env=environ, stdout=log, stderr=log)

    def wait_ready(self):
        eventually(lambda: f"{self.hostname} ready" in self.said(), seconds=60)

    def said(self):
        assert self.process.poll() is None, self.log.read_text()
        return self.log.read_text()

    def ran(self):
        return sorted(line.removeprefix("ran ") for line in self.said().splitlines() if line.startswith("ran "))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def app(self, monkeypatch):
        """The same application as the worker's."""
        app = Celery(self.name, set_as_current=False, broker=self.url)
        if self.prefix:
            with monkeypatch.context() as patch:
                patch.setenv("HEADRACE_REDIS_URL", self.url)
                patch.setenv("HEADRACE_REDIS_PREFIX", self.prefix)
                patch.delitem(sys.modules, "celeryconfig", raising=False)
                app = Celery(self.name, set_as_current=False)
                app.config_from_object("celeryconfig")
                assert app.conf.broker_transport_options["global_keyprefix"] == self.prefix
            sys.modules.pop("celeryconfig", None)
        yield app
        app.close()


@pytest.fixture
def start(server, tmp_path):
    with ExitStack() as stack:

        def start(*prefixes):
            stacks = [Stack(server, prefix, tmp_path) for prefix in prefixes]
            for one in stacks:
                stack.callback(one.stop)
            for one in stacks:
                one.wait_ready()
            return stacks

        yield start


def work(stacks, raw, monkeypatch):
    """Jobs to each stack, through Celery and through the ledger; then who ran what, who answers a ping, and whose events arrive, by stack."""
    answered, heard = defaultdict(set), defaultdict(set)
    for stack in stacks:
        name = stack.name
        with stack.app(monkeypatch) as app, app.connection_for_read() as connection, ExitStack() as listening:
            receiver = app.events.Receiver(connection, handlers={"*": lambda event, name=name: heard[name].add(event["hostname"])})
            channel = listening.enter_context(connection.channel())
            for consumer in receiver.get_consumers(partial(Consumer, channel), channel):
                listening.enter_context(consumer)
            if stack.prefix:
                for n in range(3):
                    app.send_task(PROCESS_SOURCE, kwargs=ProcessSource(owner=OWNER, source=f"{name}{n}", run=1).model_dump(mode="json"))
                with RedisFaces("redis", stack.url, stack.prefix, Terms(), raw) as ledger:
                    ledger.accept(OWNER, record(SourceId(f"{name}-ledger")))
            else:
                for n in range(3):
                    app.send_task("foreign.task", kwargs={"source": f"{name}{n}"})
            eventually(lambda stack=stack: len(stack.ran()) == 3 + bool(stack.prefix))
            deadline = time.monotonic() + 30
            while stack.hostname not in answered[name]:
                assert time.monotonic() < deadline
                answered[name] |= {host for reply in app.control.ping(timeout=1.5) for host in reply}
            while stack.hostname not in heard[name]:
                assert time.monotonic() < deadline
                connection.drain_events(timeout=10)
    return {stack.name: stack.ran() for stack in stacks}, dict(answered), dict(heard)


def test_all_that_two_stacks_do_is_under_their_prefixes(start, server, empty, monkeypatch):
    with Monitor(server) as seen:
        stacks = start(*PREFIXES)
        ran, answered, heard = work(stacks, empty, monkeypatch)
        for stack in stacks:
            stack.stop()
    assert ran == {"a": ["a-ledger", "a0", "a1", "a2"], "b": ["b-ledger", "b0", "b1", "b2"]}
    assert answered == heard == {"a": {"worker@a"}, "b": {"worker@b"}}

    touched = [(one, name) for one in seen.commands for name in one.names(empty)]
    assert {(one.words[0].upper(), name) for one, name in touched if not name.startswith(PREFIXES)} == set()
    by_client = defaultdict(set)
    for one, name in touched:
        by_client[one.client].add(name[:2])
    by_client.pop("lua")
    assert {client: prefixes for client, prefixes in by_client.items() if len(prefixes) > 1 and client != address(empty)} == {}
    published = {name for one, name in touched if one.words[0].upper() in {"PUBLISH", "PSUBSCRIBE", "SUBSCRIBE"}}
    for prefix in PREFIXES:
        mine = {name for name in published if name.startswith(prefix)}
        assert any("pidbox" in name for name in mine), "the control channel was seen"
        assert any("headrace.events" in name for name in mine), "the channel of Celery's events was seen"
        assert any(name.startswith(f"{prefix}live:") for name in mine), "our own live channel was seen"
        assert f"{prefix}{Lane.FAST.queue}" in {name for _, name in touched}
    assert [key for key in empty.scan_iter() if not key.startswith(PREFIXES)] == []


def address(raw):
    """Of this test's own connection, which looks at all of them."""
    return raw.client_info()["addr"]


def test_a_strangers_celery_and_two_stacks_run_only_their_own(start, empty, monkeypatch):
    stacks = start(*PREFIXES, "")
    ran, answered, heard = work(stacks, empty, monkeypatch)
    assert ran == {"a": ["a-ledger", "a0", "a1", "a2"], "b": ["b-ledger", "b0", "b1", "b2"], "foreign": ["foreign0", "foreign1", "foreign2"]}
    assert answered == heard == {"a": {"worker@a"}, "b": {"worker@b"}, "foreign": {"worker@foreign"}}
    for prefix in (*PREFIXES, ""):
        assert empty.llen(f"{prefix}{Lane.FAST.queue if prefix else 'celery'}") == empty.hlen(f"{prefix}unacked") == 0
