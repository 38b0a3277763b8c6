import contextlib

import pytest

from app.domain.errors import Unavailable
from app.domain.layout import marker_key, object_key, result_key, tombstone_key
from app.domain.results import Artifact, acceptance
from app.protocol import inbox
from app.protocol.commit import commit, discard
from app.protocol.erase import close, erase
from tests.unit.doubles import ADA, CHANNEL, SOURCE, Troubled, a_failure, a_record, a_success, contents

MARKER = marker_key(CHANNEL, ADA, SOURCE)


def made(store, result):
    """An attempt has made its artifacts."""
    for artifact in result.artifacts.values():
        store.put(artifact.key, b"abc")
    return result


def fetched(store, record):
    """A result of a URL, whose bytes each attempt keeps under a key of its own."""
    result = a_success(record)
    original = Artifact(key=object_key(ADA, a_record().upload), size=3, media_type="text/plain", filename="a")
    return made(store, result.model_copy(update={"artifacts": result.artifacts | {"original": original}}))


def keys(result):
    return {artifact.key for artifact in result.artifacts.values()}


def test_the_first_commit_is_the_result(store):
    ours = made(store, a_success(a_record()))
    assert commit(store, ADA, acceptance(ours), ours) == ours
    assert set(contents(store)) == keys(ours) | {result_key(ADA, SOURCE, 1), MARKER}


def test_a_failure_has_a_marker_too_so_that_a_wipe_does_not_hide_it_from_its_channel(store):
    ours = a_failure(a_record())
    commit(store, ADA, acceptance(ours), ours)
    assert MARKER in contents(store)


def test_the_loser_gets_the_winner_s_result_and_what_it_made_goes(store):
    record = a_record()
    winner, loser = made(store, a_success(record)), made(store, a_success(record))
    assert commit(store, ADA, acceptance(winner), winner) == winner
    assert commit(store, ADA, acceptance(loser), loser) == winner
    assert set(contents(store)) == keys(winner) | {result_key(ADA, SOURCE, 1), MARKER}


def test_the_loser_of_a_url_removes_the_bytes_that_it_fetched_and_not_the_winner_s(store):
    record = a_record(url="http://example.com/", size=None)
    winner, loser = fetched(store, record), fetched(store, record)
    commit(store, ADA, acceptance(winner), winner)
    assert commit(store, ADA, acceptance(loser), loser) == winner
    assert set(contents(store)) == keys(winner) | {result_key(ADA, SOURCE, 1), MARKER}


def test_the_winner_that_is_handed_its_own_refusal_keeps_what_it_made(store):
    ours = made(store, a_success(a_record()))
    store.create(result_key(ADA, SOURCE, 1), ours.to_json())
    assert commit(store, ADA, acceptance(ours), ours) == ours
    assert set(contents(store)) == keys(ours) | {result_key(ADA, SOURCE, 1), MARKER}


def test_a_result_never_stands_without_the_bytes_that_travelled_in_the_record(store):
    record = a_record().packed(b"few bytes")
    for number in range(1, 9):
        troubled = Troubled(store)
        troubled.reset(refuse_at=number)
        with contextlib.suppress(Unavailable):
            commit(troubled, ADA, record, a_failure(record))
        assert result_key(ADA, SOURCE, 1) not in contents(store) or store.get(object_key(ADA, record.upload)) == b"few bytes"
    assert result_key(ADA, SOURCE, 1) in contents(store)


@pytest.mark.parametrize("before", [False, True])
def test_a_deletion_at_the_moment_of_the_commit_takes_the_bytes_of_the_record_too(store, before):
    record = a_record().packed(b"few bytes")
    inbox.create(store, ADA, record)

    def deleted():
        erase(store, ADA, SOURCE)
        close(store, ADA, SOURCE)

    assert commit(Meanwhile(store, deleted, before=before), ADA, record, a_failure(record)) is None
    assert set(contents(store)) == {tombstone_key(ADA, SOURCE)}


def test_each_run_has_a_commit_of_its_own(store):
    first, second = made(store, a_success(a_record())), made(store, a_success(a_record(run=2)))
    assert (commit(store, ADA, acceptance(first), first), commit(store, ADA, acceptance(second), second)) == (first, second)


@pytest.mark.parametrize("url", [None, "http://example.com/"])
def test_a_commit_after_the_tombstone_removes_all_that_it_made(store, url):
    record = a_record(url=url)
    ours = fetched(store, record) if url else made(store, a_success(record))
    erase(store, ADA, SOURCE)
    assert commit(store, ADA, acceptance(ours), ours) is None
    left = set(contents(store)) - {tombstone_key(ADA, SOURCE)}
    assert left <= {object_key(ADA, record.upload)}, "the upload itself is the deletion's to remove: it knows the inbox record"


class Meanwhile:
    """The store, where something happens right after (or before) the PUT of the result."""

    def __init__(self, store, happens, *, before=False):
        self.store, self.happens, self.before = store, happens, before

    def __getattr__(self, name):
        return getattr(self.store, name)

    def create(self, key, body):
        if self.before:
            self.happens()
        created = self.store.create(key, body)
        if not self.before:
            self.happens()
        return created


@pytest.mark.parametrize("before", [False, True])
def test_a_deletion_at_the_moment_of_the_commit_wins(store, before):
    record = a_record()
    store.create(f"inbox/{ADA}~{SOURCE}", record.to_json())
    ours = made(store, a_success(record))
    assert commit(Meanwhile(store, lambda: erase(store, ADA, SOURCE), before=before), ADA, acceptance(ours), ours) is None
    assert set(contents(store)) == {tombstone_key(ADA, SOURCE), f"inbox/{ADA}~{SOURCE}"}


def test_a_loser_whose_winner_was_deleted_meanwhile_hears_that_the_source_is_gone(store):
    record = a_record()
    store.create(f"inbox/{ADA}~{SOURCE}", record.to_json())
    winner, loser = made(store, a_success(record)), made(store, a_success(record))
    commit(store, ADA, acceptance(winner), winner)
    assert commit(Meanwhile(store, lambda: erase(store, ADA, SOURCE)), ADA, acceptance(loser), loser) is None
    assert set(contents(store)) == {tombstone_key(ADA, SOURCE), f"inbox/{ADA}~{SOURCE}"}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_a_commit_that_the_store_broke_off_anywhere_is_finished_by_the_same_commit_again(store, late, deleted, lost):
    record = a_record()
    winner = made(store, a_success(record))
    if lost:
        commit(store, ADA, acceptance(winner), winner)
    if deleted:
        store.put(tombstone_key(ADA, SOURCE), b"{}")
    before = contents(store)
    troubled = Troubled(store)
    k = 0
    while True:
        k += 1
        store.close()
        for key, body in before.items():
            store.put(key, body)
        ours = made(store, a_success(record))
        troubled.reset(refuse_at=k, late=late)
        try:
            found = commit(troubled, ADA, acceptance(ours), ours)
            broke = False
        except Unavailable:
            broke = True
            found = commit(store, ADA, acceptance(ours), ours)
        assert found == (None if deleted else winner if lost else ours)
        assert (result_key(ADA, SOURCE, 1) in contents(store)) is not deleted
        assert keys(ours) & set(contents(store)) - {object_key(ADA, record.upload)} == (
            set() if deleted or lost else keys(ours) - {object_key(ADA, record.upload)}
        )
        if not broke and len(troubled.calls) < k:
            return


def test_a_discarded_attempt_touches_no_other_s(store):
    record = a_record()
    mine, other = made(store, a_success(record)), made(store, a_success(record))
    discard(store, ADA, mine)
    assert set(contents(store)) == keys(other)
