"""The promises of app.ports.ObjectStore, sentence by sentence, over every adapter."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.domain.errors import ObjectNotFound, Unavailable
from app.domain.ids import OwnerId, SourceId, UploadId
from app.domain.layout import inbox_key, object_key, result_key
from app.ports import ObjectStore

PART = 5 * 1024 * 1024
OWNER = OwnerId("0123456789abcdef" * 2)
THREADS = 16


def part(number: int, size: int = PART) -> bytes:
    return random.Random(number).randbytes(size)


# ------------------------------------------------------------------------------------------------ put, create


def test_what_was_put_is_read_at_once(store: ObjectStore) -> None:
    store.put("objects/o/u", b"bytes")
    assert store.get("objects/o/u") == b"bytes"


def test_put_replaces_bytes_and_type(store: ObjectStore) -> None:
    for body, media_type in ((b"one", "text/plain"), (b"other", "application/octet-stream"), (b"", "application/pdf"), (b"x", "application/json")):
        store.put("objects/o/u", body, media_type=media_type)
        assert store.get("objects/o/u") == body
        seen = store.stat("objects/o/u")
        assert (seen.size, seen.media_type) == (len(body), media_type)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_put_takes_any_kind_of_bytes(store: ObjectStore, wrap: type) -> None:
    store.put("a", wrap(b"some bytes"))
    assert store.get("a") == b"some bytes"


def test_create_writes_what_is_not_there(store: ObjectStore) -> None:
    assert store.create("inbox/a", b"{}") is True
    assert store.get("inbox/a") == b"{}"


@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
def test_create_leaves_a_taken_key_as_it_is(store: ObjectStore, media_type: str) -> None:
    store.put("inbox/a", b"first", media_type="application/x-first")
    assert store.create("inbox/a", b"second", media_type=media_type) is False
    assert store.get("inbox/a") == b"first"
    assert store.stat("inbox/a").media_type == "application/x-first"


def test_create_works_again_after_delete(store: ObjectStore) -> None:
    store.create("inbox/a", b"1")
    store.delete(["inbox/a"])
    assert store.create("inbox/a", b"2") is True
    assert store.get("inbox/a") == b"2"


def test_of_all_who_create_a_key_at_once_one_wins(store: ObjectStore) -> None:
    for round_ in range(5):
        key = f"inbox/race-{round_}"
        ready = threading.Barrier(THREADS)

        def create(n: int, key: str = key, ready: threading.Barrier = ready) -> bool:
            body = b"writer %d" % n
            ready.wait()
            # Types differ, so that the winner's type can be told from a loser's.
            return store.create(key, body, media_type="application/json" if n % 2 else "text/plain")

        with ThreadPoolExecutor(THREADS) as pool:
            won = list(pool.map(create, range(THREADS)))
        assert won.count(True) == 1
        winner = won.index(True)
        assert store.get(key) == b"writer %d" % winner
        assert store.stat(key).media_type == ("application/json" if winner % 2 else "text/plain")


def test_of_all_who_put_a_key_at_once_one_is_there_whole(store: ObjectStore) -> None:
    bodies = [bytes([n]) * 20_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda body: store.put("objects/o/u", body, media_type=f"text/n{body[0]}"), bodies * 3))
    body = store.get("objects/o/u")
    assert body in bodies
    assert store.stat("objects/o/u").media_type == f"text/n{body[0]}"


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("channels/c/o/s", b"")
    assert store.get("channels/c/o/s") == b""
    assert store.stat("channels/c/o/s").size == 0
    assert list(store.read("channels/c/o/s")) == []
    assert store.create("channels/c/o/s", b"x") is False


# ------------------------------------------------------------------------------------------------ stat, media types


def test_stat_of_nothing_is_none(store: ObjectStore) -> None:
    assert store.stat("objects/o/none") is None


def test_stat_tells_size_and_an_aware_time(store: ObjectStore) -> None:
    store.put("a", b"12345")
    seen = store.stat("a")
    assert seen.size == 5
    assert seen.modified.utcoffset() == timedelta(0)
    assert abs(seen.modified - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/octet-stream", "text/plain; charset=utf-8", "application/vnd.a+b.c-d", 'multipart/x; a="b,=%~"', "a/" + "b" * 125],
)
@pytest.mark.parametrize("key", ["objects/o/u", "inbox/a~b"])
def test_media_types_survive(store: ObjectStore, key: str, media_type: str) -> None:
    store.create(key, b"1", media_type=media_type)
    assert store.stat(key).media_type == media_type
    store.put(key, b"1", media_type=media_type)
    assert store.stat(key).media_type == media_type


@pytest.mark.parametrize("media_type", ["", "text", "a/b/c", "a/b\r\nX: y", "a/é", "a/" + "b" * 126])
def test_a_senseless_media_type_is_refused(store: ObjectStore, media_type: str) -> None:
    for write in (store.put, store.create):
        with pytest.raises(ValueError, match="media type"):
            write("a", b"", media_type=media_type)
    assert store.stat("a") is None


# ------------------------------------------------------------------------------------------------ get, read


def test_get_and_read_of_nothing_raise(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFound):
        store.get("objects/o/none")
    for span in ({}, {"start": 3}, {"start": 3, "stop": 3}):
        with pytest.raises(ObjectNotFound):
            store.read("objects/o/none", **span)  # at the call, before a chunk is asked for


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [(0, None, b"0123456789"), (3, None, b"3456789"), (3, 7, b"3456"), (0, 100, b"0123456789"), (9, 10, b"9"), (10, None, b""), (50, 60, b""), (4, 4, b"")],
)
def test_read_gives_the_span_that_was_asked_for(store: ObjectStore, start: int, stop: int | None, expected: bytes) -> None:
    store.put("a", b"0123456789")
    assert b"".join(store.read("a", start=start, stop=stop)) == expected


def test_chunks_are_no_larger_than_asked_for(store: ObjectStore) -> None:
    body = part(1, 100_000)
    store.put("a", body)
    chunks = list(store.read("a", start=10, chunk_bytes=4096))
    assert max(map(len, chunks)) <= 4096
    assert b"".join(chunks) == body[10:]


def test_a_reader_may_stop_early(store: ObjectStore) -> None:
    store.put("a", part(1, 3_000_000))
    store.read("a")
    taken = store.read("a")
    assert next(taken) == part(1, 3_000_000)[: 1 << 20]
    del taken
    store.delete(["a"])


# ------------------------------------------------------------------------------------------------ transfers


def test_parts_may_come_from_several_threads_in_any_order(store: ObjectStore) -> None:
    bodies = [part(n) for n in (1, 2, 3)] + [part(4, 1234)]
    transfer = store.start("objects/o/big", part_bytes=PART, media_type="application/pdf")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: transfer.put_part(n, bodies[n - 1]), [4, 2, 3, 1]))
    assert store.stat("objects/o/big") is None  # not before `complete`
    transfer.complete()
    assert b"".join(store.read("objects/o/big")) == b"".join(bodies)
    seen = store.stat("objects/o/big")
    assert (seen.size, seen.media_type) == (3 * PART + 1234, "application/pdf")
    assert b"".join(store.read("objects/o/big", start=PART - 3, stop=PART + 3)) == bodies[0][-3:] + bodies[1][:3]


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_parts_are_any_kind_of_bytes_and_may_be_sent_again(store: ObjectStore, wrap: type) -> None:
    transfer = store.start("objects/o/big", part_bytes=PART)
    transfer.put_part(1, wrap(b"a first try"))
    transfer.put_part(1, wrap(part(1)))
    transfer.put_part(2, wrap(b"end"))
    transfer.complete()
    assert store.get("objects/o/big") == part(1) + b"end"


def test_complete_may_be_repeated(store: ObjectStore) -> None:
    transfer = store.start("objects/o/big", part_bytes=PART)
    transfer.put_part(1, b"all")
    transfer.complete()
    transfer.complete()
    transfer.abort()  # too late to do harm
    assert store.get("objects/o/big") == b"all"


def test_a_transfer_of_nothing_makes_an_empty_object(store: ObjectStore) -> None:
    store.start("objects/o/empty", part_bytes=PART).complete()
    assert store.stat("objects/o/empty").size == 0


def test_a_transfer_replaces_what_was_there(store: ObjectStore) -> None:
    store.put("objects/o/u", b"old", media_type="text/old")
    transfer = store.start("objects/o/u", part_bytes=PART)
    transfer.put_part(1, b"new")
    assert store.get("objects/o/u") == b"old"
    transfer.complete()
    assert store.get("objects/o/u") == b"new"


def test_an_aborted_transfer_leaves_nothing(store: ObjectStore) -> None:
    transfer = store.start("objects/o/u", part_bytes=PART)
    transfer.put_part(1, part(1))
    transfer.abort()
    transfer.abort()
    with pytest.raises(Unavailable):
        transfer.put_part(2, b"late")
    with pytest.raises(Unavailable):
        transfer.complete()
    assert store.stat("objects/o/u") is None
    assert store.names("") == []


@pytest.mark.parametrize("sent", [{2: b"x"}, {1: b"short", 2: b"x"}, {1: part(1), 3: b"x"}])
def test_a_hole_is_never_completed(store: ObjectStore, sent: dict[int, bytes]) -> None:
    transfer = store.start("objects/o/u", part_bytes=PART)
    for number, body in sent.items():
        transfer.put_part(number, body)
    with pytest.raises(ValueError, match="part"):
        transfer.complete()
    transfer.abort()
    assert store.stat("objects/o/u") is None


@pytest.mark.parametrize(("number", "size"), [(0, 1), (10_001, 1), (1, PART + 1)])
def test_a_part_that_cannot_be_one_is_refused(store: ObjectStore, number: int, size: int) -> None:
    transfer = store.start("objects/o/u", part_bytes=PART)
    with pytest.raises(ValueError, match="part"):
        transfer.put_part(number, bytes(size))
    transfer.abort()


def test_parts_below_5_mib_are_refused(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="5 MiB"):
        store.start("objects/o/u", part_bytes=PART - 1)


# ------------------------------------------------------------------------------------------------ names, keys

TREE = ["n/a", "n/a-b", "n/a/b", "n/a/c/d", "n/a0", "n/B", "n/_x", "n/~z", "n/.h", "other/x", "top"]


@pytest.fixture
def tree(store: ObjectStore) -> ObjectStore:
    for key in random.sample(TREE, len(TREE)):
        store.put(key, key.encode())
    return store


def test_names_are_those_directly_below_in_byte_order(tree: ObjectStore) -> None:
    assert tree.names("n/") == [".h", "B", "_x", "a", "a-b", "a/", "a0", "~z"]
    assert tree.names("n/a/") == ["b", "c/"]
    assert tree.names("") == ["n/", "other/", "top"]
    assert tree.names("none/") == []


def test_a_key_and_keys_below_it_live_side_by_side(tree: ObjectStore) -> None:
    assert tree.get("n/a") == b"n/a"
    assert tree.get("n/a/b") == b"n/a/b"
    tree.delete(["n/a"])
    assert tree.get("n/a/b") == b"n/a/b"
    assert tree.stat("n/a") is None


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_of_names_follow_one_another_without_gap_or_repeat(tree: ObjectStore, limit: int) -> None:
    found: list[str] = []
    while page := tree.names("n/", after=found[-1] if found else "", limit=limit):
        assert len(page) <= limit
        found += page
    assert found == [".h", "B", "_x", "a", "a-b", "a/", "a0", "~z"]


def test_after_need_not_be_there(tree: ObjectStore) -> None:
    assert tree.names("n/", after="a.") == ["a/", "a0", "~z"]
    assert tree.names("n/", after="a/") == ["a0", "~z"]
    assert tree.names("n/", after="~~") == []
    assert tree.keys("n/", after="n/a.x") == ["n/a/b", "n/a/c/d", "n/a0", "n/~z"]


def test_keys_are_all_at_any_depth_in_byte_order(tree: ObjectStore) -> None:
    assert tree.keys("n/") == sorted(key for key in TREE if key.startswith("n/"))
    assert tree.keys("") == sorted(TREE)
    assert tree.keys("n/a/") == ["n/a/b", "n/a/c/d"]
    assert tree.keys("none/") == []


@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
def test_pages_of_keys_follow_one_another_without_gap_or_repeat(tree: ObjectStore, limit: int) -> None:
    found: list[str] = []
    while page := tree.keys("n/", after=found[-1] if found else "", limit=limit):
        assert len(page) <= limit
        found += page
    assert found == sorted(key for key in TREE if key.startswith("n/"))


def test_keys_after_a_key_elsewhere(tree: ObjectStore) -> None:
    assert tree.keys("n/", after="m") == sorted(key for key in TREE if key.startswith("n/"))
    assert tree.keys("n/", after="o") == []


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_1_to_1000(store: ObjectStore, limit: int) -> None:
    for listing in (store.names, store.keys):
        with pytest.raises(ValueError, match="page"):
            listing("n/", limit=limit)


@pytest.mark.parametrize("prefix", ["inbox/", f"objects/{OWNER}/"])
def test_more_than_a_page_of_names_and_their_removal(store: ObjectStore, kind: str, prefix: str) -> None:
    """2,500 keys: three pages, and three requests of DeleteObjects."""
    if prefix != "inbox/" and kind != "folder":
        pytest.skip("only the folder treats prefixes differently")
    names = sorted(f"{random.Random(n).randrange(16**6):06x}-{n}" for n in range(2500))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda name: store.put(prefix + name, b""), names))
    found: list[str] = []
    while page := store.names(prefix, after=found[-1] if found else ""):
        found += page
    assert found == names
    assert store.keys(prefix) == [prefix + name for name in names[:1000]]
    store.delete([prefix + name for name in names])
    assert store.names(prefix) == []
    assert store.keys("") == []


# ------------------------------------------------------------------------------------------------ keys of our layout


def test_the_longest_ids_have_room(store: ObjectStore) -> None:
    for letter in "aA":
        source, upload = SourceId(letter * 128), UploadId(letter * 32)
        for key in (inbox_key(OWNER, source), object_key(OWNER, upload), result_key(OWNER, source, 10**6), f"channels/{source}/{OWNER}/{source}"):
            assert store.create(key, key.encode())
            assert store.get(key) == key.encode()
    assert len(store.names("inbox/")) == 2
    assert store.names(f"sources/{OWNER}/") == ["A" * 128 + "/", "a" * 128 + "/"]


def test_case_counts(store: ObjectStore) -> None:
    for key in ("inbox/ABC", "inbox/abc", "inbox/aBc", "sources/O/X/y", "sources/O/x/y", "sources/o/x/y"):
        assert store.create(key, key.encode())
    assert store.names("inbox/") == ["ABC", "aBc", "abc"]
    assert store.names("sources/O/") == ["X/", "x/"]
    assert store.get("inbox/aBc") == b"inbox/aBc"


@pytest.mark.parametrize("key", ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\\b", "a b", "a\0b", "ä", "a+b", "a,1", "a=", "x" * 1025])
def test_what_is_no_key_is_refused_everywhere(store: ObjectStore, key: str) -> None:
    calls = [
        lambda: store.put(key, b""),
        lambda: store.create(key, b""),
        lambda: store.start(key, part_bytes=PART),
        lambda: store.get(key),
        lambda: store.stat(key),
        lambda: store.read(key),
        lambda: store.delete([key]),
        lambda: store.path(key),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not a key"):
            call()


@pytest.mark.parametrize("prefix", ["a", "/", "a/b", "../", "a/./", "a b/"])
def test_what_is_no_prefix_is_refused(store: ObjectStore, prefix: str) -> None:
    for listing in (store.names, store.keys):
        with pytest.raises(ValueError, match="not a prefix"):
            listing(prefix)


@pytest.mark.parametrize("key", ["...", "a/...", ".a", "-", "~", "tmp", "tmp/x", "objects", "objects/o", "channels", "a" * 161])
def test_odd_keys_are_keys(store: ObjectStore, key: str) -> None:
    store.put(key, b"1")
    assert store.get(key) == b"1"
    assert store.keys("") == [key]


# ------------------------------------------------------------------------------------------------ delete


def test_delete_is_idempotent_and_spares_the_rest(store: ObjectStore) -> None:
    for key in ("a/1", "a/2", "b"):
        store.put(key, b"")
    store.delete([])
    store.delete(["a/1", "none", "a/none/deep"])
    store.delete(["a/1"])
    assert store.keys("") == ["a/2", "b"]


# ------------------------------------------------------------------------------------------------ link, path


def test_a_link_hands_out_the_bytes_as_an_attachment(store: ObjectStore, kind: str, request: pytest.FixtureRequest) -> None:
    store.put("objects/o/u", b"the bytes")
    link = store.link("objects/o/u", filename='naïve "report" 1.pdf', media_type="application/pdf", seconds=60)
    if kind in {"memory", "patient", "folder"}:
        assert link is None
        return
    verify = request.getfixturevalue("real_s3").ca_bundle if kind == "rgw-https" else True
    import ssl

    context = ssl.create_default_context(cafile=verify) if verify is not True else True
    answer = httpx.get(link, verify=context)
    assert (answer.status_code, answer.content) == (200, b"the bytes")
    assert answer.headers["content-type"] == "application/pdf"
    expected = "attachment; filename=\"na_ve _report_ 1.pdf\"; filename*=UTF-8''na%C3%AFve%20%22report%22%201.pdf"
    assert answer.headers["content-disposition"] == expected


def test_a_path_is_a_plain_file_with_exactly_the_bytes(store: ObjectStore, kind: str) -> None:
    for media_type in ("application/octet-stream", "application/pdf"):
        store.put("objects/o/u", b"the bytes", media_type=media_type)
        path = store.path("objects/o/u")
        assert (path is not None) == (kind == "folder")
        if path is not None:
            assert path.is_file()
            assert not path.is_symlink()
            assert path.read_bytes() == b"the bytes"


def test_the_path_of_nothing(store: ObjectStore, kind: str) -> None:
    if kind in {"memory", "patient", "folder"}:
        with pytest.raises(ObjectNotFound):
            store.path("objects/o/none")
    else:
        assert store.path("objects/o/none") is None  # a bucket has no files: it does not even look


# ------------------------------------------------------------------------------------------------ probe, outage


def test_the_probe_passes_and_leaves_nothing(store: ObjectStore) -> None:
    store.put("headrace.json", b"{}")
    store.probe()
    assert store.keys("") == ["headrace.json"]


def test_a_store_that_went_away_is_unavailable(store_that_went_away: ObjectStore) -> None:
    store = store_that_went_away
    calls = [
        lambda: store.put("secret-key", b""),
        lambda: store.create("secret-key", b""),
        lambda: store.start("secret-key", part_bytes=PART),
        lambda: store.get("secret-key"),
        lambda: store.stat("secret-key"),
        lambda: store.read("secret-key"),
        lambda: store.names("secret-key/"),
        lambda: store.keys("secret-key/"),
        lambda: store.delete(["secret-key"]),
    ]
    for call in calls:
        with pytest.raises(Unavailable) as raised:
            call()
        assert raised.value.code in {"storage_failed", "storage_unavailable"}
        assert "secret-key" not in str(raised.value)
        assert "127.0.0.1" not in str(raised.value)


# ------------------------------------------------------------------------------------------------ listing, abandoned transfers


def test_a_listing_has_the_keys_in_their_order_and_when_each_was_written(tree: ObjectStore) -> None:
    listed = tree.listing("n/")
    assert [one.key for one in listed] == tree.keys("n/")
    # A listing has milliseconds on some stores; what HEAD answers is an HTTP date, which has whole seconds.
    times = {one.key: one.modified.replace(microsecond=0) for one in listed}
    assert times == {key: tree.stat(key).modified.replace(microsecond=0) for key in tree.keys("n/")}


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_of_a_listing_follow_one_another(tree: ObjectStore, limit: int) -> None:
    found: list[str] = []
    while page := tree.listing("", after=found[-1] if found else "", limit=limit):
        assert len(page) <= limit
        found += [one.key for one in page]
    assert found == sorted(TREE)


def test_a_transfer_to_which_parts_come_is_not_abandoned(store: ObjectStore) -> None:
    transfer = store.start("objects/o/u", part_bytes=PART)
    transfer.put_part(1, b"all")
    assert store.drop_abandoned(datetime.now(UTC) - timedelta(minutes=5)) == 0
    transfer.complete()
    assert store.get("objects/o/u") == b"all"
    assert store.drop_abandoned(datetime.now(UTC) + timedelta(minutes=5)) == 0, "what is complete is none"
    assert store.get("objects/o/u") == b"all"


def test_an_abandoned_transfer_is_dropped_and_cannot_be_completed(store: ObjectStore) -> None:
    transfers = [store.start(f"objects/o/u{n}", part_bytes=PART) for n in range(3)]
    for transfer in transfers:
        transfer.put_part(1, part(1))
    transfers[2].abort()
    assert store.drop_abandoned(datetime.now(UTC) + timedelta(minutes=5)) == 2
    assert store.drop_abandoned(datetime.now(UTC) + timedelta(minutes=5)) == 0
    for transfer in transfers:
        with pytest.raises(Unavailable):
            transfer.complete()
    assert store.keys("") == []
