"""Documents that are made to harm whoever reads them, sent to a running stack: each fails alone, and everybody lives on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import documents, office
from tests.client import Client, ends, eventually, until_closed
from tests.stack import ROOT, Stack
from tests.unit.isolation import plugin

if not Path("/proc/self/stat").exists():
    pytest.skip("looks into /proc", allow_module_level=True)

MIB = 1 << 20
HOSTILE = {
    "flate.pdf": (documents.flate_bomb_pdf, {"resource_limit", "crash", "malformed", None}),
    "bomb.docx": (lambda: documents.docx("x" * (64 * MIB)), {"bomb"}),
    "bomb.zip": (lambda: documents.zipped({str(number): bytes(16 * MIB) for number in range(4)}), {"bomb"}),
    "bomb.png": (documents.png_bomb, {"bomb"}),
    "noise.pdf": (documents.not_a_pdf, {"malformed"}),
    "ring.pdf": (documents.ring_pdf, {"malformed", None}),
    "laughs.svg": (documents.laughing_svg, {"bomb"}),
    "deep.html": (lambda: b"<html><body>" + b"<div>" * 500_000 + b"words", {"malformed", "resource_limit", None}),
    "deep.docx": (lambda: office.docx("<w:tbl><w:tr><w:tc>" * 20_000 + "</w:tc></w:tr></w:tbl>" * 20_000), {"malformed"}),
    "CRASH": (lambda: b"CRASH AND BURN", {"crash"}),
}


class OneWorker(Stack):
    """All runs are one worker's, which has two pool children."""

    command = ("tests.chaos.up", "worker.celery_app", "--children", "2")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With tests/plugins/shout installed by pip and the odd ones beside it. Both children have read something."""
    site = plugin.install(tmp_path_factory.mktemp("site"))
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-build-isolation", "--no-deps", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", *install, str(ROOT / "tests/plugins/shout")], check=True, timeout=100)
    running = OneWorker(tmp_path_factory.mktemp("stack"), workers="1")
    running.environ["PYTHONPATH"] = str(site)
    running.start()
    try:
        with running.client() as client:
            eventually(lambda: has_read(client) and sum("worker.isolation.host" in command for command in family(running).values()) == 2)
        yield running
    finally:
        running.stop()


def has_read(client: Client) -> bool:
    """Eight files, so that nobody's first one is among what is measured."""
    channel = client.register(expect=8)
    for number in range(8):
        client.upload(channel, b"words %d" % number)
    return all(end["status"] == "success" for end in ends(client.watch(channel)))


def family(stack: Stack) -> dict[int, str]:
    """The workers' processes with all that they started, by id; but for readings, which are forked for one file and end with it."""
    workers = [pid for name, pid in stack.processes().items() if name.startswith("worker")]
    parents = {}
    for at in Path("/proc").iterdir():
        if at.name.isdigit():
            try:
                parents[int(at.name)] = int((at / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
    found: dict[int, str] = {}
    wanted = list(workers)
    while wanted:
        pid = wanted.pop()
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "worker.isolation.host" not in found.get(parents[pid], ""):
            found[pid] = command
        wanted += [child for child, parent in parents.items() if parent == pid]
    return found


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_ends_within_a_minute_and_everybody_lives_on(stack: Stack, name: str) -> None:
    make, allowed = HOSTILE[name]
    body = make()
    before = {pid: resident(pid) for pid in family(stack)}
    with stack.client() as client:
        channel = client.register(expect=5)
        with client.socket(channel) as ws:
            hostile = client.upload(channel, body, filename=name)
            for _ in range(4):
                client.upload(channel, b"a small file beside it")
            events = until_closed(ws, seconds=60)
    codes = {event["source-uuid"]: event.get("code") for event in ends(events)}
    assert len(codes) == 5
    assert codes.pop(hostile) in allowed
    assert set(codes.values()) == {None}, "what is beside it succeeds"
    after = {pid: resident(pid) for pid in before if pid in family(stack)}
    assert before.keys() == after.keys(), "no process of the worker has ended"
    grown = {pid: (after[pid] - before[pid]) // MIB for pid in before}
    assert max(grown.values()) < 64, grown


def test_others_on_the_same_worker_go_on_while_one_reading_hangs(stack: Stack) -> None:
    with stack.client() as client:
        channel = client.register(expect=5)
        with client.socket(channel) as ws:
            hangs = client.upload(channel, b"HANG IN THERE")
            others = {client.upload(channel, b"quiet words") for _ in range(4)}
            events = []
            while len(ends(events)) < 4:
                events.append(json.loads(ws.recv(timeout=60)))
            assert {event["source-uuid"] for event in ends(events)} == others
            assert client.show(hangs)["state"] == "processing"
            assert client.http.delete(f"/public/sources/{hangs}").status_code == 204


def test_a_plugin_that_pip_installed_is_used(stack: Stack) -> None:
    with stack.client() as client:
        channel = client.register()
        with client.socket(channel) as ws:
            client.upload(channel, b"HEAR ME\nALL OF YOU", filename="loud.txt")
            end = ends(until_closed(ws))[0]
        assert end["status"] == "success"
        assert (end["result"]["processor"], end["result"]["document"], end["result"]["pages"]) == ("shout", {"title": "HEAR ME"}, 1)
        pages = client.http.get(end["result"]["text"]["pages-url"], follow_redirects=True)
        assert pages.json() == {"page": 1, "text": "Hear me\nall of you"}
