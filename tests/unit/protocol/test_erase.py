import pytest

from app.domain.errors import Unavailable
from app.domain.layout import inbox_key, marker_key, object_key, result_key, tombstone_key
from app.domain.results import acceptance
from app.protocol import inbox
from app.protocol.commit import commit
from app.protocol.erase import close, erase
from tests.unit.doubles import ADA, EVE, SOURCE, Troubled, a_failure, a_record, a_success, contents


def live(store, owner=ADA, source=SOURCE, *, open_=True):
    """A source of two runs, the second at work: bytes, artifacts of winners and of an attempt that died, markers, and an inbox record."""
    first = a_record(source)
    second = a_record(source, run=3, ws_uuid="w-2")
    for record in (first, second):
        store.put(object_key(owner, record.upload), b"abc")
        store.put(marker_key(record.ws_uuid, owner, source), b"")
    commit(store, owner, first, a_failure(first, owner=owner))
    done = a_success(a_record(source, run=2, url="http://example.com/"), owner=owner)
    for artifact in done.artifacts.values():
        store.put(artifact.key, b"abc")
    commit(store, owner, acceptance(done), done)
    if open_:
        inbox.create(store, owner, second)
        store.put(f"sources/{owner}/{source}/runs/3/dead/text", b"x")
    else:
        commit(store, owner, second, a_success(second, owner=owner))
    return second


def settle(store):
    erase(store, ADA, SOURCE)
    close(store, ADA, SOURCE)


@pytest.mark.parametrize("open_", [False, True])
def test_nothing_remains_of_a_source_but_its_tombstone(store, open_):
    live(store, open_=open_)
    settle(store)
    assert list(contents(store)) == [tombstone_key(ADA, SOURCE)]


def test_the_inbox_record_stays_until_the_end_was_said(store):
    record = live(store)
    assert erase(store, ADA, SOURCE) == record
    assert set(contents(store)) == {tombstone_key(ADA, SOURCE), inbox_key(ADA, SOURCE)}


def test_nothing_of_any_other_source_is_touched(store):
    live(store, EVE)
    live(store, ADA, SOURCE + "0")
    live(store, ADA, "s")
    before = contents(store)
    live(store)
    settle(store)
    assert contents(store) == before | {tombstone_key(ADA, SOURCE): b"{}"}


def test_a_source_that_never_was_leaves_a_tombstone_too(store):
    settle(store)
    settle(store)
    assert list(contents(store)) == [tombstone_key(ADA, SOURCE)]


@pytest.mark.parametrize("open_", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_a_deletion_that_stopped_at_any_call_comes_to_the_same_end_when_it_is_repeated(store, open_, late):
    troubled = Troubled(store)
    k = 0
    while True:
        k += 1
        store.close()
        live(store, open_=open_)
        troubled.reset(refuse_at=k, late=late)
        stopped = False
        try:
            settle(troubled)
        except Unavailable:
            stopped = True
            settle(store)
        assert list(contents(store)) == [tombstone_key(ADA, SOURCE)], k
        if not stopped:
            assert k > 6
            return


@pytest.mark.parametrize("open_", [False, True])
def test_a_deletion_that_stopped_between_any_two_keys_comes_to_the_same_end_when_it_is_repeated(store, open_, monkeypatch):
    remove = store.delete
    k = 0
    while True:
        k += 1
        store.close()
        live(store, open_=open_)
        left = [k]

        def some(keys, left=left):
            for key in keys:
                left[0] -= 1
                if not left[0]:
                    raise Unavailable
                remove([key])

        monkeypatch.setattr(store, "delete", some)
        stopped = False
        try:
            settle(store)
        except Unavailable:
            stopped = True
        monkeypatch.undo()
        settle(store)
        assert list(contents(store)) == [tombstone_key(ADA, SOURCE)], k
        if not stopped:
            return


def test_more_than_a_page_of_artifacts_goes_too(store, monkeypatch):
    live(store)
    for number in range(30):
        store.put(f"sources/{ADA}/{SOURCE}/runs/3/dead/p{number}", b"x")
    keys = store.keys
    monkeypatch.setattr(store, "keys", lambda prefix, *, after="", limit=1000: keys(prefix, after=after, limit=min(limit, 4)))
    settle(store)
    assert keys("") == [tombstone_key(ADA, SOURCE)]


def test_no_commit_comes_after_a_deletion(store):
    record = live(store)
    settle(store)
    assert commit(store, ADA, record, a_success(record)) is None
    assert store.stat(result_key(ADA, SOURCE, 3)) is None
