"""What a file can make its parser do, and what comes of it: a failure of that file, and nothing else."""

import contextlib
import errno
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from app.domain import media
from app.domain.errors import ProcessingFailed, Unavailable
from headrace_plugin import CHUNKS, TEXT, Heading, Limits, Thumbnail
from tests import documents
from tests.unit.isolation import plugin
from worker.chunks.cutting import Cut
from worker.isolation import parser_host
from worker.isolation.parser import Request
from worker.isolation.parser_host import ParserHost

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own means")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """With the plug-in of tests/unit/isolation/plugin.py installed."""
    folder = plugin.install(tmp_path_factory.mktemp("plugins"))
    sys.path.insert(0, str(folder))
    found = ParserHost()
    try:
        yield found
    finally:
        found.close()
        sys.path.remove(str(folder))


@pytest.fixture
def ask(host, tmp_path):
    """Asks for one reading; each in a folder of its own."""
    number = iter(range(1000))

    def extract(media_type, data=b"words", *, alive=lambda _: None, **limits):
        return host.extract(request(media_type, data, **limits), alive)

    def request(media_type, data=b"words", **limits):
        folder = tmp_path / str(next(number))
        folder.mkdir()
        (tmp_path / "source").write_bytes(data)
        return Request(tmp_path / "source", media_type, folder, filename="a.txt", limits=Limits(**limits))

    extract.request = request
    extract.folder = tmp_path
    return extract


def pids_of(host):
    return {each.pid for each in host._idle}


def pid_in(ask):
    """The file in which a reading says its id, or that of what it started; None so far."""
    return next((path for path in ask.folder.glob("*/pid") if path.read_text()), None)


def is_gone(pid):
    """Ended; a zombie whose parent is about to look has ended too."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if sys.platform == "linux" and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


def test_text_is_read(ask):
    answer = ask(media.PLAIN, b"three small words")
    assert (answer.processor, answer.version, answer.draws, answer.files) == ("text", "1", False, ["text.txt"])
    assert (answer.text.characters, answer.text.words, answer.text.preview) == (17, 3, "three small words")


def test_what_nobody_reads_has_an_empty_answer(ask):
    answer = ask("image/unheard-of")
    assert (answer.processor, answer.text, answer.files) == (None, None, [])


def test_all_that_a_processor_finds_comes_across(ask, host):
    request = ask.request("odd/all")
    answer = host.extract(request, lambda _: None)
    found = answer.extracted
    assert (answer.processor, answer.version, answer.draws) == ("odd", "7", True)
    assert (found.pages, found.width, found.height, found.frames, found.duration_seconds) == (2, 3, 4, 5, 1.5)
    assert (found.encoding, found.language, found.document, list(found.outline), found.details) == (
        "utf-8",
        "en",
        {"title": "T"},
        [Heading("One", 1, 1)],
        {"more": [1]},
    )
    assert [(warning.code, warning.message) for warning in answer.warnings] == [("odd", "said")]
    assert answer.files == ["text.txt", "pages.jsonl", "document.md"]
    assert (request.folder / "text.txt").read_text() == "one\ftwo words"
    assert (request.folder / "pages.jsonl").read_text() == '{"page": 1, "text": "one", "label": "first"}\n{"page": 2, "text": "two words"}\n'
    assert (answer.text.characters, answer.text.words) == (13, 3)


def a_text(ask, text="One sentence. Another one. "):
    request = ask.request(media.PLAIN)
    (request.folder / TEXT).write_text(text)
    return request, Cut(30, len(text), (TEXT,))


def test_a_text_is_cut_into_chunks(ask, host):
    request, cut = a_text(ask, "One sentence. Another one. " * 1000)
    told = []
    assert host.chunk(request, told.append, cut) == 1000
    lines = (request.folder / CHUNKS).read_text().splitlines()
    assert len(lines) == 1000
    assert json.loads(lines[0])["text"] == "One sentence. Another one."
    assert [each.total for each in told if each] == [27_000] * len([each for each in told if each])


@pytest.mark.parametrize(("limits", "code"), [({"file_bytes": 1 << 16}, "resource_limit"), ({"wall_seconds": 0.0}, "timeout")])
def test_cutting_has_the_limits_of_a_reading(ask, host, limits, code):
    request, cut = a_text(ask, "One sentence. Another one. " * 10_000)
    with pytest.raises(ProcessingFailed) as failure:
        host.chunk(replace(request, limits=Limits(**limits)), lambda _: None, cut)
    assert failure.value.code == code
    assert host.chunk(*a_text(ask)[:1], lambda _: None, Cut(30, 27, (TEXT,))) == 1


@pytest.mark.parametrize(
    ("what", "codes", "limits"),
    [
        ("memory", {"resource_limit"}, {"memory_bytes": 512 << 20}),
        ("giant", {"resource_limit"}, {}),
        ("cpu", {"resource_limit"}, {"cpu_seconds": 1}),
        ("deaf", {"resource_limit"}, {"cpu_seconds": 1}),
        ("disk", {"resource_limit"}, {"file_bytes": 1 << 22}),
        ("recursion", {"resource_limit"}, {}),
        ("sleep", {"timeout"}, {"wall_seconds": 0.3}),
        ("family", {"timeout"}, {"wall_seconds": 0.3}),
        ("abort", {"crash"}, {}),
        ("segfault", {"crash"}, {}),
        ("leave", {"crash"}, {}),
        ("exit", {"crash"}, {}),
        ("bug", {"crash"}, {}),
        ("link", {"crash"}, {}),
        ("hardlink", {"crash"}, {}),
        ("garbage", {"crash"}, {}),
        ("forged", {"crash"}, {}),
        ("unknown", {"crash"}, {}),
        ("flood", {"crash"}, {}),
        ("malformed", {"malformed"}, {}),
    ],
)
def test_whatever_it_does_is_a_failure_of_its_file_alone(ask, host, what, codes, limits):
    ask(media.PLAIN)
    before = pids_of(host)
    with pytest.raises(ProcessingFailed) as failure:
        ask(f"odd/{what}", **limits)
    assert failure.value.code in codes, failure.value.detail
    assert ask(media.PLAIN).text.words == 1
    assert pids_of(host) == before, "the host lives on"


def test_a_pdf_that_unpacks_to_gigabytes_is_held_to_its_memory(ask):
    with pytest.raises(ProcessingFailed) as failure:
        ask(media.PDF, documents.flate_bomb_pdf(), memory_bytes=256 << 20)
    assert failure.value.code in {"resource_limit", "malformed"}


def test_unsupported_leaves_the_file_to_the_next_and_nothing_behind(ask):
    answer = ask("odd/unsupported")
    assert (answer.processor, answer.text, answer.files, answer.warnings) == (None, None, [], [])
    assert not any(ask.folder.glob("*/text.txt"))


@pytest.mark.parametrize("what", ["family", "orphan"])
def test_whatever_it_started_goes_with_it(ask, what):
    with contextlib.suppress(ProcessingFailed):
        ask(f"odd/{what}", wall_seconds=2)
    assert is_gone(int((pid_in(ask)).read_text()))


@on_linux
def test_it_has_no_surroundings(ask, monkeypatch):
    monkeypatch.setenv("HEADRACE_S3_SECRET_ACCESS_KEY", "secret")
    seen = ask("odd/look").extracted.details
    assert not [name for name in seen["environ"] if "HEADRACE" in name or "AWS" in name or "PYTHON" in name]
    assert seen["environ"]["HOME"] == seen["cwd"]
    assert len(seen["descriptors"]) == 5, "three to nowhere, its lines, and the listing itself"
    assert (seen["tcp"], seen["unix"], seen["leave"]) == (errno.EPERM, errno.EPERM, errno.EPERM)
    assert (seen["threads"], seen["group"]) == (1, True)


@on_linux
def test_it_writes_nowhere_but_into_its_folder(ask):
    if not landlock_works():
        pytest.skip("this kernel has no Landlock")
    seen = ask("odd/look").extracted.details
    assert (seen["write"], seen["truncate"], seen["make"], seen["remove"], seen["nowhere"]) == (errno.EACCES, errno.EACCES, errno.EACCES, errno.EACCES, 0)
    assert (ask.folder / "source").read_bytes() == b"words"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_memory_that_a_reading_frees_is_used_again_and_not_asked_for_anew(ask):
    """Twenty times 8 MiB would be 40,000 pages that the kernel fills with zeros."""
    assert ask("odd/again").extracted.details["pages"] < 4000


def landlock_works():
    tried = subprocess.run(
        [sys.executable, "-c", "import sys, pathlib; from worker.isolation import landlock; sys.exit(not landlock.confine(pathlib.Path('.')))"],
        cwd=Path(parser_host.__file__).parents[2],
        check=False,
    )
    return tried.returncode == 0


def test_progress_comes_four_times_a_second_at_most_and_in_order(ask):
    told = []
    ask("odd/steps", alive=lambda progress: progress and told.append((time.monotonic(), progress)))
    assert 1 <= len(told) <= 5
    assert all(a.done < b.done for (_, a), (_, b) in pairwise(told))
    assert {(progress.total, progress.unit) for _, progress in told} == {(40, "steps")}


def test_what_alive_raises_kills_it_and_is_raised(ask, host):
    class Cancelled(Exception):
        pass

    def stop(_):
        if pid_in(ask):
            raise Cancelled

    ask(media.PLAIN)
    before = pids_of(host)
    with pytest.raises(Cancelled):
        ask("odd/sleep", alive=stop)
    assert is_gone(int((pid_in(ask)).read_text()))
    assert ask(media.PLAIN).text.words == 1
    assert pids_of(host) == before


def test_an_exception_out_of_nowhere_leaves_no_host_half_asked(ask, host):
    """Celery raises its soft time limit into whatever line is running."""

    class Soft(Exception):
        pass

    def ring(*_):
        raise Soft

    before = signal.signal(signal.SIGALRM, ring)
    try:
        for seconds in (0.05, 0.0003, 0.001, 0.003, 0.006, 0.01):
            request = ask.request("odd/sleep", wall_seconds=5)
            with pytest.raises(Soft):
                signal.setitimer(signal.ITIMER_REAL, seconds)
                host.extract(request, lambda _: None)
            assert ask(media.PLAIN).text.words == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_host_that_was_killed_is_nobodys_fault_and_the_next_reading_has_another(ask, host):
    ask(media.PLAIN)
    for pid in pids_of(host):
        os.kill(pid, signal.SIGKILL)
    for _ in pids_of(host):
        with pytest.raises(Unavailable, match="host is gone"):
            ask(media.PLAIN)
    assert ask(media.PLAIN).text.words == 1


def test_a_host_ends_with_its_parent_and_what_it_forked_too(tmp_path):
    plugin.install(tmp_path)
    (tmp_path / "source").write_bytes(b"x")
    (tmp_path / "made").mkdir()
    code = (
        "import sys; from pathlib import Path\n"
        "from worker.isolation.parser_host import ParserHost; from worker.isolation.parser import Request\n"
        "at = Path(sys.argv[1]); host = ParserHost(); host.warm(); print(host._idle[0].pid, flush=True)\n"
        "host.extract(Request(at / 'source', 'odd/sleep', at / 'made'), lambda _: None)\n"
    )
    root = Path(parser_host.__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, env={"PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"}
    ) as parent:
        host = int(parent.stdout.readline())
        deadline = time.monotonic() + 30
        while not (tmp_path / "made/pid").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        parent.kill()
    assert is_gone(host)
    assert is_gone(int((tmp_path / "made/pid").read_text()))


def test_a_host_whose_parent_went_without_reading_all_ends_without_a_word():
    ours, theirs = socket.socketpair()
    root = Path(parser_host.__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", "worker.isolation.host"], stdin=theirs, stderr=subprocess.PIPE, cwd=root, env={"PYTHONPATH": str(root)}
    ) as host:
        theirs.close()
        ours.recv(1, socket.MSG_PEEK)  # it has said something
        ours.close()
        said = host.communicate(timeout=60)[1]
    assert (host.returncode, b"Traceback" in said) == (0, False)


def test_threads_read_at_the_same_time(ask, host):
    stop = threading.Event()

    class Stopped(Exception):
        pass

    def alive(_):
        if stop.is_set():
            raise Stopped

    request, ended = ask.request("odd/sleep"), []

    def sleep():
        try:
            host.extract(request, alive)
        except Stopped:
            ended.append(True)

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    deadline = time.monotonic() + 30
    while not pid_in(ask) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ask(media.PLAIN).text.words == 1
    stop.set()
    sleeper.join()
    assert ended == [True]


def test_a_thumbnail_is_drawn_by_who_read_the_file(ask, host):
    request = ask.request("odd/all")
    assert host.thumbnail(request, lambda _: None, processor="odd") == Thumbnail(3, 4)
    assert (request.folder / "thumbnail.webp").read_bytes() == b"RIFF"
    assert host.thumbnail(ask.request(media.PLAIN), lambda _: None, processor="text") is None
    with pytest.raises(ProcessingFailed):
        host.thumbnail(ask.request("odd/abort"), lambda _: None, processor="odd")


@on_linux
def test_this_process_does_not_grow_with_what_it_asks_for(ask):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    ask(media.PLAIN)
    before = resident()
    for _ in range(3):
        with pytest.raises(ProcessingFailed):
            ask("odd/memory", memory_bytes=512 << 20)
    assert resident() - before < 64 << 20
