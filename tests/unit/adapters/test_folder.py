"""The folder store through crashes, full disks and several processes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adapters import durable
from app.adapters.folder import FolderObjectStore
from app.adapters.folder_name import decode, encode, place_of
from app.domain.errors import Unavailable
from app.domain.ids import Fence, OwnerId, SourceId
from app.domain.layout import artifact_key, artifact_type
from worker.pipeline.stages.store import MADE

PART = 5 * 1024 * 1024
DAY = 24 * 3600
OWNER = "0123456789abcdef" * 2
REPOSITORY = Path(__file__).parents[3]

USUAL = ("objects/o/u", "application/octet-stream")
TYPED = ("objects/o/u", "application/pdf")


class Crash(BaseException):
    """The process ends here; nothing of it runs on."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> FolderObjectStore:
    return FolderObjectStore(root)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def steps(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> None:
    """Run `act` with `before(n)` called before its n-th system call."""
    numbers = itertools.count(1)

    def counted(real):
        def call(*arguments, **named):
            before(next(numbers))
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for name in ("fsync", "link", "symlink", "rename", "unlink", "pwrite", "open", "mkdir", "readlink", "fchmod"):
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(durable, "_FULL_SYNC", None)
        act()


def put(store: FolderObjectStore, body: bytes, key: str, media_type: str) -> None:
    store.put(key, body, media_type=media_type)


def transfer(store: FolderObjectStore, body: bytes, key: str, media_type: str) -> None:
    one = store.start(key, part_bytes=PART, media_type=media_type)
    one.put_part(1, body)
    one.complete()


def create(store: FolderObjectStore, body: bytes, key: str, media_type: str) -> None:
    store.create(key, body, media_type=media_type)


OLD, NEW = (b"the old bytes", "text/old"), (b"the new, longer bytes", "text/new")
USUAL_OLD = (b"the old bytes", "application/octet-stream")
USUAL_NEW = (b"the new, longer bytes", "application/octet-stream")


def state(store: FolderObjectStore, key: str) -> tuple[bytes, str] | None:
    seen = store.stat(key)
    return (store.get(key), seen.media_type) if seen else None


WRITES = [(put, old) for old in (None, OLD, USUAL_OLD)] + [(transfer, old) for old in (None, OLD, USUAL_OLD)] + [(create, None)]


@pytest.mark.parametrize(("write", "old"), WRITES)
@pytest.mark.parametrize("new", [NEW, USUAL_NEW])
def test_a_crash_at_any_step_shows_the_old_or_the_new_whole(root: Path, monkeypatch: pytest.MonkeyPatch, write, old, new) -> None:
    """Bytes and type belong together at each step. Nothing of our own clean-up runs: from that step on every call fails."""
    key, step, crashed, shown = "objects/o/u", 0, True, set()
    while crashed:
        step += 1
        place = FolderObjectStore(root / f"{step}")
        if old:
            place.put(key, old[0], media_type=old[1])

        def fail(n: int, step: int = step) -> None:
            if n >= step:
                raise Crash

        try:
            steps(lambda place=place: write(place, new[0], key, new[1]), monkeypatch, fail)
            crashed = False
        except Crash:
            pass
        after = FolderObjectStore(root / f"{step}")
        seen = state(after, key)
        assert seen in (old, new)
        assert after.keys("") == ([key] if seen else [])
        assert after.names("objects/") == (["o/"] if seen else [])
        shown.add(seen)
        after.put(key, b"and on it goes")
        assert after.get(key) == b"and on it goes"
    assert seen == new
    assert shown == {old, new}
    assert step > 5


@pytest.mark.parametrize(("write", "old"), WRITES)
@pytest.mark.parametrize("new", [NEW, USUAL_NEW])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_refuses_at_any_step_is_unavailable_and_nothing_of_the_write_shows(
    root: Path, monkeypatch: pytest.MonkeyPatch, write, old, new, code: int
) -> None:
    key, step, count, refusals = "objects/o/u", 0, 0, []
    while step <= count:
        step += 1
        place = FolderObjectStore(root / f"{step}")
        if old:
            place.put(key, old[0], media_type=old[1])

        def fail(n: int, step: int = step) -> None:
            nonlocal count
            count = max(n, count)
            if n == step:
                raise OSError(code, os.strerror(code))

        try:
            steps(lambda place=place: write(place, new[0], key, new[1]), monkeypatch, fail)
            expected = new
        except Unavailable as error:
            refusals.append(error)
            expected = old
        assert state(place, key) == expected
    assert len(refusals) >= 5
    assert {error.code for error in refusals} == {"storage_failed"}
    assert not any(str(root) in str(error) for error in refusals)


def test_the_bytes_are_durable_before_the_entry_and_the_entry_before_the_answer(store: FolderObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noted(name: str, real):
        def call(*arguments, **named):
            kind = {True: " folder", False: " file"}[stat.S_ISDIR(os.fstat(arguments[0]).st_mode)] if name == "fsync" else ""
            real(*arguments, **named)
            done.append(name + kind)

        return call

    store.put("inbox/first", b"", media_type="application/json")  # the folder is there, and durable
    for name in ("fsync", "link", "rename", "symlink"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    monkeypatch.setattr(durable, "_FULL_SYNC", None)
    store.create("inbox/a", b"x")
    assert done == ["fsync file", "link", "fsync folder"]
    done.clear()
    store.put("inbox/b", b"x", media_type="application/json")
    assert done == ["fsync file", "rename", "fsync folder"]
    done.clear()
    store.put("channels/w/o/marker", b"")
    assert done[:2] == ["rename", "fsync folder"], "an empty one is its entry alone"
    done.clear()
    store.create("inbox/c", b"x", media_type="text/plain")
    assert done == ["fsync file", "rename", "symlink", "fsync folder"]


def test_each_artifact_of_a_run_is_one_file(store: FolderObjectStore, root: Path) -> None:
    for name in MADE:
        media_type = artifact_type(name)
        assert media_type != "application/json", name
        key = artifact_key(OwnerId(OWNER), SourceId("a-source"), 1, Fence("f" * 32), name)
        store.put(key, b"x", media_type=media_type)
        assert store.stat(key).media_type == media_type
    found = everything(root)
    assert len(found) == len(MADE)
    assert not [name for name in found if (root / name).is_symlink()]


def test_an_artifact_of_an_older_version_keeps_its_type(store: FolderObjectStore, root: Path) -> None:
    """They lay behind links, as what has no usual type."""
    key = f"sources/{OWNER}/a-source/runs/1/{'f' * 32}/text.txt"
    entry = place_of(root, key)
    entry.parent.mkdir(parents=True)
    body = "=0123456789abcdef,text%2Fplain; charset=utf-8"
    (entry.parent / body).write_bytes(b"old")
    entry.symlink_to(body)
    assert state(store, key) == (b"old", "text/plain; charset=utf-8")
    store.put(key, b"new", media_type="text/plain; charset=utf-8")
    assert state(store, key) == (b"new", "text/plain; charset=utf-8")
    assert len(everything(root)) == 1


def test_new_folders_are_durable_up_to_the_root_and_only_once(store: FolderObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = durable.sync
    monkeypatch.setattr(durable, "sync", lambda fd: (synced.append(os.fstat(fd).st_ino), real(fd)))
    store.create("sources/o/s/runs/1/result.json", b"{}")
    folders = ["sources/o/+s/s/runs/1", "sources/o/+s/s/runs", "sources/o/+s/s", "sources/o/+s", "sources/o", "sources", ""]
    assert synced[1:] == [(root / folder).stat().st_ino for folder in folders]
    synced.clear()
    store.create("sources/o/s/runs/1/other", b"{}")
    assert synced[1:] == [(root / folders[0]).stat().st_ino]


def test_a_refused_creator_waits_until_what_refused_it_is_durable(store: FolderObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would answer on an entry that a power cut takes."""
    store.create("inbox/a", b"1")
    synced = []
    real = durable.sync
    monkeypatch.setattr(durable, "sync", lambda fd: (synced.append(fd), real(fd)))
    assert store.create("inbox/a", b"2") is False
    assert synced


# ------------------------------------------------------------------------------------------------ leftovers


def test_temporary_files_go_after_a_day_and_never_before(store: FolderObjectStore, root: Path) -> None:
    running = store.start("objects/o/u", part_bytes=PART)
    running.put_part(1, b"slow")
    for name, age in (("=old", DAY + 60), ("=young", DAY - 60)):
        (root / "+tmp" / name).write_bytes(b"")
        os.utime(root / "+tmp" / name, (time.time() - age,) * 2)
    FolderObjectStore(root)
    assert not (root / "+tmp" / "=old").exists()
    assert (root / "+tmp" / "=young").exists()
    running.complete()
    assert store.get("objects/o/u") == b"slow"


def test_a_transfer_whose_file_was_swept_is_unavailable(store: FolderObjectStore, root: Path) -> None:
    running = store.start("objects/o/u", part_bytes=PART)
    running.put_part(1, b"x")
    for temp in (root / "+tmp").iterdir():
        temp.unlink()
    with pytest.raises(Unavailable):
        running.complete()
    running.abort()
    assert store.keys("") == []


def test_bodies_without_an_entry_go_after_a_day_when_their_folder_is_listed(store: FolderObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(*("inbox/a", b"kept"), media_type="text/plain")
    store.put("inbox/b", b"kept too")
    stray = root / "inbox" / "=0123456789abcdef,text:stray"
    stray.write_bytes(b"lost")
    assert store.names("inbox/") == ["a", "b"]
    assert stray.exists()
    later = time.time() + DAY + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert store.names("inbox/") == ["a", "b"]
    assert not stray.exists()
    assert (store.get("inbox/a"), store.get("inbox/b")) == (b"kept", b"kept too")


def test_a_write_leaves_nothing_but_its_object(store: FolderObjectStore, root: Path) -> None:
    for media_type in ("application/octet-stream", "text/plain", "text/plain", "application/octet-stream"):
        store.put("objects/o/u", b"x", media_type=media_type)
    store.create("inbox/a", b"{}")
    store.create("inbox/a", b"{}", media_type="text/plain")
    assert everything(root) == ["inbox/a=", "objects/o/+u/u="]
    transfer(store, b"x", *USUAL)
    store.start("objects/o/v", part_bytes=PART).abort()
    assert everything(root) == ["inbox/a=", "objects/o/+u/u="]
    store.delete(["inbox/a", "objects/o/u"])
    assert everything(root) == []


def test_empty_folders_go_with_their_last_object_but_those_at_the_top(store: FolderObjectStore, root: Path) -> None:
    store.put("sources/o/s/runs/1/result.json", b"")
    store.put("inbox/a", b"")
    store.delete(["sources/o/s/runs/1/result.json", "inbox/a"])
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["+tmp", "inbox", "sources"]


def test_descriptors_are_given_back(store: FolderObjectStore) -> None:
    def used() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    store.put("objects/o/u", bytes(100))
    before = used()
    for _ in range(5):
        store.read("objects/o/u")
        next(store.read("objects/o/u", chunk_bytes=1))
        transfer(store, b"x", *TYPED)
        store.start("objects/o/v", part_bytes=PART).abort()
        store.names("")
    assert used() == before


# ------------------------------------------------------------------------------------------------ names on the disk


def test_strangers_in_the_folder_are_not_objects(store: FolderObjectStore, root: Path) -> None:
    store.put("inbox/a", b"")
    for name in (".DS_Store", "lost+found", "README", "a,ff=", "a,zz=", "A="):
        (root / "inbox" / name).write_bytes(b"")
    (root / "lost+found").mkdir()
    (root / "Empty").mkdir()
    assert store.names("inbox/") == ["a"]
    assert store.keys("") == ["inbox/a"]
    assert store.names("") == ["inbox/"]


def test_no_two_keys_meet_where_case_does_not_count(store: FolderObjectStore, root: Path) -> None:
    for key in ("inbox/ABC", "inbox/abc", "inbox/aBc", "sources/O/S/x", "sources/o/s/x", "objects/o/Ab", "objects/o/ab"):
        store.put(key, b"")
    names = [str(path) for path in root.rglob("*")]
    assert len({name.lower() for name in names}) == len(names)


@pytest.mark.parametrize("segment", ["a", "A", "aBc-D", "Z" * 161, "a~B_.", "...", "0"])
def test_names_read_back(segment: str) -> None:
    name = encode(segment)
    assert name == name.lower()
    assert decode(name) == segment
    assert len(name) + 1 <= 255


def test_no_key_leads_outside(tmp_path: Path) -> None:
    for key in ("../x", "a/../../x", "/etc/passwd", "a/..", "~/x/../.."):
        with pytest.raises(ValueError, match="not a key"):
            place_of(tmp_path, key)
    assert place_of(tmp_path, "~/x").is_relative_to(tmp_path)


def test_a_name_too_long_for_a_file_system_is_refused(store: FolderObjectStore) -> None:
    for key in ("inbox/" + "a" * 255, "inbox/" + "A" * 240, "a" * 300 + "/b"):
        with pytest.raises(ValueError, match="too long"):
            store.put(key, b"")


def test_an_entry_whose_bytes_were_lost_is_said_and_not_hidden(store: FolderObjectStore, root: Path) -> None:
    store.put("inbox/a", b"x", media_type="text/plain")
    (root / "inbox").joinpath((root / "inbox" / "a=").readlink()).unlink()
    with pytest.raises(Unavailable, match="lost"):
        store.get("inbox/a")
    assert store.create("inbox/a", b"") is False


# ------------------------------------------------------------------------------------------------ several processes

RACE = """
    import sys
    from pathlib import Path
    from app.adapters.folder import FolderObjectStore
    store = FolderObjectStore(Path(sys.argv[1]))
    me = sys.argv[2]
    print("ready", flush=True)
    sys.stdin.readline()
    print(",".join(str(n) for n in range(200) if store.create(f"sources/o/s{n % 7}/{n}", me.encode(), media_type=f"text/{me}")))
"""
CHURN = """
    import sys
    from pathlib import Path
    from app.adapters.folder import FolderObjectStore
    store = FolderObjectStore(Path(sys.argv[1]))
    me = sys.argv[2]
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(150):
        key = f"sources/o/s/runs/{me}{n}"
        store.put(key, me.encode(), media_type="text/plain" if n % 2 else "application/json")
        assert store.get(key) == me.encode(), key
        assert store.create(f"objects/o/{me}", b"x")
        store.put("objects/o/shared", me.encode() * 1000, media_type=f"text/{me}")
        body = store.get("objects/o/shared")
        assert len(set(body)) == 1 and len(body) == 1000, body[:10]
        store.delete([key, f"objects/o/{me}"])
        assert store.stat(key) is None
    print("done")
"""


@contextlib.contextmanager
def processes(script: str, root: Path, names: str) -> Iterator[list[subprocess.Popen]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": REPOSITORY}
    running = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(root), name], **pipes) for name in names]
    try:
        for one in running:
            assert one.stdout.readline() == "ready\n", one.stderr.read()
        for one in running:
            one.stdin.write("\n")
            one.stdin.flush()
        yield running
    finally:
        for one in running:
            one.kill()
            one.communicate()


def test_of_processes_that_create_the_same_keys_one_wins_each(root: Path) -> None:
    with processes(RACE, root, "abc") as running:
        won = [one.communicate(timeout=60) for one in running]
    assert [errors for _, errors in won] == ["", "", ""]
    winners = [[int(n) for n in out.strip().split(",") if n] for out, _ in won]
    assert sorted(n for numbers in winners for n in numbers) == list(range(200))
    store = FolderObjectStore(root)
    for name, numbers in zip("abc", winners, strict=True):
        for n in numbers:
            key = f"sources/o/s{n % 7}/{n}"
            assert (store.get(key), store.stat(key).media_type) == (name.encode(), f"text/{name}")


def test_writers_survive_the_pruning_of_others(root: Path) -> None:
    """Each deletes the last object of folders into which the others write at that moment."""
    with processes(CHURN, root, "abcd") as running:
        ended = [one.communicate(timeout=100) for one in running]
    assert [errors for _, errors in ended] == [""] * 4
    assert [out for out, _ in ended] == ["done\n"] * 4
    store = FolderObjectStore(root)
    assert store.keys("") == ["objects/o/shared"]
    assert not list((root / "+tmp").iterdir())


def test_a_folder_that_is_there_only_for_the_moment_in_which_it_is_made_is_made_again(store: FolderObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer made it, and another one pruned it before we could look."""
    made = []
    mkdir = os.mkdir

    def once_there(path, *rest, **more):
        made.append(path)
        if len(made) == 1:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        mkdir(path, *rest, **more)

    monkeypatch.setattr(os, "mkdir", once_there)
    store.put("objects/u", b"body")
    assert store.get("objects/u") == b"body"
    assert len(made) > 1
